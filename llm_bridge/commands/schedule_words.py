"""Schedules of β as the command line writes them: ``"every 8 T=-0.5"``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from thermo.arguments import one_of
from thermo.errors import InvalidInputError
from thermo.temperature import as_beta, beta_from_temperature, temperature_from_beta

if TYPE_CHECKING:
    from llm_bridge.decoding import Schedule

__all__ = ["FORMS", "parse_schedules"]

FORMS = {
    "every": "every N T=…",
    "list": "list T=… T=… … [then=last|repeat|refuse]",
    "edt": "edt THETA [base=0.8]",
    "dynamic": "dynamic T=… T=… [exponent=1]",
    "target": "target NATS",
    "feedback": "feedback NATS [gain=0.05] [limit=100]",
    "spike": "spike T=… [sigmas=2] [memory=16] [rearm=N]",
}
"""How each kind of schedule is written; β=… (or beta=…) may stand wherever T=… does."""


def parse_schedules(words: Sequence[str], beta: float | None) -> tuple[Schedule, bool]:
    """Read schedules from the command line, each built upon the one before.

    Parameters
    ----------
    words : sequence of str
        In the forms of ``FORMS``, for example ``["edt 0.3", "every 8 T=-0.5"]``: a token at
        T = −0.5 every eight, the others by EDT.
    beta : float or None
        The usual β that the first one is built upon. None: 1, unless a schedule has no use for it.

    Returns
    -------
    schedule : Schedule
        A constant one without words.
    below_zero : bool
        Whether it can ask for a β < 0; β = −0.0 (T = −inf) is on that side.

    Raises
    ------
    InvalidInputError
        Another form or number, naming what is accepted; a schedule that has no place for the one
        before.

    Examples
    --------
    >>> parse_schedules(["every 8 T=-0.5"], 1.0)
    (EveryNth(usual=Constant(value=1.0), other=Constant(value=-2.0), n=8), True)
    """
    from llm_bridge.decoding import Constant

    usual: Schedule | None = None if beta is None else Constant(beta)
    mentioned = [] if beta is None else [beta]
    for line in words:
        given = _read(line)
        mentioned += given.betas
        try:
            usual = _BUILDERS[given.kind](given, usual)
        except _FormError as error:
            raise _refused(line, given.kind) from error
        except InvalidInputError as error:
            raise InvalidInputError(f"--schedule {line!r}: {error}") from error
    return usual or Constant(1.0), any(math.copysign(1.0, b) < 0 for b in mentioned)


class _FormError(Exception):
    """The words do not have the form of their kind."""


class _Given(NamedTuple):
    """The words of one schedule, sorted."""

    kind: str
    betas: list[float]
    numbers: list[float]
    named: dict[str, str]

    def require(self, betas: int | None, numbers: int, *names: str) -> None:
        wrong_betas = not self.betas if betas is None else len(self.betas) != betas
        if wrong_betas or len(self.numbers) != numbers or set(self.named) - set(names):
            raise _FormError

    def number(self, name: str, default: float) -> float:
        return _number(self.named[name]) if name in self.named else default

    def whole(self, name: str, default: int | None) -> int | None:
        return _whole(_number(self.named[name])) if name in self.named else default


def _read(line: str) -> _Given:
    kind, *rest = line.split() or [""]
    one_of(kind, "--schedule", tuple(FORMS))
    betas, numbers, named = [], [], {}
    try:
        for word in rest:
            name, is_named, value = word.partition("=")
            if not is_named:
                numbers.append(_number(word))
            elif name == "T":
                betas.append(float(beta_from_temperature(_number(value))))
            elif name in ("β", "beta"):
                betas.append(float(as_beta(_number(value))))
            elif name in named:
                raise _FormError
            else:
                named[name] = value
    except _FormError as error:
        raise _refused(line, kind) from error
    return _Given(kind, betas, numbers, named)


def _refused(line: str, kind: str) -> InvalidInputError:
    return InvalidInputError(f"--schedule {line!r} was given; accepted: {FORMS[kind]!r}")


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise _FormError from error


def _whole(number: float) -> int:
    if not number.is_integer():
        raise _FormError
    return int(number)


def _every(given: _Given, usual: Schedule | None) -> Schedule:
    from llm_bridge.decoding import EveryNth

    given.require(1, 1)
    return EveryNth(usual or 1.0, given.betas[0], _whole(given.numbers[0]))


def _list(given: _Given, usual: Schedule | None) -> Schedule:
    from llm_bridge.decoding import PerToken

    given.require(None, 0, "then")
    _needs_nothing_before(usual)
    return PerToken(given.betas, given.named.get("then", "last"))


def _edt(given: _Given, usual: Schedule | None) -> Schedule:
    from llm_bridge.decoding import EDT

    given.require(0, 1, "base")
    return EDT(_constant(usual), given.numbers[0], given.number("base", 0.8))


def _dynamic(given: _Given, usual: Schedule | None) -> Schedule:
    from llm_bridge.decoding import DynamicTemperature

    given.require(2, 0, "exponent")
    _needs_nothing_before(usual)
    if 0 in given.betas:
        raise InvalidInputError("T = ∞ (β = 0) was given; accepted: finite temperatures")
    lowest, highest = temperature_from_beta(given.betas).tolist()
    return DynamicTemperature(lowest, highest, given.number("exponent", 1.0))


def _target(given: _Given, usual: Schedule | None) -> Schedule:
    from llm_bridge.decoding import EntropyTarget

    given.require(0, 1)
    return EntropyTarget(given.numbers[0], int(math.copysign(1, _constant(usual))))


def _feedback(given: _Given, usual: Schedule | None) -> Schedule:
    from llm_bridge.decoding import EntropyFeedback

    given.require(0, 1, "gain", "limit")
    return EntropyFeedback(
        given.numbers[0],
        _constant(usual),
        given.number("gain", 0.05),
        given.number("limit", 100.0),
    )


def _spike(given: _Given, usual: Schedule | None) -> Schedule:
    from llm_bridge.decoding import HotUntilSpike

    given.require(1, 0, "sigmas", "memory", "rearm")
    return HotUntilSpike(
        usual or 1.0,
        given.betas[0],
        given.number("sigmas", 2.0),
        given.whole("memory", 16) or 0,
        given.whole("rearm", None),
    )


def _constant(usual: Schedule | None) -> float:
    """The β that a schedule is told to start from."""
    from llm_bridge.decoding import Constant

    if usual is None:
        return 1.0
    if not isinstance(usual, Constant):
        raise InvalidInputError(
            "it follows another schedule, but starts from one β; accepted: it first, the other one "
            "after it"
        )
    return usual.value


def _needs_nothing_before(usual: Schedule | None) -> None:
    if usual is not None:
        raise InvalidInputError(
            "it says every temperature itself; accepted: without --beta, --temperature or another "
            "--schedule before it"
        )


_BUILDERS: dict[str, Callable[[_Given, Schedule | None], Schedule]] = {
    "every": _every,
    "list": _list,
    "edt": _edt,
    "dynamic": _dynamic,
    "target": _target,
    "feedback": _feedback,
    "spike": _spike,
}
