"""What ``import llm_bridge`` alone gives."""

from __future__ import annotations

import subprocess
import sys


def test_packages_need_no_import_of_their_own() -> None:
    """``llm_bridge.langevin`` and the others are there, and loaded when they are first wanted."""
    code = (
        "import sys, llm_bridge\n"
        "assert 'torch' not in sys.modules\n"
        "assert {'brownian', 'errors', 'kin', 'langevin'} <= set(dir(llm_bridge))\n"
        "llm_bridge.langevin.sgld, llm_bridge.kin.dropping, llm_bridge.brownian.calibrate\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert run.returncode == 0, run.stderr
