"""Records of logits: what they take on disk and in memory, and what k log-probabilities leave open.

The same rows of the demo model's logits in files of every float type; how long a load takes, and a
first pass over them, at β = 1, with the memory of each, interpreter and libraries not counted. Then
the bounds that `TopLogprobs` gives from the k largest log-probabilities of each position, beside
the truth. Usage: ``python benchmarks/records.py [--json FILE] [--positions 400] [--rows 8192]
[--tiny]``. Beside FILE, ``…_bounds`` is written. Takes half a minute of a core.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

from llm_bridge.logits import LogitRecord, record_logits
from llm_bridge.models import load_model
from llm_bridge.spectrum import thermodynamics
from llm_bridge.top_logprobs import TopLogprobs

FILE_COLUMNS = [
    "file",
    "on disk, MB",
    "load, s",
    "memory, MB",
    "S at β = 1, s",
    "memory more, MB",
    "changes S by, nats",
]
LISTED = (5, 20, 100)
BETAS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
BOUND_COLUMNS = [
    "β",
    "S, nats",
    *(f"ΔS at k = {k}" for k in LISTED),
    "F, nats",
    *(f"ΔF at k = {k}" for k in LISTED),
]
BELOW = np.linspace(-2.0, 0.0, 21)
ABOVE = np.concatenate([np.linspace(0.05, 1.0, 20), np.linspace(1.1, 4.0, 30)])


def write_files(folder: Path, logits: np.ndarray, ids: np.ndarray) -> list[tuple[str, Path]]:
    """The same logits in files of every type, by other programs and by `LogitRecord.save`."""
    import torch
    from safetensors.torch import save_file

    record = LogitRecord(logits, ids)
    files = [("float32", folder / "float32.safetensors"), ("float32, npz", folder / "float32.npz")]
    for _, path in files:
        record.save(path)
    for name in ("float16", "bfloat16"):
        path = folder / f"{name}.safetensors"
        rows = torch.from_numpy(logits).to(getattr(torch, name))
        save_file({"logits": rows, "token_ids": torch.from_numpy(ids)}, path)
        files.append((name, path))
    for name, save in (("npz", np.savez), ("npz, compressed", np.savez_compressed)):
        path = folder / f"float16-{len(name)}.npz"
        save(path, logits=logits.astype(np.float16), token_ids=ids)
        files.append((f"float16, {name}", path))
    return files


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What `work` returns, its processor time, and, of a second call, the memory it takes, MB."""
    start = time.process_time()
    work()
    seconds = time.process_time() - start
    tracemalloc.start()
    found = work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, seconds, most / 1e6


def file_rows(logits: np.ndarray, ids: np.ndarray) -> list[list[Any]]:
    """A line for each file. Logits that stay in a file count as no memory."""
    rows: list[list[Any]] = []
    truth = entropy_at_one(LogitRecord(logits, ids))
    with TemporaryDirectory() as folder:
        for name, path in write_files(Path(folder), logits, ids):
            record, load, memory = measured(lambda path=path: LogitRecord.load(path))
            found, first, more = measured(lambda record=record: entropy_at_one(record))
            changed = float(np.abs(found - truth).max())
            rows.append([name, path.stat().st_size / 1e6, load, memory, first, more, changed])
    return rows


def entropy_at_one(record: LogitRecord) -> np.ndarray:
    """S of every position, read row by row."""
    return thermodynamics(record.logits, 1.0, record.valid, method="binned", threads=1).entropy


def free_energy(top: TopLogprobs, beta: float) -> tuple[float, float]:
    """Bounds of the mean of F = −ln Z/β; in the gauge with Z(1) = 1, F(1) = 0."""
    z = top.log_partition_function(beta)
    return float(-z.upper.mean() / beta), float(-z.lower.mean() / beta)


def entropy(top: TopLogprobs, beta: float) -> tuple[float, float]:
    s = top.entropy(beta)
    return float(s.lower.mean()), float(s.upper.mean())


def bounds(record: LogitRecord) -> tuple[list[list[Any]], dict[str, Any]]:
    """The table, and curves for the picture: averages over the positions."""
    z = record.logits[:, record.valid].astype(np.float64)
    z -= np.logaddexp.reduce(z, axis=1)[:, None]
    tops = {k: TopLogprobs.from_record(record, k) for k in LISTED}

    def exact(beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        state = thermodynamics(z, beta)
        return state.entropy.mean(axis=0), state.free_energy.mean(axis=0)

    rows = []
    for beta, s, f in zip(BETAS, *exact(np.array(BETAS)), strict=True):
        half = [
            float(np.diff(of(tops[k], beta))[0]) / 2
            for of in (entropy, free_energy)
            for k in LISTED
        ]
        n = len(LISTED)
        rows.append([beta, float(s), *half[:n], round(float(f), 6) + 0.0, *half[n:]])
    s, f = exact(ABOVE)
    curves: dict[str, Any] = {
        "beta": ABOVE.tolist(),
        "entropy": s.tolist(),
        "free_energy": f.tolist(),
        "bounds": {
            str(k): {
                "entropy": [entropy(top, beta) for beta in ABOVE.tolist()],
                "free_energy": [free_energy(top, beta) for beta in ABOVE.tolist()],
            }
            for k, top in tops.items()
        },
        "vocabulary": int(record.valid.sum()),
        "below": below_zero(z, LISTED[-1]),
    }
    return rows, curves


def below_zero(log_p: np.ndarray, k: int) -> dict[str, Any]:
    """β < 0: the model, and two others with the same k largest log-probabilities at each position.

    One spreads the rest evenly over the other tokens, the other gives one of them hardly anything.
    """
    order = -np.sort(-log_p, axis=1)
    rest = np.log1p(-np.exp(np.logaddexp.reduce(order[:, :k], axis=1)))
    even = order.copy()
    even[:, k:] = (rest - np.log(order.shape[1] - k))[:, None]
    lone = even.copy()
    lone[:, k:-1] = (rest - np.log(order.shape[1] - k - 1))[:, None]
    lone[:, -1] = -60.0  # of the probability that others have together: 1e−26
    return {"beta": BELOW.tolist(), "listed": k} | {
        name: thermodynamics(rows, BELOW).entropy.mean(axis=0).tolist()
        for name, rows in (("model", log_p), ("even", even), ("lone", lone))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--positions", type=int, default=400)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    options = parser.parse_args()
    if options.tiny:
        options.positions, options.rows = 20, 50
    import torch

    torch.set_num_threads(1)
    model = load_model("demo")
    text = model.held_out_text
    assert text is not None
    record = record_logits(model, text, options.positions)
    again = np.arange(options.rows) % len(record)
    files = file_rows(record.logits[again], record.token_ids[again])
    table, curves = bounds(record)

    size = model.vocabulary_size
    title = f"A record of {options.rows} positions and {size} tokens"
    print_table(title, FILE_COLUMNS, files)
    print_table("Bounds from the largest log-probabilities", BOUND_COLUMNS, table)
    host = machine("torch", "safetensors")
    write_record(
        options.json,
        title,
        f"{options.rows} positions × {size} tokens: logits of the demo model, repeated. Files just "
        "written, so that they are read from the system's cache; seconds of one core. Memory is "
        "what is taken at most; what is mapped from a file does not count.",
        FILE_COLUMNS,
        files,
        host,
    )
    if options.json is not None:
        write_record(
            options.json.with_stem(f"{options.json.stem}_bounds"),
            "Bounds from the largest log-probabilities",
            f"{options.positions} positions of held-out text under the demo model, averages over "
            f"them. Entropy, and free energy F = −ln Z/β with Z(1) = 1, from all {size} logits. "
            "ΔS and ΔF: half the distance of the bounds that the k largest log-probabilities of "
            "each position leave.",
            BOUND_COLUMNS,
            table,
            host,
            curves=curves,
        )


if __name__ == "__main__":
    main()
