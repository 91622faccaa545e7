"""Files of annealing runs and sampled densities: what is saved is what is loaded, for ever."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import thermo
from thermo.errors import InvalidInputError, RunFileError
from thermo.estimate import sampled_density
from thermo.lattice import chain, square
from thermo.models import Heisenberg, Ising
from thermo.result_files import read_result, write_result
from thermo.run.annealing import population_annealing
from thermo.run.files import load_run
from thermo.run.flat_histogram import wang_landau
from thermo.run.reweighting import reweighting

FIXTURES = Path(__file__).parent / "fixtures"
MAKE = runpy.run_path(str(FIXTURES / "make_result_files.py"))
RESULTS, contents = MAKE["RESULTS"], MAKE["contents"]
SEED = 20261121


@pytest.mark.parametrize("kind", RESULTS)
def test_files_of_every_version_are_read(kind: str) -> None:
    """Made by fixtures/make_result_files.py when the format was new."""
    for version in range(1, RESULTS[kind][0] + 1):
        path = FIXTURES / f"{kind}_format_{version}.nc"
        assert path.stat().st_size < 50_000
        assert contents(load_run(path)) == json.loads(path.with_suffix(".json").read_text("utf-8"))


@pytest.mark.filterwarnings("ignore::thermo.errors.UncertaintyWarning")  # a small lattice's demon
@pytest.mark.parametrize("kind", RESULTS)
def test_a_loaded_result_is_bit_for_bit_the_saved_one(kind: str, tmp_path: Path) -> None:
    result = RESULTS[kind][1]()
    result.save(tmp_path / "result.nc")
    again = thermo.load_run(tmp_path / "result.nc")
    assert type(again) is type(result)
    assert repr(again) == repr(result)
    assert contents(again) == contents(result)
    if hasattr(result, "stderr"):
        assert np.array_equal(again.stderr, result.stderr)
        assert np.array_equal(
            again.curve("entropy", [-0.3, 0.2]).error, result.curve("entropy", [-0.3, 0.2]).error
        )
    elif hasattr(result, "series"):
        assert np.array_equal(again.entropy.error, result.entropy.error)
        assert np.array_equal(again.series["energy"], result.series["energy"])
    with pytest.raises(InvalidInputError, match="exists already"):
        result.save(tmp_path / "result.nc")
    result.save(tmp_path / "result.nc", overwrite=True)


@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")
def test_models_of_all_shapes_and_nothing_excluded(tmp_path: Path) -> None:
    heisenberg = Heisenberg(chain(3), field=0.5)
    run = population_annealing(heisenberg, [0.0, 0.1], 20, sweeps=1, replicas=2, seed=SEED)
    run.save(tmp_path / "run.nc")
    assert contents(load_run(tmp_path / "run.nc")) == contents(run)
    density = reweighting(Ising(square(3)), [-0.1, 0.1], 100, replicas=4, seed=SEED)
    assert density.excluded == ()
    density.save(tmp_path / "density.nc")
    assert contents(load_run(tmp_path / "density.nc")) == contents(density)


def test_walkers_that_know_different_energies_keep_them(tmp_path: Path) -> None:
    with pytest.warns(thermo.errors.EquilibrationWarning):
        density = wang_landau(Ising(square(8)), 60, walkers=3, seed=SEED)
    assert len({len(levels) for levels in (density.levels, *density.replicas)}) > 1
    density.save(tmp_path / "density.nc")
    again: Any = load_run(tmp_path / "density.nc")
    assert contents(again) == contents(density)
    assert np.array_equal(again.stderr, density.stderr)


def test_datasets_say_what_they_hold() -> None:
    annealing: Any = load_run(FIXTURES / "annealing_format_1.nc")
    data = annealing.to_xarray()
    assert data["energy"].dims == ("beta", "chain", "member")
    assert data["log_z"].dims == ("beta", "chain")
    assert data.attrs["sweeps"] == 2
    density: Any = load_run(FIXTURES / "multicanonical_format_1.nc")
    data = density.to_xarray()
    ground = data.sel(energy=density.levels.minimum)
    assert float(ground["log_degeneracy"]) == density.levels.log_degeneracy[0]
    assert float(ground["stderr"]) == density.stderr[0]
    assert data["energy_series"].dims == ("chain", "draw")
    assert data["histogram_log_degeneracy"].dims == ("histogram_energy",)


# ---- files that are no result files ------------------------------------------------------------


def test_kinds_and_versions_to_come_are_refused(tmp_path: Path) -> None:
    data = xarray.Dataset({"x": ("y", [1.0])})
    for kind, version, words in (
        ("Laboratory", 1, r"holds a Laboratory, which this version does not know; accepted: Run,"),
        ("SampledDensity", sampled_density.FORMAT_VERSION + 1, r"has format 2, written by spinlog"),
        ("MultiHistogram", 1, r"is incomplete .*; accepted"),
        ("AnnealingRun", 1, r"is incomplete .*; accepted"),
    ):
        path = tmp_path / f"{kind}.nc"
        write_result(data, path, kind=kind, version=version, title="", settings={})
        with pytest.raises(RunFileError, match=words):
            load_run(path)


def test_changed_attributes_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "result.nc"
    data = read_result(FIXTURES / "density_format_1.nc")
    data.attrs["sha256"] = "0" * 64
    data.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(RunFileError, match="checksum of its attributes"):
        load_run(path)


def test_changed_variables_are_noticed_where_hdf5_notices_nothing(tmp_path: Path) -> None:
    """One flipped bit in HDF5's index of chunks is enough to read others than were written."""
    made, changed = tmp_path / "made.nc", tmp_path / "changed.nc"
    data = xarray.Dataset({"x": ("y", [1.0, 2.0])})
    write_result(data, made, kind="SampledDensity", version=1, title="", settings={})
    whole = xarray.load_dataset(made, engine="h5netcdf")
    whole.to_netcdf(changed, engine="h5netcdf")
    assert read_result(changed).identical(read_result(made))
    whole["x"][1] = 3.0
    whole.to_netcdf(changed, engine="h5netcdf")
    with pytest.raises(RunFileError, match="checksum of its variables"):
        read_result(changed)


def test_the_files_of_old_versions_are_never_made_anew(capsys: pytest.CaptureFixture[str]) -> None:
    kept = {path: path.read_bytes() for path in FIXTURES.iterdir() if path.is_file()}
    MAKE["main"]()
    assert capsys.readouterr().out.count("exists and stays as it is") == len(RESULTS)
    assert {path: path.read_bytes() for path in FIXTURES.iterdir() if path.is_file()} == kept
