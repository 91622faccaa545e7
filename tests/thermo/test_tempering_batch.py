"""Exchanges along a ladder, on targets that are not flat, against exact distributions.

Every test has one fixed seed, chosen beforehand, and states its false-alarm rate; the negative
controls (wrong exchanges) must fail the very check that the right ones pass.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, energy_p

from thermo.canonical import canonical
from thermo.lattice import square, triangular
from thermo.levels import EnergyLevels
from thermo.models import XY, Ising, spin_glass
from thermo.run.ladder import suggest_ladder, swap_acceptance
from thermo.sampling import tempering_batch
from thermo.sampling.batch import Batch
from thermo.sampling.registry import batch_kind
from thermo.sampling.tempering_batch import TemperingBatch, swap_probability

SEED = 20261120

FRUSTRATED = Ising(triangular(3))
THROUGH_ZERO = np.array([-np.inf, -1.5, -0.4, -0.2, 0.0, 0.15, 0.3, 1.0])


def ladders_of(
    model: Any,
    beta: np.ndarray,
    ladders: int = 64,
    exchange_every: int = 1,
    update: str = "metropolis",
) -> TemperingBatch:
    own, swaps = np.random.SeedSequence(SEED).spawn(2)
    chains = batch_kind(model, update).make(model, update, np.tile(beta, ladders), own)
    return TemperingBatch(chains, len(beta), exchange_every, swaps)


def energies_of_rungs(batch: TemperingBatch, draws: int = 50) -> np.ndarray:
    """Energies (draws, ladders, B), 35 sweeps apart and just after an exchange.

    There a wrong exchange shows at its worst: no sweep has yet mended the distributions.
    """
    batch.sweep(350)
    energies = []
    for _ in range(draws):
        batch.sweep(35)
        energies.append(batch.model.energy(batch.spins))
    return np.array(energies).reshape(draws, -1, batch._chain_at.shape[1])


def p_of_every_rung(batch: TemperingBatch, beta: np.ndarray, draws: int = 50) -> list[float]:
    energies, levels = energies_of_rungs(batch, draws), batch.model.levels()
    return [energy_p(energies[..., k], levels, b) for k, b in enumerate(beta)]


# ---- the rule of exchange --------------------------------------------------------------------


def exchange_matrix(
    levels: EnergyLevels, beta: tuple[float, float], rule: Callable[..., np.ndarray]
) -> np.ndarray:
    """Transition matrix of one exchange on pairs of levels (i at β₀, j at β₁)."""
    e, count = levels.energies, len(levels)
    matrix = np.zeros((count**2, count**2))
    for i, j in product(range(count), repeat=2):
        accepted = float(rule(beta[0], e[i], beta[1], e[j]))
        matrix[i * count + j, j * count + i] += accepted
        matrix[i * count + j, i * count + j] += 1.0 - accepted
    return matrix


def imbalance(rule: Callable[..., np.ndarray]) -> float:
    """Largest violation of detailed balance among several pairs of β on levels that are not flat.

    Every state of a level is exchanged alike, so a pair of levels carries the weight
    g_i g_j e^(−β₀E_i − β₁E_j), degeneracies included.
    """
    levels = EnergyLevels([-2.0, -0.5, 0.0, 3.0], np.log([1.0, 4.0, 2.0, 7.0]))
    worst = 0.0
    for beta in [(0.3, 0.7), (0.7, 0.3), (-0.4, 0.5), (-1.0, -0.2), (0.0, 0.6), (2.0, -np.inf)]:
        one, other = canonical(levels, np.array(beta)).populations().probabilities
        flow = np.outer(one, other).reshape(-1, 1) * exchange_matrix(levels, beta, rule)
        worst = max(worst, np.abs(flow - flow.T).max())
    return worst


def wrong_sign(beta_a: Any, energy_a: Any, beta_b: Any, energy_b: Any) -> np.ndarray:
    return swap_probability(beta_a, energy_b, beta_b, energy_a)


def always(beta_a: Any, energy_a: Any, beta_b: Any, energy_b: Any) -> np.ndarray:
    return np.ones(np.broadcast_shapes(np.shape(beta_a), np.shape(energy_a)))


def one_energy_only(beta_a: Any, energy_a: Any, beta_b: Any, energy_b: Any) -> np.ndarray:
    """Forgets that the other chain changes its β as well."""
    return swap_probability(beta_a, energy_a, beta_b, 0.0 * np.asarray(energy_b))


def test_exchanges_are_in_detailed_balance() -> None:
    assert imbalance(swap_probability) < 1e-15


@pytest.mark.parametrize("wrong", [wrong_sign, always, one_energy_only])
def test_wrong_exchanges_are_not(wrong: Callable[..., np.ndarray]) -> None:
    assert imbalance(wrong) > 1e-2


def test_exchanges_at_infinite_beta_follow_the_limit() -> None:
    inf = np.inf
    np.testing.assert_array_equal(
        swap_probability([inf, inf, inf, -inf], [1.0, 0.0, 2.0, 1.0], [1.0, 1.0, 1.0, inf], 1.0),
        [1.0, 0.0, 1.0, 1.0],
    )


# ---- what is sampled -------------------------------------------------------------------------


@pytest.mark.parametrize("exchange_every", [1, 5, 35])
def test_every_rung_of_a_ladder_through_zero_is_boltzmanns(exchange_every: int) -> None:
    """Frustrated at β < 0, with β = −∞ and 0 among the rungs: 8 p-values."""
    p = p_of_every_rung(ladders_of(FRUSTRATED, THROUGH_ZERO, 64, exchange_every), THROUGH_ZERO)
    assert min(p) > P_LIMIT, p


def test_a_spin_glass_with_gaussian_couplings() -> None:
    """No degeneracies but the reversal of all spins; 2⁹ states; 6 p-values."""
    model, beta = spin_glass(square(3), "gaussian", seed=1), np.array([-1, -0.5, 0, 0.4, 0.8, 1.6])
    p = p_of_every_rung(ladders_of(model, beta, 10), beta, draws=100)
    assert min(p) > P_LIMIT, p


def stale_energies(batch: TemperingBatch) -> None:
    """Exchanges by the energies of the last exchange but one."""
    exchange, before = batch._exchange, [np.zeros((len(batch.beta) // 8, 8))]

    def late(energy: np.ndarray) -> None:
        before.append(energy.copy())
        exchange(before.pop(0))

    batch._exchange = late  # type: ignore[method-assign]


@pytest.mark.parametrize("wrong", [wrong_sign, always, one_energy_only])
def test_wrong_exchanges_fail_the_same_histograms(
    wrong: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempering_batch, "swap_probability", wrong)
    assert min(p_of_every_rung(ladders_of(FRUSTRATED, THROUGH_ZERO), THROUGH_ZERO)) < P_LIMIT


def test_exchanges_by_old_energies_fail_the_same_histograms() -> None:
    batch = ladders_of(FRUSTRATED, THROUGH_ZERO)
    stale_energies(batch)
    assert min(p_of_every_rung(batch, THROUGH_ZERO)) < P_LIMIT


def test_two_valleys_that_metropolis_alone_does_not_connect() -> None:
    """A ferromagnet in a weak field at low temperature: the reversed state has a third of weight.

    Alone, each chain stays in the valley into which it fell; along a ladder it crosses at β = 0.
    """
    model, cold = Ising(square(4), field=0.02), 1.2
    levels = model.levels()
    ladder = suggest_ladder(levels, 8, (0.0, cold))
    assert p_of_every_rung(ladders_of(model, ladder), ladder)[-1] > P_LIMIT
    alone = batch_kind(model, "metropolis").make(
        model, "metropolis", np.full(512, cold), np.random.SeedSequence(SEED)
    )
    alone.sweep(350)
    assert energy_p(alone.record(50, 35)["energy"], levels, cold) < P_LIMIT


def test_exchanges_happen_as_often_as_the_levels_say() -> None:
    """Observed, not computed: walkers that changed places. 7 z-scores beyond 5: 4·10⁻⁶."""
    beta = THROUGH_ZERO
    batch = ladders_of(FRUSTRATED, beta)
    batch.sweep(300)  # even: now pairs 0–1, 2–3, … are due, then 1–2, …
    walker = batch.record(1001, 1)["walker"].reshape(64, len(beta), 1001)
    exact = swap_acceptance(FRUSTRATED.levels(), beta)
    for k in range(len(beta) - 1):
        swapped = walker[:, k, k % 2 : -1 : 2] == walker[:, k + 1, k % 2 + 1 :: 2]
        of_ladder = swapped.mean(axis=1)
        error = of_ladder.std(ddof=1) / 8
        assert abs(of_ladder.mean() - exact[k]) < 5 * error + 1e-12, k


# ---- the protocol ----------------------------------------------------------------------------

EVERY_KIND = {
    "lanes": (FRUSTRATED, np.array([-0.5, 0.0, 0.5])),
    "discrete": (spin_glass(square(3), "gaussian", seed=2), np.array([0.9, 0.4, -0.2, -1.0])),
    "vector": (XY(square(3)), np.array([-1.0, 0.0, 1.0])),
}


@pytest.mark.parametrize(("model", "beta"), EVERY_KIND.values(), ids=EVERY_KIND.keys())
def test_the_bits_do_not_depend_on_the_division_into_calls(model: Any, beta: np.ndarray) -> None:
    whole, parts = (ladders_of(model, beta, 4, exchange_every=3) for _ in range(2))
    whole.sweep(13)
    first = whole.record(5, 4)
    for sweeps in (1, 5, 7):
        parts.sweep(sweeps)
    pieces = [parts.record(draws, 4) for draws in (2, 3)]
    for name, values in first.items():
        np.testing.assert_array_equal(values, np.hstack([piece[name] for piece in pieces]))
    np.testing.assert_array_equal(whole.spins, parts.spins)


@pytest.mark.parametrize(("model", "beta"), EVERY_KIND.values(), ids=EVERY_KIND.keys())
def test_a_restored_batch_goes_on_with_the_same_bits(model: Any, beta: np.ndarray) -> None:
    batch = ladders_of(model, beta, 4, exchange_every=2)
    batch.sweep(11)
    state = batch.state()
    after = batch.record(6, 3)
    other = ladders_of(model, beta, 4, exchange_every=2)
    other.restore(state)
    for name, values in other.record(6, 3).items():
        np.testing.assert_array_equal(values, after[name])
    np.testing.assert_array_equal(other.spins, batch.spins)


@pytest.mark.parametrize(("model", "beta"), EVERY_KIND.values(), ids=EVERY_KIND.keys())
def test_rows_keep_their_beta_and_know_their_spins(model: Any, beta: np.ndarray) -> None:
    batch: Batch = ladders_of(model, beta, 4, exchange_every=2)
    series = batch.record(30, 1)
    np.testing.assert_array_equal(batch.beta, np.tile(beta, 4))
    walker = series["walker"].reshape(4, len(beta), 30)
    np.testing.assert_array_equal(
        np.sort(walker, axis=1)[..., 0], np.tile(np.arange(len(beta)), (4, 1))
    )
    assert len(np.unique(walker[:, 0])) > 1  # it moved
    # Measured before the exchange that may have followed: the same energies in each ladder.
    ladders = model.energy(batch.spins).reshape(4, -1)
    measured = series["energy"][:, -1].reshape(4, -1)
    np.testing.assert_allclose(np.sort(ladders), np.sort(measured), atol=1e-9)
    # What is set stands on the rows that it was set for.
    spins, other_beta = batch.spins[::-1].copy(), 0.5 * batch.beta
    batch.spins, batch.beta = spins, other_beta
    np.testing.assert_array_equal(batch.spins, spins)
    np.testing.assert_array_equal(batch.beta, other_beta)
