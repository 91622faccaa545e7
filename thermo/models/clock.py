"""Clock models, the chiral one included, on any graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import cosdg, sindg

from thermo.arguments import finite_number
from thermo.lattice import Lattice
from thermo.models.numbered import NumberedModel, checked_q
from thermo.models.spin_model import Array

__all__ = ["Clock"]


class Clock(NumberedModel):
    r"""Hands of clocks with q hours: XY spins restricted to the angles 2πs/q, s = 0 … q − 1.

    .. math:: H = -\sum_{\langle ij \rangle} J_{ij} \cos\frac{2\pi (s_j - s_i + \Delta)}{q}
                  - \sum_i h_i \cos\frac{2\pi s_i}{q}

    where bond ij leads from i to j (`Lattice.bond_ends`).

    Parameters
    ----------
    lattice : Lattice
        From `thermo.lattice`; n sites, M bonds.
    q : int
        Number of states, 2 … 127. q = 2 is the Ising model.
    coupling : float, array_like of shape (M,), or symmetric sparse matrix of shape (n, n)
        J, as for `thermo.Ising`.
    field : float, or array_like of shape (n,)
        h, along the direction of state 0.
    chirality : float
        Δ: how many hours the spin at the head of a bond would rather be behind its tail (J > 0,
        β > 0). 0 is the usual clock model; ``Clock(lattice, 3, chirality=0.2)`` the chiral Z₃ clock
        with the same chirality along all axes.

    Raises
    ------
    InvalidInputError
        Not a `Lattice`; q out of range; couplings or fields of other shapes; Δ not finite.

    References
    ----------
    J. V. José, L. P. Kadanoff, S. Kirkpatrick, D. R. Nelson, Phys. Rev. B 16, 1217 (1977);
    S. Ostlund, Phys. Rev. B 24, 398 (1981); D. A. Huse, Phys. Rev. B 24, 5180 (1981) (chiral).

    Examples
    --------
    >>> from thermo.lattice import chain
    >>> Clock(chain(4), 4).energy([0, 1, 2, 2])
    np.float64(0.0)
    >>> Clock(chain(3), 3, chirality=-1.0).levels().minimum  # every spin an hour ahead of the last
    -3.0
    """

    def __init__(
        self,
        lattice: Lattice,
        q: int,
        coupling: Any = 1.0,
        field: ArrayLike = 0.0,
        chirality: float = 0.0,
    ) -> None:
        hours = np.arange(checked_q(q), dtype=np.float64)
        self.chirality = finite_number(chirality, "chirality")
        super().__init__(
            lattice,
            coupling,
            field,
            0.0 - _cosine(hours + self.chirality, q),  # no −0
            0.0 - _cosine(hours, q),
        )

    def _parameters(self) -> dict[str, Any]:
        return {"q": self.n_states, "chirality": self.chirality}

    def observables(self, spins: ArrayLike) -> dict[str, Array]:
        r"""Return the total magnetisation of the hands as vectors of length 1.

        Parameters
        ----------
        spins : array_like of 0 … q − 1, shape (..., n)

        Returns
        -------
        dict of str to ndarray of float64, shape (...)
            ``"magnetization"``, Σ cos(2πs_i/q), along state 0; ``"magnetization_length"``,
            \|Σ exp(2πi s_i/q)\|; on bipartite lattices ``"staggered_magnetization"`` and
            ``"staggered_length"``, the same with ε = +1 on sublattice 0 and −1 on sublattice 1.
        """
        hours = np.arange(self.n_states, dtype=np.float64)
        counts = np.moveaxis(self._state_counts(self.states_of(spins)), 1, -1)
        x = counts @ _cosine(hours, self.n_states)
        y = counts @ sindg(360.0 * hours / self.n_states)
        totals = _along_and_length("magnetization", x[0], y[0])
        if self.lattice.sublattice is not None:
            totals |= _along_and_length("staggered", x[1], y[1])
        return totals


def _along_and_length(name: str, x: Array, y: Array) -> dict[str, Array]:
    along = "magnetization" if name == "magnetization" else f"{name}_magnetization"
    return {along: x, f"{name}_length": np.hypot(x, y)}


def _cosine(hours: Array, q: int) -> Array:
    """cos(2π·hours/q), to the last bit the same forwards and backwards from 0; 0 at quarters."""
    turned = hours % q
    return cosdg(360.0 * np.minimum(turned, q - turned) / q)
