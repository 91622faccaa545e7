"""Does a run look equilibrated?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from thermo.errors import EquilibrationWarning
from thermo.estimate.autocorrelation import split_rhat

__all__ = [
    "FALSE_ALARMS",
    "LEAST_DRAWS",
    "RHAT_LIMIT",
    "Equilibration",
    "equilibration",
    "transient_p_values",
]

# R̂² − 1 is about 1/(independent draws in half a chain): 1.05 means fewer than ten of them.
RHAT_LIMIT = 1.05
# How often the test of the beginning warns of a run that was in equilibrium from its first draw.
# A transient strong enough to be found shifts the mean by more than its error.
FALSE_ALARMS = 1e-4
LEAST_DRAWS = 4  # R̂ needs the variance within half a chain
_BEGINNING = 10  # the first tenth of the draws is compared with the others


@dataclass(frozen=True, eq=False)
class Equilibration:
    """What the chains of a run say of its equilibration, β by β; see `equilibration`.

    Attributes
    ----------
    beta : ndarray, shape (B,)
    draws : int
        Per chain.
    rhat : mapping of str to ndarray, shape (B,)
        `split_rhat` of each quantity; NaN where there are too few draws.
    transient : mapping of str to ndarray, shape (B,)
        `transient_p_values` of each quantity; NaN where there are too few draws.
    """

    beta: np.ndarray
    draws: int
    rhat: Mapping[str, np.ndarray]
    transient: Mapping[str, np.ndarray]

    @property
    def verdict(self) -> NDArray[np.str_]:
        """``"passed"``, ``"failed"`` or, for fewer than 4 draws, ``"not judged"``, shape (B,)."""
        if self.draws < LEAST_DRAWS:
            return np.full(self.beta.size, "not judged")
        failed = [self.disagreeing(name) | self.drifting(name) for name in self.rhat]
        return np.where(np.any(failed, axis=0), "failed", "passed")

    def disagreeing(self, name: str) -> NDArray[np.bool_]:
        """Return where the split R̂ of a quantity exceeds 1.05."""
        return self.rhat[name] > RHAT_LIMIT

    def drifting(self, name: str) -> NDArray[np.bool_]:
        """Return where its first draws differ more than 1 of 10 000 right runs has it anywhere."""
        return self.transient[name] < FALSE_ALARMS / self.beta.size

    def warn(self) -> None:
        """Warn of all that has not passed, naming the β. For functions that users call.

        Warns
        -----
        EquilibrationWarning
            Once of what was not judged, and how many draws it takes; else once for each quantity
            and test that failed.
        """
        if self.draws < LEAST_DRAWS:
            _warn(
                f"equilibration was not judged: draws per chain: {self.draws}, needed: at least "
                f"{LEAST_DRAWS}. Give more sweeps, or measure more often."
            )
            return
        for name, rhat in self.rhat.items():
            bad = self.disagreeing(name)
            if bad.any():
                _warn(
                    f"the {name} of the replicas drift or disagree at β = {_named(self.beta[bad])} "
                    f"(largest split R̂ = {rhat.max():.4g}, limit {RHAT_LIMIT}): errors there are "
                    "not to be trusted. Give more burn_in and sweeps, or start='ordered'."
                )
            late = self.drifting(name) & ~bad
            if late.any():
                _warn(
                    f"the {name} still change at the beginning at β = {_named(self.beta[late])} "
                    "(first tenth of the draws against the rest): means there are off by more than "
                    "their errors. Give more burn_in."
                )


def equilibration(beta: np.ndarray, series: Mapping[str, np.ndarray]) -> Equilibration:
    r"""Judge whether chains drift or disagree.

    Each quantity is judged by the split R̂ (at most 1.05) and by its first draws, which may differ
    from the others by chance only (1 run of 10 000 fails, whatever the number of β). "passed" is
    no proof: a state that no chain has seen shows nowhere.

    Parameters
    ----------
    beta : ndarray, shape (B,)
    series : mapping of str to ndarray, shape (B, chain, draw)
        By the names of the quantities, in the plural; at least 2 chains. Fewer than 4 draws cannot
        be judged.

    Returns
    -------
    Equilibration

    Examples
    --------
    >>> steady = np.random.default_rng(20261120).normal(size=(2, 8, 500))
    >>> equilibration(np.array([-0.1, 0.1]), {"energies": steady}).verdict.tolist()
    ['passed', 'passed']
    >>> equilibration(np.array([-0.1, 0.1]), {"energies": steady[..., :3]}).verdict.tolist()
    ['not judged', 'not judged']
    """
    draws = min(values.shape[-1] for values in series.values())
    if draws < LEAST_DRAWS:
        unknown = dict.fromkeys(series, np.full(beta.size, np.nan))
        return Equilibration(beta, draws, unknown, unknown)
    return Equilibration(
        beta,
        draws,
        rhat={name: split_rhat(values) for name, values in series.items()},
        transient={name: transient_p_values(values) for name, values in series.items()},
    )


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


def _warn(message: str) -> None:
    warnings.warn(message, EquilibrationWarning, stacklevel=4)  # whoever called what calls `warn`


def _named(beta: np.ndarray) -> str:
    return ", ".join(f"{b:.6g}" for b in beta[:6]) + (", …" if beta.size > 6 else "")
