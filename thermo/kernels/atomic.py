"""Integers shared by threads: notes of what has been done.

Who looks up a note also sees what its writer had done before. In plain Python these are ordinary
reads and writes, for one thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import overload

from thermo.kernels.lanes import instruction

__all__ = ["look_up", "publish"]


def look_up(notes: np.ndarray, place: int) -> int:
    """Return ``notes[place]`` of an int64 array."""
    return int(notes[place])


def publish(notes: np.ndarray, place: int, number: int) -> None:
    """Write ``notes[place]``, after everything that this thread did before."""
    notes[place] = number


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, place: Any) -> Any:
    view = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, view, [place])


@instruction
def _look_up(typingctx, notes, place):
    def codegen(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], *args)
        return builder.load_atomic(pointer, ordering="acquire", align=8)

    return types.int64(notes, types.int64), codegen


@instruction
def _publish(typingctx, notes, place, number):
    def codegen(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], *args[:2])
        builder.store_atomic(args[2], pointer, ordering="release", align=8)
        return context.get_dummy_value()

    return types.void(notes, types.int64, types.int64), codegen


@overload(look_up)
def _look_up_overload(notes, place):
    def implementation(notes, place):
        notes[place]  # no code of its own; what NUMBA_BOUNDSCHECK=1 checks
        return _look_up(notes, place)

    return implementation


@overload(publish)
def _publish_overload(notes, place, number):
    return lambda notes, place, number: _publish(notes, place, number)
