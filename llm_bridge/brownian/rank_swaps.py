"""How often noise makes a less likely token overtake a likelier one, which no temperature does."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["RANKED", "MeanSwaps", "likeliest", "rank_swaps", "swaps_of_mean"]

RANKED = 10
"""How many of the likeliest tokens are compared with each other."""

_GROUPS = 4  # of draws; if single ones were left out, few pairs would change places, or none


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


class MeanSwaps(NamedTuple):
    """Swaps in the mean of so many draws, and what is left of them for ever more draws."""

    counted: NDArray[np.float64]  # (N,) in the mean of all blocks
    value: NDArray[np.float64]  # (N,) extrapolated
    without: NDArray[np.float64]  # (groups, N) the same with one group of draws left out


def swaps_of_mean(clean: NDArray[Any], blocks: NDArray[np.float64]) -> MeanSwaps:
    r"""Rank swaps of a mean distribution that is known from a few independent draws.

    Two tokens of nearly the same probability change places in a mean of n draws by chance. Where
    tokens are as likely to be that close as a little closer, the share of such pairs falls as
    :math:`1/\sqrt n`. With r(n) the share counted in the mean of all and r(h) that in means of
    half of them,

    .. math:: r(\infty) = r(n) - \frac{r(h) - r(n)}{\sqrt{n/h} - 1} .

    This takes too much off where noise swaps tokens indeed, for there a mean that is not known
    well loses as many swaps as it adds; and too little of the first few draws. What is taken off
    therefore counts as an error.

    Parameters
    ----------
    clean : ndarray, shape (N, K)
        Logits of the likeliest tokens; −inf for a token to leave out.
    blocks : ndarray, shape (n, N, K)
        Their probabilities in independent draws, or in pairs of draws.

    Returns
    -------
    MeanSwaps
        Of a single block what is counted, unchanged.
    """
    n = len(blocks)
    counted = rank_swaps(clean, blocks.mean(axis=0))
    if n == 1:
        return MeanSwaps(counted, counted, counted[None])
    groups = np.array_split(np.arange(n), min(n, _GROUPS))
    halves = list(combinations(range(len(groups)), len(groups) // 2))
    chosen = [np.concatenate([groups[g] for g in half]) for half in halves]
    swaps = np.stack([rank_swaps(clean, blocks[each].mean(axis=0)) for each in chosen])
    excess = math.sqrt(n) * np.mean([1 / math.sqrt(each.size) for each in chosen]) - 1
    without = np.empty((len(groups), *counted.shape))
    for g, group in enumerate(groups):
        left = rank_swaps(clean, np.delete(blocks, group, axis=0).mean(axis=0))
        others = swaps[[g not in half for half in halves]].mean(axis=0)
        without[g] = left - (others - left) / excess
    return MeanSwaps(counted, counted - (swaps.mean(axis=0) - counted) / excess, without)
