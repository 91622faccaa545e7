"""The loop that everybody writes first: the yardstick of the speed tables."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["naive_sweeps"]


@numba.njit
def naive_sweeps(spins: np.ndarray, beta: float, sweeps: int) -> None:
    """Metropolis as in a textbook: one replica, a float uniform per flip that may be refused."""
    length = spins.shape[0]
    table = np.exp(-2.0 * beta * np.arange(-4, 5))
    for _ in range(sweeps):
        for x in range(length):
            for y in range(length):
                around = (
                    spins[(x + 1) % length, y]
                    + spins[x - 1, y]
                    + spins[x, (y + 1) % length]
                    + spins[x, y - 1]
                )
                ratio = table[spins[x, y] * around + 4]
                if ratio >= 1.0 or np.random.random() < ratio:  # noqa: NPY002
                    spins[x, y] = -spins[x, y]
