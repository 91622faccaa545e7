"""Loops in texts that are written while the weights fluctuate, a part of `brownian_decoding.py`.

Greedy texts run into loops. Which noise breaks them, and which softmax does as much?
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from noise_along_text import PATHS, SEED
from numpy.typing import NDArray
from predictions import Line, Rule
from scipy.optimize import brentq
from scipy.special import softmax

from llm_bridge.brownian import FunctionSpaceNoise, WeightNoise
from llm_bridge.decoding import Decoder, end_of_text, generate_many
from llm_bridge.decoding.noisy_reader import FunctionSpaceReader
from llm_bridge.models import LanguageModel
from llm_bridge.text.loops import loop_share
from thermo.run.progress_bar import progress_bar

__all__ = ["written_texts"]

KINDS = ("frozen", "τ = 16", "fresh")
SHARE = Rule(rough=0.05, unit=1.0)
NONE = Rule(rough=0.02, unit=1.0)  # to say that no loops are broken takes more
SIGMAS = (0.05, 0.2)  # breaks hardly any loop, and most


def written_texts(
    model: LanguageModel, ids: NDArray[np.int64], prompts: int, texts: int, tokens: int, read: int
) -> tuple[list[Line], dict[str, Any]]:
    """Share of each text that is its longest loop: greedy with noise, and drawn at a temperature.

    Each of so many prompts, which are so many tokens to read, is written on so many times.
    """
    valid = model.valid & ~end_of_text(model)
    step = max((ids.size - read) // prompts, 1)
    begun = [ids[k * step : k * step + read] for k in range(prompts)]
    greedy = generate_many(
        model, begun, Decoder(math.inf, valid=valid), max_tokens=tokens, seed=SEED
    )
    heats = {}
    shares = {"greedy": np.array([loop_share(text.ids) for text in greedy])}
    with progress_bar(
        True, (len(KINDS) + 1) * len(SIGMAS) * prompts, unit="prompt", what="writing"
    ) as bar:
        for sigma in SIGMAS:
            hot = temperature_of_flips(model, ids, valid, sigma)
            for kind in (*KINDS, "softmax"):
                share = np.empty(prompts)
                for number, prompt in enumerate(begun):
                    if kind == "softmax":
                        drawn = generate_many(
                            model, [prompt] * texts, Decoder(1 / hot, valid=valid),
                            max_tokens=tokens, seed=SEED + number,
                        )  # fmt: skip
                        drawn_ids = [one.ids for one in drawn]
                    else:
                        noise = WeightNoise(sigma, seed=SEED + number, **PATHS[kind])
                        drawn_ids = greedy_texts(model, prompt, noise, texts, tokens, valid)
                    share[number] = np.mean([loop_share(text) for text in drawn_ids])
                    bar.update()
                shares[f"σ = {sigma:g}, {kind}"] = share
            heats[f"σ = {sigma:g}"] = hot
    levels = {kind: mean_and_error(each) for kind, each in shares.items()}
    return list(compared(shares, tokens)), {"shares": levels, "softmax_temperature": heats}


def mean_and_error(shares: NDArray[np.float64]) -> list[float]:
    """Over prompts."""
    return [float(shares.mean()), float(shares.std(ddof=1) / math.sqrt(shares.size))]


def compared(shares: dict[str, NDArray[np.float64]], tokens: int) -> Iterator[Line]:
    """Differences between ways to write, prompt by prompt, and what is to be expected of them."""
    weak, strong = (f"σ = {sigma:g}, " for sigma in SIGMAS)
    pairs = [  # a loop meets the same frozen weights again each time round
        (strong + "frozen", "greedy", "", SHARE),
        # a token departs from the likeliest one as often
        (strong + "fresh", strong + "softmax", "", SHARE),
        (weak + "fresh", weak + "softmax", "", SHARE),
        # weights that wander lie between
        (strong + "frozen", strong + "τ = 16", ">", SHARE),
        (strong + "τ = 16", strong + "fresh", ">", SHARE),
        (strong + "frozen", strong + "fresh", ">", SHARE),
        *((weak + kind, "greedy", "", NONE) for kind in KINDS),  # weak noise breaks none
    ]
    for first, second, bound, rule in pairs:
        one, two = shares[first], shares[second]
        means = f"{first} ({one.mean():.2f}) less {second} ({two.mean():.2f})"
        quantity = f"longest loop's share of {tokens} tokens, {means}"
        yield Line(6, quantity, 0.0, *mean_and_error(one - two), rule, bound)


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
    texts: int,
    length: int,
    valid: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Tokens (texts, n): each text is written by a draw of its own."""
    reader = FunctionSpaceReader(model, noise, texts)
    closed = torch.from_numpy(~valid)
    tokens = torch.from_numpy(prompt).expand(texts, -1)
    out = []
    for _ in range(length):
        logits = reader.read(tokens).masked_fill_(closed, -math.inf)
        tokens = logits.argmax(dim=-1, keepdim=True)
        out.append(tokens)
    return torch.cat(out, dim=1).numpy()
