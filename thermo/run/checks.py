"""Arguments that every kind of run has, refused in one sentence before any work is done."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import true_or_false, whole_number
from thermo.errors import InvalidInputError
from thermo.run.plan import Plan
from thermo.sampling.registry import BatchKind, batch_kind

__all__ = ["check_update", "check_workers", "draws_between", "kind_for_all_states"]


def draws_between(sweeps: int | None, name: str, measure_every: int, draws: int) -> int | None:
    """Return a period in draws instead of sweeps."""
    if sweeps is None:
        return None
    period, rest = divmod(whole_number(sweeps, name, 1), measure_every)
    if rest or not 1 <= period <= draws:
        raise InvalidInputError(
            f"{name} = {sweeps} was given; accepted: a multiple of measure_every = "
            f"{measure_every}, at most {draws * measure_every}"
        )
    return period


def check_workers(threads: int | None, executor: Any, callback: Any, progress: bool) -> None:
    """Refuse threads that are no number, what is no executor, both, and what cannot be called.

    And a `progress` such as "no", which would count as True.
    """
    true_or_false(progress, "progress")
    if threads is not None:
        whole_number(threads, "threads", 1)
    if executor is not None and not isinstance(executor, Executor):
        raise InvalidInputError(
            f"executor = {executor!r} was given; accepted: a concurrent.futures.Executor, such as "
            "ProcessPoolExecutor() or the get_executor() of a dask client"
        )
    if executor is not None and threads is not None:
        raise InvalidInputError(
            f"threads = {threads} and an executor were given; accepted: one of the two"
        )
    if callback is not None and not callable(callback):
        raise InvalidInputError(f"callback = {callback!r} was given; accepted: a function")


def check_update(plan: Plan) -> None:
    """Let the update say what it cannot do: a field, or frustration at a sign of β."""
    representative = {float(np.sign(b)): b for b in plan.beta}
    plan.kind.make(
        plan.model, plan.update, np.array([*representative.values()]), np.random.SeedSequence(0)
    )


def kind_for_all_states(model: Any, update: str, beta: NDArray[np.float64]) -> BatchKind:
    """Return what carries out the update, if it reaches all states at these β.

    Methods that add up the weights of all states need that: ``"kawasaki"`` keeps the magnetisation,
    and clusters refuse a field, or frustration at a sign of β.
    """
    kind = batch_kind(model, update)
    if update == "kawasaki":
        raise InvalidInputError(
            "update = 'kawasaki' was given, which keeps the magnetisation of each configuration; "
            "accepted: an update that reaches all states, for the sum over all of them is known"
        )
    kind.make(model, update, beta, np.random.SeedSequence(0))
    return kind
