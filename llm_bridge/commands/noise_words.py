"""Weight noise as the command line writes it: ``sigma=0.1,tau=20,where=mlp``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thermo.arguments import one_of
from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from llm_bridge.brownian import WeightNoise

__all__ = ["FORM", "parse_noise"]

FORM = "sigma=…[,tau=…][,where=…][,law=…][,scale=…][,correlation=…][,rank=…][,seed=…][,machine=…]"
"""How noise is written."""

_NUMBERS = {"sigma": float, "tau": float, "rank": int, "seed": int}
_NAMES = ("sigma", "tau", "where", "law", "scale", "correlation", "rank", "seed", "machine")


def parse_noise(words: str, seed: int) -> tuple[WeightNoise, str]:
    """Read weight noise from the command line.

    Parameters
    ----------
    words : str
        ``name=value`` with commas between, the names as in ``FORM``: arguments of `WeightNoise`.
        ``where`` may be given several times. With ``tau`` the correlation is "ou".
    seed : int
        Of the noise, unless the words say another.

    Returns
    -------
    noise : WeightNoise
    machine : str
        "auto" unless the words say another.

    Raises
    ------
    InvalidInputError
        Other names, a name twice, values that are no numbers, no ``sigma``; and whatever
        `WeightNoise` refuses.

    Examples
    --------
    >>> noise, machine = parse_noise("sigma=0.1,tau=20,where=attention,where=mlp", seed=3)
    >>> noise.correlation, noise.places, noise.seed, machine
    ('ou', ('attention', 'mlp'), 3, 'auto')
    """
    from llm_bridge.brownian import WeightNoise

    given: dict[str, Any] = {}
    places: list[str] = []
    for word in words.split(","):
        name, is_named, value = word.strip().partition("=")
        one_of(name, "--brownian", _NAMES)
        repeated = name in given
        if name == "where":
            places.append(value)
        elif not is_named or not value or repeated:
            raise _refused(words)
        else:
            given[name] = _value(words, name, value)
    if "sigma" not in given:
        raise _refused(words)
    machine = given.pop("machine", "auto")
    one_of(machine, "machine", ("auto", "function_space", "copies"))
    if places:
        given["where"] = places
    if "tau" in given:
        given.setdefault("correlation", "ou")
    given.setdefault("seed", seed)
    return WeightNoise(**given), machine


def _value(words: str, name: str, value: str) -> Any:
    try:
        return _NUMBERS[name](value) if name in _NUMBERS else value
    except ValueError as error:
        raise _refused(words) from error


def _refused(words: str) -> InvalidInputError:
    return InvalidInputError(f"--brownian {printable(words)} was given; accepted: {FORM}")
