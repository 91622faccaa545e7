"""The noise floor of logits: how often rounding changes the most and the least likely token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.logit_arrays import as_logits, is_masked
from thermo.arguments import as_real, shown
from thermo.errors import InvalidInputError
from thermo.estimate.proportion import wilson_interval

__all__ = ["GAPS", "EndChanges", "NoiseFloor", "noise_floor"]

FloatArray = NDArray[np.float64]

GAPS = (0.0, *(float(x) for x in np.geomspace(1e-6, 10.0, 15)))
"""Edges of the bins of the gap in nats, two to a factor of ten; the last bin has no end."""


@dataclass(frozen=True, eq=False)
class EndChanges:
    """What became of one end of the spectrum: of the argmax (T → 0⁺) or the argmin (T → 0⁻).

    Attributes
    ----------
    gap : ndarray, shape (N,)
        Distance in nats between the first and the second token at this end, in the reference; 0 for
        a tie.
    changed : ndarray of bool, shape (N,)
        Another token is at this end in the other reading. Of tied tokens the one with the lowest id
        counts, as in numpy and torch on a CPU.
    tied : int
        Positions where several tokens share this end in the other reading: which of them an engine
        takes is not determined by the logits.
    edges : ndarray, shape (B,)
        Lower edges of the bins; bin b is edges[b] ≤ gap < edges[b + 1], the last without end.
    """

    gap: FloatArray
    changed: NDArray[np.bool_]
    tied: int
    edges: FloatArray

    @property
    def share(self) -> float:
        """Share of positions where the token changed."""
        return float(self.changed.mean())

    @property
    def largest_gap(self) -> float:
        """The largest gap over which a token changed, in nats; 0 if none did."""
        return float(self.gap[self.changed].max(initial=0.0))

    @property
    def positions(self) -> NDArray[np.int64]:
        """Positions in each bin, (B,)."""
        return np.bincount(self._bin, minlength=self.edges.size)

    @property
    def changes(self) -> NDArray[np.int64]:
        """How many of them changed, (B,)."""
        return np.bincount(self._bin[self.changed], minlength=self.edges.size)

    def interval(self, sigmas: float = 1.96) -> FloatArray:
        """Wilson's interval of the share that changed in each bin, (B, 2); NaN in empty ones.

        It takes positions for independent; see `NoiseFloor`.
        """
        return np.array(
            [
                wilson_interval(int(k), int(n), sigmas) if n else (np.nan, np.nan)
                for k, n in zip(self.changes, self.positions, strict=True)
            ]
        )

    @property
    def _bin(self) -> NDArray[np.int64]:
        return np.searchsorted(self.edges, self.gap, side="right") - 1


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    r"""How two readings of the same text differ, in gauge-free numbers.

    Attributes
    ----------
    rms, largest : float
        Of Δz, the difference of the logits with each position's mean taken off, in nats.
    position_largest : ndarray, shape (N,)
        The largest :math:`|\Delta z|` at each position. A token can be overtaken by another only
        over a gap of at most twice that.
    top, bottom : EndChanges
        The argmax and the argmin.
    """

    rms: float
    largest: float
    position_largest: FloatArray
    top: EndChanges
    bottom: EndChanges


def noise_floor(
    reference: Any,
    other: Any,
    valid: ArrayLike | None = None,
    *,
    edges: Sequence[float] = GAPS,
) -> NoiseFloor:
    r"""Compare two readings of the same text, token by token at both ends of the spectrum.

    With :math:`\Delta z = (z' - z) - \langle z' - z\rangle`, averaged over a position's tokens, the
    token at an end can only change if the gap there is at most :math:`2\max|\Delta z|`.

    Parameters
    ----------
    reference, other : array_like or torch.Tensor, shape (N, V)
        Logits of the same positions. The gaps are those of ``reference``.
    valid : array_like of bool, shape (V,), optional
        False for columns that are no tokens. Masked tokens must be the same in both.
    edges : sequence of float
        Lower edges of the bins of the gap, rising, the first of them 0.

    Returns
    -------
    NoiseFloor

    Raises
    ------
    InvalidInputError
        Different shapes or masks, fewer than two tokens at some position, or edges that do not rise
        from 0.

    Notes
    -----
    At T = 0 a changed argmax is another text from there on. At T > 0 the draw changes too, but with
    a probability of the size of Δz wherever it happens, not all at once.

    Intervals of shares count positions as independent. Neighbouring positions of a text share their
    context, but which of them has a near tie hardly depends on that.

    Examples
    --------
    >>> floor = noise_floor([[3.0, 2.9, 0.0], [3.0, 1.0, 0.9]], [[2.9, 3.0, 0.0], [3.0, 1.0, 0.9]])
    >>> floor.top.changed, floor.bottom.changed, round(floor.top.largest_gap, 6)
    (array([ True, False]), array([False, False]), 0.1)
    """
    first, columns = as_logits(reference, valid, name="the reference")
    second, _ = as_logits(other, columns, name="the other logits")
    if first.shape != second.shape:
        raise InvalidInputError(
            f"logits of shapes {first.shape} and {second.shape} were given; the same positions and "
            "tokens are needed."
        )
    limits = as_real(edges, "edges")
    rising = limits.ndim == 1 and limits.size and limits[0] == 0 and (np.diff(limits) > 0).all()
    if not rising or limits[-1] == np.inf:  # NaN does not rise either
        raise InvalidInputError(f"edges = {shown(edges)} were given; finite ones that rise from 0.")
    kept = np.flatnonzero(columns)
    count = len(first)
    gaps, changed, tied = np.empty((2, count)), np.zeros((2, count), dtype=bool), [0, 0]
    squares, largest, numbers = 0.0, np.empty(count), 0
    for t in range(count):
        a, b = (rows[t, kept].astype(np.float64) for rows in (first, second))
        open_tokens = ~is_masked(a)
        if (open_tokens == is_masked(b)).any():
            raise InvalidInputError(f"position {t} has other tokens masked in the two readings.")
        a, b = a[open_tokens], b[open_tokens]
        if a.size < 2:
            raise InvalidInputError(f"position {t} has a single token; at least two are needed.")
        difference = b - a
        difference -= difference.mean()
        squares += float(difference @ difference)
        numbers += a.size
        largest[t] = np.abs(difference).max()
        for end, sign in enumerate((1.0, -1.0)):
            mine, others = sign * a, sign * b
            second_best, best = np.partition(mine, a.size - 2)[-2:]
            gaps[end, t] = best - second_best
            changed[end, t] = mine.argmax() != others.argmax()
            tied[end] += int((others == others.max()).sum() > 1)
    top, bottom = (EndChanges(gaps[k], changed[k], tied[k], limits) for k in (0, 1))
    return NoiseFloor(float(np.sqrt(squares / numbers)), float(largest.max()), largest, top, bottom)
