"""``spinlogit brownian`` and ``spinlogit generate --brownian``; noises measured side by side."""

from __future__ import annotations

import json
import math
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import typer  # noqa: E402
from typer.testing import CliRunner, Result  # noqa: E402

from llm_bridge.brownian.effective_temperature import effective_temperature  # noqa: E402
from llm_bridge.brownian.noise import WeightNoise  # noqa: E402
from llm_bridge.brownian.noise_sweep import noise_sweep  # noqa: E402
from llm_bridge.brownian.picture import noise_picture, plot_temperatures  # noqa: E402
from llm_bridge.brownian.sampling import sample_logits  # noqa: E402
from llm_bridge.commands.brownian import brownian_command  # noqa: E402
from llm_bridge.commands.generate import generate_command  # noqa: E402
from llm_bridge.commands.noise_words import parse_noise  # noqa: E402
from llm_bridge.decoding import generate  # noqa: E402
from llm_bridge.models import LanguageModel  # noqa: E402
from thermo.errors import InvalidInputError, SpinlogitError, UncertaintyWarning  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


apps = {}
for _name, _command in (("brownian", brownian_command), ("generate", generate_command)):
    apps[_name] = typer.Typer()
    apps[_name].command()(_command)


@pytest.fixture
def text_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def run(model_folder: Path):
    def run(command: str, *words: object) -> Result:
        return CliRunner().invoke(apps[command], ["--model", str(model_folder), *map(str, words)])

    return run


@pytest.fixture
def document(run):
    def document(*words: object) -> dict[str, Any]:
        result = run(*words, "--json")
        assert result.exit_code == 0, result.exception
        return json.loads(result.stdout)

    return document


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "noise", "machine"),
    [
        ("sigma=0.1", WeightNoise(0.1, seed=7), "auto"),
        ("sigma=0.1,tau=20", WeightNoise(0.1, correlation="ou", tau=20.0, seed=7), "auto"),
        ("sigma=.1, correlation=annealed", WeightNoise(0.1, correlation="annealed", seed=7), None),
        ("sigma=1,where=mlp", WeightNoise(1.0, where=["mlp"], seed=7), None),
        (
            "where=mlp,sigma=1,where=model.norm.*",
            WeightNoise(1.0, where=["mlp", "model.norm.*"], seed=7),
            None,
        ),
        ("sigma=1,law=low_rank,rank=2", WeightNoise(1.0, law="low_rank", rank=2, seed=7), None),
        ("sigma=1,scale=absolute,seed=3", WeightNoise(1.0, scale="absolute", seed=3), None),
        ("sigma=0,machine=copies", WeightNoise(0.0, seed=7), "copies"),
    ],
)
def test_what_words_mean(words: str, noise: WeightNoise, machine: str | None) -> None:
    assert parse_noise(words, 7) == (noise, machine or "auto")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "--brownian = ''"),
        ("0.1", "--brownian = '0.1'"),
        ("sgma=0.1", r"did you mean 'sigma'\?"),
        ("tau=3", "accepted: sigma="),
        ("sigma", "accepted: sigma="),
        ("sigma=", "accepted: sigma="),
        ("sigma=x", "accepted: sigma="),
        ("sigma=1,sigma=2", "accepted: sigma="),
        ("sigma=1,rank=2.5", "accepted: sigma="),
        ("sigma=1,,tau=2", "--brownian = ''"),
        ("sigma=-1", "sigma = -1.0"),
        ("sigma=nan", "sigma = nan"),
        ("sigma=1,tau=0", "tau = 0.0"),
        ("sigma=1,tau=-2", "tau = -2.0"),
        ("sigma=1,tau=nan", "tau = nan"),
        ("sigma=1,law=gausian", "law = 'gausian'.*did you mean"),
        ("sigma=1,where=", "where"),
        ("sigma=1,machine=regenerate", "machine = 'regenerate'"),
        ("sigma=1,tau=2,correlation=annealed", "correlation"),
        ("sigma=1,seed=-1", "seed"),
    ],
)
def test_words_without_a_meaning(run, words: str, message: str) -> None:
    """One error, before a model is loaded."""
    with pytest.raises(InvalidInputError, match=message):
        parse_noise(words, 0)
    result = run("generate", "--model", "/nowhere", "--brownian", words)
    assert isinstance(result.exception, InvalidInputError)


# --- generate -------------------------------------------------------------------------------------


def test_generate(document, model: LanguageModel) -> None:
    words = ("generate", "def energy(", "--temperature", "0", "--max-tokens", "8")
    noisy = document(*words, "--seed", "5", "--brownian", "sigma=0.3,tau=4")
    noise = WeightNoise(0.3, correlation="ou", tau=4.0, seed=5)
    assert noisy["noise"] == repr(noise)
    drawn = generate(model, "def energy(", math.inf, max_tokens=8, seed=5, noise=noise)
    assert [token["id"] for token in noisy["tokens"]] == [token.id for token in drawn]
    clean = document(*words)
    assert clean["noise"] is None
    assert clean["text"] != noisy["text"]
    other = document(*words, "--seed", "6", "--brownian", "sigma=0.3,tau=4")
    assert other["text"] != noisy["text"]  # --seed is the noise's too
    fixed = document(*words, "--seed", "6", "--brownian", "sigma=0.3,tau=4,seed=5")
    assert fixed["text"] == noisy["text"]


# --- measuring ------------------------------------------------------------------------------------


def test_a_sweep_is_its_fits(model: LanguageModel, text: str) -> None:
    ids = model.encode(text)[:40]
    noises = [WeightNoise(s, where=w) for w in ("head", "mlp") for s in (0.1, 0.2)]
    sweep = noise_sweep(model, ids, noises, draws=4)
    for noise, fit in zip(noises, sweep.fits, strict=True):
        noisy = sample_logits(model, ids, noise, 4)
        again = effective_temperature(model.logits(ids), noisy, model.valid)
        assert (fit.beta, fit.rank_swaps) == (again.beta, again.rank_swaps)
    rows = sweep.rows()
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[:2] for row in rows[1:]] == [
        ["head", "0.1"], ["head", "0.2"], ["mlp", "0.1"], ["mlp", "0.2"],
    ]  # fmt: skip
    json.dumps(sweep.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("noises", "draws", "message"),
    [
        ([], 4, "no noise"),
        ([WeightNoise(0.1)], 3, "draws = 3"),
        ([WeightNoise(0.1)], 0, "draws"),
        ([WeightNoise(0.1), WeightNoise(0.1, where="nowhere")], 4, "matches none"),
    ],
)
def test_bad_sweeps(model: LanguageModel, noises: list, draws: int, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        noise_sweep(model, [1, 2, 3], noises, draws=draws)


def test_the_table_and_the_document(run, document, text_file: Path, model: LanguageModel) -> None:
    words = ("brownian", text_file, "--positions", "32", "--draws", "4", "--sigma", "0.1,0.2")
    table = run(*words, "--where", "head", "--where", "norm,mlp")
    assert table.exit_code == 0, table.exception
    lines = table.stdout.splitlines()
    assert [line.split()[:2] for line in lines[3:7]] == [
        ["head", "0.1"], ["head", "0.2"], ["norm+mlp", "0.1"], ["norm+mlp", "0.2"],
    ]  # fmt: skip
    found = document(*words, "--where", "norm,mlp", "--tau", "3", "--seed", "4")
    assert (found["schema"], found["positions"], found["seed"]) == ("spinlogit.brownian/1", 32, 4)
    noise = found["noises"][1]["noise"]
    assert (noise["sigma"], noise["where"], noise["tau"]) == (0.2, ["norm", "mlp"], 3.0)
    expected = noise_sweep(
        model,
        model.encode(text_file.read_text(encoding="utf-8"))[:32],
        [WeightNoise(0.2, where=["norm", "mlp"], correlation="ou", tau=3.0, seed=4)],
        draws=4,
    )
    measured = found["noises"][1]["measured"]
    assert measured["temperature"] == pytest.approx(expected.fits[0].temperature)
    assert measured["text_errors"]["beta"] > 0


def test_noise_of_no_size(document, text_file: Path) -> None:
    with pytest.warns(match="every noisy draw equals"):
        found = document("brownian", text_file, "--sigma", "0", "--positions", "8", "--draws", "2")
    assert found["noises"][0]["measured"]["temperature"] == 1.0


def test_calibrate(run, document, text_file: Path) -> None:
    words = ("brownian", text_file, "--positions", "32", "--draws", "4", "--calibrate")
    with pytest.warns(UncertaintyWarning, match="32 positions and 4 draws tell no more"):
        one = document(*words, "1.004", "--where", "head")["calibrations"][0]
    assert one["where"] == "head"
    assert one["temperature_error"] > 0
    assert one["sigma"] > 0
    refused = run(*words, "0.98", "--where", "head")
    assert isinstance(refused.exception, SpinlogitError)
    both = run(*words, "0.98", "--where", "head", "--where", "head")
    assert both.exit_code == 0
    assert both.stdout.count("head: none: temperature = 0.98") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sigma", "x"], "--sigma x"),
        (["--sigma", "-1"], "sigma = -1"),
        (["--sigma", "nan"], "sigma = nan"),
        (["--tau", "0"], "tau = 0"),
        (["--law", "gausian"], "did you mean"),
        (["--positions", "1"], "--positions = 1"),
        (["--machine", "magic"], "--machine = 'magic'"),
        (["--where", ""], "where"),
        (["--calibrate", "1.1", "--sigma", "0.1"], "--calibrate and --sigma"),
        (["--calibrate", "1.1", "--out", "x.png"], "--calibrate and --out"),
        (["--out", "x.doc"], "accepted: a name ending in .png"),
        (["--out", "/no/where/x.png"], "lies in no folder"),
    ],
)
def test_mistakes_are_found_before_a_model_is_loaded(run, words: list[str], message: str) -> None:
    result = run("brownian", *words, "--model", "/nowhere")
    assert isinstance(result.exception, InvalidInputError)
    assert message in str(result.exception)


def test_a_model_without_a_text(run) -> None:
    result = run("brownian")
    assert isinstance(result.exception, InvalidInputError)
    assert "a text as argument" in str(result.exception)


# --- pictures and the benchmark -------------------------------------------------------------------


def test_picture(run, text_file: Path, tmp_path: Path, model: LanguageModel) -> None:
    out = tmp_path / "noise.png"
    words = ("brownian", text_file, "--positions", "24", "--draws", "2", "--sigma", "0.1,0.2")
    assert run(*words, "--plot", out).exit_code == 0
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert isinstance(run(*words, "--plot", out).exception, InvalidInputError)  # it exists
    assert run(*words, "--out", out, "--overwrite").exit_code == 0
    ids = model.encode(text_file.read_text(encoding="utf-8"))[:24]
    noises = [WeightNoise(s, where=w) for w in ("head", "norm") for s in (0.0, 0.2, 0.1)]
    with pytest.warns(match="every noisy draw equals"):
        sweep = noise_sweep(model, ids, noises, draws=2)
    figure = noise_picture(sweep)
    ax = plot_temperatures(figure.axes[0], sweep)
    drawn = [line.get_xdata().tolist() for line in ax.lines]
    assert [0.1, 0.2] in drawn  # rising; σ = 0 has no place on the axis
    assert np.isfinite(ax.get_ylim()).all()


def test_the_benchmark_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Small: every part makes its lines and what the picture needs, in JSON."""
    out = tmp_path / "found.json"
    folder = ROOT / "benchmarks"
    monkeypatch.setattr(sys, "argv", ["brownian_decoding.py", "--tiny", "--json", str(out)])
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    runpy.run_path(str(folder / "brownian_decoding.py"), run_name="__main__")
    record = json.loads(out.read_text(encoding="utf-8"))
    assert {len(row) for row in record["rows"]} == {len(record["columns"])}
    assert set(record["curves"]) == {"head", "along", "choices", "texts"}
    assert {row[-1] for row in record["rows"]} >= {"confirmed", "refuted"}
