"""Decoding with fluctuating weights: predictions beside measurements, on the demo model.

First greedy decoding under fresh noise on the head, as a sampler: how often it draws each token,
against the exact probit and against softmax. Then the memory of the noise: with the text given,
variances and correlations of the logits along it under frozen, fresh and wandering weights. Last
the likeliest tokens along a text as one choice, and how its entropy grows; and texts written
greedily by each of them: how much they repeat themselves. Usage:
``python benchmarks/brownian_decoding.py [--json FILE] [--tiny] [--only PART]``. Takes two to three
minutes of a core.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import machine, print_table, write_record
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax
from scipy.stats import chi2

from llm_bridge.brownian import FunctionSpaceNoise, WeightNoise
from llm_bridge.brownian.probit import MINIMAX_RATIO, probit_probabilities
from llm_bridge.decoding import Decoder, end_of_text, generate_many
from llm_bridge.decoding.noisy_reader import FunctionSpaceReader
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.text.loops import loop_share
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.estimate.jackknife import delete_one_error
from thermo.run.progress_bar import progress_bar

COLUMNS = ["what", "predicted", "measured", "verdict"]
SEED = 20261122
WEAK = 0.005  # so that terms of order σ⁴ are far below the correlations
SLIGHT = 1e-4  # a p-value below it refutes
PATHS: dict[str, dict[str, Any]] = {
    "frozen": {},
    "fresh": {"correlation": "annealed"},
    "τ = 4": {"correlation": "ou", "tau": 4.0},
    "τ = 16": {"correlation": "ou", "tau": 16.0},
}
PLACES: dict[str, str | list[str]] = {
    "head": "head",
    "last MLP": "model.layers.3.mlp.*",
    "attention": "attention",
    "embedding": "embedding",
    "all weights": "all",
}
LATE = ("head", "last MLP")  # nothing that later positions look at
LAGS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Sizes:
    """How much is computed."""

    contexts: int = 16
    draws: int = 20_000
    positions: int = 96
    paths: int = 32
    choices: int = 384
    choice_sigma: float = 0.01
    choosers: int = 96
    prompts: int = 4
    prompt_tokens: int = 24
    texts: int = 16
    tokens: int = 80


TINY = Sizes(contexts=2, draws=400, positions=24, paths=4, choices=40, choice_sigma=0.05,
             choosers=16, prompts=2, prompt_tokens=8, texts=4, tokens=12)  # fmt: skip

Rows = list[list[Any]]


# --- greedy decoding under noise on the head ----------------------------------------------------


def head_sampler(model: LanguageModel, ids: NDArray[np.int64], sizes: Sizes) -> tuple[Rows, Any]:
    """Tokens drawn by greedy decoding under fresh head noise: χ², and log odds against the gap."""
    tokens = torch.from_numpy(ids[: 32 * sizes.contexts])
    answer = model.torch_module(input_ids=tokens[None], output_hidden_states=True)
    at = np.linspace(16, tokens.numel() - 1, sizes.contexts).astype(int)
    hidden = answer.hidden_states[-1][0][at]
    head: Any = model.torch_module.get_output_embeddings()
    rms = float(head.weight.double().square().mean().sqrt())
    lengths = hidden.double().norm(dim=1).numpy()
    sigma = MINIMAX_RATIO / (rms * lengths.mean())  # like T = 1, in the mean over contexts
    found = {name: ChiSquare() for name in ("probit", "softmax", "gumbel")}
    odds = Odds()
    rng = np.random.default_rng(SEED)
    for number, context in enumerate(range(sizes.contexts)):
        z = answer.logits[0, at[context]].double().numpy()
        z = np.where(model.valid, z, -np.inf)
        s = float(sigma * rms * lengths[context])
        counts = np.zeros(z.size, dtype=int)
        gumbel = np.zeros(z.size, dtype=int)
        noise = WeightNoise(sigma, correlation="annealed", seed=SEED + number)
        with FunctionSpaceNoise(head, noise, draws=1):
            left = sizes.draws
            while left:
                rows = min(left, 2000)
                # Fresh at every position: as many positions as draws are the same thing.
                noisy = head(hidden[context].expand(1, rows, -1))[0].numpy()
                counts += winners(np.where(model.valid, noisy, -np.inf))
                added = z + s / MINIMAX_RATIO * rng.gumbel(size=(rows, z.size))
                gumbel += winners(added)
                left -= rows
        probit, hot = probit_probabilities(z, s), softmax(z * MINIMAX_RATIO / s)
        found["probit"].add(counts, probit)
        found["softmax"].add(counts, hot)
        found["gumbel"].add(gumbel, hot)
        odds.add(z / s, counts, probit, hot)
    curves = odds.curves()
    predicted, measured, error = odds.curvature()
    rows = [
        [
            "greedy under head noise: tokens as the multinomial probit (p of χ²)",
            f"> {SLIGHT:g}", found["probit"].text(), verdict(found["probit"].p > SLIGHT),
        ],
        [
            "the same against softmax at T = s/1.203",
            f"< {SLIGHT:g}", found["softmax"].text(), verdict(found["softmax"].p < SLIGHT),
        ],
        [
            "greedy under Gumbel noise T against softmax at T",
            f"> {SLIGHT:g}", found["gumbel"].text(), verdict(found["gumbel"].p > SLIGHT),
        ],
        [
            "log odds against gap: coefficient of (Δ/s)²; softmax has 0",
            f"{predicted:.3f}", rounded_to_error(measured, error),
            verdict(abs(measured - predicted) < 4 * error),
        ],
    ]  # fmt: skip
    return rows, curves


def winners(noisy: NDArray[np.floating]) -> NDArray[np.int64]:
    """How often each token is the largest of a row."""
    return np.bincount(noisy.argmax(axis=1), minlength=noisy.shape[1])


class ChiSquare:
    """χ² of counts, summed over contexts; tokens expected less than five times count as one."""

    def __init__(self) -> None:
        self.statistic, self.freedom = 0.0, 0

    def add(self, counts: NDArray[np.int64], p: NDArray[np.float64]) -> None:
        """Counts of one context, and what they should be."""
        expected = counts.sum() * p
        often = expected >= 5
        seen = np.append(counts[often], counts[~often].sum()).astype(float)
        wanted = np.append(expected[often], expected[~often].sum())
        if wanted[-1] < 5:
            seen[-2] += seen[-1]
            wanted[-2] += wanted[-1]
            seen, wanted = seen[:-1], wanted[:-1]
        self.statistic += float(((seen - wanted) ** 2 / wanted).sum())
        self.freedom += seen.size - 1

    @property
    def p(self) -> float:
        """Chance of a χ² as large."""
        return float(chi2.sf(self.statistic, max(self.freedom, 1)))

    def text(self) -> str:
        """p with what it is made of."""
        return f"{self.p:.2g} (χ² {self.statistic:.0f} of {self.freedom})"


class Odds:
    """Odds of tokens against the likeliest one, pooled by their gap in units of s."""

    EDGES = np.arange(0.25, 8.5, 0.5)

    def __init__(self) -> None:
        self.sums = np.zeros((5, self.EDGES.size - 1))  # tokens counted, top counted; expected

    def add(
        self,
        levels: NDArray[np.float64],
        counts: NDArray[np.int64],
        probit: NDArray[np.float64],
        hot: NDArray[np.float64],
    ) -> None:
        """Tokens of one context: logits in units of s, counts, exact and softmax probabilities."""
        top = int(levels.argmax())
        place = np.digitize(levels[top] - levels, self.EDGES) - 1
        for bin_ in range(self.EDGES.size - 1):
            inside = place == bin_
            n = int(inside.sum())
            total = counts.sum()
            self.sums[:, bin_] += (
                counts[inside].sum(), n * counts[top], total * probit[inside].sum(),
                n * total * probit[top], n and hot[inside].mean() / hot[top] * n * counts[top],
            )  # fmt: skip

    def _usable(self) -> NDArray[np.bool_]:
        return (self.sums[0] >= 20) & (self.sums[2] > 0)

    def _curvature_of(self, odds: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
        middle = (self.EDGES[1:] + self.EDGES[:-1]) / 2
        ok = self._usable()
        return float(np.polyfit(middle[ok], np.log(odds[ok]), 2, w=np.sqrt(weights[ok]))[0])

    def curvature(self) -> tuple[float, float, float]:
        """Coefficient of (Δ/s)² in the log odds: predicted, measured, and its error."""
        seen, tops, expected, top_expected, _ = self.sums
        with np.errstate(divide="ignore", invalid="ignore"):
            measured = seen / tops
            predicted = expected / top_expected
        rng = np.random.default_rng(SEED)  # the error from Poisson counts around what is expected
        again = [
            self._curvature_of(np.maximum(rng.poisson(seen), 1) / tops, seen) for _ in range(200)
        ]
        return (
            self._curvature_of(predicted, seen),
            self._curvature_of(measured, seen),
            float(np.std(again)),
        )

    def curves(self) -> dict[str, list[float]]:
        """For the picture: gap/s, and odds counted, exact, of softmax; −1 where there are none."""
        seen, tops, expected, top_expected, hot = self.sums
        ok = (seen > 0) & (tops > 0)
        middle = (self.EDGES[1:] + self.EDGES[:-1]) / 2
        return {
            "gap": middle[ok].tolist(),
            "counted": (seen / np.maximum(tops, 1))[ok].tolist(),
            "relative_error": (1 / np.sqrt(np.maximum(seen, 1)))[ok].tolist(),
            "probit": (expected / np.maximum(top_expected, 1e-300))[ok].tolist(),
            "softmax": (hot / np.maximum(tops, 1))[ok].tolist(),
        }


# --- variances and correlations along a given text ----------------------------------------------


def along_a_text(model: LanguageModel, ids: NDArray[np.int64], sizes: Sizes) -> tuple[Rows, Any]:
    """Weak noise while a text is read: what each path of the weights does to the logits."""
    tokens = torch.from_numpy(ids[: sizes.positions])
    rows: Rows = []
    curves: dict[str, Any] = {}
    lags = [lag for lag in LAGS if lag < sizes.positions // 2]
    with progress_bar(True, len(PLACES) * len(PATHS), unit="noise", what="reading") as bar:
        for place, where in PLACES.items():
            sums = {}
            for number, (path, options) in enumerate(PATHS.items()):
                noise = WeightNoise(WEAK, where=where, seed=SEED + number, **options)
                sums[path] = products(model, tokens, noise, sizes.paths, lags)
                bar.update()
            late = place in LATE
            frozen = sums["frozen"]
            for path in list(PATHS)[1:]:
                value, error = ratio(sums[path][:, 0], frozen[:, 0])
                rows.append(
                    [
                        f"{place}: variance of logits, {path} / frozen", "1",
                        rounded_to_error(value, error), verdict(abs(value - 1) < 4 * error, late),
                    ]
                )  # fmt: skip
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
                lag = lags[-3]
                rows.append(
                    [
                        f"{place}: correlation {lag} tokens apart, {path}",
                        f"{rho**lag:.3g}", rounded_to_error(*pairs[-3]),
                        verdict(off < 4.5, late),
                    ]
                )  # fmt: skip
    return rows, curves


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


# --- how much there is to choose ------------------------------------------------------------------


def choices(model: LanguageModel, ids: NDArray[np.int64], sizes: Sizes) -> tuple[Rows, Any]:
    """The likeliest tokens along a given text as one long choice, and its entropy over draws."""
    sigma, n = sizes.choice_sigma, sizes.choices
    tokens = torch.from_numpy(ids[:n])
    lengths = np.arange(1, n + 1)
    curves: dict[str, Any] = {"length": lengths.tolist(), "sigma": sigma}
    found = {}
    with progress_bar(True, 3 * sizes.choosers, unit="draw", what="choosing") as bar:
        for number, path in enumerate(("frozen", "τ = 16", "fresh")):
            noise = WeightNoise(sigma, seed=SEED + number, **PATHS[path])
            chosen = []
            for first in range(0, sizes.choosers, 8):
                rows = min(8, sizes.choosers - first)
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
    rows_: Rows = []
    for path, wanted in (("frozen", "ln n"), ("fresh", "n")):
        rows_.append(growth(path, wanted, found[path]))
    return rows_, curves


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


def growth(path: str, wanted: str, chosen: NDArray[np.int64]) -> list[Any]:
    """The exponent a of H₂ ∝ Xᵃ over the last four-fold of X, the sum of each position's own H₂.

    Texts are not alike everywhere: X, what independent positions would have, counts instead of n.
    """
    total = entropies_alone(chosen)
    quarter = int(np.searchsorted(total, total[-1] / 4))

    def exponent(strings: NDArray[np.int64]) -> float:
        first, last = pair_entropy(strings)[[quarter, -1]]
        if not 0 < first < last < math.inf:
            return math.nan  # too few draws: all agree, or none
        return math.log(last / first) / math.log(total[-1] / total[quarter])

    groups = np.array_split(np.arange(len(chosen)), min(16, len(chosen)))
    left = [exponent(np.delete(chosen, group, axis=0)) for group in groups]
    value, error = exponent(chosen), float(delete_one_error(left))
    x = len(total)
    logarithm = math.log(math.log(x) / math.log(x / 4)) / math.log(4)
    expected = 1.0 if wanted == "n" else logarithm
    return [
        f"entropy of the likeliest tokens along {x} positions, {path}: grows like",
        f"{wanted} (exponent {expected:.2f})",
        rounded_to_error(value, error) if math.isfinite(error) else f"{value:.2f}",
        verdict(abs(value - expected) < 4 * error),
    ]


# --- texts ----------------------------------------------------------------------------------------


def written_texts(model: LanguageModel, ids: NDArray[np.int64], sizes: Sizes) -> tuple[Rows, Any]:
    """Loops in texts written greedily with noise, and in texts drawn at a temperature."""
    valid = model.valid & ~end_of_text(model)
    step = max((ids.size - sizes.prompt_tokens) // sizes.prompts, 1)
    prompts = [ids[k * step : k * step + sizes.prompt_tokens] for k in range(sizes.prompts)]
    greedy = generate_many(
        model, prompts, Decoder(math.inf, valid=valid), max_tokens=sizes.tokens, seed=SEED
    )
    shares = {"greedy": np.array([loop_share(text.ids) for text in greedy])}
    kinds = ("frozen", "τ = 16", "fresh")
    with progress_bar(True, 8 * sizes.prompts, unit="prompt", what="writing") as bar:
        for sigma in (0.05, 0.2):
            hot = temperature_of_flips(model, ids, valid, sigma)
            for kind in (*kinds, "softmax"):
                share = np.empty(sizes.prompts)
                for number, prompt in enumerate(prompts):
                    if kind == "softmax":
                        drawn = generate_many(
                            model, [prompt] * sizes.texts, Decoder(1 / hot, valid=valid),
                            max_tokens=sizes.tokens, seed=SEED + number,
                        )  # fmt: skip
                        texts = [one.ids for one in drawn]
                    else:
                        noise = WeightNoise(sigma, seed=SEED + number, **PATHS[kind])
                        texts = list(greedy_texts(model, prompt, noise, sizes, valid))
                    share[number] = np.mean([loop_share(text) for text in texts])
                    bar.update()
                label = f"softmax, T = {hot:.2f}" if kind == "softmax" else kind
                shares[f"σ = {sigma:g}, {label}"] = share
    curves = {
        kind: [float(x.mean()), float(x.std(ddof=1) / math.sqrt(x.size))]
        for kind, x in shares.items()
    }
    first = f"share of a text of {sizes.tokens} tokens that is its longest loop"
    return [
        [f"{first}: {kind}", "–", rounded_to_error(*pair), "–"] for kind, pair in curves.items()
    ], curves


def temperature_of_flips(
    model: LanguageModel, ids: NDArray[np.int64], valid: NDArray[np.bool_], sigma: float
) -> float:
    """T at which as many drawn tokens are not the likeliest as under fresh noise on all weights."""
    tokens = torch.from_numpy(ids[:256])
    clean = np.where(valid, model.logits(tokens.numpy()), -np.inf).astype(np.float64)
    noise = WeightNoise(sigma, correlation="annealed", seed=SEED)
    with FunctionSpaceNoise(model, noise, draws=4, one_pass=True):
        noisy = model.torch_module(input_ids=tokens.expand(4, -1), use_cache=False).logits.numpy()
    flips = (np.where(valid, noisy, -np.inf).argmax(-1) != clean.argmax(-1)).mean()
    return float(
        brentq(lambda t: (1 - softmax(clean / t, axis=-1).max(-1)).mean() - flips, 0.01, 3.0)
    )


def greedy_texts(
    model: LanguageModel,
    prompt: NDArray[np.int64],
    noise: WeightNoise,
    sizes: Sizes,
    valid: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Tokens (texts, n): each text is written by a draw of its own."""
    reader = FunctionSpaceReader(model, noise, sizes.texts)
    closed = torch.from_numpy(~valid)
    tokens = torch.from_numpy(prompt).expand(sizes.texts, -1)
    out = []
    for _ in range(sizes.tokens):
        logits = reader.read(tokens).masked_fill_(closed, -math.inf)
        tokens = logits.argmax(dim=-1, keepdim=True)
        out.append(tokens)
    return torch.cat(out, dim=1).numpy()


def verdict(holds: bool, expected: bool = True) -> str:
    """Whether a prediction holds; one that should not is refuted, or not with these errors."""
    if expected:
        return "confirmed" if holds else "refuted"
    return "not refuted" if holds else "refuted: attention comes after"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    parser.add_argument("--only", choices=("head", "along", "choices", "texts"), help="one part")
    options = parser.parse_args()
    sizes = TINY if options.tiny else Sizes()
    torch.set_num_threads(1)
    model = load_model("demo")
    text = model.held_out_text
    assert text is not None
    ids = model.encode(text)[:2048]
    parts = {
        "head": head_sampler,
        "along": along_a_text,
        "choices": choices,
        "texts": written_texts,
    }
    rows: Rows = []
    curves = {}
    with torch.no_grad():
        for name, part in parts.items():
            if options.only in (None, name):
                found, curves[name] = part(model, ids, sizes)
                print_table(name, COLUMNS, found)
                rows += found
    write_record(
        options.json,
        "Decoding with fluctuating weights",
        f"The demo model. Head: {sizes.contexts} contexts of held-out text, {sizes.draws} draws at "
        f"each, s about 1.2 nats. Along a text: σ = {WEAK} of the weights' rms, "
        f"{sizes.positions} positions, {sizes.paths} draws. Likeliest tokens: "
        f"σ = {sizes.choice_sigma} on all weights, {sizes.choosers} draws. Texts: noise on all "
        f"weights, {sizes.prompts} prompts of {sizes.prompt_tokens} tokens, {sizes.texts} texts "
        "from each; softmax at the T of as many "
        "tokens that are not the likeliest. Errors in brackets are of the last digits; refuted: "
        "off by more than 4 (correlations, the worst of six lags: 4.5) of them.",
        COLUMNS,
        rows,
        machine("torch", "transformers"),
        curves=curves,
    )


if __name__ == "__main__":
    main()
