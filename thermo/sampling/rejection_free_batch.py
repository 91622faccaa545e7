"""The n-fold way: dynamics in continuous time that never refuses a move."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thermo.errors import InvalidInputError
from thermo.kernels.discrete_events import advance, fill_trees
from thermo.models.difference import DifferenceModel
from thermo.sampling.discrete_chains import DiscreteChains

__all__ = ["RejectionFreeBatch"]


class RejectionFreeBatch(DiscreteChains):
    r"""Chains in continuous time, for temperatures at which most moves would be refused.

    Every site attempts to change at rate 1, to each other state equally often, and succeeds with
    probability :math:`\min(1, e^{-\beta\Delta E})`. Only successes are made: the time to the next
    is drawn, then which it is. A sweep is a unit of time, in which every site would attempt once on
    average; draws are made at fixed times and so have equal weights.

    A move made costs about as much as 150 attempts of `DiscreteBatch` do: worth while where fewer
    than one in 150 would succeed. At β = ±inf a chain whose moves would all raise βE stays as it is
    while time runs on.

    Parameters
    ----------
    model : Ising, Potts or Clock
        Any couplings, fields and graph.
    update : str
        ``"rejection_free"``.
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
    A. B. Bortz, M. H. Kalos, J. L. Lebowitz, J. Comput. Phys. 17, 10 (1975).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> model = Ising(square(4))
    >>> batch = RejectionFreeBatch(model, "rejection_free", [3.0, -3.0], np.random.SeedSequence(3))
    >>> batch.sweep(1_000_000)  # in which each chain moves a few dozen times
    >>> model.energy(batch.spins)
    array([-32.,  32.])
    """

    def __init__(
        self,
        model: DifferenceModel,
        update: str,
        beta: ArrayLike,
        seed: np.random.SeedSequence,
    ) -> None:
        if update != "rejection_free":
            raise InvalidInputError(f"update = {update!r} was given; accepted: 'rejection_free'")
        super().__init__(model, beta, seed)
        self.update = update
        leaves = 2 ** (model.lattice.n_sites - 1).bit_length()
        self._trees = np.zeros((self.chains, 2 * leaves))
        self._next_event = np.empty(self.chains)
        self._now = 0.0

    def _refresh(self) -> None:
        """Find the rates of new states or a new β; what comes next is then to be drawn anew."""
        if self._changed:
            fill_trees(self._trees, self._states, self._kernel_beta, self._rules)
            self._next_event[:] = np.nan
            self._changed = False

    @property
    def rates(self) -> np.ndarray:
        """How many moves each chain makes per unit of time as it is now, shape (chains,)."""
        self._refresh()
        return self._trees[:, 1].copy()

    def sweep(self, sweeps: int) -> None:
        """Let so many units of time pass."""
        self._refresh()
        advance(
            self._states,
            self._trees,
            self._streams,
            self._kernel_beta,
            self._next_event,
            self._now,
            self._now + sweeps,
            self._rules,
        )
        self._now += sweeps

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes."""
        self._refresh()
        return {**super().state(), "clock": np.append(self._next_event, self._now)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        super().restore(state)
        self._refresh()
        self._next_event = state["clock"][:-1].copy()
        self._now = float(state["clock"][-1])
