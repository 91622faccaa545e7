"""Decoding with fluctuating weights: predictions beside measurements, on the demo model.

Experiment 5 of docs/brownian_experiments.rst, greedy decoding under fresh noise on the head as a
sampler, and experiment 6, the memory of the noise: with the text given, variances and correlations
of the logits along it under frozen, fresh and wandering weights; how the Rényi entropy of the
likeliest tokens grows; and which texts run into loops. Usage:
``python benchmarks/brownian_decoding.py [--json FILE] [--tiny] [--only 6]``. Takes about four
minutes of a core.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from greedy_sampler import greedy_sampler
from loops_under_noise import written_texts
from measure import machine
from noise_along_text import WEAK, along_a_text, choices
from predictions import Experiment, Line, print_lines, write_lines

from llm_bridge.models import load_model

EXPERIMENTS = {
    5: Experiment(
        "Greedy decoding under noise",
        "Fresh noise on the head and argmax is a multinomial probit and no softmax; log odds fall "
        "with the square of the gap.",
    ),
    6: Experiment(
        "Frozen, fresh and wandering weights",
        "The same law at every position of a given text, correlations ρˢ along it; the entropy of "
        "what a frozen draw chooses grows like ln n, of fresh ones like n.",
    ),
}


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
    prompts: int = 24
    prompt_tokens: int = 24
    texts: int = 4
    tokens: int = 80


TINY = Sizes(contexts=2, draws=400, positions=24, paths=4, choices=40, choice_sigma=0.05,
             choosers=16, prompts=2, prompt_tokens=8, texts=4, tokens=12)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    parser.add_argument("--only", nargs="+", type=int, choices=EXPERIMENTS, help="by number")
    options = parser.parse_args()
    s = TINY if options.tiny else Sizes()
    torch.set_num_threads(1)
    model = load_model("demo")
    text = model.held_out_text
    assert text is not None
    ids = model.encode(text)[:2048]
    parts = {
        "head": (5, greedy_sampler, (s.contexts, s.draws)),
        "along": (6, along_a_text, (s.positions, s.paths)),
        "choices": (6, choices, (s.choice_sigma, s.choices, s.choosers)),
        "texts": (6, written_texts, (s.prompts, s.texts, s.tokens, s.prompt_tokens)),
    }
    lines: list[Line] = []
    curves: dict[str, Any] = {}
    with torch.no_grad():
        for name, (number, part, amounts) in parts.items():
            if number in (options.only or EXPERIMENTS):
                found, curves[name] = part(model, ids, *amounts)
                print_lines(f"Experiment {number}: {name}", found)
                lines += found
    write_lines(
        options.json,
        "Decoding with fluctuating weights",
        f"The demo model. Head: {s.contexts} contexts of held-out text, {s.draws} draws at "
        f"each, s about 1.2 nats. Along a text: σ = {WEAK} of the weights' rms, "
        f"{s.positions} positions, {s.paths} draws. Likeliest tokens: "
        f"σ = {s.choice_sigma} on all weights, {s.choosers} draws. Texts: noise on all "
        f"weights, {s.prompts} prompts of {s.prompt_tokens} tokens, {s.texts} texts "
        "from each; softmax at the T of as many tokens that are not the likeliest; errors over "
        "prompts. Rényi entropies of order 2 from pairs of draws that agree, as far as 30 of them "
        "do. Confirmed: within 3 errors (the worst of six lags: 4, which is as rare); too rough: "
        "an error above 0.1 of a correlation, 0.05 of a share or 0.02 of one that is said to "
        "stay, or an order that is not resolved.",
        lines,
        EXPERIMENTS,
        "brownian_decoding",
        machine("torch", "transformers"),
        curves=curves,
    )


if __name__ == "__main__":
    main()
