"""Ways to read the same text with the same model: they differ in rounding alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.models import LanguageModel
from llm_bridge.module_locks import lock_of
from thermo.arguments import one_of, whole_number
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["PRECISIONS", "in_precision", "read", "read_in_steps", "stored_as"]

PRECISIONS = ("float64", "float32", "bfloat16", "float16")
"""Types of numbers that a model can compute in, or its logits be stored in."""


def in_precision(model: LanguageModel, precision: str) -> LanguageModel:
    """A copy of a model that holds its weights, and computes, in another float type.

    Parameters
    ----------
    model : LanguageModel
        Not changed.
    precision : str
        One of `PRECISIONS`.

    Returns
    -------
    LanguageModel

    Raises
    ------
    InvalidInputError
        Another type.
    """
    module: Any = copy.deepcopy(model.torch_module)
    return LanguageModel(
        module.to(_dtype(precision)), model.tokenizer, name=f"{model.name}, {precision}"
    )


def stored_as(logits: ArrayLike, precision: str) -> NDArray[np.float64]:
    """Logits after they have been stored in a float type: rounded to nearest, nothing else.

    Parameters
    ----------
    logits : array_like, any shape
    precision : str
        One of `PRECISIONS`.

    Returns
    -------
    ndarray of float64, same shape

    Examples
    --------
    >>> stored_as([12.03], "bfloat16"), stored_as([12.03], "float16")
    (array([12.]), array([12.03125]))
    """
    import torch

    given = torch.tensor(np.asarray(logits, dtype=np.float64))
    return np.asarray(given.to(_dtype(precision)).double().numpy())


def read(
    model: LanguageModel, ids: ArrayLike, *, batch: int = 1, padding: int = 0
) -> NDArray[np.float64]:
    """Logits of sequences that are read whole, so many of them in one pass.

    Parameters
    ----------
    model : LanguageModel
    ids : array_like of int, shape (R, L)
        R sequences of L tokens, at most the model's context.
    batch : int
        Sequences per pass.
    padding : int
        So many tokens are put before each sequence and masked away, as servers do to make
        sequences of a batch equally long. With them a sequence must still fit the context.

    Returns
    -------
    ndarray of float64, shape (R, L, V)

    Raises
    ------
    InvalidInputError
        Ids of another shape or unknown to the model, or too long with their padding.
    """
    import torch

    tokens = _checked(model, ids, padding)
    whole_number(batch, "batch", 1)
    whole_number(padding, "padding", 0)
    count, length = tokens.shape
    out = np.empty((count, length, model.vocabulary_size))
    for start in range(0, count, batch):
        rows = tokens[start : start + batch]
        more: dict[str, torch.Tensor] = {}
        if padding:
            filler = np.full((len(rows), padding), int(tokens[0, 0]))
            real = np.concatenate([np.zeros_like(filler), np.ones_like(rows)], axis=1)
            more["attention_mask"] = torch.from_numpy(real)
            more["position_ids"] = torch.from_numpy(np.maximum(real.cumsum(axis=1) - 1, 0))
            rows = np.concatenate([filler, rows], axis=1)
        answer = _forward(model, rows, use_cache=False, **more)
        out[start : start + batch] = answer.logits[:, padding:].double().cpu().numpy()
    return out


def read_in_steps(
    model: LanguageModel, ids: ArrayLike, *, step: int = 1, batch: int = 1
) -> NDArray[np.float64]:
    """Logits of sequences that are read a few tokens at a time, with a key-value cache.

    Parameters
    ----------
    model : LanguageModel
    ids : array_like of int, shape (R, L)
        As for `read`.
    step : int
        Tokens of a sequence per pass: 1 as in decoding, some hundred as in chunked prefill.
    batch : int
        Sequences per pass.

    Returns
    -------
    ndarray of float64, shape (R, L, V)

    Raises
    ------
    InvalidInputError
        As `read`.
    """
    tokens = _checked(model, ids, 0)
    whole_number(step, "step", 1)
    whole_number(batch, "batch", 1)
    count, length = tokens.shape
    out = np.empty((count, length, model.vocabulary_size))
    for first in range(0, count, batch):
        rows = slice(first, first + batch)
        memory = None
        for start in range(0, length, step):
            now = slice(start, start + step)
            answer = _forward(model, tokens[rows, now], use_cache=True, past_key_values=memory)
            memory = answer.past_key_values
            out[rows, now] = answer.logits.double().cpu().numpy()
    return out


def _forward(model: LanguageModel, rows: NDArray[np.int64], **more: Any) -> Any:
    import torch

    device = next(model.torch_module.parameters()).device
    moved = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in more.items()}
    with lock_of(model.torch_module), torch.no_grad():
        return model.torch_module(
            input_ids=torch.from_numpy(np.ascontiguousarray(rows)).to(device), **moved
        )


def _checked(model: LanguageModel, ids: ArrayLike, padding: int) -> NDArray[np.int64]:
    tokens = np.asarray(ids)
    if tokens.ndim != 2 or 0 in tokens.shape or tokens.dtype.kind not in "iu":
        raise InvalidInputError(
            f"ids of shape {tokens.shape} and type {tokens.dtype} were given; integers (R, L), "
            "sequences of equal length, are accepted."
        )
    if tokens.min() < 0 or tokens.max() >= model.vocabulary_size:
        raise InvalidInputError(
            f"ids from {tokens.min()} to {tokens.max()} were given; 0 to "
            f"{model.vocabulary_size - 1} are accepted."
        )
    context = model.context_length
    if context is not None and tokens.shape[1] + padding > context:
        raise InvalidInputError(
            f"{tokens.shape[1]} tokens and {padding} of padding were given; at most {context} "
            "together are accepted."
        )
    return tokens.astype(np.int64)


def _dtype(precision: str) -> torch.dtype:
    import torch

    return getattr(torch, one_of(precision, "precision", PRECISIONS))
