"""One process at a time in a directory."""

from __future__ import annotations

import os
import sys
import weakref
from contextlib import suppress
from pathlib import Path

from thermo.errors import CheckpointError

__all__ = ["DirectoryLock"]

_NAME = ".lock"


class DirectoryLock:
    """Held from its making to `release`, or until the process ends in whatever way.

    An exclusive ``flock`` of the file ``.lock``, which is never removed: another process may be
    waiting at it. Where there is no ``flock`` (Windows, some network file systems) nothing is
    locked.

    Parameters
    ----------
    directory : Path

    Raises
    ------
    CheckpointError
        Another process, or another run of this one, holds it.
    OSError
        The directory cannot be written to.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor: int | None = os.open(directory / _NAME, os.O_RDWR | os.O_CREAT, 0o666)
        _held.add(self)
        try:
            _lock(self._descriptor)
        except BlockingIOError as error:
            self.release()
            raise CheckpointError(
                f"{directory} is in use by another process, or by another run of this one; "
                "accepted: another directory, or this one when that run has ended"
            ) from error

    def release(self) -> None:
        """Let others in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        _held.discard(self)


def _lock(descriptor: int) -> None:
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            pass


_held: weakref.WeakSet[DirectoryLock] = weakref.WeakSet()


def _release_all() -> None:
    for lock in list(_held):
        lock.release()


# A forked worker that outlives its killed parent would keep the lock: it closes its copy at once.
with suppress(AttributeError):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_release_all)
