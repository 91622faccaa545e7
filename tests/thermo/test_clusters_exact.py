"""Wolff and Swendsen–Wang against exact distributions, and wrong ones that must be found out.

Every test has one fixed seed, chosen beforehand. Limits are set so that a right engine fails a test
with probability below 10⁻⁴; the negative controls must fail the very check that it passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, detailed_balance_p, energy_p, independence_p
from scipy.stats import chi2

from thermo.errors import InvalidInputError
from thermo.exact.kaufman import square_torus
from thermo.kernels import clusters
from thermo.lattice import chain, from_edges, honeycomb, square, triangular
from thermo.models import Clock, Ising, Potts
from thermo.sampling import cluster_batch
from thermo.sampling.cluster_batch import ClusterBatch
from thermo.sampling.cluster_lane_batch import ClusterLaneBatch

SEED = 20261121
UPDATES = ("wolff", "swendsen_wang")
APART = {"wolff": 40, "swendsen_wang": 8}  # sweeps after which these small lattices have forgotten


def batch_at(model: Any, update: str, beta: float, chains: int = 64, kind: Any = None) -> Any:
    kind = kind or ClusterBatch
    return kind(model, update, np.full(chains, beta), np.random.SeedSequence(SEED))


def sampled_energies(batch: Any, update: str, draws: int) -> np.ndarray:
    """Energies of independent chains, (chains, draws), so far apart that draws are independent."""
    batch.sweep(4 * APART[update])
    return batch.record(draws, APART[update])["energy"]


def mattis(lattice: Any, strengths: Any, seed: int = SEED) -> Ising:
    """Couplings of both signs that some pattern of spins satisfies all."""
    pattern = np.random.default_rng(seed).choice([-1, 1], size=lattice.n_sites)
    a, b = lattice.edges.T
    return Ising(lattice, strengths * pattern[a] * pattern[b])


TREE = from_edges(8, [(0, 1), (1, 2), (1, 3), (3, 4), (3, 5), (3, 6)])  # and a site alone
ISING = {
    "square 4×4": Ising(square(4)),
    "antiferromagnet": Ising(square(4), coupling=-0.7),
    "honeycomb 2×2": Ising(honeycomb(2)),
    "tree": Ising(TREE),
    "±J without frustration": mattis(square(4), 1.0),
}
OTHERS = {
    "couplings of every size": mattis(square(4), np.linspace(0.2, 1.6, 32)),
    "Potts 3, square 3×3": Potts(square(3), 3),
    "Potts 4, ring": Potts(chain(6), 4, coupling=-1.3),
    "Potts 3, triangle with a tail": Potts(from_edges(5, [(0, 1), (1, 2), (0, 2), (2, 3)]), 3),
    "Potts of both signs": Potts(chain(6), 3, coupling=[1.0, 1.0, -1.0, 1.0, -1.0, 1.0]),
    "clock 4": Clock(chain(8), 4),
    "clock 5": Clock(square(3, periodic=False), 5, coupling=1.2),
    "clock 6": Clock(chain(6), 6),
    "clock 3, half a turn": Clock(chain(6), 3, chirality=1.5),
    "clock 4, half a turn": Clock(chain(8), 4, chirality=2.0),
}


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", [*ISING.values(), *OTHERS.values()], ids=[*ISING, *OTHERS])
def test_energy_histograms_are_boltzmanns_at_beta_of_both_signs(model: Any, update: str) -> None:
    for beta in (-0.6, -0.25, 0.0, 0.25, 0.6):
        energies = sampled_energies(batch_at(model, update, beta), update, draws=60)
        p = energy_p(energies, model.levels(), beta)
        assert p > P_LIMIT, (beta, p)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", ISING.values(), ids=ISING.keys())
def test_so_are_those_of_512_lanes_each_at_its_own_beta(model: Ising, update: str) -> None:
    beta = np.array([-0.6, -0.25, 0.0, 0.25, 0.6])
    lanes = ClusterLaneBatch(
        model, update, np.tile(beta, 102), np.random.SeedSequence(SEED)
    )  # fmt: skip
    energies = sampled_energies(lanes, update, draws=60)
    for k, b in enumerate(beta):
        p = energy_p(energies[k::5], model.levels(), b)
        assert p > P_LIMIT, (b, p)


def test_frustrated_lattices_at_the_sign_of_beta_that_is_not() -> None:
    for kind in (ClusterBatch, ClusterLaneBatch):
        model = Ising(triangular(3))
        energies = sampled_energies(batch_at(model, "wolff", 0.2, kind=kind), "wolff", 60)
        assert energy_p(energies, model.levels(), 0.2) > P_LIMIT


def test_a_clock_half_a_turn_on_is_an_antiferromagnet() -> None:
    model = Clock(triangular(3), 4, chirality=2.0)
    with pytest.raises(InvalidInputError, match="β > 0"):
        batch_at(model, "wolff", 0.5).sweep(1)
    batch_at(model, "wolff", -0.5).sweep(1)


# ---- one sweep, state by state ---------------------------------------------------------------


def transitions(batch: Any, beta: float, rounds: int, generator: np.random.Generator) -> np.ndarray:
    """Count moves from state to state in one sweep, begun with the exact distribution."""
    model, chains = batch.model, batch.beta.size
    q, n = model.n_states, model.lattice.n_sites
    states = np.arange(q**n)[:, None] // q ** np.arange(n) % q
    energy = model.energy(model.spins_of(states))
    weight = np.exp(-beta * (energy - (beta > 0) * energy.min() - (beta < 0) * energy.max()))
    counts = np.zeros((q**n, q**n))
    for _ in range(rounds):
        before = generator.choice(q**n, size=chains, p=weight / weight.sum())
        batch.spins = model.spins_of(states[before])
        batch.sweep(1)
        after = model.states_of(batch.spins) @ q ** np.arange(n)
        np.add.at(counts, (before, after), 1)
    return counts


TINY = {
    "Ising, triangle with a tail": (Ising(from_edges(4, [(0, 1), (1, 2), (0, 2), (2, 3)])), 0.5),
    "Ising, ring at β < 0": (Ising(chain(4)), -0.5),
    "Ising, ±J without frustration": (Ising(chain(4), [1.0, -1.0, 1.0, -1.0]), 0.5),
    "Ising at β = 0": (Ising(chain(3)), 0.0),
    "Potts 3": (Potts(chain(3), 3), 0.7),
    "Potts 3 at β < 0": (Potts(chain(3), 3), -0.7),
    "clock 4": (Clock(chain(3, periodic=False), 4), 0.5),
    "clock 5 at β < 0": (Clock(chain(3, periodic=False), 5), -0.5),
}


def stationarity_p(counts: np.ndarray) -> float:
    """p-value of as many visits after the sweep as before (A. Stuart 1955, A. E. Maxwell 1970).

    Before and after are sampled alike and belong together: the difference of the two numbers of a
    state has the variance (in + out) less twice the sweeps that stayed, and those of two states are
    correlated by the sweeps between them.
    """
    out, into = counts.sum(axis=1), counts.sum(axis=0)
    covariance = np.diag(out + into) - counts - counts.T
    values, vectors = np.linalg.eigh(covariance)
    free = values > 1e-9 * values[-1]  # the total is conserved
    along = vectors.T[free] @ (into - out)
    return float(chi2.sf((along**2 / values[free]).sum(), free.sum()))


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize(("model", "beta"), TINY.values(), ids=TINY.keys())
@pytest.mark.parametrize("kind", [ClusterBatch, ClusterLaneBatch])
def test_one_sweep_is_in_detailed_balance_and_reaches_everything(
    kind: Any, model: Any, beta: float, update: str
) -> None:
    if kind is ClusterLaneBatch and not isinstance(model, Ising):
        with pytest.raises(ValueError, match="Ising"):
            batch_at(model, update, beta, kind=kind)
        return
    chains, rounds = (512, 150) if kind is ClusterLaneBatch else (8192, 8)
    batch = batch_at(model, update, beta, chains, kind)
    counts = transitions(batch, beta, rounds, np.random.default_rng(SEED))
    assert detailed_balance_p(counts) > P_LIMIT
    assert stationarity_p(counts) > P_LIMIT
    reached = np.linalg.matrix_power((counts > 0) + 0.0, 12) > 0
    assert reached[np.ix_(counts.sum(axis=1) > 0, counts.sum(axis=0) > 0)].all()


def test_parity_is_forgotten_by_wolff_at_beta_zero() -> None:
    """From all up, after 200 clusters: an even number of spins up in half of 2048 chains (±5σ)."""
    for kind, chains in ((ClusterBatch, 2048), (ClusterLaneBatch, 512)):
        batch = batch_at(Ising(chain(4)), "wolff", 0.0, chains, kind)
        batch.spins = np.ones((chains, 4), dtype=np.int8)
        batch.sweep(200)
        even = (np.sum(batch.spins > 0, axis=1) % 2 == 0).sum()
        assert abs(even - chains / 2) < 2.5 * np.sqrt(chains)


# ---- wrong ones ------------------------------------------------------------------------------


def without_bond(model: Ising) -> Ising:
    return Ising(from_edges(model.lattice.n_sites, model.lattice.edges[1:]), model.coupling)


@pytest.mark.parametrize("kind", [ClusterBatch, ClusterLaneBatch])
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("beta", [-0.3, 0.3])
def test_a_dropped_bond_is_found_out(kind: Any, update: str, beta: float) -> None:
    model = ISING["square 4×4"]
    batch = batch_at(without_bond(model), update, beta, 512, kind)
    batch.sweep(4 * APART[update])
    energies = []
    for _ in range(40):
        batch.sweep(APART[update])
        energies.append(model.energy(batch.spins))
    assert energy_p(np.array(energies), model.levels(), beta) < P_LIMIT


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("name", ["Ising, ring at β < 0", "Potts 3", "clock 4"])
def test_one_sweep_at_half_of_beta_is_found_out(name: str, update: str) -> None:
    model, beta = TINY[name]
    counts = transitions(
        batch_at(model, update, 0.5 * beta, 8192), beta, 8, np.random.default_rng(SEED)
    )
    assert detailed_balance_p(counts) < P_LIMIT
    assert stationarity_p(counts) < P_LIMIT


WRONG: dict[str, Callable] = {
    "1 − e^(−βJ)": lambda right: lambda model, beta, J: right(model, beta / 2, J),
    "no staggered map": lambda right: lambda model, beta, J: right(model, np.abs(beta), J),
    "β wrong by 5 per cent": lambda right: lambda model, beta, J: right(model, 1.05 * beta, J),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("update", UPDATES)
def test_a_wrong_joining_probability_is_found_out(
    wrong: Callable, update: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = cluster_batch.joining_probability
    monkeypatch.setattr(cluster_batch, "joining_probability", wrong(right))
    model = ISING["square 4×4"]
    energies = sampled_energies(batch_at(model, update, -0.3, 512), update, draws=40)
    assert energy_p(energies, model.levels(), -0.3) < P_LIMIT


def test_lanes_with_a_wrong_probability_are_found_out() -> None:
    model = ISING["square 4×4"]
    batch = batch_at(model, "wolff", -0.3, 512, ClusterLaneBatch)
    batch._rules = batch._rules_at(np.full(512, -0.15))
    assert energy_p(sampled_energies(batch, "wolff", 40), model.levels(), -0.3) < P_LIMIT
    batch = batch_at(model, "wolff", -0.3, 512, ClusterLaneBatch)
    batch._rules = batch._rules._replace(sign=~batch._rules.sign)  # no staggered map
    assert energy_p(sampled_energies(batch, "wolff", 40), model.levels(), -0.3) < P_LIMIT


def test_a_coin_that_lets_every_cluster_flip_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters that all flip, or all do not, leave the energy as it was."""
    monkeypatch.setattr(clusters, "below", lambda number, word: number - 1)  # every cluster flips
    monkeypatch.setattr(cluster_batch, "advance", clusters.advance.py_func)
    model, beta = Ising(chain(4)), 0.5
    batch = batch_at(model, "swendsen_wang", beta, 100)
    batch.sweep(3)
    assert energy_p(batch.record(1, 1)["energy"], model.levels(), beta) < P_LIMIT


def test_clock_mirrors_of_one_kind_do_not_reach_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through hours only, 4 hours: each spin stays even or odd, and the histogram shows it."""
    right = clusters.below

    def even_only(number: int, word: np.uint64) -> int:
        return 2 * right(number // 2, word) if number == 4 else right(number, word)

    monkeypatch.setattr(clusters, "below", even_only)
    monkeypatch.setattr(cluster_batch, "advance", clusters.advance.py_func)
    model, beta = Clock(chain(3, periodic=False), 4), 0.5
    batch = batch_at(model, "swendsen_wang", beta, 50)
    batch.spins = np.zeros((50, 3), dtype=np.int8)
    batch.sweep(5)
    assert energy_p(batch.record(4, 2)["energy"], model.levels(), beta) < P_LIMIT


# ---- chains are independent ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ClusterBatch, ClusterLaneBatch])
@pytest.mark.parametrize("update", UPDATES)
def test_chains_at_one_beta_are_independent_and_shared_streams_are_found_out(
    kind: Any, update: str
) -> None:
    draws, chains = 100, 128
    for shared in (False, True):
        batch = batch_at(ISING["square 4×4"], update, 0.25, chains, kind)
        if shared and kind is ClusterBatch:
            batch._generator[:] = batch._generator[:1]
        elif shared:
            batch._generator[:] = batch._generator[:, :1]
        energies = sampled_energies(batch, update, draws)
        assert (independence_p(energies.T) < P_LIMIT) == shared


# ---- the ends of the axis, and larger lattices -----------------------------------------------


@pytest.mark.parametrize("kind", [ClusterBatch, ClusterLaneBatch])
def test_infinite_beta_leads_to_the_ground_states_of_either_end(kind: Any) -> None:
    beta = np.repeat([-np.inf, np.inf], 32)
    batch = kind(Ising(square(4)), "swendsen_wang", beta, np.random.SeedSequence(SEED))
    batch.sweep(300)
    assert np.array_equal(batch.record(1, 1)["energy"][:, 0], np.repeat([32.0, -32.0], 32))
    batch = kind(Ising(square(4)), "wolff", beta, np.random.SeedSequence(SEED))
    batch.spins = np.repeat([Ising(square(4)).ordered_states(s)[0] for s in (-1, 1)], 32, axis=0)
    record = batch.record(20, 1)
    assert np.all(np.abs(record["energy"]) == 32)
    order = np.where(beta[:, None] > 0, record["magnetization"], record["staggered_magnetization"])
    assert np.all(np.abs(order) == 16)
    assert np.any(order != order[:, :1])


@pytest.mark.parametrize("update", UPDATES)
def test_the_critical_32x32_torus_agrees_with_kaufman_at_beta_of_both_signs(update: str) -> None:
    """z of ⟨E⟩ and of ⟨E²⟩ − ⟨E⟩² from independent replicas: |z| < 5 four times is 10⁻⁵ (t₂₅₅)."""
    critical = np.log(1 + np.sqrt(2)) / 2
    beta = np.repeat([-critical, critical], 256)
    batch = ClusterLaneBatch(Ising(square(32)), update, beta, np.random.SeedSequence(SEED))
    batch.sweep(1000)  # from random spins, Wolff's first clusters are small
    energy = batch.record(100, 2)["energy"].reshape(2, 256, 100)
    exact = square_torus(np.array([-critical, critical]), 32)
    square_deviation = (energy - exact.internal_energy[:, None, None]) ** 2
    for sampled, value in (
        (energy.mean(axis=2), exact.internal_energy),
        (square_deviation.mean(axis=2), exact.heat_capacity / critical**2),
    ):
        z = (sampled.mean(axis=1) - value) / (sampled.std(axis=1, ddof=1) / 16)
        assert np.abs(z).max() < 5, z


@pytest.mark.parametrize("update", UPDATES)
def test_the_scalar_kernel_agrees_with_kaufman_and_with_the_potts_ring(update: str) -> None:
    """|z| < 5.5 with 31 degrees of freedom three times: 2·10⁻⁵."""
    critical = np.log(1 + np.sqrt(2)) / 2
    beta = np.repeat([-critical, critical], 32)
    batch = ClusterBatch(Ising(square(16)), update, beta, np.random.SeedSequence(SEED))
    batch.sweep(500)
    energy = batch.record(100, 2)["energy"].mean(axis=1).reshape(2, 32)
    exact = square_torus(np.array([-critical, critical]), 16).internal_energy
    z = (energy.mean(axis=1) - exact) / (energy.std(axis=1, ddof=1) / np.sqrt(32))
    assert np.abs(z).max() < 5.5, z
    # A ring of 64 Potts spins: Z = (e^K + q − 1)^N + (q − 1)(e^K − 1)^N, at K of both signs.
    for K in (1.5, -1.5):
        batch = batch_at(Potts(chain(64), 3), update, K, 32)
        batch.sweep(200)
        energy = batch.record(100, 10)["energy"].mean(axis=1)
        e, n = np.exp(K), 64
        plus, minus = e + 2, e - 1
        exact = -n * e * (plus ** (n - 1) + 2 * minus ** (n - 1)) / (plus**n + 2 * minus**n)
        z = (energy.mean() - exact) / (energy.std(ddof=1) / np.sqrt(32))
        assert abs(z) < 5.5, z
