"""XTC: exclude top choices, now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from llm_bridge.decoding.candidates import Candidates
from llm_bridge.decoding.filters import Filter
from thermo.arguments import finite_number
from thermo.errors import InvalidInputError

__all__ = ["XTC"]


@dataclass(frozen=True)
class XTC(Filter):
    """With some probability, cut every viable token but the least likely (P. E. Weidmann, 2024).

    Viable are tokens with p ≥ ``threshold``; with fewer than two of them nothing happens. Tokens
    that tie with the least likely viable one stay beside it, as in every filter here: of viable
    tokens that are all equally likely none is cut. (Implementations that sort keep one of them,
    whichever comes last.)

    Parameters
    ----------
    threshold : float
        0 < threshold ≤ 1; above 0.5 it never acts.
    probability : float
        Of acting at a token, 0 … 1.
    acts_on : {"model", "decoded"}
        At β < 0 ``"decoded"`` has few viable tokens unless β is far below zero.

    Notes
    -----
    The die is thrown from a stream of the sequence's own; how often a token is drawn or a
    distribution is looked at does not move it.

    Examples
    --------
    >>> row = Candidates.of([3.0, 2.0, 2.0, 0.0])  # p = 0.56, 0.21, 0.21, 0.03
    >>> XTC(0.1, 1.0, acts_on="model").apply(row, 1.0).open.tolist()
    [False, True, True, True]
    """

    threshold: float
    probability: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < finite_number(self.threshold, "threshold") <= 1:
            raise InvalidInputError(
                f"threshold = {self.threshold!r} was given; accepted: above 0 and at most 1."
            )
        if not 0 <= finite_number(self.probability, "probability") <= 1:
            raise InvalidInputError(
                f"probability = {self.probability!r} was given; accepted: 0 to 1."
            )

    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        log_p = candidates.log_probabilities(beta)
        viable = log_p >= math.log(self.threshold)
        if chance >= self.probability or int(viable.sum()) < 2:
            return candidates.open
        return ~viable | (log_p == log_p[viable].min())
