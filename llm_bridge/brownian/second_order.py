"""What weak weight noise does to next-token distributions, predicted without drawing any."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax

from llm_bridge.brownian.logit_moments import (
    LogitMoments,
    centred_variance,
    exact_moments,
    logit_moments,
)
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.rank_swaps import rank_swaps
from thermo.arguments import as_real, finite_number, true_or_false, whole_number
from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import delete_one_error

if TYPE_CHECKING:
    from llm_bridge.models import LanguageModel

__all__ = ["Coefficient", "SecondOrder", "WeakNoise", "second_order", "second_order_of"]

FloatArray = NDArray[np.float64]


class Coefficient(NamedTuple):
    """A coefficient of σ² or σ⁴ and its standard error (0 if exact) over the probes."""

    value: float
    error: float


@dataclass(frozen=True)
class WeakNoise:
    """Predictions at one σ, by the names of :class:`EffectiveTemperature`.

    Entropies and divergences are in nats per position. Every ``*_error`` is that of the
    coefficient (from a finite number of probes), not of the orders left out.

    Attributes
    ----------
    sigma : float
    temperature, temperature_error : float
        Of the softmax closest to the mean distribution p̄, by divergence and by entropy alike.
    residual_kl, residual_kl_error : float
        KL(p̄ ‖ that softmax).
    disagreement, disagreement_error : float
        Mutual information of token and weights.
    entropy_mean, entropy_mean_error : float
        H(p̄).
    aleatoric, aleatoric_error : float
        Mean entropy of a single noisy model: below the clean one's where its members sharpen.
    rank_swaps : float
        Share of pairs among the ten likeliest tokens that p̄ orders the other way.
    """

    sigma: float
    temperature: float
    temperature_error: float
    residual_kl: float
    residual_kl_error: float
    disagreement: float
    disagreement_error: float
    entropy_mean: float
    entropy_mean_error: float
    aleatoric: float
    aleatoric_error: float
    rank_swaps: float


@dataclass(frozen=True, eq=False)
class SecondOrder:
    r"""Weak noise of σ: mean shift σ²b and covariance σ²Σ of the logits z, and what follows.

    With p = softmax(z), u = −ln p, ⟨·⟩ and Cov under p, and E over the noise, the change δz has

    .. math::
        b = E\,\delta z/\sigma^2, \qquad v_i = (e_i - p)^T \Sigma\, (e_i - p), \qquad
        g = b + \tfrac12 v ,

    and to leading order (averages over positions understood on the right)

    .. math::
        \bar p_i &= p_i\,[1 + \sigma^2 (g_i - \langle g \rangle)] \\
        T - 1 &= \sigma^2\, \mathrm{Cov}(g, u) / \mathrm{Var}(u) \\
        \mathrm{KL}(\bar p \,\|\, \mathrm{softmax}(z/T)) &=
            \tfrac12 \sigma^4 \big[\mathrm{Var}(g) - \mathrm{Cov}(g, u)^2/\mathrm{Var}(u)\big] \\
        H(\bar p) - E\,H(p_w) &= \tfrac12 \sigma^2 \langle v \rangle \\
        H(\bar p) - H(p) &= \sigma^2\, \mathrm{Cov}(g, u)

    for any law of the noise that is symmetric about 0 (no term of third order).

    Attributes
    ----------
    logits : ndarray, shape (N, V)
    shift : ndarray, shape (N, V)
        b.
    spread : ndarray, shape (N, V)
        v.
    temperature, residual_kl, disagreement, entropy, aleatoric : Coefficient
        T − 1, H(p̄) − H(p), the disagreement and E H(p_w) − H(p) per σ²; the residual per σ⁴.
    temperature_share : Coefficient
        ρ² = Cov(g, u)²/(Var(u) Var(g)): how much of what weak noise does to p̄ is a temperature at
        all, 0 … 1, whatever σ. 1 − ρ² is the residual's part.
    probes : int
        Directions in weight space that were averaged over; 0 if nothing was sampled.
    """

    logits: FloatArray
    shift: FloatArray
    spread: FloatArray
    temperature: Coefficient
    residual_kl: Coefficient
    disagreement: Coefficient
    entropy: Coefficient
    aleatoric: Coefficient
    temperature_share: Coefficient
    probes: int

    def shifted_logits(self, sigma: float) -> FloatArray:
        r"""Logits (N, V) whose softmax is p̄ to leading order: :math:`z + \sigma^2 g`.

        On average, noise moves the energy levels by −σ²g: where two of them cross, ranks swap,

        .. math:: \sigma^2 (g_j - g_i) > \ln(p_i/p_j) .
        """
        return self.logits + _size(sigma) ** 2 * (self.shift + 0.5 * self.spread)

    def at(self, sigma: float) -> WeakNoise:
        """The predictions for noise of this size.

        Parameters
        ----------
        sigma : float
            ≥ 0, in the unit of the noise's ``scale``.

        Returns
        -------
        WeakNoise
        """
        square = _size(sigma) ** 2
        clean = -(softmax(self.logits, axis=-1) * log_softmax(self.logits, axis=-1)).sum(-1).mean()
        swaps = rank_swaps(self.logits, self.shifted_logits(sigma)).mean()
        at: dict[str, float] = {"sigma": float(sigma), "rank_swaps": float(swaps)}
        for name, coefficient, unit, offset in (
            ("temperature", self.temperature, square, 1.0),
            ("residual_kl", self.residual_kl, square**2, 0.0),
            ("disagreement", self.disagreement, square, 0.0),
            ("entropy_mean", self.entropy, square, float(clean)),
            ("aleatoric", self.aleatoric, square, float(clean)),
        ):
            at[name] = offset + unit * coefficient.value
            at[f"{name}_error"] = unit * coefficient.error
        return WeakNoise(**{field.name: at[field.name] for field in fields(WeakNoise)})

    def sigma_for(self, temperature: float) -> Coefficient:
        r"""The size of noise whose closest softmax has a given temperature, if it were weak.

        .. math:: \sigma^2 = (T - 1)\,\mathrm{Var}(u)/\mathrm{Cov}(g, u)

        Parameters
        ----------
        temperature : float
            Positive. Above 1 if the noise heats (``temperature.value`` > 0), below 1 if it cools.

        Returns
        -------
        Coefficient
            σ and its error.

        Raises
        ------
        InvalidInputError
            Weak noise changes the temperature the other way, or T is not a positive number.

        Notes
        -----
        An extrapolation of the leading order: :func:`llm_bridge.brownian.calibrate` measures
        instead, and says how far it holds.
        """
        change = finite_number(temperature, "temperature", positive=True) - 1
        slope, error = self.temperature
        if change == 0:
            return Coefficient(0.0, 0.0)
        if change * slope <= 0:
            raise InvalidInputError(
                f"temperature = {temperature:g}; weak noise here has T = 1 {slope:+.3g}·σ²: "
                f"a temperature {'above' if slope > 0 else 'below'} 1 is accepted."
            )
        sigma = math.sqrt(change / slope)
        return Coefficient(sigma, sigma * error / (2 * abs(slope)))


def second_order(
    model: LanguageModel,
    ids: ArrayLike,
    noise: WeightNoise,
    *,
    probes: int = 64,
    progress: bool = False,
) -> SecondOrder:
    """Predict what weak noise on a model's weights does, from derivatives of its logits.

    Parameters
    ----------
    model : LanguageModel
        Its weights are only read.
    ids : array_like of int, shape (N,)
        The text; the averages are over its positions.
    noise : WeightNoise
        Law, scale, place and seed; its σ is not used. Quenched. Laws whose entries have the same
        size agree in all that is predicted.
    probes : int
        Directions in weight space along which logits are differentiated twice, at least 2: each
        takes about as long as seven passes over the text. They are draws 0, 1, … of the noise.
        Noise on an untied head alone takes none: it is exact.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    SecondOrder

    Raises
    ------
    InvalidInputError
        Fewer than two probes, ids outside the vocabulary, an entry of ``noise.where`` that matches
        nothing, no noise at all, or not enough memory.
    UnsupportedNoiseError
        Noise that is not quenched, or a layer without forward-mode derivatives.

    Notes
    -----
    Coefficients that are quadratic in sampled numbers (the residual) are unbiased: products of one
    block of probes with another only. The errors are a jackknife over up to 16 blocks.

    Compared with copies of the same ``noise`` (antithetic, twice as many draws as probes), the
    sampling errors of prediction and measurement are nearly the same and cancel, so that the
    difference shows the order σ⁴ even with few draws.

    A tied embedding is differentiated in both places at once. Needs memory for the selected
    tensors twice more, and for about 24 arrays of logits.

    References
    ----------
    Traces from random directions: M. F. Hutchinson, Commun. Stat. Simul. 19, 433 (1990).
    Forward-mode derivatives: A. Griewank and A. Walther, *Evaluating Derivatives* (SIAM, 2008).

    Examples
    --------
    Noise on the head alone is exact; it always heats, and its members disagree:

    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> ids = model.encode("for i in range(10):")
    >>> theory = second_order(model, ids, WeightNoise(0.1, where="head"))
    >>> weak = theory.at(0.1)
    >>> weak.temperature > 1, weak.disagreement > 0, weak.temperature_error
    (True, True, 0.0)
    """
    from thermo.run.progress_bar import progress_bar

    probes = whole_number(probes, "probes", 2)
    progress = true_or_false(progress, "progress")
    with progress_bar(progress, probes, unit="probe", what="derivatives") as bar:
        moments = logit_moments(model, ids, noise, probes, bar.update)
    if not moments.spread.any() and not moments.shift.any():
        raise InvalidInputError(
            f"noise on {noise.where!r} does not move any logit: the weights there are all zero."
        )
    return _from_moments(moments, 0 if moments.exact else probes)


def second_order_of(
    logits: ArrayLike, covariance: ArrayLike, shift: ArrayLike | None = None
) -> SecondOrder:
    """The same predictions for any weak noise on logits whose covariance is known.

    Parameters
    ----------
    logits : array_like, shape (N, V)
        In nats, finite.
    covariance : array_like, shape (N, V, V) or (N, V)
        Of the logits at each position, per σ²; or its diagonal where there is nothing else.
    shift : array_like, shape (N, V), optional
        b, what the mean of the noisy logits is off by, per σ². Default: 0.

    Returns
    -------
    SecondOrder
        Exact coefficients.

    Raises
    ------
    InvalidInputError
        Shapes that do not fit together, numbers that are not finite, or levels without spread.

    Examples
    --------
    Two tokens, E = ±Δ/2, independent noise on each: p̄ is closer to ½ : ½, which is heat.

    >>> theory = second_order_of([[1.0, -1.0]], [[1.0, 1.0]])
    >>> round(theory.at(0.2).temperature, 4)
    1.0152
    >>> abs(theory.residual_kl.value) < 1e-12  # two levels always have a temperature
    True
    """
    z, sigma = as_real(logits, "logits"), as_real(covariance, "covariance")
    b = np.zeros_like(z) if shift is None else as_real(shift, "shift")
    if z.ndim != 2 or b.shape != z.shape or sigma.shape not in (z.shape, (*z.shape, z.shape[-1])):
        raise InvalidInputError(
            f"logits {z.shape}, covariance {sigma.shape}, shift {b.shape}; (N, V), (N, V, V) or "
            "(N, V), and (N, V) are accepted."
        )
    if not all(np.isfinite(each).all() for each in (z, sigma, b)):
        raise InvalidInputError("NaN or infinity was given; finite numbers are accepted.")
    spread = centred_variance(softmax(z, axis=-1), sigma)
    return _from_moments(exact_moments(z, spread, b), 0)


def _from_moments(moments: LogitMoments, probes: int) -> SecondOrder:
    """All averages that the predictions are made of, within blocks of probes and between them."""
    z = moments.logits
    log_p = log_softmax(z, axis=-1)
    p = np.exp(log_p)

    def centred(values: FloatArray) -> FloatArray:
        return values - np.einsum("tv,tv->t", p, values)[:, None]

    u = centred(-log_p)
    variance = float(np.einsum("tv,tv,tv->", p, u, u)) / len(z)
    if variance <= 0.0:
        raise InvalidInputError(
            "the clean logits are all equal at every position: every temperature gives the same "
            "distribution."
        )
    count = len(moments.shift)
    heat, disagreement = np.empty(count), np.empty(count)
    gram = np.empty((count, count))
    for i in range(count):
        first = centred(moments.shift[i] + 0.5 * moments.spread[i].astype(np.float64))
        weighted = p * first
        heat[i] = (weighted * u).sum() / len(z)
        disagreement[i] = 0.5 * (p * moments.spread[i]).sum() / len(z)
        for j in range(i + 1):  # ⟨g_j⟩ need not be taken off: first has none
            gram[i, j] = gram[j, i] = (
                np.einsum("tv,tv->", weighted, moments.shift[j])
                + 0.5 * np.einsum("tv,tv->", weighted, moments.spread[j])
            ) / len(z)

    def derived(kept: NDArray[np.bool_]) -> FloatArray:
        """The six coefficients from the blocks that are kept."""
        w = moments.weights[kept] / moments.weights[kept].sum()
        pairs = np.outer(w, w)
        if not moments.exact:  # different blocks only: their sampling errors do not multiply
            np.fill_diagonal(pairs, 0.0)
        pairs /= pairs.sum()
        square = float((pairs * gram[np.ix_(kept, kept)]).sum())
        heat_square = float((pairs * np.outer(heat[kept], heat[kept])).sum())
        h, d = w @ heat[kept], w @ disagreement[kept]
        residual = 0.5 * (square - heat_square / variance)
        share = heat_square / (variance * square) if square > 0 else math.nan
        return np.array([h / variance, residual, d, h, h - d, share])

    values = derived(np.ones(count, dtype=bool))
    if moments.exact:
        errors = np.zeros_like(values)
    elif count < 3:  # no pair of blocks is left when one is taken out
        errors = np.full_like(values, math.nan)
    else:
        errors = delete_one_error([derived(np.arange(count) != left) for left in range(count)])
    named = zip(
        ("temperature", "residual_kl", "disagreement", "entropy", "aleatoric", "temperature_share"),
        map(Coefficient, values.tolist(), errors.tolist()),
        strict=True,
    )
    return SecondOrder(
        logits=z,
        shift=np.tensordot(moments.weights, moments.shift, 1),
        spread=np.tensordot(moments.weights, moments.spread, 1),
        probes=probes,
        **dict(named),
    )


def _size(sigma: float) -> float:
    value = finite_number(sigma, "sigma")
    if value < 0:
        raise InvalidInputError(f"sigma = {sigma:g}; a finite number ≥ 0 is accepted.")
    return value
