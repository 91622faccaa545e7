"""What a network pays for its weights: the energy of Langevin dynamics, for many chains at once."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

__all__ = ["Loss"]

Array = NDArray[np.float64]


class Loss(ABC):
    r"""Mean loss per sample :math:`L(w)` in nats, on batches of weight vectors.

    A new loss implements `value_and_gradient` and `laplacian`. β is never part of it: that is the
    business of `TemperedPosterior`.

    Attributes
    ----------
    dimension : int
        Number d of weights.
    bounded_above : bool
        Whether L has an upper bound. Without one there is no equilibrium at β ≤ 0.
    minimum : float or None
        The lowest value of L, where it is known.
    samples : int or None
        Rows of data that L is a mean over, from which mini-batches can be drawn; None for a loss
        that is an expectation.
    """

    dimension: int
    bounded_above: bool = False
    minimum: float | None = None
    samples: int | None = None

    @abstractmethod
    def value_and_gradient(
        self, weights: Array, rows: NDArray[np.intp] | None = None
    ) -> tuple[Array, Array]:
        """Return L and ∇L of every chain.

        Parameters
        ----------
        weights : ndarray, shape (chain, d)
        rows : ndarray of int, shape (chain, batch), optional
            Rows of data that each chain takes the mean over; default all. Only where `samples`
            is not None.

        Returns
        -------
        loss : ndarray, shape (chain,)
        gradient : ndarray, shape (chain, d)
        """

    @abstractmethod
    def laplacian(self, weights: Array) -> Array:
        """Return ∇²L, the trace of the Hessian, of every chain: ndarray, shape (chain,)."""

    def value(self, weights: Array) -> Array:
        """Return L of every chain: ndarray, shape (chain,)."""
        return self.value_and_gradient(weights)[0]
