"""``spinlogit lab band``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption

__all__ = ["band_command"]


def band_command(
    size: Annotated[int, typer.Option("--size", help="Sites along each side, even.")] = 40,
    fermions: Annotated[
        float, typer.Option("--fermions", help="Of them per site, less than 1.")
    ] = 0.5,
    bosons: Annotated[float, typer.Option("--bosons", help="Of them per site.")] = 0.5,
    beta: Annotated[
        float, typer.Option("--beta", help="Shown are this β, 0 and −β, in 1/energy.")
    ] = 1.0,
    hopping: Annotated[float, typer.Option("--hopping", help="J: the band is 8J wide.")] = 1.0,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Atoms in a lattice: their band ends at the top, and at T < 0 that is where they gather.

    Bosons and fermions that do not interact, on a square lattice. Nothing here is random.

    Examples:

      spinlogit lab band --out band.png

      spinlogit lab band --bosons 2 --beta 0.5 --json
    """
    check_picture(out, overwrite)
    from thermo.laboratory.band import band

    present(band(size, fermions, bosons, beta, hopping), out, as_json)
