"""Ranks and choices under weight noise: who overtakes whom, on the demo model.

Experiments 4 (rank swaps and flips) and 5 (greedy decoding under noise: races, and which softmax
resembles it) of docs/brownian_experiments.rst; 5 goes on in `brownian_decoding.py`.
Usage: ``python benchmarks/weight_noise_ranks.py [--json FILE] [--only 4] [--tiny]``. Takes a minute
of a core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from noisy_demo import SEED, Laboratory, Part, run, within
from numpy.typing import NDArray
from predictions import Experiment, Line, Rule
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, log_ndtr, ndtr, softmax

from llm_bridge.brownian import effective_temperature, sample_logits
from llm_bridge.brownian.probit import probit_probabilities
from llm_bridge.brownian.rank_swaps import RANKED, likeliest, rank_swaps
from llm_bridge.brownian.second_order import second_order_of

BATCHES = 20  # of races, between which they are compared to tell their error
EXACT = Rule(within=1e-3)  # nothing is sampled


# ------------------------------------------------------------------------------------------------
# 4. Ranks


def stays_on_top(logits: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Probability (N,) that the top token stays on top under independent Gaussian noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(48)
    top = logits.max(axis=1, keepdims=True)
    behind = (top - logits) / size
    np.put_along_axis(behind, logits.argmax(axis=1)[:, None], np.inf, axis=1)
    stays = np.zeros(len(logits))
    for x, w in zip(nodes, weights / weights.sum(), strict=True):
        stays += w * np.exp(log_ndtr(x + behind).sum(axis=1))
    return stays


def ranks(lab: Laboratory, record: dict[str, Any]) -> Iterator[Line]:
    """Swaps in the mean distribution, flips in single draws; none under softmax."""
    logits = lab.theory("head").logits
    swapped = rank_swaps(logits, logits / 1.5).mean()
    yield Line(4, "softmax at T = 1.5: rank swaps", 0.0, swapped, key=True)
    for sigma in (0.1, 0.3, 0.8):
        fit = lab.head_fit(sigma)
        predicted = 1 - stays_on_top(logits, sigma * lab.sizes()).mean()
        yield Line(4, f"head, σ = {sigma}: top-1 flips of one draw", predicted, fit.top1_flips,
                   fit.draw_errors["top1_flips"], within(), key=sigma == 0.3)  # fmt: skip
    # The same independent noise on all logits cannot swap any two in the mean, by symmetry.
    for sigma in (0.3, 0.8):
        fit = lab.head_fit(sigma)
        yield Line(4, f"head, σ = {sigma}: rank swaps of the mean", 0.0, fit.rank_swaps,
                   fit.draw_errors["rank_swaps"], Rule(rough=0.02, unit=1.0))  # fmt: skip
    # Predicted and counted in the mean of the same draws, so that chance swaps are in both.
    totals: dict[str, list[NDArray[np.float64]]] = {}
    for where, sigma in (("all", 0.05), ("all", 0.1), ("embedding", 0.2), ("attention", 0.1)):
        two = [swaps_at(lab, where, sigma, half) for half in (0, 1)]
        for how in two[0]:
            both = np.concatenate([found[how] for found in two], axis=1)
            totals.setdefault(how, []).append(both)
            quantity = f"{how}, {where}, σ = {sigma}, two texts: rank swaps of the mean"
            yield swaps_line(quantity, both, key=where == "all" and sigma == 0.1)
    for how, parts in totals.items():
        together = f"{how}, {len(parts)} noises and two texts together: rank swaps of the mean"
        yield swaps_line(together, np.mean(parts, axis=0), key=True, noises=len(parts))
    yield from common_noise()


def swaps_at(
    lab: Laboratory, where: str, sigma: float, half: int
) -> dict[str, NDArray[np.float64]]:
    """By theory: predicted and counted swaps (2, N) on one of the texts."""
    clean, theory = lab.clean(half), lab.theory(where, half=half)
    noise = lab.noise(where, sigma=sigma)
    noisy = sample_logits(lab.model, lab.halves[half], noise, 2 * lab.settings.pairs, "copies")
    top = np.take_along_axis(clean, likeliest(clean), axis=1)
    mean = np.mean([softmax(np.where(lab.model.valid, z, -np.inf), axis=1) for z in noisy], axis=0)
    counted = swaps(top, np.take_along_axis(mean, likeliest(clean), axis=1))
    predicted = {
        "second order": swaps(theory.logits, theory.shifted_logits(sigma)),
        "pairwise mean field": swaps(top, pairwise_mean_field(clean, noisy)),
    }
    return {how: np.stack([each, counted]) for how, each in predicted.items()}


def swaps(clean: NDArray[Any], mean: NDArray[Any]) -> NDArray[np.float64]:
    """How many pairs of the ten likeliest tokens are swapped at each position, (N,)."""
    ten = min(RANKED, clean.shape[1])
    return rank_swaps(clean, mean) * (ten * (ten - 1) / 2)


def swaps_line(quantity: str, both: NDArray[np.float64], *, key: bool, noises: int = 1) -> Line:
    """Predicted and counted swaps (2, N), or their mean over noises, as shares of all pairs.

    The error is that of counting: positions where the two differ do so by chance, whichever has
    more. (A pair at least, for none that differs is no proof either.)
    """
    pairs = both.shape[1] * RANKED * (RANKED - 1) / 2
    predicted, counted = both.sum(axis=1) / pairs
    least = 1 / noises
    error = max(float(np.linalg.norm(both[1] - both[0])), least) / pairs
    return Line(4, quantity, float(predicted), float(counted), error, within(), key=key)


def pairwise_mean_field(clean: NDArray[Any], noisy: NDArray[Any]) -> NDArray[np.float64]:
    """p (N, 10) of the likeliest tokens from moments of logits' differences over the draws.

    p_k = 1/Σ_i exp(−⟨z_k − z_i⟩/√(1 + π Var(z_k − z_i)/8)).
    """
    out = np.empty((len(clean), likeliest(clean[:1]).size))
    for t, top in enumerate(likeliest(clean)):
        ahead = noisy[:, t, top, None].astype(float) - noisy[:, t, None, :]
        size = np.sqrt(1 + math.pi / 8 * ahead.var(axis=0))
        out[t] = 1 / np.exp(-ahead.mean(axis=0) / size).sum(axis=1)
    return out


def common_noise() -> Iterator[Line]:
    """Noise that all logits have in common is none: one mean field knows that, the other not."""
    z, common = np.array([[1.0, 0.0, -1.0]]), np.array([1.0, -1.0])
    shaken = z + common[:, None, None]
    pairwise = pairwise_mean_field(z, shaken)[0, np.argsort(likeliest(z)[0])]
    per_class = softmax(z[0] / np.sqrt(1 + math.pi / 8 * shaken[:, 0].var(axis=0)))
    for name, p, bound in (
        ("pairwise mean field", pairwise, ""),
        ("probit per class", per_class, ">"),
    ):
        off = float(np.abs(p - softmax(z[0])).max())
        quantity = f"noise common to all logits: change of p by {name}"
        yield Line(4, quantity, 0.0, off, rule=Rule(least=1e-12), bound=bound)


# ------------------------------------------------------------------------------------------------
# 5. Greedy decoding under noise


def greedy(lab: Laboratory, record: dict[str, Any]) -> Iterator[Line]:
    """Races of the likeliest token against the next nine: log-odds against the gap."""
    sigma = 0.6
    logits, size = lab.theory("head").logits, sigma * lab.sizes()
    ten = -np.sort(-logits, axis=1)[:, :10]
    gap = ((ten[:, :1] - ten[:, 1:]) / size).ravel()  # in units of the noise of a logit
    edges = np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])
    place = np.digitize(gap, edges) - 1
    rng = np.random.default_rng(SEED)
    temperature = math.sqrt(math.pi) / 2  # of Gumbel noise with the same slope at gap 0
    kinds = {
        "Gaussian": (rng.standard_normal, lambda x: ndtr(-x / math.sqrt(2))),
        "Gumbel": (
            lambda n: temperature * rng.gumbel(size=n),
            lambda x: 1 / (1 + np.exp(x / temperature)),
        ),
    }
    curves: dict[str, Any] = {"edges": edges.tolist()}
    for name, (draw, overtakes) in kinds.items():
        expected = overtakes(gap)
        won = np.empty((BATCHES, gap.size))
        for batch in won:
            kicks = draw((lab.settings.races // BATCHES, *ten.shape))
            lead = gap.reshape(len(ten), -1) + kicks[:, :, :1] - kicks[:, :, 1:]
            batch[:] = (lead < 0).mean(axis=0).ravel()
        scores, points = [], []
        for k in range(len(edges) - 1):
            here = place == k
            if not here.any():
                continue
            shares = won[:, here].mean(axis=1)  # races of one position share the leader's noise
            mean, found = expected[here].mean(), shares.mean()
            error = max(shares.std(ddof=1), math.sqrt(mean / lab.settings.races / here.sum()))
            scores.append((found - mean) / (error / math.sqrt(BATCHES)))
            odds_of = [float(np.log(q / (1 - q))) if q > 0 else None for q in (mean, found)]
            points.append([float(gap[here].mean()), *odds_of])
        curves[name] = points
        largest = float(np.abs(scores).max())
        # Student's t: 2e-3 by chance in all.
        yield Line(5, f"{name}: largest |z| of {len(scores)} gaps", 0.0, largest, 1.0, Rule(4.5),
                   key=True)  # fmt: skip
    record["races"] = curves

    def odds(x: float) -> float:
        return float(log_ndtr(-x / math.sqrt(2)) - log_ndtr(x / math.sqrt(2)))

    tail = (odds(40) - odds(30)) / (40**2 - 30**2)
    quantity = "Gaussian tail of the log-odds per (Δ/s)²"
    yield Line(5, quantity, -0.25, tail, rule=Rule(within=0.01), key=True)

    def worst(ratio: float) -> float:  # s = ratio·T; gaps in units of T
        x = np.linspace(0, 12, 4001)
        return float(np.abs(ndtr(x / (ratio * math.sqrt(2))) - 1 / (1 + np.exp(-x))).max())

    step = 1e-4
    slope = 4 * (ndtr(step / math.sqrt(2)) - 0.5) / step
    yield Line(5, "two tokens: s/T of equal slopes", 1.128, slope, rule=EXACT)
    best = minimize_scalar(worst, bounds=(1, 1.5), method="bounded", options={"xatol": 1e-6}).x
    yield Line(5, "two tokens: s/T of least largest error", 1.203, best, rule=EXACT)
    gumbel = np.random.default_rng(SEED).gumbel(size=(2, BATCHES, 50_000))
    squares = (gumbel[0] - gumbel[1]).var(axis=1)
    ratio = math.sqrt(squares.mean() / 2)
    error = ratio * squares.std(ddof=1) / squares.mean() / 2 / math.sqrt(BATCHES)
    yield Line(5, "two tokens: s/T of equal variances", 1.283, ratio, error, within(1e-3))
    for s in (0.3, 1.0):
        mean = probit_probabilities(logits[:48], s)
        energy = (mean * logits[:48]).sum(axis=1).mean()
        closest = brentq(
            lambda b: (softmax(b * logits[:48], axis=1) * logits[:48]).sum(1).mean() - energy,  # noqa: B023
            0.2, 60,
        )  # fmt: skip
        yield Line(5, f"4096 tokens, s = {s}: s/T of the closest softmax, as of two", 1.203,
                   s * closest, rule=Rule(within=0.066), key=True)  # fmt: skip
    yield from noise_and_sampling(lab)


def noise_and_sampling(lab: Laboratory) -> Iterator[Line]:
    """Noise s, then sampling at T: is it T² + πs²/4? As the pairwise mean field says, which is
    softmax at that temperature where all logits have the same noise.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    weights /= weights.sum()

    def slope(s: float) -> float:
        """T = 1/(4 × slope at gap 0) of two tokens under noise s, sampled at T = 1."""
        chance = expit(math.sqrt(2) * s * nodes)
        return 1 / float(4 * weights @ (chance * (1 - chance)))

    for s in (0.3, 1.0, 3.0):
        rule = math.sqrt(1 + math.pi * s**2 / 4)
        yield Line(5, f"T² + πs²/4, two tokens, noise {s}·T, sampled at T: T of both", rule,
                   slope(s), rule=Rule(within=0.05), key=s == 1.0)  # fmt: skip
    weak = (slope(0.01) - 1) / 0.01**2
    quantity = "T² + πs²/4, two tokens, weak noise: (T − 1)/s²"
    yield Line(5, quantity, math.pi / 8, weak, rule=Rule(within=0.05))
    yield Line(5, "second order, two tokens, weak noise: (T − 1)/s²", 0.5, weak, rule=EXACT)
    clean, s = lab.clean(0), 0.5
    kicks = s * lab.normals()
    noisy = np.stack([clean + kicks, clean - kicks], axis=1).reshape(-1, *clean.shape)
    logits = lab.theory("head").logits
    for sampled_at in (1.0, 0.5):
        fit = effective_temperature(clean, noisy / np.float32(sampled_at), lab.model.valid)
        error = fit.draw_errors["beta"] * fit.temperature**2
        label = f"4096 tokens, noise {s}, sampled at T = {sampled_at:g}: "
        rule = math.sqrt(sampled_at**2 + math.pi * s**2 / 4)
        yield Line(5, f"T² + πs²/4, {label}T of both", rule, fit.temperature, error,
                   Rule(within=0.05), key=sampled_at == 1.0)  # fmt: skip
        if sampled_at == 1.0:
            weak = second_order_of(logits, np.full_like(logits, s**2)).at(1.0).temperature - 1
            yield Line(5, f"second order, {label}T − 1", weak, fit.temperature - 1, error,
                       within(0.1), key=True)  # fmt: skip


EXPERIMENTS: dict[int, tuple[Experiment, Part]] = {
    4: (
        Experiment(
            "Ranks",
            "No softmax changes the likeliest token. Noise does, and two tokens swap in the mean "
            "where σ²(g_j − g_i) > ln(p_i/p_j).",
        ),
        ranks,
    ),
    5: (
        Experiment(
            "Greedy decoding under noise",
            "Log odds fall with the square of the gap (Gaussian noise: a probit) or with the gap "
            "(Gumbel noise: softmax); noise s with sampling at T is T² + πs²/4.",
        ),
        greedy,
    ),
}


if __name__ == "__main__":
    run(
        "weight_noise_ranks",
        "Ranks and choices under weight noise: predictions and measurements",
        EXPERIMENTS,
        __doc__,
    )
