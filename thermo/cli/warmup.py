"""``spinlogit warmup``: compile the kernels."""

from __future__ import annotations

from thermo.cli.output import JsonFlag, SeedOption, print_json

__all__ = ["warmup_command"]


def warmup_command(seed: SeedOption = 0, as_json: JsonFlag = False) -> None:
    """Compile the kernels once, so that every later first call is quick.

    Example:

      spinlogit warmup
    """
    from thermo.run.warmup import warmup

    seconds = warmup(seed=seed, progress=True)
    if as_json:
        print_json({"schema": "spinlogit.warmup/1", "seconds": seconds})
        return
    for name, value in seconds.items():
        print(f"{name:40} {value:6.2f} s")
    print(f"{'all':40} {sum(seconds.values()):6.2f} s (of the first run: compilation)")
