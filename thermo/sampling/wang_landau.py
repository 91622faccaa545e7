"""Wang–Landau sampling: a walk that learns ln g(E) as it goes, with 1/t refinement."""

from __future__ import annotations

import numpy as np

from thermo.kernels.flat_histogram import wang_landau_sweeps
from thermo.sampling.energy_walk import EnergyWalk

__all__ = ["WangLandau"]


class WangLandau(EnergyWalk):
    r"""Walkers that each estimate ln g(E), independently of one another.

    Moves are accepted with :math:`\min(1, g(E)/g(E'))`, and after every move ln g of the present
    energy grows by ln f. Stages with constant ln f = 1, ½, ¼, … end when every known energy has
    been visited and no new one was found for 1000 moves per energy; once ln f falls below 1/t, with
    t the number of moves per known energy, it is 1/t.

    Parameters
    ----------
    model, walkers, seed, bin_width
        As of `EnergyWalk`.

    Notes
    -----
    The weights change all the time, so that no detailed balance holds: estimates from the last
    stage are biased by an amount that shrinks with ln f. A state first found late enters with ln g
    of the energy it was reached from and has little time left to settle. `Multicanonical`, begun
    with what this has learnt, has neither fault.

    References
    ----------
    F. Wang, D. P. Landau, Phys. Rev. Lett. 86, 2050 (2001). R. E. Belardinelli, V. D. Pereyra,
    Phys. Rev. E 75, 046701 (2007) (1/t).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> walk = WangLandau(Ising(square(4)), 2, np.random.SeedSequence(1))
    >>> walk.sweep(20_000)
    >>> known = walk.log_density > -np.inf
    >>> known.sum(axis=1), bool((walk.log_factor < 1e-4).all())
    (array([15, 15]), True)
    """

    def __init__(
        self,
        model: object,
        walkers: int,
        seed: np.random.SeedSequence,
        bin_width: float | None = None,
    ) -> None:
        super().__init__(model, walkers, seed, bin_width)
        shape = (self.walkers, self.grid.bins)
        self._changing |= {
            "log_weight": np.full(shape, np.inf),
            "visited": np.zeros(shape, dtype=bool),
            "clock": np.zeros((self.walkers, 4), dtype=np.int64),
            "factor": np.ones((self.walkers, 1)),
        }

    @property
    def log_density(self) -> np.ndarray:
        """ln g of every walker up to a constant, −inf where it has not been; (walkers, bins)."""
        return -self._changing["log_weight"]

    @property
    def log_factor(self) -> np.ndarray:
        """ln f of every walker now; shape (walkers,)."""
        return np.abs(self._changing["factor"][:, 0])

    @property
    def refined(self) -> np.ndarray:
        """Whether ln f has become 1/t; bool of shape (walkers,)."""
        return self._changing["factor"][:, 0] < 0.0

    def _advance(self, sweeps: int, walker: dict[str, np.ndarray]) -> None:
        wang_landau_sweeps(
            sweeps,
            walker["states"],
            walker["energy"],
            walker["generator"],
            walker["log_weight"],
            walker["transitions"],
            walker["visited"],
            walker["clock"],
            walker["factor"],
            self._system,
        )
