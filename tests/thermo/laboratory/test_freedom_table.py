"""Degrees of freedom of systems where the answer is known, by every definition that applies."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from thermo.errors import InvalidInputError
from thermo.freedom import learning_dof
from thermo.laboratory.classical_draws import (
    Draws,
    harmonic_crystal,
    ideal_gas,
    quartic_wells,
    rigid_diatomics,
)
from thermo.laboratory.freedom import DEFINITIONS, FreedomTable, freedom
from thermo.plots.laboratory.freedom import freedom_picture

# z-scores: 4.9 is passed once in 10⁶ tests if the errors are right, |z| < 4.9.
FAR = 4.9


def z_of_mean(values: np.ndarray, expected: float) -> float:
    error = values.std(ddof=1) / math.sqrt(values.size)
    return float((values.mean() - expected) / error)


@pytest.mark.parametrize(
    ("draw", "kinetic", "whole"),
    [
        (ideal_gas, 3 * 5 - 3, 3 * 5 - 3),
        (rigid_diatomics, 6 * 5 - 5 - 3, 6 * 5 - 5 - 3),
        (lambda _, *rest: harmonic_crystal(3, *rest), 3 * 27 - 3, 6 * 27 - 6),
        (quartic_wells, 5, 7.5),
    ],
    ids=["gas", "diatomics", "crystal", "wells"],
)
@pytest.mark.parametrize("beta", [0.3, 20.0])
def test_draws_have_the_degrees_of_freedom_that_they_must(
    draw: Callable[..., Draws], kinetic: float, whole: float, beta: float
) -> None:
    """Mean, variance and mean logarithm: E is Gamma-distributed of shape f/2, all of them known."""
    draws = 20_000
    drawn = draw(5, beta, draws, np.random.default_rng(20261121))
    assert abs(z_of_mean(2.0 * beta * drawn.kinetic, kinetic)) < FAR
    assert abs(z_of_mean(2.0 * beta * drawn.energy, whole)) < FAR
    squares = 2.0 * (beta * drawn.energy - 0.5 * whole) ** 2
    assert abs(z_of_mean(squares, whole)) < FAR
    counted = float(learning_dof(drawn.energy, beta))
    error = 2.0 / math.sqrt(draws * _trigamma(0.5 * whole))
    assert abs(counted - whole) < FAR * error
    # Negative control: one degree of freedom more or less would be seen.
    assert abs(z_of_mean(2.0 * beta * drawn.kinetic, kinetic + 1)) > FAR


def _trigamma(x: float) -> float:
    return sum(1.0 / (x + k) ** 2 for k in range(200_000)) + 1.0 / (x + 200_000)


@pytest.mark.parametrize("shape", [0.01, 0.25, 1.0, 3.5, 400.0])
def test_learning_dof_inverts_the_digamma_function(shape: float) -> None:
    """ψ is known where it is needed: ⟨ln E⟩ of draws replaced by its exact value."""
    from scipy.special import digamma

    energy = np.exp(digamma(shape)) * np.ones(3)
    assert float(learning_dof(energy, 1.0)) == pytest.approx(2.0 * shape, rel=1e-9)
    assert float(learning_dof(energy / 7.0, 7.0)) == pytest.approx(2.0 * shape, rel=1e-9)


@pytest.mark.parametrize(
    ("energy", "beta"),
    [([1.0], math.inf), ([0.0], 1.0), ([-1.0], 1.0), ([], 1.0),
     ([math.nan], 1.0), (1.0, 1.0)],
)  # fmt: skip
def test_learning_dof_refuses(energy: Any, beta: float) -> None:
    with pytest.raises(InvalidInputError):
        learning_dof(energy, beta)


@pytest.mark.parametrize("beta", [0.4, 1e-3, 3.0, 2000.0, -2000.0, 1e-150, 1e150, -1e150])
def test_every_number_is_what_is_known(beta: float) -> None:
    for finding in freedom(beta, atoms=27, draws=2000, seed=3).findings:
        if finding.error:
            assert abs(finding.deviation) < FAR, finding.what
        elif finding.expected is not None:
            assert finding.value == pytest.approx(finding.expected, rel=1e-9), finding.what


@pytest.mark.parametrize("beta", [0.0, 0.4])
def test_more_states_than_a_number_can_say(beta: float) -> None:
    table = freedom(beta, atoms=1000, size=32, draws=100)
    assert any(count.value == math.inf for counts in table.systems for count in counts.counts)
    json.dumps(table.to_dict(), allow_nan=False)
    assert freedom_picture(table).axes


@pytest.mark.parametrize("beta", [0.0, -0.4])
def test_only_bounded_systems_are_left_at_beta_0_and_below(beta: float) -> None:
    table = freedom(beta, draws=100)
    counted = {c.system for c in table.systems if any(k.value is not None for k in c.counts)}
    assert counted == {"64 two-level systems, gap 1", "Ising 8×8, J = 1"}
    mirror = freedom(-beta, draws=100)
    for here, there in zip(table.systems[-2:], mirror.systems[-2:], strict=True):
        for one, other in zip(here.counts, there.counts, strict=True):
            assert (one.value is None) == (other.value is None)
            if one.value is not None:  # C(−β) = C(β), and S likewise
                assert one.value == pytest.approx(other.value, rel=1e-9)


def test_every_definition_is_said_to_apply_or_why_not() -> None:
    table = freedom(draws=100)
    for counts in table.systems:
        assert tuple(count.definition for count in counts.counts) == DEFINITIONS
        for count in counts.counts:
            assert (count.value is None) == bool(count.reason) == bool(count.short)
    text = table.table()
    assert all(definition in text for definition in DEFINITIONS)
    assert "there are no momenta" in text


def test_no_more_than_the_modes_that_are_thawed() -> None:
    def of_oscillators(table: FreedomTable) -> float:
        (value,) = [
            count.value
            for counts in table.systems
            if counts.system.startswith("quantum")
            for count in counts.counts
            if count.definition == "heat_capacity_dof"
        ]
        assert value is not None
        return value

    thawed = [of_oscillators(freedom(beta, atoms=27, draws=100)) for beta in (10.0, 1.0, 0.01)]
    assert thawed == sorted(thawed)
    assert thawed[0] < 1.0
    assert thawed[-1] == pytest.approx(6 * 27, rel=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [{"beta": math.inf}, {"beta": 1e-300}, {"beta": -1e-300}, {"beta": 1e300},
     {"beta": math.nan}, {"atoms": 1}, {"atoms": 5000}, {"size": 3},
     {"size": 40}, {"draws": 99}, {"seed": -1}],
)  # fmt: skip
def test_bad_input(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="accepted"):
        freedom(**wrong)
