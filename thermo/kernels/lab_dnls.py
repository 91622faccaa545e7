"""The discrete nonlinear Schrödinger chain in time, by steps that each conserve the norm.

i dψ_n/dt = 2|ψ_n|²ψ_n + ψ_{n+1} + ψ_{n−1} on a ring of an even number of sites. Three parts of it
are solved exactly and in turn: every site turns its phase, |ψ_n| fixed; every even bond mixes its
two sites, and every odd bond does. Each is a rotation, so that Σ|ψ|² is conserved to rounding
whatever the step; the symmetric product is symplectic and of second order, and five of them
(Suzuki) of fourth.

H. F. Trotter, Proc. Am. Math. Soc. 10, 545 (1959); G. Strang, SIAM J. Numer. Anal. 5, 506 (1968);
M. Suzuki, Phys. Lett. A 146, 319 (1990).
"""

from __future__ import annotations

import math

from numba import njit

__all__ = ["advance"]

_OUTER = 1.0 / (4.0 - 4.0 ** (1.0 / 3.0))
_PARTS = (_OUTER, _OUTER, 1.0 - 4.0 * _OUTER, _OUTER, _OUTER)  # of a step; their cubes add to 0


@njit(cache=True, nogil=True)
def turn_phases(x, y, time):
    """Let ψ = x + iy turn by its own density: ψ e^(−2i|ψ|²t)."""
    for n in range(len(x)):
        angle = 2.0 * time * (x[n] * x[n] + y[n] * y[n])
        cos = math.cos(angle)
        sin = math.sin(angle)
        turned = cos * x[n] + sin * y[n]
        y[n] = cos * y[n] - sin * x[n]
        x[n] = turned


@njit(cache=True, nogil=True)
def mix_bonds(x, y, first, time):
    """Let the bonds (first, first + 1), (first + 2, …) … mix: e^(−iσt) with σ swapping the two."""
    cos = math.cos(time)
    sin = math.sin(time)
    sites = len(x)
    for left in range(first, sites, 2):
        right = left + 1 if left + 1 < sites else 0
        a = x[left]
        b = y[left]
        c = x[right]
        d = y[right]
        x[left] = cos * a + sin * d
        y[left] = cos * b - sin * c
        x[right] = cos * c + sin * b
        y[right] = cos * d - sin * a


@njit(cache=True, nogil=True)
def advance(x, y, time_step, steps):
    """Go on by `steps` ≥ 1 time steps, in place.

    Parameters
    ----------
    x, y : (chains, sites) float64
        Real and imaginary parts of ψ; an even number of sites.
    time_step : float
        Negative goes back in time.
    steps : int
    """
    for chain in range(len(x)):
        real = x[chain]
        imaginary = y[chain]
        turn_phases(real, imaginary, 0.5 * _PARTS[0] * time_step)
        for step in range(steps):
            for k in range(5):
                part = _PARTS[k] * time_step
                mix_bonds(real, imaginary, 0, 0.5 * part)
                mix_bonds(real, imaginary, 1, part)
                mix_bonds(real, imaginary, 0, 0.5 * part)
                last = step == steps - 1 and k == 4
                following = 0.0 if last else _PARTS[(k + 1) % 5] * time_step
                turn_phases(real, imaginary, 0.5 * (part + following))
