"""Greedy decoding of noisy logits: what it draws, exactly, beside what softmax draws."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr

from thermo.arguments import as_real, finite_number
from thermo.errors import InvalidInputError

__all__ = ["MINIMAX_RATIO", "SLOPE_RATIO", "VARIANCE_RATIO", "probit_probabilities"]

SLOPE_RATIO = 2 / math.sqrt(math.pi)
"""s/T of equal slope at gap 0: 1.128."""

MINIMAX_RATIO = 1.7017 / math.sqrt(2)
"""s/T whose probabilities differ least, by 0.0095 at the most (Cox and Snell 1989): 1.203."""

VARIANCE_RATIO = math.pi / math.sqrt(6)
"""s/T of equal variance of the noise, Gaussian against Gumbel: 1.283."""

_REACH = 9.0  # standard deviations on either side, beyond which there is 1e-19
_STEPS = 10  # of the trapezoidal rule per standard deviation, more than a Gaussian needs


def probit_probabilities(logits: ArrayLike, deviation: float) -> NDArray[np.float64]:
    r"""How often each token is the largest when Gaussian noise is added to its logit.

    .. math:: p_i = P\big(z_i + s\xi_i > z_j + s\xi_j \;\forall j\big)
        = \int \frac{dy}{s}\, \varphi\left(\frac{y - z_i}{s}\right)
          \prod_{j \ne i} \Phi\left(\frac{y - z_j}{s}\right)

    with ξ independent standard normal numbers: the multinomial probit. With Gumbel noise,
    −T ln(−ln U), the same gives softmax(z/T) exactly. Noise on an untied head of a language model,
    fresh for each token, is this with s = σ·rms(W)·\|h\|, where h is what the head reads.

    Parameters
    ----------
    logits : array_like, shape (..., V)
        z in nats; −inf for tokens that cannot come.
    deviation : float
        s > 0, in nats.

    Returns
    -------
    ndarray of float64, shape (..., V)
        Relative error below 1e-10, also far in the tail.

    Raises
    ------
    InvalidInputError
        s not positive and finite; NaN, +inf, or a row without a token.

    Notes
    -----
    Of two tokens, the one a gap Δ below the other comes with probability
    :math:`\Phi(-\Delta/\sqrt2 s)`, which falls as :math:`e^{-\Delta^2/4s^2}` where softmax falls as
    :math:`e^{-\Delta/T}`: noise in the logits truncates the tail by itself. No T makes the two
    equal. They have the same slope at Δ = 0 for s = 1.128 T (`SLOPE_RATIO`), differ least for
    s = 1.203 T (`MINIMAX_RATIO`), and the noises have the same variance for s = 1.283 T
    (`VARIANCE_RATIO`).

    Not for noise whose logits are correlated: noise elsewhere than in the head.

    References
    ----------
    L. L. Thurstone, "A law of comparative judgment", Psychol. Rev. 34, 273 (1927). D. R. Cox and
    E. J. Snell, *Analysis of Binary Data* (1989), section 1.5.

    Examples
    --------
    >>> probit_probabilities([2.0, 0.0], 1.0).round(4)
    array([0.9214, 0.0786])
    """
    z = as_real(logits, "logits")
    s = finite_number(deviation, "deviation", positive=True)
    if z.ndim == 0 or z.shape[-1] == 0 or np.isnan(z).any() or (z.max(axis=-1) == np.inf).any():
        raise InvalidInputError(
            f"logits of shape {z.shape} with NaN, +inf or no token; numbers (..., V), or -inf, are "
            "accepted."
        )
    if (z.max(axis=-1) == -np.inf).any():
        raise InvalidInputError("a row of logits is -inf throughout; at least one token is needed.")
    rows = (z - z.max(axis=-1, keepdims=True)).reshape(-1, z.shape[-1]) / s
    return np.stack([_of_row(row) for row in rows]).reshape(z.shape)


def _of_row(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """For logits in units of s whose largest is 0."""
    out = np.zeros(z.size)
    open_ = np.isfinite(z)
    levels = z[open_]
    # Where y is when a token wins: half way to the largest if it is far below that, and at most
    # above the largest of V normal numbers. Beyond a gap of 56 the probability is below 1e-300.
    lowest = -_REACH - min(-levels.min(), 56.0) / 2
    highest = _REACH + math.sqrt(2 * math.log(levels.size))
    y = np.arange(math.floor(lowest * _STEPS), math.ceil(highest * _STEPS) + 1) / _STEPS
    below = np.zeros_like(y)  # Σ ln Φ(y − z_j), block by block
    for block in np.array_split(levels, max(levels.size // 4096, 1)):
        below += log_ndtr(y[:, None] - block).sum(axis=1)
    p = np.empty(levels.size)
    for part in np.array_split(np.arange(levels.size), max(levels.size // 4096, 1)):
        apart = y[:, None] - levels[part]
        p[part] = np.exp(below[:, None] - 0.5 * apart**2 - log_ndtr(apart)).sum(axis=0)
    out[open_] = p / (_STEPS * math.sqrt(2 * math.pi))
    return out
