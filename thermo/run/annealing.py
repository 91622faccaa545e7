"""Population annealing from β = 0 outwards: ln Z, entropy and averages at signed β."""

from __future__ import annotations

import warnings
from concurrent.futures import CancelledError, ThreadPoolExecutor
from reprlib import repr as short
from threading import Event

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import checked_seed, whole_number
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.models.spin_model import SpinModel
from thermo.run.annealing_run import AnnealingRun, log_states
from thermo.run.checks import check_workers, kind_for_all_states
from thermo.run.memory import bytes_of_spins, check_memory_of
from thermo.run.progress_bar import progress_bar
from thermo.run.workers import available_cores
from thermo.sampling.population import Annealed, anneal
from thermo.temperature import as_beta

__all__ = ["population_annealing"]

Array = NDArray[np.float64]

_LEAST_FAMILIES = 100  # members per ρ_t (Wang, Machta, Katzgraber 2015)
_SERIES = 5  # energy and at most four observables
_COPIES = 4  # of the spins of an anneal: in its batches, gathered, resampled, and set again


def population_annealing(
    model: SpinModel,
    beta: ArrayLike,
    population: int,
    *,
    sweeps: int,
    replicas: int = 16,
    update: str = "metropolis",
    seed: int = 0,
    threads: int | None = None,
    progress: bool = False,
) -> AnnealingRun:
    r"""Anneal independent populations of a model from β = 0 to either sign, or both.

    A population of R members, drawn at β = 0, is taken from β to the next β′ by giving member i
    :math:`R w_i/\sum_j w_j` children on average, :math:`w_i = e^{-(\beta'-\beta)E_i}`, which are
    then swept at β′. The mean weights give

    .. math:: \ln Z(\beta) = \ln Z(0) + \sum_k \ln \langle w \rangle_k

    absolutely, and with it entropies and the density of states. Frustrated and bimodal models at
    low temperature are where it is better than independent chains.

    Parameters
    ----------
    model : Ising, Potts, Clock, XY, Heisenberg
    beta : array_like, shape (B,)
        1/energy; finite, strictly ascending or descending, 0 among them. β of both signs are
        reached by two anneals, each from β = 0 outwards. Steps of about
        1/√Var(E) keep `AnnealingRun.overlap` large; see also `suggest_ladder`.
    population : int
        Members of each population, R, at least 2; with 512 lanes a multiple of 512 wastes nothing.
    sweeps : int
        Of every member at every β, at least 1.
    replicas : int
        Independent populations, at least 2: errors come from their disagreement.
    update : str
        As in `thermo.simulate`.
    seed : int
        0 … 2⁶⁴ − 1. The same arguments with the same seed give the same numbers, for any `threads`.
    threads : int, optional
        Default: one per available core.
    progress : bool
        Show a progress bar.

    Returns
    -------
    AnnealingRun

    Raises
    ------
    InvalidInputError
        Any argument outside what is said above; before any work is done.

    Warns
    -----
    EquilibrationWarning
        ρ_t > R/100 at some β: too few families are left for the population to stand for the
        equilibrium, and for the errors to be trusted.

    Notes
    -----
    Where resampling does all the work (few sweeps, large steps) the populations collapse to few
    families; more sweeps or more steps are then better than more members. Not for β = ±inf: there
    ln Z is infinite; anneal to a finite β at which the ground states have all the weight.

    References
    ----------
    K. Hukushima, Y. Iba, AIP Conf. Proc. 690, 200 (2003); J. Machta, Phys. Rev. E 82, 026704
    (2010) (free energy, weighted averages); W. Wang, J. Machta, H. G. Katzgraber, Phys. Rev. E 92,
    063307 (2015) (families, ρ_t).

    Examples
    --------
    >>> from thermo import Ising
    >>> from thermo.lattice import chain
    >>> beta = np.linspace(-1, 1, 9)
    >>> run = population_annealing(Ising(chain(10)), beta, 512, sweeps=5, seed=1)
    >>> exact = np.log((2 * np.cosh(beta)) ** 10 + (2 * np.sinh(beta)) ** 10)
    >>> ln_z = run.log_partition_function
    >>> bool(np.all(np.abs(ln_z.mean - exact) <= 5 * ln_z.error))
    True
    """
    betas = _checked_schedule(beta)
    population = whole_number(population, "population", 2)
    sweeps = whole_number(sweeps, "sweeps", 1)
    replicas = whole_number(replicas, "replicas", 2, ", for errors come from their disagreement")
    seed = checked_seed(seed)
    check_workers(threads, None, None)
    kind = kind_for_all_states(model, update, betas[[0, -1]])
    zero = int(np.flatnonzero(betas == 0.0)[0])
    branches = [b for b in (np.arange(zero, len(betas)), np.arange(zero, -1, -1)) if len(b) > 1]
    tasks = [
        (replica, branch, branch_seed)
        for replica, one_seed in enumerate(np.random.SeedSequence(seed).spawn(replicas))
        for branch, branch_seed in zip(branches, one_seed.spawn(len(branches)), strict=True)
    ]
    workers = min(threads or available_cores(), len(tasks))
    series = 2 * 8 * _SERIES * betas.size * replicas  # of each anneal, and in the result
    check_memory_of(population, series + workers * _COPIES * bytes_of_spins(model), "members")
    steps = sum(len(branch) for _, branch, _ in tasks)
    stop = Event()
    with (
        progress_bar(progress, steps, unit="step", what="annealing") as bar,
        ThreadPoolExecutor(workers) as pool,
    ):

        def after_step() -> None:
            bar.update()
            if stop.is_set():
                raise CancelledError

        def annealed(branch: NDArray[np.intp], seed: np.random.SeedSequence) -> Annealed:
            firsts = range(0, population, kind.chains)
            *batch_seeds, own_seed = seed.spawn(len(firsts) + 1)
            batches = [
                kind.make(model, update, np.zeros(min(kind.chains, population - first)), batch_seed)
                for first, batch_seed in zip(firsts, batch_seeds, strict=True)
            ]
            return anneal(batches, betas[branch], sweeps, own_seed, after_step)

        running = [pool.submit(annealed, branch, seed) for _, branch, seed in tasks]
        try:
            results = [one.result() for one in running]
        finally:
            stop.set()  # after Ctrl-C or an error no population needs to go on

    run = AnnealingRun(
        model=model,
        beta=betas,
        series={name: np.empty((len(betas), replicas, population)) for name in results[0].series},
        log_z=np.empty((len(betas), replicas)),
        family_size=np.empty((len(betas), replicas)),
        overlap=np.empty((len(betas), replicas)),
        settings={"sweeps": sweeps, "update": update, "seed": seed},
    )
    for (replica, branch, _), result in zip(tasks, results, strict=True):
        for name, values in result.series.items():
            run.series[name][branch, replica] = values
        run.log_z[branch, replica] = log_states(model) + result.log_ratio
        run.family_size[branch, replica] = result.family_size
        run.overlap[branch, replica] = result.overlap
    _warn_of_few_families(run)
    return run


def _checked_schedule(beta: ArrayLike) -> Array:
    """Return β as an array, if it is a schedule through or from 0."""
    betas = np.atleast_1d(as_beta(beta))
    if betas.ndim != 1 or betas.size < 2:
        raise InvalidInputError(
            f"beta of shape {betas.shape} was given; accepted: a list of at least 2, 0 among them"
        )
    steps = np.diff(betas)
    if not np.isfinite(betas).all() or not ((steps > 0).all() or (steps < 0).all()):
        raise InvalidInputError(
            f"beta = {short(betas.tolist())} was given; accepted: finite numbers, each larger (or "
            "each smaller) than the one before"
        )
    if not (betas == 0.0).any():
        raise InvalidInputError(
            f"a schedule from β = {betas[0]:g} to {betas[-1]:g} without 0 was given; accepted: one "
            "that contains 0, where populations begin and the number of states is known"
        )
    return betas


def _warn_of_few_families(run: AnnealingRun) -> None:
    members = run.series["energy"].shape[2]
    largest = run.family_size.max(axis=1)
    worst = int(largest.argmax())
    if largest[worst] * _LEAST_FAMILIES > members:
        warnings.warn(
            f"at β = {run.beta[worst]:g} only about {members / largest[worst]:.3g} families are "
            f"left of a population of {members} (at least {_LEAST_FAMILIES} should be): errors "
            "there are not to be trusted. Give more sweeps, smaller steps of β or a larger "
            "population.",
            EquilibrationWarning,
            stacklevel=3,
        )
