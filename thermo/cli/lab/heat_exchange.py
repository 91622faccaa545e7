"""``spinlogit lab heat-exchange``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.betas import parse_betas
from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption

__all__ = ["heat_exchange_command"]


def heat_exchange_command(
    beta: Annotated[
        str, typer.Option("--beta", help="Of 2 or 3 blocks, commas between; any sign, inf too.")
    ] = "-0.3,0.3",
    size: Annotated[int, typer.Option("--size", help="L of the L × L Ising torus of each.")] = 32,
    sweeps: Annotated[int, typer.Option("--sweeps", help="After the contact.")] = 1000,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    checkpoint: CheckpointOption = None,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Blocks of any β in contact: heat goes from smaller to larger β, until they are the same.

    Equal blocks at ±T end at β = 0. Of three blocks the second is taken away in the end: what was
    in equilibrium with it is in equilibrium with each other.

    Examples:

      spinlogit lab heat-exchange --out heat.png

      spinlogit lab heat-exchange --beta=-0.4,0.1,0.5 --out zeroth-law.png
    """
    check_picture(out, overwrite)
    from thermo.arguments import whole_number
    from thermo.laboratory.heat_exchange import heat_exchange
    from thermo.lattice import square
    from thermo.models.ising import Ising

    betas = parse_betas([beta], None)
    whole_number(size, "--size", 3, most=64)
    found = heat_exchange(
        [Ising(square(size))] * len(betas),
        betas,
        sweeps=sweeps,
        seed=seed,
        progress=True,
        checkpoint=checkpoint,
    )
    present(found, out, as_json)
