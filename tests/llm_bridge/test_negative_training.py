"""Training on text from T < 0: the script runs, goes on where it was, and measures rightly."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "negative_training.py"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of benchmarks can be imported from; threads are as before afterwards."""
    import torch

    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def measures(scripts: None) -> ModuleType:
    return importlib.import_module("negative_training")


@pytest.fixture
def students(scripts: None) -> ModuleType:
    return importlib.import_module("students")


def test_a_stage_that_is_lost_is_made_again_alike(students: ModuleType, tmp_path: Path) -> None:
    students.make_student("T = −1", students.TINY, tmp_path, progress=False)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    names = {"corpus T=-1", "student T=-1", "texts T=-1 at +1", "texts T=-1 at -1"}
    assert set(kept) == {f"{name}.npz" for name in names}
    (tmp_path / "student T=-1.npz").unlink()
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    students.make_student("T = −1", students.TINY, tmp_path, progress=False)
    assert times.items() <= {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}.items()
    with np.load(tmp_path / "student T=-1.npz") as file:
        again = {name: file[name] for name in file.files}
    (tmp_path / "before.npz").write_bytes(kept["student T=-1.npz"])
    with np.load(tmp_path / "before.npz") as file:
        assert all(np.array_equal(file[name], array) for name, array in again.items())
    texts = students.texts_of("T = −1", -1.0, tmp_path)
    assert texts["ids"].shape == texts["entropy"].shape == (4, 12)


def test_students_learn(students: ModuleType) -> None:
    """A corpus of one token after another in a ring: after some steps the loss has fallen."""
    from dataclasses import replace

    import torch

    ring = np.arange(64 * 16).reshape(64, 16) % 7 + 5
    settings = replace(students.TINY, length=16, width=32, feed_forward=64, steps=60, batch=8)
    weights = students.train(settings, ring, progress=False)
    module = students.new_student(settings).eval()
    tokens = torch.from_numpy(ring[:8])

    def loss() -> float:
        with torch.no_grad():
            logits = module(input_ids=tokens[:, :-1]).logits
        return float(torch.nn.functional.cross_entropy(logits.mT, tokens[:, 1:]))

    fresh = loss()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    assert loss() < fresh - 3.0


@pytest.mark.slow
def test_the_script_at_a_tiny_setting(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--tiny", "--folder", str(tmp_path / "stages")]
    record = tmp_path / "record.json"
    subprocess.run([*command, "--json", str(record)], capture_output=True, check=True)
    found = json.loads(record.read_text(encoding="utf-8"))
    assert len(list((tmp_path / "stages").rglob("*.npz"))) == 4 + 4 + 8
    loss = {text["name"]: text["cross_entropy"][0] for text in found["texts"]}
    assert "student of T = −1, at T = −1" in loss
    assert loss["real, held out"] < loss["tokens at random"] < loss["demo model at T = −1"]
    assert found["students"][0]["name"] == "T = −1"


def test_divergence_of_unigrams(measures: ModuleType) -> None:
    real = np.array([49.5, 29.5, 19.5, 0.0])
    p = np.array([0.5, 0.25, 0.25, 0.0])
    q = np.array([50.0, 30.0, 20.0, 0.5]) / 100.5
    expected = float((p[:3] * np.log(p[:3] / q[:3])).sum())
    assert measures.unigram_divergence(8 * p, real) == pytest.approx(expected)
    many = measures.unigram_divergence(np.stack([8 * p, 8 * q]), real)
    assert many.shape == (2,)
    assert many[1] == pytest.approx(0.0, abs=1e-12)


def test_errors_come_from_sequences_and_not_from_tokens(measures: ModuleType) -> None:
    """Tokens that are all alike within a sequence count once."""
    rng = np.random.default_rng(20261123)
    per_sequence = rng.normal(size=(200, 1))
    value, error = measures.mean_error(np.repeat(per_sequence, 50, axis=1), 400)
    assert value == pytest.approx(per_sequence.mean())
    assert error == pytest.approx(per_sequence.std() / np.sqrt(200), rel=0.15)


def test_surprisal_is_that_of_a_record(measures: ModuleType) -> None:
    from llm_bridge.models import load_model

    model = load_model("demo")
    ids = model.encode("def energy(spins):\n    return -sum(spins)\n")[:10]
    logits = model.logits(np.concatenate([[0], ids[:-1]])).astype(np.float64)
    expected = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(ids.size), ids]
    assert np.allclose(measures.surprisal(model, np.stack([ids, ids]))[1], expected, atol=1e-4)
