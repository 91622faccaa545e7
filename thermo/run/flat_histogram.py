"""Densities of states by walks in energy: Wang–Landau and multicanonical runs, with errors."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from thermo.arguments import checked_seed, whole_number
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.estimate.sampled_density import SampledDensity, normalized_levels
from thermo.estimate.transition_matrix import log_density_from_transitions
from thermo.levels import EnergyLevels, require_levels
from thermo.run.checkpoint import open_checkpoint
from thermo.run.checks import check_workers
from thermo.run.energy_walks import FlatWalks, LearningWalks, Preparation
from thermo.run.identity import identity
from thermo.run.memory import Means, check_walks
from thermo.run.workers import finished_pieces
from thermo.sampling.energy_grid import EnergyGrid, energy_grid
from thermo.sampling.multicanonical import extended_log_density
from thermo.sampling.registry import accepted_updates

if TYPE_CHECKING:
    import xarray

__all__ = ["MulticanonicalDensity", "log_total_states", "multicanonical", "wang_landau"]

_MOST_DRAWS = 1000  # of the energy series of a walker


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MulticanonicalDensity(SampledDensity):
    """What a multicanonical run gives: levels by the transition matrix, and the walk itself.

    Attributes
    ----------
    levels, replicas, settings
        As of `SampledDensity`; ln g from the counted transitions.
    histogram : SampledDensity
        The same walk analysed by its visits alone, ln g = ln H(E) − ln w(E).
    energy_series : ndarray, shape (walkers, draws)
        Energies of the walkers at equal intervals.
    round_trips : ndarray, shape (walkers,)
        Times each walker went from the lowest to the highest energy and back, to halves.
    """

    histogram: SampledDensity
    energy_series: np.ndarray
    round_trips: np.ndarray

    def _variables(self, prefix: str = "") -> dict[str, tuple[tuple[str, ...], Any]]:
        return {
            **super()._variables(prefix),
            **self.histogram._variables("histogram_"),
            "energy_series": (("chain", "draw"), self.energy_series),
            "round_trips": (("chain",), self.round_trips),
        }

    @classmethod
    def _fields(cls, data: xarray.Dataset, prefix: str = "") -> dict[str, Any]:
        return super()._fields(data, prefix) | {
            "histogram": SampledDensity(**SampledDensity._fields(data, "histogram_")),
            "energy_series": data["energy_series"].to_numpy(),
            "round_trips": data["round_trips"].to_numpy(),
        }


def wang_landau(
    model: Any,
    sweeps: int = 100_000,
    *,
    walkers: int = 8,
    seed: int = 0,
    bin_width: float | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> SampledDensity:
    r"""Estimate ln g(E) by Wang–Landau sampling with 1/t refinement.

    Moves of single spins are accepted with :math:`\min(1, g(E)/g(E'))`, and ln g of the present
    energy grows by ln f after every move; ln f falls in halves and then as 1/t
    (`thermo.sampling.wang_landau`). The result is the mean over independent walkers. One run
    covers all energies, that is β of both signs.

    Parameters
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg
        Any couplings and fields.
    sweeps : int
        Of every walker; a sweep is n moves.
    walkers : int
        Independent walkers, at least 2: their spread is the error.
    seed : int
        0 … 2⁶⁴ − 1. The same arguments with the same seed give the same bits, for any `threads`,
        any `executor`, and whether or not the run was interrupted.
    bin_width : float, optional
        In the unit of energy; needed where energies are continuous or have no common spacing.
        Levels are then bins, with their centres as energies. Default: every energy is a level of
        its own.
    threads, executor, progress, checkpoint
        As in `thermo.simulate`; what travels, dies and resumes is a walker.

    Returns
    -------
    SampledDensity
        ``.levels`` normalised to qⁿ states (of XY and Heisenberg models to 1: ln g is relative),
        and ``.stderr`` of ln g, shape (L,).

    Raises
    ------
    InvalidInputError
        A model or an argument outside what is said above, before any work is done.
    CheckpointError
        As in `thermo.simulate`.

    Warns
    -----
    CheckpointWarning, WorkerWarning
        As in `thermo.simulate`.
    EquilibrationWarning
        A walker did not reach the 1/t stage, or the walkers know different energies.

    Notes
    -----
    On the 32 × 32 torus 10⁵ sweeps take about 2 s per walker. `multicanonical` gives less error for
    the same time, and canonical runs with `reweighting` far less where they equilibrate. Not for
    large lattices: the time to cross the spectrum grows as about n^2.4.

    References
    ----------
    F. Wang, D. P. Landau, Phys. Rev. Lett. 86, 2050 (2001). R. E. Belardinelli, V. D. Pereyra,
    Phys. Rev. E 75, 046701 (2007).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> density = wang_landau(Ising(square(4)), 20_000, seed=1)
    >>> exact = Ising(square(4)).levels()
    >>> bool(np.abs(density.levels.log_degeneracy - exact.log_degeneracy).max() < 0.2)
    True
    """
    sweeps, walkers, seed = _checked(model, sweeps, walkers, seed)
    check_workers(threads, executor, None, progress)
    grid = _checked_grid(model, bin_width)
    check_walks(model, grid, walkers, 0, Means(threads, executor, checkpoint is not None))
    settings = {"method": "wang_landau", "sweeps": sweeps, "walkers": walkers, "seed": seed}
    with open_checkpoint(checkpoint, _identity(model, settings, bin_width)) as kept:
        pieces = finished_pieces(
            LearningWalks(model, walkers, sweeps, seed, bin_width),
            threads=threads,
            executor=executor,
            progress=progress,
            checkpoint=kept,
        )
    left = {name: np.concatenate([p.final[name] for p in pieces]) for name in pieces[0].final}
    del pieces
    refined, log_density = left["refined"], left["log_density"]
    if not refined.all():
        _warn(
            f"{np.sum(~refined)} of {walkers} walkers did not reach the 1/t stage in {sweeps} "
            f"sweeps (largest ln f {left['log_factor'].max():.2g}); give more sweeps"
        )
    known = log_density > -np.inf
    if (known != known[0]).any():
        _warn(
            f"the walkers found between {known.sum(axis=1).min()} and {known.sum(axis=1).max()} "
            "energies; give more sweeps"
        )
    numbers_and_sums = [
        np.where(seen, [np.ones_like(row), _normalized(row, model)], 0.0)
        for seen, row in zip(known, log_density, strict=True)
    ]
    levels, replicas = _jackknifed(grid, model, numbers_and_sums, _mean_where_known)
    return SampledDensity(levels=levels, replicas=replicas, settings=settings)


def multicanonical(
    model: Any,
    sweeps: int = 100_000,
    *,
    walkers: int = 8,
    levels: EnergyLevels | None = None,
    seed: int = 0,
    bin_width: float | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> MulticanonicalDensity:
    r"""Estimate ln g(E) by a walk with fixed weights 1/g̃(E), from its transition matrix.

    .. math:: g(E)\,T(E \to E') = g(E')\,T(E' \to E)

    with T the measured probabilities that a proposed move leads from E to E′, solved for ln g by
    weighted least squares (`thermo.estimate.transition_matrix`). The weights come from a
    Wang–Landau run of one walker; after that they do not change, so that detailed balance holds,
    the estimate is consistent, and its error honest.

    Parameters
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg
        Any couplings and fields.
    sweeps : int
        Of every walker with fixed weights; a sweep is n moves.
    walkers : int
        Independent walkers, at least 2, over which errors are jackknifed.
    levels : EnergyLevels, optional
        g̃, such as ``wang_landau(model).levels``; saves the preparation.
    seed, bin_width, threads, executor, progress, checkpoint
        As of `wang_landau`. The preparation is one walker, and has no use for more workers.

    Returns
    -------
    MulticanonicalDensity
        ``.levels`` normalised as by `wang_landau`, ``.stderr`` of ln g, ``.histogram``,
        ``.energy_series``, ``.round_trips``; ``.curve("heat_capacity", beta)`` and the like
        reweight to any signed β with errors.

    Raises
    ------
    InvalidInputError
        A model or an argument outside what is said above, before any work is done.
    CheckpointError
        As in `thermo.simulate`.
    NotConvergedError
        The preparation did not reach its 1/t stage within as many moves as the run itself has.

    Warns
    -----
    CheckpointWarning, WorkerWarning
        As in `thermo.simulate`.
    EquilibrationWarning
        Fewer round trips than walkers: the errors are not to be trusted.

    References
    ----------
    B. A. Berg, T. Neuhaus, Phys. Rev. Lett. 68, 9 (1992). J.-S. Wang, R. H. Swendsen, J. Stat.
    Phys. 106, 245 (2002). M. S. Shell, P. G. Debenedetti, A. Z. Panagiotopoulos, J. Chem. Phys.
    119, 9406 (2003) (both together).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> density = multicanonical(Ising(square(4)), 20_000, seed=1)
    >>> exact = Ising(square(4)).levels()
    >>> z = (density.levels.log_degeneracy - exact.log_degeneracy) / density.stderr
    >>> bool(np.abs(z).max() < 6), bool(density.stderr.max() < 0.05)
    (True, True)
    """
    sweeps, walkers, seed = _checked(model, sweeps, walkers, seed)
    check_workers(threads, executor, None, progress)
    grid = _checked_grid(model, bin_width)
    every = -(-sweeps // _MOST_DRAWS)
    draws = sweeps // every
    check_walks(model, grid, walkers, draws, Means(threads, executor, checkpoint is not None))
    given = None if levels is None else _on_grid(levels, grid)
    settings = {"method": "multicanonical", "sweeps": sweeps, "walkers": walkers, "seed": seed}
    workers: dict[str, Any] = {"threads": threads, "executor": executor, "progress": progress}
    with open_checkpoint(checkpoint, _identity(model, settings, bin_width, levels=given)) as kept:
        if given is None:
            preparation = Preparation(model, walkers, sweeps * walkers, seed, bin_width)
            (prepared,) = finished_pieces(preparation, checkpoint=kept, **workers)
            log_density, spins = prepared.final["log_density"], prepared.final["spins"]
        else:
            log_density, spins = given, None
        pieces = finished_pieces(
            FlatWalks(model, walkers, log_density, spins, draws, every, seed, bin_width),
            checkpoint=kept,
            **workers,
        )
    round_trips = np.concatenate([piece.final["round_trips"] for piece in pieces])
    if round_trips.sum() < walkers:
        _warn(
            f"{walkers} walkers made {round_trips.sum():g} round trips between the lowest and "
            "the highest energy: errors are not to be trusted; give more sweeps"
        )
    transitions = [piece.final["transitions"][0] for piece in pieces]
    by_transitions = _jackknifed(grid, model, transitions, log_density_from_transitions)
    visits = [counts.sum(axis=1) for counts in transitions]
    log_weights = -extended_log_density(log_density, grid.bins)
    by_visits = _jackknifed(grid, model, visits, lambda sums: _log(sums) - log_weights)
    return MulticanonicalDensity(
        levels=by_transitions[0],
        replicas=by_transitions[1],
        settings=settings,
        histogram=SampledDensity(levels=by_visits[0], replicas=by_visits[1], settings=settings),
        energy_series=np.concatenate([piece.series["energy"] for piece in pieces]),
        round_trips=round_trips,
    )


def log_total_states(model: Any) -> float:
    """ln of the number of states: n ln q; 0 for spins in a continuum, where ln g is relative."""
    return model.lattice.n_sites * math.log(getattr(model, "n_states", 1))


def _identity(
    model: Any, settings: dict[str, Any], bin_width: float | None, **more: Any
) -> dict[str, Any]:
    width = None if bin_width is None else float(bin_width)
    return identity(model, run=settings["method"], bin_width=width, **settings, **more)


def _on_grid(levels: EnergyLevels, grid: EnergyGrid) -> np.ndarray:
    """ln g of given levels in the bins of the grid, −inf where there is none."""
    require_levels(levels)
    bins = grid.bin_of(levels.energies)
    if bins.min() < 0 or bins.max() >= grid.bins or len(np.unique(bins)) != len(levels):
        raise InvalidInputError(
            f"levels between {levels.minimum:g} and {levels.maximum:g} were given; accepted: one "
            f"per bin between {grid.energies[0]:g} and {grid.energies[-1]:g}, {grid.width:g} apart"
        )
    log_density = np.full(grid.bins, -np.inf)
    log_density[bins] = levels.log_degeneracy
    return log_density


def _jackknifed(
    grid: EnergyGrid,
    model: Any,
    parts: Sequence[np.ndarray],
    log_density: Callable[[np.ndarray], np.ndarray],
) -> tuple[EnergyLevels, tuple[EnergyLevels, ...]]:
    """Levels from the sum over all walkers, and from that over all but each."""
    total = reduce(np.add, parts)

    def levels(part_sum: np.ndarray) -> EnergyLevels:
        return normalized_levels(grid.energies, log_density(part_sum), log_total_states(model))

    return levels(total), tuple(levels(total - part) for part in parts)


def _mean_where_known(number_and_sum: np.ndarray) -> np.ndarray:
    """ln g averaged over those walkers that know it, −inf where none does."""
    number, total = number_and_sum
    return np.where(number > 0, total / np.maximum(number, 1), -np.inf)


def _normalized(log_g: np.ndarray, model: Any) -> np.ndarray:
    """Give every walker the same total, so that those that know few energies can be averaged."""
    top = log_g.max()
    return log_g - top - np.log(np.exp(log_g - top).sum()) + log_total_states(model)


def _log(counts: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(counts)


def _checked(model: Any, sweeps: int, walkers: int, seed: int) -> tuple[int, int, int]:
    accepted_updates(model)  # refuses what is no spin model
    return (
        whole_number(sweeps, "sweeps", 1),
        whole_number(walkers, "walkers", 2, ", for their spread is the error"),
        checked_seed(seed),
    )


def _checked_grid(model: Any, bin_width: float | None) -> EnergyGrid:
    """Return the bins; not so wide that all energies may lie in one."""
    grid = energy_grid(model, bin_width)
    low, high = model.energy_bounds
    if bin_width is not None and grid.width > 0.5 * (high - low):
        raise InvalidInputError(
            f"bin_width = {grid.width:g} was given, but the energies lie between {low:g} and "
            f"{high:g}; accepted: a width much smaller than that range"
        )
    return grid


def _warn(message: str) -> None:
    warnings.warn(message, EquilibrationWarning, stacklevel=3)
