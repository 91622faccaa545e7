"""Kelvin and joule: constants, and β of either sign as a temperature."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.constants

from thermo import physical_units
from thermo.errors import InvalidInputError
from thermo.physical_units import BOLTZMANN, EnergyUnit


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("BOLTZMANN", "Boltzmann constant"),
        ("PLANCK", "Planck constant"),
        ("ELEMENTARY_CHARGE", "elementary charge"),
        ("BOHR_MAGNETON", "Bohr magneton"),
        ("NUCLEAR_MAGNETON", "nuclear magneton"),
    ],
)
def test_constants_are_those_of_another_table(name: str, known: str) -> None:
    # SciPy follows CODATA; the magnetons moved by less than 1e-9 from 2018 to 2022.
    value, _, error = scipy.constants.physical_constants[known]
    assert getattr(physical_units, name) == pytest.approx(value, rel=1e-9)
    if not error:
        assert getattr(physical_units, name) == value


def test_room_temperature_is_a_fortieth_of_an_electron_volt() -> None:
    unit = EnergyUnit.from_electron_volt(1.0)
    assert float(unit.kelvin(1.0)) == pytest.approx(11604.518, abs=1e-3)
    assert float(unit.beta(300.0)) == pytest.approx(38.6817, abs=1e-4)


@pytest.mark.parametrize("joule", [1e-33, 2.5e-21, 1.0])
def test_a_temperature_returns_through_beta_with_its_sign(joule: float) -> None:
    unit = EnergyUnit(joule)
    kelvin = np.array([1e-12, 4.2, 1e9, -1e9, -4.2, -1e-12])
    assert unit.kelvin(unit.beta(kelvin)) == pytest.approx(kelvin, rel=1e-14)
    assert np.array_equal(np.sign(unit.beta(kelvin)), np.sign(kelvin))


def test_the_ends_and_the_middle_of_the_scale() -> None:
    unit = EnergyUnit.from_kelvin(1e-9)
    kelvin = unit.kelvin([math.inf, 0.0, -0.0, -math.inf])
    assert kelvin.tolist() == [0.0, math.inf, -math.inf, 0.0]
    assert math.copysign(1.0, kelvin[3]) == -1.0
    beta = unit.beta([0.0, math.inf, -math.inf, -0.0])
    assert beta.tolist() == [math.inf, 0.0, 0.0, -math.inf]


def test_the_same_unit_by_any_name() -> None:
    unit = EnergyUnit(3e-25)
    for other in (
        EnergyUnit.from_kelvin(3e-25 / BOLTZMANN),
        EnergyUnit.from_hertz(unit.hertz),
        EnergyUnit.from_electron_volt(unit.electron_volt),
    ):
        assert other.joule == pytest.approx(3e-25, rel=1e-15)
    assert float(unit.kelvin(1.0)) == pytest.approx(3e-25 / BOLTZMANN, rel=1e-15)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf, None, True, [1.0, 2.0]])
@pytest.mark.parametrize(
    "make",
    [
        EnergyUnit,
        EnergyUnit.from_kelvin,
        EnergyUnit.from_hertz,
        EnergyUnit.from_electron_volt,
    ],
)
def test_bad_units(make: Any, wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="number"):
        make(wrong)


@pytest.mark.parametrize("wrong", [math.nan, "cold", None])
def test_bad_temperatures(wrong: Any) -> None:
    unit = EnergyUnit(1.0)
    with pytest.raises(InvalidInputError):
        unit.kelvin(wrong)
    with pytest.raises(InvalidInputError):
        unit.beta(wrong)
