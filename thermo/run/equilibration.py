"""Does a run look equilibrated?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtr

from thermo.errors import EquilibrationWarning, UncertaintyWarning
from thermo.estimate.autocorrelation import split_rhat

__all__ = [
    "FALSE_ALARMS",
    "RHAT_LIMIT",
    "Equilibration",
    "equilibration",
    "least_draws",
    "listed",
    "transient_p_values",
]

# R̂² − 1 is about 1/(independent draws in half a chain): 1.05 means fewer than ten of them.
RHAT_LIMIT = 1.05
# How often the test of the beginning warns of a run that was in equilibrium from its first draw.
# A transient strong enough to be found shifts the mean by more than its error.
FALSE_ALARMS = 1e-4
_BEGINNING = 10  # the first tenth of the draws is compared with the others
_LEAST_FREEDOM = 8  # Student's t of fewer degrees of freedom passes almost any beginning


@dataclass(frozen=True, eq=False)
class Equilibration:
    """What the chains of a run say of its equilibration, β by β; see `equilibration`.

    Attributes
    ----------
    beta : ndarray, shape (B,)
    chains : int
        Per β.
    draws : int
        Per chain.
    rhat : mapping of str to ndarray, shape (B,)
        `split_rhat` of each quantity; NaN where there are too few draws.
    transient : mapping of str to ndarray, shape (B,)
        `transient_p_values` of each quantity; NaN where there are too few draws or chains.
    still : ndarray of bool, shape (B,)
        Where the energy never changed although it could.
    """

    beta: np.ndarray
    chains: int
    draws: int
    rhat: Mapping[str, np.ndarray]
    transient: Mapping[str, np.ndarray]
    still: NDArray[np.bool_]

    @property
    def verdict(self) -> NDArray[np.str_]:
        """``"passed"``, ``"failed"`` or, of too few or too equal draws, ``"not judged"``, (B,)."""
        failed = [self.disagreeing(name) | self.drifting(name) for name in self.rhat]
        unknown = [self.still, *(np.isnan(values) for values in self.transient.values())]
        passed = np.where(np.any(unknown, axis=0), "not judged", "passed")
        return np.where(np.any(failed, axis=0), "failed", passed)

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
            Once of what was not judged, and what that takes; once for each quantity and test that
            failed.
        UncertaintyWarning
            Of energies that never changed although they could.
        """
        if self.still.any():
            warnings.warn(
                f"no energy changed in any draw at β = {listed(self.beta[self.still])}: "
                "equilibration cannot be judged there, and the errors of what never changed are "
                "bounds, as if one draw more had one spin excited. Give more sweeps or replicas "
                "for smaller ones.",
                UncertaintyWarning,
                stacklevel=3,
            )
        needed = least_draws(self.chains)
        if self.draws < needed:
            _warn(
                f"equilibration was not judged: draws per chain: {self.draws}, needed: at least "
                f"{needed}. Give more sweeps, or measure more often."
            )
            return
        unknown = (self.verdict == "not judged") & ~self.still
        if unknown.any():
            _warn(
                f"equilibration was not judged at β = {listed(self.beta[unknown])}: all chains "
                f"changed at the beginning only, as {self.chains} chains may do by chance. Give "
                "more burn_in, or more replicas."
            )
        for name, rhat in self.rhat.items():
            bad = self.disagreeing(name)
            if bad.any():
                _warn(
                    f"the {name} of the replicas drift or disagree at β = {listed(self.beta[bad])} "
                    f"(largest split R̂ = {rhat.max():.4g}, limit {RHAT_LIMIT}): errors there are "
                    "not to be trusted. Give more burn_in and sweeps, or start='ordered'."
                )
            late = self.drifting(name) & ~bad
            if late.any():
                _warn(
                    f"the {name} still change at the beginning at β = {listed(self.beta[late])} "
                    "(first tenth of the draws against the rest): means there are off by more than "
                    "their errors. Give more burn_in."
                )


def equilibration(
    beta: np.ndarray,
    series: Mapping[str, np.ndarray],
    still: NDArray[np.bool_] | None = None,
) -> Equilibration:
    r"""Judge whether chains drift or disagree.

    Each quantity is judged by the split R̂ (at most 1.05) and by its first draws, which may differ
    from the others by chance only (1 run of 10 000 fails, whatever the number of β; rates measured:
    see `transient_p_values`). "passed" is no proof: a state that no chain has seen shows nowhere,
    and a transient is found when it shifts the mean by about 1.5 of its errors.

    Parameters
    ----------
    beta : ndarray, shape (B,)
    series : mapping of str to ndarray, shape (B, chain, draw)
        By the names of the quantities, in the plural. Fewer than `least_draws` are not judged.
    still : ndarray of bool, shape (B,), optional
        Where nothing is judged, for the energy never changed although it could. Default: nowhere.

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
    chains, draws = next(iter(series.values())).shape[-2:]
    if still is None:
        still = np.full(beta.size, False)
    if draws < least_draws(chains):
        unknown = dict.fromkeys(series, np.full(beta.size, np.nan))
        return Equilibration(beta, chains, draws, unknown, unknown, still)
    return Equilibration(
        beta,
        chains,
        draws,
        rhat={name: split_rhat(values) for name, values in series.items()},
        transient={name: transient_p_values(values) for name, values in series.items()},
        still=still,
    )


def least_draws(chains: int) -> int:
    """Return how many draws of each chain it takes to judge: 4, of one or two chains 10 or 6.

    R̂ needs the variance within half a chain, and `transient_p_values` 8 degrees of freedom.
    """
    return max(4, 2 + math.ceil(_LEAST_FREEDOM / chains))


def transient_p_values(series: np.ndarray) -> np.ndarray:
    r"""Return how likely a beginning as different as this is, were there no transient.

    Chains are cut into K blocks of a tenth of their draws, and every chain gives one difference,
    d = (mean of its first block) − (mean of the others). With s² the variance of the other blocks
    within their chains, times 1 + 1/(K − 1), or that of d between the chains if it is larger,
    :math:`t = \bar d \sqrt{R} / s` is Student's t of R(K − 2) degrees of freedom.

    Where chains hardly ever change, the blocks are not normal. If more than half of them agree with
    the median of their chain, the others are counted: how many are first ones is hypergeometric.

    Parameters
    ----------
    series : ndarray, shape (B, chain, draw)
        At least 3 draws.

    Returns
    -------
    ndarray, shape (B,)
        Two-sided; 1 where nothing ever changes. NaN where all chains change in their first block
        and never again, but are too few to rule out chance.

    Notes
    -----
    Measured in equilibrium, for 1, 2, 4 and 32 chains: p < 10⁻⁴ in at most 2 of 10⁴ runs, be their
    changes normal, autocorrelated (τ up to a block; R̂ finds longer ones) or rare. Of runs of 200
    sweeps of the 64 × 64 Ising model from perfect order at β = 0.3, the first block 5.8 of its
    standard deviations away, p < 10⁻⁴ in 80 % with 2 chains, 96 % with 3, 99 % with 4, all with 8.

    References
    ----------
    J. Geweke, in *Bayesian Statistics 4* (Oxford, 1992), p. 169, with blocks in the place of a
    spectral estimate.
    """
    chains, draws = series.shape[-2:]
    length = max(1, draws // _BEGINNING)
    number = draws // length
    rest = series[..., draws - (number - 1) * length :]
    rest = rest.reshape(*series.shape[:-1], number - 1, length).mean(axis=-1)
    first = series[..., :length].mean(axis=-1, keepdims=True)
    blocks = np.concatenate([first, rest], axis=-1)
    rounding = 1e-12 * np.maximum(series.max(axis=(-2, -1)), -series.min(axis=(-2, -1)))

    difference = blocks[..., 0] - blocks[..., 1:].mean(axis=-1)
    variance = blocks[..., 1:].var(axis=-1, ddof=1).mean(axis=-1) * number / (number - 1)
    if chains > 1:
        variance = np.maximum(variance, difference.var(axis=-1, ddof=1))
    spread = np.sqrt(np.where(variance > rounding**2, variance, 1.0))  # else they are counted
    t = np.abs(difference.mean(axis=-1)) * np.sqrt(chains) / spread
    p = 2.0 * stdtr(chains * (number - 2), -t)

    typical = np.median(blocks, axis=-1, keepdims=True)
    changed = np.abs(blocks - typical) > rounding[..., None, None]
    total, at_first = changed.sum(axis=(-2, -1)), changed[..., 0].sum(axis=-1)
    by_count = _chance_of_first(at_first, total, chains, number)
    settled = (at_first == chains) & (total == chains)
    by_count[settled & (by_count >= FALSE_ALARMS / len(series))] = np.nan
    return np.where(2 * total <= number * chains, by_count, p)


def _chance_of_first(first: np.ndarray, total: np.ndarray, chains: int, number: int) -> np.ndarray:
    """Chance that at least `first` of `total` changed blocks, of `number` a chain, are first ones.

    C(R, j) C(R(K − 1), D − j)/C(RK, D) summed over j, for arrays (B,).
    """
    j, changed = np.arange(chains + 1), total[:, None]
    others = chains * (number - 1)
    chance = _log_choose(chains, j) + _log_choose(others, changed - j)
    chance = np.exp(chance - _log_choose(chains * number, changed))
    return np.minimum(np.sum(chance, axis=1, where=j >= first[:, None]), 1.0)


def _log_choose(of: int, number: np.ndarray) -> np.ndarray:
    """ln C(n, k), −∞ where there is no such choice."""
    return gammaln(of + 1) - gammaln(number + 1) - gammaln(of - number + 1)


def _warn(message: str) -> None:
    warnings.warn(message, EquilibrationWarning, stacklevel=4)  # whoever called what calls `warn`


def listed(beta: np.ndarray) -> str:
    """Write the first of some β, as a message lists them."""
    return ", ".join(f"{b:.6g}" for b in beta[:6]) + (", …" if beta.size > 6 else "")
