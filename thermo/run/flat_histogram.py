"""Densities of states by walks in energy: Wang–Landau and multicanonical runs, with errors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from thermo.arguments import checked_seed, finite_number, whole_number
from thermo.errors import EquilibrationWarning, InvalidInputError, NotConvergedError
from thermo.estimate.sampled_density import SampledDensity, normalized_levels
from thermo.estimate.transition_matrix import log_density_from_transitions
from thermo.levels import EnergyLevels, require_levels
from thermo.run.progress_bar import progress_bar
from thermo.run.workers import available_cores
from thermo.sampling.energy_grid import EnergyGrid, energy_grid
from thermo.sampling.energy_walk import EnergyWalk
from thermo.sampling.multicanonical import Multicanonical
from thermo.sampling.registry import accepted_updates
from thermo.sampling.wang_landau import WangLandau

__all__ = ["MulticanonicalDensity", "log_total_states", "multicanonical", "wang_landau"]

_MOVES_PER_STEP = 2**24  # about 0.3 s of one processor between two looks at progress and Ctrl-C
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


def wang_landau(
    model: Any,
    sweeps: int = 100_000,
    *,
    walkers: int = 8,
    seed: int = 0,
    bin_width: float | None = None,
    threads: int | None = None,
    progress: bool = False,
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
        0 … 2⁶⁴ − 1.
    bin_width : float, optional
        In the unit of energy; needed where energies are continuous or have no common spacing.
        Levels are then bins, with their centres as energies. Default: every energy is a level of
        its own.
    threads : int, optional
        Default: one per available core. The numbers do not depend on it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    SampledDensity
        ``.levels`` normalised to qⁿ states (of XY and Heisenberg models to 1: ln g is relative),
        and ``.stderr`` of ln g, shape (L,).

    Raises
    ------
    InvalidInputError
        A model or an argument outside what is said above, before any work is done.

    Warns
    -----
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
    sweeps, walkers, seed, threads = _checked(model, sweeps, walkers, seed, threads)
    _check_bins(model, bin_width)
    walk = WangLandau(model, walkers, np.random.SeedSequence(seed), bin_width, threads)
    with progress_bar(progress, sweeps, unit="sweep", what="walking") as bar:
        for part in _steps(walk, sweeps):
            walk.sweep(part)
            bar.update(part)
    if not walk.refined.all():
        _warn(
            f"{np.sum(~walk.refined)} of {walkers} walkers did not reach the 1/t stage in {sweeps} "
            f"sweeps (largest ln f {walk.log_factor.max():.2g}); give more sweeps"
        )
    known = walk.log_density > -np.inf
    if (known != known[0]).any():
        _warn(
            f"the walkers found between {known.sum(axis=1).min()} and {known.sum(axis=1).max()} "
            "energies; give more sweeps"
        )
    log_g = np.array([_normalized(row, model) for row in walk.log_density])
    levels, replicas = _jackknifed(walk.grid, model, log_g, _mean_where_known)
    settings = {"method": "wang_landau", "sweeps": sweeps, "walkers": walkers, "seed": seed}
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
    progress: bool = False,
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
    seed, bin_width, threads, progress
        As of `wang_landau`.

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
    NotConvergedError
        The preparation did not reach its 1/t stage within as many moves as the run itself has.

    Warns
    -----
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
    sweeps, walkers, seed, threads = _checked(model, sweeps, walkers, seed, threads)
    prepare_seed, walk_seed = np.random.SeedSequence(seed).spawn(2)
    grid = energy_grid(model, bin_width)
    _check_bins(model, bin_width)
    if levels is None:
        with progress_bar(progress, None, unit="sweep", what="preparing") as bar:
            log_density, spins = _prepared(model, sweeps, walkers, prepare_seed, bin_width, bar)
    else:
        log_density, spins = _on_grid(levels, grid), None
    with progress_bar(progress, sweeps, unit="sweep", what="walking") as bar:
        walk = Multicanonical(model, walkers, walk_seed, log_density, bin_width, threads)
        if spins is not None:
            walk.spins = spins
        every = -(-sweeps // _MOST_DRAWS)
        series = []
        for part in _steps(walk, sweeps // every, every):
            series.append(walk.record(part, every))
            bar.update(part * every)
    if walk.round_trips.sum() < walkers:
        _warn(
            f"{walkers} walkers made {walk.round_trips.sum():g} round trips between the lowest and "
            "the highest energy: errors are not to be trusted; give more sweeps"
        )
    by_transitions = _jackknifed(walk.grid, model, walk.transitions, _from_transitions)
    visits = walk.transitions.sum(axis=2)
    by_visits = _jackknifed(
        walk.grid, model, visits, lambda parts: _log(parts.sum(axis=0)) + walk.log_density
    )
    settings = {"method": "multicanonical", "sweeps": sweeps, "walkers": walkers, "seed": seed}
    return MulticanonicalDensity(
        levels=by_transitions[0],
        replicas=by_transitions[1],
        settings=settings,
        histogram=SampledDensity(levels=by_visits[0], replicas=by_visits[1], settings=settings),
        energy_series=np.concatenate(series, axis=1),
        round_trips=walk.round_trips,
    )


def log_total_states(model: Any) -> float:
    """ln of the number of states: n ln q; 0 for spins in a continuum, where ln g is relative."""
    return model.lattice.n_sites * math.log(getattr(model, "n_states", 1))


def _prepared(
    model: Any,
    sweeps: int,
    walkers: int,
    seed: np.random.SeedSequence,
    bin_width: float | None,
    bar: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights by one Wang–Landau walker, and configurations it passed, spread over the energies."""
    walk = WangLandau(model, 1, seed, bin_width)
    done, most = 0, sweeps * walkers
    step = max(1, _MOVES_PER_STEP // (8 * model.lattice.n_sites))
    while not walk.refined.all():
        if done >= most:
            raise NotConvergedError(
                f"the weights were not ready after {done} sweeps: ln f is "
                f"{walk.log_factor[0]:.2g}; give more sweeps, or levels of a longer wang_landau"
            )
        walk.sweep(step)
        bar.update(step)
        done += step
    spins, part = [], -(-done // walkers)
    for _ in range(walkers):  # as long again: ln g settles, and the walk passes everywhere
        walk.sweep(part)
        bar.update(part)
        spins.append(walk.spins[0])
    return walk.log_density[0], np.array(spins)


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
    grid: EnergyGrid, model: Any, parts: np.ndarray, log_density: Any
) -> tuple[EnergyLevels, tuple[EnergyLevels, ...]]:
    """Levels from all walkers, and from all but each."""

    def levels(some: np.ndarray) -> EnergyLevels:
        return normalized_levels(grid.energies, log_density(some), log_total_states(model))

    left_out = (np.delete(parts, k, axis=0) for k in range(len(parts)))
    return levels(parts), tuple(levels(some) for some in left_out)


def _from_transitions(parts: np.ndarray) -> np.ndarray:
    return log_density_from_transitions(parts.sum(axis=0))


def _mean_where_known(log_g: np.ndarray) -> np.ndarray:
    known = log_g > -np.inf
    total = np.where(known, log_g, 0.0).sum(axis=0)
    number = known.sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), -np.inf)


def _normalized(log_g: np.ndarray, model: Any) -> np.ndarray:
    """Give every walker the same total, so that those that know few energies can be averaged."""
    top = log_g.max()
    return log_g - top - np.log(np.exp(log_g - top).sum()) + log_total_states(model)


def _log(counts: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(counts)


def _checked(
    model: Any, sweeps: int, walkers: int, seed: int, threads: int | None
) -> tuple[int, int, int, int]:
    accepted_updates(model)  # refuses what is no spin model
    return (
        whole_number(sweeps, "sweeps", 1),
        whole_number(walkers, "walkers", 2, ", for their spread is the error"),
        checked_seed(seed),
        available_cores() if threads is None else whole_number(threads, "threads", 1),
    )


def _check_bins(model: Any, bin_width: float | None) -> None:
    """Refuse bins so wide that all energies may lie in one, and nothing can be learnt of them."""
    if bin_width is None:
        return
    width = finite_number(bin_width, "bin_width", positive=True)
    low, high = model.energy_bounds
    if width > 0.5 * (high - low):
        raise InvalidInputError(
            f"bin_width = {width:g} was given, but the energies lie between {low:g} and "
            f"{high:g}; accepted: a width much smaller than that range"
        )


def _steps(walk: EnergyWalk, number: int, every: int = 1) -> Iterator[int]:
    """Cut `number` units of `every` sweeps into calls of a fraction of a second."""
    moves = walk.walkers * walk.model.lattice.n_sites * every
    step = max(1, _MOVES_PER_STEP // moves)
    for begin in range(0, number, step):
        yield min(step, number - begin)


def _warn(message: str) -> None:
    warnings.warn(message, EquilibrationWarning, stacklevel=3)
