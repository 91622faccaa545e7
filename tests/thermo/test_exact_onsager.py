"""The infinite square lattice against published numbers, quadrature and identities."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from thermo.errors import InvalidInputError
from thermo.exact.onsager import critical_beta, infinite_square, spontaneous_magnetization

CATALAN = 0.915965594177219015


def test_critical_point() -> None:
    critical = critical_beta()
    state = infinite_square(critical)
    assert 1 / critical == pytest.approx(2.269185314, abs=5e-10)
    assert 1 / critical == pytest.approx(2 / np.log(1 + np.sqrt(2)), rel=1e-15)
    assert state.internal_energy == pytest.approx(-np.sqrt(2), rel=1e-15)
    assert state.log_partition_function == pytest.approx(np.log(2) / 2 + 2 * CATALAN / np.pi)
    assert state.log_partition_function == pytest.approx(0.92969539834, abs=5e-12)
    assert state.heat_capacity == np.inf
    assert spontaneous_magnetization(critical) < 0.02
    assert critical_beta(-2.0) == pytest.approx(-critical / 2)


@pytest.mark.parametrize("sign", [1, -1])
def test_published_values_at_both_signs(sign: int) -> None:
    state = infinite_square(sign / np.array([2.0, 2.5]))
    np.testing.assert_allclose(
        state.internal_energy, sign * np.array([-1.74556457531, -1.10607920375]), atol=5e-12
    )
    np.testing.assert_allclose(state.heat_capacity, [0.7248714486, 0.8616983568], atol=5e-11)
    magnetization = spontaneous_magnetization(sign / np.array([2.0, 2.5]))
    np.testing.assert_allclose(magnetization, [0.911319377877, 0.0], atol=5e-13)


def precise(k: float) -> tuple[float, float, float]:
    """ln Z, U, Var per site from 30-digit arithmetic."""

    def log_z(x: mpmath.mpf) -> mpmath.mpf:
        modulus = 2 * mpmath.sinh(2 * x) / mpmath.cosh(2 * x) ** 2
        points = [0, mpmath.pi / 4, mpmath.pi / 2 - 0.01, mpmath.pi / 2 - 1e-4, mpmath.pi / 2]
        integral = mpmath.quad(
            lambda phi: mpmath.log(1 + mpmath.sqrt(1 - (modulus * mpmath.sin(phi)) ** 2)), points
        )
        return mpmath.log(mpmath.sqrt(2) * mpmath.cosh(2 * x)) + integral / mpmath.pi

    def energy(x: mpmath.mpf) -> mpmath.mpf:
        modulus = 2 * mpmath.sinh(2 * x) / mpmath.cosh(2 * x) ** 2
        bracket = 1 + 2 / mpmath.pi * (2 * mpmath.tanh(2 * x) ** 2 - 1) * mpmath.ellipk(modulus**2)
        return -mpmath.coth(2 * x) * bracket

    with mpmath.workdps(30):
        x = mpmath.mpf(k)
        return float(log_z(x)), float(energy(x)), float(-mpmath.diff(energy, x))


@pytest.mark.parametrize("k", [1e-4, 0.1, 0.2553, 0.2555, 0.4, 0.44, 0.442, 0.5, 1.0, 3.0])
def test_against_high_precision(k: float) -> None:
    state = infinite_square(k)
    log_z, energy, variance = precise(k)
    assert state.log_partition_function == pytest.approx(log_z, rel=2e-15)
    assert state.internal_energy == pytest.approx(energy, rel=2e-15)
    assert state.energy_variance == pytest.approx(variance, rel=1e-12)


def test_symmetry_ends_and_identities() -> None:
    beta = np.array([-np.inf, -300.0, -1.0, -0.3, -0.0, 0.3, 1.0, 300.0, np.inf])
    state, mirror = infinite_square(beta), infinite_square(-beta)
    np.testing.assert_array_equal(state.internal_energy, -mirror.internal_energy)
    for name in ("log_partition_function", "entropy", "heat_capacity", "log_participation_ratio"):
        np.testing.assert_array_equal(getattr(state, name), getattr(mirror, name))
    np.testing.assert_array_equal(state.internal_energy[[0, -1]], [2.0, -2.0])
    np.testing.assert_allclose(state.entropy[[0, 1, -1]], 0.0, atol=1e-100)
    np.testing.assert_allclose(state.entropy[4], np.log(2), rtol=1e-15)
    finite = np.isfinite(beta)
    np.testing.assert_allclose(
        state.entropy[finite],
        state.log_partition_function[finite] + (beta * state.internal_energy)[finite],
        atol=1e-12,
    )
    doubled = infinite_square(2 * beta[finite]).log_partition_function
    np.testing.assert_allclose(
        state.log_participation_ratio[finite],
        2 * state.log_partition_function[finite] - doubled,
        atol=1e-12,
    )


def test_coupling_scales_the_energy() -> None:
    np.testing.assert_allclose(
        infinite_square(0.2, coupling=-2.5).internal_energy,
        2.5 * infinite_square(0.5).internal_energy,
    )
    still = infinite_square([0.0, 1.0, np.inf], coupling=0.0)
    np.testing.assert_array_equal(still.internal_energy, 0.0)
    np.testing.assert_allclose(still.entropy, np.log(2))


def test_magnetization_limits() -> None:
    np.testing.assert_array_equal(
        spontaneous_magnetization([np.inf, -np.inf, 0.0, 1e9]), [1, 1, 0, 1]
    )
    assert spontaneous_magnetization(0.4407) == pytest.approx(
        (1 - np.sinh(2 * 0.4407) ** -4) ** 0.125
    )


def test_bad_input() -> None:
    with pytest.raises(InvalidInputError, match="nan"):
        infinite_square(np.nan)
    with pytest.raises(InvalidInputError, match="coupling"):
        infinite_square(0.1, coupling=np.inf)
    with pytest.raises(InvalidInputError, match="coupling"):
        critical_beta(0.0)
