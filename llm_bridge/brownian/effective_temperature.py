"""Which softmax temperature the mean of many noisy models resembles, and how well."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from llm_bridge.brownian.position_sums import checked_logits, position_sums
from llm_bridge.quenched import position_mean
from llm_bridge.spectrum import thermodynamics
from thermo.errors import InvalidInputError, TautologyWarning
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.temperature import temperature_from_beta
from thermo.thermometry import solve_beta

__all__ = ["EffectiveTemperature", "effective_temperature"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EffectiveTemperature:
    r"""A fitted temperature of a noisy model, with everything that says how far to trust it.

    Entropies and divergences are in nats per position, averaged over positions. Every ``*_error``
    is a standard error that combines two sources, kept apart in the two mappings:
    ``draw_errors`` – *this* text, other draws of the noise – and ``text_errors`` – these draws,
    other texts of the same kind. The combination √(draw² + text²) counts their interaction
    twice and is on the safe side. NaN where there is a single draw (pair) or position.

    Attributes
    ----------
    beta, stderr : float
        β of the canonical distribution of the clean logits closest to the mean distribution (either
        sign), and its standard error.
    temperature, temperature_error : float
        T = 1/β and its error, ``stderr``/β².
    residual_kl, residual_kl_error : float
        Mean KL(p̄ ‖ softmax(β z)): what no temperature explains. May come out below zero within
        its error, because a bias has been taken off.
    disagreement, disagreement_error : float
        H(p̄) − mean H(p_k): the mutual information of token and weights. Zero for every softmax.
    aleatoric, aleatoric_error : float
        Mean entropy of a single noisy model.
    entropy_mean, entropy_mean_error : float
        H(p̄) = aleatoric + disagreement.
    entropy_clean, entropy_clean_error : float
        Entropy of the clean model; its error is of the text only.
    beta_entropy, beta_entropy_error : float
        β > 0 at which the clean logits have the entropy H(p̄).
    temperature_entropy, temperature_entropy_error : float
        The same as a temperature. Far from ``temperature``: there is no one temperature.
    top1_flips, top1_flips_error : float
        Fraction of (draw, position) whose most likely token is not the clean one. No softmax at
        T > 0 ever does this.
    rank_swaps, rank_swaps_error : float
        Share of pairs among the ten likeliest tokens that the *mean* distribution p̄ orders the
        other way: neither does a softmax at T > 0. In the mean of a few draws tokens of nearly the
        same probability swap by chance; what that adds is estimated from means of half of the
        draws and taken off, so that the share may come out below zero within its error.
    finite_draw_bias : mapping of str to float
        What the estimates ``entropy_mean``, ``disagreement``, ``residual_kl`` and ``rank_swaps``
        from so many draws were off by, as measured and taken off; add it to get the raw ones.
    draw_errors, text_errors : mapping of str to float
        The two sources of error of every quantity, by name (``"beta"``, ``"residual_kl"``, ...).
    draws, independent_draws, positions : int
        Sizes; antithetic pairs count as one independent draw.
    """

    beta: float
    stderr: float
    temperature: float
    temperature_error: float
    residual_kl: float
    residual_kl_error: float
    disagreement: float
    disagreement_error: float
    aleatoric: float
    aleatoric_error: float
    entropy_mean: float
    entropy_mean_error: float
    entropy_clean: float
    entropy_clean_error: float
    beta_entropy: float
    beta_entropy_error: float
    temperature_entropy: float
    temperature_entropy_error: float
    top1_flips: float
    top1_flips_error: float
    rank_swaps: float
    rank_swaps_error: float
    finite_draw_bias: Mapping[str, float]
    draw_errors: Mapping[str, float]
    text_errors: Mapping[str, float]
    draws: int
    independent_draws: int
    positions: int

    def __str__(self) -> str:
        def number(value: float, error: float) -> str:
            if not np.isfinite(error):
                return f"{value:.4g} (error unknown)"
            return rounded_to_error(value, error)

        return (
            f"T = {number(self.temperature, self.temperature_error)}, "
            f"residual KL = {number(self.residual_kl, self.residual_kl_error)}, "
            f"disagreement = {number(self.disagreement, self.disagreement_error)} nats"
        )


def effective_temperature(
    clean: Any, noisy: Any, valid: ArrayLike | None = None, *, antithetic: bool = True
) -> EffectiveTemperature:
    r"""Fit one softmax temperature to the mean distribution of noisy models.

    With :math:`\bar p_t` the mean over draws of the noisy distributions at position t and z the
    clean logits, β minimises

    .. math::
        \frac1N\sum_t \mathrm{KL}\big(\bar p_t \,\|\, \mathrm{softmax}(\beta z_t)\big)
        \quad\Longleftrightarrow\quad
        \sum_t \sum_i \bar p_{ti} z_{ti} = \sum_t \langle z_t \rangle_\beta ,

    the same matching of energies as in :func:`thermo.fit_beta`, over all positions at once. The
    problem is convex: there is one β, of either sign.

    Parameters
    ----------
    clean : array_like or torch.Tensor, shape (N, V)
        Logits of the undisturbed model, the energy levels; in nats.
    noisy : array_like or torch.Tensor, shape (draws, N, V)
        Logits of the noisy models on the same text, positions in its order.
    valid : array_like of bool, shape (V,), optional
        False for columns that are no tokens. Tokens masked at a position, in the clean or any
        noisy logits, are left out there.
    antithetic : bool
        Draws 2k and 2k + 1 are mirror images (the default of
        :func:`llm_bridge.brownian.sample_logits`): the pair is then the unit that is independent.
        Leaving it True for independent draws costs a little precision; False for mirrored draws
        gives wrong errors.

    Returns
    -------
    EffectiveTemperature

    Warns
    -----
    TautologyWarning
        Every noisy draw is the clean model itself: β = 1 was put in.

    Raises
    ------
    InvalidInputError
        Mismatched shapes, an odd number of draws (above one) with ``antithetic``, NaN, +inf,
        or clean logits without any spread.

    Notes
    -----
    Look at ``residual_kl`` and ``disagreement`` before the temperature: noise whose mean is far
    from every softmax has none.

    Errors over draws are a jackknife (one draw or pair left out); errors over the text come from
    the influence of each position on the result, with the correlation between neighbouring
    positions counted. H(p̄) of K draws is too low by about disagreement/K (much less with
    antithetic pairs); the jackknife takes the bias of order 1/K off H(p̄), the disagreement and
    the residual. β itself is not corrected: its bias is of the order of stderr². Rank swaps by
    chance fall as 1/√K only: they are extrapolated
    (:func:`llm_bridge.brownian.rank_swaps.swaps_of_mean`), and the error over draws contains all
    that this takes off. Where a residual
    is small against its error it is quadratic in the noise of the draws, and its stated error
    over draws is then too large by up to √2.

    Needs working memory for a block of positions and all draws, about 30 MB beyond the inputs.

    References
    ----------
    Matching of moments as maximum likelihood: E. T. Jaynes, Phys. Rev. 106, 620 (1957). Entropy
    split into disagreement and aleatoric part: Depeweg et al., ICML (2018). Jackknife: B. Efron,
    *The Jackknife, the Bootstrap and Other Resampling Plans* (1982).

    Examples
    --------
    Noise that only scales all logits is a spread of temperatures, close to one softmax:

    >>> clean = np.array([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0]])
    >>> noisy = np.array([0.8, 1.2])[:, None, None] * clean
    >>> fit = effective_temperature(clean, noisy)
    >>> bool(1.0 < fit.temperature < 1.05), fit.top1_flips
    (True, 0.0)
    """
    levels, members, mask = checked_logits(clean, noisy, valid, antithetic)
    if all(np.array_equal(member[mask], levels[mask]) for member in members):
        warnings.warn(
            "every noisy draw equals the clean logits: the fit returns β = 1, which was put in, "
            "and says nothing.",
            TautologyWarning,
            stacklevel=2,
        )
    draws, positions = members.shape[:2]
    size = 2 if antithetic and draws > 1 else 1
    sums = position_sums(levels, members, mask, size)

    # The closest softmax: mean energies agree. Everything below is per position, shape (N,).
    masked = np.where(mask, levels, -np.inf)

    def energy_at(beta: float) -> tuple[float, float]:
        state = thermodynamics(masked, beta)
        return float(state.internal_energy.mean()), -float(state.energy_variance.mean())

    lowest, highest = (thermodynamics(masked, b).internal_energy.mean() for b in (np.inf, -np.inf))
    if lowest == highest:
        raise InvalidInputError(
            "the clean logits are all equal at every position: every β gives the same distribution."
        )
    energy = sums.energy.mean(axis=0)
    ends = (float(lowest), float(highest))
    beta = _solve(energy_at, float(energy.mean()), 1.0, lambda f, x: solve_beta(f, x, ends))
    state = thermodynamics(masked, beta)
    variance = float(state.energy_variance.mean())
    # −Σ p̄ ln q = βE + ln Z = S + β(E − U), which holds at β = ±∞ too, where E = U.
    residual = state.entropy + _product(beta, energy - state.internal_energy) - sums.entropy_mean

    # Jackknife over draws: mean over positions of everything, with one (pair of) draws left out.
    n = draws // size
    block_energy = sums.energy.reshape(n, size, positions).mean(axis=(1, 2))
    block_aleatoric = sums.aleatoric.reshape(n, size, positions).mean(axis=(1, 2))
    block_flips = sums.flips.reshape(n, size, positions).mean(axis=(1, 2))
    without = _leave_one_out(block_energy)
    entropy_without = sums.entropy_without.mean(axis=1)
    # At the minimum KL is a parabola of curvature Var(E): no need to solve for β again.
    shift = without - energy.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        beta_without = beta - shift / variance
        residual_without = (
            residual.mean()
            + _product(beta, shift)
            - (entropy_without - sums.entropy_mean.mean())
            - 0.5 * shift**2 / variance
        )
    aleatoric_without = _leave_one_out(block_aleatoric)
    plain = {
        "entropy_mean": float(sums.entropy_mean.mean()),
        "aleatoric": float(sums.aleatoric.mean()),
        "residual_kl": float(residual.mean()),
        "top1_flips": float(sums.flips.mean()),
        "rank_swaps": float(sums.swaps.counted.mean()),
    }
    plain["disagreement"] = plain["entropy_mean"] - plain["aleatoric"]
    replicates = {
        "beta": beta_without,
        "residual_kl": residual_without,
        "entropy_mean": entropy_without,
        "aleatoric": aleatoric_without,
        "disagreement": entropy_without - aleatoric_without,
        "top1_flips": _leave_one_out(block_flips),
        "rank_swaps": sums.swaps.without.mean(axis=1),
    }
    draw_errors = {name: _jackknife_error(values) for name, values in replicates.items()}
    bias = {
        name: (n - 1) * float(replicates[name].mean() - plain[name]) if n > 1 else 0.0
        for name in ("entropy_mean", "disagreement", "residual_kl")
    }
    # Not of order 1/K, and taken off by an extrapolation that may be as wrong as it is large.
    bias["rank_swaps"] = plain["rank_swaps"] - float(sums.swaps.value.mean())
    draw_errors["rank_swaps"] = float(np.hypot(draw_errors["rank_swaps"], bias["rank_swaps"]))
    value = {name: plain[name] - bias.get(name, 0.0) for name in plain}

    # The temperature with the same entropy, T > 0.
    def entropy_at(b: float) -> tuple[float, float]:
        hot = thermodynamics(masked, b)
        return float(hot.entropy.mean()), -float(_product(b, hot.energy_variance.mean()))

    beta_entropy = _matching_entropy(entropy_at, value["entropy_mean"], abs(beta))
    matched = thermodynamics(masked, beta_entropy)
    slope = entropy_at(beta_entropy)[1] or np.nan  # 0 at β = 0 and ∞: no linear error there

    # Errors over the text: the influence of each position on each result.
    aleatoric = sums.aleatoric.mean(axis=0)
    clean_entropy = thermodynamics(masked, 1.0).entropy
    with np.errstate(invalid="ignore", divide="ignore"):
        influence = {
            "beta": (state.internal_energy - energy) / variance,
            "residual_kl": residual,
            "entropy_mean": sums.entropy_mean,
            "aleatoric": aleatoric,
            "disagreement": sums.entropy_mean - aleatoric,
            "entropy_clean": clean_entropy,
            "beta_entropy": (sums.entropy_mean - matched.entropy) / slope,
            "top1_flips": sums.flips.mean(axis=0),
            "rank_swaps": sums.swaps.value,
        }
        draw_errors["entropy_clean"] = 0.0
        draw_errors["beta_entropy"] = draw_errors["entropy_mean"] / abs(slope)
    text_errors = {name: float(position_mean(each).error) for name, each in influence.items()}
    error = {name: float(np.hypot(draw_errors[name], text_errors[name])) for name in text_errors}

    return EffectiveTemperature(
        beta=beta,
        stderr=error["beta"],
        temperature=float(temperature_from_beta(beta)),
        temperature_error=_label_error(error["beta"], beta),
        residual_kl=value["residual_kl"],
        residual_kl_error=error["residual_kl"],
        disagreement=value["disagreement"],
        disagreement_error=error["disagreement"],
        aleatoric=value["aleatoric"],
        aleatoric_error=error["aleatoric"],
        entropy_mean=value["entropy_mean"],
        entropy_mean_error=error["entropy_mean"],
        entropy_clean=float(clean_entropy.mean()),
        entropy_clean_error=error["entropy_clean"],
        beta_entropy=beta_entropy,
        beta_entropy_error=error["beta_entropy"],
        temperature_entropy=float(temperature_from_beta(beta_entropy)),
        temperature_entropy_error=_label_error(error["beta_entropy"], beta_entropy),
        top1_flips=value["top1_flips"],
        top1_flips_error=error["top1_flips"],
        rank_swaps=value["rank_swaps"],
        rank_swaps_error=error["rank_swaps"],
        finite_draw_bias=bias,
        draw_errors=draw_errors,
        text_errors=text_errors,
        draws=draws,
        independent_draws=n,
        positions=positions,
    )


def _leave_one_out(blocks: FloatArray) -> FloatArray:
    """Means of all blocks but one, (n,); with one block that mean itself."""
    n = blocks.size
    return blocks.copy() if n == 1 else blocks.mean() + (blocks.mean() - blocks) / (n - 1)


def _jackknife_error(replicates: FloatArray) -> float:
    n = replicates.size
    if n < 2:
        return float("nan")
    return float(np.sqrt((n - 1) / n * np.square(replicates - replicates.mean()).sum()))


def _solve(
    function: Callable[[float], tuple[float, float]],
    target: float,
    start: float,
    fallback: Callable[[Callable[[float], float], float], float],
) -> float:
    """Newton from near the answer, three or four passes over the logits; else slowly."""
    beta = start
    for _ in range(8):
        value, slope = function(beta)
        step = (target - value) / slope if slope else np.inf
        if not np.isfinite(step) or abs(step) > 0.5 * abs(beta):
            break
        beta += step
        if abs(step) <= 1e-10 * abs(beta):
            return beta
    return fallback(lambda b: function(b)[0], target)


def _matching_entropy(
    entropy_at: Callable[[float], tuple[float, float]], target: float, start: float
) -> float:
    """The β ≥ 0 of a given mean entropy; 0 and ∞ beyond what any β gives."""
    if target >= entropy_at(0.0)[0]:
        return 0.0
    if target <= entropy_at(np.inf)[0]:
        return float("inf")

    def slowly(function: Callable[[float], float], wanted: float) -> float:
        low = high = 1.0
        while function(high) > wanted:
            high *= 2.0
        while function(low) < wanted:
            low *= 0.5
        return low if low == high else brentq(lambda b: function(b) - wanted, low, high, rtol=1e-12)

    return _solve(entropy_at, target, start or 1.0, slowly)


def _product(beta: float, values: ArrayLike) -> FloatArray:
    """β·x with 0 for x = 0, also at β = ±∞."""
    x = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(x == 0, 0.0, beta * x)


def _label_error(beta_error: float, beta: float) -> float:
    """Error of T = 1/β from that of β; infinite at β = 0, where T is no useful label."""
    return float("inf") if beta == 0 else beta_error / beta**2
