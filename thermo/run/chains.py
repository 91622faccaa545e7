"""All chains of a plan, chunk by chunk, in threads or through any executor."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from thermo.errors import InvalidInputError, WorkerWarning
from thermo.run.checkpoint import Checkpoint
from thermo.run.chunk import Chunk, LiveBatch, run_chunk
from thermo.run.plan import Plan
from thermo.run.progress_bar import progress_bar
from thermo.run.workers import available_cores

__all__ = ["Outcome", "Progress", "run_chains"]

_SECONDS = 1.0  # a chunk should take about so long
# … of which nothing is known at the first one: at most so many attempted flips, and so many sweeps,
# each of which may be followed by a snapshot.
_FIRST_FLIPS, _FIRST_SWEEPS = 2**24, 1000

State = dict[str, np.ndarray]


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
        ``"spins"`` and perhaps ``"structure_factor"``.
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
    the same whoever runs them and wherever they are cut. What ends the run early (Ctrl-C, an
    exception of the callback) leaves all finished chunks in the checkpoint.

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
    with nullcontext() if checkpoint is None else Checkpoint(checkpoint, plan) as kept:
        return _run(plan, threads, executor, progress, callback, kept)


def _run(
    plan: Plan,
    threads: int | None,
    executor: Executor | None,
    progress: bool,
    callback: Callable[[Progress], object] | None,
    checkpoint: Checkpoint | None,
) -> Outcome:
    outcome = Outcome(plan)
    waiting: dict[int, tuple[int, State | None]] = {}
    for index in range(plan.batches):
        position, state = 0, None
        for chunk in checkpoint.chunks(index) if checkpoint else ():
            outcome.add(index, chunk)
            position, state = chunk.end, chunk.state
        if position < plan.sweeps:
            waiting[index] = (position, state)
    total = plan.sweeps * plan.batches
    done = total - sum(plan.sweeps - position for position, _ in waiting.values())

    with progress_bar(progress, total, unit="sweep", what="sampling", done=done) as bar:

        def record(index: int, chunk: Chunk) -> None:
            nonlocal done
            outcome.add(index, chunk)
            if checkpoint:
                checkpoint.add(index, chunk)
            bar.update(chunk.end - chunk.begin)
            done += chunk.end - chunk.begin
            if callback:
                of_beta, replica = plan.members(index)
                callback(Progress(done / total, chunk.end, of_beta, replica, chunk.series))

        if executor is not None:
            try:
                _drive(plan, _Remote(plan, executor), waiting, record)
            except Exception as error:
                if not _workers_died(error):
                    raise
                reason = str(error) or type(error).__name__
                warnings.warn(
                    f"the executor's workers died ({reason}); the run goes on in this process from "
                    "the last finished chunks, with the same results",
                    WorkerWarning,
                    stacklevel=4,
                )
        if waiting:
            with _Threads(plan, threads or available_cores(), len(waiting)) as pool:
                _drive(plan, pool, waiting, record)
    return outcome


def _workers_died(error: Exception) -> bool:
    """Tell lost workers from an error in their work.

    Those of dask are known by where their class is from: a killed worker, a lost connection.
    """
    if isinstance(error, BrokenExecutor | CancelledError):
        return True
    return any(kind.__module__.split(".")[0] == "distributed" for kind in type(error).__mro__)


class _Workers(Protocol):
    """What can run chunks."""

    def submit(self, index: int, begin: int, state: State | None, end: int) -> Future[Chunk]: ...


class _Remote:
    """Any executor; batches are made anew for every chunk, where it is run."""

    def __init__(self, plan: Plan, executor: Executor) -> None:
        self.plan, self.executor = plan, executor
        self.light = replace(plan, given=None)  # only the batch that begins is sent its starts

    def submit(self, index: int, begin: int, state: State | None, end: int) -> Future[Chunk]:
        given = self.plan.given_to(index) if state is None else None
        try:
            return self.executor.submit(run_chunk, self.light, index, begin, state, end, given)
        except RuntimeError as error:
            if "shutdown" not in str(error) or isinstance(error, BrokenExecutor):
                raise
            raise InvalidInputError(
                f"executor = {self.executor!r} was given, which was shut down; accepted: one that "
                "takes work until the run has ended"
            ) from error


class _Threads:
    """Threads of this process, which keep their batches from chunk to chunk.

    Where there are more threads than batches, several share a batch, if it knows how (`RowBatch`).
    """

    def __init__(self, plan: Plan, threads: int, batches: int) -> None:
        self.plan = plan
        self.pool = ThreadPoolExecutor(min(threads, batches))
        self.threads_per_batch = max(1, threads // batches)
        self.live: dict[int, LiveBatch] = {}

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def submit(self, index: int, begin: int, state: State | None, end: int) -> Future[Chunk]:
        return self.pool.submit(self._run, index, begin, state, end)

    def _run(self, index: int, begin: int, state: State | None, end: int) -> Chunk:
        if index not in self.live:
            given = self.plan.given_to(index) if state is None else None
            self.live[index] = LiveBatch(
                self.plan, index, begin, state, self.threads_per_batch, given
            )
        chunk = self.live[index].advance(end)
        if end == self.plan.sweeps:
            del self.live[index]
        return chunk


def _drive(
    plan: Plan,
    workers: _Workers,
    waiting: dict[int, tuple[int, State | None]],
    record: Callable[[int, Chunk], None],
) -> None:
    """Run `waiting` batches to their ends, `record` their chunks, keep `waiting` up to date."""
    flips_per_sweep = plan.model.lattice.n_sites * min(plan.kind.chains, plan.chains)
    first = min(_FIRST_SWEEPS, max(1, _FIRST_FLIPS // flips_per_sweep))
    length = dict.fromkeys(waiting, first)
    running: dict[Future[Chunk], int] = {}

    def submit(index: int) -> None:
        begin, state = waiting[index]
        end = min(begin + length[index], plan.sweeps)
        running[workers.submit(index, begin, state, end)] = index

    try:
        for index in waiting:
            submit(index)
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                index = running.pop(future)
                chunk = future.result()
                record(index, chunk)
                if chunk.end == plan.sweeps:
                    del waiting[index]
                    continue
                waiting[index] = (chunk.end, chunk.state)
                scale = min(4.0, max(0.25, _SECONDS / max(chunk.seconds, 1e-9)))
                length[index] = max(1, int((chunk.end - chunk.begin) * scale))
                submit(index)
    finally:
        for future in running:
            future.cancel()
