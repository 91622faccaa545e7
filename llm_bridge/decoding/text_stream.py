"""Text from token ids as they come."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llm_bridge.models import LanguageModel

__all__ = ["TextStream"]

_BROKEN = "\ufffd"  # what a decoder writes for bytes that are no character (yet)
_BYTE = re.compile("<0x[0-9A-Fa-f]{2}>")  # how vocabularies with byte fallback name a byte
_WINDOW = 64
_OVERLAP = 16


class TextStream:
    """The new text that every further token brings; joined it is what they add to a prompt.

    What a token adds depends on those before it: a space that opens a text is dropped, a piece of
    a word gets none. So every text is decoded behind the tokens before it, and the difference is
    handed out, as soon as no further token can change it:

    - Where single bytes make characters (byte-level tokenizers), one may be spread over several
      tokens. It comes with the last of them; bytes that never become a character come as "\ufffd".
    - Where a rare character falls back to tokens of one byte each, decoders look at a whole run of
      these, and spoil all of it if one is wrong. The run's text comes with the token after it.

    Parameters
    ----------
    model : LanguageModel
    prompt_ids : sequence of int
        What the tokens go on from. If its text ends within a character, the token that completes
        the character brings it.
    """

    def __init__(self, model: LanguageModel, prompt_ids: Sequence[int] = ()) -> None:
        self._model = model
        self._begin_after([int(i) for i in prompt_ids])

    def push(self, token: int) -> str:
        """The text that this token settles."""
        self._ids.append(int(token))
        if self._is_byte(token):
            return ""
        text = self._model.decode(self._ids)
        # Of broken characters only the last can still be mended by what follows.
        ready = text[:-1] if text.endswith(_BROKEN) else text
        new = self._difference(ready)
        if len(self._ids) > _WINDOW and ready == text:
            # Decode on from the last few tokens only: a long text would else take a time that
            # grows with its square.
            self._begin_after(self._ids)
        return new

    def finish(self) -> str:
        """What was held back: the rest of the text."""
        return self._difference(self._model.decode(self._ids)) if self._ids else ""

    def _difference(self, text: str) -> str:
        """What a text has beyond all that was handed out, which is so from now on."""
        if self._before is not None:  # a broken end may have been mended: not only its length
            self._given = _in_common(self._before, text)
        new = text[self._given :]
        if new:
            self._before = None
            self._given = len(text)
        return new

    def _begin_after(self, ids: list[int]) -> None:
        """Take the text of these ids as known, and keep as many as the next ones depend on."""
        start = max(0, len(ids) - _OVERLAP)
        # Not within a run of bytes, and not so late that a space at the beginning is still to drop.
        while start and (self._is_byte(ids[start]) or not self._model.decode(ids[start:])):
            start -= 1
        self._ids = ids[start:]
        self._before: str | None = self._model.decode(self._ids) if self._ids else ""
        self._given = len(self._before)

    def _is_byte(self, token: int) -> bool:
        piece = self._model.tokenizer.convert_ids_to_tokens(int(token))
        return isinstance(piece, str) and _BYTE.fullmatch(piece) is not None


def _in_common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
