"""Signed temperature in ``model.generate`` of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from llm_bridge.decoding.adapters.followed_text import FollowedText, as_decoder
from llm_bridge.decoding.decoder import Decoder
from llm_bridge.decoding.schedules import Schedule
from llm_bridge.decoding.signed_softmax import signed_log_probabilities
from thermo.arguments import checked_seed
from thermo.errors import InvalidInputError

__all__ = ["SignedTemperatureProcessor"]

_AFTER_US = ("min_p", "top_h", "epsilon_cutoff", "eta_cutoff", "watermarking_config")
_SPECULATION = ("assistant_model", "prompt_lookup_num_tokens", "assistant_early_exit")


class SignedTemperatureProcessor(LogitsProcessor):
    r"""Let ``model.generate`` draw from p ∝ exp(βz) at β of either sign, 0 or ±∞.

    Parameters
    ----------
    decoder : Decoder, Schedule or float
        A number is a constant β. Give a decoder to add filters or a mask: at β ≤ 0 the rows of a
        padded vocabulary win unless ``Decoder(β, valid=no_padding(model))`` takes them out.
    seed : int
        Of the filters that throw dice (XTC). The tokens are drawn by transformers, from torch's
        own generator: seed those with ``torch.manual_seed``.

    Raises
    ------
    InvalidInputError
        While generating: NaN among the logits; with a schedule or a filter (not a constant β)
        tokens out of order, as soon as beams change places or a draft of assisted decoding is
        turned down. Every token before that was drawn at the right β.

    Notes
    -----
    Use it as ``model.generate(**inputs, **processor.settings())``. transformers applies, in this
    order: its own penalties and bans (repetition penalty, bad words, min length …), this
    processor, then temperature, top-k, top-p … of its own. The settings switch the latter off:
    the default top_k = 50 would, at β < 0, keep the 50 *least* likely tokens. Bans arrive as
    −inf and stay. Penalties that were meant for β > 0 make tokens likelier at β < 0, and
    ``guidance_scale`` is applied to the logits before β. With a constant β, beam search looks for
    the text that is likeliest at that β, and assisted decoding draws from the same distribution.

    One processor can be used for batches, and for one text after another: `settings` begins a new
    one. Where generate is called again without it, a schedule or filter knows another text by its
    ids alone. If every row of a batch goes on from the last text by exactly one token, it looks
    like that text going on and is taken for it: call `reset`. Prompts that go on from it in other
    ways are refused. With continuous batching only a constant β works, since there no row says
    whose text it is.

    Examples
    --------
    >>> import torch
    >>> from llm_bridge import SignedTemperatureProcessor, load_model
    >>> model = load_model("demo")
    >>> prompt = torch.tensor(model.encode("def __init__("))[None]
    >>> processor = SignedTemperatureProcessor(float("inf"))
    >>> text = model.torch_module.generate(prompt, **processor.settings(), max_new_tokens=2)
    >>> model.decode(text[0].tolist())
    'def __init__(self,'
    """

    def __init__(self, decoder: Decoder | Schedule | float, *, seed: int = 0) -> None:
        self.decoder = as_decoder(decoder)
        self._seed = checked_seed(seed)
        self._texts: list[FollowedText] = []
        # transformers asks for this: whether rows may change places from call to call.
        self.supports_continuous_batching = self.decoder.constant_beta is not None

    def settings(self) -> dict[str, Any]:
        """The arguments of ``generate`` that go with it.

        Returns
        -------
        dict
            This processor, sampling, temperature 1, and what transformers would do to our
            distribution (its filters, its watermark) switched off; speculation, too, unless β is
            constant.
        """
        self.reset()
        constant = self.decoder.constant_beta is not None
        return {
            "logits_processor": [self],
            "do_sample": True,
            "num_beams": 1,
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 1.0,
            "typical_p": 1.0,
            # None takes out what a generation_config may have set.
            **dict.fromkeys(_AFTER_US if constant else _AFTER_US + _SPECULATION),
        }

    def reset(self) -> None:
        """Begin a new text with the next call, whatever its prompt. `settings` does it, too."""
        self._texts = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Log-probabilities of the next tokens.

        Parameters
        ----------
        input_ids : torch.Tensor of int, shape (rows, n)
        scores : torch.Tensor, shape (rows, V)
            Logits. Not written to: transformers may keep them as its ``output_logits``.

        Returns
        -------
        torch.Tensor, shape (rows, V)
            Of the dtype of ``scores``; −inf for tokens that cannot come.
        """
        beta = self.decoder.constant_beta
        if beta is not None:
            log_p = signed_log_probabilities(scores, beta, self.decoder.valid)
            return log_p.to(scores.dtype)
        if input_ids.ndim != 2:
            raise InvalidInputError(
                "with continuous batching only a constant β is accepted; a schedule or filter was "
                "given."
            )
        rows = input_ids.tolist()
        decoded = [
            text.decoded(lambda ids=ids: ids, row)
            for text, ids, row in zip(self._texts_of(rows), rows, scores, strict=True)
        ]
        return torch.stack([row.log_probabilities for row in decoded]).to(scores.dtype)

    def _texts_of(self, rows: list[list[int]]) -> list[FollowedText]:
        """The texts of a batch. They advance together: where one is another, all are."""
        if len(self._texts) != len(rows):
            seeds = np.random.SeedSequence(self._seed).spawn(len(rows))
            self._texts = [FollowedText(self.decoder, seed) for seed in seeds]
        elif any(text.is_another(ids) for text, ids in zip(self._texts, rows, strict=True)):
            for text in self._texts:
                text.begin()
        return self._texts
