"""Which distribution the weights are to have: a loss at a temperature, held near a centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from llm_bridge.langevin.loss import Array, Loss
from thermo.arguments import as_real, finite_number
from thermo.errors import InvalidInputError, UnboundedSpectrumError

__all__ = ["TemperedPosterior"]


@dataclass(frozen=True, eq=False)
class TemperedPosterior:
    r"""Weights in a heat bath, :math:`p(w) \propto e^{-n\beta L(w)}\, e^{-\gamma|w - w_0|^2/2}`.

    The loss of all n samples, nL, is the energy and β its inverse temperature; in units of the mean
    loss L the temperature is :math:`T_w = 1/n\beta`. The Gaussian is a prior (weight decay), and
    where it is narrow it keeps the weights near w₀: then the answers are local. It is no energy but
    the volume of weight space at hand, as a degeneracy is.

    Parameters
    ----------
    loss : Loss
    samples : float
        n > 0.
    beta : float
        β, any finite number; β ≤ 0 for losses with an upper bound only.
    localisation : float
        γ ≥ 0, in 1/weight².
    centre : array_like, shape (d,), optional
        w₀, default 0.

    Raises
    ------
    UnboundedSpectrumError
        β ≤ 0 and a loss without an upper bound.
    InvalidInputError
        Other values; γ = 0 with a bounded loss or β = 0: all of weight space would be as likely as
        any part of it.

    Notes
    -----
    Without a prior, γ = 0, weights diffuse along directions that cost nothing. In a quadratic basin
    the loss does not notice. Minima of another shape, those of a `LinearNetwork` of two layers for
    one, need γ > 0: far out along them there is ever more room, and no equilibrium.

    Examples
    --------
    >>> from llm_bridge.langevin.quadratic import QuadraticLoss
    >>> TemperedPosterior(QuadraticLoss([1.0]), samples=100, beta=0.5).inverse_temperature
    50.0
    >>> TemperedPosterior(QuadraticLoss([1.0]), samples=100, beta=-1.0)
    Traceback (most recent call last):
    thermo.errors.UnboundedSpectrumError: β = -1 was asked of QuadraticLoss of 1 weights, whose ...
    """

    loss: Loss
    samples: float
    beta: float = 1.0
    localisation: float = 0.0
    centre: ArrayLike | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.loss, Loss):
            raise InvalidInputError(
                f"loss is a {type(self.loss).__name__}; accepted: a Loss, such as TorchLoss makes "
                "of a network"
            )
        put = object.__setattr__
        put(self, "samples", finite_number(self.samples, "samples", positive=True))
        put(self, "beta", finite_number(self.beta, "beta"))
        put(self, "localisation", finite_number(self.localisation, "localisation"))
        if self.localisation < 0:
            raise InvalidInputError(
                f"localisation = {self.localisation:g} was given; accepted: a finite number ≥ 0"
            )
        centre = np.zeros(self.loss.dimension) if self.centre is None else self.centre
        put(self, "centre", as_real(centre, "centre"))
        if self.centre.shape != (self.loss.dimension,) or not np.isfinite(self.centre).all():
            raise InvalidInputError(
                f"centre has shape {self.centre.shape}; accepted: ({self.loss.dimension},), one "
                "finite number for each weight"
            )
        if self.beta <= 0 and not self.loss.bounded_above:
            raise UnboundedSpectrumError(self.beta, repr(self.loss))
        if self.localisation == 0 and self.loss.bounded_above:
            raise InvalidInputError(
                "localisation = 0 was given with a loss that is bounded above: weights far away "
                "cost no more than others, and there are infinitely many. Accepted: > 0"
            )

    @property
    def inverse_temperature(self) -> float:
        """nβ = 1/T_w, the inverse temperature that belongs to the mean loss L."""
        return self.samples * self.beta

    def gradient(self, weights: Array, loss_gradient: Array) -> Array:
        """Return nβ∇L + γ(w − w₀), the gradient of −ln p, (chain, d)."""
        force = self.inverse_temperature * loss_gradient
        if self.localisation:
            force += self.localisation * (weights - self.centre)
        return force

    def potential(self, weights: Array, loss: Array) -> Array:
        """Return −ln p up to a constant, (chain,)."""
        total = self.inverse_temperature * loss
        if self.localisation:
            total = total + 0.5 * self.localisation * np.sum((weights - self.centre) ** 2, axis=-1)
        return total
