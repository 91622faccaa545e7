"""Thermodynamics of a batch of logits at many signed β: one pass over them against a loop over β.

Logits are normal, σ = 2.5, as float32; β goes from −10 to 10. The bins of one pass are as many as
the range of the logits needs, so wide spectra follow: σ = 10, σ = 30 (too wide for bins at steep
β), and one logit of each position at +60. Times are the best of several, by the clock on the wall
and by processor time (of all threads), every program with the same number of threads; ratios are of
processor time, from one run. The loop over β takes ln Z, U, Var(E), S and Σp² in float32. Errors
are against direct summation in float64, those of the wide spectra at the first four positions.
Memory is what is allocated at the peak, results included, without the logits. Usage: ``python
benchmarks/logit_thermodynamics.py [--json FILE] [--rows 64] [--vocabulary 151936] [--betas 100]``.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

from llm_bridge.error_bounds import BoundedThermodynamics
from llm_bridge.spectrum import thermodynamics

COLUMNS = [
    "program",
    "wall, ms",
    "processor, ms",
    "in softmaxes",
    "largest |Δ ln Z|",
    "guaranteed",
    "memory / logits",
]
TOLERANCES = (1e-4, 1e-6, 1e-8)


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What one call returns, and its milliseconds by the wall and of the processor."""
    start, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, (
        1e3 * (time.perf_counter() - start),
        1e3 * (time.process_time() - processor),
    )


def best_times(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Least milliseconds by the wall and of the processor, after one untimed call."""
    work()
    wall, busy = zip(*(timed(work)[1] for _ in range(repeats)), strict=True)
    return min(wall), min(busy)


def loop_over_beta(logits: Any, betas: np.ndarray) -> np.ndarray:
    """ln Z (N, B), with the other fields made and dropped, as a loop in torch would do it."""
    import torch

    log_z = np.empty((len(logits), betas.size))
    for k, beta in enumerate(betas.tolist()):
        scaled = beta * logits
        z = torch.logsumexp(scaled, -1)
        p = torch.softmax(scaled, -1)
        mean = (p * logits).sum(-1)
        (p * (logits - mean[:, None]) ** 2).sum(-1)
        (p * p).sum(-1)
        log_z[:, k] = z.double().numpy()
    return log_z


def working_memory(work: Callable[[], object]) -> int:
    """Bytes allocated through numpy at the peak of one call."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def largest_error(state: BoundedThermodynamics, exact: np.ndarray) -> np.ndarray:
    """Largest |Δ ln Z| over the rows, at each β."""
    return np.abs(state.log_partition_function - exact).max(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--betas", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(20261121)
    logits = rng.normal(0, 2.5, (options.rows, options.vocabulary)).astype(np.float32)
    tensor = torch.from_numpy(logits)
    betas = np.linspace(-10, 10, options.betas)

    outlier = logits.copy()
    outlier[:, 7] = 60.0
    wide = {"σ = 10": 4 * logits, "σ = 30": 12 * logits, "a logit at +60": outlier}

    def one_pass(
        number: np.ndarray, tolerance: float = 1e-6, of: np.ndarray = logits
    ) -> BoundedThermodynamics:
        return thermodynamics(
            of, number, method="binned", tolerance=tolerance, threads=options.threads
        )

    softmax = best_times(lambda: torch.softmax(tensor, -1), options.repeats)
    binned = best_times(lambda: one_pass(betas), options.repeats)
    wide_times = {
        name: best_times(lambda z=z: one_pass(betas, of=z), options.repeats)
        for name, z in wide.items()
    }
    loop_over_beta(tensor, betas[:1])
    loop_log_z, loop = timed(lambda: loop_over_beta(tensor, betas))
    state, direct = timed(lambda: thermodynamics(logits, betas, method="direct"))
    exact = state.log_partition_function

    states = {tolerance: one_pass(betas, tolerance) for tolerance in TOLERANCES}
    error = {tolerance: largest_error(state, exact) for tolerance, state in states.items()}
    bound = {
        tolerance: state.error_bound.log_partition_function.max(axis=0)
        for tolerance, state in states.items()
    }
    memory = working_memory(lambda: one_pass(betas)) / logits.nbytes
    loop_error = float(np.abs(loop_log_z - exact).max())

    def row(name: str, times: tuple[float, float], *more: float | None) -> list[Any]:
        return [name, *times, times[1] / softmax[1], *more]

    def wide_row(name: str) -> list[Any]:
        few = wide[name][:4]
        state = one_pass(betas, of=few)
        exact = thermodynamics(few, betas, method="direct").log_partition_function
        return row(
            f"the same, {name}",
            wide_times[name],
            float(largest_error(state, exact).max()),
            float(state.error_bound.log_partition_function.max()),
            working_memory(lambda: one_pass(betas, of=wide[name])) / logits.nbytes,
        )

    rows = [
        row("torch.softmax, once", softmax, None, None, None),
        row("one pass, tolerance 1e-6", binned, float(error[1e-6].max()),
            float(bound[1e-6].max()), memory),
        *(wide_row(name) for name in wide),
        row("loop over β, torch float32", loop, loop_error, None, None),
        row("direct summation, float64", direct, 0.0, None, None),
    ]  # fmt: skip
    counts = [n for n in (1, 3, 10, 30, 100, 300) if n <= 3 * options.betas]
    growth = {
        "betas": counts,
        "one_pass_ms": [
            best_times(lambda n=n: one_pass(np.linspace(-10, 10, n)), 3)[1] for n in counts
        ],
        "loop_ms_per_beta": loop[1] / options.betas,
        "softmax_ms": softmax[1],
    }
    title = f"Thermodynamics of {options.rows} × {options.vocabulary} logits at {options.betas} β"
    print_table(title, COLUMNS, rows)
    write_record(
        options.json,
        title,
        f"{options.rows} × {options.vocabulary} float32 logits, normal with σ = 2.5; "
        f"{options.betas} β from −10 to 10; {options.threads} threads each; best of "
        f"{options.repeats}, of the last two rows once.",
        COLUMNS,
        rows,
        machine("torch"),
        growth=growth,
        betas=betas.tolist(),
        errors=[[t, error[t].tolist(), bound[t].tolist()] for t in TOLERANCES],
    )


if __name__ == "__main__":
    main()
