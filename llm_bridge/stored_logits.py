"""Logits that stay as they are stored, in a file perhaps, and are float32 where they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["StoredLogits"]


class StoredLogits:
    """Logits of another float type than float32, widened where they are read: half the memory.

    Reading a part of it, ``stored[first:last]`` or ``stored[positions, tokens]``, gives a new
    float32 array. ``numpy.asarray(stored)`` reads everything.

    Parameters
    ----------
    stored : ndarray, shape (N, V)
        float16, float64, or the bits of bfloat16 as uint16; mapped from a file as a rule.
    origin_dtype : {"float16", "bfloat16", "float64"}
        What they are.

    Attributes
    ----------
    shape : tuple of int
    nbytes : int
        What it takes where it is stored.
    dtype : numpy.dtype
        float32, the type of what is read.
    origin_dtype : str

    Notes
    -----
    No more of an array than logits need: for arithmetic read a part of it first. float64 beyond the
    range of float32 become ±inf.

    Examples
    --------
    >>> half = StoredLogits(np.array([[1.5, -2.0], [0.25, 3.0]], np.float16), "float16")
    >>> half[1], half.shape
    (array([0.25, 3.  ], dtype=float32), (2, 2))
    """

    dtype = np.dtype(np.float32)

    def __init__(self, stored: NDArray[Any], origin_dtype: str) -> None:
        self._stored = stored
        self.shape = stored.shape
        self.ndim = stored.ndim
        self.nbytes = stored.nbytes
        self.origin_dtype = origin_dtype

    def __len__(self) -> int:
        return len(self._stored)

    def __repr__(self) -> str:
        return f"StoredLogits(shape {self.shape}, stored as {self.origin_dtype})"

    def __getitem__(self, part: Any) -> Any:
        found = np.asarray(self._stored[part])
        if self.origin_dtype == "bfloat16":  # the upper half of a float32
            return (found.astype(np.uint32) << np.uint32(16)).view(np.float32)
        with np.errstate(over="ignore"):  # of float64; its lowest number, a mask, becomes −inf
            return found.astype(np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("stored logits are widened where they are read: a copy is made.")
        return np.asarray(self[...], dtype=dtype)
