"""Multicanonical sampling: a walk with fixed weights that make all energies equally likely."""

from __future__ import annotations

import numpy as np

from thermo.arguments import as_real
from thermo.errors import InvalidInputError
from thermo.kernels.flat_histogram import multicanonical_sweeps
from thermo.sampling.energy_walk import EnergyWalk

__all__ = ["Multicanonical"]


class Multicanonical(EnergyWalk):
    r"""Walkers with fixed weights :math:`w(E) = 1/\tilde g(E)`, :math:`\tilde g` an estimate of g.

    The walk satisfies detailed balance with respect to :math:`w(E)`, so that it visits energies in
    proportion to :math:`g(E)\,w(E)` and, at each energy, all states alike. β does not enter: one
    walk serves every β of either sign.

    Parameters
    ----------
    model, walkers, seed, bin_width
        As of `EnergyWalk`.
    log_density : array_like, shape (bins,)
        ln g̃ of every bin of the grid up to a constant, −inf where unknown; there ln g̃ is continued
        from the bins around, so that the walk may find states there.

    Attributes
    ----------
    log_density : ndarray, shape (bins,)
        ln g̃ as used.
    round_trips : ndarray of float64, shape (walkers,)
        Times each walker has gone from the lowest to the highest known bin and back, to halves.

    References
    ----------
    B. A. Berg, T. Neuhaus, Phys. Rev. Lett. 68, 9 (1992).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> walk = Multicanonical(Ising(square(4)), 2, np.random.SeedSequence(1), np.zeros(17))
    >>> walk.sweep(100)
    >>> walk.transitions.sum(), walk.record(3, 10).shape
    (np.int64(3200), (2, 3))
    """

    def __init__(
        self,
        model: object,
        walkers: int,
        seed: np.random.SeedSequence,
        log_density: np.ndarray,
        bin_width: float | None = None,
    ) -> None:
        super().__init__(model, walkers, seed, bin_width)
        self.log_density = extended_log_density(log_density, self.grid.bins)
        known = np.flatnonzero(np.isfinite(log_density))
        ends = np.array([known[0], known[-1], -1, 0])
        self._changing["ends"] = np.tile(ends, (self.walkers, 1))

    @property
    def round_trips(self) -> np.ndarray:
        return 0.5 * self._changing["ends"][:, 3]

    def _advance(self, sweeps: int, walker: dict[str, np.ndarray]) -> None:
        multicanonical_sweeps(
            sweeps,
            walker["states"],
            walker["energy"],
            walker["generator"],
            -self.log_density,
            walker["transitions"],
            walker["ends"],
            self._system,
        )


def extended_log_density(log_density: np.ndarray, bins: int) -> np.ndarray:
    """Return ln g̃ of every bin: where it is unknown (−inf), continued from the bins around.

    Raises
    ------
    InvalidInputError
        Another shape than (bins,), NaN or +inf, or no number at all.
    """
    given = as_real(log_density, "log_density")
    known = np.flatnonzero(np.isfinite(given))
    bad = np.isnan(given) | (given == np.inf)
    if given.shape != (bins,) or not known.size or bad.any():
        raise InvalidInputError(
            f"log_density of shape {given.shape} with {known.size} finite numbers was given; "
            f"accepted: shape ({bins},), numbers or -inf, at least one number"
        )
    return np.interp(np.arange(bins), known, given[known])
