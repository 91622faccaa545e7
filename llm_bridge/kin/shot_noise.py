"""What rare dropout of a linear layer's inputs does to its softmax: shot noise, to order p."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from thermo.arguments import as_real
from thermo.errors import InvalidInputError

__all__ = ["ShotNoise", "shot_noise"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ShotNoise:
    """Effects of rare dropout, per p (the residual: per p²), averaged over positions.

    Attributes
    ----------
    temperature : float
        (T − 1)/p of the closest softmax.
    disagreement : float
        Nats of mutual information between token and mask, over p.
    residual_kl : float
        KL(p̄ ‖ that softmax) over p².
    gaussian_disagreement : float
        The disagreement over p of Gaussian noise with the same covariance. Where it differs from
        ``disagreement``, single units matter.
    """

    temperature: float
    disagreement: float
    residual_kl: float
    gaussian_disagreement: float


def shot_noise(weight: ArrayLike, x: ArrayLike, bias: ArrayLike | None = None) -> ShotNoise:
    r"""Foretell what dropping inputs of a head with small probability p does.

    To order p, one unit is dropped or none, and the others are scaled up by 1 + p. With
    :math:`z^{(j)} = z - W_j x_j` the logits without unit j and q = softmax(z),

    .. math::
        \bar q - q &= p \left[\sum_j \big(\mathrm{softmax}(z^{(j)}) - q\big)
                      + q \circ (y - \langle y \rangle_q)\right], \quad y = W x \\
        \mathrm{MI} &= p \sum_j \mathrm{KL}\big(\mathrm{softmax}(z^{(j)}) \,\|\, q\big)

    Every cumulant of the noise is of order p, the third as much as the second. So the theory of
    weak Gaussian noise (:mod:`llm_bridge.brownian.second_order`) does not become right as p → 0,
    but where no single unit changes a logit by much.

    Parameters
    ----------
    weight : array_like, shape (V, d)
    x : array_like, shape (N, d)
        What the dropout layer reads.
    bias : array_like, shape (V,), optional

    Returns
    -------
    ShotNoise

    Raises
    ------
    InvalidInputError
        Shapes that do not fit together, or logits that are all equal.

    Notes
    -----
    Takes d softmaxes of all positions.

    References
    ----------
    The name: N. Campbell (1909) and W. Schottky (1918), for rare events of fixed size. The formula
    is an expansion of ours and is held against sampling in the tests.

    Examples
    --------
    Two tokens, a single unit of 4 nats: dropping it is rare, but it says a lot.

    >>> found = shot_noise([[4.0], [0.0]], [[1.0]])
    >>> round(found.disagreement, 3), round(found.gaussian_disagreement, 3)
    (1.325, 0.141)
    """
    w, h = as_real(weight, "weight"), as_real(x, "x")
    b = np.zeros(len(w)) if bias is None else as_real(bias, "bias")
    if w.ndim != 2 or h.ndim != 2 or w.shape[1] != h.shape[1] or b.shape != (len(w),):
        raise InvalidInputError(
            f"weight {w.shape}, x {h.shape}, bias {b.shape}; (V, d), (N, d) and (V,) are accepted."
        )
    y = h @ w.T
    z = y + b
    log_q = log_softmax(z, axis=-1)
    q = np.exp(log_q)
    change = q * (y - np.einsum("tv,tv->t", q, y)[:, None])
    disagreement = 0.0
    for j in range(h.shape[1]):
        log_without = log_softmax(z - h[:, j, None] * w[:, j], axis=-1)
        without = np.exp(log_without)
        change += without - q
        disagreement += float((without * (log_without - log_q)).sum(axis=-1).mean())
    u = -log_q - np.einsum("tv,tv->t", q, -log_q)[:, None]
    variance = float(np.einsum("tv,tv,tv->t", q, u, u).mean())
    if variance <= 0.0:
        raise InvalidInputError("the logits are all equal: every temperature gives the same.")
    heat = float(np.einsum("tv,tv->t", change, u).mean())
    square = float(np.divide(change**2, q, out=np.zeros_like(q), where=q > 0).sum(-1).mean())
    mean, square_x = q @ w, h**2
    spread = square_x @ (w**2).T - 2 * (square_x * mean) @ w.T
    spread += (square_x * mean**2).sum(axis=-1, keepdims=True)
    return ShotNoise(
        temperature=heat / variance,
        disagreement=disagreement,
        residual_kl=0.5 * (square - heat**2 / variance),
        gaussian_disagreement=0.5 * float(np.einsum("tv,tv->t", q, spread).mean()),
    )
