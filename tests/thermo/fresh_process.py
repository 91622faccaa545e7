"""Code run in a fresh process, where Numba compiles the kernels anew under other settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def in_fresh_process(code: str, cache: Path, **environment: str) -> list[str]:
    """Run `code`, which may import the tests; return the words it prints.

    Parameters
    ----------
    code : str
    cache : Path
        An empty folder for what is compiled, so that nothing from before is taken.
    **environment : str
        Settings of Numba, such as ``NUMBA_BOUNDSCHECK="1"``.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {[str(ROOT), str(HERE)]}\n{code}"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
