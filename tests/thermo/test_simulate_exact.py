"""The sampled distribution against exact ones: enumeration, Kaufman's torus, and wrong kernels.

Every test has one fixed seed, chosen beforehand. Limits are set so that a right engine fails a test
with probability below 10⁻⁴; the negative controls must fail the very check that it passes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, energy_p, independence_p
from mistaken_kernel import mistaken

from thermo.exact.kaufman import square_torus
from thermo.exact.transfer_matrix import ising_chain
from thermo.kernels import ising_lanes
from thermo.kernels.ising_lanes import Acceptance, class_count
from thermo.kernels.lanes import LANES, WORDS
from thermo.lattice import Lattice, chain, from_edges, honeycomb, square, triangular
from thermo.models import Ising
from thermo.run.simulate import simulate
from thermo.sampling import lane_batch
from thermo.sampling.lane_batch import LaneBatch
from thermo.sampling.updates import SPIN_UPDATES

SEED = 20261120


def batch_at(model: Ising, beta: float, update: str) -> LaneBatch:
    return LaneBatch(model, update, np.full(LANES, beta), np.random.SeedSequence(SEED))


def sampled_energies(batch: LaneBatch, model: Ising, draws: int = 40) -> np.ndarray:
    """Energies under `model` of 512 replicas, 30 sweeps apart: independent on these lattices."""
    batch.sweep(100)
    energies = []
    for _ in range(draws):
        batch.sweep(30)
        energies.append(model.energy(batch.spins))
    return np.array(energies)


CASES = {
    "square 4×4": Ising(square(4)),
    "square 3×3, odd": Ising(square(3), coupling=-0.8),
    "triangular 3×3": Ising(triangular(3)),
    "honeycomb 2×2": Ising(honeycomb(2)),
    "ring": Ising(chain(10)),
    "open chain": Ising(chain(9, periodic=False), coupling=1.5),
    "square 4×4 in a field": Ising(square(4), field=0.5),
    "ring in a field as strong as J": Ising(chain(8), coupling=-1.0, field=2.0),
    "±J, square 4×4": Ising(
        square(4), np.where(np.random.default_rng(SEED).random(32) < 0.5, -1.0, 1.0)
    ),
    "±J, triangular 3×3 in a field": Ising(
        triangular(3), np.where(np.random.default_rng(SEED).random(27) < 0.5, -0.7, 0.7), 0.3
    ),
    "graph of uneven degrees": Ising(
        from_edges(8, [(0, 1), (1, 2), (1, 3), (3, 4), (4, 0), (5, 6), (0, 5), (0, 6)]), field=0.1
    ),
}


@pytest.mark.parametrize("update", ["metropolis", "heat_bath"])
@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_energy_histograms_are_boltzmanns_at_every_beta(model: Ising, update: str) -> None:
    for beta in (-0.35, -0.08, -1e-3, 0.0, 1e-3, 0.1, 0.3):
        p = energy_p(sampled_energies(batch_at(model, beta, update), model), model.levels(), beta)
        assert p > P_LIMIT, (beta, p)


def without_bond(model: Ising) -> Ising:
    lattice = from_edges(model.lattice.n_sites, model.lattice.edges[1:])
    return Ising(lattice, model.couplings[1:], model.field)


def with_a_reversed_bond(model: Ising) -> Ising:
    return Ising(model.lattice, model.couplings * np.where(np.arange(32) == 7, -1, 1))


def truncated(tables: Acceptance, bits: int) -> Acceptance:
    """Acceptance probabilities cut off after a few bits."""
    classes = class_count(tables.kind, len(tables.bonds))
    threshold = tables.threshold.reshape(-1, 64, classes, WORDS).copy()
    threshold[:, bits:] = 0
    return tables._replace(threshold=threshold.reshape(-1, WORDS))


WRONG: dict[str, Callable[[Ising, float], LaneBatch]] = {
    "a dropped bond": lambda model, beta: batch_at(without_bond(model), beta, "metropolis"),
    "a bond of the wrong sign": lambda model, beta: batch_at(
        with_a_reversed_bond(model), beta, "metropolis"
    ),
    "a flipped sign": lambda model, beta: batch_at(model, -beta, "metropolis"),
    "β wrong by two per cent": lambda model, beta: batch_at(model, 1.02 * beta, "metropolis"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("beta", [-0.3, 0.3])
def test_a_wrong_kernel_fails_the_same_histogram_test(wrong, beta: float) -> None:
    model = CASES["square 4×4"]
    energies = sampled_energies(wrong(model, beta), model, draws=100)
    assert energy_p(energies, model.levels(), beta) < P_LIMIT


def test_acceptance_cut_to_six_bits_fails_the_same_histogram_test() -> None:
    model = CASES["square 4×4"]
    batch = batch_at(model, 0.3, "heat_bath")
    batch._acceptance = truncated(batch._acceptance, 6)
    assert energy_p(sampled_energies(batch, model, draws=100), model.levels(), 0.3) < P_LIMIT


def test_neutral_flips_without_the_coin_fail_the_same_histogram_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = mistaken(ising_lanes, ("(neutral & word)", "splat(0)"))
    monkeypatch.setattr(lane_batch, "advance", wrong.advance)
    model = CASES["ring"]
    batch = batch_at(model, 0.3, "metropolis")
    assert energy_p(sampled_energies(batch, model), model.levels(), 0.3) < P_LIMIT


# ---- replicas are independent ----------------------------------------------------------------


def test_replicas_at_one_beta_are_independent() -> None:
    model = CASES["square 4×4"]
    for beta in (-0.3, 0.2):
        energies = sampled_energies(batch_at(model, beta, "metropolis"), model, draws=400)
        assert independence_p(energies) > P_LIMIT


def test_replicas_that_share_random_numbers_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One random bit for all lanes, the eight streams being the same."""
    one_bit = "    word = splat(-1) if any_lane(word & splat(1)) else splat(0)\n"
    draw = "    word, s0, s1 = next_word(s0, s1)\n"
    monkeypatch.setattr(
        lane_batch, "advance", mistaken(ising_lanes, (draw, draw + one_bit)).advance
    )
    model = CASES["square 4×4"]
    batch = batch_at(model, 0.2, "metropolis")
    batch._generator[:] = batch._generator[:, :1]
    energies = sampled_energies(batch, model, draws=100)
    assert independence_p(energies) < P_LIMIT


def test_eight_streams_with_one_seed_are_found_out() -> None:
    model = CASES["square 4×4"]
    batch = batch_at(model, 0.2, "metropolis")
    batch._generator[:] = batch._generator[:, :1]
    energies = sampled_energies(batch, model, draws=100)
    assert independence_p(energies) < P_LIMIT


# ---- memory at weak coupling -----------------------------------------------------------------


@pytest.mark.parametrize("lattice", [square(8), honeycomb(6), chain(32), triangular(6)])
@pytest.mark.parametrize("update", ["metropolis", "heat_bath"])
def test_the_energy_is_forgotten_in_a_sweep_or_two_at_weak_coupling(
    lattice: Lattice, update: str
) -> None:
    """At β = 0 and ±10⁻³ plain sequential Metropolis would remember it for ever, or nearly."""
    beta = [0.0, 1e-3, -1e-3]
    run = simulate(
        Ising(lattice), beta, 400, burn_in=0, replicas=170, update=update, seed=SEED, start="random"
    )
    assert np.all(run.energy.tau < 0.7)
    assert np.all(np.abs(run.energy.mean + lattice.n_edges * np.tanh(beta)) < 5 * run.energy.error)


# ---- larger lattices -------------------------------------------------------------------------


def test_reversing_beta_reverses_the_energy_of_a_bipartite_lattice() -> None:
    """u(−β) = −u(β), C(−β) = C(β), staggered order for order. 12 z-scores: |z| < 5 is 10⁻⁵."""
    beta = np.array([0.2, 0.44, 0.6, 1.0])
    run = simulate(Ising(square(16)), [*beta, *-beta], 1500, burn_in=500, replicas=128, seed=SEED)
    assert run.staggered_magnetization is not None
    for plus, minus, errors in (
        (run.energy.mean[:4], -run.energy.mean[4:], run.energy.error),
        (run.heat_capacity.mean[:4], run.heat_capacity.mean[4:], run.heat_capacity.error),
        (
            run.absolute_magnetization.mean[:4],
            run.staggered_magnetization.mean[4:],
            np.append(run.absolute_magnetization.error[:4], run.staggered_magnetization.error[4:]),
        ),
    ):
        z = (plus - minus) / np.hypot(errors[:4], errors[4:])
        assert np.all(np.abs(z) < 5), z


@pytest.mark.parametrize(
    "update", ["metropolis", pytest.param("heat_bath", marks=pytest.mark.slow)]
)
def test_the_32x32_torus_agrees_with_kaufman_at_24_beta_of_both_signs(update: str) -> None:
    """z of ⟨E⟩ (24 Gaussians beyond 4.9: 2·10⁻⁵) and of C (Student of 63 beyond 5.5: 2·10⁻⁵)."""
    beta = np.array([0.0, 0.02, 0.1, 0.2, 0.3, 0.38, 0.42, 0.4406868, 0.46, 0.5, 0.7, 1.0])
    beta = np.concatenate([beta, -beta])
    run = simulate(
        Ising(square(32)), beta, 3000, burn_in=1000, replicas=64, update=update, seed=SEED
    )
    exact = square_torus(beta, 32)
    z = (run.energy.mean - exact.internal_energy) / run.energy.error
    assert np.abs(z).max() < 4.9, z
    hot = beta == 0  # there C = 0 exactly, on both sides
    assert np.all(run.heat_capacity.mean[hot] == 0)
    z = (run.heat_capacity.mean - exact.heat_capacity)[~hot] / run.heat_capacity.error[~hot]
    assert np.abs(z).max() < 5.5, z


# Eight means each, within 4.5 of their errors: a false alarm in about 20 000 runs.
@pytest.mark.parametrize("update", SPIN_UPDATES)
@pytest.mark.parametrize("field", [1e-6, 1e-2])
def test_a_weak_field_carries_no_domain_wall_along(update: str, field: float) -> None:
    """With flips that are forced by next to nothing, the ring stayed 100 errors off."""
    beta = np.array([1.5, -1.5])
    run = simulate(
        Ising(chain(64), field=field),
        beta,
        20_000,
        burn_in=2000,
        replicas=64,
        update=update,
        seed=3,
    )
    exact = ising_chain(beta, 64, field=field).internal_energy
    assert np.all(np.abs(run.energy.mean - exact) < 4.5 * run.energy.error)


@pytest.mark.filterwarnings("ignore::thermo.errors.UncertaintyWarning")  # E keeps its minimum
def test_the_unit_of_energy_does_not_matter() -> None:
    """3·0.1 and 0.3 differ in binary: flips that are neutral in one unit must be so in the other.

    Two means within 4.5 of their errors: a false alarm in about 70 000 runs.
    """
    for scale in (1.0, 0.1):
        model = Ising(honeycomb(2), coupling=scale, field=3 * scale)
        run = simulate(model, -5 / scale, 4000, burn_in=200, replicas=64, seed=4)
        spins = 1 - 2 * ((np.arange(2**8)[:, None] >> np.arange(8)) & 1)
        weight = np.exp(5 / scale * (model.energy(spins) - model.energy(spins).max()))
        exact = (weight @ spins.sum(axis=1)) / weight.sum()
        assert abs(run.magnetization.mean[0] - exact) < 4.5 * run.magnetization.error[0]
