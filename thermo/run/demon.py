"""A thermometer for a lattice at constant energy: what the demon's purse says of β."""

from __future__ import annotations

import math
import os
import warnings
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from thermo.arguments import checked_seed, finite_number, whole_number
from thermo.errors import InvalidInputError, UncertaintyWarning
from thermo.estimate.autocorrelation import MeanWithError
from thermo.estimate.purse import PurseReading, read_purse
from thermo.models.difference import DifferenceModel
from thermo.result_files import write_result
from thermo.run.checkpoint import open_checkpoint
from thermo.run.checks import check_workers
from thermo.run.chunk import Chunk
from thermo.run.identity import identity
from thermo.run.memory import Means, check_demons
from thermo.run.work import SamplerPiece, State, Work
from thermo.run.workers import run_work
from thermo.sampling.demon import DemonChains
from thermo.sampling.discrete_rules import largest_change

if TYPE_CHECKING:
    import xarray

__all__ = ["FORMAT_VERSION", "DemonReading", "demon_thermometer"]

FORMAT_VERSION = 1  # of files

_CHUNK_NUMBERS = 2**20  # of moments, at a time
_MOST_PIECES = 16  # of the replicas; more workers have nothing to do


@dataclass(frozen=True)
class DemonReading:
    """What a demon has measured.

    Attributes
    ----------
    beta : float
        β of the lattice, of either sign; ±inf if the demon never had anything, or never less than
        all; nan if its purse never changed in between.
    error : float
        Its standard error, corrected for autocorrelation, and as much more as uneven levels are
        seen to add (see the warning) and as S(E) may bend otherwise than a parabola over the purse
        (see the notes of `demon_thermometer`); inf where β is infinite or nan.
    energy : MeanWithError
        Of the lattice: the energy to which β belongs. (Its mean energy is the total less
        ``demon_energy``.)
    demon_energy : MeanWithError
        Of the demon; above E_max/2 where β < 0.
    demon_maximum : float
        E_max.
    """

    beta: float
    error: float
    energy: MeanWithError
    demon_energy: MeanWithError
    demon_maximum: float

    def to_xarray(self) -> xarray.Dataset:
        """Return the numbers as a dataset; those of an estimate are ``energy_mean`` and so on."""
        import xarray

        numbers: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, MeanWithError):
                parts = {f"{field.name}_{part.name}": part.name for part in fields(value)}
                numbers |= {name: ((), getattr(value, part)) for name, part in parts.items()}
            else:
                numbers[field.name] = ((), value)
        return xarray.Dataset(numbers)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write it to a netCDF file, which `thermo.load_run` and xarray can read.

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
            title=f"DemonReading(beta={self.beta:.6g}, error={self.error:.2g})",
            settings={},
            overwrite=overwrite,
        )

    @classmethod
    def from_file(cls, data: xarray.Dataset) -> DemonReading:
        """Return what `save` has written, read by `thermo.result_files.read_result`."""

        def estimate(name: str) -> MeanWithError:
            parts = (part.name for part in fields(MeanWithError))
            return MeanWithError(**{part: data[f"{name}_{part}"].to_numpy()[()] for part in parts})

        return cls(
            beta=data["beta"].item(),
            error=data["error"].item(),
            energy=estimate("energy"),
            demon_energy=estimate("demon_energy"),
            demon_maximum=data["demon_maximum"].item(),
        )


def demon_thermometer(
    model: DifferenceModel,
    energy: float,
    sweeps: int,
    *,
    burn_in: int,
    replicas: int = 8,
    demon_maximum: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> DemonReading:
    r"""Measure β(E) = dS/dE, of either sign, on a lattice at constant energy.

    A demon with a bounded purse, 0 ≤ E_d ≤ E_max, trades energy with the lattice (see
    `thermo.sampling.demon.DemonChains`); its energy has the distribution of a small system in
    contact with it, :math:`p(E_d) \propto e^{-\beta E_d}`. β is the maximum-likelihood estimate:
    the β at which a system with the demon's levels, 0, ε, 2ε … E_max (ε being the spacing of the
    lattice's energies; a continuum if they have none), has the mean energy of the demon. It is the
    slope of S(E) where the lattice has ``reading.energy``: a little less than on average, for a
    purse sees S(E) over its whole width, and S is bent (`thermo.estimate.purse.read_purse`).

    Parameters
    ----------
    model : Ising, Potts or Clock
    energy : float
        Of lattice and demon together, in the unit of energy.
    sweeps : int
        Sweeps of n attempts after burn-in, at least 2; each is a draw.
    burn_in : int
        Sweeps that are not measured, at least 0. The lattice begins in an ordered state and is
        brought to its energy on the way towards β = 0.
    replicas : int
        Independent lattices, each with a demon.
    demon_maximum : float, optional
        E_max; default: twice the largest change of energy by one spin, which is also half of it the
        least accepted. At most the whole spread of the lattice's energies, or the default.
    seed : int
        0 … 2⁶⁴ − 1. The same arguments with the same seed give the same bits, for any `threads`,
        any `executor`, and whether or not the run was interrupted.
    threads, executor, progress, checkpoint
        As in `thermo.simulate`; what travels, dies and resumes is a replica, or a sixteenth of
        them.

    Returns
    -------
    DemonReading

    Raises
    ------
    InvalidInputError, EnergyOutOfRangeError
        See `thermo.sampling.demon.DemonChains`; sweeps out of range.
    CheckpointError
        As in `thermo.simulate`.

    Warns
    -----
    CheckpointWarning, WorkerWarning
        As in `thermo.simulate`.
    UncertaintyWarning
        Less than two purses from an end of the spectrum, or where the purse shows that the levels
        are uneven: β is then no derivative of anything smooth. Likewise if the purse never changed.

    Notes
    -----
    The bending of S(E) is taken into account to first order, that is 1/n; what is left falls as
    1/n². The purse shows it only with an error much larger than that of β, so that the error has
    what is expected of the size of the lattice instead, of energies between E₋ and E₊, ε being the
    largest change by one spin:

    .. math:: \delta\beta = \frac{3}{\varepsilon} \Bigl(\frac{E_\max}{E_+ - E_-}\Bigr)^2

    On Ising tori with the default purse that is 0.0015 for 8² sites, 0.00009 for 16² and 0.000006
    for 32², and no less than what is left between E = −1.5n and 1.5n (−n and n for 8²). (Taken for
    the β of the mean energy, the reading would be off by up to 0.018, 0.005 and 0.0011.) Nearer to
    the ends levels are uneven.

    References
    ----------
    M. Creutz, Phys. Rev. Lett. 50, 1411 (1983).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> cold, hot = (
    ...     demon_thermometer(Ising(square(16)), e, 500, burn_in=50) for e in (-256.0, 256.0)
    ... )
    >>> round(cold.beta, 1), round(hot.beta, 1)
    (0.4, -0.4)
    """
    sweeps = whole_number(sweeps, "sweeps", 2)
    burn_in = whole_number(burn_in, "burn_in", 0)
    replicas = whole_number(replicas, "replicas", 1)
    seed = checked_seed(seed)
    energy = finite_number(energy, "energy")
    if demon_maximum is not None:
        demon_maximum = finite_number(demon_maximum, "demon_maximum", positive=True)
    if isinstance(model, DifferenceModel):  # otherwise the chains say what is accepted
        _check_purse(model, demon_maximum)
    check_workers(threads, executor, None, progress)
    work = Demons(model, energy, demon_maximum, replicas, burn_in, sweeps, seed)
    if isinstance(model, DifferenceModel):
        check_demons(work, Means(threads, executor, checkpoint is not None))
    first = work.chains(0)  # which refuses what it cannot do
    moments = np.empty((replicas, sweeps, 3))

    def add(index: int, chunk: Chunk) -> None:
        if chunk.series:
            draws = slice(max(chunk.begin - burn_in, 0), chunk.end - burn_in)
            moments[work.lattices(index), draws] = chunk.series["moments"]

    with open_checkpoint(checkpoint, work.identity()) as kept:
        run_work(work, add, threads=threads, executor=executor, progress=progress, checkpoint=kept)
    total = first.total_energy
    purse = read_purse(moments, first.demon_maximum, first.spacing)
    _warn_of_ends(model, total, first.demon_maximum, purse)
    deep = purse.depth
    return DemonReading(
        beta=purse.beta,
        error=math.hypot(purse.error, bending(model, first.demon_maximum)),
        energy=MeanWithError(total - deep.mean, deep.error, deep.ess, deep.tau),
        demon_energy=purse.demon_energy,
        demon_maximum=first.demon_maximum,
    )


@dataclass(frozen=True, eq=False)
class Demons(Work):
    """Lattices with their demons, a few in each piece.

    Series: ``"moments"`` (lattices, sweeps, 3), means over each sweep after burn-in of E_d/E_max,
    its square and its cube. What is left: ``"total_energy"`` (1,), of a lattice and its demon.
    """

    model: DifferenceModel
    energy: float
    demon_maximum: float | None
    replicas: int
    burn_in: int
    sweeps: int
    seed: int

    what: ClassVar[str] = "exchanging"

    @property
    def pieces(self) -> range:
        return range(min(self.replicas, _MOST_PIECES))

    @property
    def moves_per_step(self) -> int:
        return -(-self.replicas // len(self.pieces)) * self.model.lattice.n_sites

    def steps(self, index: int) -> int:
        return self.burn_in + self.sweeps

    @property
    def most_steps(self) -> int:
        return max(1, _CHUNK_NUMBERS // (3 * (self.lattices(0).stop + 1)))

    def lattices(self, index: int) -> slice:
        """Return which of the replicas are in a piece."""
        pieces = len(self.pieces)
        return slice(self.replicas * index // pieces, self.replicas * (index + 1) // pieces)

    def chains(self, index: int) -> DemonChains:
        """Return the lattices of a piece as they begin, on the energy shell."""
        lattices = self.lattices(index)
        return DemonChains(
            self.model,
            self.energy,
            lattices.stop - lattices.start,
            demon_maximum=self.demon_maximum,
            seed=np.random.SeedSequence(self.seed, spawn_key=(index,)),
        )

    def begin(
        self, index: int, position: int, state: State | None, threads: int = 1
    ) -> SamplerPiece:
        chains = self.chains(index)

        def go(begin: int, end: int) -> dict[str, np.ndarray]:
            burn_in = min(end, self.burn_in) - begin
            if burn_in > 0:
                chains.sweep(burn_in)
            draws = end - max(begin, self.burn_in)
            if draws <= 0:
                return {}
            moments = np.empty((len(chains.demon_energy), draws, 3))
            for draw in range(draws):
                moments[:, draw] = chains.sweep(1)
            return {"moments": moments}

        def final() -> dict[str, np.ndarray]:
            return {"total_energy": np.array([chains.total_energy])}

        return SamplerPiece(chains, position, state, self.burn_in + self.sweeps, go, final)

    def identity(self) -> dict[str, object]:
        """Return everything that the bits of the result depend on, as JSON can hold it."""
        return identity(
            self.model,
            run="demon_thermometer",
            energy=self.energy,
            demon_maximum=self.demon_maximum,
            replicas=self.replicas,
            burn_in=self.burn_in,
            sweeps=self.sweeps,
            seed=self.seed,
        )


def bending(model: DifferenceModel, demon_maximum: float) -> float:
    """Return how far off β may be since S(E) is no parabola: see `demon_thermometer`."""
    low, high = model.energy_bounds
    return 3.0 * (demon_maximum / (high - low)) ** 2 / largest_change(model)


def _check_purse(model: DifferenceModel, demon_maximum: float | None) -> None:
    """Refuse a model without energies to exchange, and a purse larger than all of them."""
    least = largest_change(model)
    if least == 0.0:
        raise InvalidInputError(
            f"model = {model!r} was given, all of whose states have the same energy; accepted: one "
            "with a coupling or a field, for a demon to exchange energy with"
        )
    low, high = model.energy_bounds
    most = max(2.0 * least, high - low)
    if demon_maximum is not None and demon_maximum > most:
        raise InvalidInputError(
            f"demon_maximum = {demon_maximum:g} was given; accepted: at most {most:g}, for a purse "
            "larger than the energies of the lattice never fills"
        )


def _warn_of_ends(
    model: DifferenceModel, total: float, demon_maximum: float, purse: PurseReading
) -> None:
    """Say so where the reading is no derivative, or there is none."""
    low, high = model.energy_bounds
    if not np.isfinite(purse.beta):
        reason = (
            "the demon's purse never changed, which tells no β; give more sweeps, or an energy "
            "farther from the ends of the spectrum"
        )
    elif purse.unevenness:
        reason = (
            f"the levels around E = {total - float(purse.depth.mean):g} are uneven beside a purse "
            f"of {demon_maximum:g}: β is uncertain by about {purse.unevenness:.2g}, which its "
            "error includes"
        )
    elif not low + 2.0 * demon_maximum <= total <= high - demon_maximum:
        reason = (
            f"lattice and demon have {total:g} together, less than two purses of {demon_maximum:g} "
            f"from an end of the spectrum, {low:g} … {high:g}: its levels may be too uneven there "
            "for β to be a slope of ln g(E)"
        )
    else:
        return
    warnings.warn(reason, UncertaintyWarning, stacklevel=3)
