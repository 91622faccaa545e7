"""Up to 512 replicas of an Ising model side by side: what their batches share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from thermo.errors import InvalidInputError
from thermo.kernels.lanes import LANES, WORDS, pack, unpack
from thermo.models.ising import Ising
from thermo.sampling.batch import one_per_chain
from thermo.sampling.lane_observables import LaneObservables
from thermo.temperature import as_beta

__all__ = ["LaneChains", "lane_spins"]

_SITES = 4096  # packed at a time
_MOST_DRAWS = 256  # draws held as integers before they are handed on


class LaneChains(ABC):
    """Replicas of an Ising model in the lanes of vectors of bits; subclasses sweep.

    They begin at random, as at β = 0. Lanes that are left over run along at the last β.

    Parameters
    ----------
    model : Ising
        Couplings ±J of one J, one field for all sites.
    observables : LaneObservables
        Of this model.
    beta : ndarray, shape (chains,)
        1 to 512 real numbers or ±inf.
    seed : numpy.random.SeedSequence
        Gives the random start and the streams of the sweeps; of no other batch.
    state_rows : int
        Rows of 8 words that are the state of the random streams.

    Raises
    ------
    InvalidInputError
        Too many chains; β that is not real.
    """

    def __init__(
        self,
        model: Ising,
        observables: LaneObservables,
        beta: np.ndarray,
        seed: np.random.SeedSequence,
        state_rows: int,
    ) -> None:
        self.model = model
        self._observables, self._pairs = observables, observables.pairs
        self.beta = beta
        n = model.lattice.n_sites
        start, sweeps = seed.spawn(2)
        # Below the spins a row of all down and one of all up, for counting single spins.
        self._rows = np.empty((n + 2, WORDS), dtype=np.uint64)
        generator = np.random.Generator(np.random.PCG64(start))
        self._rows[:n] = generator.integers(0, 2**64, size=(n, WORDS), dtype=np.uint64)
        self._rows[n], self._rows[n + 1] = 0, 2**64 - 1
        words = sweeps.generate_state(state_rows * WORDS, np.uint64)
        self._generator = words.reshape(state_rows, WORDS)

    @property
    def beta(self) -> np.ndarray:
        """1/energy of every chain, shape (chains,); read-only: assign another array."""
        return self._beta

    @beta.setter
    def beta(self, beta: np.ndarray) -> None:
        beta = np.array(as_beta(beta))
        if beta.ndim != 1 or not 1 <= beta.size <= LANES:
            raise InvalidInputError(
                f"beta of shape {beta.shape} was given; accepted: 1 to {LANES} chains"
            )
        self._prepare(_padded(beta))
        beta.flags.writeable = False
        self._beta = beta

    @property
    def rows(self) -> np.ndarray:
        """The spins now, packed: uint64 of shape (n, 8)."""
        return self._rows[:-2]

    @property
    def spins(self) -> np.ndarray:
        """The spins now, int8 ±1 of shape (chains, n)."""
        return lane_spins(self.rows)[: self.beta.size]

    @spins.setter
    def spins(self, spins: np.ndarray) -> None:
        shape = (self.beta.size, self.model.lattice.n_sites)
        states = one_per_chain(self.model.states_of(spins), shape)
        for first in range(0, states.shape[1], _SITES):
            some = slice(first, first + _SITES)
            self.rows[some] = pack(_padded(states[:, some]).T == 0)

    def sweep(self, sweeps: int) -> None:
        """Advance every chain by so many sweeps."""
        self._advance(sweeps, 0)

    def record(self, draws: int, every: int) -> dict[str, np.ndarray]:
        """Measure `draws` times, each after `every` more sweeps: name → (chains, draws)."""
        series: dict[str, np.ndarray] = {}
        for start in range(0, draws, _MOST_DRAWS):
            some = slice(start, min(start + _MOST_DRAWS, draws))
            counts = self._advance(every, some.stop - start)
            part = self._observables.series([c[: self.beta.size] for c in counts])
            for name, values in part.items():
                if name not in series:
                    series[name] = np.empty((self.beta.size, draws))
                series[name][:, some] = values
        return series

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes."""
        return {
            "rows": self.rows.copy(),
            "generator": self._generator.copy(),
            "beta": self.beta.copy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        self.rows[:] = state["rows"]
        self._generator[:] = state["generator"]
        self.beta = state["beta"]

    def _advance(self, sweeps: int, draws: int) -> list[np.ndarray]:
        """Run the kernel; return the counts of each observable, int64 of shape (512, draws)."""
        counts = tuple(np.empty((64 * draws, WORDS), dtype=np.uint64) for _ in self._pairs)
        self._run(sweeps, draws, counts)
        # (draw, bit, word) → lane = 64·word + bit
        return [
            c.reshape(draws, 64, WORDS).transpose(2, 1, 0).reshape(LANES, draws).view(np.int64)
            for c in counts
        ]

    @abstractmethod
    def _prepare(self, beta: np.ndarray) -> None:
        """Make what the kernel needs at these β of all 512 lanes."""

    @abstractmethod
    def _run(self, sweeps: int, draws: int, counts: tuple[np.ndarray, ...]) -> None:
        """Call the kernel, which writes how many of each of the `_pairs` of rows differ."""


def lane_spins(rows: np.ndarray) -> np.ndarray:
    """Unpack spins: uint64 of shape (n, 8) to int8 ±1 of shape (512, n)."""
    spins = unpack(rows).view(np.int8)
    spins *= 2  # in place, for there may be gigabytes
    spins -= 1
    return spins.T


def _padded(values: np.ndarray) -> np.ndarray:
    """Repeat the last row until there is one for every lane."""
    if len(values) == LANES:
        return values
    return values[np.minimum(np.arange(LANES), len(values) - 1)]
