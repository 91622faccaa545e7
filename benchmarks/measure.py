"""How the benchmarks time, and what they write down: one JSON record each, with its machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["machine", "median_speed", "print_table", "write_record"]


def median_speed(work: Callable[[], object], operations: int, repeats: int) -> dict[str, float]:
    """Time `work`, which does so many operations, after one untimed call; per nanosecond.

    Speeds by the clock on the wall, and by processor time (``per_core``), which on a machine shared
    with others is the fairer one.
    """
    work()
    wall, processor_time = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        work()
        wall.append(operations / (time.perf_counter() - start) / 1e9)
        processor_time.append(operations / (time.process_time() - busy) / 1e9)
    return {
        "median": statistics.median(wall),
        "least": min(wall),
        "most": max(wall),
        "per_core": statistics.median(processor_time),
    }


def machine(*packages: str) -> dict[str, Any]:
    """Hardware and versions, among them those of `packages` where they are installed."""
    versions = {}
    for name in ("spinlogit", "numba", "llvmlite", "numpy", "scipy", *packages):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "load": list(os.getloadavg()),
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    """Name of the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        text = cpuinfo.read_text(encoding="utf-8")
        names = [line for line in text.splitlines() if line.startswith("model name")]
        vector = "AVX-512" if " avx512f" in text else "AVX2" if " avx2" in text else "no AVX2"
        if names:
            return f"{names[0].split(':', 1)[1].strip()}, {vector}"
    return platform.processor() or platform.machine()


def print_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print rows of text and numbers under each other."""
    cells = [columns, *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(columns))]
    print(title)
    for row in cells:
        first, *others = [cell.ljust(w) if k == 0 else cell.rjust(w)
                          for k, (cell, w) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        print("  ".join([first, *others]))
    print()


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write_record(
    path: Path | None,
    title: str,
    settings: str,
    columns: list[str],
    rows: list[list[Any]],
    host: dict[str, Any],
    **more: Any,
) -> None:
    """Write the record from which a page of the documentation makes its table."""
    if path is None:
        return
    record = {
        "title": title,
        "settings": settings,
        "columns": columns,
        "rows": rows,
        "machine": host,
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
