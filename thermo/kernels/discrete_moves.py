"""One chain of a discrete model at a time: random numbers, energies, and what moves would change.

Numba's cache of a kernel looks at the kernel's own file only: after an edit here, remove the
``__pycache__`` beside it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thermo.kernels.lanes import lane_function
from thermo.kernels.streams import random_unit

__all__ = ["draw_below", "draw_unit", "energies", "energy_change"]


@lane_function
def draw_unit(stream):
    """Return a multiple of 2⁻⁵³, uniform in (0, 1]; the stream, uint64 of shape (2,), moves on."""
    u, stream[0], stream[1] = random_unit(stream[0], stream[1])
    return u + 2.0**-53


@lane_function
def draw_below(stream, number):
    """Return one of 0 … `number` − 1, each with probability 1/`number` to within 2⁻⁵³."""
    u, stream[0], stream[1] = random_unit(stream[0], stream[1])
    return np.int64(u * number)


@njit(cache=True, nogil=True)
def energies(states, ends, couplings, unit, bond_energy, site_energy):
    """Return Σ_b J_b w[(head − tail) mod q] + Σ_i v[i, k_i] of every chain.

    Parameters
    ----------
    states : (n, chains) uint8
        Site by site: the sums of the chains then grow side by side.
    ends : (M, 2) int32
        Tail and head of each bond.
    couplings : (M,) float64
    unit : float
        Of the couplings: it is multiplied last, so that equal couplings are rounded once.
    bond_energy : (2q,) float64
        w at (head − tail) + q.
    site_energy : (n, q) float64

    Returns
    -------
    (chains,) float64
    """
    q = len(bond_energy) // 2
    chains = states.shape[1]
    bonds = np.zeros(chains)
    for bond in range(len(ends)):
        tail = ends[bond, 0]
        head = ends[bond, 1]
        for chain in range(chains):
            place = np.int64(states[head, chain]) - np.int64(states[tail, chain]) + q
            bonds[chain] += couplings[bond] * bond_energy[np.uint64(place)]
    sites = np.zeros(chains)
    for site in range(len(site_energy)):
        for chain in range(chains):
            sites[chain] += site_energy[site, states[site, chain]]
    return unit * bonds + sites


@lane_function
def energy_change(states, site, new, model):
    """Return by how much the energy grows if `site` of one chain, ``states[site]``, became `new`.

    `model` is a `thermo.kernels.discrete.DiscreteInteractions`, whose unit of energy this is.
    """
    q = model.q
    own = np.int64(states[site])
    row = (((new - own) % q) << model.stride) - own + q
    delta = model.site_energy[site * q + new] - model.site_energy[site * q + own]
    for bond in range(model.offsets[site], model.offsets[site + 1]):
        other = np.int64(states[model.neighbours[bond]])
        delta += model.strengths[bond] * model.changes[model.tables[bond] + row + other]
    return delta
