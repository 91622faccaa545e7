"""How every experiment of ``spinlogit lab`` shows what it found."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from thermo.cli.output import print_json
from thermo.cli.pictures import PictureOption, check_picture, write_picture
from thermo.printable import printable

if TYPE_CHECKING:
    from thermo.laboratory.finding import Experiment

__all__ = ["PictureOption", "check_picture", "present"]


def present(found: Experiment, out: Path | None, as_json: bool) -> None:
    """Write the picture, if asked for, then print one JSON document or a table of the findings.

    The picture of an experiment is drawn by ``NAME_picture`` in `thermo.plots.laboratory.NAME`.
    """
    if out is not None:
        name = found.name.replace("-", "_")
        drawing = import_module(f"thermo.plots.laboratory.{name}")
        write_picture(getattr(drawing, f"{name}_picture")(found), out)
    if as_json:
        print_json(found.to_dict())
        return
    print(found.table())
    if out is not None:
        print(f"\nwritten: {printable(str(out))}")
