"""The Potts model on any graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thermo.lattice import Lattice
from thermo.models.numbered import NumberedModel, checked_q
from thermo.models.spin_model import Array

__all__ = ["Potts"]


class Potts(NumberedModel):
    r"""Spins of q states, of which neighbours tell only whether they are equal.

    .. math:: H = -\sum_{\langle ij \rangle} J_{ij}\, \delta_{s_i s_j} - \sum_i h_i\, \delta_{s_i 0}

    Parameters
    ----------
    lattice : Lattice
        From `thermo.lattice`; n sites, M bonds.
    q : int
        Number of states, 2 … 127. For q = 2 it is the Ising model of coupling J/2, but for a
        constant.
    coupling : float, array_like of shape (M,), or symmetric sparse matrix of shape (n, n)
        J, as for `thermo.Ising`; positive favours equal neighbours at β > 0.
    field : float, or array_like of shape (n,)
        h, which favours state 0 at β > 0.

    Raises
    ------
    InvalidInputError
        Not a `Lattice`; q out of range; couplings or fields of other shapes.

    References
    ----------
    F. Y. Wu, Rev. Mod. Phys. 54, 235 (1982).

    Examples
    --------
    >>> from thermo.lattice import chain
    >>> model = Potts(chain(4), 3)
    >>> model.energy([0, 0, 1, 2]), model.delta_energy([0, 0, 1, 2], 2, 0)
    (np.float64(-1.0), np.float64(-1.0))
    >>> levels = model.levels()  # Z = (x + 2)⁴ + 2 (x − 1)⁴ with x = e^β
    >>> levels.energies, np.exp(levels.log_degeneracy).round(9)
    (array([-4., -2., -1.,  0.]), array([ 3., 36., 24., 18.]))
    """

    def __init__(
        self, lattice: Lattice, q: int, coupling: Any = 1.0, field: ArrayLike = 0.0
    ) -> None:
        q = checked_q(q)
        energy = np.where(np.arange(q) == 0, -1.0, 0.0)
        super().__init__(lattice, coupling, field, energy, energy)

    def _parameters(self) -> dict[str, Any]:
        return {"q": self.n_states}

    def observables(self, spins: ArrayLike) -> dict[str, Array]:
        r"""Return the totals of the order parameter: n for all spins alike, 0 for all states equal.

        Parameters
        ----------
        spins : array_like of 0 … q − 1, shape (..., n)

        Returns
        -------
        dict of str to ndarray of float64, shape (...)
            With n_k spins in state k: ``"magnetization"``, (q n₀ − n)/(q − 1), signed;
            ``"magnetization_length"``, :math:`\sqrt{(q \sum_k n_k^2 - n^2)/(q - 1)}`.
        """
        q, n = self.n_states, self.lattice.n_sites
        counts = self._state_counts(self.states_of(spins))[0]
        square = (q * (counts**2).sum(axis=0) - n**2) / (q - 1)
        return {
            "magnetization": (q * counts[0] - n) / (q - 1),
            "magnetization_length": np.sqrt(square),
        }
