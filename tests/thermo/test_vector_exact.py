"""XY and Heisenberg models: the sampled distributions against quadrature, and wrong kernels.

Every test has one fixed seed, chosen beforehand. Limits are set so that a right engine fails a test
with probability below 10⁻⁴; the negative controls must fail the very check that it passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p, independence_p
from mistaken_kernel import mistaken
from scipy.special import ive
from scipy.stats import kstest, truncexpon, uniform, vonmises

from thermo.estimate.autocorrelation import mean_with_error
from thermo.kernels import vector, vector_cluster
from thermo.kernels.streams import random_word
from thermo.lattice import Lattice, chain, cubic, from_edges, honeycomb, square
from thermo.models.heisenberg import Heisenberg
from thermo.models.vector import VectorModel
from thermo.models.xy import XY
from thermo.sampling import vector_batch, vector_cluster_batch
from thermo.sampling.vector_batch import VectorBatch
from thermo.sampling.vector_chains import VectorChains
from thermo.sampling.vector_cluster_batch import VectorClusterBatch

SEED = 20261121
CHAINS = 256
SPIN_UPDATES = ("metropolis", "heat_bath", "over_relaxation")
CLUSTER_UPDATES = ("wolff", "swendsen_wang")
# Sweeps between two samples: more than ten autocorrelation times of the systems below.
APART = {"metropolis": 60, "heat_bath": 15, "over_relaxation": 8, "wolff": 30, "swendsen_wang": 30}


def batch_of(model: VectorModel, update: str, beta: Any) -> VectorChains:
    kind = VectorClusterBatch if update in CLUSTER_UPDATES else VectorBatch
    return kind(model, update, beta, np.random.SeedSequence(SEED))


def sampled_energies(batch: VectorChains, model: VectorModel, draws: int = 50) -> np.ndarray:
    """Energies under `model` of all chains, so many sweeps apart that they are independent."""
    apart = APART[batch.update]
    batch.sweep(20 * apart)
    energies = []
    for _ in range(draws):
        batch.sweep(apart)
        energies.append(model.energy(batch.spins))
    return np.array(energies)


# ---- whole energy histograms against quadrature ----------------------------------------------

POINTS = 120  # cells along every axis of a grid, with a random point in each
HALF_TURN, TURN, HEIGHTS = (0.0, np.pi), (0.0, 2 * np.pi), (-1.0, 1.0)


def points(*ranges: tuple[float, float]) -> list[np.ndarray]:
    """Points spread evenly over a box, three coordinates: angles, or heights on the sphere."""
    generator = np.random.default_rng(SEED)
    cells = np.indices((POINTS,) * 3)
    return [
        low + (high - low) / POINTS * (cell + generator.random(cell.shape))
        for cell, (low, high) in zip(cells, ranges, strict=True)
    ]


@dataclass
class Case:
    """A model, and the energies of points that are uniform in its states, in ascending order."""

    model: VectorModel
    levels: np.ndarray


def case_of(model: VectorModel, energies: np.ndarray) -> Case:
    return Case(model, np.sort(energies, axis=None))


@cache
def rotor_triangle() -> Case:
    """Three unequal bonds, one of them antiferromagnetic, and unequal fields."""
    a, b, c = points(HALF_TURN, TURN, TURN)  # the mirror image of all has the same energy
    energy = -np.cos(a - b) + 0.7 * np.cos(a - c) - 0.4 * np.cos(b - c)
    energy -= 0.5 * np.cos(a) - 0.3 * np.cos(c)
    lattice = from_edges(3, [(0, 1), (0, 2), (1, 2)])
    return case_of(XY(lattice, [1.0, -0.7, 0.4], [0.5, 0.0, -0.3]), energy)


@cache
def sphere_triangle() -> Case:
    """The first spin stays at the pole: without a field only the others' places matter."""
    a, b, angle = points(HEIGHTS, HEIGHTS, HALF_TURN)
    between = a * b + np.sqrt((1 - a**2) * (1 - b**2)) * np.cos(angle)
    lattice = from_edges(3, [(0, 1), (0, 2), (1, 2)])
    return case_of(Heisenberg(lattice, [1.0, -0.7, 0.4]), -a + 0.7 * b - 0.4 * between)


@cache
def pair_in_a_field() -> Case:
    a, b, angle = points(HEIGHTS, HEIGHTS, HALF_TURN)
    between = a * b + np.sqrt((1 - a**2) * (1 - b**2)) * np.cos(angle)
    model = Heisenberg(chain(2, periodic=False), 0.8, 0.6)
    return case_of(model, -0.8 * between - 0.6 * (a + b))


@cache
def ring(kind: type[VectorModel], *couplings: float) -> Case:
    """Four spins: two of them in the field, of any length, of the other two.

    `couplings` are ±1, with an even number of −1: to reverse spins makes them all 1.
    """
    if kind is XY:
        angle, one, other = points(HALF_TURN, HALF_TURN, HALF_TURN)
        energy = -2 * np.cos(angle / 2) * (np.cos(one) + np.cos(other))
    else:
        between, one, other = points(HEIGHTS, HEIGHTS, HEIGHTS)
        energy = -np.sqrt(2 + 2 * between) * (one + other)
    return case_of(kind(chain(4), couplings), energy)


def grid_p(energies: np.ndarray, levels: np.ndarray, beta: float, bins: int = 20) -> float:
    """p-value of the histogram in equally likely bins against e^(−βE) on the grid.

    So many points place the edges within about 10⁻² of a bin: in 12 800 samples, this adds less
    than 1 to χ².
    """
    weight = np.exp(-beta * (levels - (levels[0] if beta > 0 else levels[-1])))
    cumulative = np.cumsum(weight) / weight.sum()
    edge = np.searchsorted(cumulative, np.arange(1, bins) / bins)
    probabilities = np.diff(cumulative[edge], prepend=0.0, append=1.0)
    seen = np.bincount(np.searchsorted(levels[edge], energies.ravel()), minlength=bins)
    return counts_p(seen, probabilities)


SPIN_CASES: dict[str, Callable[[], Case]] = {
    "XY triangle in fields": rotor_triangle,
    "XY ring": lambda: ring(XY, -1.0, -1.0, -1.0, -1.0),
    "Heisenberg triangle": sphere_triangle,
    "Heisenberg pair in a field": pair_in_a_field,
    "Heisenberg ring": lambda: ring(Heisenberg, 1.0, 1.0, 1.0, 1.0),
}
CLUSTER_CASES: dict[str, Callable[[], Case]] = {
    "XY ring": SPIN_CASES["XY ring"],
    "XY ring with two negative bonds": lambda: ring(XY, -1.0, -1.0, 1.0, 1.0),
    "Heisenberg ring": SPIN_CASES["Heisenberg ring"],
}


@pytest.mark.parametrize(
    ("case", "update"),
    [*product(SPIN_CASES, SPIN_UPDATES), *product(CLUSTER_CASES, CLUSTER_UPDATES)],
)
def test_energy_histograms_are_boltzmanns_at_every_beta(case: str, update: str) -> None:
    made = (SPIN_CASES | CLUSTER_CASES)[case]()
    beta = np.array([-3.0, -0.7, 0.0, 1e-3, 0.9, 3.0])
    batch = batch_of(made.model, update, np.repeat(beta, CHAINS))
    energies = sampled_energies(batch, made.model).reshape(-1, beta.size, CHAINS)
    for k, b in enumerate(beta):
        assert grid_p(energies[:, k], made.levels, b) > P_LIMIT, b


@pytest.mark.parametrize("beta", [-0.9, 0.9])
@pytest.mark.parametrize("wrong", ["a dropped bond", "a flipped sign", "β wrong by 6 per cent"])
def test_a_wrong_model_fails_the_same_histogram_test(wrong: str, beta: float) -> None:
    right = rotor_triangle()
    model, used = right.model, beta
    if wrong == "a dropped bond":
        model = XY(from_edges(3, [(0, 1), (0, 2)]), [1.0, -0.7], [0.5, 0.0, -0.3])
    else:
        used *= -1.0 if wrong == "a flipped sign" else 1.06
    batch = batch_of(model, "heat_bath", np.full(CHAINS, used))
    energies = sampled_energies(batch, right.model, draws=200)
    assert grid_p(energies, right.levels, beta) < P_LIMIT


@pytest.mark.parametrize("update", CLUSTER_UPDATES)
def test_half_the_bond_strength_fails_the_same_histogram_test(
    monkeypatch: pytest.MonkeyPatch, update: str
) -> None:
    """Bonds with probability 1 − e^(−βJσσ), the factor 2 forgotten."""
    wrong = mistaken(
        vector_cluster, ("2.0 * beta[", "1.0 * beta["), ("2.0 * load(beta", "1.0 * load(beta")
    )
    monkeypatch.setattr(vector_cluster_batch, update, getattr(wrong, update))
    case = SPIN_CASES["Heisenberg ring"]()
    batch = batch_of(case.model, update, np.full(CHAINS, -0.9))
    assert grid_p(sampled_energies(batch, case.model), case.levels, -0.9) < P_LIMIT


# ---- a single spin in a field ----------------------------------------------------------------

FIELD = 0.5
STRENGTHS = (0.0, 1e-7, 1e-4, 0.3, 2.0, 40.0, 1e6)  # βh, of either sign


def single_spins(kind: type[VectorModel], update: str, strengths: np.ndarray) -> np.ndarray:
    """Samples (40, strength, chain, d), begun along the field, or against it where βh < 0."""
    model = kind(from_edges(1, []), field=FIELD)
    batch = batch_of(model, update, np.repeat(strengths / FIELD, CHAINS))
    along = np.zeros(batch.spins.shape)
    along[..., model.axis] = np.where(batch.beta < 0, -1, 1)[:, None]
    batch.spins = along
    samples = []
    for _ in range(41):
        batch.sweep(60 if update == "metropolis" else 1)
        samples.append(batch.spins.reshape(strengths.size, CHAINS, -1))
    return np.array(samples[1:])


def single_spin_p(kind: type[VectorModel], spins: np.ndarray, strength: float) -> float:
    """p-value of the angle between spins (…, d) and the field, or its reverse where βh < 0."""
    kappa = abs(strength)
    along = spins[..., kind.axis].ravel() * np.copysign(1.0, strength)
    if kind is XY:
        angle = np.arctan2(spins[..., 1].ravel(), along)
        return float(
            kstest(angle, vonmises(kappa).cdf if kappa else uniform(-np.pi, 2 * np.pi).cdf).pvalue
        )
    away = 1 - along  # e^(−κw), 0 < w < 2
    exact = truncexpon(2 * kappa, scale=1 / kappa).cdf if kappa else uniform(0, 2).cdf
    return float(kstest(away, exact).pvalue)


@pytest.mark.parametrize("update", ["metropolis", "heat_bath"])
@pytest.mark.parametrize("kind", [XY, Heisenberg])
def test_a_single_spin_in_a_field_has_its_exact_distribution(
    kind: type[VectorModel], update: str
) -> None:
    strengths = np.array([*STRENGTHS, *(-s for s in STRENGTHS[1:])])
    spins = single_spins(kind, update, strengths)
    for k, strength in enumerate(strengths):
        assert single_spin_p(kind, spins[:, k], strength) > P_LIMIT, strength


def test_heat_bath_on_the_circle_without_its_rejection_fails_the_same_test() -> None:
    """The functions themselves, in plain Python: a spin along x, κ = 2."""
    s0, s1 = np.random.SeedSequence(SEED).generate_state(16, np.uint64).reshape(2, 8)
    kappa = np.full(8, 2.0)
    drawn, proposed = [], []
    for _ in range(1500):
        w, sin, s0, s1 = vector.circle_heat_bath(kappa, s0, s1)
        drawn.append(np.stack([1 - w, sin], axis=-1))
        word, s0, s1 = random_word(s0, s1)
        w, sin = vector.shrunk_angle(word, 1 / np.sqrt(1 + 4 * kappa))
        proposed.append(np.stack([1 - w, sin], axis=-1))
    assert single_spin_p(XY, np.array(drawn), 2.0) > P_LIMIT
    assert single_spin_p(XY, np.array(proposed), 2.0) < P_LIMIT


def test_proposals_about_the_field_without_hastings_factor_fail_the_same_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = "nx, ny, nz = turned(x, y, w, sin)"
    wrong = mistaken(vector, (right, f"nx, ny, nz = turned(hx / {FIELD}, hy, w, sin)"))
    monkeypatch.setattr(vector_batch, "metropolis", wrong.metropolis)
    spins = single_spins(XY, "metropolis", np.array([2.0]))
    assert single_spin_p(XY, spins, 2.0) < P_LIMIT


@pytest.mark.parametrize("kind", [XY, Heisenberg])
@pytest.mark.parametrize("sign", [1, -1])
def test_at_infinite_beta_heat_bath_lays_every_spin_along_its_field(
    kind: type[VectorModel], sign: int
) -> None:
    model = kind(chain(4), field=10.0)  # stronger than the bonds: one sweep or two suffice
    batch = batch_of(model, "heat_bath", np.full(9, sign * np.inf))
    batch.sweep(50)
    aligned = np.zeros((4, model.components))
    aligned[:, model.axis] = sign
    np.testing.assert_allclose(batch.spins, np.broadcast_to(aligned, batch.spins.shape), atol=1e-7)


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
def test_at_infinite_beta_no_chain_goes_back(update: str) -> None:
    batch = batch_of(Heisenberg(square(4)), update, [np.inf, -np.inf])
    energy = batch.record(200, 1)["energy"]
    assert np.diff(energy[0]).max() < 1e-12
    assert np.diff(energy[1]).min() > -1e-12
    assert np.all(np.abs(energy[:, -1]) > np.abs(energy[:, 0]))


# ---- larger systems --------------------------------------------------------------------------


def langevin(k: np.ndarray) -> np.ndarray:
    """⟨cos θ⟩ of e^(k cos θ) on the sphere: coth k − 1/k."""
    small = np.abs(k) < 1e-3
    safe = np.where(small, 1.0, k)
    return np.where(small, k / 3, 1 / np.tanh(safe) - 1 / safe)


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
@pytest.mark.parametrize("kind", [XY, Heisenberg])
def test_open_chains_have_their_exact_energy(kind: type[VectorModel], update: str) -> None:
    """16 chains at each of 9 β; beyond 5.5 by Student of many hundreds: 4·10⁻⁸ each."""
    beta = np.array([0.0, 0.3, 1.0, 4.0, 30.0, -0.3, -1.0, -4.0, -30.0])
    model = kind(chain(8, periodic=False), coupling=0.5)
    batch = batch_of(model, update, np.repeat(beta, 16))
    batch.sweep(1000)
    series = batch.record(1000, 4)["energy"]
    energy = mean_with_error(series.reshape(beta.size, 16, -1))
    k = 0.5 * beta
    per_bond = langevin(k) if kind is Heisenberg else ive(1, k) / ive(0, k)
    z = (energy.mean + 0.5 * 7 * per_bond) / energy.error
    assert np.abs(z).max() < 5.5, z


@pytest.mark.parametrize("update", ["over_relaxation", "swendsen_wang", "wolff"])
@pytest.mark.parametrize(("kind", "lattice"), [(XY, square(8)), (Heisenberg, honeycomb(5))])
def test_reversing_beta_reverses_the_energy_of_a_bipartite_lattice(
    kind: type[VectorModel], lattice: Lattice, update: str
) -> None:
    """⟨E⟩(−β) = −⟨E⟩(β), staggered order for order. 6 z-scores: |z| < 5 is 4·10⁻⁶."""
    beta = np.array([0.3, 1.0, 1.5])
    batch = batch_of(kind(lattice), update, np.repeat([*beta, *-beta], 16))
    batch.sweep(300)
    series = batch.record(500, 4)
    for name, reverse, sign in (
        ("energy", "energy", -1),
        ("magnetization_length", "staggered_length", 1),
    ):
        plus = mean_with_error(series[name].reshape(6, 16, -1))
        minus = mean_with_error(series[reverse].reshape(6, 16, -1))
        z = (plus.mean[:3] - sign * minus.mean[3:]) / np.hypot(plus.error[:3], minus.error[3:])
        assert np.abs(z).max() < 5, (name, z)


@pytest.mark.parametrize(
    ("kind", "lattice", "beta"), [(XY, square(8), 1.1), (Heisenberg, cubic(4), -0.7)]
)
def test_all_updates_agree_near_the_transition(
    kind: type[VectorModel], lattice: Lattice, beta: float
) -> None:
    """Energies and squared order parameters of 5 updates: 8 z-scores, |z| < 5.2 is 2·10⁻⁶."""
    order = "magnetization_length" if beta > 0 else "staggered_length"
    estimates = []
    for update in (*SPIN_UPDATES, *CLUSTER_UPDATES):
        batch = batch_of(kind(lattice), update, np.full(32, beta))
        batch.sweep(500)
        series = batch.record(400, 5)
        estimates.append([mean_with_error(s[None]) for s in (series["energy"], series[order] ** 2)])
    for quantity in zip(*estimates, strict=True):
        mean = np.array([e.mean[0] for e in quantity])
        error = np.array([e.error[0] for e in quantity])
        z = (mean[:-1] - mean[-1]) / np.hypot(error[:-1], error[-1])
        assert np.abs(z).max() < 5.2, z


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1, -1])
def test_the_cubic_heisenberg_model_orders_at_the_critical_point_of_the_literature(
    sign: int,
) -> None:
    """Binder's cumulants of L = 6 and 12 cross near K_c = 0.693002(12).

    K. Chen, A. M. Ferrenberg, D. P. Landau, Phys. Rev. B 48, 3249 (1993). A rough check:
    corrections to scaling, ∝ L^−2.2, move the crossing of such small lattices by one or two parts
    in a thousand; half a per cent is allowed, with the standard error (by a jackknife over 64
    chains) held to a tenth of that.
    """
    near = np.array([0.686, 0.693, 0.700])
    chains = 64
    order = "magnetization_length" if sign > 0 else "staggered_length"
    moments = []
    for length in (6, 12):
        batch = batch_of(
            Heisenberg(cubic(length)), "over_relaxation", sign * np.repeat(near, chains)
        )
        batch.sweep(400)
        m = batch.record(1500, 2)[order].reshape(near.size, chains, -1)
        moments.append(np.array([(m**2).mean(axis=2), (m**4).mean(axis=2)]))

    def crossing(kept: np.ndarray) -> float:
        square, fourth = np.moveaxis(np.array(moments)[..., kept].mean(axis=-1), 1, 0)
        small, large = 1 - fourth / (3 * square**2)
        roots = np.roots(np.polyfit(near - near[1], large - small, 2))
        return float(near[1] + roots[np.abs(roots).argmin()].real)

    every = np.arange(chains)
    left_out = np.array([crossing(np.delete(every, k)) for k in every])
    error = np.sqrt((chains - 1) * left_out.var())
    assert error < 3.5e-4
    assert abs(crossing(every) - 0.693002) < 3.5e-3, (crossing(every), error)


# ---- chains are independent ------------------------------------------------------------------


def chains_p(update: str, *, shared: bool) -> float:
    """p-value of the independence of chains."""
    model = ring(XY, 1.0, 1.0, 1.0, 1.0).model
    batch = batch_of(model, update, np.full(CHAINS, 0.5))
    if shared:  # the eight lanes of each group begin alike and draw the same numbers
        batch.spins = batch.spins[np.arange(CHAINS) // 8 * 8]
        batch._streams[:] = batch._streams[:, :, :1]
    return independence_p(sampled_energies(batch, model, draws=200))


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
def test_chains_at_one_beta_are_independent(update: str) -> None:
    assert chains_p(update, shared=False) > P_LIMIT


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
def test_chains_that_share_random_numbers_are_found_out(update: str) -> None:
    assert chains_p(update, shared=True) < P_LIMIT
