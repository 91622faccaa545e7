r"""Sequential sweeps of any discrete model in difference form, eight chains in one vector.

.. math:: H = \sum_b J_b\, w[(k_j - k_i) \bmod q] + \sum_i v[i, k_i]

The couplings, the graph, q and the function w are arbitrary. At each site, one after the other, and
for eight chains together, each with its own random bits and its own signed β:

* `metropolis` proposes one of the q − 1 *other* states with equal probability and accepts it with

  .. math:: A(x) = \min(1, e^{-x}) \left(1 - \tfrac1q e^{-2|x|}\right), \qquad x = \beta\Delta E .

* heat bath draws the new state by its Boltzmann probability: for q = 2, where that is to accept the
  other state with 1/(1 + e^x), it is here (`single_flip`); for q > 2 see
  `thermo.kernels.discrete_heat_bath`.

Both satisfy detailed balance at each site, A(x) = e^{−x} A(−x). The second factor of A belongs to
sweeps in a fixed order. With min(1, e^{−x}) alone, moves with x ≤ 0 would be forced, and a chain of
forced moves can be a prison: at β = 0 and q = 2 every sweep would just reverse the lattice. With
it, every site keeps its state with positive probability and takes any other with positive
probability, at every finite β: **one sweep leads from every state to every other**, on any graph,
frustrated or not, which is irreducibility and aperiodicity at once. At β = 0 each visit draws a
fresh state, all q being equally likely, and far from it (e^{−2|x|} ≪ 1) the rule is Metropolis'. It
accepts no less often than heat bath does at q = 2: (1 − e/2)(1 + e) ≥ 1 for e = e^{−|x|}.

At β = ±∞ only moves that do not raise βE are made, neutral ones among them; then the chain stays
among states with no way down.

Probabilities are exact to 2⁻⁴⁵ of themselves (`thermo.kernels.lane_functions.exponential`), and
uniform numbers are multiples of (q − 1)·2⁻⁵³. Energies come in a unit in which none of a site
exceeds 1, and those closer to zero than 2⁻⁴⁴ (the rounding of sums) count as zero; β at most 2⁵⁰
stands for infinity.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from thermo.kernels.lane_bytes import load_bytes, pick, store_bytes
from thermo.kernels.lane_functions import exponential
from thermo.kernels.lane_reals import ceiling, mask_words, reals, reals_of, select, words_of
from thermo.kernels.lanes import lane_function, load, splat, store
from thermo.kernels.streams import random_word

__all__ = [
    "INFINITE_BETA",
    "ZERO_ENERGY",
    "DiscreteInteractions",
    "metropolis",
    "next_word",
    "only_where",
    "single_flip",
]

ZERO_ENERGY = 2.0**-44
INFINITE_BETA = 2.0**50  # times ZERO_ENERGY: e⁻⁶⁴ is below any uniform number


class DiscreteInteractions(NamedTuple):
    """The graph and the energies, as the vector kernels read them. Never written to."""

    offsets: np.ndarray  # (n + 1,) int64; bonds of site i: offsets[i] up to offsets[i + 1]
    neighbours: np.ndarray  # (2M,) int32
    strengths: np.ndarray  # (2M,) float64; J of each
    belongs: np.ndarray  # (directions, 2M) float64; 1 at the bonds of the direction, otherwise 0
    bond_energy: np.ndarray  # (directions, 2q + 3) float64; w at (other − own) + q + 3
    tables: np.ndarray  # (2M,) int64; where the part of `changes` for the bond's direction begins
    changes: np.ndarray  # (directions·q·2^stride,) float64; change of w at shift, (other − own) + q
    stride: int
    site_energy: np.ndarray  # (n·q,) float64
    has_field: bool
    q: int
    equality_only: bool  # w[0] = −1, all others 0, as for Ising and Potts: no table needed
    energy_rows: np.ndarray  # (rows, 8) float64; for heat bath by a table: energies of eight states
    bond_rows: np.ndarray  # (2M,) int32; where the rows for each bond begin
    site_rows: np.ndarray  # (n,) int32; where the rows for each site begin


@lane_function
def next_word(generator, group):
    """Draw 64 random bits for each chain of the group."""
    row = 2 * group
    word, s0, s1 = random_word(load(generator, row), load(generator, row + 1))
    store(generator, row, s0)
    store(generator, row + 1, s1)
    return word


@lane_function
def turned(own, shift, q):
    """Return (own + shift) mod q, both below q."""
    beyond = own + shift - splat(q)
    negative = splat(0) - (beyond >> 63)  # all ones where it is
    return beyond + (splat(q) & negative)


@lane_function
def only_where(mask, numbers):
    """Return the numbers in the lanes of `mask`, elsewhere 0."""
    return select(mask, numbers, reals(0.0))


@lane_function
def group_energy_change(states, own, new, shift, site, group, groups, model):
    """Return by how much the energy grows if the site goes from `own` to `new` = own + shift."""
    delta = reals(0.0)
    if model.equality_only:
        for k in range(model.offsets[site], model.offsets[site + 1]):
            other = load_bytes(states, model.neighbours[k] * groups + group)
            strength = reals(model.strengths[k])
            delta = delta + only_where(own == other, strength)
            delta = delta - only_where(new == other, strength)
    else:
        base = (shift << model.stride) + splat(model.q) - own
        for k in range(model.offsets[site], model.offsets[site + 1]):
            other = load_bytes(states, model.neighbours[k] * groups + group)
            place = base + other + splat(model.tables[k])
            delta = delta + pick(model.changes, place) * model.strengths[k]
    if model.has_field:
        row = splat(site * model.q)
        delta = delta + pick(model.site_energy, row + new)
        delta = delta - pick(model.site_energy, row + own)
    return delta


@lane_function
def single_flip(states, generator, beta, model, site, group, groups, barker):
    """Propose another state at one site of eight chains; accept by A(x), or as heat bath of two."""
    q = model.q
    # t is uniform in (0, q − 1]: rounded up it is the proposed shift, what is left of it decides.
    t = (reals_of(next_word(generator, group) >> 11) + 1.0) * ((q - 1) * 2.0**-53)
    above = ceiling(t)
    u = t - (above - 1.0)
    shift = words_of(above)

    row = site * groups + group
    own = load_bytes(states, row)
    new = turned(own, shift, q)
    delta = group_energy_change(states, own, new, shift, site, group, groups, model)
    delta = only_where(abs(delta) > ZERO_ENERGY, delta)
    x = load(beta, group) * delta
    e = exponential(-abs(x))
    limit = select(x <= 0.0, reals(1.0), e)  # min(1, e⁻ˣ)
    if barker:
        u = u * (1.0 + e)
    else:
        limit = limit * (1.0 - e * e * (1.0 / q))
    store_bytes(states, row, own ^ ((own ^ new) & mask_words(u <= limit)))


@njit(cache=True, nogil=True)
def metropolis(states, generator, beta, model, sweeps):
    """Sweep all chains in place by Metropolis' rule (see the module's text).

    Parameters
    ----------
    states : (n·groups, 8) uint8
        Row i·groups + g holds spin i of the chains 8g … 8g + 7.
    generator : (2·groups, 8) uint64
        State of the random streams, two rows per group.
    beta : (groups, 8) float64
        β of each chain in the unit of the model's energies, at most `INFINITE_BETA` in size.
    model : DiscreteInteractions
    sweeps : int
    """
    groups = len(beta)
    for _ in range(sweeps):
        for site in range(len(model.offsets) - 1):
            for group in range(groups):
                single_flip(states, generator, beta, model, site, group, groups, False)
