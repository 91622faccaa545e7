"""``spinlogit dos``: the density of states of a spin model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from thermo.arguments import one_of
from thermo.cli.dask import DaskOption, executor_at
from thermo.cli.output import (
    CheckpointOption,
    JsonFlag,
    OverwriteFlag,
    SeedOption,
    check_output,
    plain,
    print_json,
)
from thermo.cli.system import (
    ChiralityOption,
    CouplingOption,
    DisorderOption,
    FieldOption,
    GraphOption,
    LatticeOption,
    ModelOption,
    OpenOption,
    SizeOption,
    StatesOption,
    choice,
    spin_model,
)
from thermo.printable import printable

__all__ = ["dos_command"]


METHODS = ("exact", "wang_landau", "multicanonical", "reweighting")


def dos_command(
    model: ModelOption = "ising",
    lattice: LatticeOption = None,
    size: SizeOption = None,
    open_edges: OpenOption = False,
    graph: GraphOption = None,
    q: StatesOption = None,
    coupling: CouplingOption = 1.0,
    field: FieldOption = 0.0,
    chirality: ChiralityOption = 0.0,
    disorder: DisorderOption = "none",
    method: Annotated[str, choice("--method", METHODS, "How it is found.")] = "exact",
    sweeps: Annotated[
        int | None, typer.Option("--sweeps", help="Of a sampled method.  [its own default]")
    ] = None,
    bin_width: Annotated[
        float | None,
        typer.Option("--bin-width", help="Of energies that lie on no lattice (XY, Gaussian …)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Table of E and ln g to write (.csv).")
    ] = None,
    overwrite: OverwriteFlag = False,
    checkpoint: CheckpointOption = None,
    dask: DaskOption = None,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """The density of states g(E), exact or sampled, and β = dS/dE of both signs along it.

    Of fewer than three levels there is no dS/dE: it is shown as nan.

    Examples:

      spinlogit dos --size 32

      spinlogit dos --model potts --q 3 --size 8 --method wang_landau --out potts.csv

      spinlogit dos --size 64 --method multicanonical --sweeps 1000000 --checkpoint long
    """
    from thermo.atomic_write import write_atomically
    from thermo.microcanonical import microcanonical
    from thermo.run.density_of_states import density_of_states

    method = one_of(method, "--method", METHODS)
    check_output(out, overwrite)
    spins = spin_model(
        model, lattice, size, open_edges, graph, q, coupling, field, chirality, disorder, seed
    )
    options: dict[str, Any] = {"progress": True}
    if method != "exact":
        options["seed"] = seed
    with executor_at(dask) as executor:
        given = {
            "sweeps": sweeps,
            "bin_width": bin_width,
            "checkpoint": checkpoint,
            "executor": executor,
        }
        options |= {name: value for name, value in given.items() if value is not None}
        levels = density_of_states(spins, method=method, **options)
    enough = len(levels.merged()) >= 3  # for a derivative
    beta = microcanonical(levels).beta_boltzmann if enough else np.full(len(levels), np.nan)
    if out is not None:
        lines = [
            f"{energy!r},{log_g!r}"
            for energy, log_g in zip(
                levels.energies.tolist(), levels.log_degeneracy.tolist(), strict=True
            )
        ]
        write_atomically(out, ("energy,log_degeneracy\n" + "\n".join(lines) + "\n").encode())
    if as_json:
        print_json(
            {
                "schema": "spinlogit.dos/1",
                "model": repr(spins),
                "method": method,
                "seed": None if method == "exact" else seed,
                "energy": levels.energies.tolist(),
                "log_degeneracy": levels.log_degeneracy.tolist(),
                "beta_boltzmann": plain(beta),
            }
        )
        return
    print(f"{spins!r}: {levels.energies.size} levels, {method}")
    print(f"{'E':>12} {'ln g':>14} {'β = dS/dE':>12}")
    shown = np.unique(np.linspace(0, levels.energies.size - 1, 21).round().astype(int))
    for k in shown.tolist():
        print(f"{levels.energies[k]:12.6g} {levels.log_degeneracy[k]:14.8g} {beta[k]:12.6g}")
    if out is not None:
        print(f"\nwritten: {printable(str(out))}")
