"""Molecules on their way: velocity Verlet in contact with a bath, or left to themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.errors import NotConvergedError
from thermo.kernels import lab_molecules as kernels
from thermo.laboratory.molecules import Fluid
from thermo.laboratory.trajectories import Motion

__all__ = ["MolecularDynamics", "MovingMolecules"]

_FRICTION = 2.0  # of the bath, per unit of time
_WORST_DRIFT = 0.1  # of the kept energy, in kT for each degree of freedom


@dataclass(frozen=True, eq=False)
class MolecularDynamics(Motion):
    """Replicas in a bath, and some that are cut off from it after a while, for `follow`.

    Parameters
    ----------
    molecules, density, masses, bond, cutoff, force_shifted
        Of the :class:`Fluid`.
    positions : ndarray, shape (atoms, 3)
        Where the atoms start.
    beta : float
        Of the bath, and of the first velocities.
    time_step : float
        In √(mσ²/ε).
    between : int
        Time steps between two observations, and between two stirrings of the bath.
    samples : int
        Observations, those of `burn_in` among them.
    burn_in : int
        After so many, the pieces of `isolated` are on their own.
    replicas : int
        How many pieces stay in the bath.
    isolated : tuple of int
        For each piece that is cut off, how many of its time steps make up 2·`time_step`. All of
        them come from the same state.
    """

    what: ClassVar[str] = "molecular dynamics"

    molecules: int
    density: float
    masses: tuple[float, ...]
    bond: float | None
    cutoff: float
    force_shifted: bool
    positions: NDArray[np.float64]
    beta: float
    time_step: float
    between: int
    samples: int
    burn_in: int
    replicas: int
    isolated: tuple[int, ...]

    @property
    def fluid(self) -> Fluid:
        """What moves."""
        return Fluid(
            self.molecules, self.density, self.masses, self.bond, self.cutoff, self.force_shifted
        )

    @property
    def pieces(self) -> int:
        return self.replicas + len(self.isolated)

    @property
    def steps(self) -> int:
        return self.samples

    @property
    def moves_per_step(self) -> int:
        return max(1, self.between * len(self.positions) ** 2 // 10)

    @property
    def bytes_per_step(self) -> int:
        return 8 * len(kernels.OBSERVED)

    def begin(self, piece: int, seed: np.random.SeedSequence) -> MovingMolecules:
        alone = piece - self.replicas
        if alone < 0:
            return MovingMolecules(self, seed, None)
        common = np.random.SeedSequence(seed.entropy, spawn_key=(self.replicas,))
        return MovingMolecules(self, common, self.isolated[alone])


class MovingMolecules:
    """One cube of molecules on its way.

    Parameters
    ----------
    motion : MolecularDynamics
    seed : numpy.random.SeedSequence
    divisor : int, optional
        After the burn-in without the bath, in time steps of 2·`time_step`/divisor; None: with it.
    """

    def __init__(
        self, motion: MolecularDynamics, seed: np.random.SeedSequence, divisor: int | None
    ) -> None:
        self.fluid = motion.fluid
        self._motion, self._divisor = motion, divisor
        self._generator = np.array(seed.generate_state(2, np.uint64))
        self._positions = motion.positions.copy()
        self._velocities = np.empty_like(self._positions)
        kernels.draw_velocities(
            self._positions, self._velocities, self.fluid.molecule, motion.beta, self._generator
        )
        self._done = 0
        start = sum(kernels.kinetic_energies(self._velocities, self.fluid.molecule.masses))
        start += kernels.interactions(
            self._positions,
            len(self.fluid.masses),
            self.fluid.potential,
            np.empty_like(self._positions),
        )[0]
        self._heat = np.array([0.0, start])  # given by the bath so far; what is kept without it

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        """Go on for so many observations.

        Raises
        ------
        NotConvergedError
            The time step is too long: energy less the heat from the bath has not stayed.
        """
        seen = np.empty((steps, len(kernels.OBSERVED)))
        in_bath = steps
        if self._divisor is not None:
            in_bath = min(steps, max(0, self._motion.burn_in - self._done))
        step, between = self._motion.time_step, self._motion.between
        self._move(seen[:in_bath], math.exp(-_FRICTION * step * between), step, between)
        if in_bath < steps:
            divisor = self._divisor or 2
            self._move(seen[in_bath:], 1.0, 2.0 * step / divisor, between * divisor // 2)
        return {name: seen[None, :, k].copy() for k, name in enumerate(kernels.OBSERVED)}

    def _move(self, seen: np.ndarray, kept: float, step: float, between: int) -> None:
        bound = _WORST_DRIFT * self.fluid.freedom / self._motion.beta
        done = kernels.move(
            self._positions,
            self._velocities,
            self._heat,
            self._generator,
            self.fluid.molecule,
            self.fluid.potential,
            self._motion.beta,
            kept,
            step,
            between,
            bound,
            seen,
        )
        self._done += done
        if done < len(seen):
            compared = f" in the run at {step:g} that it is compared with"
            raise NotConvergedError(
                f"time step {self._motion.time_step:g} is too long: after {self._done + 1} "
                f"observations{compared if step != self._motion.time_step else ''} the energy that "
                f"should be kept is off by more than {_WORST_DRIFT} kT for each degree of freedom; "
                "accepted: a shorter time_step."
            )

    def state(self) -> dict[str, np.ndarray]:
        return {
            "positions": self._positions.copy(),
            "velocities": self._velocities.copy(),
            "heat": self._heat.copy(),
            "generator": self._generator.copy(),
            "done": np.array(self._done),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._positions = state["positions"].copy()
        self._velocities = state["velocities"].copy()
        self._heat = state["heat"].copy()
        self._generator = state["generator"].copy()
        self._done = int(state["done"])
