"""The acceptance that the kernel's tables hold: exact, balanced in detail, reaching every state.

Transition matrices are built from probabilities read back out of the bit-sliced tables, so that
what is tested is what the kernel uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from thermo.errors import InvalidInputError
from thermo.kernels.ising_lanes import Acceptance, class_count
from thermo.kernels.lanes import LANES, WORDS, unpack
from thermo.lattice import Lattice, chain, from_edges, square, triangular
from thermo.models import Ising
from thermo.sampling.acceptance import ALWAYS, HALF, checked_update, flip_threshold
from thermo.sampling.lane_batch import LaneBatch
from thermo.sampling.updates import SPIN_UPDATES

BETAS = np.array([-np.inf, -3.0, -0.5, -1e-3, -0.0, 0.0, 1e-3, 0.1, 0.44, 2.0, 50.0, np.inf])
LANE_BETA = np.resize(BETAS, LANES)


def flip_probability(tables: Acceptance, site: int, above: int, up: bool, lane: int) -> float:
    """Read out of the tables with what probability a lane flips such a spin.

    `above`: how many neighbours are up, after reversing those behind flipped bonds.
    """
    degree = len(tables.bonds)
    classes = class_count(tables.kind, degree)
    if tables.kind is None:
        if 2 * above == degree:
            return 0.5
        first, c = 0, min(above, degree - above)
        up_aligned = bool(unpack(tables.aligned)[0, lane]) == (2 * above > degree)
        two_sided = bool(unpack(tables.two_sided)[0, lane])
    else:
        first, c = classes * int(tables.kind[site]), above
        up_aligned, two_sided = (
            bool(of_class(table[first : first + classes], c)[0, lane])
            for table in (tables.aligned, tables.two_sided)
        )
    bits = tables.threshold.reshape(-1, 64, classes, WORDS)[first // classes]
    threshold = sum(1 << (63 - k) for k, rows in enumerate(bits) if of_class(rows, c)[0, lane])
    if up == up_aligned:
        return threshold / 2**64
    return 1 - threshold / 2**64 if two_sided else 1.0


def of_class(rows: np.ndarray, c: int) -> np.ndarray:
    """Undo the differences from the first class, and unpack."""
    return unpack((rows[c] ^ rows[0] if c else rows[0])[None, :])


def single_site_matrices(
    model: Ising, update: str, lane: int, *, coin: bool = True
) -> Iterator[np.ndarray]:
    """Yield, site by site in the order of a sweep, the transition matrix of one attempted flip."""
    n = model.lattice.n_sites
    batch = LaneBatch(model, update, LANE_BETA, np.random.SeedSequence(0))
    graph, tables = batch._graph, batch._acceptance
    states = np.arange(2**n)
    spins = (states[:, None] >> np.arange(n)) & 1
    spins_and_down = np.append(spins, np.zeros((2**n, 1), dtype=int), axis=1)
    for site in range(n):
        around = spins_and_down[:, graph.neighbours[site]]
        if graph.flipped is not None:
            around = around ^ -graph.flipped[site]
        above = around.sum(axis=1)
        cases = {
            (k, up): flip_probability(tables, site, k, up, lane)
            for k in np.unique(above).tolist()
            for up in (False, True)
        }
        if not coin:
            cases = {case: 1.0 if p == 0.5 else p for case, p in cases.items()}
        flips = np.array([cases[k, bool(s)] for k, s in zip(above, spins[:, site], strict=True)])
        matrix = np.zeros((2**n, 2**n))
        matrix[states, states ^ (1 << site)] = flips
        matrix[states, states] = 1 - flips
        yield matrix


def boltzmann(model: Ising, beta: float) -> np.ndarray:
    n = model.lattice.n_sites
    energy = model.energy(2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1)
    weight = np.exp(-beta * (energy - (energy.min() if beta > 0 else energy.max())))
    return weight / weight.sum()


TINY = {
    "ring": chain(6),
    "open chain": chain(4, periodic=False),
    "a graph of all degrees up to 3": from_edges(6, [(0, 1), (1, 2), (1, 3), (3, 4)]),
    "open square": square(2, periodic=False),
    "a frustrated graph": from_edges(5, [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 2)]),
}


@pytest.mark.parametrize("update", SPIN_UPDATES)
@pytest.mark.parametrize(("signs", "field"), [("+", 0.0), ("+-+", 0.0), ("+-+", 0.3)])
@pytest.mark.parametrize("lattice", TINY.values(), ids=TINY.keys())
def test_every_flip_is_in_detailed_balance_at_every_beta(
    lattice: Lattice, signs: str, field: float, update: str
) -> None:
    couplings = np.resize([0.8 if sign == "+" else -0.8 for sign in signs], lattice.n_edges)
    model = Ising(lattice, 0.8 if signs == "+" else couplings, field)
    for lane, beta in enumerate(BETAS):
        if abs(beta) > 20:  # the Boltzmann weights themselves underflow; see the next test
            continue
        p = boltzmann(model, beta)
        for matrix in single_site_matrices(model, update, lane):
            flow = p[:, None] * matrix
            # Thresholds are rounded to 2⁻⁶⁴, weights to about 10⁻¹³.
            np.testing.assert_allclose(flow, flow.T, rtol=1e-12, atol=2.0**-64)


@pytest.mark.parametrize("update", SPIN_UPDATES)
@pytest.mark.parametrize("coupling", [1.0, -0.3])
def test_at_infinite_beta_the_energy_never_moves_away_from_its_end(coupling, update) -> None:
    model = Ising(chain(5), coupling, field=0.1)
    energy = model.energy(2 * ((np.arange(32)[:, None] >> np.arange(5)) & 1) - 1)
    for lane in (0, LANES // len(BETAS) * len(BETAS) - 1):
        beta = LANE_BETA[lane]
        assert np.isinf(beta)
        for matrix in single_site_matrices(model, update, lane):
            a, b = np.nonzero(matrix)
            assert np.all(np.sign(beta) * (energy[b] - energy[a]) <= 0)


def reaches_every_state(model: Ising, update: str, lane: int, *, coin: bool = True) -> bool:
    sweep = np.eye(2**model.lattice.n_sites)
    for matrix in single_site_matrices(model, update, lane, coin=coin):
        sweep = sweep @ matrix
    pieces, _ = connected_components(sweep > 0, directed=True, connection="strong")
    return pieces == 1 and bool(np.any(np.diag(sweep) > 0))  # one piece, and no period


@pytest.mark.parametrize("update", SPIN_UPDATES)
@pytest.mark.parametrize(
    "model",
    [
        *(Ising(lattice) for lattice in TINY.values()),
        Ising(chain(6), field=0.5),
        Ising(triangular(3)),
    ],
    ids=repr,
)
def test_sweeps_reach_every_state_at_every_finite_beta(model: Ising, update: str) -> None:
    for lane in np.flatnonzero(np.isin(BETAS, [-3.0, -0.5, 0.0, 1e-3, 0.44])):
        assert reaches_every_state(model, update, int(lane))


def test_without_the_coin_metropolis_sweeps_along_a_ring_do_not() -> None:
    """Negative control of the test above: the reason why neutral flips are accepted with ½."""
    lane = int(np.flatnonzero(BETAS == 0.44)[0])
    assert not reaches_every_state(Ising(chain(6)), "metropolis", lane, coin=False)


@pytest.mark.parametrize("beta", [-2.5, -0.1, 0.3, 7.25])
def test_thresholds_are_exact_to_the_last_bit(beta: float) -> None:
    """e^(−βΔE)·2⁶⁴ from a series in exact fractions, against the 64-bit threshold."""
    delta, largest = Fraction(4, 1), Fraction(400)  # far from weak coupling
    x = -abs(Fraction(beta) * delta)
    term = total = Fraction(1)
    for k in range(1, 200):
        term = term * x / k
        total += term
    exact = {"metropolis": total * 2**64, "heat_bath": total / (1 + total) * 2**64}
    uphill = delta if beta > 0 else -delta
    for update, value in exact.items():
        assert abs(flip_threshold(update, beta, uphill, largest, largest) - value) <= Fraction(1, 2)
    assert flip_threshold("metropolis", beta, -uphill, largest, largest) == ALWAYS
    both = [flip_threshold("heat_bath", beta, d, largest) for d in (delta, -delta)]
    assert sum(both) == 2**64


def test_certain_impossible_and_neutral_flips_are_exactly_that() -> None:
    one, largest = Fraction(1), Fraction(8)
    for beta in (np.inf, 1e300, 100.0):
        for update in SPIN_UPDATES:
            assert flip_threshold(update, beta, one, largest) == 0
            assert flip_threshold(update, beta, -one, largest) == ALWAYS
            assert flip_threshold(update, -beta, one, largest) == ALWAYS
            assert flip_threshold(update, beta, Fraction(0), largest) == HALF
    # Neutral but for the rounding of J and h in binary.
    almost = 3 * Fraction(0.1) - Fraction(0.3)
    assert almost != 0
    assert flip_threshold("metropolis", np.inf, almost, one) == HALF


def test_metropolis_at_weak_coupling_is_heat_bath() -> None:
    largest = Fraction(8)
    weak, strong = np.log(2) / 8 * 0.999, np.log(2) / 8 * 1.001
    for delta in (Fraction(8), Fraction(-4)):
        both = [flip_threshold(update, weak, delta, largest, largest) for update in SPIN_UPDATES]
        assert both[0] == both[1]
    assert flip_threshold("metropolis", strong, Fraction(-4), largest, largest) == ALWAYS
    # By itself, it is its own ΔE that counts.
    alone = [flip_threshold(update, strong, Fraction(-4), largest) for update in SPIN_UPDATES]
    assert alone[0] == alone[1]
    assert flip_threshold("metropolis", 2 * strong, Fraction(-4), largest) == ALWAYS


def test_an_unknown_update_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'metropolis'"):
        checked_update("metropolos")
    with pytest.raises(InvalidInputError, match="'metropolis', 'heat_bath'"):
        checked_update("wolff")
