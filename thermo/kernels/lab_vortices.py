"""Point vortices in a disk of radius 1: energy, Metropolis moves at any β, and their motion.

A vortex at z has an image at 1/z̄ of the opposite sign. With d = |z_i − z_j|², m = |1 − z_i z̄_j|²,
energies in ρΓ²/4π and times in 4πR²/Γ,

    H = −Σ_{i<j} s_i s_j ln(d/m) + Σ_i ln(1 − |z_i|²),
    s_i dx_i/dt = ∂H/∂y_i,  s_i dy_i/dt = −∂H/∂x_i.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from thermo.kernels.streams import random_unit

__all__ = ["energies", "energy_of_move", "flow", "gradient", "sweep"]

_SCALES = 13  # of the moves: a box of side 2, 1, … 1/2048, for pairs and walls attract
_TOGETHER = 8  # factors that are multiplied before a logarithm is taken: each is 1e-32 or more

# Dormand and Prince 5(4), J. Comput. Appl. Math. 6, 19 (1980).
_STAGES = np.array(
    [
        [1 / 5, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
_ERRORS = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])


@njit(cache=True, nogil=True)
def energies(x, y, signs, out):
    """Write the energy of every configuration, x and y (configurations, vortices), to `out`."""
    count = len(signs)
    for row in range(len(x)):
        total = 0.0
        for i in range(count):
            a = x[row, i]
            b = y[row, i]
            total += math.log(1.0 - a * a - b * b)
            for j in range(i):
                c = x[row, j]
                d = y[row, j]
                apart = (a - c) * (a - c) + (b - d) * (b - d)
                across = 1.0 - a * c - b * d
                image = across * across + (a * d - b * c) * (a * d - b * c)
                total -= signs[i] * signs[j] * math.log(apart / image)
        out[row] = total


@njit(cache=True, nogil=True)
def energy_of_move(x, y, signs, i, a, b):
    """Return by how much the energy changes if vortex i goes to (a, b), inside the disk."""
    u = x[i]
    v = y[i]
    change = math.log((1.0 - a * a - b * b) / (1.0 - u * u - v * v))
    product = 1.0
    factors = 0
    for j in range(len(signs)):
        if j == i:
            continue
        c = x[j]
        d = y[j]
        apart = (a - c) * (a - c) + (b - d) * (b - d)
        before = (u - c) * (u - c) + (v - d) * (v - d)
        across = 1.0 - a * c - b * d
        image = across * across + (a * d - b * c) * (a * d - b * c)
        across = 1.0 - u * c - v * d
        image_before = across * across + (u * d - v * c) * (u * d - v * c)
        ratio = (apart * image_before) / (before * image)
        product = product * ratio if signs[i] == signs[j] else product / ratio
        factors += 1
        if factors == _TOGETHER:
            change -= math.log(product)
            product = 1.0
            factors = 0
    return change - math.log(product)


@njit(cache=True, nogil=True)
def sweep(x, y, signs, beta, streams, sweeps):
    """Visit every vortex in turn, propose a new place, accept min(1, e^(−βΔE)) of them, in place.

    A place is proposed in a square about the present one, whose size is drawn anew from a ladder
    of halves: large moves carry vortices across the disk, small ones turn close pairs.

    Parameters
    ----------
    x, y : (chains, vortices) float64
        Inside the disk.
    signs : (vortices,) float64
        +1 or −1.
    beta : float
        Of either sign.
    streams : (chains, 2) uint64
        Random streams, one per chain.
    sweeps : int
    """
    for chain in range(len(x)):
        s0 = streams[chain, 0]
        s1 = streams[chain, 1]
        for _ in range(sweeps):
            for i in range(len(signs)):
                u, s0, s1 = random_unit(s0, s1)
                size = 2.0 ** (1 - int(u * _SCALES))
                u, s0, s1 = random_unit(s0, s1)
                a = x[chain, i] + size * (u - 0.5)
                u, s0, s1 = random_unit(s0, s1)
                b = y[chain, i] + size * (u - 0.5)
                u, s0, s1 = random_unit(s0, s1)
                if a * a + b * b < 1.0:
                    change = beta * energy_of_move(x[chain], y[chain], signs, i, a, b)
                    if change <= 0.0 or u < math.exp(-change):
                        x[chain, i] = a
                        y[chain, i] = b
        streams[chain, 0] = s0
        streams[chain, 1] = s1


@njit(cache=True, nogil=True)
def gradient(x, y, signs, out):
    """Write ∂H/∂x_i and ∂H/∂y_i of one configuration to the rows of `out`, (2, vortices).

    Returns
    -------
    float
        The smallest squared distance of two vortices, or of one and the wall.
    """
    nearest = 1.0
    for i in range(len(signs)):
        outside = 1.0 - x[i] * x[i] - y[i] * y[i]
        out[0, i] = -2.0 * x[i] / outside
        out[1, i] = -2.0 * y[i] / outside
        nearest = min(nearest, 0.25 * outside * outside)  # (1 − r²)/2 is about 1 − r
    for i in range(len(signs)):
        a = x[i]
        b = y[i]
        for j in range(i):
            c = x[j]
            d = y[j]
            apart = (a - c) * (a - c) + (b - d) * (b - d)
            across = 1.0 - a * c - b * d
            aside = a * d - b * c
            strength = 2.0 * signs[i] * signs[j]
            image = strength / (across * across + aside * aside)
            pair = strength / apart
            out[0, i] += image * (d * aside - c * across) - pair * (a - c)
            out[1, i] -= image * (d * across + c * aside) + pair * (b - d)
            out[0, j] += pair * (a - c) - image * (b * aside + a * across)
            out[1, j] += pair * (b - d) + image * (a * aside - b * across)
            nearest = min(nearest, apart)
    return nearest


@njit(cache=True, nogil=True)
def _velocity(place, signs, work, out):
    """Write the velocity of every vortex, from `place` (2, vortices), to `out` likewise."""
    nearest = gradient(place[0], place[1], signs, work)
    for i in range(len(signs)):
        out[0, i] = signs[i] * work[1, i]
        out[1, i] = -signs[i] * work[0, i]
    return nearest


@njit(cache=True, nogil=True)
def flow(place, signs, duration, tolerance, step, most_steps):
    """Let one configuration move for a time, in place, with steps as long as the tolerance allows.

    Parameters
    ----------
    place : (2, vortices) float64
    signs : (vortices,) float64
    duration : float
    tolerance : float
        Of every coordinate in every step, in units of the smallest distance of any two vortices.
    step : float
        To begin with.
    most_steps : int
        After which it returns.

    Returns
    -------
    (float, float)
        The step that comes next, and the time that is left: 0 if the end was reached. Going on for
        that time with that step leads to the same bits as more steps would have.
    """
    count = len(signs)
    slopes = np.empty((7, 2, count))
    trial = np.empty((2, count))
    work = np.empty((2, count))
    nearest = _velocity(place, signs, work, slopes[0])
    left = duration
    for _ in range(most_steps):
        now = min(step, left)
        inside = True
        for stage in range(6):
            for c in range(2):
                for i in range(count):
                    moved = 0.0
                    for k in range(stage + 1):
                        moved += _STAGES[stage, k] * slopes[k, c, i]
                    trial[c, i] = place[c, i] + now * moved
            for i in range(count):
                inside = inside and trial[0, i] * trial[0, i] + trial[1, i] * trial[1, i] < 1.0
            if not inside:
                break
            at_trial = _velocity(trial, signs, work, slopes[stage + 1])
        if not inside:
            step = 0.25 * now
            continue
        worst = 1e-300
        for c in range(2):
            for i in range(count):
                error = 0.0
                for k in range(7):
                    error += _ERRORS[k] * slopes[k, c, i]
                worst = max(worst, abs(now * error))
        allowed = tolerance * math.sqrt(min(nearest, at_trial))
        suggested = now * min(5.0, max(0.2, 0.9 * (allowed / worst) ** 0.2))
        if worst > allowed:
            step = suggested
            continue
        for c in range(2):
            for i in range(count):
                place[c, i] = trial[c, i]
                slopes[0, c, i] = slopes[6, c, i]
        nearest = at_trial
        left -= now
        if left <= 0.0:
            return max(step, suggested), 0.0
        step = suggested
    return step, left
