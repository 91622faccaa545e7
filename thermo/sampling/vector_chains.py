"""Chains of a model of unit vectors: their spins, random streams and measurements."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from thermo.errors import InvalidInputError
from thermo.kernels.lanes import WORDS
from thermo.kernels.vector import VectorInteractions, measure
from thermo.models.vector import VectorModel
from thermo.sampling.batch import one_per_chain
from thermo.sampling.model_tables import kept_with_model
from thermo.temperature import as_beta

__all__ = ["LARGEST_BETA", "VectorChains"]

# Stands for infinity in the kernels: e^(−βΔE) is 0 or 1 for any ΔE that is not a rounded zero, and
# no product with an energy overflows.
LARGEST_BETA = 1e200


class VectorChains(ABC):
    """What the updates of XY and Heisenberg models share; a `thermo.sampling.batch.Batch`.

    Eight chains make a group, whose spins lie side by side (see `thermo.kernels.vector`). Chains
    that are missing in the last group are copies of the last chain with random numbers of their
    own, and are never shown.

    Parameters
    ----------
    model : XY or Heisenberg
    update : str
        One of the class's `updates`.
    beta : array_like, shape (chains,)
        1/energy; any real numbers and ±inf, at least one.
    seed : numpy.random.SeedSequence
        Gives the random start and one stream per chain; of no other batch.

    Raises
    ------
    InvalidInputError
        Another update; β that is not real or has another shape.
    """

    updates: tuple[str, ...]

    def __init__(
        self, model: VectorModel, update: str, beta: ArrayLike, seed: np.random.SeedSequence
    ) -> None:
        if update not in self.updates:
            raise InvalidInputError(
                f"update = {update!r} was given; accepted: {', '.join(map(repr, self.updates))}"
            )
        self.model = model
        self.update = update
        self._chains, n, d = np.size(beta), model.lattice.n_sites, model.components
        self.beta = beta
        groups = -(-self._chains // WORDS)
        start_seed, sweep_seed = seed.spawn(2)
        self._rows = np.empty((groups, d * n, WORDS))
        start = np.random.Generator(np.random.PCG64(start_seed))
        self.spins = model.random_spins(start, self._chains)
        streams = sweep_seed.generate_state(groups * 2 * WORDS, np.uint64)
        self._streams = streams.reshape(groups, 2, WORDS)
        self._interactions, self._signs = _interactions(model), _signs(model)

    @property
    def beta(self) -> np.ndarray:
        """1/energy of every chain, shape (chains,); read-only: assign another array."""
        return self._beta

    @beta.setter
    def beta(self, beta: ArrayLike) -> None:
        beta = np.array(as_beta(beta))
        if beta.shape != (self._chains,):
            raise InvalidInputError(
                f"beta of shape {beta.shape} was given; accepted: ({self._chains},)"
            )
        self._check_beta(beta)
        beta.flags.writeable = False
        self._beta = beta
        self._lane_beta = self._grouped(np.clip(beta, -LARGEST_BETA, LARGEST_BETA))

    def _check_beta(self, beta: np.ndarray) -> None:
        """Refuse what the update cannot do; here nothing."""
        return

    @property
    def spins(self) -> np.ndarray:
        """The spins now, unit vectors of shape (chains, n, d)."""
        n, d = self.model.lattice.n_sites, self.model.components
        lanes = self._rows.reshape(-1, n, d, WORDS).transpose(0, 3, 1, 2).reshape(-1, n, d)
        return lanes[: self._chains].copy()

    @spins.setter
    def spins(self, spins: ArrayLike) -> None:
        shape = (self._chains, self.model.lattice.n_sites, self.model.components)
        grouped = self._grouped(one_per_chain(self.model.checked_spins(spins), shape))
        self._rows[:] = grouped.transpose(0, 2, 3, 1).reshape(self._rows.shape)

    def _grouped(self, values: np.ndarray) -> np.ndarray:
        """Arrange the values of the chains in groups of eight, the last one repeated."""
        groups = -(-self._chains // WORDS)
        lane = np.minimum(np.arange(groups * WORDS), self._chains - 1)
        return values[lane].reshape(groups, WORDS, *values.shape[1:])

    @abstractmethod
    def sweep(self, sweeps: int) -> None:
        """Advance every chain by so many sweeps."""

    def record(self, draws: int, every: int) -> dict[str, np.ndarray]:
        """Measure `draws` times, each after `every` more sweeps.

        Returns
        -------
        dict of str to ndarray, shape (chains, draws)
            ``"energy"``, summed anew over all bonds at every draw, and the model's observables.
        """
        totals = np.empty((draws, len(self._rows), 7, WORDS))
        for draw in range(draws):
            self.sweep(every)
            measure(self._rows, self._interactions, self._signs, totals[draw])
        per_chain = totals.transpose(2, 1, 3, 0).reshape(7, -1, draws)[:, : self._chains]
        axis = self.model.axis
        series = {
            "energy": per_chain[0],
            "magnetization": per_chain[1 + axis],
            "magnetization_length": np.sqrt((per_chain[1:4] ** 2).sum(axis=0)),
        }
        if self.model.lattice.is_bipartite:
            series["staggered_magnetization"] = per_chain[4 + axis]
            series["staggered_length"] = np.sqrt((per_chain[4:7] ** 2).sum(axis=0))
        return {name: np.ascontiguousarray(values) for name, values in series.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes: spins, random streams, β."""
        return {
            "spins": self._rows.copy(),
            "streams": self._streams.copy(),
            "beta": self._beta.copy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        self._rows[:] = state["spins"]
        self._streams[:] = state["streams"]
        self.beta = state["beta"]


@kept_with_model
def _signs(model: VectorModel) -> np.ndarray:
    """+1 on sublattice 0 and −1 on sublattice 1; zeros where there are none."""
    sublattice = model.lattice.sublattice
    return np.zeros(model.lattice.n_sites) if sublattice is None else 1.0 - 2.0 * sublattice


@kept_with_model
def _interactions(model: VectorModel) -> VectorInteractions:
    lattice = model.lattice
    fields = np.zeros((lattice.n_sites, 3))
    fields[:, : model.components] = model.fields
    return VectorInteractions(
        # One colour after the other: neighbouring steps of the kernel need not wait for each other.
        order=np.argsort(lattice.colouring, kind="stable").astype(np.int32),
        offsets=np.array(lattice.offsets),
        neighbours=np.array(lattice.adjacency),
        couplings=model.couplings[lattice.adjacent_bonds],
        fields=fields,
        components=model.components,
    )
