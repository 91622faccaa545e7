"""Files that are either there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replacement", "write_atomically"]


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file that never exists in part, whatever stops the machine meanwhile."""
    with replacement(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; flush what is written there to the disk and rename it.

    If the block fails, `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    with suppress(OSError):  # some systems cannot open directories
        _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
