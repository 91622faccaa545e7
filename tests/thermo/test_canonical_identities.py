"""The canonical ensemble of random levels: derivatives, symmetries, inequalities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from canonical_cases import FIELDS, INF
from hypothesis import given, settings
from hypothesis import strategies as st

from thermo.canonical import canonical
from thermo.levels import EnergyLevels

fixed = settings(deadline=None, derandomize=True)  # the same examples in every run
betas = st.floats(-6.0, 6.0)
seeds = st.integers(0, 2**32 - 1)


def random_levels(seed: int) -> EnergyLevels:
    """1 to 12 levels between −2 and 2, some equal, some with degeneracy e^{−3…3}."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 13))
    energies = rng.choice([rng.uniform(-2, 2, n), rng.integers(-2, 3, n).astype(float)])
    return EnergyLevels(energies, rng.choice([np.zeros(n), rng.uniform(-3, 3, n)]))


@fixed
@given(seeds, betas, st.floats(0.01, 2.0))
def test_derivatives(seed: int, beta: float, width: float) -> None:
    """dlnZ = −U dβ, dU = −Var dβ, dS = β dU, C = −β² dU/dβ, each integrated over an interval.

    Gauss-Legendre with 40 nodes is exact to rounding here (integrands analytic within
    |Im β| < π/4), so there is no error of finite differences to allow for.
    """
    levels = random_levels(seed)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    inside = canonical(levels, beta + 0.5 * width * (nodes + 1.0))
    first, last = canonical(levels, beta), canonical(levels, beta + width)
    w = 0.5 * width * weights

    def change(name: str) -> float:
        return float(getattr(last, name) - getattr(first, name))

    close = {"rel": 1e-10, "abs": 1e-11}
    assert change("log_partition_function") == pytest.approx(-w @ inside.internal_energy, **close)
    assert change("internal_energy") == pytest.approx(-w @ inside.energy_variance, **close)
    slope = -inside.energy_variance
    assert change("entropy") == pytest.approx(w @ (inside.beta * slope), **close)
    np.testing.assert_allclose(inside.heat_capacity, -(inside.beta**2) * slope, rtol=1e-13)


@fixed
@given(seeds, betas)
def test_entropy_and_free_energy_follow_from_ln_z(seed: int, beta: float) -> None:
    state = canonical(random_levels(seed), beta)
    assert state.entropy == pytest.approx(
        float(state.log_partition_function + beta * state.internal_energy), abs=1e-12
    )
    if abs(beta) > 1e-3:
        expected = -float(state.log_partition_function) / beta
        assert state.free_energy == pytest.approx(expected, rel=1e-11, abs=1e-11)
    assert state.equivalent_dof == 2 * state.heat_capacity


@fixed
@given(seeds, betas)
def test_populations_have_the_same_energy_and_entropy(seed: int, beta: float) -> None:
    state = canonical(random_levels(seed), beta)
    populations = state.populations()
    assert populations.internal_energy == pytest.approx(float(state.internal_energy), abs=1e-13)
    assert populations.entropy == pytest.approx(float(state.entropy), abs=1e-12)
    p, log_g = populations.probabilities, populations.levels.log_degeneracy
    purity = float((p**2 / np.exp(log_g)).sum())
    assert state.participation_ratio == pytest.approx(1 / purity, rel=1e-12)


@fixed
@given(seeds, betas, st.floats(-1e3, 1e3))
def test_gauge_shift_changes_only_u_f_and_ln_z(seed: int, beta: float, shift: float) -> None:
    levels = random_levels(seed)
    here, there = canonical(levels, beta), canonical(levels.shifted(shift), beta)
    # the shift itself rounds the energies to 1e-13
    for name in ("entropy", "heat_capacity", "log_participation_ratio", "energy_variance"):
        assert getattr(there, name) == pytest.approx(float(getattr(here, name)), abs=1e-10)
    np.testing.assert_allclose(
        there.populations().probabilities, here.populations().probabilities, atol=1e-11
    )
    assert there.internal_energy == pytest.approx(float(here.internal_energy) + shift, abs=1e-10)


@fixed
@given(seeds, betas)
def test_the_order_of_the_levels_does_not_matter(seed: int, beta: float) -> None:
    levels = random_levels(seed)
    order = np.random.default_rng(seed).permutation(len(levels))
    other = EnergyLevels(levels.energies[order], levels.log_degeneracy[order])
    here, there = canonical(levels, beta), canonical(other, beta)
    for name in FIELDS:
        np.testing.assert_allclose(
            getattr(there, name), getattr(here, name), rtol=1e-11, atol=1e-13
        )
    np.testing.assert_allclose(
        there.populations().probabilities, here.populations().probabilities[order], atol=1e-14
    )


@fixed
@given(seeds, st.one_of(betas, st.sampled_from([-INF, INF])), st.floats(0.01, 0.99))
def test_a_degenerate_level_may_be_split_into_two(seed: int, beta: float, share: float) -> None:
    levels = random_levels(seed)
    log_g = levels.log_degeneracy.copy()
    split = np.append(log_g, log_g[0] + math.log(share))
    split[0] += math.log1p(-share)
    apart = EnergyLevels(np.append(levels.energies, levels.energies[0]), split)
    here, there = canonical(levels, beta), canonical(apart, beta)
    for name in ("internal_energy", "entropy", "heat_capacity", "log_participation_ratio"):
        np.testing.assert_allclose(
            getattr(there, name), getattr(here, name), rtol=1e-11, atol=1e-12
        )


@fixed
@given(seeds, st.one_of(betas, st.sampled_from([-INF, 1e-300, INF])))
def test_the_mirrored_spectrum_is_the_same_physics_at_minus_beta(seed: int, beta: float) -> None:
    levels = random_levels(seed)
    mirrored = EnergyLevels(-levels.energies, levels.log_degeneracy)
    here, there = canonical(levels, beta), canonical(mirrored, -beta)
    for name in ("entropy", "heat_capacity", "log_participation_ratio", "energy_variance"):
        assert getattr(there, name) == getattr(here, name)  # to the last bit
    assert there.internal_energy == -here.internal_energy


@fixed
@given(seeds, st.one_of(betas, st.sampled_from([-INF, -1e300, 0.0, 1e300, INF])))
def test_inequalities(seed: int, beta: float) -> None:
    levels = random_levels(seed)
    state = canonical(levels, beta)
    tiny = 1e-12
    assert state.entropy <= levels.log_states + tiny
    assert state.log_participation_ratio <= state.entropy + tiny  # Rényi: S₂ ≤ S₁
    assert levels.minimum - tiny <= state.internal_energy <= levels.maximum + tiny
    assert state.energy_variance >= 0
    assert state.heat_capacity >= 0
    if (levels.log_degeneracy >= 0).all():
        assert state.entropy >= 0
        assert state.log_participation_ratio >= -tiny


@fixed
@given(seeds)
def test_energy_falls_and_entropy_is_an_arch(seed: int) -> None:
    beta = np.linspace(-6, 6, 101)
    state = canonical(random_levels(seed), beta)
    assert (np.diff(state.internal_energy) <= 1e-13).all()
    assert (np.diff(state.entropy[beta <= 0]) >= -1e-13).all()
    assert (np.diff(state.entropy[beta >= 0]) <= 1e-13).all()


@fixed
@given(seeds, st.lists(st.one_of(betas, st.sampled_from([-INF, -0.0, 0.0, INF])), max_size=8))
def test_many_beta_at_once_are_each_alone(seed: int, several: list[float]) -> None:
    levels = random_levels(seed)
    together = canonical(levels, several)
    for i, beta in enumerate(several):
        alone = canonical(levels, beta)
        for name in FIELDS:
            np.testing.assert_allclose(
                getattr(together, name)[i], getattr(alone, name), rtol=1e-14, atol=1e-300
            )
