"""What all spin models on a lattice share: couplings on the bonds, a field on the sites."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from thermo.arguments import as_real, finite_number, shown, whole_number
from thermo.errors import InvalidInputError
from thermo.lattice.graph import upper_triangle
from thermo.lattice.lattice import IntArray, Lattice

__all__ = ["SpinModel"]

Array = NDArray[np.float64]

_LARGEST_ENERGY = 1e150


class SpinModel(ABC):
    """Spins on the sites of a lattice, coupled along its bonds, each in a field.

    Attributes
    ----------
    lattice : Lattice
    """

    def __init__(self, lattice: Lattice, coupling: Any, field: ArrayLike) -> None:
        if not isinstance(lattice, Lattice):
            raise InvalidInputError(
                f"lattice = {shown(lattice)} was given; accepted: a Lattice, such as "
                "thermo.lattice.square(32) or thermo.lattice.from_edges(n, edges)"
            )
        self.lattice = lattice
        if issparse(coupling):
            coupling = _values_of_bonds(coupling, lattice)
        self._coupling = _one_or_many(coupling, lattice.n_edges, "coupling", "bond")
        self._field = self._checked_field(field)
        self._check_size()

    def __repr__(self) -> str:
        settings = {**self._parameters(), "coupling": self._coupling, "field": self._field}
        listed = ", ".join(f"{k}={_shown(value)}" for k, value in settings.items())
        return f"{type(self).__name__}({self.lattice!r}, {listed})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Made again in another process: nothing derived is sent, and arrays are read-only there.
        arguments = {**self._parameters(), "coupling": self._coupling, "field": self._field}
        return _made, (type(self), self.lattice, arguments)

    @property
    def bond_ends(self) -> IntArray:
        """Tail and head of every bond, int32 of shape (M, 2): `Lattice.bond_ends`."""
        return self.lattice.bond_ends

    @cached_property
    def couplings(self) -> Array:
        """J of every bond, in the order of ``lattice.edges``; shape (M,), read-only."""
        return _frozen(np.broadcast_to(self._coupling, self.lattice.n_edges))

    @property
    @abstractmethod
    def fields(self) -> Array:
        """h of every site; shape (n,), for vector models (n, d); read-only."""

    @property
    def has_uniform_coupling(self) -> bool:
        """Whether J is the same for all bonds."""
        return isinstance(self._coupling, float)

    @property
    def has_uniform_field(self) -> bool:
        """Whether h is the same for all sites."""
        return isinstance(self._field, float)

    @property
    def coupling(self) -> float:
        """J, where all bonds have the same; otherwise an `InvalidInputError`, see `couplings`."""
        if isinstance(self._coupling, float):
            return self._coupling
        raise InvalidInputError(
            f"the couplings of {self!r} differ; accepted here: one coupling for all bonds"
        )

    @property
    def field(self) -> float:
        """h, where all sites have the same; otherwise an `InvalidInputError`, see `fields`."""
        if isinstance(self._field, float):
            return self._field
        raise InvalidInputError(
            f"the fields of {self!r} differ; accepted here: one field for all sites"
        )

    @property
    @abstractmethod
    def energy_bounds(self) -> tuple[float, float]:
        """Two energies between which every state lies."""

    @abstractmethod
    def energy(self, spins: ArrayLike) -> Array:
        """Return the total energy of each configuration."""

    @abstractmethod
    def ordered_states(self, sign: int = 1) -> NDArray:
        """Return the ordered configurations that H, or −H, prefers."""

    @abstractmethod
    def observables(self, spins: ArrayLike) -> dict[str, Array]:
        """Return what a run measures of each configuration besides its energy."""

    @abstractmethod
    def random_spins(self, generator: np.random.Generator, chains: int) -> NDArray:
        """Return independent configurations at β = 0, one per chain."""

    def description(self) -> dict[str, Any]:
        """Return what `thermo.models.from_description` needs to make the same model again.

        Returns
        -------
        dict
            Of text, numbers and NumPy arrays; flat, fit to be written to a file.

        Examples
        --------
        >>> from thermo.lattice import chain
        >>> from thermo.models import Ising
        >>> Ising(chain(4), field=0.5).description()  # doctest: +NORMALIZE_WHITESPACE
        {'model': 'Ising', 'coupling': 1.0, 'field': 0.5,
         'lattice': 'chain', 'length': 4, 'periodic': True}
        """
        return {
            "model": type(self).__name__,
            **self._parameters(),
            "coupling": self._coupling,
            "field": self._field,
            **self.lattice.description(),
        }

    def _parameters(self) -> dict[str, Any]:
        """Arguments of the constructor other than lattice, coupling and field."""
        return {}

    def _checked_field(self, field: ArrayLike) -> float | Array:
        return _one_or_many(field, self.lattice.n_sites, "field", "site")

    def _check_size(self) -> None:
        """Refuse energies whose squares, as variances need them, are beyond float64."""
        with np.errstate(over="ignore"):
            largest = sum(
                abs(one) * number if isinstance(one, float) else np.abs(one).sum()
                for one, number in (
                    (self._coupling, self.lattice.n_edges),
                    (self._field, self.lattice.n_sites),
                )
            )
        if largest > _LARGEST_ENERGY:
            raise InvalidInputError(
                f"couplings and fields with energies up to {largest:.3g} in all were given; "
                f"accepted: at most {_LARGEST_ENERGY:g}, so that squares of energies are finite"
            )

    def _checked_site(self, site: int) -> int:
        return whole_number(site, "site", 0, most=self.lattice.n_sites - 1)

    def _times_couplings(self, values: NDArray, bonds: slice | NDArray = slice(None)) -> Array:
        """Σ J_b values_b over the last axis; one J is multiplied last, to round once."""
        if isinstance(self._coupling, float):
            return self._coupling * values.sum(axis=-1, dtype=np.float64)
        return values @ self._coupling[bonds]


def _made(model: type[SpinModel], lattice: Lattice, arguments: dict[str, Any]) -> SpinModel:
    return model(lattice, **arguments)


def checked_sign(sign: int) -> int:
    """Return +1 or −1, or say that these are accepted."""
    if not isinstance(sign, (int, np.integer)) or isinstance(sign, bool) or sign not in (1, -1):
        raise InvalidInputError(f"sign = {shown(sign)} was given; accepted: 1 or -1")
    return int(sign)


def _one_or_many(value: ArrayLike, number: int, name: str, place: str) -> float | Array:
    """One float if all are the same, otherwise a read-only array with one for each place."""
    given = as_real(value, name)
    if given.ndim == 0:
        return finite_number(float(given), name)
    if given.shape != (number,) or not np.isfinite(given).all():
        raise InvalidInputError(
            f"{name} = {shown(value)} was given; accepted: one finite number, or {number} finite "
            f"numbers, one for each {place}"
        )
    return float(given[0]) if number and np.all(given == given[0]) else _frozen(given)


def _values_of_bonds(matrix: Any, lattice: Lattice) -> Array:
    upper = upper_triangle(matrix, "coupling")
    n = lattice.n_sites
    if upper.shape != (n, n):
        raise InvalidInputError(
            f"coupling is a matrix of shape {upper.shape}; accepted: ({n}, {n}), one row per site"
        )
    bond_of_pair = lattice.edges.astype(np.int64) @ np.array([n, 1])
    pair = upper.row.astype(np.int64) * n + upper.col
    bond = np.minimum(np.searchsorted(bond_of_pair, pair), max(lattice.n_edges - 1, 0))
    stray = bond_of_pair[bond] != pair if lattice.n_edges else np.full(pair.size, True)
    if stray.any():
        a, b = divmod(int(pair[stray][0]), n)
        raise InvalidInputError(
            f"coupling joins the sites {a} and {b}, which are not neighbours; accepted: elements "
            "at the bonds of the lattice (see thermo.lattice.from_sparse)"
        )
    values = np.zeros(lattice.n_edges)
    values[bond] = as_real(upper.data, "coupling")
    return values


def _frozen(values: ArrayLike) -> Array:
    array = np.array(values, dtype=np.float64, order="C")
    array.flags.writeable = False
    return array


def _shown(value: Any) -> str:
    return f"array of shape {value.shape}" if isinstance(value, np.ndarray) else f"{value:g}"
