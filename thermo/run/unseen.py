"""What equal draws leave open: a bound in the place of an error of 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thermo.estimate.autocorrelation import MeanWithError
from thermo.estimate.slabs import slabs
from thermo.models.difference import DifferenceModel
from thermo.models.spin_model import SpinModel
from thermo.run.order_parameter import lengths, staggered_lengths
from thermo.sampling.discrete_rules import largest_change
from thermo.sampling.energy_grid import energy_spacing

__all__ = ["SPIN", "Unseen", "UnseenChanges", "at_least", "excitable", "excitation", "unseen"]

_LOG_ROUNDING = math.log(np.finfo(np.float64).eps)
SPIN = 2.0  # the most by which one spin, a unit vector, can change a magnetisation

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Unseen:
    r"""A quantity that was the same in all of N draws, and what it is in a state near by.

    States that were not seen once have together a probability of at most 1/(N + 1) at one standard
    error (`thermo.estimate.proportion.wilson_interval`), and 3/N at 95 %, the *rule of three*. The
    bounds here are what an estimate would change by if of N + 1 draws one were such a state: that
    is how the error goes on from Δ/N, where a single draw differs by Δ. It is an upper bound where
    draws are independent; chains that never left a metastable state know nothing of others.

    Attributes
    ----------
    value, excited : ndarray, shape (B,)
        The same where the quantity did change, where it cannot, and where nothing is ever excited
        (`excitable`): all bounds are 0 there.
    chance : ndarray, shape (B,)
        1/(N + 1).
    """

    value: Array
    excited: Array
    chance: Array

    @property
    def open(self) -> NDArray[np.bool_]:
        """Where it never changed although it could, (B,)."""
        return self.excited != self.value

    @property
    def mean(self) -> Array:
        """Bound of the mean, (B,)."""
        return np.abs(self.excited - self.value) * self.chance

    @property
    def variance(self) -> Array:
        """Bound of the variance, (B,)."""
        return (self.excited - self.value) ** 2 * self.chance * (1.0 - self.chance)

    @property
    def mean_square(self) -> Array:
        """Bound of the mean square, (B,)."""
        return np.abs(self.excited**2 - self.value**2) * self.chance

    @property
    def binder(self) -> Array:
        """Bound of 1 − ⟨x⁴⟩/(3⟨x²⟩²), (B,); where x was always 0, which counts as 0, from there."""
        second, fourth = (
            (1.0 - self.chance) * self.value**k + self.chance * self.excited**k for k in (2, 4)
        )
        before = np.where(self.value == 0.0, 0.0, 2.0 / 3.0)
        after = 1.0 - fourth / (3.0 * np.where(second**2 == 0.0, 1.0, second) ** 2)
        return np.where(self.open, np.abs(after - before), 0.0)


def unseen(
    possible: NDArray[np.bool_], series: Iterable[Array], step: float | Array, draws: float | Array
) -> Unseen:
    """Return what a quantity leaves open that never changed.

    Parameters
    ----------
    possible : ndarray of bool, shape (B,)
        Where other states are: `excitable`.
    series : iterable of ndarray, shape (b, chain, draw)
        Of all B values of β, a few at a time.
    step : float or ndarray, shape (B,)
        The most by which it differs in states near by.
    draws : float or ndarray, shape (B,)
        N.

    Examples
    --------
    >>> seen = np.array([[[-8.0, -8.0, -8.0]], [[-8.0, -4.0, -8.0]], [[-8.0, -8.0, -8.0]]])
    >>> unseen(np.array([True, True, False]), [seen], 4.0, 3).mean
    array([1., 0., 0.])
    """
    # Copies, for views would keep all parts.
    ends = [
        (part[:, 0, 0].copy(), part.min(axis=(1, 2)) == part.max(axis=(1, 2))) for part in series
    ]
    value, constant = (np.concatenate(parts) for parts in zip(*ends, strict=True))
    steps = np.where(constant & possible, step, 0.0)
    # Towards 0, as a length in perfect order can only go.
    excited = np.where(value >= steps, value - steps, value + steps)
    return Unseen(value, excited, np.broadcast_to(1.0 / (np.asarray(draws) + 1.0), value.shape))


@dataclass(frozen=True, eq=False)
class UnseenChanges:
    """What the series of a run leave open, quantity by quantity.

    Attributes
    ----------
    model : SpinModel
    beta : ndarray, shape (B,)
    series : mapping of str to ndarray, shape (B, replicas, draws)
    movable : ndarray of float64, shape (B,)
        How many spins change in the least move there is: 1, of exchanges 2, or 0 where none can.
    conserved : bool
        The magnetisation never changes.
    """

    model: SpinModel
    beta: Array
    series: Mapping[str, Array]
    movable: Array
    conserved: bool

    @cached_property
    def energy(self) -> Unseen:
        """Of E."""
        return self._of(self.series["energy"].__getitem__, excitation(self.model) * self.movable)

    @cached_property
    def magnetization(self) -> Unseen:
        """Of M."""
        step = 0.0 if self.conserved else SPIN
        return self._of(self.series["magnetization"].__getitem__, step)

    @cached_property
    def length(self) -> Unseen:
        r"""Of \|M\|."""
        step = 0.0 if self.conserved else self._spin
        return self._of(partial(lengths, self.series), step)

    @cached_property
    def staggered(self) -> Unseen:
        r"""Of \|M_st\|."""
        return self._of(partial(staggered_lengths, self.series), self._spin * self.movable)

    def structure_factor(self, estimate: MeanWithError, measurements: int) -> MeanWithError:
        """Put bounds into S(k), arrays (B, ...), where it never changed."""
        n = self.model.lattice.n_sites
        spin = self._beside(self._spin * self.movable, estimate)
        change = (2.0 * np.sqrt(n * estimate.mean) + spin) * spin / n
        if self.conserved:
            change.reshape(self.beta.size, -1)[:, 0] = 0.0  # k = 0
        return self._bounded(estimate, change, measurements)

    def correlation_function(self, estimate: MeanWithError, measurements: int) -> MeanWithError:
        """Put bounds into G(r), arrays (B, ...), where it never changed."""
        of_two = 2.0 * SPIN / self.model.lattice.n_sites  # a spin is in two of the n products
        change = np.broadcast_to(self._beside(of_two * self.movable, estimate), estimate.mean.shape)
        change = change.copy()
        change.reshape(self.beta.size, -1)[:, 0] = 0.0  # G(0) = 1
        return self._bounded(estimate, change, measurements)

    @property
    def _spin(self) -> float:
        """The most by which one spin can change a length; the only one is always as long."""
        return SPIN if self.model.lattice.n_sites > 1 else 0.0

    def _of(self, series: Callable[[slice], Array], step: float | Array) -> Unseen:
        shape = self.series["energy"].shape
        return unseen(self._possible, map(series, slabs(shape)), step, shape[1] * shape[2])

    @cached_property
    def _possible(self) -> NDArray[np.bool_]:
        return excitable(self.model, self.beta)

    def _beside(self, values: NDArray[Any], estimate: MeanWithError) -> NDArray[Any]:
        """(B,) as an array that goes with (B, ...)."""
        return values.reshape(-1, *(1,) * (estimate.mean.ndim - 1))

    def _bounded(self, estimate: MeanWithError, change: Array, measurements: int) -> MeanWithError:
        # Its own measurements count: other energies may all have been between two of them.
        never = self._beside(self._possible, estimate) & (estimate.error == 0.0)
        return at_least(estimate, np.where(never, change / (measurements + 1.0), 0.0))


def excitable(model: SpinModel, beta: Array) -> NDArray[np.bool_]:
    r"""Return where states above the lowest level (at β < 0 below the highest) count, (B,).

    With energies ε apart they have together at most the probability
    :math:`q^n e^{-|\beta|\varepsilon}`; below the rounding of a number, that is as at β = ±∞.
    """
    if isinstance(model, DifferenceModel) and (spacing := energy_spacing(model)):
        log_states = model.lattice.n_sites * math.log(model.n_states)
        return np.abs(beta) < (log_states - _LOG_ROUNDING) / spacing
    return np.isfinite(beta)


def excitation(model: SpinModel) -> float:
    """Return an energy that no change of one spin exceeds."""
    if isinstance(model, DifferenceModel):
        return largest_change(model)
    strengths = np.repeat(np.abs(model.couplings), 2)
    around = np.bincount(model.bond_ends.ravel(), strengths, minlength=model.lattice.n_sites)
    return float(2.0 * (around + np.linalg.norm(model.fields, axis=1)).max())


def at_least(estimate: MeanWithError, bound: Array) -> MeanWithError:
    """Return the estimate with no error below a bound."""
    return replace(estimate, error=np.maximum(estimate.error, bound))
