"""The bottom of the logits: which token is least likely, and by how much, against rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.logit_arrays import as_logits, is_masked
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError
from thermo.run.progress_bar import progress_bar

__all__ = ["Bottom", "PRECISIONS", "RankStatistics", "descend", "rank_statistics", "spacing"]

FloatArray = NDArray[np.float64]

PRECISIONS = {"float32": 23, "bfloat16": 7, "float16": 10}
"""Bits of the mantissa of the types in which logits are stored."""


@dataclass(frozen=True, eq=False)
class Bottom:
    """The least likely token of n contexts. Of equal logits the lowest id counts.

    Attributes
    ----------
    token : ndarray of int64, shape (n,)
        The argmin: what T → 0⁻ draws.
    lowest, gap : ndarray of float64, shape (n,)
        The lowest logit, and how far above it the second lowest is, in nats.
    prompt : ndarray of int64, shape (n,)
        Which prompt the context belongs to: contexts of one prompt are not independent.
    sigma : ndarray of float64, shape (n,)
        Standard deviation of the logits over the vocabulary.
    candidates : int
        Tokens that took part.
    """

    token: NDArray[np.int64]
    lowest: FloatArray
    gap: FloatArray
    prompt: NDArray[np.int64]
    sigma: FloatArray
    candidates: int

    def share(self, size: int) -> tuple[FloatArray, FloatArray]:
        """How often each of ``size`` tokens is the argmin, with standard errors over prompts."""
        prompts = int(self.prompt.max()) + 1
        found = np.bincount(self.prompt * size + self.token, minlength=prompts * size)
        counts = found.reshape(prompts, size).astype(np.float64)
        return ratio_over_prompts(counts, np.bincount(self.prompt))

    def share_of(self, tokens: NDArray[np.bool_]) -> tuple[float, float]:
        """How often the argmin is one of these tokens, a mask (V,); with its error."""
        return self._share_where(tokens[self.token])

    def within_spacing(self, precision: str) -> tuple[float, float]:
        """Share of contexts whose gap is at most one step of a float type, with its error.

        There the argmin is a matter of rounding, if the logits were stored in that type.
        """
        return self._share_where(self.gap <= spacing(self.lowest, precision))

    def _share_where(self, found: NDArray[np.bool_]) -> tuple[float, float]:
        sums = np.bincount(self.prompt, found.astype(np.float64))
        value, error = ratio_over_prompts(sums[:, None], np.bincount(self.prompt))
        return float(value[0]), float(error[0])

    def summary(self) -> dict[str, Any]:
        r"""Numbers of this bottom, ready for JSON.

        ``gaussian_gap`` is what the gap of normal logits would be, :math:`\sigma/\sqrt{2\ln V}`.
        """
        sigma = float(self.sigma.mean())
        at = {name: self.within_spacing(name) for name in PRECISIONS}
        return {
            "contexts": int(self.token.size),
            "tokens": int(np.unique(self.token).size),
            "sigma": sigma,
            "median_lowest": float(np.median(self.lowest)),
            "median_gap": float(np.median(self.gap)),
            "gaussian_gap": sigma / float(np.sqrt(2 * np.log(max(self.candidates, 2)))),
            "spacing": {n: float(np.median(spacing(self.lowest, n))) for n in PRECISIONS},
            "within_spacing": {name: value for name, (value, _) in at.items()},
            "within_spacing_error": {n: e if np.isfinite(e) else None for n, (_, e) in at.items()},
        }


@dataclass(frozen=True, eq=False)
class RankStatistics:
    """Where each token stands in the predictions of many contexts; arrays (V,), NaN if left out.

    Attributes
    ----------
    mean_rank, mean_rank_error
        Tokens below it, 0 for the least likely. Of equal logits the lowest id comes first.
    mean_z, mean_z_error
        Logit in standard deviations from the mean of its position.
    bottom : Bottom
        The argmin of every context.
    """

    mean_rank: FloatArray
    mean_rank_error: FloatArray
    mean_z: FloatArray
    mean_z_error: FloatArray
    bottom: Bottom


def spacing(values: Any, precision: str) -> FloatArray:
    """Distance between neighbouring numbers of a float type, at the size of these values.

    Parameters
    ----------
    values : array_like
    precision : {"float32", "bfloat16", "float16"}

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> spacing([-9.8, -20.0], "bfloat16"), spacing([-9.8, -20.0], "float16")
    (array([0.0625, 0.125 ]), array([0.0078125, 0.015625 ]))
    """
    smallest = 2.0**-14 if precision == "float16" else 2.0**-126
    size = np.maximum(np.abs(np.asarray(values, dtype=np.float64)), smallest)
    return np.asarray(np.exp2(np.floor(np.log2(size)) - PRECISIONS[precision]))


def rank_statistics(
    model: LanguageModel,
    prompts: Sequence[NDArray[np.int64]],
    candidates: NDArray[np.bool_],
    positions: str = "all",
    progress: bool = False,
) -> RankStatistics:
    """Read prompts and gather where every token stands: one step from text that others wrote.

    Parameters
    ----------
    model : LanguageModel
    prompts : sequence of ndarray of int64
    candidates : ndarray of bool, shape (V,)
        Tokens that take part.
    positions : {"all", "last"}
        Every prefix of a prompt as a context, or the whole prompt only.
    progress : bool

    Returns
    -------
    RankStatistics
    """
    columns = np.flatnonzero(candidates)
    total = 0
    # Per token: Σ s, Σ s², Σ s·n over prompts, where s is a prompt's sum and n its contexts.
    ranks, scores = np.zeros((3, columns.size)), np.zeros((3, columns.size))
    counts: list[int] = []
    found: list[tuple[NDArray[Any], ...]] = []
    with progress_bar(progress, len(prompts), unit="prompt", what="reading") as bar:
        for k, ids in enumerate(prompts):
            rows = model.logits(ids)
            z = _open(rows[-1:] if positions == "last" else rows, candidates)
            order = z.argsort(axis=1, kind="stable")
            rank = np.empty_like(order)
            np.put_along_axis(rank, order, np.arange(columns.size)[None], axis=1)
            sigma = z.std(axis=1)
            score = (z - z.mean(axis=1, keepdims=True)) / np.where(sigma > 0, sigma, 1.0)[:, None]
            for sums, values in ((ranks, rank), (scores, score)):
                s = values.sum(axis=0, dtype=np.float64)
                sums += [s, s * s, s * len(z)]
            counts.append(len(z))
            found.append((columns[order[:, 0]], *_lowest(z, order), np.full(len(z), k), sigma))
            total += len(z)
            bar.update()
    out = np.full((4, candidates.size), np.nan)
    squares = float(np.square(counts).sum())
    for first, sums in ((0, ranks), (2, scores)):
        out[first : first + 2, columns] = _ratio(sums, total, squares, len(counts))
    return RankStatistics(out[0], out[1], out[2], out[3], _gathered(found, columns.size))


def descend(
    model: LanguageModel,
    prompts: Sequence[NDArray[np.int64]],
    candidates: NDArray[np.bool_],
    steps: int,
    progress: bool = False,
) -> Bottom:
    """Follow T → 0⁻ from every prompt: each argmin becomes the next input.

    Unlike `rank_statistics` these contexts are of the model's own making, and its answers to them
    say little about text.

    Parameters
    ----------
    model, prompts, candidates, progress
        As `rank_statistics`.
    steps : int
        Tokens from each prompt.

    Returns
    -------
    Bottom
        Of steps × prompts contexts, prompt by prompt.
    """
    import torch

    from llm_bridge.decoding.cached_reader import CachedReader

    columns = np.flatnonzero(candidates)
    found: dict[int, list[tuple[NDArray[Any], ...]]] = {k: [] for k in range(len(prompts))}
    with progress_bar(progress, steps * len(prompts), unit="token", what="descending") as bar:
        for batch in _of_one_length(prompts):
            reader = CachedReader(model)
            tokens = np.stack([prompts[k] for k in batch])
            for _ in range(steps):
                rows = reader.read(torch.from_numpy(tokens)).float().cpu().numpy()
                z = _open(rows, candidates)
                order = z.argsort(axis=1, kind="stable")
                drawn = columns[order[:, 0]]
                parts = (drawn, *_lowest(z, order), np.array(batch), z.std(axis=1))
                for row, k in enumerate(batch):
                    found[k].append(tuple(part[row : row + 1] for part in parts))
                tokens = drawn[:, None]
                bar.update(len(batch))
    return _gathered([part for k in found for part in found[k]], columns.size)


def ratio_over_prompts(sums: NDArray[Any], counts: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Σ sums / Σ counts with its standard error, prompts (P, …) being independent of each other.

    One prompt alone has no error: NaN.

    Examples
    --------
    >>> ratio_over_prompts(np.array([[1.0], [3.0]]), np.array([2, 2]))
    (array([1.]), array([0.5]))
    """
    n = np.asarray(counts, dtype=np.float64)
    moments = np.stack([sums.sum(0), np.square(sums).sum(0), (sums * n[:, None]).sum(0)])
    return _ratio(moments, float(n.sum()), float((n * n).sum()), len(n))


def _ratio(
    moments: FloatArray, total: float, squares: float, prompts: int
) -> tuple[FloatArray, FloatArray]:
    """Ratio estimator r = Σs/Σn, its variance P/(P−1) Σ(s − rn)²/(Σn)² (Cochran 1977, 6.4).

    From moments Σs, Σs², Σsn, shape (3, …), and Σn, Σn².
    """
    first, second, weighted = moments
    value = first / total
    if prompts < 2:
        return value, np.full_like(value, np.nan)
    rest = np.maximum(second - 2 * value * weighted + value**2 * squares, 0.0)
    return value, np.sqrt(prompts / (prompts - 1) * rest) / total


def _open(rows: NDArray[Any], candidates: NDArray[np.bool_]) -> FloatArray:
    """Logits of the candidates; a model that masks some of them itself would make them argmin."""
    array, _ = as_logits(rows, candidates)
    z = array[:, candidates].astype(np.float64)
    if is_masked(z).any():
        token = int(np.flatnonzero(candidates)[np.argmax(is_masked(z).any(axis=0))])
        raise InvalidInputError(
            f"the model itself masks token {token}, which can then be no argmin; accepted: a list "
            "of candidates without it."
        )
    return z


def _lowest(z: FloatArray, order: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """The lowest logit of each row, and the gap to the next (infinite if it is the only one)."""
    ends = np.take_along_axis(z, order[:, :2], axis=1)
    if ends.shape[1] < 2:
        return ends[:, 0], np.full(len(z), np.inf)
    return ends[:, 0], ends[:, 1] - ends[:, 0]


def _gathered(found: list[tuple[NDArray[Any], ...]], candidates: int) -> Bottom:
    token, lowest, gap, prompt, sigma = (np.concatenate(part) for part in zip(*found, strict=True))
    return Bottom(token, lowest, gap, prompt, sigma, candidates)


def _of_one_length(prompts: Sequence[NDArray[Any]], most: int = 64) -> Iterator[list[int]]:
    for length in sorted({prompt.size for prompt in prompts}):
        alike = [k for k, prompt in enumerate(prompts) if prompt.size == length]
        for start in range(0, len(alike), most):
            yield alike[start : start + most]
