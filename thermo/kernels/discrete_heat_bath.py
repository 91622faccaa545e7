r"""Sequential heat bath of any discrete model in difference form, eight chains in one vector.

At each site, one after the other, and for eight chains together, the new state k is drawn with its
probability :math:`\propto e^{-\beta e_k}`, where e_k is the energy of the site's bonds and field in
state k. What takes the time are the weights of the q states. They are found in one of three ways:

* Where a bond knows only whether two states are equal (Potts), it multiplies the weight of *one*
  state by e^{βJ}. An exponential per bond, or none while the couplings are equal.
* Where bonds and fields are of few kinds (clocks without disorder), the weights of eight states at
  once are a product of rows of a table, a row for each bond: what it and the state of the
  neighbour contribute. No exponential at all.
* Otherwise, and at β so large that products might overflow, the energies are summed first, then
  comes an exponential for each state, relative to the most likely one.

q = 2 is left to `thermo.kernels.discrete.single_flip`.

A factor of a weight is exact to 2⁻⁴³ of itself and uniform numbers are multiples of 2⁻⁵³. At
β = ±∞ the most likely states are drawn equally often.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from thermo.kernels.discrete import ZERO_ENERGY, next_word, only_where, single_flip
from thermo.kernels.lane_bytes import load_bytes, store_bytes
from thermo.kernels.lane_functions import exponential
from thermo.kernels.lane_reals import mask_words, reals, reals_of, select
from thermo.kernels.lane_squares import (
    count_below,
    last_row,
    load_square,
    rows_at,
    running_sums,
    store_square,
)
from thermo.kernels.lanes import WORDS, lane_function, load, splat, store

__all__ = ["heat_bath"]

LARGEST_BETA = 350.0  # for products: energies do not exceed 1, so that weights are e^±350 at most
TOGETHER = 4  # groups of chains visit a site in turn; the tables of many would leave the cache


class Latest(NamedTuple):
    """The bond that each group met last: where all are equal, one exponential serves them all."""

    strengths: np.ndarray  # (groups,) float64; J
    factors: np.ndarray  # (groups, 8) float64; e^{βJ}


@lane_function
def unit_numbers(generator, group):
    """Draw a multiple of 2⁻⁵³ in (0, 1] for each chain of the group."""
    return (reals_of(next_word(generator, group) >> 11) + 1.0) * 2.0**-53


@lane_function
def draw(states, generator, site, group, groups, q, weights):
    """Draw a state for one site of eight chains; weight k is row k of `weights`."""
    total = reals(0.0)
    for k in range(q):
        total = total + load(weights, k)
        store(weights, k, total)
    goal = unit_numbers(generator, group) * total
    new = splat(q - 1)  # less one for every running total that reaches the goal before the last
    for k in range(q - 1):
        new = new + mask_words(goal <= load(weights, k))
    store_bytes(states, site * groups + group, new)


# ---- bonds that know only whether two states are equal -----------------------------------------


@lane_function
def multiply_weights(states, beta, model, site, group, groups, latest, scratch):
    """Write e^{−βe_k} to row k of `scratch`, factor by factor.

    Five states at a time, so that their weights stay in registers.
    """
    q = model.q
    start = model.offsets[site]
    end = model.offsets[site + 1]
    factors = q + 4 - start
    for bond in range(start, end):
        strength = model.strengths[bond]
        if strength != latest.strengths[group]:
            latest.strengths[group] = strength
            store(latest.factors, group, exponential(beta * strength))
        store(scratch, factors + bond, load(latest.factors, group))
    for m in range(0, q, 5):
        w0 = w1 = w2 = w3 = w4 = reals(1.0)
        for bond in range(start, end):
            other = load_bytes(states, model.neighbours[bond] * groups + group)
            factor = load(scratch, factors + bond)
            w0 = select(other == splat(m), w0 * factor, w0)
            w1 = select(other == splat(m + 1), w1 * factor, w1)
            w2 = select(other == splat(m + 2), w2 * factor, w2)
            w3 = select(other == splat(m + 3), w3 * factor, w3)
            w4 = select(other == splat(m + 4), w4 * factor, w4)
        store(scratch, m, w0)
        store(scratch, m + 1, w1)
        store(scratch, m + 2, w2)
        store(scratch, m + 3, w3)
        store(scratch, m + 4, w4)
    if model.has_field:
        for k in range(q):
            field = exponential(beta * -model.site_energy[site * q + k])
            store(scratch, k, load(scratch, k) * field)


# ---- bonds of a few kinds ----------------------------------------------------------------------


@lane_function
def tabulate(beta, model, group, table, first):
    """Write the weights of all `energy_rows` for each chain of a group; none beyond q states."""
    for place in range(len(model.energy_rows)):
        energies = load(model.energy_rows, place)
        real = energies < np.inf
        energies = only_where(real, energies)
        for chain in range(WORDS):
            weights = exponential(energies * -beta[group, chain])
            store(table, (first + place) * WORDS + chain, only_where(real, weights))


@lane_function
def draw_by_table(states, generator, model, site, group, groups, table, first, sums):
    """Draw a state for one site of eight chains, whose table begins at the place `first`."""
    blocks = len(sums)
    total = reals(0.0)
    for block in range(blocks):
        weights = load_square(table, first + model.site_rows[site] + block)
        for bond in range(model.offsets[site], model.offsets[site + 1]):
            place = first + model.bond_rows[bond] + block * model.q
            row = model.neighbours[bond] * groups + group
            weights = weights * rows_at(table, place, states, row)
        running = running_sums(weights) + total
        store_square(sums, block, running)
        total = last_row(running)
    goal = unit_numbers(generator, group) * total
    new = splat(0)
    for block in range(blocks):
        new = new + count_below(load_square(sums, block), goal)
    store_bytes(states, site * groups + group, new)


# ---- any bonds, any β --------------------------------------------------------------------------


@lane_function
def strengths_by_state(states, model, direction, site, group, groups, scratch, first):
    """Write Σ J over the bonds of one direction to neighbours in state m to row `first` + m.

    Four states at a time, so that their sums stay in registers.
    """
    for m in range(0, model.q, 4):
        s0 = s1 = s2 = s3 = reals(0.0)
        for bond in range(model.offsets[site], model.offsets[site + 1]):
            other = load_bytes(states, model.neighbours[bond] * groups + group)
            strength = reals(model.strengths[bond] * model.belongs[direction, bond])
            s0 = s0 + only_where(other == splat(m), strength)
            s1 = s1 + only_where(other == splat(m + 1), strength)
            s2 = s2 + only_where(other == splat(m + 2), strength)
            s3 = s3 + only_where(other == splat(m + 3), strength)
        store(scratch, first + m, s0)
        store(scratch, first + m + 1, s1)
        store(scratch, first + m + 2, s2)
        store(scratch, first + m + 3, s3)


@lane_function
def state_energies(states, model, site, group, groups, scratch):
    """Write the energy that the site would have in state k to row k of `scratch`, k < q."""
    q = model.q
    if model.equality_only:
        strengths_by_state(states, model, 0, site, group, groups, scratch, 0)
        for k in range(q):
            field = reals(model.site_energy[site * q + k])
            store(scratch, k, field - load(scratch, k))
        return
    for k in range(q):
        store(scratch, k, reals(model.site_energy[site * q + k]))
    for direction in range(len(model.bond_energy)):
        first = q + 3
        strengths_by_state(states, model, direction, site, group, groups, scratch, first)
        for k in range(0, q, 4):
            e0 = load(scratch, k)
            e1 = load(scratch, k + 1)
            e2 = load(scratch, k + 2)
            e3 = load(scratch, k + 3)
            for m in range(q):
                strength = load(scratch, first + m)
                place = m - k + q
                e0 = e0 + strength * model.bond_energy[direction, place + 3]
                e1 = e1 + strength * model.bond_energy[direction, place + 2]
                e2 = e2 + strength * model.bond_energy[direction, place + 1]
                e3 = e3 + strength * model.bond_energy[direction, place]
            store(scratch, k, e0)
            store(scratch, k + 1, e1)
            store(scratch, k + 2, e2)
            store(scratch, k + 3, e3)


@lane_function
def relative_weights(states, beta, model, site, group, groups, scratch):
    """Write e^{−β(e_k − e)} to row k of `scratch`, e being the most likely state's energy."""
    q = model.q
    state_energies(states, model, site, group, groups, scratch)
    lowest = reals(np.inf)
    for k in range(q):
        x = beta * load(scratch, k)
        store(scratch, k, x)
        lowest = select(x <= lowest, x, lowest)
    zero = abs(beta) * ZERO_ENERGY
    for k in range(q):
        x = load(scratch, k) - lowest
        store(scratch, k, exponential(-only_where(x > zero, x)))


# ---- sweeps -----------------------------------------------------------------------------------


@lane_function
def most_bonds(model):
    """Return the largest number of bonds of a site."""
    most = 0
    for site in range(len(model.offsets) - 1):
        most = max(most, model.offsets[site + 1] - model.offsets[site])
    return most


@lane_function
def products_are_safe(beta, start, end):
    """Say whether no product of weights overflows for any chain of the groups."""
    for group in range(start, end):
        for chain in range(WORDS):
            if abs(beta[group, chain]) > LARGEST_BETA:
                return False
    return True


@njit(cache=True, nogil=True)
def aligned_rows(rows):
    """Return zeros of shape (rows, 8), each row in one line of the cache."""
    numbers = np.zeros((rows + 1) * WORDS)
    start = (-numbers.ctypes.data % 64) // 8
    return numbers[start : start + rows * WORDS].reshape(rows, WORDS)


@njit(cache=True, nogil=True)
def heat_bath(states, generator, beta, model, sweeps):
    """Sweep all chains in place by heat bath; parameters as of `thermo.kernels.discrete`."""
    groups = len(beta)
    places = len(model.energy_rows)
    blocks = (model.q + WORDS - 1) // WORDS
    table = aligned_rows(TOGETHER * places * WORDS)
    squares = table.reshape(TOGETHER * places, WORDS, WORDS)
    sums = aligned_rows(blocks * WORDS).reshape(blocks, WORDS, WORDS)
    latest = Latest(np.full(groups, np.inf), aligned_rows(groups))
    scratch = aligned_rows(2 * (model.q + 5) + most_bonds(model))
    for start in range(0, groups, TOGETHER):
        end = min(groups, start + TOGETHER)
        products = products_are_safe(beta, start, end)
        by_table = products and places > 0
        if by_table:
            for group in range(start, end):
                tabulate(beta, model, group, table, (group - start) * places)
        for _ in range(sweeps):
            for site in range(len(model.offsets) - 1):
                for group in range(start, end):
                    if by_table:
                        first = (group - start) * places
                        draw_by_table(
                            states, generator, model, site, group, groups, squares, first, sums
                        )
                    elif model.q == 2:
                        single_flip(states, generator, beta, model, site, group, groups, True)
                    else:
                        b = load(beta, group)
                        if products and model.equality_only:
                            multiply_weights(states, b, model, site, group, groups, latest, scratch)
                        else:
                            relative_weights(states, b, model, site, group, groups, scratch)
                        draw(states, generator, site, group, groups, model.q, scratch)
