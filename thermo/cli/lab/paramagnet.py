"""``spinlogit lab paramagnet``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption

__all__ = ["paramagnet_command"]


def paramagnet_command(
    spins: Annotated[int, typer.Option("--spins", help="How many.")] = 100,
    field: Annotated[float, typer.Option("--field", help="h: a spin has energy −h or +h.")] = 1.0,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Independent spins in a field: entropy is an arch over energy, and β its slope.

    Right of its top more than half of the spins point against the field, and T is negative. Nothing
    here is random.

    Examples:

      spinlogit lab paramagnet --out arch.png

      spinlogit lab paramagnet --spins 1000 --json
    """
    check_picture(out, overwrite)
    from thermo.laboratory.paramagnet import paramagnet

    present(paramagnet(spins, field), out, as_json)
