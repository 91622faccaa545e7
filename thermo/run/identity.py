"""What the bits of a result depend on, as JSON can hold it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from thermo.models.spin_model import SpinModel

__all__ = ["identity"]


def identity(model: SpinModel | None, /, **settings: Any) -> dict[str, Any]:
    """Return what tells a run from all others: its model and its settings.

    Parameters
    ----------
    model : SpinModel or None
        None for what has no spins.
    **settings
        Numbers, text, None, spin models, arrays, which are named by their SHA-256, and tuples of
        these.

    Examples
    --------
    >>> from thermo import Ising
    >>> from thermo.lattice import chain
    >>> identity(Ising(chain(4)), run="example", beta=np.zeros(2))["beta"]
    'float64 (2,) 374708fff7719dd5'
    """
    of_model = {} if model is None else model.description()
    described = {f"model {name}": value for name, value in of_model.items()}
    return {name: _named(value) for name, value in {**described, **settings}.items()}


def _named(value: Any) -> Any:
    if isinstance(value, SpinModel):
        return {name: _named(part) for name, part in value.description().items()}
    if isinstance(value, tuple):
        return [_named(part) for part in value]
    if not isinstance(value, np.ndarray):
        return value.item() if isinstance(value, np.generic) else value
    digest = hashlib.sha256()
    _add(digest, value)
    return f"{value.dtype} {value.shape} {digest.hexdigest()[:16]}"


def _add(digest: Any, value: np.ndarray) -> None:
    """Add the elements in their order, of a broadcast array piece by piece, never as a whole."""
    if value.ndim > 1 and 0 in value.strides:
        for part in value:
            _add(digest, part)
    else:
        digest.update(np.ascontiguousarray(value))
