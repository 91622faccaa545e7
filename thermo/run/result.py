"""What a run leaves behind: series, and estimates with errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.estimate.jackknife import block_means, jackknife
from thermo.models.ising import Ising
from thermo.sampling.lane_batch import lane_spins

if TYPE_CHECKING:
    import xarray

__all__ = ["Run"]

_LEAST_BLOCKS = 32  # blocks of a jackknife, where there are fewer replicas than that


@dataclass(frozen=True, eq=False)
class Run:
    r"""A finished run of `simulate`. All quantities are totals, not per site.

    Estimates have ``.mean``, ``.error`` (standard error), ``.ess`` (effective sample size) and
    ``.tau`` (integrated autocorrelation time in draws), arrays of shape (B,). Derived quantities
    are jackknifed over replicas (over parts of replicas if there are fewer than 32); their
    ``.ess`` and ``.tau`` are those of the squared deviation that they average.

    Attributes
    ----------
    model : Ising
    beta : ndarray, shape (B,)
    energy_series, magnetization_series : ndarray, shape (B, replicas, draws)
        Axes (beta, chain, draw).
    staggered_series : ndarray of the same shape, or None
        Σ ε_i s_i with ε = +1 on sublattice 0 and −1 on sublattice 1; None unless bipartite.
    packed_spins : ndarray of uint64, shape (batches, n, 8)
        Configurations at the end, one bit per spin; see `final_spins`.
    settings : mapping
        How the run was made: sweeps, burn_in, update, seed, measure_every, start.
    """

    model: Ising
    beta: np.ndarray
    energy_series: np.ndarray
    magnetization_series: np.ndarray
    staggered_series: np.ndarray | None
    packed_spins: np.ndarray
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        betas, replicas, draws = self.energy_series.shape
        return f"Run({self.model!r}, {betas} β, {replicas} replicas, {draws} draws)"

    @property
    def final_spins(self) -> np.ndarray:
        """Configurations at the end, int8 ±1 of shape (B, replicas, n); fit to be a `start`."""
        betas, replicas, _ = self.energy_series.shape
        lanes = np.concatenate([lane_spins(rows) for rows in self.packed_spins])
        return lanes[: betas * replicas].reshape(betas, replicas, -1)

    @cached_property
    def energy(self) -> MeanWithError:
        """⟨E⟩."""
        return mean_with_error(self.energy_series)

    @cached_property
    def magnetization(self) -> MeanWithError:
        """⟨M⟩, M = Σ s_i; 0 by symmetry in zero field."""
        return mean_with_error(self.magnetization_series)

    @cached_property
    def absolute_magnetization(self) -> MeanWithError:
        r"""⟨\|M\|⟩, the order parameter of a finite ferromagnet."""
        return mean_with_error(np.abs(self.magnetization_series))

    @cached_property
    def staggered_magnetization(self) -> MeanWithError | None:
        r"""⟨\|M_st\|⟩, the order parameter at βJ < 0; None unless the lattice is bipartite."""
        if self.staggered_series is None:
            return None
        return mean_with_error(np.abs(self.staggered_series))

    @cached_property
    def heat_capacity(self) -> MeanWithError:
        """C/k = β² (⟨E²⟩ − ⟨E⟩²), never negative; 0 at β = 0 and where E never changes."""
        deviation = self.energy_series - self.energy.mean[:, None, None]
        variance = self._jackknifed(_variance, deviation, deviation**2)
        return _scaled(variance, self.beta**2)

    @cached_property
    def susceptibility(self) -> MeanWithError:
        """χ = ∂⟨M⟩/∂h = β (⟨M²⟩ − ⟨M⟩²), of the sign of β.

        In zero field ⟨M⟩ = 0 is used. See `connected_susceptibility` for the ordered phase.
        """
        m = self.magnetization_series
        if self.model.field == 0.0:
            return _scaled(self._jackknifed(lambda square: square, m**2), self.beta)
        deviation = m - self.magnetization.mean[:, None, None]
        return _scaled(self._jackknifed(_variance, deviation, deviation**2), self.beta)

    @cached_property
    def connected_susceptibility(self) -> MeanWithError:
        r"""χ′ = β (⟨M²⟩ − ⟨\|M\|⟩²): fluctuation within one ordered state, peaks at transitions."""
        deviation = (
            np.abs(self.magnetization_series) - self.absolute_magnetization.mean[:, None, None]
        )
        return _scaled(self._jackknifed(_variance, deviation, deviation**2), self.beta)

    @cached_property
    def binder(self) -> MeanWithError:
        """U = 1 − ⟨M⁴⟩/(3 ⟨M²⟩²): 0 for Gaussian M, 2/3 with order; 0 where M is always 0.

        K. Binder, Z. Phys. B 43, 119 (1981).
        """
        square = (self.magnetization_series / self.model.lattice.n_sites) ** 2
        return self._jackknifed(_binder, square**2, square)

    def to_xarray(self) -> xarray.Dataset:
        """Return the series as a dataset with dimensions (beta, chain, draw).

        Variables ``energy``, ``magnetization`` and, on bipartite lattices,
        ``staggered_magnetization``; the settings are attributes.
        """
        import xarray

        names = ("beta", "chain", "draw")
        series = {"energy": self.energy_series, "magnetization": self.magnetization_series}
        if self.staggered_series is not None:
            series["staggered_magnetization"] = self.staggered_series
        shape = self.energy_series.shape
        return xarray.Dataset(
            {name: (names, values) for name, values in series.items()},
            coords={"beta": self.beta, "chain": np.arange(shape[1]), "draw": np.arange(shape[2])},
            attrs={"model": repr(self.model), **self.settings},
        )

    def _jackknifed(
        self, function: Callable[..., np.ndarray], *series: np.ndarray
    ) -> MeanWithError:
        """Jackknife f(means of `series`); the last series gives ess and tau."""
        _, replicas, draws = self.energy_series.shape
        per_chain = min(draws, math.ceil(_LEAST_BLOCKS / replicas))
        value, error = jackknife(function, *(block_means(s, per_chain) for s in series))
        sampled = mean_with_error(series[-1])
        error = np.where(sampled.error == 0.0, 0.0, error)  # not the rounding of a constant
        return MeanWithError(value, error, sampled.ess, sampled.tau)


def _variance(mean: np.ndarray, mean_of_squares: np.ndarray) -> np.ndarray:
    return np.maximum(mean_of_squares - mean**2, 0.0)


def _binder(fourth: np.ndarray, square: np.ndarray) -> np.ndarray:
    empty = square == 0.0
    ratio = np.where(empty, 3.0, fourth) / np.where(empty, 1.0, square) ** 2
    return 1.0 - ratio / 3.0


def _scaled(estimate: MeanWithError, factor: np.ndarray) -> MeanWithError:
    """Multiply by a power of β, with ±inf · 0 = 0: a quantity that never varies stays 0."""

    def times(values: np.ndarray, by: np.ndarray) -> np.ndarray:
        return np.where(values == 0.0, 0.0, by) * values

    mean = times(estimate.mean, factor)
    return MeanWithError(mean, times(estimate.error, np.abs(factor)), estimate.ess, estimate.tau)
