"""``spinlogit lab microcanonical``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption
from thermo.cli.system import choice

__all__ = ["microcanonical_command"]

METHODS = ("reweighting", "multicanonical", "wang_landau")


def microcanonical_command(
    size: Annotated[int, typer.Option("--size", help="L of the L × L torus: even, 8 … 64.")] = 32,
    method: Annotated[str, choice("--method", METHODS, "How g(E) is sampled.")] = "reweighting",
    sweeps: Annotated[
        int | None,
        typer.Option("--sweeps", help="Of each chain or walker.  [the method's own default]"),
    ] = None,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    checkpoint: CheckpointOption = None,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Temperature at fixed energy: Boltzmann's and Gibbs' definitions, a demon, the zeroth law.

    S(E) exact and sampled. Two blocks in equilibrium with each other agree in Boltzmann's β, of
    either sign, and differ in Gibbs' at T < 0: the more, the larger they are.

    Examples:

      spinlogit lab microcanonical --out definitions.png

      spinlogit lab microcanonical --size 16 --method multicanonical --json
    """
    check_picture(out, overwrite)
    from thermo.laboratory.microcanonical import microcanonical

    found = microcanonical(
        size, method, sweeps=sweeps, seed=seed, progress=True, checkpoint=checkpoint
    )
    present(found, out, as_json)
