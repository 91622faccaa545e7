"""Ising models with competing or random couplings: J₁–J₂ and spin glasses."""

from __future__ import annotations

import numpy as np

from thermo.arguments import checked_seed, finite_number, one_of
from thermo.lattice import Lattice, king
from thermo.models.ising import Ising

__all__ = ["j1_j2", "spin_glass"]

_LAWS = ("bimodal", "gaussian")


def spin_glass(lattice: Lattice, law: str = "bimodal", *, seed: int) -> Ising:
    """Return one sample of the Edwards-Anderson spin glass: independent random couplings.

    The couplings are quenched: averages over samples are averages of ln Z, never of Z.

    Parameters
    ----------
    lattice : Lattice
        From `thermo.lattice`.
    law : str
        ``"bimodal"``, +1 or −1 with equal probability, or ``"gaussian"``, of mean 0 and variance 1.
    seed : int
        0 … 2⁶⁴ − 1; says which sample.

    Returns
    -------
    Ising

    Raises
    ------
    InvalidInputError
        Another law; not a lattice; a seed out of range.

    References
    ----------
    S. F. Edwards, P. W. Anderson, J. Phys. F 5, 965 (1975).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> glass = spin_glass(square(4), seed=1)
    >>> glass.magnitude, sorted(set(glass.couplings.tolist()))
    (1.0, [-1.0, 1.0])
    """
    law = one_of(law, "law", _LAWS)
    generator = np.random.default_rng(np.random.SeedSequence(checked_seed(seed)))
    bonds = lattice.n_edges if isinstance(lattice, Lattice) else 0
    if law == "gaussian":
        return Ising(lattice, generator.standard_normal(bonds))
    return Ising(lattice, 2.0 * generator.integers(0, 2, size=bonds) - 1.0)


def j1_j2(L: int, j1: float, j2: float, periodic: bool = True) -> Ising:
    r"""Return the J₁–J₂ Ising model on the L×L square lattice.

    .. math:: H = -J_1 \sum_{\langle ij \rangle} s_i s_j
                  - J_2 \sum_{\langle\langle ij \rangle\rangle} s_i s_j

    over nearest neighbours and over neighbours along the diagonals.

    Parameters
    ----------
    L : int
        As for `thermo.lattice.king`.
    j1, j2 : float
        In the unit of energy; at β > 0, J₂ < −\|J₁\|/2 favours stripes.
    periodic : bool
        Whether opposite edges are joined.

    Returns
    -------
    Ising

    Raises
    ------
    InvalidInputError
        L too small; a coupling that is not finite.

    References
    ----------
    D. P. Landau, Phys. Rev. B 21, 1285 (1980).

    Examples
    --------
    >>> j1_j2(4, 1.0, -0.5).energy(np.ones(16))
    np.float64(-16.0)
    """
    lattice = king(L, periodic)
    a, b = lattice.edges.T
    diagonal = (a // L != b // L) & (a % L != b % L)
    couplings = (finite_number(j1, "j1"), finite_number(j2, "j2"))
    return Ising(lattice, np.where(diagonal, couplings[1], couplings[0]))
