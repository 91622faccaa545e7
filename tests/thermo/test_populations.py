"""Populations of levels, canonical or not."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels
from thermo.populations import Populations

fixed = settings(deadline=None, derandomize=True)  # the same examples in every run

TWO = EnergyLevels([0.0, 1.0])

BAD = {
    "one too many": ([0.2, 0.3, 0.5],),
    "scalar": (1.0,),
    "negative": ([-0.1, 1.1],),
    "nan": ([math.nan, 1.0],),
    "infinite": ([math.inf, 0.0],),
    "sum 0.9": ([0.4, 0.5],),
    "sum 0": ([0.0, 0.0],),
    "one row of two": ([[0.5, 0.5], [0.5, 0.6]],),
    "ragged": ([[0.5, 0.5], [1.0]],),
    "text": (["a", "b"],),
    "complex": (np.array([0.5, 0.5j]),),
    "none": (None,),
}
BAD_SAMPLES = {"zero": 0, "negative": -5, "nan": math.nan, "shape": [1.0, 2.0], "text": "many"}
BAD_COUNTS = {
    "none at all": [0, 0],
    "one row without": [[1, 2], [0, 0]],
    "negative": [3, -1],
    "nan": [math.nan, 1],
    "infinite": [math.inf, 1],
    "one too many": [1, 2, 3],
    "scalar": 5,
    "text": ["a", "b"],
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_what_is_no_distribution_is_refused(arguments: tuple) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Populations(TWO, *arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("samples", BAD_SAMPLES.values(), ids=BAD_SAMPLES.keys())
def test_impossible_sample_numbers_are_refused(samples: object) -> None:
    with pytest.raises(InvalidInputError):
        Populations(TWO, [0.5, 0.5], samples=samples)
    with pytest.raises(InvalidInputError):
        Populations.from_counts(TWO, [1, 1], ess=samples)


@pytest.mark.parametrize("counts", BAD_COUNTS.values(), ids=BAD_COUNTS.keys())
def test_impossible_counts_are_refused(counts: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Populations.from_counts(TWO, counts)
    assert "\n" not in str(caught.value)


def test_levels_must_be_levels() -> None:
    with pytest.raises(InvalidInputError, match="EnergyLevels"):
        Populations([0.0, 1.0], [0.5, 0.5])
    with pytest.raises(InvalidInputError, match="EnergyLevels"):
        Populations.from_counts([0.0, 1.0], [1, 1])


def test_energy_and_entropy_over_states_by_hand() -> None:
    levels = EnergyLevels([-1.0, 0.0, 2.0], np.log([1.0, 3.0, 2.0]))
    p = np.array([0.5, 0.3, 0.2])
    populations = Populations(levels, p)
    states = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert populations.internal_energy == pytest.approx(-0.1, rel=1e-15)
    assert populations.entropy == pytest.approx(-(states * np.log(states)).sum(), rel=1e-14)
    np.testing.assert_allclose(populations.log_occupation, np.log(p / [1, 3, 2]), rtol=1e-14)


def test_empty_levels_count_nothing() -> None:
    populations = Populations(TWO, [1.0, 0.0])
    assert float(populations.entropy) == 0.0
    assert populations.log_occupation.tolist() == [0.0, -math.inf]


def test_entropy_with_thousands_of_nats_of_degeneracy() -> None:
    levels = EnergyLevels([0.0, 1.0], [5000.0, 4000.0])
    assert Populations(levels, [0.25, 0.75]).entropy == pytest.approx(
        0.25 * 5000 + 0.75 * 4000 - 0.25 * math.log(0.25) - 0.75 * math.log(0.75), rel=1e-14
    )


def test_leading_axes() -> None:
    p = np.random.default_rng(20261120).dirichlet([1.0, 1.0], size=(4, 3))
    populations = Populations(TWO, p, samples=[10.0, 20.0, 30.0])
    for quantity in ("internal_energy", "entropy", "is_inverted", "samples"):
        assert getattr(populations, quantity).shape == (4, 3)
    assert populations.log_occupation.shape == (4, 3, 2)
    np.testing.assert_allclose(populations.mean().probabilities, p.mean(axis=(0, 1)), rtol=1e-14)


def test_the_mean_has_at_least_the_mean_entropy() -> None:
    p = np.random.default_rng(20261120).dirichlet(np.full(5, 0.3), size=50)
    populations = Populations(EnergyLevels(np.arange(5.0)), p)
    assert populations.mean().entropy > populations.entropy.mean()


def test_stored_probabilities_sum_to_one_read_only_and_apart() -> None:
    p = np.array([0.25, 0.75 + 5e-7])
    populations = Populations(TWO, p)
    assert populations.probabilities.sum() == pytest.approx(1.0, abs=1e-15)
    assert p[1] == 0.75 + 5e-7
    with pytest.raises(ValueError, match="read-only"):
        populations.probabilities[0] = 1.0


def test_a_float32_softmax_has_the_same_energy_differences_in_every_gauge() -> None:
    logits = np.random.default_rng(20261120).normal(size=4096).astype(np.float32) * 3
    p = np.exp(logits - logits.max())
    p /= p.sum()  # float32: the sum is off by about 1e-7
    levels = EnergyLevels(-logits)
    here = Populations(levels, p).internal_energy
    there = Populations(levels.shifted(1e6), p).internal_energy
    assert there - 1e6 == pytest.approx(here, abs=1e-8)


def test_counts_become_probabilities_with_their_number() -> None:
    populations = Populations.from_counts(TWO, [[30, 10], [1, 0]])
    assert populations.probabilities.tolist() == [[0.75, 0.25], [1.0, 0.0]]
    assert populations.samples.tolist() == [40.0, 1.0]
    correlated = Populations.from_counts(TWO, [30, 10], ess=8.0)
    assert float(correlated.samples) == 8.0


def test_provenance_is_the_content_or_what_was_said() -> None:
    a, b = Populations(TWO, [0.5, 0.5]), Populations(TWO, [0.4, 0.6])
    assert a.provenance != b.provenance
    assert a.provenance == Populations(TWO, [0.5, 0.5]).provenance
    assert a.provenance != TWO.provenance
    assert Populations(TWO, [0.5, 0.5], provenance="beam 3").provenance == "beam 3"
    assert canonical(TWO, 1.0).populations().provenance == TWO.provenance


def test_worker_processes_get_equal_populations() -> None:
    twin = pickle.loads(pickle.dumps(Populations(TWO, [0.4, 0.6], samples=7.0)))
    assert twin.probabilities.tolist() == [0.4, 0.6]
    assert float(twin.samples) == 7.0


@fixed
@given(
    st.integers(0, 2**32 - 1),
    st.floats(-1e3, 1e3),
    st.sampled_from([-math.inf, -2.0, -1e-6, 1e-6, 2.0, math.inf]),
)
def test_inverted_is_beta_below_zero_in_every_gauge(seed: int, shift: float, beta: float) -> None:
    rng = np.random.default_rng(seed)
    levels = EnergyLevels(rng.normal(size=12) + shift, rng.normal(size=12) * 3)
    assert bool(canonical(levels, beta).populations().is_inverted) == (beta < 0)


@fixed
@given(st.integers(0, 2**32 - 1), st.floats(-1e3, 1e3))
def test_equal_occupation_is_not_inverted(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    levels = EnergyLevels(rng.normal(size=12) + shift, rng.normal(size=12) * 1000)
    assert not canonical(levels, [0.0, -0.0]).populations().is_inverted.any()
    weight = np.exp(levels.log_degeneracy - levels.log_degeneracy.max() + 0.3)  # rounded otherwise
    assert not Populations(levels, weight / weight.sum()).is_inverted
