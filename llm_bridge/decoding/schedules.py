"""Schedules: which β every token gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llm_bridge.decoding.candidates import Candidates
from thermo.arguments import whole_number
from thermo.errors import InvalidInputError
from thermo.temperature import as_beta

__all__ = [
    "Constant",
    "EveryNth",
    "PerToken",
    "Schedule",
    "Step",
    "as_schedule",
    "require_tokens",
    "shorter",
]


@dataclass(frozen=True, eq=False)
class Step:
    """What a schedule knows when it is asked for the β of a token.

    Attributes
    ----------
    position : int
        How many tokens were generated before this one.
    candidates : Candidates
        Logits (V,) and which tokens are open, before any filter.
    tokens : sequence of int
        The ids generated so far, not the prompt.
    """

    position: int
    candidates: Candidates
    tokens: Sequence[int] = ()

    @cached_property
    def entropy(self) -> float:
        """Entropy of the model's own distribution (β = 1) over the open tokens, in nats."""
        return self.candidates.entropy()


class Schedule(ABC):
    """Base of schedules: frozen settings that say which β every token gets.

    A schedule remembers nothing itself. What it needs to know about the sequence is a state that
    the caller keeps, one per sequence, immutable and hashable: engines that change their batches
    can carry one for each request, and copy it.
    """

    @property
    def length(self) -> int | None:
        """How many tokens it has a β for; None where there is no end."""
        return None

    def begin(self) -> Any:
        """State before the first token; None where nothing needs remembering."""
        return None

    @abstractmethod
    def beta(self, state: Any, step: Step) -> tuple[float, Any]:
        """β for the token at this step, and the state to come back with for the next one.

        Parameters
        ----------
        state : object
            From `begin` or the previous call.
        step : Step

        Returns
        -------
        beta : float
            Any real number or ±inf.
        state : object
        """


@dataclass(frozen=True)
class Constant(Schedule):
    """The same β for every token.

    Parameters
    ----------
    value : float
        Inverse temperature: any real number, ±0.0, ±inf.

    Examples
    --------
    >>> Constant(-2).value
    -2.0
    """

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _one_beta(self.value))

    def beta(self, state: None, step: Step) -> tuple[float, None]:
        """β, whatever comes."""
        return self.value, None


@dataclass(frozen=True)
class PerToken(Schedule):
    """A list: one β for each token of the text.

    Parameters
    ----------
    betas : sequence of float
        At least one.
    then : {"last", "refuse", "repeat"}
        After the end of the list: go on with its last β, raise, or begin again.

    Raises
    ------
    InvalidInputError
        An empty list or NaN; ``then="refuse"`` and more tokens than the list has: by
        `llm_bridge.decoding.generation.generate` at once, in other engines when the list has ended.
    """

    betas: Sequence[float]
    then: str = "last"

    def __post_init__(self) -> None:
        values = as_beta(self.betas)
        if values.ndim != 1 or values.size == 0:
            raise InvalidInputError(f"betas = {self.betas!r} was given; a list of β is accepted.")
        if self.then not in ("last", "refuse", "repeat"):
            raise InvalidInputError(
                f"then = {self.then!r} was given; accepted: 'last', 'refuse' or 'repeat'."
            )
        object.__setattr__(self, "betas", tuple(values.tolist()))

    @property
    def length(self) -> int | None:
        """The list's own, if nothing may come after it."""
        return len(self.betas) if self.then == "refuse" else None

    def beta(self, state: None, step: Step) -> tuple[float, None]:
        """β of the list at this position."""
        size = len(self.betas)
        if step.position >= size and self.then == "refuse":
            raise InvalidInputError(
                f"the list of β has {size} entries and token {step.position + 1} is asked for; "
                "give a longer list or fewer tokens."
            )
        place = step.position % size if self.then == "repeat" else min(step.position, size - 1)
        return self.betas[place], None


@dataclass(frozen=True)
class EveryNth(Schedule):
    """One token from another schedule after every n − 1 of the usual one.

    ``EveryNth(1.0, -1.0, 10)``: the model's own text with one token at T = −1 every 10 tokens.

    Parameters
    ----------
    usual, other : Schedule or float
        A number is a constant β. Both follow the whole text, also where the other one decides.
    n : int
        Tokens n, 2n, 3n, … (counted from 1) are the other's.
    """

    usual: Schedule | float
    other: Schedule | float
    n: int

    def __post_init__(self) -> None:
        whole_number(self.n, "n", 1)
        object.__setattr__(self, "usual", as_schedule(self.usual))
        object.__setattr__(self, "other", as_schedule(self.other))

    @property
    def length(self) -> int | None:
        """That of the shorter one: both follow the whole text."""
        return shorter(self.usual, self.other)

    def begin(self) -> tuple[Any, Any]:
        """The states of both."""
        return as_schedule(self.usual).begin(), as_schedule(self.other).begin()

    def beta(self, state: tuple[Any, Any], step: Step) -> tuple[float, tuple[Any, Any]]:
        """β of the one whose turn it is."""
        usual, usual_state = as_schedule(self.usual).beta(state[0], step)
        other, other_state = as_schedule(self.other).beta(state[1], step)
        turn = (step.position + 1) % self.n == 0
        return (other if turn else usual), (usual_state, other_state)


def as_schedule(schedule: Schedule | float) -> Schedule:
    """A schedule as it is; a number as a constant β.

    Examples
    --------
    >>> as_schedule(-0.5)
    Constant(value=-0.5)
    """
    return schedule if isinstance(schedule, Schedule) else Constant(schedule)


def shorter(one: Schedule | float, other: Schedule | float) -> int | None:
    """The smaller length of two schedules; None if neither has an end."""
    lengths = (as_schedule(one).length, as_schedule(other).length)
    return min((length for length in lengths if length is not None), default=None)


def require_tokens(schedule: Schedule | float, max_tokens: int) -> None:
    """Refuse a number of tokens that is none, or that a schedule has not so many β for."""
    whole_number(max_tokens, "max_tokens", 1)
    length = as_schedule(schedule).length
    if length is not None and max_tokens > length:
        raise InvalidInputError(
            f"max_tokens = {max_tokens} was given with a list of β for {length} that refuses more; "
            f"accepted: up to {length}, a longer list, or one with then='last' or 'repeat'."
        )


def _one_beta(value: float) -> float:
    beta = as_beta(value)
    if beta.ndim:
        raise InvalidInputError(f"β = {value!r} was given; accepted: one number.")
    return float(beta)
