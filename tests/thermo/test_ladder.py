"""Ladders of β: how often exchanges are accepted along them, and those that are suggested."""

from __future__ import annotations

import numpy as np
import pytest

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.exact import ising_torus
from thermo.lattice import square
from thermo.levels import EnergyLevels
from thermo.models import Ising
from thermo.run.ladder import suggest_ladder, swap_acceptance
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering
from thermo.sampling.tempering_batch import swap_probability

SEED = 20261120


def test_the_acceptance_of_levels_is_the_double_sum() -> None:
    levels = EnergyLevels([1.0, -2.0, 0.5, 0.5], np.log([2.0, 1.0, 3.0, 4.0]))
    beta = np.array([2.0, 0.7, 0.0, -0.6, -np.inf])
    p = canonical(levels, beta).populations().probabilities
    e = levels.energies
    expected = [
        (
            np.outer(p[k], p[k + 1])
            * swap_probability(beta[k], e[:, None], beta[k + 1], e[None, :])
        ).sum()
        for k in range(4)
    ]
    np.testing.assert_allclose(swap_acceptance(levels, beta), expected, rtol=1e-12)


@pytest.mark.parametrize("ends", [(-0.6, 0.6), (1.0, -0.2), (0.0, 0.8)])
def test_a_suggested_ladder_is_accepted_evenly(ends: tuple[float, float]) -> None:
    levels = ising_torus(16)
    ladder = suggest_ladder(levels, 16, ends)
    assert (ladder[0], ladder[-1]) == ends
    acceptance = swap_acceptance(levels, ladder)
    assert np.ptp(acceptance) < 0.03
    even = swap_acceptance(levels, np.linspace(*ends, 16))
    assert np.ptp(even) > 10 * np.ptp(acceptance)  # what it is good for


def test_a_pilot_run_suggests_nearly_the_ladder_of_the_levels() -> None:
    """Typically within 0.003 of it; the limits are three times what is typical, or more."""
    model, ends = Ising(square(4)), (-0.6, 0.6)
    pilot = simulate(model, np.linspace(*ends, 13), 1000, burn_in=100, replicas=39, seed=SEED)
    ladder, exact = suggest_ladder(pilot, 9), suggest_ladder(model.levels(), 9, ends)
    assert np.abs(ladder - exact).max() < 0.01
    assert np.ptp(swap_acceptance(model.levels(), ladder)) < 0.06
    descending = suggest_ladder(pilot, 5, np.array([0.3, -0.5]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(descending[[0, -1]], [0.3, -0.5])
    assert np.all(np.diff(descending) < 0)
    tempered = parallel_tempering(
        model, [-np.inf, -0.5, 0.0, 0.5], 200, burn_in=50, replicas=32, seed=SEED
    )
    assert suggest_ladder(tempered, 6).shape == (6,)  # β = −∞ is left out


def test_bad_ladders_are_refused() -> None:
    levels = Ising(square(4)).levels()
    for bad in (None, (0.0, 0.0), (0.0, np.inf), (0.0, 1.0, 2.0), 0.5):
        with pytest.raises(InvalidInputError, match="beta_range"):
            suggest_ladder(levels, 5, bad)  # type: ignore[arg-type]
    for pilot in (None, Ising(square(4))):
        with pytest.raises(InvalidInputError, match="accepted: EnergyLevels, or a Run"):
            suggest_ladder(pilot, 5, (0.0, 1.0))  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="EnergyLevels are needed"):
            swap_acceptance(pilot, [0.0, 1.0])  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"number = 513 .* 2 … 512 rungs"):
        suggest_ladder(levels, 513, (0.0, 1.0))
    with pytest.raises(InvalidInputError, match="number = 1 "):
        suggest_ladder(levels, 1, (0.0, 1.0))
    model = Ising(square(16))
    short = {"sweeps": 200, "burn_in": 100, "replicas": 16, "seed": SEED}
    for beta, message in (
        ([0.0, 0.1], r"between 0 and 0\.1"),
        ([0.0, 1.0, 0.2], "0.2 and 1 do not overlap"),
        ([0.1], "2 or more"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            suggest_ladder(simulate(model, beta, **short), 5, (0.0, 0.2))  # type: ignore[arg-type]
