"""Long runs in the laboratory: states that move on in time, a few at a time, on the engine's rails.

Threads or an executor, progress, checkpoints and resuming to the same bits are those of
`thermo.run.work`: an experiment says how its state begins and how it moves on.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

from thermo.arguments import checked_seed
from thermo.memory import check_memory
from thermo.run.checkpoint import open_checkpoint
from thermo.run.checks import check_workers
from thermo.run.identity import identity
from thermo.run.work import Sampler, SamplerPiece, State, Work
from thermo.run.workers import finished_pieces

__all__ = ["Motion", "Trajectory", "follow"]

_CHUNK_BYTES = 2**25  # of observations that wait to be put together


class Trajectory(Sampler, Protocol):
    """A few independent systems on their way; ``state`` and ``restore`` hold all that changes."""

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        """Go on, and return what was observed after each step, arrays (systems, steps[, …])."""


@dataclass(frozen=True, eq=False)
class Motion(ABC):
    """What moves and how: a frozen dataclass, all of whose fields its bits depend on.

    Its fields are numbers, text, None, arrays, spin models and tuples of these. It travels to
    worker processes, and is what the ``plan.json`` of a checkpoint is made of.

    Attributes
    ----------
    what : str
        What is being done, for the progress bar.
    """

    what: ClassVar[str] = "moving"

    @property
    @abstractmethod
    def pieces(self) -> int:
        """How many trajectories there are, which know nothing of one another."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """How many steps each has; one observation is kept of each."""

    @property
    @abstractmethod
    def moves_per_step(self) -> int:
        """Elementary moves in a step of one trajectory, about; 20 million should take a second."""

    @property
    @abstractmethod
    def bytes_per_step(self) -> int:
        """Of what one trajectory observes in a step."""

    @abstractmethod
    def begin(self, piece: int, seed: np.random.SeedSequence) -> Trajectory:
        """Return a trajectory at its beginning, with random numbers of its own."""


def follow(
    motion: Motion,
    *,
    seed: int,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> dict[str, np.ndarray]:
    """Follow every trajectory to its end.

    Parameters
    ----------
    motion : Motion
    seed : int
        0 … 2⁶⁴ − 1; piece k has the stream ``SeedSequence(seed, spawn_key=(k,))``.
    threads, executor, progress, checkpoint
        As in `thermo.simulate`.

    Returns
    -------
    dict of str to ndarray, shape (systems of all pieces, steps[, …])

    Raises
    ------
    InvalidInputError
        An argument out of range, or more observations than fit into memory.
    CheckpointError
        As in `thermo.simulate`.
    """
    seed = checked_seed(seed)
    check_workers(threads, executor, None, progress)
    observed = float(motion.pieces) * motion.steps * motion.bytes_per_step
    check_memory("the run", {"what is observed": 2.0 * observed})  # once in chunks, once joined
    work = _Trajectories(motion, seed)
    with open_checkpoint(checkpoint, work.identity()) as kept:
        chunks = finished_pieces(
            work, threads=threads, executor=executor, progress=progress, checkpoint=kept
        )
    names = chunks[0].series
    return {name: np.concatenate([chunk.series[name] for chunk in chunks]) for name in names}


@dataclass(frozen=True, eq=False)
class _Trajectories(Work):
    motion: Motion
    seed: int

    unit: ClassVar[str] = "step"

    @property
    def what(self) -> str:  # type: ignore[override]
        return self.motion.what

    @property
    def pieces(self) -> range:
        return range(self.motion.pieces)

    @property
    def moves_per_step(self) -> int:
        return self.motion.moves_per_step

    @property
    def most_steps(self) -> int:
        return max(1, _CHUNK_BYTES // max(1, self.motion.bytes_per_step))

    def steps(self, index: int) -> int:
        return self.motion.steps

    def begin(
        self, index: int, position: int, state: State | None, threads: int = 1
    ) -> SamplerPiece:
        seed = np.random.SeedSequence(self.seed, spawn_key=(index,))
        trajectory = self.motion.begin(index, seed)
        return SamplerPiece(
            trajectory,
            position,
            state,
            self.motion.steps,
            lambda begin, end: trajectory.advance(end - begin),
            trajectory.state,
        )

    def identity(self) -> dict[str, Any]:
        settings = {field.name: getattr(self.motion, field.name) for field in fields(self.motion)}
        return identity(None, run=type(self.motion).__name__, seed=self.seed, **settings)
