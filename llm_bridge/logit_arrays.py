"""Arrays of logits from anywhere: what is a mask, what is refused, in blocks that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.stored_logits import StoredLogits
from thermo.arguments import as_real
from thermo.errors import InvalidInputError

__all__ = [
    "LARGEST",
    "MASKED_AT",
    "as_array",
    "as_logits",
    "dtype_name",
    "is_masked",
    "require_plain",
    "row_blocks",
    "stored",
    "valid_columns",
]

MASKED_AT = -32752.0
"""Logits at or below this are masks: −inf, or the lowest number of float16 (−65504), bfloat16 or
float32, also after something was added to it. Half the lowest float16, far from any real logit."""

LARGEST = 1e150
"""The largest logit that is accepted, as of all energies: squares of them are needed."""


def is_masked(logits: ArrayLike) -> NDArray[np.bool_]:
    """Where logits are masks rather than numbers: −inf or a dtype's lowest number.

    Parameters
    ----------
    logits : array_like, any shape

    Returns
    -------
    ndarray of bool, same shape

    Examples
    --------
    >>> is_masked([1.5, -40.0, -float("inf"), np.finfo(np.float16).min, np.finfo(np.float32).min])
    array([False, False,  True,  True,  True])
    """
    return np.asarray(logits) <= MASKED_AT


def as_logits(
    logits: Any, valid: ArrayLike | None = None, *, ndim: int = 2, name: str = "logits"
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Check logits and say which columns of the vocabulary take part.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (..., N, V)
        Of any float type; bfloat16 tensors are accepted. −inf and the lowest number of a dtype
        are masks (`is_masked`).
    valid : array_like of bool, shape (V,), optional
        False for rows of a padded vocabulary; their logits may be anything, even NaN.
    ndim : int
        Number of axes to require.
    name : str
        What to call them in messages.

    Returns
    -------
    logits : ndarray of float, shape (..., N, V)
        Not copied if it was an array of float16, float32 or float64 already. `StoredLogits` are
        returned as they are.
    valid : ndarray of bool, shape (V,)

    Raises
    ------
    InvalidInputError
        Wrong shape or type; NaN, +inf, or a row without any token left, naming the position.

    Examples
    --------
    >>> as_logits([[0.0, 1.0], [2.0, float("nan")]])
    Traceback (most recent call last):
    ...
    thermo.errors.InvalidInputError: logits hold nan at position 1, token 1; only finite ...
    """
    array = as_array(logits, name)
    columns = valid_columns(array.shape, valid, ndim=ndim, name=name)
    rows = array if array.ndim == 2 else array.reshape(-1, array.shape[-1])
    for block in row_blocks(*rows.shape):
        _require_usable(rows, block, columns, array.shape, name)
    return array, columns


def valid_columns(
    shape: tuple[int, ...], valid: ArrayLike | None = None, *, ndim: int = 2, name: str = "logits"
) -> NDArray[np.bool_]:
    """Check the shape of logits, and say which columns of the vocabulary take part.

    Parameters
    ----------
    shape : tuple of int
        Of the logits, (..., N, V).
    valid, ndim, name
        As for `as_logits`.

    Returns
    -------
    ndarray of bool, shape (V,)

    Raises
    ------
    InvalidInputError
        Another number of axes, an empty one, or a mask of another shape, of no bools, or of none.

    Examples
    --------
    >>> valid_columns((10, 3))
    array([ True,  True,  True])
    """
    if len(shape) != ndim or 0 in shape:
        axes = ("draws, ", "")[ndim < 3] + "positions, vocabulary"
        raise InvalidInputError(
            f"{name} have shape {tuple(shape)}; {ndim} axes ({axes}), none of them empty, are "
            "needed."
        )
    size = shape[-1]
    columns = np.ones(size, dtype=bool) if valid is None else np.asarray(valid)
    if columns.shape != (size,) or columns.dtype != np.bool_:
        raise InvalidInputError(
            f"valid has shape {columns.shape} and type {columns.dtype}; one bool for each of the "
            f"{size} tokens of the vocabulary is needed."
        )
    if not columns.any():
        raise InvalidInputError("valid excludes every token; at least one must be left.")
    return columns


def row_blocks(rows: int, columns: int, numbers: int = 1 << 20) -> Iterator[slice]:
    """Cut rows into blocks of about ``numbers`` entries, so that working copies stay small.

    Parameters
    ----------
    rows, columns : int
        Shape of the array.
    numbers : int
        Entries per block; a block has at least one row.

    Yields
    ------
    slice
        Of rows, in order.

    Examples
    --------
    >>> list(row_blocks(5, 100, numbers=200))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, numbers // columns)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def as_array(logits: Any, name: str) -> NDArray[Any]:
    """Read logits as an array of floats in main memory, unchecked.

    Parameters
    ----------
    logits : array_like or torch.Tensor, any shape
        bfloat16, which numpy has not, becomes float32 (`stored` avoids the copy); what is no
        float becomes float64.
    name : str
        What to call them in messages.

    Returns
    -------
    ndarray of float, same shape
        Or the `StoredLogits` that were given.

    Raises
    ------
    InvalidInputError
        Text, objects, ragged lists, True and False, and what `require_plain` refuses.
    """
    if isinstance(logits, StoredLogits):
        return cast(NDArray[Any], logits)  # in the ways in which logits are read, it is one
    require_plain(logits, name)
    try:
        if hasattr(logits, "detach"):  # a torch tensor; numpy has no bfloat16
            tensor = logits.detach().cpu().resolve_neg()
            logits = tensor.float().numpy() if dtype_name(tensor) == "bfloat16" else tensor.numpy()
        array = np.asarray(logits)
        if array.dtype.kind != "f":
            array = as_real(array, name)
    except (TypeError, ValueError, RuntimeError) as error:  # of torch: quantised, nested, on "meta"
        raise InvalidInputError(f"{name} must be real numbers in a rectangular array.") from error
    return array


def stored(logits: Any) -> Any:
    """A tensor of bfloat16 as `StoredLogits`, which are widened where they are read; no copy.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (N, V)

    Returns
    -------
    StoredLogits
        Or what was given, if it is no such tensor.
    """
    if dtype_name(logits) != "bfloat16" or not hasattr(logits, "detach"):
        return logits
    import torch

    bits = logits.detach().cpu().view(torch.int16).numpy().view(np.uint16)
    return StoredLogits(bits, "bfloat16")


def require_plain(logits: Any, name: str) -> None:
    """Refuse arrays whose numbers do not say all: sparse or 8-bit tensors, NumPy's masked arrays.

    What a sparse tensor leaves out would be logits of 0, or masks? A masked array says with a mask
    of its own what −inf says here. The lowest number of an 8-bit float, a mask elsewhere, may be
    a logit: there is not the room to tell.
    """
    rows = logits if isinstance(logits, list | tuple) else [logits]
    if any(np.ma.is_masked(row) for row in rows):
        raise InvalidInputError(
            f"{name} are a masked array with masked entries; plain ones are accepted, with −inf "
            "for a masked token (filled(-np.inf))."
        )
    if "float8" in str(getattr(logits, "dtype", "")):
        raise InvalidInputError(
            f"{name} are {logits.dtype}; floats of 16, 32 or 64 bits are accepted, with −inf for a "
            "masked token."
        )
    layout = str(getattr(logits, "layout", "torch.strided"))
    if layout != "torch.strided":
        raise InvalidInputError(
            f"{name} are a tensor with layout {layout}; a dense one is accepted (to_dense())."
        )


def dtype_name(logits: Any) -> str:
    """The float type of an array or tensor by name; "float64" for what is no float.

    Examples
    --------
    >>> dtype_name(np.zeros(2, np.float16)), dtype_name([1, 2])
    ('float16', 'float64')
    """
    if isinstance(logits, StoredLogits):
        return logits.origin_dtype
    dtype = getattr(logits, "dtype", "float64")
    name = dtype.name if isinstance(dtype, np.dtype) else str(dtype).removeprefix("torch.")
    return name if "float" in name else "float64"


def _require_usable(
    rows: NDArray[Any],
    block: slice,
    columns: NDArray[np.bool_],
    shape: tuple[int, ...],
    name: str,
) -> None:
    """Refuse NaN, +inf and rows without a token, one pass over a block of rows."""
    part = rows[block]
    if not columns.all():
        part = part[:, columns]
    highest = part.max(axis=1)  # NaN if any is NaN
    bad = ~((highest > MASKED_AT) & (highest <= np.float64(LARGEST)))
    if not bad.any():
        return
    first = int(np.argmax(bad))
    row = part[first]
    index = np.unravel_index(block.start + first, shape[:-1])
    where = f"position {index[-1]}" + ("" if len(index) == 1 else f" of draw {index[0]}")
    broken = np.isnan(row) if np.isnan(row).any() else row > np.float64(LARGEST)
    if broken.any():
        value = float(row[broken][0])
        token = int(np.flatnonzero(columns)[np.argmax(broken)])
        finite = "finite numbers" if not np.isfinite(value) else f"numbers up to {LARGEST:g}"
        raise InvalidInputError(
            f"{name} hold {'+inf' if value == np.inf else f'{value:g}'} at {where}, token {token}; "
            f"only {finite} are accepted, and −inf for a masked token."
        )
    raise InvalidInputError(
        f"{name} have every token masked at {where}; at least one must be left."
    )
