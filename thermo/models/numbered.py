"""Models whose spins are numbers: Potts and clock."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_array, whole_number
from thermo.errors import InvalidInputError
from thermo.models.difference import DifferenceModel
from thermo.models.spin_model import Array

__all__ = ["NumberedModel", "checked_q"]

_LARGEST_Q = 127  # states are stored as int8


class NumberedModel(DifferenceModel):
    """A model whose spins are given as the numbers 0 … q − 1 of their states."""

    def states_of(self, spins: ArrayLike) -> NDArray[np.int8]:
        """Return the spins, checked, as int8 of the same shape (..., n)."""
        s, n = as_array(spins, "spins"), self.lattice.n_sites
        if s.ndim < 1 or s.shape[-1] != n:
            raise self._refused(f"spins of shape {s.shape}", f"of shape (..., {n})")
        return self._checked_numbers(s)

    def spins_of(self, states: ArrayLike) -> NDArray[np.int8]:
        """Return a copy of the states as they are, int8 of the same shape."""
        return np.array(states, dtype=np.int8)

    def delta_energy(self, spins: ArrayLike, site: int, new: ArrayLike) -> Array:
        """Return how much the energy of each configuration would grow if `site` became `new`.

        Parameters
        ----------
        spins : array_like of 0 … q − 1, shape (..., n)
        site : int
            0 … n − 1.
        new : array_like of 0 … q − 1, shape (...)
            Its state then; one number does for all configurations.

        Returns
        -------
        ndarray of float64, shape (...)
        """
        states = self.states_of(spins)
        return self._change(states, self._checked_site(site), self._checked_numbers(new))

    def _checked_numbers(self, spins: ArrayLike) -> NDArray[np.int8]:
        s, q = as_array(spins, "spins"), self.n_states
        numbers = s.dtype.kind in "iuf"
        if numbers and s.size:
            numbers = bool(s.min() >= 0 and s.max() < q)
        if numbers and s.dtype.kind == "f":
            numbers = not np.any(s % 1)
        if not numbers:
            raise self._refused(f"spins of type {s.dtype}", "")
        return s.astype(np.int8)

    def _refused(self, given: str, shape: str) -> InvalidInputError:
        return InvalidInputError(
            f"{given} were given; accepted: whole numbers 0 … {self.n_states - 1} {shape}".rstrip()
        )


def checked_q(q: int) -> int:
    """Return the number of states, 2 … 127, or say what is accepted."""
    return whole_number(q, "q", 2, most=_LARGEST_Q)
