"""Learning coefficients by other ways than the one that is coded, and finite temperatures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import k0e, k1e

from llm_bridge.langevin import finite_temperature
from llm_bridge.langevin.exact import (
    effective_parameters,
    linear_network,
    monomial,
    quadratic_basin,
    reduced_rank_regression,
    regular,
)
from llm_bridge.langevin.finite_temperature import linear_network_thermodynamics
from thermo.errors import InvalidInputError


def by_singular_values(m: int, h: int, n: int, r: int) -> tuple[Fraction, int]:
    """λ and m of M → H → N from the law of singular values.

    r(M + N − r) directions are regular. What is left is ½‖BA‖² with Gaussian A, B of widths less r.
    Integrating B out leaves ∏(1 + t x_j)^{−N/2} over the eigenvalues x_j = t^{−y_j} of AAᵀ. Their
    probability is t^{−½ Σ(|M−H| + 2j − 1) y_j}: every eigenvalue chooses the cheaper of being as
    small as 1/t or of order 1, and a tie is a factor of ln t.
    """
    m, h, n, ends = m - r, h - r, n - r, r * (m + n - r)
    small = [abs(m - h) + 2 * j - 1 for j in range(1, min(m, h) + 1)]
    return Fraction(ends + sum(min(cost, n) for cost in small), 2), 1 + small.count(n)


def by_product_channels(widths: Sequence[int], r: int) -> Fraction:
    """λ of any depth from the exponents of the singular values of products of Gaussian matrices.

    These are known from the outage of radio channels with several scatterers (S. Yang and J.-C.
    Belfiore); for real numbers they are half of what they are there, for complex ones.
    """
    left = sorted(width - r for width in widths)
    sums = list(itertools.accumulate(left))
    singular = sum(
        1 - i + min((sums[k] - i) // k for k in range(1, len(left))) for i in range(1, left[0] + 1)
    )
    return Fraction(r * (widths[0] + widths[-1] - r) + singular, 2)


def test_reduced_rank_regression_in_all_cases() -> None:
    cases = set()
    for m, h, n in itertools.product(range(1, 8), repeat=3):
        for r in range(min(m, h, n) + 1):
            found = reduced_rank_regression(m, h, n, r)
            assert found == by_singular_values(m, h, n, r)
            assert found == linear_network([m, h, n], r)
            assert found.coefficient <= Fraction(m * h + h * n, 2)  # never more than d/2
            cases.add((m + h < n + r, n + h < m + r, m + n < h + r, (m + h + n + r) % 2))
    assert len(cases) == 8


@pytest.mark.parametrize(
    ("widths", "expected"), [((5, 3, 5), 6.5), ((5, 4, 5), 8.0), ((4, 3, 8), 6.0)]
)
def test_known_values(widths: tuple[int, int, int], expected: float) -> None:
    assert float(reduced_rank_regression(*widths, 0).coefficient) == expected


def test_deep_linear_networks() -> None:
    for layers, most in ((1, 9), (2, 6), (3, 5), (4, 4), (5, 3)):
        for widths in itertools.product(range(1, most + 1), repeat=layers + 1):
            for r in range(min(widths) + 1):
                assert linear_network(widths, r).coefficient == by_product_channels(widths, r)


def test_narrow_chains_are_monomials() -> None:
    """Widths of 1 inside: |u|² w² … |v|², of which only the scalars reach the smallest exponent."""
    for scalars in range(1, 5):
        network = linear_network([3, *[1] * (scalars + 1), 4])
        assert network == monomial([1] * scalars)
    assert linear_network([1] * 4) == monomial([1] * 3)


def test_simple_cases() -> None:
    assert regular(7) == linear_network([7, 1])
    assert monomial([1, 3, 0, 3]) == (Fraction(1, 6), 2)
    assert linear_network([6, 4], 3) == regular(24)  # one layer is regular, whatever the teacher
    with pytest.raises(InvalidInputError, match="at least 1"):
        monomial([0, 0])
    with pytest.raises(InvalidInputError, match=r"integer 0 … 3"):
        reduced_rank_regression(5, 3, 5, 4)
    with pytest.raises(InvalidInputError, match="at least two"):
        linear_network([4])


def test_two_scalars_at_finite_temperature() -> None:
    """½ w₁² w₂² with unit Gaussians: Z = √(s/2π) eˢ K₀(s), s = 1/4t, by elementary integration."""
    t = np.array([0.1, 1.0, 1e2, 1e4, 1e8])
    s = 1 / (2 * t) / 2
    # ln Z = ½ ln s + s + ln K₀(s): d/d ln t = −s d/ds
    energy = 0.5 + s - s * k1e(s) / k0e(s)
    found = linear_network_thermodynamics([1, 1, 1], t)
    np.testing.assert_allclose(found.excess_energy, energy, atol=2e-7)
    step = 1e-3
    later = [0.5 + x - x * k1e(x) / k0e(x) for x in (s * np.exp(-step), s * np.exp(step))]
    slope = (later[0] - later[1]) / (2 * step)
    np.testing.assert_allclose(found.heat_capacity, energy - slope, atol=2e-6)


@pytest.mark.parametrize("widths", [(5, 3, 5), (4, 3, 8), (2, 2, 6), (6, 5, 4), (4, 2, 4, 6)])
def test_the_order_of_integration_does_not_matter(widths: tuple[int, ...]) -> None:
    """Z of the same product with other layers integrated out: other integrals, the same slopes."""
    lowest, *others = sorted(widths)
    slopes = []
    for order in itertools.permutations(others):
        if len(widths) == 3:
            log_z = finite_temperature._log_z_of_two_layers([lowest, *order])
        else:
            log_z = finite_temperature._log_z_of_three_layers([lowest, *order], 1e3)
        slopes.append(log_z(1.1e3) - log_z(0.9e3))
    assert min(slopes) < -0.1
    assert max(slopes) - min(slopes) < 1e-7


@pytest.mark.parametrize("widths", [(5, 3, 5), (2, 1, 4), (4, 2, 4, 6), (2, 4, 2, 2)])
def test_both_ends_of_the_temperature(widths: tuple[int, ...]) -> None:
    """Hot: ⟨L⟩ = ½ ∏ widths. Cold: λ − (m − 1)/(ln nβ + c), c of order 1."""
    hot = linear_network_thermodynamics(widths, 1e-7).excess_energy
    assert hot == pytest.approx(0.5e-7 * np.prod(widths), rel=1e-2)
    exact = linear_network(widths)
    cold = linear_network_thermodynamics(widths, 1e12)
    logarithm = (exact.multiplicity - 1) / np.log(1e12)
    slack = 6 * logarithm**2 + 1e-4
    assert abs(cold.excess_energy - (float(exact.coefficient) - logarithm)) < slack
    assert abs(cold.heat_capacity - (float(exact.coefficient) - logarithm)) < slack


@pytest.mark.parametrize("widths", [(5, 3, 5), (3, 2, 3, 5)])
def test_warm_networks_against_independent_gaussians(widths: tuple[int, ...]) -> None:
    """Reweighted draws of the prior, where nβ is small enough for that; 40 blocks, |t| < 5.6."""
    rng = np.random.default_rng(20261121)
    product: np.ndarray = np.eye(widths[0])
    for columns, rows in itertools.pairwise(widths):
        product = rng.standard_normal((80_000, rows, columns)) @ product
    losses = 0.5 * (product**2).sum(axis=(1, 2)).reshape(40, -1)
    nbeta = 0.1
    weight = np.exp(-nbeta * losses)
    energies = nbeta * (weight * losses).sum(axis=1) / weight.sum(axis=1)
    exact = linear_network_thermodynamics(widths, nbeta).excess_energy
    assert abs(energies.mean() - exact) < 5.6 * energies.std(ddof=1) / np.sqrt(40)
    # the prior's width enters through nβ/γ^K alone
    squeezed = linear_network_thermodynamics(widths, nbeta * 2.0 ** (len(widths) - 1), 2.0)
    assert squeezed.excess_energy == pytest.approx(float(exact), abs=1e-7)


def test_finite_temperature_refuses() -> None:
    for widths in ([3, 3], [7, 7, 7], [3, 3, 3, 3], [2] * 5):
        with pytest.raises(InvalidInputError, match="three widths"):
            linear_network_thermodynamics(widths, 1.0)
    for nbeta in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InvalidInputError, match="nβ > 0"):
            linear_network_thermodynamics([2, 2, 2], nbeta)


def test_basin() -> None:
    h = np.array([0.0, 0.5, 3.0])
    exact = quadratic_basin(h, 10.0, 2.0)
    assert exact.excess_energy == pytest.approx(effective_parameters(h, 0.2) / 2)
    assert exact.heat_capacity == pytest.approx(0.5 * sum((h / (h + 0.2)) ** 2))
    assert quadratic_basin(h, 10.0) == (1.0, 1.0)  # a free direction counts nothing
    # x → (1 − εκ/2) x + √ε ξ: the fixed point of its variance
    epsilon, kappa = 0.07, 32.0
    variance = epsilon / (1 - (1 - epsilon * kappa / 2) ** 2)
    assert quadratic_basin([3.0], 10.0, 2.0, step=epsilon).excess_energy == pytest.approx(
        0.5 * 30.0 * variance
    )
    with pytest.raises(InvalidInputError, match=r"0 ≤ ε < 4/κ = 0\.125"):
        quadratic_basin([3.0], 10.0, 2.0, step=0.125)
