"""How far independent chains are from an exact value, in standard errors of their own."""

from __future__ import annotations

import numpy as np
from goodness_of_fit import student_limit

RATE = 1e-5  # of false alarms of one call of `agrees`, whatever the number of values


def agrees(series: np.ndarray, exact: float) -> bool:
    """Whether chains (chain, draw) have this mean, by Student's t of the means of the chains.

    Means of many draws are nearly Gaussian and the chains are independent, so that no
    autocorrelation time is needed.
    """
    means = np.asarray(series).mean(axis=-1)
    error = means.std(ddof=1) / np.sqrt(len(means))
    return bool(abs(means.mean() - exact) < student_limit(len(means), 1, RATE) * error)


def relative_error(series: np.ndarray) -> float:
    """Standard error of the mean over the mean: how sharp `agrees` is."""
    means = np.asarray(series).mean(axis=-1)
    return float(means.std(ddof=1) / np.sqrt(len(means)) / abs(means.mean()))
