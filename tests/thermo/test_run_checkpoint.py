"""A run that is killed, interrupted or damaged goes on to the same bits, or says why it cannot."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thermo.errors import CheckpointError, CheckpointWarning, InvalidInputError
from thermo.lattice import square
from thermo.models import XY, Ising
from thermo.run import Run, chains, checkpoint, live_batch, workers
from thermo.run.chains import Progress
from thermo.run.chunk import Chunk
from thermo.run.directory_lock import DirectoryLock
from thermo.run.simulate import simulate

SEED = 20261120


def run(directory: Path | None, **changes: Any) -> Run:
    """600 chains (two batches) and everything that a run can keep."""
    arguments: dict[str, Any] = {
        "model": Ising(square(4)),
        "beta": [-0.3, 0.0, 0.2],
        "sweeps": 60,
        "burn_in": 25,
        "replicas": 200,
        "seed": SEED,
        "measure_every": 3,
        "snapshots_every": 12,
        "structure_factor_every": 6,
        "checkpoint": directory,
    } | changes
    model, beta, sweeps = (arguments.pop(name) for name in ("model", "beta", "sweeps"))
    return simulate(model, beta, sweeps, **arguments)


# Every chunk a single sweep, and every chunk written.
SMALL_STEPS = (
    (workers, "_FIRST_MOVES", 1),
    (workers, "_SECONDS", 0.0),
    (checkpoint, "_LEAST_SECONDS", 0.0),
    (checkpoint, "_SHARE", 0.0),
)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SMALL_STEPS:
        monkeypatch.setattr(module, name, value)


def assert_same(first: Run, second: Run) -> None:
    assert first.series.keys() == second.series.keys()
    for name, series in first.series.items():
        assert np.array_equal(series, second.series[name])
    assert np.array_equal(first.final_spins, second.final_spins)
    for one, other in (
        (first.snapshots, second.snapshots),
        (first.structure_factor_blocks, second.structure_factor_blocks),
    ):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)


class Stopped(Exception):
    pass


def stop_after(calls: int, how: type[BaseException] = Stopped) -> Callable[[Progress], None]:
    seen = []

    def callback(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == calls:
            raise how

    return callback


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_run_checkpoint as t

for module, name, value in t.SMALL_STEPS:
    setattr(module, name, value)
write_bytes, replace = Path.write_bytes, os.replace
calls = 0

def reached(moment):
    global calls
    calls += moment == {moment!r}
    return moment == {moment!r} and calls == {calls}

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def write(path, content):
    if reached("write"):
        write_bytes(path, content[: len(content) // 2])
        kill()
    return write_bytes(path, content)

def rename(*names):
    kill() if reached("rename") else replace(*names)

Path.write_bytes, os.replace = write, rename
t.run(Path({directory!r}), callback=lambda _: reached("chunk") and kill())
"""


@pytest.mark.parametrize(
    ("moment", "calls"), [("chunk", 1), ("chunk", 60), ("write", 20), ("rename", 41)]
)
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(
    moment: str, calls: int, tmp_path: Path
) -> None:
    """A real SIGKILL: after a chunk, in the middle of a file, just before a file gets its name."""
    script = KILLED.format(
        tests=str(Path(__file__).parent),
        directory=str(tmp_path / "run"),
        calls=calls,
        moment=moment,
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = sum(1 for _ in (tmp_path / "run").glob("*.chunk"))
    assert before < 170  # of so many
    assert_same(run(tmp_path / "run"), run(None))
    assert not list((tmp_path / "run").glob(".*.tmp"))


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("how", [Stopped, KeyboardInterrupt])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    how: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_LEAST_SECONDS", 1e9)  # nothing is written before the end
    for calls in (40, 30):
        with pytest.raises(how):
            run(tmp_path, callback=stop_after(calls, how))
        assert list(tmp_path.glob("*.chunk"))
    assert_same(run(tmp_path), run(None))


@pytest.mark.usefixtures("small_steps")
@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")  # it is too short
def test_vectors_and_few_replicas_go_on_too(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"model": XY(square(4)), "replicas": 3, "sweeps": 90}
    changes["update"] = "wolff"
    with pytest.raises(Stopped):
        run(tmp_path, **changes, callback=stop_after(70))
    whole = run(None, **changes)
    assert whole.structure_factor_blocks is not None
    assert whole.structure_factor_blocks.shape == (3, 3, 11, 4, 3)
    assert_same(run(tmp_path, **changes), whole)


def test_a_finished_run_is_read_without_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path)

    def never(*_: object) -> None:
        raise AssertionError("a sweep was made")

    monkeypatch.setattr(live_batch.LiveBatch, "advance", never)
    assert_same(run(tmp_path), first)


@pytest.mark.usefixtures("small_steps")
def test_only_the_last_two_states_of_a_batch_are_kept(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, callback=stop_after(60))
    assert 2 <= len(list(tmp_path.glob("*.state"))) <= 4
    assert len(list(tmp_path.glob("*.chunk"))) == 60
    with pytest.raises(Stopped):
        run(tmp_path, callback=stop_after(30))
    assert 2 <= len(list(tmp_path.glob("*.state"))) <= 4
    assert len(list(tmp_path.glob("*.chunk"))) == 90


@pytest.mark.usefixtures("small_steps")
def test_a_damaged_file_is_named_and_what_came_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(None)
    with pytest.raises(Stopped):
        run(tmp_path, callback=stop_after(80))
    names = sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("00000"))
    chunks = [name for name in names if name.endswith("chunk")]
    states = [name for name in names if name.endswith("state")]
    content = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr(workers, "_FIRST_MOVES", 2**30)  # the rest as one chunk

    for name in (chunks[0], chunks[len(chunks) // 2], chunks[-1], states[-1]):
        body = content[name]
        flipped = bytearray(body)
        flipped[len(body) // 3] ^= 16
        for damaged in (b"", body[: len(body) // 2], body[:-1], bytes(flipped), body + b"\0"):
            directory = tmp_path / "damaged"
            directory.mkdir()
            for other, sound in content.items():
                (directory / other).write_bytes(sound)
            (directory / name).write_bytes(damaged)
            with pytest.warns(CheckpointWarning, match=name):
                assert_same(run(directory), whole)
            for path in directory.iterdir():
                path.unlink()
            directory.rmdir()


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_with_the_right_checksum_of_nothing_is_damaged(
    content: bytes, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, callback=stop_after(20))
    first = sorted(tmp_path.glob("*.chunk"))[3]
    digest = hashlib.sha256().digest_size
    body = content + first.read_bytes()[-2 * digest : -digest]  # which says that it belongs there
    first.write_bytes(body + hashlib.sha256(body).digest())
    with pytest.warns(CheckpointWarning, match=f"{first.name} is damaged .it holds no arrays"):
        assert_same(run(tmp_path), run(None))


@pytest.mark.usefixtures("small_steps")
def test_sound_files_of_another_run_or_place_are_not_taken_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for directory, seed in ((ours, SEED), (theirs, SEED + 1)):
        with pytest.raises(Stopped):
            run(directory, seed=seed, threads=1, callback=stop_after(40))
    whole, kept = run(None), snapshot_of(ours)
    names = sorted(kept.keys() & snapshot_of(theirs).keys())
    chunks = [name for name in names if name.startswith("00000") and name.endswith("chunk")]
    assert len(chunks) > 2
    monkeypatch.setattr(workers, "_FIRST_MOVES", 2**30)  # the rest as one chunk
    assert any(name.endswith("state") for name in names)
    for replaced in (
        {n: (theirs / n).read_bytes() for n in names if n.startswith("0000")},  # not the plan
        {chunks[1]: kept[chunks[2]]},
        {chunks[0]: kept[chunks[0].replace("00000-", "00001-")]},
    ):
        for name, content in {**kept, **replaced}.items():
            (ours / name).write_bytes(content)
        with pytest.warns(CheckpointWarning, match="is of another run, or of another") as warned:
            assert_same(run(ours), whole)
        assert any(min(replaced) in str(warning.message) for warning in warned)
        for path in ours.iterdir():
            path.unlink()


@pytest.mark.usefixtures("small_steps")
def test_what_else_is_in_the_directory_does_not_matter(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, callback=stop_after(20))
    (tmp_path / "x.state").write_bytes(b"1")
    (tmp_path / "00000-notes.state").write_bytes(b"1")
    (tmp_path / "old.state").mkdir()
    (tmp_path / "00009-000000000001.state").mkdir()
    assert_same(run(tmp_path), run(None))
    assert (tmp_path / "x.state").exists()


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("kind", ["chunk", "state"])
def test_a_directory_in_the_place_of_a_file_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, callback=stop_after(20))
    last = sorted(tmp_path.glob(f"00000-*.{kind}"))[-1]
    last.unlink()
    last.mkdir()
    with (
        pytest.warns(CheckpointWarning, match=f"{last.name} is damaged"),
        pytest.raises(CheckpointError, match=f"{last.name} could not be written"),
    ):
        run(tmp_path)


@pytest.mark.parametrize("name", ["plan.json", "plan.copy.json"])
def test_one_damaged_plan_is_made_anew_from_the_other(name: str, tmp_path: Path) -> None:
    """Torn, or one digit changed: the chunks are sound and are used."""
    first = run(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for damaged in (b"", whole[:100], whole.replace(b'"replicas": 200', b'"replicas": 201')):
        assert damaged != whole
        (tmp_path / name).write_bytes(damaged)
        with pytest.warns(CheckpointWarning, match=rf"{name} is damaged"):
            assert_same(run(tmp_path), first)
        assert (tmp_path / name).read_bytes() == whole
    (tmp_path / name).unlink()  # as if killed between the two
    run(tmp_path)
    assert (tmp_path / name).read_bytes() == whole


def test_a_second_run_in_the_same_directory_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    refusals = []

    def callback(_: Progress) -> None:
        torn = tmp_path / ".being-written.tmp"
        torn.write_bytes(b"half")
        with pytest.raises(CheckpointError, match="in use by another process") as refusal:
            run(tmp_path)
        refusals.append(refusal)
        assert torn.exists()

    assert_same(run(tmp_path, callback=callback), run(None))
    assert refusals
    run(tmp_path)  # free again
    assert not (tmp_path / ".being-written.tmp").exists()


ORPHANING = """
import os, sys, time
from pathlib import Path
from thermo.run.directory_lock import DirectoryLock

lock = DirectoryLock(Path(sys.argv[1]))
if os.fork() == 0:
    print(os.getpid(), flush=True)  # by the child: its copy of the lock is closed by now
    os.close(1)
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


def test_the_lock_of_another_process_ends_with_it_even_if_a_child_lives_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANING, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(CheckpointError, match="in use by another process"):
                DirectoryLock(tmp_path)
            holder.kill()
            holder.wait()
            DirectoryLock(tmp_path).release()
        finally:
            holder.kill()
            os.kill(child, signal.SIGKILL)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()  # which not even root can open as a file
    with pytest.raises(CheckpointError, match="cannot be read and written"):
        run(tmp_path)


@pytest.mark.parametrize("path", [5, "a\0b", b"run", True])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"checkpoint = .* was given; accepted: a str"):
        run(path)


@pytest.mark.parametrize("start", ["one", "each"])
def test_given_starts_are_part_of_what_the_run_is(start: str, tmp_path: Path) -> None:
    """One configuration for all chains is the same run as the same one for each of them."""
    one = np.tile([1, -1], 8)
    each = np.tile(one, (3, 200, 1))
    first = run(tmp_path, start={"one": one, "each": each}[start])
    assert_same(run(tmp_path, start=each if start == "one" else one), first)
    each[2, 199, 15] *= -1
    with pytest.raises(CheckpointError, match="start = "):
        run(tmp_path, start=each)


def snapshot_of(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.iterdir()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 3}, "seed = 20261120 there and 3 here"),
        ({"beta": [-0.3, 0.0, 0.25]}, "beta = "),
        ({"sweeps": 63}, "draws = 20 there and 21 here"),
        ({"update": "heat_bath"}, "update = 'metropolis' there and 'heat_bath' here"),
        ({"model": Ising(square(4), field=0.5)}, "model field = 0.0 there and 0.5 here"),
        ({"model": Ising(square(5))}, "model length = 4 there and 5 here"),
        ({"start": "ordered"}, "start = "),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_and_left_alone(
    changes: dict, words: str, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, callback=stop_after(1))
    before = snapshot_of(tmp_path)
    with pytest.raises(CheckpointError, match=words):
        run(tmp_path, **changes)
    assert snapshot_of(tmp_path) == before


def test_the_checkpoint_of_other_versions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, callback=stop_after(1))
    plan = json.loads((tmp_path / "plan.json").read_text())
    del plan["sha256"]
    plan["versions"]["numpy"] = "1.0"
    for name in ("plan.json", "plan.copy.json"):
        (tmp_path / name).write_bytes(checkpoint._with_digest(plan))
    with pytest.raises(CheckpointError, match="versions"):
        run(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"format": "holiday plan"}', b"\xff"])
def test_a_damaged_or_foreign_plan_is_refused_and_left_alone(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"plan\.json is damaged or was written by another"):
        run(tmp_path)
    assert snapshot_of(tmp_path) == {"plan.json": content}


def test_a_directory_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(CheckpointError, match=r"holds 'thesis\.tex' and no run"):
        run(tmp_path)
    assert snapshot_of(tmp_path) == {"thesis.tex": b"precious"}
    with pytest.raises(CheckpointError, match="cannot be made"):
        run(tmp_path / "thesis.tex")


def test_the_bits_do_not_depend_on_where_the_way_is_cut(tmp_path: Path) -> None:
    """Cuts at random places, also between the sweeps of one draw, against no cut at all."""
    whole = run(None)
    generator = np.random.default_rng(SEED)
    seen: list[int] = []

    class Cut(live_batch.LiveBatch):
        def advance(self, end: int) -> Chunk:
            seen.append(end)
            return super().advance(end)

    for _ in range(3):
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(workers, "_FIRST_MOVES", int(generator.integers(1, 20)) * 16 * 512)
            patch.setattr(workers, "_SECONDS", float(10 ** generator.uniform(-6, -2)))
            patch.setattr(chains, "LiveBatch", Cut)
            assert_same(run(None), whole)
    assert any((end - 25) % 3 for end in seen)


@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")  # they are too short
@pytest.mark.parametrize("update", ["metropolis", "wolff", "swendsen_wang"])
def test_not_even_the_sign_of_a_zero_depends_on_it(
    update: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many draws of few chains are measured in lanes, one by one in the scalar kernel."""

    def series() -> dict[str, np.ndarray]:
        return simulate(
            Ising(square(6)), [0.0, 0.3], 48, burn_in=7, replicas=8, update=update, seed=SEED
        ).series

    whole = series()
    assert (whole["energy"] == 0.0).any()
    monkeypatch.setattr(workers, "_FIRST_STEPS", 1)
    monkeypatch.setattr(workers, "_SECONDS", 0.0)
    for name, values in series().items():
        assert values.tobytes() == whole[name].tobytes()
