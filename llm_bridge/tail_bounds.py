"""What k largest probabilities and a total of 1 leave open, bounded over all that it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["TailBounds", "log_sum"]

FloatArray = NDArray[np.float64]

_ARITHMETIC = 1e-12  # what float64 can lose in a sum of probabilities
_NOTHING = -40.0  # log-odds at which a group adds less than that to an entropy


@dataclass(frozen=True, eq=False)
class TailBounds:
    """Bounds at one β at a time, arrays (N,); the fields are those of `TopLogprobs`, checked."""

    listed: FloatArray
    cap: FloatArray
    vocabulary_size: int
    rounding: float

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Tokens listed at each position."""
        return np.isfinite(self.listed).sum(axis=1)

    @cached_property
    def others(self) -> NDArray[np.int64]:
        """Tokens not listed at each position."""
        return self.vocabulary_size - self.counts

    @cached_property
    def remaining(self) -> tuple[FloatArray, FloatArray]:
        """Their probability; the lower bound is above the upper where the lists contradict it."""
        total = np.exp(log_sum(self.listed))
        least = np.maximum(1.0 - total * np.exp(self.rounding) - _ARITHMETIC, 0.0)
        most = np.maximum(1.0 - total * np.exp(-self.rounding) + _ARITHMETIC, 0.0)
        room = self.others * np.exp(np.minimum(self.cap + self.rounding, 0.0))
        return least, np.minimum(most, room)

    def log_partition_function(self, beta: float) -> tuple[FloatArray, FloatArray]:
        """Bounds of ln Σ p^β, exact at β = 0 and 1."""
        if beta in (0.0, 1.0):
            exact = np.full(len(self.cap), np.log(self.vocabulary_size) if beta == 0 else 0.0)
            return exact, exact
        known = log_sum(beta * self.listed)
        least, most = self._log_tail(beta)
        slack = beta * self.rounding
        return np.logaddexp(known - slack, least), np.logaddexp(known + slack, most)

    def entropy(self, beta: float) -> tuple[FloatArray, FloatArray]:
        """Bounds from two groups, listed and not: h(w) + (1 − w) a + w s, w the weight of the rest.

        How much entropy s the rest can have depends on its weight R = Σ q^β, so that both run along
        w together. No q is above c: s ≥ ln(R/c^β). And s ≤ ln n, for β > 1 also at most the Rényi
        entropy of order β, (β ln m − ln R)/(β − 1), because ln Z is convex.
        """
        most = np.log(self.vocabulary_size)
        if beta == 0:
            return np.full(len(self.cap), most), np.full(len(self.cap), most)
        known = log_sum(beta * self.listed)
        within = _entropy_of(beta * self.listed - known[:, None])
        slack = beta * self.rounding
        # Rounding moves the entropy of K states by at most twice that times ln K; and the odds.
        blur = 2 * slack * np.log(self.counts)
        least_odds, most_odds = (edge - known for edge in self._log_tail(beta))
        low = np.maximum(least_odds - slack, _NOTHING)
        high = np.maximum(most_odds + slack, _NOTHING)
        # Log-odds of a single token at the cap.
        one = beta * np.minimum(self.cap + 2 * self.rounding, 0.0) - known
        spread = np.log(np.maximum(self.others, 1))
        with np.errstate(divide="ignore"):
            log_mass = np.log(self.remaining[1])

        def least(odds: FloatArray) -> FloatArray:
            return _of_two_groups(odds, within - blur, np.maximum(odds - one, 0.0))

        def largest(odds: FloatArray) -> FloatArray:
            in_rest = spread
            if beta > 1:
                renyi = (beta * log_mass + slack - known - odds) / (beta - 1)
                in_rest = np.clip(renyi, 0.0, spread)
            return _of_two_groups(odds, within + blur, in_rest)

        # `largest` is concave in w. `least` is concave while the rest is below one token at the cap
        # and convex after that: it is smallest at an end, at the kink, or where 1/(1−w) = a − one.
        steep = within - blur + one
        turn = np.log(np.maximum(steep - 1, 1e-300))
        lower = np.min([least(np.clip(x, low, high)) for x in (low, high, one, turn)], axis=0)
        upper = largest(_peak(largest, low, high))
        return np.clip(lower, 0.0, most), np.clip(upper, 0.0, most)

    def _log_tail(self, beta: float) -> tuple[FloatArray, FloatArray]:
        """ln of the least and the most that Σ q^β over the tokens not listed can be."""
        (least, most), n = self.remaining, self.others
        log_cap = np.minimum(self.cap + self.rounding, 0.0)
        cap = np.exp(log_cap)

        def evenly(mass: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore", invalid="ignore"):
                log_n = np.log(n)
                return np.where(mass > 0, log_n + beta * (np.log(mass) - log_n), -np.inf)

        def together(mass: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore", invalid="ignore"):
                full = np.where(cap > 0, np.floor(mass / cap), 0.0)
                rest = np.maximum(mass - full * cap, 0.0)
                parts = np.logaddexp(np.log(full) + beta * log_cap, beta * np.log(rest))
            return np.where(mass > 0, parts, -np.inf)

        if beta < 1:
            return together(least), evenly(most)
        return evenly(least), together(most)


def log_sum(x: FloatArray) -> FloatArray:
    """ln Σ e^x over the last axis, −inf for rows of −inf."""
    most = x.max(axis=-1)
    shift = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        return shift + np.log(np.exp(x - shift[:, None]).sum(axis=-1))


def _entropy_of(log_p: FloatArray) -> FloatArray:
    p = np.exp(log_p)
    return -(p * np.where(p > 0, log_p, 0.0)).sum(axis=-1)


def _of_two_groups(odds: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Entropy of two groups of states with entropies of their own; log-odds of the second."""
    log_total = np.logaddexp(0.0, odds)
    w = np.exp(odds - log_total)
    return log_total - w * odds + (1 - w) * first + w * second


def _peak(f: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Where functions with a single peak have it, one for each position: golden sections."""
    ratio = (np.sqrt(5.0) - 1) / 2
    for _ in range(80):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        rises = f(left) <= f(right)
        low, high = np.where(rises, left, low), np.where(rises, high, right)
    return 0.5 * (low + high)
