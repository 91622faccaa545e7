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
from llm_bridge.logit_arrays import MASKED_AT
from thermo.arguments import checked_seed
from thermo.errors import InvalidInputError

__all__ = ["SignedTemperatureProcessor"]


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
        While generating: NaN among the logits; β < 0 in a beam search, whose scores are sums of
        log-probabilities of the model; a schedule or a filter (not a constant β) in beam search or
        assisted decoding, where no single text can be followed.

    Notes
    -----
    Use it as ``model.generate(**inputs, **processor.settings())``. transformers applies, in this
    order: its own penalties and bans (repetition penalty, bad words, min length …), this
    processor, then temperature, top-k, top-p … of its own. The settings switch the latter off:
    the default top_k = 50 would, at β < 0, keep the 50 *least* likely tokens. Bans arrive as
    −inf and stay. Penalties that were meant for β > 0 make tokens likelier at β < 0.

    One processor can be used for one text after another, and for batches. With continuous
    batching only a constant β works, since there no row says whose text it is.

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
            This processor, sampling, temperature 1, and the filters of transformers switched off.
        """
        return {
            "logits_processor": [self],
            "do_sample": True,
            "num_beams": 1,
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": None,
            "typical_p": 1.0,
        }

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
        else:
            if input_ids.ndim != 2:
                raise InvalidInputError(
                    "with continuous batching only a constant β is accepted; a schedule or filter "
                    "was given."
                )
            if len(self._texts) != len(scores):
                seeds = np.random.SeedSequence(self._seed).spawn(len(scores))
                self._texts = [FollowedText(self.decoder, seed) for seed in seeds]
            rows = [
                text.decoded(ids.tolist, row)
                for text, ids, row in zip(self._texts, input_ids, scores, strict=True)
            ]
            log_p = torch.stack([row.log_probabilities for row in rows])
            beta = min(row.beta for row in rows)
        if beta < 0 and _are_log_probabilities(scores):
            raise InvalidInputError(
                "these scores are log-probabilities (their exponentials add up to 1), as beam "
                "search gives: it maximises the model's own probability, which has no meaning at "
                "β < 0. num_beams=1 with logits is accepted."
            )
        return log_p.to(scores.dtype)


def _are_log_probabilities(scores: Tensor) -> bool:
    # A row with one open token (a forced one, at logit 0) adds up to 1 whatever it is.
    several = scores[(scores > MASKED_AT).sum(-1) > 1].float()
    return len(several) > 0 and bool((several.logsumexp(-1).abs() < 1e-4).all())
