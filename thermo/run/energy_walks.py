"""Walks in energy as work in pieces: one piece for every walker."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thermo.errors import NotConvergedError
from thermo.run.chunk import Chunk
from thermo.run.work import SamplerPiece, State, Work
from thermo.sampling.multicanonical import Multicanonical
from thermo.sampling.wang_landau import WangLandau

__all__ = ["FlatWalks", "LearningWalks", "Preparation"]

_MULTICANONICAL = 2**31  # first word of its spawn keys; Wang–Landau walkers count from 0
_MOVES_PER_LOOK = 2**21  # of a preparation, between two looks at whether ln g is refined


@dataclass(frozen=True, eq=False)
class LearningWalks(Work):
    """Wang–Landau walkers, each with a seed of its own.

    What is left of each: ``"log_density"`` (1, bins), ``"log_factor"`` and ``"refined"`` (1,).
    """

    model: Any
    walkers: int
    sweeps: int
    seed: int
    bin_width: float | None

    what: ClassVar[str] = "walking"

    @property
    def pieces(self) -> range:
        return range(self.walkers)

    @property
    def moves_per_step(self) -> int:
        return int(self.model.lattice.n_sites)

    def steps(self, index: int) -> int:
        return self.sweeps

    def begin(
        self, index: int, position: int, state: State | None, threads: int = 1
    ) -> SamplerPiece:
        seed = np.random.SeedSequence(self.seed, spawn_key=(index,))
        walk = WangLandau(self.model, 1, seed, self.bin_width)

        def go(begin: int, end: int) -> dict[str, np.ndarray]:
            walk.sweep(end - begin)
            return {}

        def final() -> dict[str, np.ndarray]:
            return {
                "log_density": walk.log_density,
                "log_factor": walk.log_factor,
                "refined": walk.refined,
            }

        return SamplerPiece(walk, position, state, self.sweeps, go, final)


@dataclass(frozen=True, eq=False)
class Preparation(Work):
    """One Wang–Landau walker that learns weights, and then passes configurations for `walkers`.

    It ends at twice the sweeps after which ln f had become 1/t. What is left: ``"log_density"``
    (bins,) and ``"spins"`` (walkers, n[, d]).
    """

    model: Any
    walkers: int
    most: int
    seed: int
    bin_width: float | None

    what: ClassVar[str] = "preparing"

    @property
    def pieces(self) -> range:
        return range(1)

    @property
    def moves_per_step(self) -> int:
        return int(self.model.lattice.n_sites)

    def steps(self, index: int) -> None:
        return None

    def begin(
        self, index: int, position: int, state: State | None, threads: int = 1
    ) -> _PreparingWalk:
        return _PreparingWalk(self, position, state)


class _PreparingWalk:
    """The piece of a `Preparation`."""

    def __init__(self, work: Preparation, position: int, state: State | None) -> None:
        seed = _seed(work.seed, 0)
        self._work, self._position = work, position
        self._walk = WangLandau(work.model, 1, seed, work.bin_width)
        self._look = max(1, _MOVES_PER_LOOK // work.moves_per_step)
        self._learnt_after = 0  # sweeps; 0 while it is learning
        self._passed = self._walk.spins[:0]
        if state is not None:
            own = dict(state)
            self._learnt_after = int(own.pop("learnt_after"))
            self._passed = own.pop("passed")
            self._walk.restore(own)

    def advance(self, end: int) -> Chunk:
        start, begin = time.perf_counter(), self._position
        while self._position < end and len(self._passed) < self._work.walkers:
            stop = self._next_stop()
            self._walk.sweep(min(stop, end) - self._position)
            self._position = min(stop, end)
            if self._position == stop:
                self._stop()
        finished = len(self._passed) == self._work.walkers
        log_density = self._walk.log_density[0]
        return Chunk(
            begin=begin,
            end=self._position,
            series={},
            snapshots=None,
            final={"log_density": log_density, "spins": self._passed} if finished else {},
            state={
                **self._walk.state(),
                "learnt_after": np.array(self._learnt_after),
                "passed": self._passed,
            },
            seconds=time.perf_counter() - start,
        )

    def _next_stop(self) -> int:
        """The sweep after which to look, or to take the next configuration."""
        if not self._learnt_after:
            return (self._position // self._look + 1) * self._look
        # As long again: ln g settles, and the walk passes everywhere.
        part = -(-self._learnt_after // self._work.walkers)
        return self._learnt_after + (len(self._passed) + 1) * part

    def _stop(self) -> None:
        if self._learnt_after:
            self._passed = np.concatenate([self._passed, self._walk.spins])
        elif self._walk.refined.all():
            self._learnt_after = self._position
        elif self._position >= self._work.most:
            raise NotConvergedError(
                f"the weights were not ready after {self._position} sweeps: ln f is "
                f"{self._walk.log_factor[0]:.2g}; give more sweeps, or levels of a longer "
                "wang_landau"
            )


@dataclass(frozen=True, eq=False)
class FlatWalks(Work):
    """Multicanonical walkers, with the same weights and each with a seed of its own.

    A step is a draw. Series: ``"energy"`` (1, draws). What is left of each: ``"transitions"``
    (1, bins, columns) and ``"round_trips"`` (1,).

    Attributes
    ----------
    log_density : ndarray, shape (bins,)
        Whose inverse are the weights.
    spins : ndarray or None, shape (walkers, n[, d])
        Where they begin; None: at random.
    draws, every : int
        Draws of each walker, and sweeps between them.
    """

    model: Any
    walkers: int
    log_density: np.ndarray
    spins: np.ndarray | None
    draws: int
    every: int
    seed: int
    bin_width: float | None

    unit: ClassVar[str] = "draw"
    what: ClassVar[str] = "walking"

    @property
    def pieces(self) -> range:
        return range(1, self.walkers + 1)  # 0 is the preparation

    @property
    def moves_per_step(self) -> int:
        return int(self.every * self.model.lattice.n_sites)

    def steps(self, index: int) -> int:
        return self.draws

    def begin(
        self, index: int, position: int, state: State | None, threads: int = 1
    ) -> SamplerPiece:
        seed = _seed(self.seed, index)
        walk = Multicanonical(self.model, 1, seed, self.log_density, self.bin_width)
        if self.spins is not None and state is None:
            walk.spins = self.spins[index - 1 : index]

        def go(begin: int, end: int) -> dict[str, np.ndarray]:
            return {"energy": walk.record(end - begin, self.every)}

        def final() -> dict[str, np.ndarray]:
            return {"transitions": walk.transitions, "round_trips": walk.round_trips}

        return SamplerPiece(walk, position, state, self.draws, go, final)


def _seed(seed: int, index: int) -> np.random.SeedSequence:
    """The seed of a piece of a multicanonical run: none that a Wang–Landau walker has.

    Weights from `thermo.wang_landau` are often given to a run with the same seed.
    """
    return np.random.SeedSequence(seed, spawn_key=(_MULTICANONICAL, index))
