"""How every experiment of ``spinlogit lab`` shows what it found."""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thermo.cli.output import check_output, print_json
from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from thermo.laboratory.finding import Experiment

__all__ = ["PictureOption", "check_picture", "present"]

_PICTURES = (".png", ".svg", ".pdf")

PictureOption = Annotated[
    Path | None, typer.Option("--out", "--plot", help="Picture to write (.png, .svg, .pdf).")
]


def check_picture(out: Path | None, overwrite: bool) -> None:
    """Refuse, before any work, a picture that could not be written afterwards."""
    check_output(out, overwrite)
    if out is not None and out.suffix not in _PICTURES:
        raise InvalidInputError(
            f"--out {printable(str(out))} was given; accepted: a name ending in "
            + ", ".join(_PICTURES)
        )


def present(found: Experiment, out: Path | None, as_json: bool) -> None:
    """Write the picture, if asked for, then print one JSON document or a table of the findings.

    The picture of an experiment is drawn by ``NAME_picture`` in `thermo.plots.laboratory.NAME`.
    """
    if out is not None:
        from thermo.atomic_write import write_atomically

        name = found.name.replace("-", "_")
        drawing = import_module(f"thermo.plots.laboratory.{name}")
        image = io.BytesIO()
        getattr(drawing, f"{name}_picture")(found).savefig(image, format=out.suffix[1:])
        write_atomically(out, image.getvalue())
    if as_json:
        print_json(found.to_dict())
        return
    print(found.table())
    if out is not None:
        print(f"\nwritten: {printable(str(out))}")
