"""The pictures that commands write."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thermo.atomic_write import write_atomically
from thermo.cli.output import check_output
from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PictureOption", "check_picture", "write_picture"]

_ENDINGS = (".png", ".svg", ".pdf")

PictureOption = Annotated[
    Path | None, typer.Option("--out", "--plot", help="Picture to write (.png, .svg, .pdf).")
]


def check_picture(out: Path | None, overwrite: bool) -> None:
    """Refuse, before any work, a picture that could not be written afterwards."""
    check_output(out, overwrite)
    if out is not None and out.suffix not in _ENDINGS:
        raise InvalidInputError(
            f"--out {printable(str(out))} was given; accepted: a name ending in "
            + ", ".join(_ENDINGS)
        )


def write_picture(figure: Figure, out: Path) -> None:
    """Write a figure in the format that the name ends in, as a whole or not at all."""
    image = io.BytesIO()
    figure.savefig(image, format=out.suffix[1:])
    write_atomically(out, image.getvalue())
