"""The statistics of the other tests, on samples whose distribution is known.

Seeds were chosen beforehand. Uniform p-values: Kolmogorov–Smirnov, a false alarm at 10⁻⁵ each.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from goodness_of_fit import (
    LEAST_EXPECTED,
    P_LIMIT,
    cell_starts,
    counts_p,
    detailed_balance_p,
    energy_p,
    independence_p,
    level_counts,
    mean_vector_p,
    scatter_p,
    student_limit,
    student_scatter_p,
)
from scipy.stats import binom, chi2, kstest, t

from thermo.canonical import canonical
from thermo.lattice import square
from thermo.levels import EnergyLevels
from thermo.models import Ising

SEED = 20261122
LEVELS = Ising(square(4)).levels()


def ar1(generator: np.random.Generator, shape: tuple[int, ...], memory: float) -> np.ndarray:
    """Gaussian series along the first axis, of variance 1 and correlation `memory` per step."""
    series = generator.normal(size=shape)
    for step in range(1, len(series)):
        series[step] = memory * series[step - 1] + np.sqrt(1 - memory**2) * series[step]
    return series


def boltzmann_energies(generator: np.random.Generator, beta: float, size: int = 4000) -> np.ndarray:
    p = canonical(LEVELS, beta).populations().probabilities
    return LEVELS.energies[generator.choice(len(p), size, p=p)]


def energies_p(generator: np.random.Generator) -> float:
    beta = generator.uniform(-0.5, 0.5)
    return energy_p(boltzmann_energies(generator, beta), LEVELS, beta)


def reversible_moves_p(generator: np.random.Generator) -> float:
    flow = generator.random((6, 6))
    flow = (flow + flow.T) / (flow + flow.T).sum()
    return detailed_balance_p(generator.multinomial(20_000, flow.ravel()).reshape(6, 6))


def correlated_vectors_p(generator: np.random.Generator) -> float:
    return mean_vector_p(generator.normal(size=(40, 6)) @ generator.normal(size=(6, 6)))


NULLS: dict[str, Callable[[np.random.Generator], float]] = {
    "energies": energies_p,
    "moves of a reversible chain": reversible_moves_p,
    "chains that are independent": lambda generator: independence_p(generator.normal(size=(50, 8))),
    "correlated vectors of mean zero": correlated_vectors_p,
    "means of many AR(1) series": lambda generator: mean_vector_p(
        ar1(generator, (60, 40, 3), 0.9).mean(axis=0)
    ),
    "errors as large as the deviations": lambda generator: scatter_p(generator.normal(size=30)),
    "errors from 5 samples": lambda generator: student_scatter_p(
        generator.standard_t(4, size=(20, 1)), 5
    ),
}


@pytest.mark.parametrize("null", NULLS.values(), ids=NULLS.keys())
def test_where_all_is_right_p_is_uniform(null: Callable[[np.random.Generator], float]) -> None:
    generators = [np.random.default_rng(s) for s in np.random.SeedSequence(SEED).spawn(600)]
    assert kstest([null(generator) for generator in generators], "uniform").pvalue > 1e-5


def ar1_levels_p(memory: float) -> float:
    """Energies that follow an AR(1) series through their distribution, as those of a slow chain."""
    z = ar1(np.random.default_rng(SEED), (4000,), memory)
    cumulative = np.cumsum(canonical(LEVELS, 0.2).populations().probabilities)
    place = np.minimum(np.searchsorted(cumulative, chi2.cdf(z**2, 1)), len(LEVELS) - 1)
    return energy_p(LEVELS.energies[place], LEVELS, 0.2)


def test_samples_that_remember_each_other_are_no_independent_counts() -> None:
    """Right frequencies, but a chain of τ ≈ 10: draws must be as far apart as the tests take them.

    At no memory p is uniform: below 10⁻⁵ at that rate.
    """
    assert ar1_levels_p(0.0) > 1e-5
    assert ar1_levels_p(0.95) < P_LIMIT


def test_energies_at_another_beta_are_found_out() -> None:
    energies = boltzmann_energies(np.random.default_rng(SEED), 0.3)
    assert energy_p(energies, LEVELS, 0.3) > 1e-5  # uniform
    for wrong in (0.33, 0.27, -0.3, 0.0, np.inf):
        assert energy_p(energies, LEVELS, wrong) < P_LIMIT


def test_moves_that_go_round_are_found_out() -> None:
    circle = np.array([[0, 1100, 1000], [1000, 0, 1100], [1100, 1000, 0]])
    assert detailed_balance_p(circle) > 1e-5
    assert detailed_balance_p(10 * circle) < P_LIMIT


def test_chains_that_share_a_tenth_of_their_noise_are_found_out() -> None:
    generator = np.random.default_rng(SEED)
    own, common = generator.normal(size=(100, 64)), generator.normal(size=(100, 1))
    assert independence_p(np.sqrt(0.9) * own + np.sqrt(0.1) * common) < P_LIMIT


def test_a_mean_that_is_off_in_one_direction_is_found_out() -> None:
    """By a tenth of each component's spread, along a direction in which there is little of it."""
    generator = np.random.default_rng(SEED)
    mixed = generator.normal(size=(400, 2)) @ np.array([[1.0, 0.99], [0.0, 0.14]])
    assert mean_vector_p(mixed) > 1e-5
    assert mean_vector_p(mixed + 0.1 * np.array([1.0, -1.0])) < P_LIMIT


def test_errors_that_are_half_or_twice_too_large_are_found_out() -> None:
    z = np.random.default_rng(SEED).normal(size=100)
    assert max(scatter_p(2 * z), scatter_p(z / 2)) < P_LIMIT
    ratios = np.random.default_rng(SEED).standard_t(15, size=(100, 6))
    assert student_scatter_p(ratios, 16) > 1e-5
    assert max(student_scatter_p(2 * ratios, 16), student_scatter_p(ratios / 2, 16)) < P_LIMIT


def test_no_cell_is_expected_less_often_than_it_takes() -> None:
    generator = np.random.default_rng(SEED)
    for size in (1, 5, 300):
        expected = generator.exponential(LEAST_EXPECTED / 3, size)
        cells = np.add.reduceat(expected, cell_starts(expected))
        assert len(cells) == 1 or cells.min() >= LEAST_EXPECTED
        assert cells.sum() == pytest.approx(expected.sum())


def test_the_limit_holds_for_cells_of_few_counts() -> None:
    """Exactly: two cells, one of them expected so often among 10⁵."""
    number = 100_000
    for expected in np.arange(LEAST_EXPECTED, 100):
        p, counts = expected / number, np.arange(10 * expected)
        below = chi2.sf((counts - expected) ** 2 / (expected * (1 - p)), 1) < P_LIMIT
        chance = binom.pmf(counts, number, p)[below].sum() + binom.sf(counts[-1], number, p)
        assert chance < 1e-6, expected


def test_the_impossible_is_never_seen() -> None:
    assert counts_p([1000, 1000, 1], [1.0, 1.0, 0.0]) == 0.0
    assert counts_p([0, 50], [0.0, 1.0]) == 1.0
    ground = EnergyLevels([-1.0, 1.0])
    assert energy_p(np.full(50, -1.0), ground, np.inf) == 1.0
    assert energy_p(np.array([-1.0, 1.0]), ground, np.inf) == 0.0
    with pytest.raises(AssertionError):
        level_counts([0.5], [0.0, 1.0])


def test_the_limit_of_student_is_for_all_numbers_together() -> None:
    assert 2 * 50 * t.sf(student_limit(16, 50), 15) == pytest.approx(1e-5)
