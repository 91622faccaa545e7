"""Every sampled number has its error, and the errors are true: the exact lattice is hit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from small_comparison import POSITIONS, SIGMAS, SMALL, numbers

from llm_bridge.compare import Comparison

QUANTITIES = ("u", "entropy", "heat_capacity", "effective_states", "log_participation_ratio")


def test_every_sampled_number_has_a_finite_error(found: dict[str, Any]) -> None:
    for system in found["systems"]:
        curve = system["curve"]
        b = numbers(curve["b"])
        for name in QUANTITIES:
            value, error = numbers(curve[name]["value"]), numbers(curve[name]["error"])
            assert value.shape == error.shape == b.shape
            assert np.isfinite(value).all()
            assert np.isfinite(error).all(), (system["kind"], name)
            if system["kind"] in ("paramagnet", "unbounded"):
                assert not error.any()  # exact
                continue
            # known without sampling: ground and top state; counting and C = 0 at β = 0
            exact = np.isinf(b) | ((b == 0) & (name != "u"))
            assert (error[~exact] > 0).all(), (system["kind"], name)


def test_every_noise_row_has_its_errors(found: dict[str, Any]) -> None:
    assert len(found["weight_noise"]) == len(SIGMAS)
    for row in found["weight_noise"]:
        fit = row["effective_temperature"]
        for name in (
            "temperature", "residual_kl", "disagreement", "aleatoric", "entropy_mean",
            "entropy_clean", "beta_entropy", "temperature_entropy", "top1_flips",
        ):  # fmt: skip
            assert math.isfinite(fit[name]), name
            assert 0 < fit[f"{name}_error"] < math.inf, name
        assert 0 < fit["stderr"] < math.inf
        assert fit["draws"] == SMALL["draws"]
        assert fit["positions"] == POSITIONS
        for name in ("energy", "entropy", "heat_capacity"):
            assert 0 < row[name]["error"] < math.inf
        assert row["softmax_at_same_temperature"]["entropy"]["error"] > 0
        line = row["boltzmann_plot"]
        assert line["b"] is None  # nothing was put in
        assert all(e > 0 for e in line["error"])
        assert line["fitted_error"] > 0


def test_boltzmann_lines_of_the_lattice_have_errors_and_those_of_softmax_none(
    found: dict[str, Any],
) -> None:
    lines = found["systems"][1]["boltzmann_plot"]
    assert {math.copysign(1, line["b"]) for line in lines if line["b"]} == {1.0, -1.0}
    for line in lines:
        assert len(line["u"]) >= 2
        assert all(e > 0 for e in line["error"])
        assert line["fitted_error"] > 0
    # softmax of the very logits is exactly straight, and says so
    for line in found["systems"][3]["boltzmann_plot"]:
        assert not any(line["error"])
        assert line["fitted_b"] == line["b"]
        u, y = numbers(line["u"]), numbers(line["y"])
        assert y == pytest.approx(-line["b"] * u, abs=1e-9)


def test_beta_is_read_off_the_sampled_lattice_within_its_error(comparison: Comparison) -> None:
    lines = comparison.systems[1].occupations
    z = np.array([(line.fitted_b - line.b) / line.fitted_error for line in lines])
    # nine independent runs; false alarm 1e-4 altogether. The coldest run sees about a hundred
    # excitations, so a tenth of an error is added for its skewness.
    assert np.abs(z).max() < stats.norm.isf(1e-4 / (2 * z.size)) + 0.1


def test_the_lattice_agrees_with_the_exact_finite_size_values(comparison: Comparison) -> None:
    system = comparison.systems[1]
    agreement = system.details["agreement"]
    # At |β| > 0.85 a run of this length sees a handful of excitations: Poisson, not normal.
    here = np.abs(system.curve.beta) < 0.85
    assert here.sum() == 43
    energy, capacity, entropy = (
        np.asarray(agreement[f"z_{name}"])[here] for name in ("energy", "heat_capacity", "entropy")
    )
    # Energies: independent runs with errors from thousands of draws, so normal; false alarms of
    # 5e-5 for the worst one and for the sum of squares (43 degrees of freedom).
    assert np.abs(energy).max() < stats.norm.isf(5e-5 / (2 * energy.size))
    assert np.sum(energy**2) < stats.chi2.isf(5e-5, energy.size)
    # Jackknife over 20 replicas: Student's t with 19 degrees of freedom; 5e-5 each.
    bound = stats.t.isf(5e-5 / (2 * energy.size), 19)
    assert np.abs(capacity).max() < bound
    assert np.abs(entropy).max() < bound


def test_the_agreement_is_recomputed_from_the_json(found: dict[str, Any]) -> None:
    system = found["systems"][1]
    beta, z = numbers(system["curve"]["beta"]), numbers(system["details"]["agreement"]["z_energy"])
    from thermo.canonical import canonical
    from thermo.exact.density_of_states import ising_torus

    exact = ising_torus(8)
    u = numbers(system["curve"]["u"]["value"])
    error = numbers(system["curve"]["u"]["error"])
    truth = canonical(exact, beta).internal_energy / (64 * system["curve"]["sigma0"])
    finite = np.isfinite(beta)
    assert (u - truth)[finite] == pytest.approx((z * error)[finite], abs=1e-12)
    assert u[~finite] == pytest.approx(truth[~finite])
    agreement = system["details"]["agreement"]
    assert agreement["points"] == finite.sum() == 47
    assert agreement["worst_z_energy"] == pytest.approx(np.abs(z).max())
    # by chance above once in 1000 runs, both signs, 47 points
    assert 2 * 47 * stats.norm.sf(agreement["bound_z"]) == pytest.approx(1e-3)


def test_negative_control_another_lattice_does_not_agree(comparison: Comparison) -> None:
    """The same z-scores against the 6×6 torus must be far outside the bound."""
    from thermo.canonical import canonical
    from thermo.exact.density_of_states import ising_torus

    curve = comparison.systems[1].curve
    here = np.abs(curve.beta) < 0.85
    wrong = canonical(ising_torus(6), curve.beta[here]).internal_energy / (36 * curve.scale)
    with np.errstate(divide="ignore"):
        z = (curve.energy.value[here] - wrong) / curve.energy.error[here]
    assert np.abs(z).max() > 10
