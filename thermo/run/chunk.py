"""A stretch of the way of one batch, as a pure function of where it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from thermo.run.plan import Plan
from thermo.run.structure_factor import half_spectrum, power
from thermo.sampling.batch import Batch

__all__ = ["Chunk", "LiveBatch", "run_chunk"]

_STRUCTURE_FACTOR = "run structure factor"  # beside the names that the batch gives its own state


@dataclass(frozen=True, eq=False)
class Chunk:
    """What one batch did between two of its sweeps.

    Attributes
    ----------
    begin, end : int
        Sweeps done before and after.
    series : dict of str to ndarray, shape (chains, draws)
        The draws made meanwhile; empty if there were none.
    snapshots : ndarray or None, shape (chains, snapshots, n[, d])
        The configurations kept meanwhile.
    final : dict of str to ndarray
        Of the last chunk: ``"spins"`` (chains, n[, d]) and, if asked for, ``"structure_factor"``
        (chains, blocks, *half_spectrum).
    state : dict of str to ndarray
        From which the batch goes on.
    seconds : float
        How long it took.
    """

    begin: int
    end: int
    series: dict[str, np.ndarray]
    snapshots: np.ndarray | None
    final: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0


def run_chunk(
    plan: Plan,
    index: int,
    begin: int,
    state: dict[str, np.ndarray] | None,
    end: int,
    given: np.ndarray | None = None,
) -> Chunk:
    """Take batch `index` from `begin` sweeps, where it was in `state`, to `end` sweeps.

    The bits do not depend on how the way is cut into chunks, nor on who runs them.
    """
    return LiveBatch(plan, index, begin, state, given=given).advance(end)


class LiveBatch:
    """A batch somewhere on its way through a plan.

    Parameters
    ----------
    plan : Plan
    index : int
        Which batch.
    begin : int
        Sweeps done so far.
    state : dict or None
        Of a chunk that ended there; None at the very beginning.
    threads : int
        For batches that several threads can share; the bits do not depend on it.
    given : ndarray or None, shape (chains, n[, d])
        `Plan.given_to` the batch, needed where there is no state.
    """

    def __init__(
        self,
        plan: Plan,
        index: int,
        begin: int = 0,
        state: dict[str, np.ndarray] | None = None,
        threads: int = 1,
        given: np.ndarray | None = None,
    ) -> None:
        self.plan = plan
        self.position = begin
        self.batch: Batch = plan.make_batch(index)
        if hasattr(self.batch, "threads"):
            self.batch.threads = threads
        self._structure_factor: np.ndarray | None = None
        if plan.structure_factors:
            shape = (plan.structure_factor_blocks, *half_spectrum(plan.model.lattice))
            self._structure_factor = np.zeros((plan.members(index)[0].size, *shape))
        if state is None:
            plan.start(self.batch, index, given)
        else:
            own = dict(state)
            if self._structure_factor is not None:
                self._structure_factor[:] = own.pop(_STRUCTURE_FACTOR)
            self.batch.restore(own)

    def advance(self, end: int) -> Chunk:
        """Sweep and measure until `end` sweeps are done."""
        start, begin = time.perf_counter(), self.position
        series: list[dict[str, np.ndarray]] = []
        snapshots: list[np.ndarray] = []
        while self.position < end:
            draws = self._step(end, series)
            if draws and self._due(self.plan.snapshots_every):
                snapshots.append(self.batch.spins)
            if draws and self._due(self.plan.structure_factor_every):
                self._add_structure_factor()
        return Chunk(
            begin=begin,
            end=end,
            series={
                name: np.concatenate([part[name] for part in series], axis=1)
                for name in (series[0] if series else ())
            },
            snapshots=np.stack(snapshots, axis=1) if snapshots else None,
            final=self._final(),
            state=self._state(),
            seconds=time.perf_counter() - start,
        )

    def _step(self, end: int, series: list[dict[str, np.ndarray]]) -> int:
        """Go on as far as one call of the batch can; return how many draws were made."""
        plan, every = self.plan, self.plan.measure_every
        if self.position < plan.burn_in:
            sweeps = min(end, plan.burn_in) - self.position
            self.batch.sweep(sweeps)
            self.position += sweeps
            return 0
        since = (self.position - plan.burn_in) % every
        rest = min(every - since, end - self.position)
        if since + rest < every:  # not as far as the next draw
            self.batch.sweep(rest)
            self.position += rest
            return 0
        draws = 1 if since else min((end - self.position) // every, self._until_due())
        series.append(self.batch.record(draws, rest))
        self.position += rest * draws
        return draws

    def _until_due(self) -> int:
        """Draws until the next snapshot or structure factor."""
        done = self.plan.draws_after(self.position)
        periods = (self.plan.snapshots_every, self.plan.structure_factor_every)
        return min((p - done % p for p in periods if p), default=self.plan.draws)

    def _due(self, period: int | None) -> bool:
        return period is not None and self.plan.draws_after(self.position) % period == 0

    def _add_structure_factor(self) -> None:
        plan, sums = self.plan, self._structure_factor
        assert sums is not None
        assert plan.structure_factor_every is not None
        number = plan.draws_after(self.position) // plan.structure_factor_every - 1
        length = plan.structure_factors // plan.structure_factor_blocks
        block, place = divmod(
            number - (plan.structure_factors - length * plan.structure_factor_blocks), length
        )
        if block >= 0:  # those left over at the start are not used
            # One after the other, so that the rounding is the same for every division into chunks.
            sums[:, block] += (power(plan.model, self.batch.spins) - sums[:, block]) / (place + 1)

    def _state(self) -> dict[str, np.ndarray]:
        state = self.batch.state()
        if self._structure_factor is not None:
            state[_STRUCTURE_FACTOR] = self._structure_factor.copy()
        return state

    def _final(self) -> dict[str, np.ndarray]:
        if self.position < self.plan.sweeps:
            return {}
        final = {"spins": self.batch.spins}
        if self._structure_factor is not None:
            final["structure_factor"] = self._structure_factor
        return final
