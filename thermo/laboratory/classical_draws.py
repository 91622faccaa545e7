r"""Independent draws of classical systems in equilibrium, whose degrees of freedom are known.

Momenta and displacements of all of these can be drawn directly, without a walk. Masses, spring
constants and bond lengths are 1; each function returns kinetic and whole energy above the minimum,
arrays (draws,), of atoms whose centre of mass is at rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thermo.lattice.regular import cubic

__all__ = ["Draws", "harmonic_crystal", "ideal_gas", "quartic_wells", "rigid_diatomics"]

FloatArray = NDArray[np.float64]


class Draws(NamedTuple):
    """Energies of independent draws, arrays (draws,)."""

    kinetic: FloatArray
    energy: FloatArray


def ideal_gas(atoms: int, beta: float, draws: int, generator: np.random.Generator) -> Draws:
    """Free atoms."""
    kinetic = _kinetic(_velocities(atoms, beta, draws, generator))
    return Draws(kinetic, kinetic)


def rigid_diatomics(
    molecules: int, beta: float, draws: int, generator: np.random.Generator
) -> Draws:
    """Free molecules of two atoms each, whose distance is fixed."""
    velocities = _velocities(2 * molecules, beta, draws, generator)
    first, second = velocities[:, :molecules], velocities[:, molecules:]
    bond = generator.normal(size=first.shape)
    bond /= np.linalg.norm(bond, axis=-1, keepdims=True)
    # A Gaussian cut by a plane through its centre is one in that plane: what would stretch the
    # bond is left out.
    stretching = 0.5 * ((second - first) * bond).sum(axis=-1, keepdims=True) * bond
    first += stretching
    second -= stretching
    kinetic = _kinetic(velocities)
    return Draws(kinetic, kinetic)


def harmonic_crystal(side: int, beta: float, draws: int, generator: np.random.Generator) -> Draws:
    """Atoms on a cubic torus with side³ sites, neighbours held by springs in all directions."""
    lattice = cubic(side)
    first, second = lattice.edges.T
    atoms = lattice.n_sites
    stiffness = np.zeros((atoms, atoms))
    np.add.at(stiffness, (first, first), 1.0)
    np.add.at(stiffness, (second, second), 1.0)
    np.add.at(stiffness, (first, second), -1.0)
    np.add.at(stiffness, (second, first), -1.0)
    constants, modes = np.linalg.eigh(stiffness)
    soft = 1.0 / np.sqrt(beta * constants[1:])  # the first is the crystal as a whole
    amplitudes = generator.normal(size=(draws, 3, atoms - 1)) * soft
    displacements = amplitudes @ modes[:, 1:].T
    stretched = displacements[..., first] - displacements[..., second]
    kinetic = _kinetic(_velocities(atoms, beta, draws, generator))
    return Draws(kinetic, kinetic + 0.5 * (stretched**2).sum(axis=(1, 2)))


def quartic_wells(atoms: int, beta: float, draws: int, generator: np.random.Generator) -> Draws:
    """Atoms on a line, each in a well x⁴ of its own (which holds them: no centre of mass)."""
    velocities = generator.normal(size=(draws, atoms)) / np.sqrt(beta)
    kinetic = 0.5 * (velocities**2).sum(axis=1)
    # β x⁴ has the Gamma distribution of shape ¼: its volume grows as ε^¼.
    return Draws(kinetic, kinetic + generator.gamma(0.25, size=(draws, atoms)).sum(axis=1) / beta)


def _velocities(atoms: int, beta: float, draws: int, generator: np.random.Generator) -> FloatArray:
    velocities = generator.normal(size=(draws, atoms, 3)) / np.sqrt(beta)
    velocities -= velocities.mean(axis=1, keepdims=True)
    return velocities


def _kinetic(velocities: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (velocities**2).sum(axis=(1, 2)))
