"""Molecular dynamics of Lennard-Jones atoms, single or in rigid pairs, in a periodic cube.

Lengths are in σ, energies in ε. Atoms of a pair follow one another in the arrays. All pairs of
atoms are visited: for the few hundred atoms that a lecture needs, lists of neighbours cost more to
keep than they save. Positions are not folded back into the cube.

What a rigid bond asks is solved in closed form. A step of time takes the bond d to d + Δ; the
constraint pulls along the old bond, d' = d + Δ − g d with \\|d'\\| = \\|d\\|, which is a quadratic
equation for g: the one bond of a molecule needs no iteration (RATTLE: H. C. Andersen, J. Comput.
Phys. 52, 24 (1983)).

Numba's cache of a kernel looks at the kernel's own file only: after an edit of
`thermo.kernels.streams`, remove the ``__pycache__`` beside it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from thermo.kernels.lanes import lane_function
from thermo.kernels.streams import random_unit

__all__ = ["OBSERVED", "Molecule", "Potential", "draw_velocities", "interactions", "move"]

# What `move` writes down, in this order.
OBSERVED = (
    "translation", "rotation", "potential", "virial", "laplacian", "squared_force", "pairs", "heat"
)  # fmt: skip


class Molecule(NamedTuple):
    """One atom, or two at a fixed distance."""

    masses: np.ndarray  # (1,) or (2,) float64


class Potential(NamedTuple):
    """4(r⁻¹² − r⁻⁶) − height − slope (r − cutoff) between atoms of two molecules; r < cutoff."""

    side: float
    cutoff: float
    height: float
    slope: float


@njit(cache=True, nogil=True, error_model="numpy")
def interactions(positions, atoms, potential, force):
    """Write the forces; return energy, virial Σ r·F, Laplacian and number of pairs within reach.

    Atoms in the same place have an infinite energy.

    `positions` and `force` are (n, 3), `atoms` is how many a molecule has. The Laplacian is that
    of the energy in the centre of each molecule, summed over the molecules.
    """
    side, cutoff, height, slope = potential
    per_side = 1.0 / side
    reach = cutoff * cutoff
    force[:] = 0.0
    energy = 0.0
    virial = 0.0
    laplacian = 0.0
    pairs = 0
    n = len(positions)
    for i in range(n - 1):
        xi = positions[i, 0]
        yi = positions[i, 1]
        zi = positions[i, 2]
        for j in range((i // atoms + 1) * atoms, n):
            x = xi - positions[j, 0]
            y = yi - positions[j, 1]
            z = zi - positions[j, 2]
            x -= side * np.rint(x * per_side)
            y -= side * np.rint(y * per_side)
            z -= side * np.rint(z * per_side)
            r2 = x * x + y * y + z * z
            if r2 < reach:
                r = np.sqrt(r2)
                s2 = 1.0 / r2
                s6 = s2 * s2 * s2
                pull = 24.0 * s6 * (2.0 * s6 - 1.0) + slope * r  # r·F
                energy += 4.0 * s6 * (s6 - 1.0) - height - slope * (r - cutoff)
                virial += pull
                laplacian += 2.0 * (s2 * s6 * (528.0 * s6 - 120.0) - 2.0 * slope / r)
                pairs += 1
                pull *= s2
                force[i, 0] += pull * x
                force[i, 1] += pull * y
                force[i, 2] += pull * z
                force[j, 0] -= pull * x
                force[j, 1] -= pull * y
                force[j, 2] -= pull * z
    return energy, virial, laplacian, pairs


@njit(cache=True, nogil=True)
def draw_velocities(positions, velocities, molecule, beta, generator):
    """Draw from Maxwell's law at β, with bonds that keep their length and no total momentum.

    Nothing here counts degrees of freedom: each atom draws three numbers, and what a bond and the
    centre of mass forbid is taken out.
    """
    masses = molecule.masses
    atoms = len(masses)
    s0 = generator[0]
    s1 = generator[1]
    momentum = np.zeros(3)
    total = 0.0
    for i in range(len(velocities)):
        mass = masses[i % atoms]
        scale = np.sqrt(1.0 / (beta * mass))
        first, second, s0, s1 = normal_pair(s0, s1)
        third, _, s0, s1 = normal_pair(s0, s1)
        velocities[i, 0] = scale * first
        velocities[i, 1] = scale * second
        velocities[i, 2] = scale * third
        if atoms == 2 and i % 2 == 1:
            stop_stretching(positions, velocities, i - 1, masses)
    for i in range(len(velocities)):
        mass = masses[i % atoms]
        total += mass
        for k in range(3):
            momentum[k] += mass * velocities[i, k]
    for i in range(len(velocities)):
        for k in range(3):
            velocities[i, k] -= momentum[k] / total
    generator[0] = s0
    generator[1] = s1


@lane_function
def normal_pair(s0, s1):
    """Two independent standard normal numbers (Box and Muller)."""
    one, s0, s1 = random_unit(s0, s1)
    two, s0, s1 = random_unit(s0, s1)
    length = math.sqrt(-2.0 * math.log(1.0 - one))
    angle = 2.0 * math.pi * two
    return length * math.cos(angle), length * math.sin(angle), s0, s1


@njit(cache=True, nogil=True)
def stop_stretching(positions, velocities, first, masses):
    """Take out what changes the length of the bond between atoms `first` and `first` + 1."""
    dx = positions[first, 0] - positions[first + 1, 0]
    dy = positions[first, 1] - positions[first + 1, 1]
    dz = positions[first, 2] - positions[first + 1, 2]
    along = (
        dx * (velocities[first, 0] - velocities[first + 1, 0])
        + dy * (velocities[first, 1] - velocities[first + 1, 1])
        + dz * (velocities[first, 2] - velocities[first + 1, 2])
    ) / (dx * dx + dy * dy + dz * dz)
    push(velocities, first, masses, -along, dx, dy, dz)


@njit(cache=True, nogil=True)
def push(vectors, first, masses, amount, dx, dy, dz):
    """Add `amount` times d to the difference of two rows and leave their centre of mass alone."""
    one = amount * masses[1] / (masses[0] + masses[1])
    other = amount - one
    vectors[first, 0] += one * dx
    vectors[first, 1] += one * dy
    vectors[first, 2] += one * dz
    vectors[first + 1, 0] -= other * dx
    vectors[first + 1, 1] -= other * dy
    vectors[first + 1, 2] -= other * dz


@njit(cache=True, nogil=True)
def drift(positions, velocities, masses, step):
    """Move on freely for a step, with bonds that keep their length."""
    if len(masses) == 1:
        positions += step * velocities
        return
    for i in range(0, len(positions), 2):
        dx = positions[i, 0] - positions[i + 1, 0]
        dy = positions[i, 1] - positions[i + 1, 1]
        dz = positions[i, 2] - positions[i + 1, 2]
        mx = step * (velocities[i, 0] - velocities[i + 1, 0])
        my = step * (velocities[i, 1] - velocities[i + 1, 1])
        mz = step * (velocities[i, 2] - velocities[i + 1, 2])
        # |d + Δ − g d|² = d²: g² d² − 2 g b + c = 0, the root that vanishes with Δ
        d2 = dx * dx + dy * dy + dz * dz
        turned = dx * mx + dy * my + dz * mz
        b = d2 + turned
        c = 2.0 * turned + mx * mx + my * my + mz * mz
        under = b * b - d2 * c
        root = np.sqrt(under) if under > 0.0 else np.nan  # turned by more than a right angle
        g = c / (b + root)
        for k in range(3):
            positions[i, k] += step * velocities[i, k]
            positions[i + 1, k] += step * velocities[i + 1, k]
        push(positions, i, masses, -g, dx, dy, dz)
        push(velocities, i, masses, -g / step, dx, dy, dz)


@njit(cache=True, nogil=True)
def kick(velocities, force, masses, step):
    """Let the forces act for a step."""
    atoms = len(masses)
    for i in range(len(velocities)):
        factor = step / masses[i % atoms]
        for k in range(3):
            velocities[i, k] += factor * force[i, k]


@njit(cache=True, nogil=True)
def kinetic_energies(velocities, masses):
    """Return those of the centres of the molecules and of the motion about them."""
    whole = 0.0
    atoms = len(masses)
    for i in range(len(velocities)):
        for k in range(3):
            whole += 0.5 * masses[i % atoms] * velocities[i, k] * velocities[i, k]
    if atoms == 1:
        return whole, 0.0
    turning = 0.0
    reduced = masses[0] * masses[1] / (masses[0] + masses[1])
    for i in range(0, len(velocities), 2):
        for k in range(3):
            relative = velocities[i, k] - velocities[i + 1, k]
            turning += 0.5 * reduced * relative * relative
    return whole - turning, turning


@njit(cache=True, nogil=True)
def rigid_virial(positions, force, masses, virial):
    """Return Σ R·F over centres of molecules, for Σ r·F over atoms.

    The bonds then do not contribute. Also Σ F² over the molecules.
    """
    squared = 0.0
    if len(masses) == 1:
        for i in range(len(force)):
            for k in range(3):
                squared += force[i, k] * force[i, k]
        return virial, squared
    share = masses[1] / (masses[0] + masses[1])
    for i in range(0, len(force), 2):
        for k in range(3):
            bond = positions[i, k] - positions[i + 1, k]
            virial -= bond * (share * force[i, k] - (1.0 - share) * force[i + 1, k])
            whole = force[i, k] + force[i + 1, k]
            squared += whole * whole
    return virial, squared


@njit(cache=True, nogil=True)
def move(
    positions, velocities, heat, generator,
    molecule, potential, beta, kept, step, between, bound, out,
):  # fmt: skip
    """Go on by velocity Verlet and write what is seen after every `between` steps into `out`.

    With ``kept`` < 1 a bath at β stirs before each of these stretches: v becomes kept·v +
    √(1 − kept²)·v' with v' drawn anew, which is Langevin's equation without forces, solved.
    ``heat[0]`` sums what it gave. Energy less heat should stay what it is in ``heat[1]``: once it
    is further away than `bound`, or no number, the run ends. Returns how many rows are good.
    """
    masses = molecule.masses
    atoms = len(masses)
    force = np.empty_like(positions)
    fresh = np.empty_like(velocities)
    energy, virial, laplacian, pairs = interactions(positions, atoms, potential, force)
    for row in range(len(out)):
        if kept < 1.0:
            translation, rotation = kinetic_energies(velocities, masses)
            heat[0] -= translation + rotation
            draw_velocities(positions, fresh, molecule, beta, generator)
            mixed = np.sqrt(1.0 - kept * kept)
            for i in range(len(velocities)):
                for k in range(3):
                    velocities[i, k] = kept * velocities[i, k] + mixed * fresh[i, k]
            translation, rotation = kinetic_energies(velocities, masses)
            heat[0] += translation + rotation
        for _ in range(between):
            kick(velocities, force, masses, 0.5 * step)
            drift(positions, velocities, masses, step)
            energy, virial, laplacian, pairs = interactions(positions, atoms, potential, force)
            kick(velocities, force, masses, 0.5 * step)
            if atoms == 2:
                for i in range(0, len(velocities), 2):
                    stop_stretching(positions, velocities, i, masses)
        translation, rotation = kinetic_energies(velocities, masses)
        out[row, 0] = translation
        out[row, 1] = rotation
        out[row, 2] = energy
        out[row, 3], out[row, 5] = rigid_virial(positions, force, masses, virial)
        out[row, 4] = laplacian
        out[row, 6] = pairs
        out[row, 7] = heat[0]
        kept_energy = translation + rotation + energy - heat[0]
        if not abs(kept_energy - heat[1]) < bound:  # nan, too
            return row
    return len(out)
