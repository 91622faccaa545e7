"""The n-fold way against enumeration and against the exact law of a jump process.

Seeds were chosen beforehand; a test makes at most 81 χ² (27 states at 3 β), each held to P_LIMIT: a
right engine fails it with probability below 10⁻⁴.
"""

from __future__ import annotations

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p, energy_p
from mistaken_kernel import mistaken
from scipy.linalg import expm

from thermo.errors import InvalidInputError
from thermo.kernels import discrete_events
from thermo.kernels.discrete_events import advance, fill_trees
from thermo.lattice import chain, from_edges, square
from thermo.models import Clock, Ising, Potts
from thermo.sampling import rejection_free_batch
from thermo.sampling.rejection_free_batch import RejectionFreeBatch

SEED = 20261121
REAL = np.random.default_rng(SEED).normal(size=18)
CASES = {
    "Ising 4×4": Ising(square(4)),
    "Ising in a field, an isolated site": Ising(
        from_edges(6, [(0, 1), (1, 2), (1, 3), (3, 4)]), 0.9, 0.4
    ),
    "Ising glass": Ising(chain(7), REAL[:7], REAL[7:14]),
    "Potts": Potts(chain(5), 4, field=0.5),
    "chiral clock": Clock(chain(6), 3, 1.3, chirality=0.3),
}
TINY = {
    "Ising": Ising(chain(3), [1.0, -0.6, 0.3], [0.0, 0.2, -0.4]),
    "Potts": Potts(chain(3), 3, [1.0, -0.5, 0.7], 0.3),
    "chiral clock": Clock(chain(3), 3, [1.0, -0.5, 0.7], [0.0, 0.3, 0.0], 0.3),
}


def batch_at(model, beta: float, chains: int = 400) -> RejectionFreeBatch:
    return RejectionFreeBatch(
        model, "rejection_free", np.full(chains, beta), np.random.SeedSequence(SEED)
    )


def batch_p(batch: RejectionFreeBatch, model, beta: float, draws: int = 12) -> float:
    """p-value of energies 15 sweeps apart against g(E) e^(−βE) by enumeration."""
    batch.sweep(60)
    return energy_p(batch.record(draws, 15)["energy"], model.levels(), beta)


@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_energies_at_fixed_times_are_boltzmanns(model) -> None:
    for beta in (-0.5, 0.0, 0.5):
        p = batch_p(batch_at(model, beta), model, beta)
        assert p > P_LIMIT, (beta, p)


def all_states(model) -> np.ndarray:
    n, q = model.lattice.n_sites, model.n_states
    return np.indices((q,) * n).reshape(n, -1).T.astype(np.int8)


def generator_matrix(model, beta: float) -> np.ndarray:
    """The rates between all states: (1/(q − 1)) min(1, e^(−βΔE)) for each change of one spin."""
    states, q = all_states(model), model.n_states
    energies = model.energy(model.spins_of(states))
    differ = (states[:, None, :] != states[None, :, :]).sum(axis=-1)
    rates = np.minimum(1.0, np.exp(-beta * (energies[None, :] - energies[:, None]))) / (q - 1)
    rates = np.where(differ == 1, rates, 0.0)
    return rates - np.diag(rates.sum(axis=1))


def transition_p(model, beta: float, rates: np.ndarray, time: int) -> float:
    """Least p-value of the transitions in `time` sweeps, from every state, under these rates."""
    states, repeats = all_states(model), 2500
    batch = batch_at(model, beta, len(states) * repeats)
    start = np.repeat(np.arange(len(states)), repeats)
    batch.states = states[start]
    batch.sweep(time)
    end = batch.states @ (model.n_states ** np.arange(model.lattice.n_sites)[::-1])
    counts = np.zeros_like(rates)
    np.add.at(counts, (start, end), 1)
    exact = expm(time * rates)
    likely = np.argsort(exact, axis=1)  # the least likely ends share a cell
    counts, exact = (np.take_along_axis(rows, likely, axis=1) for rows in (counts, exact))
    return min(counts_p(row, p) for row, p in zip(counts, exact, strict=True))


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("model", TINY.values(), ids=TINY.keys())
def test_time_runs_as_in_the_jump_process(model, time: int) -> None:
    for beta in (-1.1, 0.0, 0.7):
        rates = generator_matrix(model, beta)
        weight = np.exp(-beta * model.energy(model.spins_of(all_states(model))))
        np.testing.assert_allclose(weight @ rates, 0.0, atol=1e-10)  # stationary
        assert transition_p(model, beta, rates, time) > P_LIMIT


@pytest.mark.parametrize("model", TINY.values(), ids=TINY.keys())
def test_a_clock_that_is_a_quarter_fast_or_another_beta_fails_the_same_test(model) -> None:
    assert transition_p(model, 0.7, 1.25 * generator_matrix(model, 0.7), 1) < P_LIMIT
    assert transition_p(model, 0.7, generator_matrix(model, -0.7), 1) < P_LIMIT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return -math.log(u) / rate if rate > 0.0 else np.inf", "    return 0.1"),
        (
            "        update_rate(tree, spins, np.int64(model.neighbours[bond]), beta, model)",
            "        pass",
        ),
    ],
    ids=["every state lasts as long", "neighbours keep their old rates"],
)
def test_wrong_events_fail_the_same_histogram_test(monkeypatch, old: str, new: str) -> None:
    monkeypatch.setattr(
        rejection_free_batch, "advance", mistaken(discrete_events, (old, new)).advance
    )
    model = CASES["Ising 4×4"]
    assert batch_p(batch_at(model, 0.5), model, 0.5) < P_LIMIT


def test_the_sums_in_the_tree_are_those_of_the_present_rates() -> None:
    for model in CASES.values():
        batch = batch_at(model, 0.4, 5)
        batch.sweep(20)
        fresh = np.zeros_like(batch._trees)
        fill_trees(fresh, batch._states, batch._kernel_beta, batch._rules)
        assert np.array_equal(batch._trees, fresh)


def test_cold_chains_cross_barriers_in_the_time_they_take() -> None:
    """A dimer at β = 12 leaves its state at rate 2e⁻²⁴ per spin: exponential times, KS by hand.

    sup of the empirical against the exact distribution of 4000 times; 2.5/√4000 is exceeded with
    probability 2e^(−2·2.5²) = 7·10⁻⁶.
    """
    model = Ising(chain(2, periodic=False))
    batch = batch_at(model, 12.0, 4000)
    batch.spins = np.ones((4000, 2))
    batch.sweep(1)
    assert np.all(model.energy(batch.spins) == -1.0)
    exact = 1.0 - np.exp(-2.0 * np.exp(-24.0) * (batch._next_event))
    places = np.arange(1, 4001) / 4000
    assert np.abs(np.sort(exact) - places).max() < 2.5 / np.sqrt(4000)


def test_at_infinite_beta_time_runs_on_over_chains_that_can_no_longer_move() -> None:
    model = CASES["Ising in a field, an isolated site"]
    beta = np.repeat([np.inf, -np.inf], 32)
    batch = RejectionFreeBatch(model, "rejection_free", beta, np.random.SeedSequence(SEED))
    batch.sweep(10**9)
    before = batch.spins
    assert np.all(np.isinf(batch._next_event))
    batch.sweep(10**9)
    assert np.array_equal(batch.spins, before)
    for site in range(6):
        moved = before.copy()
        moved[:, site] *= -1
        assert np.all(np.sign(beta) * (model.energy(moved) - model.energy(before)) > 0)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_the_compiled_kernels_equal_their_python_bit_for_bit(monkeypatch) -> None:
    for model in CASES.values():
        compiled, in_python = (batch_at(model, 0.3, 3) for _ in range(2))
        compiled.sweep(4)
        with monkeypatch.context() as patch:
            patch.setattr(rejection_free_batch, "advance", advance.py_func)
            patch.setattr(rejection_free_batch, "fill_trees", fill_trees.py_func)
            in_python.sweep(4)
        assert np.array_equal(compiled.states, in_python.states)
        assert np.array_equal(compiled._next_event, in_python._next_event)
        assert np.array_equal(compiled._trees, in_python._trees)


def test_sweeps_may_be_divided_and_a_state_restored() -> None:
    model = CASES["chiral clock"]
    at_once, in_parts, other, early = (batch_at(model, 0.3, 5) for _ in range(4))
    early.restore(early.state())  # before anything has happened
    at_once.sweep(7)
    early.sweep(7)
    in_parts.sweep(3)
    other.restore(in_parts.state())
    in_parts.sweep(4)
    other.sweep(4)
    for batch in (in_parts, other, early):
        assert np.array_equal(at_once.spins, batch.spins)
        assert np.array_equal(at_once._next_event, batch._next_event)


def test_a_new_beta_or_state_counts_at_once() -> None:
    model = CASES["Potts"]
    batch = batch_at(model, np.inf, 50)
    batch.sweep(1000)
    batch.beta = np.full(50, -np.inf)
    batch.sweep(1000)
    assert np.all(model.energy(batch.spins) == 0.0)
    batch.spins = np.zeros(5, dtype=int)
    batch.sweep(1000)
    assert np.all(model.energy(batch.spins) == 0.0)


def test_bad_input_is_refused_in_one_sentence() -> None:
    with pytest.raises(InvalidInputError, match="accepted: 'rejection_free'"):
        RejectionFreeBatch(CASES["Potts"], "metropolis", [0.0], np.random.SeedSequence(1))
