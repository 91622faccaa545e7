"""The scripts that hold the theory of weight noise against the demo model."""

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

from llm_bridge.brownian.probit import probit_probabilities

FOLDER = Path(__file__).parents[3] / "benchmarks"


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    return runpy.run_path(str(FOLDER / f"{name}.py"))


def test_the_top_token_stays_as_often_as_the_probit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tokens: Φ(Δ/s√2). More: the multinomial probit, by another quadrature."""
    gap, size = 0.8, 0.6
    stays_on_top = script("weight_noise_ranks", monkeypatch)["stays_on_top"]
    two = np.array([[gap, 0.0], [3.0, 3.0]])
    expected = float(ndtr(gap / (size * math.sqrt(2))))
    stays = stays_on_top(two, np.full((2, 1), size))
    assert stays == pytest.approx([expected, 0.5], abs=1e-6)
    many = np.array([[0.3, 1.0, -0.5, 0.9]])
    p = probit_probabilities(many, size)
    assert stays_on_top(many, np.array([[size]]))[0] == pytest.approx(p[0, 1], abs=1e-5)


def test_pairwise_mean_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formula by hand; equal noise on all logits is softmax at T = √(1 + πs²/4)."""
    pairwise_mean_field = script("weight_noise_ranks", monkeypatch)["pairwise_mean_field"]
    clean = np.array([[1.5, 0.0, -0.5]])
    kicks = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])  # of covariance 1
    found = np.empty(3)
    found[np.argsort(-clean[0])] = np.sort(pairwise_mean_field(clean, clean + kicks[:, None])[0])[
        ::-1
    ]
    heated = np.exp(clean[0] / math.sqrt(1 + math.pi / 4))
    assert found == pytest.approx(heated / heated.sum(), rel=1e-12)


def test_how_far_a_prediction_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    reach = script("weight_noise_theory", monkeypatch)["reach"]
    foretold = np.array([0.1, 0.2, 0.3])
    value, error = reach(foretold, foretold * [1.0, 1.05, 1.15], 0.02 * foretold)
    assert value == pytest.approx(1.25)
    assert error == pytest.approx(0.02)  # 0.02 off, and 0.1 in T for 0.1 in what it is off by
    assert reach(foretold, foretold, 0 * foretold) == (pytest.approx(1.3), 0.0)


def test_swaps_are_counted_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """24 predicted, 26 counted, at four positions where both differ: √(1 + 1 + 4 + 4) pairs."""
    swaps_line = script("weight_noise_ranks", monkeypatch)["swaps_line"]
    predicted, counted = np.array([6, 6, 6, 6, 0.0]), np.array([7, 5, 8, 4, 2.0])
    line = swaps_line("q", np.stack([predicted, counted]), key=False)
    assert (line.predicted, line.measured) == (24 / 225, 26 / 225)
    assert line.error == pytest.approx(math.sqrt(14) / 225)
    alike = swaps_line("q", np.stack([predicted, predicted]), key=False)
    assert alike.error == pytest.approx(1 / 225)


def test_entropy_ends_where_no_pairs_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent fair coins: H₂ = n ln 2 to the end of the range, and the exponent is 1."""
    module = script("noise_along_text", monkeypatch)
    strings = np.random.default_rng(5).integers(2, size=(96, 64))
    line = module["growth"]("fresh", "n", strings)
    assert abs(line.measured - 1.0) < 4 * line.error < 1
    last = int(line.quantity.split(" of ")[3].split(",")[0])
    assert last == pytest.approx(math.log(4560 / 30) / math.log(2), abs=2)
    agree = [math.exp(-h) * 4560 for h in module["pair_entropy"](strings)]
    assert agree[last - 1] > 29.9 > agree[last]


def test_at_a_tiny_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "record.json"
    arguments = ["--tiny", "--only", "5", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["weight_noise_ranks.py", *arguments])
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    runpy.run_path(str(FOLDER / "weight_noise_ranks.py"), run_name="__main__")
    record = json.loads(out.read_text(encoding="utf-8"))
    assert {len(row) for row in record["rows"]} == {len(record["columns"])}
    assert {row[0] for row in record["rows"]} == {5}
    found = {row[1]: row for row in record["rows"]}
    assert found["two tokens: s/T of equal slopes"][3] == pytest.approx(2 / math.sqrt(math.pi))
    assert set(record["races"]) == {"edges", "Gaussian", "Gumbel"}
    assert record["experiments"]["5"]["run"] == "python benchmarks/weight_noise_ranks.py --only 5"
