"""Whole runs against exact physics: Kaufman's torus, Wannier's entropy, correlations of the ring.

All seeds were chosen beforehand; false-alarm rates are at most 1e-4 per test.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from thermo import Ising, parallel_tempering, population_annealing, simulate
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.exact import critical_beta, square_torus
from thermo.lattice import Lattice, chain, from_edges, square, triangular
from thermo.run import Run
from thermo.run.flat_histogram import multicanonical, wang_landau

pytestmark = pytest.mark.slow

SEED = 20261121

# ---- Kaufman ---------------------------------------------------------------------------------

POSITIVE = np.array([0.05, 0.2, 0.35, 0.42, critical_beta(), 0.46, 0.6, 1.0])
BOTH_SIGNS = np.concatenate([POSITIVE, -POSITIVE])


def agrees_with_kaufman(run: Run, length: int, off: float = 1.0) -> bool:
    """Energy and heat capacity of every β against the exact ones at off·β.

    Of 16 β the largest of |z| is beyond 5 with probability 1e-5 for the energy, beyond 7 with 2e-6
    for the heat capacity (Student of 31 or more).
    """
    exact = square_torus(off * run.beta, length)
    z_energy = (run.energy.mean - exact.internal_energy) / run.energy.error
    z_heat = (run.heat_capacity.mean - exact.heat_capacity) / run.heat_capacity.error
    return bool(np.abs(z_energy).max() < 5 and np.abs(z_heat).max() < 7)


def torus_run(lattice: Lattice, seed: int = SEED) -> Run:
    return simulate(
        Ising(lattice),
        BOTH_SIGNS,
        60_000,
        burn_in=3000,
        replicas=32,
        measure_every=20,
        seed=seed,
    )


@pytest.mark.parametrize("length", [8, 16, 32, 64])
def test_metropolis_on_the_torus_agrees_with_kaufman(length: int) -> None:
    run = torus_run(square(length), SEED + length)
    assert agrees_with_kaufman(run, length)
    assert not agrees_with_kaufman(run, length, off=1.005)
    assert not agrees_with_kaufman(run, length + 2)


@pytest.mark.parametrize("length", [8, 16, 32, 64])
def test_swendsen_wang_on_the_torus_agrees_with_kaufman(length: int) -> None:
    run = simulate(
        Ising(square(length)),
        critical_beta() * np.array([1.0, -1.0, 0.95, -1.05]),
        1000,
        burn_in=100,
        replicas=32,
        update="swendsen_wang",
        seed=SEED,
    )
    assert agrees_with_kaufman(run, length)
    assert not agrees_with_kaufman(run, length, off=1.02)


def test_a_torus_without_one_bond_of_512_disagrees_with_kaufman() -> None:
    torus = square(16)
    assert not agrees_with_kaufman(torus_run(from_edges(256, torus.edges[1:])), 16)


# ---- Wannier ---------------------------------------------------------------------------------
#
# At β → −∞ the ferromagnet on the triangular lattice is frustrated: every triangle of equal spins
# costs, and a state of the highest energy, +n, is one that has none of them.

WANNIER = 0.3230659669  # G. H. Wannier, Phys. Rev. 79, 357 (1950); corrected 7, 5017 (1973)


@cache
def log_states_without_equal_triangles(length: int) -> float:
    """ln of their number on the torus: Tr T^L, T between rows of L spins held as bits."""
    row = np.arange(2**length)
    shifted = (row >> 1) | ((row & 1) << (length - 1))  # bit c is what bit c + 1 was
    below, above = row[:, None], row
    up = ~(below ^ shifted[:, None]) & ~(below ^ above)  # sites c and c + 1, and c above
    down = ~(shifted[:, None] ^ above) & ~(above ^ shifted)  # c + 1, and c and c + 1 above
    allowed = ((up | down) & (2**length - 1) == 0).astype(float)
    third = np.linalg.matrix_power(allowed, length // 3)
    return float(np.log(np.sum((third @ third) * third.T)))


def test_numbers_of_states_on_small_tori_extrapolate_to_wannier() -> None:
    """s + a/L² + b/L⁴ through L = 6, 9, 12, wrong by less than b/L⁴ adds to s + a/L² (4·10⁻⁵)."""
    levels = Ising(triangular(3)).levels()
    assert levels.maximum == 9
    assert log_states_without_equal_triangles(3) == pytest.approx(levels.log_degeneracy[-1])
    lengths = np.array([6, 9, 12])
    entropy = [log_states_without_equal_triangles(n) / n**2 for n in lengths]
    last_but_one = np.polyfit(1.0 / lengths[1:] ** 2, entropy[1:], 1)[-1]
    last = np.polyfit(1.0 / lengths**2, entropy, 2)[-1]
    assert abs(last - WANNIER) < abs(last - last_but_one) < 5e-5


def log_states_on_top(lattice: Lattice, top: float, sweeps: int) -> MeanWithError:
    """ln g(top) by integrating the energy from β = 0 to −5, on ladders of parallel tempering.

    ln g(top) = n ln 2 + ∫₀⁵ (U(−b) − top) db − g′/g e^−20, the last term being all that is not on
    top at the end, with energies of top − 4: (top − U(−5))/4. By Gauss's rule of 31 nodes the
    integral is exact to 1e-6 (of the 4×4 torus: 2e-9).
    """
    nodes, weights = np.polynomial.legendre.leggauss(31)
    ladder = -2.5 * np.append(nodes + 1.0, 2.0)
    run = parallel_tempering(
        Ising(lattice),
        ladder,
        sweeps,
        burn_in=sweeps // 20,
        replicas=16,
        measure_every=10,
        seed=SEED,
    )
    weights = np.append(2.5 * weights, 0.25)
    below_top = np.tensordot(weights, top - run.energy_series, axes=1)  # (ladders, draws)
    return mean_with_error(lattice.n_sites * np.log(2.0) - below_top)


@pytest.mark.filterwarnings("ignore::thermo.errors.UncertaintyWarning")  # all on top at β = −5
def test_the_integrated_energy_leaves_wanniers_entropy() -> None:
    """L = 12 against its exact number, 12 and 24 extrapolated as 1/L²; |z| < 5 is 6e-7.

    What is left of b/L⁴, b about −0.7 by the exact numbers, is b/(12·24)² = 1e-5; 2e-5 is allowed.
    """
    exact = log_states_without_equal_triangles(12)
    twelve = log_states_on_top(triangular(12), 144.0, 40_000)
    assert abs(twelve.mean - exact) < 5 * twelve.error
    assert twelve.error < 0.02
    large = log_states_on_top(triangular(24), 576.0, 100_000)
    entropy = (4 * large.mean / 576 - exact / 144) / 3
    error = 4 / 3 * large.error / 576
    assert abs(entropy - WANNIER) < 5 * error + 2e-5
    assert error < 1e-4
    assert abs(large.mean / 576 - WANNIER) > 5 * error + 2e-5  # of one size it is not Wannier's


@pytest.mark.filterwarnings("ignore::thermo.errors.UncertaintyWarning")  # all on top at β = −5
def test_a_triangular_torus_without_one_bond_of_432_has_another_entropy() -> None:
    lattice = from_edges(144, triangular(12).edges[1:])
    found = log_states_on_top(lattice, 145.0, 10_000)  # the missing bond was an unhappy one
    assert abs(found.mean - log_states_without_equal_triangles(12)) > 5 * found.error


def test_annealing_and_walks_in_energy_count_the_same_states() -> None:
    """|z| < 6 with errors over 32 populations or walkers, Student of 31: 1e-6 each."""
    model, exact = Ising(triangular(12)), log_states_without_equal_triangles(12)
    beta = -np.concatenate([np.linspace(0.0, 1.2, 31), np.linspace(1.3, 5.0, 19)])
    run = population_annealing(model, beta, 2048, sweeps=20, replicas=32, seed=SEED)
    log_z = run.log_partition_function
    on_top = log_z.mean[-1] + beta[-1] * 144
    assert abs(on_top - exact) < 6 * log_z.error[-1]
    assert log_z.error[-1] < 0.02
    for method in (multicanonical, wang_landau):
        density = method(model, 100_000, walkers=32, seed=SEED)
        assert density.levels.maximum == 144
        assert abs(density.levels.log_degeneracy[-1] - exact) < 6 * density.stderr[-1], method
        assert density.stderr[-1] < 0.1


# ---- the ring --------------------------------------------------------------------------------

RING = 64
RING_BETA = np.array([0.3, 0.8, 1.2, 1.5, -0.3, -0.8, -1.2, -1.5])


def ring_run(model: Ising) -> Run:
    return simulate(
        model,
        RING_BETA,
        50_000,
        burn_in=1000,
        replicas=64,
        measure_every=50,
        structure_factor_every=50,
        seed=SEED,
    )


def agrees_with_the_exact_ring(run: Run, off: float = 1.0) -> bool:
    """G(r) = (t^r + t^(n−r))/(1 + t^n), t = tanh β; S(k) its transform; ξ from S(Q), S(Q + 2π/n).

    8 β times 32 r, 33 k and one ξ, Student of 63: the largest of |z| is beyond 7 with 1e-6.
    """
    distance = np.arange(RING)
    t = np.tanh(off * RING_BETA)[:, None]
    correlation = (t**distance + t ** (RING - distance)) / (1.0 + t**RING)
    power = np.fft.fft(correlation).real
    checks = [
        (run.correlation_function, correlation, np.s_[:, 1:]),
        (run.structure_factor, power, np.s_[:]),
    ]
    for staggered, rows, peak in ((False, RING_BETA > 0, 0), (True, RING_BETA < 0, RING // 2)):
        ratio = power[:, peak] / power[:, peak + 1]
        length = np.sqrt(np.maximum(ratio - 1.0, 0.0)) / (2.0 * np.sin(np.pi / RING))
        checks.append((run.correlation_length(staggered=staggered), length, np.s_[rows]))
    return all(
        bool(np.all(np.abs(sampled.mean - exact)[part] < 7 * sampled.error[part]))
        for sampled, exact, part in checks
    )


def test_correlations_on_the_ring_are_the_exact_ones() -> None:
    run = ring_run(Ising(chain(RING)))
    assert agrees_with_the_exact_ring(run)
    assert not agrees_with_the_exact_ring(run, off=1.01)


def test_a_reversed_bond_shows_in_the_correlations_on_the_ring() -> None:
    couplings = np.where(np.arange(RING) == 7, -1.0, 1.0)
    assert not agrees_with_the_exact_ring(ring_run(Ising(chain(RING), couplings)))
