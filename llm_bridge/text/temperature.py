"""The temperature of a text: the β of either sign at which a model would most likely write it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import checked_seed, whole_number
from thermo.temperature import temperature_from_beta

if TYPE_CHECKING:
    from llm_bridge.logits import LogitRecord
    from llm_bridge.text.misfit import Misfit

__all__ = ["TextTemperature", "text_temperature"]

FloatArray = NDArray[np.float64]

_TWO_SIDED = 1.959963984540054  # standard errors that hold 95 %


@dataclass(frozen=True, eq=False)
class TextTemperature:
    r"""The fitted temperature of a text under a model, and what says how far to trust it.

    Entropies in nats per token; ``*_error`` are standard errors for texts like this one, corrected
    for correlation between neighbouring tokens.

    Attributes
    ----------
    beta : float
        Maximum-likelihood β. +∞ if every token is the likeliest at its position, −∞ if every one
        is the least likely.
    stderr : float
        Standard error of β: the larger of the next two; ∞ where β is.
    curvature_error : float
        1/√ΣVar(E). Right if the text *was* drawn at constant β.
    bootstrap_error : float
        From resampled blocks of the text. Right for human text too, if it is some hundreds of
        tokens long; NaN for fewer than ten.
    block_length : int
        Tokens per block, chosen by :func:`llm_bridge.text.block_bootstrap.block_length`.
    interval : (float, float)
        95 % of β: two-sided, β ± 1.96 stderr; where β is ±∞ one-sided, from the bound to there.
    misfit : Misfit
        Whether one temperature describes the text: look here before believing ``beta``.
    cross_entropy, cross_entropy_error : float
        Mean of −ln p at β = 1, the model as it is.
    entropy, entropy_error : float
        Mean entropy of the model's own distribution, β = 1: what ``cross_entropy`` would be had the
        model written the text.
    fitted_entropy, fitted_entropy_error : float
        Mean entropy at the fitted β; equal to the cross entropy there.
    scale : float
        σ₀, the spread of the logits at β = 0 in nats, for comparisons with other systems.
    positions : int
        N, tokens that were scored.
    surprisal : ndarray, shape (N,)
        −ln p of each token at β = 1.
    residual : ndarray, shape (N,)
        (U − E)/√Var(E) of each token at the fitted β: positive for one that is likelier (colder)
        than it should be. A single token has no temperature; this is all it can say. NaN where
        every token has the same logit, and everywhere at β = ±∞.
    """

    beta: float
    stderr: float
    curvature_error: float
    bootstrap_error: float
    block_length: int
    interval: tuple[float, float]
    misfit: Misfit
    cross_entropy: float
    cross_entropy_error: float
    entropy: float
    entropy_error: float
    fitted_entropy: float
    fitted_entropy_error: float
    scale: float
    positions: int
    surprisal: FloatArray
    residual: FloatArray

    @property
    def temperature(self) -> float:
        """T = 1/β, signed."""
        return float(temperature_from_beta(self.beta))

    @property
    def natural_beta(self) -> float:
        """b = βσ₀, the axis on which systems of different energy scales compare."""
        return self.beta * self.scale

    @property
    def temperature_interval(self) -> tuple[float, float]:
        """95 % of T, from cold to hot: (8.0, −5.0) goes up from 8 through ±∞ to −5."""
        hot, cold = temperature_from_beta(self.interval)
        return float(cold), float(hot)

    @property
    def perplexity(self) -> float:
        """exp of the cross entropy at β = 1."""
        return float(np.exp(self.cross_entropy))

    @property
    def fitted_perplexity(self) -> float:
        """exp of the entropy at the fitted β, and of the cross entropy there: the same number."""
        return float(np.exp(self.fitted_entropy))

    @property
    def gain(self) -> float:
        """Nats per token that the fitted β saves over β = 1; never negative."""
        return self.cross_entropy - self.fitted_entropy


def text_temperature(
    record: LogitRecord, *, replicates: int = 1000, seed: int = 0
) -> TextTemperature:
    r"""Fit one temperature of either sign to a text, given what a model thought of it.

    The likelihood of the text at β is largest where the energy of the tokens that came equals
    the mean energy that the model would give,

    .. math:: \sum_t E_t(x_t) = \sum_t U_t(\beta), \qquad E = -z .

    There the mean of −ln p, the cross entropy of the text, is the mean entropy: with
    :math:`-\ln p = \beta E + \ln Z` and :math:`S = \beta U + \ln Z`,

    .. math:: -\sum_t \ln p_t(x_t) = \sum_t S_t + \beta \sum_t (E_t(x_t) - U_t) = \sum_t S_t .

    Parameters
    ----------
    record : LogitRecord
        Logits at N positions and the tokens that came, in the order of the text.
    replicates : int
        Of the block bootstrap, at least 2.
    seed : int
        Of the block bootstrap; nothing else is random.

    Returns
    -------
    TextTemperature

    Raises
    ------
    InvalidInputError
        Not a LogitRecord; a token that came is masked; logits without any spread.

    Notes
    -----
    It is a number about the text *and* the model. The same text is hotter under a model that is
    too sure of itself. A text written by the model itself at constant β, with no filters, has that
    β within errors; every other text has the β of the closest such text, and ``misfit`` says
    whether "closest" is close.

    Which error: if ``misfit`` finds nothing, both errors are estimates of one thing and the
    curvature is the less noisy. Otherwise believe the bootstrap: tokens of human text are
    over- and underestimated in runs, which the curvature knows nothing of. ``stderr`` is the
    larger of the two. Bootstrap estimates are one Newton step from the fit.

    About ten passes over the logits, and a sort of each row. Memory beyond the record is that of a
    few rows and some numbers per position.

    References
    ----------
    Moment matching: E. T. Jaynes, Phys. Rev. 106, 620 (1957). Bootstrap of the score: P. Kline
    and A. Santos, J. Econometric Methods 1, 23 (2012). Temperatures of corpora: arXiv 2601.02320.

    Examples
    --------
    Tokens drawn at β = −0.5:

    >>> from llm_bridge.logits import LogitRecord
    >>> rng = np.random.default_rng(1)
    >>> logits = rng.normal(0, 2, (2000, 50))
    >>> tokens = (-0.5 * logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    >>> fit = text_temperature(LogitRecord(logits, tokens))
    >>> print(f"{fit.beta:.3f} ± {fit.stderr:.3f}")
    -0.491 ± 0.012
    >>> print(f"perplexity {fit.perplexity:.0f}, at the fitted β {fit.fitted_perplexity:.1f}")
    perplexity 1959, at the fitted β 31.9
    """
    # Here: this module comes with `import llm_bridge`, and SciPy would triple the time of that.
    from llm_bridge.quenched import position_mean
    from llm_bridge.spectrum import natural_scale
    from llm_bridge.text.block_bootstrap import block_length
    from llm_bridge.text.likelihood import drawn_energies, end_bound, maximum_likelihood, surprisal
    from llm_bridge.text.misfit import misfit_of

    whole_number(replicates, "replicates", 2)
    rng = np.random.default_rng(checked_seed(seed))
    drawn = drawn_energies(record)
    model = drawn.at(1.0)
    beta, state = maximum_likelihood(drawn)
    score = state.internal_energy - drawn.energy
    variance = state.energy_variance
    length = block_length(score) if len(record) > 1 else 1
    if math.isinf(beta):
        bound = end_bound(drawn, beta)
        interval = (bound, beta) if beta > 0 else (beta, bound)
        stderr = curvature = bootstrap = math.inf
        residual = np.full(len(record), math.nan)
    else:
        curvature = 1.0 / math.sqrt(variance.sum())
        bootstrap = _bootstrap_error(score, variance, length, replicates, rng)
        stderr = float(np.fmax(curvature, bootstrap))
        interval = (beta - _TWO_SIDED * stderr, beta + _TWO_SIDED * stderr)
        with np.errstate(invalid="ignore", divide="ignore"):
            residual = np.where(variance > 0, score / np.sqrt(variance), math.nan)
    own_surprisal = surprisal(drawn, model)
    cross_entropy, entropy, fitted = (
        position_mean(values) for values in (own_surprisal, model.entropy, state.entropy)
    )
    return TextTemperature(
        beta=beta,
        stderr=stderr,
        curvature_error=curvature,
        bootstrap_error=bootstrap,
        block_length=length,
        interval=interval,
        misfit=misfit_of(record, drawn, state, model.entropy),
        cross_entropy=float(cross_entropy.mean),
        cross_entropy_error=float(cross_entropy.error),
        entropy=float(entropy.mean),
        entropy_error=float(entropy.error),
        fitted_entropy=float(fitted.mean),
        fitted_entropy_error=float(fitted.error),
        scale=natural_scale(record.logits, record.valid),
        positions=len(record),
        surprisal=own_surprisal,
        residual=residual,
    )


def _bootstrap_error(
    score: FloatArray, variance: FloatArray, length: int, replicates: int, rng: np.random.Generator
) -> float:
    """Standard error of β from resampled blocks; each replicate is one Newton step from the fit."""
    from llm_bridge.text.block_bootstrap import resampled_sums

    if score.size < 10:
        return math.nan
    sums = resampled_sums(np.stack([score, variance], axis=1), length, replicates, rng)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = sums[:, 0] / sums[:, 1]
    # A replicate made of tokens that could not have been others says nothing about β.
    return float(np.std(steps[np.isfinite(steps)], ddof=1))
