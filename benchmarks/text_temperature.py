"""Temperatures of texts under the demo model: of known β, held-out, and shuffled.

Texts are generated at known β and read again; every one must give its β back within its error. Then
held-out code and documentation, the same with its lines and its tokens in random order, and texts
from decoders that no constant temperature describes. Usage: ``python
benchmarks/text_temperature.py [--json FILE] [--sequences 16] [--length 192] [--positions 4000]``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record
from scipy.special import chdtrc

from llm_bridge.decoding import EDT, Decoder, TopK, generate_many
from llm_bridge.logits import LogitRecord
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.text.temperature import TextTemperature, text_temperature
from llm_bridge.text.windows import beta_along
from thermo.cli.output import plain
from thermo.estimate.autocorrelation import rounded_to_error

COLUMNS = ["text", "tokens", "β (blocks)", "± curvature", "T", "perplexity", "at that β",
           "misfit p", "dβ/dS", "shape, nats"]  # fmt: skip
BETAS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
SEED = 20261121
# Where the four documents of the held-out text begin: code, two help topics, code.
HEADINGS = ("\n\nAssignment statements\n**", "\n\nNaming and binding\n**", "\n\n'''Define Search")


def documents(text: str) -> list[str]:
    """The held-out text cut into its documents."""
    cuts = [0, *(text.index(heading) + 2 for heading in HEADINGS), len(text)]
    return [text[a:b].rstrip("\n") for a, b in pairwise(cuts)]


def record_of(model: LanguageModel, ids: np.ndarray, first: int = 1) -> LogitRecord:
    """What the model says of the tokens of a sequence from ``first`` on."""
    return LogitRecord(model.logits(ids[:-1])[first - 1 :], ids[first:], model.valid)


def joined(records: Sequence[LogitRecord]) -> LogitRecord:
    return LogitRecord(
        np.concatenate([r.logits for r in records]),
        np.concatenate([r.token_ids for r in records]),
        records[0].valid,
    )


def generated(
    model: LanguageModel, decoder: Any, sequences: int, length: int, seed: int
) -> list[LogitRecord]:
    """Texts by the model from nothing, read by it again."""
    written = generate_many(
        model, [""] * sequences, decoder, max_tokens=length, seed=seed, stop_at_end=False
    )
    return [
        record_of(model, np.concatenate([w.prompt_ids, w.ids]), w.prompt_ids.size) for w in written
    ]


def found_texts(model: LanguageModel, positions: int) -> Iterator[tuple[str, LogitRecord]]:
    """Held-out text, ordered and not."""
    text = model.held_out_text
    assert text is not None
    code, assignment, naming, more_code = documents(text)
    rng = np.random.default_rng(SEED)
    prose = assignment + "\n\n" + naming
    lines = prose.split("\n")
    shuffled = "\n".join(lines[k] for k in rng.permutation(len(lines)))
    for name, words in (
        ("held-out code", code),
        ("more held-out code", more_code),
        ("held-out documentation", prose),
        ("its lines shuffled", shuffled),
    ):
        yield name, record_of(model, model.encode(words)[: positions + 1])
    ids = model.encode(prose)[: positions + 1]
    yield "its tokens shuffled", record_of(model, rng.permutation(ids))


def row_of(name: str, fit: TextTemperature) -> list[Any]:
    misfit = fit.misfit
    return [
        name,
        fit.positions,
        _rounded(fit.beta, fit.bootstrap_error),
        *plain(
            np.array(
                [
                    fit.curvature_error,
                    fit.temperature,
                    fit.perplexity,
                    fit.fitted_perplexity,
                    misfit.p_value,
                ]
            )
        ),
        _rounded(misfit.entropy_slope, misfit.entropy_slope_error),
        _rounded(misfit.shape_gain, misfit.shape_gain_error),
    ]


def _rounded(value: float, error: float) -> str:
    if math.isnan(error):
        return "–"
    return rounded_to_error(value, error).replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--length", type=int, default=192)
    parser.add_argument("--positions", type=int, default=4000)
    options = parser.parse_args()
    model = load_model("demo")
    size = options.sequences, options.length

    rows: list[list[Any]] = []
    known: list[dict[str, Any]] = []
    z: list[float] = []
    shapes: list[dict[str, Any]] = []
    for k, beta in enumerate(BETAS):
        records = generated(model, beta, *size, SEED + k)
        fits = [text_temperature(record, replicates=100) for record in records]
        z += [(fit.beta - beta) / fit.curvature_error for fit in fits]
        whole = text_temperature(joined(records))
        rows.append(row_of(f"generated at β = {beta:g}", whole))
        known.append(
            {
                "beta": beta,
                "found": plain(np.array([fit.beta for fit in fits])),
                "error": plain(np.array([fit.curvature_error for fit in fits])),
                "misfit_p": plain(np.array([fit.misfit.p_value for fit in fits])),
                "whole": plain(np.array([whole.beta, whole.curvature_error])),
            }
        )
    chi_squared = float(np.square(z).sum())
    for name, decoder in (
        ("β = 1, top-k 40", Decoder(1.0, TopK(40, acts_on="model"))),
        ("entropy-dependent (EDT, θ = 0.5)", EDT(1.0, theta=0.5)),
        ("entropy-dependent (EDT, θ = 2)", EDT(1.0, theta=2.0)),
    ):
        rows.append(row_of(name, text_temperature(joined(generated(model, decoder, *size, SEED)))))
    for name, record in found_texts(model, options.positions):
        fit = text_temperature(record)
        along = beta_along(record, start=fit.beta)
        rows.append(row_of(name, fit))
        shapes.append(
            {
                "name": name,
                "beta": fit.beta,
                "stderr": fit.stderr,
                "scale": fit.scale,
                "positions": fit.positions,
                "histogram": plain(fit.misfit.histogram),
                "start": along.start.tolist(),
                "stop": along.stop.tolist(),
                "window_beta": plain(along.beta),
                "window_stderr": plain(along.stderr),
            }
        )
    title = "Temperatures of texts under the demo model"
    print_table(title, COLUMNS, rows)
    recovered = {
        "z_squared": chi_squared,
        "count": len(z),
        "p": float(chdtrc(len(z), chi_squared)),
    }
    print(f"known β: Σz² = {chi_squared:.1f} of {len(z)} texts, p = {recovered['p']:.2g}")
    write_record(
        options.json,
        title,
        f"Demo model ({model.fingerprint[:12]}). Generated: {options.sequences} texts of "
        f"{options.length} tokens each, from the token that begins a text, read as one; others: "
        f"at most {options.positions} tokens. {len(z)} texts of known β, each by itself: "
        f"Σz² = {chi_squared:.1f}, p = {recovered['p']:.2g}.",
        COLUMNS,
        rows,
        machine("torch", "transformers"),
        known=known,
        recovered=recovered,
        texts=shapes,
    )


if __name__ == "__main__":
    main()
