"""Heat bath of three and more states: products, tables and energies draw the same states.

The three ways of `thermo.kernels.discrete_heat_bath` take the same random numbers, and a state is
the first whose running total reaches the goal. So chains whose weights agree to 10⁻¹² stay equal,
spin by spin: in each test fewer than 10⁶ draws are compared, and one falls between two totals that
differ by rounding only with probability below 10⁻⁵. Energy histograms against enumeration: seeds
chosen beforehand, false alarm 10⁻⁶ for each.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, energy_p
from numba import njit

from thermo.kernels.discrete_heat_bath import LARGEST_BETA, TOGETHER
from thermo.kernels.lane_squares import (
    count_below,
    last_row,
    load_square,
    rows_at,
    running_sums,
    store_square,
)
from thermo.kernels.lanes import WORDS, store
from thermo.lattice import chain, cubic, from_edges, square, triangular
from thermo.models import Clock, Potts
from thermo.models.difference import DifferenceModel
from thermo.sampling import discrete_rules
from thermo.sampling.discrete_batch import DiscreteBatch
from thermo.sampling.discrete_rules import energy_unit

SEED = 20261122
IN_TURN = TOGETHER * WORDS  # chains: one of them at β = ±inf leaves all to the energies
REAL = np.random.default_rng(SEED).normal(size=200)
SIGNS = np.sign(REAL)
TREE = from_edges(9, [(0, 1), (0, 2), (0, 3), (0, 4), (4, 5), (7, 6)])  # and an isolated site

PRODUCTS = {
    "Potts q=3": Potts(square(6), 3),
    "Potts q=4, J < 0": Potts(triangular(4), 4, -0.8),
    "Potts q=11": Potts(cubic(3), 11),
    "Potts q=5, real couplings": Potts(square(5), 5, REAL[:50]),
    "Potts q=3, real couplings and fields": Potts(square(4), 3, REAL[:32], REAL[32:48]),
    "three-state clock on a tree": Clock(TREE, 3),
}
TABLES = {
    "Potts q=4 in a field": Potts(square(4), 4, field=0.6),
    "clock q=4": Clock(square(4, periodic=False), 4),
    "clock q=6, couplings ±1": Clock(square(6), 6, SIGNS[:72]),
    "clock q=8 in two fields": Clock(square(8), 8, field=0.3 * SIGNS[:64]),
    "clock q=10 on a tree": Clock(TREE, 10, 1.5),
    "clock q=17": Clock(square(6), 17),
    "chiral clock": Clock(square(4), 3, chirality=0.2),
    "chiral clock q=9, couplings ±1 and a field": Clock(chain(30), 9, SIGNS[:30], 0.4, 0.3),
}
MODELS = {**PRODUCTS, **TABLES}


def batch_at(model: DifferenceModel, beta: np.ndarray) -> DiscreteBatch:
    return DiscreteBatch(model, "heat_bath", beta, np.random.SeedSequence(SEED))


def both_ways(model: DifferenceModel, beta: float) -> tuple[DiscreteBatch, DiscreteBatch]:
    """Chains at β; every 32nd is at infinite β in the second batch."""
    everywhere = np.full(3 * IN_TURN, beta)
    infinite = everywhere.copy()
    infinite[::IN_TURN] = -np.inf
    return batch_at(model, everywhere), batch_at(model, infinite)


def are_equal(one: DiscreteBatch, other: DiscreteBatch) -> bool:
    """Compare the chains that are at the same β."""
    same = np.arange(one.chains) % IN_TURN != 0
    return np.array_equal(one.states[same], other.states[same])


def test_the_way_is_chosen_by_the_model() -> None:
    for model in PRODUCTS.values():
        rules = batch_at(model, np.zeros(1))._rules
        assert rules.equality_only
        assert not len(rules.energy_rows)
    for model in TABLES.values():
        assert len(batch_at(model, np.zeros(1))._rules.energy_rows)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_products_and_tables_draw_what_the_energies_draw(model: DifferenceModel) -> None:
    largest = LARGEST_BETA / energy_unit(model)
    for beta in (-1.3, -0.4, 0.0, 0.2, 1.0, largest, -largest):
        by_products, by_energies = both_ways(model, beta)
        for _ in range(5):
            by_products.sweep(2)
            by_energies.sweep(2)
            assert are_equal(by_products, by_energies), beta
        assert by_products.states.max() < model.n_states


@pytest.mark.parametrize("model", TABLES.values(), ids=TABLES.keys())
def test_a_table_that_is_slightly_wrong_fails_the_same_comparison(model) -> None:
    for name in ("energy_rows", "bond_rows"):
        wrong, right = both_ways(model, 0.5)
        wrong._rules = deepcopy(right._rules)  # for all batches of a model share theirs
        if name == "energy_rows":  # the lowest of the energies
            wrong._rules.energy_rows[0, np.argmin(wrong._rules.energy_rows[0])] += 0.05
        else:  # a bond is turned round by one state
            wrong._rules.bond_rows[0] += 1
        wrong.sweep(10)
        right.sweep(10)
        assert not are_equal(wrong, right), name


@pytest.mark.parametrize("model", PRODUCTS.values(), ids=PRODUCTS.keys())
def test_a_product_with_a_wrong_factor_fails_the_same_comparison(model) -> None:
    wrong, right = both_ways(model, 0.5)
    wrong._rules = deepcopy(right._rules)
    wrong._rules.strengths[-1] *= 0.5
    wrong.sweep(10)
    right.sweep(10)
    assert not are_equal(wrong, right)


ENUMERATED = {
    "clock q=4": Clock(square(3, periodic=False), 4),
    "clock q=10": Clock(chain(5), 10, 0.8),
    "clock q=6 in a field": Clock(chain(5), 6, coupling=1.5, field=-0.5),
    "chiral clock, real couplings and fields": Clock(chain(8), 3, REAL[:8], REAL[8:16], 0.35),
}


@pytest.mark.parametrize("model", ENUMERATED.values(), ids=ENUMERATED.keys())
def test_tables_lead_to_boltzmanns_energies(model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where no table would pay. At −β the histogram is another."""
    monkeypatch.setattr(discrete_rules, "_MOST_ROWS_PER_SITE", 100)
    for beta in (-0.6, 0.0, 0.4):
        batch = batch_at(model, np.full(800, beta))
        assert len(batch._rules.energy_rows)
        batch.sweep(50)
        energies = []
        for _ in range(15):
            batch.sweep(15)
            energies.append(model.energy(batch.spins))
        assert energy_p(np.array(energies), model.levels(), beta) > P_LIMIT
        if beta:
            assert energy_p(np.array(energies), model.levels(), -beta) < P_LIMIT


def operations(table, octets, vectors, out, counts):
    """Use every operation on squares once."""
    a = load_square(table, 1)
    b = rows_at(table, 2, octets, 1)
    store_square(out, 0, a * b)
    sums = running_sums(b) + last_row(a)
    store_square(out, 1, sums)
    store(vectors, 0, last_row(sums))
    store(vectors, 1, last_row(running_sums(a)))
    store(counts, 0, count_below(sums, last_row(a) * 8.0))


def test_every_operation_on_squares_means_the_same_compiled_and_in_python() -> None:
    generator = np.random.default_rng(SEED)
    table = generator.random((9, WORDS, WORDS))
    octets = generator.integers(0, 7, (2, WORDS), dtype=np.uint8)
    results = []
    for function in (operations, njit(operations)):
        vectors, out = np.zeros((2, WORDS)), np.zeros((2, WORDS, WORDS))
        counts = np.zeros((1, WORDS), np.uint64)
        function(table, octets, vectors, out, counts)
        results.append((vectors, out, counts))
    for in_python, compiled in zip(*results, strict=True):
        assert np.array_equal(in_python, compiled)
    vectors, out, counts = results[0]
    assert counts.min() < counts.max()
    assert np.array_equal(out[0, 3], table[1, 3] * table[2 + octets[1, 3], 3])
    columns = np.cumsum(table[2 + octets[1].astype(int), np.arange(WORDS)], axis=1).T
    np.testing.assert_allclose(out[1], columns + table[1, -1], rtol=1e-14)
