"""The Ising model on any graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_array
from thermo.errors import InvalidInputError
from thermo.lattice import Lattice
from thermo.models.difference import DifferenceModel
from thermo.models.spin_model import Array

__all__ = ["Ising"]


class Ising(DifferenceModel):
    r"""Spins s = ±1 on the sites of a lattice.

    .. math:: H = -\sum_{\langle ij \rangle} J_{ij} s_i s_j - \sum_i h_i s_i

    Parameters
    ----------
    lattice : Lattice
        From `thermo.lattice`; n sites, M bonds.
    coupling : float, array_like of shape (M,), or symmetric sparse matrix of shape (n, n)
        J, in the unit of energy; positive favours parallel neighbours at β > 0 (and antiparallel
        ones at β < 0). One value for all bonds; or one for each in the order of ``lattice.edges``;
        or a `scipy.sparse` matrix of the J_ij, 0 where it has no element.
    field : float, or array_like of shape (n,)
        h, in the unit of energy (the magnetic moment is 1).

    Raises
    ------
    InvalidInputError
        Not a `Lattice`; couplings or fields that are not finite or not of these shapes; a matrix
        that is not symmetric or has elements off the bonds.

    References
    ----------
    E. Ising, Z. Phys. 31, 253 (1925).

    Notes
    -----
    State 0 is the spin +1, state 1 the spin −1 (see `DifferenceModel`).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> model = Ising(square(4))
    >>> model.energy(np.ones(16, dtype=int)), model.delta_energy(np.ones(16, dtype=int), 5)
    (np.float64(-32.0), np.float64(8.0))
    >>> np.exp(model.levels().log_degeneracy[:4]).round(6)
    array([  2.,  32.,  64., 424.])
    """

    def __init__(self, lattice: Lattice, coupling: Any = 1.0, field: ArrayLike = 0.0) -> None:
        super().__init__(lattice, coupling, field, np.array([-1.0, 1.0]), np.array([-1.0, 1.0]))

    @property
    def magnitude(self) -> float | None:
        """\\|J\\|, where all bonds have the same; otherwise None."""
        if isinstance(self._coupling, float):
            return abs(self._coupling)
        sizes = np.abs(self._coupling)
        return float(sizes[0]) if np.all(sizes == sizes[0]) else None

    @property
    def signs(self) -> NDArray[np.int8]:
        """+1, −1 or 0 per bond: the sign of its J; shape (M,)."""
        return np.sign(self.couplings).astype(np.int8)

    def states_of(self, spins: ArrayLike) -> NDArray[np.int8]:
        """Return 0 for spins +1 and 1 for spins −1, int8 of the same shape (..., n)."""
        s, n = as_array(spins, "spins"), self.lattice.n_sites
        real = s.dtype.kind in "iuf"  # complex numbers have absolute values as well
        if not real or s.ndim < 1 or s.shape[-1] != n or not np.all(np.abs(s) == 1):
            raise InvalidInputError(
                f"spins of shape {s.shape} and type {s.dtype} were given; accepted: +1 and -1 of "
                f"shape (..., {n})"
            )
        return (s < 0).astype(np.int8)

    def spins_of(self, states: ArrayLike) -> NDArray[np.int8]:
        """Return +1 for states 0 and −1 for states 1, int8 of the same shape."""
        return (1 - 2 * np.asarray(states)).astype(np.int8)

    def energy_of_totals(self, bonds: ArrayLike, magnetization: ArrayLike) -> Array:
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

        Raises
        ------
        InvalidInputError
            Couplings or fields that differ.
        """
        # From 0.0, so that it is never −0.0.
        return 0.0 - self.coupling * np.asarray(bonds) - self.field * np.asarray(magnetization)

    def delta_energy(self, spins: ArrayLike, site: int) -> Array:
        """Return how much the energy of each configuration would grow if spin `site` flipped.

        ΔE = 2 s (Σ_neighbours J_ij s_j + h).

        Parameters
        ----------
        spins : array_like of ±1, shape (..., n)
        site : int
            0 … n − 1.

        Returns
        -------
        ndarray of float64, shape (...)
        """
        states = self.states_of(spins)
        site = self._checked_site(site)
        return self._change(states, site, 1 - states[..., site])

    def observables(self, spins: ArrayLike) -> dict[str, Array]:
        """Return the total magnetisation and, on bipartite lattices, the staggered one.

        Parameters
        ----------
        spins : array_like of ±1, shape (..., n)

        Returns
        -------
        dict of str to ndarray of float64, shape (...)
            ``"magnetization"``, Σ s_i; ``"staggered_magnetization"``, Σ ε_i s_i with ε = +1 on
            sublattice 0 and −1 on sublattice 1.
        """
        names = ("magnetization", "staggered_magnetization")
        counts = self._state_counts(self.states_of(spins))
        return {
            name: (up - down).astype(np.float64)
            for name, (up, down) in zip(names, counts, strict=False)  # perhaps no staggered one
        }
