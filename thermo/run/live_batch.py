"""A batch of chains on its way through a plan, chunk by chunk."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from thermo.run.chunk import Chunk
from thermo.run.plan import Plan
from thermo.run.power_spectrum import SpectrumMoments
from thermo.sampling.batch import Batch

__all__ = ["LiveBatch", "spectrum_in"]

_SPECTRUM = "spectrum "  # before the names of the spectrum's arrays


def spectrum_in(final: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of `SpectrumMoments`, by their own names; empty if there are none."""
    return {
        name.removeprefix(_SPECTRUM): values
        for name, values in final.items()
        if name.startswith(_SPECTRUM)
    }


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
        self._spectrum: SpectrumMoments | None = None
        if plan.structure_factors:
            blocks = plan.structure_factor_blocks
            self._spectrum = SpectrumMoments(
                plan.model, plan.members(index)[0].size, blocks, plan.structure_factors // blocks
            )
        if state is None:
            plan.start(self.batch, index, given)
        else:
            own = dict(state)
            for name, values in self._spectrum_arrays().items():
                values[:] = own.pop(name)
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
                self._measure_spectrum()
        return Chunk(
            begin=begin,
            end=end,
            series=_joined(series),
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

    def _measure_spectrum(self) -> None:
        plan, spectrum = self.plan, self._spectrum
        assert spectrum is not None
        assert plan.structure_factor_every is not None
        left_over = plan.structure_factors - spectrum.blocks * spectrum.length
        number = plan.draws_after(self.position) // plan.structure_factor_every - 1 - left_over
        if number >= 0:  # those left over at the start are not used
            spectrum.add(self.batch.spins, number)

    def _spectrum_arrays(self) -> dict[str, np.ndarray]:
        if self._spectrum is None:
            return {}
        return {_SPECTRUM + name: values for name, values in self._spectrum.arrays.items()}

    def _state(self) -> dict[str, np.ndarray]:
        spectrum = {name: values.copy() for name, values in self._spectrum_arrays().items()}
        return self.batch.state() | spectrum

    def _final(self) -> dict[str, np.ndarray]:
        if self.position < self.plan.sweeps:
            return {}
        return {"spins": self.batch.spins} | self._spectrum_arrays()


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Put draws, name → (chains, draws), one after the other; one part alone is not copied."""
    if len(parts) == 1:
        return parts[0]
    names = parts[0] if parts else ()
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in names}
