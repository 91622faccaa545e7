"""The bar that shows how far a run has come."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["progress_bar"]


def progress_bar(shown: bool, total: int | None, *, unit: str, what: str, done: int = 0) -> Any:
    """Return a `tqdm.tqdm`, a context manager to ``update``; it leaves nothing behind.

    A bar is drawn over itself again and again, which only a terminal and a notebook can show. In a
    file or a pipe it would stand in front of whatever is said next, so there it is not shown.

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

    visible = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    hidden = not (shown and visible)
    return tqdm(total=total, initial=done, disable=hidden, unit=unit, desc=what, leave=False)
