"""The canonical ensemble at any signed β: ln Z, U, S, C, F from energy levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.errors import InvalidInputError, TruncatedSpectrumError, UnboundedSpectrumError
from thermo.levels import EnergyLevels
from thermo.populations import Populations
from thermo.temperature import as_beta

__all__ = ["CanonicalState", "Thermodynamics", "boltzmann_sums", "canonical"]

FloatArray = NDArray[np.float64]

# Numbers held at once while summing over states: 2²² float64 is 32 MB, which stays in cache
# reach and bounds the memory for million-level spectra at many β.
_CHUNK = 1 << 22


@dataclass(frozen=True, eq=False)
class Thermodynamics:
    r"""Thermodynamic functions at given β, all arrays of one shape.

    Stored are the five numbers that sums over states give; the others follow:

    .. math::
        C = \beta^2\,\mathrm{Var}(E), \quad F = U - S/\beta, \quad
        W = e^{S}, \quad f_{\rm eq} = 2C

    Entropies and heat capacities are in units of k, energies in the system's own unit.

    Attributes
    ----------
    beta : ndarray
        Inverse temperature, either sign, 0, ±inf.
    log_partition_function, internal_energy, energy_variance, entropy : ndarray
        ln Z, U = ⟨E⟩, Var(E), S/k.
    log_participation_ratio : ndarray
        ln(1/Σ p²) over states.
    """

    beta: FloatArray
    log_partition_function: FloatArray
    internal_energy: FloatArray
    energy_variance: FloatArray
    entropy: FloatArray
    log_participation_ratio: FloatArray

    @property
    def heat_capacity(self) -> FloatArray:
        """C/k = β² Var(E): never negative, at either sign of β; 0 at β = 0 and ±inf."""
        with np.errstate(invalid="ignore"):  # inf · 0 at β = ±inf, where C = 0
            product = np.abs(self.beta) * np.sqrt(self.energy_variance)
        return np.where(self.energy_variance == 0, 0.0, product) ** 2

    @property
    def free_energy(self) -> FloatArray:
        """F = U − S/β; ∓inf at β = ±0.0 (the sign of zero matters), U at β = ±inf."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.internal_energy - np.where(self.entropy == 0, 0.0, self.entropy / self.beta)

    @property
    def effective_states(self) -> FloatArray:
        """exp(S/k): how many equally likely states would have this entropy (inf beyond e⁷⁰⁹)."""
        with np.errstate(over="ignore"):
            return np.exp(self.entropy)

    @property
    def participation_ratio(self) -> FloatArray:
        """1/Σ p² over states, never more than ``effective_states``."""
        with np.errstate(over="ignore"):
            return np.exp(self.log_participation_ratio)

    @property
    def equivalent_dof(self) -> FloatArray:
        """2C/k: the number of quadratic modes with this heat capacity.

        It counts degrees of freedom only where the energy *is* quadratic
        (:func:`thermo.freedom.equipartition_dof`); elsewhere it is a heat capacity by another name.
        """
        return 2.0 * self.heat_capacity


@dataclass(frozen=True, eq=False)
class CanonicalState(Thermodynamics):
    """:class:`Thermodynamics` of known levels, which can also say how the levels are populated."""

    levels: EnergyLevels

    def populations(self) -> Populations:
        r"""Boltzmann populations :math:`p_i = g_i e^{-\beta E_i}/Z`, shape (..., L).

        They carry the provenance of the levels, so that :func:`thermo.fit_beta` can warn when
        they are fitted against the very levels they were made from.

        Notes
        -----
        Needs ``beta.size * len(levels)`` numbers of memory.
        """
        beta = self.beta
        log_weight, _ = _log_weights(self.levels.energies, self.levels.log_degeneracy, beta)
        weight = np.exp(log_weight - log_weight.max(axis=-1, keepdims=True))
        return Populations(
            self.levels,
            weight / weight.sum(axis=-1, keepdims=True),
            provenance=self.levels.provenance,
        )


def canonical(levels: EnergyLevels, beta: ArrayLike) -> CanonicalState:
    r"""Canonical thermodynamics of any levels at any signed β.

    .. math::
        Z = \sum_i g_i e^{-\beta E_i},\quad U = -\partial_\beta \ln Z,\quad
        C = \beta^2\,\partial_\beta^2 \ln Z,\quad S = \ln Z + \beta U

    Parameters
    ----------
    levels : EnergyLevels
        L levels; ln g of thousands of nats and millions of levels are fine.
    beta : array_like, any shape
        Inverse temperatures in 1/energy. β < 0 populates upper levels more than lower ones;
        β = 0 all states alike; β = ±inf only the lowest (highest) level.

    Returns
    -------
    CanonicalState
        Arrays shaped like ``beta``.

    Raises
    ------
    InvalidInputError
        β is NaN.
    UnboundedSpectrumError
        β ≤ 0 and the spectrum has no upper bound.
    TruncatedSpectrumError
        The spectrum has no upper bound and the level where the list ends still holds more than
        1e-9 of the population.

    Notes
    -----
    Energies are measured from the end that dominates (the lowest for β ≥ 0, the highest for
    β < 0), so no exponential overflows and S is a sum of non-negative terms. Not for levels that
    must be sampled because there are too many to list: use :func:`thermo.simulate`.

    References
    ----------
    N. F. Ramsey, Phys. Rev. 103, 20 (1956).

    Examples
    --------
    A two-level system has its largest heat capacity, 0.43923 k, at kT = ±0.41678 gaps:

    >>> state = canonical(EnergyLevels([0.0, 1.0]), [1 / 0.41678, 0.0, -1 / 0.41678])
    >>> state.heat_capacity.round(5)
    array([0.43923, 0.     , 0.43923])
    >>> state.internal_energy.round(4)
    array([0.0832, 0.5   , 0.9168])
    """
    b = as_beta(beta)
    if not levels.bounded_above:
        _require_positive(b)
    log_g = levels.log_degeneracy if levels.log_degeneracy.any() else None
    sums = boltzmann_sums(levels.energies, log_g, b)
    state = CanonicalState(*_fields(sums), levels)
    if not levels.bounded_above:
        _require_complete(state)
    return state


def boltzmann_sums(
    energies: ArrayLike, log_degeneracy: ArrayLike | None, beta: ArrayLike
) -> Thermodynamics:
    """Sums over states for one spectrum or a batch of spectra at many β.

    The formulas of :func:`canonical` on plain arrays, for callers with one spectrum per position
    (logits) and no need of :class:`EnergyLevels` objects.

    Parameters
    ----------
    energies : array_like, shape (..., L)
        Finite where ``log_degeneracy`` is finite; anything elsewhere.
    log_degeneracy : array_like, broadcastable to ``energies``, or None
        ln g; −inf masks a level out; None means one state per level.
    beta : array_like, shape (B,) or ()
        Inverse temperatures.

    Returns
    -------
    Thermodynamics
        Arrays of shape (..., B), or (...) for scalar β.

    Raises
    ------
    InvalidInputError
        β is NaN, or a spectrum has every level masked.

    Examples
    --------
    >>> boltzmann_sums([[0.0, 1.0], [0.0, 3.0]], None, [0.0, 1.0]).internal_energy.round(3)
    array([[0.5  , 0.269],
           [1.5  , 0.142]])
    """
    b = as_beta(beta)
    e = np.asarray(energies, dtype=np.float64)
    g = None if log_degeneracy is None else np.broadcast_to(log_degeneracy, e.shape)
    if g is not None and (g == -np.inf).all(axis=-1).any():
        raise InvalidInputError("a spectrum has every level masked; at least one must be left.")
    rows = e.reshape(-1, e.shape[-1])
    row_g = None if g is None else g.reshape(rows.shape)
    flat = b.ravel()
    out = np.empty((5, rows.shape[0], flat.size))
    step = max(1, _CHUNK // rows.shape[1])
    for r in range(rows.shape[0]):
        row, log_g = rows[r], None if row_g is None else row_g[r]
        for start in range(0, flat.size, step):
            part = slice(start, start + step)
            out[:, r, part] = _sums(row, log_g, flat[part])
    shaped = out.reshape(5, *e.shape[:-1], *b.shape)
    return Thermodynamics(
        np.broadcast_to(b, shaped.shape[1:]).copy(), *(np.asarray(field) for field in shaped)
    )


def _fields(sums: Thermodynamics) -> tuple[FloatArray, ...]:
    return (
        sums.beta,
        sums.log_partition_function,
        sums.internal_energy,
        sums.energy_variance,
        sums.entropy,
        sums.log_participation_ratio,
    )


def _log_weights(
    energies: FloatArray, log_degeneracy: FloatArray | None, beta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """ln g − β (E − E₀) of shape (..., L), with E₀ the dominating end of the spectrum, (...)."""
    open_levels = slice(None) if log_degeneracy is None else log_degeneracy > -np.inf
    low, high = energies[open_levels].min(), energies[open_levels].max()
    reference = np.where(np.signbit(beta), high, low)
    if log_degeneracy is not None:  # masked energies may be infinite: −inf − β·inf would be NaN
        energies = np.where(log_degeneracy > -np.inf, energies, low)
    gap = energies - reference[..., None]
    with np.errstate(invalid="ignore", over="ignore"):  # ±inf · 0 is the reference level itself
        exponent = np.where(gap == 0, 0.0, -beta[..., None] * gap)
    return (exponent if log_degeneracy is None else exponent + log_degeneracy), reference


def _sums(
    energies: FloatArray, log_degeneracy: FloatArray | None, beta: FloatArray
) -> tuple[FloatArray, ...]:
    """ln Z, U, Var, S, ln(participation) for one spectrum (L,) at β (B,)."""
    x, reference = _log_weights(energies, log_degeneracy, beta)
    if log_degeneracy is None:
        top = np.zeros(beta.shape)
        weight = np.exp(x)
        second = 2 * np.log(weight.sum(axis=-1)) - np.log(np.square(weight).sum(axis=-1))
    else:
        top = x.max(axis=-1)
        # Σ g (p/g)² = Z(2β)/Z(β)²; its own maximum is needed, g may span thousands of nats.
        with np.errstate(invalid="ignore"):
            y = np.where(x > -np.inf, 2 * x - log_degeneracy, -np.inf)
        peak = y.max(axis=-1)
        log_double = peak + np.log(np.exp(y - peak[:, None]).sum(axis=-1))
        weight = np.exp(x - top[:, None])
        second = 2 * (top + np.log(weight.sum(axis=-1))) - log_double
        energies = np.where(log_degeneracy > -np.inf, energies, reference.min())
    total = weight.sum(axis=-1)
    log_total = top + np.log(total)
    gap = energies - reference[:, None]
    mean_gap = np.einsum("bl,bl->b", weight, gap) / total
    gap -= mean_gap[:, None]
    variance = np.einsum("bl,bl,bl->b", weight, gap, gap) / total
    with np.errstate(invalid="ignore", over="ignore"):
        thermal = np.where(mean_gap == 0, 0.0, beta * mean_gap)
        ground = np.where(reference == 0, 0.0, beta * reference)
    return log_total - ground, reference + mean_gap, variance, log_total + thermal, second


def _require_positive(beta: FloatArray) -> None:
    if (beta <= 0).any():
        raise UnboundedSpectrumError(float(beta.ravel()[np.argmax(beta.ravel() <= 0)]))


def _require_complete(state: CanonicalState) -> None:
    levels = state.levels
    last = int(np.argmax(levels.energies))
    with np.errstate(invalid="ignore"):
        log_p = (
            levels.log_degeneracy[last]
            - state.beta * (levels.maximum - state.internal_energy)
            - state.entropy
        )
    if (log_p > np.log(1e-9)).any():
        worst = float(np.nanmax(np.exp(log_p)))
        coldest = float(np.min(state.beta))
        raise TruncatedSpectrumError(
            f"the list of levels ends at E = {levels.maximum:g}, where at β = {coldest:g} a "
            f"fraction {worst:.2g} of the population still sits; list more levels or use a "
            "larger β (at most 1e-9 is accepted)."
        )
