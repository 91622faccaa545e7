"""A model that reads on from where it was, and does not read the whole text for every token."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from llm_bridge.models import LanguageModel
from llm_bridge.module_locks import lock_of

__all__ = ["CachedReader"]


class CachedReader:
    """Reads a batch of sequences on, one or more tokens each, with the model's own memory.

    Where the text outgrows the context, the older half is forgotten and the newer half read again.

    Parameters
    ----------
    model : LanguageModel
    """

    def __init__(self, model: LanguageModel) -> None:
        self._module = model.torch_module
        self._context = model.context_length
        self._device = next(self._module.parameters()).device
        self._memory: Any = None
        self._ids: Tensor | None = None  # what the memory holds, (rows, tokens)
        # Of a long prompt only the last row is wanted; the others would take V floats per token.
        parameters = inspect.signature(self._module.forward).parameters
        self._last_row_only = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    def read(self, ids: Tensor) -> Tensor:
        """Logits (rows, V) of the token after these, ids (rows, n)."""
        new = ids.to(self._device)
        whole = new if self._ids is None else torch.cat([self._ids, new], dim=1)
        if self._context is not None and whole.shape[1] > self._context:
            kept = self._context if self._ids is None else max(self._context // 2, 1)
            new = whole = whole[:, -kept:]
            self._memory = None
        with lock_of(self._module), torch.no_grad():
            answer = self._pass(whole if self._memory is None else new)
        # A model that remembers nothing reads everything again each time.
        self._memory = getattr(answer, "past_key_values", None)
        self._ids = whole
        return answer.logits[:, -1]

    @property
    def _again(self) -> bool:
        """Whether text has been forgotten, and is read again in the pass that comes."""
        return self._memory is None and self._ids is not None

    def _pass(self, ids: Tensor) -> Any:
        """What the model answers, reading on from what it remembers."""
        return self._module(
            input_ids=ids, past_key_values=self._memory, use_cache=True, **self._last_row_only
        )

    def keep(self, rows: list[int]) -> None:
        """Go on with some of the sequences only."""
        assert self._ids is not None
        self._ids = self._ids[rows]
        if self._memory is not None:
            self._memory.batch_select_indices(torch.tensor(rows, device=self._device))
