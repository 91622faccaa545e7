"""Open XY and Heisenberg chains against quadrature and mpmath, at every β of both signs."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from thermo.errors import InvalidInputError
from thermo.exact.vector_chain import heisenberg_chain, xy_chain

# Average over directions of a function of the cosine of the angle between two spins.
AVERAGE = {
    xy_chain: lambda f: quad(lambda t: f(np.cos(t)), 0, np.pi)[0] / np.pi,
    heisenberg_chain: lambda f: quad(f, -1, 1)[0] / 2,
}
# ln Z of one bond
LOG_Z = {
    xy_chain: lambda k: mpmath.log(mpmath.besseli(0, k)),
    heisenberg_chain: lambda k: mpmath.log(mpmath.sinh(k) / k),
}


@pytest.mark.parametrize("solve", AVERAGE)
@pytest.mark.parametrize("beta", [-7.0, -0.4, -0.0, 0.2, 1.0, 5.0])
def test_quadrature(solve, beta: float) -> None:
    average, j, bonds = AVERAGE[solve], 0.7, 4
    z, z1, z2, zz = (
        average(lambda c, n=n, b=b: c**n * np.exp(b * j * c))
        for n, b in ((0, beta), (1, beta), (2, beta), (0, 2 * beta))
    )
    mean = z1 / z
    got = solve(beta, bonds + 1, j)
    expected = {
        "log_partition_function": np.log(z),
        "internal_energy": -j * mean,
        "energy_variance": j**2 * (z2 / z - mean**2),
        "entropy": np.log(z) - beta * j * mean,
        "log_participation_ratio": 2 * np.log(z) - np.log(zz),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(got, name), bonds * value, atol=1e-10)


@pytest.mark.parametrize("solve", LOG_Z)
def test_no_digits_are_lost_at_weak_or_strong_coupling(solve) -> None:
    log_z = LOG_Z[solve]
    beta = np.array([1e-9, 1e-3, 0.29, 0.31, 3.0, 199.0, 201.0, 1e4])
    got = solve(beta, 2)
    with mpmath.workdps(80):
        for i, k in enumerate(map(mpmath.mpf, beta.tolist())):
            mean = mpmath.diff(log_z, k)
            exact = (mean, mpmath.diff(log_z, k, 2), log_z(k) - k * mean)
            ours = (-got.internal_energy[i], got.energy_variance[i], got.entropy[i])
            for value, number in zip(exact, ours, strict=True):
                assert abs(number - value) <= 1e-15 + 2e-11 * abs(value)


@pytest.mark.parametrize("solve", AVERAGE)
def test_both_signs_and_the_ends(solve) -> None:
    beta = np.array([0.3, 2.0, np.inf])
    cold, inverted = solve(beta, 5, 1.5), solve(-beta, 5, 1.5)
    np.testing.assert_array_equal(inverted.internal_energy, -cold.internal_energy)
    np.testing.assert_array_equal(inverted.entropy, cold.entropy)
    assert cold.internal_energy[-1] == -6.0
    assert cold.energy_variance[-1] == 0.0
    assert cold.entropy[-1] == cold.log_participation_ratio[-1] == -np.inf
    assert cold.log_partition_function[-1] == np.inf
    for idle in (solve(np.inf, 5, 0.0), solve(-np.inf, 1)):  # no coupling, no bond
        assert idle.internal_energy == idle.entropy == idle.log_partition_function == 0.0
    assert solve(np.zeros((2, 3)), 4).entropy.shape == (2, 3)


@pytest.mark.parametrize("solve", AVERAGE)
def test_bad_input(solve) -> None:
    for arguments, words in (
        ((np.nan, 5), "nan"),
        ((0.1, 0), "sites = 0"),
        ((0.1, 5, np.inf), "coupling = inf"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            solve(*arguments)
