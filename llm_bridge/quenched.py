"""Quenched averages: thermodynamics of many contexts, with errors and the spread between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thermo.canonical import Thermodynamics
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error

__all__ = ["ContextAverage", "QuenchedThermodynamics", "position_mean", "quenched"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ContextAverage:
    """One quantity averaged over contexts (positions of a text), at each β.

    Attributes
    ----------
    mean, error : ndarray, shape (B,)
        Average over positions, and its standard error for the population of texts like this one:
        corrected for the correlation between neighbouring positions. NaN for one position.
    ess : ndarray, shape (B,)
        Number of independent positions that would give the same error.
    spread : ndarray, shape (B,)
        Standard deviation *between* contexts: what a single position looks like. It does not
        shrink with N.
    quantiles : ndarray, shape (Q, B)
        Of the distribution over contexts, at ``QuenchedThermodynamics.quantile_levels``.
    """

    mean: FloatArray
    error: FloatArray
    ess: FloatArray
    spread: FloatArray
    quantiles: FloatArray


@dataclass(frozen=True, eq=False)
class QuenchedThermodynamics:
    r"""Quenched averages over contexts: the mean of ln Z, not the ln of the mean Z.

    Each context is one frozen realisation of disorder. The averages of ln Z and its derivatives
    fit together as for one system:

    .. math:: \langle S \rangle = \langle \ln Z \rangle + \beta \langle U \rangle

    Attributes
    ----------
    beta : ndarray, shape (B,)
    positions : int
        N, how many contexts were averaged.
    quantile_levels : tuple of float
    log_partition_function, internal_energy, energy_variance, entropy, heat_capacity,
    log_participation_ratio : ContextAverage
        Energies in nats, entropies and heat capacities in k. U and ln Z contain the gauge of the
        logits: use :func:`llm_bridge.spectrum.centred` first if they are to mean anything.
    """

    beta: FloatArray
    positions: int
    quantile_levels: tuple[float, ...]
    log_partition_function: ContextAverage
    internal_energy: ContextAverage
    energy_variance: ContextAverage
    entropy: ContextAverage
    heat_capacity: ContextAverage
    log_participation_ratio: ContextAverage

    @property
    def effective_states(self) -> FloatArray:
        """exp of the mean entropy, shape (B,): the typical (geometric mean) number of tokens."""
        return np.exp(self.entropy.mean)

    @property
    def participation_ratio(self) -> FloatArray:
        """exp of the mean of ln(1/Σp²), shape (B,): its typical value."""
        return np.exp(self.log_participation_ratio.mean)

    @property
    def equivalent_dof(self) -> FloatArray:
        """2C/k of the mean heat capacity, shape (B,): heat-capacity-equivalent modes."""
        return 2.0 * self.heat_capacity.mean


def quenched(
    state: Thermodynamics, quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95)
) -> QuenchedThermodynamics:
    """Average thermodynamics over contexts, with errors and the spread between contexts.

    Parameters
    ----------
    state : Thermodynamics
        From :func:`llm_bridge.thermodynamics`, arrays (N, B) or (N,), positions in the order of the
        text.
    quantiles : sequence of float
        Which quantiles of the distribution over contexts to give, each between 0 and 1.

    Returns
    -------
    QuenchedThermodynamics
        Arrays (B,); B = 1 if β was a scalar.

    Raises
    ------
    InvalidInputError
        Arrays of another shape, or quantiles outside 0 … 1.

    Notes
    -----
    The error is that of a mean over a correlated series
    (:func:`thermo.estimate.autocorrelation.mean_with_error`). It says how well the average is
    known for texts like this one; it knows nothing about texts of another kind.

    Examples
    --------
    >>> from llm_bridge.spectrum import thermodynamics
    >>> average = quenched(thermodynamics([[1.0, -1.0], [2.0, -2.0]], [0.0, 1.0]))
    >>> average.entropy.mean.round(4), average.positions
    (array([0.6931, 0.2277]), 2)
    """
    if state.beta.ndim not in (1, 2):
        raise InvalidInputError(
            f"quenched averages need arrays (N, B) or (N,), not {state.beta.shape}."
        )
    levels = tuple(float(q) for q in quantiles)
    if not all(0.0 <= q <= 1.0 for q in levels):
        raise InvalidInputError(f"quantiles = {levels}; numbers from 0 to 1 are accepted.")
    count = state.beta.shape[0]

    def average(values: FloatArray) -> ContextAverage:
        return _average(values.reshape(count, -1), levels)

    return QuenchedThermodynamics(
        beta=state.beta.reshape(count, -1)[0].copy(),
        positions=count,
        quantile_levels=levels,
        log_partition_function=average(state.log_partition_function),
        internal_energy=average(state.internal_energy),
        energy_variance=average(state.energy_variance),
        entropy=average(state.entropy),
        heat_capacity=average(state.heat_capacity),
        log_participation_ratio=average(state.log_participation_ratio),
    )


def position_mean(values: FloatArray) -> MeanWithError:
    """Mean over positions with its error, corrected for the correlation between neighbours.

    Parameters
    ----------
    values : ndarray, shape (N, ...)
        One number (or array) per position, in the order of the text.

    Returns
    -------
    MeanWithError
        Arrays of shape (...). The error is NaN for a single position and for infinite values.

    Examples
    --------
    >>> position_mean(np.array([[1.0, np.inf], [1.0, np.inf]])).error
    array([ 0., nan])
    """
    with np.errstate(invalid="ignore"):  # +inf and −inf among the positions: no mean
        mean = values.mean(axis=0)
    finite = np.isfinite(mean)
    if values.shape[0] < 2:
        unknown = np.full(mean.shape, np.nan)
        return MeanWithError(mean, unknown, np.ones(mean.shape), unknown)
    # Deviations in units of the largest one: squares of very small ones would underflow.
    deviation = np.where(finite, values, 0.0) - np.where(finite, mean, 0.0)
    scale = np.abs(deviation).max(axis=0)
    series = np.moveaxis(deviation / np.where(scale > 0, scale, 1.0), 0, -1)
    found = mean_with_error(series[..., None, :])
    error = np.where(finite, found.error * scale, np.nan)
    return MeanWithError(mean, error, found.ess, found.tau)


def _average(values: FloatArray, levels: tuple[float, ...]) -> ContextAverage:
    found = position_mean(values)
    with np.errstate(invalid="ignore"):  # ln Z is infinite at β = ±∞
        spread = values.std(axis=0, ddof=1 if values.shape[0] > 1 else 0)
        between = np.quantile(values, levels, axis=0)
    return ContextAverage(found.mean, found.error, found.ess, spread, between)
