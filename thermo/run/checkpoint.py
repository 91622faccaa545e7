"""A directory in which a run keeps what it has done, so that it can go on after being killed.

``plan.json`` says which run it is, and ``plan.copy.json`` says it again. Every piece of its work
(a batch of chains, a walker, a population) has two kinds of files, both named by piece and step and
written once: ``00003-000000012000.chunk`` holds what was measured from step 12000 on,
``00003-000000012000.state`` the state after step 12000, of which only the last two are kept. Each
is an npz archive, then the SHA-256 of the plan and the file's own name, then that of it all:
written under a temporary name, flushed to the disk and renamed. The bits of a run do not depend on
how it is cut, so that any chunk that begins where another ends continues it, whenever it was
written. One process at a time: it holds the lock of the directory. Other files do not matter.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from thermo.atomic_write import write_atomically
from thermo.errors import CheckpointError, CheckpointWarning
from thermo.paths import checked_path
from thermo.run.chunk import Chunk
from thermo.run.directory_lock import DirectoryLock
from thermo.run.work import joined
from thermo.versions import versions

__all__ = ["MOST_BYTES", "Checkpoint", "open_checkpoint"]

_FORMAT = "spinlogit checkpoint 2"
_PLANS = ("plan.json", "plan.copy.json")
# A piece writes when this share of its time so far, within these bounds, could be lost.
_SHARE, _LEAST_SECONDS, _MOST_SECONDS = 0.05, 1.0, 60.0
MOST_BYTES = 2**26  # of draws and snapshots that wait to be written
_DIGEST = hashlib.sha256().digest_size
_STATE = re.compile(r"(\d{5,})-\d{12,}\.state")


def open_checkpoint(
    directory: str | os.PathLike[str] | None, identity: Mapping[str, Any]
) -> AbstractContextManager[Checkpoint | None]:
    """Return a `Checkpoint`, or in the same place nothing, if no directory is given."""
    return nullcontext() if directory is None else Checkpoint(directory, identity)


class Checkpoint:
    """What is on disk of a run, and what waits to be written.

    A context: on leaving, what waits is written and the directory is free for others.

    Parameters
    ----------
    directory : path-like
        Made if it does not exist.
    identity : mapping
        What the bits of the run depend on, as JSON can hold it (`thermo.run.identity`).

    Raises
    ------
    InvalidInputError
        `directory` is no path.
    CheckpointError
        The directory holds something else, or another run (the message says what differs), which
        is left as it is; it is in use by another process; or it cannot be written to.

    Warns
    -----
    CheckpointWarning
        One of the two files that say which run it is was damaged, and is made anew.
    """

    def __init__(self, directory: str | os.PathLike[str], identity: Mapping[str, Any]) -> None:
        self.directory = checked_path(directory, "checkpoint")
        ours = {"format": _FORMAT, "versions": versions(), **identity}
        self._identity: dict[str, Any] = json.loads(json.dumps(ours))
        self._waiting: dict[int, list[Chunk]] = {}
        self._waiting_bytes = 0
        self._spent: dict[int, float] = {}
        self._states: dict[int, list[Path]] = {}
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused("made", error) from error
        try:
            self._check()  # before anything is written
            self._lock = DirectoryLock(self.directory)
        except OSError as error:
            raise self._refused("read and written", error) from error
        try:
            self._open()
        except OSError as error:
            self._lock.release()
            raise self._refused("read and written", error) from error
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        failed: CheckpointError | None = None
        try:
            for index in list(self._waiting):
                try:
                    self._write(index)
                except CheckpointError as error:  # there may be room for those of other pieces
                    failed = error
        finally:
            self._lock.release()
        if failed is not None:
            raise failed

    def chunks(self, index: int) -> list[Chunk]:
        """Return what piece `index` did so far, in order; the last one is final or has its state.

        Warns
        -----
        CheckpointWarning
            A file is torn, changed or of another run: what came before it is used.
        """
        found: list[Chunk] = []
        position = 0
        while not (found and found[-1].final):
            arrays = self._read(self._path(index, position, "chunk"))
            if arrays is None:
                break
            found.append(_chunk_of(arrays, position))
            position = found[-1].end
        while found and not found[-1].final:
            state = self._read(self._path(index, found[-1].end, "state"))
            if state is not None:
                found[-1] = replace(found[-1], state=state)
                break
            found.pop()
        return found

    def add(self, index: int, chunk: Chunk) -> None:
        """Keep a chunk; write it, with those before, if enough could be lost.

        Raises
        ------
        CheckpointError
            It could not be written; what was there before still is.
        """
        waiting = self._waiting.setdefault(index, [])
        waiting.append(chunk)  # first: Ctrl-C may come between these lines
        if len(waiting) > 1:
            waiting[-2] = replace(waiting[-2], state={})  # only the last one is ever needed
        unsaved = sum(part.seconds for part in waiting)
        spent = self._spent[index] = self._spent.get(index, 0.0) + chunk.seconds
        allowed = min(max(_LEAST_SECONDS, _SHARE * spent), _MOST_SECONDS)
        self._waiting_bytes += _bytes_of(chunk)
        if unsaved >= allowed or chunk.final or self._waiting_bytes > MOST_BYTES:
            self._write(index)

    def _refused(self, what: str, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"checkpoint = {str(self.directory)!r} was given, which cannot be {what} "
            f"({error.strerror}); accepted: a directory of this run's own"
        )

    def _open(self) -> None:
        """Read or say which run it is, and find what is there of it; under the lock."""
        sound = self._check()
        for name in _PLANS:
            if name in sound:
                continue
            if sound and (self.directory / name).exists():
                warnings.warn(
                    f"{self.directory / name} is damaged: {sound[0]} is used, and copied over it",
                    CheckpointWarning,
                    stacklevel=2,
                )
            write_atomically(self.directory / name, _with_digest(self._identity))
        for torn in self.directory.glob(".*.tmp"):  # the run was killed while it wrote them
            torn.unlink(missing_ok=True)
        for path in sorted(self.directory.iterdir()):
            if (match := _STATE.fullmatch(path.name)) and path.is_file():
                self._states.setdefault(int(match[1]), []).append(path)

    def _check(self) -> list[str]:
        """Refuse a directory that is not this run's; return which of its plans are sound."""
        there = {name: self.directory / name for name in _PLANS}
        found = {name: _plan_in(path) for name, path in there.items() if path.exists()}
        if not found:
            other = [p.name for p in self.directory.iterdir() if not p.name.startswith(".")]
            if other:
                raise CheckpointError(
                    f"{self.directory} holds {min(other)!r} and no run; accepted: a new or empty "
                    "directory, or the checkpoint of this run"
                )
            return []
        sound = {name: plan for name, plan in found.items() if plan is not None}
        if not sound:
            raise CheckpointError(
                f"{there[min(found, key=_PLANS.index)]} is damaged or was written by another "
                f"program or version; accepted: {_FORMAT!r}, or another directory"
            )
        ours, theirs = self._identity, next(iter(sound.values()))
        differing = [
            f"{name} = {theirs.get(name)!r} there and {ours.get(name)!r} here"
            for name in dict.fromkeys((*ours, *theirs))
            if theirs.get(name) != ours.get(name)
        ]
        if differing:
            raise CheckpointError(
                f"{self.directory} is the checkpoint of another run ({'; '.join(differing[:3])}); "
                "accepted: the same arguments, or another directory"
            )
        return list(sound)

    def _path(self, index: int, step: int, kind: str) -> Path:
        return self.directory / f"{index:05d}-{step:012d}.{kind}"

    def _origin(self, path: Path) -> bytes:
        """Return what tells a file from those of other runs, other pieces and other steps."""
        return hashlib.sha256(json.dumps([self._identity, path.name]).encode()).digest()

    def _write(self, index: int) -> None:
        waiting = self._waiting.pop(index, [])
        if not waiting:
            return
        self._waiting_bytes -= sum(_bytes_of(part) for part in waiting)
        chunk = joined(waiting)
        self._save(self._path(index, chunk.begin, "chunk"), _arrays_of(chunk))
        if chunk.final:
            return
        path = self._path(index, chunk.end, "state")
        self._save(path, chunk.state)
        # Those that were there already are older than any of this process.
        states = self._states[index] = [p for p in self._states.get(index, []) if p != path]
        states.append(path)
        while len(states) > 2:
            states.pop(0).unlink(missing_ok=True)

    def _save(self, path: Path, arrays: Mapping[str, Any]) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        buffer.write(self._origin(path))
        with buffer.getbuffer() as body:
            digest = hashlib.sha256(body).digest()
        buffer.write(digest)
        try:
            with buffer.getbuffer() as content:
                write_atomically(path, content)
        except OSError as error:
            raise CheckpointError(
                f"{path} could not be written ({error.strerror or error}) and the run was ended; "
                "the checkpoint is intact as it was before, and the same call goes on from there"
            ) from error

    def _read(self, path: Path) -> dict[str, np.ndarray] | None:
        """Return the arrays in a file, or None if it is not there or, with a warning, damaged."""
        if not path.exists():
            return None
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        body, digest = content[:-_DIGEST], content[-_DIGEST:]
        damage = "is damaged (its checksum does not fit)"
        if hashlib.sha256(body).digest() == digest:
            body, origin = body[:-_DIGEST], body[-_DIGEST:]
            damage = "is of another run, or of another place in this one"
            if origin == self._origin(path):
                try:
                    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
                        return {name: archive[name] for name in archive.files}
                except (EOFError, ValueError, zipfile.BadZipFile):
                    damage = "is damaged (it holds no arrays)"
        warnings.warn(
            f"{path} {damage}: the run goes on from the last sound state before it",
            CheckpointWarning,
            stacklevel=2,
        )
        return None


def _bytes_of(chunk: Chunk) -> int:
    """Size of the draws and snapshots of a chunk."""
    arrays = [*chunk.series.values(), *([] if chunk.snapshots is None else [chunk.snapshots])]
    return sum(values.nbytes for values in arrays)


def _with_digest(plan: Mapping[str, Any]) -> bytes:
    digest = hashlib.sha256(json.dumps(plan).encode()).hexdigest()
    return json.dumps({**plan, "sha256": digest}, indent=1).encode()


def _plan_in(path: Path) -> dict[str, Any] | None:
    """Return what a file says of its run, or None if it is damaged or something else."""
    try:
        plan = dict(json.loads(path.read_bytes()))
    except (OSError, TypeError, ValueError):
        return None
    plan.pop("sha256", None)
    sound = plan.get("format") == _FORMAT and path.read_bytes() == _with_digest(plan)
    return plan if sound else None


def _arrays_of(chunk: Chunk) -> dict[str, Any]:
    arrays: dict[str, Any] = {"end": chunk.end}
    arrays |= {f"series {name}": values for name, values in chunk.series.items()}
    arrays |= {f"final {name}": values for name, values in chunk.final.items()}
    if chunk.snapshots is not None:
        arrays["snapshots"] = chunk.snapshots
    return arrays


def _chunk_of(arrays: dict[str, np.ndarray], begin: int) -> Chunk:
    def named(kind: str) -> dict[str, np.ndarray]:
        prefix = f"{kind} "
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    return Chunk(
        begin, int(arrays["end"]), named("series"), arrays.get("snapshots"), named("final")
    )
