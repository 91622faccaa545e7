"""Boltzmann lines: straight for canonical populations of either sign, bent for all others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from thermo.canonical import canonical
from thermo.curves import natural_scale
from thermo.errors import InvalidInputError, TautologyWarning
from thermo.exact.density_of_states import ising_torus
from thermo.levels import EnergyLevels
from thermo.occupation import Occupation, occupation
from thermo.populations import Populations

SEED = 20261120
LEVELS = EnergyLevels([0.0, 0.7, 1.0, 1.4, 2.2, 3.1, 3.5], [0.0, 1.0, 0.3, 2.0, 0.0, 1.2, 0.4])
ORIGIN, SCALE = natural_scale(LEVELS)
SIGNED_B = (2.5, 1.0, 0.3, 0.0, -0.3, -1.0, -2.5)


def exact_populations(levels: EnergyLevels, beta: float) -> Populations:
    """Canonical populations that do not remember the levels they came from."""
    return Populations(levels, canonical(levels, beta).populations().probabilities)


def line_of(populations: Populations, beta: float = math.nan, bins: int = 12) -> Occupation:
    return occupation("line", populations, LEVELS, beta=beta, origin=ORIGIN, scale=SCALE, bins=bins)


# ------------------------------------------------------------------------------------------------
# canonical populations


@pytest.mark.parametrize("b", SIGNED_B)
@pytest.mark.parametrize("bins", [1, 2, 3, 12])
def test_canonical_populations_are_a_straight_line_of_slope_minus_b(b: float, bins: int) -> None:
    line = line_of(exact_populations(LEVELS, b / SCALE), b / SCALE, bins)
    assert line.b == pytest.approx(b)
    assert line.fitted_b == pytest.approx(b, abs=1e-9)
    assert len(line.u) == min(bins, len(LEVELS))
    assert line.y == pytest.approx(-b * line.u, abs=1e-9)
    assert line.residual == pytest.approx(0.0, abs=1e-12)
    assert not line.error.any()  # exact populations have no error, and no error of the fit
    assert math.isnan(line.fitted_error)


def test_the_line_falls_when_cold_and_rises_when_inverted() -> None:
    cold, hot = (line_of(exact_populations(LEVELS, beta)) for beta in (1.0, -1.0))
    assert (np.diff(cold.u) > 0).all()
    assert (np.diff(cold.y) < 0).all()
    assert (np.diff(hot.y) > 0).all()


@pytest.mark.parametrize("b", SIGNED_B)
def test_many_independent_units_share_the_line_of_one(b: float) -> None:
    units = 50
    k = np.arange(units + 1)
    many = EnergyLevels(2.0 * k - units, gammaln(51) - gammaln(k + 1) - gammaln(51 - k))
    origin, scale = natural_scale(many)
    line = occupation(
        "spins", exact_populations(many, b), many, beta=b, units=units, origin=origin, scale=scale
    )
    assert line.b == pytest.approx(b)
    assert line.fitted_b == pytest.approx(b, abs=1e-8)
    assert line.y == pytest.approx(-b * line.u, abs=1e-9)
    assert (np.abs(line.u) < 1.0 + 1e-12).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_lattice_in_bins_is_as_straight_as_level_by_level(sign: int) -> None:
    torus = ising_torus(8)
    origin, scale = natural_scale(torus)
    for bins in (4, 6, 50):
        line = occupation(
            "Ising", exact_populations(torus, sign * 0.44), torus, beta=sign * 0.44, units=64,
            origin=origin, scale=scale, bins=bins,
        )  # fmt: skip
        assert line.fitted_b == pytest.approx(line.b, abs=1e-9)
        assert line.y == pytest.approx(-line.b * line.u, abs=1e-9)


def test_the_order_of_levels_and_the_zero_of_energy_do_not_matter() -> None:
    order = np.random.default_rng(SEED).permutation(len(LEVELS))
    p = exact_populations(LEVELS, -0.6).probabilities
    shuffled = EnergyLevels(LEVELS.energies[order] + 40.0, LEVELS.log_degeneracy[order])
    here = line_of(Populations(LEVELS, p))
    there = occupation(
        "line", Populations(shuffled, p[order]), shuffled, beta=math.nan, origin=ORIGIN + 40.0,
        scale=SCALE,
    )  # fmt: skip
    for name in ("u", "y", "fitted_b", "residual"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), abs=1e-9), name


# ------------------------------------------------------------------------------------------------
# counted populations


def counted(beta: float, total: int, rng: np.random.Generator) -> Populations:
    p = exact_populations(LEVELS, beta).probabilities
    return Populations.from_counts(LEVELS, rng.multinomial(total, p))


def test_b_is_recovered_from_counts_within_its_error() -> None:
    rng = np.random.default_rng(SEED)
    truth = np.repeat(SIGNED_B, 60)
    lines = [line_of(counted(b / SCALE, 20_000, rng)) for b in truth]
    z = np.array([(li.fitted_b - b) / li.fitted_error for li, b in zip(lines, truth, strict=True)])
    # Σz² of 420 fits is χ² with 420 degrees of freedom; false alarms 5e-5 on either side, and
    # 1e-5 for the mean (the bias of maximum likelihood, 1/√20000 of an error, does not show)
    assert stats.chi2.ppf(5e-5, z.size) < np.sum(z**2) < stats.chi2.isf(5e-5, z.size)
    assert abs(z.mean()) * np.sqrt(z.size) < stats.norm.isf(5e-6)
    # no hidden sign: cold and hot fits are off equally often
    assert abs(z[truth > 0].mean()) * np.sqrt((truth > 0).sum()) < stats.norm.isf(5e-6)
    assert abs(z[truth < 0].mean()) * np.sqrt((truth < 0).sum()) < stats.norm.isf(5e-6)


def test_the_errors_of_the_points_are_those_of_counting() -> None:
    """Points against the line that was put in: with its own ln Z, counting alone is left."""
    rng = np.random.default_rng(SEED + 1)
    beta, total = -0.5, 4000
    z = []
    for _ in range(300):
        line = line_of(counted(beta, total, rng), beta)
        fitted = canonical(LEVELS.shifted(-ORIGIN), line.fitted_b / SCALE).log_partition_function
        true = canonical(LEVELS.shifted(-ORIGIN), beta).log_partition_function
        z.append((line.y - fitted + true + line.b * line.u) / line.error)
    # every point is a binomial of at least 100 counts: its logarithm is off from normal by 1/√100
    # in skewness, which moves the variance of 300 by less than one of its own errors, √(2/300)
    each = np.sum(np.square(z), axis=0)
    assert len(each) == len(LEVELS)
    assert (each > stats.chi2.ppf(1e-6, 300)).all()
    assert (each < stats.chi2.isf(1e-6, 300)).all()


def test_correlated_samples_widen_all_errors() -> None:
    counts = np.array([900, 700, 500, 400, 300, 200, 100])
    free = line_of(Populations.from_counts(LEVELS, counts))
    tied = line_of(Populations.from_counts(LEVELS, counts, ess=counts.sum() / 25))
    assert tied.error == pytest.approx(5 * free.error)
    assert tied.fitted_error == pytest.approx(5 * free.fitted_error)
    assert tied.fitted_b == free.fitted_b


def test_empty_levels_have_no_point() -> None:
    line = line_of(Populations.from_counts(LEVELS, [50, 0, 30, 0, 0, 10, 0]))
    assert len(line.u) == 3
    assert np.isfinite(line.y).all()
    assert (line.error > 0).all()


# ------------------------------------------------------------------------------------------------
# populations that have no temperature: the negative controls


def pumped(total: int, rng: np.random.Generator) -> Populations:
    """Half the systems cold, half of them inverted, as behind a badly aligned pump."""
    p = 0.5 * sum(exact_populations(LEVELS, beta).probabilities for beta in (1.5, -1.5))
    return Populations.from_counts(LEVELS, rng.multinomial(total, p))


def misfit(line: Occupation) -> float:
    """χ² of the points about the fitted line."""
    return float(np.sum(((line.y + line.fitted_b * line.u) / line.error) ** 2))


def test_populations_that_are_not_canonical_leave_their_line() -> None:
    rng = np.random.default_rng(SEED + 2)
    line = line_of(pumped(20_000, rng))
    bound = stats.chi2.isf(1e-5, len(line.u))
    assert misfit(line) > 20 * bound
    assert line.residual > 0.05
    assert math.isnan(line.b)
    # bent like a bowl: both ends are fuller than any temperature has them
    assert line.y[0] > -line.fitted_b * line.u[0] + 10 * line.error[0]
    assert line.y[-1] > -line.fitted_b * line.u[-1] + 10 * line.error[-1]


@pytest.mark.parametrize("b", SIGNED_B)
def test_counted_canonical_populations_do_not(b: float) -> None:
    """The same measure with the same number of samples; false alarms 1e-5 for each b.

    The fit takes up one degree of freedom and the points one more, so the bound is generous.
    """
    line = line_of(counted(b / SCALE, 20_000, np.random.default_rng(SEED + 3)))
    assert misfit(line) < stats.chi2.isf(1e-5, len(line.u))
    # 2n·KL is χ² with L − 2 degrees of freedom
    assert 2 * 20_000 * line.residual < stats.chi2.isf(1e-5, len(LEVELS) - 2)


# ------------------------------------------------------------------------------------------------
# edges


@pytest.mark.parametrize(("occupied", "end"), [(0, math.inf), (-1, -math.inf)])
def test_a_single_occupied_end_of_the_spectrum_has_infinite_b(occupied: int, end: float) -> None:
    counts = np.zeros(len(LEVELS))
    counts[occupied] = 1000
    line = line_of(Populations.from_counts(LEVELS, counts))
    assert line.fitted_b == end
    assert len(line.u) == 1
    assert not math.isnan(line.residual)


def test_one_distribution_at_a_time() -> None:
    two = Populations(LEVELS, np.full((2, 7), 1 / 7))
    with pytest.raises(InvalidInputError, match=r"shape \(2, 7\)"):
        line_of(two)


def test_populations_of_these_very_levels_are_warned_about() -> None:
    with pytest.warns(TautologyWarning, match="was put in"):
        line_of(canonical(LEVELS, 1.0).populations())
