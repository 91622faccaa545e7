"""``spinlogit lab nuclear``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption

__all__ = ["nuclear_command"]


def nuclear_command(
    size: Annotated[
        int, typer.Option("--size", help="L of L³ spins: 12, or 18 from 20 000 sweeps on.")
    ] = 12,
    sweeps: Annotated[
        int, typer.Option("--sweeps", help="At the slower of the two transitions, at least 500.")
    ] = 40_000,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    checkpoint: CheckpointOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Nuclear spins of silver: antiferromagnetic at T > 0, ferromagnetic at T < 0, one Hamiltonian.

    Where both orders set in, in nearest neighbours' coupling and in pK, beside what was measured.

    Examples:

      spinlogit lab nuclear --out silver.png

      spinlogit lab nuclear --sweeps 100000 --checkpoint silver --json
    """
    check_picture(out, overwrite)
    from thermo.laboratory.nuclear import nuclear

    found = nuclear(size, sweeps, seed=seed, progress=True, checkpoint=checkpoint)
    present(found, out, as_json)
