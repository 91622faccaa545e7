"""Byte-level BPE of the demo model, trained on wider text than the model reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

__all__ = ["END_OF_TEXT", "encode_documents", "never_met", "train_tokenizer"]

END_OF_TEXT = "<|endoftext|>"


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Byte-pair encoding over bytes: 256 byte tokens, the end-of-text token, and merges.

    Parameters
    ----------
    texts : iterable of str
        Everything the tokenizer should be good at.
    vocabulary_size : int
        At least 257.

    Returns
    -------
    tokenizers.Tokenizer
        Token 0 is ``<|endoftext|>``; any text is encoded without loss.

    Examples
    --------
    >>> tokenizer = train_tokenizer(["def f(x):\\n    return x\\n"] * 3, 270)
    >>> tokenizer.decode(tokenizer.encode("def β").ids)
    'def β'
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_documents(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Token ids of each text, each led by the end-of-text token; arrays ``(n_i + 1,)`` int32."""
    start = [tokenizer.token_to_id(END_OF_TEXT)]
    return [
        np.array(start + encoding.ids, dtype=np.int32)
        for encoding in tokenizer.encode_batch(list(texts))
    ]


def never_met(documents: Iterable[np.ndarray], vocabulary_size: int) -> list[int]:
    """Token ids that occur in none of the encoded documents, ascending.

    Examples
    --------
    >>> never_met([np.array([0, 2]), np.array([2, 3])], 6)
    [1, 4, 5]
    """
    met = np.zeros(vocabulary_size, dtype=bool)
    for ids in documents:
        met[ids] = True
    return np.flatnonzero(~met).tolist()
