"""``spinlogit temperature-sweep``: a model from T = 0.001 through ±100000 to −0.001."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llm_bridge.commands.model_option import ModelOption
from llm_bridge.errors import TextTooShortError
from thermo.cli.betas import parse_betas
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption, print_json
from thermo.cli.pictures import PictureOption, check_picture, write_picture
from thermo.printable import printable

__all__ = ["temperature_sweep_command"]


def temperature_sweep_command(
    text: Annotated[
        Path | None,
        typer.Argument(help="UTF-8 text or code.  [held out from the demo model's training]"),
    ] = None,
    model: ModelOption = "demo",
    temperature: Annotated[
        list[str] | None,
        typer.Option(
            "--temperature",
            help="At which texts are written: numbers and from:to:count, commas between.  "
            "[34 from +0 to -0]",
        ),
    ] = None,
    beta: Annotated[list[str] | None, typer.Option("--beta", help="The same as β.")] = None,
    positions: Annotated[
        int, typer.Option("--positions", help="Of the text, read for the curves.")
    ] = 512,
    samples: Annotated[int, typer.Option("--samples", help="Texts at each temperature.")] = 32,
    prompt_tokens: Annotated[
        int, typer.Option("--prompt-tokens", help="Of the text, that each of them goes on from.")
    ] = 24,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Length of each of them.")] = 64,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """What temperature does: entropy, heat capacity, perplexity, repetition, what parses as Python.

    S(T), exp S and C(T) are those of the model reading the text; the other columns are of texts
    that it writes at T, and of the text itself. Errors in brackets are of the last digits.

    Examples:

      spinlogit temperature-sweep --out sweep.png

      spinlogit temperature-sweep essay.txt --temperature 0.7,1,1.5,-1 --samples 64

      spinlogit temperature-sweep --json > sweep.json
    """
    from llm_bridge.models import load_model
    from llm_bridge.sweep.temperature_sweep import temperature_sweep
    from llm_bridge.text.files import naming, read_text

    check_picture(out, overwrite)
    betas = parse_betas(beta, temperature) if beta or temperature else None
    words = None if text is None else read_text(text)
    reader = load_model(model)
    with naming(text, TextTooShortError):
        sweep = temperature_sweep(
            reader, words, beta=betas, positions=positions, samples=samples,
            prompt_tokens=prompt_tokens, max_tokens=max_tokens, seed=seed, progress=True,
        )  # fmt: skip
    if out is not None:
        from llm_bridge.sweep.picture import sweep_picture

        write_picture(sweep_picture(sweep), out)
    if as_json:
        print_json(sweep.to_dict())
        return
    rows = sweep.rows()
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    for peak in filter(None, sweep.peaks):
        print(f"heat capacity peaks at {peak}")
    if out is not None:
        print(f"\nwritten: {printable(str(out))}")
