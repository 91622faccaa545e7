"""A density of states that was sampled: levels, and what is needed for the error of anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import JackknifeEstimate, delete_one_error
from thermo.levels import EnergyLevels
from thermo.temperature import as_beta

__all__ = ["SampledDensity", "normalized_levels"]

Array = NDArray[np.float64]

_CURVES = (
    "log_partition_function",
    "internal_energy",
    "energy_variance",
    "entropy",
    "heat_capacity",
    "free_energy",
    "effective_states",
    "participation_ratio",
    "equivalent_dof",
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SampledDensity:
    """Sampled energy levels with jackknife errors over independent replicas.

    Attributes
    ----------
    levels : EnergyLevels
        The energies that were visited, ascending, with ln g.
    replicas : tuple of EnergyLevels, length R or 0
        The same analysis without replica 0, 1, … (walkers, or chains per β).
    settings : mapping
        How it was made: method, sweeps, seed and so on.
    """

    levels: EnergyLevels
    replicas: tuple[EnergyLevels, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        method = self.settings.get("method", "sampled")
        return f"{type(self).__name__}({len(self.levels)} levels, {method})"

    @cached_property
    def stderr(self) -> Array:
        """Standard error of ln g of every level, shape (L,); inf where one replica alone saw it.

        It is the error of ln g normalised by the total number of states, so that it is smallest
        where most states are and grows towards both ends.
        """
        energies = self.levels.energies

        def aligned(levels: EnergyLevels) -> Array:
            log_g = np.full(len(energies), np.nan)
            log_g[np.isin(energies, levels.energies)] = levels.log_degeneracy
            return log_g

        left_out = np.array([aligned(levels) for levels in self._needed_replicas()])
        return np.nan_to_num(delete_one_error(left_out), nan=np.inf)

    def estimate(self, function: Callable[[EnergyLevels], ArrayLike]) -> JackknifeEstimate:
        """Return any quantity that follows from energy levels, with its jackknife error.

        Parameters
        ----------
        function : callable
            EnergyLevels → array of any fixed shape.

        Returns
        -------
        JackknifeEstimate
            (value, error).

        Raises
        ------
        InvalidInputError
            There are fewer than two replicas.
        """
        left_out = [function(levels) for levels in self._needed_replicas()]
        value = np.asarray(function(self.levels), dtype=np.float64)
        return JackknifeEstimate(value, delete_one_error(np.array(left_out, dtype=np.float64)))

    def curve(self, name: str, beta: ArrayLike) -> JackknifeEstimate:
        """Return a thermodynamic function at any signed β, with its jackknife error.

        Parameters
        ----------
        name : str
            ``"internal_energy"``, ``"entropy"``, ``"heat_capacity"`` or another quantity of
            :class:`thermo.Thermodynamics`.
        beta : array_like, any shape
            Where the levels that matter were visited.

        Returns
        -------
        JackknifeEstimate
            (value, error), shaped like ``beta``.

        Raises
        ------
        InvalidInputError
            An unknown name, or no replicas.
        """
        b = as_beta(beta)
        if name not in _CURVES:
            raise InvalidInputError(f"{name!r} was asked; accepted: {', '.join(_CURVES)}")
        return self.estimate(lambda levels: getattr(canonical(levels, b), name))

    def _needed_replicas(self) -> tuple[EnergyLevels, ...]:
        if len(self.replicas) < 2:
            raise InvalidInputError(
                "errors need at least 2 replicas (independent walkers, or chains per β); one, or "
                "the sum of all, was given"
            )
        return self.replicas


def normalized_levels(energies: Array, log_density: Array, log_states: float) -> EnergyLevels:
    """Return levels whose total number of states is e^log_states.

    Parameters
    ----------
    energies : ndarray, shape (L,)
    log_density : ndarray, shape (L,)
        ln g up to a constant; −inf where nothing is known: such energies are left out.
    log_states : float

    Returns
    -------
    EnergyLevels

    Examples
    --------
    >>> normalized_levels([0.0, 1.0, 2.0], [7.0, -np.inf, 7.0], 0.0).log_degeneracy.round(6)
    array([-0.693147, -0.693147])
    """
    energies, log_g = np.asarray(energies), np.asarray(log_density)
    known = log_g > -np.inf
    log_g = log_g[known]
    top = log_g.max()
    log_g = log_g + (log_states - top - np.log(np.exp(log_g - top).sum()))
    return EnergyLevels(energies[known], log_g)
