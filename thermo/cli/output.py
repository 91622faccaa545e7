"""What the commands print and write."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from thermo.errors import InvalidInputError
from thermo.printable import printable

__all__ = [
    "CheckpointOption",
    "JsonFlag",
    "OverwriteFlag",
    "SeedOption",
    "check_output",
    "plain",
    "print_json",
]

SeedOption = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        max=2**64 - 1,
        help="Seed of every random number; changes nothing where nothing is random.",
    ),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option("--checkpoint", help="Folder to save to, and to resume from if it exists."),
]
OverwriteFlag = Annotated[bool, typer.Option("--overwrite", help="Replace --out.")]
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
    try:  # better now than after the work
        tempfile.TemporaryFile(dir=out.absolute().parent).close()
    except OSError as error:
        raise InvalidInputError(
            f"--out {shown} cannot be written ({error.strerror}); accepted: a file in a folder "
            "that may be written to"
        ) from error


def plain(values: np.ndarray) -> list[Any]:
    """Numbers as JSON has them: infinities as text, NaN as null."""
    return [
        value if math.isfinite(value) else None if math.isnan(value) else str(value)
        for value in np.asarray(values, dtype=np.float64).ravel().tolist()
    ]


def print_json(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, allow_nan=False)
    print()
