"""Greedy decoding under fresh noise on the head, as a sampler of tokens (experiment 5).

Counted tokens against the exact probit and against softmax: a part of `brownian_decoding.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from predictions import Line
from scipy.special import softmax

from llm_bridge.brownian import FunctionSpaceNoise, WeightNoise
from llm_bridge.brownian.probit import MINIMAX_RATIO, probit_probabilities
from llm_bridge.models import LanguageModel

__all__ = ["greedy_sampler"]

SEED = 20261122


def greedy_sampler(
    model: LanguageModel, ids: NDArray[np.int64], contexts: int, draws: int
) -> tuple[list[Line], dict[str, list[float]]]:
    """Tokens drawn by greedy decoding under fresh head noise: χ², and log odds against the gap."""
    tokens = torch.from_numpy(ids[: 32 * contexts])
    answer = model.torch_module(input_ids=tokens[None], output_hidden_states=True)
    at = np.linspace(16, tokens.numel() - 1, contexts).astype(int)
    hidden = answer.hidden_states[-1][0][at]
    head: Any = model.torch_module.get_output_embeddings()
    rms = float(head.weight.double().square().mean().sqrt())
    lengths = hidden.double().norm(dim=1).numpy()
    sigma = MINIMAX_RATIO / (rms * lengths.mean())  # like T = 1, in the mean over contexts
    found = {name: ChiSquare() for name in ("probit", "softmax", "gumbel")}
    odds = Odds()
    rng = np.random.default_rng(SEED)
    for number, context in enumerate(range(contexts)):
        z = answer.logits[0, at[context]].double().numpy()
        z = np.where(model.valid, z, -np.inf)
        s = float(sigma * rms * lengths[context])
        counts = np.zeros(z.size, dtype=int)
        gumbel = np.zeros(z.size, dtype=int)
        noise = WeightNoise(sigma, correlation="annealed", seed=SEED + number)
        with FunctionSpaceNoise(head, noise, draws=1):
            left = draws
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
    predicted, measured, error = odds.curvature()
    lines = [
        Line(5, f"{sampler}: χ² of tokens against {law}, in standard deviations", 0.0, chi.score,
             1.0, bound=bound, key=True)
        for sampler, law, chi, bound in (
            ("greedy under head noise", "the multinomial probit", found["probit"], ""),
            ("greedy under head noise", "softmax at T = s/1.203", found["softmax"], ">"),
            ("greedy under Gumbel noise T", "softmax at T", found["gumbel"], ""),
        )
    ]  # fmt: skip
    quantity = "greedy under head noise: log odds, coefficient of (Δ/s)²; softmax has 0"
    lines.append(Line(5, quantity, predicted, measured, error, key=True))
    return lines, odds.curves()


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
    def score(self) -> float:
        """χ² less its mean, in its standard deviations: above 4 by chance once in 10⁴ times."""
        return (self.statistic - self.freedom) / math.sqrt(2 * max(self.freedom, 1))


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
