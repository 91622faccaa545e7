r"""Thermodynamics from one pass over the logits: a density of states with moments.

All that the sums over a spectrum need is how many levels lie where. The levels of a position are
counted into bins, :math:`M_{bk} = \sum_{i \in b} \delta_i^k`, k = 0 … 3, with δ the distance from
the middle of the bin; at any β after that

.. math:: Z(\beta) = \sum_b e^{\beta z_b} \sum_{k=0}^{3} \frac{\beta^k}{k!} M_{bk} .

The number of bins follows from the tolerance (:func:`llm_bridge.error_bounds.largest_exponent`). A
steep β needs narrow bins but sums only those next to the end of the spectrum, as far as levels
count. Where narrow bins would be too many, at |β| of a hundred, the few levels that count there are
summed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.error_bounds import FIELDS, largest_exponent, reach
from llm_bridge.level_histogram import MOMENTS, add_levels, sum_bins
from llm_bridge.logit_arrays import LARGEST, MASKED_AT
from thermo.canonical import boltzmann_sums

__all__ = ["BinnedSums", "UnusableRowError", "binned_sums"]

FloatArray = NDArray[np.float64]

_MOST_BINS = 16384  # four moments of each: 512 kB, of which levels fill a part
_NARROWEST = _MOST_BINS * np.finfo(np.float64).tiny  # the inverse of a bin's width is finite
_DEVICE_BLOCK = 1 << 22  # logits at a time on a GPU, at most


class UnusableRowError(ValueError):
    """NaN, too large or no token left at some position; whoever calls says where."""


@dataclass(frozen=True, eq=False)
class BinnedSums:
    """Sums over the levels of N positions at B inverse temperatures.

    Attributes
    ----------
    fields : ndarray, shape (5, N, B)
        In the order of `llm_bridge.error_bounds.FIELDS`.
    lowest, highest : ndarray, shape (N, 1)
        The ends of the logits at each position.
    half_width : ndarray, shape (N, B)
        Half the width of the bins that were used, 0 where levels were summed one by one.
    """

    fields: FloatArray
    lowest: FloatArray
    highest: FloatArray
    half_width: FloatArray


def binned_sums(
    logits: Any, beta: FloatArray, valid: NDArray[np.bool_], tolerance: float, threads: int
) -> BinnedSums:
    """Sum over the levels of every position, at all β, from one pass over the logits.

    Parameters
    ----------
    logits : ndarray or torch.Tensor, shape (N, V)
        On a GPU they are counted there; in main memory one row at a time, so that neither 16-bit
        logits nor a file mapped into memory is ever copied as a whole.
    beta : ndarray of float, shape (B,)
    valid : ndarray of bool, shape (V,)
    tolerance : float
        The largest error of ln Z, 1e-8 … 1e-3.
    threads : int
        For logits in main memory; the result does not depend on it.

    Returns
    -------
    BinnedSums

    Raises
    ------
    UnusableRowError
        NaN, a logit that is too large, or no token left at some position.
    """
    count, vocabulary = logits.shape
    found = BinnedSums(
        np.empty((len(FIELDS), count, beta.size)),
        np.empty((count, 1)),
        np.empty((count, 1)),
        np.zeros((count, beta.size)),
    )
    x = largest_exponent(tolerance)
    chosen = np.flatnonzero(valid)
    together = chosen[-1] - chosen[0] + 1 == chosen.size  # as in a padded vocabulary: no copy
    columns: Any = slice(int(chosen[0]), int(chosen[-1]) + 1) if together else chosen

    def keep(position: int, row: Any, bins: _Bins, moments: FloatArray) -> None:
        found.lowest[position], found.highest[position] = bins.lowest, bins.highest
        found.half_width[position, bins.used] = bins.width / 2
        found.fields[:, position] = _fields(row, beta, bins, moments)

    def count_row(position: int) -> None:
        row = _row_in_memory(logits, position)[columns]
        bins = _bins(*_ends(row), beta, x)
        moments = np.zeros((bins.steps + 1, MOMENTS))
        add_levels(row, bins.lowest, bins.per_nat, moments)
        keep(position, row, bins, moments)

    def count_on_device(start: int, stop: int) -> None:
        rows = logits.detach()[start:stop][:, columns]
        bins_of = [_bins(*_ends(row), beta, x) for row in rows]
        for r, moments in enumerate(_moments_on_device(rows, bins_of)):
            keep(start + r, rows[r], bins_of[r], moments)

    if _on_gpu(logits):
        # Working copies take some 40 bytes per logit: a 256th of them at a time, or one row.
        step = max(1, min(_DEVICE_BLOCK, logits.numel() // 256) // vocabulary)
        for start in range(0, count, step):
            count_on_device(start, min(start + step, count))
    elif threads == 1 or count == 1:
        for position in range(count):
            count_row(position)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(count_row, range(count)):  # an error or Ctrl-C cancels what waits
                pass
    return found


@dataclass(frozen=True)
class _Bins:
    """The bins of one position: centred on `lowest`, on `highest` and on equal steps between."""

    lowest: float
    highest: float
    steps: int
    width: float
    used: NDArray[np.bool_]  # (B,): the β at which the bins are narrow enough

    @property
    def per_nat(self) -> float:
        return 1.0 / self.width if self.width else 0.0


def _bins(lowest: float, highest: float, beta: FloatArray, x: float) -> _Bins:
    """As many bins as the steepest β needs for |βδ| ≤ x, if that is not more than is sensible."""
    extent = highest - lowest
    if extent == 0:
        return _Bins(lowest, highest, 0, 0.0, np.isfinite(beta))
    if extent < _NARROWEST:  # summed level by level at every β
        return _Bins(lowest, highest, 0, 0.0, np.zeros(beta.shape, dtype=bool))
    with np.errstate(over="ignore"):
        steps = np.abs(beta) * (extent / (2 * x))
    used = steps < _MOST_BINS
    enough = int(np.max(steps, where=used, initial=0.0)) + 1
    return _Bins(lowest, highest, enough, extent / enough, used)


def _fields(row: Any, beta: FloatArray, bins: _Bins, moments: FloatArray) -> FloatArray:
    """The five fields of a position (5, B), from moments or, where β is too steep, from levels."""
    fields = np.empty((len(FIELDS), beta.size))
    for below in (False, True):
        side = np.signbit(beta) == below
        binned, steep = side & bins.used, side & ~bins.used
        if binned.any():
            fields[:, binned] = _from_moments(beta[binned], bins, moments, row.shape[0], below)
        if steep.any():
            fields[:, steep] = _from_levels(
                row, beta[steep], bins.lowest if below else bins.highest
            )
    return fields


def _from_moments(
    beta: FloatArray, bins: _Bins, moments: FloatArray, levels: int, below: bool
) -> FloatArray:
    """The five fields (5, B) at β that all favour the same end of the spectrum."""
    y = np.abs(beta) * bins.width
    order = np.argsort(y)
    sums = np.empty((4, beta.size))
    sum_bins(moments, y[order], reach(1.0, levels), not below, sums)
    rest, first, second, rest_doubled = sums[:, np.argsort(order)]
    ground = moments[0 if below else -1, 0]
    total = ground + rest
    mean = first / total  # of the distance from the favoured end, in bins
    variance = np.maximum(second / total - mean**2, 0.0)
    # The favoured levels have weight 1. They stay apart, inside log1p: what all others add may be
    # far below 1e-16 of it.
    log_rest = np.log1p(rest / ground)
    log_sum = np.log(ground) + log_rest
    gap, end = mean * bins.width, bins.lowest if below else bins.highest
    return np.stack(
        [
            log_sum + beta * end,
            (-gap if below else gap) - end,
            variance * bins.width**2,
            np.maximum(log_sum + y * mean, 0.0),
            np.maximum(log_sum + log_rest - np.log1p(rest_doubled / ground), 0.0),
        ]
    )


def _from_levels(row: Any, beta: FloatArray, end: float) -> FloatArray:
    """The five fields (5, B) at β so steep that only levels next to one end have any weight."""
    far = reach(beta, row.shape[0]).max()
    near = row[(row > MASKED_AT) & (row >= end - far) & (row <= end + far)]
    found = boltzmann_sums(-_as_numpy(near).astype(np.float64), None, beta)
    return np.stack([getattr(found, name) for name in FIELDS])


def _ends(row: Any) -> tuple[float, float]:
    """Lowest and highest logit of a row (V,), masks left out."""
    lowest, highest = float(row.min()), float(row.max())  # both NaN if any is
    if not MASKED_AT < highest <= LARGEST:
        raise UnusableRowError
    if lowest <= MASKED_AT:
        lowest = float(row[row > MASKED_AT].min())
    return lowest, highest


def _row_in_memory(logits: Any, position: int) -> NDArray[Any]:
    """One row as float32 or float64, without a copy where it is one already."""
    row = logits[position]
    if hasattr(row, "detach"):
        row = row.detach().cpu()
        row = (row if row.element_size() == 8 else row.float()).numpy()
    kind = np.float32 if row.dtype.itemsize <= 4 else np.float64
    return np.require(row, kind, ["C", "A"])  # a file may be mapped at an odd place


def _moments_on_device(rows: Any, bins_of: Sequence[_Bins]) -> list[FloatArray]:
    """`add_levels` for a block of rows by torch, on the device of the tensor; moments come back."""
    import torch

    def column(values: list[float]) -> Any:
        return torch.tensor(values, dtype=torch.float64, device=rows.device)[:, None]

    stride = max(bins.steps for bins in bins_of) + 1
    is_open = rows > MASKED_AT
    t = rows.double() - column([bins.lowest for bins in bins_of])
    t *= column([bins.per_nat for bins in bins_of])
    t = torch.where(is_open, t, 0.0)
    nearest = torch.floor(t + 0.5)
    t -= nearest
    nearest += stride * torch.arange(len(rows), device=rows.device)[:, None]
    index = nearest.long().ravel()
    power = is_open.double()
    sums = []
    for _ in range(MOMENTS):
        sums.append(torch.bincount(index, power.ravel(), len(rows) * stride))
        power *= t
    moments = torch.stack(sums, -1).reshape(len(rows), stride, MOMENTS).cpu().numpy()
    return [row[: bins.steps + 1] for row, bins in zip(moments, bins_of, strict=True)]


def _on_gpu(logits: Any) -> bool:
    return bool(getattr(logits, "is_cuda", False))


def _as_numpy(array: Any) -> NDArray[Any]:
    return array if isinstance(array, np.ndarray) else array.double().cpu().numpy()
