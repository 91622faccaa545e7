"""Independent two-level systems: the paramagnet, the simplest system that can be inverted."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from thermo.arguments import finite_number, whole_number
from thermo.levels import EnergyLevels
from thermo.memory import check_memory_of

__all__ = ["TwoLevel"]

_BYTES_PER_LEVEL = 64  # at the peak: eight float64


class TwoLevel:
    r"""n independent atoms (or spins in a field), each with a ground and an excited state.

    .. math:: E_k = k\,\Delta, \qquad g_k = \binom{n}{k}, \qquad k = 0 \dots n

    with k atoms excited. The entropy is an arch over 0 … nΔ with its top, n ln 2, at nΔ/2;
    more than half of the atoms excited is β < 0.

    Parameters
    ----------
    n : int
        Number of atoms, at least 1.
    gap : float
        Δ > 0, in the unit of energy; for spins of moment μ in a field h it is 2μh.

    Raises
    ------
    InvalidInputError

    References
    ----------
    E. M. Purcell, R. V. Pound, Phys. Rev. 81, 279 (1951).

    Examples
    --------
    >>> from thermo.canonical import canonical
    >>> state = canonical(TwoLevel(100, 1.0).levels(), [0.0, -1.0])
    >>> state.internal_energy.round(4)
    array([50.    , 73.1059])
    """

    def __init__(self, n: int, gap: float = 1.0) -> None:
        self.n = whole_number(n, "n", 1)
        self.gap = finite_number(gap, "gap", positive=True)

    def __repr__(self) -> str:
        return f"TwoLevel({self.n}, gap={self.gap:g})"

    def levels(self) -> EnergyLevels:
        """Return the n + 1 levels with their binomial degeneracies.

        Returns
        -------
        EnergyLevels
            ``log_degeneracy`` from ln Γ: its absolute error is about 10⁻¹⁶ n ln n.

        Raises
        ------
        InvalidInputError
            More levels than fit into memory.
        """
        check_memory_of(self.n, _BYTES_PER_LEVEL, "atoms")
        k = np.arange(self.n + 1.0)
        log_binomial = gammaln(self.n + 1.0) - gammaln(k + 1.0) - gammaln(self.n - k + 1.0)
        return EnergyLevels(k * self.gap, log_binomial)
