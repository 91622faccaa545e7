"""``spinlogit lab kinetic``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption

__all__ = ["kinetic_command"]


def kinetic_command(
    molecules: Annotated[int, typer.Option("--molecules", help="How many.")] = 64,
    beta: Annotated[float, typer.Option("--beta", help="Of the bath, in 1/ε; > 0.")] = 0.5,
    density: Annotated[float, typer.Option("--density", help="Molecules per σ³.")] = 0.3,
    bond: Annotated[
        float, typer.Option("--bond", help="Length of the rigid bond in σ; 0: single atoms.")
    ] = 0.6,
    cutoff: Annotated[float, typer.Option("--cutoff", help="Of the interaction, in σ.")] = 2.5,
    tail: Annotated[
        bool, typer.Option("--tail", help="Cut off without a shift, and add the average beyond.")
    ] = False,
    time_step: Annotated[float, typer.Option("--time-step", help="In √(mσ²/ε).")] = 0.004,
    samples: Annotated[
        int, typer.Option("--samples", help="Observations; the first fifth is not used.")
    ] = 2500,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    checkpoint: CheckpointOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Molecular dynamics: T comes from counting degrees of freedom, and is wrong if they are.

    Rigid molecules of two atoms (or single ones) collide. Their bath counts nothing, so that
    f = 2⟨K⟩/kT is measured; so are its parts of translation and rotation, the T that other counts
    would give, and how well energy is kept without the bath.

    Examples:

      spinlogit lab kinetic --out counts.png

      spinlogit lab kinetic --bond 0 --molecules 500 --density 0.78 --beta 1.176470588 --cutoff 3 \
--tail --samples 400
    """
    check_picture(out, overwrite)
    from thermo.laboratory.kinetic import kinetic

    found = kinetic(
        molecules,
        beta,
        density=density,
        masses=(1.0, 1.0) if bond else (1.0,),
        bond=bond or None,
        cutoff=cutoff,
        force_shifted=not tail,
        time_step=time_step,
        samples=samples,
        burn_in=samples // 5,
        seed=seed,
        progress=True,
        checkpoint=checkpoint,
    )
    present(found, out, as_json)
