"""Population annealing from β = 0 outwards: ln Z, entropy and averages at signed β."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import Executor
from dataclasses import dataclass
from reprlib import repr as short
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import checked_seed, whole_number
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.models.spin_model import SpinModel
from thermo.run.annealing_run import AnnealingRun, log_states
from thermo.run.checkpoint import open_checkpoint
from thermo.run.checks import check_workers, kind_for_all_states
from thermo.run.chunk import Chunk
from thermo.run.identity import identity
from thermo.run.memory import Means, check_annealing
from thermo.run.work import SamplerPiece, State, Work
from thermo.run.workers import run_work
from thermo.sampling.population import Population
from thermo.sampling.registry import BatchKind
from thermo.temperature import as_beta

__all__ = ["population_annealing"]

Array = NDArray[np.float64]

_LEAST_FAMILIES = 100  # members per ρ_t (Wang, Machta, Katzgraber 2015)


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
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
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
        0 … 2⁶⁴ − 1. The same arguments with the same seed give the same bits, for any `threads`,
        any `executor`, and whether or not the run was interrupted.
    threads, executor, progress, checkpoint
        As in `thermo.simulate`. What travels, dies and resumes is a population on its way to one
        sign of β: resampling couples its members, so that no more workers are of use than there are
        of these, and the spins of one are sent there and back about once a second.

    Returns
    -------
    AnnealingRun

    Raises
    ------
    InvalidInputError
        Any argument outside what is said above; before any work is done.
    CheckpointError
        As in `thermo.simulate`.

    Warns
    -----
    CheckpointWarning, WorkerWarning
        As in `thermo.simulate`.
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
    check_workers(threads, executor, None, progress)
    kind = kind_for_all_states(model, update, betas[[0, -1]])
    work = Annealing(model, kind, update, betas, population, sweeps, replicas, seed)
    means = Means(threads, executor, checkpoint is not None)
    check_annealing(work, means)
    shape = (len(betas), replicas)
    run = AnnealingRun(
        model=model,
        beta=betas,
        series={},
        log_z=np.empty(shape),
        family_size=np.empty(shape),
        overlap=np.empty(shape),
        settings={"sweeps": sweeps, "update": update, "seed": seed},
    )

    def add(index: int, chunk: Chunk) -> None:
        replica, branch = work.place(index)
        last = (index + 1) % len(work.branches) == 0

        def put(result: NDArray, values: NDArray, first: int = 0) -> None:
            """Write values of the β from number `first` on; those of β = 0 are of the last way."""
            skipped = int(first == 0 and not last)
            result[branch[first + skipped : first + len(values)], replica] = values[skipped:]

        for name, values in chunk.series.items():
            if name not in run.series:
                run.series[name] = np.empty((*shape, population))
            put(run.series[name], values.T, chunk.begin // sweeps)
        if chunk.final:
            put(run.log_z, log_states(model) + chunk.final["log_ratio"])
            put(run.family_size, chunk.final["family_size"])
            put(run.overlap, chunk.final["overlap"])

    with open_checkpoint(checkpoint, work.identity()) as kept:
        run_work(
            work,
            add,
            threads=threads,
            executor=executor,
            progress=progress,
            checkpoint=kept,
            at_once=None if executor else means.workers(len(work.pieces)),
        )
    _warn_of_few_families(run)
    return run


@dataclass(frozen=True, eq=False)
class Annealing(Work):
    """Independent populations, each on its way from β = 0 to one end of the schedule.

    A step is a sweep. Series: what was measured of every member at the end of each β that was
    finished, (population, β). What is left: ``"log_ratio"``, ``"family_size"`` and ``"overlap"``,
    shape (β,).
    """

    model: SpinModel
    kind: BatchKind
    update: str
    beta: Array
    population: int
    sweeps: int
    replicas: int
    seed: int

    what: ClassVar[str] = "annealing"

    @property
    def branches(self) -> list[NDArray[np.intp]]:
        """Numbers of the β on each way out from β = 0, which is first."""
        zero = int(np.flatnonzero(self.beta == 0.0)[0])
        ways = np.arange(zero, len(self.beta)), np.arange(zero, -1, -1)
        return [way for way in ways if len(way) > 1]

    @property
    def pieces(self) -> range:
        return range(self.replicas * len(self.branches))

    @property
    def moves_per_step(self) -> int:
        return self.population * self.model.lattice.n_sites

    def place(self, index: int) -> tuple[int, NDArray[np.intp]]:
        """Return which replica a piece is, and which β are on its way."""
        replica, branch = divmod(index, len(self.branches))
        return replica, self.branches[branch]

    @property
    def most_steps(self) -> int:
        return self.sweeps  # one β

    def steps(self, index: int) -> int:
        return len(self.place(index)[1]) * self.sweeps

    def begin(
        self, index: int, position: int, state: State | None, threads: int = 1
    ) -> SamplerPiece:
        # What SeedSequence(seed).spawn gives the replica, and that its branches.
        seed = np.random.SeedSequence(self.seed, spawn_key=divmod(index, len(self.branches)))
        firsts = range(0, self.population, self.kind.chains)
        *batch_seeds, own_seed = seed.spawn(len(firsts) + 1)
        population = Population(
            [
                self.kind.make(
                    self.model,
                    self.update,
                    np.zeros(min(self.kind.chains, self.population - first)),
                    batch_seed,
                )
                for first, batch_seed in zip(firsts, batch_seeds, strict=True)
            ],
            own_seed,
        )
        beta = self.beta[self.place(index)[1]]

        def go(begin: int, end: int) -> dict[str, np.ndarray]:
            finished = []
            while begin < end:
                step, since = divmod(begin, self.sweeps)
                if since == 0:
                    population.enter(float(beta[step]))
                rest = min(self.sweeps - since, end - begin)
                if since + rest < self.sweeps:
                    population.sweep(rest)
                else:
                    finished.append(population.measure(rest))
                begin += rest
            return {
                name: np.stack([series[name] for series in finished], axis=1)
                for name in (finished[0] if finished else ())
            }

        def final() -> dict[str, np.ndarray]:
            return {
                "log_ratio": population.log_ratio,
                "family_size": population.family_size,
                "overlap": population.overlap,
            }

        return SamplerPiece(population, position, state, self.steps(index), go, final)

    def identity(self) -> dict[str, object]:
        """Return everything that the bits of the result depend on, as JSON can hold it."""
        return identity(
            self.model,
            run="population_annealing",
            update=self.update,
            batch=f"{self.kind.name} of {self.kind.chains}",
            beta=self.beta,
            population=self.population,
            sweeps=self.sweeps,
            replicas=self.replicas,
            seed=self.seed,
        )


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
