"""``spinlogit lab dnls``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption

__all__ = ["dnls_command"]


def dnls_command(
    density: Annotated[float, typer.Option("--density", help="a, the norm per site.")] = 1.0,
    energy: Annotated[
        list[float] | None,
        typer.Option("--energy", help="h per site; as often as you like.  [four]"),
    ] = None,
    sites: Annotated[int, typer.Option("--sites", help="Of a chain; even.")] = 256,
    chains: Annotated[int, typer.Option("--chains", help="Of each energy.")] = 16,
    time: Annotated[float, typer.Option("--time", help="How long they are followed.")] = 500.0,
    time_step: Annotated[float, typer.Option("--time-step", help="Of the integrator.")] = 0.05,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    checkpoint: CheckpointOption = None,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """A discrete nonlinear Schrödinger chain: above h = 2a² β is below 0, and breathers stay.

    Nothing lies below h = a² − 2a, where T = +0; β = 0 is the line h = 2a².

    Examples:

      spinlogit lab dnls --out breathers.png

      spinlogit lab dnls --energy 0.5 --energy 4 --time 5000 --checkpoint long
    """
    check_picture(out, overwrite)
    from thermo.laboratory.dnls import dnls

    found = dnls(
        density,
        energy or None,
        sites=sites,
        chains=chains,
        time=time,
        time_step=time_step,
        seed=seed,
        progress=True,
        checkpoint=checkpoint,
    )
    present(found, out, as_json)
