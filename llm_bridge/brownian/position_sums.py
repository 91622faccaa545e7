"""What is left of noisy logits after one pass over the vocabulary, position by position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from llm_bridge.brownian.rank_swaps import MeanSwaps, likeliest, swaps_of_mean
from llm_bridge.logit_arrays import as_logits, is_masked, row_blocks
from thermo.errors import InvalidInputError

__all__ = ["PositionSums", "checked_logits", "position_sums"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PositionSums:
    """What is left of the (draws, N, V) probabilities after summing over the vocabulary."""

    energy: FloatArray  # (draws, N) mean energy −Σ p z of each noisy model, in clean logits
    aleatoric: FloatArray  # (draws, N) entropy of each noisy model
    flips: FloatArray  # (draws, N) 1 where the most likely token is not the clean one
    entropy_mean: FloatArray  # (N,) entropy of the mean distribution
    entropy_without: FloatArray  # (blocks, N) entropy_mean with one block of draws left out
    swaps: MeanSwaps  # share of pairs of likely tokens that the mean distribution swaps


def position_sums(
    clean: NDArray[Any], noisy: NDArray[Any], mask: NDArray[np.bool_], size: int
) -> PositionSums:
    """One pass over the logits in blocks of positions, in float64."""
    draws, positions, vocabulary = noisy.shape
    blocks = draws // size
    energy, aleatoric, flips = (np.empty((draws, positions)) for _ in range(3))
    entropy_mean, entropy_without = np.empty(positions), np.empty((blocks, positions))
    ranked: list[tuple[FloatArray, FloatArray]] = []  # of the likeliest tokens only
    for rows in row_blocks(positions, vocabulary * (blocks + 4), numbers=1 << 21):
        open_tokens = mask[rows]
        z = np.where(open_tokens, clean[rows], 0.0).astype(np.float64)
        ranks = np.where(open_tokens, clean[rows], -np.inf)
        top = ranks.argmax(axis=1)
        likely = likeliest(ranks)
        ranks = np.take_along_axis(ranks, likely, axis=1)
        block_mean = np.zeros((blocks, *z.shape))
        for k in range(draws):
            x = np.where(open_tokens, noisy[k, rows], -np.inf).astype(np.float64)
            flips[k, rows] = x.argmax(axis=1) != top
            x -= x.max(axis=1, keepdims=True)
            p = np.exp(x)
            total = p.sum(axis=1, keepdims=True)
            p /= total
            x[~open_tokens] = 0.0  # there p = 0
            energy[k, rows] = -np.einsum("tv,tv->t", p, z)
            aleatoric[k, rows] = np.log(total[:, 0]) - np.einsum("tv,tv->t", p, x)
            block_mean[k // size] += p / size
        mean = block_mean.mean(axis=0)
        entropy_mean[rows] = _entropy(mean)
        ranked.append((ranks, np.take_along_axis(block_mean, likely[None], axis=2)))
        for j in range(blocks):
            if blocks == 1:
                entropy_without[j, rows] = entropy_mean[rows]
            else:  # a step away from the mean; rounding may leave −1e−17 where p = 0
                left = mean + (mean - block_mean[j]) / (blocks - 1)
                entropy_without[j, rows] = _entropy(np.maximum(left, 0.0))
    swaps = swaps_of_mean(
        np.concatenate([ranks for ranks, _ in ranked]),
        np.concatenate([means for _, means in ranked], axis=1),
    )
    return PositionSums(energy, aleatoric, flips, entropy_mean, entropy_without, swaps)


def _entropy(p: FloatArray) -> FloatArray:
    return -xlogy(p, p).sum(axis=-1)


def checked_logits(
    clean: Any, noisy: Any, valid: ArrayLike | None, antithetic: bool
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Logits over the valid columns, and which tokens are open everywhere, (N, V)."""
    levels, columns = as_logits(clean, valid, name="the clean logits")
    members, _ = as_logits(noisy, columns, ndim=3, name="the noisy logits")
    if members.shape[1:] != levels.shape:
        raise InvalidInputError(
            f"clean logits have shape {levels.shape} and noisy ones {members.shape}; (N, V) and "
            "(draws, N, V) of the same text and vocabulary are needed."
        )
    draws = members.shape[0]
    if antithetic and draws > 1 and draws % 2:
        raise InvalidInputError(
            f"{draws} draws cannot be antithetic pairs; give an even number, or antithetic=False "
            "for independent draws."
        )
    if not columns.all():
        levels, members = levels[:, columns], members[:, :, columns]
    mask = ~is_masked(levels)
    for member in members:
        mask &= ~is_masked(member)
    if not mask.any(axis=1).all():
        where = int(np.argmin(mask.any(axis=1)))
        raise InvalidInputError(
            f"at position {where} the clean and the noisy logits leave no token unmasked in common."
        )
    return levels, members, mask
