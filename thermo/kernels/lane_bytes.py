"""States of eight spins side by side: bytes in memory, words to reckon with, places in tables.

Goes with the words of `thermo.kernels.lanes` and the numbers of `thermo.kernels.lane_reals`.

Numba's cache of a kernel looks at the kernel's own file only: after an edit here, remove the
``__pycache__`` beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import overload

from thermo.kernels.lane_reals import lane_reals
from thermo.kernels.lanes import WORDS, instruction, lane_vector

__all__ = ["load_bytes", "pick", "store_bytes"]


def load_bytes(rows: np.ndarray, row: int) -> np.ndarray:
    """Return the bytes in ``rows[row]`` as words; `rows` is C-contiguous uint8 ``(k, 8)``."""
    return rows[row].astype(np.uint64)


def store_bytes(rows: np.ndarray, row: int, words: np.ndarray) -> None:
    """Write the lowest byte of each word to ``rows[row]``."""
    rows[row] = words.astype(np.uint8)


def pick(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return ``table[places]``; `table` is C-contiguous float64 of one axis."""
    return table[places.astype(np.int64)]


# ---- the same for numba ----------------------------------------------------------------------

_WORDS = ir.VectorType(ir.IntType(64), WORDS)
_BYTES = ir.VectorType(ir.IntType(8), WORDS)
_REALS = ir.VectorType(ir.DoubleType(), WORDS)


def _is_contiguous(numba_type: Any, dtype: Any, axes: int) -> bool:
    return (
        isinstance(numba_type, types.Array)
        and numba_type.dtype == dtype
        and numba_type.ndim == axes
        and numba_type.layout == "C"
    )


def _row_pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    place = builder.mul(row, ir.Constant(ir.IntType(64), WORDS))
    return builder.bitcast(builder.gep(data, [place]), _BYTES.as_pointer())


@instruction
def _load_bytes(typingctx, rows, row):
    def codegen(context, builder, signature, args):
        pointer = _row_pointer(context, builder, signature.args[0], *args)
        return builder.zext(builder.load(pointer, align=1), _WORDS)

    return lane_vector(rows, types.int64), codegen


@instruction
def _store_bytes(typingctx, rows, row, words):
    def codegen(context, builder, signature, args):
        pointer = _row_pointer(context, builder, signature.args[0], *args[:2])
        builder.store(builder.trunc(args[2], _BYTES), pointer, align=1)
        return context.get_dummy_value()

    return types.void(rows, types.int64, words), codegen


@instruction
def _pick(typingctx, table, places):
    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        picked = ir.Constant(_REALS, ir.Undefined)
        for k in range(WORDS):
            lane = ir.Constant(ir.IntType(32), k)
            pointer = builder.gep(data, [builder.extract_element(args[1], lane)])
            picked = builder.insert_element(picked, builder.load(pointer), lane)
        return picked

    return lane_reals(table, places), codegen


@overload(load_bytes)
def _load_bytes_overload(rows, row):
    if _is_contiguous(rows, types.uint8, 2):

        def implementation(rows, row):
            rows[row, 0]  # no code of its own; what NUMBA_BOUNDSCHECK=1 checks
            return _load_bytes(rows, row)

        return implementation
    return None


@overload(store_bytes)
def _store_bytes_overload(rows, row, words):
    if _is_contiguous(rows, types.uint8, 2):

        def implementation(rows, row, words):
            rows[row, 0]
            _store_bytes(rows, row, words)

        return implementation
    return None


@overload(pick)
def _pick_overload(table, places):
    if _is_contiguous(table, types.float64, 1):
        return lambda table, places: _pick(table, places)
    return None
