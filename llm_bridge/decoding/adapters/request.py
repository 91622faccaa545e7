"""What a request to a server says about its temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_bridge.decoding.decoder import Decoder
from llm_bridge.decoding.schedules import PerToken
from thermo.arguments import shown
from thermo.errors import InvalidInputError

__all__ = ["request_decoder", "require_beta"]


def request_decoder(arguments: Mapping[str, Any] | None) -> Decoder | None:
    """The decoder that the arguments of a request ask for.

    Parameters
    ----------
    arguments : mapping, optional
        ``{"beta": β}``, or ``{"beta": [β, β, …]}`` for one β per token, the last of which stays.
        JSON has no infinity: ``"inf"`` and ``"-inf"`` are accepted.

    Returns
    -------
    Decoder or None
        None for a request that does not name β: it is none of ours.

    Raises
    ------
    InvalidInputError
        β is no number, NaN, too large for a float, or an empty list.

    Examples
    --------
    >>> request_decoder({"beta": "-inf"}).schedule
    Constant(value=-inf)
    >>> request_decoder({"beta": [1, -1]}).schedule
    PerToken(betas=(1.0, -1.0), then='last')
    """
    if not arguments or arguments.get("beta") is None:
        return None
    beta = arguments["beta"]
    if isinstance(beta, (list, tuple)):
        return Decoder(PerToken([_number(value) for value in beta]))
    return Decoder(_number(beta))


def require_beta(beta: Any) -> None:
    """Refuse what a server would refuse, and None, by which it would leave the request alone."""
    if request_decoder({"beta": beta}) is None:
        _number(beta)


def _number(value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInputError(
            f'"beta": {shown(value)} was given; accepted: a number, "inf", "-inf", or a list of '
            "these."
        ) from None
