"""The tokens that are still open at one position, with their logits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from llm_bridge.decoding.signed_softmax import boltzmann, entropy_of, open_logits

__all__ = ["Candidates"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The tokens that may come next and their logits; what filters and schedules look at.

    Attributes
    ----------
    logits : torch.Tensor of float64, shape (V,)
        Finite numbers; those of tokens that are not open mean nothing.
    open : torch.Tensor of bool, shape (V,)
        Which tokens may come: not masked, valid, and not cut away by a filter.

    Examples
    --------
    >>> row = Candidates.of([2.0, 1.0, float("-inf")])
    >>> row.count, round(row.entropy(), 4), round(row.entropy(-1.0), 4)
    (2, 0.5822, 0.5822)
    """

    logits: Tensor
    open: Tensor
    _known: dict[float, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, logits: Any, valid: Any = None) -> Candidates:
        """Read one row of logits (V,), refusing what `signed_log_probabilities` refuses."""
        return cls(*open_logits(logits, valid))

    @property
    def count(self) -> int:
        """How many tokens are open."""
        return int(self.open.sum())

    def log_probabilities(self, beta: float = 1.0) -> Tensor:
        """ln p (V,) at β over the open tokens; −inf for the others. Not to be written to."""
        if beta not in self._known:
            self._known[beta] = boltzmann(self.logits, self.open, beta)
        return self._known[beta]

    def entropy(self, beta: float = 1.0) -> float:
        """Entropy in nats of the open tokens at β; at β = 1 the model's own."""
        return float(entropy_of(self.log_probabilities(beta)))

    def keeping(self, kept: Tensor) -> Candidates:
        """The same without the tokens where ``kept`` (V,) is False."""
        return Candidates(self.logits, self.open & kept)
