"""Variances on their way to C and χ: what rounding leaves of them, and what β = ±inf makes of it.

The formulae multiply a variance by β or β². Of continuous spins it falls as 1/β² (of M, as 1/β or
faster), down to the rounding of the energies themselves; beyond that, products are noise.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from thermo.errors import UncertaintyWarning
from thermo.estimate.autocorrelation import MeanWithError
from thermo.models.difference import DifferenceModel
from thermo.models.spin_model import SpinModel
from thermo.run.equilibration import listed
from thermo.run.unseen import excitable, excitation

__all__ = ["known_energy_variance", "known_magnetization_variance", "scaled"]

_SURE = 100.0  # times the variance of rounding: the rest is then known to a percent
_LOST = "what {} fluctuate by is no larger there than their rounding; give a smaller |β|"

Array = NDArray[np.float64]


def known_energy_variance(variance: MeanWithError, model: SpinModel, beta: Array) -> MeanWithError:
    """Return a variance of E with nan wherever β² times it would be no heat capacity.

    Parameters
    ----------
    variance : MeanWithError
        Arrays (B,).
    model : SpinModel
    beta : ndarray, shape (B,)

    Returns
    -------
    MeanWithError
        0 exactly where levels are discrete, only the last of them has any weight (`excitable`) and
        all chains are in it; nan where they are not, and where the variance is not 100 times that
        of the rounding of E.

    Warns
    -----
    UncertaintyWarning
        Of what is nan, and why.
    """
    low, high = model.energy_bounds
    noise = variance.mean <= _rounding(max(abs(low), abs(high)))
    if excitation(model) == 0.0:
        return _exact(variance, noise)
    last = ~excitable(model, beta)
    stuck = last & ~noise
    _warn(
        beta[stuck],
        "C",
        "energies differ there, though only the last level has any weight: chains are stuck beside "
        "it; give start='ordered' or another update",
    )
    if isinstance(model, DifferenceModel):
        variance, lost = _exact(variance, last & noise), ~last & noise & (variance.mean > 0.0)
    else:  # where no energy changed at a finite β, that has a bound of its own
        lost = noise & (last | (variance.mean > 0.0))
    _warn(beta[lost], "C", _LOST.format("energies"))
    return _unknown(variance, stuck | lost)


def known_magnetization_variance(
    variance: MeanWithError, model: SpinModel, beta: Array, name: str, *, changes: bool = True
) -> MeanWithError:
    r"""Return a variance or mean square of M or \|M\| with nan wherever β times it would be noise.

    Parameters
    ----------
    variance : MeanWithError
        Arrays (B,).
    model : SpinModel
    beta : ndarray, shape (B,)
    name : str
        What the warning calls the susceptibility.
    changes : bool
        Whether it can be other than 0 at all.

    Returns
    -------
    MeanWithError
        0 exactly where it is but rounding and levels are discrete; of continuous spins nan there.

    Warns
    -----
    UncertaintyWarning
        Of what is nan.
    """
    noise = variance.mean <= _rounding(model.lattice.n_sites)
    if not changes:
        return _exact(variance, noise)
    last = ~excitable(model, beta)
    if isinstance(model, DifferenceModel):
        return _exact(variance, noise & last)
    lost = noise & (last | (variance.mean > 0.0))
    _warn(beta[lost], name, _LOST.format("magnetisations"))
    return _unknown(variance, lost)


def scaled(estimate: MeanWithError, factor: Array) -> MeanWithError:
    """Multiply by a power of β, with ±inf · 0 = 0: a quantity that never varies stays 0."""

    def times(values: Array, by: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.where(values == 0.0, 0.0, by) * values

    mean = times(estimate.mean, factor)
    return MeanWithError(mean, times(estimate.error, np.abs(factor)), estimate.ess, estimate.tau)


def _rounding(size: float) -> float:
    """Variance below which a quantity of this size is not known: more than what rounding makes."""
    return float(_SURE * (np.finfo(np.float64).eps * size) ** 2)


def _exact(estimate: MeanWithError, where: NDArray[np.bool_]) -> MeanWithError:
    mean, error = (np.where(where, 0.0, part) for part in (estimate.mean, estimate.error))
    return replace(estimate, mean=mean, error=error)


def _unknown(estimate: MeanWithError, where: NDArray[np.bool_]) -> MeanWithError:
    mean, error = (np.where(where, np.nan, part) for part in (estimate.mean, estimate.error))
    return replace(estimate, mean=mean, error=error)


def _warn(beta: Array, name: str, why: str) -> None:
    if beta.size:  # to whoever reads the property that calls what calls this
        message = f"{name} is nan at β = {listed(beta)}: {why}."
        warnings.warn(message, UncertaintyWarning, stacklevel=5)
