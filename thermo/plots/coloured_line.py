"""A curve whose colour tells its temperature, from point to point."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import ArrayLike

from thermo.plots.style import color_of

__all__ = ["plot_along_beta"]


def plot_along_beta(
    ax: Axes, x: ArrayLike, y: ArrayLike, b: ArrayLike, *, width: float = 5.0
) -> Axes:
    """Draw a line in the colours of β along it.

    Parameters
    ----------
    ax : Axes
    x, y : array_like, shape (K,)
    b : array_like, shape (K,)
        β in natural units, βσ₀, at these points.
    width : float
        Of the line, in points.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_along_beta(Figure().subplots(), [0, 1, 2], [0, 1, 0], [1.0, 0.0, -1.0])
    >>> len(ax.collections[0].get_segments())
    2
    """
    points = np.stack(np.broadcast_arrays(x, y), axis=1).astype(np.float64)
    between = np.asarray(b, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # ∞ − ∞, between points that have no temperature between
        between = 0.5 * (between[1:] + between[:-1])
    line = LineCollection(
        list(np.stack([points[:-1], points[1:]], axis=1)),
        colors=list(color_of(between)),
        linewidths=width,
        capstyle="round",
    )
    ax.add_collection(line)
    ax.autoscale_view()
    return ax
