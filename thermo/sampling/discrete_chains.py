"""Chains of a discrete model: what all its batches share whatever their update rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import as_real
from thermo.errors import InvalidInputError
from thermo.kernels.discrete_moves import energies
from thermo.models.difference import DifferenceModel
from thermo.sampling.batch import one_per_chain
from thermo.sampling.discrete_rules import energy_tables, interactions, kernel_beta

__all__ = ["DiscreteChains"]


class DiscreteChains(ABC):
    """Chains of an Ising, Potts or clock model, each at its own signed β; subclasses sweep.

    They begin at random, as at β = 0. Every chain has a random stream of its own.

    Parameters
    ----------
    model : Ising, Potts or Clock
        Any couplings, fields and graph.
    beta : array_like, shape (chains,)
        Any real numbers and ±inf, in 1/energy.
    seed : numpy.random.SeedSequence
        Of no other batch.

    Raises
    ------
    InvalidInputError
        A model that is not one of these; β that is nan or not of one axis.
    """

    def __init__(
        self, model: DifferenceModel, beta: ArrayLike, seed: np.random.SeedSequence
    ) -> None:
        if not isinstance(model, DifferenceModel):
            raise InvalidInputError(
                f"model = {model!r} was given; accepted: thermo.Ising, Potts or Clock"
            )
        self.model = model
        self._changed = True  # β or states, since a subclass last looked
        self._rules = interactions(model)
        self._beta = _checked_beta(beta)
        self._kernel_beta = kernel_beta(model, self._beta)
        start_seed, sweep_seed = seed.spawn(2)
        words = sweep_seed.generate_state(2 * self.chains, np.uint64)
        self._streams = words.reshape(self.chains, 2)
        self.states = self._random_states(np.random.Generator(np.random.PCG64(start_seed)))

    @property
    def chains(self) -> int:
        """Number of chains."""
        return len(self._beta)

    @property
    def beta(self) -> np.ndarray:
        """β of each chain, shape (chains,); may be set, chains go on from where they are."""
        return self._beta.copy()

    @beta.setter
    def beta(self, beta: ArrayLike) -> None:
        checked = _checked_beta(beta)
        if checked.shape != self._beta.shape:
            raise InvalidInputError(
                f"beta of shape {checked.shape} was given; accepted: one β for each of "
                f"{self.chains} chains"
            )
        self._beta = checked
        self._kernel_beta = kernel_beta(self.model, checked)
        self._changed = True

    @property
    def states(self) -> np.ndarray:
        """States 0 … q − 1 now, uint8 of shape (chains, n); may be set."""
        return self._states.copy()

    @states.setter
    def states(self, states: np.ndarray) -> None:
        self._states = np.array(states, dtype=np.uint8, order="C")
        self._changed = True

    @property
    def spins(self) -> np.ndarray:
        """Configurations in the model's public form, shape (chains, n); may be set."""
        return self.model.spins_of(self.states)

    @spins.setter
    def spins(self, spins: ArrayLike) -> None:
        shape = (self.chains, self.model.lattice.n_sites)
        self.states = one_per_chain(self.model.states_of(spins), shape)

    def _random_states(self, generator: np.random.Generator) -> np.ndarray:
        return self.model.states_of(self.model.random_spins(generator, self.chains))

    @abstractmethod
    def sweep(self, sweeps: int) -> None:
        """Advance every chain by so many sweeps."""

    def record(self, draws: int, every: int) -> dict[str, np.ndarray]:
        """Measure `draws` times, each after `every` more sweeps.

        Returns
        -------
        dict of str to ndarray of float64, shape (chains, draws)
            ``"energy"`` and what ``model.observables`` measures.
        """
        series: dict[str, np.ndarray] = {}
        for draw in range(draws):
            self.sweep(every)
            measured = {"energy": self._energy(), **self.model.observables(self.spins)}
            for name, values in measured.items():
                series.setdefault(name, np.empty((self.chains, draws)))[:, draw] = values
        return series

    def _energy(self) -> np.ndarray:
        """The energies now; compiled, as measuring would otherwise take longer than sweeping."""
        return energies(self._states_by_site(), *self._energy_tables)[: self.chains]

    def _states_by_site(self) -> np.ndarray:
        """States of shape (n, chains), or of more chains than there are."""
        return np.ascontiguousarray(self._states.T)

    @cached_property
    def _energy_tables(self) -> tuple[Any, ...]:
        return energy_tables(self.model)

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes."""
        return {"beta": self.beta, "states": self.states, "streams": self._streams.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        self.beta = state["beta"]
        self.states = state["states"]
        self._streams = state["streams"].copy()


def _checked_beta(beta: ArrayLike) -> np.ndarray:
    checked = np.array(as_real(beta, "beta"))
    if checked.ndim != 1 or not checked.size or np.isnan(checked).any():
        raise InvalidInputError(
            f"beta = {beta!r} was given; accepted: real numbers or ±inf, one for each chain"
        )
    return checked
