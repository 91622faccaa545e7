"""Who does the work: threads of this process, or any executor, from wherever it was left."""

from __future__ import annotations

import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import Protocol

from thermo.errors import InvalidInputError, WorkerWarning
from thermo.run.checkpoint import Checkpoint
from thermo.run.chunk import Chunk
from thermo.run.progress_bar import progress_bar
from thermo.run.work import Piece, State, Work, joined, run_piece

__all__ = ["available_cores", "finished_pieces", "run_work"]

_SECONDS = 1.0  # a chunk should take about so long
# … of which nothing is known at the first one: at most so many moves, and so many steps.
_FIRST_MOVES, _FIRST_STEPS = 2**24, 1000


def available_cores() -> int:
    """Return how many cores this process may use, where the system tells; otherwise all.

    Examples
    --------
    >>> available_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def finished_pieces(
    work: Work,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: Checkpoint | None = None,
    at_once: int | None = None,
) -> list[Chunk]:
    """Do all the work, and return every piece as one chunk; for the arguments see `run_work`."""
    parts: dict[int, list[Chunk]] = {index: [] for index in work.pieces}
    run_work(
        work,
        lambda index, chunk: parts[index].append(replace(chunk, state={})),  # states are large
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
        at_once=at_once,
    )
    return [joined(parts.pop(index)) for index in work.pieces]


def run_work(
    work: Work,
    add: Callable[[int, Chunk], None],
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: Checkpoint | None = None,
    at_once: int | None = None,
    told: Callable[[int, Chunk, float], None] | None = None,
) -> None:
    """Do all the work, or the rest of what a checkpoint holds.

    What ends it early (Ctrl-C, an exception of `told`) leaves all finished chunks in the
    checkpoint.

    Parameters
    ----------
    work : Work
    add : callable
        Given every chunk of every piece, in the order of the piece.
    threads : int, optional
        In this process; default: one per available core. 1 is the calling thread itself.
    executor : concurrent.futures.Executor, optional
        Used instead of threads. Should its workers die, the rest is done in this process.
    progress : bool
        Show a progress bar.
    checkpoint : Checkpoint, optional
        Open.
    at_once : int, optional
        Pieces that may be under way at the same time, if they need much memory; default: all, in
        turns, so that they end together.
    told : callable
        Given every chunk that was made now, and how much of all the work is done.

    Warns
    -----
    WorkerWarning
        The executor's workers died, or there are fewer threads than there should be.
    """
    waiting: dict[int, tuple[int, State | None]] = {}
    for index in work.pieces:
        chunk = None
        for chunk in checkpoint.chunks(index) if checkpoint else ():
            add(index, chunk)
        if chunk is None:
            waiting[index] = (0, None)
        elif not chunk.final:
            waiting[index] = (chunk.end, chunk.state)
    lengths = [work.steps(index) for index in work.pieces]
    total = None if None in lengths else sum(length or 0 for length in lengths)
    done = sum(work.steps(index) or 0 for index in work.pieces if index not in waiting)
    done += sum(position for position, _ in waiting.values())

    with progress_bar(progress, total, unit=work.unit, what=work.what, done=done) as bar:

        def record(index: int, chunk: Chunk) -> None:
            nonlocal done
            add(index, chunk)
            if checkpoint:
                checkpoint.add(index, chunk)
            bar.update(chunk.end - chunk.begin)
            done += chunk.end - chunk.begin
            if told:
                told(index, chunk, done / total if total else 0.0)

        if executor is not None:
            try:
                _drive(work, _Remote(work, executor), waiting, at_once, record)
            except _WorkersLost as error:
                warnings.warn(
                    f"the executor's workers died ({error}); the run goes on in this process from "
                    "the last finished chunks, with the same results",
                    WorkerWarning,
                    stacklevel=4,
                )
        if waiting:
            wanted = threads or available_cores()
            threads = _threads_to_be_had(wanted)
            if threads < wanted:
                warnings.warn(
                    f"the system starts no more than {threads} of {wanted} threads: the run goes "
                    "on with these, with the same results",
                    WorkerWarning,
                    stacklevel=4,
                )
            if threads == 1:
                _drive(work, _ThisThread(work), waiting, at_once, record)
            else:
                with _Threads(work, threads, len(waiting)) as pool:
                    _drive(work, pool, waiting, at_once, record)


def _threads_to_be_had(wanted: int) -> int:
    """Return how many threads the system lets run at once: at least 1, at most `wanted`."""
    if wanted == 1:
        return 1  # the calling one
    started: list[Thread] = []
    over = Event()
    try:
        for _ in range(wanted):
            thread = Thread(target=over.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # a limit of processes, or a system without threads
        pass
    finally:
        over.set()
        for thread in started:
            thread.join()
    return max(1, len(started))


class _WorkersLost(Exception):
    """An executor, or what runs in it, is gone; nothing is wrong with the work."""


@contextmanager
def _lost_workers_told_from_errors() -> Iterator[None]:
    """Turn what executors say of lost workers into one exception, and leave others as they are.

    Those of dask are known by where their class is from: a killed worker, a lost connection.
    """
    try:
        yield
    except Exception as error:
        of_dask = (kind.__module__.split(".")[0] == "distributed" for kind in type(error).__mro__)
        if isinstance(error, BrokenExecutor | CancelledError) or any(of_dask):
            raise _WorkersLost(str(error) or type(error).__name__) from error
        raise


class _Workers(Protocol):
    """What can take pieces further.

    Attributes
    ----------
    most_running : int
        Chunks that may be with them, waiting, made or being made; those that are made need memory.
    """

    most_running: int

    def submit(self, index: int, begin: int, state: State | None, end: int) -> Future[Chunk]: ...

    def finished(self, running: Iterable[Future[Chunk]]) -> Iterable[Future[Chunk]]:
        """Wait for some of what was submitted."""

    def result(self, future: Future[Chunk]) -> Chunk: ...


class _Remote:
    """Any executor; pieces are made anew for every chunk, where it is done.

    It must tell of lost workers. A process pool of the standard library does, unless a process is
    killed just while it sends a result: then it waits for the rest for ever, and so does the run.
    """

    most_running = sys.maxsize  # how many workers there are is not known

    def __init__(self, work: Work, executor: Executor) -> None:
        self.work, self.executor = work, executor

    def submit(self, index: int, begin: int, state: State | None, end: int) -> Future[Chunk]:
        work = self.work.only(index, begun=state is not None)
        with _lost_workers_told_from_errors():
            try:
                return self.executor.submit(run_piece, work, index, begin, state, end)
            except RuntimeError as error:
                if "shutdown" not in str(error) or isinstance(error, BrokenExecutor):
                    raise
                raise InvalidInputError(
                    f"executor = {self.executor!r} was given, which was shut down; accepted: one "
                    "that takes work until the run has ended"
                ) from error

    def finished(self, running: Iterable[Future[Chunk]]) -> Iterable[Future[Chunk]]:
        return wait(running, return_when=FIRST_COMPLETED).done

    def result(self, future: Future[Chunk]) -> Chunk:
        with _lost_workers_told_from_errors():
            return future.result()


class _Live:
    """Pieces that are kept from chunk to chunk, in this process."""

    def __init__(self, work: Work, threads_per_piece: int) -> None:
        self.work, self.threads_per_piece = work, threads_per_piece
        self.pieces: dict[int, Piece] = {}

    def advance(self, index: int, begin: int, state: State | None, end: int) -> Chunk:
        if index not in self.pieces:
            self.pieces[index] = self.work.begin(index, begin, state, self.threads_per_piece)
        chunk = self.pieces[index].advance(end)
        if chunk.final:
            del self.pieces[index]
        return chunk


class _ThisThread:
    """The calling thread, which does one chunk after the other when results are waited for."""

    most_running = 1

    def __init__(self, work: Work) -> None:
        self.live = _Live(work, 1)
        self.queue: deque[tuple[Future[Chunk], tuple[int, int, State | None, int]]] = deque()

    def submit(self, index: int, begin: int, state: State | None, end: int) -> Future[Chunk]:
        self.queue.append((Future(), (index, begin, state, end)))
        return self.queue[-1][0]

    def finished(self, running: Iterable[Future[Chunk]]) -> Iterable[Future[Chunk]]:
        future, chunk = self.queue.popleft()
        future.set_result(self.live.advance(*chunk))
        return [future]

    def result(self, future: Future[Chunk]) -> Chunk:
        return future.result()


class _Threads:
    """Threads of this process.

    Where there are more threads than pieces, several share a piece, if it knows how (`RowBatch`).
    """

    def __init__(self, work: Work, threads: int, pieces: int) -> None:
        self.most_running = 2 * threads  # none of which has to wait for the one that records
        self.pool = ThreadPoolExecutor(min(threads, pieces))
        self.live = _Live(work, max(1, threads // pieces))

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def submit(self, index: int, begin: int, state: State | None, end: int) -> Future[Chunk]:
        return self.pool.submit(self.live.advance, index, begin, state, end)

    def finished(self, running: Iterable[Future[Chunk]]) -> Iterable[Future[Chunk]]:
        return wait(running, return_when=FIRST_COMPLETED).done

    def result(self, future: Future[Chunk]) -> Chunk:
        return future.result()


def _drive(
    work: Work,
    workers: _Workers,
    waiting: dict[int, tuple[int, State | None]],
    at_once: int | None,
    record: Callable[[int, Chunk], None],
) -> None:
    """Take `waiting` pieces to their ends, `record` their chunks, keep `waiting` up to date."""
    most = work.most_steps
    first = min(_FIRST_STEPS, max(1, _FIRST_MOVES // work.moves_per_step), most)
    length = dict.fromkeys(waiting, first)
    most_running = min(workers.most_running, at_once or len(waiting))
    ready = deque(waiting)
    running: dict[Future[Chunk], int] = {}

    def submit(index: int) -> None:
        begin, state = waiting[index]
        end, steps = begin + length[index], work.steps(index)
        end = end if steps is None else min(end, steps)
        running[workers.submit(index, begin, state, end)] = index

    def take(future: Future[Chunk]) -> None:
        index, chunk = running.pop(future), workers.result(future)
        record(index, chunk)
        if chunk.final:
            del waiting[index]
            return
        waiting[index] = (chunk.end, chunk.state)
        scale = min(4.0, max(0.25, _SECONDS / max(chunk.seconds, 1e-9)))
        length[index] = min(max(1, int((chunk.end - chunk.begin) * scale)), most)
        if at_once is None:
            ready.append(index)
        else:  # the others are not begun before this one has ended
            ready.appendleft(index)

    try:
        while ready or running:
            while ready and len(running) < most_running:
                submit(ready.popleft())
            finished = list(workers.finished(running))
            while finished:  # none is kept while the next one is made: they may be large
                take(finished.pop(0))
    finally:
        for future in running:
            future.cancel()
