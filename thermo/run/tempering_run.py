"""What parallel tempering leaves behind: a run, and how configurations moved along the ladder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.estimate.jackknife import JackknifeEstimate, jackknife
from thermo.estimate.slabs import slabs
from thermo.run.result import Run
from thermo.sampling.tempering_batch import swap_probability

__all__ = ["TemperingRun"]


@dataclass(frozen=True, eq=False, repr=False)
class TemperingRun(Run):
    """A finished `parallel_tempering`: a `Run` at every rung, and how well the ladder worked.

    A replica is a ladder. ``series["walker"]`` says which of its configurations, 0 … B − 1, stood
    on each rung; β were exchanged, so that the other series of one β belong to many of them.
    """

    @cached_property
    def swap_acceptance(self) -> MeanWithError:
        """Mean probability of an exchange between neighbouring rungs, shape (B − 1,).

        Averaged over all draws, whether or not an exchange was due.
        """
        beta, energy = self.beta[:, None, None], self.series["energy"]
        a, b = slice(None, -1), slice(1, None)  # the two of every exchange
        return MeanWithError.joined(
            mean_with_error(
                swap_probability(beta[a][of], energy[a][of], beta[b][of], energy[b][of])
            )
            for of in slabs(energy[a].shape)
        )

    @cached_property
    def round_trips(self) -> NDArray[np.int64]:
        """How often a configuration went from one end to the other and back, shape (replicas,).

        Seen at the draws: a visit to an end between two draws is not.
        """
        turns = []
        for walker in self._walkers():
            heading = _headings(walker)[0]
            turns.append(((heading[:, 1:] != heading[:, :-1]) & (heading[:, :-1] != 0)).sum(axis=1))
        return np.array([(turn // 2).sum() for turn in turns])

    @cached_property
    def replica_flow(self) -> JackknifeEstimate:
        """Of the configurations on each rung, the fraction that was last at the first end.

        From 1 at the first rung to 0 at the last one, shape (B,); evenly spaced where the ladder is
        best, steep where configurations hardly pass. NaN where none has yet been at an end. The
        error comes from the spread of the replicas.

        H. G. Katzgraber, S. Trebst, D. A. Huse, M. Troyer, J. Stat. Mech. P03018 (2006).
        """
        seen = []
        for walker in self._walkers():
            heading = _headings(walker)[1]
            seen.append([(heading == 1).mean(axis=1), (heading != 0).mean(axis=1)])
        first, either = np.swapaxes(seen, 0, 1)

        def fraction(first: NDArray, either: NDArray) -> NDArray:
            return np.where(either > 0, first, np.nan) / np.where(either > 0, either, 1.0)

        return jackknife(fraction, first, either)

    def _walkers(self) -> Iterator[NDArray[np.int32]]:
        """Which configuration stood on each rung, (B, draws), ladder by ladder."""
        for ladder in range(self.series["walker"].shape[1]):
            yield self.series["walker"][:, ladder].astype(np.int32)


def _headings(walker: NDArray[np.int32]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Which end each configuration of a ladder visited last: 1 the first, −1 the last, 0 neither.

    Parameters
    ----------
    walker : ndarray of int, shape (B, draws)
        Which configuration stands on each rung.

    Returns
    -------
    of_walker, on_rung : ndarray of int8, shape (B, draws)
        The same, in the order of the configurations and of the rungs.
    """
    draw = np.arange(walker.shape[1], dtype=np.int32)
    visit = np.zeros(walker.shape, dtype=np.int8)
    visit[walker[0], draw], visit[walker[-1], draw] = 1, -1
    latest = np.where(visit != 0, draw, np.int32(0))
    np.maximum.accumulate(latest, axis=1, out=latest)
    of_walker = np.take_along_axis(visit, latest, axis=1)  # visit[:, 0] is 0 away from the ends
    return of_walker, of_walker[walker, draw]
