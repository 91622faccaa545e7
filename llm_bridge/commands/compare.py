"""``spinlogit compare``: the main job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from llm_bridge.commands.model_option import ModelOption
from llm_bridge.compare import compare
from llm_bridge.errors import TextTooShortError
from thermo.cli.output import JsonFlag, SeedOption
from thermo.printable import printable

__all__ = ["compare_command"]


def compare_command(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for report.html, compare.png, compare.json.")
    ] = Path("out/compare"),
    model: ModelOption = "demo",
    logits: Annotated[
        Path | None,
        typer.Option("--logits", help="A saved LogitRecord (.safetensors, .npz) in place of one."),
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", help="UTF-8 file for the model to read.")
    ] = None,
    positions: Annotated[
        int | None,
        typer.Option(
            "--positions",
            help="Positions to average over.  [default: 512, or all of saved logits]",
        ),
    ] = None,
    sigma: Annotated[
        list[float] | None,
        typer.Option(
            "--sigma",
            help="Weight noise relative to each tensor's rms; may be given several times.  "
            "[default: 0.05 0.1 0.2 0.3 0.4]",
        ),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", help="Noise draws at each sigma (even).")] = 16,
    sweeps: Annotated[
        int, typer.Option("--sweeps", help="Monte Carlo sweeps of the Ising lattice.")
    ] = 20_000,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """A spin lattice and a language model side by side, over signed temperature.

    Examples:

      spinlogit compare

      spinlogit compare --model ./my-model --text essay.txt --out out/essay

      spinlogit compare --logits saved.safetensors --json > compare.json
    """
    from llm_bridge.text.files import naming

    with naming(text, TextTooShortError):
        comparison = compare(
            model=model,
            logits=logits,
            text=text,
            positions=positions,
            sigmas=tuple(sigma) if sigma else None,
            draws=draws,
            sweeps=sweeps,
            seed=seed,
            out=out,
            progress=True,
        )
    if as_json:
        json.dump(comparison.to_dict(), sys.stdout, allow_nan=False)
        print()
    else:
        print(comparison.table())
        files = ", ".join(
            str(out / name) for name in ("report.html", "compare.png", "compare.json")
        )
        print(f"\nwritten: {printable(files)}")
