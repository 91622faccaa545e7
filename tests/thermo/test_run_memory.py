"""Runs that would not fit into memory are refused, and what is offered instead fits."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from thermo.errors import InvalidInputError
from thermo.lattice import square
from thermo.models import XY, Ising
from thermo.run import memory
from thermo.run.simulate import simulate


class Begun(Exception):
    pass


def attempt(available: int | None, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Begin a run on a machine with so much free memory; it ends with `Begun` where it fits."""

    def begun(*_: object, **__: object) -> None:
        raise Begun

    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    monkeypatch.setattr("thermo.run.simulate.run_chains", begun)
    arguments: dict[str, Any] = {"burn_in": 10, "replicas": 1000, "sweeps": 10_000} | changes
    simulate(arguments.pop("model", Ising(square(16))), [0.1, 0.2], **arguments)


def test_what_is_offered_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """2000 chains of 10 000 draws: 0.8 GB."""
    with pytest.raises(InvalidInputError, match=r"need 76\d MiB of memory \(series: 76") as refusal:
        attempt(100_000_000, monkeypatch)
    offered = re.search(r"at most (\d+) replicas or keeping (\d+) times fewer", str(refusal.value))
    assert offered is not None
    replicas, times = map(int, offered.groups())
    with pytest.raises(Begun):
        attempt(100_000_000, monkeypatch, replicas=replicas)
    with pytest.raises(InvalidInputError):
        attempt(100_000_000, monkeypatch, replicas=replicas + 2)
    with pytest.raises(Begun):
        attempt(100_000_000, monkeypatch, measure_every=times)
    with pytest.raises(InvalidInputError):
        attempt(100_000_000, monkeypatch, measure_every=times - 1)


def test_what_nothing_can_help_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match="smaller lattice or fewer β"):
        attempt(1000, monkeypatch, replicas=2)


def test_where_the_system_does_not_say_runs_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Begun):
        attempt(None, monkeypatch)


def test_this_system_says() -> None:
    available = memory.available_bytes()
    assert available is None or 10**6 < available < 10**16


def test_given_starts_are_counted_as_they_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """One configuration for all chains is held once."""
    held = []
    monkeypatch.setattr(
        "thermo.run.simulate.check_memory", lambda p: held.append(memory.bytes_needed(p)["spins"])
    )
    for start in ("random", np.ones(16), np.ones((2, 64, 16))):
        simulate(Ising(square(4)), [0.0, 0.1], 40, burn_in=10, replicas=64, start=start)
    assert np.diff(held).tolist() == [16, 127 * 16]


@pytest.mark.parametrize("model", [Ising(square(16)), XY(square(8))])
def test_the_estimate_covers_what_a_run_holds(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    needed: dict[str, int] = {}
    monkeypatch.setattr(
        "thermo.run.simulate.check_memory", lambda plan: needed.update(memory.bytes_needed(plan))
    )
    run = simulate(
        model,
        [0.1],
        40,
        burn_in=10,
        replicas=64,
        snapshots_every=10,
        structure_factor_every=5,
    )
    assert sum(s.nbytes for s in run.series.values()) <= needed["series"]
    assert run.snapshots is not None
    assert run.snapshots.nbytes == needed["snapshots"]
    assert run.final_spins.nbytes < needed["spins"]
    assert run.structure_factor_blocks is not None
    assert run.structure_factor_blocks.nbytes < needed["structure factor"]
