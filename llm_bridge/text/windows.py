"""β along a text: the temperature of windows that slide over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_bridge.logits import LogitRecord
from llm_bridge.text.likelihood import DrawnEnergies, drawn_energies, maximum_likelihood
from thermo.arguments import as_real, finite_number, whole_number

__all__ = ["BetaAlongText", "beta_along"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BetaAlongText:
    """β fitted to windows of a text, W of them.

    Attributes
    ----------
    start, stop : ndarray of int, shape (W,)
        Positions ``start`` to ``stop`` − 1. Neighbouring windows share tokens and are not
        independent.
    beta, stderr : ndarray, shape (W,)
        Maximum-likelihood β and its error from the curvature; ±∞ and ∞ where all tokens are at an
        end of their spectrum, NaN where no β can be told.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    beta: FloatArray
    stderr: FloatArray

    @property
    def middle(self) -> FloatArray:
        """The middle of each window, in positions."""
        return 0.5 * (self.start + self.stop - 1)


def beta_along(
    record: LogitRecord, window: int = 256, stride: int | None = None, *, start: float = 1.0
) -> BetaAlongText:
    """Fit β to windows that slide along a text.

    Parameters
    ----------
    record : LogitRecord
    window : int
        Tokens per window. The error of β falls as one over its square root: 256 tokens give about
        0.05 under a model that is usually unsure. A shorter text is one window.
    stride : int, optional
        From one window to the next; default: half a window. The last window ends with the text.
    start : float
        Where to begin to look for β: that of the whole text saves time. ±∞ counts as 1.

    Returns
    -------
    BetaAlongText

    Raises
    ------
    InvalidInputError
        As `llm_bridge.text_temperature`, sizes below 1, or a start that is no number.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> logits = rng.normal(0, 2, (1000, 50))
    >>> beta = np.where(np.arange(1000) < 500, 1.0, -1.0)[:, None]
    >>> tokens = (beta * logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    >>> beta_along(LogitRecord(logits, tokens), 250, 250).beta.round(1)
    array([ 1.,  1., -1., -1.])
    """
    whole_number(window, "window", 1)
    step = max(1, window // 2) if stride is None else whole_number(stride, "stride", 1)
    endless = not np.ndim(start) and np.isinf(as_real(start, "start"))  # a text at T = ±0
    first = 1.0 if endless else finite_number(start, "start")
    drawn = drawn_energies(record)
    last = max(0, len(record) - window)
    starts = np.unique(np.append(np.arange(0, last, step), last))
    stops = np.minimum(starts + window, len(record))
    fits = [
        _fit_window(drawn.part(slice(a, b)), first)
        for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
    beta, stderr = np.array(fits).T
    return BetaAlongText(starts, stops, beta, stderr)


def _fit_window(drawn: DrawnEnergies, start: float) -> tuple[float, float]:
    if (drawn.lowest == drawn.highest).all():
        return math.nan, math.nan
    beta, state = maximum_likelihood(drawn, start)
    information = float(state.energy_variance.sum())
    return beta, 1.0 / math.sqrt(information) if information > 0 else math.inf
