"""Single-spin proposals for walks in energy: spins with a few states, and unit vectors.

`propose`, `assign`, `bin_of` and `energy_afresh` do the right thing for either kind: the shape of
`states`, (n,) or (n, d), decides when they are compiled.

Site and new state of a discrete spin come from one random word by multiplication. A site's
probability may differ from 1/n by 2⁻³², but is the same for a move and its reverse, so that
detailed balance does not notice; the two directions of a change of state differ by (q − 1)·2⁻³² at
most.

Numba's cache of a kernel looks at the kernel's own file only: after an edit here, remove the
``__pycache__`` beside it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from thermo.kernels.lanes import lane_function
from thermo.kernels.streams import random_unit, random_word

__all__ = [
    "SHIFT",
    "DiscreteSystem",
    "VectorSystem",
    "assign",
    "bin_of",
    "energy_afresh",
    "propose",
]

SHIFT = 32  # of discrete spins: a bin is 2³² quanta of energy wide

_U1, _U32 = np.uint64(1), np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)


class DiscreteSystem(NamedTuple):
    """A model in difference form. Never written to.

    Energies are integers (quanta), so that a running energy never drifts. Indices are unsigned:
    numba then leaves out the test for negative ones.
    """

    offsets: np.ndarray  # (n + 1,) uint64; bonds of site i: offsets[i] up to offsets[i + 1]
    neighbours: np.ndarray  # (2M,) uint32; the site at the other end
    bond_rows: np.ndarray  # (2M,) uint32; row of `bond_energy`
    bond_energy: np.ndarray  # (rows, 2q − 1) int64; column: neighbour's state − own + q − 1
    site_energy: np.ndarray  # (n, q) int64, or (0, q) without a field
    n_states: np.uint64  # q
    origin: np.int64  # lower edge of bin 0
    reach: np.uint64  # the most bins that one move can cross


class VectorSystem(NamedTuple):
    """A model of unit vectors, −Σ J S·S′ − Σ h·S. Never written to."""

    offsets: np.ndarray  # (n + 1,) uint64
    neighbours: np.ndarray  # (2M,) uint32
    couplings: np.ndarray  # (2M,) float64; J of each
    fields: np.ndarray  # (n, d) float64
    origin: np.float64  # lower edge of bin 0
    bins_per_energy: np.float64
    reach: np.uint64


@lane_function
def propose(states, s0, s1, system):
    """Return a site, its proposed spin, the change of energy, and the generator's state."""
    word, s0, s1 = random_word(s0, s1)
    site = ((word >> _U32) * np.uint64(states.shape[0])) >> _U32
    if states.ndim == 1:
        old = np.uint64(states[site])
        new = old + _U1 + (((word & _LOW_HALF) * (system.n_states - _U1)) >> _U32)
        if new >= system.n_states:
            new -= system.n_states
        return site, new, discrete_change(states, site, old, new, system), s0, s1
    direction, s0, s1 = random_direction(states, s0, s1)
    return site, direction, vector_change(states, site, direction, system), s0, s1


@lane_function
def assign(states, site, spin):
    """Give a site its new spin."""
    if states.ndim == 1:
        states[site] = spin
    else:
        for c in range(states.shape[1]):
            states[site, c] = spin[c]


@lane_function
def bin_of(energy, states, system):
    """Return the bin of an energy."""
    if states.ndim == 1:
        return np.uint64((energy - system.origin) >> SHIFT)
    return np.uint64((energy - system.origin) * system.bins_per_energy)


@lane_function
def energy_afresh(energy, states, system):
    """Return the energy without the rounding errors that have gathered in `energy`."""
    if states.ndim == 1:
        return energy  # whole quanta: there are none
    total = 0.0
    for site in range(states.shape[0]):
        for c in range(states.shape[1]):
            total -= (0.5 * local_field(states, site, c, system) + 0.5 * system.fields[site, c]) * (
                states[site, c]
            )
    return total


@lane_function
def discrete_change(states, site, old, new, system):
    """Return by how many quanta the energy grows if `site` goes from `old` to `new`."""
    last = system.n_states - _U1
    change = np.int64(0)
    k = system.offsets[site]
    end = system.offsets[site + _U1]
    while k < end:
        row = system.bond_rows[k]
        other = np.uint64(states[system.neighbours[k]]) + last
        change += system.bond_energy[row, other - new] - system.bond_energy[row, other - old]
        k += _U1
    if len(system.site_energy) > 0:
        change += system.site_energy[site, new] - system.site_energy[site, old]
    return change


@lane_function
def vector_change(states, site, direction, system):
    """Return by how much the energy grows if the vector at `site` becomes `direction`."""
    change = 0.0
    for c in range(states.shape[1]):
        change -= (direction[c] - states[site, c]) * local_field(states, site, c, system)
    return change


@lane_function
def local_field(states, site, component, system):
    """Return one component of Σ J S_j + h at a site."""
    total = system.fields[site, component]
    for k in range(system.offsets[site], system.offsets[np.uint64(site) + _U1]):
        total += system.couplings[k] * states[system.neighbours[k], component]
    return total


@lane_function
def random_direction(states, s0, s1):
    """Draw a direction, uniform on the circle (d = 2) or the sphere (d = 3); third component 0."""
    u, s0, s1 = random_unit(s0, s1)
    angle = 2.0 * math.pi * u
    height, radius = 0.0, 1.0
    if states.shape[1] == 3:
        u, s0, s1 = random_unit(s0, s1)
        height = 2.0 * u - 1.0
        radius = math.sqrt(1.0 - height * height)
    return (radius * math.cos(angle), radius * math.sin(angle), height), s0, s1
