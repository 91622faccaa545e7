"""Schedules, filters and masks at signed temperature: what they make of the demo model's texts.

The same prompts out of held-out text for every decoder. Usage: ``python benchmarks/decoding.py
[--json FILE] [--prompts 24] [--max-tokens 64]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import machine, print_table, write_record

from llm_bridge.decoding import (
    EDT,
    Decoder,
    DynamicTemperature,
    EntropyFeedback,
    EntropyTarget,
    EveryNth,
    HotUntilSpike,
    TopK,
    end_of_text,
    english_words,
    generate_many,
    no_padding,
    printable_text,
)
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.spectrum import natural_scale
from llm_bridge.text.measures import text_measures
from llm_bridge.tokens.prompts import cut_prompts
from thermo.estimate.autocorrelation import rounded_to_error

COLUMNS = ["decoder", "entropy", "model's own", "−ln p under the model", "repeated", "loop"]
DRAWN = ("every 8th at T = −0.5", "entropy-dependent, T₀ = 1.2", "feedback to S = 2",
         "hot until a spike")  # fmt: skip


def decoders(model: LanguageModel) -> dict[str, Callable[[], Decoder]]:
    """By name; masks are made when asked for."""
    everything = no_padding(model) & ~end_of_text(model)

    def decoder(schedule: object, filters: object = (), mask: object = True) -> Decoder:
        return Decoder(schedule, filters, everything & mask)  # type: ignore[arg-type, operator]

    return {
        "T = 1": lambda: decoder(1.0),
        "T = −1": lambda: decoder(-1.0),
        "T = −1 of the model's top 50": lambda: decoder(-1.0, TopK(50, acts_on="model")),
        "T = −1 of its own top 50": lambda: decoder(-1.0, TopK(50, acts_on="decoded")),
        "T = −1, printable": lambda: decoder(-1.0, mask=printable_text(model)),
        "T = −1, English words": lambda: decoder(-1.0, mask=english_words(model)),
        "T = 1, English words": lambda: decoder(1.0, mask=english_words(model)),
        DRAWN[0]: lambda: decoder(EveryNth(1.0, -2.0, 8)),
        DRAWN[1]: lambda: decoder(EDT(1 / 1.2, theta=0.3)),
        "dynamic, T = 0.3 … 1.5": lambda: decoder(DynamicTemperature(0.3, 1.5)),
        "every token at S = 2": lambda: decoder(EntropyTarget(2.0)),
        DRAWN[2]: lambda: decoder(EntropyFeedback(2.0)),
        DRAWN[3]: lambda: decoder(HotUntilSpike(1 / 1.3, 2.0, sigmas=1.5, rearm=16)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--max-tokens", type=int, default=64)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)  # a small model on a busy machine: threads would wait for each other
    model = load_model("demo")
    prompts = cut_prompts(model, model.held_out_text or "", options.prompts, 24)
    rows, traces, examples = [], {}, {}
    for name, make in decoders(model).items():
        written = generate_many(
            model, prompts, make(), max_tokens=options.max_tokens, seed=20261121, stop_at_end=False
        )
        found = text_measures(
            np.stack([one.ids for one in written]),
            np.stack([one.model_log_probability for one in written]),
            np.stack([one.entropy for one in written]),
            None,
            model.decode(written[0].ids),
        )
        own = np.array([one.model_entropy.mean() for one in written])
        rows.append(
            [
                name,
                str(found.entropy),
                rounded_to_error(own.mean(), own.std(ddof=1) / np.sqrt(own.size)),
                *map(str, (found.cross_entropy, found.repeated, found.loop)),
            ]
        )
        examples[name] = found.example
        if name in DRAWN:
            traces[name] = [written[0].beta.tolist(), written[0].model_entropy.tolist()]
    title = "Decoders at signed temperature"
    print_table(title, COLUMNS, rows)
    write_record(
        options.json,
        title,
        f"{options.prompts} prompts of 24 tokens out of held-out text, {options.max_tokens} tokens "
        "from each with every decoder. In nats per token: entropy of the distribution drawn from, "
        "of the model's own prediction there (same mask), and −ln p of the tokens under it. Share "
        "of repeated pairs of tokens and of the longest loop. Errors in brackets, over texts.",
        COLUMNS,
        rows,
        machine("torch", "transformers"),
        traces=traces,
        examples=examples,
        scale=natural_scale(model.logits(prompts[0]), no_padding(model)),
    )


if __name__ == "__main__":
    main()
