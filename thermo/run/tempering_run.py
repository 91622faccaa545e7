"""What parallel tempering leaves behind: a run, and how configurations moved along the ladder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.estimate.jackknife import JackknifeEstimate, jackknife
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
        return mean_with_error(swap_probability(beta[:-1], energy[:-1], beta[1:], energy[1:]))

    @cached_property
    def round_trips(self) -> NDArray[np.int64]:
        """How often a configuration went from one end to the other and back, shape (replicas,).

        Seen at the draws: a visit to an end between two draws is not.
        """
        heading = [_headings(walker)[0] for walker in self._walkers()]
        turns = [((h[:, 1:] != h[:, :-1]) & (h[:, :-1] != 0)).sum(axis=1) for h in heading]
        return np.array([(t // 2).sum() for t in turns])

    @cached_property
    def replica_flow(self) -> JackknifeEstimate:
        """Of the configurations on each rung, the fraction that was last at the first end.

        From 1 at the first rung to 0 at the last one, shape (B,); evenly spaced where the ladder is
        best, steep where configurations hardly pass. NaN where none has yet been at an end. The
        error comes from the spread of the replicas.

        H. G. Katzgraber, S. Trebst, D. A. Huse, M. Troyer, J. Stat. Mech. P03018 (2006).
        """
        on_rung = [_headings(walker)[1] for walker in self._walkers()]
        first, either = (
            np.array([seen(h).mean(axis=1) for h in on_rung])
            for seen in (lambda h: h == 1, lambda h: h != 0)
        )

        def fraction(first: NDArray, either: NDArray) -> NDArray:
            return np.where(either > 0, first, np.nan) / np.where(either > 0, either, 1.0)

        return jackknife(fraction, first, either)

    def _walkers(self) -> NDArray[np.intp]:
        return np.moveaxis(self.series["walker"].astype(np.intp), 1, 0)  # (replicas, B, draws)


def _headings(walker: NDArray[np.intp]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
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
    draw = np.arange(walker.shape[1])
    visit = np.zeros(walker.shape, dtype=np.int8)
    visit[walker[0], draw], visit[walker[-1], draw] = 1, -1
    latest = np.maximum.accumulate(np.where(visit != 0, draw, 0), axis=1)
    of_walker = np.take_along_axis(visit, latest, axis=1)  # visit[:, 0] is 0 away from the ends
    return of_walker, of_walker[walker, draw]
