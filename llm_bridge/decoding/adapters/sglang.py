"""Signed temperature in SGLang."""

from __future__ import annotations

from functools import partial
from typing import Any

from sglang.srt.sampling.custom_logit_processor import CustomLogitProcessor
from torch import Tensor

from llm_bridge.decoding.adapters.followed_text import FollowedText
from llm_bridge.decoding.adapters.request import request_decoder, require_beta
from llm_bridge.decoding.decoder import Decoder

__all__ = ["SignedTemperature"]

_TEXT = "__spinlogit__"


class SignedTemperature(CustomLogitProcessor):
    """A processor that requests name; they choose β by ``custom_params={"beta": β}``.

    Start the server with ``--enable-custom-logit-processor``, and send
    ``custom_logit_processor=SignedTemperature.to_str()`` with
    ``sampling_params=SignedTemperature.settings(-0.5)``. spinlogit must be installed on the
    server too: what travels is the name of this class. Only for clients that the server trusts, as
    all of SGLang's custom processors: they travel as pickles.

    With a list of β, and any schedule that follows the text, start the server with
    ``--disable-overlap-schedule`` as well, and without speculative decoding. SGLang otherwise asks
    for a token before it has noted the one before it.
    """

    @classmethod
    def decoder(cls, arguments: dict[str, Any] | None) -> Decoder | None:
        """The decoder of a request; None leaves it alone. Override it to add schedules, masks.

        Parameters
        ----------
        arguments : dict or None
            ``custom_params`` of the request.
        """
        return request_decoder(arguments)

    @staticmethod
    def settings(beta: Any) -> dict[str, Any]:
        """The ``sampling_params`` of a request at β, or at a list of β, one per token."""
        require_beta(beta)  # refused here: on the server it would be too late
        return {
            "temperature": 1.0,
            "top_k": -1,
            "top_p": 1.0,
            "min_p": 0.0,
            "custom_params": {"beta": beta},
        }

    def __call__(
        self, logits: Tensor, custom_param_list: list[dict[str, Any]] | None = None
    ) -> Tensor:
        """Log-probabilities (rows, V) for the requests of this batch, one row each."""
        out = logits.clone()
        for row, arguments in enumerate(custom_param_list or ()):
            text = self._text(arguments)
            if text is not None:
                generated = partial(getattr, arguments.get("__req__"), "output_ids")
                decoded = text.decoded(generated, logits[row])
                out[row] = decoded.log_probabilities.to(logits.dtype)
        return out

    def _text(self, arguments: dict[str, Any] | None) -> FollowedText | None:
        """The text of a request. It lives where SGLang keeps the request: we are made anew."""
        if arguments is None:
            return None
        if _TEXT not in arguments:
            decoder = self.decoder(arguments)
            arguments[_TEXT] = (
                None if decoder is None else FollowedText(decoder, shows_prompt=False)
            )
        return arguments[_TEXT]
