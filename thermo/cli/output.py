"""What the commands print and write."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from thermo.errors import InvalidInputError
from thermo.printable import printable

__all__ = ["check_output", "plain", "print_json", "write_text"]

SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=2**64 - 1, help="Seed of every random number.")
]
JsonFlag = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, nothing else there.")
]


def check_output(out: Path | None, overwrite: bool) -> None:
    """Refuse, before any work, a file that could not be written afterwards."""
    if out is None:
        return
    shown = printable(str(out))
    if out.is_dir():
        raise InvalidInputError(f"--out {shown} is a folder; accepted: the name of a file")
    if out.exists() and not overwrite:
        raise InvalidInputError(
            f"--out {shown} exists; accepted: another name, or --overwrite to replace it"
        )
    if not out.absolute().parent.is_dir():
        raise InvalidInputError(f"--out {shown} lies in no folder; accepted: one that exists")


def write_text(path: Path, text: str) -> None:
    """Write a file as a whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def plain(values: np.ndarray) -> list[Any]:
    """Numbers as JSON has them: infinities as text, NaN as null."""
    return [
        value if math.isfinite(value) else None if math.isnan(value) else str(value)
        for value in np.asarray(values, dtype=np.float64).ravel().tolist()
    ]


def print_json(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, allow_nan=False)
    print()
