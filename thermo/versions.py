"""With what a run was made."""

from __future__ import annotations

import platform
from importlib.metadata import version

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """Return the versions of this package and of what its numbers depend on.

    Examples
    --------
    >>> sorted(versions())
    ['numba', 'numpy', 'python', 'spinlogit']
    """
    packages = {name: version(name) for name in ("spinlogit", "numpy", "numba")}
    return {**packages, "python": platform.python_version()}
