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
from thermo.estimate.slabs import slabs
from thermo.models.spin_model import SpinModel
from thermo.run.equilibration import Equilibration, equilibration
from thermo.run.fluctuations import known_energy_variance, known_magnetization_variance, scaled
from thermo.run.order_parameter import (
    field_response,
    lengths,
    order_components,
    staggered_lengths,
)
from thermo.run.structure_factor import SampledSpectrum
from thermo.run.unseen import UnseenChanges, at_least

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

    No error is 0 for want of draws: of what never changed at a finite β, though it could, the error
    is the bound of `thermo.run.unseen.Unseen`, as if of one draw more a spin had been excited.

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
        return equilibration(self.beta, quantities, still=self._unseen.energy.open)

    @cached_property
    def energy(self) -> MeanWithError:
        """⟨E⟩."""
        return at_least(mean_with_error(self.energy_series), self._unseen.energy.mean)

    @cached_property
    def magnetization(self) -> MeanWithError:
        """⟨M⟩; 0 by symmetry in zero field."""
        bound = self._unseen.magnetization.mean
        return at_least(mean_with_error(self.magnetization_series), bound)

    @cached_property
    def absolute_magnetization(self) -> MeanWithError:
        r"""⟨\|M\|⟩, the order parameter of a finite ferromagnet."""
        estimate = self._by_beta(lambda of: mean_with_error(self._lengths(of)))
        return at_least(estimate, self._unseen.length.mean)

    @cached_property
    def staggered_magnetization(self) -> MeanWithError:
        r"""⟨\|M_st\|⟩, the order parameter at βJ < 0.

        An `InvalidInputError` where there is none: on lattices with odd cycles (a torus of odd L),
        and of Potts models. `staggered_series` is None there.
        """
        if self.staggered_series is None:
            self.model.lattice.require_bipartite("a staggered magnetisation")
            raise InvalidInputError(
                f"the staggered magnetisation of {self.model!r} was asked for, of which none is "
                "measured; accepted: Ising, clock, XY and Heisenberg models"
            )
        estimate = self._by_beta(lambda of: mean_with_error(staggered_lengths(self.series, of)))
        return at_least(estimate, self._unseen.staggered.mean)

    @cached_property
    def heat_capacity(self) -> MeanWithError:
        """C/k = β² (⟨E²⟩ − ⟨E⟩²), never negative; 0 at β = 0 and where E cannot change.

        nan, with a warning, where fluctuations cannot tell it (`thermo.run.fluctuations`):
        of continuous spins where they are lost in the rounding of E, as they are at β = ±inf
        (equipartition gives each degree of freedom ½ there); of others where at β = ±inf chains are
        stuck beside the last level.
        """
        variance = self._variance_of(self.energy_series.__getitem__, self.energy)
        variance = at_least(variance, self._unseen.energy.variance)
        variance = known_energy_variance(variance, self.model, self.beta)
        return scaled(scaled(variance, self.beta), self.beta)  # β² may be beyond float64

    @cached_property
    def susceptibility(self) -> MeanWithError:
        r"""χ = ∂⟨M⟩/∂h = β (⟨M²⟩ − ⟨M⟩²), of the sign of β.

        In zero field by symmetry ⟨M⟩ = 0 and ⟨M²⟩ = ⟨\|M\|²⟩/d, d being the number of components
        (Ising 1, Potts q − 1, clock and XY 2, Heisenberg 3), which is used, except where the update
        conserves M. A Potts model's field acts on n₀ = ((q − 1)M + n)/q: a factor (q − 1)/q. See
        `connected_susceptibility` for the ordered phase. Infinite at β = ±inf with order; nan, with
        a warning, where fluctuations of continuous spins are lost in the rounding of M.
        """
        factor = self.beta * field_response(self.model)
        symmetric = not np.any(self.model.fields)
        if symmetric and not self._conserves:
            bound = self._unseen.length.mean_square / order_components(self.model)
            square = at_least(self._by_beta(self._mean_square), bound)
            square = known_magnetization_variance(square, self.model, self.beta, "χ")
            return scaled(square, factor)
        variance = self._variance_of(self.magnetization_series.__getitem__, self.magnetization)
        variance = at_least(variance, self._unseen.magnetization.variance)
        variance = known_magnetization_variance(
            variance, self.model, self.beta, "χ", changes=not self._conserves
        )
        return scaled(variance, factor)

    @cached_property
    def connected_susceptibility(self) -> MeanWithError:
        r"""χ′ = β (⟨\|M\|²⟩ − ⟨\|M\|⟩²): fluctuation within one ordered state.

        It peaks at transitions. nan, with a warning, as `susceptibility`.
        """
        variance = self._variance_of(self._lengths, self.absolute_magnetization)
        variance = at_least(variance, self._unseen.length.variance)
        changes = self.model.lattice.n_sites > 1 and not self._conserves
        variance = known_magnetization_variance(
            variance, self.model, self.beta, "χ′", changes=changes
        )
        return scaled(variance, self.beta)

    @cached_property
    def binder(self) -> MeanWithError:
        r"""U = 1 − ⟨\|M\|⁴⟩/(3 ⟨\|M\|²⟩²); 2/3 with order, and 0 where M is always 0.

        For Gaussian M of d components 2(d − 1)/(3d): 0 for Ising spins.

        K. Binder, Z. Phys. B 43, 119 (1981).
        """
        return at_least(self._by_beta(self._binder), self._unseen.length.binder)

    @cached_property
    def structure_factor(self) -> MeanWithError:
        r"""S(k) = ⟨\|Σ_j s_j e^{−ik·r_j}\|²⟩/n, ``(B, *lattice.shape)``, k = 2π·index/L.

        Needs ``structure_factor_every`` in `simulate`; ``.tau`` is in measurements of S(k).
        """
        spectrum = self._spectrum
        return self._unseen.structure_factor(spectrum.structure_factor(), spectrum.measurements)

    @cached_property
    def correlation_function(self) -> MeanWithError:
        """G(r) = ⟨s_j·s_{j+r}⟩, arrays ``(B, *lattice.shape)``, r = index along every axis.

        Needs ``structure_factor_every`` in `simulate`; ``.tau`` is in measurements of S(k). Not
        connected: nothing is subtracted.
        """
        spectrum = self._spectrum
        estimate = spectrum.correlation_function()
        return self._unseen.correlation_function(estimate, spectrum.measurements)

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
        from thermo.run.memory import check_histograms
        from thermo.run.reweighting import run_energy_counts
        from thermo.sampling.energy_grid import energy_grid

        if self._conserves:
            raise InvalidInputError(
                f"this run's update {self.settings['update']!r} conserves the magnetisation, and "
                "its chains see a part of the states only; accepted: a run with another update"
            )
        grid = energy_grid(self.model, bin_width)
        check_histograms(self.model, grid, *self.energy_series.shape[:2])
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

    def _lengths(self, of: slice) -> np.ndarray:
        return lengths(self.series, of)

    @property
    def _conserves(self) -> bool:
        return self.settings.get("update") in _CONSERVING

    @cached_property
    def _unseen(self) -> UnseenChanges:
        spins = self.final_spins
        movable = np.ones(self.beta.size)
        if self._conserves:  # two spins change places; equal ones change nothing
            movable = 2.0 * (spins != spins[:, :, :1]).any(axis=tuple(range(1, spins.ndim)))
        return UnseenChanges(self.model, self.beta, self.series, movable, self._conserves)

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

    def _by_beta(self, estimate: Callable[[slice], MeanWithError]) -> MeanWithError:
        """Join estimates of a few β each: what is made on the way would fill the memory."""
        return MeanWithError.joined(estimate(of) for of in slabs(self.energy_series.shape))

    def _variance_of(
        self, series: Callable[[slice], np.ndarray], about: MeanWithError
    ) -> MeanWithError:
        def variance(of: slice) -> MeanWithError:
            deviation = series(of) - about.mean[of, None, None]
            mean, square = _blocks(deviation), np.square(deviation, out=deviation)
            return _jackknifed(_variance, mean, _blocks(square), linear=square)

        return self._by_beta(variance)

    def _mean_square(self, of: slice) -> MeanWithError:
        r"""⟨\|M\|²⟩/d."""
        square = self._lengths(of) ** 2
        square /= order_components(self.model)
        return _jackknifed(lambda mean: mean, _blocks(square), linear=square)

    def _binder(self, of: slice) -> MeanWithError:
        square = self._lengths(of) / self.model.lattice.n_sites
        square *= square
        fourth = square**2
        blocks = _blocks(fourth), _blocks(square)
        for values in (square, fourth):
            mean = values.mean(axis=(1, 2), keepdims=True)
            values /= np.where(mean == 0.0, 1.0, mean)
        square *= 2.0
        fourth -= square
        return _jackknifed(_binder, *blocks, linear=fourth)


def _blocks(series: np.ndarray) -> np.ndarray:
    """Means of blocks of a series (B, replicas, draws): replicas, or parts where these are few."""
    _, replicas, draws = series.shape
    return block_means(series, min(draws, math.ceil(_LEAST_BLOCKS / replicas)))


def _jackknifed(
    function: Callable[..., np.ndarray], *blocks: np.ndarray, linear: np.ndarray
) -> MeanWithError:
    """Jackknife f(means of `blocks`); the series of its linear part gives ess and tau."""
    value, error = jackknife(function, *blocks)
    sampled = mean_with_error(linear)
    error = np.where(sampled.error == 0.0, 0.0, error)  # not the rounding of a constant
    return MeanWithError(value, error, sampled.ess, sampled.tau)


def _variance(mean: np.ndarray, mean_of_squares: np.ndarray) -> np.ndarray:
    return np.maximum(mean_of_squares - mean**2, 0.0)


def _binder(fourth: np.ndarray, square: np.ndarray) -> np.ndarray:
    empty = square**2 == 0.0
    ratio = np.where(empty, 3.0, fourth) / np.where(empty, 1.0, square) ** 2
    return 1.0 - ratio / 3.0
