"""``spinlogit lab NAME``: the negative-temperature laboratory, a command for each experiment."""

from __future__ import annotations

from collections.abc import Callable

import typer

from thermo.cli.lab.freedom import freedom_command
from thermo.cli.lab.paramagnet import paramagnet_command

__all__ = ["EXPERIMENTS", "lab"]

EXPERIMENTS: dict[str, Callable[..., None]] = {
    "paramagnet": paramagnet_command,
    "freedom": freedom_command,
}

lab = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Experiments of negative temperature, with what theory says beside what is found.",
    epilog="Example:  spinlogit lab paramagnet --out arch.png",
)
for _name, _command in EXPERIMENTS.items():
    lab.command(_name)(_command)
