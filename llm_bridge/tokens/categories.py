"""What a tokenizer says of each row of a model's vocabulary, before anything is computed."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError

__all__ = ["CATEGORIES", "row_mask", "token_categories", "unused_rows"]

CATEGORIES = ("padded", "special", "impossible byte", "partial character", "unreachable", "plain")

_NEVER_IN_UTF8 = frozenset([0xC0, 0xC1, *range(0xF5, 0x100)])
_BROKEN = "\ufffd"  # what a decoder writes for bytes that are no character


def token_categories(model: LanguageModel) -> NDArray[np.str_]:
    """The category of every row of the vocabulary, one of `CATEGORIES`.

    ================= ============================================================
    padded            no token of the tokenizer
    special           begin, end, padding, roles, …
    impossible byte   has a byte that UTF-8 never uses: no text contains it
    partial character some bytes of a character, alone no text
    unreachable       text that the tokenizer cuts into other tokens
    plain             its text is read back as this one token (it round-trips)
    ================= ============================================================

    Parameters
    ----------
    model : LanguageModel

    Returns
    -------
    ndarray of str, shape (V,)
        The first category of the table that fits.

    Notes
    -----
    A token that is part of a character can be common: it comes with the rest of the character.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> categories = token_categories(load_model("demo"))
    >>> {str(name): int((categories == name).sum()) for name in np.unique(categories)}
    {'impossible byte': 13, 'partial character': 152, 'plain': 3930, 'special': 1}
    """
    from llm_bridge.decoding.masks import no_special, reachable

    found = np.full(model.vocabulary_size, "unreachable", dtype=object)
    plain, ordinary = reachable(model), no_special(model)
    known = np.flatnonzero(ordinary & ~plain)
    pieces = model.tokenizer.convert_ids_to_tokens(known.tolist()) if known.size else []
    for token, piece in zip(known.tolist(), pieces, strict=True):
        if _BROKEN in model.decode([token]):
            impossible = not _NEVER_IN_UTF8.isdisjoint(_bytes_of(piece))
            found[token] = "impossible byte" if impossible else "partial character"
    found[plain] = "plain"
    found[model.valid & ~ordinary] = "special"
    found[~model.valid] = "padded"
    return found.astype(str)


def unused_rows(categories: ArrayLike) -> NDArray[np.bool_]:
    """Rows that no training text can have held, known from the tokenizer alone: padded rows and
    bytes that are impossible in UTF-8. The reference direction of untrained embeddings.

    Parameters
    ----------
    categories : array_like of str, shape (V,)
        From `token_categories`.

    Returns
    -------
    ndarray of bool, shape (V,)

    Examples
    --------
    >>> unused_rows(["plain", "padded", "impossible byte", "special"])
    array([False,  True,  True, False])
    """
    return np.isin(np.asarray(categories), ["padded", "impossible byte"])


def row_mask(rows: ArrayLike, size: int, name: str) -> NDArray[np.bool_]:
    """Rows of a vocabulary given as ids, or as a mask (V,), as a mask (V,).

    Examples
    --------
    >>> row_mask([0, 2], 4, "known")
    array([ True, False,  True, False])
    """
    given = np.asarray(rows)
    if given.dtype == bool and given.shape == (size,):
        return given.copy()
    mask = np.zeros(size, dtype=bool)
    if given.size == 0 and given.ndim == 1:
        return mask
    if given.ndim != 1 or given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= size:
        raise InvalidInputError(
            f"{name} has shape {given.shape} and type {given.dtype}; accepted: a list of token ids "
            f"0 … {size - 1}, or {size} bools."
        )
    mask[given] = True
    return mask


def _bytes_of(piece: str) -> bytes:
    """The bytes behind the name of a token in a vocabulary of bytes, as far as it tells."""
    if found := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", piece):  # SentencePiece
        return bytes.fromhex(found[1])
    table = _byte_level()
    if all(character in table for character in piece):
        return bytes(table[character] for character in piece)
    return b""


@lru_cache(maxsize=1)
def _byte_level() -> dict[str, int]:
    """GPT-2's names of bytes: themselves where visible in Latin-1, else from U+0100 upwards."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in visible}
    others = (byte for byte in range(256) if byte not in visible)
    table |= {chr(0x100 + k): byte for k, byte in enumerate(others)}
    return table
