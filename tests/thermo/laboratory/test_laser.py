"""Lasers: inversion, threshold, clamping, ringing and the temperature of the line.

Nothing is sampled. Differences from a formula are those of rounding (1e-12) or of the solver
(1e-8 in each step), or belong to a limit, whose correction is then tested, too.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.linalg import expm, null_space
from typer.testing import CliRunner

from thermo.cli.lab import lab
from thermo.errors import InvalidInputError
from thermo.laboratory.laser import Laser, laser
from thermo.laboratory.laser_cavity import LaserCavity
from thermo.laboratory.laser_medium import LaserMedium, laser_medium
from thermo.laboratory.laser_transient import switch_on
from thermo.levels import EnergyLevels
from thermo.physical_units import BOLTZMANN, PLANCK
from thermo.plots.laboratory.laser import laser_picture, plot_switch_on
from thermo.populations import Populations

PUMPS = np.logspace(-6, 6, 49)


def cavity(levels: int = 4, fast: float = 1e-5, **wanted: float) -> LaserCavity:
    settings = {"atoms": 1e10, "spontaneous_fraction": 1e-6, "photon_lifetime": 1e-3} | wanted
    return LaserCavity(laser_medium(levels, 1.0, fast), **settings)


def odd_medium() -> LaserMedium:
    """Five levels of different weights, with decays that branch."""
    rng = np.random.default_rng(20261121)
    levels = EnergyLevels([0.0, 0.3, 1.0, 1.7, 2.0], np.log([2.0, 4.0, 3.0, 6.0, 1.0]))
    return LaserMedium(levels, np.tril(rng.uniform(0.1, 9.0, (5, 5)), -1), (0, 4), (1, 3))


@pytest.fixture(scope="module")
def four() -> Laser:
    return laser(4)


# ------------------------------------------------------------------------------------------------
# the medium


def test_two_levels_never_invert() -> None:
    medium = laser_medium(2)
    populations = medium.populations(PUMPS)
    assert medium.inversion(populations) == pytest.approx(-1.0 / (1.0 + 2.0 * PUMPS), abs=1e-14)
    assert (medium.inversion(populations) < 0.0).all()
    assert (medium.beta(populations) > 0.0).all()


@pytest.mark.parametrize("theta", [1e-9, 1e-3, 0.3])
@pytest.mark.parametrize("levels", [3, 4])
def test_inversion_of_three_and_four_levels_with_finite_fast_decays(
    levels: int, theta: float
) -> None:
    medium = laser_medium(levels, 1.0, theta)
    found = medium.inversion(medium.populations(PUMPS))
    three = (PUMPS - 1.0 - PUMPS * theta) / (1.0 + PUMPS + 2.0 * PUMPS * theta)
    four = (PUMPS - PUMPS * theta) / (1.0 + PUMPS + 3.0 * PUMPS * theta)
    assert found == pytest.approx(three if levels == 3 else four, abs=1e-13)


def test_the_ideal_formulas_are_the_limit_of_fast_decays() -> None:
    pumps = np.array([0.1, 1.0, 3.0, 30.0])
    for levels, ideal in ((3, (pumps - 1.0) / (pumps + 1.0)), (4, pumps / (1.0 + pumps))):
        off = []
        for theta in (1e-4, 1e-5):
            medium = laser_medium(levels, 1.0, theta)
            off.append(np.abs(medium.inversion(medium.populations(pumps)) - ideal).max())
        assert off[1] < 1e-3
        assert off[0] / off[1] == pytest.approx(10.0, rel=0.01)  # first order in θ


def test_negative_control_without_stimulated_emission_by_the_pump_two_levels_invert() -> None:
    medium = laser_medium(2)
    flow = medium.flow(10.0, 0.0)
    flow[:, 1] = [1.0, -1.0]  # light that only lifts
    p = null_space(flow)[:, 0]
    assert (p / p.sum()) @ medium.inversion_weights > 0.5


def test_populations_are_the_null_vector_and_the_end_of_time() -> None:
    medium = odd_medium()
    for pump, light in ((0.3, 0.0), (2.0, 0.7), (50.0, 900.0)):
        flow = medium.flow(pump, light)
        assert np.abs(flow.sum(axis=0)).max() < 1e-11
        p = medium.populations(pump, light).probabilities
        exact = null_space(flow)[:, 0]
        assert p == pytest.approx(exact / exact.sum(), abs=1e-13)
        assert expm(30.0 * flow)[:, 0] == pytest.approx(p, abs=1e-11)


def test_small_populations_keep_their_digits() -> None:
    medium = laser_medium(4, 1.0, 1e-9)
    p = medium.populations(1e-12).probabilities
    assert p[1:] == pytest.approx([1e-21, 1e-12, 1e-21], rel=1e-10)
    assert medium.beta(medium.populations(1e-12)) == pytest.approx(math.log(1e-9), rel=1e-12)


def test_strong_light_makes_states_of_its_line_equally_likely() -> None:
    medium = odd_medium()
    populations = medium.populations(2.0, 1e12)
    assert medium.inversion(populations) == pytest.approx(0.0, abs=1e-10)
    assert medium.beta(populations) == pytest.approx(0.0, abs=1e-9)
    assert populations.log_occupation[3] == pytest.approx(populations.log_occupation[1], abs=1e-9)


@pytest.mark.parametrize("medium", [laser_medium(3), laser_medium(4, 1.0, 0.1), odd_medium()])
def test_light_lowers_the_inversion_by_one_over_one_plus(medium: LaserMedium) -> None:
    light = np.logspace(-3, 3, 7)
    dark = medium.inversion(medium.populations(1.7))
    wanted = dark / (1.0 + medium.saturation(1.7) * light)
    assert medium.inversion(medium.populations(1.7, light)) == pytest.approx(wanted, rel=1e-9)


def test_the_pump_for_an_inversion_gives_it() -> None:
    for medium in (laser_medium(3), laser_medium(4, 1.0, 0.1), odd_medium()):
        most = float(medium.inversion(medium.populations(1e15)))
        for part in (0.01, 0.5, 0.99):
            pump = medium.pump_for(part * most)
            assert medium.inversion(medium.populations(pump)) == pytest.approx(
                part * most, rel=1e-8
            )
        assert medium.pump_for(1.001 * most + 1e-12) == math.inf
    assert laser_medium(2).pump_for(0.0) == math.inf
    assert laser_medium(2).pump_for(1e-3) == math.inf


def test_the_temperature_of_the_line() -> None:
    medium = laser_medium(3)
    even = medium.beta(Populations(medium.levels, [[0.25, 0.5, 0.25], [0.5, 0.5, 0.0]]))
    assert even == pytest.approx([-math.log(2.0), 0.0])
    ends = medium.beta(Populations(medium.levels, [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]))
    assert ends[:2].tolist() == [math.inf, -math.inf]
    assert math.isnan(ends[2])
    heavy = odd_medium()  # weights 4 and 6: β = 0 at p_u = 1.5 p_l
    p = Populations(heavy.levels, [0.5, 0.2, 0.0, 0.3, 0.0])
    assert heavy.beta(p) == pytest.approx(0.0, abs=1e-14)
    assert heavy.inversion(p) == pytest.approx(0.0, abs=1e-15)


def test_gain_has_the_sign_of_inversion_and_not_of_beta() -> None:
    for medium in (laser_medium(2), laser_medium(3), laser_medium(4), odd_medium()):
        populations = medium.populations(PUMPS)
        gain, beta = medium.inversion(populations), medium.beta(populations)
        clear = np.abs(gain) > 1e-12
        assert (np.sign(gain[clear]) == -np.sign(beta[clear])).all()


# ------------------------------------------------------------------------------------------------
# between mirrors


@pytest.mark.parametrize(("levels", "ideal"), [(3, 1.1 / 0.9), (4, 0.1 / 0.9)])
def test_threshold(levels: int, ideal: float) -> None:
    at = cavity(levels, 1e-9)
    assert at.threshold_inversion == pytest.approx(0.1, rel=1e-14)
    assert at.threshold_pump == pytest.approx(ideal, rel=1e-7)
    assert cavity(2).threshold_pump == math.inf
    assert cavity(4, atoms=1e8).threshold_pump == math.inf  # needs an inversion of 10


@pytest.mark.parametrize("levels", [3, 4])
def test_inversion_clamps_above_threshold(levels: int) -> None:
    at = cavity(levels)
    steady = at.steady(at.threshold_pump * np.array([0.5, 1.5, 3.0, 30.0]))
    assert steady.inversion[0] < 0.1
    # Below by what spontaneous emission adds: Δ_th − Δ = p_u/q.
    lacking = at.threshold_inversion - steady.inversion[1:]
    p_u = steady.populations.probabilities[1:, at.medium.laser_line[1]]
    assert lacking == pytest.approx(p_u / steady.photons[1:], rel=1e-5)
    assert lacking.max() < 1e-6


def test_steady_states_stand_still_and_are_stable() -> None:
    for at in (cavity(2), cavity(3), cavity(4), LaserCavity(odd_medium(), 1e9, 1e-3, 1e-4)):
        for pump in (0.0, 1e-3, 0.2, 4.0, 300.0):
            steady = at.steady(pump)
            state = np.append(steady.populations.probabilities, steady.photons)
            rates = at.rates(pump, state)
            assert np.abs(rates[:-1]).max() < 1e-11 * (1.0 + np.abs(at.medium.flow(pump, 0)).max())
            lost = steady.photons / at.photon_lifetime
            assert abs(rates[-1]) < 1e-9 * lost + 1e-12
            assert (at.eigenvalues(pump).real < 0.0).all()


def test_the_jacobian_is_the_derivative() -> None:
    at = LaserCavity(odd_medium(), 1e4, 1e-3, 0.1)
    state = np.array([0.3, 0.2, 0.1, 0.3, 0.1, 40.0])
    exact = at.jacobian(1.3, state)
    for k in range(6):
        step = np.zeros(6)
        step[k] = 1e-4
        slope = (at.rates(1.3, state + step) - at.rates(1.3, state - step)) / 2e-4
        assert exact[:, k] == pytest.approx(slope, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 5.0])
def test_light_of_four_ideal_levels_is_pump_beyond_threshold(ratio: float) -> None:
    at = cavity(4, 1e-9, spontaneous_fraction=1e-9, atoms=1e13)
    photons = float(at.steady(ratio * at.threshold_pump).photons)
    assert at.spontaneous_fraction * photons == pytest.approx(ratio - 1.0, rel=1e-6)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 5.0])
def test_the_rates_of_the_ringing_are_those_of_the_formulas(ratio: float) -> None:
    for levels in (3, 4):
        at = cavity(levels, 1e-9, spontaneous_fraction=1e-9, atoms=1e13)
        pump = ratio * at.threshold_pump
        ring = at.eigenvalues(pump)[0]
        delta = at.threshold_inversion
        natural, damping = math.sqrt((ratio - 1.0) / 1e-3), 0.5 * (ratio + pump)
        if levels == 3:
            natural *= math.sqrt((1.0 + delta) / delta)
            damping = 0.5 * (1.0 + pump + (ratio - 1.0) * (1.0 + delta) / delta)
        assert abs(ring) == pytest.approx(natural, rel=1e-5)
        assert -ring.real == pytest.approx(damping, rel=1e-5)


@pytest.mark.parametrize("levels", [3, 4])
@pytest.mark.parametrize("theta", [1e-12, 1e-14, 1e-18])
def test_slow_rates_keep_their_digits_beside_fast_ones(levels: int, theta: float) -> None:
    """Those at θ = 1e-9 differ by parts of 1e-7; of the matrix alone, four levels lost 2 %."""
    stiff, mild = (cavity(levels, at).eigenvalues(2.0) for at in (theta, 1e-9))
    assert stiff[:2] == pytest.approx(mild[:2], rel=1e-6)
    assert stiff[2:] == pytest.approx(-1.0 / theta, rel=1e-6)
    assert stiff[0] == stiff[1].conjugate()


@pytest.mark.parametrize(("ratio", "part"), [(1.02, 1e-6), (1.5, 1e-3), (2.0, 1e-2)])
def test_spontaneous_emission_makes_the_ringing_faster(ratio: float, part: float) -> None:
    """For θ → 0, ω₀² = (κq + (W + 1/τ + κq)/(q + 1))/τ_c; the second term is left out for b → 0."""
    at = cavity(4, 1e-12, atoms=1e4 / part, spontaneous_fraction=part)
    pump = ratio * at.threshold_pump
    q = float(at.steady(pump).photons)
    lit = part * q
    exact = math.sqrt((lit + (pump + 1.0 + lit) / (q + 1.0)) / 1e-3)
    natural = math.sqrt((ratio - 1.0) / 1e-3)
    assert abs(at.eigenvalues(pump)[0]) == pytest.approx(exact, rel=1e-7)
    assert exact / natural - 1.0 == pytest.approx(part * ratio / (ratio - 1.0) ** 2, rel=0.15)


def test_an_uninverted_line_without_loss_gives_the_light_its_temperature() -> None:
    """q = 1/(e^{βhν} − 1) at the β of the line; at β < 0 only loss holds the light."""
    pump = 0.2
    at = cavity(3, photon_lifetime=1e6)
    steady = at.steady(pump)
    beta = float(at.medium.beta(steady.populations))
    assert beta == pytest.approx(-math.log(pump), rel=1e-4)
    assert steady.photons == pytest.approx(1.0 / math.expm1(beta), rel=1e-8)
    grows = cavity(3, photon_lifetime=1e6).steady(5.0).photons
    assert grows > 1e12


def test_the_linewidth_is_the_net_loss_below_threshold_and_half_of_it_above() -> None:
    at = cavity(4)
    gain = at.atoms * at.coupling
    for ratio, part in ((0.1, 1.0), (0.9, 1.0), (1.5, 0.5), (4.0, 0.5)):
        steady = at.steady(ratio * at.threshold_pump)
        net_loss = 1.0 / at.photon_lifetime - gain * float(steady.inversion)
        assert steady.linewidth == pytest.approx(part * net_loss / (2.0 * math.pi), rel=1e-4)
    assert at.steady(0.0).linewidth == pytest.approx(1.0 / (2.0 * math.pi * 1e-3), rel=1e-14)
    steady = at.steady(3.0 * at.threshold_pump)  # π hν Δν_c² p_u/Δ / P, with P in quanta
    p_u = steady.populations.probabilities[2]
    cold = 1.0 / (2.0 * math.pi * at.photon_lifetime)
    schawlow_townes = math.pi * cold**2 / at.power(steady.photons) * p_u / at.threshold_inversion
    assert steady.linewidth == pytest.approx(schawlow_townes, rel=1e-12)


# ------------------------------------------------------------------------------------------------
# switched on


def test_a_laser_rings_as_its_linearised_rates_say(four: Laser) -> None:
    ring = four.eigenvalues[four.eigenvalues.imag > 0.0][0]
    omega, gamma = four.transient.ringing
    assert omega == pytest.approx(ring.imag, rel=1e-5)
    assert gamma == pytest.approx(-ring.real, rel=1e-3)
    assert omega == pytest.approx(math.sqrt(1.0 / 1e-3), rel=1e-3)  # r = 2, damped a little


def test_every_finding_is_what_theory_says(four: Laser) -> None:
    compared = [finding for finding in four.findings if finding.expected is not None]
    assert len(compared) == 9
    for finding in compared:
        assert finding.value == pytest.approx(finding.expected, rel=1e-3, abs=1e-4), finding.what


def test_it_spikes_and_settles(four: Laser) -> None:
    run = four.transient
    assert run.photons.max() > 5.0 * run.settled
    assert run.photons[-1] == pytest.approx(run.settled, rel=1e-4)
    assert run.inversion[-1] == pytest.approx(four.threshold_inversion, rel=1e-4)
    assert run.inversion.max() > four.threshold_inversion
    assert np.abs(run.populations.probabilities.sum(axis=1) - 1.0).max() < 1e-12


def test_dark_atoms_decay_as_exponentials() -> None:
    """No pump, a hundred atoms and hardly any mode: the exact solution is a matrix exponential."""
    at = LaserCavity(odd_medium(), 100.0, 1e-9, 1e-3)
    start = [0.1, 0.2, 0.3, 0.1, 0.3]
    run = switch_on(at, 0.0, 0.5, populations=start)
    exact = expm(0.5 * at.medium.flow(0.0, 0.0)) @ start
    assert run.populations.probabilities[-1] == pytest.approx(exact, abs=1e-7)
    assert math.isnan(run.ringing[0])


def test_energy_in_light_and_atoms_is_pumped_in_or_lost() -> None:
    """Two levels, all decay into the mode, no loss: atoms above plus photons stay what they are."""
    at = LaserCavity(laser_medium(2), 1000.0, 1.0, 1e12)
    run = switch_on(at, 0.0, 5.0, populations=[0.2, 0.8], photons=3.0)
    total = 1000.0 * run.populations.probabilities[:, 1] + run.photons
    assert total == pytest.approx(803.0, rel=1e-6)


def test_two_levels_do_not_lase_however_they_are_pumped() -> None:
    found = laser(2, pump=1e4)
    assert (found.transient.inversion < 0.0).all()
    assert found.steady.photons < 100.0
    assert found.threshold_pump[0] == math.inf


def test_kelvins_and_watts_of_a_real_line() -> None:
    found = laser(3, pump=0.5, lifetime=3e-3, wavelength=694.3e-9)
    table = {finding.what: finding.value for finding in found.findings}
    hnu = PLANCK * 299792458.0 / 694.3e-9
    assert table["T of the laser line"] == pytest.approx(hnu / BOLTZMANN / found.beta, rel=1e-12)
    assert table["output"] == pytest.approx(float(found.steady.photons) / 3e-6 * hnu, rel=1e-12)
    assert found.beta == pytest.approx(math.log(2.0), rel=1e-4)  # Wτ = 1/2: p_u = p_l/2


# ------------------------------------------------------------------------------------------------
# input and output


def test_it_is_json_and_a_picture() -> None:
    for found in (laser(2), laser(4, pump=0.0), laser(4, atoms=1e6)):
        document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert document["schema"] == "spinlogit.lab.laser/1"
        assert len(laser_picture(found).axes) == 4
        assert found.table()


def test_a_table_has_no_nan() -> None:
    """No atom is in either level of the line, or no light rings: then there is no such row."""
    for found in (laser(4, pump=0.0, wavelength=1e-6), laser(4, duration=0.5)):
        assert not any(math.isnan(finding.value) for finding in found.findings)
        assert "nan" not in found.table()


@pytest.mark.parametrize("pump", [10.0, 1.0])
def test_the_picture_says_where_an_inversion_starts_that_it_does_not_show(pump: float) -> None:
    found = laser(2, pump=pump)
    ax = plot_switch_on(Figure().subplots(), found)
    assert [text.get_text() for text in ax.texts] == ["← from −10"]
    assert ax.get_ylim()[0] < found.transient.inversion[-1] / found.threshold_inversion


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"levels": 5}, "an integer 2 … 4"),
        ({"levels": "four"}, "an integer 2 … 4"),
        ({"pump": -1.0}, "Wτ ≥ 0"),
        ({"pump": math.nan}, "a finite number"),
        ({"lifetime": 0.0}, "a positive finite number"),
        ({"lifetime": -1.0}, "a positive finite number"),
        ({"fast_lifetime": 2.0}, "less than the lifetime"),
        ({"fast_lifetime": -1e-3}, "a positive finite number"),
        ({"photon_lifetime": math.inf}, "a positive finite number"),
        ({"atoms": -5.0}, "a positive finite number"),
        ({"spontaneous_fraction": 1.5}, "at most 1"),
        ({"spontaneous_fraction": 0.0}, "a positive finite number"),
        ({"duration": 0.0}, "a positive finite number"),
        ({"wavelength": -1e-6}, "a positive finite number"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        laser(**wrong)


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"populations": [0.5, 0.5]}, "one number per level"),
        ({"populations": [0.5, 0.7, 0.0]}, "must sum to 1"),
        ({"populations": [1.5, -0.5, 0.0]}, "numbers ≥ 0"),
        ({"populations": [math.nan, 0.5, 0.5]}, "numbers ≥ 0"),
        ({"photons": -1.0}, "a number ≥ 0"),
        ({"photons": math.nan}, "a finite number"),
        ({"pump": -1.0}, "numbers ≥ 0"),
        ({"duration": -1.0}, "a positive finite number"),
    ],
)
def test_bad_beginnings(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        switch_on(cavity(3), **({"pump": 1.0, "duration": 1.0} | wrong))


@pytest.mark.parametrize(
    ("decay", "lines", "accepted"),
    [
        ([[0, 0, 0], [-1, 0, 0], [0, 1, 0]], ((0, 2), (0, 1)), "rates ≥ 0"),
        ([[0, 0, 0], [math.nan, 0, 0], [0, 1, 0]], ((0, 2), (0, 1)), "rates ≥ 0"),
        ([[0, 1, 0], [1, 0, 0], [0, 1, 0]], ((0, 2), (0, 1)), "rates ≥ 0"),
        ([[0, 0, 0], [1, 0, 0], [0, 0, 0]], ((0, 2), (0, 1)), "level 2 decays nowhere"),
        ([[0, 0], [1, 0]], ((0, 2), (0, 1)), r"\(L, L\)"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], ((0, 3), (0, 1)), "levels 0 … 2"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], ((0, 2), (1, 0)), "levels 0 … 2"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], ((0, 1), (0, 2)), "a rate above 0"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], (3, (0, 1)), "pump_line = 3 was given"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], ((0.0, 1.0), (0, 1)), "levels 0 … 2"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], ((0, 1, 2), (0, 1)), "levels 0 … 2"),
    ],
)
def test_bad_media(decay: list[list[float]], lines: Any, accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        LaserMedium(EnergyLevels([0.0, 1.0, 1.3]), np.array(decay, dtype=float), *lines)
    with pytest.raises(InvalidInputError, match="energies that rise"):
        LaserMedium(EnergyLevels([0.0, 0.0]), np.tril(np.ones((2, 2)), -1), (0, 1), (0, 1))


def test_bad_rates_and_no_medium() -> None:
    for pump, light in ((-1.0, 0.0), (0.0, -1.0), (math.inf, 0.0), ("x", 0.0)):
        with pytest.raises(InvalidInputError, match=r"pump|stimulated"):
            laser_medium(3).flow(pump, light)  # type: ignore[arg-type]
    for wrong in (cavity(3).rates, cavity(3).jacobian):
        with pytest.raises(InvalidInputError, match="a rate of pump is negative"):
            wrong(-1.0, np.array([1.0, 0.0, 0.0, 0.0]))
    with pytest.raises(InvalidInputError, match="medium = 'x' was given"):
        LaserCavity("x", 1.0, 1.0, 1.0)  # type: ignore[arg-type]


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "laser.svg"
    arguments = ["laser", "--levels", "3", "--pump", "0.5", "--json", "--out", str(picture)]
    result = CliRunner().invoke(lab, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["beta"] == pytest.approx(math.log(2.0), rel=1e-4)
    assert picture.read_bytes().startswith(b"<?xml")
    for wrong, accepted in (("--pump=-1", "Wτ ≥ 0"), ("--wavelength=0", "--wavelength = 0.0")):
        result = CliRunner().invoke(lab, ["laser", wrong])
        assert isinstance(result.exception, InvalidInputError)
        assert accepted in str(result.exception)
