"""Compile every kernel once, so that later first calls find it in numba's cache."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from thermo.arguments import checked_seed, true_or_false
from thermo.errors import EquilibrationWarning, UncertaintyWarning
from thermo.lattice import chain, cubic, honeycomb, king, square
from thermo.models import XY, Clock, Heisenberg, Ising, Potts, spin_glass
from thermo.models.spin_model import SpinModel
from thermo.run.annealing import population_annealing
from thermo.run.demon import demon_thermometer
from thermo.run.density_of_states import density_of_states
from thermo.run.progress_bar import progress_bar
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering
from thermo.sampling.registry import accepted_updates
from thermo.sampling.updates import CLUSTER_UPDATES, SPIN_UPDATES

__all__ = ["warmup"]

_SWEEPS = 64  # so many draws of few chains are measured side by side


def warmup(*, seed: int = 0, progress: bool = False) -> dict[str, float]:
    """Run every model and update once on a tiny lattice, so that its kernels are compiled.

    Numba keeps what it compiles on disk (next to the package, or in NUMBA_CACHE_DIR); processes
    that start later load it in a fraction of a second. Where the cache is full this is quick.

    What is left: a graph whose sites have up to 1, 5, 7 or 9 to 15 neighbours, as no regular
    lattice has, compiles the sweep of an Ising model in a few seconds when it is first met.

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
    seed, progress = checked_seed(seed), true_or_false(progress, "progress")
    seconds: dict[str, float] = {}
    work = list(_work(seed))
    with (
        warnings.catch_warnings(),
        progress_bar(progress, len(work), unit="kernel", what="compiling") as bar,
    ):
        for of_few_sweeps in (EquilibrationWarning, UncertaintyWarning):
            warnings.simplefilter("ignore", of_few_sweeps)
        for name, run in work:
            start = time.perf_counter()
            run()
            seconds[name] = time.perf_counter() - start
            bar.update()
    return seconds


def _work(seed: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every model with every update it has, and what is not an update."""
    lattice, large = square(4), square(256)
    model: SpinModel
    for name, model in _models_in_lanes():
        yield name, partial(_run, model, "metropolis", 2, seed)
    for name, model, replicas in (
        ("Ising", Ising(lattice), 2),
        ("Ising, 256 replicas", Ising(lattice), 256),
        ("Ising on a large torus", Ising(large), 2),
        ("Ising on a large torus in a field", Ising(large, field=0.1), 2),
        ("Gaussian glass", spin_glass(lattice, "gaussian", seed=seed), 2),
        ("Potts", Potts(lattice, 3), 2),
        ("clock", Clock(lattice, 4), 2),
        ("XY", XY(lattice), 2),
        ("Heisenberg", Heisenberg(lattice), 2),
    ):
        for update in accepted_updates(model):
            if update in CLUSTER_UPDATES and ("glass" in name or "field" in name):
                continue  # clusters refuse these
            if "large" in name and update not in SPIN_UPDATES:
                continue  # as on small ones
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
    for name, model, options in (
        ("Ising", Ising(chain(4)), {}),
        ("XY", XY(chain(2, periodic=False)), {"bin_width": 0.5}),
    ):
        for method in ("wang_landau", "multicanonical"):
            sampled = partial(density_of_states, method=method, seed=seed, **options)
            yield f"density of states of {name}: {method}", partial(sampled, model)


def _models_in_lanes() -> Iterator[tuple[str, Ising]]:
    """One model for each kernel of `thermo.kernels.ising_lanes` that a regular lattice needs.

    They differ in the largest number of neighbours (a graph may have any up to 15: those that no
    regular lattice has are compiled when they are first met), in whether there is a field or an
    edge, and in whether couplings of both signs occur.
    """
    for lattice in (chain(4), honeycomb(3), square(4), cubic(3), king(4)):
        both_signs = np.ones(lattice.n_edges)
        both_signs[0] = -1.0
        for disorder, coupling in (("", 1.0), ("±J ", both_signs)):
            for place, field in (("", 0.0), (" in a field", 0.1)):
                neighbours = int(lattice.degrees[0])
                name = f"{disorder}Ising, {neighbours} neighbours{place}"
                yield name, Ising(lattice, coupling, field)


def _run(model: SpinModel, update: str, replicas: int, seed: int) -> object:
    return simulate(
        model, [0.1], _SWEEPS, burn_in=1, replicas=replicas, update=update, seed=seed, threads=1
    )
