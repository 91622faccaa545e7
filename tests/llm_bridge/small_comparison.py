"""Settings of the comparison that the tests of `compare` share, and its JSON read back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SEED = 20261120
POSITIONS = 60
SIGMAS = (0.2, 0.05)  # given out of order on purpose
SMALL: dict[str, Any] = {
    "positions": POSITIONS,
    "sigmas": SIGMAS,
    "draws": 4,
    "lattice_size": 8,
    "sweeps": 2000,
}


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON (RFC 8259)")


def numbers(values: list[Any]) -> np.ndarray:
    """JSON numbers back to floats: "inf" and "-inf" are strings, None is NaN."""
    return np.array([math.nan if v is None else float(v) for v in values])
