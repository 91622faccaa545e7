"""Eight vectors of eight numbers: the weights of eight states for each of eight chains.

What `thermo.kernels.lane_reals` does for one vector. In plain Python a square is a numpy array of
float64, shape (8, 8); inside a compiled kernel it is the LLVM type ``<64 x double>``, eight
registers of AVX-512. ``square * square``, ``square + vector`` (which adds it to every row) and the
functions below mean the same in both worlds, bit for bit.

Numba's cache of a kernel looks at the kernel's own file only: after an edit here, remove the
``__pycache__`` beside it.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import models, overload, register_model

from thermo.kernels.lane_reals import lane_reals
from thermo.kernels.lanes import WORDS, instruction, lane_vector

__all__ = ["count_below", "last_row", "load_square", "rows_at", "running_sums", "store_square"]

# Eight running sums in three steps (J. Sklansky, IRE Trans. Electron. Comput. 9, 226 (1960)).
_ADDITIONS = [
    (upper - upper % step - 1, upper)
    for step in (1, 2, 4)
    for upper in range(WORDS)
    if upper & step
]


def load_square(table: np.ndarray, place: int) -> np.ndarray:
    """Return ``table[place]``; `table` is C-contiguous float64 ``(places, 8, 8)``."""
    return table[place].copy()


def rows_at(table: np.ndarray, first: int, octets: np.ndarray, row: int) -> np.ndarray:
    """Return the square whose row c is ``table[first + octets[row, c], c]``.

    `octets` is C-contiguous uint8 ``(k, 8)``.
    """
    return table[first + octets[row].astype(np.int64), np.arange(WORDS)]


def store_square(table: np.ndarray, place: int, square: np.ndarray) -> None:
    """Write `square` to ``table[place]``."""
    table[place] = square


def running_sums(square: np.ndarray) -> np.ndarray:
    """Return the square whose row k is the sum of the columns 0 … k."""
    sums = square.T.copy()
    for lower, upper in _ADDITIONS:
        sums[upper] = sums[lower] + sums[upper]
    return sums


def last_row(square: np.ndarray) -> np.ndarray:
    """Return the last row, a vector."""
    return square[-1].copy()


def count_below(square: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Count for each column how many of its numbers are less than its goal."""
    return (square < goal).sum(axis=0).astype(np.uint64)


# ---- the same for numba ----------------------------------------------------------------------

_INDEX = ir.IntType(64)
_WORDS = ir.VectorType(ir.IntType(64), WORDS)
_ROW = ir.VectorType(ir.DoubleType(), WORDS)
_SQUARE = ir.VectorType(ir.DoubleType(), WORDS * WORDS)


class LaneSquare(types.Type):
    """Numba's name for the LLVM vector of 64 float64."""

    def __init__(self) -> None:
        super().__init__(name="LaneSquare")


lane_square = LaneSquare()


@register_model(LaneSquare)
class _LaneSquareModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _SQUARE)


def _is_contiguous(numba_type: Any, dtype: Any, axes: int) -> bool:
    return (
        isinstance(numba_type, types.Array)
        and numba_type.dtype == dtype
        and numba_type.ndim == axes
        and numba_type.layout == "C"
    )


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    return context.make_array(array_type)(context, builder, array).data


def _shuffled(builder: Any, a: Any, b: Any, order: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
    return builder.shuffle_vector(a, b, mask)


def _row(builder: Any, square: Any, k: int) -> Any:
    return _shuffled(builder, square, square, [WORDS * k + lane for lane in range(WORDS)])


def _square(builder: Any, parts: list[Any]) -> Any:
    """Put the vectors together, two and two."""
    while len(parts) > 1:
        order = list(range(2 * parts[0].type.count))
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [_shuffled(builder, a, b, order) for a, b in pairs]
    return parts[0]


@instruction
def _load_square(typingctx, table, place):
    def codegen(context, builder, signature, args):
        data = _data(context, builder, signature.args[0], args[0])
        start = builder.gep(data, [builder.mul(args[1], _INDEX(WORDS * WORDS))])
        return builder.load(builder.bitcast(start, _SQUARE.as_pointer()), align=8)

    return lane_square(table, types.int64), codegen


@instruction
def _rows_at(typingctx, table, first, octets, row):
    def codegen(context, builder, signature, args):
        data = _data(context, builder, signature.args[0], args[0])
        data = builder.gep(data, [builder.mul(args[1], _INDEX(WORDS * WORDS))])
        places = _data(context, builder, signature.args[2], args[2])
        places = builder.gep(places, [builder.mul(args[3], _INDEX(WORDS))])
        word = builder.load(builder.bitcast(places, _INDEX.as_pointer()), align=1)
        rows = []
        for chain in range(WORDS):
            place = builder.and_(builder.lshr(word, _INDEX(8 * chain)), _INDEX(255))
            start = builder.add(builder.mul(place, _INDEX(WORDS * WORDS)), _INDEX(chain * WORDS))
            pointer = builder.bitcast(builder.gep(data, [start]), _ROW.as_pointer())
            rows.append(builder.load(pointer, align=8))
        return _square(builder, rows)

    return lane_square(table, types.int64, octets, types.int64), codegen


@instruction
def _store_square(typingctx, table, place, square):
    def codegen(context, builder, signature, args):
        data = _data(context, builder, signature.args[0], args[0])
        start = builder.gep(data, [builder.mul(args[1], _INDEX(WORDS * WORDS))])
        builder.store(args[2], builder.bitcast(start, _SQUARE.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(table, types.int64, square), codegen


@instruction
def _running_sums(typingctx, square):
    def codegen(context, builder, signature, args):
        parts = [_row(builder, args[0], k) for k in range(WORDS)]
        for step in (4, 2, 1):  # transpose: swap the off-diagonal quarters of ever smaller squares
            low = [k if k & step == 0 else WORDS + k - step for k in range(WORDS)]
            high = [k + step if k & step == 0 else WORDS + k for k in range(WORDS)]
            for k in range(WORDS):
                if k & step == 0:
                    a, b = parts[k], parts[k + step]
                    parts[k] = _shuffled(builder, a, b, low)
                    parts[k + step] = _shuffled(builder, a, b, high)
        for lower, upper in _ADDITIONS:
            parts[upper] = builder.fadd(parts[lower], parts[upper])
        return _square(builder, parts)

    return lane_square(square), codegen


@instruction
def _last_row(typingctx, square):
    return lane_reals(square), lambda _, builder, __, args: _row(builder, args[0], WORDS - 1)


@instruction
def _count_below(typingctx, square, goal):
    def codegen(context, builder, signature, args):
        count = ir.Constant(_WORDS, None)
        for k in range(WORDS):
            mask = builder.fcmp_ordered("<", _row(builder, args[0], k), args[1])
            count = builder.sub(count, builder.sext(mask, _WORDS))
        return count

    return lane_vector(square, goal), codegen


@instruction
def _plus(typingctx, square, vector):
    def codegen(context, builder, signature, args):
        rows = [builder.fadd(_row(builder, args[0], k), args[1]) for k in range(WORDS)]
        return _square(builder, rows)

    return lane_square(square, vector), codegen


@instruction
def _times(typingctx, left, right):
    return lane_square(left, right), lambda _, builder, __, args: builder.fmul(*args)


@overload(load_square)
def _load_square_overload(table, place):
    if _is_contiguous(table, types.float64, 3):

        def implementation(table, place):
            table[place, 0, 0]  # no code of its own; what NUMBA_BOUNDSCHECK=1 checks
            return _load_square(table, place)

        return implementation
    return None


@overload(rows_at)
def _rows_at_overload(table, first, octets, row):
    if _is_contiguous(table, types.float64, 3) and _is_contiguous(octets, types.uint8, 2):

        def implementation(table, first, octets, row):
            table[first, 0, 0]
            octets[row, 0]
            return _rows_at(table, first, octets, row)

        return implementation
    return None


@overload(store_square)
def _store_square_overload(table, place, square):
    if _is_contiguous(table, types.float64, 3) and square == lane_square:

        def implementation(table, place, square):
            table[place, 0, 0]
            _store_square(table, place, square)

        return implementation
    return None


@overload(running_sums)
def _running_sums_overload(square):
    return (lambda square: _running_sums(square)) if square == lane_square else None


@overload(last_row)
def _last_row_overload(square):
    return (lambda square: _last_row(square)) if square == lane_square else None


@overload(count_below)
def _count_below_overload(square, goal):
    if square == lane_square and goal == lane_reals:
        return lambda square, goal: _count_below(square, goal)
    return None


@overload(operator.add)
def _plus_overload(left, right):
    if left == lane_square and right == lane_reals:
        return lambda left, right: _plus(left, right)
    return None


@overload(operator.mul)
def _times_overload(left, right):
    if left == right == lane_square:
        return lambda left, right: _times(left, right)
    return None
