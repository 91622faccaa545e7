"""What runs hold in memory is what is said; too much is refused, and what is offered instead fits.

Peaks are those of `tracemalloc`, of everything that NumPy and Python allocate.
"""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thermo import memory
from thermo.errors import InvalidInputError
from thermo.lattice import square
from thermo.models import XY, Ising, Potts
from thermo.run import memory as run_memory
from thermo.run import workers
from thermo.run.annealing import population_annealing
from thermo.run.demon import demon_thermometer
from thermo.run.flat_histogram import multicanonical, wang_landau
from thermo.run.reweighting import reweighting
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering
from thermo.run.tempering_run import TemperingRun
from thermo.sampling import registry
from thermo.sampling.registry import BatchKind

ISING, BETA = Ising(square(4)), np.linspace(-0.1, 0.1, 9)


# What is run, and for how long: long enough for the numbers to count more than a fixed megabyte.
# Of each result, what needs most memory.
RUNS: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "many β": (
        simulate,
        {"model": ISING, "beta": np.linspace(-0.4, 0.5, 256), "sweeps": 2000}
        | {"burn_in": 10, "replicas": 2},
        "heat_capacity",
    ),
    "one β": (
        simulate,
        {"model": ISING, "beta": [0.3], "sweeps": 40_000, "burn_in": 10, "replicas": 8},
        "binder",
    ),
    "unit vectors": (
        simulate,
        {"model": XY(square(4)), "beta": BETA, "sweeps": 400, "burn_in": 10, "replicas": 32},
        "susceptibility",
    ),
    "snapshots": (
        simulate,
        {"model": Ising(square(32)), "beta": BETA, "sweeps": 60, "burn_in": 10, "replicas": 64}
        | {"snapshots_every": 2},
        "energy",
    ),
    "large lattices": (
        simulate,
        {"model": Potts(square(64), 3), "beta": BETA, "sweeps": 4, "burn_in": 1, "replicas": 64},
        "energy",
    ),
    "large lattices in lanes": (
        simulate,
        {"model": Ising(square(64)), "beta": BETA, "sweeps": 4, "burn_in": 1, "replicas": 256},
        "energy",
    ),
    "structure factor": (
        simulate,
        {"model": Ising(square(16)), "beta": BETA, "sweeps": 20, "burn_in": 10, "replicas": 128}
        | {"structure_factor_every": 10},
        "correlation_function",
    ),
    "clusters": (
        simulate,
        {"model": Potts(square(32), 3), "beta": BETA, "sweeps": 4, "burn_in": 1, "replicas": 256}
        | {"update": "swendsen_wang"},
        "energy",
    ),
    "tempering": (
        parallel_tempering,
        {"model": ISING, "beta": BETA, "sweeps": 1000, "burn_in": 10, "replicas": 56},
        "swap_acceptance",
    ),
    "annealing": (
        population_annealing,
        {
            "model": ISING,
            "beta": BETA[4:],
            "population": 2048,
            "sweeps": 1,
            "replicas": 12,
        },
        "density_of_states",
    ),
    "annealing of large lattices": (
        population_annealing,
        {"model": Potts(square(32), 3), "beta": BETA[4:] / 9, "population": 1024, "sweeps": 1}
        | {"replicas": 2},
        "energy",
    ),
    "demon": (
        demon_thermometer,
        {"model": ISING, "energy": -8.0, "sweeps": 500, "burn_in": 10} | {"replicas": 512},
        "beta",
    ),
    "Wang–Landau": (
        wang_landau,
        {"model": Ising(square(16)), "sweeps": 2, "walkers": 32, "bin_width": 1.0},
        "stderr",
    ),
    "multicanonical": (
        multicanonical,
        {"model": ISING, "sweeps": 1000, "walkers": 16, "bin_width": 0.1}
        | {"levels": ISING.levels()},
        "stderr",
    ),
    "reweighting": (
        reweighting,
        {"model": Ising(square(16)), "beta": BETA, "sweeps": 2000, "burn_in": 10, "replicas": 32}
        | {"measure_every": 1, "bin_width": 1.0},
        "stderr",
    ),
}


def made(run: Callable[..., Any], arguments: dict[str, Any], estimate: str) -> None:
    found = getattr(run(**arguments, threads=1), estimate)
    if callable(found):
        found()


def traced(run: Callable[..., Any], arguments: dict[str, Any], estimate: str) -> int:
    """Return the peak of what it holds."""
    gc.collect()
    tracemalloc.start()
    try:
        made(run, arguments, estimate)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def overheard(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """Return a list to which everything is added that runs say they would hold."""
    said: list[dict[str, float]] = []
    check = memory.check_memory

    def listened(what: str, held: dict[str, float], changes: Any) -> None:
        said.append(held)
        check(what, held, changes)

    monkeypatch.setattr("thermo.run.memory.check_memory", listened)
    return said


def held_by(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, float]], int]:
    """Run it; return every description of what it would hold, and the peak of what it held."""
    run, arguments, estimate = RUNS[name]
    monkeypatch.setattr(workers, "_FIRST_MOVES", 1)  # all batches are under way together
    few = arguments | {"replicas": 2, "walkers": 2, "population": 8}
    with suppress(InvalidInputError):  # too short to be analysed, but all is compiled and imported
        made(run, {key: few[key] for key in arguments}, estimate)

    said = overheard(monkeypatch)
    return said, traced(run, arguments, estimate)


@pytest.mark.filterwarnings("ignore::thermo.errors.SpinlogitWarning")  # runs are short
@pytest.mark.parametrize("name", RUNS)
def test_a_run_holds_what_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said, peak = held_by(name, monkeypatch)
    estimate = max(sum(held.values()) for held in said)
    assert peak <= estimate <= 1.6 * peak
    # Control: without what passes, or what there is only two of, it says too little.
    least = max(sum(held.values()) - max(held.values()) for held in said)
    assert least < peak


@pytest.mark.filterwarnings("ignore::thermo.errors.SpinlogitWarning")
def test_a_checkpoint_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its results wait to be written, and are read when the same run goes on."""
    run, arguments, estimate = RUNS["many β"]
    made(run, arguments | {"sweeps": 40, "checkpoint": tmp_path / "compiled"}, estimate)
    said = overheard(monkeypatch)
    arguments = arguments | {"checkpoint": tmp_path / "kept"}
    written, read = (traced(run, arguments, estimate) for _ in range(2))
    assert max(read, written) <= sum(said[0].values()) <= 1.6 * written


ESTIMATES = (
    *("energy", "magnetization", "absolute_magnetization", "staggered_magnetization"),
    *("heat_capacity", "susceptibility", "connected_susceptibility", "binder"),
    *("equilibration", "swap_acceptance"),
)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_an_estimate_needs_little_beside_the_run(
    estimate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 64 slabs a few at a time; of a single slab, which is the control, all."""
    shape = (64, 2, 2000)
    generator = np.random.default_rng(20261121)
    names = ("energy", "magnetization", "staggered_magnetization", "walker")
    series = {name: generator.integers(-8, 9, shape).astype(float) for name in names}

    def needed(slab: int) -> int:
        monkeypatch.setattr("thermo.estimate.slabs.SLAB_NUMBERS", slab)
        run = TemperingRun(ISING, np.linspace(0, 1, 64), series, np.ones((64, 2, 16)), {})
        tracemalloc.start()
        try:
            getattr(run, estimate)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    needed(2**30)  # whatever is imported
    assert needed(1) < 0.25 * series["energy"].nbytes < needed(2**30)


# ---- what is offered ---------------------------------------------------------------------------


class Begun(Exception):
    """Nothing was refused, and the work would begin."""


@pytest.fixture
def nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def begun(*_: object) -> None:
        raise Begun

    monkeypatch.setattr(workers, "_drive", begun)


def with_offer(arguments: dict[str, Any], offer: str, off: int = 0) -> dict[str, Any]:
    """Do as one is told; or what is just not offered, by a number that is `off`."""
    if match := re.fullmatch(r"at most (\d+) β", offer):
        return arguments | {"beta": arguments["beta"][: int(match[1]) + off]}
    if match := re.fullmatch(r"at most (\d+) (\w+)", offer):
        name = {"members": "population"}.get(match[2], match[2])
        return arguments | {name: int(match[1]) + off}
    if match := re.fullmatch(r"(\w+_every(?: and \w+_every)*) (\d+) times as long", offer):
        given, times = {"measure_every": 1} | arguments, int(match[2]) - off
        return arguments | {name: times * given[name] for name in match[1].split(" and ")}
    match = re.fullmatch(r"bins (\d+) times as wide as ([\d.]+)", offer)
    assert match is not None, offer
    return arguments | {"bin_width": (int(match[1]) - off) * float(match[2])}


def offers(run: Callable[..., Any], arguments: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidInputError, match=r"of memory .*are free") as refusal:
        run(**arguments)
    return str(refusal.value).partition("it would fit: ")[2].split(" or ")


@pytest.mark.usefixtures("nothing_is_done")
@pytest.mark.parametrize("name", RUNS)
def test_what_is_offered_fits_and_no_more_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run, arguments, _ = RUNS[name]
    arguments = {key: value for key, value in arguments.items() if key != "levels"}
    said = overheard(monkeypatch)
    with pytest.raises(Begun):
        run(**arguments)
    largest = max(sum(held.values()) for held in said)
    monkeypatch.setattr(memory, "available_bytes", lambda: int(0.8 * largest / memory.SHARE))
    for offer in offers(run, arguments):
        with pytest.raises(Begun):
            run(**with_offer(arguments, offer))
        with pytest.raises(InvalidInputError, match="of memory"):
            run(**with_offer(arguments, offer, off=1))


GREEDY: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "many β": (
        simulate,
        {"model": ISING, "beta": np.linspace(-1, 1, 10**6), "sweeps": 10**6, "burn_in": 0}
        | {"replicas": 2},
        "β",
    ),
    "many draws": (
        simulate,
        {"model": ISING, "beta": [0.1], "sweeps": 10**11, "burn_in": 0, "replicas": 2},
        "times as long",
    ),
    "many snapshots": (
        simulate,
        {"model": Ising(square(64)), "beta": [0.1], "sweeps": 10**6, "burn_in": 0, "replicas": 2}
        | {"measure_every": 5, "snapshots_every": 10, "structure_factor_every": 20},
        "measure_every and snapshots_every and structure_factor_every",
    ),
    "many sweeps": (
        parallel_tempering,
        {"model": ISING, "beta": [0.1, 0.2], "sweeps": 10**11, "burn_in": 0, "replicas": 2}
        | {"measure_every": 7, "exchange_every": 10},
        "sweeps",
    ),
    "sweeps of a demon": (
        demon_thermometer,
        {"model": ISING, "energy": 0.0, "sweeps": 10**12, "burn_in": 0, "replicas": 1},
        "sweeps",
    ),
    "Wang–Landau walkers": (wang_landau, {"model": ISING, "walkers": 10**18}, "walkers"),
    "multicanonical walkers": (multicanonical, {"model": ISING, "walkers": 10**9}, "walkers"),
    "narrow bins": (
        wang_landau,
        {"model": Ising(square(32)), "walkers": 2, "bin_width": 0.005},
        "times as wide",
    ),
    "members": (
        population_annealing,
        {"model": ISING, "beta": [0.0, 0.1], "population": 10**12, "sweeps": 1},
        "members",
    ),
}


@pytest.mark.usefixtures("nothing_is_done")
@pytest.mark.parametrize("name", GREEDY)
def test_what_is_too_much_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run, arguments, cause = GREEDY[name]
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**9)
    named = [offer for offer in offers(run, arguments) if cause in offer]
    assert named
    for offer in named:
        with pytest.raises(Begun):
            run(**with_offer(arguments, offer))


def test_what_nothing_can_help_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    arguments = {"model": ISING, "beta": [0.1], "sweeps": 1, "burn_in": 0, "replicas": 2}
    assert offers(simulate, arguments) == [memory._SMALLER]


def test_of_every_kind_of_batch_it_is_known_what_it_holds() -> None:
    kinds = {kind.name for kind in vars(registry).values() if isinstance(kind, BatchKind)}
    assert kinds == {*run_memory._HELD}


@pytest.mark.usefixtures("nothing_is_done")
def test_where_the_system_does_not_say_runs_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    run, arguments, _ = GREEDY["many draws"]
    with pytest.raises(Begun):
        run(**arguments)


def test_this_system_says() -> None:
    available = memory.available_bytes()
    assert available is None or 10**6 < available < 10**16


# ---- when, and of what -------------------------------------------------------------------------


@pytest.mark.parametrize("run", [simulate, parallel_tempering])
def test_nothing_is_made_of_a_large_lattice_before_the_refusal(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bonds, sublattices, colours or ordered states; of the lattice, its numbers only."""
    model = Ising(square(256))
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**7)
    with pytest.raises(InvalidInputError, match="of memory"):
        run(model, np.linspace(-1, 1, 512), 100, burn_in=10, replicas=512)
    made = {*vars(model.lattice)} - {*vars(square(4))}
    assert made <= {"degrees", "sublattice"}
    assert {*vars(model)} - {*vars(Ising(square(4)))} <= {"_tables", "_second_sublattice"}


@pytest.mark.usefixtures("nothing_is_done")
def test_given_starts_are_counted_as_they_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """One configuration for all chains is held once."""
    said = overheard(monkeypatch)
    for start in ("random", np.ones(16), np.ones((2, 64, 16))):
        with pytest.raises(Begun):
            simulate(ISING, [0.0, 0.1], 40, burn_in=10, replicas=64, start=start)
    assert np.diff([held["spins"] for held in said]).tolist() == [16, 127 * 16]
