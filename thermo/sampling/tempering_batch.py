"""Parallel tempering: chains that exchange their β, as one more kind of batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.sampling.batch import Batch

__all__ = ["TemperingBatch", "swap_probability"]

Array = NDArray[np.float64]


def swap_probability(
    beta_a: ArrayLike, energy_a: ArrayLike, beta_b: ArrayLike, energy_b: ArrayLike
) -> Array:
    r"""Return the probability with which two chains exchange their β.

    .. math:: A = \min\bigl(1, e^{(\beta_a - \beta_b)(E_a - E_b)}\bigr)

    The Metropolis rule for the product :math:`e^{-\beta_a E_a} e^{-\beta_b E_b}`: never refused if
    the chain at the larger β (colder on the axis of hotness) is the one with the larger energy.

    Parameters
    ----------
    beta_a, beta_b : array_like, any shape
        Any different real numbers or ±inf, in 1/energy. At ±inf A is the limit: 0 or 1, and 1
        where the energies agree.
    energy_a, energy_b : array_like, any shape
        Total energies.

    Returns
    -------
    ndarray
        Of the shape of the arguments broadcast together.

    References
    ----------
    K. Hukushima, K. Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996), eq. (7).

    Examples
    --------
    >>> swap_probability([0.5, -0.5], [3.0, 3.0], [0.4, -0.4], [1.0, 1.0]).round(3)
    array([1.   , 0.819])
    """
    step = np.subtract(energy_a, energy_b)
    with np.errstate(invalid="ignore"):  # inf · 0
        exponent = np.where(step == 0.0, 0.0, np.subtract(beta_a, beta_b) * step)
    return np.exp(np.minimum(exponent, 0.0))


class TemperingBatch:
    """Ladders of chains whose neighbours try to exchange their β after every few sweeps.

    Follows the protocol of `thermo.sampling.batch`. A row is a rung of a ladder and keeps its β;
    which chain of the underlying batch stands on it changes: β travels, configurations do not.
    Neighbours 0–1, 2–3, … and 1–2, 3–4, … try in turn (deterministic even-odd exchange, which
    carries configurations from end to end faster than pairs drawn at random).

    Parameters
    ----------
    batch : Batch
        Of ladders·B chains, chain l·B + k beginning on rung k of ladder l; each of its updates must
        keep its own Boltzmann distribution.
    rungs : int
        B.
    exchange_every : int
        Sweeps between exchanges.
    seed : numpy.random.SeedSequence
        Of the exchanges; not that of `batch`.

    Attributes
    ----------
    beta : ndarray, shape (ladders·B,)
        Of each row: row l·B + k is rung k of ladder l. Any real numbers or ±inf, strictly monotone
        along a ladder; may be set.

    References
    ----------
    T. Okabe and others, Chem. Phys. Lett. 335, 435 (2001) (even-odd exchange); S. Syed and others,
    J. R. Stat. Soc. B 84, 321 (2022) (why it is fast).
    """

    def __init__(
        self, batch: Batch, rungs: int, exchange_every: int, seed: np.random.SeedSequence
    ) -> None:
        self.model: Any = batch.model
        self.batch = batch
        self.exchange_every = exchange_every
        self._seed = seed
        self._chain_at = np.arange(batch.beta.size).reshape(-1, rungs)  # [ladder, rung]
        self._sweeps = 0  # of each chain, since the beginning
        self._restart_generator()

    @property
    def beta(self) -> np.ndarray:
        return self.batch.beta[self._chain_at.ravel()]

    @beta.setter
    def beta(self, beta: np.ndarray) -> None:
        self.batch.beta = self._by_chain(np.asarray(beta, dtype=np.float64))

    @property
    def spins(self) -> np.ndarray:
        """Configurations row by row; may be set."""
        return self.batch.spins[self._chain_at.ravel()]

    @spins.setter
    def spins(self, spins: np.ndarray) -> None:
        self.batch.spins = self._by_chain(np.asarray(spins))

    def sweep(self, sweeps: int) -> None:
        """Advance every chain by so many sweeps, with the exchanges that fall due."""
        while sweeps >= self._until_exchange:
            sweeps -= self._until_exchange
            self._measure(self._until_exchange)
        if sweeps:
            self.batch.sweep(sweeps)
            self._sweeps += sweeps

    def record(self, draws: int, every: int) -> dict[str, np.ndarray]:
        """Measure every row: name → (rows, draws); a draw comes before an exchange due with it.

        ``"walker"`` says which configuration of its ladder, 0 … B − 1, stands on the row.
        """
        series: dict[str, np.ndarray] = {}
        for draw in range(draws):
            rest = every
            while rest > self._until_exchange:
                rest -= self._until_exchange
                self._measure(self._until_exchange)
            for name, values in self._measure(rest).items():
                if draw == 0:
                    series[name] = np.empty((values.size, draws))
                series[name][:, draw] = values
        return series

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes."""
        own = {"chain_at": self._chain_at.copy(), "sweeps": np.array(self._sweeps)}
        return own | {f"chains.{name}": array for name, array in self.batch.state().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        self._chain_at = state["chain_at"].copy()
        self._sweeps = int(state["sweeps"])
        self._restart_generator()
        self.batch.restore(
            {
                name.removeprefix("chains."): array
                for name, array in state.items()
                if name.startswith("chains.")
            }
        )

    @property
    def _until_exchange(self) -> int:
        """Sweeps until the next exchange, 1 … exchange_every."""
        return self.exchange_every - self._sweeps % self.exchange_every

    def _restart_generator(self) -> None:
        """Bring the random numbers to where they are after the exchanges made so far."""
        ladders, rungs = self._chain_at.shape
        bits = np.random.PCG64(self._seed)
        bits.advance(self._sweeps // self.exchange_every * ladders * (rungs // 2))
        self._generator = np.random.Generator(bits)

    def _measure(self, sweeps: int) -> dict[str, np.ndarray]:
        """Sweep, at most to the next exchange, measure every row, and exchange if it is due."""
        rows = self._chain_at.ravel()  # of before the exchange
        measured = {name: x[rows, 0] for name, x in self.batch.record(1, sweeps).items()}
        measured["walker"] = (rows % self._chain_at.shape[1]).astype(np.float64)
        self._sweeps += sweeps
        if self._sweeps % self.exchange_every == 0:
            self._exchange(measured["energy"].reshape(self._chain_at.shape))
        return measured

    def _exchange(self, energy: np.ndarray) -> None:
        """Let every second pair of neighbours try to exchange; energies (ladders, B) as of now."""
        beta = self.beta
        uniform = self._generator.random((len(energy), energy.shape[1] // 2))
        first = (self._sweeps // self.exchange_every - 1) % 2
        a, b = np.s_[:, first:-1:2], np.s_[:, first + 1 :: 2]
        of_row = beta.reshape(energy.shape)
        chance = swap_probability(of_row[a], energy[a], of_row[b], energy[b])
        swap = uniform[:, : chance.shape[1]] < chance
        at_a, at_b = self._chain_at[a].copy(), self._chain_at[b].copy()
        self._chain_at[a] = np.where(swap, at_b, at_a)
        self._chain_at[b] = np.where(swap, at_a, at_b)
        self.beta = beta

    def _by_chain(self, of_row: np.ndarray) -> np.ndarray:
        """Put what belongs to rows into the order of the underlying chains."""
        of_chain = np.empty_like(of_row)
        of_chain[self._chain_at.ravel()] = of_row
        return of_chain
