"""Run files: what is saved is what is loaded, from every format there was; damage is reported."""

from __future__ import annotations

import gc
import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from thermo.errors import InvalidInputError, RunFileError
from thermo.lattice import chain, from_edges, honeycomb, square
from thermo.models import XY, Clock, Heisenberg, Ising, Potts, spin_glass
from thermo.run import Run, files
from thermo.run.files import FORMAT_VERSION, load_run
from thermo.run.simulate import simulate

FIXTURES = Path(__file__).parent / "fixtures"
SEED = 20261120


def small_run(model: Any = None, **changes: Any) -> Run:
    arguments: dict[str, Any] = {"burn_in": 20, "replicas": 16, "seed": SEED} | changes
    return simulate(model or Ising(square(4)), [-0.2, 0.0, 0.3], 40, **arguments)


def assert_same(first: Run, second: Run) -> None:
    assert repr(first) == repr(second)
    assert first.series.keys() == second.series.keys()
    pairs = [(first.series[name], second.series[name]) for name in first.series]
    pairs += [(first.beta, second.beta), (first.final_spins, second.final_spins)]
    assert first.structure_factor_variances.keys() == second.structure_factor_variances.keys()
    pairs += [
        (values, second.structure_factor_variances[name])
        for name, values in first.structure_factor_variances.items()
    ]
    for one, other in (
        (first.snapshots, second.snapshots),
        (first.structure_factor_blocks, second.structure_factor_blocks),
    ):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            pairs.append((one, other))
    for one, other in pairs:
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert dict(first.settings) == dict(second.settings)
    ours, theirs = first.model.description(), second.model.description()
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert np.array_equal(value, theirs[name])


@pytest.mark.parametrize(
    "model",
    [
        Ising(square(4), field=-0.5),
        Ising(from_edges(4, [(2, 1), (0, 3)]), coupling=[0.25, -1.5], field=[0.1, 0.2, 0.3, 0.0]),
        Ising(from_edges(2, [])),
        spin_glass(chain(6), "gaussian", seed=SEED),
        Potts(honeycomb(2), 3),
        Clock(chain(5), 5, chirality=0.25),
        XY(chain(4), coupling=-1.0),
        Heisenberg(square(3), field=0.5),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")  # they are short
def test_a_loaded_run_is_bit_for_bit_the_saved_one(model: Any, tmp_path: Path) -> None:
    run = small_run(model, update="heat_bath", snapshots_every=10)
    run.save(tmp_path / "run.nc")
    assert_same(load_run(tmp_path / "run.nc"), run)


def test_everything_that_was_measured_is_kept(tmp_path: Path) -> None:
    run = small_run(structure_factor_every=2, snapshots_every=4, measure_every=2)
    run.save(tmp_path / "run.nc")
    again = load_run(tmp_path / "run.nc")
    assert_same(again, run)
    for estimate, kept in (
        (run.structure_factor, again.structure_factor),
        (run.correlation_function, again.correlation_function),
        (run.correlation_length(), again.correlation_length()),
    ):
        for name in ("mean", "error", "ess", "tau"):
            assert np.array_equal(getattr(estimate, name), getattr(kept, name))
        assert np.isfinite(kept.ess).all()
    assert np.array_equal(again.susceptibility.error, run.susceptibility.error)


def test_infinite_beta_is_kept(tmp_path: Path) -> None:
    run = simulate(Ising(square(4)), [np.inf, -np.inf], 8, burn_in=0, replicas=4)
    run.save(tmp_path / "run.nc")
    assert load_run(tmp_path / "run.nc").beta.tolist() == [np.inf, -np.inf]


def test_other_programs_can_read_the_file(tmp_path: Path) -> None:
    run = small_run()
    run.save(tmp_path / "run.nc")
    with xarray.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as data:
        assert data["energy"].dims == ("beta", "chain", "draw")
        assert data["final_spins"].dims == ("beta", "chain", "site")
        assert np.array_equal(data["energy"], run.energy_series)
        assert json.loads(data.attrs["settings"])["seed"] == SEED
        assert json.loads(data.attrs["versions"]).keys() >= {"spinlogit", "numpy", "numba"}
        assert json.loads(data.attrs["model_description"])["lattice"] == "square"


def test_there_are_files_of_every_version() -> None:
    names = [f"run_format_{version}" for version in range(1, FORMAT_VERSION + 1)]
    kept = {path.stem for path in FIXTURES.glob("run_format_*.nc")}
    assert kept == {*names, *(f"{name}_chain" for name in names), "run_format_2_checksum"}


def test_a_file_of_this_version_has_checksums_and_no_other_is_like_it(tmp_path: Path) -> None:
    """What is written today is what the newest file is, and none of its numbers may change."""
    newest = FIXTURES / f"run_format_{FORMAT_VERSION}_checksum.nc"
    run = load_run(newest)
    assert isinstance(run, Run)
    run.save(tmp_path / "again.nc")
    kept, again = (
        xarray.load_dataset(path, engine="h5netcdf") for path in (newest, tmp_path / "again.nc")
    )
    assert kept.attrs.keys() == again.attrs.keys()
    assert kept.attrs["sha256_of_variables"] == again.attrs["sha256_of_variables"]
    for name in kept.data_vars:
        changed = kept.copy(deep=True)
        changed[name].to_numpy().reshape(-1).view(np.uint8)[0] ^= 1
        changed.to_netcdf(tmp_path / "changed.nc", engine="h5netcdf")
        with pytest.raises(RunFileError, match="checksum of its variables does not fit"):
            load_run(tmp_path / "changed.nc")


@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("run_format_*.nc")), ids=lambda path: path.stem
)
def test_files_of_every_version_are_read(path: Path) -> None:
    """Made by fixtures/make_run_file.py when the format was new."""
    assert path.stat().st_size < 70_000
    run = load_run(path)
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert run.beta.tolist() == expected["beta"]
    assert dict(run.settings) == expected["settings"]
    assert run.energy_series[..., -1].tolist() == expected["energies at the end"]
    assert run.magnetization_series[..., -1].tolist() == expected["magnetisations at the end"]
    assert run.final_spins.tolist() == expected["spins at the end"]
    assert run.model.couplings.tolist() == expected["couplings"]
    assert run.model.lattice.edges.tolist() == expected["edges"]
    np.testing.assert_allclose(run.model.energy(run.final_spins), run.energy_series[..., -1])
    assert (run.snapshots is not None) == ("snapshots_every" in run.settings)
    if "structure factor" in expected:
        held = expected["structure factor"]
        np.testing.assert_allclose(run.structure_factor.mean, held["mean"], rtol=1e-12)
        np.testing.assert_allclose(run.structure_factor.error, held["error"], rtol=1e-12)
        estimates = (run.structure_factor, run.correlation_function, run.correlation_length())
        if "ess" in held:
            np.testing.assert_allclose(run.structure_factor.ess, held["ess"], rtol=1e-12)
            assert all(np.isfinite(estimate.tau).all() for estimate in estimates)
        else:  # format 1 does not say how much single measurements vary
            assert all(np.isnan([e.ess, e.tau]).all() for e in estimates)
            assert all(np.isfinite([e.mean, e.error]).all() for e in estimates)
    else:
        assert run.structure_factor_blocks is None


# ---- nothing is overwritten, and nothing half-written stays ----------------------------------


def test_the_files_of_old_versions_are_never_made_anew(capsys: pytest.CaptureFixture[str]) -> None:
    kept = {path: path.read_bytes() for path in FIXTURES.glob("run_format_*")}
    make = runpy.run_path(str(FIXTURES / "make_run_file.py"))
    make["main"]()
    assert capsys.readouterr().out.count("exists and stays as it is") == 3
    assert {path: path.read_bytes() for path in FIXTURES.glob("run_format_*")} == kept


@pytest.mark.parametrize("path", [5, "a\0b", None])
def test_what_is_no_path_is_refused(path: Any) -> None:
    for ask in (small_run().save, load_run):
        with pytest.raises(InvalidInputError, match=r"path = .* was given; accepted: a str"):
            ask(path)


def test_a_file_is_only_replaced_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    path.write_text("precious")
    with pytest.raises(InvalidInputError, match="exists already"):
        small_run().save(path)
    assert path.read_text() == "precious"
    small_run().save(path, overwrite=True)
    assert load_run(path).settings["seed"] == SEED
    with pytest.raises(InvalidInputError, match="directory does not exist"):
        small_run().save(tmp_path / "nowhere" / "run.nc")


def test_a_failed_save_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.nc"
    path.write_text("precious")

    def full(self: xarray.Dataset, target: Path, **_: object) -> None:
        target.write_text("half of")
        raise OSError("no space left on device")

    monkeypatch.setattr(xarray.Dataset, "to_netcdf", full)
    with pytest.raises(OSError, match="no space"):
        small_run().save(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["run.nc"]
    assert path.read_text() == "precious"


# ---- files that are no run files -------------------------------------------------------------


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    small_run().save(path)
    content = path.read_bytes()
    for length in (0, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(RunFileError, match=rf"{re.escape(str(path))} cannot be read"):
            load_run(path)


def test_changed_numbers_are_noticed(tmp_path: Path) -> None:
    """Every variable carries checksums: a byte flipped in the middle of its data is an error.

    And it is the only one: what h5netcdf's destructor complains of would be a warning here.
    """
    path = tmp_path / "run.nc"
    run = small_run(replicas=64)
    run.save(path)
    content = path.read_bytes()
    refused, unopened = 0, 0
    for place in range(len(content) // 20, len(content), len(content) // 20):
        changed = bytearray(content)
        changed[place] ^= 16
        path.write_bytes(changed)
        try:
            assert_same(load_run(path), run)  # a byte that nothing is stored in
        except RunFileError as error:
            refused += 1
            unopened += "cannot be read as netCDF" in str(error)
    gc.collect()
    assert refused >= 10
    assert unopened >= 3


@pytest.mark.parametrize("content", [b"", b"energy,beta\n1,2\n", b"CDF\x01", b"\x89HDF\r\n\x1a\n"])
def test_something_else_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    path.write_bytes(content)
    with pytest.raises(RunFileError, match="accepted: a file written by"):
        load_run(path)
    with pytest.raises(RunFileError, match="does not exist"):
        load_run(tmp_path / "missing.nc")
    with pytest.raises(RunFileError, match="is a folder"):
        load_run(tmp_path)


def test_another_netcdf_file_is_refused(tmp_path: Path) -> None:
    xarray.Dataset({"rain": ("day", [1.0, 2.0])}).to_netcdf(tmp_path / "r.nc", engine="h5netcdf")
    with pytest.raises(RunFileError, match=r"not written by Run\.save"):
        load_run(tmp_path / "r.nc")


def test_a_file_of_a_later_version_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FORMAT_VERSION", FORMAT_VERSION + 1)
    small_run().save(tmp_path / "run.nc")
    monkeypatch.undo()
    with pytest.raises(
        RunFileError, match=f"has format {FORMAT_VERSION + 1}, written by spinlogit"
    ):
        load_run(tmp_path / "run.nc")


def test_a_file_with_missing_parts_is_refused(tmp_path: Path) -> None:
    small_run().save(tmp_path / "run.nc")
    path = tmp_path / "part.nc"
    for whole, message in (
        (tmp_path / "run.nc", "checksum of its variables"),
        (FIXTURES / "run_format_1.nc", "is incomplete .*final_spins"),  # it has no such checksum
    ):
        data = xarray.load_dataset(whole, engine="h5netcdf").drop_vars("final_spins")
        data.to_netcdf(path, engine="h5netcdf")
        with pytest.raises(RunFileError, match=message):
            load_run(path)
