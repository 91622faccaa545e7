"""Run files: everything that a `Run` holds, as netCDF (`thermo.result_files`).

Format 2: variables as in `Run.to_xarray`, ``final_spins`` and, where measured,
``structure_factor_blocks`` and ``variance_<name>`` for each of ``structure_factor_variances``;
the model as in `thermo.run.model_files`.

Format 1 has no variances: ess and tau of structure factors, correlation functions and lengths are
NaN.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from thermo.errors import InvalidInputError, RunFileError
from thermo.estimate import sampled_density
from thermo.estimate.reweighting import MultiHistogram
from thermo.estimate.sampled_density import SampledDensity
from thermo.result_files import check_version, first_line, read_result, write_result
from thermo.run import annealing_run, demon
from thermo.run.annealing_run import AnnealingRun
from thermo.run.demon import DemonReading
from thermo.run.flat_histogram import MulticanonicalDensity
from thermo.run.model_files import model_in, with_model
from thermo.run.result import Run
from thermo.run.tempering_run import TemperingRun

__all__ = ["FORMAT_VERSION", "load_run", "save_run"]

FORMAT_VERSION = 2

Result: TypeAlias = Run | AnnealingRun | DemonReading | SampledDensity

_VARIANCE = "variance_"  # before the names of the variances within the structure factor's blocks
_SPIN_AXES = ("beta", "chain", "site", "component")


def save_run(run: Run, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a run to a netCDF file; see `Run.save`."""
    data = run.to_xarray()
    data["final_spins"] = (_SPIN_AXES[: run.final_spins.ndim], run.final_spins)
    if run.structure_factor_blocks is not None:
        blocks = run.structure_factor_blocks
        vectors = tuple(f"wave_vector_{axis}" for axis in range(blocks.ndim - 3))
        data["structure_factor_blocks"] = (("beta", "chain", "block", *vectors), blocks)
    for name, values in run.structure_factor_variances.items():
        axes = tuple(f"{_VARIANCE}{name}_{axis}" for axis in range(values.ndim - 1))
        data[f"{_VARIANCE}{name}"] = (("beta", *axes), values)
    data, description = with_model(data, run.model)
    write_result(
        data,
        path,
        kind=type(run).__name__,
        version=FORMAT_VERSION,
        title=repr(run),
        settings=run.settings,
        overwrite=overwrite,
        model_description=description,
    )


def load_run(path: str | os.PathLike[str]) -> Result:
    """Read a result from a file that its `save` in this or an earlier version has written.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Run, TemperingRun, AnnealingRun, DemonReading, SampledDensity, MulticanonicalDensity or
    MultiHistogram
        Bit for bit the one that was saved.

    Raises
    ------
    InvalidInputError
        `path` is no path.
    RunFileError
        No such file; a damaged one; one of another program; one of a later version.

    Examples
    --------
    >>> import tempfile
    >>> from thermo import Ising, lattice, simulate
    >>> run = simulate(Ising(lattice.chain(8)), [-0.2, 0.2], 20, burn_in=5, replicas=8)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     run.save(f"{directory}/run.nc")
    ...     again = load_run(f"{directory}/run.nc")
    >>> again, bool((again.energy.mean == run.energy.mean).all())
    (Run(Ising(Lattice('chain 8 ring', 8 sites, 8 bonds), coupling=1, field=0), 2 β, 8 replicas,
    20 draws), True)
    """
    data = read_result(path)
    kind = data.attrs.get("kind", "Run")
    if kind not in _KINDS:
        raise RunFileError(
            f"{os.fspath(path)} holds a {kind}, which this version does not know; accepted: "
            f"{', '.join(_KINDS)}, or a newer spinlogit"
        )
    newest, result_of = _KINDS[kind]
    check_version(data, path, newest)
    try:
        return result_of(data)
    except (KeyError, InvalidInputError) as error:
        raise RunFileError(
            f"{os.fspath(path)} is incomplete ({first_line(error)}); accepted: a file as Run.save "
            "wrote it"
        ) from error


def _run_of(data: Any) -> Run:
    arrays = {str(name): values.to_numpy() for name, values in data.variables.items()}
    series = ("beta", "chain", "draw")
    kind = TemperingRun if "walker" in arrays else Run
    return kind(
        model=model_in(data),
        beta=arrays["beta"],
        series={str(k): arrays[str(k)] for k, v in data.data_vars.items() if v.dims == series},
        final_spins=arrays["final_spins"],
        settings=json.loads(data.attrs["settings"]),
        snapshots=arrays.get("snapshots"),
        structure_factor_blocks=arrays.get("structure_factor_blocks"),
        structure_factor_variances=_named(arrays, _VARIANCE),
    )


def _named(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


# The class of what a file holds → the newest format of it, and how it is read.
_KINDS: dict[str, tuple[int, Callable[[Any], Result]]] = {
    **{kind.__name__: (FORMAT_VERSION, _run_of) for kind in (Run, TemperingRun)},
    AnnealingRun.__name__: (annealing_run.FORMAT_VERSION, AnnealingRun.from_file),
    DemonReading.__name__: (demon.FORMAT_VERSION, DemonReading.from_file),
    **{
        kind.__name__: (sampled_density.FORMAT_VERSION, kind.from_file)
        for kind in (SampledDensity, MulticanonicalDensity, MultiHistogram)
    },
}
