"""Pictures: axes come back, labels have units, and one colour is one β for every eye."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermo import plots
from thermo.canonical import canonical
from thermo.curves import Curve, Measured, exact_curve, natural_scale
from thermo.levels import EnergyLevels
from thermo.models.oscillator import Oscillator
from thermo.occupation import Occupation, occupation
from thermo.plots.curves import legend_handle
from thermo.populations import Populations

INF = math.inf
B = np.array([INF, 20.0, 4.0, 2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -2.0, -4.0, -20.0, -INF])


def paramagnet(b: np.ndarray = B) -> Curve:
    levels = EnergyLevels([-1.0, 1.0])
    origin, scale = natural_scale(levels)
    return exact_curve(
        "paramagnet", canonical(levels, b), unit="spin", origin=origin, scale=scale,
        log_states=levels.log_states,
    )  # fmt: skip


def sampled() -> Curve:
    """A curve with errors everywhere and a spread between contexts."""
    exact = paramagnet()
    rng = np.random.default_rng(20261120)

    def noisy(values: np.ndarray) -> Measured:
        return Measured(values + 0.01 * rng.normal(size=values.size), np.full(values.size, 0.01))

    band = np.array([0.8, 1.2])[:, None]
    return Curve(
        name="sampled", unit="position", scale=1.0, beta=exact.beta,
        energy=noisy(exact.energy.value),
        entropy=noisy(exact.entropy.value), heat_capacity=noisy(exact.heat_capacity.value),
        log_participation=noisy(exact.log_participation.value), log_states=exact.log_states,
        spread={
            "entropy": band * exact.entropy.value,
            "heat_capacity": band * exact.heat_capacity.value,
        },
    )  # fmt: skip


def unbounded() -> Curve:
    return exact_curve(
        "oscillator", Oscillator(quantum=2.0).thermodynamics(np.append(B[B > 0], 0.05)),
        unit="oscillator", origin=2.0, scale=1.0, log_states=INF, ends="no upper bound",
    )  # fmt: skip


def boltzmann_lines() -> list[Occupation]:
    levels = EnergyLevels([-1.0, 0.2, 1.0])
    lines = []
    for beta in (1.5, 0.0, -1.5):
        p = canonical(levels, beta).populations().probabilities
        counted = Populations.from_counts(levels, np.round(1e4 * p))
        lines.append(occupation(f"{beta:+g}", counted, levels, beta=beta, origin=0.0, scale=0.8))
    return lines


DRAWN = [
    ("paramagnet", paramagnet(), None),
    ("ising", sampled(), paramagnet()),
    ("unbounded", unbounded(), None),
    ("logits", sampled(), None),
]
PICTURES: dict[str, Callable[[Axes], Axes]] = {
    "arch": lambda ax: plots.plot_arch(ax, DRAWN, tangents=(0.6, 0.0, -0.6)),
    "heat capacity": lambda ax: plots.plot_heat_capacity(ax, DRAWN),
    "effective states": lambda ax: plots.plot_effective_states(ax, DRAWN),
    "occupation": lambda ax: plots.plot_occupation(ax, boltzmann_lines(), "ising"),
}
UNITS = {
    "arch": ("σ₀", "k"),
    "heat capacity": ("σ₀", "k"),
    "effective states": ("σ₀", "ln W"),
    "occupation": ("σ₀", "ln"),
}


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


# ------------------------------------------------------------------------------------------------
# the functions


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("scale", [None, 1.0])
def test_axes_come_back_drawn_without_warnings(name: str, scale: float | None) -> None:
    """Warnings are errors here; infinities and missing numbers must not cause any."""
    with plots.lecture_style(scale or 1.0) if scale else matplotlib.rc_context():
        ax = Figure().subplots()
        assert PICTURES[name](ax) is ax
        ax.get_figure().savefig(io.BytesIO(), format="png")
    assert ax.has_data()


@pytest.mark.parametrize("name", PICTURES)
def test_both_axes_say_what_and_in_which_unit(ax: Axes, name: str) -> None:
    PICTURES[name](ax)
    for label, unit in zip((ax.get_xlabel(), ax.get_ylabel()), UNITS[name], strict=True):
        assert unit in label, label
        assert len(label.split()) >= 2  # a word and a symbol, not a symbol alone


@pytest.mark.parametrize("name", PICTURES)
def test_the_user_s_own_figure_and_style_stay_as_they_are(name: str) -> None:
    before = dict(matplotlib.rcParams)
    figure = Figure()
    left, right = figure.subplots(1, 2)
    PICTURES[name](left)
    assert not right.has_data()
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in str(type(figure.canvas))


def test_sampled_points_carry_their_errors(ax: Axes) -> None:
    plots.plot_arch(ax, [("ising", sampled(), paramagnet())])
    bars = [c for c in ax.collections if type(c).__name__ == "LineCollection"]
    lengths = {round(float(np.ptp(s, axis=0).max()), 6) for bar in bars for s in bar.get_segments()}
    assert lengths == {0.02}  # from −0.01 to +0.01, in u and in S
    assert len(bars) == 2


def test_the_band_is_the_spread_between_contexts(ax: Axes) -> None:
    curve = sampled()
    plots.plot_heat_capacity(ax, [("logits", curve, None)])
    bands = [
        c
        for c in ax.collections
        if type(c).__name__ in ("PolyCollection", "FillBetweenPolyCollection")
    ]
    vertices = bands[0].get_paths()[0].vertices
    assert vertices[:, 1].max() == pytest.approx(curve.spread["heat_capacity"].max())


def test_tangents_have_slope_b(ax: Axes) -> None:
    plots.plot_arch(
        ax, [("paramagnet", paramagnet(np.linspace(3, -3, 601)), None)], tangents=(0.6, 0.0, -0.6)
    )
    thick = [line for line in ax.lines if line.get_linewidth() == 5]
    slopes = [np.diff(line.get_ydata())[0] / np.diff(line.get_xdata())[0] for line in thick]
    assert slopes == pytest.approx([0.6, 0.0, -0.6])
    # and they touch the arch: their middle is at u = −tanh b
    middles = [np.mean(line.get_xdata()) for line in thick]
    assert middles == pytest.approx(-np.tanh([0.6, 0.0, -0.6]), abs=1e-4)


def test_a_system_without_end_is_left_out_where_it_has_no_number(ax: Axes) -> None:
    plots.plot_effective_states(ax, [("unbounded", unbounded(), None)])
    assert not ax.collections
    plots.plot_heat_capacity(ax, [("unbounded", unbounded(), None)])
    assert any("no upper bound" in text.get_text() for text in ax.texts)


def test_a_boltzmann_line_is_drawn_with_the_slope_that_was_fitted(ax: Axes) -> None:
    lines = boltzmann_lines()
    plots.plot_occupation(ax, lines, "ising")
    sloped = [
        line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2.2
    ]
    slopes = [float(np.diff(li.get_ydata())[0] / np.diff(li.get_xdata())[0]) for li in sloped]
    assert slopes == pytest.approx([-line.fitted_b for line in lines], abs=1e-12)
    assert slopes[0] < -1
    assert slopes[2] > 1


def test_lines_of_infinite_or_unknown_b_do_no_harm(ax: Axes) -> None:
    levels = EnergyLevels([-1.0, 0.2, 1.0])
    ends = [
        occupation(f"{k}", Populations.from_counts(levels, counts), levels, beta=math.nan,
                   origin=0.0, scale=0.8)
        for k, counts in enumerate(([9, 0, 0], [0, 0, 9]))
    ]  # fmt: skip
    plots.plot_occupation(ax, ends, "ising")
    ax.get_figure().savefig(io.BytesIO(), format="png")


def test_nothing_to_draw_is_not_an_error() -> None:
    for draw in (plots.plot_arch, plots.plot_effective_states):
        ax = Figure().subplots()
        assert draw(ax, []) is ax
    ax = Figure().subplots()
    assert plots.plot_occupation(ax, [], "ising") is ax


def test_a_name_is_no_formula() -> None:
    for name in ("cost $5 or $6", r"$\frac{", "plain"):
        figure = Figure()
        figure.legend(handles=[legend_handle("logits", name)])
        figure.savefig(io.BytesIO(), format="png")  # mathtext would refuse the second


# ------------------------------------------------------------------------------------------------
# the axis of hotness


def test_the_axis_runs_monotonically_from_cold_to_hot() -> None:
    b = np.concatenate([[INF], np.geomspace(1e300, 1e-300, 2001), [0.0]])
    x = plots.position_of(np.concatenate([b, -b[-2::-1]]))
    assert x[0] == -1.0
    assert x[-1] == 1.0
    assert (np.diff(x) >= 0).all()
    assert (np.diff(plots.position_of(np.linspace(50, -50, 1001))) > 0).all()
    assert plots.position_of([0.0, -0.0]).tolist() == [0.0, 0.0]  # T = +∞ and −∞ are one point


def test_beta_below_and_temperature_above_are_one_axis(ax: Axes) -> None:
    assert plots.mark_temperature_axis(ax) is ax
    (above,) = ax.child_axes
    assert above.get_xticks() == pytest.approx(ax.get_xticks())
    betas = [t.get_text().replace("−", "-") for t in ax.get_xticklabels()]
    temperatures = [t.get_text().replace("−", "-") for t in above.get_xticklabels()]
    assert betas[0] == "+∞"
    assert betas[-1] == "-∞"
    assert temperatures[0] == "+0"
    assert temperatures[-1] == "-0"
    middle = betas.index("0")
    assert temperatures[middle] == "±∞"
    for beta, temperature in zip(betas, temperatures, strict=True):
        if "∞" not in beta and beta != "0":
            assert float(beta) * float(temperature) == pytest.approx(1.0, abs=0.02)
    assert "σ₀" in ax.get_xlabel()
    assert "σ₀" in above.get_xlabel()


# ------------------------------------------------------------------------------------------------
# colours


def linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of linear sRGB."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = np.clip(light, 0, 1) @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


# What eyes without one of the three kinds of cones see, for linear sRGB: Machado, Oliveira and
# Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009), severity 1.
EYES = {
    "all cones": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip


def seen(rgb: np.ndarray, eye: str) -> np.ndarray:
    return lab(linear(rgb[..., :3]) @ EYES[eye].T)


def difference(one: np.ndarray, other: np.ndarray, eye: str) -> np.ndarray:
    """Distance in L*a*b*: about 2 is just noticed, 20 is told apart across a lecture hall."""
    return np.linalg.norm(seen(one, eye) - seen(other, eye), axis=-1)


def test_beta_zero_is_neutral_and_the_ends_are_blue_and_red() -> None:
    (middle,) = plots.color_of([0.0])[:, :3]
    assert np.ptp(middle) < 0.01
    cold, hot = plots.color_of([INF, -INF])[:, :3]
    assert cold[2] > cold[0] + 0.2
    assert hot[0] > hot[2] + 0.2
    assert plots.color_of([[1.0, 2.0]]).shape == (1, 2, 4)
    assert plots.color_of(1.0).shape == (4,)
    assert (plots.color_of([-0.0]) == plots.color_of([0.0])).all()


@pytest.mark.parametrize("eye", ["all cones", "deuteranopia", "protanopia"])
def test_the_colour_map_is_monotone_in_hotness(eye: str) -> None:
    """Darkness counted from β = 0, negative when blue, rises all the way from cold to hot."""
    b = np.linspace(3.0, -3.0, 121)
    color = plots.color_of(b)
    darkness = seen(plots.color_of([0.0]), eye)[0, 0] - seen(color, eye)[:, 0]
    hotness = np.sign(color[:, 0] - color[:, 2]) * np.maximum(darkness, 0)
    assert (np.sign(color[:, 0] - color[:, 2])[b != 0] == -np.sign(b[b != 0])).all()
    # a level stretch at most: never back by a quarter of what is just noticed, 2
    assert (hotness > np.maximum.accumulate(hotness) - 0.5).all()
    assert hotness[0] < -25
    assert hotness[-1] > 25


@pytest.mark.parametrize("eye", EYES)
def test_equal_cold_and_hot_are_told_apart_by_every_eye(eye: str) -> None:
    b = np.array([0.3, 0.5, 1.0, 2.0, INF])
    assert (difference(plots.color_of(b), plots.color_of(-b), eye) > 20).all()
    grey = np.broadcast_to(plots.color_of(0.0), (5, 4))
    assert (difference(plots.color_of(b)[1:], grey[1:], eye) > 12).all()
    assert (difference(plots.color_of(-b)[1:], grey[1:], eye) > 12).all()


def test_negative_control_red_and_green_are_not() -> None:
    red, green = np.array([0.80, 0.36, 0.20]), np.array([0.47, 0.50, 0.13])
    assert difference(red, green, "all cones") > 40
    assert difference(red, green, "deuteranopia") < 15


@pytest.mark.parametrize("b", [INF, 1.0, 0.0, -1.0, -INF])
def test_every_colour_is_seen_on_a_white_screen(b: float) -> None:
    # contrast of at least 3 : 1 against white, as for graphics in the WCAG
    luminance = linear(plots.color_of(b)[:3]) @ np.array([0.2126, 0.7152, 0.0722])
    assert 1.05 / (luminance + 0.05) > 3.0


def test_every_kind_of_system_has_a_marker_of_its_own() -> None:
    assert len({style.marker for style in plots.STYLES.values()}) == len(plots.STYLES)
    lines = [style.line for key, style in plots.STYLES.items() if key != "weight noise"]
    assert len(set(map(str, lines))) == len(lines)


def test_lecture_type_is_large() -> None:
    with plots.lecture_style():
        assert all(
            matplotlib.rcParams[key] >= 15
            for key in ("font.size", "axes.labelsize", "xtick.labelsize", "legend.fontsize")
        )
    with plots.lecture_style(0.5):
        assert matplotlib.rcParams["font.size"] == 9.0
