"""A text whose tokens another engine draws, followed by a decoder run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from llm_bridge.decoding.decoder import Decoded, Decoder
from llm_bridge.decoding.schedules import Schedule
from thermo.errors import InvalidInputError

__all__ = ["FollowedText", "as_decoder"]


class FollowedText:
    """Keeps a `DecoderRun` in step with the ids that an engine shows before every token.

    The ids of the first call are the prompt. After that they must be the same and one more token
    each time; being asked twice changes nothing. The prompt again, or ids that begin with no prompt
    so far, begin a new text.

    Parameters
    ----------
    decoder : Decoder
    seed : int or numpy.random.SeedSequence
        Of the filters that throw dice (XTC): the tokens are the engine's to draw.
    prompt : sequence of int, optional
        ``()`` for engines that show the generated tokens alone. These may begin anywhere, as a
        server takes up a request again that it had set aside.
    """

    def __init__(
        self,
        decoder: Decoder,
        seed: int | np.random.SeedSequence = 0,
        prompt: Sequence[int] | None = None,
    ) -> None:
        self._decoder = decoder
        self._seed = seed
        self._prompt = None if prompt is None else list(prompt)
        self._prompts = set() if prompt is None else {tuple(prompt)}
        self._run = decoder.begin(seed)

    def decoded(self, ids: Callable[[], Sequence[int]], logits: Any) -> Decoded:
        """The distribution of the token after these ids.

        Parameters
        ----------
        ids : callable
            Gives the ids. At a constant β nobody asks: fetching them may stall a GPU.
        logits : torch.Tensor or array_like, shape (V,)

        Returns
        -------
        Decoded

        Raises
        ------
        InvalidInputError
            The engine went back, on by several tokens, or to and fro between texts (beam search,
            speculative decoding, one processor for several texts at once).
        """
        if self._decoder.constant_beta is None:
            self._follow([int(token) for token in ids()])
        return self._run.distribution(logits)

    def _follow(self, ids: list[int]) -> None:
        start = self._prompt
        if start is None or ids == start or not self._goes_on(ids):
            self._prompt = ids
            self._prompts.add(tuple(ids))
            self._run = self._decoder.begin(self._seed)
            return
        known = [*start, *self._run.tokens]
        new = ids[len(known) :]
        if ids[: len(known)] != known or (known and len(new) > 1):
            raise InvalidInputError(
                "a schedule or filter that follows the text was asked about tokens out of order. "
                "Beam search, speculative decoding and several texts with one processor do that: "
                "a constant β is accepted there. If this is another text that goes on from an "
                "earlier one, give it a processor of its own."
            )
        for token in new:
            self._run.observe(token)

    def _goes_on(self, ids: list[int]) -> bool:
        """Whether these ids begin with a prompt that was shown before."""
        lengths = {len(prompt) for prompt in self._prompts}
        return any(tuple(ids[:length]) in self._prompts for length in lengths)


def as_decoder(decoder: Decoder | Schedule | float) -> Decoder:
    """A decoder as it is; a schedule, or a number as a constant β, without filters or masks."""
    return decoder if isinstance(decoder, Decoder) else Decoder(decoder)
