"""``spinlogit simulate``: a spin model over a list of β."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from thermo.cli.betas import parse_betas
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
    spin_model,
)
from thermo.printable import printable
from thermo.temperature import temperature_from_beta

if TYPE_CHECKING:
    from thermo.run.result import Run

__all__ = ["simulate_command"]


def simulate_command(
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
    beta: Annotated[
        list[str] | None,
        typer.Option("--beta", help="β: numbers, or from:to:count, commas between.  [0.2,-0.2]"),
    ] = None,
    temperature: Annotated[
        list[str] | None, typer.Option("--temperature", help="T in place of β, of either sign.")
    ] = None,
    sweeps: Annotated[int, typer.Option("--sweeps", help="Measured sweeps.")] = 1000,
    burn_in: Annotated[
        int | None, typer.Option("--burn-in", help="Sweeps before that.  [a fifth of --sweeps]")
    ] = None,
    replicas: Annotated[int, typer.Option("--replicas", help="Chains per β.")] = 64,
    update: Annotated[
        str, typer.Option("--update", help="metropolis, heat_bath, wolff, swendsen_wang, …")
    ] = "metropolis",
    measure_every: Annotated[
        int, typer.Option("--measure-every", help="Sweeps between measurements.")
    ] = 1,
    exchange_every: Annotated[
        int | None,
        typer.Option("--exchange-every", help="Parallel tempering: sweeps between exchanges of β."),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="[one per core]")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run file (netCDF) to write.")] = None,
    overwrite: OverwriteFlag = False,
    checkpoint: CheckpointOption = None,
    dask: DaskOption = None,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """A spin model at a list of β of either sign: means with errors, and a run file.

    Examples:

      spinlogit simulate --beta=-1:1:9 --size 32 --out run.nc

      spinlogit simulate --model potts --q 4 --update heat_bath --temperature 0.9,1.1,-1

      spinlogit simulate --disorder bimodal --beta 0.2:2:16 --exchange-every 1

      spinlogit simulate --sweeps 100000 --checkpoint long --out long.nc
    """
    from thermo.run.simulate import simulate
    from thermo.run.tempering import parallel_tempering

    betas = parse_betas(beta, temperature)
    check_output(out, overwrite)
    spins = spin_model(
        model, lattice, size, open_edges, graph, q, coupling, field, chirality, disorder, seed
    )
    with executor_at(dask) as executor:
        common: dict[str, Any] = {
            "burn_in": sweeps // 5 if burn_in is None else burn_in,
            "replicas": replicas,
            "update": update,
            "measure_every": measure_every,
            "seed": seed,
            "threads": threads,
            "executor": executor,
            "checkpoint": checkpoint,
            "progress": True,
        }
        if exchange_every is None:
            run = simulate(spins, betas, sweeps, **common)
        else:
            run = parallel_tempering(
                spins, np.sort(betas), sweeps, exchange_every=exchange_every, **common
            )
    if out is not None:
        run.save(out, overwrite=overwrite)
    if as_json:
        print_json(_run_document(run))
    else:
        print(_run_table(run))
        if out is not None:
            print(f"\nwritten: {printable(str(out))}")


_SHOWN = (
    ("energy", "E/n"),
    ("heat_capacity", "C/n"),
    ("absolute_magnetization", "|M|/n"),
    ("susceptibility", "χ/n"),
)


def _run_table(run: Run) -> str:
    """One line per β, per site, each number with its error in brackets."""
    n = run.model.lattice.n_sites
    lines = [
        f"{run.model!r}, per site",
        f"{'β':>10} {'T':>10}" + "".join(f"{title:>16}" for _, title in _SHOWN) + f"{'ESS(E)':>10}",
    ]
    estimates = [getattr(run, name) for name, _ in _SHOWN]
    from thermo.estimate.autocorrelation import rounded_to_error

    for b, value in enumerate(run.beta.tolist()):
        numbers = "".join(
            f"{rounded_to_error(e.mean[b] / n, e.error[b] / n):>16}" for e in estimates
        )
        temperature = float(temperature_from_beta(value))
        lines.append(f"{value:10.6g} {temperature:10.6g}{numbers}{run.energy.ess[b]:10.3g}")
    return "\n".join(lines)


def _run_document(run: Run) -> dict[str, Any]:
    """The estimates of a run, totals, as one JSON document."""
    names = [name for name, _ in _SHOWN]
    names += ["magnetization", "binder"]
    estimates = {}
    for name in names:
        estimate = getattr(run, name)
        estimates[name] = {
            part: plain(getattr(estimate, part)) for part in ("mean", "error", "ess", "tau")
        }
    return {
        "schema": "spinlogit.simulate/1",
        "model": repr(run.model),
        "sites": run.model.lattice.n_sites,
        "beta": plain(run.beta),
        "settings": dict(run.settings),
        "totals": estimates,
    }
