"""Prompts: texts or token ids that a model is asked to go on from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.errors import TextTooShortError
from llm_bridge.models import LanguageModel
from llm_bridge.text.files import read_text
from thermo.arguments import shown, whole_number
from thermo.errors import InvalidInputError
from thermo.printable import printable

__all__ = ["as_prompts", "cut_prompts", "read_prompts"]


def cut_prompts(
    model: LanguageModel, text: str, count: int, length: int
) -> list[NDArray[np.int64]]:
    """Cut a text into prompts of one length, spread evenly over it.

    Parameters
    ----------
    model : LanguageModel
    text : str
    count, length : int
        Prompts, and tokens in each. They do not overlap.

    Returns
    -------
    list of ndarray of int64

    Raises
    ------
    InvalidInputError
        Numbers below 1.
    TextTooShortError
        Fewer tokens than all prompts have.
    """
    whole_number(count, "count", 1)
    whole_number(length, "length", 1)
    ids = model.encode(text)
    if ids.size < count * length:
        raise TextTooShortError(
            int(ids.size), count * length, f"{count} prompts of {length} tokens"
        )
    starts = np.arange(count) * (ids.size // count)
    return [ids[start : start + length] for start in starts]


def read_prompts(path: Path) -> list[str]:
    """Prompts from a UTF-8 file, one on each line that is not blank."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise InvalidInputError(f"{printable(str(path))} has no prompt; one on a line is accepted.")
    return lines


def as_prompts(model: LanguageModel, prompts: Sequence[str | ArrayLike]) -> list[NDArray[np.int64]]:
    """Texts or lists of ids as arrays of ids, each at least one token long."""
    if isinstance(prompts, str) or not len(prompts):
        raise InvalidInputError("prompts must be a list of at least one text or list of ids.")
    out = []
    for k, prompt in enumerate(prompts):
        ids = model.encode(prompt) if isinstance(prompt, str) else np.asarray(prompt)
        if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
            raise InvalidInputError(
                f"prompt {k} is {shown(prompt)}; a text or a list of token ids, at least one token "
                "long, is accepted."
            )
        if ids.min() < 0 or ids.max() >= model.vocabulary_size:
            raise InvalidInputError(
                f"prompt {k} has a token id outside 0 … {model.vocabulary_size - 1}."
            )
        out.append(ids.astype(np.int64))
    return out
