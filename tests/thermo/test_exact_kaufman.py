"""Kaufman's torus against published numbers, the exact density of states and Onsager."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.exact.density_of_states import ising_torus
from thermo.exact.kaufman import square_torus
from thermo.exact.onsager import critical_beta, infinite_square

FIELDS = (
    "log_partition_function",
    "internal_energy",
    "energy_variance",
    "entropy",
    "log_participation_ratio",
)
CRITICAL = critical_beta()
BETA = np.concatenate(
    [
        [-np.inf, -500.0, -50.0, -3.0],
        np.linspace(-1.2, 1.2, 49),
        [CRITICAL, -CRITICAL, np.nextafter(CRITICAL, 1), 1e-200, 1e-9, -0.0, 5.0, 500.0, np.inf],
    ]
)


def test_published_values() -> None:
    small = square_torus(CRITICAL, 8)
    assert small.internal_energy / 64 == pytest.approx(-1.4915891074397, abs=5e-14)
    assert small.heat_capacity / 64 == pytest.approx(1.1455592399, abs=5e-11)
    large = square_torus([CRITICAL, 0.4], 32)
    np.testing.assert_allclose(
        large.internal_energy / 1024, [-1.4336584661462, -1.1072916609775], atol=5e-14
    )
    assert large.heat_capacity[0] / 1024 == pytest.approx(1.8467675900, abs=5e-11)


@pytest.mark.parametrize(
    "sides",
    [(2, 2), (2, 3), (3, 2), (3, 3), (4, 3), (3, 4), (5, 16), (8, 8), (2, 64), (64, 2), (32, 32)],
)
def test_every_field_equals_the_sum_over_exact_levels(sides: tuple[int, int]) -> None:
    torus, summed = square_torus(BETA, *sides), canonical(ising_torus(*sides), BETA)
    sites = sides[0] * sides[1]
    for name in FIELDS:
        np.testing.assert_allclose(
            getattr(torus, name), getattr(summed, name), rtol=1e-13, atol=1e-14 * sites**1.2
        )


def test_nothing_overflows() -> None:
    with warnings.catch_warnings(), np.errstate(over="raise", divide="raise", invalid="raise"):
        warnings.simplefilter("error")
        for sides in ((2, 2), (16, 16), (7, 500), (2000, 3), (600, 600)):
            state = square_torus(abs(BETA), *sides)
            assert np.isfinite(state.internal_energy).all()


def test_symmetry_in_beta_and_in_the_sides() -> None:
    state, mirror = square_torus(BETA, 6, 10), square_torus(-BETA, 6, 10)
    np.testing.assert_array_equal(state.internal_energy, -mirror.internal_energy)
    np.testing.assert_array_equal(state.entropy, mirror.entropy)
    turned = square_torus(BETA, 10, 6)
    np.testing.assert_allclose(
        state.energy_variance, turned.energy_variance, rtol=1e-11, atol=1e-13
    )


def test_ends_of_the_scale() -> None:
    state = square_torus([np.inf, 0.0, -np.inf], 32)
    np.testing.assert_array_equal(state.internal_energy, [-2048, 0, 2048])
    np.testing.assert_allclose(state.entropy, np.log(2) * np.array([1, 1024, 1]), rtol=1e-14)
    np.testing.assert_allclose(state.energy_variance, [0, 2048, 0], rtol=1e-14)
    np.testing.assert_array_equal(state.heat_capacity, [0, 0, 0])


def test_large_torus_approaches_onsager() -> None:
    beta = np.array([-0.55, 0.2, 0.4, 0.5, 0.7])
    torus, infinite = square_torus(beta, 512), infinite_square(beta)
    for name in ("internal_energy", "energy_variance"):
        np.testing.assert_allclose(
            getattr(torus, name) / 512**2, getattr(infinite, name), rtol=1e-11
        )
    # two ordered states below the transition: ln 2 in all
    ordered = np.where(abs(beta) > CRITICAL, np.log(2), 0.0)
    np.testing.assert_allclose(
        torus.entropy / 512**2 - infinite.entropy, ordered / 512**2, atol=1e-13
    )


def test_coupling_and_shape() -> None:
    beta = np.array([[0.1, 0.3], [-0.2, 0.0]])
    state = square_torus(beta, 4, coupling=-3.0)
    assert state.entropy.shape == (2, 2)
    np.testing.assert_allclose(state.entropy, square_torus(3 * beta, 4).entropy)
    np.testing.assert_allclose(
        state.internal_energy, -3 * square_torus(-3 * beta, 4).internal_energy
    )
    np.testing.assert_allclose(square_torus(np.inf, 4, coupling=0.0).entropy, 16 * np.log(2))


def test_frustrated_torus_uses_the_exact_levels() -> None:
    state = square_torus([-np.inf, -0.5, 0.5], 3)
    levels = ising_torus(3)
    np.testing.assert_allclose(state.entropy, canonical(levels, [-np.inf, -0.5, 0.5]).entropy)
    assert square_torus(-0.5, 3).entropy == pytest.approx(state.entropy[1])
    assert state.internal_energy[0] == 6.0  # not 18: every row and column has a broken bond
    with pytest.raises(InvalidInputError, match="sites"):
        square_torus(-0.5, 201)


@pytest.mark.parametrize("sides", [(1, 4), (4, 0), (2.5, 4), (True, 4)])
def test_bad_sides(sides: tuple) -> None:
    with pytest.raises(InvalidInputError):
        square_torus(0.1, *sides)


def test_nan_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nan"):
        square_torus([0.1, np.nan], 4)
