"""Run files: everything that a `Run` holds, as netCDF.

Format 1: variables as in `Run.to_xarray`, ``final_spins`` and, where measured,
``structure_factor_blocks``; arrays that belong to the model (couplings, edges of a graph) as
variables ``model_<name>``; attributes ``format``, ``format_version``, and as JSON ``settings``,
``model_description`` and ``versions``. Variables carry HDF5's checksums; the attribute ``sha256``
is that of the other attributes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from thermo.errors import InvalidInputError, RunFileError
from thermo.models.description import from_description
from thermo.run.atomic_write import replacement
from thermo.run.paths import checked_path
from thermo.run.result import Run
from thermo.run.tempering_run import TemperingRun
from thermo.run.versions import versions

__all__ = ["FORMAT_VERSION", "load_run", "save_run"]

FORMAT_VERSION = 1

_FORMAT = "spinlogit run"
_MODEL = "model_"  # before the names of the model's arrays
_SPIN_AXES = ("beta", "chain", "site", "component")


def save_run(run: Run, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a run to a netCDF file; see `Run.save`."""
    target = checked_path(path, "path")
    if not target.parent.is_dir():
        raise InvalidInputError(
            f"path = {str(target)!r} was given, whose directory does not exist; accepted: a file "
            "in a directory that exists"
        )
    if target.exists() and not overwrite:
        raise InvalidInputError(
            f"{target} exists already; accepted: another name, or overwrite=True to replace it"
        )
    data = run.to_xarray()
    data["final_spins"] = (_SPIN_AXES[: run.final_spins.ndim], run.final_spins)
    if run.structure_factor_blocks is not None:
        blocks = run.structure_factor_blocks
        vectors = tuple(f"wave_vector_{axis}" for axis in range(blocks.ndim - 3))
        data["structure_factor_blocks"] = (("beta", "chain", "block", *vectors), blocks)
    numbers = {}
    for name, value in run.model.description().items():
        if isinstance(value, np.ndarray):
            axes = tuple(f"{_MODEL}{name}_{axis}" for axis in range(value.ndim))
            data[f"{_MODEL}{name}"] = (axes, value)
        else:
            numbers[name] = value
    data.attrs = {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "title": repr(run),
        "settings": json.dumps(dict(run.settings)),
        "model_description": json.dumps(numbers),
        "versions": json.dumps(versions()),
    }
    data.attrs["sha256"] = _digest(data.attrs)
    checked = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
    with replacement(target) as temporary:
        data.to_netcdf(
            temporary,
            engine="h5netcdf",
            encoding={
                name: ({**checked, "_FillValue": None} if values.size else {"_FillValue": None})
                for name, values in data.variables.items()
            },
        )


def load_run(path: str | os.PathLike[str]) -> Run:
    """Read a run from a file that `Run.save` of this or an earlier version has written.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Run
        Bit for bit the one that was saved; a `TemperingRun` if it was one.

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
    import xarray

    source = checked_path(path, "path")
    if not source.is_file():
        raise RunFileError(f"{source} does not exist; accepted: a file written by Run.save")
    try:
        data = xarray.load_dataset(source, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise RunFileError(
            f"{source} cannot be read as netCDF ({_first_line(error)}): it is damaged or something "
            "else; accepted: a file written by Run.save"
        ) from error
    if data.attrs.get("format") != _FORMAT:
        raise RunFileError(
            f"{source} was not written by Run.save (no attribute format = {_FORMAT!r}); accepted: "
            "a file written by it"
        )
    if data.attrs.pop("sha256", None) != _digest(data.attrs):
        raise RunFileError(
            f"{source} is damaged (the checksum of its attributes does not fit); accepted: a file "
            "as Run.save wrote it"
        )
    version = int(data.attrs["format_version"])
    if version > FORMAT_VERSION:
        made = json.loads(data.attrs["versions"])
        raise RunFileError(
            f"{source} has format {version}, written by spinlogit {made.get('spinlogit')}; "
            f"accepted: formats up to {FORMAT_VERSION}, or a newer spinlogit"
        )
    try:
        return _run_of(data)
    except (KeyError, InvalidInputError) as error:
        raise RunFileError(
            f"{source} is incomplete ({_first_line(error)}); accepted: a file as Run.save wrote it"
        ) from error


def _digest(attributes: Mapping[str, Any]) -> str:
    content = json.dumps({name: str(value) for name, value in sorted(attributes.items())})
    return hashlib.sha256(content.encode()).hexdigest()


def _run_of(data: Any) -> Run:
    arrays = {str(name): values.to_numpy() for name, values in data.variables.items()}
    description = json.loads(data.attrs["model_description"])
    for name in list(arrays):
        if name.startswith(_MODEL):
            description[name.removeprefix(_MODEL)] = arrays.pop(name)
    series = ("beta", "chain", "draw")
    kind = TemperingRun if "walker" in arrays else Run
    return kind(
        model=from_description(description),
        beta=arrays["beta"],
        series={str(k): arrays[str(k)] for k, v in data.data_vars.items() if v.dims == series},
        final_spins=arrays["final_spins"],
        settings=json.loads(data.attrs["settings"]),
        snapshots=arrays.get("snapshots"),
        structure_factor_blocks=arrays.get("structure_factor_blocks"),
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
