"""Chains at several β, in batches of 512 over a pool of threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np

from thermo.models.ising import Ising
from thermo.sampling.lane_batch import LANES, LaneBatch

__all__ = ["Plan", "run_chains"]

_FLIPS_PER_STEP = 2**30  # attempted flips, about 0.1 s, between two looks at progress and Ctrl-C


@dataclass(frozen=True, eq=False)
class Plan:
    """A run that has been checked and may begin.

    Chain c is replica c % replicas of β number c // replicas. `ordered` (B,) says which β begin in
    an ordered state; `given` (B, replicas, n) overrules it.
    """

    model: Ising
    beta: np.ndarray
    replicas: int
    burn_in: int
    draws: int
    measure_every: int
    update: str
    ordered: np.ndarray
    given: np.ndarray | None
    seed: int

    @property
    def chains(self) -> int:
        """Number of chains of all β together."""
        return self.beta.size * self.replicas

    @property
    def batches(self) -> int:
        """Number of batches of 512 chains, the last one perhaps in part idle."""
        return -(-self.chains // LANES)

    @property
    def sweeps(self) -> int:
        """Sweeps of every chain."""
        return self.burn_in + self.draws * self.measure_every


def run_chains(plan: Plan, threads: int | None, progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """Run all chains; every batch has its own random stream, whichever thread takes it.

    Returns
    -------
    series : ndarray, shape (3 or 2, chains, draws)
        Energy, magnetisation and, on bipartite lattices, staggered magnetisation.
    rows : ndarray of uint64, shape (batches, n, 8)
        Final spins, packed (`thermo.sampling.lane_batch.lane_spins` unpacks a batch).
    """
    lattice = plan.model.lattice
    series = np.empty((3 if lattice.is_bipartite else 2, plan.chains, plan.draws))
    seeds = np.random.SeedSequence(plan.seed).spawn(plan.batches)
    workers = min(threads or _cores(), plan.batches)
    stop = Event()
    with _bar(plan.sweeps * plan.batches, progress) as bar, ThreadPoolExecutor(workers) as pool:
        try:
            running = [
                pool.submit(_run_batch, plan, k, seeds[k], series, bar, stop)
                for k in range(plan.batches)
            ]
            rows = np.stack([batch.result() for batch in running])
        finally:
            stop.set()  # after Ctrl-C or an error no batch needs to go on
    return series, rows


def _run_batch(
    plan: Plan,
    index: int,
    seed: np.random.SeedSequence,
    series: np.ndarray,
    bar: Any,
    stop: Event,
) -> np.ndarray:
    """Run the chains 512·index, …, write their part of `series` and return their final spins."""
    used = slice(index * LANES, min((index + 1) * LANES, plan.chains))
    size = used.stop - used.start
    # Lanes that are left over in the last batch run along as copies of the last chain's β.
    chain = np.minimum(np.arange(used.start, used.start + LANES), plan.chains - 1)
    of_beta, replica = np.divmod(chain, plan.replicas)
    batch = LaneBatch(
        plan.model, plan.update, plan.beta[of_beta], replica, plan.ordered[of_beta], seed
    )
    if plan.given is not None:
        batch.spins = plan.given[of_beta, replica]

    step = max(1, _FLIPS_PER_STEP // (plan.model.lattice.n_sites * LANES))
    for begin in range(0, plan.burn_in, step):
        part = min(step, plan.burn_in - begin)
        batch.sweep(part)
        bar.update(part)
        if stop.is_set():
            return batch.rows
    step = max(1, step // plan.measure_every)
    for begin in range(0, plan.draws, step):
        part = min(step, plan.draws - begin)
        measured = batch.record(part, plan.measure_every)
        for total, values in zip(series, measured, strict=False):  # no staggered series: two only
            assert values is not None
            total[used, begin : begin + part] = values[:size]
        bar.update(part * plan.measure_every)
        if stop.is_set():
            return batch.rows
    return batch.rows


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bar(total: int, shown: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, disable=not shown, unit="sweep", desc="sampling", leave=False)
