"""Curves in natural units: the slope is β, and near β = 0 all systems are one parabola."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gammaln

from thermo.canonical import canonical
from thermo.curves import Curve, Measured, exact_curve, natural_scale
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.exact.density_of_states import ising_torus
from thermo.levels import EnergyLevels
from thermo.models.oscillator import Oscillator

INF = math.inf
RNG = np.random.default_rng(20261120)

BOUNDED = {
    "two levels": (EnergyLevels([-1.0, 1.0]), 1),
    "unequal weights": (EnergyLevels([0.0, 1.0, 5.0], [0.0, 2.0, 0.5]), 1),
    "forty tokens": (EnergyLevels(RNG.normal(3.0, 2.5, 40)), 1),
    "Ising 4×4": (ising_torus(4), 16),
}


def curve_of(levels: EnergyLevels, b: np.ndarray, units: int = 1) -> Curve:
    origin, scale = natural_scale(levels)
    return exact_curve(
        "system",
        canonical(levels, b * np.sqrt(units) / scale),
        unit="unit",
        units=units,
        origin=origin,
        scale=scale,
        log_states=levels.log_states,
    )


@pytest.fixture(params=BOUNDED)
def system(request: pytest.FixtureRequest) -> tuple[EnergyLevels, int]:
    return BOUNDED[request.param]


# ------------------------------------------------------------------------------------------------
# slope and curvature


def slopes(curve: Curve) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """b in the middle of neighbouring points, and dS/du and du/db there."""
    u, s, b = curve.energy.value, curve.entropy.value, curve.b
    return (b[1:] + b[:-1]) / 2, np.diff(s) / np.diff(u), np.diff(u) / np.diff(b)


@pytest.mark.parametrize("b", [2.0, 0.7, 0.05, -0.05, -0.7, -2.0])
def test_the_slope_of_the_arch_is_b(system: tuple[EnergyLevels, int], b: float) -> None:
    levels, units = system
    middle, slope, _ = slopes(curve_of(levels, b + np.array([1e-4, -1e-4]), units))
    # the difference quotient is off by its step squared, 1e-8, times third derivatives
    assert slope == pytest.approx(middle, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("b", [2.0, 0.7, 0.05, -0.05, -0.7, -2.0])
def test_heat_capacity_is_minus_b_squared_du_db(system: tuple[EnergyLevels, int], b: float) -> None:
    levels, units = system
    capacity = curve_of(levels, np.array([b]), units).heat_capacity.value[0]
    _, _, rate = slopes(curve_of(levels, b + np.array([1e-4, -1e-4]), units))
    assert capacity == pytest.approx(-(b**2) * rate[0], rel=1e-6)


def test_slope_and_heat_capacity_of_a_system_without_an_upper_bound() -> None:
    model = Oscillator(quantum=2.0)
    b = np.array([2.0001, 1.9999, 0.3001, 0.2999, 0.0101, 0.0099])
    curve = exact_curve(
        "oscillator",
        model.thermodynamics(b),
        unit="oscillator",
        origin=0.0,
        scale=1.0,
        log_states=INF,
        ends="no upper bound",
    )
    middle, slope, rate = slopes(curve)
    assert slope[::2] == pytest.approx(middle[::2], rel=1e-3)
    here = exact_curve(
        "oscillator", model.thermodynamics(middle[::2]), unit="oscillator", origin=0.0, scale=1.0,
        log_states=INF,
    )  # fmt: skip
    assert here.heat_capacity.value == pytest.approx(-(middle**2 * rate)[::2], rel=1e-3)
    assert curve.ends == "no upper bound"
    assert curve.log_states == INF
    assert here.heat_capacity.value[-1] == pytest.approx(1.0, abs=1e-4)  # equipartition: C = k


def test_negative_control_a_missing_state_or_a_wrong_scale_shows() -> None:
    levels = BOUNDED["forty tokens"][0]
    origin, scale = natural_scale(levels)
    b = np.array([0.3001, 0.2999])
    one_less = EnergyLevels(levels.energies[:-1])
    right, wrong = curve_of(levels, b), canonical(one_less, b / scale)
    slope = np.diff(wrong.entropy) / np.diff(right.energy.value)
    assert slope != pytest.approx([0.3], rel=1e-3)
    # b and u stretch together, so dS/du = b survives a wrong scale; u = −b near b = 0 does not
    stretched = exact_curve(
        "x",
        canonical(levels, [0.01 / scale, -0.01 / scale]),
        unit="x",
        origin=origin,
        scale=1.02 * scale,
        log_states=levels.log_states,
    )
    assert np.diff(stretched.energy.value) != pytest.approx(-np.diff(stretched.b), rel=0.03)
    right = curve_of(levels, np.array([0.01, -0.01]))
    assert np.diff(right.energy.value) == pytest.approx(-np.diff(right.b), rel=1e-3)


# ------------------------------------------------------------------------------------------------
# near b = 0 everything is one parabola, and leaves it as its third and fourth cumulants say


def standardised_cumulants(levels: EnergyLevels) -> tuple[float, float]:
    weight = np.exp(levels.log_degeneracy - levels.log_states)
    mean = weight @ levels.energies
    moments = [float(weight @ (levels.energies - mean) ** k) for k in (2, 3, 4)]
    return moments[1] / moments[0] ** 1.5, moments[2] / moments[0] ** 2 - 3.0


def test_near_b_zero_every_system_is_the_same_parabola(system: tuple[EnergyLevels, int]) -> None:
    levels, units = system
    b = np.array([0.08, 0.04, 0.02, -0.02, -0.04, -0.08])
    curve = curve_of(levels, b, units)
    u = curve.energy.value
    off = curve.entropy.value - levels.log_states / units + u**2 / 2
    # S = S₀ − u²/2 + κ₃u³/6 + (κ₄ − 3κ₃²) u⁴/24 with the cumulants of one unit's energy over σ₀
    third, fourth = standardised_cumulants(levels)
    third, fourth = third * np.sqrt(units), fourth * units
    if abs(third) > 1e-9:
        leading, order = third * u**3 / 6, 3
    else:
        leading, order = fourth * u**4 / 24, 4
    # the next order is smaller by b or b², with numbers of order one to ten before it
    assert off[[2, 3]] == pytest.approx(leading[[2, 3]], rel=0.15)
    assert np.log2(off[[0, 5]] / off[[1, 4]]) == pytest.approx(order, abs=0.35)
    assert np.log2(off[[1, 4]] / off[[2, 3]]) == pytest.approx(order, abs=0.2)
    assert u[[2, 3]] == pytest.approx(-b[[2, 3]], rel=0.03)
    assert curve.heat_capacity.value[[2, 3]] == pytest.approx(b[[2, 3]] ** 2, rel=0.1)


def test_two_levels_in_closed_form() -> None:
    b = np.array([3.0, 1.0, 0.0, -1.0, -3.0])
    curve = curve_of(EnergyLevels([5.0, 9.0]), b)
    p = 1 / (1 + np.exp(2 * b))
    assert curve.scale == 2.0
    assert curve.b == pytest.approx(b)
    assert curve.energy.value == pytest.approx(-np.tanh(b), abs=1e-15)
    assert curve.heat_capacity.value == pytest.approx((b / np.cosh(b)) ** 2)
    assert curve.entropy.value == pytest.approx(-p * np.log(p) - (1 - p) * np.log(1 - p))
    assert np.exp(-curve.log_participation.value) == pytest.approx(p**2 + (1 - p) ** 2)
    assert curve.effective_states.value == pytest.approx(np.exp(curve.entropy.value))


# ------------------------------------------------------------------------------------------------
# units, gauge, ends


@pytest.mark.parametrize("units", [2, 10, 1000])
def test_independent_units_are_the_same_curve_as_one(units: int) -> None:
    b = np.array([INF, 2.0, 0.3, 0.0, -0.3, -2.0, -INF])
    k = np.arange(units + 1)
    binomial = gammaln(units + 1) - gammaln(k + 1) - gammaln(units + 1 - k)
    many = curve_of(EnergyLevels(2.0 * k - units, binomial), b, units)
    one = curve_of(EnergyLevels([-1.0, 1.0]), b)
    assert many.scale == pytest.approx(1.0, rel=1e-9)
    assert many.log_states == pytest.approx(math.log(2.0))
    for name in ("energy", "entropy", "heat_capacity"):
        assert getattr(many, name).value == pytest.approx(getattr(one, name).value, abs=1e-9), name
    # participation of levels, each with g equal states: Σ g(p/g)² of independent spins multiplies
    assert many.log_participation.value == pytest.approx(one.log_participation.value, abs=1e-9)


@pytest.mark.parametrize("shift", [1e3, -7.25])
def test_the_zero_of_energy_does_not_matter(shift: float) -> None:
    b = np.array([INF, 1.5, 0.0, -1.5, -INF])
    levels = BOUNDED["unequal weights"][0]
    here, there = curve_of(levels, b), curve_of(levels.shifted(shift), b)
    for name in ("energy", "entropy", "heat_capacity", "log_participation"):
        assert getattr(there, name).value == pytest.approx(getattr(here, name).value, abs=1e-10)


def test_both_ends_of_the_axis() -> None:
    levels = EnergyLevels([0.0, 0.0, 1.0, 3.0], [0.0, 0.0, 1.0, math.log(5.0)])
    origin, scale = natural_scale(levels)
    curve = curve_of(levels, np.array([INF, -INF]))
    assert curve.beta.tolist() == curve.b.tolist() == [INF, -INF]
    assert curve.energy.value == pytest.approx([-origin / scale, (3.0 - origin) / scale])
    assert curve.entropy.value == pytest.approx([math.log(2.0), math.log(5.0)])
    assert curve.effective_states.value == pytest.approx([2.0, 5.0])
    assert curve.heat_capacity.value.tolist() == [0.0, 0.0]
    assert not curve.energy.error.any()  # an error of 0 means exact


def test_natural_scale_weighs_by_degeneracy() -> None:
    levels = EnergyLevels([0.0, 1.0, 2.0], np.log([1.0, 2.0, 1.0]))
    assert natural_scale(levels) == pytest.approx((1.0, math.sqrt(0.5)))


def test_there_is_no_natural_scale_without_an_upper_bound() -> None:
    with pytest.raises(UnboundedSpectrumError, match="no upper bound"):
        natural_scale(EnergyLevels(np.arange(30.0), bounded_above=False))


@pytest.mark.parametrize(
    ("units", "scale"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, math.nan)]
)
def test_impossible_units_and_scales_are_refused(units: int, scale: float) -> None:
    state = canonical(EnergyLevels([0.0, 1.0]), [1.0])
    with pytest.raises(InvalidInputError, match="units ≥ 1, scale > 0"):
        exact_curve("x", state, unit="x", units=units, origin=0.0, scale=scale, log_states=1.0)


def test_errors_are_divided_with_their_values() -> None:
    whole = Measured(np.array([8.0, 2.0]), np.array([0.4, 0.0]))
    part = whole.per(4.0)
    assert part.value.tolist() == [2.0, 0.5]
    assert part.error.tolist() == [0.1, 0.0]
    exact = Measured.exact([1, 2])
    assert exact.value.dtype == np.float64
    assert exact.error.tolist() == [0.0, 0.0]


def test_the_error_of_effective_states_follows_from_that_of_the_entropy() -> None:
    from dataclasses import replace

    curve = curve_of(EnergyLevels([-1.0, 1.0]), np.array([1.0]))
    entropy = Measured(np.array([2.0]), np.array([0.01]))
    states = replace(curve, entropy=entropy).effective_states
    assert states.value == pytest.approx(np.exp(2.0))
    # first order; the second is half the square, 5e-5 of it
    assert states.error == pytest.approx((np.exp(2.01) - np.exp(1.99)) / 2, rel=1e-4)
