"""Chains of one large square Ising lattice, 512 sites of it at a time, over several threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from threading import Event

import numpy as np

from thermo.arguments import whole_number
from thermo.errors import InvalidInputError
from thermo.kernels.ising_lanes import MAX_DEGREE, STATE_ROWS
from thermo.kernels.ising_rows import (
    APART,
    BLOCKS_ACROSS,
    BLOCKS_DOWN,
    advance_strips,
    count_totals,
)
from thermo.kernels.lanes import LANES, WORDS, pack, unpack
from thermo.models.ising import Ising
from thermo.sampling.batch import one_per_chain
from thermo.sampling.lane_rules import LaneAcceptance
from thermo.temperature import as_beta

__all__ = ["RowBatch"]

_MULTIPLE = 64  # of L: blocks of even height and width
_MOST_STRIPS = 32  # and so many threads, at most, can share a lattice
_PAUSE = 2e-5  # seconds, while another thread catches up


class RowBatch:
    """A few chains of one large L×L torus, L a multiple of 64 (see `Batch`).

    A sweep visits every site once, in an order that depends on L alone (`thermo.kernels.ising_rows`
    says which), with the acceptance of `thermo.sampling.acceptance`: neutral flips toss a coin,
    for the order is fixed and without the coin a sweep at β = 0 would just reverse the lattice.

    Parameters
    ----------
    model : Ising
        On ``thermo.lattice.square(L)`` with periodic edges, L a multiple of 64; one coupling, one
        field.
    update : str
        ``"metropolis"`` or ``"heat_bath"``.
    beta : ndarray, shape (chains,)
        Any real numbers or ±inf; the chains are swept one after the other.
    seed : numpy.random.SeedSequence
        Gives random starts and streams; of no other batch.

    Raises
    ------
    InvalidInputError
        Another lattice, couplings or fields that differ, another update; β that is not real.

    Examples
    --------
    >>> from thermo.lattice import square
    >>> batch = RowBatch(
    ...     Ising(square(64)), "metropolis", np.array([-0.6, 0.6]), np.random.SeedSequence(1)
    ... )
    >>> batch.spins = np.ones((2, 64 * 64))
    >>> batch.sweep(20)
    >>> batch.spins.shape
    (2, 4096)
    """

    def __init__(
        self, model: Ising, update: str, beta: np.ndarray, seed: np.random.SeedSequence
    ) -> None:
        self.model = model
        lattice = model.lattice
        length = lattice.shape[0]
        if lattice.family != "square" or not lattice.periodic or length % _MULTIPLE:
            raise InvalidInputError(
                f"{lattice.name} was given; accepted: a square torus, L a multiple of {_MULTIPLE}"
            )
        if not model.has_uniform_coupling or not model.has_uniform_field:
            raise InvalidInputError(
                f"{model!r} was given; accepted: the same coupling of all bonds, one field for all"
            )
        self._height, self._width = length // BLOCKS_DOWN, length // BLOCKS_ACROSS
        strips = min(_MOST_STRIPS, self._height // 2)
        self._strips = np.arange(strips + 1) * (self._height // 2) // strips * 2
        self._pool: ThreadPoolExecutor | None = None
        self.threads = 1  # the bits do not depend on it
        self._tables = LaneAcceptance(
            model.coupling, model.field, [4], np.zeros(1, dtype=np.int32), update
        )
        self.beta = beta
        start, sweeps = seed.spawn(2)
        shape = (self.beta.size, self._height * self._width, WORDS)
        generator = np.random.Generator(np.random.PCG64(start))
        self._rows = generator.integers(0, 2**64, size=shape, dtype=np.uint64)
        words = sweeps.generate_state(self.beta.size * strips * STATE_ROWS * WORDS, np.uint64)
        self._generators = words.reshape(self.beta.size, strips * STATE_ROWS, WORDS)

    @property
    def threads(self) -> int:
        """How many threads share each lattice: 1 unless set; more than 32 are of no use."""
        return self._threads

    @threads.setter
    def threads(self, threads: int) -> None:
        self._threads = min(whole_number(threads, "threads", 1), len(self._strips) - 1)
        if self._pool is not None:
            self._pool.shutdown(wait=False)
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None

    @property
    def beta(self) -> np.ndarray:
        """1/energy of every chain, shape (chains,); read-only: assign another array."""
        return self._beta

    @beta.setter
    def beta(self, beta: np.ndarray) -> None:
        beta = np.array(as_beta(beta))
        if beta.ndim != 1 or beta.size == 0:
            raise InvalidInputError(f"beta of shape {beta.shape} was given; accepted: (chains,)")
        self._acceptance = [self._tables.at(np.full(LANES, b)) for b in beta]
        beta.flags.writeable = False
        self._beta = beta

    @property
    def spins(self) -> np.ndarray:
        """The spins now, int8 ±1 of shape (chains, n)."""
        lanes = np.stack([unpack(rows) for rows in self._rows])
        blocks = lanes.reshape(-1, self._height, self._width, BLOCKS_DOWN, BLOCKS_ACROSS)
        up = blocks.transpose(0, 3, 1, 4, 2).reshape(len(lanes), -1)
        return np.where(up, np.int8(1), np.int8(-1))

    @spins.setter
    def spins(self, spins: np.ndarray) -> None:
        shape = (-1, BLOCKS_DOWN, self._height, BLOCKS_ACROSS, self._width)
        chains = (self.beta.size, self.model.lattice.n_sites)
        states = one_per_chain(self.model.states_of(spins), chains)
        lanes = (states == 0).reshape(shape).transpose(0, 2, 4, 1, 3)
        self._rows[:] = [pack(chain.reshape(-1, LANES)) for chain in lanes]

    def sweep(self, sweeps: int) -> None:
        """Advance every chain by so many sweeps."""
        for chain in range(self.beta.size):
            done = np.zeros(APART * (len(self._strips) - 1), dtype=np.int64)
            stop = Event()
            work = partial(self._share, chain, 2 * sweeps, done, stop)
            if self._pool is None:
                work(0)
            else:
                _run_together(self._pool, work, self.threads, stop)

    def record(self, draws: int, every: int) -> dict[str, np.ndarray]:
        """Measure `draws` times, each after `every` more sweeps: name → (chains, draws)."""
        n, bonds = self.model.lattice.n_sites, 2 * self.model.lattice.n_sites
        counts = np.empty((3, self.beta.size, draws))
        parts = np.empty((3, WORDS), dtype=np.uint64)
        for draw in range(draws):
            self.sweep(every)
            for chain, rows in enumerate(self._rows):
                count_totals(rows, self._width, parts)
                counts[:, chain, draw] = parts.sum(axis=1)
        antiparallel, up, in_step = counts
        return {
            "energy": self.model.energy_of_totals(bonds - 2 * antiparallel, 2 * up - n),
            "magnetization": 2 * up - n,
            "staggered_magnetization": 2 * in_step - n,
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes."""
        return {
            "rows": self._rows.copy(),
            "generators": self._generators.copy(),
            "beta": self.beta.copy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        self._rows[:] = state["rows"]
        self._generators[:] = state["generators"]
        self.beta = state["beta"]

    def _share(self, chain: int, phases: int, done: np.ndarray, stop: Event, thread: int) -> None:
        """Take part in so many half sweeps of a chain, until all is done or has to stop."""
        strips = len(self._strips) - 1
        first, last = (k * strips // self.threads for k in (thread, thread + 1))
        scratch = np.zeros((MAX_DEGREE + 1, WORDS), dtype=np.uint64)
        piece, end = 0, phases * (last - first)
        while not stop.is_set():
            piece = advance_strips(
                self._rows[chain],
                self._width,
                self._strips,
                self._generators[chain],
                self._acceptance[chain],
                scratch,
                done,
                first,
                last,
                piece,
                end,
            )
            if piece == end:
                return
            time.sleep(_PAUSE)


def _run_together(
    pool: ThreadPoolExecutor, work: Callable[[int], None], threads: int, stop: Event
) -> None:
    """Do a share of the work in each of several threads; an error or Ctrl-C stops all of them."""
    parts = [pool.submit(work, thread) for thread in range(threads)]
    try:
        for part in parts:
            part.result()
    finally:
        stop.set()
        wait(parts)
