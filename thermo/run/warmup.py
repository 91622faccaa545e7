"""Compile every kernel once, so that later first calls find it in numba's cache."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

from thermo.arguments import checked_seed
from thermo.errors import EquilibrationWarning
from thermo.lattice import chain, cubic, honeycomb, square
from thermo.models import XY, Clock, Heisenberg, Ising, Potts, spin_glass
from thermo.models.spin_model import SpinModel
from thermo.run.annealing import population_annealing
from thermo.run.demon import demon_thermometer
from thermo.run.density_of_states import density_of_states
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering
from thermo.sampling.registry import accepted_updates
from thermo.sampling.updates import CLUSTER_UPDATES, SPIN_UPDATES

__all__ = ["warmup"]


def warmup(*, seed: int = 0, progress: bool = False) -> dict[str, float]:
    """Run every model and update once on a tiny lattice, so that its kernels are compiled.

    Numba keeps what it compiles on disk (next to the package, or in NUMBA_CACHE_DIR); processes
    that start later load it in a fraction of a second. Where the cache is full this is quick.

    Parameters
    ----------
    seed : int
        0 … 2⁶⁴ − 1; no number that matters depends on it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        What was run → seconds, almost all of them compilation where they are many.

    Raises
    ------
    InvalidInputError
        A seed out of range.

    Examples
    --------
    >>> seconds = warmup()
    >>> seconds["demon"] > 0.0
    True
    """
    from tqdm.auto import tqdm

    seed = checked_seed(seed)
    seconds: dict[str, float] = {}
    work = list(_work(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquilibrationWarning)  # two sweeps
        for name, run in tqdm(work, disable=not progress, desc="compiling", leave=False):
            start = time.perf_counter()
            run()
            seconds[name] = time.perf_counter() - start
    return seconds


def _work(seed: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every model with every update it has, and what is not an update."""
    lattice = square(4)
    for name, model, replicas in (
        ("Ising", Ising(lattice), 2),
        ("Ising, 256 replicas", Ising(lattice), 256),
        ("Ising in a field", Ising(lattice, field=0.1), 2),
        ("Ising, 3 neighbours", Ising(honeycomb(3)), 2),
        ("Ising, 6 neighbours", Ising(cubic(3)), 2),
        ("Ising, 2 neighbours", Ising(chain(4)), 2),
        ("Ising on a large torus", Ising(square(256)), 2),
        ("±J glass", spin_glass(lattice, "bimodal", seed=seed), 2),
        ("Gaussian glass", spin_glass(lattice, "gaussian", seed=seed), 2),
        ("Potts", Potts(lattice, 3), 2),
        ("clock", Clock(lattice, 4), 2),
        ("XY", XY(lattice), 2),
        ("Heisenberg", Heisenberg(lattice), 2),
    ):
        for update in accepted_updates(model):
            if update in CLUSTER_UPDATES and ("glass" in name or "field" in name):
                continue  # clusters refuse these
            if "neighbours" in name and update not in SPIN_UPDATES:
                continue  # only the lanes care how many neighbours there are
            yield f"{name}: {update}", partial(_run, model, update, replicas, seed)
    ising = Ising(lattice)
    yield (
        "parallel tempering",
        partial(parallel_tempering, ising, [0.1, 0.2], 2, burn_in=1, replicas=2, seed=seed),
    )
    annealing = partial(population_annealing, sweeps=1, seed=seed)
    yield "population annealing", partial(annealing, ising, [0.0, 0.1], 2)
    yield "demon", partial(demon_thermometer, ising, 0.0, 4, burn_in=1, replicas=2, seed=seed)
    yield "exact density of states", partial(density_of_states, ising)
    for method in ("wang_landau", "multicanonical"):
        sampled = partial(density_of_states, method=method, seed=seed)
        yield f"density of states: {method}", partial(sampled, Ising(chain(4)))


def _run(model: SpinModel, update: str, replicas: int, seed: int) -> object:
    beta = [0.1]
    return simulate(
        model, beta, 2, burn_in=1, replicas=replicas, update=update, seed=seed, threads=1
    )
