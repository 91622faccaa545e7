"""Counting degrees of freedom: the fluid of a run against what is exact, and bad input.

Seeds were chosen before the first run. Errors come from 32 blocks: 4.5 of them are exceeded once in
10⁴ (Student's t of 31).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from thermo.cli.lab import lab
from thermo.errors import (
    EquilibrationWarning,
    InvalidInputError,
    NotConvergedError,
    UnboundedSpectrumError,
    UncertaintyWarning,
)
from thermo.freedom import equipartition_dof
from thermo.laboratory.kinetic import Kinetic, kinetic
from thermo.laboratory.molecular_dynamics import MovingMolecules
from thermo.laboratory.molecules import Fluid
from thermo.plots.laboratory.kinetic import kinetic_picture

SEED = 20261121
SMALL: dict[str, Any] = {
    "molecules": 32, "beta": 0.5, "density": 0.3, "cutoff": 2.3, "samples": 1100, "burn_in": 100,
    "replicas": 4,
}  # fmt: skip
TINY: dict[str, Any] = SMALL | {"samples": 40, "burn_in": 8, "between": 2, "replicas": 2}


@pytest.fixture(scope="module")
def pairs() -> Kinetic:
    return kinetic(**SMALL, masses=(1.0, 3.0), seed=SEED)


# for runs so short that they cannot be in equilibrium, of which something else is asked
short = pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")


def deviations(found: Kinetic) -> dict[str, float]:
    return {finding.what: finding.deviation for finding in found.findings}


# ---- numbers ---------------------------------------------------------------------------------


def test_every_finding_is_what_theory_says(pairs: Kinetic) -> None:
    """Equipartition, the exact ratios of counts, forces, conservation and its order."""
    found = deviations(pairs)
    assert {"f = 2⟨K⟩/kT", "of them translation", "of them rotation"} < found.keys()
    compared = {what: off for what, off in found.items() if not math.isnan(off)}
    assert len(compared) == 9
    assert max(map(abs, compared.values())) < 4.5, compared


@short
def test_counts_are_those_of_freedom(pairs: Kinetic) -> None:
    assert pairs.freedom == pairs.counts["3N − constraints − 3"] == 3 * 64 - 32 - 3
    assert sorted(pairs.counts.values()) == [157, 160, 189, 192]
    atoms = kinetic(**TINY, masses=(1.0,), bond=None, seed=SEED)
    assert atoms.counts == {"3N − 3": 93, "3N": 96}
    assert (atoms.rotation_series == 0.0).all()


def test_a_wrong_count_is_told_from_the_right_one(pairs: Kinetic) -> None:
    """Negative control: forgotten bonds; and energy in units of the wrong temperature."""
    mean, error = float(pairs.total.mean), float(pairs.total.error)
    assert abs(mean - pairs.counts["3N − 3"]) > 10.0 * error
    kinetic_energy = 0.5 * mean / pairs.beta
    assert equipartition_dof(kinetic_energy, pairs.beta) == pytest.approx(mean)
    assert abs(equipartition_dof(kinetic_energy, 1.1 * pairs.beta) - pairs.freedom) > 4.5 * error


def test_energy_error_falls_as_the_square_of_the_step(pairs: Kinetic) -> None:
    order, error = pairs.order
    assert error < 0.1
    assert order == pytest.approx(2.0, abs=4.5 * error)
    assert (np.diff(pairs.energy_error[:, 0]) < 0.0).all()


def two_atoms(beta: float, side: float, cutoff: float) -> tuple[float, float]:
    """⟨U⟩ and ⟨ΣR·F⟩ of two atoms in a cube, by quadrature."""
    fluid = Fluid(2, 2.0 / side**3, cutoff=cutoff)
    height, slope = fluid.potential.height, fluid.potential.slope
    r = np.linspace(0.5, cutoff, 200001)
    u = 4.0 * (r**-12 - r**-6) - height - slope * (r - cutoff)
    pull = 24.0 * (2.0 * r**-12 - r**-6) + slope * r
    shell = 4.0 * np.pi * r**2
    inside = np.trapezoid(shell * np.exp(-beta * u), r)
    everywhere = inside + side**3 - 4.0 / 3.0 * np.pi * cutoff**3
    return tuple(
        float(np.trapezoid(shell * values * np.exp(-beta * u), r) / everywhere)
        for values in (u, pull)
    )


def test_two_atoms_are_canonical() -> None:
    """Energy, pressure and β of forces of the smallest fluid, whose integrals are exact."""
    found = kinetic(
        2, 1.0, density=2.0 / 4.0**3, masses=(1.0,), bond=None, cutoff=2.0, between=20,
        samples=30100, burn_in=100, replicas=8, seed=SEED,
    )  # fmt: skip
    energy, virial = two_atoms(1.0, 4.0, 2.0)
    pressure = found.density + virial / (3.0 * 64.0)
    for (value, error), exact in (
        (found.potential_energy, energy / 2.0),
        (found.pressure, pressure),
        (found.configurational_beta, 1.0),
    ):
        assert 0.0 < error < 0.1
        assert abs(value - exact) < 4.5 * error
    # negative control: what the same atoms would do at another temperature
    assert abs(found.potential_energy.value - two_atoms(1.3, 4.0, 2.0)[0] / 2.0) > (
        4.5 * found.potential_energy.error
    )


def test_averages_without_a_shift_are_those_of_the_potential_as_it_is_cut() -> None:
    """Forces never see the step at the cut-off; weights put it back. Two atoms again."""
    cutoff, side = 1.4, 3.0  # a step of a third of a kT
    found = kinetic(
        2, 1.0, density=2.0 / side**3, masses=(1.0,), bond=None, cutoff=cutoff, between=20,
        force_shifted=False, samples=4100, burn_in=100, replicas=8, seed=SEED,
    )  # fmt: skip
    fluid = Fluid(2, 2.0 / side**3, cutoff=cutoff, force_shifted=False)

    def mean(height: float) -> float:
        r = np.linspace(0.5, cutoff, 200001)
        u = 4.0 * (r**-12 - r**-6)
        weight = 4.0 * np.pi * r**2 * np.exp(-(u - height))
        everywhere = np.trapezoid(weight, r) + side**3 - 4.0 / 3.0 * np.pi * cutoff**3
        return float((np.trapezoid(weight * u, r) / everywhere + fluid.tail_energy) / 2.0)

    value, error = found.potential_energy
    assert abs(value - mean(0.0)) < 4.5 * error
    assert abs(value - mean(fluid.height)) > 4.5 * error  # negative control: no weights


@pytest.mark.slow
def test_a_state_point_of_nist() -> None:
    """U and p of liquid Lennard-Jones atoms, ρ = 0.78 and kT = 0.85, r_c = 3σ with tails."""
    found = kinetic(
        500, 1.0 / 0.85, density=0.78, masses=(1.0,), bond=None, cutoff=3.0, force_shifted=False,
        samples=900, burn_in=250, replicas=3, seed=SEED,
    )  # fmt: skip
    off = deviations(found)
    assert found.potential_energy.error < 0.01
    assert abs(off["U per molecule"]) < 4.5
    assert abs(off["pressure"]) < 4.5
    assert abs(off["f = 2⟨K⟩/kT"]) < 4.5


# ---- the same bits ---------------------------------------------------------------------------


@short
def test_same_bits_for_threads_and_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = kinetic(**TINY, seed=SEED, threads=1)
    shared = kinetic(**TINY, seed=SEED, threads=2)
    assert (shared.translation_series == whole.translation_series).all()
    go = MovingMolecules.advance

    def broken(self: MovingMolecules, steps: int) -> dict[str, np.ndarray]:
        if self._divisor == 2:
            raise KeyboardInterrupt
        return go(self, steps)

    monkeypatch.setattr(MovingMolecules, "advance", broken)
    with pytest.raises(KeyboardInterrupt):
        kinetic(**TINY, seed=SEED, threads=1, checkpoint=tmp_path / "kept")
    monkeypatch.undo()
    again = kinetic(**TINY, seed=SEED, checkpoint=tmp_path / "kept")
    assert (again.translation_series == whole.translation_series).all()
    assert (again.isolated_energy == whole.isolated_energy).all()
    assert (kinetic(**TINY, seed=1).translation_series != whole.translation_series).all()


# ---- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, -0.5, -math.inf])
def test_kinetic_energy_has_no_negative_temperature(beta: float) -> None:
    with pytest.raises(UnboundedSpectrumError, match="molecules that move, whose energy has no u"):
        kinetic(**TINY | {"beta": beta}, seed=SEED)


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"beta": math.inf}, "one finite number > 0"),
        ({"beta": [0.5]}, "one finite number > 0"),
        ({"masses": (1.0, -1.0)}, "a positive finite number"),
        ({"cutoff": 3.0}, "at least twice the cut-off"),
        ({"density": 1e-300}, "for molecules that do not meet feel no forces"),
        ({"density": 2.0}, "at least twice the cut-off"),
        ({"density": 2.0, "cutoff": 1.2}, "start .*σ apart; accepted: at least 0.7σ"),
        ({"time_step": 0.0}, "a positive finite number"),
        ({"between": 3}, "an even number"),
        ({"between": 0}, "an integer of at least 2"),
        ({"samples": 39}, "at least 32 samples after the burn-in"),
        ({"burn_in": -1}, "an integer of at least 0"),
        ({"replicas": 0}, "an integer 1 … 32"),
        ({"positions": np.zeros((64, 3))}, "accepted: the length of the bond"),
        ({"positions": np.zeros((2, 3))}, r"shape \(64, 3\)"),
        ({"seed": -1}, "an integer 0 … "),
        ({"threads": 0}, "accepted"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        kinetic(**TINY | {"seed": SEED} | wrong)


def test_a_step_that_is_too_long_is_said() -> None:
    with pytest.raises(NotConvergedError, match=r"time step 0\.1 is too long"):
        kinetic(**TINY | {"time_step": 0.1}, seed=SEED)


@pytest.mark.parametrize("step", [5.0, 1000.0])
def test_a_step_after_which_atoms_lie_on_one_another(step: float) -> None:
    """A distance of 0 is an infinite energy, not a division by zero."""
    atoms = {"masses": (1.0,), "bond": None, "density": 0.6, "cutoff": 1.85, "time_step": step}
    with pytest.raises(NotConvergedError, match=f"time step {step:g} is too long"):
        kinetic(**SMALL | atoms | {"samples": 60, "burn_in": 10, "replicas": 1}, seed=0)


def test_the_step_that_was_given_is_named_where_the_one_compared_with_fails() -> None:
    with pytest.raises(NotConvergedError, match=r"step 0\.008 is too long.* in the run at 0\.016 "):
        kinetic(32, 0.5, cutoff=2.3, time_step=0.008, samples=200, burn_in=40, replicas=2, seed=1)


@short
def test_a_step_too_long_for_its_order_is_said() -> None:
    with pytest.warns(UncertaintyWarning, match=r"time_step = 0\.008 is too long .* as Δt²: from"):
        kinetic(64, 0.5, time_step=0.008, samples=400, burn_in=80, replicas=1, seed=0)


def test_what_is_not_in_equilibrium_is_said_and_not_compared(pairs: Kinetic) -> None:
    """Cold molecules on a lattice fall into one another, and f = 317 was off by many errors."""
    with pytest.warns(EquilibrationWarning, match="more burn_in than 20 and more samples than 100"):
        found = kinetic(64, 50.0, time_step=0.0005, samples=100, burn_in=20, seed=0)
    assert not found.settled
    assert float(found.total.mean) > 10.0 * found.freedom
    *of_bath, gained, order = found.findings
    assert {(each.expected, each.source) for each in of_bath} == {(None, "not in equilibrium")}
    assert (gained.expected, order.expected) == (0.0, 2.0)
    assert pairs.settled  # negative control


def test_molecules_that_never_met_tell_nothing() -> None:
    with pytest.raises(NotConvergedError, match="molecules did not meet in 40 observations"):
        kinetic(2, masses=(1.0,), bond=None, density=0.002, samples=40, burn_in=0, between=2,
                replicas=1, seed=SEED)  # fmt: skip


@short
def test_molecules_of_very_unlike_atoms_start_apart() -> None:
    """Sites are the middles of bonds: hung by its centre of mass, a light atom meets another."""
    fluid = Fluid(32, 0.3, (1.0, 16.0), 0.6, 2.3)
    assert fluid.interactions(fluid.start()).energy < 0.0
    kinetic(32, 0.7, masses=(1.0, 16.0), cutoff=2.3, samples=100, burn_in=20, replicas=1, seed=0)


# ---- as it is shown --------------------------------------------------------------------------


@short
def test_command() -> None:
    small = ["--molecules", "32", "--cutoff", "2.3", "--samples", "50"]
    result = CliRunner().invoke(lab, ["kinetic", *small, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema"] == "spinlogit.lab.kinetic/1"
    assert document["freedom"] == 157
    result = CliRunner().invoke(lab, ["kinetic", *small, "--bond", "0"])
    assert "if f were 3N " in result.stdout
    assert "rotation" not in result.stdout
    result = CliRunner().invoke(lab, ["kinetic", "--beta", "-1"])
    assert isinstance(result.exception, UnboundedSpectrumError)


@short
@pytest.mark.parametrize("masses", [(1.0,), (1.0, 1.0)])
def test_picture(masses: tuple[float, ...]) -> None:
    bond = 0.6 if len(masses) == 2 else None
    figure = kinetic_picture(kinetic(**TINY, masses=masses, bond=bond, seed=SEED))
    counts, energy = figure.axes
    shown = [text.get_text() for text in counts.get_yticklabels()]
    assert ("rotation, f = 2M" in shown) == (bond is not None)
    assert "step" in energy.get_title(loc="left")
