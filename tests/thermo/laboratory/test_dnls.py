"""The nonlinear chain: its motion, its equilibrium by transfer integral, breathers above β = 0."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mistaken_kernel import mistaken
from scipy.special import iv

from thermo.errors import (
    EnergyOutOfRangeError,
    EquilibrationWarning,
    InvalidInputError,
    NotConvergedError,
    UnboundedSpectrumError,
)
from thermo.kernels import lab_dnls
from thermo.laboratory.dnls import Dnls, dnls, phase_beta
from thermo.laboratory.dnls_chain import (
    ChainMotion,
    chain_energy,
    draw_chain,
    hopping_energy,
    phase_forces,
)
from thermo.laboratory.dnls_equilibrium import (
    chain_equilibrium,
    ground_energy,
    infinite_temperature_energy,
    isolated_averages,
    matching_chain_equilibrium,
)
from thermo.laboratory.trajectories import follow

SEED = 20261121


def chain_at(energy: float, sites: int = 16, density: float = 1.0) -> np.ndarray:
    return draw_chain(density, energy, sites, np.random.default_rng(SEED))


def moved(psi: np.ndarray, time_step: float, steps: int, kernel: Any = lab_dnls) -> np.ndarray:
    x, y = psi.real[None].copy(), psi.imag[None].copy()
    kernel.advance(x, y, time_step, steps)
    return (x + 1j * y)[0]


# ---- the motion --------------------------------------------------------------------------------


def velocity(psi: np.ndarray) -> np.ndarray:
    """−i ∂H/∂ψ*, from differences of the energy alone."""
    h, out = 1e-5, np.empty_like(psi)
    for n in range(len(psi)):
        unit = np.eye(len(psi))[n] * h
        along = (chain_energy(psi + unit) - chain_energy(psi - unit)) / (2 * h)
        up = (chain_energy(psi + 1j * unit) - chain_energy(psi - 1j * unit)) / (2 * h)
        out[n] = -1j * 0.5 * (along + 1j * up)
    return out


def test_it_moves_as_hamilton_says() -> None:
    psi = chain_at(3.0)
    h = 2e-5
    seen = (moved(psi, h, 1) - moved(psi, -h, 1)) / (2 * h)
    np.testing.assert_allclose(seen, velocity(psi), atol=2e-6)
    faster = mistaken(lab_dnls, ("2.0 * time * (x", "2.1 * time * (x"))
    wrong = (moved(psi, h, 1, faster) - moved(psi, -h, 1, faster)) / (2 * h)
    assert np.abs(wrong - velocity(psi)).max() > 1e-2


def test_the_step_is_of_fourth_order_and_can_be_undone() -> None:
    psi = chain_at(1.0)
    exact = moved(psi, 1e-3, 1000)
    errors = [np.abs(moved(psi, h, round(1.0 / h)) - exact).max() for h in (0.1, 0.05, 0.025)]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert np.all(np.abs(orders - 4.0) < 0.4), errors
    np.testing.assert_allclose(moved(moved(psi, 0.05, 200), -0.05, 200), psi, atol=1e-11)


def test_the_norm_is_kept_to_rounding_whatever_the_step() -> None:
    psi = chain_at(3.0)
    for time_step in (1e-3, 0.05, 2.0):
        norm = np.sum(np.abs(moved(psi, time_step, 1000)) ** 2)
        assert norm == pytest.approx(16.0, rel=1e-12)


def test_the_ground_state_and_one_plane_wave_turn_as_they_must() -> None:
    """ψ = √a e^{i(kn − ωt)} with ω = 2a + 2 cos k solves the equation."""
    for k in (np.pi, np.pi / 4):
        wave = np.sqrt(0.7) * np.exp(1j * k * np.arange(16))
        turned = wave * np.exp(-1j * (1.4 + 2.0 * np.cos(k)) * 3.0)
        np.testing.assert_allclose(moved(wave, 0.01, 300), turned, atol=1e-7)


@pytest.mark.parametrize("sites", [2, 6])
def test_the_kernel_is_the_same_compiled_and_in_python(sites: int) -> None:
    psi = np.stack([chain_at(2.0, sites), chain_at(0.0, sites)])
    compiled = psi.real.copy(), psi.imag.copy()
    plain = psi.real.copy(), psi.imag.copy()
    lab_dnls.advance(*compiled, 0.07, 5)
    lab_dnls.advance.py_func(*plain, 0.07, 5)
    for one, other in zip(compiled, plain, strict=True):
        assert one.tobytes() == other.tobytes()


# ---- energies and beginnings ------------------------------------------------------------------


def test_the_ground_state_has_the_lowest_energy() -> None:
    generator = np.random.default_rng(SEED)
    for a in (0.2, 1.0, 3.0):
        psi = generator.normal(size=(2000, 8)) + 1j * generator.normal(size=(2000, 8))
        psi *= np.sqrt(8 * a / (np.abs(psi) ** 2).sum(axis=1, keepdims=True))
        ground = np.sqrt(a) * np.array([1, -1] * 4)
        near = ground + 0.02 * psi
        near *= np.sqrt(8 * a / (np.abs(near) ** 2).sum(axis=1, keepdims=True))
        assert chain_energy(ground) == pytest.approx(8 * ground_energy(a))
        assert chain_energy(np.concatenate([psi, near])).min() > 8 * ground_energy(a) - 1e-9


@pytest.mark.parametrize("density", [0.3, 1.0, 2.0])
def test_chains_begin_with_the_density_and_the_energy_asked_for(density: float) -> None:
    low = ground_energy(density)
    for h in (low + 0.01, low + 0.5, 2 * density**2, 3 * density**2, 8 * density**2):
        psi = chain_at(h, 32, density)
        assert np.mean(np.abs(psi) ** 2) == pytest.approx(density, rel=1e-12)
        assert chain_energy(psi) / 32 == pytest.approx(h, abs=1e-9)


def test_phase_forces_are_derivatives_by_the_phase() -> None:
    psi, h = chain_at(1.5), 1e-6
    for n in range(3):
        turn = np.exp(1j * h * np.eye(16)[n])
        slope = (chain_energy(psi * turn) - chain_energy(psi / turn)) / (2 * h)
        assert phase_forces(psi)[n] == pytest.approx(slope, abs=1e-8)
    flow = (moved(psi, 1e-5, 1), moved(psi, -1e-5, 1))
    rate = (np.abs(flow[0]) ** 2 - np.abs(flow[1]) ** 2) / 2e-5
    np.testing.assert_allclose(np.abs(phase_forces(psi)), np.abs(rate), atol=1e-7)


# ---- equilibrium ------------------------------------------------------------------------------


def test_at_beta_0_densities_are_exponential_and_the_energy_is_2_a_squared() -> None:
    for a in (0.1, 1.0, 7.0):
        found = chain_equilibrium(0.0, 1.0 / a)
        assert found.density == pytest.approx(a, rel=1e-10)
        assert found.energy == pytest.approx(infinite_temperature_energy(a), rel=1e-10)
        np.testing.assert_allclose(found.probabilities, np.exp(-found.nodes / a) / a, rtol=1e-8)


def test_at_low_temperature_the_energy_is_that_of_the_ground_state_and_one_kt_a_site() -> None:
    for a in (0.5, 2.0):
        found = matching_chain_equilibrium(a, ground_energy(a) + 1e-3)
        assert found.beta * 1e-3 == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("beta", "alpha"), [(0.02, 0.9), (0.5, -0.3), (2.0, -0.5), (0.3, 4.0)])
def test_virial_theorem_and_derivatives_of_the_partition_function(
    beta: float, alpha: float
) -> None:
    """Scaling ρ: 1 = β(2⟨ρ²⟩ + ⟨H_hop⟩) + αa. And ln λ, integrated over ρ, has the slopes h, a."""
    found = chain_equilibrium(beta, alpha)
    virial = beta * (2.0 * found.squared_density + found.hopping) + alpha * found.density
    assert virial == pytest.approx(1.0, abs=1e-9)
    node, weight = np.polynomial.legendre.leggauss(100)
    rho, weight = 0.5 * 50.0 * (node + 1.0), 0.5 * 50.0 * weight

    def log_eigenvalue(b: float, al: float) -> float:
        site = np.sqrt(weight) * np.exp(-0.5 * b * rho**2 - 0.5 * al * rho)
        bonds = iv(0, 2 * b * np.sqrt(rho[:, None] * rho))
        return math.log(np.linalg.eigvalsh(site[:, None] * site * bonds)[-1])

    h = 1e-4
    energy = -(log_eigenvalue(beta + h, alpha) - log_eigenvalue(beta - h, alpha)) / (2 * h)
    density = -(log_eigenvalue(beta, alpha + h) - log_eigenvalue(beta, alpha - h)) / (2 * h)
    assert (found.energy, found.density) == (
        pytest.approx(energy, rel=1e-5, abs=1e-5),
        pytest.approx(density, rel=1e-5),
    )


def test_no_ensemble_below_beta_0_nor_off_the_region() -> None:
    with pytest.raises(UnboundedSpectrumError, match="no upper bound"):
        chain_equilibrium(-0.1, 1.0)
    with pytest.raises(InvalidInputError, match="more than 0 at beta = 0"):
        chain_equilibrium(0.0, -1.0)
    for h in (-1.0, -1.5, 2.001):
        with pytest.raises(EnergyOutOfRangeError, match=r"2a² = 2 \(β = 0\)"):
            matching_chain_equilibrium(1.0, h)
    with pytest.raises(InvalidInputError, match="positive"):
        matching_chain_equilibrium(0.0, 1.0)


def test_the_phase_thermometer_is_exact_for_chains_of_a_known_law() -> None:
    """Three sites drawn from e^{−βH−αA}, β known, by weighting noise: β is read back.

    4·10⁵ draws; 4.5 standard errors: 7·10⁻⁶ false alarms for each β.
    """
    generator = np.random.default_rng(SEED)
    psi = generator.normal(size=(400_000, 4)) + 1j * generator.normal(size=(400_000, 4))
    psi *= np.sqrt(0.25)  # α = 2: ⟨ρ⟩ = ½
    for beta in (0.3, 0.1):
        weight = np.exp(-beta * chain_energy(psi))
        blocks = (100, -1)
        hop = (weight * hopping_energy(psi) / 4).reshape(blocks).mean(axis=1)
        force = (weight * (phase_forces(psi) ** 2).mean(axis=1)).reshape(blocks).mean(axis=1)
        left = [
            phase_beta(np.delete(hop, k).mean(), np.delete(force, k).mean()) for k in range(100)
        ]
        error = np.std(left) * np.sqrt(99)
        assert abs(phase_beta(hop.mean(), force.mean()) - beta) < 4.5 * error
        assert abs(phase_beta(-hop.mean(), force.mean()) - beta) > 20 * error  # the wrong sign


# ---- the experiment ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> Dnls:
    return dnls(energies=(-0.5, 0.5, 2.0, 3.0), sites=128, chains=16, time=300.0, seed=SEED)


def test_where_there_is_equilibrium_the_chain_is_in_it(found: Dnls) -> None:
    """6 numbers of 16 chains each, within 6.5 errors (Student's t): 6·10⁻⁵ false alarms in all."""
    compared = [f for f in found.findings if f.expected is not None and f.error > 0.0]
    assert len(compared) == 6
    assert all(f.expected_error < 0.5 * f.error for f in compared)  # so that they can fail
    for finding in compared:
        assert abs(finding.deviation) < 6.5, finding
    for point in found.points[:3]:
        law = point.equilibrium
        assert law is not None
        inside = point.histogram.error > 0.0
        middle = 0.5 * (found.bins[1:] + found.bins[:-1])[inside]
        expected = np.interp(middle, law.nodes, law.probabilities)
        often = expected > 0.02  # N = 128 and bins of a fifth leave about 2 % besides
        error = np.hypot(6.0 * point.histogram.error[inside], 0.03 * expected + 0.004)
        assert np.all(np.abs(point.histogram.value[inside] - expected)[often] < error[often])


def test_an_isolated_ring_differs_by_parts_of_1_over_n_from_the_infinite_one() -> None:
    """At β = 0 exactly: uniform on the simplex, phases at random, of those with h = 2 ± 0.2.

    2·10⁵ draws of N = 64, a parabola in h. 4.5 errors: 10⁻⁵; what is left out is allowed for.
    """
    generator, n = np.random.default_rng(SEED), 64
    rho = generator.exponential(size=(200_000, n))
    rho *= n / rho.sum(axis=1, keepdims=True)
    psi = np.sqrt(rho) * np.exp(2j * np.pi * generator.random(rho.shape))
    energy, force = chain_energy(psi) / n, (phase_forces(psi) ** 2).mean(axis=1)
    near = np.abs(energy - 2.0) < 0.2
    equilibrium = matching_chain_equilibrium(1.0, 2.0)
    averages = isolated_averages(equilibrium, n)
    for seen, isolated, infinite in zip(
        (hopping_energy(psi) / n, force), averages, (0.0, equilibrium.squared_force), strict=True
    ):
        fit, covariance = np.polyfit(energy[near] - 2.0, seen[near], 2, cov=True)
        error = math.sqrt(covariance[-1, -1])
        left_out = 20.0 / n * abs(isolated - infinite)
        assert abs(fit[-1] - isolated) < 4.5 * error + 1.5 * left_out
        assert abs(fit[-1] - infinite) > 8.0 * error


def test_forces_and_bonds_tell_beta_in_equilibrium() -> None:
    for h in (-0.9, 1.0, 1.9999):
        found = matching_chain_equilibrium(1.0, h)
        assert phase_beta(found.hopping, found.squared_force) == pytest.approx(found.beta, rel=1e-9)
    assert chain_equilibrium(0.0, 1.0).squared_force == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("density", "energies", "time"), [(0.01, None, 40.0), (1.0, (-0.999,), 400.0)]
)
def test_chains_that_have_not_come_to_equilibrium_say_so(
    density: float, energies: tuple[float, ...] | None, time: float
) -> None:
    """By 35 errors they would be off, if they were compared."""
    with pytest.warns(EquilibrationWarning, match="chains still disagree"):
        found = dnls(density, energies, sites=64, time=time, seed=SEED)
    for finding in found.findings[: 3 if energies else 6]:
        assert finding.expected is None, finding
    assert found.findings[0].source.startswith("not in equilibrium")


def test_long_times_are_cut_into_short_calls_of_the_kernel() -> None:
    from thermo.laboratory.dnls import _checked

    motion = _checked(1.0, (1.0, 1.0), 128, 8, 1e7, 0.05)
    assert motion.moves_per_step <= 1.01e7
    assert motion.steps * motion.steps_between * 0.05 == pytest.approx(1e7, rel=1e-3)
    assert motion.energies == (1.0,)  # each once


def test_energies_that_are_near_have_names_of_their_own() -> None:
    found = dnls(energies=(2.5, 2.50000001), sites=16, chains=8, time=20.0, seed=SEED)
    assert len({f.what for f in found.findings}) == len(found.findings)


def test_pictures_say_what_is_seen() -> None:
    from thermo.plots.laboratory.dnls import dnls_picture

    figure = dnls_picture(dnls(energies=(2.0000001,), sites=16, chains=8, time=20.0, seed=SEED))
    titles = [ax.get_title(loc="left") + ax.get_title() for ax in figure.axes]
    assert len([title for title in titles if title.startswith("h = ")]) == 1
    assert not any("breather" in title for title in titles)


def test_above_the_line_beta_is_negative_and_sites_stand_out(found: Dnls) -> None:
    cold, _, infinite, hot = found.points
    assert float(hot.beta.value) < -5.0 * float(hot.beta.error)
    assert hot.equilibrium is None
    assert float(hot.participation.value) < 0.45 < float(infinite.participation.value)
    assert float(hot.highest.value) > float(infinite.highest.value) + 1.0
    assert float(cold.highest.value) < 3.0
    # A breather stays: the same site is the largest at most times. At β = 0 it soon is another.
    stays = [np.bincount(p.densities[50:].argmax(axis=1)).max() for p in (hot, infinite)]
    assert stays[0] > 2 * stays[1]


def test_energy_and_norm_are_kept(found: Dnls) -> None:
    for point in found.points:
        assert point.energy_drift < 1e-3
        assert point.norm_drift < 1e-11


def test_it_is_json(found: Dnls) -> None:
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["schema"] == "spinlogit.lab.dnls/1"
    assert len(document["points"]) == 4


def test_the_same_bits_however_it_is_cut_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thermo.laboratory import dnls_chain

    motion = ChainMotion(1.0, (0.0, 3.0), 16, 2, 0.05, 4, 1500)
    whole = follow(motion, seed=1, threads=2)
    step, calls = dnls_chain.advance, 0

    def interrupted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1200:
            raise KeyboardInterrupt
        step(*arguments)

    monkeypatch.setattr(dnls_chain, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        follow(motion, seed=1, threads=1, checkpoint=tmp_path / "kept")
    monkeypatch.undo()
    again = follow(motion, seed=1, threads=1, checkpoint=tmp_path / "kept")
    for name, values in whole.items():
        assert values.tobytes() == again[name].tobytes(), name


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"density": 0.0}, "positive"),
        ({"density": -1.0}, "positive"),
        ({"energies": (-1.0,)}, "the ground state, where T = \\+0"),
        ({"energies": (-2.0,)}, "above a² − 2a = -1"),
        ({"energies": (200.0,)}, "N a²/2 = 128"),
        ({"energies": (math.nan,)}, "the ground state"),
        ({"energies": ()}, "one or more"),
        ({"sites": 15}, "16 … 100000"),
        ({"sites": 17}, "even"),
        ({"chains": 7}, "8 … 1000"),
        ({"time": 0.0}, "positive"),
        ({"time": 1.0}, "at least 400 steps"),
        ({"time_step": -0.1}, "positive"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises((InvalidInputError, EnergyOutOfRangeError), match=accepted):
        dnls(**wrong)


def test_a_time_step_that_is_too_long_is_found_out() -> None:
    with pytest.raises(NotConvergedError, match=r"accepted: a smaller step, such as 0\.5"):
        dnls(energies=(3.0,), sites=32, chains=8, time=2000.0, time_step=1.0)
