"""The script that holds the theory of weight noise against the demo model."""

from __future__ import annotations

import json
import math
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    path = sys.path.copy()
    sys.path.insert(0, str(FOLDER))
    try:
        return runpy.run_path(str(FOLDER / "weight_noise_theory.py"))
    finally:
        sys.path[:] = path


def test_verdicts(script: dict[str, Any]) -> None:
    verdict = script["verdict"]
    assert verdict(1.0, 1.04, 0.0) == "confirmed"
    assert verdict(1.0, 1.06, 0.0) == "refuted"
    assert verdict(1.0, 1.06, 0.03) == "confirmed"
    assert verdict(0.0, 0.1, 0.01) == "refuted"
    assert verdict(1.0, math.nan, 0.1) == "refuted"
    row = script["judged"]("1", "what", 1.0, 1.2, 0.1, paired=True)
    assert row == ["1", "what", 1.0, 1.2, 0.1, "refuted"]  # its error is no excuse


def test_winners_of_a_race(script: dict[str, Any]) -> None:
    """Two tokens: Φ(Δ/s√2). Many: against a million draws, |z| < 5."""
    gap, size = 0.8, 0.6
    expected = float(ndtr(gap / (size * math.sqrt(2))))
    two = np.array([[gap, 0.0], [3.0, 3.0]])
    assert script["winners"](two, size)[:, 0] == pytest.approx([expected, 0.5], abs=1e-6)
    stays = script["stays_on_top"](two, np.full((2, 1), size))
    assert stays == pytest.approx([expected, 0.5], abs=1e-6)
    many = np.array([[0.3, 1.0, -0.5, 0.9]])
    drawn = many + size * np.random.default_rng(6).normal(size=(1_000_000, 4))
    share = np.bincount(drawn.argmax(axis=1), minlength=4) / 1e6
    p = script["winners"](many, size)[0]
    assert np.abs((share - p) / np.sqrt(p * (1 - p) / 1e6)).max() < 5
    assert script["stays_on_top"](many, np.array([[size]]))[0] == pytest.approx(p[1], abs=1e-5)


def test_at_a_tiny_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "record.json"
    arguments = ["--tiny", "--only", "5", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["weight_noise_theory.py", *arguments])
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    runpy.run_path(str(FOLDER / "weight_noise_theory.py"), run_name="__main__")
    record = json.loads(out.read_text(encoding="utf-8"))
    assert {len(row) for row in record["rows"]} == {len(record["columns"])}
    found = {row[1]: row for row in record["rows"]}
    assert found["two tokens: s/T of equal slopes"][3] == pytest.approx(2 / math.sqrt(math.pi))
    assert set(record["races"]) == {"edges", "Gaussian", "Gumbel"}
