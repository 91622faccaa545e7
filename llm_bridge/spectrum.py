"""Logits as energy levels, E = −z: thermodynamics of many positions at any signed β."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.logits import as_logits, is_masked, row_blocks
from thermo.canonical import Thermodynamics, boltzmann_sums
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.levels import EnergyLevels
from thermo.temperature import as_beta

__all__ = [
    "ContextAverage",
    "QuenchedThermodynamics",
    "centred",
    "energy_levels",
    "natural_scale",
    "position_mean",
    "quenched",
    "thermodynamics",
]

FloatArray = NDArray[np.float64]

_FIELDS = (
    "log_partition_function",
    "internal_energy",
    "energy_variance",
    "entropy",
    "log_participation_ratio",
)


def energy_levels(
    logits_row: ArrayLike,
    vocabulary: Sequence[str] | None = None,
    valid: ArrayLike | None = None,
    *,
    provenance: str | None = None,
) -> EnergyLevels:
    r"""The energy levels of one position: one state per token, :math:`E_i = -z_i`.

    Parameters
    ----------
    logits_row : array_like, shape (V,)
        Logits in nats. Masked tokens (`llm_bridge.logits.is_masked`) are left out.
    vocabulary : sequence of str, length V, optional
        The text of every token; becomes the labels.
    valid : array_like of bool, shape (V,), optional
        False for columns to leave out.
    provenance : str, optional
        Where the logits come from; default: a hash of them.

    Returns
    -------
    EnergyLevels
        In the order of the vocabulary; equal logits stay separate levels.

    Raises
    ------
    InvalidInputError
        NaN, +inf, no token left, or mismatched lengths.

    Examples
    --------
    >>> energy_levels([2.0, 0.5, float("-inf")], ["yes", "no", "<pad>"]).labels
    ('yes', 'no')
    """
    row = np.asarray(logits_row)
    if row.ndim != 1:
        raise InvalidInputError(f"logits_row has shape {row.shape}; one position, (V,), is needed.")
    rows, columns = as_logits(row[None], valid)
    if vocabulary is not None and len(vocabulary) != row.size:
        raise InvalidInputError(f"{len(vocabulary)} words were given for {row.size} logits.")
    kept = np.flatnonzero(columns & ~is_masked(rows[0]))
    labels = None if vocabulary is None else [vocabulary[i] for i in kept.tolist()]
    return EnergyLevels(-rows[0, kept].astype(np.float64), labels=labels, provenance=provenance)


def thermodynamics(logits: Any, beta: ArrayLike, valid: ArrayLike | None = None) -> Thermodynamics:
    r"""Canonical thermodynamics of logits at every position and any signed β.

    .. math::
        Z_t(\beta) = \sum_i e^{\beta z_{ti}}, \qquad p_{ti} = e^{\beta z_{ti}}/Z_t

    with energies :math:`E = -z`: β = 1 is the model's own distribution, β → +∞ greedy decoding,
    β = 0 the uniform distribution, β < 0 prefers unlikely tokens.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (N, V)
        Logits in nats of any float type; −inf and the lowest number of a dtype mask a token.
    beta : array_like, shape (B,) or ()
        Inverse temperatures: any real number, ±0.0, ±inf.
    valid : array_like of bool, shape (V,), optional
        False for columns that are no tokens (a padded vocabulary).

    Returns
    -------
    Thermodynamics
        The fields of :func:`thermo.canonical`, arrays of shape (N, B), or (N,) for scalar β.

    Raises
    ------
    InvalidInputError
        β is NaN; NaN or +inf among the logits, or a position with every token masked.

    Notes
    -----
    Direct summation in float64 measured from the end of the spectrum that dominates (the largest
    logit for β > 0, the smallest for β < 0), with masks taken out before β is applied, so that no
    mask turns into +inf at β < 0 or into 0·∞ at β = 0. Tied logits count as degeneracy. Time is
    N·V·B exponentials; working memory is bounded whatever N.

    U, ln Z and F contain the arbitrary constant of each position's logits. Compare positions or
    models after `centred`, or by S, C and differences of U.

    Examples
    --------
    Two tokens with logits ±1 are a two-level system with a gap of 2:

    >>> thermodynamics([[1.0, -1.0]], [1.0, 0.0, -1.0]).internal_energy.round(4)
    array([[-0.7616,  0.    ,  0.7616]])
    """
    b = as_beta(beta)
    if b.ndim > 1:
        raise InvalidInputError(f"beta has shape {b.shape}; one number or one axis is accepted.")
    array, columns = as_logits(logits, valid)
    out = np.empty((len(_FIELDS), array.shape[0], b.size))
    for block, energies, open_tokens in _energy_blocks(array, columns):
        if open_tokens is None:
            parts = [boltzmann_sums(energies, None, b.ravel())]
        else:  # each position has its own mask: leave the masked tokens out of its sums
            parts = [
                boltzmann_sums(row[open_row][None], None, b.ravel())
                for row, open_row in zip(energies, open_tokens, strict=True)
            ]
        for name, target in zip(_FIELDS, out, strict=True):
            target[block] = np.concatenate([getattr(part, name) for part in parts])
    shape = (array.shape[0], *b.shape)
    return Thermodynamics(np.broadcast_to(b, shape).copy(), *out.reshape(len(_FIELDS), *shape))


def centred(logits: Any, valid: ArrayLike | None = None) -> NDArray[np.float64]:
    """The same logits with each position's mean over its tokens at zero: U(β = 0) = 0.

    A change of gauge that makes energies of different positions comparable: U and ln Z of the
    result are measured from the infinitely hot state; S, C and populations are unchanged.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (N, V)
    valid : array_like of bool, shape (V,), optional
        False for columns that are no tokens.

    Returns
    -------
    ndarray of float64, shape (N, V)
        Masked tokens are −inf.

    Examples
    --------
    >>> centred([[3.0, 1.0, float("-inf")]])
    array([[  1.,  -1., -inf]])
    """
    array, columns = as_logits(logits, valid)
    open_tokens = columns & ~is_masked(array)
    values = np.where(open_tokens, array, 0.0).astype(np.float64)
    mean = values.sum(axis=1) / open_tokens.sum(axis=1)
    return np.where(open_tokens, values - mean[:, None], -np.inf)


def natural_scale(logits: Any, valid: ArrayLike | None = None) -> float:
    r"""The natural energy scale of logits, σ₀: their spread at infinite temperature.

    .. math:: \sigma_0^2 = \frac1N \sum_t \mathrm{Var}_{\beta=0}(E_t)

    With b = βσ₀ and u = (U − U₀)/σ₀ every system, a spin lattice or a language model, is the same
    parabola S = S₀ − u²/2 near b = 0.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (N, V)
    valid : array_like of bool, shape (V,), optional
        False for columns that are no tokens.

    Returns
    -------
    float
        σ₀ in nats. Its error follows from ``quenched(...).energy_variance`` at β = 0.

    Examples
    --------
    >>> natural_scale([[3.0, -3.0], [4.0, -4.0]])
    3.5355339059327378
    """
    return float(np.sqrt(thermodynamics(logits, 0.0, valid).energy_variance.mean()))


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
        logits: use `centred` first if they are to mean anything.
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
        From `thermodynamics`, arrays (N, B) or (N,), positions in the order of the text.
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


def _energy_blocks(
    logits: NDArray[Any], columns: NDArray[np.bool_]
) -> Iterator[tuple[slice, FloatArray, NDArray[np.bool_] | None]]:
    """Blocks of rows as float64 energies over valid columns, with a mask where one is needed."""
    for block in row_blocks(*logits.shape):
        part = logits[block] if columns.all() else logits[block][:, columns]
        masked = is_masked(part)
        yield block, -part.astype(np.float64), ~masked if masked.any() else None
