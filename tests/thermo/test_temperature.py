"""The signed temperature scale: ends, both zeros, order of hotness, round trips."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermo.errors import InvalidInputError, SpinlogitError
from thermo.temperature import as_beta, beta_from_temperature, temperature_from_beta

fixed = settings(deadline=None, derandomize=True)  # the same examples in every run

INF = math.inf
ENDS = [(0.0, INF), (INF, 0.0), (-INF, -0.0), (-0.0, -INF)]

BAD = [math.nan, [1.0, math.nan], None, "warm", "1.0", 1j, np.array([1j]), [[1.0], [1.0, 2.0]]]
BAD += [10**400, {}, [None], True, [True], [1.0, None]]


def same(a: float, b: float) -> bool:
    """Equal, the sign of zero included."""
    return a == b and math.copysign(1.0, a) == math.copysign(1.0, b)


@pytest.mark.parametrize(("temperature", "beta"), ENDS)
def test_the_four_ends_with_their_signs(temperature: float, beta: float) -> None:
    assert same(float(beta_from_temperature(temperature)), beta)
    assert same(float(temperature_from_beta(beta)), temperature)


def test_falling_beta_is_the_order_of_hotness() -> None:
    cold_to_hot = [0.0, 1e-300, 0.5, 1.0, 1e300, INF, -INF, -1e300, -1.0, -0.5, -1e-300, -0.0]
    beta = beta_from_temperature(cold_to_hot)
    assert (np.diff(beta) <= 0).all()
    # only T = ±∞, one point with two names, is not told apart by value
    assert np.flatnonzero(np.diff(beta) == 0).tolist() == [5]


@fixed
@given(st.floats(allow_nan=False, allow_infinity=True))
def test_round_trip(temperature: float) -> None:
    beta = float(beta_from_temperature(temperature))
    back = float(temperature_from_beta(beta))
    assert math.copysign(1.0, beta) == math.copysign(1.0, temperature)
    if 1e-300 < abs(temperature) < 1e300:
        assert back == pytest.approx(temperature, rel=1e-15, abs=0.0)
    elif temperature == 0.0 or math.isinf(temperature):
        assert same(back, temperature)


def test_too_small_for_a_finite_reciprocal_is_the_end_and_silent() -> None:
    assert float(beta_from_temperature(5e-324)) == INF
    assert float(beta_from_temperature(-5e-324)) == -INF


@pytest.mark.parametrize("function", [as_beta, beta_from_temperature, temperature_from_beta])
def test_shapes_are_kept(function) -> None:
    for values in (2.0, [2.0], np.full((3, 2), 2.0), np.empty((0, 4)), 2, np.float32(2.0)):
        result = function(values)
        assert isinstance(result, np.ndarray)
        assert result.dtype == np.float64
        assert result.shape == np.shape(values)


def test_as_beta_keeps_the_sign_of_zero() -> None:
    assert same(float(as_beta(-0.0)), -0.0)


@pytest.mark.parametrize("function", [as_beta, beta_from_temperature, temperature_from_beta])
@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_what_is_no_temperature_is_refused_in_one_line(function, bad: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        function(bad)
    assert isinstance(caught.value, SpinlogitError)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_the_message_says_where_the_nan_is() -> None:
    with pytest.raises(InvalidInputError, match="index 2"):
        as_beta([0.0, 1.0, math.nan])
