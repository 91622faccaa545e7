"""The canonical ensemble of spectra without an upper bound, of which a list is only a part."""

from __future__ import annotations

import math

import numpy as np
import pytest
from canonical_cases import INF, OSCILLATOR

from thermo.canonical import canonical
from thermo.errors import TruncatedSpectrumError, UnboundedSpectrumError
from thermo.levels import EnergyLevels


def test_truncated_oscillator_meets_its_closed_form_where_it_is_accepted() -> None:
    # At most 1e-9 of the population is missing, at energies of up to 21/β: U is off by a few
    # 1e-8 at the worst, C by a few 1e-7.
    beta = np.array([0.052, 0.1, 1.0, 10.0, 700.0, INF])
    state = canonical(OSCILLATOR, beta)
    x = beta[:-1]
    np.testing.assert_allclose(state.internal_energy[:-1], 1 / np.expm1(x), rtol=3e-8)
    np.testing.assert_allclose(state.heat_capacity[:-1], (x / 2 / np.sinh(x / 2)) ** 2, rtol=1e-6)
    np.testing.assert_allclose(
        state.entropy[:-1], x / np.expm1(x) - np.log1p(-np.exp(-x)), rtol=1e-8
    )
    assert (state.internal_energy[-1], state.entropy[-1]) == (0.0, 0.0)


def test_the_missing_fraction_of_an_oscillator_is_estimated_exactly() -> None:
    # n levels leave out e^{−nβ}: accepted up to 1e-9, refused just beyond.
    edge = math.log(1e9) / 400
    canonical(OSCILLATOR, edge * 1.0001)
    with pytest.raises(TruncatedSpectrumError, match="list more levels"):
        canonical(OSCILLATOR, edge * 0.9999)


@pytest.mark.parametrize("beta", [1e-300, 0.001, [1.0, 0.01]])
def test_a_list_that_ends_too_early_is_refused(beta: object) -> None:
    with pytest.raises(TruncatedSpectrumError):
        canonical(OSCILLATOR, beta)


def test_a_list_of_states_is_refused_like_a_list_of_levels() -> None:
    # three oscillators, 2-fold as levels with g and as single states, must agree on the edge
    shells = np.arange(60.0)
    g = (shells + 1) * (shells + 2) / 2
    levels = EnergyLevels(shells, np.log(g), bounded_above=False)
    states = EnergyLevels(np.repeat(shells, g.astype(int)), bounded_above=False)
    for beta in np.geomspace(0.3, 0.8, 30):
        outcomes = []
        for spectrum in (levels, states):
            try:
                canonical(spectrum, beta)
                outcomes.append(True)
            except TruncatedSpectrumError:
                outcomes.append(False)
        assert outcomes[0] == outcomes[1]


def test_dense_levels_do_not_hide_what_is_missing() -> None:
    # spacing kT/1000: the last level holds 1e-9, yet e^{−βE} = 1e-6 lies above it
    beta, top = 1.0, math.log(1e6)
    dense = EnergyLevels(np.arange(0.0, top, 1e-3), bounded_above=False)
    with pytest.raises(TruncatedSpectrumError):
        canonical(dense, beta)


@pytest.mark.parametrize("beta", [-INF, -1.0, -1e-300, -0.0, 0.0, [1.0, -2.0], [[0.0]]])
def test_no_equilibrium_without_an_upper_bound_at_beta_not_positive(beta: object) -> None:
    with pytest.raises(UnboundedSpectrumError, match="no upper bound"):
        canonical(OSCILLATOR, beta)


def test_one_level_of_an_endless_spectrum_is_not_enough() -> None:
    with pytest.raises(TruncatedSpectrumError):
        canonical(EnergyLevels([0.0], bounded_above=False), 1.0)
    assert canonical(EnergyLevels([0.0, 1.0], bounded_above=False), INF).entropy == 0.0
