"""How much memory there is, and whether it is enough."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from thermo.errors import InvalidInputError

__all__ = ["SHARE", "available_bytes", "check_memory_of", "in_binary_units"]

SHARE = 0.8  # of the available memory may be used: estimates of how much that is need some too


def available_bytes() -> int | None:
    """Return the memory that a new run could use, None where the system does not say."""
    found = []
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(1024 * int(line.split()[1]))
    with suppress(OSError, ValueError):  # a container's own limit; "max" if it has none
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        found.append(max(0, limit - int((group / "memory.current").read_text())))
    return min(found, default=None)


def check_memory_of(number: int, bytes_each: int, what: str, *, power: int = 1) -> None:
    """Refuse so many of something if they do not fit into memory, before half of them are there.

    Parameters
    ----------
    number : int
    bytes_each : int
        The size of all of them is ``bytes_each * number**power``.
    what : str
        What the message calls them, in the plural.
    power : int

    Raises
    ------
    InvalidInputError
        Saying how much memory is needed and how many would fit.
    """
    available = available_bytes()
    needed = bytes_each * number**power
    if available is None or needed <= SHARE * available:
        return
    fits = int((SHARE * available / bytes_each) ** (1 / power))
    raise InvalidInputError(
        f"{number} {what} would need {in_binary_units(needed)} of memory and "
        f"{in_binary_units(available)} are free; accepted, for it would fit: "
        f"{f'at most {fits} {what}' if fits >= 2 else 'a smaller lattice or fewer β'}"
    )


def in_binary_units(number: float) -> str:
    """Write a number of bytes: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            break
        number /= 1024
    return f"{number:.3g} {unit}"
