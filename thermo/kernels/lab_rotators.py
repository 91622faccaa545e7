"""A chain of rotators with bounded kinetic energy, moved on by symplectic steps."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["move_rotators", "observe_rotators"]


@njit(cache=True, nogil=True)
def move_rotators(bonds, momenta, strength, drifts, kicks, steps):
    """Take `steps` steps of time; `bonds` (n,) are θ_i − θ_{i−1}, of which θ_0 = 0 is the wall.

    A step is ``drifts[0]``, ``kicks[0]``, ``drifts[1]``, …, ``drifts[-1]``, each a stretch of time:
    drifts move the bonds by the velocities sin p, kicks the momenta by the torques of the bonds.
    """
    n = len(momenta)
    for _ in range(steps):
        for stage in range(len(drifts)):
            before = 0.0  # velocity of the wall
            for i in range(n):
                velocity = math.sin(momenta[i])
                bonds[i] += drifts[stage] * (velocity - before)
                before = velocity
            if stage == len(kicks):
                break
            after = 0.0  # nothing pulls at the free end
            for i in range(n - 1, -1, -1):
                torque = math.sin(bonds[i])
                momenta[i] += kicks[stage] * strength * (after - torque)
                after = torque


@njit(cache=True, nogil=True)
def observe_rotators(bonds, momenta, seen, histogram):
    """Write the means of cos p, sin² p, cos φ, sin² φ into `seen` (4,); count p in `histogram`.

    The bins of `histogram` (k,) divide the circle from −π to π evenly.
    """
    n = len(momenta)
    seen[:] = 0.0
    histogram[:] = 0
    for i in range(n):
        c = math.cos(momenta[i])
        seen[0] += c / n
        seen[1] += (1.0 - c * c) / n
        c = math.cos(bonds[i])
        seen[2] += c / n
        seen[3] += (1.0 - c * c) / n
        turns = momenta[i] / (2.0 * math.pi) + 0.5
        place = int((turns - np.floor(turns)) * len(histogram))
        histogram[min(place, len(histogram) - 1)] += 1
