"""The canonical ensemble at any signed β: ln Z, U, S, C, F from energy levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real
from thermo.errors import InvalidInputError, TruncatedSpectrumError, UnboundedSpectrumError
from thermo.levels import EnergyLevels, require_levels
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
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
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
    """:class:`Thermodynamics` of known levels, which can also say how the levels are populated.

    Attributes
    ----------
    levels : EnergyLevels
        What was summed over.
    """

    levels: EnergyLevels

    def populations(self) -> Populations:
        r"""Boltzmann populations :math:`p_i = g_i e^{-\beta E_i}/Z`, shape (..., L).

        They carry the provenance of the levels, so that :func:`thermo.fit_beta` can warn when
        they are fitted against the very levels they were made from.

        Notes
        -----
        Needs ``beta.size * len(levels)`` numbers of memory.
        """
        levels = self.levels
        _, _, log_p = _from_likeliest(levels.energies, levels.log_degeneracy, self.beta.ravel())
        weight = np.exp(log_p).reshape(*self.beta.shape, len(levels))
        weight /= weight.sum(axis=-1, keepdims=True)
        return Populations(levels, weight, provenance=levels.provenance)


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
        β is NaN, or ``levels`` are not :class:`EnergyLevels`.
    UnboundedSpectrumError
        β ≤ 0 and the spectrum has no upper bound.
    TruncatedSpectrumError
        The spectrum has no upper bound and more than 1e-9 of the population would sit above the
        end of the list, going on as its two highest levels do (exact for equal spacing).

    Notes
    -----
    Energies are measured from the likeliest level (the lowest for β ≥ 0, the highest for β < 0,
    unless degeneracy decides), so no exponential overflows, and S and C keep their relative
    accuracy however small they are. Not for levels that
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
    require_levels(levels)
    b = as_beta(beta)
    if not levels.bounded_above:
        _require_positive(b)
    log_g = levels.log_degeneracy if levels.log_degeneracy.any() else None
    sums = boltzmann_sums(levels.energies, log_g, b)
    state = CanonicalState(**vars(sums), levels=levels)
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
        β is NaN, a spectrum has no level left open, an open level has an energy or ln g that is
        not finite, or the shapes do not fit.

    Examples
    --------
    >>> boltzmann_sums([[0.0, 1.0], [0.0, 3.0]], None, [0.0, 1.0]).internal_energy.round(3)
    array([[0.5  , 0.269],
           [1.5  , 0.142]])
    """
    b = as_beta(beta)
    e, g = _checked_spectra(energies, log_degeneracy)
    rows = e.reshape(-1, e.shape[-1])
    row_g = None if g is None else g.reshape(rows.shape)
    flat = b.ravel()
    out = np.empty((5, rows.shape[0], flat.size))
    step = max(1, _CHUNK // rows.shape[1])
    for r in range(rows.shape[0]):
        row, log_g = rows[r], None if row_g is None else row_g[r]
        if log_g is not None and (masked := log_g == -np.inf).any():
            row, log_g = row[~masked], log_g[~masked]
        for start in range(0, flat.size, step):
            part = slice(start, start + step)
            out[:, r, part] = _sums(row, log_g, flat[part])
    shaped = out.reshape(5, *e.shape[:-1], *b.shape)
    return Thermodynamics(
        np.broadcast_to(b, shaped.shape[1:]).copy(), *(np.asarray(field) for field in shaped)
    )


def _checked_spectra(
    energies: ArrayLike, log_degeneracy: ArrayLike | None
) -> tuple[FloatArray, FloatArray | None]:
    e = as_real(energies, "energies")
    if e.ndim == 0 or e.shape[-1] == 0:
        raise InvalidInputError(f"energies have shape {e.shape}; (..., L) with L ≥ 1 is needed.")
    if log_degeneracy is None:
        if not np.isfinite(e).all():
            raise InvalidInputError("an energy is NaN or infinite; finite energies are accepted.")
        return e, None
    g = as_real(log_degeneracy, "log_degeneracy")
    try:
        g = np.broadcast_to(g, e.shape)
    except ValueError as error:
        raise InvalidInputError(
            f"log_degeneracy has shape {g.shape}; one that fits energies {e.shape} is needed."
        ) from error
    masked = g == -np.inf
    if masked.all(axis=-1).any():
        raise InvalidInputError("a spectrum has every level masked; at least one must be left.")
    if not (masked | (np.isfinite(g) & np.isfinite(e))).all():
        raise InvalidInputError(
            "an energy or ln g of an open level is NaN or infinite; finite numbers are accepted "
            "(ln g = -inf masks a level)."
        )
    return e, g


def _from_likeliest(
    energies: FloatArray, log_degeneracy: FloatArray | None, beta: FloatArray
) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
    """Index of the likeliest level at each β (B,); energies and ln p measured from it (B, L)."""
    favoured = np.where(np.signbit(beta), energies.argmax(), energies.argmin())
    gap = energies - energies[favoured][:, None]
    if log_degeneracy is None:
        return favoured, gap, _exponent(beta, gap)
    likeliest = (log_degeneracy + _exponent(beta, gap)).argmax(axis=-1)
    gap = energies - energies[likeliest][:, None]
    log_ratio = log_degeneracy - log_degeneracy[likeliest][:, None]
    return likeliest, gap, log_ratio + _exponent(beta, gap)


def _exponent(beta: FloatArray, gap: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", over="ignore"):  # ±inf · 0 is no gap: weight 1
        return np.where(gap == 0, 0.0, -beta[:, None] * gap)


def _sums(
    energies: FloatArray, log_degeneracy: FloatArray | None, beta: FloatArray
) -> tuple[FloatArray, ...]:
    """ln Z, U, Var, S, ln(participation) for one spectrum (L,) at β (B,)."""
    likeliest, gap, x = _from_likeliest(energies, log_degeneracy, beta)
    each = np.arange(beta.size)
    weight = np.exp(x)
    # The likeliest level has weight 1. Adding it to the rest would swallow what is below 1e-16,
    # and with it the entropy close to β = ±∞: it stays apart, inside log1p.
    weight[each, likeliest] = 0.0
    rest = weight.sum(axis=-1)
    log_sum = np.log1p(rest)
    if log_degeneracy is None:
        log_g = np.zeros(beta.shape)
        log_participation = 2 * log_sum - np.log1p(np.square(weight).sum(axis=-1))
    else:
        log_g = log_degeneracy[likeliest]
        # Σ g (p/g)² has its own largest term, since g may span thousands of nats.
        y = 2 * x - log_degeneracy
        most = y.max(axis=-1)
        log_double = most + np.log(np.exp(y - most[:, None]).sum(axis=-1))
        log_participation = 2 * log_sum - log_double
    weight[each, likeliest] = 1.0
    total = 1.0 + rest
    mean_gap = np.einsum("bl,bl->b", weight, gap) / total
    gap -= mean_gap[:, None]
    variance = np.einsum("bl,bl,bl->b", weight, gap, gap) / total
    origin = energies[likeliest]
    with np.errstate(invalid="ignore", over="ignore"):
        thermal = np.where(mean_gap == 0, 0.0, beta * mean_gap)
        ground = np.where(origin == 0, 0.0, beta * origin)
    log_z = log_g + log_sum
    return log_z - ground, origin + mean_gap, variance, log_z + thermal, log_participation


def _require_positive(beta: FloatArray) -> None:
    if (beta <= 0).any():
        raise UnboundedSpectrumError(float(beta.ravel()[np.argmax(beta.ravel() <= 0)]))


def _require_complete(state: CanonicalState) -> None:
    """Refuse a list that ends too early, by the geometric series its last two energies start."""
    levels = state.levels
    energies, log_g = levels.energies, levels.log_degeneracy
    ends = energies == levels.maximum
    log_top = np.logaddexp.reduce(log_g[ends])
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        log_p = log_top - state.beta * (levels.maximum - state.internal_energy) - state.entropy
        if ends.all():
            log_ratio = np.zeros_like(log_p)
        else:
            below = energies[~ends].max()
            log_below = np.logaddexp.reduce(log_g[energies == below])
            log_ratio = log_top - log_below - state.beta * (levels.maximum - below)
        series = np.where(log_ratio < 0, log_ratio - np.log(-np.expm1(log_ratio)), np.inf)
        missing = np.exp(-np.logaddexp(0.0, -(log_p + series)))  # m/(1 + m), as a fraction of all
    if (missing > 1e-9).any():
        worst = int(np.argmax(missing))
        raise TruncatedSpectrumError(
            f"the list of levels ends at E = {levels.maximum:g}, and at β = "
            f"{state.beta.ravel()[worst]:g} a fraction {missing.ravel()[worst]:.2g} of the "
            "population would sit above it; list more levels or use a larger β (at most 1e-9 is "
            "accepted)."
        )
