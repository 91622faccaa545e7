"""``spinlogit lab NAME``: the negative-temperature laboratory, a command for each experiment."""

from __future__ import annotations

from collections.abc import Callable

import typer

from thermo.cli.lab.band import band_command
from thermo.cli.lab.dnls import dnls_command
from thermo.cli.lab.engine import engine_command
from thermo.cli.lab.ensemble_check import ensemble_check_command
from thermo.cli.lab.freedom import freedom_command
from thermo.cli.lab.heat_exchange import heat_exchange_command
from thermo.cli.lab.kinetic import kinetic_command
from thermo.cli.lab.laser import laser_command
from thermo.cli.lab.microcanonical import microcanonical_command
from thermo.cli.lab.nuclear import nuclear_command
from thermo.cli.lab.paramagnet import paramagnet_command
from thermo.cli.lab.rotators import rotators_command
from thermo.cli.lab.spin_reversal import spin_reversal_command
from thermo.cli.lab.vortices import vortices_command

__all__ = ["EXPERIMENTS", "lab"]

EXPERIMENTS: dict[str, Callable[..., None]] = {
    "paramagnet": paramagnet_command,
    "spin-reversal": spin_reversal_command,
    "heat-exchange": heat_exchange_command,
    "microcanonical": microcanonical_command,
    "ensemble-check": ensemble_check_command,
    "nuclear": nuclear_command,
    "band": band_command,
    "laser": laser_command,
    "engine": engine_command,
    "kinetic": kinetic_command,
    "rotators": rotators_command,
    "dnls": dnls_command,
    "vortices": vortices_command,
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
