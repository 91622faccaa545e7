"""Sampling a spin model at a list of signed β."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import whole_number
from thermo.errors import InvalidInputError
from thermo.models.ising import Ising
from thermo.run.chains import Plan, run_chains
from thermo.run.equilibration import warn_if_not_equilibrated
from thermo.run.result import Run
from thermo.sampling.acceptance import checked_update
from thermo.sampling.lane_rules import check_degrees
from thermo.sampling.starts import given_start, ordered_start
from thermo.temperature import as_beta

__all__ = ["simulate"]


def simulate(
    model: Ising,
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
    progress: bool = False,
) -> Run:
    r"""Sample the Boltzmann distribution :math:`e^{-\beta E}` of a model at each β, of either sign.

    Every β has `replicas` independent chains, each with its own random numbers. 512 chains are
    swept together at the cost of one (see `thermo.kernels.ising_lanes`), so that a multiple of 512
    for (number of β)·replicas wastes nothing.

    Parameters
    ----------
    model : Ising
        At most 15 neighbours per site.
    beta : array_like, shape (B,), or one number
        1/energy; any real numbers and ±inf.
    sweeps : int
        Sweeps after burn-in, at least 1. A sweep visits every site once, in order.
    burn_in : int
        Sweeps that are not measured, at least 0.
    replicas : int
        Chains per β, at least 2.
    update : {"metropolis", "heat_bath"}
        Metropolis is faster near a critical point (energy of the 32×32 torus at Tc: τ = 45 sweeps
        against 56); its sites with weak coupling, \|β\|·max\|ΔE\| < ln 2, use heat-bath
        acceptance, and its flips with ΔE = 0 are accepted with ½ (`thermo.sampling.acceptance`
        says why). Just above that coupling heat bath is better on lattices of odd degree (honeycomb
        at βJ = 0.15: 0.5 against 1.4), and on frustrated lattices it is the safe choice.
    seed : int
        At least 0. The same arguments with the same seed give the same numbers, for any `threads`.
    measure_every : int
        Sweeps between measurements, 1 … sweeps; sweeps beyond the last measurement are left out.
    start : {"auto", "random", "ordered"} or array_like of ±1, shape (n,) or (B, replicas, n)
        "auto" begins ordered (staggered where βJ < 0) where mean-field theory expects order,
        (mean degree)·\|βJ\| + \|βh\| ≥ 1, else at random: chains are not quenched across a
        transition into stripes that never melt. In zero field the replicas take turns between the
        two ordered states.
    threads : int, optional
        Default: one per available core, at most one per 512 chains.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Run
        ``run.energy.mean``, ``.error``, ``.ess`` and so on, totals of shape (B,).

    Raises
    ------
    InvalidInputError
        Any argument outside what is said above; before any work is done.

    Warns
    -----
    EquilibrationWarning
        Chains that drift or disagree, naming the β.

    Notes
    -----
    Single-spin updates slow down near a critical point (τ grows as L²·¹⁷ on the square lattice) and
    cannot cross between ordered states; ⟨M⟩ of one chain is then not the average over both. In a
    field so weak that both ordered states count, replicas begin in each by its weight, and the
    warning says when they did not cross: means are then only as good as these weights. On
    frustrated lattices (βJ < 0 with odd cycles) starts are random.

    References
    ----------
    S. V. Isakov, I. N. Zintchenko, T. F. Rønnow, M. Troyer, Comput. Phys. Commun. 192, 265 (2015)
    (multispin coding); N. F. Ramsey, Phys. Rev. 103, 20 (1956) (negative temperature).

    Examples
    --------
    >>> from thermo.lattice import chain
    >>> run = simulate(Ising(chain(10)), [-0.5, 0.5], 2000, burn_in=100, replicas=256)
    >>> exact = -10 * np.tanh([-0.5, 0.5]) * (1 + np.tanh(0.5) ** 8) / (1 + np.tanh(0.5) ** 10)
    >>> bool(np.all(np.abs(run.energy.mean - exact) < 5 * run.energy.error))
    True
    """
    if not isinstance(model, Ising):
        raise InvalidInputError(
            f"model = {model!r} was given; accepted: thermo.Ising (levels of other models are "
            "known exactly: see their levels())"
        )
    check_degrees(model)
    betas = np.atleast_1d(as_beta(beta))
    if betas.ndim != 1 or betas.size == 0:
        raise InvalidInputError(
            f"beta of shape {betas.shape} was given; accepted: one number, or a list of shape (B,)"
        )
    sweeps = whole_number(sweeps, "sweeps", 1)
    burn_in = whole_number(burn_in, "burn_in", 0)
    replicas = whole_number(replicas, "replicas", 2, ", for the chains are checked on one another")
    seed = whole_number(seed, "seed", 0)
    measure_every = whole_number(measure_every, "measure_every", 1)
    if measure_every > sweeps:
        raise InvalidInputError(
            f"measure_every = {measure_every} was given; accepted: 1 … sweeps = {sweeps}"
        )
    if threads is not None:
        threads = whole_number(threads, "threads", 1)
    update = checked_update(update)
    if isinstance(start, str):
        given, ordered = None, ordered_start(model, betas, start)
    else:
        given, ordered = given_start(model, start, betas.size, replicas), np.full(betas.size, False)

    plan = Plan(
        model=model,
        beta=betas,
        replicas=replicas,
        burn_in=burn_in,
        draws=sweeps // measure_every,
        measure_every=measure_every,
        update=update,
        ordered=ordered,
        given=given,
        seed=seed,
    )
    series, rows = run_chains(plan, threads, progress)
    series = series.reshape(len(series), betas.size, replicas, plan.draws)
    warn_if_not_equilibrated(betas, series[0])
    if model.field != 0.0:  # without a field ordered chains may rightly keep opposite signs
        warn_if_not_equilibrated(betas, series[1], "magnetisations")
    return Run(
        model=model,
        beta=betas,
        energy_series=series[0],
        magnetization_series=series[1],
        staggered_series=series[2] if len(series) == 3 else None,
        packed_spins=rows,
        settings={
            "sweeps": sweeps,
            "burn_in": burn_in,
            "replicas": replicas,
            "update": update,
            "seed": seed,
            "measure_every": measure_every,
            "start": start if isinstance(start, str) else "given",
        },
    )
