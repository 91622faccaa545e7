"""Exact numbers of states: enumeration, published values, sums, and the modular kernel itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.exact import density_of_states as module
from thermo.exact.density_of_states import exact_levels, ising_torus, ising_torus_counts
from thermo.exact.kaufman import square_torus
from thermo.kernels import modular
from thermo.lattice import chain, cubic, from_edges, square
from thermo.microcanonical import microcanonical
from thermo.models import Ising, TwoLevel


def enumerated(rows: int, columns: int) -> tuple[int, ...]:
    """Count broken bonds of all states; double bonds where a side is 2."""
    sites = rows * columns
    bits = (np.arange(2**sites)[:, None] >> np.arange(sites)) & 1
    spins = bits.reshape(-1, rows, columns)
    broken = sum((spins != np.roll(spins, 1, axis)).sum(axis=(1, 2)) for axis in (1, 2))
    assert not np.any(broken % 2)
    return tuple(np.bincount(broken // 2, minlength=sites + 1).tolist())


@pytest.mark.parametrize(
    "sides", [(2, 2), (2, 3), (3, 2), (3, 3), (4, 3), (3, 4), (4, 4), (5, 3), (2, 8), (7, 2)]
)
def test_enumeration(sides: tuple[int, int]) -> None:
    assert ising_torus_counts(*sides) == enumerated(*sides)


def test_published_values() -> None:
    four = (2, 0, 32, 64, 424, 1728, 6688, 13568, 20524)
    eight = (2, 0, 128, 256, 4672, 17920, 145408, 712960, 4274576)
    assert ising_torus_counts(4)[:9] == four
    assert ising_torus_counts(8)[:9] == eight


@pytest.mark.parametrize(
    "sides", [(2, 2), (4, 6), (7, 7), (5, 12), (9, 4), (16, 16), (31, 31), (32, 32)]
)
def test_sums_and_symmetry(sides: tuple[int, int]) -> None:
    counts = ising_torus_counts(*sides)
    sites = math.prod(sides)
    assert len(counts) == sites + 1
    assert sum(counts) == 2**sites
    assert min(counts) >= 0
    assert counts[0] == 2
    assert counts == ising_torus_counts(*sides[::-1])
    assert all(count % 2 == 0 for count in counts)  # flipping every spin pairs the states
    if not any(side % 2 for side in sides):
        assert counts == counts[::-1]
    # Σ E² g = 2N 2^N: independent bonds at β = 0 (4N and more where a side of 2 doubles bonds)
    if min(sides) > 2:
        energy = [4 * i - 2 * sites for i in range(sites + 1)]
        assert sum(e * g for e, g in zip(energy, counts, strict=True)) == 0
        assert sum(e**2 * g for e, g in zip(energy, counts, strict=True)) == 2 * sites << sites


@pytest.mark.slow
@pytest.mark.parametrize("side", [63, 64])
def test_large_sums(side: int) -> None:
    counts = ising_torus_counts(side)
    assert sum(counts) == 2 ** (side * side)
    assert (counts == counts[::-1]) == (side % 2 == 0)


def test_low_energy_expansion_of_32() -> None:
    # one flipped spin: N; a pair of neighbours: 2N; two spins apart N(N−5)/2, a row of 3 or a
    # corner 6N, a square N; each with its mirror image
    n = 1024
    expected = (2, 0, 2 * n, 4 * n, 2 * (n * (n - 5) // 2 + 6 * n + n))
    assert ising_torus_counts(32)[:5] == expected


def test_partition_function_equals_kaufman() -> None:
    beta = np.array([-2.0, -0.44, 0.1, 0.3, 0.44068679, 0.9])
    state = canonical(ising_torus(32), beta)
    np.testing.assert_allclose(
        state.log_partition_function, square_torus(beta, 32).log_partition_function, rtol=1e-14
    )


def test_microcanonical_slopes_of_32() -> None:
    # published: central differences of ln g; the missing levels next to the ends do not matter
    levels = ising_torus(32)
    for per_site, beta in [(-1.5, 0.44634482), (-1.0, 0.37923899), (-0.5, 0.22895830), (0.0, 0.0)]:
        for sign in (1, -1):
            i = int(np.searchsorted(levels.energies, sign * per_site * 1024))
            rise = levels.log_degeneracy[i + 1] - levels.log_degeneracy[i - 1]
            run = levels.energies[i + 1] - levels.energies[i - 1]
            assert rise / run == pytest.approx(sign * beta, abs=5e-9)
    at = np.argmin(abs(levels.energies + 1024))
    assert microcanonical(levels).beta_boltzmann[at] == pytest.approx(0.37923899, abs=1e-4)


def test_levels() -> None:
    levels = ising_torus(4)
    np.testing.assert_array_equal(levels.energies[:3], [-32.0, -24.0, -20.0])
    np.testing.assert_allclose(np.exp(levels.log_degeneracy[:3]), [2, 32, 64], rtol=1e-14)
    assert levels.log_states == pytest.approx(16 * math.log(2), rel=1e-15)
    scaled = ising_torus(3, coupling=-0.5)
    assert (scaled.minimum, scaled.maximum) == (-3.0, 9.0)
    assert np.all(np.diff(scaled.energies) > 0)
    free = ising_torus(3, coupling=0.0)
    assert len(free) == 1
    assert free.log_states == pytest.approx(9 * math.log(2))


@pytest.mark.parametrize("coupling", [1.0, -2.5, 0.0])
@pytest.mark.parametrize("side", [3, 4])
def test_torus_and_enumeration_of_a_model_agree(side: int, coupling: float) -> None:
    model = Ising(square(side), coupling=coupling)
    fast, slow = exact_levels(model), model.levels()
    np.testing.assert_allclose(fast.energies, slow.energies, atol=1e-12)
    np.testing.assert_allclose(fast.log_degeneracy, slow.log_degeneracy, rtol=1e-14)


def test_other_models_are_enumerated() -> None:
    for model in (
        Ising(square(4), field=0.3),
        Ising(chain(8)),
        Ising(square(3, periodic=False)),
        Ising(from_edges(4, [(0, 1), (1, 2)])),
        TwoLevel(10, 1.0),
    ):
        np.testing.assert_array_equal(exact_levels(model).energies, model.levels().energies)


@pytest.mark.parametrize(
    "model", [Ising(square(8), field=0.1), Ising(cubic(4)), Ising(square(8, periodic=False))]
)
def test_what_is_out_of_reach_says_what_is_not(model: Ising) -> None:
    with pytest.raises(InvalidInputError, match="Accepted: the periodic square Ising"):
        exact_levels(model)


def test_bad_input() -> None:
    for sides in ((1,), (4, 1), (3.5,), (200,), ("4",)):
        with pytest.raises(InvalidInputError):
            ising_torus_counts(*sides)
    with pytest.raises(InvalidInputError, match="not enough primes"):
        ising_torus_counts(127)
    with pytest.raises(InvalidInputError, match="coupling"):
        ising_torus(4, coupling=math.nan)
    with pytest.raises(InvalidInputError, match="levels"):
        exact_levels(object())


def test_primes_are_prime_and_of_the_right_class() -> None:
    sieve = np.ones(10_000, dtype=bool)
    sieve[:2] = False
    for q in range(2, 100):
        sieve[q * q :: q] = False
    assert [p for p in range(10_000) if module._is_prime(p)] == np.flatnonzero(sieve).tolist()
    assert not any(module._is_prime(p) for p in (2047, 1_373_653, 25_326_001, 3_215_031_751))
    some = module._primes(4096)
    for p in (next(some) for _ in range(20)):
        assert p % 4096 == 1
        assert p < 2**32
        element = module._element_of_order(4096, p)
        assert pow(element, 4096, p) == 1
        assert pow(element, 2048, p) == p - 1


def test_compiled_kernels_equal_plain_python() -> None:
    p = next(module._primes(128))
    zeta, omega = module._element_of_order(8, p), module._element_of_order(64, p)
    arguments = (5, 4, zeta, omega, 32, p)
    values = modular.torus_polynomial_values(*arguments)
    np.testing.assert_array_equal(values, modular.torus_polynomial_values.py_func(*arguments))
    root = omega * omega % p
    result = modular.inverse_transform(values, root, p)
    np.testing.assert_array_equal(result, modular.inverse_transform.py_func(values, root, p))
    # the transform, against its definition
    points = [pow(root, j, p) for j in range(32)]
    for x, value in zip(points, values.tolist(), strict=True):
        assert sum(c * pow(x, i, p) for i, c in enumerate(result.tolist())) % p == value


def test_negative_control_a_wrong_root_does_not_give_the_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = ising_torus_counts(6)
    monkeypatch.setattr(module, "_element_of_order", lambda order, p: 3)
    wrong = module._torus_counts.__wrapped__(6, 6, False)
    assert wrong != right
    assert sum(wrong) != 2**36
