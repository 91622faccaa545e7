"""One colour for one β, one line style for one kind of system, type for the back row."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import ArrayLike, NDArray

__all__ = ["STYLES", "SystemStyle", "color_of", "lecture_style"]

# Blue and red differ for every kind of colour blindness; grey, not white, at β = 0, so that a
# point there is seen on a white screen.
_COLD_TO_HOT = LinearSegmentedColormap.from_list(
    "cold_to_hot", ["#08306b", "#2171b5", "#8c8c8c", "#c4281b", "#7f0000"]
)


@dataclass(frozen=True)
class SystemStyle:
    """How one kind of system is drawn: colour is taken by β, so the shape tells systems apart.

    Attributes
    ----------
    line
        A matplotlib line style: a name or a dash pattern.
    marker : str
        A matplotlib marker.
    size : float
        Of the marker, in points.
    """

    line: Any
    marker: str
    size: float = 9.0


STYLES = {
    "paramagnet": SystemStyle("-", "o"),
    "ising": SystemStyle((0, (6, 2)), "s", 8.0),
    "unbounded": SystemStyle((0, (1.5, 1.5)), "^"),
    "logits": SystemStyle((0, (8, 2, 1.5, 2)), "D"),
    "weight noise": SystemStyle("-", "*", 14.0),
}


def color_of(b: ArrayLike) -> NDArray[np.float64]:
    """RGBA of inverse temperatures in natural units: blue cold, grey β = 0, red hot.

    Parameters
    ----------
    b : array_like, shape (...)
        βσ₀, ±inf included.

    Returns
    -------
    ndarray, shape (..., 4)

    Examples
    --------
    >>> color_of([float("inf"), 0.0, -float("inf")]).round(2)[:, 0].tolist()
    [0.03, 0.55, 0.5]
    """
    # tanh: most of the hue is spent on |b| < 2, where bounded systems change.
    return np.asarray(_COLD_TO_HOT(0.5 - 0.5 * np.tanh(np.asarray(b, dtype=np.float64) / 1.2)))


def lecture_style(scale: float = 1.0) -> AbstractContextManager[Any]:
    """Type and line widths that read from the last row of a lecture hall.

    Parameters
    ----------
    scale : float
        1 for a picture about 10 inches wide.

    Returns
    -------
    context manager
        In force while a figure is made *and* drawn.

    Examples
    --------
    >>> import matplotlib
    >>> with lecture_style():
    ...     matplotlib.rcParams["font.size"]
    18.0
    """
    return rc_context(
        {
            "font.size": 18 * scale,
            "axes.titlesize": 20 * scale,
            "axes.labelsize": 19 * scale,
            "xtick.labelsize": 16 * scale,
            "ytick.labelsize": 16 * scale,
            "legend.fontsize": 15 * scale,
            "lines.linewidth": 2.6 * scale,
            "axes.linewidth": 1.4 * scale,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.grid": True,
            "grid.color": "#e3e3e3",
            "grid.linewidth": 1.0,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "figure.constrained_layout.use": True,
            "savefig.dpi": 110,
        }
    )
