"""Single-spin sweeps of Ising, Potts and clock models against enumeration, and against wrong rules.

Seeds were chosen beforehand. A test makes at most 81 χ² (27 states at 3 β), each held to P_LIMIT: a
right kernel fails it with probability below 10⁻⁴. The negative controls must fail the same check.
"""

from __future__ import annotations

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p, energy_p, independence_p
from mistaken_kernel import mistaken

from thermo.errors import InvalidInputError
from thermo.kernels import discrete
from thermo.lattice import chain, from_edges, square, triangular
from thermo.models import Clock, Ising, Potts
from thermo.models.difference import DifferenceModel
from thermo.sampling import discrete_batch
from thermo.sampling.discrete_batch import DiscreteBatch

SEED = 20261121
UPDATES = ("metropolis", "heat_bath")

REAL = np.random.default_rng(SEED).normal(size=40)
CASES = {
    "Ising glass": Ising(square(3), REAL[:18]),
    "Ising glass in random fields": Ising(triangular(3), REAL[:27], 0.3 * REAL[27:36]),
    "Ising, uneven degrees and an isolated site": Ising(
        from_edges(8, [(0, 1), (1, 2), (1, 3), (3, 4), (4, 0), (5, 6), (0, 5), (0, 6)]), -0.7, 0.4
    ),
    "Potts q=3": Potts(square(3), 3),
    "Potts q=4 in a field": Potts(chain(6), 4, field=0.6),
    "Potts q=10, real couplings": Potts(chain(5), 10, 2.0 * REAL[:5]),
    "clock q=4": Clock(square(3, periodic=False), 4),
    "clock q=6 in a field": Clock(chain(5), 6, coupling=1.5, field=-0.5),
    "chiral clock": Clock(square(3), 3, chirality=0.2),
    "chiral clock, real couplings and fields": Clock(chain(8), 3, REAL[:8], REAL[8:16], 0.35),
}


def batch_at(model: DifferenceModel, beta: float, update: str, chains: int = 800) -> DiscreteBatch:
    return DiscreteBatch(model, update, np.full(chains, beta), np.random.SeedSequence(SEED))


def sampled_energies(batch: DiscreteBatch, model: DifferenceModel, draws: int = 15) -> np.ndarray:
    """Energies under `model`, 15 sweeps apart: independent on these lattices; (draws, chains)."""
    batch.sweep(50)
    energies = []
    for _ in range(draws):
        batch.sweep(15)
        energies.append(model.energy(batch.spins))
    return np.array(energies)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_energy_histograms_are_boltzmanns_at_every_beta(model, update: str) -> None:
    for beta in (-0.6, -0.1, 0.0, 0.3):
        p = energy_p(sampled_energies(batch_at(model, beta, update), model), model.levels(), beta)
        assert p > P_LIMIT, (beta, p)


# ---- one sweep, transition by transition -----------------------------------------------------


def all_states(model: DifferenceModel) -> np.ndarray:
    n, q = model.lattice.n_sites, model.n_states
    return np.indices((q,) * n).reshape(n, -1).T.astype(np.int8)


def one_sweep(model: DifferenceModel, beta: float, update: str) -> np.ndarray:
    """The transition matrix of a sweep, from the rules as the module's text has them."""
    states, q = all_states(model), model.n_states
    energies = model.energy(model.spins_of(states))
    place = q ** np.arange(model.lattice.n_sites)[::-1]
    sweep = np.eye(len(states))
    for site in range(model.lattice.n_sites):
        step = np.zeros_like(sweep)
        for start, state in enumerate(states):
            ends = start + (np.arange(q) - state[site]) * place[site]
            x = beta * (energies[ends] - energies[start])
            if update == "heat_bath":
                chance = np.exp(-x) / np.exp(-x).sum()
            else:
                chance = np.minimum(1, np.exp(-x)) * (1 - np.exp(-2 * np.abs(x)) / q) / (q - 1)
                chance[state[site]] = 0.0
                chance[state[site]] = 1.0 - chance.sum()
            step[start, ends] = chance
        flow = np.exp(-beta * energies)[:, None] * step
        np.testing.assert_allclose(flow, flow.T, rtol=1e-12)  # detailed balance of each step
        sweep = sweep @ step
    return sweep


TINY = {
    "frustrated triangle": Ising(chain(3), [1.0, -0.6, 0.3], [0.0, 0.2, -0.4]),
    "Potts triangle": Potts(chain(3), 3, [1.0, -0.5, 0.7], 0.3),
    "chiral triangle": Clock(chain(3), 3, [1.0, -0.5, 0.7], [0.0, 0.3, 0.0], 0.3),
    "Potts pair": Potts(chain(2, periodic=False), 5),
}


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", TINY.values(), ids=TINY.keys())
def test_every_transition_of_a_sweep_has_its_probability(model, update: str) -> None:
    states, repeats, sweeps = all_states(model), 400, 40
    place = model.n_states ** np.arange(model.lattice.n_sites)[::-1]
    for beta in (-1.1, 0.0, 0.7):
        matrix = one_sweep(model, beta, update)
        weight = np.exp(-beta * model.energy(model.spins_of(states)))
        np.testing.assert_allclose(weight @ matrix, weight, rtol=1e-12)  # stationary
        assert matrix.min() > 0.0  # one sweep leads from every state to every other
        batch = batch_at(model, beta, update, len(states) * repeats)
        counts = np.zeros_like(matrix)
        for _ in range(sweeps):
            start = np.repeat(np.arange(len(states)), repeats)
            batch.states = states[start]
            batch.sweep(1)
            np.add.at(counts, (start, batch.states @ place), 1)
        likely = np.argsort(matrix, axis=1)  # the least likely ends share a cell
        for row, probabilities, order in zip(counts, matrix, likely, strict=True):
            assert counts_p(row[order], probabilities[order]) > P_LIMIT


# ---- wrong kernels ---------------------------------------------------------------------------


def without_bond(model: DifferenceModel) -> DifferenceModel:
    couplings = model.couplings.copy()
    couplings[0] = 0.0
    return Ising(model.lattice, couplings)


@pytest.mark.parametrize("beta", [-0.6, 0.6])
@pytest.mark.parametrize("update", UPDATES)
def test_wrong_energies_or_temperatures_fail_the_same_histogram_test(update: str, beta) -> None:
    model = CASES["Ising glass"]
    for wrong in (
        batch_at(without_bond(model), beta, update),
        batch_at(model, -beta, update),
        batch_at(model, 1.05 * beta, update, 4000),
    ):
        assert energy_p(sampled_energies(wrong, model), model.levels(), beta) < P_LIMIT


@pytest.mark.parametrize("update", UPDATES)
def test_a_chiral_clock_that_turns_the_other_way_fails_the_same_histogram_test(update: str) -> None:
    model = CASES["chiral clock, real couplings and fields"]
    lattice = model.lattice
    reverse = Clock(lattice, 3, model.couplings, model.fields, -model.chirality)
    energies = sampled_energies(batch_at(reverse, 0.6, update), model)
    assert energy_p(energies, model.levels(), 0.6) < P_LIMIT


def test_forced_moves_fail_the_same_histogram_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """min(1, e⁻ˣ) alone: at β = 0 a sweep reverses the lattice, and its energy never changes."""
    wrong = mistaken(discrete, ("limit = limit * (1.0 - e * e * (1.0 / q))", "pass"))
    monkeypatch.setattr(discrete_batch, "discrete", wrong)
    model = CASES["Ising, uneven degrees and an isolated site"]
    batch = batch_at(model, 0.0, "metropolis")
    batch.spins = np.ones(8)
    assert energy_p(sampled_energies(batch, model), model.levels(), 0.0) < P_LIMIT


def test_proposing_always_the_next_state_fails_the_same_histogram_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not symmetric: detailed balance is lost."""
    wrong = mistaken(
        discrete,
        ("above = ceiling(t)", "above = reals(1.0)"),
        ("u = t - (above - 1.0)", "u = t * (1.0 / (q - 1))"),
    )
    monkeypatch.setattr(discrete_batch, "discrete", wrong)
    model = CASES["Potts q=3"]
    batch = batch_at(model, 0.6, "metropolis")
    assert energy_p(sampled_energies(batch, model), model.levels(), 0.6) < P_LIMIT


# ---- chains are independent ------------------------------------------------------------------


def test_chains_are_independent_and_a_shared_stream_is_found_out() -> None:
    model = CASES["Potts q=3"]
    for update in UPDATES:
        for shared in (False, True):
            batch = batch_at(model, 0.3, update, 128)
            if shared:
                batch._streams[:] = np.tile(batch._streams[:2], (16, 1))
            p = independence_p(sampled_energies(batch, model, draws=200))
            assert (p < P_LIMIT) == shared


# ---- β = 0 and β = ±inf ----------------------------------------------------------------------


@pytest.mark.parametrize("update", UPDATES)
def test_at_beta_zero_a_sweep_forgets_everything(update: str) -> None:
    """From one state, after one sweep, every spin is in each state equally often: χ² per model."""
    for model in (CASES["Ising glass"], CASES["Potts q=10, real couplings"], CASES["clock q=4"]):
        batch = batch_at(model, 0.0, update, 4096)
        batch.states = np.zeros((4096, model.lattice.n_sites))
        batch.sweep(1)
        counts = np.bincount(batch.states.ravel(), minlength=model.n_states)
        uniform = np.full(model.n_states, 1 / model.n_states)
        assert counts_p(counts, uniform) > P_LIMIT


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_at_infinite_beta_no_move_raises_beta_e_and_chains_end_where_none_lowers_it(
    model, update: str
) -> None:
    beta = np.repeat([np.inf, -np.inf], 64)
    batch = DiscreteBatch(model, update, beta, np.random.SeedSequence(SEED))
    before = np.sign(beta) * model.energy(batch.spins)
    for _ in range(30):
        batch.sweep(4)
        after = np.sign(beta) * model.energy(batch.spins)
        assert np.all(after <= before + 1e-12)
        before = after
    states = batch.states
    for site in range(model.lattice.n_sites):
        for new in range(model.n_states):
            moved = states.copy()
            moved[:, site] = new
            assert np.all(np.sign(beta) * model.energy(model.spins_of(moved)) > before - 1e-12)


def test_neutral_moves_at_infinite_beta_are_neutral_in_spite_of_rounding() -> None:
    """0.1 + 0.2 − 0.3 ≠ 0 in floats; a spin so held is up half of the time (|z| < 5: 6·10⁻⁷)."""
    model = Ising(from_edges(4, [(0, 1), (0, 2), (0, 3)]), [0.1, 0.2, 0.3], [0.0, 9.0, 9.0, -9.0])
    for update in UPDATES:
        batch = batch_at(model, np.inf, update, 1000)
        batch.sweep(10)
        up = []
        for _ in range(20):
            batch.sweep(3)
            up.append(batch.spins[:, 0] > 0)
        assert abs(np.mean(up) - 0.5) < 5 * 0.5 / np.sqrt(20_000)


# ---- the batch -------------------------------------------------------------------------------


def test_recorded_energies_and_observables_are_those_of_the_spins() -> None:
    for model in CASES.values():
        batch = batch_at(model, 0.3, "heat_bath", 11)
        series = batch.record(2, 3)
        measured = {"energy": model.energy(batch.spins), **model.observables(batch.spins)}
        assert series.keys() == measured.keys()
        for name, values in measured.items():
            np.testing.assert_allclose(series[name][:, -1], values, atol=1e-12)


@pytest.mark.parametrize("update", UPDATES)
def test_sweeps_may_be_divided_and_a_state_restored(update: str) -> None:
    model = CASES["chiral clock"]
    beta = np.random.default_rng(SEED).normal(size=13)
    at_once, in_parts = (
        DiscreteBatch(model, update, beta, np.random.SeedSequence(SEED)) for _ in range(2)
    )
    at_once.sweep(7)
    in_parts.sweep(3)
    kept = in_parts.state()
    in_parts.sweep(4)
    assert np.array_equal(at_once.spins, in_parts.spins)

    other = DiscreteBatch(model, update, np.zeros(13), np.random.SeedSequence(1))
    other.restore(kept)
    other.sweep(4)
    assert np.array_equal(at_once.spins, other.spins)
    assert np.array_equal(at_once._streams, other._streams)
    assert np.array_equal(other.beta, beta)


def test_beta_and_spins_may_be_set() -> None:
    model = CASES["Potts q=3"]
    batch = batch_at(model, 0.0, "metropolis", 10)
    batch.beta = np.full(10, np.inf)
    batch.spins = np.ones((10, 9), dtype=int)
    batch.sweep(3)
    assert np.all(batch.spins == 1)
    with pytest.raises(InvalidInputError, match="one β for each of 10 chains"):
        batch.beta = [1.0]


def test_bad_input_is_refused_in_one_sentence() -> None:
    model, seed = CASES["Potts q=3"], np.random.SeedSequence(1)
    for arguments, message in (
        ((model, "metropolis", [np.nan], seed), "real numbers or ±inf"),
        ((model, "metropolis", [], seed), "real numbers or ±inf"),
        ((model, "metropolis", [1j], seed), "cannot be read as float64"),
        ((model, "heatbath", [1.0], seed), "did you mean 'heat_bath'"),
        (("Potts", "heat_bath", [1.0], seed), "thermo.Ising, Potts or Clock"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            DiscreteBatch(*arguments)
