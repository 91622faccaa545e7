"""How often noise makes a less likely token overtake a likelier one, which no temperature does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RANKED", "likeliest", "rank_swaps"]

RANKED = 10
"""How many of the likeliest tokens are compared with each other."""


def likeliest(clean: NDArray[Any]) -> NDArray[np.intp]:
    """Columns (..., 10) of the ten likeliest tokens in any order; of all where there are fewer."""
    count = min(RANKED, clean.shape[-1])
    return np.argpartition(-clean, count - 1, axis=-1)[..., :count]


def rank_swaps(clean: NDArray[Any], noisy: NDArray[Any]) -> NDArray[np.float64]:
    """Share of pairs among the ten likeliest tokens that stand in the opposite order.

    Parameters
    ----------
    clean : ndarray, shape (..., V)
        Logits or probabilities that define the ranks; −inf for a token to leave out.
    noisy : ndarray, shape (..., V)
        What may put them in another order: only its order counts.

    Returns
    -------
    ndarray, shape (...)
        0 where no pair has changed places and where all are tied, 1 where all have. Ties in either
        are no swap.

    Examples
    --------
    One of three pairs:

    >>> rank_swaps(np.array([[2.0, 1.0, 0.0]]), np.array([[5.0, 0.0, 1.0]])).round(3)
    array([0.333])
    """
    top = likeliest(clean)
    ranks, others = (np.take_along_axis(each, top, axis=-1) for each in (clean, noisy))
    above = ranks[..., :, None] > ranks[..., None, :]
    above &= np.isfinite(ranks)[..., None, :]
    swapped = above & (others[..., :, None] < others[..., None, :])
    pairs = above.sum(axis=(-2, -1))
    return swapped.sum(axis=(-2, -1)) / np.maximum(pairs, 1)
