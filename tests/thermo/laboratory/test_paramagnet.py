"""Spins in a field: the numbers of the paramagnet."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from thermo.errors import InvalidInputError
from thermo.laboratory import paramagnet


def test_the_entropy_is_largest_in_the_middle_and_there_ln_2() -> None:
    found = paramagnet(10**5)
    top = int(np.argmax(found.entropy))
    assert found.energy[top] == 0.0
    assert found.entropy[top] == pytest.approx(math.log(2.0), abs=1e-4)
    assert found.beta[top] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("field", [0.25, 1.0, 3.0])
def test_beta_is_minus_artanh_of_the_energy(field: float) -> None:
    found = paramagnet(4000, field)
    inside = np.abs(found.energy) < 0.9 * field
    wanted = -np.arctanh(found.energy[inside] / field) / field
    assert found.beta[inside] == pytest.approx(wanted, abs=2e-3 / field)
    assert found.canonical_beta == pytest.approx(
        -np.arctanh(found.canonical_energy / field) / field, abs=1e-9 / field, rel=1e-4
    )


@pytest.mark.parametrize("field", [0.25, 1.0, 3.0])
def test_the_heat_capacity_has_the_same_peak_at_both_signs(field: float) -> None:
    (cold, top), (hot, other) = paramagnet(10, field).peaks
    assert cold == pytest.approx(0.41678, abs=5e-6)
    assert top == pytest.approx(0.43923, abs=5e-6)
    assert (hot, other) == (-cold, pytest.approx(top, rel=1e-12))


@pytest.mark.parametrize("spins", [2, 3, 100, 1001])
def test_every_finding_is_what_theory_says(spins: int) -> None:
    for finding in paramagnet(spins).findings:
        assert finding.expected is not None
        # Stirling's next term is 1/24N³ per spin.
        allowed = 0.05 / spins**4 if finding.what.startswith("S_max") else 1e-5
        assert finding.value == pytest.approx(finding.expected, abs=allowed), finding.what


def test_it_is_json() -> None:
    document = json.loads(json.dumps(paramagnet(4).to_dict(), allow_nan=False))
    assert document["schema"] == "spinlogit.lab.paramagnet/1"
    assert len(document["entropy"]) == 5


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"spins": 1}, "an integer 2 … 1000000"),
        ({"spins": 2.5}, "an integer 2 … 1000000"),
        ({"field": 0.0}, "a positive finite number"),
        ({"field": -1.0}, "a positive finite number"),
        ({"field": math.nan}, "a positive finite number"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        paramagnet(**wrong)
