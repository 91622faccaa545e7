"""Spins with a few states whose bonds know only the difference of the two states."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.errors import InvalidInputError
from thermo.lattice import Lattice
from thermo.levels import EnergyLevels
from thermo.models.enumeration import bond_sums, site_sums
from thermo.models.spin_model import Array, SpinModel, checked_sign

__all__ = ["DifferenceModel"]

_MOST_ENUMERATED_BITS = 22  # 2²² states, about a second
_MOST_PATTERNS = 2**16  # ways to give the colours of a lattice states
_ROUNDING = 1e-11  # of the largest energy: sums of the same terms in another order may differ


class DifferenceModel(SpinModel):
    r"""Ising, Potts and clock models: q states 0 … q − 1 on every site.

    .. math:: H = \sum_b J_b\, w[(k_\mathrm{head} - k_\mathrm{tail}) \bmod q]
                  + \sum_i h_i\, g[k_i]

    Attributes
    ----------
    lattice : Lattice
    n_states : int
        q.
    bond_energy : ndarray, shape (q,)
        w, the energy of a bond of coupling 1; read-only.
    field_energy : ndarray, shape (q,)
        g, the energy of a spin in a field of 1; read-only.
    """

    def __init__(
        self,
        lattice: Lattice,
        coupling: Any,
        field: ArrayLike,
        bond_energy: Array,
        field_energy: Array,
    ) -> None:
        super().__init__(lattice, coupling, field)
        self.n_states = bond_energy.size
        self.bond_energy, self.field_energy = bond_energy, field_energy
        for array in (bond_energy, field_energy):
            array.flags.writeable = False

    @cached_property
    def fields(self) -> Array:
        """h of every site; shape (n,), read-only."""
        fields = np.full(self.lattice.n_sites, self._field)
        fields.flags.writeable = False
        return fields

    @cached_property
    def site_energy(self) -> Array:
        """h_i g[k]: the energy of site i in state k without its bonds; shape (n, q), read-only."""
        energies = self.fields[:, None] * self.field_energy
        energies.flags.writeable = False
        return energies

    @abstractmethod
    def states_of(self, spins: ArrayLike) -> NDArray[np.int8]:
        """Return the states 0 … q − 1 of spins in their public form, same shape."""

    @abstractmethod
    def spins_of(self, states: ArrayLike) -> NDArray[np.int8]:
        """Return spins in their public form, a new array, from states 0 … q − 1 of that shape."""

    @property
    def energy_bounds(self) -> tuple[float, float]:
        """The sums of the lowest and of the highest energy of each bond and of each spin alone.

        No state lies outside. Each is reached where one state gives every bond and every spin what
        it wants, which no field and a lattice that is not frustrated at that sign of βJ allow.
        """
        low = high = 0.0
        for strength, number, energies in (
            (self._coupling, self.lattice.n_edges, self.bond_energy),
            (self._field, self.lattice.n_sites, self.field_energy),
        ):
            each = strength * number if isinstance(strength, float) else strength
            positive, negative = np.maximum(each, 0.0).sum(), np.minimum(each, 0.0).sum()
            low += float(positive * energies.min() + negative * energies.max())
            high += float(positive * energies.max() + negative * energies.min())
        return low, high

    def energy(self, spins: ArrayLike) -> Array:
        """Return the total energy of each configuration.

        Parameters
        ----------
        spins : array_like, shape (..., n)

        Returns
        -------
        ndarray of float64, shape (...)
        """
        states = self.states_of(spins)
        bonds = self._times_couplings(self.bond_energy[self._differences(states)])
        if isinstance(self._field, float):
            if self._field == 0.0:
                return bonds
            return bonds + self._field * self.field_energy[states].sum(axis=-1)
        return bonds + self.field_energy[states] @ self._field

    def levels(self) -> EnergyLevels:
        """Return all energy levels by enumeration of the qⁿ states, at most 2²².

        For larger lattices see `thermo.density_of_states`.

        Returns
        -------
        EnergyLevels
            In ascending order, with exact degeneracies (as logarithms).

        Raises
        ------
        InvalidInputError
            More than 2²² states.
        """
        q, n = self.n_states, self.lattice.n_sites
        if n * math.log2(q) > _MOST_ENUMERATED_BITS:
            raise InvalidInputError(
                f"{self!r} has {q}^{n} states to enumerate; accepted: at most 2^22 "
                "(see thermo.density_of_states)"
            )
        factor, weights = _factored(self._coupling, self.lattice.n_edges)
        energies = factor * bond_sums(n, self.bond_ends, weights, self.bond_energy)
        if self.fields.any():
            factor, weights = _factored(self._field, n)
            energies += factor * site_sums(weights[:, None] * self.field_energy)
        values, counts = np.unique(energies, return_counts=True)
        return EnergyLevels(values, np.log(counts)).merged()

    def ordered_states(self, sign: int = 1) -> NDArray[np.int8]:
        """Return the ordered configurations that H, or −H, prefers.

        Of all states in which the sites of one colour of the lattice agree (the two sublattices of
        a bipartite lattice), those with the lowest `sign`·H. In zero field these are ground states:
        of H for `sign` = 1 (where β → +∞ ends) and of −H for `sign` = −1 (β → −∞).

        Parameters
        ----------
        sign : int
            +1 or −1.

        Returns
        -------
        ndarray of int8, shape (k, n)

        Raises
        ------
        InvalidInputError
            None of them gives every bond its lowest energy: odd cycles at `sign`·J < 0, a spin
            glass. The order, if there is one, is not known here.

        Examples
        --------
        >>> from thermo.lattice import chain
        >>> from thermo.models import Ising, Potts
        >>> Ising(chain(4)).ordered_states(-1).tolist()
        [[1, -1, 1, -1], [-1, 1, -1, 1]]
        >>> len(Potts(chain(4), 3).ordered_states(-1))
        6
        """
        preferred = checked_sign(sign) * self.couplings
        least, most = self.bond_energy.min(), self.bond_energy.max()
        wanted = np.minimum(preferred * least, preferred * most)
        rounding = _ROUNDING * (np.abs(wanted).sum() + np.abs(self.fields).sum())

        # The model of the colours: all bonds between two of them are one, and so are all fields.
        colours = self._colours_of_order(preferred * self.bond_energy[0] <= wanted)
        number = int(colours.max()) + 1
        pairs = np.indices((number, number)).reshape(2, -1).T
        tail, head = colours[self.bond_ends.T]
        strengths = np.bincount(number * tail + head, preferred, number**2)
        inside = pairs[:, 0] == pairs[:, 1]
        bonds = bond_sums(number, pairs[~inside], strengths[~inside], self.bond_energy)
        bonds += strengths[inside].sum() * self.bond_energy[0]
        if bonds.min() > wanted.sum() + rounding:
            raise InvalidInputError(
                f"no ordered state of {type(self).__name__} on {self.lattice.name} is known at "
                f"this sign of β: no uniform or sublattice order satisfies all bonds (it is "
                "frustrated, or a spin glass); accepted: βJ ≥ 0, or a bipartite lattice, with "
                "couplings of one sign"
            )
        fields = sign * np.bincount(colours, self.fields, number)
        energies = bonds + site_sums(fields[:, None] * self.field_energy)
        best = np.flatnonzero(energies <= energies.min() + rounding)
        state_of_colour = best[:, None] // self.n_states ** np.arange(number) % self.n_states
        first_colour_first = np.lexsort(state_of_colour.T[::-1])
        return self.spins_of(state_of_colour[first_colour_first][:, colours])

    def _colours_of_order(self, parallel: NDArray[np.bool_]) -> NDArray:
        """Which sites are to be in the same state; `parallel` says which bonds prefer that."""
        if self.lattice.sublattice is not None:
            return self.lattice.sublattice
        if not parallel.all():
            colours = self.lattice.colouring
            if self.n_states ** (int(colours.max()) + 1) <= _MOST_PATTERNS:
                return colours
        return np.zeros(self.lattice.n_sites, dtype=np.int32)

    def random_spins(self, generator: np.random.Generator, chains: int) -> NDArray[np.int8]:
        """Return independent configurations at β = 0, one per chain.

        Parameters
        ----------
        generator : numpy.random.Generator
        chains : int

        Returns
        -------
        ndarray of int8, shape (chains, n)
        """
        shape = (chains, self.lattice.n_sites)
        return self.spins_of(generator.integers(0, self.n_states, size=shape, dtype=np.int8))

    def _state_counts(self, states: NDArray[np.int8]) -> NDArray[np.int64]:
        """How many spins are in each state; shape (1, q, ...), on bipartite lattices (2, q, ...).

        The second is how many more of them are on sublattice 0 than on sublattice 1.
        """
        n, q, second = self.lattice.n_sites, self.n_states, self._second_sublattice
        counts = np.empty((1 if second is None else 2, q, *states.shape[:-1]), dtype=np.int64)
        for k in range(q - 1):
            there = np.packbits(states == k, axis=-1)  # one bit per spin: fast to count
            counts[0, k] = _ones(there)
            if second is not None:
                counts[1, k] = counts[0, k] - 2 * _ones(there & second)
        counts[0, -1] = n - counts[0, :-1].sum(axis=0)
        if second is not None:
            counts[1, -1] = n - 2 * _ones(second) - counts[1, :-1].sum(axis=0)
        return counts

    @cached_property
    def _second_sublattice(self) -> NDArray[np.uint8] | None:
        """Its sites as bits, eight to a byte."""
        sublattice = self.lattice.sublattice
        return None if sublattice is None else np.packbits(sublattice == 1)

    def _differences(self, states: NDArray[np.int8]) -> NDArray[np.int8]:
        """k_head − k_tail of every bond; an index into `bond_energy`, counted from its end if < 0.

        Between −126 and 126, so that int8 holds it.
        """
        tail, head = self.bond_ends.T
        return states[..., head] - states[..., tail]

    def _change(self, states: NDArray[np.int8], site: int, new: NDArray[np.int8]) -> Array:
        """ΔE of giving one site the state `new`."""
        start, end = self.lattice.offsets[site : site + 2]
        bonds = self.lattice.adjacent_bonds[start:end]
        around = states[..., self.lattice.adjacency[start:end]]
        old = states[..., site]
        # The difference along a bond is head − tail: turned round where the site is the tail.
        turn = np.where(self.bond_ends[bonds, 0] == site, np.int8(-1), np.int8(1))
        before = self.bond_energy[turn * (old[..., None] - around)]
        after = self.bond_energy[turn * (new[..., None] - around)]
        own = self.field_energy[new] - self.field_energy[old]
        return self._times_couplings(after - before, bonds) + self.fields[site] * own


def _ones(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.bitwise_count(packed).sum(axis=-1, dtype=np.int64)


def _factored(strength: float | Array, number: int) -> tuple[float, Array]:
    """A factor and weights: what is common is multiplied last, to round once."""
    return (strength, np.ones(number)) if isinstance(strength, float) else (1.0, strength)
