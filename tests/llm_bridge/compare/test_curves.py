"""The curves: every system, from β = +∞ to −∞, averaged over contexts as by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from small_comparison import POSITIONS, SIGMAS

import llm_bridge
from llm_bridge.compare import B_GRID, DEFAULT_POSITIONS, DEFAULT_SIGMAS, Comparison, compare
from llm_bridge.logits import LogitRecord


def test_four_systems_in_order_and_a_row_for_every_noise(comparison: Comparison) -> None:
    assert [s.kind for s in comparison.systems] == ["paramagnet", "ising", "unbounded", "logits"]
    assert comparison.model_system is comparison.systems[3]
    assert [row.sigma for row in comparison.noise] == sorted(SIGMAS)
    assert comparison.no_noise_reason == ""


def test_the_axis_runs_from_plus_to_minus_infinity(comparison: Comparison) -> None:
    for system in comparison.systems:
        b = system.curve.b
        assert (np.diff(b[np.isfinite(b)]) < 0).all()
        assert b[0] == math.inf
        if system.kind != "unbounded":
            assert b[-1] == -math.inf
            assert (b == 0).sum() == 1
            # as many points on the hot side as on the cold one, the model's own β = 1 apart
            assert abs((b > 0).sum() - (b < 0).sum()) <= 1
    assert B_GRID[B_GRID.size // 2] == 0.0


def test_the_sampled_lattice_has_its_exact_curve_beside_it(comparison: Comparison) -> None:
    exact = [s.kind for s in comparison.systems if s.exact is not None]
    assert exact == ["ising"]
    line = comparison.systems[1].exact
    assert not line.energy.error.any()
    sampled = comparison.systems[1].curve
    assert sampled.beta.size == 49  # README says so
    for b in (*B_GRID, *sampled.b):  # an exact value beside every point
        assert np.isclose(line.b, b, rtol=1e-12, atol=1e-12).any()
    assert (np.diff(line.b) <= 0).all()


def test_defaults_are_those_of_the_issue() -> None:
    import inspect

    defaults = {k: p.default for k, p in inspect.signature(compare).parameters.items()}
    assert DEFAULT_POSITIONS >= 500
    assert defaults["lattice_size"] == 32
    assert len(DEFAULT_SIGMAS) >= 3
    assert min(DEFAULT_SIGMAS) > 0
    assert llm_bridge.compare is compare


def test_contexts_are_averaged_and_their_spread_is_shown(
    comparison: Comparison, record: LogitRecord
) -> None:
    """Against a plain average over positions with nothing of ours but the logits."""
    curve = comparison.model_system.curve
    z = record.logits[:, record.valid].astype(np.float64)
    assert curve.unit == "position"
    assert comparison.model_system.details["positions"] == POSITIONS
    assert comparison.model_system.details["vocabulary"] == record.valid.sum() < z.shape[1] + 1
    assert curve.log_states == pytest.approx(np.log(z.shape[1]))
    assert curve.scale == pytest.approx(np.sqrt(z.var(axis=1).mean()), rel=1e-9)
    for beta in (1.0, -1.0 / curve.scale):
        k = int(np.argmin(np.abs(curve.beta - beta)))
        assert curve.beta[k] == pytest.approx(beta, rel=1e-12)
        log_p = log_softmax(beta * z, axis=1)
        p = np.exp(log_p)
        entropy = -(p * log_p).sum(axis=1)
        energy = -(p * (z - z.mean(axis=1, keepdims=True))).sum(axis=1)
        variance = (p * z**2).sum(axis=1) - (p * z).sum(axis=1) ** 2
        assert curve.entropy.value[k] == pytest.approx(entropy.mean(), rel=1e-9)
        assert curve.energy.value[k] == pytest.approx(energy.mean() / curve.scale, rel=1e-9)
        assert curve.heat_capacity.value[k] == pytest.approx(beta**2 * variance.mean(), rel=1e-9)
        low, high = np.quantile(entropy, (0.1, 0.9))
        assert curve.spread["entropy"][:, k] == pytest.approx([low, high], rel=1e-9)
    for band in curve.spread.values():
        assert (band[0] <= band[1]).all()


def test_along_every_curve_entropy_is_the_integral_of_b_du(comparison: Comparison) -> None:
    """dS = b du from one grid point to the next, quenched average or not."""
    for system in comparison.systems:
        curve = system.exact or system.curve
        least = 0.8 if system.kind == "unbounded" else 0.0  # its u grows as 1/b
        inner = np.flatnonzero((np.abs(curve.b) <= 2.0 + 1e-9) & (np.abs(curve.b) >= least))
        b, u, s = curve.b[inner], curve.energy.value[inner], curve.entropy.value[inner]
        steps = (b[1:] + b[:-1]) / 2 * np.diff(u)
        # the trapezoid misses a twelfth of step² times the curvature of u(b), which reaches 5 on
        # the flanks of the lattice's peak: about 5e-4 of a whole step
        assert np.diff(s) == pytest.approx(steps, abs=2e-3 + 2e-3 * np.abs(steps).max())


def test_the_oscillator_stops_at_beta_zero_and_says_why(
    comparison: Comparison, found: dict[str, Any]
) -> None:
    (oscillator,) = [s for s in comparison.systems if s.kind == "unbounded"]
    assert (oscillator.curve.b > 0).all()
    assert oscillator.curve.b.min() < 0.01
    assert "β = 0" in oscillator.curve.ends
    assert "no upper bound" in oscillator.curve.ends
    assert found["systems"][2]["curve"]["ends"] == oscillator.curve.ends
    assert " ".join(oscillator.curve.ends.split()) in " ".join(comparison.table().split())
    assert all(s["curve"]["ends"] is None for k, s in enumerate(found["systems"]) if k != 2)
    assert oscillator.curve.heat_capacity.value[-1] == pytest.approx(1.0, abs=1e-4)
