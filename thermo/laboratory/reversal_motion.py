"""Ising lattices whose field is reversed: how they begin, and how they move on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from thermo.kernels.lab_spin_reversal import count_classes, relax_and_exchange
from thermo.laboratory.trajectories import Motion
from thermo.models.ising import Ising

__all__ = ["ReversalMotion", "local_fields", "up_probabilities"]

FloatArray = NDArray[np.float64]

_MOST_PIECES = 16  # of the replicas


@dataclass(frozen=True, eq=False)
class ReversalMotion(Motion):
    """Replicas in equilibrium, all spins of which are flipped at t = 0.

    To flip all spins and to reverse the field are the same: the bonds notice neither.

    Observed at each of the `times`: ``"counts"`` (replicas, times, classes, 2), how many spins are
    up and down among those whose neighbours have a sum of −z, −z + 1 … z; and ``"purse"``
    (replicas, times), the energy of the demon.

    Attributes
    ----------
    model : Ising
        Couplings and field uniform; the field is that after the reversal.
    beta, bath_beta : float
        β₀ of `spins` and `purses`, and of the bath.
    exchange : float
        Attempts with the demon for each with the bath.
    demon_maximum : float
    times : ndarray
        In units of T₁, rising from 0.
    spins : ndarray of ±1, shape (replicas, n)
        In equilibrium, before they are flipped.
    purses : ndarray, shape (replicas,)
        What the demons have then; among the multiples of the spacing of energies, if there is one.
    """

    what: ClassVar[str] = "relaxing"

    model: Ising
    beta: float
    bath_beta: float
    exchange: float
    demon_maximum: float
    times: FloatArray
    spins: NDArray[np.int8]
    purses: FloatArray

    @property
    def replicas(self) -> int:
        """How many lattices, each with its demon."""
        return len(self.spins)

    @property
    def pieces(self) -> int:
        return min(self.replicas, _MOST_PIECES)

    @property
    def attempts(self) -> float:
        """How many moves of one lattice are attempted, on average."""
        sites = self.model.lattice.n_sites
        return float(self.times[-1]) * (1.0 + self.exchange) * sites

    @property
    def steps(self) -> int:
        return len(self.times)

    @property
    def moves_per_step(self) -> int:
        lattices = -(-self.replicas // self.pieces)
        return max(1, round(self.attempts * lattices / self.steps))

    @property
    def bytes_per_step(self) -> int:
        classes = 2 * int(self.model.lattice.degrees.max(initial=0)) + 1
        observed = 8 * classes + 8
        return -(-self.replicas // self.pieces) * 4 * observed  # it is made into real numbers

    def begin(self, piece: int, seed: np.random.SeedSequence) -> Reversal:
        some = slice(
            self.replicas * piece // self.pieces, self.replicas * (piece + 1) // self.pieces
        )
        return Reversal(self, some, seed)


class Reversal:
    """A few of the replicas on their way; a step leads from one of the times to the next.

    Attempts come at random, each spin having them at the rate (1 + exchange)/T₁: how many there are
    between two times is drawn from Poisson's law, so that time is continuous.
    """

    def __init__(self, motion: ReversalMotion, some: slice, seed: np.random.SeedSequence) -> None:
        model = motion.model
        self._motion = motion
        self._spins, self._held = -motion.spins[some], motion.purses[some]
        replicas = len(self._spins)
        self._purses = np.zeros((replicas, 2), dtype=np.int64)
        clock, streams = seed.spawn(2)
        self._streams = streams.generate_state(2 * replicas, np.uint64).reshape(replicas, 2)
        rates = np.diff(motion.times) * (1.0 + motion.exchange) * model.lattice.n_sites
        self._attempts = np.random.Generator(np.random.PCG64(clock)).poisson(
            rates[:, None], (len(rates), replicas)
        )
        self._step = np.zeros(1, dtype=np.int64)

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        motion, lattice = self._motion, self._motion.model.lattice
        classes = len(local_fields(motion.model))
        counts = np.empty((steps, len(self._spins), classes, 2), dtype=np.int32)
        purse = np.empty((len(self._spins), steps))
        for step in range(steps):
            done = int(self._step[0])
            if done:
                self._attempt(self._attempts[done - 1])
            self._step[0] += 1
            count_classes(self._spins, lattice.offsets, lattice.adjacency, counts[step])
            purse[:, step] = self._demon_energy()
        return {"counts": np.ascontiguousarray(counts.swapaxes(0, 1)), "purse": purse}

    def _attempt(self, attempts: NDArray[np.int64]) -> None:
        motion, model = self._motion, self._motion.model
        relax_and_exchange(
            self._spins,
            self._purses,
            self._held,
            self._streams,
            attempts,
            model.lattice.offsets,
            model.lattice.adjacency,
            up_probabilities(model, motion.bath_beta),
            1.0 / (1.0 + motion.exchange),
            model.coupling,
            model.field,
            motion.demon_maximum,
        )

    def _demon_energy(self) -> FloatArray:
        model = self._motion.model
        energy = self._held + self._purses @ np.array([model.coupling, model.field])
        return np.clip(energy, 0.0, self._motion.demon_maximum)  # where rounding left it outside

    def state(self) -> dict[str, np.ndarray]:
        return {
            "spins": self._spins.copy(),
            "purses": self._purses.copy(),
            "streams": self._streams.copy(),
            "step": self._step.copy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._spins, self._purses = state["spins"].copy(), state["purses"].copy()
        self._streams, self._step = state["streams"].copy(), state["step"].copy()


def local_fields(model: Ising) -> FloatArray:
    """Return J b + h for sums b of the neighbours from −z to z; shape (2z + 1,).

    A spin s in it has the energy −s (J b + h), its bonds included.
    """
    reach = int(model.lattice.degrees.max(initial=0))
    return model.coupling * np.arange(-reach, reach + 1.0) + model.field


def up_probabilities(model: Ising, beta: float) -> FloatArray:
    """Return 1/(1 + e^{−2β(J b + h)}) for each class of `local_fields`; β may be ±∞."""
    fields = local_fields(model)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(fields == 0.0, 0.5, expit(2.0 * beta * fields)))
