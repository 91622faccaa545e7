"""The physics commands as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import thermo
from llm_bridge.cli import main
from thermo.cli.betas import parse_betas
from thermo.errors import InvalidInputError
from thermo.exact.kaufman import square_torus

SPINLOGIT = Path(sys.executable).with_name("spinlogit")
SMALL = ("--size", 4, "--sweeps", 200, "--replicas", 8)


def spinlogit(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SPINLOGIT), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_means_agree_with_the_exact_lattice_at_both_signs(tmp_path: Path) -> None:
    """8 numbers, each within 5 of its errors: a false alarm in 2·10⁵ runs."""
    done = spinlogit(
        "simulate",
        "--size",
        8,
        "--beta=-0.6,-0.2,0.2,0.6",
        "--sweeps",
        2000,
        "--json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    exact = square_torus([-0.6, -0.2, 0.2, 0.6], 8)
    for name, value in (
        ("energy", exact.internal_energy),
        ("heat_capacity", exact.heat_capacity),
    ):
        total = found["totals"][name]
        z = (np.array(total["mean"]) - value) / np.array(total["error"])
        assert np.abs(z).max() < 5
    assert found["beta"] == [-0.6, -0.2, 0.2, 0.6]


def test_the_run_file_is_the_run_that_was_printed(tmp_path: Path) -> None:
    done = spinlogit("simulate", *SMALL, "--out", "run.nc", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = thermo.load_run(tmp_path / "run.nc")
    assert run.energy.mean.tolist() == json.loads(done.stdout)["totals"]["energy"]["mean"]
    again = spinlogit("simulate", *SMALL, "--out", "run.nc", cwd=tmp_path)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    again = spinlogit("simulate", *SMALL, "--out", "run.nc", "--overwrite", cwd=tmp_path)
    assert again.returncode == 0
    assert "written: run.nc" in again.stdout


def test_a_checkpoint_is_taken_up_again(tmp_path: Path) -> None:
    first = spinlogit("simulate", *SMALL, "--checkpoint", "c", "--json", cwd=tmp_path)
    second = spinlogit("simulate", *SMALL, "--checkpoint", "c", "--json", cwd=tmp_path)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout == second.stdout
    other = spinlogit("simulate", *SMALL, "--seed", 1, "--checkpoint", "c", cwd=tmp_path)
    assert other.returncode == 2
    assert other.stderr.count("\n") == 1


def test_parallel_tempering_takes_the_same_options(tmp_path: Path) -> None:
    done = spinlogit(
        "simulate", *SMALL, "--disorder", "bimodal", "--beta", "0.2:2:8", "--exchange-every", 1,
        "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    energy = json.loads(done.stdout)["totals"]["energy"]["mean"]
    assert energy == sorted(energy, reverse=True)


def test_a_graph_comes_from_a_file_of_edges(tmp_path: Path) -> None:
    (tmp_path / "ring.txt").write_text("# a ring\n0 1\n1 2\n2 3\n\n3 0\n")
    done = spinlogit("dos", "--graph", "ring.txt", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["energy"] == [-4.0, 0.0, 4.0]
    np.testing.assert_allclose(np.exp(found["log_degeneracy"]), [2, 12, 2])


def test_dos_prints_and_writes_the_exact_levels(tmp_path: Path) -> None:
    done = spinlogit("dos", "--size", 4, "--out", "g.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "15 levels, exact" in done.stdout
    table = np.loadtxt(tmp_path / "g.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(np.exp(table[:4, 1]), [2, 32, 64, 424])
    assert table[0, 0] == -32


def test_dos_of_too_few_levels_for_a_derivative_is_shown_without_one(tmp_path: Path) -> None:
    done = spinlogit("dos", "--lattice", "chain", "--size", 2, "--open", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 levels, exact" in done.stdout
    assert done.stdout.split().count("nan") == 2
    done = spinlogit("dos", "--size", 3, "--coupling", 0, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["beta_boltzmann"] == [None]


def test_dos_keeps_a_checkpoint(tmp_path: Path) -> None:
    options = ("--size", 3, "--method", "wang_landau", "--sweeps", 20_000, "--json")
    first, again = (
        spinlogit("dos", *options, "--checkpoint", "kept", cwd=tmp_path) for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    assert list((tmp_path / "kept").glob("*.chunk"))
    assert again.stdout == first.stdout
    other = spinlogit("dos", *options, "--checkpoint", "kept", "--seed", 1, cwd=tmp_path)
    assert other.returncode == 2
    assert "seed = 0 there and 1 here" in other.stderr
    assert spinlogit("dos", "--checkpoint", "new", cwd=tmp_path).returncode == 2  # exact


def test_energies_that_lie_on_no_lattice_get_bins(tmp_path: Path) -> None:
    options = ("--model", "xy", "--size", 3, "--method", "wang_landau", "--sweeps", 2000)
    without = spinlogit("dos", *options, cwd=tmp_path)
    assert without.returncode == 2
    assert "bin_width" in without.stderr
    done = spinlogit("dos", *options, "--bin-width", 2, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["energy"]) > 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--beta", "warm"), "--beta 'warm' was given"),
        (("--beta", ""), "--beta '' was given; accepted: numbers"),
        (("--beta", "0.1,,0.2"), "--beta '' was given"),
        (("--temperature", ""), "--temperature '' was given"),
        (("--beta", "nan"), "nan"),
        (("--beta", "0:1:0"), "from:to:count"),
        (("--beta", "1", "--temperature", "1"), "one of the two"),
        (("--sweeps", "0"), "sweeps = 0"),
        (("--replicas", "1"), "replicas = 1"),
        (("--size", "0"), "accepted"),
        (("--update", "metropolys"), "'metropolis'"),
        (("--model", "potts", "--q", "1"), "q = 1"),
        (("--model", "isng"), "did you mean 'ising'"),
        (("--lattice", "sqare"), "did you mean 'square'"),
        (("--lattice", ""), "--lattice = ''"),
        (("--update", "Heat-Bath"), "did you mean 'heat_bath'"),
        (("--disorder", "gausian"), "did you mean 'gaussian'"),
        (("--sweeps", "1" + 30 * "0"), "an integer 1 …"),
        (("--q", "4"), "--model potts"),
        (("--out", "/proc/x.nc"), "cannot be written"),
        (("--chirality", "0.1"), "--model clock"),
        (("--model", "xy", "--disorder", "gaussian"), "--model ising"),
        (("--graph", "nowhere.txt"), "No such file"),
        (("--graph", "words.txt"), "line 2 of words.txt"),
        (("--graph", "loop.txt"), "itself"),
        (("--graph", "empty.txt"), "no edges"),
        (("--graph", "loop.txt", "--size", "4"), "--graph was given together"),
        (("--out", "folder"), "is a folder"),
        (("--out", "no/where.nc"), "lies in no folder"),
        (("--dask", "tcp://127.0.0.1:1"), "no Dask scheduler answers"),
        (("--field", "inf"), "finite"),
        (("--size", "30000", "--replicas", "512"), "memory"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "words.txt").write_text("0 1\nzero one\n")
    (tmp_path / "loop.txt").write_text("0 0\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["spinlogit", "simulate", *arguments])
    monkeypatch.setattr("warnings.showwarning", warnings.showwarning)  # main sets its own
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert error.startswith("spinlogit: ")
    assert said in error
    assert sorted(tmp_path.iterdir()) == before


def test_temperatures_are_labels_of_beta() -> None:
    np.testing.assert_array_equal(parse_betas(None, ["0.5,-0.5", "inf"]), [2.0, -2.0, 0.0])
    assert parse_betas(None, ["-0"])[0] == -np.inf


def test_a_range_has_both_ends() -> None:
    np.testing.assert_array_equal(parse_betas(["-1:1:3,7"], None), [-1, 0, 1, 7])
    with pytest.raises(InvalidInputError, match="from:to:count"):
        parse_betas(["1:2"], None)
