"""Was a text drawn at one constant β? Three tests with known false-alarm rate, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Misfit:
    r"""How a text departs from "every token drawn from the model at one β".

    Attributes
    ----------
    p_value : float
        Of the three tests together: three times the smallest of their p-values, at most 1. A text
        drawn at constant β gives less than α with probability at most α.
    shape_p, drift_p, entropy_p : float
        Of each test; uniform between 0 and 1 for a text drawn at constant β. NaN where there is
        nothing to test: β = ±∞, or two tokens in the vocabulary.
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
    differences. The laws are those of long texts: from about a hundred tokens that the model was
    not certain of; in shorter ones the test of drift alarms less often than it says. Tokens with
    equal logits are ordered by their id, which is as good as any order.

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
        return Misfit(*[math.nan] * 9, np.full(_BINS, math.nan))
    score = state.internal_energy - drawn.energy
    beta = float(state.beta.flat[0])
    moments, covariance, coupling, histogram = _rank_moments(record, beta)

    covariance -= np.outer(coupling, coupling) / information
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _RANK * max(len(record), 1)
    degrees = int(kept.sum())
    statistic = float(((vectors[:, kept].T @ moments) ** 2 / values[kept]).sum())
    shape_p = float(chdtrc(degrees, statistic)) if degrees else math.nan
    size = 2.0 * len(record)
    beyond_chance = statistic - degrees
    gain_error = math.sqrt(2 * degrees + 4 * max(beyond_chance, 0.0)) / size

    running = np.cumsum(score) / math.sqrt(information)
    drift = float(np.abs(running).max())

    centre = float((variance * model_entropy).sum()) / information
    away = model_entropy - centre
    weight = float((variance * away**2).sum())
    slope, slope_error, entropy_p = math.nan, math.nan, math.nan
    if weight > _RANK * information:
        slope, slope_error = float((score * away).sum()) / weight, 1 / math.sqrt(weight)
        entropy_p = float(2 * ndtr(-abs(slope / slope_error)))

    each = (shape_p, float(kolmogorov(drift)), entropy_p)
    tested = [p for p in each if not math.isnan(p)]
    return Misfit(
        min(1.0, len(tested) * min(tested)),
        *each,
        beyond_chance / size if degrees else math.nan,
        gain_error if degrees else math.nan,
        drift,
        slope,
        slope_error,
        histogram,
    )


def _rank_moments(
    record: LogitRecord, beta: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Sums over the text of the polynomials (4,), their covariance (4, 4), that with −E (4,);
    histogram of the ranks (20,)."""
    column = np.cumsum(record.valid) - 1
    moments, coupling = np.zeros(_DEGREES), np.zeros(_DEGREES)
    covariance = np.zeros((_DEGREES, _DEGREES))
    below = np.zeros(_BINS + 1)
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    for block in row_blocks(*record.logits.shape, numbers=1 << 19):
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
        flat = np.stack([s.ravel() for s in polynomials])
        weighted = flat * p.ravel()
        covariance += weighted @ flat.T
        coupling += weighted @ z.ravel()
        high = np.minimum(upper[came], 1.0)[:, None]
        width = p[came][:, None]
        share = np.clip((edges - (high - width)) / np.maximum(width, 1e-300), 0.0, 1.0)
        below += share.sum(axis=0)
    return moments, covariance, coupling, np.diff(below) * _BINS / len(record)


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
