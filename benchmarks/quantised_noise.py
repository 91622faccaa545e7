"""Noise on quantised weights: what rounding leaves of it, on real layers of the demo model.

Experiment 11 of docs/brownian_experiments.rst. Formulas first: the share of the codes that move,
and the variance that noise of σ has after it was rounded to a grid of step Δ, to nearest,
stochastically, or as ternary kicks; with the ends of the range. Then where noise fades, what noise
before quantisation does, and what of it reaches the logits. Usage:
``python benchmarks/quantised_noise.py [--json FILE] [--draws 24] [--tiny]``; the table over σ/Δ
goes beside FILE, with ``_table`` in its name. Takes about two minutes of a core.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record
from predictions import Experiment, Line, Rule, print_lines, write_lines

from llm_bridge.brownian.effective_temperature import effective_temperature
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.quantised_linear import QuantisedLinear, quantised_model
from llm_bridge.brownian.rounding import noisy_codes
from llm_bridge.brownian.rounding_law import (
    ROUNDINGS,
    code_transitions,
    flip_probability,
    nearest_threshold,
    step_of_normal_weights,
    variance_kept,
)
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.quantised import QuantisedMatrix, quantise
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.run.progress_bar import progress_bar

RATIOS = (0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0)
LAYERS = {  # name: (layer, bits, columns that share a scale)
    "attention output, 4 bits": ("model.layers.1.self_attn.o_proj", 4, 128),
    "MLP up, 4 bits": ("model.layers.1.mlp.up_proj", 4, 128),
    "head, 8 bits": ("lm_head", 8, None),
}
COLUMNS = [
    "weights", "σ/Δ",
    "moved, nearest", "measured",
    "variance kept, nearest", "measured ",
    "stochastic", "measured  ",
    "ternary", "measured   ",
    "verdict",
]  # fmt: skip
# 84 cells of right predictions have one beyond 4.5 errors in 1 of 1700 benchmarks.
RULE = Rule(errors=4.5)
# What is of leading order, or for normal weights, may be off by 10 %.
GONE = 0.01  # a share of the variance that is as good as none: per cent are of at least this
ROUGHLY = Rule(errors=4.5, within=0.1, rough=0.1)
OF_LOGITS = replace(ROUGHLY, unit=GONE, least=GONE)
EXPERIMENTS = {
    11: Experiment(
        "Noise on quantised weights",
        "Rounded to nearest, noise below 0.29 Δ fades; rounded stochastically it grows; ternary "
        "kicks of one step keep its variance at any σ.",
    )
}
SEED = 20261121  # of the first row; every row has its own


@dataclass(frozen=True)
class Cell:
    """A prediction, and what was measured with its error."""

    predicted: float
    value: float
    error: float

    def line(self, quantity: str, rule: Rule = RULE, *, key: bool = False) -> Line:
        """As a line of experiment 11."""
        return Line(11, quantity, self.predicted, self.value, self.error, rule, key=key)

    def __str__(self) -> str:
        if self.value == 0 or self.error == 0:
            return f"{self.value:.3g}"
        return rounded_to_error(self.value, self.error)


# --- the table ------------------------------------------------------------------------------------


def in_steps(matrix: QuantisedMatrix) -> QuantisedLinear:
    """The same codes on a grid of step 1 everywhere, so that σ is σ/Δ."""
    import torch

    return QuantisedLinear(
        QuantisedMatrix(matrix.codes, torch.ones_like(matrix.scale), matrix.bits)
    )


def moments(
    layer: QuantisedLinear, ratio: float, rounding: str, draws: int, seed: int
) -> tuple[Cell, Cell]:
    """Share of the codes that move, and variance over σ²: by the law of every code, and counted."""
    before = layer.codes.numpy().astype(np.int64)
    numbers = np.bincount(before.ravel() + layer.largest, minlength=2 * layer.largest + 1)
    law = code_transitions(ratio, rounding, layer.largest)
    codes = np.arange(-layer.largest, layer.largest + 1)
    square = (codes[None, :] - codes[:, None]) ** 2
    weight = numbers / numbers.sum()
    moved = float(weight @ (law * (square > 0)).sum(axis=1))
    variance, fourth = (float(weight @ (law * square**k).sum(axis=1)) for k in (1, 2))
    counted = np.zeros(2)
    ternary = rounding == "ternary"
    law_of_noise = "ternary" if ternary else "gaussian"
    noise = WeightNoise(ratio, law=law_of_noise, scale="absolute", seed=seed)
    way = "nearest" if ternary else rounding
    for draw in range(draws):
        with noisy_codes(layer, noise, rounding=way, draw=draw):
            steps = layer.codes.numpy().astype(np.int64) - before
        counted += np.count_nonzero(steps), (steps**2).sum()
    trials = draws * before.size
    # What is expected less than once in all trials has no error of its own: one count is its size.
    one = moved * trials < 1
    share_error = math.sqrt(moved * (1 - moved) / trials) if not one else 1 / trials
    kept_error = math.sqrt((fourth - variance**2) / trials) if not one else 1 / trials
    return (
        Cell(moved, float(counted[0]) / trials, share_error),
        Cell(variance / ratio**2, float(counted[1]) / trials / ratio**2, kept_error / ratio**2),
    )


def table_row(
    name: str, layer: QuantisedLinear, ratio: float, draws: int, seed: int
) -> tuple[list[Any], list[Line]]:
    """One row of the table of the literature, on a real layer, and a line for each number in it."""
    moved, nearest = moments(layer, ratio, "nearest", draws, seed)
    _, stochastic = moments(layer, ratio, "stochastic", draws, seed + 1)
    _, ternary = moments(layer, ratio, "ternary", draws, seed + 2)
    at, key = f"{name}, σ/Δ = {ratio:g}: ", name.startswith("MLP") and ratio == 0.2
    lines = [
        moved.line(f"{at}moved, nearest"),
        nearest.line(f"{at}variance kept, nearest", key=key),
        stochastic.line(f"{at}variance kept, stochastic", key=key),
        ternary.line(f"{at}variance kept, ternary", key=key),
    ]
    words = sorted({line.verdict for line in lines})
    row = [
        name,
        ratio,
        f"{float(flip_probability(ratio, 'nearest')):.2g}",
        str(moved),
        f"{float(variance_kept(ratio, 'nearest')):.3g}",
        str(nearest),
        f"{float(variance_kept(ratio, 'stochastic')):.4g}",
        str(stochastic),
        f"{ternary.predicted:.4g}",
        str(ternary),
        ", ".join(words),
    ]
    return row, lines


# --- where noise fades ----------------------------------------------------------------------------


def threshold_lines(name: str, matrix: QuantisedMatrix, group: int, draws: int) -> list[Line]:
    """Size of the steps, and σ at which rounding to nearest keeps the variance, in std."""
    layer = QuantisedLinear(matrix)
    weights = matrix.dequantised().double().numpy()
    rms = math.sqrt((weights**2).mean())
    steps = matrix.scale.double().numpy().ravel() / rms
    ends = float((matrix.codes.abs() == matrix.largest).double().mean())

    def kept(sigma: float) -> float:
        """Of every group its own; a code at an end of the range has one way to go, not two."""
        return float(variance_kept(sigma / steps, "nearest").mean()) * (1 - ends / 2)

    low, high = 0.2 * steps.mean(), 0.5 * steps.mean()
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) < 1 else (low, middle)
    # Measured at two points beside the prediction; off by that, so is the crossing between them.
    points = np.array([0.95, 1.05]) * low
    found = np.empty((2, draws))
    for draw in range(draws):
        for k, sigma in enumerate(points):
            noise = WeightNoise(float(sigma), seed=SEED)
            with noisy_codes(layer, noise, rounding="nearest", draw=draw):
                moved = layer.weight.double().numpy() - weights
            found[k, draw] = (moved**2).mean() / (sigma * rms) ** 2
    expected = np.array([kept(sigma) for sigma in points])
    slope = float(np.diff(expected)[0] / np.diff(points)[0])
    each = low + (expected.mean() - found.mean(axis=0)) / slope
    error = float(each.std(ddof=1)) / math.sqrt(draws)
    normal = step_of_normal_weights(matrix.bits, group)
    step = Cell(normal, float(steps.mean()), float(steps.std()) / math.sqrt(steps.size))
    where = Cell(nearest_threshold() * normal, float(each.mean()), error)
    own = Cell(low, float(each.mean()), error)
    return [
        step.line(f"{name}: Δ/std, of normal weights", ROUGHLY),
        where.line(f"{name}: σ/std where nearest keeps it, of normal weights", ROUGHLY, key=True),
        own.line(f"{name}: σ/std where nearest keeps it, by its own steps"),
    ]


def before_lines(name: str, weights: Any, matrix: QuantisedMatrix) -> Iterator[Line]:
    """Noise that comes before the weights are quantised: as under stochastic rounding."""
    step = matrix.scale.double().numpy().repeat(matrix.codes.shape[1] // matrix.scale.shape[1], 1)
    place = weights.double().numpy() / step
    codes = matrix.codes.numpy()
    numbers = np.random.default_rng(SEED)
    for ratio in (0.05, 0.2, 0.5):
        room = matrix.largest - math.ceil(4.5 * ratio) - 1
        inside = np.abs(codes) <= room
        noise = ratio * numbers.standard_normal(inside.sum())
        square = (np.rint(place[inside] + noise) - codes[inside]) ** 2 / ratio**2
        error = float(square.std()) / math.sqrt(square.size)
        predicted = float(variance_kept(ratio, "stochastic"))
        found = Cell(predicted, float(square.mean()), error)
        yield found.line(f"{name}: variance kept, noise of {ratio} Δ before quantising", ROUGHLY)


# --- what reaches the logits ----------------------------------------------------------------------


def last_hidden(model: LanguageModel, ids: np.ndarray) -> np.ndarray:
    """What the head reads, (N, d)."""
    import torch

    inner: Any = model.torch_module
    with torch.no_grad():
        return inner.model(input_ids=torch.from_numpy(ids)[None])[0][0].double().numpy()


def predicted_of_head(
    matrix: QuantisedMatrix, hidden: np.ndarray, clean: np.ndarray, sigma: float, rounding: str
) -> tuple[float, float]:
    """Mean (Δz)² and disagreement, over those of Gaussian noise, by the exact law of every code.

    ⟨(Δz)²⟩ = Σ h² Var δ + (Σ h ⟨δ⟩)²: the means come from the ends of the range. To leading order
    the disagreement is ½ Σ p (1 − p) Var Δz, for the rows of a head have noises of their own: the
    rows of likely tokens count, on grids that are not those of the others.
    """
    codes = matrix.codes.numpy().astype(np.int64)
    rms = math.sqrt(float((matrix.dequantised().double() ** 2).mean()))
    step = matrix.scale.double().numpy()
    all_codes = np.arange(-matrix.largest, matrix.largest + 1)
    change = all_codes[None, :] - all_codes[:, None]
    width = codes.shape[1] // step.shape[1]
    mean, variance = np.zeros(codes.shape), np.zeros(codes.shape)
    for row, column in np.ndindex(*step.shape):
        delta = step[row, column]
        law = code_transitions(sigma * rms / delta, rounding, matrix.largest)
        first, second = (law * change).sum(axis=1), (law * change**2).sum(axis=1)
        part = slice(column * width, (column + 1) * width)
        index = codes[row, part] + matrix.largest
        mean[row, part] = delta * first[index]
        variance[row, part] = delta**2 * (second - first**2)[index]
    spread, free = hidden**2 @ variance.T, (sigma * rms) ** 2 * (hidden**2).sum(axis=1)
    squares = (spread + (hidden @ mean.T) ** 2).mean()
    p = np.exp(clean - clean.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    weight = p * (1 - p)
    shared = (weight * spread).sum() / (weight.sum(axis=1) * free).sum()
    return float(squares / free.mean()), float(shared)


def rounded_logits(
    model: LanguageModel, ids: np.ndarray, where: str, sigma: float, rounding: str, draws: int
) -> np.ndarray:
    """Logits (draws, N, V) with noise on the codes, antithetic pairs."""
    law = "ternary" if rounding == "ternary" else "gaussian"
    noise = WeightNoise(sigma, law=law, where=where, seed=SEED)
    way = "nearest" if rounding == "ternary" else rounding
    out = np.empty((draws, ids.size, model.vocabulary_size), dtype=np.float32)
    for number in range(draws):
        sign = 1 - 2 * (number % 2)
        with noisy_codes(model, noise, rounding=way, draw=number // 2, sign=sign):
            out[number] = model.logits(ids)
    return out


def logit_lines(
    model: LanguageModel, ids: np.ndarray, where: str, sigma: float, draws: int
) -> Iterator[Line]:
    """Change of the logits and disagreement under each rounding, against noise that knows no grid.

    The latter has the exact law of Gaussian noise on the quantised weights, in function space.
    """
    clean = model.logits(ids).astype(float)
    noise = WeightNoise(sigma, where=where, seed=SEED)
    free = sample_logits(model, ids, noise, draws, "function_space")
    norm, norm_error = mean_square(free, clean)
    reference = effective_temperature(clean, free)
    layers = [
        layer
        for path, layer in model.torch_module.named_modules()
        if isinstance(layer, QuantisedLinear) and noise.selects(f"{path}.weight")
    ]
    hidden = last_hidden(model, ids) if where == "head" else None
    at = f"{where}, σ = {sigma:g} std"
    for rounding in ("nearest", "stochastic", "ternary"):
        noisy = rounded_logits(model, ids, where, sigma, rounding, draws)
        square, error = mean_square(noisy, clean)
        if hidden is None:
            kept = float(np.mean([kept_by(layer.matrix, sigma, rounding) for layer in layers]))
            shared, size, rule = kept, norm, OF_LOGITS
            error = math.hypot(error, square * norm_error / norm)
        else:
            matrix = layers[0].matrix
            kept, shared = predicted_of_head(matrix, hidden, clean, sigma, rounding)
            rms = math.sqrt(float((matrix.dequantised().double() ** 2).mean()))
            size, rule = (sigma * rms) ** 2 * float((hidden**2).sum(axis=1).mean()), RULE
        key = where == "head" and sigma == 0.1
        quantity = f"{at}, {rounding}: (Δz)² over that of Gaussian noise"
        yield Cell(kept, square / size, error / size).line(quantity, rule, key=key)
        found = effective_temperature(clean, noisy)
        ratio = found.disagreement / reference.disagreement
        error = math.hypot(
            found.draw_errors["disagreement"], ratio * reference.draw_errors["disagreement"]
        )
        quantity = f"{at}, {rounding}: disagreement over that of Gaussian noise"
        yield Cell(shared, ratio, error / reference.disagreement).line(quantity, OF_LOGITS)


def mean_square(noisy: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """Mean (Δz)² over draws, positions and tokens, and its error; draws come in pairs."""
    squares = np.array([((logits - clean) ** 2).mean() for logits in noisy])
    pairs = squares.reshape(-1, 2).mean(axis=1)
    return float(pairs.mean()), float(pairs.std(ddof=1)) / math.sqrt(pairs.size)


def kept_by(matrix: QuantisedMatrix, sigma: float, rounding: str) -> float:
    """Variance kept by a layer, every group with its own step, ends of the range left out."""
    rms = math.sqrt(float((matrix.dequantised().double() ** 2).mean()))
    return float(variance_kept(sigma * rms / matrix.scale.double().numpy(), rounding).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--draws", type=int, default=24)
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    options = parser.parse_args()
    draws, tokens = (4, 8) if options.tiny else (options.draws, 64)
    import torch

    torch.set_num_threads(1)
    model = load_model("demo")
    text = model.held_out_text
    assert text is not None
    ids = model.encode(text)[:tokens]
    layers: dict[str, Any] = {}
    for name, (path, bits, group) in LAYERS.items():
        weight = model.torch_module.get_submodule(path).weight
        rows = 64 if options.tiny else None
        layers[name] = weight[:rows], quantise(weight[:rows], group, bits=bits)

    rows: list[list[Any]] = []
    lines: list[Line] = []
    curves: dict[str, Any] = {"ratios": RATIOS}
    with progress_bar(True, len(RATIOS) * len(layers), unit="row", what="rounded noise") as bar:
        for name, (_, matrix) in layers.items():
            layer = in_steps(matrix)
            # Small layers are read more often.
            more = 1 if options.tiny else max(1, 2**20 // matrix.codes.numel())
            kept: dict[str, list[list[float]]] = {rounding: [] for rounding in ROUNDINGS}
            for ratio in RATIOS:
                seed = SEED + 3 * len(rows)
                row, found = table_row(name, layer, ratio, draws * more, seed)
                rows.append(row)
                lines += found
                for rounding, each in zip(ROUNDINGS, found[1:], strict=True):
                    kept[rounding].append([each.predicted, each.measured, each.error])
                bar.update()
            curves[name] = kept
    for name, (weight, matrix) in layers.items():
        group = LAYERS[name][2] or matrix.codes.shape[1]
        lines += threshold_lines(name, matrix, group, draws)
        lines += before_lines(name, weight, matrix)
    kinds = ("attention", "head")
    rough = quantised_model(model, bits=4, group=128, kinds=kinds)
    cases = [("head", 0.1)] if options.tiny else [(w, s) for w in kinds for s in (0.03, 0.1)]
    for where, sigma in cases:
        new = list(logit_lines(rough, ids, where, sigma, 4 * draws))
        lines += new
        curves[f"logits, {where}, σ = {sigma:g} std"] = {
            rounding: [each.predicted, each.measured, each.error]
            for rounding, each in zip(ROUNDINGS, new[::2], strict=True)
        }

    title = "What rounding leaves of noise on quantised weights"
    print_table(title, COLUMNS, rows)
    print_lines("Every number, where noise fades, and what reaches the logits", lines)
    failed = sum(line.verdict == "refuted" for line in lines)
    print(f"{failed} of {len(lines)} predictions are refuted.")
    settings = (
        f"Layers of the demo model, 4 bits with a scale for 128 columns, 8 bits with one for a "
        f"row of 256; {draws} draws of each, more of small layers. Noise of so many steps on "
        "every weight."
    )
    host = machine("torch", "transformers")
    write_lines(
        options.json,
        title,
        f"{settings} Predictions are by the law of every code, ends of the range included. Logits: "
        f"{ids.size} positions of held-out text, 4 bits, {4 * draws} draws in antithetic pairs; "
        "Gaussian noise is the exact law on the same quantised weights, in function space. "
        f"Confirmed: within {RULE.errors:g} errors, or within 10 % where the prediction is of "
        f"leading order or for normal weights; none: predicted and measured below {GONE:.0%}.",
        lines,
        EXPERIMENTS,
        "quantised_noise",
        host,
        curves=curves,
    )
    if options.json is not None:
        write_record(
            options.json.with_stem(f"{options.json.stem}_table"),
            title,
            f"{settings} The predicted numbers here are for codes far from the ends of their range "
            "(of ternary kicks, with the ends); the verdict compares with the law of every code.",
            COLUMNS,
            rows,
            host,
        )


if __name__ == "__main__":
    main()
