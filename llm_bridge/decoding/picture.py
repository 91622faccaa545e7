"""The picture of a text being decoded: its temperature and the model's entropy, token by token."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from thermo.plots.axis import position_of
from thermo.plots.style import color_of
from thermo.temperature import beta_from_temperature

__all__ = ["plot_decoding"]

_MARKS = (0.0, 0.5, 2.0, np.inf, -2.0, -0.5, -0.0)


def plot_decoding(ax: Axes, beta: ArrayLike, entropy: ArrayLike, scale: float) -> Axes:
    """Temperature of every token on the line from +0 to −0, over bars of the model's own entropy.

    Parameters
    ----------
    ax : Axes
        A second vertical axis is added at its right.
    beta : array_like, shape (n,)
        That the tokens were drawn at, 1/nat.
    entropy : array_like, shape (n,)
        Of the model's own prediction of each, in nats.
    scale : float
        σ₀ of the logits, for the colours.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_decoding(Figure().subplots(), [1.0, -1.0], [2.0, 0.5], 2.4)
    >>> ax.get_ylabel()
    'T'
    """
    b, tokens = np.asarray(beta, dtype=np.float64), np.arange(1, np.size(beta) + 1)
    right = ax.twinx()
    right.bar(tokens, entropy, width=0.9, color="#d9d9d9")
    right.set(ylabel="model's S / k", ylim=(0, 1.6 * float(np.max(entropy))))
    right.grid(False)
    right.spines["right"].set_visible(True)
    ax.set_zorder(right.get_zorder() + 1)  # points over bars
    ax.patch.set_visible(False)
    where = position_of(b)
    ax.plot(tokens, where, color="#333333", linewidth=1.0)
    ax.scatter(tokens, where, c=color_of(b * scale), s=42, zorder=3)
    ax.set_yticks(position_of(beta_from_temperature(_MARKS)), [_label(t) for t in _MARKS])
    ax.set_ylim(-1.08, 1.08 if (b < 0).any() else 0.08)  # the upper half only where it is used
    ax.set(ylabel="T", xlabel="token", xlim=(0, tokens.size + 1))
    return ax


def _label(temperature: float) -> str:
    if np.isinf(temperature):
        return "±∞"
    sign = "−" if np.signbit(temperature) else "+" if temperature == 0 else ""
    return f"{sign}{abs(temperature):g}"
