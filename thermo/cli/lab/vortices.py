"""``spinlogit lab vortices``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.betas import parse_betas
from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption

__all__ = ["vortices_command"]


def vortices_command(
    plus: Annotated[int, typer.Option("--plus", help="Vortices of positive sign.")] = 10,
    minus: Annotated[int, typer.Option("--minus", help="Vortices of negative sign.")] = 10,
    beta: Annotated[
        str | None,
        typer.Option(
            "--beta",
            help="In 4π/ρΓ²: numbers, and from:to:count, commas between; above −2/max(N₊, N₋) and "
            "below 1.  [eight values]",
        ),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", help="Of each of 16 chains per β.")] = 800,
    time: Annotated[
        float, typer.Option("--time", help="In 4πR²/Γ, how long the hottest ones move.")
    ] = 0.1,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    checkpoint: CheckpointOption = None,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Point vortices in a disk (Onsager): below β = 0 those of one sign gather in a cluster.

    Random places have a most probable energy; beyond it entropy falls with energy.

    Examples:

      spinlogit lab vortices --out clusters.png

      spinlogit lab vortices --plus 6 --minus 6 --beta=-0.3:0.6:10
    """
    check_picture(out, overwrite)
    from thermo.laboratory.vortices import vortices

    found = vortices(
        plus,
        minus,
        None if beta is None else parse_betas([beta], None).tolist(),
        draws=draws,
        time=time,
        seed=seed,
        progress=True,
        checkpoint=checkpoint,
    )
    present(found, out, as_json)
