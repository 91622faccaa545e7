"""What weight noise costs, against the same model without noise, with one thread.

Noise in function space for decoding and for whole texts, fresh and frozen, and the other machines
beside it. Whole texts are what a user calls, `sample_logits` against `LanguageModel.logits`. Every
ratio is of alternating runs of the same process; every prediction is made before its measurement,
from counted multiplications and the speeds of this machine.
Usage:
``python benchmarks/weight_noise.py [--json FILE] [--only NAME …] [--tiny]``. Takes about five
minutes of a core and 8 GB. With ``--only`` the other rows of an existing file are kept.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

from llm_bridge.brownian.function_space import FunctionSpaceNoise
from llm_bridge.brownian.kicks import kick, stream_of
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.normal_rows import NormalRows
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.models import LanguageModel

COLUMNS = [
    "what", "width", "parameters, M", "clean, ms", "noisy, ms", "ratio", "predicted", "target",
]  # fmt: skip
SIGMA = 0.02
DEPTHS = {128: 2, 256: 6, 512: 8, 1024: 8, 2048: 9}  # width: layers; 2 to 500 million parameters
VOCABULARY = {128: 512, 256: 1024, 512: 4096, 1024: 8192, 2048: 16384}
TILE = 64


@cache
def model_of(width: int) -> Any:
    """A Llama with random weights: five matrices of the width, and three of 8/3 of it."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY[width],
        hidden_size=width,
        intermediate_size=mlp_width(width),
        num_hidden_layers=DEPTHS[width],
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
    )
    return transformers.LlamaForCausalLM(config).eval()


def mlp_width(width: int) -> int:
    return width * 43 // 16


def ids_of(width: int, count: int) -> Any:
    import torch

    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, VOCABULARY[width], (1, count), generator=generator)


# --- what is to be expected -----------------------------------------------------------------------


@dataclass(frozen=True)
class Speeds:
    """Of this machine, one thread; in nanoseconds."""

    single: float  # per multiplication, product of float32 matrices with 256 rows
    double: float  # of float64 matrices
    byte: float  # per byte of a matrix that is read from memory
    number: float  # per normal number
    hook: float  # per layer and pass, whatever its size


def best(work: Callable[[], object], repeats: int) -> float:
    """Least processor time of so many calls after one that is not counted, in seconds."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


@cache
def speeds() -> Speeds:
    import torch

    x, w = torch.randn(256, 1024), torch.randn(1024, 1024)
    d = torch.randn(256, 2048, dtype=torch.float64)
    many = torch.randn(64, 1024, 1024)  # 256 MB: no cache holds it
    row = torch.randn(1024)
    rows, buffer = NormalRows(0, 0, range(1), False, 2048), torch.empty(1, 256, 2048)
    chain = torch.nn.Sequential(*(torch.nn.Linear(64, 64, bias=False) for _ in range(32)))
    one = torch.randn(1, 1, 64)
    with torch.no_grad():
        single = best(lambda: x @ w, 20) / (256 * 1024**2)
        double = best(lambda: d @ d.mT, 20) / (256**2 * 2048)
        byte = best(lambda: [m @ row for m in many], 3) / (4 * many.numel())
        number = best(lambda: rows.fill(buffer, 0, 256, 0), 20) / (256 * 2048)
        plain = best(lambda: chain(one), 50)
        with FunctionSpaceNoise(chain, fresh()):
            hooked = best(lambda: chain(one), 50)
    return Speeds(*(1e9 * s for s in (single, double, byte, number, (hooked - plain) / 32)))


def shapes(width: int) -> list[tuple[int, tuple[int, ...]]]:
    """The matrices of one layer: (inputs, outputs of those that read the same)."""
    wide = mlp_width(width)
    return [(width, (width,) * 3), (width, (width,)), (width, (wide,) * 2), (wide, (width,))]


def stack(width: int) -> list[tuple[int, tuple[int, ...]]]:
    """All dense matrices."""
    return shapes(width) * DEPTHS[width] + [(width, (VOCABULARY[width],))]


def expected_text(width: int, positions: int, correlation: str, draws: int = 1) -> float:
    """Ratio for a text in one pass: time for products, of which the triangles take their part.

    And for reading the weights once, whatever the number of draws, to know how large they are.
    """
    s = speeds()
    clean = noise = 0.0
    tiles = math.ceil(positions / TILE)
    part = (tiles + 1) / (2 * tiles)
    for inputs, outputs in stack(width):
        clean += positions * inputs * sum(outputs) * s.single
        noise += positions * sum(outputs) * s.number
        noise += 4 * inputs * sum(outputs) * s.byte / draws
        if correlation != "annealed":
            noise += part * positions**2 * (inputs * s.double + sum(outputs) * s.single)
            noise += positions**3 / 6 * s.double * 4  # the factor, at a quarter of the speed
    return 1.0 + noise / clean


def expected_token(width: int, context: int, correlation: str) -> float:
    """Ratio for one token: everything is read from memory once."""
    s = speeds()
    clean = noise = 0.0
    for inputs, outputs in stack(width):
        clean += 4 * inputs * sum(outputs) * s.byte
        noise += sum(outputs) * s.number + len(outputs) * s.hook
        if correlation != "annealed":
            noise += (4 * context * (inputs + sum(outputs)) + 4 * context**2) * s.byte
    return 1.0 + noise / clean


@cache
def numpy_number() -> float:
    """Nanoseconds for a normal number as copies of weights take them."""
    generator = np.random.default_rng(0)
    return 1e9 * best(lambda: generator.standard_normal(2**18, dtype=np.float32), 5) / 2**18


def expected_copies(positions: int, numbers: float) -> float:
    """Ratio where every weight gets so many numbers, and is read, kicked and written, per pass."""
    s = speeds()
    clean = positions * s.single if positions > 1 else 4 * s.byte
    return 1.0 + (numbers * numpy_number() + 4 * 5 * s.byte) / clean


# --- measurements ---------------------------------------------------------------------------------


def fresh() -> WeightNoise:
    return WeightNoise(SIGMA, correlation="annealed")


def frozen() -> WeightNoise:
    return WeightNoise(SIGMA)


def alternating(
    clean: Callable[[], object], noisy: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Least processor times of two kinds of work that take turns, in ms."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for work, taken in zip((clean, noisy), times, strict=True):
            start = time.process_time()
            work()
            taken.append(1e3 * (time.process_time() - start))
    return min(times[0]), min(times[1])


@contextmanager
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)


@cache
def pair_of(width: int) -> tuple[Any, Any]:
    """A model and its twin, of the same weights: noise on the one leaves the other clean."""
    module = model_of(width)
    return module, copy.deepcopy(module, {id(p): p for p in module.parameters()})


def readers(width: int) -> tuple[LanguageModel, LanguageModel]:
    """Both of them as a user has them."""
    clean, noisy = (LanguageModel(module, None, name="random") for module in pair_of(width))
    return clean, noisy


class Decoding:
    """A text that a model reads on, token by token, with a cache."""

    def __init__(self, module: Any, ids: Any, context: int) -> None:
        import transformers

        self.module, self.ids, self.place = module, ids, 0
        self.cache = transformers.DynamicCache()
        self.read(context)

    def read(self, count: int = 1, **options: Any) -> None:
        piece = self.ids[:, self.place : self.place + count]
        self.module(input_ids=piece, past_key_values=self.cache, use_cache=True, **options)
        self.place += count


def token_row(width: int, noise: WeightNoise, context: int, steps: int, target: float) -> list[Any]:
    """Decoding after a context, with noise and without."""
    predicted = expected_token(width, context, noise.correlation)
    clean, noisy = pair_of(width)
    ids = ids_of(width, context + steps)
    with FunctionSpaceNoise(noisy, noise):
        readers = [Decoding(module, ids, context) for module in (clean, noisy)]
        times = alternating(*(reader.read for reader in readers), steps)
    what = f"a token after {context}, {kind_of_weights(noise)} weights"
    return row(what, width, times, predicted, target)


def copies_row(width: int, context: int, steps: int) -> list[Any]:
    """Decoding with a new noisy copy of all weights at each step, the reference."""
    import torch

    noise = fresh()
    predicted = expected_copies(1, 1.0)
    module, _ = pair_of(width)
    chosen = selected_tensors(module, noise)
    streams = [stream_of(tensor, noise, 0) for tensor in chosen]
    clean = Decoding(module, ids_of(width, context + 64), context)
    noisy = Decoding(module, ids_of(width, context + 64), context)

    def step() -> None:
        copy = {
            tensor.name: tensor.tensor + kick(tensor, noise, stream)
            for tensor, stream in zip(chosen, streams, strict=True)
        }
        piece = noisy.ids[:, noisy.place : noisy.place + 1]
        named = {"input_ids": piece, "past_key_values": noisy.cache, "use_cache": True}
        torch.func.functional_call(module, copy, (), named)
        noisy.place += 1

    def some_clean() -> None:  # as many as make the time long enough
        for _ in range(8):
            clean.read()

    eight, one = alternating(some_clean, step, steps)
    what = f"a token after {context}, fresh weights by copies"
    return row(what, width, (eight / 8, one), predicted, None)


def text_row(
    width: int, noise: WeightNoise, positions: int, repeats: int, target: float | None
) -> list[Any]:
    """A whole text in one pass."""
    predicted = expected_text(width, positions, noise.correlation)
    clean, noisy = readers(width)
    ids = ids_of(width, positions)[0].numpy()
    times = alternating(
        lambda: clean.logits(ids),
        lambda: sample_logits(noisy, ids, noise, 1, "function_space"),
        repeats,
    )
    what = f"{positions} positions at once, {kind_of_weights(noise)} weights"
    return row(what, width, times, predicted, target)


def batch_row(width: int, draws: int, positions: int, repeats: int, target: float) -> list[Any]:
    """Many draws of frozen weights in one batch, against as many clean passes."""
    noise = frozen()
    predicted = expected_text(width, positions, noise.correlation, draws)
    clean, noisy = readers(width)
    ids = ids_of(width, positions)[0].numpy()

    def passes() -> None:
        for _ in range(draws):
            clean.logits(ids)

    times = alternating(
        passes, lambda: sample_logits(noisy, ids, noise, draws, "function_space"), repeats
    )
    return row(f"{draws} draws over {positions} positions", width, times, predicted, target)


def machine_row(width: int, positions: int, machine: str, repeats: int) -> list[Any]:
    """A mirrored pair of frozen draws by one of the machines, against two clean passes."""
    predicted = {
        "copies": partial(expected_copies, positions, 0.5),
        "regenerate": partial(expected_copies, positions, 1.0),
        "function_space": partial(expected_text, width, positions, "quenched", 2),
    }[machine]()
    clean, noisy = readers(width)
    ids = ids_of(width, positions)[0].numpy()

    def passes() -> None:
        for _ in range(2):
            clean.logits(ids)

    times = alternating(
        passes, lambda: sample_logits(noisy, ids, frozen(), 2, machine=machine), repeats
    )
    what = f"2 draws over {positions} positions by {machine.replace('_', ' ')}"
    return row(what, width, times, predicted, None)


def memory_row(width: int, positions: int, target: float) -> list[Any]:
    """Peak memory of a process that reads a text; MB in place of ms."""
    weights = sum(p.numel() for p in model_of(width).parameters()) * 4
    model_of.cache_clear()
    # Of the largest layer: L, its products, inputs in float64, and the normal numbers.
    wide = mlp_width(width)
    extra = 8 * 2 * positions**2 + positions * (8 * wide + 4 * wide)
    clean, noisy = (peak_memory(width, positions, kind) for kind in ("clean", "noisy"))
    predicted = 1.0 + extra / (weights + 4 * positions * (VOCABULARY[width] + 3 * wide))
    return [
        f"{positions} positions at once: peak memory, MB", width, weights / 4e6, clean, noisy,
        noisy / clean, predicted, target,
    ]  # fmt: skip


def peak_memory(width: int, positions: int, kind: str) -> float:
    """What a process of its own needed at most while it read a text, in MB."""
    script = [sys.executable, __file__, "--peak", kind, str(width), str(positions)]
    run = subprocess.run(script, capture_output=True, text=True, check=True)
    return float(run.stdout)


def print_peak(kind: str, width: int, positions: int) -> None:
    """The work of `peak_memory`: the most memory above what libraries take."""
    import psutil
    import torch

    torch.set_num_threads(1)
    for noise in (None, frozen()):  # a first reading, which imports and compiles
        module = model_of(128)
        reading = noise and FunctionSpaceNoise(module, noise, one_pass=True)
        with reading or nullcontext(), torch.no_grad():
            module(input_ids=ids_of(128, 70), use_cache=False)
    model_of.cache_clear()
    before = psutil.Process().memory_info().rss
    module, ids = model_of(width), ids_of(width, positions)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    reading = FunctionSpaceNoise(module, frozen(), one_pass=True) if kind == "noisy" else None
    with reading or nullcontext(), torch.no_grad():
        module(input_ids=ids, use_cache=False)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print((1024 * peak - before) / 1e6)


def kind_of_weights(noise: WeightNoise) -> str:
    return {"annealed": "fresh", "quenched": "frozen", "ou": "wandering"}[noise.correlation]


def row(
    what: str, width: int, times: tuple[float, float], predicted: float, target: float | None
) -> list[Any]:
    parameters = sum(p.numel() for p in model_of(width).parameters()) / 1e6
    clean, noisy = times
    return [what, width, parameters, clean, noisy, noisy / clean, predicted, target]


# --- the rows -------------------------------------------------------------------------------------


def jobs(tiny: bool) -> dict[str, Callable[[], list[Any]]]:
    """Name of a row → what measures it, the larger models last."""
    if tiny:
        return {
            "fresh-128": partial(token_row, 128, fresh(), 8, 3, 1.15),
            "frozen-128-16": partial(token_row, 128, frozen(), 16, 3, 1.3),
            "copies-128": partial(copies_row, 128, 4, 1),
            "text-128": partial(text_row, 128, frozen(), 70, 1, 2.0),
            "batch-128": partial(batch_row, 128, 4, 16, 1, 1.5),
            "regenerate-128": partial(machine_row, 128, 20, "regenerate", 1),
            "memory-128": partial(memory_row, 128, 64, 1.2),
        }
    wandering = WeightNoise(SIGMA, correlation="ou", tau=32.0)
    found: dict[str, Callable[[], list[Any]]] = {}
    for width, target in ((256, None), (512, 2.0), (1024, None), (2048, 1.3)):
        repeats = 7 if width < 1024 else 3
        found[f"text-{width}"] = partial(text_row, width, frozen(), 256, repeats, target)
        if width == 512:
            found["text-ou-512"] = partial(text_row, width, wandering, 256, repeats, None)
            found["text-fresh-512"] = partial(text_row, width, fresh(), 256, repeats, None)
            for positions in (64, 256, 1024):
                for name in ("copies", "regenerate", "function_space"):
                    job = partial(machine_row, width, positions, name, 2)
                    found[f"{name.replace('_', '-')}-512-{positions}"] = job
        if width in (512, 2048):
            found[f"batch-{width}"] = partial(batch_row, width, 16, 64, 2, 1.5)
        if width >= 1024:
            found[f"fresh-{width}"] = partial(token_row, width, fresh(), 32, 24, 1.15)
        if width == 1024:
            found["copies-1024"] = partial(copies_row, width, 32, 3)
            found["frozen-1024-256"] = partial(token_row, width, frozen(), 256, 24, None)
        if width == 2048:
            for context in (64, 128, 256):
                name = f"frozen-{width}-{context}"
                found[name] = partial(token_row, width, frozen(), context, 16, 1.3)
            found["memory-2048"] = partial(memory_row, width, 256, 1.2)
    found["memory-512"] = partial(memory_row, 512, 256, 1.2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--only", nargs="+", default=[], help="rows, by name; the others are kept")
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        kind, width, positions = options.peak
        print_peak(kind, int(width), int(positions))
        return
    start = time.perf_counter()
    all_jobs = jobs(options.tiny)
    unknown = sorted(set(options.only) - set(all_jobs))
    if unknown:
        parser.error(f"--only {' '.join(unknown)}; accepted: {', '.join(all_jobs)}")
    rows = kept_rows(options.json) if options.only else {}
    settings = (
        "Llama models with random weights, float32, one thread; all matrices, embeddings and norms "
        f"with Gaussian noise of {SIGMA} of their rms. Whole texts: sample_logits against "
        "LanguageModel.logits. Least processor time of alternating runs. "
        "Predictions from counted operations and the speeds of this machine."
    )
    with one_thread():
        print("  ".join(f"{name} {value:.3g} ns" for name, value in vars(speeds()).items()))
        for name in options.only or all_jobs:
            rows[name] = all_jobs[name]()
            print(name, *(f"{cell:.3g}" if isinstance(cell, float) else cell
                          for cell in rows[name]), flush=True)  # fmt: skip
            ordered = {key: rows[key] for key in all_jobs if key in rows}
            write_record(
                options.json, "What weight noise costs", settings, COLUMNS, list(ordered.values()),
                machine("torch", "transformers"), names=list(ordered), speeds=vars(speeds()),
            )  # fmt: skip
    print_table(settings, COLUMNS, list(ordered.values()))
    print(f"{time.perf_counter() - start:.0f} s")


def kept_rows(path: Path | None) -> dict[str, list[Any]]:
    """Rows of an existing record, by name."""
    if path is None or not path.exists():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    return dict(zip(record["names"], record["rows"], strict=True))


if __name__ == "__main__":
    main()
