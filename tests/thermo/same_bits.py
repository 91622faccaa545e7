"""That two batches, or what they measured, are the same to the last bit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def assert_same_bits(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> None:
    """Compare states or series, array by array."""
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert np.array_equal(values, other[name]), name
