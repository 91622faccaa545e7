"""Heat engines: books that balance, both efficiencies, and the second law at either sign of β.

Nothing is sampled; what is equal is equal but for rounding.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.integrate import quad
from typer.testing import CliRunner

from thermo.canonical import canonical
from thermo.cli.lab import lab
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.laboratory.engine import Engine, engine
from thermo.laboratory.engine_changes import change
from thermo.laboratory.engine_cycles import Cycle, carnot_cycle, otto_cycle, reversal_cycle
from thermo.laboratory.engine_strokes import adiabat, isochore, isotherm
from thermo.levels import EnergyLevels
from thermo.models.oscillator import Oscillator
from thermo.plots.laboratory.engine import engine_picture, plot_cycle, plot_energy_flows

SPIN = EnergyLevels([-1.0, 1.0])
LOPSIDED = EnergyLevels([-0.4, 0.1, 0.7, 2.0], np.log([1.0, 3.0, 2.0, 5.0]))
BATHS = [(0.3, 1.0), (-0.5, 1.0), (-1.0, 1.0), (-3.0, 0.2), (-2.0, -1.0), (-0.2, -0.1)]

betas = st.floats(0.05, 4.0).flatmap(lambda b: st.sampled_from([b, -b]))
fields = st.floats(0.1, 3.0)


def mean(levels: EnergyLevels, x: float) -> float:
    return float(canonical(levels, x).internal_energy)


def books(cycle: Cycle) -> tuple[float, float, float]:
    """Largest imbalance of a stroke and of the cycle, by the heats; of its entropy, by changes."""
    size = sum(abs(stroke.heat) for stroke in cycle.strokes) or 1.0
    worst = max(abs(stroke.energy_change - stroke.heat - stroke.work) for stroke in cycle.strokes)
    return worst / size, abs(cycle.energy_imbalance), abs(cycle.entropy_imbalance)


# ------------------------------------------------------------------------------------------------
# strokes


@pytest.mark.parametrize("levels", [SPIN, LOPSIDED])
@pytest.mark.parametrize(
    ("beta", "start", "end"), [(0.7, 0.3, 2.0), (-1.2, 2.0, 0.1), (0.9, -1, 1)]
)
def test_an_isotherm_is_the_integral(
    levels: EnergyLevels, beta: float, start: float, end: float
) -> None:
    stroke = isotherm(levels, beta, start, end)
    work, _ = quad(lambda h: mean(levels, beta * h), start, end, epsabs=1e-13)
    assert stroke.work == pytest.approx(work, abs=1e-12)
    # Q = ∫ h du = ∫ −h β Var dh
    heat, _ = quad(
        lambda h: -h * beta * float(canonical(levels, beta * h).energy_variance), start, end,
        epsabs=1e-13,
    )  # fmt: skip
    assert stroke.heat == pytest.approx(heat, abs=1e-12)
    assert stroke.energy_change == pytest.approx(stroke.heat + stroke.work, abs=1e-13)
    assert stroke.entropy_made == pytest.approx(0.0, abs=1e-15)


def test_an_adiabat_keeps_populations_and_the_sign_of_beta_follows_the_field() -> None:
    stroke = adiabat(LOPSIDED, 1.3, 2.0, -0.5)
    assert stroke.reverses_field
    before, after = (stroke.reduced[k] / stroke.field[k] for k in (0, 1))
    p = canonical(LOPSIDED, stroke.reduced[0]).populations().probabilities
    for h, beta in ((2.0, before), (-0.5, after)):
        stretched = EnergyLevels(h * LOPSIDED.energies, LOPSIDED.log_degeneracy)
        assert canonical(stretched, beta).populations().probabilities == pytest.approx(p, rel=1e-14)
    assert before > 0.0 > after
    assert stroke.heat == stroke.entropy_change == 0.0


def test_an_isochore_takes_any_bath() -> None:
    for beta, wanted in ((math.inf, -1.0), (0.0, 0.0), (-math.inf, 1.0)):
        stroke = isochore(SPIN, beta, 2.0, 0.4)
        assert stroke.heat == pytest.approx(2.0 * (wanted - mean(SPIN, 0.4)), rel=1e-14)
    assert isochore(SPIN, -math.inf, 2.0, 0.4).entropy_made == math.inf
    assert isochore(SPIN, math.inf, 2.0, math.inf).entropy_made == 0.0


# ------------------------------------------------------------------------------------------------
# Carnot


@pytest.mark.parametrize("levels", [SPIN, LOPSIDED])
@pytest.mark.parametrize(("hot", "cold"), BATHS)
def test_carnot_balances_its_books_and_has_both_efficiencies(
    levels: EnergyLevels, hot: float, cold: float
) -> None:
    cycle = carnot_cycle(levels, hot, cold)
    assert max(books(cycle)) < 1e-14
    assert cycle.delivered > 0.0
    assert cycle.entropy_made == pytest.approx(0.0, abs=1e-14)
    assert cycle.formal_efficiency == pytest.approx(1.0 - hot / cold, rel=1e-11)
    q_hot, q_cold = cycle.heats
    if hot < 0.0 < cold:
        assert min(q_hot, q_cold) > 0.0
        assert cycle.efficiency == pytest.approx(1.0, rel=1e-13)
        assert cycle.formal_efficiency > 1.0
    elif hot > 0.0:
        assert q_hot > 0.0 > q_cold
        assert cycle.efficiency == pytest.approx(1.0 - hot / cold, rel=1e-11)
    else:
        assert q_cold > 0.0 > q_hot
        assert cycle.efficiency == pytest.approx(1.0 - cold / hot, rel=1e-11)
        assert cycle.formal_efficiency < 0.0


@pytest.mark.parametrize("levels", [SPIN, LOPSIDED, SPIN.shifted(1e3)])
@pytest.mark.parametrize("reduced", [(1e-140, 3e-140), (1e-8, 2e-8), (0.5, 2.0), (20.0, 300.0)])
def test_books_balance_by_the_heats_however_small(
    levels: EnergyLevels, reduced: tuple[float, float]
) -> None:
    """Of populations that are all but equal, or all but in one level; rounding of x is x times it.

    Differences of u, s and ln Z themselves have no digit left there.
    """
    rounding = 1e-14 * max(1.0, reduced[1] / 3.0)
    for hot, cold in (*BATHS, (-100.0, 100.0), (-1e-8, 1.0), (1e-60, 1e60)):
        x = (reduced[0] / abs(hot), reduced[1] / abs(hot))
        cycle = carnot_cycle(levels, hot, cold, x)
        assert max(books(cycle)) < rounding
        assert cycle.formal_efficiency == pytest.approx(1.0 - hot / cold, rel=100 * rounding)
        assert cycle.efficiency <= 1.0 + rounding
        wait = otto_cycle(levels, hot, cold, (x[0], x[1] * hot / cold))
        assert max(books(wait)[:2]) < 10 * rounding


def test_the_baths_of_the_report_are_engines_of_efficiency_one() -> None:
    for hot, cold, pair in ((-100.0, 100.0, None), (-100.0, 100.0, (0.5, 2.0)),
                            (-40.0, 40.0, (0.5, 2.0)), (-30.0, 30.0, (0.5, 2.0)),
                            (-1e-7, 1.0, (0.5, 2.0)), (-1e-8, 1.0, None)):  # fmt: skip
        found = engine(hot, cold, fields=pair)
        assert found.carnot.efficiency == pytest.approx(1.0, rel=1e-13)
        assert found.carnot.formal_efficiency == pytest.approx(1.0 - hot / cold, rel=1e-13)
        assert all(abs(cycle.energy_imbalance) < 1e-13 for cycle in (found.carnot, found.otto))


def test_fields_are_in_units_of_temperature_unless_given() -> None:
    """Only βh matters: with all β times a number all energies are divided by it."""
    one, other = engine(-0.5, 1.0), engine(-0.5e9, 1e9)
    for mine, theirs in ((one.carnot, other.carnot), (one.otto, other.otto)):
        assert theirs.heats == pytest.approx([heat / 1e9 for heat in mine.heats], rel=1e-14)
    for hot, cold in ((0.9, 1.0), (1e-6, 1.0), *BATHS):
        assert engine(hot, cold).otto.delivered > 0.0


def test_what_float64_cannot_hold_is_refused() -> None:
    for pair in ((10.0, 20.0), (1e-148, 2e-148)):
        with pytest.raises(InvalidInputError, match="beyond float64; accepted: fields of about"):
            carnot_cycle(SPIN, -50.0 if pair[0] > 1.0 else -1.0, 1.0, pair)
    with pytest.raises(InvalidInputError, match=r"1e-100 … 1e\+100 in size"):
        engine(1e-120, 1.0)


def test_changes_of_thousands_of_nats() -> None:
    """ln g = 40 i: nearly all states lie at the top, and the lowest level has p = 0 in float64."""
    many = EnergyLevels(np.arange(100.0), 40.0 * np.arange(100.0))
    x = np.array([0.3, 45.0])
    state = canonical(many, x)
    found = change(many, *x)
    assert found.energy == pytest.approx(np.diff(state.internal_energy)[0], rel=1e-13)
    assert found.entropy == pytest.approx(np.diff(state.entropy)[0], rel=1e-13)
    average = -np.diff(state.log_partition_function)[0] / 44.7 - state.internal_energy[0]
    assert found.average == pytest.approx(average, rel=1e-11)


def test_negative_control_a_stroke_with_the_wrong_sign_is_found() -> None:
    cycle = carnot_cycle(SPIN, 0.3, 1.0)
    taken, *others = cycle.strokes
    wrong = Cycle("wrong", cycle.baths, (isotherm(SPIN, 0.3, *taken.field[::-1]), *others))
    assert books(wrong)[1] > 0.1
    assert books(wrong)[2] > 0.1


@pytest.mark.parametrize(("hot", "cold"), BATHS)
def test_the_field_is_reversed_exactly_where_the_baths_differ_in_sign(
    hot: float, cold: float
) -> None:
    cycle = carnot_cycle(SPIN, hot, cold)
    assert cycle.reverses_field == (hot < 0.0 < cold)
    for stroke, following in pairwise([*cycle.strokes, cycle.strokes[0]]):
        assert following.field[0] == pytest.approx(stroke.field[1], rel=1e-14)
        assert following.reduced[0] == pytest.approx(stroke.reduced[1], rel=1e-14)


def test_work_is_the_area_in_the_plane_of_field_and_magnetization() -> None:
    cycle = carnot_cycle(SPIN, -0.5, 1.0, (0.4, 1.7))
    area = 0.0
    for stroke in cycle.strokes:
        if stroke.bath is None:
            m = math.tanh(stroke.reduced[0])
            area += m * (stroke.field[1] - stroke.field[0])
        else:
            area += quad(lambda h, b=stroke.bath: math.tanh(b * h), *stroke.field)[0]
    assert cycle.delivered == pytest.approx(area, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(betas, betas, fields, fields, st.floats(-5.0, 5.0))
def test_the_gauge_changes_neither_heat_nor_work_of_a_cycle(
    one: float, other: float, low: float, high: float, shift: float
) -> None:
    hot, cold = sorted((one, other))
    if cold - hot < 1e-3 or abs(high - low) < 1e-3:
        return
    cycle = carnot_cycle(SPIN, hot, cold, (low, high))
    shifted = carnot_cycle(SPIN.shifted(shift), hot, cold, (low, high))
    size = sum(abs(stroke.work) for stroke in shifted.strokes) + 1.0
    assert shifted.heats == pytest.approx(cycle.heats, abs=1e-12 * size)
    assert shifted.delivered == pytest.approx(cycle.delivered, abs=1e-12 * size)


# ------------------------------------------------------------------------------------------------
# Otto, a single bath, and the second law


@settings(max_examples=80, deadline=None)
@given(betas, betas, fields, fields, st.sampled_from([1.0, -1.0]), st.sampled_from([0, 1]))
def test_no_cycle_unmakes_entropy(
    one: float, other: float, at_hot: float, at_cold: float, sign: float, which: int
) -> None:
    """Of any Otto cycle: books, the second law, and the bounds that it sets at either sign."""
    hot, cold = sorted((one, other))
    if hot == cold:
        return
    cycle = otto_cycle((SPIN, LOPSIDED)[which], hot, cold, (at_hot, sign * at_cold))
    assert max(books(cycle)) < 1e-13
    assert all(stroke.entropy_made >= -1e-13 for stroke in cycle.strokes)
    assert cycle.entropy_made >= -1e-13
    q_hot, q_cold = cycle.heats
    if cycle.delivered > 1e-6:
        assert cycle.efficiency <= 1.0 + 1e-9
    if q_hot > 1e-6 and cold > 0.0:  # −W/Q_h ≤ 1 − T_c/T_h, more than 1 or not
        assert cycle.formal_efficiency <= 1.0 - hot / cold + 1e-6
    if hot > 0.0 and cycle.delivered > 1e-6:
        assert cycle.efficiency <= 1.0 - hot / cold + 1e-6
    if cold < 0.0 and q_cold > 1e-6 and q_hot < 0.0:  # taken from the cold, given to the hot
        assert cycle.delivered / q_cold >= 1.0 - cold / hot - 1e-6


@pytest.mark.parametrize(("hot", "cold"), BATHS)
def test_the_efficiency_of_otto_is_that_of_its_fields(hot: float, cold: float) -> None:
    for at_hot, at_cold in ((2.0, 1.0), (1.0, 3.0), (1.5, -0.5)):
        cycle = otto_cycle(SPIN, hot, cold, (at_hot, at_cold))
        assert cycle.formal_efficiency == pytest.approx(1.0 - at_cold / at_hot, rel=1e-9)


def test_otto_near_the_reversible_point_is_carnot() -> None:
    """Fields in the ratio of the baths' β: nothing flows, and the efficiency tends to Carnot's."""
    for hot, cold in BATHS:
        still = otto_cycle(SPIN, hot, cold, (1.0, hot / cold))
        assert still.delivered == pytest.approx(0.0, abs=1e-15)
        near = otto_cycle(SPIN, hot, cold, (1.0, hot / cold * 1.001))
        assert near.formal_efficiency == pytest.approx(1.0 - hot / cold, abs=4e-3 * abs(hot / cold))
        assert near.entropy_made < 1e-5


def test_below_zero_a_wasteful_engine_beats_a_reversible_one() -> None:
    carnot = carnot_cycle(SPIN, -2.0, -1.0)
    otto = otto_cycle(SPIN, -2.0, -1.0, (1.0, 0.2))
    assert otto.delivered > 0.0
    assert otto.entropy_made > 0.1
    assert otto.efficiency > carnot.efficiency + 0.2


@pytest.mark.parametrize("levels", [SPIN, LOPSIDED])
def test_kelvin_at_either_sign(levels: EnergyLevels) -> None:
    """One bath: all heat becomes work at β < 0, all work heat at β > 0, and never otherwise."""
    for beta in (-math.inf, -3.0, -0.1, 0.0, 0.1, 3.0, math.inf):
        cycle = reversal_cycle(levels, beta, 0.8)
        assert cycle.energy_imbalance == pytest.approx(0.0, abs=1e-15)
        (heat,) = cycle.heats
        assert cycle.delivered == pytest.approx(heat, abs=1e-15)
        assert np.sign(cycle.delivered) == -np.sign(beta)
        assert cycle.entropy_made >= 0.0
    assert reversal_cycle(SPIN, -0.7, 1.5).delivered == pytest.approx(
        6.0 * math.tanh(0.7 * 1.5), rel=1e-14
    )
    assert reversal_cycle(SPIN, -0.7).efficiency == pytest.approx(1.0, rel=1e-15)
    assert math.isnan(reversal_cycle(SPIN, 0.7).efficiency)


def test_otto_takes_baths_at_the_ends_and_in_the_middle_of_the_scale() -> None:
    cycle = otto_cycle(SPIN, -math.inf, math.inf, (2.0, 1.0))
    assert cycle.heats == (4.0, -2.0)
    assert (cycle.delivered, cycle.entropy_made) == (2.0, math.inf)
    warm = otto_cycle(SPIN, 0.0, 1.0, (2.0, 1.0))
    assert warm.delivered == pytest.approx(math.tanh(1.0), rel=1e-14)
    assert warm.entropy_made == pytest.approx(math.tanh(1.0), rel=1e-14)


# ------------------------------------------------------------------------------------------------
# the experiment


@pytest.mark.parametrize(("hot", "cold"), BATHS)
def test_every_finding_is_what_theory_says(hot: float, cold: float) -> None:
    for finding in engine(hot, cold).findings:
        if finding.expected is not None and not math.isnan(finding.value):
            assert finding.value == pytest.approx(finding.expected, rel=1e-11, abs=1e-13)
        if finding.what.endswith("entropy made") and "Carnot" not in finding.what:
            assert finding.value > 0.0


def test_the_efficiencies_over_the_ratio_are_three_straight_pieces() -> None:
    found = engine()
    r = found.ratio
    assert found.formal_efficiency == pytest.approx(1.0 - r, abs=1e-10)
    pieces = [np.ones_like(r), 1.0 - r, 1.0 - 1.0 / r]
    assert found.efficiency == pytest.approx(np.select([r < 0, r < 1], pieces[:2], pieces[2]))


@pytest.fixture
def found() -> Engine:
    return engine(-2.0, -1.0, levels=LOPSIDED)


def test_it_is_json_and_a_picture(found: Engine) -> None:
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["schema"] == "spinlogit.lab.engine/1"
    assert "Otto: work delivered" in engine(0.2, 0.9, otto_fields=(1.0, 2.0)).table()
    assert len(document["carnot"]["strokes"]) == 4
    assert len(engine_picture(found).axes) == 4
    assert len(engine_picture(engine(0.2, 0.9, otto_fields=(1.0, 2.0))).axes) == 4


@pytest.mark.parametrize(("hot", "cold"), [(0.3, 1.0), (-2.0, -1.0)])
def test_the_picture_tells_the_baths_apart_without_colour(hot: float, cold: float) -> None:
    ax = Figure().subplots()
    found = engine(hot, cold, otto_fields=(1.0, 2.0))
    plot_energy_flows(ax, found)
    assert sum(patch.get_hatch() == "//" for patch in ax.patches) == 4  # one is for the legend
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent().transformed(ax.transData.inverted())
    assert legend.y1 < min(patch.get_y() + min(patch.get_height(), 0.0) for patch in ax.patches)
    plot_cycle(ax, found, found.carnot)
    assert sum(str(line.get_color()) == "white" for line in ax.lines) == 1


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"hot": [0.1, 0.2]}, r"β = \[0.1, 0.2\] was given; accepted: one number"),
        ({"hot": 1.0, "cold": 1.0}, "two different β"),
        ({"hot": -0.3, "cold": -0.3}, "two different β"),
        ({"hot": 2.0, "cold": 1.0}, "a smaller β for the hotter"),
        ({"hot": 1.0, "cold": -1.0}, "a smaller β for the hotter"),
        ({"hot": math.nan}, "any real β"),
        ({"hot": 0.0}, "a finite β other than 0"),
        ({"cold": 0.0}, "a finite β other than 0"),
        ({"hot": -math.inf}, "a finite β other than 0"),
        ({"cold": math.inf}, "a finite β other than 0"),
        ({"fields": (1.0, 1.0)}, "two different ones"),
        ({"fields": (0.0, 1.0)}, "a positive finite number"),
        ({"fields": (-1.0, 1.0)}, "a positive finite number"),
        ({"fields": (1.0, math.nan)}, "a positive finite number"),
        ({"fields": (1.0,)}, "two fields"),
        ({"fields": 1.0}, "two fields"),
        ({"otto_fields": (1.0, 0.0)}, "a field other than 0"),
        ({"otto_fields": (math.inf, 1.0)}, "a finite number"),
        ({"levels": EnergyLevels([1.0, 1.0])}, "at least two different ones"),
        ({"levels": [0.0, 1.0]}, "EnergyLevels"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        engine(**wrong)


def test_oscillators_work_between_positive_temperatures_only() -> None:
    oscillator = Oscillator(1.0).levels(400)
    cycle = carnot_cycle(oscillator, 0.5, 1.0, (1.0, 2.0))
    assert cycle.efficiency == pytest.approx(0.5, rel=1e-9)
    for hot, cold in ((-0.5, 1.0), (-2.0, -1.0)):
        with pytest.raises(UnboundedSpectrumError, match="the working substance"):
            carnot_cycle(oscillator, hot, cold)
    with pytest.raises(UnboundedSpectrumError, match="the working substance"):
        otto_cycle(oscillator, 0.0, 1.0)
    with pytest.raises(InvalidInputError, match="fields > 0"):
        reversal_cycle(oscillator, 1.0)


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "engine.svg"
    arguments = ["engine", "--hot=-1", "--cold", "1", "--json", "--out", str(picture)]
    result = CliRunner().invoke(lab, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["findings"][0]["value"] == pytest.approx(2.0, rel=1e-12)
    assert picture.read_bytes().startswith(b"<?xml")
    result = CliRunner().invoke(lab, ["engine", "--hot=1", "--cold=1"])
    assert isinstance(result.exception, InvalidInputError)
