"""``spinlogit lab rotators``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption

__all__ = ["rotators_command"]


def rotators_command(
    energy: Annotated[
        list[float] | None,
        typer.Option("--energy", help="H/N, 0 … 2 + 2ε; may be given several times.  [five]"),
    ] = None,
    rotators: Annotated[int, typer.Option("--rotators", help="How many.")] = 32,
    strength: Annotated[
        float, typer.Option("--strength", help="ε of the bonds; below 0.2 equilibrium takes long.")
    ] = 0.5,
    samples: Annotated[
        int, typer.Option("--samples", help="Observations; the first third is not used.")
    ] = 3000,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    checkpoint: CheckpointOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Rotators with bounded kinetic energy: moving things that do have T < 0.

    At each energy 16 chains are left to themselves; momenta and bonds between neighbours each tell
    their β, of either sign. Where the chains still disagree, there is no equilibrium.

    Examples:

      spinlogit lab rotators --out rotators.png

      spinlogit lab rotators --energy 0.8 --energy 2.2 --samples 1500 --json
    """
    check_picture(out, overwrite)
    from thermo.laboratory.rotators import rotators as run

    found = run(
        energy or None,
        rotators=rotators,
        strength=strength,
        samples=samples,
        burn_in=samples // 3,
        seed=seed,
        progress=True,
        checkpoint=checkpoint,
    )
    present(found, out, as_json)
