"""The script that measures what rounding leaves of noise, at a tiny setting."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_script_at_a_tiny_setting(tmp_path: Path) -> None:
    """Its predictions are exact or have a tolerance, its seeds are fixed: none may disagree."""
    script = Path(__file__).parents[2] / "benchmarks" / "quantised_noise.py"
    record = tmp_path / "record.json"
    run = subprocess.run(
        [sys.executable, script, "--tiny", "--json", record],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "0 of 45 predictions disagree." in run.stdout
    table = json.loads(record.read_text(encoding="utf-8"))
    assert [row[1] for row in table["rows"]] == 3 * [0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0]
    assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    logits = json.loads((tmp_path / "record_logits.json").read_text(encoding="utf-8"))
    assert len(logits["rows"]) == 24
    assert {row[-1] for row in [*table["rows"], *logits["rows"]]} <= {
        "agrees",
        "agrees within 10 %",
        "agrees: gone",
        "too rough",
    }
