"""Spins that are unit vectors."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import as_real
from thermo.errors import InvalidInputError
from thermo.lattice import Lattice
from thermo.levels import EnergyLevels
from thermo.models.ising import Ising
from thermo.models.spin_model import Array, SpinModel

__all__ = ["VectorModel"]

_UNIT = 1e-6  # how far from 1 the length of a given spin may be


class VectorModel(SpinModel):
    r"""XY and Heisenberg models: a unit vector of d components on every site.

    .. math:: H = -\sum_{\langle ij \rangle} J_{ij}\, \mathbf S_i \cdot \mathbf S_j
                  - \sum_i \mathbf h_i \cdot \mathbf S_i

    Attributes
    ----------
    lattice : Lattice
    components : int
        d.
    axis : int
        Along which component a field given as a number points.
    """

    components: int
    axis: int

    def __init__(self, lattice: Lattice, coupling: Any = 1.0, field: ArrayLike = 0.0) -> None:
        super().__init__(lattice, coupling, field)

    @cached_property
    def fields(self) -> Array:
        """h of every site; shape (n, d), read-only."""
        fields = np.zeros((self.lattice.n_sites, self.components))
        if np.ndim(self._field) == 2:
            fields[:] = self._field
        else:
            fields[:, self.axis] = self._field
        fields.flags.writeable = False
        return fields

    @property
    def energy_bounds(self) -> tuple[float, float]:
        """(−B, B) with B = Σ \\|J\\| + Σ \\|h\\|: no state lies outside.

        Without a field the lower one is reached for J ≥ 0, the upper one for J ≤ 0, and on
        bipartite lattices both.
        """
        bound = float(np.abs(self.couplings).sum() + np.linalg.norm(self.fields, axis=1).sum())
        return -bound, bound

    def energy(self, spins: ArrayLike) -> Array:
        """Return the total energy of each configuration.

        Parameters
        ----------
        spins : array_like of unit vectors, shape (..., n, d)

        Returns
        -------
        ndarray of float64, shape (...)
        """
        s = self.checked_spins(spins)
        a, b = self.lattice.edges.T
        products = np.einsum("...bd,...bd->...b", s[..., a, :], s[..., b, :])
        return -self._times_couplings(products) - np.einsum("...nd,nd->...", s, self.fields)

    def delta_energy(self, spins: ArrayLike, site: int, new: ArrayLike) -> Array:
        """Return how much the energy of each configuration would grow if `site` became `new`.

        ΔE = (S_old − S_new)·(Σ_neighbours J_ij S_j + h).

        Parameters
        ----------
        spins : array_like of unit vectors, shape (..., n, d)
        site : int
            0 … n − 1.
        new : array_like of unit vectors, shape (..., d)
            The spin there then; one vector does for all configurations.

        Returns
        -------
        ndarray of float64, shape (...)
        """
        s = self.checked_spins(spins)
        turned = self._checked_vectors(new)
        site = self._checked_site(site)
        start, end = self.lattice.offsets[site : site + 2]
        around = s[..., self.lattice.adjacency[start:end], :]
        bonds = self.lattice.adjacent_bonds[start:end]
        local = self._times_couplings(np.swapaxes(around, -1, -2), bonds) + self.fields[site]
        return ((s[..., site, :] - turned) * local).sum(axis=-1)

    def levels(self) -> EnergyLevels:
        """Refuse: there are no levels to list, for the energies are a continuum.

        Raises
        ------
        InvalidInputError
            Always; it says which methods sample the density of states in bins.
        """
        raise InvalidInputError(
            f"levels of {self!r} were asked for, whose energies are a continuum; accepted: "
            "thermo.density_of_states with method = 'multicanonical', 'wang_landau' or "
            "'reweighting' and a bin_width"
        )

    def ordered_states(self, sign: int = 1) -> Array:
        """Return the ordered configurations that H, or −H, prefers.

        Of those with all spins parallel or antiparallel to the axis, by sublattice on a bipartite
        lattice: the ones with the lowest `sign`·H. In zero field they stand for all their common
        rotations. In a field across the order, spins cant towards it, which is not done here.

        Parameters
        ----------
        sign : int
            +1 or −1.

        Returns
        -------
        ndarray of float64, shape (k, n, d)

        Raises
        ------
        InvalidInputError
            None of them gives every bond its lowest energy: odd cycles at `sign`·J < 0, a spin
            glass. The order, if there is one, is not known here.

        Examples
        --------
        >>> from thermo.lattice import chain
        >>> from thermo.models import XY
        >>> XY(chain(4)).ordered_states(-1)[0].T
        array([[ 1., -1.,  1., -1.],
               [ 0.,  0.,  0.,  0.]])
        """
        along = Ising(self.lattice, self.couplings, self.fields[:, self.axis]).ordered_states(sign)
        spins = np.zeros((*along.shape, self.components))
        spins[..., self.axis] = along
        return spins

    def observables(self, spins: ArrayLike) -> dict[str, Array]:
        r"""Return the total magnetisation and, on bipartite lattices, the staggered one.

        Parameters
        ----------
        spins : array_like of unit vectors, shape (..., n, d)

        Returns
        -------
        dict of str to ndarray of float64, shape (...)
            ``"magnetization"``, the component of Σ S_i along the axis; ``"magnetization_length"``,
            \|Σ S_i\|; ``"staggered_magnetization"`` and ``"staggered_length"``, the same of
            Σ ε_i S_i with ε = +1 on sublattice 0 and −1 on sublattice 1.
        """
        s = self.checked_spins(spins)
        total = s.sum(axis=-2)
        totals = {
            "magnetization": total[..., self.axis],
            "magnetization_length": np.linalg.norm(total, axis=-1),
        }
        if self.lattice.sublattice is not None:
            staggered = np.einsum("...nd,n->...d", s, 1.0 - 2.0 * self.lattice.sublattice)
            totals["staggered_magnetization"] = staggered[..., self.axis]
            totals["staggered_length"] = np.linalg.norm(staggered, axis=-1)
        return totals

    def random_spins(self, generator: np.random.Generator, chains: int) -> Array:
        """Return independent configurations at β = 0, one per chain.

        Parameters
        ----------
        generator : numpy.random.Generator
        chains : int

        Returns
        -------
        ndarray of float64, shape (chains, n, d)
        """
        spins = generator.standard_normal((chains, self.lattice.n_sites, self.components))
        return spins / np.linalg.norm(spins, axis=-1, keepdims=True)

    def checked_spins(self, spins: ArrayLike) -> Array:
        """Return the spins as float64 of shape (..., n, d), or say what is accepted."""
        s = self._checked_vectors(spins)
        if s.ndim < 2 or s.shape[-2] != self.lattice.n_sites:
            raise self._refused(s.shape, f"{self.lattice.n_sites}, ")
        return s

    def _checked_field(self, field: ArrayLike) -> float | Array:
        vectors, shape = as_real(field, "field"), (self.lattice.n_sites, self.components)
        if vectors.ndim < 2:
            return super()._checked_field(field)
        if vectors.shape != shape or not np.isfinite(vectors).all():
            raise InvalidInputError(
                f"field of shape {vectors.shape} was given; accepted: finite numbers: one, or of "
                f"shape {shape[:1]}, along the axis, or vectors, {shape}"
            )
        return vectors.copy()

    def _checked_vectors(self, vectors: ArrayLike) -> Array:
        v = as_real(vectors, "spins")
        if v.ndim < 1 or v.shape[-1] != self.components:
            raise self._refused(v.shape)
        if not np.all(np.abs(np.linalg.norm(v, axis=-1) - 1.0) <= _UNIT):
            raise self._refused(v.shape)
        return v

    def _refused(self, shape: tuple[int, ...], sites: str = "") -> InvalidInputError:
        return InvalidInputError(
            f"spins of shape {shape} were given; accepted: unit vectors of shape (..., {sites}"
            f"{self.components})"
        )
