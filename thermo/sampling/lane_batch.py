"""512 replicas of an Ising model that are swept and measured together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from thermo.kernels.ising_lanes import Scratch, advance
from thermo.kernels.lanes import LANES, WORDS, pack, unpack
from thermo.models.ising import Ising
from thermo.sampling.lane_rules import lane_rules
from thermo.sampling.starts import packed_start

__all__ = ["LANES", "LaneBatch", "Measurements", "lane_spins"]

_MOST_DRAWS = 1024  # draws held as integers before they are handed on


class Measurements(NamedTuple):
    """Totals of every lane, arrays (LANES, draws); `staggered` is None unless bipartite."""

    energy: np.ndarray
    magnetization: np.ndarray
    staggered: np.ndarray | None


class LaneBatch:
    """State of 512 replicas: spins, random streams, and the tables of the kernel.

    Two batches with the same arguments give the same bits, on any machine and however their
    sweeps are divided into calls.

    Parameters
    ----------
    model : Ising
    update : str
        ``"metropolis"`` or ``"heat_bath"``.
    beta, replica, ordered : ndarray, shape (512,)
        Of each lane: β, which replica of its β it is, whether it begins in an ordered state.
    seed : numpy.random.SeedSequence
        Gives the start and the eight streams of the sweeps; of no other batch.
    """

    def __init__(
        self,
        model: Ising,
        update: str,
        beta: np.ndarray,
        replica: np.ndarray,
        ordered: np.ndarray,
        seed: np.random.SeedSequence,
    ) -> None:
        self.model = model
        self.rules = lane_rules(model, beta, update)
        start_seed, sweep_seed = seed.spawn(2)
        start = np.random.Generator(np.random.PCG64(start_seed))
        # Below the spins a row of all down and one of all up, for counting single spins.
        n = model.lattice.n_sites
        self._rows = np.empty((n + 2, WORDS), dtype=np.uint64)
        self._rows[:n] = packed_start(model, beta, replica, ordered, start)
        self._rows[n], self._rows[n + 1] = 0, 2**64 - 1
        self._generator = sweep_seed.generate_state(2 * WORDS, np.uint64).reshape(2, WORDS)

        most_classes = int(np.diff(self.rules.first_class).max())
        planes = max(model.lattice.n_edges, n).bit_length()
        self._scratch = Scratch(
            masks=np.zeros((most_classes, WORDS), dtype=np.uint64),
            planes=np.zeros((planes, WORDS), dtype=np.uint64),
        )
        self._pairs = _observed_pairs(model)

    @property
    def rows(self) -> np.ndarray:
        """The spins now, packed: uint64 of shape (n, 8)."""
        return self._rows[:-2]

    @property
    def spins(self) -> np.ndarray:
        """The spins now, int8 ±1 of shape (512, n)."""
        return lane_spins(self.rows)

    @spins.setter
    def spins(self, spins: np.ndarray) -> None:
        self.rows[:] = pack(spins.T > 0)

    def sweep(self, sweeps: int) -> None:
        """Visit every site `sweeps` times, in the order of the sites."""
        self._advance(sweeps, 0)

    def record(self, draws: int, every: int) -> Measurements:
        """Measure `draws` times, each after `every` more sweeps."""
        lattice = self.model.lattice
        n, m = lattice.n_sites, lattice.n_edges
        totals = np.empty((3, LANES, draws))
        for start in range(0, draws, _MOST_DRAWS):
            part = slice(start, min(start + _MOST_DRAWS, draws))
            antiparallel, up, in_step = self._advance(every, part.stop - part.start)
            totals[0, :, part] = self.model.energy_of_totals(m - 2 * antiparallel, 2 * up - n)
            totals[1, :, part] = 2 * up - n
            totals[2, :, part] = 2 * in_step - n
        return Measurements(totals[0], totals[1], totals[2] if lattice.is_bipartite else None)

    def _advance(self, sweeps: int, draws: int) -> list[np.ndarray]:
        """Run the kernel; return the counts of each observable, int64 of shape (512, draws)."""
        counts = tuple(np.empty((64 * draws, WORDS), dtype=np.uint64) for _ in self._pairs)
        advance(
            self._rows,
            self._generator,
            self.rules,
            self._scratch,
            sweeps,
            draws,
            self._pairs,
            counts,
        )
        # (draw, bit, word) → lane = 64·word + bit
        return [
            c.reshape(draws, 64, WORDS).transpose(2, 1, 0).reshape(LANES, draws).astype(np.int64)
            for c in counts
        ]


def lane_spins(rows: np.ndarray) -> np.ndarray:
    """Unpack spins: uint64 of shape (n, 8) to int8 ±1 of shape (512, n)."""
    return np.where(unpack(rows), np.int8(1), np.int8(-1)).T


def _observed_pairs(model: Ising) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of rows whose differences count antiparallel bonds, spins up, and spins in step.

    A spin on sublattice 0 is in step with the staggered order if up, one on sublattice 1 if down.
    """
    lattice = model.lattice
    n = lattice.n_sites
    sites = np.arange(n)
    up = np.stack([sites, np.full(n, n)], axis=1)
    in_step = np.empty((0, 2), dtype=np.int32)
    if lattice.sublattice is not None:
        in_step = np.stack([sites, n + lattice.sublattice], axis=1)
    return np.array(lattice.edges), up.astype(np.int32), in_step.astype(np.int32)
