"""The canonical ensemble of many β and spectra at once, and of what is no spectrum or β."""

from __future__ import annotations

import math

import numpy as np
import pytest
from canonical_cases import FIELDS, INF, OSCILLATOR, TWO

from thermo.canonical import CanonicalState, Thermodynamics, boltzmann_sums, canonical
from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3), (0,), (2, 0)])
def test_everything_is_shaped_like_beta(shape: tuple[int, ...]) -> None:
    state = canonical(TWO, np.full(shape, -0.5))
    for name in ("beta", *FIELDS):
        assert np.shape(getattr(state, name)) == shape
    assert state.populations().probabilities.shape == (*shape, 2)


def test_a_batch_of_spectra_is_each_alone() -> None:
    rng = np.random.default_rng(20261120)
    energies, log_g = rng.normal(size=(2, 3, 8)), rng.normal(size=(3, 8))
    beta = [-INF, -1.0, 0.0, 2.0]
    batch = boltzmann_sums(energies, log_g, beta)
    assert isinstance(batch, Thermodynamics)
    assert batch.entropy.shape == (2, 3, 4)
    for i in np.ndindex(2, 3):
        alone = canonical(EnergyLevels(energies[i], log_g[i[1]]), beta)
        assert isinstance(alone, CanonicalState)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(batch, name)[i], getattr(alone, name))
    assert boltzmann_sums(energies, None, -0.5).internal_energy.shape == (2, 3)


@pytest.mark.parametrize("beta", [-INF, -1.0, -0.0, 0.0, 1.0, INF])
@pytest.mark.parametrize("hidden", [0.0, 1e6, INF, -INF, math.nan])
def test_a_masked_level_is_not_there(beta: float, hidden: float) -> None:
    masked = boltzmann_sums([hidden, 1.0, -2.0, hidden], [-INF, 0.5, 0.0, -INF], beta)
    open_only = boltzmann_sums([1.0, -2.0], [0.5, 0.0], beta)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(masked, name), getattr(open_only, name))


def test_more_numbers_than_are_held_at_once() -> None:
    # 3 · 2²¹ numbers are summed in two parts
    levels = EnergyLevels(np.linspace(-1, 1, 1 << 21))
    beta = np.array([-1.0, 0.0, 1.0])
    state = canonical(levels, beta)
    np.testing.assert_allclose(
        state.internal_energy, -beta / 3 + 2 * beta**3 / 90, atol=3e-3
    )  # the Langevin function, to fifth order
    assert state.entropy[0] == pytest.approx(state.entropy[2], rel=1e-13)


BAD_SPECTRA = {
    "scalar": (1.0, None),
    "no levels": ([], None),
    "no levels in a batch": (np.empty((3, 0)), None),
    "nan": ([0.0, math.nan], None),
    "infinite": ([0.0, INF], None),
    "infinite and open": ([0.0, INF], [0.0, 0.0]),
    "nan degeneracy": ([0.0, 1.0], [0.0, math.nan]),
    "infinite degeneracy": ([0.0, 1.0], [0.0, INF]),
    "all masked": ([[0.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [-INF, -INF]]),
    "shapes": ([0.0, 1.0], [0.0, 0.0, 0.0]),
    "more axes": ([0.0, 1.0], [[0.0, 0.0], [0.0, 0.0]]),
    "text": (["a", "b"], None),
    "complex": (np.array([1j, 0]), None),
}


@pytest.mark.parametrize(("energies", "log_g"), BAD_SPECTRA.values(), ids=BAD_SPECTRA.keys())
def test_bad_spectra_are_refused_in_one_line(energies: object, log_g: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        boltzmann_sums(energies, log_g, 1.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("beta", [math.nan, [0.0, math.nan], "hot", None, 1j])
def test_bad_beta_is_refused_before_anything_else(beta: object) -> None:
    for function in (lambda: canonical(TWO, beta), lambda: boltzmann_sums([math.nan], None, beta)):
        with pytest.raises(InvalidInputError, match="β"):
            function()
    with pytest.raises(InvalidInputError, match="β"):
        canonical(OSCILLATOR, beta)


def test_a_list_is_not_levels() -> None:
    with pytest.raises(InvalidInputError, match="EnergyLevels"):
        canonical([0.0, 1.0], 1.0)
