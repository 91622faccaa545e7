"""Lennard-Jones atoms, single or in rigid pairs, in a periodic cube."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real, finite_number, true_or_false, whole_number
from thermo.errors import InvalidInputError
from thermo.freedom import kinetic_dof
from thermo.kernels import lab_molecules as kernels

__all__ = ["Fluid", "Interactions"]

FloatArray = NDArray[np.float64]

_NEAREST = 0.7  # σ; two atoms there repel with 255 ε
_MOST_ATOMS = 4000  # all pairs of them are visited in every step


class Interactions(NamedTuple):
    """What :meth:`Fluid.interactions` finds, in reduced units.

    Attributes
    ----------
    energy : float
        Σ u over pairs within reach; without `tail_energy`.
    virial : float
        Σ r·F over pairs of atoms; the pressure of single atoms is ρkT + virial/3V.
    force : ndarray, shape (atoms, 3)
    """

    energy: float
    virial: float
    force: FloatArray


@dataclass(frozen=True, eq=False)
class Fluid:
    r"""Lennard-Jones atoms, or rigid pairs of them, in a periodic cube.

    .. math:: u(r) = 4\left(r^{-12} - r^{-6}\right) \qquad (r < r_c),

    lengths in σ, energies in ε, masses in that of one atom.

    Parameters
    ----------
    molecules : int
        M ≥ 2.
    density : float
        Molecules per σ³.
    masses : tuple of float
        Of one atom, or of the two of a rigid molecule.
    bond : float, optional
        Length of the rigid bond in σ, for two masses.
    cutoff : float
        r_c in σ, at most half the side of the cube.
    force_shifted : bool
        True: a straight line is taken off, so that energy and force are zero at r_c, and energy is
        kept well. False: u as it is, with `tail_energy` and `tail_pressure` for what lies beyond.

    Raises
    ------
    InvalidInputError
        Numbers out of range, a cube narrower than twice the cut-off, a bond without a second mass.

    Examples
    --------
    >>> nitrogen = Fluid(100, 0.3, masses=(1.0, 1.0), bond=0.33)
    >>> nitrogen.atoms, nitrogen.freedom
    (200, 497)
    """

    molecules: int
    density: float
    masses: tuple[float, ...] = (1.0,)
    bond: float | None = None
    cutoff: float = 2.5
    force_shifted: bool = True

    def __post_init__(self) -> None:
        whole_number(self.molecules, "molecules", 2)
        finite_number(self.density, "density", positive=True)
        if not isinstance(self.masses, tuple) or len(self.masses) not in (1, 2):
            raise InvalidInputError(
                f"masses = {self.masses!r} was given; accepted: a tuple of one mass, or of two for "
                "rigid molecules of two atoms"
            )
        for mass in self.masses:
            finite_number(mass, "mass", positive=True)
        if (self.bond is None) != (len(self.masses) == 1):
            raise InvalidInputError(
                f"bond = {self.bond} was given with {len(self.masses)} masses; accepted: a length "
                "with two masses, None with one"
            )
        if self.bond is not None:
            finite_number(self.bond, "bond", positive=True)
        finite_number(self.cutoff, "cutoff", positive=True)
        true_or_false(self.force_shifted, "force_shifted")
        if self.atoms > _MOST_ATOMS:
            raise InvalidInputError(
                f"{self.molecules} molecules of {len(self.masses)} were given; accepted: at most "
                f"{_MOST_ATOMS} atoms, for all pairs are visited in every step"
            )
        if self.side < 2.0 * self.cutoff * (1.0 - 1e-12):  # a cube root is rounded
            raise InvalidInputError(
                f"{self.molecules} molecules at density {self.density:g} fill a cube of side "
                f"{self.side:.4g}σ, and cutoff = {self.cutoff:g} was given; accepted: a side of at "
                "least twice the cut-off (more molecules, or a shorter cut-off)"
            )
        if self.bond is not None and self.bond > 0.5 * self.side:
            raise InvalidInputError(
                f"bond = {self.bond:g} was given; accepted: at most half the side of the cube, "
                f"{0.5 * self.side:.4g}σ"
            )

    @property
    def atoms(self) -> int:
        """Number N of atoms."""
        return self.molecules * len(self.masses)

    @property
    def constraints(self) -> int:
        """One for each rigid bond."""
        return self.molecules if self.bond is not None else 0

    @property
    def freedom(self) -> int:
        """f = 3N − constraints − 3: kinetic degrees of freedom with the centre of mass at rest."""
        return kinetic_dof(self.atoms, constraints=self.constraints)

    @property
    def side(self) -> float:
        """Of the cube, in σ."""
        return float((self.molecules / self.density) ** (1.0 / 3.0))

    @property
    def volume(self) -> float:
        """In σ³."""
        return self.molecules / self.density

    @property
    def height(self) -> float:
        """u at the cut-off, in ε."""
        return 4.0 * (self.cutoff**-12 - self.cutoff**-6)

    @property
    def tail_energy(self) -> float:
        """Energy of all atoms beyond the cut-off if they lie there at random; 0 if shifted."""
        if self.force_shifted:
            return 0.0
        per_atom = (8.0 / 3.0) * math.pi * (self.atoms / self.volume)
        return self.atoms * per_atom * (self.cutoff**-9 / 3.0 - self.cutoff**-3)

    @property
    def tail_pressure(self) -> float:
        """Pressure of what lies beyond the cut-off; 0 if shifted."""
        if self.force_shifted:
            return 0.0
        squared = (16.0 / 3.0) * math.pi * (self.atoms / self.volume) ** 2
        return squared * (2.0 * self.cutoff**-9 / 3.0 - self.cutoff**-3)

    @property
    def potential(self) -> kernels.Potential:
        """What the kernels need. Energies there are zero at the cut-off, as forces see them."""
        slope = 24.0 * (self.cutoff**-7 - 2.0 * self.cutoff**-13) if self.force_shifted else 0.0
        return kernels.Potential(self.side, self.cutoff, self.height, slope)

    @property
    def molecule(self) -> kernels.Molecule:
        """What the kernels need."""
        return kernels.Molecule(np.array(self.masses, dtype=np.float64))

    def interactions(self, positions: ArrayLike) -> Interactions:
        """Energy, virial and forces of atoms at given places.

        Parameters
        ----------
        positions : array_like, shape (atoms, 3)
            In σ, in or out of the cube; atoms of a molecule follow one another.

        Returns
        -------
        Interactions

        Raises
        ------
        InvalidInputError
            Another shape, or numbers that are not finite.

        Examples
        --------
        Two atoms at the distance of the minimum, one of them seen through the wall of the cube:

        >>> pair = Fluid(2, 2 / 6**3, force_shifted=False)
        >>> pair.interactions([[0.1, 3, 3], [6.1 - 2 ** (1 / 6), 3, 3]]).energy
        -1.0
        """
        x = self._as_positions(positions)
        force = np.empty_like(x)
        energy, virial, _, pairs = kernels.interactions(x, len(self.masses), self.potential, force)
        if not self.force_shifted:
            energy += self.height * pairs
        return Interactions(energy, virial, force)

    def start(self) -> FloatArray:
        """Places on a face-centred cubic lattice, pairs along its four diagonals as in solid N₂.

        The sites are the middles of bonds, not centres of mass: a light atom keeps its distance.

        Returns
        -------
        ndarray, shape (atoms, 3)
        """
        cells = math.ceil((self.molecules / 4.0) ** (1.0 / 3.0) - 1e-9)
        corners = np.array(list(product(range(cells), repeat=3)), dtype=np.float64)
        basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        sites = (corners[:, None] + basis).reshape(-1, 3) * (self.side / cells)
        chosen = np.arange(self.molecules) * len(sites) // self.molecules
        centres = sites[chosen]
        if self.bond is None:
            return centres
        diagonals = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / math.sqrt(3.0)
        along = self.bond * diagonals[chosen % 4]
        return (centres[:, None] + np.array([[0.5], [-0.5]]) * along[:, None]).reshape(-1, 3)

    def checked_start(self, positions: ArrayLike | None) -> FloatArray:
        """Places to start from, `start` if None; refuse atoms that overlap and bonds too long.

        Parameters
        ----------
        positions : array_like, shape (atoms, 3), optional

        Returns
        -------
        ndarray, shape (atoms, 3)

        Raises
        ------
        InvalidInputError
            Atoms of two molecules less than 0.7σ apart, bonds of another length than `bond`.
        """
        x = self.start() if positions is None else self._as_positions(positions).copy()
        if self.bond is not None:
            lengths = np.linalg.norm(x[0::2] - x[1::2], axis=1)
            worst = int(np.argmax(np.abs(lengths - self.bond)))
            if abs(lengths[worst] - self.bond) > 1e-9 * self.bond:
                raise InvalidInputError(
                    f"the atoms of molecule {worst} are {lengths[worst]:.6g}σ apart; accepted: the "
                    f"length of the bond, {self.bond:g}σ"
                )
        for i in range(self.atoms - 1):
            after = (i // len(self.masses) + 1) * len(self.masses)
            away = x[i] - x[after:]
            away -= self.side * np.rint(away / self.side)
            distance = np.sqrt((away**2).sum(axis=1))
            if len(distance) and distance.min() < _NEAREST:
                raise InvalidInputError(
                    f"atoms {i} and {after + int(np.argmin(distance))} start {distance.min():.3g}σ "
                    f"apart; accepted: at least {_NEAREST}σ (a lower density, or other positions)"
                )
        return x

    def _as_positions(self, positions: ArrayLike) -> FloatArray:
        x = as_real(positions, "positions")
        if x.shape != (self.atoms, 3) or not np.isfinite(x).all():
            raise InvalidInputError(
                f"positions of shape {x.shape} were given; accepted: finite numbers of shape "
                f"({self.atoms}, 3)"
            )
        return np.ascontiguousarray(x)
