"""Sequential sweeps of spins that are unit vectors (XY and Heisenberg), eight chains at once.

Every chain (lane) has its own spins, its own random stream and its own signed β. All three updates
come from one turn of the sphere. A direction at angle θ from a pole is the point tan(θ/2) of the
plane by stereographic projection; shrinking that plane by a factor g draws uniform directions in
towards the pole: along the circle to the wrapped Cauchy law, on the sphere to one of density
∝ 1/(1 + q(1 − cos θ))², with g² = 1/(1 + 2q). See `shrunk`.

- Metropolis proposes a direction so shrunk about the present one. The proposal depends on the angle
  alone, and so is as likely back as forth; its tail reaches round to the opposite pole.
- Heat bath at the local field h, κ = |βh|, direction sign(β) h: e^(κ cos θ) on the sphere by
  inversion, 1 − cos θ = −ln(u + (1 − u) e^(−2κ))/κ; on the circle the wrapped Cauchy law with
  q = 2κ is accepted with probability (½ + v) e^(½ − v), v = κ(1 − cos θ), two times out of three or
  more often. Both hold from κ = 0 to any size.
- Over-relaxation reflects a spin about its local field, which leaves its energy what it was.

References
----------
D. J. Best, N. I. Fisher, Appl. Stat. 28, 152 (1979) and A. T. A. Wood, Commun. Stat. Simul. 23,
157 (1994) for the rejection; Y. Miyatake and others, J. Phys. C 19, 2539 (1986) for the inversion;
M. Creutz, Phys. Rev. D 36, 515 (1987) for over-relaxation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from thermo.kernels.lane_functions import (
    circle,
    exponential,
    logarithm,
    sign_of,
    unit_interval,
)
from thermo.kernels.lane_reals import reals, select, square_root
from thermo.kernels.lanes import any_lane, lane_function, load, store
from thermo.kernels.streams import random_word

__all__ = ["VectorInteractions", "heat_bath", "measure", "metropolis", "over_relaxation"]


class VectorInteractions(NamedTuple):
    """What the spins feel. Never written to."""

    order: np.ndarray  # (n,) int32; in which the sites are visited
    offsets: np.ndarray  # (n + 1,) int64; neighbours of site i: offsets[i] up to offsets[i + 1]
    neighbours: np.ndarray  # (2M,) int32
    couplings: np.ndarray  # (2M,) float64
    fields: np.ndarray  # (n, 3) float64
    components: int  # 2 on the circle, 3 on the sphere


@lane_function
def spin_at(spins, site, components):
    """Return the spin of a site; on the circle z is 0."""
    row = site * components
    z = load(spins, row + 2) if components == 3 else reals(0.0)
    return load(spins, row), load(spins, row + 1), z


@lane_function
def put_spin(spins, site, components, x, y, z):
    """Write the spin of a site, its length corrected from nearly 1 to 1 (a step of Newton's)."""
    scale = 1.5 - 0.5 * (x * x + y * y + z * z)
    row = site * components
    store(spins, row, x * scale)
    store(spins, row + 1, y * scale)
    if components == 3:
        store(spins, row + 2, z * scale)


@lane_function
def local_field(spins, site, model):
    """Return h = Σ_j J_ij S_j + h_i, for which the spin's energy is −S·h."""
    x = reals(model.fields[site, 0])
    y = reals(model.fields[site, 1])
    z = reals(model.fields[site, 2])
    for k in range(model.offsets[site], model.offsets[site + 1]):
        coupling = model.couplings[k]
        row = model.neighbours[k] * model.components
        x = x + coupling * load(spins, row)
        y = y + coupling * load(spins, row + 1)
        if model.components == 3:
            z = z + coupling * load(spins, row + 2)
    return x, y, z


@lane_function
def shrunk_angle(words, g):
    """Draw an angle of the circle, shrunk by `g` from uniform; return (1 − cos θ, sin θ)."""
    b, a = circle(words)  # at half the angle: tan(θ/2) = g a/b
    a = g * a
    square = a * a
    scale = 2.0 / (b * b + square)
    return square * scale, a * b * scale


@lane_function
def shrunk_tilt(words, g):
    """Draw an angle from a pole of the sphere, shrunk by `g`; return (1 − cos θ, sin θ)."""
    u = unit_interval(words)  # tan²(θ/2) = g² u/(1 − u)
    square = (g * g) * u
    scale = 2.0 / ((1.0 - u) + square)
    return square * scale, g * square_root(u * (1.0 - u)) * scale


@lane_function
def turned(x, y, w, sin):
    """Return the vector (x, y) turned by the angle of (w, sin), w = 1 − cos θ."""
    cos = 1.0 - w
    return cos * x - sin * y, cos * y + sin * x, reals(0.0)


@lane_function
def tilted(x, y, z, w, sin, words):
    """Return the unit vector (x, y, z) tilted by the angle of (w, sin) to a random side.

    The frame is that of T. Duff and others, J. Comput. Graph. Tech. 6, 1 (2017).
    """
    cos = 1.0 - w
    a, b = circle(words)
    a = sin * a
    b = sin * b
    sign = sign_of(z)
    c = -1.0 / (sign + z)
    d = x * y * c
    return (
        cos * x + a * (1.0 + sign * x * x * c) + b * d,
        cos * y + a * sign * d + b * (sign + y * y * c),
        cos * z - a * sign * x - b * y,
    )


@lane_function
def circle_heat_bath(kappa, s0, s1):
    """Draw an angle from e^(κ cos θ) on the circle; return (1 − cos θ, sin θ) and the generator."""
    g = 1.0 / square_root(1.0 + 4.0 * kappa)
    w = reals(0.0)
    sin = reals(0.0)
    undecided = kappa > -1.0
    while any_lane(undecided):
        word, s0, s1 = random_word(s0, s1)
        trial, trial_sin = shrunk_angle(word, g)
        v = kappa * trial
        word, s0, s1 = random_word(s0, s1)
        likely = unit_interval(word) < (0.5 + v) * exponential(0.5 - v)
        w = select(undecided & likely, trial, w)
        sin = select(undecided & likely, trial_sin, sin)
        undecided = undecided & ~likely
    return w, sin, s0, s1


@lane_function
def sphere_heat_bath(kappa, words):
    """Draw an angle from e^(κ cos θ) on the sphere; return (1 − cos θ, sin θ)."""
    u = unit_interval(words)
    weak = 2.0 * (1.0 - u) * (1.0 - kappa * u)  # to first order in κ, where ln loses digits
    strong = -logarithm(u + (1.0 - u) * exponential(-2.0 * kappa)) / kappa
    w = select(kappa < 1e-5, weak, strong)
    w = select(w < 2.0, w, reals(2.0))  # not the rounding of 2
    return w, square_root(w * (2.0 - w))


@njit(cache=True, nogil=True)
def metropolis(spins, streams, model, beta, steps, sweeps):
    """Visit every site in place, proposing one new direction each and accepting e^(−βΔE) of them.

    Parameters
    ----------
    spins : (groups, d·n, 8) float64
        Component k of spin i in row d·i + k; chain 8·g + l is lane l of group g.
    streams : (groups, 2, 8) uint64
        States of the random streams, one per chain.
    model : VectorInteractions
    beta : (groups, 8) float64
        Any real numbers.
    steps : (groups, 8) float64
        The factor g of the proposals: 1 is a uniform direction, smaller is nearer.
    sweeps : int
    """
    for group in range(len(spins)):
        chains = spins[group]
        s0 = load(streams[group], 0)
        s1 = load(streams[group], 1)
        own_beta = load(beta, group)
        step = load(steps, group)
        for _ in range(sweeps):
            for site in model.order:
                hx, hy, hz = local_field(chains, site, model)
                x, y, z = spin_at(chains, site, model.components)
                word, s0, s1 = random_word(s0, s1)
                if model.components == 2:
                    w, sin = shrunk_angle(word, step)
                    nx, ny, nz = turned(x, y, w, sin)
                else:
                    w, sin = shrunk_tilt(word, step)
                    word, s0, s1 = random_word(s0, s1)
                    nx, ny, nz = tilted(x, y, z, w, sin, word)
                exponent = own_beta * ((nx - x) * hx + (ny - y) * hy + (nz - z) * hz)
                exponent = select(exponent < 0.0, exponent, reals(0.0))
                word, s0, s1 = random_word(s0, s1)
                accepted = unit_interval(word) < exponential(exponent)
                put_spin(
                    chains,
                    site,
                    model.components,
                    select(accepted, nx, x),
                    select(accepted, ny, y),
                    select(accepted, nz, z),
                )
        store(streams[group], 0, s0)
        store(streams[group], 1, s1)


@njit(cache=True, nogil=True)
def heat_bath(spins, streams, model, beta, sweeps):
    """Visit every site in place, drawing its spin anew from e^(β S·h); arrays as `metropolis`."""
    for group in range(len(spins)):
        chains = spins[group]
        s0 = load(streams[group], 0)
        s1 = load(streams[group], 1)
        own_beta = load(beta, group)
        sign = sign_of(own_beta)
        for _ in range(sweeps):
            for site in model.order:
                x, y, z = local_field(chains, site, model)
                length = square_root(x * x + y * y + z * z)
                kappa = (sign * own_beta) * length
                exists = length > 0.0
                scale = sign / length  # the pole lies along the field, or against it at β < 0
                x = select(exists, x * scale, reals(1.0))  # without a field any pole will do
                y = select(exists, y * scale, reals(0.0))
                z = select(exists, z * scale, reals(0.0))
                if model.components == 2:
                    w, sin, s0, s1 = circle_heat_bath(kappa, s0, s1)
                    x, y, z = turned(x, y, w, sin)
                else:
                    word, s0, s1 = random_word(s0, s1)
                    w, sin = sphere_heat_bath(kappa, word)
                    word, s0, s1 = random_word(s0, s1)
                    x, y, z = tilted(x, y, z, w, sin, word)
                put_spin(chains, site, model.components, x, y, z)
        store(streams[group], 0, s0)
        store(streams[group], 1, s1)


@njit(cache=True, nogil=True)
def over_relaxation(spins, model, sweeps):
    """Visit every site in place and reflect its spin about the local field; no randomness, no β."""
    for group in range(len(spins)):
        chains = spins[group]
        for _ in range(sweeps):
            for site in model.order:
                hx, hy, hz = local_field(chains, site, model)
                x, y, z = spin_at(chains, site, model.components)
                square = hx * hx + hy * hy + hz * hz
                twice = 2.0 * (x * hx + y * hy + z * hz) / square
                exists = square > 0.0
                put_spin(
                    chains,
                    site,
                    model.components,
                    select(exists, twice * hx - x, x),
                    select(exists, twice * hy - y, y),
                    select(exists, twice * hz - z, z),
                )


@njit(cache=True, nogil=True)
def measure(spins, model, signs, totals):
    """Write the energy, the magnetisation and the staggered magnetisation of every chain.

    Parameters
    ----------
    spins, model
        As `metropolis`.
    signs : (n,) float64
        Of each site in the staggered magnetisation.
    totals : (groups, 7, 8) float64
        Written: energy, three components, three staggered components.
    """
    for group in range(len(spins)):
        chains = spins[group]
        energy = mx = my = mz = sx = sy = sz = reals(0.0)
        for site in range(len(signs)):
            x, y, z = spin_at(chains, site, model.components)
            hx, hy, hz = local_field(chains, site, model)
            fx = model.fields[site, 0]
            fy = model.fields[site, 1]
            fz = model.fields[site, 2]
            # Every bond is met twice, the field once.
            energy = energy - 0.5 * (x * (hx + fx) + y * (hy + fy) + z * (hz + fz))
            mx = mx + x
            my = my + y
            mz = mz + z
            sx = sx + signs[site] * x
            sy = sy + signs[site] * y
            sz = sz + signs[site] * z
        store(totals[group], 0, energy)
        store(totals[group], 1, mx)
        store(totals[group], 2, my)
        store(totals[group], 3, mz)
        store(totals[group], 4, sx)
        store(totals[group], 5, sy)
        store(totals[group], 6, sz)
