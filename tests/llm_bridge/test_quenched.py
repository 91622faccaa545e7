"""Averages over contexts: errors for correlated positions, spread; quenched is not annealed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llm_bridge.quenched import quenched
from llm_bridge.spectrum import energy_levels, thermodynamics
from thermo.canonical import canonical
from thermo.errors import InvalidInputError

BETAS = np.array([-np.inf, -50.0, -1.0, -0.0, 0.0, 0.3, 1.0, 50.0, np.inf])


def random_logits(positions: int = 7, tokens: int = 50) -> np.ndarray:
    return 2.5 * np.random.default_rng(20261120).normal(size=(positions, tokens))


def test_quenched_means_and_spread() -> None:
    state = thermodynamics(random_logits(200, 30), BETAS)
    average = quenched(state)
    assert average.positions == 200
    np.testing.assert_array_equal(average.beta, BETAS)
    np.testing.assert_allclose(average.entropy.mean, state.entropy.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(average.entropy.spread, state.entropy.std(axis=0, ddof=1))
    np.testing.assert_allclose(average.entropy.quantiles[2], np.median(state.entropy, axis=0))
    np.testing.assert_allclose(average.effective_states, np.exp(state.entropy.mean(axis=0)))
    np.testing.assert_allclose(average.equivalent_dof, 2 * average.heat_capacity.mean)
    finite = np.isfinite(BETAS)
    log_z, energy = average.log_partition_function.mean, average.internal_energy.mean
    thermal = log_z[finite] + BETAS[finite] * energy[finite]
    np.testing.assert_allclose(thermal, average.entropy.mean[finite], atol=1e-12)
    assert np.isnan(average.log_partition_function.error[~finite]).all()
    assert (average.entropy.error[1:3] > 0).all()
    assert average.entropy.error[3] == 0.0  # ln V at every position


def test_quenched_is_not_annealed() -> None:
    state = thermodynamics(random_logits(), [1.0])
    annealed = np.log(np.exp(state.log_partition_function).mean())
    assert quenched(state).log_partition_function.mean[0] < annealed - 0.05


def test_error_grows_with_correlation_between_positions() -> None:
    """Contexts that come ten in a row count once: error within 4 of its own uncertainty.

    S at β = 1 for 4000 positions in runs of 10 equal ones. True error: spread/√400. The relative
    uncertainty of the estimated error is about √(2·21/4000) = 10 %; 5 of them: false alarm < 1e-6.
    """
    distinct = thermodynamics(random_logits(400, 20), 1.0)
    runs = type(distinct)(
        *(np.repeat(getattr(distinct, name), 10) for name in distinct.__dataclass_fields__)
    )
    average = quenched(runs)
    true = distinct.entropy.std(ddof=1) / math.sqrt(400)
    assert average.entropy.error[0] == pytest.approx(true, rel=0.5)
    naive = average.entropy.spread[0] / math.sqrt(4000)  # negative control
    assert naive < 0.4 * true


def test_quenched_of_one_position_and_bad_input() -> None:
    one = quenched(thermodynamics([[1.0, 2.0]], [0.0, 1.0]))
    assert np.isnan(one.entropy.error).all()
    assert quenched(thermodynamics([[1.0, 2.0], [0.0, 2.0]], 1.0)).beta.shape == (1,)
    with pytest.raises(InvalidInputError, match="quantiles"):
        quenched(thermodynamics([[1.0, 2.0]], [1.0]), quantiles=[2.0])
    with pytest.raises(InvalidInputError, match="N, B"):
        quenched(canonical(energy_levels([1.0, 2.0]), 1.0))
