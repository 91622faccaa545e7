"""The physics commands of ``spinlogit``: simulate, dos, warmup.

What is heavy (numba, xarray) is imported inside the commands, so that ``--help`` is quick.
"""

from __future__ import annotations

from thermo.cli.dos import dos_command
from thermo.cli.simulate import simulate_command
from thermo.cli.warmup import warmup_command

__all__ = ["COMMANDS"]

COMMANDS = {"simulate": simulate_command, "dos": dos_command, "warmup": warmup_command}
