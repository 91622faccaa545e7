"""What weight noise remembers along a given text (experiment 6), a part of `brownian_decoding.py`.

Variances and correlations of the logits under frozen, fresh and wandering weights; and the
likeliest tokens as one long choice: how its Rényi entropy of order 2 grows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from predictions import Line, Rule

from llm_bridge.brownian import FunctionSpaceNoise, WeightNoise
from llm_bridge.models import LanguageModel
from thermo.estimate.jackknife import delete_one_error
from thermo.run.progress_bar import progress_bar

__all__ = ["PATHS", "SEED", "WEAK", "along_a_text", "choices"]

SEED = 20261122
WEAK = 0.005  # so that terms of order σ⁴ are far below the correlations
PATHS: dict[str, dict[str, Any]] = {
    "frozen": {},
    "fresh": {"correlation": "annealed"},
    "τ = 4": {"correlation": "ou", "tau": 4.0},
    "τ = 16": {"correlation": "ou", "tau": 16.0},
}
PLACES: dict[str, str | list[str]] = {
    "head": "head",  # later positions look at neither this
    "last MLP": "model.layers.3.mlp.*",  # nor this
    "attention": "attention",
    "embedding": "embedding",
    "all weights": "all",
}
KEYS = ("head", "attention")
LAGS = (1, 2, 4, 8, 16, 32)
CORRELATION = Rule(rough=0.1, unit=1.0)
LARGEST = Rule(errors=4.0)  # of six lags, with 31 degrees of freedom: as rare as 3 errors of one
AGREEING = 30  # pairs of draws, below which their share is known to worse than a fifth


def along_a_text(
    model: LanguageModel, ids: NDArray[np.int64], positions: int, draws: int
) -> tuple[list[Line], dict[str, Any]]:
    """Weak noise while a text is read: what each path of the weights does to the logits."""
    tokens = torch.from_numpy(ids[:positions])
    lines: list[Line] = []
    curves: dict[str, Any] = {}
    lags = [lag for lag in LAGS if lag < positions // 2]
    with progress_bar(True, len(PLACES) * len(PATHS), unit="noise", what="reading") as bar:
        for place, where in PLACES.items():
            sums = {}
            for number, (path, options) in enumerate(PATHS.items()):
                noise = WeightNoise(WEAK, where=where, seed=SEED + number, **options)
                sums[path] = products(model, tokens, noise, draws, lags)
                bar.update()
            key, frozen = place in KEYS, sums["frozen"]
            for path in list(PATHS)[1:]:
                value, error = ratio(sums[path][:, 0], frozen[:, 0])
                quantity = f"{place}: variance of logits, {path} / frozen"
                lines.append(Line(6, quantity, 1.0, value, error, key=key and path == "fresh"))
            for path in list(PATHS)[1:]:
                rho = WeightNoise(WEAK, **PATHS[path]).rho
                pairs = [ratio(sums[path][:, 1 + k], frozen[:, 1 + k]) for k in range(len(lags))]
                wanted = [rho**lag for lag in lags]
                off = max(abs(v - w) / e for (v, e), w in zip(pairs, wanted, strict=True))
                curves[f"{place}, {path}"] = {
                    "lag": lags,
                    "measured": [v for v, _ in pairs],
                    "error": [e for _, e in pairs],
                    "predicted": wanted,
                }
                quantity = f"{place}: correlation {lags[-3]} tokens apart, {path}"
                lines.append(
                    Line(
                        6,
                        quantity,
                        rho ** lags[-3],
                        *pairs[-3],
                        CORRELATION,
                        key=key and path != "fresh",
                    )
                )
                quantity = f"{place}: largest |z| of {len(lags)} lags from ρˢ, {path}"
                lines.append(Line(6, quantity, 0.0, off, 1.0, LARGEST))
    return lines, curves


def products(
    model: LanguageModel,
    tokens: torch.Tensor,
    noise: WeightNoise,
    draws: int,
    lags: list[int],
) -> NDArray[np.float64]:
    """Mean over positions and tokens of δz_t δz_(t+s): (draws, 1 + lags), s = 0 first."""
    clean = model.torch_module(input_ids=tokens[None]).logits
    out = []
    for first in range(0, draws, 8):
        rows = min(8, draws - first)
        with FunctionSpaceNoise(model, noise, draws=rows, first_draw=first, one_pass=True):
            noisy = model.torch_module(input_ids=tokens.expand(rows, -1), use_cache=False).logits
        kick = noisy - clean
        kick -= kick.mean(dim=-1, keepdim=True)
        # Positions after the first eight: the beginning of a text is special.
        kick = kick[:, 8:]
        means = [
            (kick[:, : kick.shape[1] - lag] * kick[:, lag:]).double().mean(dim=(1, 2))
            for lag in [0, *lags]
        ]
        out.append(torch.stack(means, dim=1).numpy())
    return np.concatenate(out)


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[float, float]:
    """Ratio of two means over draws, with the jackknife's error."""
    n = len(above)
    value = above.sum() / below.sum()
    without = (above.sum() - above) / (below.sum() - below)
    spread = delete_one_error(without.tolist())
    return float(n * value - (n - 1) * without.mean()), float(spread)


def choices(
    model: LanguageModel, ids: NDArray[np.int64], sigma: float, n: int, choosers: int
) -> tuple[list[Line], dict[str, Any]]:
    """The likeliest tokens along a text as one long choice, and its Rényi entropy over draws."""
    tokens = torch.from_numpy(ids[:n])
    lengths = np.arange(1, n + 1)
    curves: dict[str, Any] = {"length": lengths.tolist(), "sigma": sigma}
    found = {}
    with progress_bar(True, 3 * choosers, unit="draw", what="choosing") as bar:
        for number, path in enumerate(("frozen", "τ = 16", "fresh")):
            noise = WeightNoise(sigma, seed=SEED + number, **PATHS[path])
            chosen = []
            for first in range(0, choosers, 8):
                rows = min(8, choosers - first)
                batch = tokens.expand(rows, -1)
                with FunctionSpaceNoise(model, noise, draws=rows, first_draw=first, one_pass=True):
                    logits = model.torch_module(input_ids=batch, use_cache=False).logits
                chosen.append(logits.argmax(dim=-1).numpy())
                bar.update(rows)
            found[path] = np.concatenate(chosen)
            curves[path] = {
                "together": [x if math.isfinite(x) else -1.0 for x in pair_entropy(found[path])],
                "alone": np.cumsum(
                    [pair_entropy(one[:, None])[0] for one in found[path].T]
                ).tolist(),
            }
    return [growth("frozen", "ln n", found["frozen"]), growth("fresh", "n", found["fresh"])], curves


def pair_entropy(strings: NDArray[np.int64]) -> NDArray[np.float64]:
    """−ln of the share of pairs of rows that agree on their first n entries: Rényi's entropy H₂.

    Infinite where no pair does.
    """
    count, length = strings.shape
    label = np.zeros(count, dtype=np.int64)
    out = np.empty(length)
    for n in range(length):
        _, label = np.unique(np.stack([label, strings[:, n]]), axis=1, return_inverse=True)
        alike = np.bincount(label.ravel())
        agree = (alike * (alike - 1)).sum() / (count * (count - 1))
        out[n] = -math.log(agree) if agree else math.inf
    return out


def entropies_alone(strings: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over the first n positions of each one's own entropy: as if they were independent."""
    return np.cumsum([pair_entropy(column[:, None])[0] for column in strings.T])


def growth(path: str, wanted: str, chosen: NDArray[np.int64]) -> Line:
    """The exponent a of H₂ ∝ Xᵃ over the last four-fold of X, the sum of each position's own H₂.

    Texts are not alike everywhere: X, what independent positions would have, counts instead of n.
    It ends where so few pairs of draws still agree that H₂ is not known; beyond, nothing is said.
    """
    count = len(chosen)
    limit = math.log(count * (count - 1) / 2 / min(AGREEING, count))
    together, total = pair_entropy(chosen), entropies_alone(chosen)
    last = max(int(np.searchsorted(together, limit, side="right")) - 1, 0)
    quarter = int(np.searchsorted(total, total[last] / 4))

    def exponent(strings: NDArray[np.int64]) -> float:
        first, final = pair_entropy(strings)[[quarter, last]]
        if not 0 < first < final < math.inf:
            return math.nan  # too few draws: all agree, or none
        return math.log(final / first) / math.log(total[last] / total[quarter])

    groups = np.array_split(np.arange(count), min(16, count))
    left = [exponent(np.delete(chosen, group, axis=0)) for group in groups]
    value, error = exponent(chosen), float(delete_one_error(left))
    n = last + 1
    logarithm = math.log(math.log(n) / math.log(quarter + 1)) / math.log(4) if quarter else 0.0
    expected = 1.0 if wanted == "n" else logarithm
    quantity = (
        f"Rényi entropy H₂ of the likeliest tokens, {together[quarter]:.1f} nats of {quarter + 1} "
        f"positions to {together[last]:.1f} of {n}, {path}: exponent, of {wanted}"
    )
    return Line(6, quantity, expected, value, error, key=True)
