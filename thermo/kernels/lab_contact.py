"""Systems in contact: moves that pass energy from place to place and keep its sum exactly.

All systems are one graph of Ising spins without bonds between them. Energies are integers (quanta).

Numba's cache of a kernel looks at the kernel's own file only: after an edit of a file imported
here, remove the ``__pycache__`` beside it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thermo.kernels.flat_moves import discrete_change
from thermo.kernels.streams import random_word

__all__ = ["pass_energy"]

_U1, _U3, _U32 = np.uint64(1), np.uint64(3), np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)


@njit(cache=True, nogil=True)
def pass_energy(
    states: np.ndarray,
    energies: np.ndarray,
    streams: np.ndarray,
    block_of: np.ndarray,
    starts: np.ndarray,
    touching: np.ndarray,
    across: np.uint64,
    attempts: int,
    system,
) -> None:
    """Attempt to flip one, two or three spins, of one block or of some that touch, at no cost.

    Which spins are proposed depends on no state, and flips undo themselves: a move and its reverse
    are equally likely, and all states with the same energy become so too. (Three, for a block with
    all spins parallel gives or takes nothing but the largest cost, which two flips elsewhere may
    have to pay together. A spin proposed twice is flipped back.)

    Parameters
    ----------
    states : (replicas, n) uint8
        0 and 1.
    energies : (replicas, blocks) int64
        Of the blocks, in quanta.
    streams : (replicas, 2) uint64
    block_of : (n,) int64
    starts : (blocks + 1,) int64
        Block b has the sites starts[b] up to starts[b + 1].
    touching : (blocks, blocks) bool
        Symmetric; true on the diagonal.
    across : uint64
        Each further spin is taken from all blocks with probability `across`/2³², otherwise from the
        block of the first.
    attempts : int
        Per replica.
    system : thermo.kernels.flat_moves.DiscreteSystem
        Of two states.
    """
    sites = np.zeros(3, dtype=np.uint64)
    costs = np.zeros(3, dtype=np.int64)
    for replica in range(len(states)):
        spins = states[replica]
        s0, s1 = streams[replica, 0], streams[replica, 1]
        for _ in range(attempts):
            word, s0, s1 = random_word(s0, s1)
            sites[0] = ((word >> _U32) * np.uint64(len(spins))) >> _U32
            block = block_of[sites[0]]
            flips = 1 + (np.int64(word & _U3) + 1) // 2  # 1, 2, 2 or 3
            possible = True
            for k in range(1, flips):
                word, s0, s1 = random_word(s0, s1)
                first, end = starts[block], starts[block + 1]
                if word & _LOW_HALF < across:
                    first, end = 0, len(spins)
                sites[k] = np.uint64(first) + (((word >> _U32) * np.uint64(end - first)) >> _U32)
                possible = possible and touching[block, block_of[sites[k]]]
            if not possible:
                continue
            total = 0
            for k in range(flips):  # one after the other: neighbours know of each other
                old = np.uint64(spins[sites[k]])
                costs[k] = discrete_change(spins, sites[k], old, _U1 - old, system)
                spins[sites[k]] = _U1 - old
                total += costs[k]
            for k in range(flips):
                if total == 0:
                    energies[replica, block_of[sites[k]]] += costs[k]
                else:
                    spins[sites[k]] = _U1 - np.uint64(spins[sites[k]])
        streams[replica, 0] = s0
        streams[replica, 1] = s1
