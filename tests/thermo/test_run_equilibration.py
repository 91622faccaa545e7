"""Warnings about runs that are not in equilibrium, and none about runs that are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from thermo.errors import EquilibrationWarning
from thermo.lattice import square
from thermo.models import Ising, Potts
from thermo.run.equilibration import (
    FALSE_ALARMS,
    transient_p_values,
    warn_if_not_equilibrated,
)
from thermo.run.simulate import simulate

SEED = 20261120


def stationary(betas: int, chains: int, draws: int, rho: float = 0.7) -> np.ndarray:
    """AR(1) chains that begin in their stationary distribution; τ = ½ (1 + ρ)/(1 − ρ)."""
    noise = np.random.default_rng(SEED).normal(size=(betas, chains, draws))
    noise[..., 0] /= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], noise, axis=-1)


@pytest.mark.parametrize("chains", [2, 5, 64])
@pytest.mark.parametrize("draws", [4, 30])
def test_p_values_are_uniform_without_a_transient(chains: int, draws: int) -> None:
    """Kolmogorov-Smirnov of 5000 p-values each; a right test fails below 10⁻⁴ in 1 of 10⁴."""
    p = transient_p_values(stationary(5000, chains, draws))
    assert kstest(p, "uniform").pvalue > 1e-4
    assert not (p < FALSE_ALARMS / 5000).any()


def test_a_transient_in_the_first_tenth_is_found() -> None:
    series = stationary(3, 64, 400, rho=0.3)
    series[1, :, :40] += np.linspace(1.0, 0.0, 40)  # which shifts the mean by 0.05, 6 errors
    p = transient_p_values(series)
    assert p[1] < 1e-6
    assert p[[0, 2]].min() > 1e-4
    with pytest.warns(EquilibrationWarning, match=r"beginning at β = 0\.2 .*burn_in"):
        warn_if_not_equilibrated(np.array([0.1, 0.2, 0.3]), series)


def test_chains_that_never_move_pass_and_chains_that_move_alike_do_not() -> None:
    still = np.ones((1, 64, 10))
    together = np.where(np.arange(10) < 1, 5.0, 1.0) * still
    assert transient_p_values(still).tolist() == [1.0]
    assert transient_p_values(together)[0] < 1e-15
    assert transient_p_values(together[:, :2])[0] == 0.5  # two chains may well agree by chance


def test_too_few_draws_are_not_judged() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_not_equilibrated(np.array([0.1]), np.arange(12.0).reshape(1, 4, 3))


@pytest.mark.parametrize("model", [Ising(square(8)), Potts(square(8), 3)])
def test_an_ordered_start_in_the_disordered_phase_without_burn_in_is_reported(model: Ising) -> None:
    beta = 0.36 if isinstance(model, Ising) else 0.8
    with pytest.warns(EquilibrationWarning, match="beginning"):
        simulate(model, [beta], 500, burn_in=0, replicas=128, start="ordered")


def test_weakly_coupled_chains_need_no_warning() -> None:
    """60 β of both signs, in equilibrium: one of 10⁴ right runs warns."""
    simulate(Ising(square(8)), np.linspace(-0.3, 0.3, 60), 300, burn_in=100, replicas=32, seed=SEED)
