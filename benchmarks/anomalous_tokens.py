"""Which indicators find the tokens that the demo model never met, and what T → 0⁻ does with them.

AUROC, rank correlation and overlap of every indicator; the bottom gap against floating point; the
repetition test; texts at temperatures of both signs. Nothing is timed. Usage: ``python
benchmarks/anomalous_tokens.py [--json FILE] [--prompts 64] [--length 64] [--steps 64]
[--max-tokens 256]``. Beside FILE, ``…_bottom``, ``…_texts`` and ``…_states`` are written, the
tables of the bottom gap and of the texts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

import thermo
from llm_bridge.models import DEMO_WEIGHTS, LanguageModel, load_model
from llm_bridge.quenched import position_mean
from llm_bridge.tokens import (
    Agreement,
    TokenTable,
    agreement,
    anomalous_tokens,
    auroc,
    cut_prompts,
    extreme_rows,
    gaussian_levels,
    texts_at_temperatures,
)
from llm_bridge.tokens.bottom import PRECISIONS
from llm_bridge.tokens.inversion import end_of_spectrum
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.printable import printable

COLUMNS = [
    "indicator (anomalous side)",
    "AUROC",
    "AUROC, 128 zero rows in",
    "Spearman, low mean logit",
    "Spearman, argmin",
    "Spearman, not repeated",
    "overlap, low mean logit",
]
TEXT_COLUMNS = [
    "T",
    "never-met tokens",
    "commonest token",
    "repeated 4-grams",
    "loop, tokens",
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
BOTTOM_COLUMNS = [
    "contexts",
    "different argmins",
    "never met",
    "median gap, nats",
    "σ/√(2 ln V)",
    *(f"gap within one {name}" for name in PRECISIONS),
]
PROMPT = "def read_file(path):\n"
TEMPERATURES = (0.001, 1.0, -10.0, -1.0, -0.5, -0.1, -0.01, -0.001, -0.0)
PADDING = 128


def number(value: float, error: float = 0.0) -> str:
    if np.isnan(value):
        return "–"
    return rounded_to_error(value, error) if error > 0 else f"{value:.4g}"


def padded_demo() -> LanguageModel:
    """The demo model with rows of zeros behind its vocabulary, as padded heads have them."""
    import torch

    model = load_model("demo")
    module: Any = model.torch_module
    size = model.vocabulary_size
    module.resize_token_embeddings(size + PADDING, mean_resizing=False)
    with torch.no_grad():
        for layer in (module.get_input_embeddings(), module.get_output_embeddings()):
            layer.weight[size:] = 0.0
    return LanguageModel(module, model.tokenizer, name="demo, padded", folder=DEMO_WEIGHTS)


def indicator_rows(found: Agreement, padded: Agreement, sides: dict[str, int]) -> list[list[Any]]:
    nothing = (float("nan"), float("nan"))
    return [
        [
            f"{name.replace('_', ' ')} ({'large' if sides[name] > 0 else 'small'})",
            number(*value),
            number(*padded.auroc.get(name, nothing)),
            number(*found.spearman.get((name, "mean_z"), nothing)),
            number(*found.spearman.get((name, "argmin_share"), nothing)),
            number(*found.spearman.get((name, "repeat_probability"), nothing)),
            number(found.overlap.get((name, "mean_z"), nothing)[0]),
        ]
        for name, value in found.auroc.items()
    ]


def bottom_rows(table: TokenTable) -> list[list[Any]]:
    rows = []
    for where, bottom in (("on text, one step", table.one_step), ("walks", table.autoregressive)):
        if bottom is None:
            continue
        told = bottom.summary()
        assert table.known is not None
        rows.append(
            [
                f"{told['contexts']} {where}",
                told["tokens"],
                number(*bottom.share_of(table.known)),
                told["median_gap"],
                told["gaussian_gap"],
                *(number(*bottom.within_spacing(name)) for name in PRECISIONS),
            ]
        )
    return rows


def centroid_claim(model: LanguageModel, table: TokenTable) -> dict[str, Any]:
    """Is the token nearest to the centroid of the head ever the least likely one?"""
    head: Any = model.torch_module.get_output_embeddings()  # type: ignore[operator]
    corner = extreme_rows(head.weight.numpy())
    corner[table.one_step.token[table.one_step.gap > 0]] = True  # seen alone at the bottom
    share = table["argmin_share"]
    order = np.argsort(table["output_centroid_distance"])
    fields = {}
    for which in ("input", "output"):
        near = auroc(-table[f"{which}_centroid_distance"], share > 0)
        fields[f"auroc_near_{which}_centroid_is_argmin"] = near.value
        fields[f"error_near_{which}_centroid_is_argmin"] = near.error
    quarter = len(table) // 4
    return {
        "corners": int(corner.sum()),
        "argmin_share_of_nearest_quarter": float(share[order[:quarter]].sum()),
        "argmin_share_of_farthest_quarter": float(share[order[-quarter:]].sum()),
        **fields,
    }


def text_rows(
    model: LanguageModel, logits: np.ndarray, known: np.ndarray, max_tokens: int
) -> tuple[list[list[Any]], list[list[Any]], list[dict[str, Any]]]:
    """Rows of the two tables about texts drawn at T, and these texts."""
    sigma = float(logits.std(axis=1).mean())
    levels = gaussian_levels(sigma, model.vocabulary_size)
    rows, state_rows, texts = [], [], []
    for made in texts_at_temperatures(
        model, PROMPT, TEMPERATURES, max_tokens=max_tokens, seed=1, progress=True
    ):
        entropy, at_end = (
            position_mean(part) for part in end_of_spectrum(logits, made.beta, model.valid)
        )
        normal = thermo.canonical(levels, made.beta)
        states = float(np.exp(made.entropy.mean))
        error = states * float(made.entropy.error)
        on_text = float(np.exp(entropy.mean))
        label = f"{made.temperature:g}".replace("-", "−")
        rows.append(
            [
                label,
                f"{made.share_of(known):.0%}",
                f"{np.bincount(made.ids).max() / made.ids.size:.0%}",
                f"{made.repeated:.0%}",
                made.period,
                number(float(made.surprise.mean), float(made.surprise.error)),
            ]
        )
        state_rows.append(
            [
                label,
                number(on_text, on_text * float(entropy.error)),
                number(states, error),
                number(float(normal.effective_states)),
                number(float(at_end.mean), float(at_end.error)),
                number(float(made.end_probability.mean), float(made.end_probability.error)),
                number(float(normal.populations().probabilities.max())),
            ]
        )
        texts.append(
            {
                "T": made.temperature,
                "exp_entropy": states,
                "exp_entropy_error": error,
                "text": printable(made.text),
            }
        )
    return rows, state_rows, texts


def states_curve(logits: np.ndarray, valid: np.ndarray) -> dict[str, list[float]]:
    """exp(S) on text against T < 0, beside that of normal logits."""
    temperature = -np.logspace(-3, 1, 41)
    sigma = float(logits.std(axis=1).mean())
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
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--asked", type=int, help="tokens asked to be repeated; default: all")
    parser.add_argument("--max-tokens", type=int, default=256)
    options = parser.parse_args()

    model = load_model("demo")
    text = model.held_out_text
    assert text is not None
    prompts = cut_prompts(model, text, options.prompts, options.length)
    table = anomalous_tokens(
        model, prompts, steps=options.steps, asked=options.asked, progress=True
    )
    assert table.known is not None
    found = agreement(table)
    with_zeros = anomalous_tokens(
        padded_demo(), prompts, steps=0, asked=options.asked, padded=True, progress=True
    )
    padded = agreement(with_zeros)
    logits = np.concatenate([model.logits(ids) for ids in prompts[::4]])
    rows = indicator_rows(found, padded, table.sides)
    bottoms = bottom_rows(table)
    texts, states, shown = text_rows(model, logits, table.known, options.max_tokens)
    zeros = with_zeros.category == "padded"
    claim = centroid_claim(model, table) | {
        "argmin_share_of_zero_rows": float(with_zeros["argmin_share"][zeros].sum()),
        "mean_z_of_zero_rows": float(with_zeros["mean_z"][zeros].mean()),
    }

    what = (
        f"{options.prompts} prompts of {options.length} tokens from the demo model's held-out text"
    )
    title = f"{found.tokens} tokens, {found.known} of them never met in training"
    print_table(title, COLUMNS, rows)
    print_table("The bottom of the logits", BOTTOM_COLUMNS, bottoms)
    print_table("The same prompt at temperatures of both signs", TEXT_COLUMNS, texts)
    print_table("Tokens in play, and the likeliest of them", STATE_COLUMNS, states)
    print(claim)
    for entry in shown:
        print(f"T = {entry['T']}: {entry['text'][:300]}\n")

    host = machine("torch", "transformers")
    write_record(
        options.json,
        title,
        f"{what}, every prefix a context; walks of {options.steps} tokens from each; AUROC against "
        f"the {found.known} tokens never met in training, overlap of the first {found.k}, where "
        f"chance gives {found.k / found.tokens:.3f}. In the second column the head has {PADDING} "
        "more rows, of zeros, which count as never met.",
        COLUMNS,
        rows,
        host,
        auroc=[[name, *value] for name, value in found.auroc.items()],
        scatter={
            name: [float(f"{value:.4g}") for value in table[name].tolist()]
            for name in ("input_centroid_distance", "output_centroid_distance", "mean_z")
        },
        known=np.flatnonzero(table.known).tolist(),
        states=states_curve(logits, model.valid),
        drawn=[
            [entry["T"], entry["exp_entropy"], entry["exp_entropy_error"]] for entry in shown
        ],
        centroid=claim,
    )  # fmt: skip
    if options.json is not None:
        beside = options.json.with_stem
        write_record(
            beside(f"{options.json.stem}_bottom"),
            "The bottom of the logits",
            f"{what}. A gap is from the lowest logit to the second lowest; the steps of float "
            "types are those at the lowest logit.",
            BOTTOM_COLUMNS,
            bottoms,
            host,
        )
        write_record(
            beside(f"{options.json.stem}_texts"),
            "The same prompt at temperatures of both signs",
            f"Prompt {PROMPT!r}, {options.max_tokens} tokens each, seed 1.",
            TEXT_COLUMNS,
            texts,
            host,
            texts=shown,
        )
        write_record(
            beside(f"{options.json.stem}_states"),
            "Tokens in play, and the likeliest of them",
            f"On text: {len(logits)} positions of held-out text, one step. Its own text: that "
            "drawn at T. Normal logits: of the same σ and V. "
            "The end is the token that T → ±0 draws.",
            STATE_COLUMNS,
            states,
            host,
        )


if __name__ == "__main__":
    main()
