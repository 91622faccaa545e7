"""``spinlogit train-demo-model``: the bundled model, made again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from llm_bridge.errors import MissingExtraError
from thermo.cli.output import JsonFlag, SeedOption
from thermo.printable import printable

__all__ = ["train_demo_model_command"]


def train_demo_model_command(
    out: Annotated[Path, typer.Option("--out", help="New folder for the model.")],
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", help="Time the schedule is planned for.  [default: 60]"),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Steps in place of minutes: reproducible.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", help="File to save to, and to resume from if it exists."),
    ] = None,
    seed: SeedOption = 0,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile: faster, needs a C++ compiler.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or auto.")] = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Train the demo model again on the standard library of this Python.

    Example:

      spinlogit train-demo-model --out my-model --minutes 20 --checkpoint demo.safetensors
    """
    try:
        from llm_bridge.demo_model.training import train_demo_model
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "training a language model") from error

    record = train_demo_model(
        out,
        seed=seed,
        minutes=minutes,
        steps=steps,
        checkpoint=checkpoint,
        device=device,
        compiled=compiled,
        progress=True,
    )
    if as_json:
        json.dump(record, sys.stdout)
        print()
    else:
        print(f"written: {printable(str(out))}")
