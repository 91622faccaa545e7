"""Energy levels: immutable, gauge, merging, provenance, and what is refused."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermo.canonical import canonical
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.levels import EnergyLevels, require_levels

fixed = settings(deadline=None, derandomize=True)  # the same examples in every run

BAD = {
    "no levels": ([],),
    "scalar": (1.0,),
    "two axes": ([[0.0, 1.0]],),
    "nan": ([0.0, math.nan],),
    "infinite": ([0.0, math.inf],),
    "text": (["a", "b"],),
    "digits as text": (["0", "1"],),
    "complex": (np.array([0.0, 1j]),),
    "none": (None,),
    "ragged": ([[0.0], [1.0, 2.0]],),
    "beyond float64": ([0, 10**400],),
    "squares beyond float64": ([0.0, 1e200],),
    "fewer degeneracies": ([0.0, 1.0], [0.0]),
    "scalar degeneracy": ([0.0, 1.0], 0.0),
    "no states": ([0.0, 1.0], [0.0, -math.inf]),
    "nan degeneracy": ([0.0, 1.0], [0.0, math.nan]),
    "fewer labels": ([0.0, 1.0], None, ["a"]),
    "labels not a list": ([0.0, 1.0], None, 5),
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_in_one_line(arguments: tuple) -> None:
    with pytest.raises(InvalidInputError) as caught:
        EnergyLevels(*arguments)
    assert "\n" not in str(caught.value)


def test_immutable_and_apart_from_what_it_was_made_of() -> None:
    energies = np.array([0.0, 1.0])
    levels = EnergyLevels(energies)
    energies[0] = 7.0
    assert levels.energies[0] == 0.0
    with pytest.raises(AttributeError):
        levels.energies = energies
    with pytest.raises(AttributeError):
        levels.colour = "red"
    for array in (levels.energies, levels.log_degeneracy):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_ends_length_and_order() -> None:
    levels = EnergyLevels([3, -1, 2], labels=["c", "a", "b"])
    assert (levels.minimum, levels.maximum, len(levels)) == (-1.0, 3.0, 3)
    assert levels.energies.tolist() == [3.0, -1.0, 2.0]
    assert levels.labels == ("c", "a", "b")
    assert "3 levels" in repr(levels)
    assert "no upper bound" in repr(EnergyLevels([0.0, 1.0], bounded_above=False))


def test_number_of_states_where_the_number_itself_overflows() -> None:
    levels = EnergyLevels([0.0, 1.0, 2.0], [5000.0, 5000.0, -5000.0])
    assert levels.log_states == pytest.approx(5000.0 + math.log(2.0), rel=1e-15)


def test_provenance_is_the_content_or_what_was_said() -> None:
    levels = EnergyLevels([0.0, 1.0])
    assert levels.provenance == EnergyLevels([0, 1]).provenance
    assert levels.provenance == EnergyLevels([-0.0, 1.0]).provenance  # a negated logit of 0
    assert levels.provenance != EnergyLevels([0.0, 1.5]).provenance
    assert levels.provenance != EnergyLevels([0.0, 1.0], [0.0, 1.0]).provenance
    assert EnergyLevels([0.0, 1.0], provenance="beam 3").provenance == "beam 3"


def test_a_gauge_shift_is_the_same_measurement() -> None:
    levels = EnergyLevels([0.0, 1.0], [1.0, 2.0], ["a", "b"], bounded_above=False)
    shifted = levels.shifted(-7.5)
    assert shifted.energies.tolist() == [-7.5, -6.5]
    assert shifted.log_degeneracy.tolist() == [1.0, 2.0]
    assert (shifted.labels, shifted.bounded_above) == (levels.labels, False)
    assert shifted.provenance == levels.provenance


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_and_worker_processes_get_equal_levels(duplicate) -> None:
    levels = EnergyLevels([0.0, 1.0], [5.0, 0.0], ["a", "b"], bounded_above=False, provenance="x")
    twin = duplicate(levels)
    assert np.array_equal(twin.energies, levels.energies)
    assert np.array_equal(twin.log_degeneracy, levels.log_degeneracy)
    assert (twin.labels, twin.bounded_above, twin.provenance) == (("a", "b"), False, "x")


def test_the_error_for_unbounded_spectra_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(UnboundedSpectrumError(-0.5, "an oscillator")))
    assert str(error) == str(UnboundedSpectrumError(-0.5, "an oscillator"))


@fixed
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    st.sampled_from([-math.inf, -1.3, -0.0, 0.0, 0.4, math.inf]),
)
def test_merging_keeps_the_thermodynamics(energies: list[int], beta: float) -> None:
    levels = EnergyLevels(energies)
    merged = levels.merged()
    assert merged.energies.tolist() == sorted(set(energies))
    counts = [energies.count(e) for e in sorted(set(energies))]
    np.testing.assert_allclose(np.exp(merged.log_degeneracy), counts, rtol=1e-14)
    apart, one = canonical(levels, beta), canonical(merged, beta)
    np.testing.assert_allclose(one.entropy, apart.entropy, atol=1e-13)
    np.testing.assert_allclose(one.internal_energy, apart.internal_energy, atol=1e-13)
    np.testing.assert_allclose(one.participation_ratio, apart.participation_ratio, rtol=1e-13)


def test_merging_joins_energies_that_differ_by_the_rounding_of_their_sums() -> None:
    bonds = np.random.default_rng(20261120).choice([-0.1, 0.1], size=(2000, 40))
    levels = EnergyLevels([sum(row) for row in bonds.tolist()])
    assert len(set(levels.energies.tolist())) > len(levels.merged())  # rounding did differ
    steps = np.diff(levels.merged().energies)
    np.testing.assert_allclose(steps / 0.2, np.round(steps / 0.2), atol=1e-9)
    assert np.exp(levels.merged().log_states) == pytest.approx(2000.0, rel=1e-12)


def test_merging_keeps_close_levels_that_are_not_rounding() -> None:
    assert len(EnergyLevels([1.0, 1.0 + 1e-10, 2.0]).merged()) == 3


@pytest.mark.parametrize("wrong", [[0.0, 1.0], np.zeros(2), None, "levels"])
def test_a_bare_list_is_not_levels(wrong: object) -> None:
    with pytest.raises(InvalidInputError, match="EnergyLevels"):
        require_levels(wrong)
