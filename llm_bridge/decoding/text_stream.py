"""Text from token ids as they come."""

from __future__ import annotations

from llm_bridge.models import LanguageModel

__all__ = ["TextStream"]

_BROKEN = "\ufffd"  # what a decoder writes for bytes that are no character (yet)
_WINDOW = 64
_OVERLAP = 16


class TextStream:
    """The new text that every further token brings; joined it is the text of all tokens.

    A character may be spread over several tokens: it comes with the last of them, and the tokens
    before it bring an empty text. Bytes that never become a character come as "\ufffd".

    Parameters
    ----------
    model : LanguageModel
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._ids: list[int] = []
        self._given = 0  # characters of the text of self._ids that were handed out

    def push(self, token: int) -> str:
        """The text that this token completes."""
        self._ids.append(token)
        text = self._model.decode(self._ids)
        # Of broken characters only the last can still be mended by what follows.
        ready = text[:-1] if text.endswith(_BROKEN) else text
        new = ready[self._given :]
        self._given = max(self._given, len(ready))
        if len(self._ids) > _WINDOW and ready == text:
            # Decode on from the last few tokens only: a long text would else take a time that
            # grows with its square.
            self._ids = self._ids[-_OVERLAP:]
            self._given = len(self._model.decode(self._ids))
        return new

    def finish(self) -> str:
        """What was held back: the rest of the text, ending in a broken character."""
        if not self._ids:
            return ""
        rest = self._model.decode(self._ids)[self._given :]
        self._given += len(rest)
        return rest
