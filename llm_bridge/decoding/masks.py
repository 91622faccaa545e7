"""Masks of the vocabulary: which tokens exist for a decoder. Combine them with ``&`` and ``|``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError

__all__ = [
    "end_of_text",
    "english_words",
    "no_padding",
    "no_special",
    "printable_text",
    "reachable",
]

Mask = NDArray[np.bool_]

_WORDS = Path(__file__).parent / "english_words.txt"
_LETTERS = frozenset("ai")  # that are words; lists for spelling have names of letters as well
_UNHEARD_OF = "\ue000"  # for private use: no token begins with it and goes on
_WORDS_TRIED = 16


def no_padding(model: LanguageModel) -> Mask:
    """The tokens of the tokenizer, without the rows that only pad the model's head.

    Parameters
    ----------
    model : LanguageModel

    Returns
    -------
    ndarray of bool, shape (V,)

    Notes
    -----
    Padded rows were never trained: at β ≤ 0 they are as likely as anything, or more.
    """
    return model.valid.copy()


def end_of_text(model: LanguageModel) -> Mask:
    """The tokens that end a text, where generation stops; shape (V,), often one, maybe none.

    A text whose mask leaves them out goes on to the number of tokens asked for. Let them in with
    ``english_words(model) | end_of_text(model)``, keep them out with ``& ~end_of_text(model)``.
    """
    return _mask(model, end_ids(model))


def no_special(model: LanguageModel) -> Mask:
    """All tokens but the special ones (begin, end, padding, roles, …); shape (V,).

    End-of-text tokens are special too: ``no_special(model) | end_of_text(model)`` lets a text end.
    """
    special = set(getattr(model.tokenizer, "all_special_ids", ()))
    for token, entry in getattr(model.tokenizer, "added_tokens_decoder", {}).items():
        if getattr(entry, "special", False):
            special.add(token)
    return no_padding(model) & ~_mask(model, special) & ~end_of_text(model)


def printable_text(model: LanguageModel) -> Mask:
    """Tokens whose text is visible characters, spaces, tabs and line ends; shape (V,).

    Without special tokens, control characters, escape sequences, marks that turn the direction of
    writing, and without tokens that are only part of a character.
    """
    return no_special(model) & _where(model, _visible)


def reachable(model: LanguageModel) -> Mask:
    """Tokens that the tokenizer makes when it reads their text; shape (V,).

    The others do not occur in text that was read through the tokenizer: merges that another merge
    forestalls, words that a normalisation changes. A model was not trained on them. Special tokens
    and parts of characters, which are no text by themselves, are left out, too.

    Notes
    -----
    Every token's text is read alone, and what was not found is read within words: behind a
    character that no vocabulary has, and behind the longest words of this one. So the pieces that
    only continue a word (SentencePiece's without "▁", WordPiece's "##") are found. Each token in
    the mask was made from some text. Of BPE and unigram vocabularies none should be missing: what
    is cut into other tokens by itself is so everywhere. Of WordPiece one is, if every word tried
    makes a longer piece with its beginning.
    """
    wanted = no_special(model) & _where(model, bool)
    made = np.zeros(model.vocabulary_size, dtype=bool)
    words = [text for text in map(str.strip, model.vocabulary) if text.isalpha()]
    words.sort(key=lambda word: (-len(word), word))
    for before in ("", _UNHEARD_OF, *words[:_WORDS_TRIED]):
        missing = np.flatnonzero(wanted & ~made).tolist()
        texts = {model.vocabulary[token] for token in missing}
        texts |= {model.decode([token]) for token in missing}
        # "##s" is how WordPiece writes that this is no beginning of a word; it is not in the text.
        texts |= {text.removeprefix("##") for text in texts}
        if texts:
            read = model.tokenizer(
                [before + text for text in sorted(texts)], add_special_tokens=False
            )["input_ids"]
            made |= _mask(model, itertools.chain.from_iterable(read))
    return wanted & made


def english_words(model: LanguageModel, words: Iterable[str] | None = None) -> Mask:
    """Tokens that are a space and one whole English word; shape (V,).

    A text of these is a sequence of words and nothing else. Only words that are *one* token can
    come: of a small vocabulary that is a small part of the language.

    Parameters
    ----------
    model : LanguageModel
    words : iterable of str, optional
        Which words; lower case, capitalised and upper case forms count. Default: the list of
        English words that comes with this package, and of single letters only "a" and "I".

    Returns
    -------
    ndarray of bool, shape (V,)

    Raises
    ------
    InvalidInputError
        No token of the tokenizer is one of the words.
    """
    if isinstance(words, str):
        raise InvalidInputError("words must be a list of words, not one text.")
    wanted = _english() if words is None else frozenset(word.lower() for word in words)
    mask = no_special(model) & _where(model, lambda text: _is_word(text, wanted))
    if not mask.any():
        raise InvalidInputError(
            f"no token of {model.name} is a space and one of the {len(wanted)} words given."
        )
    return mask


def end_ids(model: LanguageModel) -> frozenset[int]:
    """Ids that end a text, by the tokenizer and by the model's settings for generation."""
    settings = getattr(model.torch_module, "generation_config", None)
    ids: set[int] = set()
    for given in (
        getattr(model.tokenizer, "eos_token_id", None),
        getattr(settings, "eos_token_id", None),
    ):
        if given is not None:
            ids.update(given if isinstance(given, (list, tuple)) else [given])
    return frozenset(int(i) for i in ids)


def _mask(model: LanguageModel, ids: Iterable[int]) -> Mask:
    mask = np.zeros(model.vocabulary_size, dtype=bool)
    mask[[i for i in ids if 0 <= i < mask.size]] = True
    return mask


def _where(model: LanguageModel, condition: Callable[[str], bool]) -> Mask:
    """Tokens whose text is whole characters that fulfil a condition."""
    mask = np.zeros(model.vocabulary_size, dtype=bool)
    for token in np.flatnonzero(model.valid).tolist():
        text = model.vocabulary[token]
        # Of a token that is part of a character, the vocabulary shows how the tokenizer writes it.
        mask[token] = condition(text) and "\ufffd" not in model.decode([token])
    return mask


def _visible(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t" for c in text) and text != ""


def _is_word(text: str, wanted: frozenset[str]) -> bool:
    word = text[1:]
    if not text.startswith(" ") or word.lower() not in wanted:
        return False
    return word.islower() or word.isupper() or word.istitle()


@lru_cache(maxsize=1)
def _english() -> frozenset[str]:
    words = _WORDS.read_text(encoding="ascii").split()
    return frozenset(word for word in words if len(word) > 1) | _LETTERS
