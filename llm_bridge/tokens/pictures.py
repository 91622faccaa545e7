"""Pictures of anomalous tokens: who finds them, where they lie, and what T → 0⁻ does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from llm_bridge.tokens.agreement import Agreement
from llm_bridge.tokens.table import BEHAVIOURS, TokenTable
from thermo.plots.style import color_of, lecture_style

__all__ = ["overview", "plot_auroc", "plot_columns", "plot_states"]

_INPUT, _OUTPUT, _OTHER, _BEHAVIOUR = "#1b7837", "#762a83", "#555555", "#b35806"
_LEARNED, _KNOWN = "#9a9a9a", "#c4281b"


def plot_auroc(ax: Axes, auroc: Mapping[str, Sequence[float]]) -> Axes:
    """How well every indicator tells known anomalous tokens from the others.

    Parameters
    ----------
    ax : Axes
    auroc : mapping of str to (value, error)
        From `llm_bridge.tokens.agreement.Agreement.auroc`; NaN is left out.

    Returns
    -------
    Axes
    """
    shown = {name: pair for name, pair in auroc.items() if not np.isnan(pair[0])}
    place = np.arange(len(shown))[::-1]
    for y, (name, (value, error)) in zip(place, shown.items(), strict=True):
        colour = _colour(name)
        ax.plot([0.5, value], [y, y], color=colour, linewidth=7, alpha=0.45, solid_capstyle="butt")
        ax.errorbar(value, y, xerr=error, fmt="o", color=colour, markersize=8, capsize=4)
    ax.axvline(0.5, color="#555555", linewidth=1.4)
    ax.set_yticks(place, [name.replace("_", " ") for name in shown])
    for label, name in zip(ax.get_yticklabels(), shown, strict=True):
        label.set_color(_colour(name))
    ax.set_xlim(-0.04, 1.04)
    ax.set_ylim(-0.7, len(shown) - 0.3)
    ax.set_xticks([0, 0.5, 1], ["0\nthe wrong way", "0.5\nsays nothing", "1\nfinds all"])
    ax.set_xlabel("AUROC against the known tokens")
    ax.grid(False, axis="y")
    return ax


def plot_columns(
    ax: Axes, x: ArrayLike, y: ArrayLike, known: ArrayLike | None, labels: tuple[str, str]
) -> Axes:
    """Two numbers of every token against each other, the known tokens marked.

    Parameters
    ----------
    ax : Axes
    x, y : array_like, shape (n,)
    known : array_like of bool, shape (n,), or None
    labels : tuple of str
        Of the two axes, with units.

    Returns
    -------
    Axes
    """
    a, b = np.asarray(x), np.asarray(y)
    marked = np.zeros(a.shape, dtype=bool) if known is None else np.asarray(known, dtype=bool)
    ax.plot(a[~marked], b[~marked], ".", color=_LEARNED, markersize=4, label="learned")
    if marked.any():
        ax.plot(a[marked], b[marked], "x", color=_KNOWN, markersize=8, label="known anomalous")
        ax.legend(loc="best", markerscale=1.6)
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    return ax


def plot_states(
    ax: Axes,
    temperature: ArrayLike,
    measured: ArrayLike,
    error: ArrayLike,
    normal: ArrayLike,
    drawn: Sequence[tuple[float, float, float]],
    known: int | None = None,
) -> Axes:
    """Effective number of tokens exp(S) on the negative side, from T = −0 to −∞.

    Parameters
    ----------
    ax : Axes
    temperature : array_like, shape (n,)
        Negative, finite.
    measured, error : array_like, shape (n,)
        exp(S) on text, one step, with its standard error.
    normal : array_like, shape (n,)
        exp(S) of normal logits of the same σ and V.
    drawn : sequence of (T, exp(S), error)
        Along texts drawn at T themselves.
    known : int, optional
        How many tokens were never trained: a line.

    Returns
    -------
    Axes
    """
    t = -np.asarray(temperature, dtype=np.float64)
    mean, width = np.asarray(measured), np.asarray(error)
    ax.fill_between(t, mean - 2 * width, mean + 2 * width, color="#4d4d4d", alpha=0.3, linewidth=0)
    ax.loglog(t, mean, color="#4d4d4d", label="on text, one step (±2 errors)")
    ax.loglog(t, normal, color="#4d4d4d", linestyle=(0, (2, 1.5)), label="normal logits, same σ, V")
    for k, (at, value, spread) in enumerate(drawn):
        ax.errorbar(
            -at,
            value,
            yerr=[[min(spread, 0.95 * value)], [spread]],
            fmt="D",
            markersize=11,
            capsize=5,
            color=color_of(2.5 / at),
            label="along its own text" if k == 0 else None,
        )
    if known:
        ax.axhline(known, color=_KNOWN, linewidth=1.6)
        ax.annotate(
            f"{known} tokens never met",
            (0.01, known),
            (0, 6),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=_KNOWN,
        )
    ax.set_xticks(*_negative_ticks(t))
    ax.minorticks_off()
    ax.set_xlabel("temperature  T  (model's own = 1)")
    ax.set_ylabel("tokens in play  exp(S)")
    ax.legend(loc="upper left")
    return ax


def overview(table: TokenTable, found: Agreement) -> Figure:
    """Who finds the anomalous tokens, and where they lie.

    Without known tokens the left panel shows who agrees with the mean logit instead.

    Parameters
    ----------
    table : TokenTable
    found : Agreement

    Returns
    -------
    matplotlib.figure.Figure
    """
    with lecture_style(0.85):
        figure = Figure(figsize=(17, 8.5))
        left, right = figure.subplots(1, 2)
        if found.auroc:
            plot_auroc(left, found.auroc)
        else:
            low = {a: value for (a, b), value in found.spearman.items() if b == "mean_z"}
            plot_auroc(left, {a: (0.5 + value / 2, error / 2) for a, (value, error) in low.items()})
            left.set_xticks([0, 0.5, 1], ["−1", "0", "1"])
            left.set_xlabel("Spearman correlation with a low mean logit")
        left.set_title("Which indicator finds them?", pad=14)
        part = table.candidates
        plot_columns(
            right,
            table["input_centroid_distance"][part],
            table["mean_z"][part],
            None if table.known is None else table.known[part],
            ("input embedding: distance to centroid", "mean logit, in σ of its position"),
        )
        right.set_title(f"{len(table):,} tokens", pad=14)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def _colour(name: str) -> str:
    if name in BEHAVIOURS:
        return _BEHAVIOUR
    for start, colour in (("input", _INPUT), ("output", _OUTPUT)):
        if name.startswith(start):
            return colour
    return _OTHER


def _negative_ticks(t: np.ndarray) -> tuple[list[float], list[str]]:
    """Powers of ten, T negative; −0 is at the left."""
    powers = range(int(np.ceil(np.log10(t.min()) - 1e-9)), int(np.log10(t.max()) + 1e-9) + 1)
    return [10.0**k for k in powers], [f"−{10.0**k:g}" for k in powers]
