"""What both of vLLM's interfaces share: the sampling parameters of a request."""

from __future__ import annotations

from typing import Any

from llm_bridge.decoding.adapters.request import request_decoder, require_beta
from llm_bridge.decoding.decoder import Decoder
from thermo.errors import InvalidInputError

__all__ = ["VllmRequests"]

_NEEDED = {"temperature": (1.0,), "top_k": (0, -1), "top_p": (1.0,), "min_p": (0.0,)}
_PENALTIES = {"repetition_penalty": (1.0,), "frequency_penalty": (0.0,), "presence_penalty": (0.0,)}


class VllmRequests:
    """Reads the requests to vLLM: which decoder, and whether vLLM would spoil its distribution."""

    penalties_come_after = False

    @classmethod
    def decoder(cls, arguments: dict[str, Any] | None) -> Decoder | None:
        """The decoder of a request; None leaves the request alone.

        To use schedules, filters or masks, override this in a subclass that the server can import.

        Parameters
        ----------
        arguments : dict or None
            ``extra_args`` of the request.
        """
        return request_decoder(arguments)

    @staticmethod
    def settings(beta: Any) -> dict[str, Any]:
        """Arguments of ``SamplingParams`` for a request at β, or at a list of β, one per token."""
        require_beta(beta)  # refused here, and not only by the server
        return {
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": 0.0,
            "extra_args": {"beta": beta},
        }

    @staticmethod
    def seed(sampling_params: Any) -> int:
        """The seed of a request for filters that throw dice, 0 … 2⁶⁴ − 1; 0 if it names none.

        vLLM accepts any integer of 64 bits: one below zero is read as the same bits unsigned.
        """
        return int(sampling_params.seed or 0) % 2**64

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Refuse a request at admission: β that is no number, or filters of vLLM's own.

        Raises
        ------
        InvalidInputError
            It is a ValueError, which vLLM answers to the client.
        """
        if cls.decoder(sampling_params.extra_args) is None:
            return
        needed = _NEEDED | (_PENALTIES if cls.penalties_come_after else {})
        for name, accepted in needed.items():
            given = getattr(sampling_params, name)
            if given not in accepted:
                raise InvalidInputError(
                    f"{name} = {given!r} was given beside a signed β; accepted: {accepted[0]!r}, "
                    "because vLLM applies it after β."
                )
