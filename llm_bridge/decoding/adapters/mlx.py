"""Signed temperature in mlx-lm."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from llm_bridge.decoding.adapters.followed_text import FollowedText, as_decoder
from llm_bridge.decoding.decoder import Decoder
from llm_bridge.decoding.schedules import Schedule
from thermo.arguments import checked_seed

__all__ = ["SignedTemperature"]


class SignedTemperature:
    """A logits processor for ``mlx_lm.generate`` and ``stream_generate``.

    Parameters
    ----------
    decoder : Decoder, Schedule or float
        A number is a constant β of either sign.
    seed : int
        Of the filters that throw dice (XTC). The tokens are drawn by MLX: seed those with
        ``mx.random.seed``.

    Raises
    ------
    InvalidInputError
        While generating: NaN among the logits; a schedule or filter beside a draft model.

    Notes
    -----
    Use it as ``mlx_lm.generate(model, tokenizer, prompt, **processor.settings())``; `settings`
    begins a new text, so that one processor can be used for one after another. The one
    processor that ``batch_generate`` takes for all sequences can only be a constant β; a
    ``BatchGenerator`` takes one for each. The numbers pass through the CPU, once per token.
    """

    def __init__(self, decoder: Decoder | Schedule | float, *, seed: int = 0) -> None:
        self._decoder = as_decoder(decoder)
        self._seed = checked_seed(seed)
        self.reset()

    def settings(self) -> dict[str, Any]:
        """The arguments of ``mlx_lm.generate`` that go with it: it, and a sampler at T = 1."""
        from mlx_lm.sample_utils import make_sampler

        self.reset()
        return {"logits_processors": [self], "sampler": make_sampler(temp=1.0)}

    def reset(self) -> None:
        """Begin a new text with the next call, whatever its prompt. `settings` does it, too."""
        self._text = FollowedText(self._decoder, self._seed)

    def __call__(self, tokens: Any, logits: Any) -> Any:
        """Log-probabilities (1, V) of the token after these, in float32.

        Not in the models' usual bfloat16, which would round ln p = −10 by up to 0.03.

        Parameters
        ----------
        tokens : mlx.core.array, shape (n,)
            Prompt and generated tokens.
        logits : mlx.core.array, shape (1, V)
        """
        import mlx.core as mx

        row = torch.from_numpy(np.array(logits[0].astype(mx.float32)))  # NumPy has no bfloat16
        decoded = self._text.decoded(tokens.tolist, row)
        return mx.array(decoded.log_probabilities.to(torch.float32).numpy())[None]
