"""Signed temperature in vLLM with its V2 model runner."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor

from llm_bridge.decoding.adapters.followed_text import FollowedText
from llm_bridge.decoding.adapters.vllm_settings import VllmRequests
from thermo.errors import InvalidInputError

__all__ = ["SignedTemperature"]


class SignedTemperature(VllmRequests, LogitsProcessor):
    """A processor to name when vLLM starts; requests choose β by ``extra_args={"beta": β}``.

    Give ``logits_processors=["llm_bridge.decoding.adapters.vllm_v2:SignedTemperature"]`` to
    ``LLM``, and ``SamplingParams(**SignedTemperature.settings(-0.5))`` to a request. Requests
    without "beta" are left alone.

    Penalties and bias come before β here, and were meant for β > 0: at β < 0 they make likelier
    what they should make less likely. ``allowed_token_ids`` and ``bad_words`` are masks and stay.
    """

    def __init__(self, vllm_config: Any, req_states: Any) -> None:
        if vllm_config.speculative_config is not None:
            raise InvalidInputError(
                "speculative decoding and signed temperature were asked for; one of them is "
                "accepted, because drafts follow the model at β > 0."
            )
        self._states = req_states
        self._texts: dict[int, FollowedText] = {}

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Take note of a request in a slot; whether its logits are ours to change."""
        self._texts.pop(req_idx, None)  # of the slot's last request
        decoder = self.decoder(sampling_params.extra_args)
        if decoder is None:
            return False
        seed = self.seed(sampling_params)
        self._texts[req_idx] = FollowedText(decoder, seed, shows_prompt=False)
        return True

    def apply(self, logits: Tensor, ctx: Any) -> Tensor:
        """Log-probabilities in the rows (V,) of our requests, in place as vLLM prefers."""
        for row, slot in enumerate(ctx.expanded_idx_mapping.tolist()):
            if slot in self._texts:
                decoded = self._texts[slot].decoded(partial(self._ids, slot), logits[row])
                logits[row] = decoded.log_probabilities.to(logits.dtype)
        return logits

    def _ids(self, slot: int) -> list[int]:
        """The tokens generated so far for the request in a slot."""
        states = self._states
        start, stop = int(states.prompt_len.np[slot]), int(states.total_len.gpu[slot])
        return states.all_token_ids.gpu[slot, start:stop].tolist()
