"""Independent walkers over the energies of a model; what Wang–Landau and multicanonical share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from thermo.arguments import whole_number
from thermo.errors import InvalidInputError
from thermo.kernels.flat_moves import SHIFT, DiscreteSystem
from thermo.memory import check_memory_of
from thermo.sampling.energy_grid import EnergyGrid, energy_grid, flat_system, transition_columns

__all__ = ["EnergyWalk"]


class EnergyWalk(ABC):
    """Walkers that change one spin at a time, each with its own spins and random numbers.

    Parameters
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg
    walkers : int
        At least 1.
    seed : numpy.random.SeedSequence
        Gives every walker its start at β = 0 and its stream.
    bin_width : float, optional
        See `thermo.sampling.energy_grid.energy_grid`.

    Attributes
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg
    grid : EnergyGrid
    transitions : ndarray of int64, shape (walkers, bins, 2·reach + 1)
        Proposals of the walk from each bin, by the number of bins that they would go up (column −
        reach), accepted or not.

    Raises
    ------
    InvalidInputError
        A grid that cannot be made, or tables that do not fit into memory.
    """

    def __init__(
        self,
        model: Any,
        walkers: int,
        seed: np.random.SeedSequence,
        bin_width: float | None = None,
    ) -> None:
        self.model = model
        self.walkers = whole_number(walkers, "walkers", 1)
        self.grid: EnergyGrid = energy_grid(model, bin_width)
        self._system = flat_system(model, self.grid)
        discrete = isinstance(self._system, DiscreteSystem)
        # The unit of the walk's energies.
        self._quantum = self.grid.width * 2.0**-SHIFT if discrete else 1.0
        columns = transition_columns(model, self.grid)
        check_memory_of(self.walkers, 8 * self.grid.bins * columns, "walkers")
        start_seed, stream_seed = seed.spawn(2)
        start = np.random.Generator(np.random.PCG64(start_seed))
        streams = stream_seed.generate_state(2 * self.walkers, np.uint64)
        spins = model.random_spins(start, self.walkers)
        # One entry per walker along the first axis of each: all that a walk changes.
        self._changing: dict[str, np.ndarray] = {
            "states": spins.astype(np.uint8 if discrete else np.float64),
            "energy": np.empty((self.walkers, 1), dtype=np.int64 if discrete else np.float64),
            "generator": streams.reshape(self.walkers, 2),
            "transitions": np.zeros((self.walkers, self.grid.bins, columns), dtype=np.int64),
        }
        self.spins = spins

    @property
    def transitions(self) -> np.ndarray:
        return self._changing["transitions"]

    @property
    def spins(self) -> np.ndarray:
        """Configurations now, in the model's public form, (walkers, n) or (walkers, n, d).

        May be set.
        """
        states = self._changing["states"]
        if isinstance(self._system, DiscreteSystem):
            return self.model.spins_of(states.astype(np.int8))
        return states.copy()

    @spins.setter
    def spins(self, spins: np.ndarray) -> None:
        if isinstance(self._system, DiscreteSystem):
            states = self.model.states_of(spins)
            self._changing["energy"][:, 0] = _quanta(states, self._system)
        else:
            states = self.model.checked_spins(spins)
            self._changing["energy"][:, 0] = self.model.energy(states)
        self._changing["states"][:] = states

    @property
    def energies(self) -> np.ndarray:
        """Energies now, float64 of shape (walkers,)."""
        return self._changing["energy"][:, 0] * self._quantum

    def sweep(self, sweeps: int) -> None:
        """Make n·`sweeps` moves with every walker."""
        for k in range(self.walkers):
            self._advance(sweeps, self._walker(k))

    def record(self, draws: int, every: int) -> np.ndarray:
        """Return the energies after every `every` sweeps, float64 of shape (walkers, draws)."""
        series = np.empty((self.walkers, draws))
        for k in range(self.walkers):
            walker = self._walker(k)
            for draw in range(draws):
                self._advance(every, walker)
                series[k, draw] = walker["energy"][0]
        return series * self._quantum

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes."""
        return {name: array.copy() for name, array in self._changing.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it.

        Raises
        ------
        InvalidInputError
            A state of another kind of walk.
        """
        shapes = {name: np.shape(array) for name, array in state.items()}
        own = {name: array.shape for name, array in self._changing.items()}
        if shapes != own:
            raise InvalidInputError(
                f"a state of shapes {shapes} was given; accepted: {own}, as state() returns them"
            )
        for name, array in self._changing.items():
            array[:] = state[name]

    def _walker(self, k: int) -> dict[str, np.ndarray]:
        """Views of one walker's part of everything that changes."""
        return {name: array[k] for name, array in self._changing.items()}

    @abstractmethod
    def _advance(self, sweeps: int, walker: dict[str, np.ndarray]) -> None:
        """Run the kernel for one walker, whose part of every array is given."""


def _quanta(states: np.ndarray, system: DiscreteSystem) -> np.ndarray:
    """Energies in quanta, exactly as the kernel adds them up; shape (walkers,)."""
    n = states.shape[1]
    site = np.repeat(np.arange(n), (system.offsets[1:] - system.offsets[:-1]).astype(np.int64))
    difference = states[:, system.neighbours].astype(np.int64) - states[:, site]
    column = difference + int(system.n_states) - 1
    quanta = system.bond_energy[system.bond_rows, column].sum(axis=1) // 2  # each was seen twice
    if len(system.site_energy):
        quanta += system.site_energy[np.arange(n), states].sum(axis=1)
    return quanta
