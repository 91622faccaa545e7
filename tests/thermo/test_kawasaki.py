"""Kawasaki exchanges against enumeration of a sector, and against wrong rules.

Seeds were chosen beforehand; no test makes more than 100 χ², each held to P_LIMIT.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p, detailed_balance_p, independence_p, level_counts
from mistaken_kernel import mistaken

from thermo.errors import InvalidInputError
from thermo.kernels import discrete_exchange
from thermo.kernels.discrete_exchange import exchange
from thermo.lattice import chain, from_edges, square
from thermo.models import Clock, Ising, Potts
from thermo.sampling import kawasaki_batch
from thermo.sampling.kawasaki_batch import KawasakiBatch, sector_start

SEED = 20261121
REAL = np.random.default_rng(SEED).normal(size=18)
CASES = {
    "Ising 4×4, M = 8": (Ising(square(4)), 8),
    "Ising glass in fields": (Ising(square(3), REAL, REAL[:9]), -1),
    "Potts": (Potts(square(3), 3, 0.8), [4, 2, 3]),
    "clock": (Clock(chain(7), 4, 1.2, field=0.3), [2, 2, 2, 1]),
    "chiral clock": (Clock(chain(7), 3, REAL[:7], REAL[7:14], 0.3), [3, 2, 2]),
    "all spins different": (Potts(chain(3, periodic=False), 3, REAL[:2], REAL[2:5]), [1, 1, 1]),
}


def batch_at(model, sector, beta: float, chains: int = 500) -> KawasakiBatch:
    batch = KawasakiBatch(model, "kawasaki", np.full(chains, beta), np.random.SeedSequence(SEED))
    batch.spins = sector_start(model, sector, np.random.default_rng(SEED), chains=chains)
    return batch


def sector_states(model, sector) -> np.ndarray:
    """All states of the sector, in public form."""
    n, q = model.lattice.n_sites, model.n_states
    codes = np.arange(q**n, dtype=np.int64)
    states = (codes[:, None] // q ** np.arange(n)) % q
    one = model.states_of(sector_start(model, sector, np.random.default_rng(1)))[0]
    counts = np.stack([(states == k).sum(axis=1) for k in range(q)], axis=1)
    return model.spins_of(states[np.all(counts == np.bincount(one, minlength=q), axis=1)])


def sector_p(batch: KawasakiBatch, model, sector, beta: float, draws: int = 12) -> float:
    """p-value of the energies in a sector, 20 sweeps apart, against their exact distribution."""
    exact = model.energy(sector_states(model, sector)).round(9)
    levels, of_state = np.unique(exact, return_inverse=True)
    weight = np.exp(-beta * (exact - exact.mean()))
    p = np.bincount(of_state, weight / weight.sum())
    batch.sweep(60)
    seen = np.zeros(len(levels))
    for _ in range(draws):
        batch.sweep(20)
        seen += level_counts(model.energy(batch.spins), levels)
    return counts_p(seen, p)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_energy_histograms_are_boltzmanns_in_the_sector(case) -> None:
    model, sector = case
    for beta in (-0.5, 0.0, 0.5):
        p = sector_p(batch_at(model, sector, beta), model, sector, beta)
        assert p > P_LIMIT, (beta, p)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_number_of_spins_in_each_state_never_changes(case) -> None:
    model, sector = case
    batch = batch_at(model, sector, 0.4, 20)
    before = np.sort(batch.states, axis=1)
    for _ in range(5):
        batch.sweep(7)
        assert np.array_equal(np.sort(batch.states, axis=1), before)


@pytest.mark.parametrize("beta", [-0.5, 0.5])
def test_wrong_temperatures_and_couplings_fail_the_same_histogram_test(beta: float) -> None:
    model, sector = CASES["Ising glass in fields"]
    couplings = model.couplings.copy()
    couplings[np.abs(couplings).argmax()] = 0.0
    for wrong in (
        batch_at(model, sector, -beta),
        batch_at(model, sector, 1.3 * beta, 4000),
        batch_at(Ising(model.lattice, couplings, model.fields), sector, beta),
    ):
        assert sector_p(wrong, model, sector, beta) < P_LIMIT


def kernel_that_forgets_the_first_move() -> Callable[..., None]:
    """ΔE as if both spins changed in the old configuration: wrong by the bond between them."""
    first, second = "    spins[i] = before_j\n", "    spins[j] = before_i\n"
    return mistaken(discrete_exchange, (first, ""), (second, second + first)).exchange


def test_forgetting_the_bond_between_the_two_fails_the_same_histogram_test(monkeypatch) -> None:
    monkeypatch.setattr(kawasaki_batch, "exchange", kernel_that_forgets_the_first_move())
    model, sector = CASES["Potts"]
    assert sector_p(batch_at(model, sector, 0.5), model, sector, 0.5) < P_LIMIT


def single_sweeps_p(model, sector, beta: float, rounds: int = 12) -> float:
    """p-value of N(x → y) = N(y → x) in single sweeps begun with the exact distribution.

    Attempts are reversible and alike, so that a sweep of n of them is reversible, too.
    """
    states = sector_states(model, sector)
    weight = np.exp(-beta * (model.energy(states) - model.energy(states).mean()))
    rng = np.random.default_rng(SEED)
    chains = 2000
    batch = KawasakiBatch(model, "kawasaki", np.full(chains, beta), np.random.SeedSequence(SEED))
    codes = {tuple(state): k for k, state in enumerate(states.tolist())}
    moves = np.zeros((len(states), len(states)))
    for _ in range(rounds):
        before = rng.choice(len(states), size=chains, p=weight / weight.sum())
        batch.spins = states[before]
        batch.sweep(1)
        after = [codes[tuple(spins)] for spins in batch.spins.tolist()]
        np.add.at(moves, (before, after), 1)
    return detailed_balance_p(moves)


TINY = {
    "Ising in fields": (Ising(chain(5), 1.0, REAL[:5]), 1),
    "Potts": (Potts(chain(4), 3, 0.8), [2, 1, 1]),
    "chiral clock": (Clock(chain(4), 3, REAL[:4], 0.2, 0.3), [2, 1, 1]),
}


@pytest.mark.parametrize("case", TINY.values(), ids=TINY)
def test_every_move_of_a_tiny_system_is_as_frequent_as_its_reverse(case) -> None:
    for beta in (-0.8, 0.0, 0.8):
        assert single_sweeps_p(*case, beta) > P_LIMIT


def test_forgetting_the_bond_between_the_two_breaks_detailed_balance(monkeypatch) -> None:
    monkeypatch.setattr(kawasaki_batch, "exchange", kernel_that_forgets_the_first_move())
    assert min(single_sweeps_p(*TINY["Ising in fields"], b) for b in (-0.8, 0.8)) < P_LIMIT


def test_chains_that_share_a_stream_are_found_out() -> None:
    model, sector = CASES["Potts"]
    for shared in (False, True):
        batch = batch_at(model, sector, 0.2, 100)
        if shared:
            batch._streams[:] = batch._streams[0]
        energies = []
        for _ in range(150):
            batch.sweep(20)
            energies.append(model.energy(batch.spins))
        assert (independence_p(energies) < P_LIMIT) == shared


def test_at_infinite_beta_no_exchange_raises_beta_e() -> None:
    for model, sector in CASES.values():
        for beta in (np.inf, -np.inf):
            batch = batch_at(model, sector, beta, 20)
            before = np.sign(beta) * model.energy(batch.spins)
            for _ in range(20):
                batch.sweep(3)
                after = np.sign(beta) * model.energy(batch.spins)
                assert np.all(after <= before + 1e-12)
                before = after


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_the_compiled_kernel_equals_its_python_bit_for_bit(monkeypatch) -> None:
    for model, sector in CASES.values():
        compiled, in_python = (batch_at(model, sector, 0.3, 4) for _ in range(2))
        compiled.sweep(3)
        with monkeypatch.context() as patch:
            patch.setattr(kawasaki_batch, "exchange", exchange.py_func)
            in_python.sweep(3)
        assert np.array_equal(compiled.states, in_python.states)
        assert np.array_equal(compiled._streams, in_python._streams)


def test_sweeps_may_be_divided_and_a_state_restored() -> None:
    model, sector = CASES["chiral clock"]
    at_once, in_parts, other = (batch_at(model, sector, 0.3, 5) for _ in range(3))
    at_once.sweep(7)
    in_parts.sweep(3)
    other.restore(in_parts.state())
    in_parts.sweep(4)
    other.sweep(4)
    assert np.array_equal(at_once.spins, in_parts.spins)
    assert np.array_equal(at_once.spins, other.spins)


def test_chains_begin_with_as_many_spins_in_each_state() -> None:
    batch = KawasakiBatch(Potts(chain(8), 3), "kawasaki", [0.0] * 5, np.random.SeedSequence(1))
    assert [np.bincount(states).tolist() for states in batch.states] == [[3, 3, 2]] * 5
    assert len({states.tobytes() for states in batch.states}) > 1


def test_bad_input_is_refused_in_one_sentence() -> None:
    model, generator = Ising(chain(6)), np.random.default_rng(1)
    for sector in (1, 8, 0.5, [3, 2], [7, -1], "all"):
        with pytest.raises(InvalidInputError, match=r"sector = .*; accepted|cannot be read"):
            sector_start(model, sector, generator)
    with pytest.raises(InvalidInputError, match="2 whole numbers of spins that sum up to 6"):
        sector_start(Potts(chain(6), 2), 2, generator)
    with pytest.raises(InvalidInputError, match="no bonds"):
        KawasakiBatch(
            Ising(from_edges(3, np.empty((0, 2), int))),
            "kawasaki",
            [0.0],
            np.random.SeedSequence(1),
        )
    with pytest.raises(InvalidInputError, match="accepted: 'kawasaki'"):
        KawasakiBatch(model, "metropolis", [0.0], np.random.SeedSequence(1))
