"""What the demo model writes at temperatures of both signs, down to T → 0⁻: the experiment of 2023.

The same prompt, a few texts at every T: how many of the tokens were never met in training, how few
different ones there are, whether they come in loops; and how many tokens are in play, on these
texts, on held-out text and for normal logits. Nothing is timed. Usage: ``python
benchmarks/anomalous_texts.py [--json FILE] [--texts 4] [--max-tokens 256] [--prompts 16]``. Beside
FILE, ``…_states`` is written. Takes two minutes of a core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

import thermo
from llm_bridge.decoding.signed_softmax import signed_log_probabilities
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.quenched import position_mean
from llm_bridge.text.loops import loop_share, repeated_share
from llm_bridge.tokens import (
    TextAtTemperature,
    cut_prompts,
    gaussian_levels,
    texts_at_temperatures,
)
from llm_bridge.tokens.inversion import end_of_spectrum
from thermo.estimate.autocorrelation import mean_with_error, rounded_to_error
from thermo.printable import printable

TEXT_COLUMNS = [
    "T",
    "never met, %",
    "different tokens at the end",
    "commonest token, %",
    "repeated 4-grams, %",
    "in random order, %",
    "in its longest loop, %",
    "gap at that end, nats",
    "−ln p at T = 1",
]
STATE_COLUMNS = [
    "T",
    "exp(S), on text",
    "exp(S), its own text",
    "exp(S), normal logits",
    "p of the end, on text",
    "p of the end, its own text",
    "p of the end, normal logits",
]
PROMPT = "def read_file(path):\n"
TEMPERATURES = (
    0.001, 1.0, -10.0, -1.0, -0.5, -0.1, -0.01, -0.001, -0.0003, -0.0001, -0.0,
)  # fmt: skip
LENGTH = 64  # of the pieces of held-out text
ORDERS = 20  # random orders of a text's tokens


def over_texts(values: Sequence[float], unit: float = 1.0) -> str:
    """Their mean, and its error from the differences between texts."""
    found = mean_with_error(unit * np.asarray(values, dtype=np.float64)[:, None])
    mean, error = float(found.mean), float(np.nan_to_num(found.error))
    return rounded_to_error(mean, error) if error > 0 else f"{mean:.4g}"


def habits(texts: Sequence[np.ndarray], known: np.ndarray) -> list[str]:
    """Cells of the first table that need the token ids alone."""
    rng = np.random.default_rng(0)
    mixed = [
        np.mean([repeated_share(rng.permutation(ids)) for _ in range(ORDERS)]) for ids in texts
    ]
    return [
        over_texts([known[ids].mean() for ids in texts], 100),
        over_texts([len(np.unique(ids[ids.size // 2 :])) for ids in texts]),
        over_texts([np.bincount(ids).max() / ids.size for ids in texts], 100),
        over_texts([repeated_share(ids) for ids in texts], 100),
        over_texts([float(share) for share in mixed], 100),
        over_texts([loop_share(ids) for ids in texts], 100),
    ]


def drawn_rows(
    made: Sequence[TextAtTemperature], on_text: np.ndarray, valid: np.ndarray, known: np.ndarray
) -> tuple[list[Any], list[Any]]:
    """The two rows of one T: what its texts are like, and how many tokens are in play."""
    beta = made[0].beta
    label = f"{made[0].temperature:g}".replace("-", "−")
    row = [
        label,
        *habits([text.ids for text in made], known),
        float(np.mean([text.end_gap for text in made])),
        over_texts([float(text.surprise.mean) for text in made]),
    ]
    entropy, at_end = (position_mean(part) for part in end_of_spectrum(on_text, beta, valid))
    sigma = float(on_text[:, valid].std(axis=1).mean())
    normal = thermo.canonical(gaussian_levels(sigma, int(valid.sum())), beta)
    states = float(np.exp(entropy.mean))
    return row, [
        label,
        rounded_to_error(states, states * float(entropy.error)),
        over_texts([float(np.exp(text.entropy.mean)) for text in made]),
        f"{float(normal.effective_states):.4g}",
        rounded_to_error(float(at_end.mean), float(at_end.error)),
        over_texts([float(text.end_probability.mean) for text in made]),
        f"{float(normal.populations().probabilities.max()):.4g}",
    ]


def held_out_row(model: LanguageModel, known: np.ndarray, texts: int, max_tokens: int) -> list[Any]:
    """The same of text that people wrote."""
    text = model.held_out_text
    assert text is not None
    pieces = cut_prompts(model, text, texts, max_tokens + 1)
    surprise = []
    for ids in pieces:
        log_p = signed_log_probabilities(model.logits(ids)[:-1], 1.0, model.valid).numpy()
        surprise.append(-log_p[np.arange(max_tokens), ids[1:]].mean())
    cells = habits([ids[1:] for ids in pieces], known)
    return ["held-out text", *cells, None, over_texts(surprise)]


def states_curve(logits: np.ndarray, valid: np.ndarray) -> dict[str, list[float]]:
    """exp(S) on text against T < 0, beside that of normal logits."""
    temperature = -np.logspace(-4, 1, 51)
    sigma = float(logits[:, valid].std(axis=1).mean())
    normal = thermo.canonical(
        gaussian_levels(sigma, int(valid.sum())), thermo.beta_from_temperature(temperature)
    )
    entropy = [
        position_mean(end_of_spectrum(logits, beta, valid)[0])
        for beta in thermo.beta_from_temperature(temperature).tolist()
    ]
    mean = np.exp([float(part.mean) for part in entropy])
    error = mean * [float(part.error) for part in entropy]
    return {
        "temperature": temperature.tolist(),
        "states": mean.tolist(),
        "error": error.tolist(),
        "normal": normal.effective_states.tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--texts", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--prompts", type=int, default=16)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    model = load_model("demo")
    text = model.held_out_text
    assert text is not None
    known = np.zeros(model.vocabulary_size, dtype=bool)
    known[model.metadata["never_met_token_ids"]] = True
    pieces = cut_prompts(model, text, options.prompts, LENGTH)
    on_text = np.concatenate([model.logits(ids) for ids in pieces])
    by_seed = [
        texts_at_temperatures(
            model, PROMPT, TEMPERATURES, max_tokens=options.max_tokens, seed=seed, progress=True
        )
        for seed in range(1, options.texts + 1)
    ]
    rows, states, shown = [], [], []
    for made in zip(*by_seed, strict=True):
        row, state = drawn_rows(made, on_text, model.valid, known)
        rows.append(row)
        states.append(state)
        entropy = made[0].entropy
        size = float(np.exp(entropy.mean))
        shown.append(
            {
                "T": made[0].temperature,
                "exp_entropy": size,
                "exp_entropy_error": size * float(entropy.error),
                "text": printable(made[0].text),
                "ids": made[0].ids.tolist(),
            }
        )
    rows.append(held_out_row(model, known, options.texts, options.max_tokens))

    title = "The same prompt at temperatures of both signs"
    print_table(title, TEXT_COLUMNS, rows)
    print_table("Tokens in play, and the likeliest of them", STATE_COLUMNS, states)
    for entry in shown:
        print(f"T = {entry['T']}: {entry['text'][:300]}\n")
    host = machine("torch", "transformers")
    write_record(
        options.json,
        title,
        f"Prompt {PROMPT!r}, {options.texts} texts of {options.max_tokens} tokens at each T, seeds "
        f"1 to {options.texts}; means, with errors from their differences. Different tokens: in "
        "the second half. Repeated: 4-grams that have come before in the text, and the same with "
        "its tokens in random order. A loop: a stretch of one period that goes round at least "
        "twice. Gap: median distance of the two outermost levels at the end that T → ±0 draws "
        "from. Last line: pieces of held-out text of the same length.",
        TEXT_COLUMNS,
        rows,
        host,
        texts=shown,
        states=states_curve(on_text, model.valid),
    )
    if options.json is not None:
        write_record(
            options.json.with_stem(f"{options.json.stem}_states"),
            "Tokens in play, and the likeliest of them",
            f"On text: {len(on_text)} positions of held-out text, one step. Its own text: those "
            "drawn at T. Normal logits: of the same σ and V. The end is the token that T → ±0 "
            "draws.",
            STATE_COLUMNS,
            states,
            host,
        )


if __name__ == "__main__":
    main()
