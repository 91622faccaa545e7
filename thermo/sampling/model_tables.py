"""Tables that kernels need of a model: made once, however many batches there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Any, Concatenate, ParamSpec, TypeVar

__all__ = ["kept_with_model"]

_Arguments = ParamSpec("_Arguments")
_Table = TypeVar("_Table")

_making = RLock()  # threads that begin their batches at the same time wait for the first


def kept_with_model(
    make: Callable[Concatenate[Any, _Arguments], _Table],
) -> Callable[Concatenate[Any, _Arguments], _Table]:
    """Make a function of a model, and of comparable arguments, remember what it returned last.

    The model keeps it, as it does its cached properties, for as long as it lives. What is returned
    is shared by all batches, in all threads, and must not be changed.
    """
    name = f"{make.__module__}.{make.__qualname__}"

    @wraps(make)
    def remembered(model: Any, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Table:
        tables: dict[str, tuple[Any, _Table]] = vars(model).setdefault("_tables", {})
        with _making:
            if name not in tables or tables[name][0] != (args, kwargs):
                tables[name] = (args, kwargs), make(model, *args, **kwargs)
            return tables[name][1]

    return remembered
