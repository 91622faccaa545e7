"""What one piece of work did between two of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Chunk"]


@dataclass(frozen=True, eq=False)
class Chunk:
    """What one piece of work (`thermo.run.work`) did between two of its steps.

    For a batch of chains, a step is a sweep.

    Attributes
    ----------
    begin, end : int
        Steps done before and after.
    series : dict of str to ndarray, shape (chains, draws)
        The draws made meanwhile; empty if there were none.
    snapshots : ndarray or None, shape (chains, snapshots, n[, d])
        The configurations kept meanwhile.
    final : dict of str to ndarray
        What is left at the end; empty before. Of a batch ``"spins"`` (chains, n[, d]) and, if the
        structure factor was asked for, the arrays of `SpectrumMoments`, their names after
        ``"spectrum "``.
    state : dict of str to ndarray
        From which the piece goes on.
    seconds : float
        How long it took.
    """

    begin: int
    end: int
    series: dict[str, np.ndarray]
    snapshots: np.ndarray | None
    final: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
