"""How often rounding changes the likeliest and the least likely token of the demo model.

The same held-out text is read in ways that differ in rounding alone, compared with a reference:
computed in float32, one sequence at a time, whole, with one thread. First other precisions, of the
stored logits, of the computation and of the weights; then what should make no difference at all:
the batch, padding, threads, a key-value cache; and those again in bfloat16 against a bfloat16
reference. Usage: ``python benchmarks/noise_floor.py [--json FILE] [--sequences 16] [--tokens 256]
[--tiny]``. Takes about a minute of a core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

from llm_bridge.brownian.quantised_linear import quantised_model
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.noise_floor import EndChanges, NoiseFloor, noise_floor
from llm_bridge.readings import in_precision, read, read_in_steps, stored_as
from thermo.run.progress_bar import progress_bar

COLUMNS = [
    "reading",
    "rms Δz",
    "largest |Δz|",
    "argmax changed, %",
    "over gaps up to",
    "ties",
    "argmin changed, %",
    "over gaps up to ",
    "ties ",
]


def in_threads(threads: int, work: Callable[[], np.ndarray]) -> np.ndarray:
    """What `work` returns with so many threads of torch."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return work()
    finally:
        torch.set_num_threads(before)


Reading = Callable[[], np.ndarray]


def same_arithmetic(
    model: LanguageModel, ids: np.ndarray, reference: np.ndarray, name: str
) -> list[tuple[str, Reading, Reading]]:
    """Readings that exact arithmetic would not tell apart: name, reference and the other."""
    context = model.context_length or ids.shape[1] + 37
    padding = max(0, min(37, context - ids.shape[1]))
    alone = cache(lambda: read_in_steps(model, ids))
    whole = [
        ("again", lambda: read(model, ids)),
        ("in a batch", lambda: read(model, ids, batch=len(ids))),
        ("padded", lambda: read(model, ids, padding=padding)),
        ("two threads", lambda: in_threads(2, lambda: read(model, ids))),
        ("chunks of 32", lambda: read_in_steps(model, ids, step=32)),
        ("token by token", alone),
    ]
    jobs: list[tuple[str, Reading, Reading]] = [
        (f"{name}, {what}", lambda: reference, work) for what, work in whole
    ]
    together = lambda: read_in_steps(model, ids, batch=len(ids))  # noqa: E731
    return [*jobs, (f"{name}, token by token: alone, in a batch", alone, together)]


def row_of(name: str, floor: NoiseFloor) -> list[Any]:
    """One line of the table."""
    cells: list[Any] = [name, floor.rms, floor.largest]
    for end in (floor.top, floor.bottom):
        low, high = end_interval(end)
        cells += [f"{100 * end.share:.3g} ({100 * low:.2g}–{100 * high:.2g})", end.largest_gap]
        cells.append(end.tied)
    return cells


def end_interval(end: EndChanges) -> tuple[float, float]:
    """Wilson's 95 % of the share of positions that changed."""
    from thermo.estimate.proportion import wilson_interval

    return wilson_interval(int(end.changed.sum()), end.changed.size, 1.96)


def curve_of(end: EndChanges) -> dict[str, Any]:
    """The share that changed against the gap, for the picture."""
    interval = np.where(np.isnan(end.interval()), -1.0, end.interval())  # JSON has no NaN
    return {
        "edges": end.edges.tolist(),
        "positions": end.positions.tolist(),
        "changes": end.changes.tolist(),
        "interval": interval.tolist(),
        "median_gap": float(np.median(end.gap)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    options = parser.parse_args()
    if options.tiny:
        options.sequences, options.tokens = 2, 16
    import torch

    torch.set_num_threads(1)
    model = load_model("demo")
    text = model.held_out_text
    assert text is not None
    wanted = options.sequences * options.tokens
    ids = model.encode(text)[:wanted].reshape(options.sequences, options.tokens)

    half = in_precision(model, "bfloat16")
    reference = read(model, ids)
    half_reference = read(half, ids)
    precisions: list[tuple[str, Reading]] = [
        ("float64 computation", lambda: read(in_precision(model, "float64"), ids)),
        ("float16 logits", lambda: stored_as(reference, "float16")),
        ("bfloat16 logits", lambda: stored_as(reference, "bfloat16")),
        ("float16 computation", lambda: read(in_precision(model, "float16"), ids)),
        ("bfloat16 computation", lambda: half_reference),
        ("8-bit weights", lambda: read(quantised_model(model), ids)),
        ("8-bit weights, groups of 32", lambda: read(quantised_model(model, group=32), ids)),
    ]
    jobs = [
        *((name, lambda: reference, work) for name, work in precisions),
        *same_arithmetic(model, ids, reference, "float32"),
        *same_arithmetic(half, ids, half_reference, "bfloat16"),
    ]
    rows, curves = [], {}
    with progress_bar(True, len(jobs), unit="reading", what="reading") as bar:
        for name, against, work in jobs:
            size = model.vocabulary_size
            floor = noise_floor(against().reshape(-1, size), work().reshape(-1, size), model.valid)
            rows.append(row_of(name, floor))
            curves[name] = {
                "rms": floor.rms,
                "top": curve_of(floor.top),
                "bottom": curve_of(floor.bottom),
            }
            bar.update()
    title = f"{wanted} positions of held-out text, read in {len(rows)} ways"
    print_table(title, COLUMNS, rows)
    write_record(
        options.json,
        title,
        f"The demo model, {options.sequences} sequences of {options.tokens} tokens of held-out "
        "library text. Δz in nats, with each position's mean taken off; shares with Wilson's 95 %. "
        "The lines that begin with bfloat16, are against a bfloat16 reading of whole sequences one "
        "by one, the others against such a reading in float32; “alone, in a batch” compares two.",
        COLUMNS,
        rows,
        machine("torch", "transformers"),
        curves=curves,
    )


if __name__ == "__main__":
    main()
