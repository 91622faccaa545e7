"""Atoms that can lase: their levels, what decays where, and which two lines light drives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real, finite_number, shown, whole_number
from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels, require_levels
from thermo.populations import Populations

__all__ = ["LaserMedium", "laser_medium"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LaserMedium:
    r"""The levels of one atom, its decays, and the lines that pump and laser light drive.

    With p the populations, the flow down a line l ↔ u that light drives at the rate I per atom is

    .. math:: J = I\,\Bigl(p_u - \frac{g_u}{g_l}\,p_l\Bigr),

    light knowing no difference between up and down but for the number of states (Einstein). The
    bracket is the **inversion**, and the gain of the line has its sign.

    Parameters
    ----------
    levels : EnergyLevels
        L ≥ 2 levels, from the ground up, in units of a photon hν of the laser line.
    decay : array_like, shape (L, L)
        ``decay[i, j]`` is the rate, in 1/time, at which level i falls to level j < i: ≥ 0, and 0
        elsewhere. Every level but the lowest falls somewhere, and the laser line decays.
    pump_line, laser_line : (int, int)
        Lower and upper level of each.

    Raises
    ------
    InvalidInputError
        Negative or infinite rates, rates upwards, a level without a way down, lines that are none.

    Notes
    -----
    Nothing lifts an atom but the pump: surroundings at T > 0 with kT ≪ hν. Not for media whose
    lower laser level is reached by heat (ytterbium), nor for lines whose coherence lives as long as
    the light (masers, most gas lasers in the far infrared), where rates are not enough.

    References
    ----------
    A. E. Siegman, Lasers (1986), chapters 4, 6 and 13.

    Examples
    --------
    >>> ruby = LaserMedium(EnergyLevels([0.0, 1.0, 1.3]), [[0, 0, 0], [1, 0, 0], [0, 10, 0]],
    ...                    pump_line=(0, 2), laser_line=(0, 1))
    >>> ruby.populations(3.0).probabilities.round(4)
    array([0.2826, 0.6522, 0.0652])
    """

    levels: EnergyLevels
    decay: FloatArray
    pump_line: tuple[int, int]
    laser_line: tuple[int, int]

    def __post_init__(self) -> None:
        require_levels(self.levels)
        size = len(self.levels)
        decay = np.array(as_real(self.decay, "decay"))
        if size < 2 or decay.shape != (size, size):
            raise InvalidInputError(
                f"decay has shape {decay.shape} for {size} levels; accepted: (L, L) with L ≥ 2"
            )
        if not (np.isfinite(decay) & (decay >= 0.0)).all() or np.triu(decay).any():
            raise InvalidInputError(
                "a rate of decay is negative, not finite, or leads upwards; accepted: rates ≥ 0 "
                "below the diagonal, decay[i, j] from level i to level j < i"
            )
        if (np.diff(self.levels.energies) <= 0.0).any():
            raise InvalidInputError("levels are not in order; accepted: energies that rise")
        if not decay[1:].any(axis=1).all():
            raise InvalidInputError(
                f"level {1 + int(np.argmin(decay[1:].any(axis=1)))} decays nowhere; accepted: "
                "levels of which all but the lowest do"
            )
        for name in ("pump_line", "laser_line"):
            object.__setattr__(self, name, _line(getattr(self, name), name, size))
        if not decay[self.laser_line[1], self.laser_line[0]] > 0.0:
            raise InvalidInputError("the laser line does not decay; accepted: a rate above 0")
        decay.flags.writeable = False
        object.__setattr__(self, "decay", decay)

    @property
    def line_rate(self) -> float:
        """Spontaneous decay on the laser line, Einstein's A, in 1/time."""
        lower, upper = self.laser_line
        return float(self.decay[upper, lower])

    @property
    def light_flow(self) -> FloatArray:
        """Part (L, L) of `flow` by laser light that stimulates at the rate 1."""
        return self._flows[2]

    @cached_property
    def inversion_weights(self) -> FloatArray:
        """Numbers (L,) whose product with populations is the inversion p_u − (g_u/g_l) p_l."""
        return self._weights(self.laser_line)

    def inversion(self, populations: Populations) -> FloatArray:
        """Inversion per atom of the laser line, shape (...): the gain has its sign."""
        return np.asarray(populations.probabilities @ self.inversion_weights)

    def beta(self, populations: Populations) -> FloatArray:
        r"""Inverse temperature of the laser line alone, shape (...).

        .. math:: \beta = -\frac{\ln(p_u/g_u) - \ln(p_l/g_l)}{E_u - E_l}

        Negative where the line is inverted. It is the temperature of these two levels, not of the
        atom: pumped levels have a different one for every pair (`thermo.fit_beta` says how far they
        are from one common β). NaN where neither level is populated.
        """
        lower, upper = self.laser_line
        occupation = populations.log_occupation
        gap = self.levels.energies[upper] - self.levels.energies[lower]
        with np.errstate(invalid="ignore"):
            return np.asarray((occupation[..., lower] - occupation[..., upper]) / gap)

    def flow(self, pump: ArrayLike, stimulated: ArrayLike) -> FloatArray:
        """Return M (..., L, L) of dp/dt = M p; its columns sum to 0.

        Parameters
        ----------
        pump : array_like, shape (...)
            W: how often the pump lifts an atom of its lower level, in 1/time.
        stimulated : array_like, shape (...)
            How often laser light brings an atom of the upper laser level down, in 1/time.

        Raises
        ------
        InvalidInputError
            Rates that are negative or not finite.
        """
        decay, pumped, lit = self._flows
        w, i = _rates("pump", pump), _rates("stimulated", stimulated)
        return np.asarray(decay + w[..., None, None] * pumped + i[..., None, None] * lit)

    def populations(self, pump: ArrayLike, stimulated: ArrayLike = 0.0) -> Populations:
        """Populations that no longer change, at constant light.

        Parameters
        ----------
        pump, stimulated : array_like, any shapes that broadcast
            As in `flow`, ≥ 0.

        Returns
        -------
        Populations
            Of shape (..., L), each probability with full relative accuracy: nothing is subtracted
            (Grassmann, Taksar and Heyman 1985).

        Raises
        ------
        InvalidInputError
            Rates that are negative or not finite.
        """
        flow = self.flow(pump, stimulated)
        rates = flow.swapaxes(-1, -2).copy()  # i → j
        size = len(self.levels)
        for k in range(size - 1, 0, -1):  # take level k out: what comes to it goes on at once
            rates[..., :k, k] /= rates[..., k, :k].sum(axis=-1)[..., None]
            rates[..., :k, :k] += rates[..., :k, k, None] * rates[..., k, None, :k]
        p = np.zeros(rates.shape[:-1])
        p[..., 0] = 1.0
        for k in range(1, size):
            p[..., k] = (p[..., :k] * rates[..., :k, k]).sum(axis=-1)
        return Populations(self.levels, p / p.sum(axis=-1, keepdims=True), provenance="rates")

    def pump_for(self, inversion: float) -> float:
        """The pump W, in 1/time, that gives this inversion without laser light; inf if none does.

        Exact: since the pump drives one line, the inversion is a ratio of two straight lines in W.
        """
        lower, upper = self.pump_line
        lifted, asked = self._response(0.0, lower, upper), self.inversion_weights
        taken = self._flows[1][upper]  # of populations, the flow up the pump line at W = 1
        needed = inversion - asked[0]  # above that of atoms which are all in the lowest level
        slope = (asked @ lifted) * taken[0] + needed * (taken @ lifted)
        pump = float(needed / slope) if slope else math.inf
        return pump if pump >= 0.0 else math.inf

    def saturation(self, pump: float) -> float:
        r"""Time c by which laser light lowers the inversion: Δ(I) = Δ(0) / (1 + c I).

        Exact for every medium, since light drives one line.
        """
        lower, upper = self.laser_line
        return float(self.inversion_weights @ self._response(pump, lower, upper))

    def _response(self, pump: float, lower: int, upper: int) -> FloatArray:
        """Change (L,) of the steady populations if atoms are carried up at the rate 1."""
        matrix = self.flow(pump, 0.0)
        source = np.zeros(len(self.levels))
        source[lower], source[upper] = 1.0, -1.0
        matrix[0], source[0] = 1.0, 0.0  # the sum of the populations, which does not change
        return np.asarray(np.linalg.solve(matrix, source))

    @cached_property
    def _flows(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Parts of M: by decay, by a pump of 1, by stimulated emission at the rate 1."""
        pump, laser = self._driven(self.pump_line), self._driven(self.laser_line)
        lower, upper = self.pump_line
        return self.decay.T - np.diag(self.decay.sum(axis=1)), pump / pump[upper, lower], laser

    def _driven(self, line: tuple[int, int]) -> FloatArray:
        """Part of M by light that brings down the upper level of a line at the rate 1."""
        flow = np.zeros_like(self.decay)
        flow[line[0]], flow[line[1]] = self._weights(line), -self._weights(line)
        return flow

    def _weights(self, line: tuple[int, int]) -> FloatArray:
        weights = np.zeros(len(self.levels))
        log_g = self.levels.log_degeneracy
        weights[line[1]] = 1.0
        weights[line[0]] = -np.exp(log_g[line[1]] - log_g[line[0]])
        return weights


def laser_medium(
    levels: int = 4, lifetime: float = 1.0, fast_lifetime: float = 1e-5
) -> LaserMedium:
    r"""A medium of two, three or four levels, all of them single states.

    =========  ==========  ==================================  ==========================
    levels     pump        decays                              inversion without laser light
    =========  ==========  ==================================  ==========================
    2          0 ↔ 1       1 → 0 in τ                          −1/(1 + 2Wτ): never
    3 (ruby)   0 ↔ 2       2 → 1 in θ, 1 → 0 in τ              (Wτ − 1)/(Wτ + 1) for θ → 0
    4 (Nd)     0 ↔ 3       3 → 2 in θ, 2 → 1 in τ, 1 → 0 in θ  Wτ/(1 + Wτ) for θ → 0
    =========  ==========  ==================================  ==========================

    With fast decays that take a time θ the exact inversions are

    .. math::
        \frac{W\tau - 1 - W\theta}{1 + W\tau + 2W\theta} \quad (3), \qquad
        \frac{W\tau - W\theta}{1 + W\tau + 3W\theta} \quad (4),

    which stay below 1 however strong the pump: at most (τ − θ)/(τ + 2θ) and (τ − θ)/(τ + 3θ).

    Parameters
    ----------
    levels : {2, 3, 4}
    lifetime : float
        τ of the upper laser level.
    fast_lifetime : float
        θ of the levels that should empty quickly, below τ.

    Returns
    -------
    LaserMedium
        With energies in units of hν of the laser line: 0, 1; 0, 1, 1.3 (as ruby); 0, 0.22, 1.22,
        1.32 (as Nd:YAG).

    Raises
    ------
    InvalidInputError
        Other numbers of levels, lifetimes that are not positive, θ ≥ τ.

    References
    ----------
    A. E. Siegman, Lasers (1986), sections 6.3 and 6.4.

    Examples
    --------
    >>> medium = laser_medium(3)
    >>> medium.inversion(medium.populations([0.5, 1.0, 2.0])).round(4)
    array([-0.3333, -0.    ,  0.3333])
    """
    size = whole_number(levels, "levels", 2, most=4)
    tau = finite_number(lifetime, "lifetime", positive=True)
    theta = finite_number(fast_lifetime, "fast_lifetime", positive=True)
    if theta >= tau:
        raise InvalidInputError(
            f"fast_lifetime = {theta:g} was given; accepted: less than the lifetime, {tau:g}"
        )
    slow, fast = 1.0 / tau, 1.0 / theta
    energies = {2: [0.0, 1.0], 3: [0.0, 1.0, 1.3], 4: [0.0, 0.22, 1.22, 1.32]}[size]
    upper = {2: 1, 3: 1, 4: 2}[size]
    decay = np.diag([fast] * (size - 1), -1)
    decay[upper, upper - 1] = slow
    return LaserMedium(EnergyLevels(energies), decay, (0, size - 1), (upper - 1, upper))


def _line(line: tuple[int, int], name: str, size: int) -> tuple[int, int]:
    try:
        lower, upper = (whole_number(level, name, 0, most=size - 1) for level in line)
    except (TypeError, ValueError):  # InvalidInputError is one, too
        lower = upper = -1
    if not lower < upper:
        raise InvalidInputError(
            f"{name} = {shown(line)} was given; accepted: (lower, upper) of levels 0 … {size - 1}"
        )
    return lower, upper


def _rates(name: str, values: ArrayLike) -> FloatArray:
    rates = as_real(values, name)
    if not (np.isfinite(rates) & (rates >= 0.0)).all():
        raise InvalidInputError(
            f"a rate of {name} is negative or not finite; accepted: numbers ≥ 0"
        )
    return rates
