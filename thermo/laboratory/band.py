"""Atoms in the band of an optical lattice, which ends at the top as well as at the bottom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import finite_number, whole_number
from thermo.errors import InvalidInputError
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.lattice_gas import STATISTICS, LatticeGas
from thermo.levels import EnergyLevels

__all__ = ["Band", "band", "band_levels"]

FloatArray = NDArray[np.float64]

_LEAST_BETA = 1e-9  # times J


@dataclass(frozen=True, eq=False)
class Band(Experiment):
    """What :func:`band` returns: quantities per site; rows are fermions, then bosons.

    Attributes
    ----------
    size : int
        Sites along each side of the square lattice.
    hopping : float
        J.
    filling : ndarray, shape (2,)
        Particles per site.
    level_energy, level_states : ndarray, shape (L,)
        The levels of one particle and how many momenta have each.
    beta : ndarray, shape (B,)
        Ascending, of both signs, 0 in the middle.
    energy, entropy, heat_capacity, beta_pressure : ndarray, shape (2, B)
        U, S/k, C/k at this filling, and βp, each per site.
    edge_share : ndarray, shape (2, B)
        Share of the particles in the level they prefer: the bottom at β > 0, the top at β < 0.
    shown_beta : ndarray, shape (3,)
        Cold, infinite and hot: β, 0, −β.
    log_fugacity : ndarray, shape (2, 3)
        βμ at these.
    occupation : ndarray, shape (2, 3, L)
        Particles in each momentum of a level, at these.
    momentum : ndarray, shape (size,)
        k_x (and k_y) in units of 1/lattice constant, −π ≤ k < π.
    momentum_distribution : ndarray, shape (2, 3, size, size)
        n(k_x, k_y) at these.
    """

    name: ClassVar[str] = "band"

    size: int
    hopping: float
    filling: FloatArray
    level_energy: FloatArray
    level_states: FloatArray
    beta: FloatArray
    energy: FloatArray
    entropy: FloatArray
    heat_capacity: FloatArray
    beta_pressure: FloatArray
    edge_share: FloatArray
    shown_beta: FloatArray
    log_fugacity: FloatArray
    occupation: FloatArray
    momentum: FloatArray
    momentum_distribution: FloatArray

    @property
    def findings(self) -> tuple[Finding, ...]:
        j, hot = self.hopping, float(self.shown_beta[2])
        middle = len(self.beta) // 2
        at_hot = int(np.searchsorted(self.beta, hot))
        signs = {"fermions": -1.0, "bosons": 1.0}
        found = [
            Finding("bottom of the band / J", float(self.level_energy[0]) / j, expected=-4.0),
            Finding("top of the band / J", float(self.level_energy[-1]) / j, expected=4.0),
            Finding("bosons: most at |kx| = |ky|, T > 0", self._peak(0), expected=0.0, unit="π"),
            Finding("bosons: most at |kx| = |ky|, T < 0", self._peak(2), expected=1.0, unit="π"),
        ]
        for row, name in reversed([*enumerate(STATISTICS)]):
            f = float(self.filling[row])
            mirror = self.energy[row, at_hot] + self.energy[row, -1 - at_hot]
            cold_share, hot_share = self.edge_share[row, [-1 - at_hot, at_hot]]
            found += [
                Finding(f"{name}: share at the edge of the band, T < 0", float(hot_share),
                        expected=float(cold_share), source="that of T > 0: n(E, −β) = n(−E, β)"),
                Finding(f"{name}: (U(−β) + U(β)) / NJ", float(mirror) / (f * j), expected=0.0),
                Finding(f"{name}: S per site at β = 0", float(self.entropy[row, middle]),
                        expected=_entropy(f, signs[name]), unit="k",
                        source="all momenta alike"),
                Finding(f"{name}: pressure at T < 0", float(self.beta_pressure[row, at_hot]) / hot,
                        unit="J per site" if j == 1.0 else "energy per site", source="< 0"),
            ]  # fmt: skip
        return tuple(found)

    def _peak(self, shown: int) -> float:
        distribution = self.momentum_distribution[1, shown]  # of fermions many may be full
        k = self.momentum[list(np.unravel_index(np.argmax(distribution), distribution.shape))]
        return float(np.abs(k).mean() / math.pi)


def band_levels(size: int, hopping: float = 1.0) -> EnergyLevels:
    r"""The levels of one particle that hops on a square lattice of size × size sites.

    .. math:: E(\mathbf k) = -2J\,(\cos k_x + \cos k_y), \qquad k = 2\pi m / \text{size}

    From −4J to +4J, with a highest level as well as a lowest: kinetic energy is bounded here.

    Parameters
    ----------
    size : int
        Even, 4 … 256: else no momentum lies at the top of the band.
    hopping : float
        J > 0.

    Returns
    -------
    EnergyLevels
        One for each energy, with the number of momenta that have it.

    Raises
    ------
    InvalidInputError
        A size that is odd or out of range; J not positive.

    Examples
    --------
    >>> levels = band_levels(4)
    >>> levels.energies, np.exp(levels.log_degeneracy).round()
    (array([-4., -2.,  0.,  2.,  4.]), array([1., 4., 6., 4., 1.]))
    """
    energies, _, states = _levels(size)
    j = finite_number(hopping, "hopping", positive=True)
    return EnergyLevels(j * energies, np.log(states), provenance=f"square band of {size}, J={j}")


def band(
    size: int = 40,
    fermions: float = 0.5,
    bosons: float = 0.5,
    beta: float = 1.0,
    hopping: float = 1.0,
) -> Band:
    r"""Occupy a band at β, 0 and −β: from its bottom edge to its top edge (Braun 2013).

    .. math:: n(\mathbf k) = \frac{1}{e^{\beta E(\mathbf k) - \alpha} \pm 1}, \qquad
              E(\mathbf k) = -2J\,(\cos k_x + \cos k_y), \qquad
              \frac{1}{V}\sum_{\mathbf k} n(\mathbf k) = \text{atoms per site}

    At β > 0 atoms crowd around **k** = 0, at β < 0 in the corners (±π, ±π), where the band ends and
    their effective mass is negative. E(**k** + (π, π)) = −E(**k**), so that n(E, −β) = n(−E, β),
    and U changes its sign with β while S and C do not. The pressure has the sign of β,
    βp = ln Ξ / V ≥ 0.

    Parameters
    ----------
    size : int
        Sites along each side, even, 4 … 256; the lattice closes on itself.
    fermions, bosons : float
        Of each gas, atoms per site: positive, and less than 1 of fermions.
    beta : float
        1/energy, finite, \|β\|J at least 10⁻⁹: shown are \|β\|, 0 and −\|β\|.
    hopping : float
        J > 0.

    Returns
    -------
    Band

    Raises
    ------
    InvalidInputError
        Numbers out of range.

    Notes
    -----
    An ideal gas on a finite lattice, summed exactly. What it leaves out: interactions, which decide
    whether the cloud is stable (atoms of the experiment were made to attract each other for T < 0,
    so that the cloud does not collapse *because* the temperature is negative), and the trap, which
    must have a highest potential instead of a lowest. Bosons in two dimensions do not condense for
    size → ∞ at any finite β: the share at the edge of the band shrinks slowly with the size.

    References
    ----------
    S. Braun, J. P. Ronzheimer, M. Schreiber, S. S. Hodgman, T. Rom, I. Bloch, U. Schneider,
    Science 339, 52 (2013).

    Examples
    --------
    >>> found = band(size=8, beta=2.0)
    >>> cold, infinite, hot = found.momentum_distribution[1]
    >>> [int(n.argmax()) for n in (cold, hot)]  # of 8×8 momenta that begin at (−π, −π)
    [36, 0]
    """
    energies, level, states = _levels(size)
    filling = np.array(
        [
            finite_number(fermions, "fermions", positive=True),
            finite_number(bosons, "bosons", positive=True),
        ]
    )
    if filling[0] >= 1.0:
        raise InvalidInputError(
            f"fermions = {filling[0]:g} was given; accepted: less than 1 per site, for a full band "
            "has one state only, and no temperature"
        )
    shown = abs(finite_number(beta, "beta"))
    levels = band_levels(size, hopping)
    j, sites = float(hopping), float(size) ** 2
    if shown * j < _LEAST_BETA:
        raise InvalidInputError(
            f"beta = {beta:g} was given with hopping = {j:g}; accepted: |beta|·hopping of at least "
            f"{_LEAST_BETA:g}, for below that all momenta are alike but for rounding"
        )
    reach = max(3.0, 1.5 * shown * j)
    grid = np.tan(np.linspace(0.0, math.atan(reach), 61)[1:]) / j
    positive = np.union1d(grid, [shown])
    betas = np.concatenate([-positive[::-1], [0.0], positive])
    triple = np.array([shown, 0.0, -shown])
    curves, triples = [], []
    for per_site, statistics in zip(filling, STATISTICS, strict=True):
        gas = LatticeGas(levels, per_site * sites, statistics)
        curves.append(gas.at(betas))
        triples.append(gas.at(triple))
    edge = np.where(betas < 0.0, len(energies) - 1, 0)
    shift = np.roll(level, (size // 2, size // 2), (0, 1))  # momenta from −π on
    return Band(
        size=size,
        hopping=j,
        filling=filling,
        level_energy=levels.energies,
        level_states=states,
        beta=betas,
        energy=np.array([c.energy for c in curves]) / sites,
        entropy=np.array([c.entropy for c in curves]) / sites,
        heat_capacity=np.array([c.heat_capacity for c in curves]) / sites,
        beta_pressure=np.array([c.beta_pressure_volume for c in curves]) / sites,
        edge_share=np.array([c.occupation[np.arange(betas.size), edge] for c in curves])
        * states[edge] / (filling[:, None] * sites),
        shown_beta=triple,
        log_fugacity=np.array([t.log_fugacity for t in triples]),
        occupation=np.array([t.occupation for t in triples]),
        momentum=2.0 * math.pi * (np.arange(size) - size // 2) / size,
        momentum_distribution=np.array([t.occupation[:, shift] for t in triples]),
    )  # fmt: skip


def _levels(size: int) -> tuple[FloatArray, NDArray[np.intp], FloatArray]:
    """Energies in units of J; the number of the level of each momentum; momenta in each level."""
    n = whole_number(size, "size", 4, most=256)
    if n % 2:
        raise InvalidInputError(
            f"size = {n} was given; accepted: an even one, so that a momentum lies at the top"
        )
    cosine = np.cos(2.0 * math.pi * np.arange(n) / n)
    energy = np.round(-2.0 * (cosine[:, None] + cosine[None, :]), 11) + 0.0
    values, level, states = np.unique(energy, return_inverse=True, return_counts=True)
    return values, level.reshape(n, n), states.astype(np.float64)


def _entropy(n: float, sign: float) -> float:
    """S/k of a state with n particles on average: sign +1 for bosons, −1 for fermions."""
    if n > 1.0:  # of bosons; (1 + n) ln(1 + n) − n ln n without the cancellation
        return math.log1p(n) + n * math.log1p(1.0 / n)
    return sign * (1.0 + sign * n) * math.log1p(sign * n) - n * math.log(n)
