"""Densities of states from canonical runs at many signed β: multi-histogram reweighting."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import Executor
from dataclasses import replace
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import checked_seed, whole_number
from thermo.errors import InvalidInputError, NotConvergedError, SpinlogitWarning
from thermo.estimate.reweighting import MultiHistogram, energy_counts, multi_histogram
from thermo.estimate.slabs import slabs
from thermo.run.checks import check_workers, kind_for_all_states
from thermo.run.flat_histogram import log_total_states
from thermo.run.memory import check_histograms
from thermo.run.result import Run
from thermo.run.simulate import simulate
from thermo.sampling.energy_grid import EnergyGrid, energy_grid
from thermo.temperature import as_beta

__all__ = ["reweighting", "run_energy_counts"]

_MEASURE_EVERY = 5
_PILOT_SWEEPS = 50
_PILOT_REPLICAS = 16
_FROZEN = 0.5  # share of draws in the last level at which a ladder of β ends
_MOST_BETA = 1000


def reweighting(
    model: Any,
    beta: ArrayLike | None = None,
    sweeps: int = 10_000,
    *,
    burn_in: int | None = None,
    replicas: int = 16,
    update: str = "metropolis",
    measure_every: int | None = None,
    bin_width: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> MultiHistogram:
    r"""Estimate ln g(E) from canonical runs at β of both signs.

    Runs of `simulate` on a ladder of β through zero, each seeing a stretch of energies, are joined
    by multi-histogram reweighting (`thermo.estimate.reweighting`).

    Parameters
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg
    beta : array_like, shape (B,), optional
        Any order, on both sides of 0; neighbours must overlap in energy. Default, for discrete
        spins only: a ladder whose steps are 1/σ_E by short pilot runs, from 0 both ways until half
        of the draws are in the last level.
    sweeps : int
        Measured sweeps per chain.
    burn_in : int, optional
        Sweeps before; default: a tenth of `sweeps`.
    replicas : int
        Chains per β, over which errors are jackknifed; at least 2.
    update : str
        As of `simulate`, but not ``"kawasaki"``, which does not reach all states.
    measure_every : int, optional
        Sweeps between measurements; default: 5, or `sweeps` if that is less.
    threads, executor, progress, checkpoint
        As of `simulate`. Pilot runs take a moment, and are made again by a run that goes on.
    bin_width : float, optional
        In the unit of energy; needed where energies are continuous or have no common spacing.
        Levels are then bins, with their centres as energies: choose it small against 1/\|β\|.
    seed : int
        0 … 2⁶⁴ − 1.

    Returns
    -------
    MultiHistogram
        ``.levels`` normalised to qⁿ states (of XY and Heisenberg models to 1: ln g is relative),
        with ``.stderr`` of ln g. Energies that no run visited are missing.

    Raises
    ------
    InvalidInputError
        Before any work: continuous spins without β or without `bin_width`; β on one side of 0;
        an argument that `simulate` does not accept. After it: runs that do not overlap.
    CheckpointError
        As of `simulate`.

    Warns
    -----
    CheckpointWarning, WorkerWarning
        As of `simulate`.
    EquilibrationWarning
        Chains that drift or disagree, naming the β.

    Notes
    -----
    The fastest way for unfrustrated Ising models, whose 512 lanes make a hundred times more moves
    per second than a walk in energy. Not across strong first-order transitions, nor for spin
    glasses at low temperature, where canonical chains do not equilibrate.

    References
    ----------
    A. M. Ferrenberg, R. H. Swendsen, Phys. Rev. Lett. 63, 1195 (1989).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> density = reweighting(Ising(square(4)), sweeps=1000, seed=1)
    >>> exact = Ising(square(4)).levels()
    >>> bool(np.abs(density.levels.log_degeneracy - exact.log_degeneracy).max() < 0.1)
    True
    """
    betas = None if beta is None else _checked_span(beta)
    kind_for_all_states(model, update, np.array([-1.0, 1.0]) if betas is None else betas)
    grid = energy_grid(model, bin_width)
    sweeps = whole_number(sweeps, "sweeps", 1)
    if measure_every is None:
        measure_every = min(_MEASURE_EVERY, sweeps)
    if whole_number(measure_every, "measure_every", 1) > sweeps:
        raise InvalidInputError(
            f"measure_every = {measure_every} was given; accepted: 1 … sweeps = {sweeps}"
        )
    burn_in = max(1, sweeps // 10) if burn_in is None else whole_number(burn_in, "burn_in", 0)
    replicas = whole_number(replicas, "replicas", 2, ", for errors are jackknifed over them")
    check_workers(threads, executor, None, progress)
    options: dict[str, Any] = {"update": update, "seed": checked_seed(seed), "threads": threads}
    if betas is None:
        if not hasattr(model, "n_states"):
            raise InvalidInputError(
                f"{model!r} was given without β, but its energies come ever closer to their bounds "
                "and no ladder ends there; accepted: beta, a list on both sides of 0"
            )
        betas = _ladder(model, grid, options)
    check_histograms(model, grid, betas.size, replicas, sweeps // measure_every)
    run = simulate(
        model,
        betas,
        sweeps,
        burn_in=burn_in,
        replicas=replicas,
        measure_every=measure_every,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
        **options,
    )
    result = multi_histogram(
        grid.energies,
        run_energy_counts(run, grid),
        run.beta,
        log_states=log_total_states(model),
        ess=run.energy.ess,
    )
    return replace(result, settings={"method": "reweighting", **run.settings})


def run_energy_counts(run: Run, grid: EnergyGrid) -> np.ndarray:
    """Count how often each bin was visited, replica by replica.

    Parameters
    ----------
    run : Run
    grid : EnergyGrid
        `thermo.sampling.energy_grid.energy_grid` of the run's model.

    Returns
    -------
    ndarray, shape (replicas, B, bins)
        For `multi_histogram`.
    """
    energies = run.energy_series
    counts = np.empty((energies.shape[1], energies.shape[0], grid.bins))
    for of in slabs(energies.shape):
        counts[:, of] = energy_counts(grid.energies[grid.bin_of(energies[of])], grid.energies)
    return counts


def _checked_span(beta: ArrayLike) -> np.ndarray:
    """Return β as an array, if its finite ones lie on both sides of 0, or at 0."""
    betas = np.atleast_1d(as_beta(beta))
    finite = betas[np.isfinite(betas)]
    if betas.ndim != 1 or not (finite <= 0.0).any() or not (finite >= 0.0).any():
        raise InvalidInputError(
            f"beta = {short(betas.tolist())} was given; accepted: a list of β on both sides of 0, "
            "or with 0, where the total number of states can be seen"
        )
    return betas


def _ladder(model: Any, grid: EnergyGrid, options: dict[str, Any]) -> np.ndarray:
    """β from 0 both ways in steps of 1/σ, until most draws are in one level at the end."""
    ladder = [0.0]
    for sign in (1.0, -1.0):
        beta = 0.0
        for _ in range(_MOST_BETA):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SpinlogitWarning)  # pilots are short on purpose
                pilot = simulate(
                    model,
                    [beta],
                    _PILOT_SWEEPS,
                    burn_in=_PILOT_SWEEPS,
                    replicas=_PILOT_REPLICAS,
                    **options,
                )
            energies = sign * pilot.energy_series
            if np.mean(energies <= energies.min() + 0.5 * grid.width) > _FROZEN:
                break
            beta += sign / float(energies.std())
            ladder.append(beta)
        else:
            raise NotConvergedError(
                f"{_MOST_BETA} steps of β did not reach the end of the energies (β = {beta:g}); "
                "accepted: a list of beta"
            )
    return np.sort(ladder)
