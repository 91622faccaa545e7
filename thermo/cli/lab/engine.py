"""``spinlogit lab engine``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption

__all__ = ["engine_command"]


def engine_command(
    hot: Annotated[
        float, typer.Option("--hot", help="β of the hotter bath: the smaller one, of either sign.")
    ] = -0.5,
    cold: Annotated[float, typer.Option("--cold", help="β of the colder bath.")] = 1.0,
    fields: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--fields",
            metavar="<h₁> <h₂>",
            help="Of Carnot's isotherm at the hot bath, above 0.  [default: 1/2 and 2, by |β|]",
        ),
    ] = None,
    otto_fields: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--otto-fields",
            metavar="<h₁> <h₂>",
            help="Of Otto's waits at the hot and at the cold bath.  [default: 2, by the larger "
            "|β|, and half of it or more]",
        ),
    ] = None,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Heat engines of a spin between baths of any sign, Carnot's and Otto's.

    Work by heat of the hot bath, which may exceed 1, and work by all heat that is taken in, which
    may not; and engines that need one bath only, if it is at T < 0. Nothing here is random.

    Examples:

      spinlogit lab engine --out engine.png

      spinlogit lab engine --hot=-1 --cold 1 --json

      spinlogit lab engine --hot=-2 --cold=-1 --out below_zero.png
    """
    check_picture(out, overwrite)
    from thermo.laboratory.engine import engine

    present(engine(hot, cold, fields=fields, otto_fields=otto_fields), out, as_json)
