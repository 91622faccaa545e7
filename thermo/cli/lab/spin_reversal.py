"""``spinlogit lab spin-reversal``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import CheckpointOption, JsonFlag, OverwriteFlag, SeedOption
from thermo.cli.system import LatticeOption, spin_model

__all__ = ["spin_reversal_command"]


def spin_reversal_command(
    lattice: LatticeOption = None,
    size: Annotated[int, typer.Option("--size", help="L: sites (cells) along each side.")] = 32,
    coupling: Annotated[float, typer.Option("--coupling", help="J, in the unit of energy.")] = 0.1,
    field: Annotated[float, typer.Option("--field", help="h, after its reversal.")] = 1.0,
    beta: Annotated[float, typer.Option("--beta", help="β₀ of the spins before.")] = 0.5,
    bath_beta: Annotated[
        float | None, typer.Option("--bath-beta", help="β of the bath, above 0.  [|β₀|]")
    ] = None,
    exchange: Annotated[
        float,
        typer.Option("--exchange", help="Moves that keep the energy for each with the bath."),
    ] = 30.0,
    duration: Annotated[float, typer.Option("--duration", help="In T₁.")] = 4.0,
    replicas: Annotated[int, typer.Option("--replicas", help="Independent lattices.")] = 512,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    checkpoint: CheckpointOption = None,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """A field is reversed (Purcell and Pound): β rises from below 0 through 0, T goes through ∞.

    The spins agree on one temperature within T₂, and give heat to the bath for about T₁. Small
    lattices come with their master equation, and every run with Ramsey's conditions.

    Examples:

      spinlogit lab spin-reversal --out reversal.png

      spinlogit lab spin-reversal --size 3 --replicas 20000 --out beside_master_equation.png

      spinlogit lab spin-reversal --coupling 0 --exchange 0

      spinlogit lab spin-reversal --lattice cubic --size 16 --replicas 128 --checkpoint long
    """
    check_picture(out, overwrite)
    model = spin_model(
        "ising", lattice, size, False, None, None, coupling, field, 0.0, "none", seed
    )
    from thermo.laboratory.spin_reversal import spin_reversal

    found = spin_reversal(
        model,
        beta,
        bath_beta,
        exchange=exchange,
        duration=duration,
        replicas=replicas,
        seed=seed,
        progress=True,
        checkpoint=checkpoint,
    )
    present(found, out, as_json)
