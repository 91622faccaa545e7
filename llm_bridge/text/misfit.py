"""Was a text drawn at one constant β? Three tests with known false-alarm rate, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov, ndtr

from llm_bridge.logit_arrays import is_masked, row_blocks
from llm_bridge.logits import LogitRecord
from llm_bridge.text.likelihood import DrawnEnergies
from thermo.canonical import Thermodynamics

__all__ = ["Misfit", "misfit_of"]

FloatArray = NDArray[np.float64]

_BINS = 20
_DEGREES = 4  # of Legendre polynomials
_RANK = 1e-9  # eigenvalues below this part of the largest are rounding
_FEWEST = 3  # tokens that a test may hang on, `_tokens_behind`
_PAIRS = np.triu_indices(_DEGREES + 1)


@dataclass(frozen=True, eq=False)
class Misfit:
    r"""How a text departs from "every token drawn from the model at one β".

    Attributes
    ----------
    p_value : float
        Of the three tests together: three times the smallest of their p-values, at most 1. A text
        drawn at constant β gives less than α with probability at most α. NaN where no test can be
        made; ``reason`` says why.
    shape_p, drift_p, entropy_p : float
        Of each test; uniform between 0 and 1 for a text drawn at constant β. NaN where there is
        nothing to test, or too few tokens to do it: β = ±∞, two tokens in the vocabulary, a short
        text or one that the model is certain of.
    shape_gain, shape_gain_error : float
        Effect size of the first test, in nats per token: about how much likelier a token would be
        under the smooth change of the distribution that fits best, on top of the fitted β; the
        part that chance alone gives is taken off, so that it may come out below zero.
    drift : float
        Effect size of the second: the largest excursion of the running sum of scores, in standard
        deviations of that sum for the whole text. Below 1.36 in 95 % of constant-β texts.
    entropy_slope, entropy_slope_error : float
        Effect size of the third: dβ/dS, by how much the fitted β grows from positions at which the
        model is certain to those at which it is a nat of entropy less certain.
    histogram : ndarray, shape (20,)
        Density of the rank in energy of the tokens that came, from likely (first bin) to unlikely;
        1 everywhere, within errors of about √(20/N), for a text at constant β.
    reason : str
        Why there is no p-value; empty where there is one.
    """

    p_value: float
    shape_p: float
    drift_p: float
    entropy_p: float
    shape_gain: float
    shape_gain_error: float
    drift: float
    entropy_slope: float
    entropy_slope_error: float
    histogram: FloatArray
    reason: str = ""


def misfit_of(
    record: LogitRecord,
    drawn: DrawnEnergies,
    state: Thermodynamics,
    model_entropy: FloatArray,
) -> Misfit:
    r"""Test a text against the distribution at its fitted β.

    **Shape.** Order the tokens of each position by energy; the token that came takes the interval
    from F(below it) to F(it) of the cumulative distribution at the fitted β (its
    probability-integral transform; a random point in that interval would be uniform). Over the
    interval the Legendre polynomials of degree 1 … 4 are averaged: four numbers with mean 0 under
    the hypothesis and a covariance V that is known exactly from the distributions. β was fitted to
    the same text, which takes C Cᵀ/I off the covariance, C = Cov(polynomials, E), I = ΣVar(E).
    Then :math:`T = s^T (V - C C^T/I)^{-1} s` is χ² with four degrees of freedom.

    **Drift.** The running sum of scores (U − E)/√I against the running sum of Var(E)/I is, for a
    long text, a Brownian bridge; its largest excursion has Kolmogorov's distribution.

    **Entropy.** Σ (U − E)(S − S̄), normal with known variance: does β depend on how certain the
    model is at a position, as it does under entropy-dependent decoding?

    Parameters
    ----------
    record : LogitRecord
    drawn : DrawnEnergies
        Of this record.
    state : Thermodynamics
        At the fitted β, arrays (N,).
    model_entropy : ndarray, shape (N,)
        S of every position at β = 1.

    Returns
    -------
    Misfit

    Notes
    -----
    Nothing is drawn at random, and nothing assumed about the correlations in a text: given what
    came before, what comes next has exactly the distribution tested, so the scores are martingale
    differences. Tokens with equal logits are ordered by their id, which is as good as any order.

    The laws are those of sums of many terms. A text that its model is certain of hangs on the few
    tokens that could well have been others: what is expected in one of a hundred such texts comes
    in one of a hundred, and χ² calls it one of a million. How many equal terms a sum is worth,
    :math:`(\sum_t \langle x_t^2 \rangle)^2 / \sum_t \langle x_t^4 \rangle`, follows from the
    distributions. Of less than three no test is made, and those directions of the polynomials are
    left out of the first for which it is less. In ordinary text the tests need 25 to 100 tokens,
    more where the model is surer. In short texts the test of drift alarms less often than it says.

    Not every other way of writing is told: independent noise on each logit, for one, looks very
    much like a higher temperature.

    References
    ----------
    Smooth tests: J. Neyman, Skand. Aktuarietidskr. 20, 149 (1937); with a fitted parameter: D. R.
    Thomas and D. A. Pierce, J. Am. Stat. Assoc. 74, 441 (1979). Averages over the interval:
    C. Czado, T. Gneiting and L. Held, Biometrics 65, 1254 (2009). Running sums: R. L. Brown,
    J. Durbin and J. M. Evans, J. R. Stat. Soc. B 37, 149 (1975).
    """
    variance = state.energy_variance
    information = float(variance.sum())
    if not information > 0:  # β = ±∞
        nothing = "at β = ±∞ no token could have been another"
        return Misfit(*[math.nan] * 9, np.full(_BINS, math.nan), nothing)
    score = state.internal_energy - drawn.energy
    beta = float(state.beta.flat[0])
    ranks = _rank_sums(record, beta)

    slope_of_fit = ranks.coupling / information
    covariance = ranks.covariance - np.outer(ranks.coupling, slope_of_fit)
    values, vectors = np.linalg.eigh(covariance)
    directions = np.vstack([vectors, -slope_of_fit @ vectors])  # of polynomials, and of the energy
    kept = values > _RANK * max(len(record), 1)
    kept &= _tokens_behind(values, ranks.fourth_of(directions)) > _FEWEST
    degrees = int(kept.sum())
    statistic = float(((vectors[:, kept].T @ ranks.moments) ** 2 / values[kept]).sum())
    shape_p = float(chdtrc(degrees, statistic)) if degrees else math.nan
    size = 2.0 * len(record)
    beyond_chance = statistic - degrees
    gain_error = math.sqrt(2 * degrees + 4 * max(beyond_chance, 0.0)) / size

    running = np.cumsum(score) / math.sqrt(information)
    drift = float(np.abs(running).max())
    behind = _tokens_behind(information, float(ranks.energy_fourth.sum()))
    drift_p = float(kolmogorov(drift)) if behind > _FEWEST else math.nan

    centre = float((variance * model_entropy).sum()) / information
    away = model_entropy - centre
    weight = float((variance * away**2).sum())
    slope, slope_error, entropy_p = math.nan, math.nan, math.nan
    if weight > _RANK * information:
        slope, slope_error = float((score * away).sum()) / weight, 1 / math.sqrt(weight)
        if _tokens_behind(weight, float((ranks.energy_fourth * away**4).sum())) > _FEWEST:
            entropy_p = float(2 * ndtr(-abs(slope / slope_error)))

    each = (shape_p, drift_p, entropy_p)
    tested = [p for p in each if not math.isnan(p)]
    return Misfit(
        min(1.0, len(tested) * min(tested)) if tested else math.nan,
        *each,
        beyond_chance / size if degrees else math.nan,
        gain_error if degrees else math.nan,
        drift,
        slope,
        slope_error,
        ranks.histogram,
        "" if tested else "too few tokens that could well have been others",
    )


def _tokens_behind(square: Any, fourth: Any) -> Any:
    """How many equal terms make a sum whose variance and sum of fourth moments are these."""
    return np.square(square) / np.maximum(fourth, np.finfo(float).tiny)


@dataclass(frozen=True, eq=False)
class _RankSums:
    """Sums over a text of what its ranks and energies are under the distribution at one β.

    Attributes
    ----------
    moments : ndarray, shape (4,)
        Of the polynomials of the tokens that came.
    covariance, coupling : ndarray, shape (4, 4) and (4,)
        Of the polynomials, and of them with −E.
    fourth : ndarray, shape (15, 15)
        Mean products of four, of pairs of the polynomials and −E − ⟨−E⟩ with each other.
    energy_fourth : ndarray, shape (N,)
        ⟨(E − U)⁴⟩ of each position.
    histogram : ndarray, shape (20,)
    """

    moments: FloatArray
    covariance: FloatArray
    coupling: FloatArray
    fourth: FloatArray
    energy_fourth: FloatArray
    histogram: FloatArray

    def fourth_of(self, directions: FloatArray) -> FloatArray:
        """Sum of fourth moments of linear combinations (5, D) of polynomials and −E, (D,)."""
        first, second = _PAIRS
        squares = directions[first] * directions[second] * np.where(first == second, 1, 2)[:, None]
        return np.einsum("ad,ab,bd->d", squares, self.fourth, squares)


def _rank_sums(record: LogitRecord, beta: float) -> _RankSums:
    column = np.cumsum(record.valid) - 1
    moments, coupling = np.zeros(_DEGREES), np.zeros(_DEGREES)
    covariance = np.zeros((_DEGREES, _DEGREES))
    fourth = np.zeros((len(_PAIRS[0]), len(_PAIRS[0])))
    energy_fourth = np.empty(len(record))
    below = np.zeros(_BINS + 1)
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    for block in row_blocks(*record.logits.shape, numbers=1 << 16):
        part = record.logits[block]
        z = (part if record.valid.all() else part[:, record.valid]).astype(np.float64)
        z[is_masked(z)] = -np.inf
        order = np.argsort(-z, axis=1, kind="stable")
        rank = (order == column[record.token_ids[block]][:, None]).argmax(axis=1)
        z = np.take_along_axis(z, order, axis=1)
        is_open = z > -np.inf
        z = np.where(is_open, z, 0.0)
        likeliest = np.where(is_open, beta * z, -np.inf).max(axis=1, keepdims=True)
        p = np.where(is_open, np.exp(beta * z - likeliest, where=is_open, out=np.zeros_like(z)), 0)
        p /= p.sum(axis=1, keepdims=True)
        upper = np.cumsum(p, axis=1)
        polynomials = _legendre_means(2.0 * upper - p - 1.0, p)

        came = (np.arange(len(rank)), rank)
        moments += [s[came].sum() for s in polynomials]
        z -= (p * z).sum(axis=1, keepdims=True)
        flat = np.stack([*(s.ravel() for s in polynomials), z.ravel()])
        weighted = flat[:_DEGREES] * p.ravel()
        covariance += weighted @ flat[:_DEGREES].T
        coupling += weighted @ flat[_DEGREES]
        flat *= np.sqrt(np.sqrt(p.ravel()))
        pairs = np.stack([flat[i] * flat[j] for i, j in zip(*_PAIRS, strict=True)])
        fourth += pairs @ pairs.T
        energy_fourth[block] = (p * np.square(np.square(z))).sum(axis=1)
        high = np.minimum(upper[came], 1.0)[:, None]
        width = p[came][:, None]
        share = np.clip((edges - (high - width)) / np.maximum(width, 1e-300), 0.0, 1.0)
        below += share.sum(axis=0)
    histogram = np.diff(below) * _BINS / len(record)
    return _RankSums(moments, covariance, coupling, fourth, energy_fourth, histogram)


def _legendre_means(middle: FloatArray, half: FloatArray) -> tuple[FloatArray, ...]:
    """Means of the normalised Legendre polynomials 1 … 4 over intervals middle ± half of (−1, 1).

    Written out in the moments of the interval: differences of antiderivatives would lose all digits
    in the narrow ones.
    """
    m2, h2 = middle**2, half**2
    square = m2 + h2 / 3
    cube = middle * (m2 + h2)
    fourth = m2 * (m2 + 2 * h2) + h2**2 / 5
    return (
        math.sqrt(3) * middle,
        math.sqrt(5) * (3 * square - 1) / 2,
        math.sqrt(7) * (5 * cube - 3 * middle) / 2,
        3 * (35 * fourth - 30 * square + 3) / 8,
    )
