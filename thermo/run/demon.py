"""A thermometer for a lattice at constant energy: what the demon's purse says of β."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from thermo.arguments import checked_seed, finite_number, whole_number
from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.levels import EnergyLevels
from thermo.memory import check_memory_of
from thermo.models.difference import DifferenceModel
from thermo.result_files import write_result
from thermo.run.checkpoint import open_checkpoint
from thermo.run.checks import check_workers
from thermo.run.identity import identity
from thermo.run.work import SamplerPiece, State, Work
from thermo.run.workers import finished_pieces
from thermo.sampling.demon import DemonChains
from thermo.sampling.discrete_rules import largest_change
from thermo.thermometry import matching_beta

if TYPE_CHECKING:
    import xarray

__all__ = ["FORMAT_VERSION", "DemonReading", "demon_levels", "demon_thermometer"]

FORMAT_VERSION = 1  # of files

_MOST_PIECES = 16  # of the replicas; more workers have nothing to do
_COPIES = 3  # of the spins: as states, and twice as public spins where their energy is found
_FINE = 4096  # levels that stand for a purse of any content


@dataclass(frozen=True)
class DemonReading:
    """What a demon has measured.

    Attributes
    ----------
    beta : float
        β of the lattice, of either sign; ±inf if the demon never had anything, or never less than
        all.
    error : float
        Its standard error, corrected for autocorrelation; inf where β is.
    energy : MeanWithError
        Of the lattice: the energy to which β belongs.
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
    lattice's energies; a continuum if they have none), has the mean energy of the demon.

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

    Notes
    -----
    Not for small lattices: p(E_d) is really ∝ g(E_total − E_d), whose logarithm is straight only
    over a purse that is small beside the lattice; what it bends falls as 1/n. On the 32² Ising
    torus with the default purse it raises \|β\| by 0.0001 to 0.0011 (E = ∓0.02n to ∓1.8n).

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
        # Spins, and as float64 the energies of the bonds while they are added up.
        spins = _COPIES * model.lattice.n_sites + 9 * model.lattice.n_edges
        check_memory_of(replicas, spins + 2 * 8 * sweeps, "replicas")
    check_workers(threads, executor, None)
    work = Demons(model, energy, demon_maximum, replicas, burn_in, sweeps, seed)
    first = work.chains(0)  # which refuses what it cannot do
    with open_checkpoint(checkpoint, work.identity()) as kept:
        pieces = finished_pieces(
            work, threads=threads, executor=executor, progress=progress, checkpoint=kept
        )
    total = float(pieces[0].final["total_energy"][0])
    series = np.concatenate([piece.series["demon_energy"] for piece in pieces])
    demon = MeanWithError(*(number[()] for number in astuple(mean_with_error(series))))
    levels = demon_levels(first.demon_maximum, first.spacing)
    beta = float(matching_beta(levels, demon.mean))
    # dU/dβ = −Var(E_d), that of the demon's levels at this β.
    p = canonical(levels, beta).populations().probabilities
    variance = float(p @ levels.energies**2 - (p @ levels.energies) ** 2)
    error = float(demon.error) / variance if variance > 0.0 and np.isfinite(beta) else np.inf
    return DemonReading(
        beta=beta,
        error=error,
        energy=MeanWithError(total - demon.mean, demon.error, demon.ess, demon.tau),
        demon_energy=demon,
        demon_maximum=first.demon_maximum,
    )


@dataclass(frozen=True, eq=False)
class Demons(Work):
    """Lattices with their demons, a few in each piece.

    Series: ``"demon_energy"`` (lattices, sweeps), the mean over each sweep after burn-in. What is
    left: ``"total_energy"`` (1,), of a lattice and its demon.
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

    def chains(self, index: int) -> DemonChains:
        """Return the lattices of a piece as they begin, on the energy shell."""
        pieces = len(self.pieces)
        return DemonChains(
            self.model,
            self.energy,
            self.replicas * (index + 1) // pieces - self.replicas * index // pieces,
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
            draws = [chains.sweep(1) for _ in range(end - max(begin, self.burn_in))]
            return {"demon_energy": np.stack(draws, axis=1)} if draws else {}

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


def demon_levels(demon_maximum: float, spacing: float | None) -> EnergyLevels:
    """Return the levels of a demon: equidistant up to its maximum.

    Parameters
    ----------
    demon_maximum : float
    spacing : float or None
        None for a continuum, for which the middles of 4096 intervals stand: β is then wrong by
        (βE_max/4096)²/12 of itself.

    Returns
    -------
    EnergyLevels
    """
    if spacing is None:
        return EnergyLevels((np.arange(_FINE) + 0.5) * (demon_maximum / _FINE))
    return EnergyLevels(np.arange(round(demon_maximum / spacing) + 1) * spacing)
