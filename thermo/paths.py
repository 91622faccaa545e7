"""Names of files that a caller gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from thermo.arguments import shown
from thermo.errors import InvalidInputError

__all__ = ["checked_path"]


def checked_path(value: Any, name: str) -> Path:
    """Return a path, or say that argument `name` is none that a file can have."""
    usable = isinstance(value, str | os.PathLike) and os.fsdecode(value)
    if not usable or "\0" in usable:
        raise InvalidInputError(
            f"{name} = {shown(value)} was given; accepted: a str or pathlib.Path, not empty and "
            "without null characters"
        )
    return Path(usable)
