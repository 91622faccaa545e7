"""A density of states that was sampled: levels, and what is needed for the error of anything."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import JackknifeEstimate, delete_one_error
from thermo.levels import EnergyLevels
from thermo.result_files import write_result
from thermo.temperature import as_beta

if TYPE_CHECKING:
    import xarray

__all__ = ["FORMAT_VERSION", "SampledDensity", "normalized_levels"]

FORMAT_VERSION = 1  # of files

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
        self._needed_replicas()
        return np.nan_to_num(delete_one_error(self._left_out), nan=np.inf)

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

    def to_xarray(self) -> xarray.Dataset:
        """Return the levels as a dataset over the dimension ``energy``.

        Variables are ``log_degeneracy`` and, where there are replicas, its ``stderr`` and
        ``left_out`` (chain, energy): the same analysis without each, NaN where nothing is known.
        Classes with more than that have further variables of their own. The settings are
        attributes.
        """
        import xarray

        return xarray.Dataset(self._variables(), attrs=dict(self.settings))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write everything to a netCDF file, which `thermo.load_run` and xarray can read.

        Parameters
        ----------
        path : path-like
            The file exists as a whole or not at all, whatever happens meanwhile.
        overwrite : bool
            Replace a file that is there already.

        Raises
        ------
        InvalidInputError
            The file exists already, its directory does not, or `path` is no path.
        """
        write_result(
            self.to_xarray(),
            path,
            kind=type(self).__name__,
            version=FORMAT_VERSION,
            title=repr(self),
            settings=self.settings,
            overwrite=overwrite,
            **self._texts(),
        )

    @classmethod
    def from_file(cls, data: xarray.Dataset) -> Self:
        """Return what `save` has written, read by `thermo.result_files.read_result`."""
        return cls(**cls._fields(data))

    def _variables(self, prefix: str = "") -> dict[str, tuple[tuple[str, ...], Any]]:
        """Name → dimensions and values, for `to_xarray`."""
        axis = f"{prefix}energy"
        variables: dict[str, tuple[tuple[str, ...], Any]] = {
            axis: ((axis,), self.levels.energies),
            f"{prefix}log_degeneracy": ((axis,), self.levels.log_degeneracy),
        }
        if len(self.replicas) > 1:
            variables[f"{prefix}stderr"] = ((axis,), self.stderr)
            variables[f"{prefix}left_out"] = (("chain", axis), self._left_out)
        return variables

    def _texts(self) -> dict[str, str]:
        """Name → what a file holds besides, as JSON."""
        return {}

    @classmethod
    def _fields(cls, data: xarray.Dataset, prefix: str = "") -> dict[str, Any]:
        """The arguments of the class, from a file."""
        energies = data[f"{prefix}energy"].to_numpy()

        def levels(log_g: Array) -> EnergyLevels:
            known = ~np.isnan(log_g)
            return EnergyLevels(energies[known], log_g[known])

        left_out = data[f"{prefix}left_out"].to_numpy() if f"{prefix}left_out" in data else ()
        return {
            "levels": levels(data[f"{prefix}log_degeneracy"].to_numpy()),
            "replicas": tuple(levels(log_g) for log_g in left_out),
            "settings": json.loads(data.attrs["settings"]),
        }

    @cached_property
    def _left_out(self) -> Array:
        """ln g of every replica at the levels, NaN where it has none; shape (R, L)."""
        energies = self.levels.energies
        log_g = np.full((len(self.replicas), len(energies)), np.nan)
        for row, levels in zip(log_g, self.replicas, strict=True):
            row[np.isin(energies, levels.energies)] = levels.log_degeneracy
        return log_g

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
