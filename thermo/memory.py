"""How much memory there is, and whether it is enough."""

from __future__ import annotations

import os
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from thermo.errors import InvalidInputError

__all__ = [
    "SHARE",
    "Change",
    "available_bytes",
    "check_memory",
    "check_memory_of",
    "fewer_than",
    "in_binary_units",
]

_SMALLER = "less of several things at once, for no one change is enough"
SHARE = 0.8  # of the available memory may be used: estimates of how much that is need some too


class Change(NamedTuple):
    """A way to make something smaller.

    Attributes
    ----------
    offer : str
        What the user is told, with ``{}`` for a number: ``"at most {} replicas"``.
    numbers : range
        From the least change to the greatest.
    held : callable
        What would be held with such a number, as of `check_memory`.
    """

    offer: str
    numbers: range
    held: Callable[[int], Mapping[str, float]]


def fewer_than(number: int, least: int = 1) -> range:
    """Return the numbers below one, down to the least that is accepted, for a `Change`."""
    return range(min(number - 1, sys.maxsize), least - 1, -1)


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


def check_memory(what: str, held: Mapping[str, float], changes: Sequence[Change] = ()) -> None:
    """Refuse what needs more memory than there is, before half of it is there.

    Parameters
    ----------
    what : str
        What the message calls it.
    held : mapping of str to number
        Bytes at the peak, by what they are for.
    changes : sequence of Change
        Of each, the least that fits is offered; what it says has been tried.

    Raises
    ------
    InvalidInputError
        Saying how much memory is needed, for what, and what would fit.
    """
    available = available_bytes()
    if available is None:
        return
    room = SHARE * available

    def fits(needed: Mapping[str, float]) -> bool:
        return sum(needed.values()) <= room

    if fits(held):
        return
    offers = []
    for offer, numbers, changed in changes:
        place = bisect_left(numbers, True, key=lambda number: fits(changed(number)))
        if place < len(numbers):
            offers.append(offer.format(numbers[place]))
    largest = max(held, key=lambda name: held[name])
    part = f" ({largest}: {in_binary_units(held[largest])})" if len(held) > 1 else ""
    raise InvalidInputError(
        f"{what} would need {in_binary_units(sum(held.values()))} of memory{part} and "
        f"{in_binary_units(available)} are free; accepted, for it would fit: "
        f"{' or '.join(offers) or _SMALLER}"
    )


def check_memory_of(
    number: int, bytes_each: int, what: str, *, power: int = 1, most: int = sys.maxsize
) -> None:
    """Refuse so many of something if they do not fit into memory.

    Parameters
    ----------
    number : int
    bytes_each : int
        The size of all of them is ``bytes_each * number**power``.
    what : str
        What the message calls them, in the plural.
    power : int
    most : int
        More are not offered, whatever fits.

    Raises
    ------
    InvalidInputError
        Saying how much memory is needed and how many would fit.
    """

    def held(some: int) -> dict[str, float]:
        return {what: bytes_each * some**power}

    fewer = Change(f"at most {{}} {what}", fewer_than(min(number, most + 1), 2), held)
    check_memory(f"{number} {what}", held(number), [fewer])


def in_binary_units(number: float) -> str:
    """Write a number of bytes: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            break
        number /= 1024
    return f"{number:.3g} {unit}"
