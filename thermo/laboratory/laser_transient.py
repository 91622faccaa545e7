"""What a laser does after its pump is switched on: it spikes, rings and settles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from thermo.arguments import finite_number
from thermo.errors import InvalidInputError, NotConvergedError
from thermo.laboratory.laser_cavity import LaserCavity
from thermo.populations import Populations

__all__ = ["LaserTransient", "switch_on"]

FloatArray = NDArray[np.float64]

_RTOL = 1e-8  # of the solver, in each step
_LINEAR = (1e-5, 1e-2)  # (q − q∞)/q∞ in which a ringing is measured: above errors, below its cubes
_LEAST_EXTREMA = 5


@dataclass(frozen=True, eq=False)
class LaserTransient:
    """What :func:`switch_on` returns.

    Attributes
    ----------
    time : ndarray, shape (T,)
        Since the pump is on, at the solver's own steps: close where much happens.
    photons, inversion : ndarray, shape (T,)
    populations : Populations
        Of shape (T, L).
    extrema : ndarray, shape (2, K)
        When the number of photons is largest or smallest, and how many they are.
    settled : float
        Photons of the steady state.
    """

    time: FloatArray
    photons: FloatArray
    inversion: FloatArray
    populations: Populations
    extrema: FloatArray
    settled: float

    @property
    def ringing(self) -> tuple[float, float]:
        """Angular frequency ω and damping γ of the last oscillations, in 1/time.

        From a damped sine, q − q∞ ∝ e^{−γt} cos(ωt + φ), whose extrema are π/ω apart and fall by
        e^{−γπ/ω}; taken where they are within 1 % of q∞, NaN if fewer than five are.
        """
        size = np.abs(self.extrema[1] / self.settled - 1.0) if self.settled else np.zeros(0)
        small = np.flatnonzero((size > _LINEAR[0]) & (size < _LINEAR[1]))
        if small.size < _LEAST_EXTREMA:
            return math.nan, math.nan
        half, _ = np.polyfit(np.arange(small.size), self.extrema[0, small], 1)
        fall, _ = np.polyfit(self.extrema[0, small], np.log(size[small]), 1)
        return math.pi / float(half), -float(fall)


def switch_on(
    cavity: LaserCavity,
    pump: float,
    duration: float,
    *,
    populations: Populations | Sequence[float] | None = None,
    photons: float = 0.0,
) -> LaserTransient:
    """Follow a laser from the moment at which its pump is switched on.

    Parameters
    ----------
    cavity : LaserCavity
    pump : float
        W ≥ 0 in 1/time.
    duration : float
        How long, positive.
    populations : Populations or sequence of float, shape (L,), optional
        At the beginning; default: all atoms in the lowest level.
    photons : float
        At the beginning, ≥ 0.

    Returns
    -------
    LaserTransient

    Raises
    ------
    InvalidInputError
        A pump or a number of photons below 0, a duration that is not positive, populations that are
        negative, do not sum to 1 or are not one per level.
    NotConvergedError
        The solver gave up.

    Notes
    -----
    The rates span many orders of magnitude, so that the solver is implicit (Radau IIA of order 5,
    Hairer and Wanner 1996) and uses the Jacobian of `LaserCavity.jacobian`. Photons are a mean
    number: what one laser does while it has a few of them is random, and not described.

    References
    ----------
    A. E. Siegman, Lasers (1986), chapter 25.

    Examples
    --------
    >>> from thermo.laboratory.laser_medium import laser_medium
    >>> laser = LaserCavity(laser_medium(4), 1e10, 1e-6, 1e-2)
    >>> run = switch_on(laser, pump=6.0, duration=3.0)
    >>> bool(run.photons.max() > 2 * run.photons[-1])  # it spikes
    True
    """
    medium = cavity.medium
    w = finite_number(pump, "pump")
    steady = cavity.steady(w)  # refuses a pump below 0
    end = finite_number(duration, "duration", positive=True)
    q = finite_number(photons, "photons")
    if q < 0.0:
        raise InvalidInputError(f"photons = {q:g} was given; accepted: a number ≥ 0")
    if populations is None:
        populations = [1.0, *[0.0] * (len(medium.levels) - 1)]
    if not isinstance(populations, Populations):
        populations = Populations(medium.levels, np.asarray(populations))
    if populations.probabilities.shape != (len(medium.levels),):
        raise InvalidInputError(
            f"populations have shape {populations.probabilities.shape}; accepted: "
            f"({len(medium.levels)},), one number per level"
        )

    def photon_rate(_: float, state: FloatArray) -> float:
        return float(cavity.rates(w, state)[-1])

    solution = solve_ivp(
        lambda _, state: cavity.rates(w, state),
        (0.0, end),
        np.append(populations.probabilities, q),
        method="Radau",
        jac=lambda _, state: cavity.jacobian(w, state),
        rtol=_RTOL,
        # Of a probability and of a photon; more photons than there are need no absolute accuracy.
        atol=np.append(np.full(len(medium.levels), 1e-12), 1e-6),
        events=photon_rate,
    )
    if not solution.success:
        raise NotConvergedError(f"the solver stopped at t = {solution.t[-1]:g}: {solution.message}")
    p = np.maximum(solution.y[:-1].T, 0.0)  # as small as the tolerance, and possibly below 0
    at_extrema = np.reshape(solution.y_events[0], (-1, len(medium.levels) + 1))[:, -1]
    history = Populations(medium.levels, p / p.sum(axis=1, keepdims=True), provenance="rates")
    return LaserTransient(
        time=solution.t,
        photons=np.maximum(solution.y[-1], 0.0),
        inversion=medium.inversion(history),
        populations=history,
        extrema=np.stack([solution.t_events[0], at_extrema]),
        settled=float(steady.photons),
    )
