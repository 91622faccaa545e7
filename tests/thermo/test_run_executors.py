"""The same bits through any executor, and whatever happens to its workers."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from distributed import Client, KilledWorker, LocalCluster
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError
from long_runs import numbers, same

from thermo.errors import InvalidInputError, WorkerWarning
from thermo.lattice import square
from thermo.models import Ising
from thermo.run import Run, workers
from thermo.run.chains import Progress
from thermo.run.simulate import simulate

SEED = 20261120


def run(**changes: Any) -> Run:
    """1800 chains, four batches; where `chunks` is in use, of 20, 80 and 80 sweeps."""
    arguments: dict[str, Any] = {"burn_in": 30, "replicas": 600, "seed": SEED} | changes
    return simulate(Ising(square(6)), [-0.3, 0.0, 0.2], 150, structure_factor_every=5, **arguments)


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_FIRST_MOVES", 20 * 36 * 512)
    monkeypatch.setattr(workers, "_SECONDS", 1e9)  # as long as they may become


@pytest.fixture(scope="module")
def expected() -> Run:
    return run()


def assert_same(first: Run, second: Run) -> None:
    assert all(np.array_equal(x, second.series[name]) for name, x in first.series.items())
    assert np.array_equal(first.final_spins, second.final_spins)
    assert first.structure_factor_blocks is not None
    assert second.structure_factor_blocks is not None
    assert np.array_equal(first.structure_factor_blocks, second.structure_factor_blocks)


def processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def once(kill: Callable[[], object]) -> Callable[[Progress], None]:
    """A callback that kills a worker when the first chunk is done and others are under way."""
    killed: list[object] = []

    def callback(_: Progress) -> None:
        if not killed:
            killed.append(kill())

    return callback


@pytest.mark.usefixtures("chunks")
def test_a_process_pool_gives_the_same_bits_and_its_dead_worker_costs_only_time(
    expected: Run,
) -> None:
    with processes() as pool:
        assert_same(run(executor=pool), expected)
        # At its work: one that is killed just while it sends a result would stop the whole pool,
        # and nobody would be told (CPython).
        callback = once(lambda: pool.submit(signal.raise_signal, signal.SIGKILL))
        with pytest.warns(WorkerWarning, match="the run goes on in this process"):
            assert_same(run(executor=pool, callback=callback), expected)
        with pytest.warns(WorkerWarning):  # a pool that is broken from the beginning
            assert_same(run(executor=pool), expected)


@pytest.mark.usefixtures("chunks")
def test_dask_gives_the_same_bits_and_replaces_a_dead_worker(
    client: Client, expected: Run, tmp_path: Path
) -> None:
    with client.get_executor() as executor:
        assert_same(run(executor=executor), expected)
        callback = once(lambda: os.kill(min(client.run(os.getpid).values()), signal.SIGKILL))
        assert_same(run(executor=executor, callback=callback, checkpoint=tmp_path), expected)
        assert_same(run(checkpoint=tmp_path), expected)


def test_dask_takes_what_is_no_chain_too(client: Client) -> None:
    with client.get_executor() as executor:
        for name in ("wang_landau", "population_annealing", "demon_thermometer"):
            assert same(numbers(name, executor=executor), numbers(name))


def test_any_other_executor_will_do(expected: Run) -> None:
    class AtOnce(Executor):
        def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result(function(*arguments, **named))
            return future

    for executor in (AtOnce(), ThreadPoolExecutor(2)):
        assert_same(run(executor=executor), expected)


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    class Refusing(Executor):
        def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(OSError("no more room"))
            return future

    with pytest.raises(OSError, match="no more room"):
        run(executor=Refusing())


class AfterTwo(Executor):
    """Does two chunks and then fails with an error, if there is one; counts what it is sent."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.sent: list[int] = []

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.sent.append(len(pickle.dumps((function, arguments, named))))
        if self.error is not None and len(self.sent) > 2:
            future.set_exception(self.error)
        else:
            future.set_result(function(*arguments, **named))
        return future


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize(
    "error",
    [
        KilledWorker("chunk", SimpleNamespace(address="tcp://10.0.0.1"), 4),
        FutureCancelledError("chunk", "lost"),
        CommClosedError("in <TCP>: Stream is closed"),
        CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_lost_workers_and_schedulers_cost_only_time(error: Exception, expected: Run) -> None:
    with pytest.warns(WorkerWarning, match="the run goes on in this process") as warned:
        assert_same(run(executor=AfterTwo(error)), expected)
    assert warned[0].filename == __file__


def test_an_executor_that_was_shut_down_is_refused() -> None:
    for pool in (ThreadPoolExecutor(1), processes()):
        pool.shutdown()
        with pytest.raises(InvalidInputError, match="which was shut down; accepted: one that"):
            run(executor=pool)


@pytest.mark.usefixtures("chunks")
@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")
def test_given_starts_are_sent_once_and_to_their_own_batch() -> None:
    """Of the 1800 · 36 bytes of starts, each of the four batches needs at most 512 · 36."""
    start = np.random.default_rng(SEED).choice([-1, 1], (3, 600, 36)).astype(np.int8)
    with_starts, without = AfterTwo(None), AfterTwo(None)
    assert_same(run(executor=with_starts, start=start), run(start=start))
    run(executor=without, start="random")
    more = [max(e.sent[:4]) for e in (with_starts, without)]
    assert 256 * 36 < more[0] - more[1] < 512 * 36 + 500
    assert abs(max(with_starts.sent[4:]) - max(without.sent[4:])) < 500


def test_threads_that_share_a_large_lattice_change_no_bit() -> None:
    runs = [
        simulate(Ising(square(256)), [0.2], 6, burn_in=2, replicas=2, seed=SEED, threads=threads)
        for threads in (1, 2, 4)
    ]
    for other in runs[1:]:
        assert np.array_equal(runs[0].energy_series, other.energy_series)
        assert np.array_equal(runs[0].final_spins, other.final_spins)


def limit_threads(most: int, patch: pytest.MonkeyPatch) -> None:
    """Let no more than `most` threads be started that live at the same time."""
    start, alive = threading.Thread.start, list[threading.Thread]()

    def limited(thread: threading.Thread) -> None:
        alive[:] = [other for other in alive if other.is_alive()]
        if len(alive) == most:
            raise RuntimeError("can't start new thread")
        start(thread)
        alive.append(thread)

    patch.setattr(threading.Thread, "start", limited)


@pytest.mark.usefixtures("chunks")
def test_one_thread_is_the_calling_one(expected: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_threads(0, monkeypatch)
    told: list[Progress] = []
    assert_same(run(threads=1, callback=told.append), expected)
    assert [progress.sweeps for progress in told[:8]] == [20] * 4 + [100] * 4  # they take turns


@pytest.mark.parametrize("most", [0, 1, 3])
def test_where_threads_cannot_start_the_run_goes_on_with_fewer(
    most: int, expected: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_threads(most, monkeypatch)
    message = f"starts no more than {max(1, most)} of 4 threads"
    with pytest.warns(WorkerWarning, match=message) as warned:
        assert_same(run(threads=4), expected)
    assert warned[0].filename == __file__


# ---- what the callback is told ---------------------------------------------------------------


@pytest.mark.usefixtures("chunks")
def test_the_callback_sees_every_draw_once_and_the_fraction_grow(expected: Run) -> None:
    told: list[Progress] = []
    run(callback=told.append)
    seen = np.full(expected.energy_series.shape, np.nan)
    position = np.zeros((3, 600), dtype=int)
    for progress in told:
        energy = progress.series.get("energy", np.empty((progress.beta.size, 0)))
        for b, r, values in zip(progress.beta, progress.replica, energy, strict=True):
            seen[b, r, position[b, r] : position[b, r] + values.size] = values
            position[b, r] += values.size
    assert np.array_equal(seen, expected.energy_series)
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [progress.sweeps for progress in told].count(20) == 4


@pytest.mark.usefixtures("chunks")
def test_an_exception_in_the_callback_stops_the_run() -> None:
    calls = []

    def callback(progress: Progress) -> None:
        calls.append(progress)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(callback=callback)
    assert len(calls) == 1
