"""Ordered states of spin models: the ends of their spectra, or refused where frustrated."""

from __future__ import annotations

from math import isclose

import numpy as np
import pytest

from thermo.errors import InvalidInputError
from thermo.lattice import chain, cubic, honeycomb, king, square, triangular
from thermo.models import (
    XY,
    Clock,
    Heisenberg,
    Ising,
    Potts,
    j1_j2,
    spin_glass,
)
from thermo.models.spin_model import SpinModel

# Models that are not frustrated at one sign or at both, small enough to enumerate.
ORDERED = {
    "random ferromagnet": (Ising(triangular(3), np.linspace(0.5, 2, 27)), (1,)),
    "antiferromagnet in a field": (Ising(chain(6), -1.0, 0.3), (1, -1)),
    "Potts": (Potts(square(3, periodic=False), 3), (1, -1)),
    "three-colour Potts": (Potts(triangular(3), 3), (1, -1)),
    "Potts in a field": (Potts(chain(6), 3, 1.0, -0.2), (1,)),
    "clock": (Clock(chain(6), 4, 0.7), (1, -1)),
    "chiral clock": (Clock(chain(6), 3, chirality=0.2), (1,)),
    "king": (j1_j2(3, 1.0, 0.5), (1,)),
}


@pytest.mark.parametrize("name", ORDERED)
def test_ordered_states_and_bounds_are_the_ends_of_the_spectrum(name: str) -> None:
    model, signs = ORDERED[name]
    levels = model.levels()
    for sign in signs:
        states = model.ordered_states(sign)
        assert len(np.unique(states, axis=0)) == len(states) > 0
        end = levels.minimum if sign == 1 else levels.maximum
        np.testing.assert_allclose(model.energy(states), end, atol=1e-9)
        if model.field == 0.0:
            np.testing.assert_allclose(model.energy_bounds[sign == -1], end, atol=1e-9)


def test_how_many_ordered_states() -> None:
    assert len(Potts(triangular(3), 3).ordered_states(1)) == 3
    levels = Potts(triangular(3), 3).levels()  # 3! ways to colour it with three colours
    assert np.exp(levels.log_degeneracy[-1]).round(6) == 6
    assert len(Potts(triangular(3), 3).ordered_states(-1)) == 6
    assert len(Potts(square(4), 5).ordered_states(-1)) == 5 * 4
    assert len(Clock(triangular(3), 3).ordered_states(-1)) == 6  # the same model
    assert len(Clock(square(4), 6).ordered_states(-1)) == 6  # opposite hours
    assert len(Clock(square(4), 6, 1.0, 0.1).ordered_states(1)) == 1
    assert Ising(square(4), 0.0).ordered_states(1).shape == (4, 16)
    assert Ising(square(4), coupling=-1.0).ordered_states(1)[0, :2].tolist() == [1, -1]
    assert XY(square(4)).ordered_states(-1).shape == (2, 16, 2)


def test_bounds_of_vector_models_are_met_without_frustration() -> None:
    for model in (XY(honeycomb(2), 1.5), Heisenberg(cubic(4), -0.5), XY(king(4), 0.3, -0.1)):
        low, high = model.energy_bounds
        assert isclose(low, model.energy(model.ordered_states(1)).min(), rel_tol=1e-12)
        if model.lattice.is_bipartite:
            assert isclose(high, model.energy(model.ordered_states(-1)).max(), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("model", "sign"),
    [
        (Ising(triangular(3)), -1),
        (Ising(triangular(6), -1.0), 1),
        (spin_glass(square(4), seed=3), 1),
        (spin_glass(square(4), "gaussian", seed=3), -1),
        (Clock(triangular(3), 4), -1),
        (Clock(chain(6), 3, chirality=0.2), -1),
        (Potts(triangular(4), 3), -1),
        (Heisenberg(triangular(3)), -1),
        (XY(king(4)), -1),
        (Potts(triangular(5), 127), -1),  # five colours in 127 states: too many to look at
    ],
)
def test_frustrated_models_have_no_known_order(model: SpinModel, sign: int) -> None:
    with pytest.raises(InvalidInputError, match="frustrated") as refusal:
        model.ordered_states(sign)
    assert "\n" not in str(refusal.value)
