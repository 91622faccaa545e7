"""The command ``spinlogit``."""

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from llm_bridge.commands.brownian import brownian_command
from llm_bridge.commands.compare import compare_command
from llm_bridge.commands.generate import generate_command
from llm_bridge.commands.temperature_sweep import temperature_sweep_command
from llm_bridge.commands.text_temperature import text_temperature_command
from llm_bridge.commands.tokens import tokens_command
from llm_bridge.commands.train_demo_model import train_demo_model_command
from thermo.cli import COMMANDS
from thermo.cli.lab import lab
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


_COMMANDS = {
    "compare": compare_command,
    **COMMANDS,
    "brownian": brownian_command,
    "generate": generate_command,
    "temperature-sweep": temperature_sweep_command,
    "text-temperature": text_temperature_command,
    "tokens": tokens_command,
    "train-demo-model": train_demo_model_command,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(lab, name="lab")


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
        if type(error).__name__ != "NoArgsIsHelpError":
            _fail(f"{error.format_message()} (see '{_asked(error)} --help')")
        app([*sys.argv[1:], "--help"])
    if status == 130:
        print("spinlogit: interrupted; nothing half-written is left", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else 0)


def _asked(error: Any) -> str:
    """The command that a usage error is of, as its help is asked for."""
    context, names = getattr(error, "ctx", None), []
    while context and context.parent:
        names.insert(0, context.info_name)
        context = context.parent
    return " ".join(["spinlogit", *names])


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print("spinlogit: warning: " + printable(" ".join(str(message).split())), file=sys.stderr)


def _fail(message: str) -> None:
    print("spinlogit: " + printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(2)
