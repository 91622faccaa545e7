"""``spinlogit lab ensemble-check``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.betas import parse_betas
from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption

__all__ = ["ensemble_check_command"]


def ensemble_check_command(
    beta: Annotated[
        str, typer.Option("--beta", help="Of the two runs, a comma between; any signs.")
    ] = "-0.05,0.05",
    size: Annotated[int, typer.Option("--size", help="L of the L × L Ising torus.")] = 16,
    update: Annotated[str, typer.Option("--update", help="As of simulate.")] = "metropolis",
    sweeps: Annotated[int, typer.Option("--sweeps", help="Of each chain.")] = 2000,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    checkpoint: CheckpointOption = None,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Does a sampler keep its β? ln P₂(E)/P₁(E) of two runs is a line of the slope β₁ − β₂.

    The density of states drops out: no exact result is needed.

    Examples:

      spinlogit lab ensemble-check --out line.png

      spinlogit lab ensemble-check --beta=-0.3,-0.25 --update wolff
    """
    check_picture(out, overwrite)
    from thermo.arguments import whole_number
    from thermo.laboratory.ensemble_check import ensemble_check
    from thermo.lattice import square
    from thermo.models.ising import Ising

    whole_number(size, "--size", 3)
    found = ensemble_check(
        Ising(square(size)),
        parse_betas([beta], None),
        sweeps=sweeps,
        update=update,
        seed=seed,
        progress=True,
        checkpoint=checkpoint,
    )
    present(found, out, as_json)
