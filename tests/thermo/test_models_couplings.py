"""Couplings of spin models: as numbers, arrays and matrices, and drawn by law."""

from __future__ import annotations

from math import isclose

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array, csr_matrix

from thermo.errors import InvalidInputError
from thermo.lattice import chain, honeycomb, square
from thermo.models import (
    XY,
    Clock,
    Heisenberg,
    Ising,
    j1_j2,
    spin_glass,
)


def test_couplings_given_as_a_matrix() -> None:
    rng = np.random.default_rng(4)
    lattice = honeycomb(3)
    values = rng.normal(size=lattice.n_edges)
    a, b = lattice.edges.T
    above = coo_array((values, (a, b)), (18, 18))
    for matrix in (csr_array(above + above.T), csr_matrix(above + above.T)):
        np.testing.assert_array_equal(Ising(lattice, matrix).couplings, values)
    part = csr_array((values[:5], (a[:5], b[:5])), (18, 18))
    assert XY(lattice, part + part.T).couplings[5:].tolist() == [0.0] * (lattice.n_edges - 5)


def test_uniform_values_are_known_as_such() -> None:
    model = Ising(square(4), np.full(32, -2.0), np.full(16, 0.5))
    assert (model.coupling, model.field, model.magnitude) == (-2.0, 0.5, 2.0)
    assert model.has_uniform_coupling
    assert model.has_uniform_field
    glass = spin_glass(square(4), seed=0)
    assert glass.magnitude == 1.0
    assert set(glass.signs.tolist()) == {-1, 1}
    np.testing.assert_array_equal(glass.signs * glass.magnitude, glass.couplings)
    assert not glass.has_uniform_coupling
    assert spin_glass(square(4), "gaussian", seed=0).magnitude is None
    with pytest.raises(InvalidInputError, match=r"couplings .* differ"):
        _ = glass.coupling
    with pytest.raises(InvalidInputError, match=r"couplings .* differ"):
        glass.energy_of_totals(3, 4)
    with pytest.raises(InvalidInputError, match=r"fields .* differ"):
        _ = Ising(chain(3), field=[1.0, 2.0, 3.0]).field
    for model in (glass, Clock(chain(4), 3), Heisenberg(chain(4))):
        for array in (model.couplings, model.fields):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1.0


def test_j1_j2_is_a_sum_over_rows_columns_and_diagonals() -> None:
    spins = Ising(square(5)).random_spins(np.random.default_rng(6), 1)[0].reshape(5, 5)
    near = sum((spins * np.roll(spins, 1, axis)).sum() for axis in (0, 1))
    far = sum((spins * np.roll(spins, (1, s), (0, 1))).sum() for s in (1, -1))
    assert isclose(j1_j2(5, 0.7, -0.4).energy(spins.ravel()), -0.7 * near + 0.4 * far)
    stripes = np.tile([1, -1], (4, 2)).ravel()
    model = j1_j2(4, 1.0, -1.0)
    assert model.energy(stripes) == model.levels().minimum == -2 * 16


def test_spin_glass_couplings_follow_their_law() -> None:
    """Mean, variance and fourth moment within 4.5 standard errors: 7e-6 each."""
    lattice = square(100)
    m = lattice.n_edges
    plus = (spin_glass(lattice, seed=8).couplings == 1.0).sum()
    assert abs(plus - m / 2) < 4.5 * np.sqrt(m / 4)
    gauss = spin_glass(lattice, "gaussian", seed=8).couplings
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (4, 3, 96)):
        assert abs((gauss**power).mean() - mean) < 4.5 * np.sqrt(variance / m)
    np.testing.assert_array_equal(gauss, spin_glass(lattice, "gaussian", seed=8).couplings)
    assert np.any(gauss != spin_glass(lattice, "gaussian", seed=9).couplings)
