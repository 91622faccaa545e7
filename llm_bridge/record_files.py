"""Files of logit records: safetensors and npz, read as data and never as code."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from llm_bridge.errors import MissingExtraError, RecordFileError
from llm_bridge.logits import LogitRecord
from thermo.errors import InvalidInputError, SpinlogitError

__all__ = ["FORMAT", "read_record", "write_record"]

FORMAT = "spinlogit logit record 1"

_ENDINGS = (".safetensors", ".npz")
_ARRAYS = ("logits", "token_ids", "valid")
_MAPPED_FROM = 64 << 20  # bytes of logits: larger ones stay in the file until they are read
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
        Another ending, no such folder, or a file that is in the way.
    """
    target = Path(path)
    if target.suffix not in _ENDINGS:
        raise InvalidInputError(f"{target.name!r}: a record ends in {' or '.join(_ENDINGS)}.")
    if not target.parent.is_dir():
        raise InvalidInputError(f"cannot write {target}: there is no folder {target.parent}.")
    if target.exists() and not overwrite:
        raise InvalidInputError(f"{target} exists already; say overwrite=True to replace it.")
    arrays = {name: np.asarray(getattr(record, name)) for name in _ARRAYS}
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
        with NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix, delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                if target.suffix == ".npz":
                    np.savez(file, metadata=np.array(metadata), **arrays)
                else:
                    file.write(_safetensors().save(arrays, {"metadata": metadata}))
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        # A temporary file is private; the record gets the rights of any new file.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        raise InvalidInputError(f"cannot write {target}: {error.strerror or error}.") from error


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
    RecordFileError
        The file cannot be read as a record; the message says why.

    Notes
    -----
    float32 logits of more than 64 MB in a safetensors file are mapped into memory, not loaded: they
    are read through once, for the check, and again where they are used, and may be larger than the
    memory. Do not write into the file meanwhile.
    """
    source = Path(path)
    if source.suffix not in _ENDINGS:
        raise RecordFileError(f"{source.name!r}: a record ends in {' or '.join(_ENDINGS)}.")
    if not source.is_file():
        raise RecordFileError(f"there is no file {source}.")
    try:
        arrays, text = _read_npz(source) if source.suffix == ".npz" else _read_safetensors(source)
        lacking = [name for name in _ARRAYS[:2] if name not in arrays]
        if lacking:
            raise RecordFileError(f"{source} has no array {' and no '.join(lacking)}.")
        details = _details(text)
        return LogitRecord(arrays["logits"], arrays["token_ids"], arrays.get("valid"), **details)
    except SpinlogitError as error:
        if isinstance(error, MissingExtraError | RecordFileError):
            raise
        raise RecordFileError(f"{source} is not a usable record: {error}") from error
    except Exception as error:  # every reader has its own ways of failing on a broken file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RecordFileError(f"{source} cannot be read as a record: {reason}") from error


def _details(text: str | None) -> dict[str, Any]:
    """The optional parts of a record, from JSON; files from elsewhere may have none."""
    if text is None:
        return {}
    found = json.loads(text)
    if not isinstance(found, dict):
        raise RecordFileError("the metadata is not a JSON object.")
    known = ("gauge", "origin_dtype", "provenance", "vocabulary")
    details = {name: found[name] for name in known if found.get(name)}
    for name, kind in (("provenance", dict), ("vocabulary", list), ("origin_dtype", str)):
        if not isinstance(details.get(name, kind()), kind):
            raise RecordFileError(f"the metadata's {name} is not a {kind.__name__}.")
    return details


def _read_safetensors(path: Path) -> tuple[dict[str, Any], str | None]:
    _safetensors()
    from safetensors import safe_open

    # The reader itself refuses headers and offsets that do not agree with the file's length.
    with safe_open(str(path), framework="numpy") as file:
        metadata = file.metadata() or {}
        names = [name for name in file.keys() if name in _ARRAYS]  # noqa: SIM118
        # numpy has no bfloat16; torch tensors are as welcome to LogitRecord
        bfloat16 = any(file.get_slice(name).get_dtype() == "BF16" for name in names)
    mapped = _mapped_logits(path)
    with safe_open(str(path), framework="pt" if bfloat16 else "numpy") as file:
        arrays: dict[str, Any] = {} if mapped is None else {"logits": mapped}
        arrays |= {name: file.get_tensor(name) for name in names if name not in arrays}
    return arrays, metadata.get("metadata")


def _mapped_logits(path: Path) -> NDArray[np.float32] | None:
    """Large float32 logits of a safetensors file whose header was found sound; else None."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length)).get("logits")
    if entry is None or entry["dtype"] != "F32":
        return None
    begin, end = entry["data_offsets"]
    if end - begin < _MAPPED_FROM:
        return None
    return np.memmap(path, "<f4", "r", 8 + length + begin, tuple(entry["shape"]))


def _read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], str | None]:
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry for entry in archive.infolist()}
        for name in (*_ARRAYS, "metadata"):
            entry = sizes.get(f"{name}.npy")
            if entry is not None:
                _require_honest(archive, entry)
    # By the whole name: numpy would prefer a member without the ending, which nobody has checked.
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[f"{name}.npy"] for name in _ARRAYS if f"{name}.npy" in sizes}
        text = str(file["metadata.npy"][()]) if "metadata.npy" in sizes else None
    return arrays, text


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
