"""The experiment of 2023: the same prompt at temperatures of both signs, close to zero and not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from llm_bridge.models import LanguageModel
from llm_bridge.text.loops import loop_period, repeated_share
from thermo.arguments import finite_number, whole_number
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.levels import EnergyLevels
from thermo.temperature import beta_from_temperature, temperature_from_beta

__all__ = ["TextAtTemperature", "end_of_spectrum", "gaussian_levels", "texts_at_temperatures"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TextAtTemperature:
    """A text drawn at one β, and what the distributions it was drawn from were like.

    Attributes
    ----------
    beta : float
    ids : ndarray of int64, shape (n,)
    text : str
        Any characters: escape before showing.
    entropy, end_probability : MeanWithError
        Along this text, autoregressive: entropy in nats, and the probability of the token that
        β → ±∞ would draw (the least likely one at β < 0, the likeliest at β > 0).
    surprise : MeanWithError
        −ln p of the drawn tokens under the model itself (β = 1), in nats.
    end_gap : float
        Median along this text of the distance in nats between the two outermost levels at the end
        that β → ±∞ draws from: at temperatures far above it, of either sign, that end is chance.
    repeated : float
        Share of 4-grams that had come before.
    period : int or None
        Of the loop in which the text ends.
    """

    beta: float
    ids: NDArray[np.int64]
    text: str
    entropy: MeanWithError
    end_probability: MeanWithError
    surprise: MeanWithError
    end_gap: float
    repeated: float
    period: int | None

    @property
    def temperature(self) -> float:
        """T = 1/β, signed."""
        return float(temperature_from_beta(self.beta))

    def share_of(self, tokens: ArrayLike) -> float:
        """Share of the drawn tokens that are among these, a mask (V,)."""
        return float(np.asarray(tokens, dtype=bool)[self.ids].mean())


def texts_at_temperatures(
    model: LanguageModel,
    prompt: str | ArrayLike,
    temperatures: Sequence[float] = (0.001, 1.0, -1.0, -0.1, -0.001),
    *,
    max_tokens: int = 128,
    seed: int = 0,
    progress: bool = False,
) -> list[TextAtTemperature]:
    """Go on from a prompt at each temperature, of either sign.

    Parameters
    ----------
    model : LanguageModel
    prompt : str or array_like of int
    temperatures : sequence of float
        T in units of the model's own: 1 is the model as it is; −0.0 is T → 0⁻.
    max_tokens : int
        Of each text. End-of-text does not end it: at T < 0 it would be as good as any token.
    seed : int
    progress : bool

    Returns
    -------
    list of TextAtTemperature
        In the order given.

    Notes
    -----
    Errors come from one text each, corrected for the correlation along it. Other prompts give
    other texts: these errors do not say by how much.
    """
    from llm_bridge.decoding import Decoder, generate_many, signed_log_probabilities

    betas = np.atleast_1d(beta_from_temperature(temperatures))
    if betas.ndim != 1 or betas.size == 0:
        raise InvalidInputError("temperatures must be a list of at least one number.")
    whole_number(max_tokens, "max_tokens", 4)
    out = []
    for beta in betas.tolist():
        decoder = Decoder(beta, valid=model.valid)
        (made,) = generate_many(
            model,
            [prompt],
            decoder,
            max_tokens=max_tokens,
            seed=seed,
            stop_at_end=False,
            progress=progress,
        )
        whole = np.concatenate([made.prompt_ids, made.ids])
        rows = model.logits(whole)[made.prompt_ids.size - 1 : -1]
        _, at_end = end_of_spectrum(rows, beta, model.valid)
        drawn = signed_log_probabilities(rows, 1.0, model.valid).numpy()
        drawn = drawn[np.arange(made.ids.size), made.ids]
        out.append(
            TextAtTemperature(
                beta=beta,
                ids=made.ids,
                text=model.decode(made.ids),
                entropy=mean_with_error(made.entropy[None]),
                end_probability=mean_with_error(at_end[None]),
                surprise=mean_with_error(-drawn[None]),
                end_gap=_end_gap(rows, beta, model.valid),
                repeated=repeated_share(made.ids),
                period=loop_period(made.ids),
            )
        )
    return out


def end_of_spectrum(
    logits: ArrayLike, beta: float, valid: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Entropy of each position at β, and the probability of the token that β → ±∞ would draw.

    Parameters
    ----------
    logits : array_like, shape (N, V)
    beta : float
        At β = 0 the second is that of any token.
    valid : array_like of bool, shape (V,), optional

    Returns
    -------
    entropy, probability : ndarray of float64, shape (N,)

    Examples
    --------
    >>> entropy, least = end_of_spectrum([[2.0, 1.0, 0.0]], -1.0)
    >>> least.round(3)
    array([0.665])
    """
    from llm_bridge.decoding.signed_softmax import entropy_of, signed_log_probabilities

    log_p = signed_log_probabilities(logits, beta, valid)
    return entropy_of(log_p).numpy(), log_p.amax(-1).exp().numpy()


def _end_gap(rows: NDArray[np.float32], beta: float, valid: NDArray[np.bool_]) -> float:
    """The median over rows of how far apart the two lowest are, or at β ≥ 0 the two highest."""
    signed = rows[:, valid].astype(np.float64) * (-1.0 if np.signbit(beta) else 1.0)
    if signed.shape[1] < 2:
        return float("nan")
    second, first = np.partition(signed, signed.shape[1] - 2, axis=1)[:, -2:].T
    return float(np.median(first - second))


def gaussian_levels(sigma: float, size: int) -> EnergyLevels:
    r"""The energy levels of a vocabulary whose logits are normal, at its typical places.

    Level k of V is at the median of the k-th smallest of V normal numbers,
    :math:`E_k = \sigma \Phi^{-1}\!\left(\frac{k - 0.3}{V + 0.4}\right)`. With
    :func:`thermo.canonical` this explains T = −1 against T = −0.001 by σ and V alone:

    .. math:: e^{S(\beta)} \approx V e^{-(\beta\sigma)^2/2} \quad\text{for}\quad
        |\beta| < \beta_c = \sqrt{2 \ln V}/\sigma,

    many tokens, all of them rare; beyond :math:`\beta_c` the few lowest take everything (Derrida's
    random energy model, Phys. Rev. B 24, 2613, 1981).

    Parameters
    ----------
    sigma : float
        Standard deviation of the logits over the vocabulary, in nats.
    size : int
        V.

    Returns
    -------
    EnergyLevels
        V levels, symmetric about 0: β and −β do the same.

    Notes
    -----
    Not for the ends of a real vocabulary, which are not normal: the upper one is the context's own
    choice, the lower one may be a crowd of tokens that were never trained.

    Examples
    --------
    >>> import thermo
    >>> levels = gaussian_levels(2.5, 152_000)
    >>> state = thermo.canonical(levels, [-1.0, -10.0])
    >>> [f"{n:.3g}" for n in state.effective_states]
    ['7.28e+03', '1.05']
    >>> state.populations().probabilities.max(axis=1).round(2)
    array([0.02, 0.99])
    """
    finite_number(sigma, "sigma", positive=True)
    whole_number(size, "size", 1)
    k = np.arange(1, size + 1)
    return EnergyLevels(sigma * ndtri((k - 0.3) / (size + 0.4)))
