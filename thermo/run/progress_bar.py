"""The bar that shows how far a run has come."""

from __future__ import annotations

from typing import Any

__all__ = ["progress_bar"]


def progress_bar(shown: bool, total: int | None, *, unit: str, what: str, done: int = 0) -> Any:
    """Return a `tqdm.tqdm`, a context manager to ``update``; it leaves nothing behind.

    Parameters
    ----------
    shown : bool
        Otherwise it does nothing.
    total, done : int
        Units of work, all (None where nobody knows) and those done before.
    unit, what : str
        What is counted, and what is being done.
    """
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=done, disable=not shown, unit=unit, desc=what, leave=False)
