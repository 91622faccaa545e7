"""Signed temperature in vLLM with its V1 model runner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from llm_bridge.decoding.adapters.followed_text import FollowedText
from llm_bridge.decoding.adapters.vllm_settings import VllmRequests

__all__ = ["SignedTemperature"]


class SignedTemperature(VllmRequests, AdapterLogitsProcessor):
    """A processor to name when vLLM starts; requests choose β by ``extra_args={"beta": β}``.

    Give ``logits_processors=["llm_bridge.decoding.adapters.vllm_v1:SignedTemperature"]`` to
    ``LLM``, and ``SamplingParams(**SignedTemperature.settings(-0.5))`` to a request. Requests
    without "beta" are left alone. vLLM refuses custom processors beside speculative decoding.

    A request that vLLM set aside and took up again keeps its place in a list of β; what a
    schedule had learned from the text before that is lost.
    """

    penalties_come_after = True

    def is_argmax_invariant(self) -> bool:
        """No: at β < 0 the least likely token becomes the likeliest."""
        return False

    def new_req_logits_processor(self, params: Any) -> Callable[[list[int], Tensor], Tensor] | None:
        """The processor of one request: (generated tokens, logits (V,)) → log-probabilities."""
        decoder = self.decoder(params.extra_args)
        if decoder is None:
            return None
        text = FollowedText(decoder, self.seed(params), shows_prompt=False)

        def process(output_ids: list[int], logits: Tensor) -> Tensor:
            decoded = text.decoded(lambda: output_ids, logits)
            return decoded.log_probabilities.to(logits.dtype)

        return process
