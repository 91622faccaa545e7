"""Work in independent pieces, each of which may be cut anywhere, done anywhere and gone on with."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

import numpy as np

from thermo.run.chunk import Chunk

__all__ = ["Piece", "Sampler", "SamplerPiece", "State", "Work", "joined", "run_piece"]

State = Mapping[str, np.ndarray]


class Piece(Protocol):
    """A piece of work, somewhere on its way."""

    def advance(self, end: int) -> Chunk:
        """Go on until `end` steps are done, or the piece is: then the chunk has a ``final``.

        The state in it is a copy, from which another piece goes on to the same bits.
        """


class Work(ABC):
    """Pieces that know nothing of one another, each a way of many steps.

    With the same work every worker does the same. Bits do not depend on how the way of a piece is
    cut into chunks, nor on who goes it: that is all that `thermo.run.workers` (threads, executors)
    and `thermo.run.checkpoint` need.

    Attributes
    ----------
    pieces : range
        The numbers of the pieces. Works that share a checkpoint have different ones.
    moves_per_step : int
        Attempted changes of single spins in a step of one piece, about.
    most_steps : int
        Of a chunk, so that what it holds stays small.
    unit, what : str
        What a step is called, and what is being done, for the progress bar.
    """

    unit: ClassVar[str] = "sweep"
    what: ClassVar[str] = "sampling"

    @property
    @abstractmethod
    def pieces(self) -> range: ...

    @property
    @abstractmethod
    def moves_per_step(self) -> int: ...

    @property
    def most_steps(self) -> int:
        return sys.maxsize

    @abstractmethod
    def steps(self, index: int) -> int | None:
        """Return how many steps a piece has, or None if it finds out on the way."""

    @abstractmethod
    def begin(self, index: int, position: int, state: State | None, threads: int = 1) -> Piece:
        """Return piece `index` after `position` steps, where it was in `state` (None: at first).

        Several `threads` are for what can share the work of one piece; bits do not depend on it.
        """

    def only(self, index: int, begun: bool) -> Work:
        """Return as much of the work as is needed for one piece, to be sent to a worker."""
        return self


class Sampler(Protocol):
    """Anything that can be put back to where it was, bit for bit."""

    def state(self) -> dict[str, np.ndarray]: ...

    def restore(self, state: dict[str, np.ndarray]) -> None: ...


class SamplerPiece:
    """A piece of a known number of steps, made by one sampler.

    Parameters
    ----------
    sampler : Sampler
        As it is at first.
    position, state
        As of `Work.begin`.
    steps : int
        Of the whole piece.
    go : callable
        (begin, end) → what is measured on the way from step `begin` to step `end`, name →
        array (chains, draws).
    final : callable
        () → what is left when all steps are done, name → array; not empty.
    """

    def __init__(
        self,
        sampler: Sampler,
        position: int,
        state: State | None,
        steps: int,
        go: Callable[[int, int], dict[str, np.ndarray]],
        final: Callable[[], dict[str, np.ndarray]],
    ) -> None:
        if state is not None:
            sampler.restore(dict(state))
        self._sampler, self._position, self._steps = sampler, position, steps
        self._go, self._final = go, final

    def advance(self, end: int) -> Chunk:
        start, begin = time.perf_counter(), self._position
        series = self._go(begin, end)
        self._position = end
        return Chunk(
            begin=begin,
            end=end,
            series=series,
            snapshots=None,
            final=self._final() if end == self._steps else {},
            state=self._sampler.state(),
            seconds=time.perf_counter() - start,
        )


def run_piece(work: Work, index: int, position: int, state: State | None, end: int) -> Chunk:
    """Take piece `index` from `position`, where it was in `state`, to `end`: a pure function."""
    return work.begin(index, position, state).advance(end)


def joined(chunks: list[Chunk]) -> Chunk:
    """Make one chunk of several that follow one another."""
    series: dict[str, list[np.ndarray]] = {}
    for chunk in chunks:
        for name, values in chunk.series.items():
            series.setdefault(name, []).append(values)
    snapshots = [chunk.snapshots for chunk in chunks if chunk.snapshots is not None]
    last = chunks[-1]
    return Chunk(
        begin=chunks[0].begin,
        end=last.end,
        series={name: np.concatenate(parts, axis=1) for name, parts in series.items()},
        snapshots=np.concatenate(snapshots, axis=1) if snapshots else None,
        final=last.final,
        state=last.state,
    )
