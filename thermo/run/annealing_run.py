"""What population annealing leaves behind: weighted estimates, absolute ln Z, density of states."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError
from thermo.estimate.jackknife import jackknife
from thermo.estimate.reweighting import MultiHistogram, energy_counts, multi_histogram
from thermo.estimate.slabs import slabs
from thermo.levels import EnergyLevels
from thermo.models.spin_model import SpinModel
from thermo.result_files import write_result
from thermo.run.fluctuations import known_energy_variance, scaled
from thermo.run.model_files import model_in, with_model
from thermo.run.unseen import SPIN, Unseen, at_least, excitable, excitation, unseen

if TYPE_CHECKING:
    import xarray

__all__ = ["FORMAT_VERSION", "AnnealingRun", "log_states"]

FORMAT_VERSION = 1  # of files

Array = NDArray[np.float64]

_OF_POPULATIONS = ("log_z", "family_size", "overlap")


@dataclass(frozen=True, eq=False)
class AnnealingRun:
    r"""A finished `population_annealing`. All quantities are totals, not per site.

    Estimates have ``.mean``, ``.error``, ``.ess`` and ``.tau``, arrays of shape (B,). Population r
    enters with the weight :math:`\hat Z_r(\beta)`, which removes the bias of averages over one
    population; errors are jackknifed over populations. ``.ess`` is the number of members divided
    by ρ_t, ``.tau`` = ρ_t/2. Where all members agree, the errors of E, C and M are the bounds of
    `thermo.run.unseen.Unseen`: as if of one member more a spin had been excited.

    Attributes
    ----------
    model : Ising, Potts, Clock, XY, Heisenberg
    beta : ndarray, shape (B,)
    series : dict of str → ndarray, shape (B, replicas, population)
        Energy and the model's other observables of every member.
    log_z : ndarray, shape (B, replicas)
        Each population's ln Z.
    family_size : ndarray, shape (B, replicas)
        ρ_t: mean family size as a member sees it, 1 … population.
    overlap : ndarray, shape (B, replicas)
        (Σ w)²/(R Σ w²) of the weights with which a β was entered; steps are too large if small.
    settings : mapping
        How the run was made: sweeps, update, seed.
    """

    model: SpinModel
    beta: Array
    series: dict[str, Array]
    log_z: Array
    family_size: Array
    overlap: Array
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        betas, replicas, members = self.series["energy"].shape
        return f"AnnealingRun({self.model!r}, {betas} β, {replicas} populations of {members})"

    @cached_property
    def log_partition_function(self) -> MeanWithError:
        """ln Z, absolute: Z(0) is the number of states (for continuous spins Z(0) = 1).

        Z itself is estimated without bias, ln Z with a bias of about −error²/2.
        """
        return self._jackknifed(lambda log_z: log_z)

    @cached_property
    def energy(self) -> MeanWithError:
        """⟨E⟩."""
        return at_least(self.average(self.series["energy"]), self._unseen_energy.mean)

    @cached_property
    def heat_capacity(self) -> MeanWithError:
        """C/k = β² (⟨E²⟩ − ⟨E⟩²); nan, with a warning, where it is lost in the rounding of E."""
        energy, mean = self.series["energy"], self.energy.mean
        deviation = (e - m for e, m in zip(energy, mean, strict=True))  # one β at a time
        blocks = [[d.mean(axis=1), (d**2).mean(axis=1)] for d in deviation]
        first, second = np.swapaxes(blocks, 0, 1)
        variance = self._jackknifed(lambda _, e, e2: e2 - e**2, first, second)
        variance = at_least(variance, self._unseen_energy.variance)
        variance = known_energy_variance(variance, self.model, self.beta)
        return scaled(scaled(variance, self.beta), self.beta)

    @cached_property
    def entropy(self) -> MeanWithError:
        """S/k = ln Z + β⟨E⟩, absolute."""
        return self._jackknifed(
            lambda log_z, energy: log_z + self.beta * energy, self.series["energy"].mean(axis=2)
        )

    @cached_property
    def magnetization(self) -> MeanWithError:
        """⟨M⟩."""
        series = self.series["magnetization"]
        return at_least(
            self.average(series), unseen(self._possible, [series], SPIN, self._ess).mean
        )

    def average(self, values: ArrayLike) -> MeanWithError:
        """Return the mean of any quantity of the members.

        Parameters
        ----------
        values : array_like, shape (B, replicas, population)
            Such as a function of one of the `series`.

        Returns
        -------
        MeanWithError
            Arrays of shape (B,). Where all members agree the error is 0: none was seen to differ,
            which says that fewer than some 3/``ess`` of the states do.
        """
        values = np.asarray(values, dtype=np.float64)
        estimate = self._jackknifed(lambda _, mean: mean, values.mean(axis=2))
        constant = np.ptp(values, axis=(1, 2)) == 0.0  # not the rounding of its jackknife
        return replace(
            estimate,
            mean=np.where(constant, values[:, 0, 0], estimate.mean),
            error=np.where(constant, 0.0, estimate.error),
        )

    def density_of_states(self) -> MultiHistogram:
        """Return ln g(E), absolute, from the energies of all members at all β, with its errors.

        Histograms are combined as by `thermo.estimate.reweighting.multi_histogram`; only for models
        with discrete energies.

        Raises
        ------
        InvalidInputError
            A model with continuous spins; populations at neighbouring β that do not overlap.
        """
        if not hasattr(self.model, "n_states"):
            raise InvalidInputError(
                f"{self.model!r} has a continuum of energies; accepted: a model of discrete spins"
            )
        energy = self.series["energy"]
        found = [np.unique(energy[of]) for of in slabs(energy.shape)]
        grid = EnergyLevels(np.unique(np.concatenate(found))).merged().energies
        counts = energy_counts(energy, grid) * self._weights.T[:, :, None]
        return multi_histogram(
            grid, counts, self.beta, log_states=log_states(self.model), ess=self._ess
        )

    def to_xarray(self) -> xarray.Dataset:
        """Return all arrays as a dataset with dimensions (beta, chain, member).

        A population is a chain. Variables are named as in `series`, and ``log_z``,
        ``family_size`` and ``overlap`` (beta, chain). The settings are attributes.
        """
        import xarray

        axes = ("beta", "chain", "member")
        variables: dict[str, Any] = {name: (axes, values) for name, values in self.series.items()}
        variables |= {name: (axes[:2], getattr(self, name)) for name in _OF_POPULATIONS}
        _, replicas, members = self.series["energy"].shape
        return xarray.Dataset(
            variables,
            coords={"beta": self.beta, "chain": np.arange(replicas), "member": np.arange(members)},
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
        data, description = with_model(self.to_xarray(), self.model)
        write_result(
            data,
            path,
            kind=type(self).__name__,
            version=FORMAT_VERSION,
            title=repr(self),
            settings=self.settings,
            overwrite=overwrite,
            model_description=description,
        )

    @classmethod
    def from_file(cls, data: xarray.Dataset) -> AnnealingRun:
        """Return what `save` has written, read by `thermo.result_files.read_result`."""
        return cls(
            model=model_in(data),
            beta=data["beta"].to_numpy(),
            series={str(k): v.to_numpy() for k, v in data.data_vars.items() if "member" in v.dims},
            settings=json.loads(data.attrs["settings"]),
            **{name: data[name].to_numpy() for name in _OF_POPULATIONS},
        )

    @property
    def _weights(self) -> Array:
        """Ẑ of each population, the largest of each β being 1; shape (B, replicas)."""
        return np.exp(self.log_z - self.log_z.max(axis=1, keepdims=True))

    @cached_property
    def _unseen_energy(self) -> Unseen:
        series = self.series["energy"]
        return unseen(self._possible, [series], excitation(self.model), self._ess)

    @cached_property
    def _possible(self) -> NDArray[np.bool_]:
        return excitable(self.model, self.beta)

    @property
    def _ess(self) -> Array:
        return (self.series["energy"].shape[2] / self.family_size).sum(axis=1)

    def _jackknifed(self, function: Callable[..., Array], *means: Array) -> MeanWithError:
        """Jackknife f(ln Z, weighted averages of `means`, (B, replicas)) over the populations."""
        weights, largest = self._weights.T, self.log_z.max(axis=1)

        def of_sums(weight: Array, *sums: Array) -> Array:
            return function(largest + np.log(weight), *(s / weight for s in sums))

        blocks = (weights * mean.T for mean in means)
        mean, error = jackknife(of_sums, weights, *blocks)
        members = self.series["energy"][0].size
        return MeanWithError(mean, error, self._ess, members / (2.0 * self._ess))


def log_states(model: SpinModel) -> float:
    """ln Z(0): n ln q, or 0 for continuous spins, whose measure is normalised here."""
    states = getattr(model, "n_states", 1)
    return model.lattice.n_sites * math.log(states)
