"""The chains of a plan as work, and their results put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thermo.run.checkpoint import open_checkpoint
from thermo.run.chunk import Chunk
from thermo.run.live_batch import LiveBatch
from thermo.run.plan import Plan
from thermo.run.work import State, Work
from thermo.run.workers import run_work

__all__ = ["Chains", "Outcome", "Progress", "run_chains"]


@dataclass(frozen=True)
class Progress:
    """What the `callback` of a run is told after every chunk of work.

    Attributes
    ----------
    fraction : float
        Of all the work of the run, 0 … 1.
    sweeps : int
        Done by the chains of this chunk, burn-in included.
    beta, replica : ndarray, shape (chains,)
        Which β, as its number, and which replica of it each chain of this chunk is.
    series : mapping of str to ndarray, shape (chains, draws)
        What they measured in this chunk; empty during burn-in.
    """

    fraction: float
    sweeps: int
    beta: np.ndarray
    replica: np.ndarray
    series: Mapping[str, np.ndarray]


@dataclass
class Outcome:
    """The results of all chains, put together as they come in.

    Attributes
    ----------
    plan : Plan
    series : dict of str to ndarray, shape (B, replicas, draws)
    snapshots : ndarray or None, shape (B, replicas, snapshots, n[, d])
    final : dict of str to ndarray, shape (B, replicas, …)
        ``"spins"`` and perhaps the arrays of `SpectrumMoments` (`spectrum_in`).
    """

    plan: Plan
    series: dict[str, np.ndarray] = field(default_factory=dict)
    snapshots: np.ndarray | None = None
    final: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, index: int, chunk: Chunk) -> None:
        """Put what batch `index` did into its place."""
        plan = self.plan
        chains = plan.members(index)
        lead = (plan.beta.size, plan.replicas)
        before, after = (plan.draws_after(sweeps) for sweeps in (chunk.begin, chunk.end))
        for name, values in chunk.series.items():
            if name not in self.series:
                self.series[name] = np.empty((*lead, plan.draws))
            self.series[name][(*chains, slice(before, after))] = values
        if chunk.snapshots is not None:
            kept = chunk.snapshots
            if self.snapshots is None:
                self.snapshots = np.empty((*lead, plan.snapshots, *kept.shape[2:]), kept.dtype)
            assert plan.snapshots_every is not None
            first = before // plan.snapshots_every
            self.snapshots[(*chains, slice(first, first + kept.shape[1]))] = kept
        for name, values in chunk.final.items():
            if name not in self.final:
                self.final[name] = np.empty((*lead, *values.shape[1:]), values.dtype)
            self.final[name][chains] = values


@dataclass(frozen=True, eq=False)
class Chains(Work):
    """The chains of a plan, batch by batch.

    Attributes
    ----------
    plan : Plan
    given : ndarray or None, shape (chains, n[, d])
        Where the one batch begins that this was sent for, if the plan was sent without its starts.
    """

    plan: Plan
    given: np.ndarray | None = None

    @property
    def pieces(self) -> range:
        return range(self.plan.batches)

    @property
    def moves_per_step(self) -> int:
        return self.plan.model.lattice.n_sites * min(self.plan.kind.chains, self.plan.chains)

    @property
    def most_steps(self) -> int:
        return self.plan.chunk_sweeps

    def steps(self, index: int) -> int:
        return self.plan.sweeps

    def begin(self, index: int, position: int, state: State | None, threads: int = 1) -> LiveBatch:
        given = None
        if state is None:
            given = self.plan.given_to(index) if self.given is None else self.given
        own = None if state is None else dict(state)
        return LiveBatch(self.plan, index, position, own, threads, given)

    def only(self, index: int, begun: bool) -> Chains:
        if self.plan.given is None:
            return self
        given = None if begun else self.plan.given_to(index)
        return Chains(replace(self.plan, given=None), given)

    def identity(self) -> dict[str, Any]:
        """Return everything that the bits of the result depend on, as JSON can hold it."""
        return {"run": "chains", **self.plan.identity()}


def run_chains(
    plan: Plan,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    callback: Callable[[Progress], object] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Outcome:
    """Run all chains of a plan, or the rest of what a checkpoint holds.

    Every batch has its own random streams and its chunks come one after the other, so the bits are
    the same whoever runs them and wherever they are cut.

    Parameters
    ----------
    plan : Plan
    threads : int, optional
        In this process; default: one per available core.
    executor : concurrent.futures.Executor, optional
        Used instead of threads. Should its workers die, the rest is done in this process.
    progress : bool
        Show a progress bar.
    callback : callable, optional
        Called in this thread after every chunk.
    checkpoint : path-like, optional
        The directory of a `Checkpoint`.

    Returns
    -------
    Outcome

    Raises
    ------
    CheckpointError
        As `Checkpoint`.
    InvalidInputError
        The executor was shut down.
    """
    work, outcome = Chains(plan), Outcome(plan)

    def told(index: int, chunk: Chunk, fraction: float) -> None:
        if callback:
            callback(Progress(fraction, chunk.end, *plan.members(index), chunk.series))

    with open_checkpoint(checkpoint, work.identity()) as kept:
        run_work(
            work,
            outcome.add,
            threads=threads,
            executor=executor,
            progress=progress,
            checkpoint=kept,
            told=told,
        )
    return outcome
