"""Single-spin sweeps of any discrete model, each chain at its own signed β."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thermo.kernels import discrete, discrete_heat_bath
from thermo.kernels.lanes import WORDS
from thermo.models.difference import DifferenceModel
from thermo.sampling.acceptance import checked_update
from thermo.sampling.discrete_chains import DiscreteChains

__all__ = ["DiscreteBatch"]


class DiscreteBatch(DiscreteChains):
    r"""Chains that visit every site in order, by Metropolis' rule or by heat bath.

    Heat bath draws the new state from its conditional distribution. Metropolis proposes another
    state and accepts it with :math:`\min(1, e^{-x})(1 - e^{-2|x|}/q)`, x = βΔE: both reach every
    state from every other in one sweep, at every finite β and on any graph; see
    `thermo.kernels.discrete` and `thermo.kernels.discrete_heat_bath`. At β = ±inf chains only move
    where βE does not rise.

    Chains are swept eight at a time; multiples of 32 waste nothing.

    Not for Ising models with couplings ±J, for which `thermo.sampling.lane_batch.LaneBatch` is some
    forty times faster.

    Parameters
    ----------
    model : Ising, Potts or Clock
        Any couplings, fields and graph.
    update : str
        ``"metropolis"`` or ``"heat_bath"``.
    beta : array_like, shape (chains,)
        Any real numbers and ±inf, in 1/energy.
    seed : numpy.random.SeedSequence
        Gives the random start and one stream to each chain.

    Raises
    ------
    InvalidInputError
        Another model, update or β.

    References
    ----------
    N. Metropolis and others, J. Chem. Phys. 21, 1087 (1953); R. J. Glauber, J. Math. Phys. 4,
    294 (1963).

    Examples
    --------
    >>> from thermo.lattice import chain
    >>> from thermo.models import Potts
    >>> model = Potts(chain(6), 3)
    >>> batch = DiscreteBatch(model, "heat_bath", [np.inf, -np.inf], np.random.SeedSequence(1))
    >>> batch.sweep(100)
    >>> model.energy(batch.spins)  # all bonds satisfied, and none
    array([-6.,  0.])
    """

    def __init__(
        self,
        model: DifferenceModel,
        update: str,
        beta: ArrayLike,
        seed: np.random.SeedSequence,
    ) -> None:
        self.update = checked_update(update)
        super().__init__(model, beta, seed)
        # Chains that are lacking in the last group of eight run along at β = 0.
        streams = np.random.SeedSequence(0).generate_state(2 * self._groups * WORDS, np.uint64)
        streams = streams.reshape(-1, 2)
        streams[: self.chains] = self._streams
        self._streams = np.ascontiguousarray(
            streams.reshape(self._groups, WORDS, 2).transpose(0, 2, 1)
        ).reshape(2 * self._groups, WORDS)

    @property
    def _groups(self) -> int:
        return -(-self.chains // WORDS)

    @property
    def states(self) -> np.ndarray:
        """States 0 … q − 1 now, uint8 of shape (chains, n); may be set."""
        return np.ascontiguousarray(self._states_by_site()[:, : self.chains].T)

    @states.setter
    def states(self, states: np.ndarray) -> None:
        by_site = np.zeros((self.model.lattice.n_sites, self._groups * WORDS), dtype=np.uint8)
        by_site[:, : self.chains] = np.asarray(states).T
        self._rows = by_site.reshape(-1, WORDS)

    def _states_by_site(self) -> np.ndarray:
        return self._rows.reshape(-1, self._groups * WORDS)

    def sweep(self, sweeps: int) -> None:
        """Visit every site `sweeps` times, in the order of the sites."""
        beta = np.zeros(self._groups * WORDS)
        beta[: self.chains] = self._kernel_beta
        heat_bath = self.update == "heat_bath"
        kernel = discrete_heat_bath.heat_bath if heat_bath else discrete.metropolis
        kernel(self._rows, self._streams, beta.reshape(-1, WORDS), self._rules, sweeps)
