"""Filters that cut candidates away before a token is drawn, at β of either sign."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llm_bridge.decoding.candidates import Candidates
from llm_bridge.decoding.signed_softmax import entropy_of
from thermo.arguments import finite_number, shown, whole_number
from thermo.errors import InvalidInputError

__all__ = ["Eta", "Filter", "MinP", "TopK", "TopNSigma", "TopP", "Typical", "as_filters"]

ACTS_ON = ("model", "decoded")


@dataclass(frozen=True, kw_only=True)
class Filter(ABC):
    """Base of filters: which candidates stay.

    At β < 0 a filter must say which distribution it means, and there is no default:

    - ``acts_on="model"``: the model's own, p ∝ exp(z). ``TopK(50)`` keeps the 50 tokens that the
      model thinks likeliest, and a negative temperature then draws the least likely *of these*:
      unexpected but possible text.
    - ``acts_on="decoded"``: the one that is drawn from, p ∝ exp(βz). At β < 0 ``TopK(50)``
      keeps the 50 tokens at the *bottom* of the model's distribution.

    At β = 1 the two are the same. Filters act one after another in the order of
    ``Decoder(filters=...)``, each on the distribution renormalised over what the ones before it
    left. A filter that would leave nothing keeps the likeliest tokens of its distribution. Tokens
    that tie with the last one kept stay too: no filter prefers low ids.

    Parameters
    ----------
    acts_on : {"model", "decoded"}
    """

    acts_on: str

    def __post_init__(self) -> None:
        if self.acts_on not in ACTS_ON:
            raise InvalidInputError(
                f"acts_on = {self.acts_on!r} was given; accepted: 'model' (the distribution at "
                "β = 1) or 'decoded' (the one at the β that is drawn from)."
            )

    def begin(self) -> Any:
        """State of the filter before the first token; None for those that remember nothing."""
        return None

    def apply(
        self, candidates: Candidates, beta: float, state: Any = None, chance: float = 0.0
    ) -> Candidates:
        """The candidates that stay, at least one.

        Parameters
        ----------
        candidates : Candidates
            What the filters before this one left.
        beta : float
            The signed β that is drawn from.
        state : object
            From `begin` or `after`.
        chance : float
            A uniform number in [0, 1), new for every token, for filters that throw a die.

        Returns
        -------
        Candidates
        """
        own_beta = self._own_beta(beta)
        kept = self._keeps(candidates, own_beta, state, chance)
        if not (kept & candidates.open).any():
            log_p = candidates.log_probabilities(own_beta)
            kept = log_p == log_p.max()
        return candidates.keeping(kept)

    def after(self, state: Any, candidates: Candidates, beta: float, token: int) -> Any:
        """State after ``token`` came; ``candidates`` and ``beta`` are those given to `apply`."""
        return state

    def _own_beta(self, beta: float) -> float:
        return 1.0 if self.acts_on == "model" else beta

    @abstractmethod
    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        """Which tokens stay (V,); ``beta`` is that of the distribution the filter acts on."""


@dataclass(frozen=True)
class TopK(Filter):
    """Keep the k likeliest tokens, and those that tie with the k-th (Fan et al., 2018).

    Parameters
    ----------
    k : int
        At least 1.
    acts_on : {"model", "decoded"}

    Examples
    --------
    >>> row = Candidates.of([3.0, 2.0, 1.0, 0.0])
    >>> TopK(2, acts_on="model").apply(row, -1.0).open.tolist()
    [True, True, False, False]
    >>> TopK(2, acts_on="decoded").apply(row, -1.0).open.tolist()
    [False, False, True, True]
    """

    k: int

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number(self.k, "k", 1)

    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        log_p = candidates.log_probabilities(beta)
        return log_p >= log_p.topk(min(self.k, log_p.numel())).values[-1]


@dataclass(frozen=True)
class TopP(Filter):
    """Keep the likeliest tokens that together have probability p: the nucleus (Holtzman, 2020).

    Parameters
    ----------
    p : float
        0 < p ≤ 1; 1 keeps everything.
    acts_on : {"model", "decoded"}
    """

    p: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction(self.p, "p")

    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        log_p = candidates.log_probabilities(beta)
        return _smallest_set(-log_p, log_p.exp(), self.p)


@dataclass(frozen=True)
class MinP(Filter):
    r"""Keep tokens with at least ``ratio`` times the highest probability (Nguyen et al., 2024).

    Parameters
    ----------
    ratio : float
        0 < ratio ≤ 1.
    acts_on : {"model", "decoded"}
        On the decoded one the cut is ln(1/ratio)/\|β\| away from the extreme logit.
    """

    ratio: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction(self.ratio, "ratio")

    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        log_p = candidates.log_probabilities(beta)
        return log_p >= log_p.max() + math.log(self.ratio)


@dataclass(frozen=True)
class TopNSigma(Filter):
    """Keep logits within n standard deviations of the largest: z ≥ max z − nσ (Tang et al., 2024).

    Both sides of the cut scale alike with β, so that only its sign matters: on the decoded
    distribution at β < 0 it is z ≤ min z + nσ, and at β = 0, where no token stands out, all stay.
    σ is that of the candidates (divided by their number, as in the paper).

    Parameters
    ----------
    n : float
        Positive; 1 is the paper's choice.
    acts_on : {"model", "decoded"}
    """

    n: float

    def __post_init__(self) -> None:
        super().__post_init__()
        finite_number(self.n, "n", positive=True)

    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        if beta == 0:
            return candidates.open
        signed = candidates.logits if beta > 0 else -candidates.logits
        values = signed[candidates.open]
        return signed >= values.max() - self.n * values.std(correction=0)


@dataclass(frozen=True)
class Typical(Filter):
    r"""Keep the tokens whose surprise is nearest to the entropy (Meister et al., 2023).

    Sorted by \|−ln p − H\|, the first that together have
    probability ``mass``.

    Parameters
    ----------
    mass : float
        0 < mass ≤ 1.
    acts_on : {"model", "decoded"}
    """

    mass: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction(self.mass, "mass")

    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        log_p = candidates.log_probabilities(beta)
        return _smallest_set((log_p + entropy_of(log_p)).abs(), log_p.exp(), self.mass)


@dataclass(frozen=True)
class Eta(Filter):
    """Cut tokens with p < min(ε, √ε e^{−H}): less where the model is unsure (Hewitt et al., 2022).

    Parameters
    ----------
    epsilon : float
        0 < ε < 1; 3e-4 … 4e-3 in the paper.
    acts_on : {"model", "decoded"}
    """

    epsilon: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < finite_number(self.epsilon, "epsilon") < 1:
            raise InvalidInputError(
                f"epsilon = {self.epsilon!r} was given; accepted: a number between 0 and 1."
            )

    def _keeps(self, candidates: Candidates, beta: float, state: Any, chance: float) -> Tensor:
        log_p = candidates.log_probabilities(beta)
        log_epsilon = math.log(self.epsilon)
        return log_p >= min(log_epsilon, 0.5 * log_epsilon - float(entropy_of(log_p)))


def as_filters(filters: Filter | Sequence[Filter], name: str = "filters") -> tuple[Filter, ...]:
    """Filters as a tuple; one alone counts as a list of one.

    Examples
    --------
    >>> as_filters(TopK(2, acts_on="model"))
    (TopK(acts_on='model', k=2),)
    """
    given = (filters,) if isinstance(filters, Filter) else filters
    items = tuple(given) if isinstance(given, Iterable) else (given,)
    for item in items:
        if not isinstance(item, Filter):
            raise InvalidInputError(
                f"{name} = {shown(filters)} was given; a Filter or a list of them is accepted."
            )
    return items


def _smallest_set(rank: Tensor, probabilities: Tensor, mass: float) -> Tensor:
    """The tokens of lowest rank that together reach ``mass``, with those that tie with the last.

    Equal ranks must be equal numbers: the caller computes them elementwise.
    """
    if mass >= 1:  # all: the sum reaches 1 by rounding before the tail, which β < 0 lives on
        return torch.ones_like(rank, dtype=torch.bool)
    ordered, order = rank.sort()
    before = probabilities[order].cumsum(0) - probabilities[order]
    last = max(int((before < mass).sum()) - 1, 0)
    return rank <= ordered[last]


def _fraction(value: float, name: str) -> None:
    if not 0 < finite_number(value, name) <= 1:
        raise InvalidInputError(
            f"{name} = {value!r} was given; accepted: a number above 0 and at most 1."
        )
