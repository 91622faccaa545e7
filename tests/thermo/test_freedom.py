"""Degrees of freedom: each notion counts what its name says, and only that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from thermo.canonical import canonical
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.freedom import (
    effective_states,
    equipartition_dof,
    heat_capacity_dof,
    kinetic_dof,
    learning_dof,
    participation_ratio,
    state_space_dof,
)
from thermo.levels import EnergyLevels


@pytest.mark.parametrize(
    ("arguments", "freedom"),
    [
        ({"particles": 2}, 3),
        ({"particles": 200, "constraints": 100}, 497),
        ({"particles": 1000, "constraints": 0, "conserved_momenta": 0}, 3000),
        ({"particles": 64, "dimension": 2}, 126),
        ({"particles": 1, "conserved_momenta": 0, "dimension": 1}, 1),
        ({"particles": np.int64(10)}, 27),
    ],
)
def test_kinetic(arguments: dict, freedom: int) -> None:
    assert kinetic_dof(**arguments) == freedom


@pytest.mark.parametrize(
    "arguments",
    [
        {"particles": 1},
        {"particles": 0},
        {"particles": -1},
        {"particles": 2.5},
        {"particles": math.nan},
        {"particles": "two"},
        {"particles": 10, "constraints": 27},
        {"particles": 10, "constraints": -1},
        {"particles": 10, "dimension": 0},
        {"particles": 10, "conserved_momenta": -3},
        {"particles": 10, "conserved_momenta": 1.5},
    ],
)
def test_kinetic_refuses_what_leaves_nothing(arguments: dict) -> None:
    with pytest.raises(InvalidInputError) as caught:
        kinetic_dof(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("modes", [1, 2, 7])
def test_equipartition_counts_quadratic_modes_and_so_does_the_heat_capacity(modes: int) -> None:
    # A density of states ∝ E^{f/2 − 1} on a fine grid is f quadratic modes: U = f/2β, C = f/2.
    # The midpoint rule is exact to the square of the step for f ≥ 2; f = 1 has an integrable
    # singularity at 0, with an error of the root of the step.
    beta, step = 1.7, 1e-4
    energy = step * (np.arange(300_000) + 0.5)
    levels = EnergyLevels(energy, (modes / 2 - 1) * np.log(energy), bounded_above=False)
    state = canonical(levels, beta)
    accuracy = 0.02 if modes == 1 else 1e-4
    assert equipartition_dof(state.internal_energy, beta) == pytest.approx(modes, rel=accuracy)
    assert heat_capacity_dof(state) == pytest.approx(modes, rel=accuracy)


@pytest.mark.parametrize("dof", [equipartition_dof, learning_dof])
@pytest.mark.parametrize("beta", [0.0, -0.0, -1.0, -math.inf])
def test_energies_without_a_top_have_no_negative_beta(dof: Any, beta: float) -> None:
    with pytest.raises(UnboundedSpectrumError, match=f"β = {beta:g} was asked of"):
        dof([1.0, 2.0], beta)


@pytest.mark.parametrize("dof", [equipartition_dof, learning_dof])
@pytest.mark.parametrize("beta", [math.nan, math.inf, "x"])
def test_beta_is_finite(dof: Any, beta: object) -> None:
    with pytest.raises(InvalidInputError):
        dof([1.0, 2.0], beta)


def test_one_beta_or_many() -> None:
    with pytest.raises(UnboundedSpectrumError, match="β = -1 "):
        equipartition_dof(1.0, [1.0, -1.0])
    with pytest.raises(InvalidInputError, match="one number"):
        learning_dof([1.0, 2.0], [1.0, 2.0])


@pytest.mark.parametrize("energy", [-0.1, math.nan, math.inf, "x", None, 1j])
def test_equipartition_needs_an_energy_above_the_minimum(energy: object) -> None:
    with pytest.raises(InvalidInputError):
        equipartition_dof(energy, 1.0)


def test_equipartition_shapes() -> None:
    np.testing.assert_allclose(equipartition_dof([1.0, 2.0], [[0.5], [1.0]]), [[1, 2], [2, 4]])
    with pytest.raises(InvalidInputError, match="shape"):
        equipartition_dof([1.0, 2.0], [1.0, 2.0, 3.0])


def test_two_levels_have_a_heat_capacity_but_count_no_modes() -> None:
    state = canonical(EnergyLevels([0.0, 1.0]), [-math.inf, -2.4, 0.0, 2.4, math.inf])
    peak = 2 * 0.4392288  # C = (x/2)² / cosh²(x/2) at x = 2.4, next to the Schottky peak
    np.testing.assert_allclose(heat_capacity_dof(state), [0, peak, 0, peak, 0], atol=1e-6)
    np.testing.assert_array_equal(heat_capacity_dof(state), 2 * state.heat_capacity)


@pytest.mark.parametrize("spins", [1, 8, 1000])
def test_bits_of_spins_and_vocabularies(spins: int) -> None:
    assert float(state_space_dof(spins * math.log(2.0))) == pytest.approx(spins, rel=1e-15)
    np.testing.assert_allclose(state_space_dof(np.log([2.0, 4096.0])), [1.0, 12.0], rtol=1e-15)


@pytest.mark.parametrize("bad", [math.nan, math.inf, [1.0, math.nan], "x", None])
def test_bits_of_no_number_of_states(bad: object) -> None:
    with pytest.raises(InvalidInputError):
        state_space_dof(bad)


def test_numbers_of_states_from_all_to_the_ends() -> None:
    levels = EnergyLevels([0.0, 1.0, 2.0], np.log([2.0, 5.0, 1.0]))
    state = canonical(levels, [math.inf, 1.0, 0.0, -1.0, -math.inf])
    for function in (effective_states, participation_ratio):
        np.testing.assert_allclose(function(state)[[0, 2, 4]], [2.0, 8.0, 1.0], rtol=1e-13)
    assert (participation_ratio(state) <= effective_states(state) * (1 + 1e-14)).all()
    ratio = np.exp(2 * canonical(levels, 1.0).log_partition_function)
    ratio /= np.exp(canonical(levels, 2.0).log_partition_function)
    assert participation_ratio(state)[1] == pytest.approx(ratio, rel=1e-13)  # Z(β)²/Z(2β)
