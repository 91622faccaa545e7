"""Files of results: netCDF datasets of one format, there as a whole or not at all, with checksums.

Attributes: ``format``, ``kind`` (the class of what it holds; older files have none, and hold a
`Run`), ``format_version`` of that kind, ``title``, and as JSON ``settings`` and ``versions``.
Arrays carry HDF5's checksums, and the attribute ``sha256_of_variables`` is that of all variables
(older files have none): what HDF5 writes of where the parts of an array are has no checksum. The
attribute ``sha256`` is that of the other attributes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thermo.atomic_write import replacement
from thermo.errors import InvalidInputError, RunFileError
from thermo.paths import checked_path
from thermo.versions import versions

if TYPE_CHECKING:
    import xarray

__all__ = ["check_version", "first_line", "read_result", "write_result"]

_FORMAT = "spinlogit run"
_OF_VARIABLES = "sha256_of_variables"


def write_result(
    data: xarray.Dataset,
    path: str | os.PathLike[str],
    *,
    kind: str,
    version: int,
    title: str,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    **attributes: str,
) -> None:
    """Write a dataset, whose own attributes are left out, to a file.

    Parameters
    ----------
    data : xarray.Dataset
    path : path-like
    kind : str
        The class of what it holds.
    version : int
        Of the format of that kind.
    title : str
    settings : mapping
        As JSON can hold it.
    overwrite : bool
        Replace a file that is there already.
    **attributes
        Further ones.

    Raises
    ------
    InvalidInputError
        The file exists already, its directory does not, or `path` is no path.
    """
    target = checked_path(path, "path")
    if not target.parent.is_dir():
        raise InvalidInputError(
            f"path = {str(target)!r} was given, whose directory does not exist; accepted: a file "
            "in a directory that exists"
        )
    if target.is_dir():
        raise InvalidInputError(f"path = {str(target)!r} is a folder; accepted: the name of a file")
    if target.exists() and not overwrite:
        raise InvalidInputError(
            f"{target} exists already; accepted: another name, or overwrite=True to replace it"
        )
    attrs = {
        "format": _FORMAT,
        "kind": kind,
        "format_version": version,
        "title": title,
        "settings": json.dumps(dict(settings)),
        "versions": json.dumps(versions()),
        _OF_VARIABLES: _digest_of_variables(data),
        **attributes,
    }
    whole = data.assign_attrs()
    whole.attrs = attrs | {"sha256": _digest(attrs)}
    checked = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
    with replacement(target) as temporary:
        whole.to_netcdf(
            temporary,
            engine="h5netcdf",
            encoding={
                name: {"_FillValue": None, **(checked if values.ndim and values.size else {})}
                for name, values in whole.variables.items()
            },
        )


def read_result(path: str | os.PathLike[str]) -> xarray.Dataset:
    """Read a file that `write_result` of this or an earlier version has written.

    Raises
    ------
    InvalidInputError
        `path` is no path.
    RunFileError
        No such file; a damaged one; one of another program.
    """
    import xarray
    from xarray.backends import H5NetCDFStore

    source = checked_path(path, "path")
    if not source.is_file():
        what = "is a folder" if source.is_dir() else "does not exist"
        raise RunFileError(f"{source} {what}; accepted: a file written by Run.save")
    try:
        data = xarray.load_dataset(H5NetCDFStore(_opened(source)))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise RunFileError(
            f"{source} cannot be read as netCDF ({first_line(error)}): it is damaged or something "
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
    if data.attrs.pop(_OF_VARIABLES, None) not in (None, _digest_of_variables(data)):
        raise RunFileError(
            f"{source} cannot be read: it is damaged (the checksum of its variables does not fit); "
            "accepted: a file as Run.save wrote it"
        )
    return data


def check_version(data: xarray.Dataset, path: str | os.PathLike[str], newest: int) -> None:
    """Refuse a file whose format is of a later version than `newest`."""
    version = int(data.attrs["format_version"])
    if version > newest:
        made = json.loads(data.attrs["versions"])
        raise RunFileError(
            f"{os.fspath(path)} has format {version}, written by spinlogit "
            f"{made.get('spinlogit')}; accepted: formats up to {newest}, or a newer spinlogit"
        )


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _opened(source: Path) -> Any:
    """Open a netCDF file for reading, and say nothing more of one that cannot be opened."""
    import h5netcdf  # type: ignore[import-untyped]

    class File(h5netcdf.File):  # whose own destructor complains of what was never opened
        opened = False

        def close(self) -> None:
            if self.opened:
                super().close()

        __del__ = close

    file = File(source, "r", decode_vlen_strings=True)
    file.opened = True
    return file


def _digest_of_variables(data: xarray.Dataset) -> str:
    digest: Any = hashlib.sha256()
    for name in sorted(map(str, data.variables)):
        variable = data.variables[name]
        values = variable.to_numpy()
        digest.update(f"{name} {variable.dims} {values.dtype} {values.shape} ".encode())
        digest.update(np.ascontiguousarray(values))
    return digest.hexdigest()


def _digest(attributes: Mapping[str, Any]) -> str:
    content = json.dumps({name: str(value) for name, value in sorted(attributes.items())})
    return hashlib.sha256(content.encode()).hexdigest()
