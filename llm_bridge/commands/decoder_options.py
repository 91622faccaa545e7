"""The options that make a decoder: temperature, schedules, filters and masks of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm_bridge.commands.schedule_words import FORMS, parse_schedules
from thermo.arguments import one_of
from thermo.errors import InvalidInputError
from thermo.temperature import as_beta, beta_from_temperature

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llm_bridge.decoding import Decoder, Filter
    from llm_bridge.models import LanguageModel

__all__ = [
    "BetaOption",
    "MaskOption",
    "ScheduleOption",
    "TemperatureOption",
    "make_decoder",
    "make_filters",
    "one_beta",
]

MASKS = ("printable", "english", "reachable", "no-special", "no-end", "end")

BetaOption = Annotated[
    float | None, typer.Option("--beta", help="Inverse temperature, any real number, inf or -inf.")
]
TemperatureOption = Annotated[
    float | None,
    typer.Option("--temperature", help="T = 1/β of either sign; 0 and -0.0 differ.  [1]"),
]
ScheduleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--schedule",
        metavar="<WORDS>",
        help="Another β for every token, one of: " + "; ".join(FORMS.values()) + ". β=… may stand "
        "for T=…; several are built upon each other.",
    ),
]
MaskOption = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="<NAMES>",
        help="Which tokens may come: of printable, english, reachable, no-special, no-end all "
        "that are named, with commas; and end: the text may also end.",
    ),
]


def one_beta(beta: float | None, temperature: float | None) -> float | None:
    """The β of two options of which at most one is given."""
    if beta is not None and temperature is not None:
        raise InvalidInputError("--beta and --temperature were given; accepted: one of the two")
    if temperature is not None:
        return float(beta_from_temperature(temperature))
    return None if beta is None else float(as_beta(beta))


def make_filters(given: dict[str, Any], filter_on: str | None, below_zero: bool) -> list[Filter]:
    """Filters from the options that were given, in llama.cpp's order.

    Parameters
    ----------
    given : dict
        ``top_n_sigma``, ``top_k``, ``typical``, ``top_p``, ``min_p``, ``eta``: a number;
        ``xtc``, ``mirostat``: numbers as text, commas between. None where an option was not given.
    filter_on : {"model", "decoded"} or None
        Required where β can be negative: the two are opposites there. Default: "model".
    below_zero : bool
        Whether β can be negative.

    Returns
    -------
    list of Filter

    Raises
    ------
    InvalidInputError
        ``filter_on`` is missing or has nothing to say, or a number a filter does not accept.
    """
    from llm_bridge import decoding

    kinds: dict[str, Callable[..., Filter]] = {
        "top_n_sigma": decoding.TopNSigma,
        "top_k": decoding.TopK,
        "typical": decoding.Typical,
        "top_p": decoding.TopP,
        "min_p": decoding.MinP,
        "eta": decoding.Eta,
        "xtc": decoding.XTC,
        "mirostat": decoding.Mirostat,
    }
    wanted = {name: given[name] for name in kinds if given[name] is not None}
    if filter_on is not None:
        one_of(filter_on, "--filter-on", ("model", "decoded"))
        if not wanted:
            raise InvalidInputError("--filter-on was given without a filter; accepted: with one")
    elif wanted and below_zero:
        option = f"--{next(iter(wanted)).replace('_', '-')}"
        raise InvalidInputError(
            f"{option} was given with a negative temperature; accepted: together with --filter-on "
            "model (cut what the model thinks unlikely) or --filter-on decoded (cut what is "
            "unlikely at that temperature: the model's favourites)"
        )
    several = {"xtc": ("THRESHOLD,PROBABILITY", (2,)), "mirostat": ("TAU[,ETA]", (1, 2))}
    return [
        kinds[name](
            *(_numbers(value, name, *several[name]) if name in several else [value]),
            acts_on=filter_on or "model",
        )
        for name, value in wanted.items()
    ]


def make_decoder(
    model: LanguageModel,
    beta: float | None,
    schedule: list[str] | None,
    filters: dict[str, Any],
    filter_on: str | None,
    mask: str | None,
) -> Decoder:
    """The decoder that the options describe, for this model's vocabulary."""
    from llm_bridge.decoding import Decoder

    plan, below_zero = parse_schedules(schedule or [], beta)
    return Decoder(plan, make_filters(filters, filter_on, below_zero), make_mask(model, mask))


def make_mask(model: LanguageModel, names: str | None) -> NDArray[np.bool_]:
    """Which tokens of a model may come, shape (V,): all that are named, and the end of the text.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> int(make_mask(model, "english,end").sum()) - int(make_mask(model, "english").sum())
    1
    """
    from llm_bridge import decoding

    masks = {
        "printable": decoding.printable_text,
        "english": decoding.english_words,
        "reachable": decoding.reachable,
        "no-special": decoding.no_special,
        "no-end": lambda model: ~decoding.end_of_text(model),
    }
    given = [] if names is None else names.split(",")
    wanted = [one_of(name.strip(), "--mask", MASKS) for name in given]
    both = [masks[name](model) for name in wanted if name != "end"]
    mask = reduce(lambda one, other: one & other, both, decoding.no_padding(model))
    return mask | decoding.end_of_text(model) if "end" in wanted else mask


def _numbers(value: str, name: str, form: str, counts: tuple[int, ...]) -> list[float]:
    try:
        numbers = [float(word) for word in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts:
        raise InvalidInputError(f"--{name} {value} was given; accepted: numbers {form}")
    return numbers
