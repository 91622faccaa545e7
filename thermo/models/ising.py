"""The Ising model on any graph."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import finite_number
from thermo.errors import InvalidInputError
from thermo.lattice import Lattice
from thermo.levels import EnergyLevels

__all__ = ["Ising"]

_MOST_SITES = 22  # 2²² states, about a second
_CHUNK_BITS = 16  # states enumerated at once: 2¹⁶ fit the cache


class Ising:
    r"""Spins s = ±1 on the sites of a lattice.

    .. math:: H = -J \sum_{\langle ij \rangle} s_i s_j - h \sum_i s_i

    Parameters
    ----------
    lattice : Lattice
        From `thermo.lattice`; n sites, M bonds.
    coupling : float
        J, in the unit of energy; positive favours parallel neighbours at β > 0 (and antiparallel
        ones at β < 0). One value for all bonds.
    field : float
        h, in the unit of energy (the magnetic moment is 1).

    Raises
    ------
    InvalidInputError
        Not a `Lattice`; a coupling or field that is not one finite number.

    References
    ----------
    E. Ising, Z. Phys. 31, 253 (1925).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> model = Ising(square(4))
    >>> model.energy(np.ones(16, dtype=int)), model.delta_energy(np.ones(16, dtype=int), 5)
    (np.float64(-32.0), np.float64(8.0))
    >>> np.exp(model.levels().log_degeneracy[:4]).round(6)
    array([  2.,  32.,  64., 424.])
    """

    def __init__(self, lattice: Lattice, coupling: float = 1.0, field: float = 0.0) -> None:
        if not isinstance(lattice, Lattice):
            raise InvalidInputError(
                f"lattice = {lattice!r} was given; accepted: a Lattice, such as "
                "thermo.lattice.square(32) or thermo.lattice.from_edges(n, edges)"
            )
        self.lattice = lattice
        self.coupling = finite_number(coupling, "coupling")
        self.field = finite_number(field, "field")

    def __repr__(self) -> str:
        return f"Ising({self.lattice!r}, coupling={self.coupling:g}, field={self.field:g})"

    @property
    def energy_bounds(self) -> tuple[float, float]:
        """(−B, B) with B = \\|J\\|·M + \\|h\\|·n: no state lies outside, whatever the lattice.

        The lower one is reached for J ≥ 0, the upper one on bipartite lattices in zero field.
        """
        bound = abs(self.coupling) * self.lattice.n_edges + abs(self.field) * self.lattice.n_sites
        return -bound, bound

    def energy(self, spins: ArrayLike) -> NDArray[np.float64]:
        """Return the total energy of each configuration.

        Parameters
        ----------
        spins : array_like of ±1, shape (..., n)

        Returns
        -------
        ndarray of float64, shape (...)
        """
        s = self._checked(spins)
        a, b = self.lattice.edges.T
        bonds = (s[..., a] * s[..., b]).sum(axis=-1, dtype=np.int64)
        return self.energy_of_totals(bonds, s.sum(axis=-1, dtype=np.int64))

    def energy_of_totals(self, bonds: ArrayLike, magnetization: ArrayLike) -> NDArray[np.float64]:
        """Return the energy −J b − h m of states of which only two totals are known.

        Parameters
        ----------
        bonds : array_like of int
            b = Σ s_i s_j over the bonds.
        magnetization : array_like of int
            m = Σ s_i.

        Returns
        -------
        ndarray of float64
            Of the shape of the arguments broadcast together.
        """
        return -self.coupling * np.asarray(bonds) - self.field * np.asarray(magnetization)

    def delta_energy(self, spins: ArrayLike, site: int) -> NDArray[np.float64]:
        """Return how much the energy of each configuration would grow if spin `site` flipped.

        ΔE = 2 s (J Σ_neighbours s_j + h).

        Parameters
        ----------
        spins : array_like of ±1, shape (..., n)
        site : int
            0 … n − 1.

        Returns
        -------
        ndarray of float64, shape (...)
        """
        s = self._checked(spins)
        site = operator.index(site)
        if not 0 <= site < self.lattice.n_sites:
            raise InvalidInputError(
                f"site {site} was given; accepted: 0 … {self.lattice.n_sites - 1}"
            )
        start, end = self.lattice.offsets[site : site + 2]
        around = s[..., self.lattice.adjacency[start:end]].sum(axis=-1, dtype=np.int64)
        own = s[..., site].astype(np.int64)
        return -2.0 * self.energy_of_totals(own * around, own)

    def levels(self) -> EnergyLevels:
        """Return all energy levels by enumeration of the 2ⁿ states, n ≤ 22.

        For larger lattices see `thermo.density_of_states`.

        Returns
        -------
        EnergyLevels
            In ascending order, with exact degeneracies (as logarithms).

        Raises
        ------
        InvalidInputError
            More than 22 sites.
        """
        n, m = self.lattice.n_sites, self.lattice.n_edges
        if n > _MOST_SITES:
            raise InvalidInputError(
                f"{self!r} has 2^{n} states to enumerate; accepted: at most {_MOST_SITES} sites "
                "(see thermo.density_of_states)"
            )
        states = np.zeros((m + 1, n + 1), dtype=np.int64)  # [antiparallel bonds, spins up]
        low_bits = np.arange(2 ** min(n, _CHUNK_BITS), dtype=np.uint32)
        for high_bits in range(0, 2**n, low_bits.size):
            state = low_bits + np.uint32(high_bits)
            antiparallel = np.zeros(state.size, dtype=np.intp)
            for a, b in self.lattice.edges.tolist():
                antiparallel += ((state >> a) ^ (state >> b)) & 1
            where = antiparallel * (n + 1) + np.bitwise_count(state)
            states += np.bincount(where, minlength=states.size).reshape(states.shape)
        antiparallel, up = np.nonzero(states)
        energies = self.energy_of_totals(m - 2 * antiparallel, 2 * up - n)
        return EnergyLevels(energies, np.log(states[antiparallel, up])).merged()

    def ordered_states(self, sign: int = 1) -> NDArray[np.int8]:
        """Return the ordered configurations that H, or −H, prefers.

        Of the two uniform states and, on a bipartite lattice, the two staggered ones (+1 on
        sublattice 0, and its reverse), those with the lowest `sign`·H. In zero field these are the
        ground states: of H for `sign` = 1 (where β → +∞ ends) and of −H for `sign` = −1 (β → −∞).

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
            `sign`·J < 0 on a lattice with odd cycles: frustrated, no such order is known.

        Examples
        --------
        >>> from thermo.lattice import chain
        >>> Ising(chain(4)).ordered_states(-1).tolist()
        [[1, -1, 1, -1], [-1, 1, -1, 1]]
        """
        if sign not in (1, -1):
            raise InvalidInputError(f"sign = {sign!r} was given; accepted: 1 or -1")
        sublattice = self.lattice.sublattice
        patterns = np.ones((1, self.lattice.n_sites), dtype=np.int8)
        if sublattice is not None:
            patterns = np.stack([patterns[0], 1 - 2 * sublattice]).astype(np.int8)
        elif sign * self.coupling < 0:
            raise InvalidInputError(
                f"{self.lattice.name} has odd cycles: with βJ < 0 it is frustrated and no ordered "
                "state is known; accepted: βJ ≥ 0, or a bipartite lattice"
            )
        candidates = np.stack([patterns, -patterns], axis=1).reshape(-1, self.lattice.n_sites)
        energies = sign * self.energy(candidates)
        return candidates[energies == energies.min()]

    def _checked(self, spins: ArrayLike) -> NDArray:
        s = np.asarray(spins)
        n = self.lattice.n_sites
        if s.ndim < 1 or s.shape[-1] != n or not np.all(np.abs(s) == 1):
            raise InvalidInputError(
                f"spins of shape {s.shape} were given; accepted: +1 and -1 of shape (..., {n})"
            )
        return s.astype(np.int8)
