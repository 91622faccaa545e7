"""``spinlogit lab freedom``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption

__all__ = ["freedom_command"]


def freedom_command(
    beta: Annotated[
        float, typer.Option("--beta", help="Inverse temperature of all systems, of either sign.")
    ] = 0.4,
    atoms: Annotated[
        int, typer.Option("--atoms", help="Of classical systems, and two-level systems.")
    ] = 64,
    size: Annotated[int, typer.Option("--size", help="L of the L×L Ising torus.")] = 8,
    draws: Annotated[int, typer.Option("--draws", help="Of each classical system.")] = 4000,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Degrees of freedom side by side: what each definition counts, and why others count nothing.

    Gas, rigid molecules, crystals, wells, two-level systems and an Ising lattice, by seven
    definitions. Below β = 0 what has no highest energy drops out.

    Examples:

      spinlogit lab freedom --out freedom.png

      spinlogit lab freedom --beta -0.4
    """
    check_picture(out, overwrite)
    from thermo.laboratory.freedom import freedom

    found = freedom(beta, atoms=atoms, size=size, draws=draws, seed=seed)
    present(found, out, as_json)
