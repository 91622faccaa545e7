"""Sampling a spin model at a list of signed β."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import checked_seed, whole_number
from thermo.errors import InvalidInputError
from thermo.models.spin_model import SpinModel
from thermo.run.chains import Progress, run_chains
from thermo.run.checks import check_update, check_workers, draws_between
from thermo.run.live_batch import spectrum_in
from thermo.run.memory import Means, check_chains
from thermo.run.plan import Plan
from thermo.run.power_spectrum import check_periodic
from thermo.run.result import Run
from thermo.sampling.registry import batch_kind
from thermo.sampling.starts import given_start, ordered_start
from thermo.temperature import as_beta

__all__ = ["simulate"]


def simulate(
    model: SpinModel,
    beta: ArrayLike,
    sweeps: int,
    *,
    burn_in: int,
    replicas: int,
    update: str = "metropolis",
    seed: int = 0,
    measure_every: int = 1,
    start: str | ArrayLike = "auto",
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    snapshots_every: int | None = None,
    structure_factor_every: int | None = None,
    callback: Callable[[Progress], object] | None = None,
) -> Run:
    r"""Sample the Boltzmann distribution :math:`e^{-\beta E}` of a model at each β, of either sign.

    Every β has `replicas` independent chains, each with its own random numbers. Of an Ising model
    with couplings ±J 512 chains are swept together at the cost of one (see
    `thermo.kernels.ising_lanes`), so that a multiple of 512 for (number of β)·replicas wastes
    nothing.

    Parameters
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg
    beta : array_like, shape (B,), or one number
        1/energy; any real numbers and ±inf.
    sweeps : int
        Sweeps after burn-in, at least 1. A sweep visits every site once, in order; one of
        ``"wolff"`` is one cluster.
    burn_in : int
        Sweeps that are not measured, at least 0.
    replicas : int
        Chains per β, at least 2.
    update : str
        ``"metropolis"`` or ``"heat_bath"`` for every model; ``"kawasaki"`` (exchange, conserves the
        magnetisation) and ``"rejection_free"`` for Ising, Potts and clock models;
        ``"over_relaxation"`` for XY and Heisenberg models; ``"wolff"`` and ``"swendsen_wang"``
        without a field, where the lattice is not frustrated at the sign of βJ.
        Of Ising models Metropolis is faster near a critical point (energy of the 32×32 torus at Tc:
        τ = 45 sweeps against 56); its sites with weak coupling, \|β\|·max\|ΔE\| < ln 2, use
        heat-bath acceptance, and its flips with ΔE = 0 are accepted with ½
        (`thermo.sampling.acceptance` says why). Just above that coupling heat bath is better on
        lattices of odd degree (honeycomb at βJ = 0.15: 0.5 against 1.4), and on frustrated lattices
        it is the safe choice.
    seed : int
        0 … 2⁶⁴ − 1. The same arguments with the same seed give the same bits, for any `threads`,
        any `executor`, and whether or not the run was interrupted.
    measure_every : int
        Sweeps between measurements, 1 … sweeps; sweeps beyond the last measurement are left out.
    start : {"auto", "random", "ordered"} or array_like, shape (n[, d]) or (B, replicas, n[, d])
        "auto" begins ordered (staggered where βJ < 0) where mean-field theory expects order (Ising:
        (mean degree)·\|βJ\| + \|βh\| ≥ 1), else at random: chains are not quenched across a
        transition into stripes that never melt. In zero field the replicas take turns between the
        ordered states. ``"kawasaki"`` keeps the magnetisation of its start and never begins
        ordered.
    threads : int, optional
        Default: one per available core. Each takes a batch of chains at a time (512 of an Ising
        model, 16 or 32 otherwise); several share one lattice only if it is a large square torus.
    executor : concurrent.futures.Executor, optional
        Does the work instead of threads: a process pool, ``dask.distributed``'s
        ``client.get_executor()`` or any other. Chains travel in chunks of about a second; a worker
        that dies loses no more than that.
    progress : bool
        Show a progress bar.
    checkpoint : path-like, optional
        A directory, new or of this very run, that is kept up to date while the run goes on. Called
        again with the same arguments after an interruption of any kind, `simulate` goes on from
        there to the same bits; a finished run is read from it. One process at a time: it locks the
        directory (where the system has ``flock``) until it ends, killed or not.
    snapshots_every, structure_factor_every : int, optional
        Sweeps between configurations that are kept, and between measurements of the structure
        factor (periodic lattices with one site per cell); multiples of `measure_every`.
    callback : callable, optional
        Called with a `Progress` after every chunk of work (about a second), in this thread. An
        exception ends the run; its checkpoint stays.

    Returns
    -------
    Run
        ``run.energy.mean``, ``.error``, ``.ess`` and so on, totals of shape (B,).

    Raises
    ------
    InvalidInputError
        Any argument outside what is said above, or a run that does not fit into memory; before any
        work is done.
    CheckpointError
        The directory holds another run or something else, is in use by another process, or cannot
        be written to.

    Warns
    -----
    EquilibrationWarning
        Chains that drift or disagree, naming the β, or too few draws to judge it (fewer than 4).
    CheckpointWarning
        A damaged file in the checkpoint: what came before it is used.
    WorkerWarning
        The executor's workers died or were lost, and the rest was done in this process; or the
        system starts fewer threads than there should be.

    Notes
    -----
    Single-spin updates slow down near a critical point (τ grows as L²·¹⁷ on the square lattice) and
    cannot cross between ordered states; ⟨M⟩ of one chain is then not the average over both. In a
    field so weak that several ordered states count, replicas begin in each by its weight, and the
    warning says when they did not cross: means are then only as good as these weights. On
    frustrated lattices (βJ < 0 with odd cycles) starts are random.

    References
    ----------
    S. V. Isakov, I. N. Zintchenko, T. F. Rønnow, M. Troyer, Comput. Phys. Commun. 192, 265 (2015)
    (multispin coding); N. F. Ramsey, Phys. Rev. 103, 20 (1956) (negative temperature).

    Examples
    --------
    >>> from thermo import Ising
    >>> from thermo.lattice import chain
    >>> run = simulate(Ising(chain(10)), [-0.5, 0.5], 2000, burn_in=100, replicas=256)
    >>> exact = -10 * np.tanh([-0.5, 0.5]) * (1 + np.tanh(0.5) ** 8) / (1 + np.tanh(0.5) ** 10)
    >>> bool(np.all(np.abs(run.energy.mean - exact) < 5 * run.energy.error))
    True
    """
    batch_kind(model, update)  # refuses what is no model and what is no update of it
    betas = np.atleast_1d(as_beta(beta))
    if betas.ndim != 1 or betas.size == 0:
        raise InvalidInputError(
            f"beta of shape {betas.shape} was given; accepted: one number, or a list of shape (B,)"
        )
    sweeps = whole_number(sweeps, "sweeps", 1)
    burn_in = whole_number(burn_in, "burn_in", 0)
    replicas = whole_number(replicas, "replicas", 2, ", for the chains are checked on one another")
    seed = checked_seed(seed)
    measure_every = whole_number(measure_every, "measure_every", 1, " = sweeps", most=sweeps)
    draws = sweeps // measure_every
    snapshots = draws_between(snapshots_every, "snapshots_every", measure_every, draws)
    structure = draws_between(
        structure_factor_every, "structure_factor_every", measure_every, draws
    )
    if structure:
        check_periodic(model.lattice, "structure_factor_every")
    check_workers(threads, executor, callback, progress)
    given = None if isinstance(start, str) else given_start(model, start, betas.size, replicas)
    plan = Plan(
        model=model,
        kind=batch_kind(model, update, betas.size * replicas),
        update=update,
        beta=betas,
        replicas=replicas,
        burn_in=burn_in,
        draws=draws,
        measure_every=measure_every,
        ordered=np.full(betas.size, False),
        given=given,
        seed=seed,
        snapshots_every=snapshots,
        structure_factor_every=structure,
    )
    # Before what looks at the whole lattice.
    check_chains(plan, Means(threads, executor, checkpoint is not None))
    check_update(plan)
    if isinstance(start, str):
        plan = replace(plan, ordered=_ordered(model, betas, start, update))

    outcome = run_chains(
        plan,
        threads=threads,
        executor=executor,
        progress=progress,
        callback=callback,
        checkpoint=checkpoint,
    )
    settings = {
        "sweeps": sweeps,
        "burn_in": burn_in,
        "replicas": replicas,
        "update": update,
        "seed": seed,
        "measure_every": measure_every,
        "start": start if isinstance(start, str) else "given",
    }
    if snapshots:
        settings["snapshots_every"] = snapshots * measure_every
    if structure:
        settings["structure_factor_every"] = structure * measure_every
    spectrum = spectrum_in(outcome.final)
    run = Run(
        model=model,
        beta=betas,
        series=outcome.series,
        final_spins=outcome.final["spins"],
        settings=settings,
        snapshots=outcome.snapshots,
        structure_factor_blocks=spectrum.pop("blocks", None),
        structure_factor_variances={k: each.mean(axis=1) for k, each in spectrum.items()},
    )
    run.equilibration.warn()
    return run


def _ordered(model: SpinModel, beta: np.ndarray, start: str, update: str) -> np.ndarray:
    """Say which β begin in an ordered state."""
    if update != "kawasaki":
        return ordered_start(model, beta, start)
    if start == "ordered":
        raise InvalidInputError(
            "start = 'ordered' was given with update = 'kawasaki', which keeps the magnetisation; "
            "accepted: 'auto', 'random' or an array of spins"
        )
    return ordered_start(model, beta, "random" if start == "auto" else start)
