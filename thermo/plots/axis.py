"""The axis of hotness: from β = +∞ through 0 to −∞ on a finite line."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

__all__ = ["mark_temperature_axis", "position_of"]

_MARKS = (np.inf, 4.0, 1.0, 1 / 3, 0.0, -1 / 3, -1.0, -4.0, -np.inf)


def position_of(b: ArrayLike) -> NDArray[np.float64]:
    r"""Where a β is drawn: :math:`x = -b/(1 + |b|)`, cold at −1, β = 0 at 0, hot at +1.

    Strictly monotone in hotness −β, so T = +∞ and T = −∞ are one point in the middle.

    Parameters
    ----------
    b : array_like
        βσ₀, ±inf included.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> position_of([float("inf"), 1.0, 0.0, -1.0, -float("inf")]) + 0.0
    array([-1. , -0.5,  0. ,  0.5,  1. ])
    """
    x = np.asarray(b, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return -np.where(np.isinf(x), np.sign(x), x / (1.0 + np.abs(x)))


def mark_temperature_axis(ax: Axes) -> Axes:
    """Label the horizontal axis with β below and T above, both in units of σ₀."""
    ax.set_xlim(-1.04, 1.04)
    ax.set_xticks(position_of(_MARKS), [_beta_label(b) for b in _MARKS])
    ax.set_xlabel("inverse temperature  β · σ₀   (cold → hot)")
    ax.axvline(0.0, color="#8c8c8c", linewidth=1.2, zorder=0)
    above = ax.secondary_xaxis("top")
    above.set_xticks(position_of(_MARKS), [_temperature_label(b) for b in _MARKS])
    above.set_xlabel("temperature  kT / σ₀")
    above.spines["top"].set_visible(True)
    return ax


def _beta_label(b: float) -> str:
    if np.isinf(b):
        return "+∞" if b > 0 else "−∞"
    return f"{b:.2g}".replace("-", "−")


def _temperature_label(b: float) -> str:
    if np.isinf(b):
        return "+0" if b > 0 else "−0"
    if b == 0:
        return "±∞"
    return f"{1 / b:.2g}".replace("-", "−")
