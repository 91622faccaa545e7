"""Which indicators find the tokens that the demo model never met, and what lies at the bottom.

AUROC, rank correlation and overlap of every indicator; the bottom gap against floating point; the
repetition test. Nothing is timed. Usage: ``python benchmarks/anomalous_tokens.py [--json FILE]
[--prompts 64] [--length 64] [--steps 64]``. Beside FILE, ``…_bottom`` is written, the table of the
bottom gap. What T → 0⁻ makes of these tokens: benchmarks/anomalous_texts.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

from llm_bridge.models import DEMO_WEIGHTS, LanguageModel, load_model
from llm_bridge.tokens import (
    Agreement,
    TokenTable,
    agreement,
    anomalous_tokens,
    auroc,
    cut_prompts,
    extreme_rows,
)
from llm_bridge.tokens.bottom import PRECISIONS
from thermo.estimate.autocorrelation import rounded_to_error

COLUMNS = [
    "indicator (anomalous side)",
    "AUROC",
    "AUROC, 128 zero rows in",
    "Spearman, low mean logit",
    "Spearman, argmin",
    "Spearman, not repeated",
    "overlap, low mean logit",
]
BOTTOM_COLUMNS = [
    "contexts",
    "different argmins",
    "never met",
    "median gap, nats",
    "σ/√(2 ln V)",
    *(f"gap within one {name}" for name in PRECISIONS),
]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--asked", type=int, help="tokens asked to be repeated; default: all")
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
    rows = indicator_rows(found, padded, table.sides)
    bottoms = bottom_rows(table)
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
    print(claim)

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
        centroid=claim,
    )  # fmt: skip
    if options.json is not None:
        write_record(
            options.json.with_stem(f"{options.json.stem}_bottom"),
            "The bottom of the logits",
            f"{what}. A gap is from the lowest logit to the second lowest; the steps of float "
            "types are those at the lowest logit.",
            BOTTOM_COLUMNS,
            bottoms,
            host,
        )


if __name__ == "__main__":
    main()
