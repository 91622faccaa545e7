"""What a run leaves behind: series, and estimates with errors."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.estimate.jackknife import block_means, jackknife
from thermo.models.spin_model import SpinModel
from thermo.run.equilibration import Equilibration, equilibration
from thermo.run.order_parameter import field_response, order_components
from thermo.run.structure_factor import SampledSpectrum

if TYPE_CHECKING:
    import xarray

    from thermo.estimate.reweighting import MultiHistogram

__all__ = ["Run"]

_LEAST_BLOCKS = 32  # blocks of a jackknife, where there are fewer replicas than that
_CONSERVING = ("kawasaki",)  # updates that never change the magnetisation


@dataclass(frozen=True, eq=False)
class Run:
    r"""A finished run of `simulate`. All quantities are totals, not per site.

    Estimates have ``.mean``, ``.error`` (standard error), ``.ess`` (effective sample size) and
    ``.tau`` (integrated autocorrelation time in draws), arrays of shape (B,). Derived quantities
    are jackknifed over replicas (over parts of replicas if there are fewer than 32); their
    ``.ess`` and ``.tau`` are those of their linear part: the series of which small deviations of
    the quantity are the mean, for a heat capacity the squared deviation of E.

    M is the total magnetisation along the field's axis (of a Potts model (q n₀ − n)/(q − 1)) and
    \|M\| the length of the whole vector; for Ising spins \|M\| is the absolute value of M.

    Attributes
    ----------
    model : SpinModel
    beta : ndarray, shape (B,)
    series : mapping of str to ndarray, shape (B, replicas, draws)
        ``"energy"``, ``"magnetization"`` and what else the model's ``observables`` has; axes
        (beta, chain, draw).
    final_spins : ndarray, shape (B, replicas, n) or (B, replicas, n, d)
        Configurations at the end, in the model's public form; fit to be a `start`.
    settings : mapping
        How the run was made: sweeps, burn_in, update, seed, measure_every, start and so on.
    snapshots : ndarray or None, shape (B, replicas, snapshots, n) or (…, n, d)
        Configurations on the way, if asked for.
    structure_factor_blocks : ndarray or None, shape (B, replicas, blocks, …)
        Means of \|Σ_j s_j e^{−ik·r_j}\|²/n over stretches of the chains, if asked for.
    structure_factor_variances : mapping of str to ndarray, shape (B, …)
        Variances of single measurements within these blocks, of S(k) and what follows from it; see
        `thermo.run.structure_factor.SampledSpectrum`.
    """

    model: SpinModel
    beta: np.ndarray
    series: Mapping[str, np.ndarray]
    final_spins: np.ndarray
    settings: Mapping[str, Any]
    snapshots: np.ndarray | None = None
    structure_factor_blocks: np.ndarray | None = None
    structure_factor_variances: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        betas, replicas, draws = self.energy_series.shape
        return (
            f"{type(self).__name__}({self.model!r}, {betas} β, {replicas} replicas, {draws} draws)"
        )

    @property
    def energy_series(self) -> np.ndarray:
        """E of every draw, shape (B, replicas, draws)."""
        return self.series["energy"]

    @property
    def magnetization_series(self) -> np.ndarray:
        """M of every draw, shape (B, replicas, draws)."""
        return self.series["magnetization"]

    @property
    def staggered_series(self) -> np.ndarray | None:
        """Σ ε_i s_i, ε = +1 on sublattice 0 and −1 on sublattice 1; None unless bipartite."""
        return self.series.get("staggered_magnetization")

    @cached_property
    def equilibration(self) -> Equilibration:
        """Whether the chains drift or disagree: ``.verdict``, β by β, and what it is made of."""
        quantities = {"energies": self.energy_series}
        if np.any(self.model.fields):  # else ordered chains may rightly keep opposite signs
            quantities["magnetisations"] = self.magnetization_series
        return equilibration(self.beta, quantities)

    @cached_property
    def energy(self) -> MeanWithError:
        """⟨E⟩."""
        return mean_with_error(self.energy_series)

    @cached_property
    def magnetization(self) -> MeanWithError:
        """⟨M⟩; 0 by symmetry in zero field."""
        return mean_with_error(self.magnetization_series)

    @cached_property
    def absolute_magnetization(self) -> MeanWithError:
        r"""⟨\|M\|⟩, the order parameter of a finite ferromagnet."""
        return mean_with_error(self._lengths)

    @cached_property
    def staggered_magnetization(self) -> MeanWithError | None:
        r"""⟨\|M_st\|⟩, the order parameter at βJ < 0; None unless the lattice is bipartite."""
        if self.staggered_series is None:
            return None
        return mean_with_error(self.series.get("staggered_length", np.abs(self.staggered_series)))

    @cached_property
    def heat_capacity(self) -> MeanWithError:
        """C/k = β² (⟨E²⟩ − ⟨E⟩²), never negative; 0 at β = 0 and where E never changes."""
        deviation = self.energy_series - self.energy.mean[:, None, None]
        return _scaled(self._jackknifed_variance(deviation), self.beta**2)

    @cached_property
    def susceptibility(self) -> MeanWithError:
        r"""χ = ∂⟨M⟩/∂h = β (⟨M²⟩ − ⟨M⟩²), of the sign of β.

        In zero field by symmetry ⟨M⟩ = 0 and ⟨M²⟩ = ⟨\|M\|²⟩/d, d being the number of components
        (Ising 1, Potts q − 1, clock and XY 2, Heisenberg 3), which is used, except where the update
        conserves M. A Potts model's field acts on n₀ = ((q − 1)M + n)/q: a factor (q − 1)/q. See
        `connected_susceptibility` for the ordered phase.
        """
        factor = self.beta * field_response(self.model)
        symmetric = not np.any(self.model.fields)
        if symmetric and self.settings.get("update") not in _CONSERVING:
            square = self._lengths**2 / order_components(self.model)
            return _scaled(self._jackknifed(lambda mean: mean, square, linear=square), factor)
        deviation = self.magnetization_series - self.magnetization.mean[:, None, None]
        return _scaled(self._jackknifed_variance(deviation), factor)

    @cached_property
    def connected_susceptibility(self) -> MeanWithError:
        r"""χ′ = β (⟨\|M\|²⟩ − ⟨\|M\|⟩²): fluctuation within one ordered state.

        It peaks at transitions.
        """
        deviation = self._lengths - self.absolute_magnetization.mean[:, None, None]
        return _scaled(self._jackknifed_variance(deviation), self.beta)

    @cached_property
    def binder(self) -> MeanWithError:
        r"""U = 1 − ⟨\|M\|⁴⟩/(3 ⟨\|M\|²⟩²); 2/3 with order, and 0 where M is always 0.

        For Gaussian M of d components 2(d − 1)/(3d): 0 for Ising spins.

        K. Binder, Z. Phys. B 43, 119 (1981).
        """
        square = (self._lengths / self.model.lattice.n_sites) ** 2
        means = square.mean(axis=(1, 2)), (square**2).mean(axis=(1, 2))
        second, fourth = (np.where(mean == 0.0, 1.0, mean)[:, None, None] for mean in means)
        linear = square**2 / fourth - 2.0 * square / second
        return self._jackknifed(_binder, square**2, square, linear=linear)

    @cached_property
    def structure_factor(self) -> MeanWithError:
        r"""S(k) = ⟨\|Σ_j s_j e^{−ik·r_j}\|²⟩/n, ``(B, *lattice.shape)``, k = 2π·index/L.

        Needs ``structure_factor_every`` in `simulate`; ``.tau`` is in measurements of S(k).
        """
        return self._spectrum.structure_factor()

    @cached_property
    def correlation_function(self) -> MeanWithError:
        """G(r) = ⟨s_j·s_{j+r}⟩, arrays ``(B, *lattice.shape)``, r = index along every axis.

        Needs ``structure_factor_every`` in `simulate`; ``.tau`` is in measurements of S(k). Not
        connected: nothing is subtracted.
        """
        return self._spectrum.correlation_function()

    def correlation_length(self, *, staggered: bool = False) -> MeanWithError:
        """Return the second-moment correlation length, arrays (B,), in lattice constants.

        Needs ``structure_factor_every`` in `simulate`; ``.tau`` is in measurements of S(k). Never
        negative, and so too large on average, though not beyond its error, where it is small:
        there use `correlation_length_squared`. See
        `thermo.run.structure_factor.SampledSpectrum.correlation_length`.

        Parameters
        ----------
        staggered : bool
            Of the staggered order, as it is at βJ < 0.
        """
        return self._spectrum.correlation_length(staggered)

    def correlation_length_squared(self, *, staggered: bool = False) -> MeanWithError:
        """Return ξ² with its sign, arrays (B,), in squared lattice constants.

        To be averaged and compared where ξ is small: at β = 0 it is 0 within its error, of either
        sign. Otherwise as `correlation_length`.

        Parameters
        ----------
        staggered : bool
            Of the staggered order, as it is at βJ < 0.
        """
        return self._spectrum.correlation_length_squared(staggered)

    def density_of_states(self, bin_width: float | None = None) -> MultiHistogram:
        r"""Join the energies of all β into one density of states, by multi-histogram reweighting.

        The same analysis as `thermo.run.reweighting.reweighting`, of a run that exists.

        Parameters
        ----------
        bin_width : float, optional
            In the unit of energy; needed where energies are continuous or have no common spacing:
            choose it small against 1/\|β\|.

        Returns
        -------
        MultiHistogram
            ``.levels`` normalised to qⁿ states (of XY and Heisenberg models to 1), ``.stderr`` of
            ln g jackknifed over the replicas, and ``.curve`` with errors at any β in between.

        Raises
        ------
        InvalidInputError
            β that do not reach 0 from both sides, runs that do not overlap, an update that
            conserves the magnetisation, or energies that need a `bin_width`.
        """
        from thermo.estimate.reweighting import multi_histogram
        from thermo.run.flat_histogram import log_total_states
        from thermo.run.reweighting import run_energy_counts
        from thermo.sampling.energy_grid import energy_grid

        if self.settings.get("update") in _CONSERVING:
            raise InvalidInputError(
                f"this run's update {self.settings['update']!r} conserves the magnetisation, and "
                "its chains see a part of the states only; accepted: a run with another update"
            )
        grid = energy_grid(self.model, bin_width)
        result = multi_histogram(
            grid.energies,
            run_energy_counts(self, grid),
            self.beta,
            log_states=log_total_states(self.model),
            ess=self.energy.ess,
        )
        return replace(result, settings={"method": "reweighting", **self.settings})

    def to_xarray(self) -> xarray.Dataset:
        """Return the series as a dataset with dimensions (beta, chain, draw).

        Variables are named as in `series`; ``snapshots``, where there are some, has dimensions
        (beta, chain, snapshot, site) and perhaps component. The settings are attributes.
        """
        import xarray

        names = ("beta", "chain", "draw")
        variables: dict[str, Any] = {name: (names, values) for name, values in self.series.items()}
        if self.snapshots is not None:
            axes = ("beta", "chain", "snapshot", "site", "component")
            variables["snapshots"] = (axes[: self.snapshots.ndim], self.snapshots)
        shape = self.energy_series.shape
        return xarray.Dataset(
            variables,
            coords={"beta": self.beta, "chain": np.arange(shape[1]), "draw": np.arange(shape[2])},
            attrs={"model": repr(self.model), **self.settings},
        )

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
        from thermo.run.files import save_run

        save_run(self, path, overwrite=overwrite)

    @property
    def _lengths(self) -> np.ndarray:
        r"""\|M\| of every draw."""
        return self.series.get("magnetization_length", np.abs(self.magnetization_series))

    @cached_property
    def _spectrum(self) -> SampledSpectrum:
        blocks = self.structure_factor_blocks
        if blocks is None:
            raise InvalidInputError(
                "this run did not measure its structure factor; accepted: a run of simulate(…, "
                "structure_factor_every=…)"
            )
        _, replicas, number = blocks.shape[:3]
        every = self.settings["structure_factor_every"] // self.settings["measure_every"]
        length = self.energy_series.shape[-1] // every // number
        return SampledSpectrum(
            self.model.lattice,
            blocks,
            self.structure_factor_variances,
            measurements=replicas * number * length,
        )

    def _jackknifed_variance(self, deviation: np.ndarray) -> MeanWithError:
        square = deviation**2
        return self._jackknifed(_variance, deviation, square, linear=square)

    def _jackknifed(
        self, function: Callable[..., np.ndarray], *series: np.ndarray, linear: np.ndarray
    ) -> MeanWithError:
        """Jackknife f(means of `series`); its linear part gives ess and tau."""
        _, replicas, draws = self.energy_series.shape
        per_chain = min(draws, math.ceil(_LEAST_BLOCKS / replicas))
        value, error = jackknife(function, *(block_means(s, per_chain) for s in series))
        sampled = mean_with_error(linear)
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
