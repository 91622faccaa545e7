"""Kawasaki dynamics: chains in which the number of spins in each state is conserved."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import as_real
from thermo.errors import InvalidInputError
from thermo.kernels.discrete_exchange import exchange
from thermo.models.difference import DifferenceModel
from thermo.models.ising import Ising
from thermo.sampling.discrete_chains import DiscreteChains

__all__ = ["KawasakiBatch", "sector_start"]


class KawasakiBatch(DiscreteChains):
    r"""Chains that exchange neighbouring spins: the lattice gas, phase separation.

    A sweep is n attempts, each at a random bond. Different spins on it change places with
    probability :math:`\min(1, e^{-x})(1 - \tfrac12 e^{-2|x|})`, x = βΔE, which is Metropolis' but
    for nearly neutral exchanges; those are decided by a coin, without which sweeps at β = 0 would
    keep the parity of a permutation of spins that are all different.

    What is sampled is :math:`e^{-\beta E}` restricted to the sector, that is to the states with as
    many spins in each state as the start has; on a graph of several pieces, to as many in each
    piece. Within it every state is reached from every other at finite β, since exchanges along the
    bonds of a connected graph make all permutations.

    The chains begin at random with as many spins in each state as in any other (one more in the
    first ones where n is no multiple of q; zero magnetisation of an Ising model). For other sectors
    set ``spins`` to a `sector_start`.

    Not for averages without the constraint: no sweep leads from one sector to another.

    Parameters
    ----------
    model : Ising, Potts or Clock
        Any couplings, fields and graph with at least one bond.
    update : str
        ``"kawasaki"``.
    beta : array_like, shape (chains,)
        Any real numbers and ±inf, in 1/energy.
    seed : numpy.random.SeedSequence
        Gives the random start and one stream to each chain.

    Raises
    ------
    InvalidInputError
        Another model, update or β; a graph without bonds.

    References
    ----------
    K. Kawasaki, Phys. Rev. 145, 224 (1966).

    Examples
    --------
    >>> from thermo.lattice import chain
    >>> model = Ising(chain(8))
    >>> batch = KawasakiBatch(model, "kawasaki", [1.0, -1.0], np.random.SeedSequence(1))
    >>> batch.spins = sector_start(model, 4, np.random.default_rng(1), chains=2)
    >>> series = batch.record(50, 1)
    >>> np.unique(series["magnetization"])
    array([4.])
    """

    def __init__(
        self,
        model: DifferenceModel,
        update: str,
        beta: ArrayLike,
        seed: np.random.SeedSequence,
    ) -> None:
        if update != "kawasaki":
            raise InvalidInputError(f"update = {update!r} was given; accepted: 'kawasaki'")
        super().__init__(model, beta, seed)
        self.update = update
        if not model.lattice.n_edges:
            raise InvalidInputError(
                f"{model.lattice.name} has no bonds to exchange spins along; accepted: at least one"
            )

    def _random_states(self, generator: np.random.Generator) -> np.ndarray:
        n, q = self.model.lattice.n_sites, self.model.n_states
        balanced = np.tile(np.sort(np.arange(n) % q).astype(np.uint8), (self.chains, 1))
        return generator.permuted(balanced, axis=1)

    def sweep(self, sweeps: int) -> None:
        """Attempt n exchanges `sweeps` times."""
        attempts = sweeps * self.model.lattice.n_sites
        ends = np.array(self.model.bond_ends)
        exchange(self._states, self._streams, self._kernel_beta, ends, self._rules, attempts)


def sector_start(
    model: DifferenceModel,
    sector: ArrayLike,
    generator: np.random.Generator,
    *,
    chains: int = 1,
) -> np.ndarray:
    """Return random configurations with a given magnetisation, or given numbers in each state.

    Parameters
    ----------
    model : Ising, Potts or Clock
    sector : int, or array_like of int, shape (q,)
        For Ising models the magnetisation Σ s_i; for any model the numbers of spins in the states
        0 … q − 1, which sum up to n.
    generator : numpy.random.Generator
    chains : int

    Returns
    -------
    ndarray of int8, shape (chains, n)
        Spins in the model's public form, all arrangements of the sector equally likely.

    Raises
    ------
    InvalidInputError
        A magnetisation or numbers that n spins cannot have.

    Examples
    --------
    >>> from thermo.lattice import chain
    >>> sector_start(Ising(chain(6)), -4, np.random.default_rng(1)).sum()
    np.int64(-4)
    """
    n, q = model.lattice.n_sites, model.n_states
    numbers = as_real(sector, "sector")
    if isinstance(model, Ising) and numbers.ndim == 0:
        numbers = np.array([n + numbers, n - numbers]) / 2
    if numbers.shape != (q,) or np.any(numbers % 1 != 0) or np.any(numbers < 0):
        whole = f"{q} whole numbers of spins that sum up to {n}"
        ising = f"a magnetisation -{n}, {2 - n}, …, {n}, or " if isinstance(model, Ising) else ""
        raise InvalidInputError(f"sector = {sector!r} was given; accepted: {ising}{whole}")
    if numbers.sum() != n:
        raise InvalidInputError(
            f"sector = {sector!r} has {int(numbers.sum())} spins; accepted: {n} in all"
        )
    states = np.repeat(np.arange(q, dtype=np.int8), numbers.astype(np.int64))
    return model.spins_of(generator.permuted(np.tile(states, (chains, 1)), axis=1))
