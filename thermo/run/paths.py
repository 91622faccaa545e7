"""Names of files that a caller gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from thermo.errors import InvalidInputError

__all__ = ["checked_path"]


def checked_path(value: Any, name: str) -> Path:
    """Return a path, or say that argument `name` is none that a file can have."""
    if not isinstance(value, str | os.PathLike) or "\0" in os.fsdecode(value):
        raise InvalidInputError(
            f"{name} = {value!r} was given; accepted: a str or pathlib.Path without null characters"
        )
    return Path(os.fsdecode(value))
