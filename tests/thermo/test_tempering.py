"""Parallel tempering against exact distributions, on targets that are not flat.

Every test has one fixed seed, chosen beforehand, and states its false-alarm rate; the negative
controls (wrong exchanges) must fail the very check that the right ones pass.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import iv
from scipy.stats import chi2

from thermo.canonical import canonical
from thermo.errors import CheckpointError, EquilibrationWarning, InvalidInputError
from thermo.exact import ising_torus
from thermo.lattice import chain, square, triangular
from thermo.levels import EnergyLevels
from thermo.models import XY, Ising, spin_glass
from thermo.run.chains import Progress
from thermo.run.files import load_run
from thermo.run.ladder import suggest_ladder, swap_acceptance
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering
from thermo.run.tempering_run import TemperingRun
from thermo.sampling import tempering_batch
from thermo.sampling.batch import Batch
from thermo.sampling.registry import batch_kind
from thermo.sampling.tempering_batch import TemperingBatch, swap_probability

SEED = 20261120
P_LIMIT = 1e-6  # of one χ² test; a test makes at most 30

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


def chi_square_p(energies: np.ndarray, levels: EnergyLevels, beta: float) -> float:
    """p-value of a histogram of energies against g(E) e^(−βE), of 10 expected counts or more."""
    levels = levels.merged()
    nearest = np.abs(energies.ravel()[:, None] - levels.energies).argmin(axis=1)
    np.testing.assert_allclose(levels.energies[nearest], energies.ravel(), atol=1e-9)
    seen = np.bincount(nearest, minlength=len(levels))
    bins: list[list[float]] = [[0.0, 0.0]]
    for count, p in zip(seen, canonical(levels, beta).populations().probabilities, strict=True):
        if bins[-1][1] >= 10:
            bins.append([0.0, 0.0])
        bins[-1][0] += count
        bins[-1][1] += p * energies.size
    if len(bins) > 1 and bins[-1][1] < 10:
        rest = bins.pop()
        bins[-1] = [bins[-1][0] + rest[0], bins[-1][1] + rest[1]]
    observed, expected = np.array(bins).T
    statistic = ((observed - expected) ** 2 / expected).sum()
    return float(chi2.sf(statistic, len(bins) - 1)) if len(bins) > 1 else 1.0


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
    return [chi_square_p(energies[..., k], levels, b) for k, b in enumerate(beta)]


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
    """Frustrated at β < 0, with β = −∞ and 0 among the rungs. 8 p-values: 10⁻⁵."""
    p = p_of_every_rung(ladders_of(FRUSTRATED, THROUGH_ZERO, 64, exchange_every), THROUGH_ZERO)
    assert min(p) > P_LIMIT, p


def test_a_spin_glass_with_gaussian_couplings() -> None:
    """No degeneracies but the reversal of all spins; 2⁹ states. 6 p-values: 10⁻⁵."""
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
    assert chi_square_p(alone.record(50, 35)["energy"], levels, cold) < P_LIMIT


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


# ---- runs ------------------------------------------------------------------------------------

RUN: dict[str, Any] = {"sweeps": 800, "burn_in": 200, "replicas": 128, "seed": SEED}


def tempered(model: Any = FRUSTRATED, beta: Any = THROUGH_ZERO, **arguments: Any) -> TemperingRun:
    settings = RUN | arguments
    return parallel_tempering(model, beta, settings.pop("sweeps"), **settings)


@pytest.fixture(scope="module")
def run() -> TemperingRun:
    return tempered()


def test_estimates_of_a_run_are_of_their_beta(run: TemperingRun) -> None:
    """14 z-scores of 128 ladders beyond 5.5 (Student): 3·10⁻⁶."""
    exact = canonical(FRUSTRATED.levels(), THROUGH_ZERO)
    for estimate, value in (
        (run.energy, exact.internal_energy),
        (run.heat_capacity, exact.heat_capacity),
    ):
        moving = estimate.error > 0
        assert moving.sum() >= 6
        assert np.all(np.abs(estimate.mean - value)[moving] < 5.5 * estimate.error[moving])
        np.testing.assert_allclose(estimate.mean[~moving], value[~moving], atol=1e-12)
    np.testing.assert_array_equal(run.final_spins.shape, (8, 128, 9))
    assert np.all(FRUSTRATED.energy(run.final_spins)[0] == FRUSTRATED.levels().maximum)  # β = −∞


def test_the_acceptance_of_a_run_is_that_of_its_levels(run: TemperingRun) -> None:
    """7 z-scores beyond 5: 4·10⁻⁶."""
    acceptance = run.swap_acceptance
    z = (acceptance.mean - swap_acceptance(FRUSTRATED.levels(), THROUGH_ZERO)) / acceptance.error
    assert np.abs(z).max() < 5, z
    assert acceptance.error.max() < 0.01


def visits(walker: np.ndarray) -> tuple[int, np.ndarray]:
    """Round trips of one ladder and last ends by rung, followed one configuration at a time."""
    trips, last_end = 0, np.zeros(walker.shape)
    for configuration in range(len(walker)):
        ends: list[int] = []
        for draw, here in enumerate(np.argmax(walker == configuration, axis=0)):
            end = {0: 1, len(walker) - 1: -1}.get(int(here), 0)
            if end and (not ends or ends[-1] != end):
                ends.append(end)
            last_end[here, draw] = ends[-1] if ends else 0
        trips += (len(ends) - 1) // 2 if ends else 0
    return trips, last_end


def test_round_trips_and_flow_are_counted_right(run: TemperingRun) -> None:
    walkers = np.moveaxis(run.series["walker"], 1, 0)[:16].astype(int)
    followed = [visits(walker) for walker in walkers]
    np.testing.assert_array_equal(run.round_trips[:16], [trips for trips, _ in followed])
    assert run.round_trips.min() > 0
    few = replace(run, series={"walker": run.series["walker"][:, :16]})
    ends = np.array([last_end for _, last_end in followed])
    flow = few.replica_flow
    np.testing.assert_allclose(
        flow.value, (ends == 1).sum(axis=(0, 2)) / (ends != 0).sum(axis=(0, 2)), rtol=1e-12
    )
    assert (flow.value[0], flow.value[-1]) == (1.0, 0.0)
    assert np.all(np.diff(flow.value) < 5 * flow.error[1:])  # it falls along the ladder
    assert np.all(flow.error[1:-1] > 0)


def test_a_run_survives_its_file(run: TemperingRun, tmp_path: Path) -> None:
    run.save(tmp_path / "run.nc")
    again = load_run(tmp_path / "run.nc")
    assert isinstance(again, TemperingRun)
    np.testing.assert_array_equal(again.round_trips, run.round_trips)


@pytest.mark.parametrize("update", ["heat_bath", "rejection_free"])
def test_other_updates(update: str) -> None:
    """6 z-scores of 16 ladders, 8000 draws: beyond 7 10⁻⁵ even for Student's t of 15."""
    model, beta = Ising(square(3), field=0.4), np.array([0.8, 0.4, 0.1, -0.3, -0.6, -1.0])
    run = tempered(model, beta, replicas=16, update=update, exchange_every=4)
    exact = canonical(model.levels(), beta).internal_energy
    assert np.all(np.abs(run.energy.mean - exact) < 7 * run.energy.error)


def test_continuous_spins() -> None:
    """An open XY chain: ⟨E⟩ = −(n−1) I₁(β)/I₀(β). 5 z-scores beyond 7 (t of 31): 10⁻⁶."""
    beta = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
    run = tempered(XY(chain(6, periodic=False)), beta, replicas=32, exchange_every=2)
    exact = -5 * iv(1, beta) / iv(0, beta)
    assert np.all(np.abs(run.energy.mean - exact) < 7 * run.energy.error)


def test_same_seed_same_bits_for_any_threads_and_executors() -> None:
    arguments = {"sweeps": 50, "burn_in": 7, "exchange_every": 3, "replicas": 130}
    one = tempered(threads=1, **arguments)
    two = tempered(threads=2, **arguments)
    with ThreadPoolExecutor(2) as pool:
        other = tempered(executor=pool, **arguments)
    for name, values in one.series.items():
        np.testing.assert_array_equal(values, two.series[name])
        np.testing.assert_array_equal(values, other.series[name])
    assert not np.array_equal(
        one.series["energy"], tempered(**arguments | {"seed": 1}).series["energy"]
    )


class Interruption(Exception):
    pass


def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    arguments = {"beta": THROUGH_ZERO[::2], "replicas": 64, "threads": 1}
    arguments |= {"sweeps": 16_000, "burn_in": 10, "measure_every": 40, "exchange_every": 7}
    directory, seen = tmp_path / "run", []

    def interrupt(progress: Progress) -> None:
        seen.append(progress.sweeps)
        raise Interruption

    with pytest.raises(Interruption):
        tempered(checkpoint=directory, callback=interrupt, **arguments)
    resumed = tempered(
        checkpoint=directory, callback=lambda progress: seen.append(progress.sweeps), **arguments
    )
    assert 0 < seen[0] < seen[1] <= seen[-1] == 16_010  # it did not begin again
    whole = tempered(**arguments)
    for name, values in whole.series.items():
        np.testing.assert_array_equal(values, resumed.series[name])
    np.testing.assert_array_equal(whole.final_spins, resumed.final_spins)
    with pytest.raises(CheckpointError, match="exchange_every"):
        tempered(checkpoint=directory, **arguments | {"exchange_every": 8})


@pytest.mark.filterwarnings("ignore:the energies")
def test_wells_that_no_ladder_leaves_are_not_passed_over_in_silence() -> None:
    """All rungs deep in the order of a weak field: no magnetisation ever turns over."""
    with pytest.warns(EquilibrationWarning, match="magnetisations"):
        parallel_tempering(
            Ising(square(6), field=0.002), [1.5, 1.6], 200, burn_in=20, replicas=64, seed=SEED
        )


def test_a_tempered_run_prints_in_one_line_and_gives_a_density_of_states(
    run: TemperingRun, tmp_path: Path
) -> None:
    assert repr(run).startswith("TemperingRun(Ising(")
    assert len(repr(run)) < 200
    run.save(tmp_path / "run.nc")
    again = load_run(tmp_path / "run.nc")
    assert repr(again) == repr(run)
    density, exact = again.density_of_states(), run.model.levels().merged()
    place = np.searchsorted(exact.energies, density.levels.energies)
    z = (density.levels.log_degeneracy - exact.log_degeneracy[place]) / density.stderr
    assert np.abs(z).max() < 6.0  # ten levels, errors of a jackknife over the ladders: 1e-6 or so


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": [0.5]}, "at least 2"),
        ({"beta": []}, "at least 2"),
        ({"beta": [0.1, 0.1, 0.2]}, "0.1 is followed by 0.1"),
        ({"beta": [0.1, 0.3, 0.2]}, "0.3 is followed by 0.2"),
        ({"beta": [-np.inf, np.inf, np.inf]}, "inf is followed by inf"),
        ({"beta": [0.1, np.nan]}, "nan"),
        ({"beta": np.linspace(0, 1, 513)}, "at most 512"),
        ({"sweeps": 0}, "sweeps = 0"),
        ({"burn_in": -1}, "burn_in = -1"),
        ({"replicas": 1}, "replicas = 1"),
        ({"exchange_every": 0}, "exchange_every = 0"),
        ({"exchange_every": 801}, "exchange_every = 801"),
        ({"measure_every": 801}, "measure_every = 801"),
        ({"seed": -1}, "seed = -1"),
        ({"threads": 0}, "threads = 0"),
        ({"update": "kawasaki"}, "magnetisation"),
        ({"update": "metropoliss"}, "did you mean 'metropolis'"),
        ({"start": np.ones(9)}, "start"),
        ({"start": "hot"}, "start = 'hot'"),
        ({"model": "Ising"}, "model = 'Ising'"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        tempered(**arguments)


# ---- ladders ---------------------------------------------------------------------------------


def test_the_acceptance_of_levels_is_the_double_sum() -> None:
    levels = EnergyLevels([1.0, -2.0, 0.5, 0.5], np.log([2.0, 1.0, 3.0, 4.0]))
    beta = np.array([2.0, 0.7, 0.0, -0.6, -np.inf])
    p = canonical(levels, beta).populations().probabilities
    e = levels.energies
    expected = [
        (
            np.outer(p[k], p[k + 1])
            * swap_probability(beta[k], e[:, None], beta[k + 1], e[None, :])
        ).sum()
        for k in range(4)
    ]
    np.testing.assert_allclose(swap_acceptance(levels, beta), expected, rtol=1e-12)


@pytest.mark.parametrize("ends", [(-0.6, 0.6), (1.0, -0.2), (0.0, 0.8)])
def test_a_suggested_ladder_is_accepted_evenly(ends: tuple[float, float]) -> None:
    levels = ising_torus(16)
    ladder = suggest_ladder(levels, 16, ends)
    assert (ladder[0], ladder[-1]) == ends
    acceptance = swap_acceptance(levels, ladder)
    assert np.ptp(acceptance) < 0.03
    even = swap_acceptance(levels, np.linspace(*ends, 16))
    assert np.ptp(even) > 10 * np.ptp(acceptance)  # what it is good for


def test_a_pilot_run_suggests_nearly_the_ladder_of_the_levels(run: TemperingRun) -> None:
    """Typically within 0.003 of it; the limits are three times what is typical, or more."""
    model, ends = Ising(square(4)), (-0.6, 0.6)
    pilot = simulate(model, np.linspace(*ends, 13), 1000, burn_in=100, replicas=39, seed=SEED)
    ladder, exact = suggest_ladder(pilot, 9), suggest_ladder(model.levels(), 9, ends)
    assert np.abs(ladder - exact).max() < 0.01
    assert np.ptp(swap_acceptance(model.levels(), ladder)) < 0.06
    descending = suggest_ladder(pilot, 5, np.array([0.3, -0.5]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(descending[[0, -1]], [0.3, -0.5])
    assert np.all(np.diff(descending) < 0)
    assert suggest_ladder(run, 6).shape == (6,)  # β = −∞ is left out


def test_bad_ladders_are_refused() -> None:
    levels = Ising(square(4)).levels()
    for bad in (None, (0.0, 0.0), (0.0, np.inf), (0.0, 1.0, 2.0), 0.5):
        with pytest.raises(InvalidInputError, match="beta_range"):
            suggest_ladder(levels, 5, bad)  # type: ignore[arg-type]
    for pilot in (None, Ising(square(4))):
        with pytest.raises(InvalidInputError, match="accepted: EnergyLevels, or a Run"):
            suggest_ladder(pilot, 5, (0.0, 1.0))  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="EnergyLevels are needed"):
            swap_acceptance(pilot, [0.0, 1.0])  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"number = 513 .* 2 … 512 rungs"):
        suggest_ladder(levels, 513, (0.0, 1.0))
    with pytest.raises(InvalidInputError, match="number = 1 "):
        suggest_ladder(levels, 1, (0.0, 1.0))
    model = Ising(square(16))
    short = {"sweeps": 200, "burn_in": 100, "replicas": 16, "seed": SEED}
    for beta, message in (
        ([0.0, 0.1], r"between 0 and 0\.1"),
        ([0.0, 1.0, 0.2], "0.2 and 1 do not overlap"),
        ([0.1], "2 or more"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            suggest_ladder(simulate(model, beta, **short), 5, (0.0, 0.2))  # type: ignore[arg-type]
