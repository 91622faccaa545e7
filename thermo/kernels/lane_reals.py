"""Eight real numbers side by side, for numba and for plain Python.

What `thermo.kernels.lanes` does for bits, for float64: in plain Python a vector is a numpy array of
eight numbers (or eight booleans, a mask); inside a compiled kernel it is the LLVM type
``<8 x double>`` (``<8 x i1>``), one register of AVX-512, two of AVX2, four of SSE2 or NEON. The
operators ``+ - * / < > <=`` between vectors, or a vector and a number, ``& | ~`` between masks,
``==`` between words, and the functions below mean the same in both worlds: only operations that
IEEE 754 rounds correctly are used and none are fused, so that a kernel gives the same bits compiled
and as ``kernel.py_func``.

Numba's cache of a kernel looks at the kernel's own file only: after an edit here, remove the
``__pycache__`` beside it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, overload, register_model

from thermo.kernels.lanes import WORDS, any_lane, instruction, lane_vector, load, store

__all__ = [
    "as_bits",
    "ceiling",
    "from_bits",
    "mask_words",
    "reals",
    "reals_of",
    "select",
    "square_root",
    "words_of",
]


def reals(number: float) -> np.ndarray:
    """Return the vector whose eight numbers all equal `number`."""
    return np.full(WORDS, number, dtype=np.float64)


def select(mask: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return `a` in the lanes of `mask` and `b` elsewhere."""
    return np.where(mask, a, b)


def square_root(vector: np.ndarray) -> np.ndarray:
    """Return the square roots."""
    return np.sqrt(vector)


def ceiling(vector: np.ndarray) -> np.ndarray:
    """Round up to whole numbers."""
    return np.ceil(vector)


def reals_of(words: np.ndarray) -> np.ndarray:
    """Convert words of at most 2⁵³ to numbers."""
    return words.astype(np.float64)


def words_of(vector: np.ndarray) -> np.ndarray:
    """Convert whole numbers from 0 to 2⁵³ to words."""
    return vector.astype(np.uint64)


def mask_words(mask: np.ndarray) -> np.ndarray:
    """Return words that are all ones in the lanes of `mask` and zero elsewhere."""
    return np.where(mask, np.uint64(2**64 - 1), np.uint64(0))


def as_bits(vector: np.ndarray) -> np.ndarray:
    """Return the words of 64 bits that hold the numbers."""
    return vector.view(np.uint64)


def from_bits(words: np.ndarray) -> np.ndarray:
    """Return the numbers that the words of 64 bits hold."""
    return words.view(np.float64)


# ---- the same for numba ----------------------------------------------------------------------

_REALS = ir.VectorType(ir.DoubleType(), WORDS)
_MASK = ir.VectorType(ir.IntType(1), WORDS)
_WORDS = ir.VectorType(ir.IntType(64), WORDS)


class LaneReals(types.Type):
    """Numba's name for the LLVM vector of eight float64."""

    def __init__(self) -> None:
        super().__init__(name="LaneReals")


class LaneMask(types.Type):
    """Numba's name for the LLVM vector of eight booleans."""

    def __init__(self) -> None:
        super().__init__(name="LaneMask")


lane_reals = LaneReals()
lane_mask = LaneMask()


@register_model(LaneReals)
class _LaneRealsModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _REALS)


@register_model(LaneMask)
class _LaneMaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _MASK)


def _is_rows(numba_type: Any) -> bool:
    return (
        isinstance(numba_type, types.Array)
        and numba_type.dtype == types.float64
        and numba_type.ndim == 2
        and numba_type.layout == "C"
    )


def _broadcast(builder: Any, number: Any) -> Any:
    vector = ir.Constant(_REALS, ir.Undefined)
    for k in range(WORDS):
        vector = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), k))
    return vector


def _row_pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    place = builder.mul(row, ir.Constant(ir.IntType(64), WORDS))
    return builder.bitcast(builder.gep(data, [place]), _REALS.as_pointer())


@instruction
def _load(typingctx, rows, row):
    def codegen(context, builder, signature, args):
        return builder.load(_row_pointer(context, builder, signature.args[0], *args), align=8)

    return lane_reals(rows, types.int64), codegen


@instruction
def _store(typingctx, rows, row, vector):
    def codegen(context, builder, signature, args):
        pointer = _row_pointer(context, builder, signature.args[0], *args[:2])
        builder.store(args[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(rows, types.int64, vector), codegen


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
    if _is_rows(rows) and isinstance(row, types.Integer) and isinstance(vector, LaneReals):

        def implementation(rows, row, vector):
            rows[row, 0]
            _store(rows, row, vector)

        return implementation
    return None


@instruction
def _reals(typingctx, number):
    return lane_reals(types.float64), lambda _, builder, __, args: _broadcast(builder, *args)


@overload(reals)
def _reals_overload(number):
    return (lambda number: _reals(number)) if isinstance(number, types.Float) else None


@instruction
def _select(typingctx, mask, a, b):
    return lane_reals(mask, a, b), lambda _, builder, __, args: builder.select(*args)


@overload(select)
def _select_overload(mask, a, b):
    if (mask, a, b) == (lane_mask, lane_reals, lane_reals):
        return lambda mask, a, b: _select(mask, a, b)
    return None


def _overload_unary(
    function: Callable[..., Any], argument: Any, result: Any, build: Callable[..., Any]
) -> None:
    """Give `function` of one vector the LLVM instructions that ``build(builder, vector)`` adds."""

    @instruction
    def operation(typingctx, vector):
        return result(argument), lambda _, builder, __, args: build(builder, *args)

    @overload(function)
    def choose(vector):
        return (lambda vector: operation(vector)) if vector == argument else None


def _llvm_function(name: str) -> Callable[..., Any]:
    def build(builder: Any, vector: Any) -> Any:
        function_type = ir.FunctionType(_REALS, [_REALS])
        function = cgutils.get_or_insert_function(
            builder.module, function_type, f"llvm.{name}.v{WORDS}f64"
        )
        return builder.call(function, [vector])

    return build


def _any(builder: Any, mask: Any) -> Any:
    word = ir.IntType(WORDS)
    return builder.icmp_unsigned("!=", builder.bitcast(mask, word), word(0))


_overload_unary(square_root, lane_reals, lane_reals, _llvm_function("sqrt"))
_overload_unary(ceiling, lane_reals, lane_reals, _llvm_function("ceil"))
_overload_unary(abs, lane_reals, lane_reals, _llvm_function("fabs"))
_overload_unary(reals_of, lane_vector, lane_reals, lambda builder, x: builder.sitofp(x, _REALS))
_overload_unary(words_of, lane_reals, lane_vector, lambda builder, x: builder.fptosi(x, _WORDS))
_overload_unary(mask_words, lane_mask, lane_vector, lambda builder, x: builder.sext(x, _WORDS))
_overload_unary(operator.neg, lane_reals, lane_reals, lambda builder, x: builder.fneg(x))
_overload_unary(as_bits, lane_reals, lane_vector, lambda builder, x: builder.bitcast(x, _WORDS))
_overload_unary(from_bits, lane_vector, lane_reals, lambda builder, x: builder.bitcast(x, _REALS))
_overload_unary(any_lane, lane_mask, types.boolean, _any)
_overload_unary(operator.invert, lane_mask, lane_mask, lambda builder, x: builder.not_(x))


def _overload_binary(
    symbol: Callable[..., Any], argument: Any, result: Any, build: Callable[..., Any]
) -> None:
    """Give `symbol` between two vectors, or a vector and a number, one LLVM instruction."""

    @instruction
    def operation(typingctx, left, right):
        return result(argument, argument), lambda _, builder, __, args: build(builder, *args)

    @overload(symbol)
    def choose(left, right):
        if left == argument and right == argument:
            return lambda left, right: operation(left, right)
        if left == argument == lane_reals and isinstance(right, types.Float):
            return lambda left, right: operation(left, _reals(right))
        if right == argument == lane_reals and isinstance(left, types.Float):
            return lambda left, right: operation(_reals(left), right)
        return None


_R, _M, _W = lane_reals, lane_mask, lane_vector
_overload_binary(operator.add, _R, _R, lambda builder, a, b: builder.fadd(a, b))
_overload_binary(operator.sub, _R, _R, lambda builder, a, b: builder.fsub(a, b))
_overload_binary(operator.mul, _R, _R, lambda builder, a, b: builder.fmul(a, b))
_overload_binary(operator.truediv, _R, _R, lambda builder, a, b: builder.fdiv(a, b))
_overload_binary(operator.lt, _R, _M, lambda builder, a, b: builder.fcmp_ordered("<", a, b))
_overload_binary(operator.gt, _R, _M, lambda builder, a, b: builder.fcmp_ordered(">", a, b))
_overload_binary(operator.le, _R, _M, lambda builder, a, b: builder.fcmp_ordered("<=", a, b))
_overload_binary(operator.eq, _W, _M, lambda builder, a, b: builder.icmp_unsigned("==", a, b))
_overload_binary(operator.and_, _M, _M, lambda builder, a, b: builder.and_(a, b))
_overload_binary(operator.or_, _M, _M, lambda builder, a, b: builder.or_(a, b))
