"""The script that measures what rounding leaves of noise, at a tiny setting."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_script_at_a_tiny_setting(tmp_path: Path) -> None:
    """Its predictions are exact or have a tolerance, its seeds are fixed: none may disagree."""
    script = Path(__file__).parents[3] / "benchmarks" / "quantised_noise.py"
    record = tmp_path / "record.json"
    run = subprocess.run(
        [sys.executable, script, "--tiny", "--json", record],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "0 of 108 predictions are refuted." in run.stdout
    lines = json.loads(record.read_text(encoding="utf-8"))
    assert {row[0] for row in lines["rows"]} == {11}
    assert len(lines["rows"]) == 108
    assert {row[-1] for row in lines["rows"]} <= {
        "confirmed",
        "confirmed within 10 %",
        "too rough",
    }
    table = json.loads((tmp_path / "record_table.json").read_text(encoding="utf-8"))
    assert [row[1] for row in table["rows"]] == 3 * [0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0]
    assert {len(row) for row in table["rows"]} == {len(table["columns"])}
