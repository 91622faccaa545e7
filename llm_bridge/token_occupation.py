"""The Boltzmann plot of tokens: how likely they are against their energy, over all contexts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thermo.occupation import Occupation

__all__ = ["token_occupation"]

FloatArray = NDArray[np.float64]

_BINS = 14
_TOKENS = 1 << 20


def token_occupation(
    name: str,
    clean: FloatArray,
    log_p: FloatArray,
    *,
    beta: float,
    scale: float,
    given: float = float("nan"),
    stderr: float = float("nan"),
    residual: float = 0.0,
) -> Occupation:
    """A Boltzmann line over many positions: ln p + ln Z_t(β) against energy, in bins of energy.

    Each position has its own ln Z; with it added, canonical populations of every position lie on
    one line through the origin. Of long texts with large vocabularies evenly spaced positions are
    shown, as many as make a million tokens.

    Parameters
    ----------
    name : str
        What the line shows.
    clean : ndarray, shape (N, V)
        Centred logits, the energies' negatives; masked tokens, −inf, take no part.
    log_p : ndarray, shape (N, V)
        ln of the populations, up to a constant per position.
    beta : float
        The β of the line, fitted to the populations or put in.
    scale : float
        σ₀ in nats.
    given : float
        The β put in, if one was; the populations are then exact and the points have no error.
    stderr, residual : float
        Of the fit.

    Returns
    -------
    Occupation
        Errors treat positions, not tokens, as independent.

    Examples
    --------
    >>> clean = np.array([[1.0, 0.0, -1.0]])
    >>> line = token_occupation("T = 1", clean, clean, beta=1.0, scale=1.0, given=1.0)
    >>> bool(np.allclose(line.y, -line.u))
    True
    """
    step = -(-clean.size // _TOKENS)
    clean, log_p = clean[::step], log_p[::step]
    shown = np.isfinite(clean)
    log_p = np.where(shown, log_p, -np.inf)
    log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    log_z = np.logaddexp.reduce(beta * clean, axis=1, keepdims=True, initial=-np.inf, where=shown)
    u = -clean[shown] / scale
    off = (log_p + log_z)[shown] + beta * scale * u  # distance from the canonical line
    edges = np.linspace(u.min(), u.max(), _BINS + 1)
    index = np.clip(np.digitize(u, edges) - 1, 0, _BINS - 1)
    least = max(1, min(20, u.size // 100))  # a handful of tokens has no quantiles
    filled = [
        members for k in range(_BINS) if (members := np.flatnonzero(index == k)).size >= least
    ]
    centre = np.array([u[m].mean() for m in filled])
    line = -beta * scale * centre
    position = np.nonzero(shown)[0]
    mean, error = np.array([_mean_over_positions(off[m], position[m]) for m in filled]).T
    return Occupation(
        name=name,
        b=given * scale,
        u=centre,
        y=line + mean,
        error=error if np.isnan(given) else np.zeros_like(error),
        fitted_b=beta * scale,
        fitted_error=stderr * scale,
        residual=residual,
        spread=line + np.array([np.quantile(off[m], (0.1, 0.9)) for m in filled]).T,
    )


def _mean_over_positions(values: FloatArray, position: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of all values, and its error if positions, not tokens, are independent of each other."""
    mean = float(values.mean())
    off = np.bincount(position, values - mean)[np.bincount(position) > 0]
    if off.size < 2:
        return mean, float("nan")
    return mean, float(np.sqrt((off**2).sum() * off.size / (off.size - 1))) / values.size
