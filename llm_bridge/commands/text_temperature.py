"""``spinlogit text-temperature``: the temperature of texts under a model, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from llm_bridge.commands.model_option import ModelOption
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption, plain, print_json
from thermo.cli.pictures import check_picture, write_picture
from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from llm_bridge.logits import LogitRecord
    from llm_bridge.text.temperature import TextTemperature
    from llm_bridge.text.windows import BetaAlongText

__all__ = ["text_temperature_command"]

_DOUBTFUL = 0.01
_NUMBERS = (
    "beta", "stderr", "curvature_error", "bootstrap_error", "temperature", "scale", "cross_entropy",
    "cross_entropy_error", "entropy", "entropy_error", "fitted_entropy", "fitted_entropy_error",
    "gain", "perplexity", "fitted_perplexity",
)  # fmt: skip


def text_temperature_command(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="UTF-8 texts to read.")
    ] = None,
    logits: Annotated[
        list[Path] | None,
        typer.Option("--logits", help="A saved LogitRecord in place of a text; repeatable."),
    ] = None,
    model: ModelOption = "demo",
    positions: Annotated[
        int | None,
        typer.Option("--positions", min=1, help="Of each text, from its beginning.  [all]"),
    ] = None,
    window: Annotated[
        int, typer.Option("--window", min=1, help="Tokens per window of β along the text.")
    ] = 256,
    out: Annotated[
        Path | None, typer.Option("--out", help="Picture of β along each text (.png, .svg, .pdf).")
    ] = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """The β of either sign at which a model would most likely write a text.

    Examples:

      spinlogit text-temperature essay.txt

      spinlogit text-temperature human.txt machine.txt --out along.png

      spinlogit text-temperature --logits large-model.safetensors --json
    """
    from llm_bridge.text.files import naming
    from llm_bridge.text.temperature import text_temperature
    from llm_bridge.text.windows import beta_along

    texts, records = files or [], logits or []
    if not texts and not records:
        raise InvalidInputError(
            "no text was given; accepted: one FILE or more, or --logits with a saved record"
        )
    check_picture(out, overwrite)
    found = []
    for name, record in _records(texts, records, model, positions):
        with naming(name):
            fit = text_temperature(record, seed=seed)
            found.append((name, fit, beta_along(record, window, start=fit.beta)))
    if out is not None:
        _write_picture(out, found)
    if as_json:
        print_json(
            {
                "schema": "spinlogit.text-temperature/1",
                "model": model if texts else None,
                "window": window,
                "seed": seed,
                "texts": [_document(*each) for each in found],
            }
        )
        return
    print("\n".join(_table(found)))
    for name, fit, _ in found:
        if fit.misfit.reason:
            print(f"\n{printable(name)}: no test of misfit, {fit.misfit.reason}.")
    if any(fit.misfit.p_value < _DOUBTFUL for _, fit, _ in found):
        print(
            f"\nmisfit below {_DOUBTFUL}: no constant temperature writes such a text; its β is "
            "that of the closest one.\ndβ/dS: how β differs between certain and uncertain "
            "positions, per nat;\nshape: nats per token that no temperature explains."
        )
    if out is not None:
        print(f"\nwritten: {printable(str(out))}")


def _records(
    texts: list[Path], records: list[Path], model: str, positions: int | None
) -> Iterator[tuple[str, LogitRecord]]:
    """Names and records one after the other, so that one at a time is in memory."""
    from llm_bridge.logits import LogitRecord, record_logits
    from llm_bridge.models import load_model
    from llm_bridge.text.files import naming, read_text
    from thermo.memory import check_memory_of
    from thermo.run.progress_bar import progress_bar

    words = [read_text(path) for path in texts]  # before any work: all of them can be read
    with progress_bar(True, len(texts) + len(records), unit="text", what="reading") as bar:
        if texts:
            reader = load_model(model)
            for path, text in zip(texts, words, strict=True):
                with naming(path):
                    count = reader.encode(text).size - 1
                    kept = count if positions is None else min(positions, count)
                    check_memory_of(kept, 8 * reader.vocabulary_size, "positions")
                    read = record_logits(reader, text, None if kept < 1 else kept)
                yield str(path), read
                bar.update()
        for path in records:
            record = LogitRecord.load(path)
            if positions is not None and positions < len(record):
                record = LogitRecord(
                    record.logits[:positions], record.token_ids[:positions], record.valid
                )
            yield str(path), record
            bar.update()


def _write_picture(out: Path, found: list[tuple[str, TextTemperature, BetaAlongText]]) -> None:
    from llm_bridge.text.pictures import TextPanel, text_overview

    panels = [
        TextPanel(name, fit.beta, fit.stderr, fit.scale, fit.positions, fit.misfit.histogram, along)
        for name, fit, along in found
    ]
    write_picture(text_overview(panels), out)


def _document(name: str, fit: TextTemperature, along: BetaAlongText) -> dict[str, Any]:
    numbers = plain(np.array([getattr(fit, field) for field in _NUMBERS]))
    misfit = {
        field: plain(value) if np.ndim(value) else plain(value)[0]
        for field, value in vars(fit.misfit).items()
        if field != "reason"
    } | {"reason": fit.misfit.reason or None}
    return {
        "name": name,
        "positions": fit.positions,
        **dict(zip(_NUMBERS, numbers, strict=True)),
        "interval": plain(np.array(fit.interval)),
        "temperature_interval": plain(np.array(fit.temperature_interval)),
        "block_length": fit.block_length,
        "misfit": misfit,
        "along": {
            "start": along.start.tolist(),
            "stop": along.stop.tolist(),
            "beta": plain(along.beta),
            "stderr": plain(along.stderr),
        },
    }


def _table(found: list[tuple[str, TextTemperature, BetaAlongText]]) -> list[str]:
    head = "text", "tokens", "β", "T, 95 %", "perplexity", "at that β", "misfit p", "dβ/dS", "shape"
    rows = [head]
    for name, fit, _ in found:
        shown = printable(name)
        rows.append(
            (
                shown if len(shown) <= 40 else "…" + shown[-39:],
                str(fit.positions),
                _beta(fit),
                _temperatures(fit),
                f"{fit.perplexity:.4g}",
                f"{fit.fitted_perplexity:.4g}",
                "–" if math.isnan(fit.misfit.p_value) else f"{fit.misfit.p_value:.2g}",
                _measured(fit.misfit.entropy_slope, fit.misfit.entropy_slope_error),
                _measured(fit.misfit.shape_gain, fit.misfit.shape_gain_error),
            )
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *numbers]))
    return lines


def _beta(fit: TextTemperature) -> str:
    low, high = fit.interval
    if fit.beta == math.inf:
        return f"∞ (> {_number(low)})"
    if fit.beta == -math.inf:
        return f"−∞ (< {_number(high)})"
    return _measured(fit.beta, fit.stderr)


def _measured(value: float, error: float) -> str:
    from thermo.estimate.autocorrelation import rounded_to_error

    return "–" if math.isnan(error) else rounded_to_error(value, error).replace("-", "−", 1)


def _temperatures(fit: TextTemperature) -> str:
    """From cold to hot; an interval of β around zero goes through T = ±∞."""
    cold, hot = fit.temperature_interval
    low, high = fit.interval
    between = " … ∞ … " if low < 0 < high else " … "
    return _number(cold) + between + _number(hot)


def _number(value: float) -> str:
    sign = "−" if math.copysign(1.0, value) < 0 else ""  # T = −0 is not T = 0
    return sign + ("∞" if math.isinf(value) else f"{abs(value):.4g}")
