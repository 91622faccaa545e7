"""Every long run resumes after a SIGKILL, and gives the same bits whoever does its work."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long_runs import RUNS, SEED, SMALL_STEPS, numbers, same

from thermo.errors import CheckpointError, CheckpointWarning, InvalidInputError, WorkerWarning
from thermo.lattice import chain
from thermo.models import Ising
from thermo.run import checkpoint, workers
from thermo.run.chains import Progress
from thermo.run.energy_walks import LearningWalks
from thermo.sampling.demon import DemonChains
from thermo.sampling.energy_walk import EnergyWalk
from thermo.sampling.population import Population

KINDS = [name for name in RUNS if name not in ("simulate", "parallel_tempering")]


@cache
def expected(name: str) -> list[np.ndarray]:
    return numbers(name)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SMALL_STEPS:
        monkeypatch.setattr(module, name, value)


# ---- killed ----------------------------------------------------------------------------------

# Forks a process for every life of a run, which ends in the middle of writing a file, or just
# before the file gets its name; lists how the lives ended.
KILLED = """
import os, signal, sys
from pathlib import Path
from long_runs import SMALL_STEPS, numbers

for module, name, value in SMALL_STEPS:
    setattr(module, name, value)
write_bytes, replace = Path.write_bytes, os.replace
for name in {kinds!r}:
    numbers(name, threads=1)  # its kernels are loaded once, and not by every child

def live(name, directory, moment, file):
    count = 0

    def reached(what):
        nonlocal count
        count += what == moment
        return what == moment and count == file

    def write(path, content):
        if reached("write"):
            write_bytes(path, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write_bytes(path, content)

    def rename(*names):
        if reached("rename"):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*names)

    Path.write_bytes, os.replace = write, rename
    numbers(name, checkpoint=directory, threads=2)

for life in {lives!r}:
    child = os.fork()
    if child == 0:
        live(*life)
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_runs_killed_at_any_moment_go_on_to_the_same_bits(tmp_path: Path) -> None:
    """Two real SIGKILLs each, at moments chosen by lot."""
    generator = np.random.default_rng(SEED)
    lives = [
        (name, str(tmp_path / name), moment, int(generator.integers(*files)))
        for name in KINDS
        for moment, files in (("write", (5, 9)), ("rename", (2, 6)))
    ]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(kinds=KINDS, lives=lives)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert killed.stdout.split() == [str(int(signal.SIGKILL))] * len(lives), killed.stderr
    for name in KINDS:
        assert list((tmp_path / name).glob("*.chunk"))
        assert same(numbers(name, checkpoint=tmp_path / name), expected(name))
        assert not list((tmp_path / name).glob(".*.tmp"))


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("name", KINDS)
def test_what_is_finished_is_read_and_what_is_damaged_made_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert same(numbers(name, checkpoint=tmp_path), expected(name))
    chunks = sorted(tmp_path.glob("*.chunk"))
    with monkeypatch.context() as patch:
        patch.setattr(workers, "_drive", None)  # which does the work
        assert same(numbers(name, checkpoint=tmp_path), expected(name))
    torn = chunks[len(chunks) // 2]
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.warns(CheckpointWarning, match=torn.name):
        assert same(numbers(name, checkpoint=tmp_path), expected(name))


@pytest.mark.parametrize("name", KINDS)
def test_the_checkpoint_of_another_run_is_refused_and_left_alone(name: str, tmp_path: Path) -> None:
    numbers(name, checkpoint=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CheckpointError, match=f"seed = {SEED} there and 3 here"):
        numbers(name, checkpoint=tmp_path, seed=3)
    with pytest.raises(CheckpointError, match=r"is the checkpoint of another run \("):
        numbers("simulate", checkpoint=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    with pytest.raises(CheckpointError, match=r"holds 'thesis\.tex' and no run"):
        numbers(name, checkpoint=tmp_path / "other")


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("name", ["simulate", "wang_landau"])
def test_a_full_disk_ends_the_run_and_leaves_the_checkpoint_intact(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = checkpoint.write_atomically, []

    def full(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) > 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomically", full)
        words = r"could not be written \(No space left on device\) .* intact as it was before"
        with pytest.raises(CheckpointError, match=words) as refusal:
            numbers(name, checkpoint=tmp_path)
    assert any(str(path) in str(refusal.value) for path in written[9:])
    assert list(tmp_path.glob("*.chunk"))
    assert same(numbers(name, checkpoint=tmp_path), expected(name))


# ---- workers ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("name", KINDS)
def test_same_bits_for_any_threads(name: str) -> None:
    for threads in (1, 3):
        assert same(numbers(name, threads=threads), expected(name))


class AtOnce(Executor):
    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **named))
        return future


class Mortal(Executor):
    """Processes, one of which is killed at its work when four chunks have been sent.

    Not from outside: a process that is killed just while it sends a result stops the whole pool,
    and nobody is told (CPython).
    """

    def __init__(self) -> None:
        self.pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
        self.sent, self.deadly = 0, False

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        self.sent += 1
        if self.deadly and self.sent == 5:
            return self.pool.submit(signal.raise_signal, signal.SIGKILL)
        return self.pool.submit(function, *arguments, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait, cancel_futures=cancel_futures)


@pytest.mark.usefixtures("small_steps")
def test_processes_give_the_same_bits_and_a_dead_one_costs_only_time() -> None:
    with Mortal() as pool:
        for name in KINDS:
            before = pool.sent
            assert same(numbers(name, executor=pool), expected(name))
            assert pool.sent - before > 5
    for name in ("wang_landau", "population_annealing"):
        with Mortal() as pool:
            pool.deadly = True
            with pytest.warns(WorkerWarning, match="the run goes on in this process"):
                assert same(numbers(name, executor=pool), expected(name))


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(
    ("name", "sampler", "forgotten"),
    [
        ("wang_landau", EnergyWalk, "clock"),
        ("multicanonical", EnergyWalk, "generator"),
        ("population_annealing", Population, "0 generator"),
        ("demon_thermometer", DemonChains, "purses"),
    ],
)
def test_a_state_that_forgets_something_fails_the_same_test(
    name: str, sampler: Any, forgotten: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a piece that is made anew for every chunk, and not all of it restored."""
    assert same(numbers(name, executor=AtOnce()), expected(name))
    restore = sampler.restore

    def forgetful(self: Any, state: dict[str, np.ndarray]) -> None:
        assert forgotten in state
        restore(self, {**state, forgotten: self.state()[forgotten]})

    monkeypatch.setattr(sampler, "restore", forgetful)
    assert not same(numbers(name, executor=AtOnce()), expected(name))


@pytest.mark.usefixtures("small_steps")
def test_the_states_of_chunks_are_not_piled_up() -> None:
    """They are as large as a walker's tables or a population's spins, one about every second."""
    work = LearningWalks(Ising(chain(4)), walkers=2, sweeps=50, seed=SEED, bin_width=None)
    assert [piece.state for piece in workers.finished_pieces(work)] == [{}, {}]


@pytest.mark.parametrize("name", RUNS)
def test_threads_and_an_executor_together_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="threads = 2 and an executor were given"):
        numbers(name, executor=Mortal(), threads=2)
    with pytest.raises(InvalidInputError, match="executor = 'dask' was given"):
        numbers(name, executor="dask")


@pytest.mark.filterwarnings("error::thermo.errors.WorkerWarning")
def test_a_callback_that_cancels_is_no_dead_worker() -> None:
    def callback(_: Progress) -> None:
        raise CancelledError("enough")

    for executor in (AtOnce(), None):
        with pytest.raises(CancelledError, match="enough"):
            numbers("simulate", executor=executor, callback=callback)
