"""Rotators with bounded kinetic energy: equilibrium, steps, readings of both signs, bad input.

Seeds were chosen before the first run. Errors come from 16 replicas: 5.4 of them are exceeded once
in 14 000 (Student's t of 15).
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from typer.testing import CliRunner

from thermo.cli.lab import lab
from thermo.errors import (
    EnergyOutOfRangeError,
    EquilibrationWarning,
    InvalidInputError,
    NotConvergedError,
)
from thermo.kernels import lab_rotators as kernels
from thermo.laboratory.rotator_equilibrium import RotatorChain, mean_cosine
from thermo.laboratory.rotators import MovingRotators, RotatorDynamics, Rotators, rotators
from thermo.plots.laboratory.rotators import rotators_picture

SEED = 20261121
TINY: dict[str, Any] = {"rotators": 8, "samples": 60, "burn_in": 8, "between": 2, "replicas": 8}


@pytest.fixture(scope="module")
def found() -> Rotators:
    return rotators([0.6, 1.0, 1.5, 2.0, 2.4], samples=1500, burn_in=500, seed=SEED)


def energy_of(bonds: np.ndarray, momenta: np.ndarray, strength: float) -> float:
    return float((1.0 - np.cos(momenta)).sum() + strength * (1.0 - np.cos(bonds)).sum())


# ---- equilibrium -----------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [-30.0, -1.0, 0.0, 0.3, 5.0])
def test_mean_cosine_is_that_of_von_mises(kappa: float) -> None:
    def weight(x: float) -> float:
        return math.exp(kappa * math.cos(x) - abs(kappa))

    top, bottom = quad(lambda x: math.cos(x) * weight(x), 0, math.pi), quad(weight, 0, math.pi)
    assert mean_cosine(kappa) == pytest.approx(top[0] / bottom[0], abs=1e-9)


@pytest.mark.parametrize("strength", [0.2, 0.5, 3.0])
def test_energy_is_odd_about_the_middle_and_beta_its_inverse(strength: float) -> None:
    chain = RotatorChain(strength)
    beta = np.array([-40.0, -2.0, -0.1, 0.0, 0.1, 2.0, 40.0])
    assert chain.energy(beta) + chain.energy(-beta) == pytest.approx(chain.top)
    assert chain.beta(chain.energy(beta)) == pytest.approx(beta, rel=1e-9, abs=1e-12)
    slope = (chain.energy(1e-4) - chain.energy(-1e-4)) / 2e-4
    assert chain.natural_scale**2 == pytest.approx(-slope, rel=1e-6)


@pytest.mark.parametrize("energy", [1.0, 2.1])
def test_isolated_chains_read_what_a_shell_of_states_says(energy: float) -> None:
    """All states of 8 rotators within 0.5 % of an energy, drawn at random; 5 σ."""
    chain, n, generator = RotatorChain(0.5), 8, np.random.default_rng(SEED)
    kept = []
    for _ in range(20):
        angles = generator.uniform(-np.pi, np.pi, size=(2, 50000, n))
        h = ((1.0 - np.cos(angles[0])) + 0.5 * (1.0 - np.cos(angles[1]))).mean(axis=1)
        kept.append(angles[:, np.abs(h - energy) < 0.005])
    p, phi = np.concatenate(kept, axis=1)
    for x, strength, exact in zip((p, phi), (1.0, 0.5), chain.isolated(energy, n), strict=True):
        c, s = np.cos(x).mean(axis=1), (np.sin(x) ** 2).mean(axis=1)
        read = c.mean() / s.mean() / strength
        error = (c - c.mean() / s.mean() * s).std() / s.mean() / strength / math.sqrt(len(c))
        assert abs(read - exact) < 5.0 * error
        assert 5.0 * error < 0.3
    # and of a large chain what a bath says
    assert chain.isolated(energy, 10**6) == pytest.approx([float(chain.beta(energy))] * 2, abs=1e-5)


# ---- steps -----------------------------------------------------------------------------------


def moving(energy: float = 1.2, step: float = 0.2, replica: int = 3) -> MovingRotators:
    motion = RotatorDynamics(16, 0.5, np.array([energy]), 8, step, round(20.0 / step), 1)
    return motion.begin(replica, np.random.SeedSequence(SEED))


@pytest.mark.parametrize("energy", [0.01, 0.7, 2.99])
def test_chains_start_at_their_energy_with_different_shares_of_it_in_momenta(energy: float) -> None:
    kinetic = []
    for replica in range(8):
        chain = moving(energy, replica=replica)
        assert energy_of(chain._bonds, chain._momenta, 0.5) / 16 == pytest.approx(energy, abs=1e-12)
        kinetic.append(float((1.0 - np.cos(chain._momenta)).mean()))
    room = min(2.0, energy) - max(0.0, energy - 1.0)
    assert np.diff(kinetic) == pytest.approx(room / 16.0)


def test_torques_are_minus_the_gradient_of_the_energy() -> None:
    generator = np.random.default_rng(SEED)
    theta, momenta = generator.uniform(-3.0, 3.0, size=(2, 7))

    def potential(angles: np.ndarray) -> float:
        return energy_of(np.diff(angles, prepend=0.0), np.zeros(7), 0.5)

    kicked = momenta.copy()
    kernels.move_rotators(np.diff(theta, prepend=0.0), kicked, 0.5, np.zeros(2), np.array([1.0]), 1)
    h = 1e-6
    for i, unit in enumerate(np.eye(7)):
        slope = (potential(theta + h * unit) - potential(theta - h * unit)) / (2.0 * h)
        assert kicked[i] - momenta[i] == pytest.approx(-slope, abs=1e-8)


def test_velocities_are_the_gradient_in_momentum() -> None:
    bonds, momenta = np.zeros(3), np.array([0.3, 2.0, -1.0])
    kernels.move_rotators(bonds, momenta, 0.5, np.array([1.0, 0.0]), np.zeros(1), 1)
    assert np.cumsum(bonds) == pytest.approx(np.sin([0.3, 2.0, -1.0]))


def test_a_step_is_of_fourth_order() -> None:
    """Of the energy after a time of 20, and of second order with a plain leapfrog."""
    errors = []
    for step in (0.2, 0.1):
        chain = moving(step=step)
        before = energy_of(chain._bonds, chain._momenta, 0.5)
        chain.advance(1)
        errors.append(abs(energy_of(chain._bonds, chain._momenta, 0.5) - before))
    assert errors[0] / errors[1] > 10.0  # 16 but for chance at the end; 4 of second order
    chain = moving()
    leapfrog = np.array([0.1, 0.1]), np.array([0.2])
    kernels.move_rotators(chain._bonds, chain._momenta, 0.5, *leapfrog, 100)
    assert abs(energy_of(chain._bonds, chain._momenta, 0.5) - before) > 10.0 * errors[0]


def test_time_runs_backwards() -> None:
    chain = moving()
    bonds, momenta = chain._bonds.copy(), chain._momenta.copy()
    chain.advance(1)
    assert np.abs(chain._bonds - bonds).max() > 0.1
    chain._momenta *= -1.0
    chain.advance(1)
    assert chain._bonds == pytest.approx(bonds, abs=1e-8)
    assert -chain._momenta == pytest.approx(momenta, abs=1e-8)


def test_compiled_is_plain_python_bit_for_bit() -> None:
    ends = []
    for move, observe in (
        (kernels.move_rotators, kernels.observe_rotators),
        (kernels.move_rotators.py_func, kernels.observe_rotators.py_func),
    ):
        bonds, momenta = np.random.default_rng(SEED).normal(size=(2, 9)) * 4.0
        seen, histogram = np.empty(4), np.empty(7, dtype=np.int64)
        move(bonds, momenta, 0.5, np.array([0.1, 0.2, 0.1]), np.array([0.2, 0.3]), 20)
        observe(bonds, momenta, seen, histogram)
        assert histogram.sum() == 9
        ends.append(np.concatenate([bonds, momenta, seen, histogram]))
    assert (ends[0] == ends[1]).all()


# ---- readings --------------------------------------------------------------------------------


def test_every_reading_is_what_theory_says(found: Rotators) -> None:
    """Two thermometers at five energies, β of both signs and 0; energy is kept."""
    *readings, drift = found.findings
    assert len(readings) == 10
    for finding in readings:
        assert 0.0 < finding.error < 0.03
        assert abs(finding.deviation) < 5.4, finding
    assert 0.0 < drift.value < 1e-4
    assert (np.sign(found.from_momenta[[0, 1, 3, 4], 0]) == [1, 1, -1, -1]).all()
    assert found.settled.all()


def test_weak_bonds_do_not_come_to_equilibrium_and_nothing_is_compared() -> None:
    """Nearly integrable: means of each chain wander little, and are not those of the others."""
    with pytest.warns(EquilibrationWarning, match=r"disagree at H/N = 0\.5, 1\.7 \(largest split"):
        weak = rotators([0.5, 1.7], strength=0.1, samples=600, burn_in=200, seed=SEED)
    assert not weak.settled.any()
    *readings, _ = weak.findings
    for finding in readings:
        assert finding.expected is None
        assert finding.source.startswith("not in equilibrium")


@pytest.mark.slow
def test_errors_are_right_where_modes_are_slower_than_the_run() -> None:
    """Near the ends of the band, where blocks of one trajectory, 20 000 long, give 4.3.

    Mean square of 24 numbers of Student's t of 15: outside of the bounds once in 5000.
    """
    off = [
        finding.deviation
        for seed in range(SEED, SEED + 12)
        for finding in rotators([0.1, 2.9], samples=2000, seed=seed).findings[1:4:2]
    ]
    assert 0.27 < float(np.mean(np.square(off))) < 3.5


def test_the_readings_of_one_energy_are_not_those_of_another(found: Rotators) -> None:
    """Negative control: the mirrored energy."""
    for k in (0, 1, 3, 4):
        value, error = found.from_momenta[k]
        assert abs(value - found.expected[4 - k, 0]) > 5.4 * error


def test_momenta_have_the_law_of_von_mises(found: Rotators) -> None:
    width = 2.0 * np.pi / 48
    assert found.density.sum(axis=1) * width == pytest.approx(1.0)
    for beta, density in zip(found.beta, found.density, strict=True):
        law = np.exp(beta * np.cos(found.momentum) - abs(beta))
        law /= law.sum() * width
        assert 0.5 * np.abs(density - law).sum() * width < 0.03  # total variation
        mirrored = np.roll(law, 24)
        if abs(beta) > 0.5:
            assert 0.5 * np.abs(density - mirrored).sum() * width > 0.2


# ---- the same bits ---------------------------------------------------------------------------


def test_same_bits_for_threads_and_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    energies, kept = [0.8, 1.5, 2.2], {"checkpoint": tmp_path / "kept"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquilibrationWarning)  # a tiny run
        whole, again, shared = interrupted(monkeypatch, energies, kept)
    assert (shared.from_momenta == whole.from_momenta).all()
    assert (again.from_bonds == whole.from_bonds).all()
    assert (again.density == whole.density).all()


def interrupted(
    monkeypatch: pytest.MonkeyPatch, energies: list[float], kept: dict[str, Any]
) -> tuple[Rotators, Rotators, Rotators]:
    """On one thread, interrupted and resumed, and on two threads."""
    whole = rotators(energies, **TINY, seed=SEED, threads=1)
    shared = rotators(energies, **TINY, seed=SEED, threads=2)
    begin = RotatorDynamics.begin

    def broken(self: RotatorDynamics, piece: int, seed: np.random.SeedSequence) -> MovingRotators:
        if piece == 9:
            raise KeyboardInterrupt
        return begin(self, piece, seed)

    monkeypatch.setattr(RotatorDynamics, "begin", broken)
    with pytest.raises(KeyboardInterrupt):
        rotators(energies, **TINY, seed=SEED, threads=1, **kept)
    monkeypatch.undo()
    return whole, rotators(energies, **TINY, seed=SEED, threads=1, **kept), shared


def test_a_path_goes_on_to_the_same_bits() -> None:
    motion = RotatorDynamics(8, 0.5, np.array([1.0]), 8, 0.2, 3, 20)
    seed = np.random.SeedSequence(SEED)
    whole = motion.begin(0, seed).advance(20)
    begun, resumed = motion.begin(0, seed), motion.begin(0, np.random.SeedSequence(1))
    parts = [begun.advance(7)]
    resumed.restore(begun.state())
    parts.append(resumed.advance(13))
    for name, series in whole.items():
        assert (np.concatenate([part[name] for part in parts], axis=1) == series).all()


# ---- bad input and what is shown -------------------------------------------------------------


@pytest.mark.parametrize("energy", [0.0, 1e-12, -1.0, 3.0, 3.5, math.nan, math.inf])
def test_energies_that_no_chain_has(energy: float) -> None:
    with pytest.raises(EnergyOutOfRangeError, match="between 0 and 2 \\+ 2ε = 3, and not closer"):
        rotators([1.0, energy], **TINY, seed=SEED)


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"energies": []}, "at least one energy"),
        ({"energies": [[1.0]]}, "at least one energy"),
        ({"energies": "hot"}, "a real number"),
        ({"rotators": 7}, "at least 8"),
        ({"strength": 0.0}, "a positive finite number"),
        ({"strength": -1.0}, "a positive finite number"),
        ({"time_step": 0.0}, "a positive finite number"),
        ({"between": 0}, "at least 1"),
        ({"samples": 39}, "at least 32 samples after the burn-in"),
        ({"burn_in": -1}, "at least 0"),
        ({"replicas": 7}, "at least 8"),
        ({"seed": -1}, "an integer 0 … "),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        rotators(**{"energies": [1.0], **TINY, "seed": SEED} | wrong)


def test_a_step_that_is_too_long_is_said() -> None:
    with pytest.raises(NotConvergedError, match=r"time step 1\.5 is too long"):
        rotators([1.0], **TINY, time_step=1.5, seed=SEED)


def test_command() -> None:
    small = ["--energy", "0.8", "--energy", "2.2", "--rotators", "16", "--samples", "900"]
    result = CliRunner().invoke(lab, ["rotators", *small, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema"] == "spinlogit.lab.rotators/1"
    assert document["beta"][0] == pytest.approx(-document["beta"][1])
    result = CliRunner().invoke(lab, ["rotators", "--energy", "3"])
    assert isinstance(result.exception, EnergyOutOfRangeError)


def test_picture(found: Rotators) -> None:
    figure = rotators_picture(found)
    readings, momenta = figure.axes
    assert "sign" in readings.get_title(loc="left")
    assert len(momenta.get_legend().get_texts()) == 5


def test_picture_of_what_is_not_in_equilibrium() -> None:
    """Readings far off the line are on the axes, and told from those of equilibrium."""
    with pytest.warns(EquilibrationWarning):
        weak = rotators([0.5], **TINY, strength=0.05, seed=SEED)
    readings, _ = rotators_picture(weak).axes
    low, high = readings.get_ylim()
    assert low < weak.from_bonds[0, 0] < high
    shown = [text.get_text() for text in readings.get_legend().get_texts()]
    assert shown == ["momenta, no equilibrium", "bonds, no equilibrium"]


@pytest.mark.parametrize("strength", [0.2, 100.0])
@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")
def test_defaults_suit_bonds_of_any_strength(strength: float) -> None:
    found = rotators(strength=strength, samples=48, burn_in=16, seed=1)
    np.testing.assert_allclose(found.energy, (2.0 + 2.0 * strength) * np.arange(1, 6) / 6.0)
