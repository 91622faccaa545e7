"""The script that makes the page's numbers runs, at a tiny setting."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[3] / "benchmarks"


def test_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    path = tmp_path / "record.json"
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", ["learning_coefficient.py", "--tiny", "--json", str(path)])
    try:
        runpy.run_path(str(FOLDER / "learning_coefficient.py"), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert "predictions" in capsys.readouterr().out
    assert all(len(row) == len(record["columns"]) for row in record["rows"])
    assert {row[0] for row in record["rows"]} == {8, 9, 10, None}
    assert {"5 → 3 → 5", "prior", "step"} <= set(record["curves"])
