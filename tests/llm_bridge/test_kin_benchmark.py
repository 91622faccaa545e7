"""The script that makes the page's numbers runs, at a tiny setting."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    path = tmp_path / "record.json"
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", ["kin.py", "--tiny", "--json", str(path)])
    monkeypatch.setitem(sys.modules, "laplace", None)  # installed or not: as if not
    try:
        with torch.random.fork_rng():
            runpy.run_path(str(FOLDER / "kin.py"), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    record = json.loads(path.read_text(encoding="utf-8"))
    printed = capsys.readouterr().out
    assert "predictions" in printed
    assert "left out: Laplace" in printed
    assert all(len(row) == len(record["columns"]) for row in record["rows"])
    assert {row[0] for row in record["rows"]} == {12, 13, None}
    exact = [row for row in record["rows"] if row[1].endswith((": β", "above the teacher's"))]
    assert len(exact) == 9
    assert {row[-1] for row in exact} == {"confirmed within 0.1 %"}
