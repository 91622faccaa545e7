"""Files of logit records: safetensors and npz, read as data and never as code."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from llm_bridge.errors import MissingExtraError, RecordFileError
from llm_bridge.logit_arrays import dtype_name
from llm_bridge.logits import LogitRecord
from llm_bridge.stored_logits import StoredLogits
from llm_bridge.strict_json import first_repeated, parse_json
from thermo.arguments import shown
from thermo.atomic_write import replacement
from thermo.errors import InvalidInputError, SpinlogitError
from thermo.paths import checked_path
from thermo.printable import printable

__all__ = ["FORMAT", "read_record", "write_record"]

FORMAT = "spinlogit logit record 1"

_ENDINGS = (".safetensors", ".npz")
_ARRAYS = ("logits", "token_ids", "valid")
_SAFETENSORS = {  # its names of types: ours, and numpy's, which has no bfloat16 but its bits
    "F16": ("float16", "<f2"),
    "BF16": ("bfloat16", "<u2"),
    "F32": ("float32", "<f4"),
    "F64": ("float64", "<f8"),
}
_NPZ = ("float16", "float32", "float64")
_MAPPED_FROM = 64 << 20  # bytes of logits: larger ones stay as they are stored until they are read
_LARGEST_METADATA = 64 << 20  # bytes: a vocabulary of a quarter of a million tokens has 5 MB


def write_record(record: LogitRecord, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write a record under a temporary name and move it into place: all of it or nothing.

    Parameters
    ----------
    record : LogitRecord
    path : path
        Ends in .safetensors or .npz.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InvalidInputError
        No path, another ending, no such folder, or a file that is in the way.
    """
    target = checked_path(path, "path")
    name = printable(str(target))
    if target.suffix not in _ENDINGS:
        raise InvalidInputError(f"{name}: the name of a record ends in {' or '.join(_ENDINGS)}.")
    if not target.parent.is_dir():
        raise InvalidInputError(f"cannot write {name}: there is no folder to put it into.")
    if target.is_dir():
        raise InvalidInputError(f"cannot write {name}: that is a folder.")
    if target.exists() and not overwrite:
        raise InvalidInputError(f"{name} exists already; say overwrite=True to replace it.")
    arrays = {part: np.asarray(getattr(record, part)) for part in _ARRAYS}
    metadata = json.dumps(
        {
            "format": FORMAT,
            "gauge": record.gauge,
            "origin_dtype": record.origin_dtype,
            "provenance": dict(record.provenance),
            "vocabulary": record.vocabulary,
        }
    )
    try:
        with replacement(target) as temporary, temporary.open("wb") as file:
            if target.suffix == ".npz":
                np.savez(file, metadata=np.array(metadata), **arrays)
            else:
                file.write(_safetensors().save(arrays, {"metadata": metadata}))
    except OSError as error:
        raise InvalidInputError(f"cannot write {name}: {error.strerror or error}.") from error


def read_record(path: str | os.PathLike[str]) -> LogitRecord:
    """Read a record, trusting nothing: sizes are checked before memory is taken, no pickles.

    Parameters
    ----------
    path : path
        A .safetensors or .npz file.

    Returns
    -------
    LogitRecord

    Raises
    ------
    InvalidInputError
        What was given is no path.
    RecordFileError
        The file cannot be read as a record; the message says why.

    Notes
    -----
    Logits of more than 64 MB in a safetensors file are mapped into memory, not loaded: they are
    read through once, for the check, and again where they are used, and may be larger than the
    memory. Do not write into the file meanwhile. Other types than float32 become float32 where they
    are read (`llm_bridge.stored_logits.StoredLogits`). npz files are loaded, float16 as such.
    """
    source = checked_path(path, "path")
    name = printable(str(source))
    if source.suffix not in _ENDINGS:
        raise RecordFileError(f"{name}: the name of a record ends in {' or '.join(_ENDINGS)}.")
    if not source.is_file():
        raise RecordFileError(f"there is no file {name}.")
    try:
        arrays, text = _read_npz(source) if source.suffix == ".npz" else _read_safetensors(source)
        lacking = [part for part in _ARRAYS[:2] if part not in arrays]
        if lacking:
            raise RecordFileError(f"it has no array {' and no '.join(lacking)}.")
        details = {"origin_dtype": dtype_name(arrays["logits"])} | _details(text)
        logits = _at_hand(arrays["logits"])
        return LogitRecord(logits, arrays["token_ids"], arrays.get("valid"), **details)
    except MissingExtraError:
        raise
    except SpinlogitError as error:
        raise RecordFileError(f"{name} is not a usable record: {error}") from error
    except Exception as error:  # every reader has its own ways of failing on a broken file
        reason = printable((str(error).strip() or type(error).__name__).splitlines()[0])
        raise RecordFileError(f"{name} cannot be read as a record: {reason}") from error


def _details(text: str | None) -> dict[str, Any]:
    """The optional parts of a record, from JSON; files from elsewhere may have none."""
    if text is None:
        return {}
    found = parse_json(text)
    if not isinstance(found, dict):
        raise RecordFileError("the metadata is not a JSON object.")
    known = ("gauge", "origin_dtype", "provenance", "vocabulary")
    details = {name: found[name] for name in known if found.get(name) not in (None, "")}
    for name, kind in (("provenance", dict), ("vocabulary", list), ("origin_dtype", str)):
        if not isinstance(details.get(name, kind()), kind):
            raise RecordFileError(f"the metadata's {name} is not a {kind.__name__}.")
    return details


def _at_hand(logits: Any) -> Any:
    """Small logits as an array in memory; large ones where they are, and as they are stored."""
    return logits if logits.nbytes >= _MAPPED_FROM else np.array(logits)


def _read_safetensors(path: Path) -> tuple[dict[str, Any], str | None]:
    _safetensors()
    from safetensors import safe_open

    # The reader itself refuses headers and offsets that do not agree with the file's length.
    with safe_open(str(path), framework="numpy") as file:
        metadata = file.metadata() or {}
        names = [name for name in _ARRAYS if name in file.keys()]  # noqa: SIM118
        arrays: dict[str, Any] = {name: file.get_tensor(name) for name in names if name != "logits"}
    if "logits" in names:
        arrays["logits"] = _mapped_logits(path)
    return arrays, metadata.get("metadata")


def _mapped_logits(path: Path) -> Any:
    """The logits of a safetensors file whose header was found sound, still in the file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = parse_json(file.read(length))["logits"]
    if entry["dtype"] not in _SAFETENSORS:
        raise RecordFileError(
            f"its logits are of type {shown(entry['dtype'])}; accepted: {', '.join(_SAFETENSORS)}. "
            "Widen them, and say in origin_dtype what they were."
        )
    origin, code = _SAFETENSORS[entry["dtype"]]
    begin, end = entry["data_offsets"]
    if begin == end:
        raise RecordFileError(f"its logits have shape {shown(tuple(entry['shape']))}: none at all.")
    stored = np.memmap(path, code, "r", 8 + length + begin, tuple(entry["shape"]))
    return stored if origin == "float32" else StoredLogits(stored, origin)


def _read_npz(path: Path) -> tuple[dict[str, Any], str | None]:
    with zipfile.ZipFile(path) as archive:
        twice = first_repeated(entry.filename for entry in archive.infolist())
        if twice is not None:
            raise RecordFileError(f"it has two members {shown(twice)}.")
        members = {entry.filename: entry for entry in archive.infolist()}
        for name in (*_ARRAYS, "metadata"):
            if f"{name}.npy" in members:
                _require_honest(archive, members[f"{name}.npy"])
    # By the whole name: numpy would prefer a member without the ending, which nobody has checked.
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[f"{name}.npy"] for name in _ARRAYS if f"{name}.npy" in members}
        text = str(file["metadata.npy"][()]) if "metadata.npy" in members else None
    logits = arrays.get("logits")
    if logits is None:
        return arrays, text
    origin = logits.dtype.name
    if origin not in _NPZ:
        raise RecordFileError(
            f"its logits are of type {shown(origin)}; accepted: {', '.join(_NPZ)}."
        )
    stored = StoredLogits(logits, origin) if origin == "float16" else logits
    return arrays | {"logits": stored}, text


def _require_honest(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """The header of an array must promise exactly the bytes that the archive holds."""
    # Logits are noise to a compressor; what shrinks a thousandfold is there to fill the memory,
    # be it as a header. So this comes before anything is unpacked.
    if entry.file_size > (1 << 26) + 100 * entry.compress_size:
        raise RecordFileError(
            f"{entry.filename} unpacks to {entry.file_size} bytes, which is refused."
        )
    with archive.open(entry) as file:
        version = npy_format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = npy_format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = npy_format.read_array_header_2_0(file)
        else:
            raise RecordFileError(f"{entry.filename} has an unknown version {version}.")
        header = file.tell()
    if dtype.hasobject:
        raise RecordFileError(
            f"{entry.filename} holds Python objects (a pickle), which are refused."
        )
    promised = header + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if promised != entry.file_size:
        raise RecordFileError(
            f"{entry.filename} promises {promised} bytes, the archive holds {entry.file_size}."
        )
    if entry.filename == "metadata.npy" and promised > _LARGEST_METADATA:
        raise RecordFileError(f"the metadata is {promised} bytes long, which is refused.")


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MissingExtraError("safetensors", "a safetensors file") from error
    return safetensors.numpy
