"""One reader of a module at a time: for a moment, other weights or hooks may be in it."""

from __future__ import annotations

from threading import Lock, RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import torch

__all__ = ["lock_of"]

_locks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_guard = Lock()


def lock_of(module: torch.nn.Module) -> Any:
    """The lock to hold while a module computes, the same for all who ask; reentrant.

    `torch.func.functional_call` and forward hooks change a module until they undo it. Two threads
    that do so at a time would each put back what the other had put in: the weights would be lost.
    """
    with _guard:
        return _locks.setdefault(module, RLock())
