"""Verdicts follow from numbers, and the overview of the thirteen experiments from the records."""

from __future__ import annotations

import json
import math
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
NAMES = (
    "weight_noise_theory",
    "weight_noise_ranks",
    "brownian_decoding",
    "learning_coefficient",
    "quantised_noise",
    "kin",
)


@pytest.fixture
def predictions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    return import_module("predictions")


@pytest.fixture
def overview(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "extensions"), *sys.path])
    return import_module("experiments")


@pytest.mark.parametrize(
    ("numbers", "rule", "verdict"),
    [
        ((1.0, 1.29, 0.1), {}, "confirmed"),
        ((0.607, 0.801, 0.052), {}, "refuted"),
        ((1.0, 1.5, 0.1), {"errors": 6.0}, "confirmed"),
        ((1.0, 1.04, 0.001), {"within": 0.05}, "confirmed within 5 %"),
        ((1.0, 1.06, 0.001), {"within": 0.05}, "refuted"),
        ((-1.0, -1.04, 0.001), {"within": 0.05}, "confirmed within 5 %"),
        ((1.0, 1.1, 0.3), {"rough": 0.2}, "too rough"),
        ((0.0, 0.1, 0.2), {"rough": 0.1, "unit": 1.0}, "too rough"),
        ((0.0, 0.1, 0.05), {"rough": 0.1, "unit": 1.0}, "confirmed"),
        ((0.0, 0.0, 0.0), {}, "confirmed"),
        ((0.0, 1e-9, 0.0), {}, "refuted"),
        ((1e-5, 3e-5, 1e-7), {"least": 0.01}, "confirmed: none"),
        ((1e-5, 0.02, 1e-7), {"least": 0.01}, "refuted"),
        ((1.0, 1.2, 0.1), {"within": 0.05, "paired": True}, "refuted"),  # its error is no excuse
        ((1.0, 1.04, 0.1), {"within": 0.05, "paired": True}, "confirmed within 5 %"),
        ((None, 2.0, 0.1), {}, "not foretold"),
        ((1.0, math.nan, 0.1), {}, "not measured"),
    ],
)
def test_verdicts(
    predictions: ModuleType, numbers: tuple[Any, ...], rule: dict[str, Any], verdict: str
) -> None:
    predicted, measured, error = numbers
    line = predictions.Line(1, "q", predicted, measured, error, predictions.Rule(**rule))
    assert line.verdict == verdict
    assert line.cells()[0] == 1
    assert line.cells()[-1] == verdict


def test_verdicts_of_bounds(predictions: ModuleType) -> None:
    def verdict(bound: str, measured: float, error: float) -> str:
        line = predictions.Line(1, "q", 0.0, measured, error, bound=bound)
        assert line.cells()[2] == f"{bound} 0"
        return line.verdict

    assert verdict(">", 0.35, 0.1) == "confirmed"
    assert verdict(">", 0.25, 0.1) == "too rough"
    assert verdict(">", -0.5, 0.1) == "refuted"
    assert verdict("<", -0.5, 0.1) == "confirmed"
    assert verdict(">", 0.0, 0.0) == "refuted"


def test_a_sampler_that_has_not_settled_proves_nothing(predictions: ModuleType) -> None:
    assert predictions.Line(8, "q", 1.0, 1.0, 0.1, settled=False).verdict == "not equilibrated"


def test_every_experiment_has_prediction_measurement_verdict_and_script(
    overview: ModuleType,
) -> None:
    """Of the records that the site shows."""
    records = [
        json.loads((ROOT / f"docs/measured/{name}.json").read_text(encoding="utf-8"))
        for name in NAMES
    ]
    found = overview.gathered(records)
    assert list(found) == list(range(1, 14))
    for each in found.values():
        assert each.keys
        assert each.verdict.startswith(("confirmed", "refuted"))
        assert all(each.foretold)
        for command in each.commands:
            assert (ROOT / command.split()[1]).exists()
        for row in each.keys:
            assert len(row) == len(overview.COLUMNS)


def test_the_verdict_on_an_experiment(overview: ModuleType) -> None:
    verdict = {"confirmed": 2, "confirmed within 5 %": 1, "not foretold": 3}

    def of(**more: int) -> str:
        counts = {**verdict, **{name.replace("_", " "): n for name, n in more.items()}}
        return overview.Found("", verdicts=[w for w, n in counts.items() for _ in range(n)]).verdict

    assert of() == "confirmed (3 of 3 lines)"
    assert of(refuted=2) == "confirmed in part (3 of 5 lines)"
    assert of(too_rough=1) == "confirmed (3 of 3 lines, 1 undecided)"
    assert overview.Found("", verdicts=["refuted"]).verdict == "refuted (1 of 1 lines)"
