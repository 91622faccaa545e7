"""What is measured in lanes: energy and magnetisations of Ising spins from counts of pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thermo.kernels.lanes import LANES, WORDS
from thermo.kernels.snapshot_lanes import count_snapshots
from thermo.models.ising import Ising

__all__ = ["LaneObservables"]


class LaneObservables:
    """Energy and magnetisations of an Ising model as numbers of pairs of rows that differ.

    A row is one spin of all replicas. Below those of the spins, row n is all down and row n + 1 all
    up: pairs with these two count single spins.

    Parameters
    ----------
    model : Ising
        Couplings ±J of one J, one field for all sites.
    coupling : float
        J.
    flipped : ndarray of bool, shape (M,)
        Bonds of coupling −J.

    Attributes
    ----------
    coupling : float
    pairs : tuple of ndarray, shape (pairs, 2)
        Plain bonds, flipped bonds; spins with down, and with their order: a spin on sublattice 0 is
        in step with the staggered order if up, one on sublattice 1 if down.
    """

    def __init__(self, model: Ising, coupling: float, flipped: np.ndarray) -> None:
        self._model, self.coupling = model, coupling
        lattice = model.lattice
        n = lattice.n_sites
        sites = np.arange(n)
        up = np.stack([sites, np.full(n, n)], axis=1)
        in_step = up[:0]
        if lattice.sublattice is not None:
            in_step = np.stack([sites, n + lattice.sublattice], axis=1)
        pairs = (lattice.edges[~flipped], lattice.edges[flipped], up, in_step)
        self.pairs = tuple(np.array(p, dtype=np.int32) for p in pairs)

    def series(self, counts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Turn how many of each of the `pairs` differ, any shape, into name → values."""
        plain, flipped, up, in_step = counts
        model, n = self._model, self._model.lattice.n_sites
        bonds = (len(self.pairs[0]) - 2 * plain) - (len(self.pairs[1]) - 2 * flipped)
        series = {
            "energy": 0.0 - self.coupling * bonds - model.field * (2 * up - n),  # never −0.0
            "magnetization": (2 * up - n).astype(np.float64),
        }
        if model.lattice.is_bipartite:
            series["staggered_magnetization"] = (2 * in_step - n).astype(np.float64)
        return series

    def of_snapshots(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Measure states, int8 of shape (snapshots, n), 512 snapshots at a time: name → values."""
        snapshots, n = states.shape
        blocks = -(-snapshots // LANES)
        rows = np.zeros((n + 2, WORDS), dtype=np.uint64)
        rows[n + 1] = 2**64 - 1
        most = max(len(pairs) for pairs in self.pairs)
        counts = tuple(np.empty((64 * blocks, WORDS), dtype=np.uint64) for _ in self.pairs)
        count_snapshots(
            states,
            self.pairs,
            np.empty(n, dtype=np.uint64),
            rows,
            np.empty((most.bit_length(), WORDS), dtype=np.uint64),
            counts,
        )
        # (block, bit, word) → snapshot = 512·block + 64·word + bit
        return self.series(
            [
                c.reshape(blocks, 64, WORDS).swapaxes(1, 2).reshape(-1)[:snapshots].astype(np.int64)
                for c in counts
            ]
        )
