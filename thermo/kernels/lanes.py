"""512 replicas side by side: a vector of eight 64-bit words, for numba and for plain Python.

Bit ℓ % 64 of word ℓ // 64 belongs to lane ℓ, and one lane is one replica. In plain Python a vector
is a numpy array of eight ``uint64``; inside a compiled kernel it is the LLVM type ``<8 x i64>``,
which LLVM cuts into whatever registers the processor has (one of AVX-512, two of AVX2, four of SSE2
or NEON). The operators ``& | ^ ~ + - << >>`` and the functions below mean the same in both worlds,
so that a kernel gives the same bits compiled and as ``kernel.py_func``.

Numba's cache of a kernel looks at the kernel's own file only: after an edit here, remove the
``__pycache__`` beside it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_jitable, register_model

__all__ = [
    "LANES",
    "WORDS",
    "any_lane",
    "bit_planes",
    "instruction",
    "lane_function",
    "load",
    "next_words",
    "pack",
    "popcount",
    "previous_words",
    "rotate_left",
    "splat",
    "store",
    "transpose",
    "unpack",
]

WORDS = 8
LANES = 64 * WORDS

# Inlined by LLVM, and without reference counting: the arrays belong to the caller of the kernel,
# and counting them at every site costs more than the physics.
lane_function = register_jitable(forceinline=True, _nrt=False)

_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, WORDS)


def pack(lanes: np.ndarray) -> np.ndarray:
    """Pack booleans ``(rows, LANES)`` into words ``(rows, WORDS)``."""
    octets = np.packbits(np.ascontiguousarray(lanes, dtype=bool), axis=-1, bitorder="little")
    return octets.view("<u8").astype(np.uint64)


def unpack(words: np.ndarray) -> np.ndarray:
    """Unpack words ``(rows, WORDS)`` into booleans ``(rows, LANES)``: the inverse of `pack`."""
    octets = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little").view(bool)


def load(rows: np.ndarray, row: int) -> np.ndarray:
    """Return the vector in ``rows[row]``; `rows` is C-contiguous ``(n, WORDS)``."""
    return rows[row].copy()


def store(rows: np.ndarray, row: int, vector: np.ndarray) -> None:
    """Write `vector` to ``rows[row]``."""
    rows[row] = vector


def splat(word: int) -> np.ndarray:
    """Return the vector whose eight words all equal `word`."""
    return np.full(WORDS, word, dtype=np.int64).view(np.uint64)


def rotate_left(vector: np.ndarray, bits: int) -> np.ndarray:
    """Rotate every word, or a single one, left by `bits`, 0 < `bits` < 64."""
    return (vector << bits) | (vector >> (64 - bits))


def any_lane(vector: np.ndarray) -> bool:
    """Say whether a bit is set in any lane."""
    return bool(vector.any())


def popcount(vector: np.ndarray) -> np.ndarray:
    """Count the bits that are set in every word."""
    return np.bitwise_count(vector).astype(np.uint64)


def next_words(vector: np.ndarray) -> np.ndarray:
    """Move every word one place down; word 0 goes to the end."""
    return np.roll(vector, -1)


def previous_words(vector: np.ndarray) -> np.ndarray:
    """Move every word one place up; the last one becomes word 0."""
    return np.roll(vector, 1)


# ---- the same for numba ----------------------------------------------------------------------

instruction: Callable[..., Any] = intrinsic  # untyped: called with one argument less than defined


class LaneVector(types.Type):
    """Numba's name for the LLVM vector of eight 64-bit words."""

    def __init__(self) -> None:
        super().__init__(name="LaneVector")


lane_vector = LaneVector()


@register_model(LaneVector)
class _LaneVectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


def _is_vector(*numba_types: Any) -> bool:
    return all(isinstance(t, LaneVector) for t in numba_types)


def _is_rows(numba_type: Any) -> bool:
    return (
        isinstance(numba_type, types.Array)
        and numba_type.dtype == types.uint64
        and numba_type.ndim == 2
        and numba_type.layout == "C"
    )


def _broadcast(builder: Any, word: Any) -> Any:
    """Copy one 64-bit value into all eight words."""
    vector = ir.Constant(_VECTOR, ir.Undefined)
    for k in range(WORDS):
        vector = builder.insert_element(vector, word, ir.Constant(ir.IntType(32), k))
    return vector


def _row_pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    word = builder.mul(row, ir.Constant(_WORD, WORDS))
    return builder.bitcast(builder.gep(data, [word]), _VECTOR.as_pointer())


@instruction
def _load(typingctx, rows, row):
    def codegen(context, builder, signature, args):
        pointer = _row_pointer(context, builder, signature.args[0], *args)
        return builder.load(pointer, align=8)

    return lane_vector(rows, types.int64), codegen


@instruction
def _store(typingctx, rows, row, vector):
    def codegen(context, builder, signature, args):
        pointer = _row_pointer(context, builder, signature.args[0], *args[:2])
        builder.store(args[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(rows, types.int64, vector), codegen


@instruction
def _splat(typingctx, word):
    def codegen(context, builder, signature, args):
        return _broadcast(builder, args[0])

    return lane_vector(types.int64), codegen


@instruction
def _rotate_left(typingctx, vector, bits):
    def codegen(context, builder, signature, args):
        funnel_type = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        funnel = cgutils.get_or_insert_function(
            builder.module, funnel_type, f"llvm.fshl.v{WORDS}i64"
        )
        return builder.call(funnel, [args[0], args[0], _broadcast(builder, args[1])])

    return lane_vector(vector, types.int64), codegen


@instruction
def _any_lane(typingctx, vector):
    def codegen(context, builder, signature, args):
        nonzero = builder.icmp_unsigned("!=", args[0], ir.Constant(_VECTOR, None))
        mask = ir.IntType(WORDS)  # one bit per word: one test instruction where there are masks
        return builder.icmp_unsigned("!=", builder.bitcast(nonzero, mask), ir.Constant(mask, 0))

    return types.boolean(vector), codegen


@overload(load)
def _load_overload(rows, row):
    if _is_rows(rows) and isinstance(row, types.Integer):

        def implementation(rows, row):
            rows[row, 0]  # no code of its own; what NUMBA_BOUNDSCHECK=1 checks
            return _load(rows, row)

        return implementation
    return None


@overload(store)
def _store_overload(rows, row, vector):
    if _is_rows(rows) and isinstance(row, types.Integer) and _is_vector(vector):

        def implementation(rows, row, vector):
            rows[row, 0]
            _store(rows, row, vector)

        return implementation
    return None


@overload(splat)
def _splat_overload(word):
    return (lambda word: _splat(word)) if isinstance(word, types.Integer) else None


@overload(rotate_left)
def _rotate_left_overload(vector, bits):
    if vector == types.uint64:
        return lambda vector, bits: (vector << bits) | (vector >> (64 - bits))
    return (lambda vector, bits: _rotate_left(vector, bits)) if _is_vector(vector) else None


@overload(any_lane)
def _any_lane_overload(vector):
    return (lambda vector: _any_lane(vector)) if _is_vector(vector) else None


def _overload_unary(function: Callable[..., Any], build: Callable[..., Any]) -> None:
    """Give `function` of one vector the LLVM instructions of `build`."""

    @instruction
    def operation(typingctx, vector):
        def codegen(context, builder, signature, args):
            return build(builder, args[0])

        return lane_vector(vector), codegen

    @overload(function)
    def choose(vector):
        return (lambda vector: operation(vector)) if _is_vector(vector) else None


def _build_popcount(builder: Any, vector: Any) -> Any:
    count = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.ctpop.v{WORDS}i64"
    )
    return builder.call(count, [vector])


def _build_turn(builder: Any, vector: Any, places: int) -> Any:
    order = [(k + places) % WORDS for k in range(WORDS)]
    mask = ir.Constant(ir.VectorType(ir.IntType(32), WORDS), order)
    return builder.shuffle_vector(vector, ir.Constant(_VECTOR, ir.Undefined), mask)


_overload_unary(operator.invert, lambda builder, vector: builder.not_(vector))
_overload_unary(popcount, _build_popcount)
_overload_unary(next_words, lambda builder, vector: _build_turn(builder, vector, 1))
_overload_unary(previous_words, lambda builder, vector: _build_turn(builder, vector, -1))


def _overload_operator(symbol: Callable[..., Any], build: Callable[..., Any], shift: bool) -> None:
    """Give `symbol` on two vectors (or a vector and a shift count) the LLVM instruction `build`."""

    @instruction
    def operation(typingctx, left, right):
        def codegen(context, builder, signature, args):
            other = _broadcast(builder, args[1]) if shift else args[1]
            return build(builder, args[0], other)

        return lane_vector(left, types.int64 if shift else right), codegen

    @overload(symbol)
    def choose(left, right):
        if _is_vector(left) and (isinstance(right, types.Integer) if shift else _is_vector(right)):
            return lambda left, right: operation(left, right)
        return None


_overload_operator(operator.and_, lambda builder, a, b: builder.and_(a, b), shift=False)
_overload_operator(operator.or_, lambda builder, a, b: builder.or_(a, b), shift=False)
_overload_operator(operator.xor, lambda builder, a, b: builder.xor(a, b), shift=False)
_overload_operator(operator.add, lambda builder, a, b: builder.add(a, b), shift=False)
_overload_operator(operator.sub, lambda builder, a, b: builder.sub(a, b), shift=False)
_overload_operator(operator.lshift, lambda builder, a, b: builder.shl(a, b), shift=True)
_overload_operator(operator.rshift, lambda builder, a, b: builder.lshr(a, b), shift=True)


# ---- one number per lane ---------------------------------------------------------------------

_LOW_HALVES = tuple((2**64 - 1) // (2**step + 1) for step in (32, 16, 8, 4, 2, 1))


@lane_function
def transpose(rows, first):
    """Turn 64 rows, in place: bit b of row r becomes bit r of row b, in each of the eight words.

    H. S. Warren, "Hacker's Delight" (2002), section 7-3.
    """
    for stage in range(6):
        step = 32 >> stage
        low = splat(_LOW_HALVES[stage])
        for r in range(first, first + 64):
            if (r - first) & step == 0:
                a = load(rows, r)
                b = load(rows, r + step)
                swap = ((a >> step) ^ b) & low
                store(rows, r, a ^ (swap << step))
                store(rows, r + step, b ^ swap)


@njit(cache=True, nogil=True)
def _transpose_all(rows: np.ndarray) -> None:
    for first in range(0, len(rows), 64):
        transpose(rows, first)


def bit_planes(numbers: np.ndarray) -> np.ndarray:
    """Slice numbers ``(k, LANES)`` of uint64 into bits: rows ``(k, 64, WORDS)``, lowest bit first.

    >>> rows = bit_planes(np.arange(LANES, dtype=np.uint64)[None, :])
    >>> bool(unpack(rows[0])[3, 8])  # bit 3 of the number of lane 8
    True
    """
    rows = np.array(numbers.reshape(-1, WORDS, 64).transpose(0, 2, 1), order="C")
    _transpose_all(rows.reshape(-1, WORDS))
    return rows
