"""Cluster updates of spins that are unit vectors, by embedded Ising spins (U. Wolff 1989).

A random direction r splits every spin into σ = S·r and a rest; turning σ round, with the rest as it
is, reflects the spin. The signs of the σ are Ising spins with couplings J|σ_i σ_j|, of any sign:
a bond that is satisfied, βJ σ_i σ_j > 0, is activated with probability 1 − e^(−2βJ σ_i σ_j), and
sites joined by active bonds are reflected together. Written with the signed product this needs no
staggered map at βJ < 0 and holds on any graph; on frustrated ones the clusters percolate long
before there is order and the update is useless, which is why the batch refuses them.

Layout of the arrays: see `thermo.kernels.vector.metropolis`.

References
----------
U. Wolff, Phys. Rev. Lett. 62, 361 (1989); R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58, 86
(1987).
"""

from __future__ import annotations

import math

from numba import njit

from thermo.kernels.lane_functions import circle, exponential, unit_interval
from thermo.kernels.lane_reals import reals, select, square_root
from thermo.kernels.lanes import WORDS, lane_function, load, store
from thermo.kernels.streams import random_unit, random_word
from thermo.kernels.vector import put_spin, spin_at

__all__ = ["swendsen_wang", "wolff"]


@lane_function
def random_direction(components, s0, s1):
    """Return a uniform unit vector in every lane, z being 0 on the circle, and the generator."""
    word, s0, s1 = random_word(s0, s1)
    x, y = circle(word)
    z = reals(0.0)
    if components == 3:
        word, s0, s1 = random_word(s0, s1)
        u = unit_interval(word)
        z = 1.0 - 2.0 * u
        across = 2.0 * square_root(u * (1.0 - u))
        x = across * x
        y = across * y
    return x, y, z, s0, s1


@njit(cache=True, nogil=True)
def swendsen_wang(spins, streams, model, beta, chains, sigma, flips, bonds, parents, sweeps):
    """Cut the lattice into clusters and reflect each, or not, with probability ½.

    Parameters
    ----------
    spins, streams, model, beta, sweeps
        As `thermo.kernels.vector.metropolis`.
    chains : int
        How many there are; lanes beyond them are not joined to clusters.
    sigma, flips : (n, 8) float64
    bonds : (M, 8) float64
    parents : (n,) int32
        Work space.
    """
    n = len(model.order)
    for group in range(len(spins)):
        own = spins[group]
        s0 = load(streams[group], 0)
        s1 = load(streams[group], 1)
        twice_beta = 2.0 * load(beta, group)
        for _ in range(sweeps):
            rx, ry, rz, s0, s1 = random_direction(model.components, s0, s1)
            for site in range(n):
                x, y, z = spin_at(own, site, model.components)
                store(sigma, site, x * rx + y * ry + z * rz)
                word, s0, s1 = random_word(s0, s1)
                store(flips, site, select(unit_interval(word) < 0.5, reals(2.0), reals(0.0)))
            bond = 0
            for site in range(n):
                strength = twice_beta * load(sigma, site)
                for k in range(model.offsets[site], model.offsets[site + 1]):
                    other = model.neighbours[k]
                    if other > site:
                        exponent = -model.couplings[k] * (strength * load(sigma, other))
                        exponent = select(exponent < 0.0, exponent, reals(0.0))
                        word, s0, s1 = random_word(s0, s1)
                        idle = unit_interval(word) < exponential(exponent)
                        store(bonds, bond, select(idle, reals(0.0), reals(1.0)))
                        bond += 1
            for lane in range(min(WORDS, chains - WORDS * group)):
                join_clusters(model, bonds, flips, parents, lane)
            for site in range(n):
                amount = load(sigma, site) * load(flips, site)
                x, y, z = spin_at(own, site, model.components)
                put_spin(
                    own,
                    site,
                    model.components,
                    x - amount * rx,
                    y - amount * ry,
                    z - amount * rz,
                )
        store(streams[group], 0, s0)
        store(streams[group], 1, s1)


@lane_function
def join_clusters(model, bonds, flips, parents, lane):
    """Give all sites of a cluster, in one lane, the entry of `flips` of its first site.

    Union and find with path halving; the root of a tree is its lowest site, so that every parent
    comes before its children.
    """
    n = len(parents)
    for site in range(n):
        parents[site] = site
    bond = 0
    for site in range(n):
        for k in range(model.offsets[site], model.offsets[site + 1]):
            other = model.neighbours[k]
            if other > site:
                if bonds[bond, lane] > 0.0:
                    a = root(parents, site)
                    b = root(parents, other)
                    if a < b:
                        parents[b] = a
                    else:
                        parents[a] = b
                bond += 1
    for site in range(n):
        flips[site, lane] = flips[parents[site], lane]


@lane_function
def root(parents, site):
    """Return the root of the tree that `site` is in, halving the way for those who come next."""
    while parents[site] != site:
        parents[site] = parents[parents[site]]
        site = parents[site]
    return site


@njit(cache=True, nogil=True)
def wolff(spins, streams, model, beta, chains, stack, directions, clusters):
    """Grow a number of clusters in every chain, each from a random site, and reflect them.

    Parameters
    ----------
    spins, streams, model, beta
        As `thermo.kernels.vector.metropolis`.
    chains : int
        How many there are; lanes beyond them rest.
    stack : (n,) int32
    directions : (4, 8) float64
        Work space.
    clusters : int
    """
    n = len(model.order)
    for group in range(len(spins)):
        for _ in range(clusters):
            s0 = load(streams[group], 0)
            s1 = load(streams[group], 1)
            x, y, z, s0, s1 = random_direction(model.components, s0, s1)
            word, s0, s1 = random_word(s0, s1)
            store(directions, 0, x)
            store(directions, 1, y)
            store(directions, 2, z)
            store(directions, 3, unit_interval(word) * float(n))
            store(streams[group], 0, s0)
            store(streams[group], 1, s1)
            for lane in range(min(WORDS, chains - WORDS * group)):
                grow(
                    spins[group],
                    streams[group],
                    model,
                    2.0 * beta[group, lane],
                    directions,
                    lane,
                    stack,
                )


@lane_function
def grow(spins, streams, model, twice_beta, directions, lane, stack):
    """Reflect one cluster in one lane: `directions` holds r and, in row 3, where to begin.

    On graphs that are not frustrated, a cluster has no unsatisfied bond within; so all bonds to
    sites already reflected look unsatisfied, and no list of visited sites is needed.
    """
    seed = int(directions[3, lane])
    reflect(spins, seed, model.components, directions, lane)
    stack[0] = seed
    waiting = 1
    while waiting > 0:
        waiting -= 1
        site = stack[waiting]
        # The site is reflected already: minus what its σ was.
        strength = -twice_beta * projection(spins, site, model.components, directions, lane)
        for k in range(model.offsets[site], model.offsets[site + 1]):
            other = model.neighbours[k]
            sigma = projection(spins, other, model.components, directions, lane)
            exponent = model.couplings[k] * (strength * sigma)
            if exponent > 0.0 and draw_unit(streams, lane) >= math.exp(-exponent):
                reflect(spins, other, model.components, directions, lane)
                stack[waiting] = other
                waiting += 1


@lane_function
def draw_unit(streams, lane):
    """Return a multiple of 2⁻⁵³, uniform in [0, 1), from the stream of one lane."""
    u, streams[0, lane], streams[1, lane] = random_unit(streams[0, lane], streams[1, lane])
    return u


@lane_function
def projection(spins, site, components, directions, lane):
    """Return σ = S·r of a site in one lane."""
    sigma = 0.0
    for k in range(components):
        sigma += spins[site * components + k, lane] * directions[k, lane]
    return sigma


@lane_function
def reflect(spins, site, components, directions, lane):
    """Turn σ of a site round in one lane, keeping the spin's length at 1."""
    twice = 2.0 * projection(spins, site, components, directions, lane)
    square = 0.0
    for k in range(components):
        row = site * components + k
        spins[row, lane] -= twice * directions[k, lane]
        square += spins[row, lane] * spins[row, lane]
    for k in range(components):
        spins[site * components + k, lane] *= 1.5 - 0.5 * square
