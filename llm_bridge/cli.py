"""The command ``spinlogit``."""

from __future__ import annotations

import json
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from llm_bridge.compare import compare
from llm_bridge.errors import MissingExtraError
from thermo.cli import COMMANDS
from thermo.cli.output import JsonFlag, SeedOption
from thermo.errors import SpinlogitError
from thermo.printable import printable

app = typer.Typer(
    name="spinlogit",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from thermo import __version__

        print(f"spinlogit {__version__}")
        raise typer.Exit


@app.callback(epilog="Example:  spinlogit compare --out out/compare")
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Spin lattices and language models as systems with energy levels, at signed temperature."""


@app.command("compare")
def compare_command(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for report.html, compare.png, compare.json.")
    ] = Path("out/compare"),
    model: Annotated[
        str, typer.Option("--model", help='"demo" or the folder of a Hugging Face causal model.')
    ] = "demo",
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


@app.command("train-demo-model")
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


for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main() -> None:
    """Run the command line: a failure a user can mend is one line on stderr and status 2."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows no β shows \u03b2
    warnings.showwarning = _show_warning
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except SpinlogitError as error:
        _fail(str(error))
    except (OSError, MemoryError) as error:  # a full disk, a name too long, too many sweeps
        _fail(str(error) or "not enough memory.")
    except KeyboardInterrupt:
        print("\nspinlogit: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        # A usage error of the command line (unknown option, wrong type) knows its exit status.
        if not (hasattr(error, "exit_code") and hasattr(error, "format_message")):
            raise
        if len(sys.argv) > 1:
            _fail(f"{error.format_message()} (see 'spinlogit --help')")
        app(["--help"])
    if status == 130:
        print("spinlogit: interrupted; nothing half-written is left", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else 0)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print("spinlogit: warning: " + printable(" ".join(str(message).split())), file=sys.stderr)


def _fail(message: str) -> None:
    print("spinlogit: " + printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(2)
