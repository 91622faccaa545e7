"""Mirostat: a cut on surprise that steers the surprise of the text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from llm_bridge.decoding.candidates import Candidates
from llm_bridge.decoding.filters import Filter
from thermo.arguments import finite_number

__all__ = ["Mirostat"]

_NATS_PER_BIT = math.log(2.0)


@dataclass(frozen=True)
class Mirostat(Filter):
    r"""Mirostat 2.0: cut tokens more surprising than μ, and move μ (Basu et al., 2021).

    .. math:: \mathrm{keep}\ -\log_2 p_i \le \mu, \qquad
              \mu \leftarrow \mu - \eta\,(-\log_2 p_{\rm drawn} - \tau), \qquad \mu_0 = 2\tau

    Parameters
    ----------
    tau : float
        Wanted surprise, in bits per token.
    eta : float
        Learning rate.
    acts_on : {"model", "decoded"}
        Whose surprise. At β < 0 ``"decoded"`` counts the model's favourites as the surprising
        ones and cuts those.

    Notes
    -----
    The surprise fed back is that before the cut, as in the paper; llama.cpp takes it after
    renormalising over the tokens that were left. The state is μ. If τ is more than the entropy,
    no cut can reach it: μ grows without end and nothing is cut.
    """

    tau: float
    eta: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        finite_number(self.tau, "tau", positive=True)
        finite_number(self.eta, "eta", positive=True)

    def begin(self) -> float:
        """μ₀ = 2τ."""
        return 2.0 * self.tau

    def after(self, state: float, candidates: Candidates, beta: float, token: int) -> float:
        """μ, moved by the surprise of the token that came."""
        log_p = float(candidates.log_probabilities(self._own_beta(beta))[token])
        if log_p == -math.inf:  # a token that the engine forced upon us
            return state
        return state - self.eta * (-log_p / _NATS_PER_BIT - self.tau)

    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        return candidates.log_probabilities(beta) >= -state * _NATS_PER_BIT
