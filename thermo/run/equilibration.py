"""Does a run look equilibrated?"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import stdtr

from thermo.errors import EquilibrationWarning
from thermo.estimate.autocorrelation import split_rhat

__all__ = ["FALSE_ALARMS", "RHAT_LIMIT", "transient_p_values", "warn_if_not_equilibrated"]

# R̂² − 1 is about 1/(independent draws in half a chain): 1.05 means fewer than ten of them.
RHAT_LIMIT = 1.05
# How often the test of the beginning warns of a run that was in equilibrium from its first draw.
# A transient strong enough to be found shifts the mean by more than its error.
FALSE_ALARMS = 1e-4
_BEGINNING = 10  # the first tenth of the draws is compared with the others


def transient_p_values(series: np.ndarray) -> np.ndarray:
    r"""Return how likely a beginning as different as this is, were there no transient.

    Every chain gives one difference, d = (mean of the first tenth) − (mean of the rest). Chains are
    independent, so that :math:`t = \bar d \sqrt{R} / s_d` is Student's t of R − 1 degrees of
    freedom, whatever the autocorrelation within them.

    Parameters
    ----------
    series : ndarray, shape (B, chain, draw)
        At least 2 chains and 2 draws.

    Returns
    -------
    ndarray, shape (B,)
        Two-sided; 1 where nothing ever changes.

    References
    ----------
    J. Geweke, in *Bayesian Statistics 4* (Oxford, 1992), p. 169, with the spread between chains in
    the place of a spectral estimate.
    """
    chains, draws = series.shape[-2:]
    first = max(1, draws // _BEGINNING)
    difference = series[..., :first].mean(axis=-1) - series[..., first:].mean(axis=-1)
    mean, spread = difference.mean(axis=-1), difference.std(axis=-1, ddof=1)
    size = np.abs(series).max(axis=(-2, -1))
    alike = spread <= 1e-12 * size
    t = np.abs(mean) * np.sqrt(chains) / np.where(alike, 1.0, spread)
    # Chains that moved alike: as likely as that all of them move in the same direction.
    together = np.where(np.abs(mean) > 1e-12 * size, 0.5 ** (chains - 1), 1.0)
    return np.where(alike, together, 2.0 * stdtr(chains - 1, -t))


def warn_if_not_equilibrated(
    beta: np.ndarray, series: np.ndarray, quantity: str = "energies"
) -> None:
    """Warn, naming the β, where the chains drift or disagree.

    Parameters
    ----------
    beta : ndarray, shape (B,)
    series : ndarray, shape (B, chain, draw)
        Fewer than 4 draws cannot be judged and pass.
    quantity : str
        What it is, in the plural.

    Warns
    -----
    EquilibrationWarning
        The split R̂ exceeds 1.05 somewhere, or the first draws differ from the others by more than
        chance allows (in 1 run of 10 000 it would).
    """
    if series.shape[-1] < 4:
        return
    rhat = split_rhat(series)
    bad = rhat > RHAT_LIMIT
    if bad.any():
        _warn(
            f"the {quantity} of the replicas drift or disagree at β = {_named(beta[bad])} (largest "
            f"split R̂ = {rhat.max():.4g}, limit {RHAT_LIMIT}): errors there are not to be trusted. "
            "Give more burn_in and sweeps, or start='ordered'."
        )
    late = (transient_p_values(series) < FALSE_ALARMS / beta.size) & ~bad
    if late.any():
        _warn(
            f"the {quantity} still change at the beginning at β = {_named(beta[late])} (first "
            "tenth of the draws against the rest): means there are off by more than their errors. "
            "Give more burn_in."
        )


def _warn(message: str) -> None:
    warnings.warn(message, EquilibrationWarning, stacklevel=4)


def _named(beta: np.ndarray) -> str:
    return ", ".join(f"{b:.6g}" for b in beta[:6]) + (", …" if beta.size > 6 else "")
