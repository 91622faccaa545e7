"""Parallel tempering over a ladder of signed β."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import checked_seed, whole_number
from thermo.errors import InvalidInputError
from thermo.models.spin_model import SpinModel
from thermo.run.chains import Progress, run_chains
from thermo.run.checks import check_update, check_workers
from thermo.run.ladder import checked_ladder
from thermo.run.memory import Means, check_chains
from thermo.run.plan import Plan
from thermo.run.tempering_run import TemperingRun
from thermo.sampling.registry import batch_kind
from thermo.sampling.starts import ordered_start
from thermo.sampling.tempering_batch import TemperingBatch

__all__ = ["TemperingPlan", "parallel_tempering"]

_MOST_RUNGS = 512  # a ladder lives in one batch, and 512 lanes are the largest


def parallel_tempering(
    model: SpinModel,
    beta: ArrayLike,
    sweeps: int,
    *,
    burn_in: int,
    replicas: int,
    exchange_every: int = 1,
    update: str = "metropolis",
    seed: int = 0,
    measure_every: int = 1,
    start: str = "auto",
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    callback: Callable[[Progress], object] | None = None,
) -> TemperingRun:
    r"""Sample a model at all β of a ladder at once, neighbours exchanging their β.

    .. math:: A(\beta_a \leftrightarrow \beta_b)
              = \min\bigl(1, e^{(\beta_a - \beta_b)(E_a - E_b)}\bigr)

    A configuration stuck in a valley at large \|β\| walks along the ladder to a β at which it
    forgets, and another one comes back. The ladder may cross β = 0, and then carries
    configurations from the order of one sign to that of the other.

    Parameters
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg
    beta : array_like, shape (B,)
        The rungs, in 1/energy: 2 … 512 real numbers of any signs, or ±inf, strictly ascending or
        descending. See `suggest_ladder`.
    sweeps, burn_in : int
        Sweeps of every chain, measured (at least 1) and not (at least 0).
    replicas : int
        Independent ladders, at least 2. On 512 lanes ⌊512/B⌋ of them cost what one does.
    exchange_every : int
        Sweeps between exchanges, at least 1; pairs 0–1, 2–3, … and 1–2, 3–4, … take turns.
    update, seed, measure_every, start, threads, executor, progress, checkpoint, callback
        As in `thermo.simulate`; ``update`` not ``"kawasaki"``, ``start`` one of the names. A killed
        run resumes from its checkpoint to the same bits.

    Returns
    -------
    TemperingRun
        A `Run` whose estimates belong to the β, ``run.energy.mean`` and so on of shape (B,), with
        ``swap_acceptance``, ``round_trips`` and ``replica_flow``.

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
        Ladders that drift or disagree, naming the β, or too few draws to judge it (fewer than 4).

    Notes
    -----
    Of no use where one β mixes well by itself, and no help at a first-order transition, where the
    energies of the two phases leave a gap that exchanges do not cross (multicanonical sampling
    does). Rungs of one ladder are correlated with one another, ladders are not: compare errors of
    different β with care, or by `to_xarray` ladder by ladder.

    References
    ----------
    K. Hukushima, K. Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996).

    Examples
    --------
    >>> from thermo import Ising, canonical
    >>> from thermo.lattice import triangular
    >>> from thermo.run.ladder import suggest_ladder
    >>> model = Ising(triangular(3))  # frustrated at β < 0
    >>> ladder = suggest_ladder(model.levels(), 6, (-2.0, 0.5))
    >>> run = parallel_tempering(model, ladder, 500, burn_in=100, replicas=85)
    >>> exact = canonical(model.levels(), ladder).internal_energy
    >>> bool(np.all(np.abs(run.energy.mean - exact) < 5 * run.energy.error))
    True
    """
    kind = batch_kind(model, update)
    if update == "kawasaki":
        raise InvalidInputError(
            "update = 'kawasaki' was given, which keeps the magnetisation of each configuration, "
            "while exchanges would carry it to other β; accepted: another update"
        )
    betas = checked_ladder(beta)
    if betas.size > _MOST_RUNGS:
        raise InvalidInputError(
            f"a ladder of {betas.size} β was given; accepted: at most {_MOST_RUNGS}"
        )
    sweeps = whole_number(sweeps, "sweeps", 1)
    burn_in = whole_number(burn_in, "burn_in", 0)
    replicas = whole_number(replicas, "replicas", 2, ", for ladders are checked on one another")
    exchange_every = whole_number(exchange_every, "exchange_every", 1, " = sweeps", most=sweeps)
    measure_every = whole_number(measure_every, "measure_every", 1, " = sweeps", most=sweeps)
    seed = checked_seed(seed)
    check_workers(threads, executor, callback, progress)
    if not isinstance(start, str):
        raise InvalidInputError(
            "an array was given as start; accepted: 'auto', 'random' or 'ordered'"
        )
    plan = TemperingPlan(
        model=model,
        kind=kind,
        update=update,
        beta=betas,
        replicas=replicas,
        burn_in=burn_in,
        draws=sweeps // measure_every,
        measure_every=measure_every,
        ordered=np.zeros(betas.shape, dtype=bool),
        given=None,
        seed=seed,
        exchange_every=exchange_every,
    )
    # Before what looks at the whole lattice.
    check_chains(plan, Means(threads, executor, checkpoint is not None))
    check_update(plan)
    plan = replace(plan, ordered=ordered_start(model, betas, start))
    outcome = run_chains(
        plan,
        threads=threads,
        executor=executor,
        progress=progress,
        callback=callback,
        checkpoint=checkpoint,
    )
    run = TemperingRun(
        model=model,
        beta=betas,
        series=outcome.series,
        final_spins=outcome.final["spins"],
        settings={
            "sweeps": sweeps,
            "burn_in": burn_in,
            "replicas": replicas,
            "exchange_every": exchange_every,
            "update": update,
            "seed": seed,
            "measure_every": measure_every,
            "start": start,
        },
    )
    run.equilibration.warn()
    return run


@dataclass(frozen=True, eq=False)
class TemperingPlan(Plan):
    """A plan whose batches are whole ladders: replica r of every β is ladder r.

    Attributes
    ----------
    exchange_every : int
        Sweeps between exchanges.
    """

    exchange_every: int = 1

    least_betas: ClassVar[int] = 2

    def with_chains(self, beta: np.ndarray, replicas: int) -> TemperingPlan:
        return replace(self, beta=beta, replicas=replicas)

    @property
    def ladders(self) -> int:
        """Ladders in one batch."""
        return max(1, self.kind.chains // self.beta.size)

    @property
    def batches(self) -> int:
        return -(-self.replicas // self.ladders)

    @property
    def least_sweeps(self) -> int:
        return max(super().least_sweeps, self.exchange_every)

    @property
    def observables(self) -> int:
        return super().observables + 1  # which configuration stands on the rung

    def members(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        first = index * self.ladders
        rows = np.arange(min(self.ladders, self.replicas - first) * self.beta.size)
        ladder, rung = np.divmod(rows, self.beta.size)
        return rung, first + ladder

    def make_batch(self, index: int) -> TemperingBatch:
        own, exchanges = np.random.SeedSequence(self.seed, spawn_key=(index,)).spawn(2)
        beta = self.beta[self.members(index)[0]]
        chains = self.kind.make(self.model, self.update, beta, own)
        return TemperingBatch(chains, self.beta.size, self.exchange_every, exchanges)

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"exchange_every": self.exchange_every}
