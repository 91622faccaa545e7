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

    The ids of the first call, and of the first one after `begin`, are the prompt of a text. Every
    call after that must show one token more. Another text without `begin` is known by its ids
    alone: they are the prompt again, or begin with no prompt so far. Everything else that is not
    one token more is refused, since it could be this text gone on in leaps or another one.

    One case cannot be told apart: another text whose prompt is the text so far and one token more
    looks exactly like that text going on, and is taken for it. `begin` is for that.

    Parameters
    ----------
    decoder : Decoder
    seed : int or numpy.random.SeedSequence
        Of the filters that throw dice (XTC): the tokens are the engine's to draw.
    shows_prompt : bool
        False for servers that show the generated tokens alone, with a `FollowedText` for every
        request. Those may begin anywhere, as a server takes up a request again that it had set
        aside, and may ask twice about one token.
    """

    def __init__(
        self,
        decoder: Decoder,
        seed: int | np.random.SeedSequence = 0,
        *,
        shows_prompt: bool = True,
    ) -> None:
        self._decoder = decoder
        self._seed = seed
        self._shows_prompt = shows_prompt
        self._prompt: list[int] = []
        self._prompts: set[tuple[int, ...]] = set() if shows_prompt else {()}
        self._last: list[int] | None = None
        self._run = decoder.begin(seed)

    def begin(self) -> None:
        """Take the next ids for the prompt of another text, whatever they are."""
        self._last = None

    def is_another(self, ids: list[int]) -> bool:
        """Whether these ids can only be another text's prompt."""
        return self._last is None or ids == self._prompt or not self._goes_on(ids)

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
        if self.is_another(ids):
            self._run = self._decoder.begin(self._seed)
            if self._shows_prompt:
                self._prompt = ids
                self._prompts.add(tuple(ids))
            else:
                for token in ids:
                    self._run.observe(token)
        elif ids[:-1] == self._last:
            self._run.observe(ids[-1])
        elif ids != self._last or self._shows_prompt:
            raise InvalidInputError(
                "a schedule or filter that follows the text was asked about tokens out of order. "
                "Beam search, speculative decoding and several texts with one processor do that: "
                "a constant β is accepted there. Before another text that goes on from an earlier "
                "one, call the processor's settings() or reset()."
            )
        self._last = ids

    def _goes_on(self, ids: list[int]) -> bool:
        """Whether these ids begin with a prompt that was shown before."""
        lengths = {len(prompt) for prompt in self._prompts}
        return any(tuple(ids[:length]) in self._prompts for length in lengths)


def as_decoder(decoder: Decoder | Schedule | float) -> Decoder:
    """A decoder as it is; a schedule, or a number as a constant β, without filters or masks."""
    return decoder if isinstance(decoder, Decoder) else Decoder(decoder)
