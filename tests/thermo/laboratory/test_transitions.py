"""Transitions found by sampling, against exact ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from thermo import Ising, canonical, simulate
from thermo.errors import InvalidInputError, NotConvergedError
from thermo.laboratory.spin_order import spin_order
from thermo.laboratory.transitions import Transition, binder_crossing, heat_capacity_peak
from thermo.lattice import square
from thermo.run import Run

SEED = 20261122
CRITICAL = 0.5 * math.log1p(math.sqrt(2.0))


def sampled(length: int, beta: Any, coupling: float, **settings: Any) -> Run:
    defaults: dict[str, Any] = {"burn_in": 200, "replicas": 64, "seed": SEED, "threads": 1}
    return simulate(Ising(square(length), coupling=coupling), beta, 2000, **(defaults | settings))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_peak_of_the_heat_capacity_is_that_of_the_exact_levels(sign: float) -> None:
    # Student's t of 63 degrees of freedom, two numbers and two signs: 4.8 errors are 4e-5.
    levels = Ising(square(4)).levels()
    exact = minimize_scalar(
        lambda b: -float(canonical(levels, b).heat_capacity), bounds=(0.3, 0.5), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    run = sampled(4, sign * np.linspace(0.32, 0.5, 8), 1.0)
    value, error = heat_capacity_peak(run)
    deviation = (value - [sign * exact.x, -exact.fun]) / error
    assert np.all(np.abs(deviation) < 4.8)
    assert error[0] < 2e-3
    # Another coupling does not pass.
    wrong, spread = heat_capacity_peak(sampled(4, sign * np.linspace(0.32, 0.5, 8), 0.97))
    assert abs(wrong[0] - sign * exact.x) > 4.8 * spread[0]


def test_no_peak_is_said() -> None:
    with pytest.raises(NotConvergedError, match="no peak between"):
        heat_capacity_peak(sampled(4, np.linspace(0.1, 0.2, 4), 1.0))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_binder_ratios_cross_at_onsager_s_point_at_both_signs(sign: float) -> None:
    beta = sign * np.linspace(0.42, 0.46, 8)
    # θ = 1/ν + ω of the square lattice; a ferromagnet at βJ > 0
    small, large = (
        [sampled(size, beta, sign, seed=SEED + size) for size in sizes]
        for sizes in ((4, 8), (8, 16))
    )
    found = binder_crossing(small, large, 2.75)
    assert abs(found.beta - sign * CRITICAL) < 4.8 * found.statistical + found.systematic
    assert found.error < 0.01 * CRITICAL
    assert found.temperature == pytest.approx(1.0 / found.beta)
    assert found.temperature_error == pytest.approx(found.error / found.beta**2)


def test_runs_that_do_not_cross_or_do_not_match() -> None:
    away = np.linspace(0.2, 0.25, 4)
    runs = [sampled(size, away, 1.0, seed=SEED + size) for size in (4, 8, 16)]
    with pytest.raises(NotConvergedError, match="do not cross"):
        binder_crossing(runs[:2], runs[1:], 2.75)
    with pytest.raises(InvalidInputError, match="the same β"):
        binder_crossing(runs[:2], [runs[1], sampled(4, away + 0.1, 1.0)], 2.75)


def test_a_transition_has_both_errors() -> None:
    found = Transition(-0.5, 0.03, 0.04)
    assert found.error == pytest.approx(0.05)
    assert (found.temperature, found.temperature_error) == (-2.0, pytest.approx(0.2))


def test_order_is_that_of_all_configurations_at_both_signs() -> None:
    # 15 numbers, t of 63: 5 errors are 8e-5.
    model = Ising(square(4), coupling=-1.0)
    bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    spins = (1 - 2 * bits).astype(np.int8)
    energy = model.energy(spins)
    seen = model.observables(spins)
    beta = np.array([-0.3, 0.0, 0.3])
    run = simulate(
        model, beta, 4000, burn_in=200, replicas=64, seed=SEED, threads=1, measure_every=5,
        structure_factor_every=10,
    )  # fmt: skip
    order = spin_order(run, [(2, 2)], -np.inf)
    ordered = spin_order(run, [(2, 2)], 0.0)  # as if all β < 0 were those of a ferromagnet
    for k, b in enumerate(beta):
        weight = np.exp(-b * (energy - energy.mean()))
        weight /= weight.sum()
        moment = {name: weight @ values**2 for name, values in seen.items()}
        for value, error, exact in (
            (order.uniform, order.uniform_error, math.sqrt(moment["magnetization"]) / 16),
            (order.pattern, order.pattern_error,
             math.sqrt(moment["staggered_magnetization"]) / 16),
            (order.energy, order.energy_error, weight @ energy / 16),
        ):  # fmt: skip
            assert abs(value[k] - exact) < 5.0 * error[k]
        assert order.susceptibility[k] == pytest.approx(
            b * moment["magnetization"] / 16, abs=5.0 * order.susceptibility_error[k]
        )
        spontaneous = (weight @ np.abs(seen["magnetization"])) ** 2 if b < 0.0 else 0.0
        assert ordered.susceptibility[k] == pytest.approx(
            b * (moment["magnetization"] - spontaneous) / 16,
            abs=5.0 * ordered.susceptibility_error[k],
        )
    # Another wave vector is another order.
    other = spin_order(run, [(0, 2)], -np.inf).pattern[0]
    assert abs(other - order.pattern[0]) > 10 * order.pattern_error[0]
