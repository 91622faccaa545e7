"""The script that measures what weight noise costs, at a tiny setting."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch")

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_rows_are_measured_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of the clock is looked at: only that rows are there, predicted, and resumed."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    script = import_module("weight_noise")
    # What the predictions are made of takes a while, and 256 MB.
    monkeypatch.setattr(script, "speeds", lambda: script.Speeds(0.02, 0.04, 0.06, 0.8, 15e3))
    monkeypatch.setattr(script, "numpy_number", lambda: 8.0)
    record = tmp_path / "record.json"

    def run(*names: str) -> dict:
        arguments = ["weight_noise.py", "--tiny", "--json", str(record), "--only", *names]
        monkeypatch.setattr(sys, "argv", arguments)
        script.main()
        return json.loads(record.read_text(encoding="utf-8"))

    first = run("fresh-128", "copies-128", "regenerate-128")
    assert first["names"] == ["fresh-128", "copies-128", "regenerate-128"]
    second = run("batch-128", "frozen-128-16", "text-128")
    assert second["names"] == [
        "fresh-128", "frozen-128-16", "copies-128", "text-128", "batch-128", "regenerate-128",
    ]  # fmt: skip
    lines = [dict(zip(second["columns"], row, strict=True)) for row in second["rows"]]
    assert second["rows"][0] == first["rows"][0]
    for line in lines:
        assert line["ratio"] == pytest.approx(line["noisy, ms"] / line["clean, ms"])
        assert line["predicted"] > 1
    monkeypatch.setattr(sys, "argv", ["weight_noise.py", "--only", "nonsense"])
    with pytest.raises(SystemExit):
        script.main()
