"""Molecules that move: forces, bonds, velocities and steps, each against what is exact."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from thermo.errors import InvalidInputError, NotConvergedError
from thermo.kernels import lab_molecules as kernels
from thermo.laboratory.molecular_dynamics import MolecularDynamics, MovingMolecules
from thermo.laboratory.molecules import Fluid

FIXTURES = Path(__file__).parent.parent / "fixtures"

ATOMS = (32, 0.6, (1.0,), None, 1.8, True)
PAIRS = (32, 0.3, (1.0, 2.5), 0.6, 2.3, True)  # unlike masses
CUT = (32, 0.3, (1.0, 2.5), 0.6, 2.3, False)


def moved(
    settings: tuple, samples: int = 20, seed: int = 20261121, **wanted: Any
) -> MovingMolecules:
    """A fluid after a while in its bath."""
    fluid = Fluid(*settings)
    plan = {"time_step": 0.004, "between": 4, "isolated": (2,)} | wanted
    motion = MolecularDynamics(
        *settings, fluid.start(), 0.8, samples=samples, burn_in=samples, replicas=1, **plan
    )
    moving = motion.begin(1, np.random.SeedSequence(seed))
    moving.advance(samples)
    return moving


def run(moving: MovingMolecules, step: float, steps: int) -> np.ndarray:
    """Go on without the bath; return what was seen after the last step."""
    out = np.empty((1, len(kernels.OBSERVED)))
    state = moving._positions, moving._velocities, moving._heat, moving._generator
    fluid = moving.fluid
    kernels.move(*state, fluid.molecule, fluid.potential, 1.0, 1.0, step, steps, np.inf, out)
    return out[0]


# ---- energies and forces ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cutoff", "shifted", "energy", "virial", "tail"),
    [
        (3.0, False, -16.790, -46.249, -0.54517),
        (4.0, False, -17.060, -47.869, -0.23008),
        (3.0, True, -15.001, -43.096, 0.0),
    ],
)
def test_energies_of_nist(
    cutoff: float, shifted: bool, energy: float, virial: float, tail: float
) -> None:
    """Lennard-Jones fluid reference calculations of NIST, to the five digits they have."""
    fluid = Fluid(30, 30 / 8**3, cutoff=cutoff, force_shifted=shifted)
    found = fluid.interactions(np.loadtxt(FIXTURES / "nist_lennard_jones_4.txt"))
    assert found.energy == pytest.approx(energy, abs=5.1e-4)
    assert found.virial == pytest.approx(virial, abs=5.1e-4)
    assert fluid.tail_energy == pytest.approx(tail, abs=5.1e-6)


def test_the_tail_is_what_lies_beyond() -> None:
    """∫ u and ∫ r u' outside of a sphere, by differences of two cut-offs."""
    near, far = (Fluid(500, 0.5, cutoff=cutoff, force_shifted=False) for cutoff in (2.5, 4.0))
    r = np.linspace(2.5, 4.0, 20001)
    shell = 4.0 * np.pi * r**2
    u, slope = 4.0 * (r**-12 - r**-6), -24.0 * (2.0 * r**-13 - r**-7)
    energy = 0.5 * 500 * 0.5 * np.trapezoid(shell * u, r)
    pressure = -(0.5**2) / 6.0 * np.trapezoid(shell * r * slope, r)
    assert near.tail_energy - far.tail_energy == pytest.approx(energy, rel=1e-6)
    assert near.tail_pressure - far.tail_pressure == pytest.approx(pressure, rel=1e-6)


@pytest.mark.parametrize("settings", [ATOMS, PAIRS, CUT])
def test_forces_are_minus_the_gradient(settings: tuple) -> None:
    moving = moved(settings)
    fluid, x = moving.fluid, moving._positions
    found = fluid.interactions(x)
    h = 1e-5
    for place in [(0, 0), (7, 1), (31, 2)]:
        ahead, behind = x.copy(), x.copy()
        ahead[place] += h
        behind[place] -= h
        # of energies as forces see them, without the step at the cut-off
        energies = [_smooth_energy(fluid, y) for y in (ahead, behind)]
        slope = (energies[0] - energies[1]) / (2.0 * h)
        assert -found.force[place] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def _smooth_energy(fluid: Fluid, x: np.ndarray) -> float:
    return kernels.interactions(x, len(fluid.masses), fluid.potential, np.empty_like(x))[0]


@pytest.mark.parametrize("settings", [ATOMS, PAIRS])
def test_virial_and_laplacian_are_derivatives(settings: tuple) -> None:
    """Of the energy in the size of the cube, molecules kept whole, and in each centre."""
    moving = moved(settings)
    fluid, x = moving.fluid, moving._positions
    size = len(fluid.masses)
    shares = np.array(fluid.masses) / sum(fluid.masses)
    centres = (x.reshape(-1, size, 3) * shares[:, None]).sum(axis=1, keepdims=True)
    energies = []
    for stretch in (1.0 + 1e-6, 1.0 - 1e-6):
        grown = (x.reshape(-1, size, 3) + (stretch - 1.0) * centres).reshape(-1, 3)
        potential = fluid.potential._replace(side=fluid.side * stretch)
        energies.append(kernels.interactions(grown, size, potential, np.empty_like(x))[0])
    force = np.empty_like(x)
    _, virial, laplacian, _ = kernels.interactions(x, size, fluid.potential, force)
    whole, squared = kernels.rigid_virial(x, force, np.array(fluid.masses), virial)
    assert whole == pytest.approx(-(energies[0] - energies[1]) / 2e-6, rel=1e-5)
    forces = force.reshape(-1, size, 3).sum(axis=1)
    assert squared == pytest.approx((forces**2).sum(), rel=1e-12)
    h, second = 1e-4, 0.0
    for molecule in range(fluid.molecules):
        for k in range(3):
            moves = [x.copy(), x, x.copy()]
            moves[0][molecule * size : (molecule + 1) * size, k] += h
            moves[2][molecule * size : (molecule + 1) * size, k] -= h
            e = [_smooth_energy(fluid, y) for y in moves]
            second += (e[0] - 2.0 * e[1] + e[2]) / h**2
    assert laplacian == pytest.approx(second, rel=1e-4)


# ---- velocities ------------------------------------------------------------------------------


def draws(settings: tuple, count: int = 4000) -> tuple[Fluid, np.ndarray]:
    """2β of both kinetic energies, (count, 2)."""
    fluid = Fluid(*settings)
    x, generator = fluid.start(), np.random.SeedSequence(20261121).generate_state(2, np.uint64)
    velocities = np.empty_like(x)
    seen = np.empty((count, 2))
    for k in range(count):
        kernels.draw_velocities(x, velocities, fluid.molecule, 0.7, generator)
        seen[k] = 1.4 * np.array(kernels.kinetic_energies(velocities, fluid.molecule.masses))
    momentum = (velocities * np.resize(fluid.masses, fluid.atoms)[:, None]).sum(axis=0)
    assert np.abs(momentum).max() < 1e-12
    return fluid, seen


@pytest.mark.parametrize(
    "settings", [(4, 0.05, (1.0,), None, 2.0, True), (3, 0.05, (1.0, 4.0), 1.2, 1.9, True)]
)
def test_velocities_count_degrees_of_freedom(settings: tuple) -> None:
    """2βK is χ² of 3M − 3 and of 2M degrees of freedom; false alarm 10⁻⁵ each."""
    fluid, seen = draws(settings)
    m = fluid.molecules
    assert kstest(seen[:, 0], "chi2", (3 * m - 3,)).pvalue > 1e-5
    if fluid.bond is not None:
        assert kstest(seen[:, 1], "chi2", (2 * m,)).pvalue > 1e-5
    assert kstest(seen.sum(axis=1), "chi2", (fluid.freedom,)).pvalue > 1e-5
    # negative control: another count is told from it
    assert kstest(seen.sum(axis=1), "chi2", (fluid.freedom + 1,)).pvalue < 1e-5


# ---- steps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [ATOMS, PAIRS])
def test_bonds_and_momentum_are_kept(settings: tuple) -> None:
    moving = moved(settings)
    run(moving, 0.004, 500)
    masses = np.resize(moving.fluid.masses, moving.fluid.atoms)[:, None]
    assert np.abs((masses * moving._velocities).sum(axis=0)).max() < 1e-11
    if moving.fluid.bond is not None:
        x, v = moving._positions, moving._velocities
        bonds, turning = x[0::2] - x[1::2], v[0::2] - v[1::2]
        assert np.linalg.norm(bonds, axis=1) == pytest.approx(0.6, abs=1e-12)
        assert np.abs((bonds * turning).sum(axis=1)).max() < 1e-12


@pytest.mark.parametrize("settings", [ATOMS, PAIRS])
def test_time_runs_backwards(settings: tuple) -> None:
    moving = moved(settings)
    positions = moving._positions.copy()
    run(moving, 0.004, 100)
    assert np.abs(moving._positions - positions).max() > 0.1
    moving._velocities *= -1.0
    run(moving, 0.004, 100)
    assert np.abs(moving._positions - positions).max() < 1e-9


@pytest.mark.parametrize("settings", [ATOMS, PAIRS])
def test_a_step_is_of_second_order(settings: tuple) -> None:
    """Of the path over a time of 0.1; a smooth potential, so the ratio of errors is 4."""
    ends = []
    for divisor in (1, 2, 8):
        moving = moved(settings)
        run(moving, 0.005 / divisor, 20 * divisor)
        ends.append(moving._positions)
    one, half = (np.abs(end - ends[2]).max() for end in ends[:2])
    assert one / half == pytest.approx((1 - 1 / 64) / (1 / 4 - 1 / 64), rel=0.1)


@pytest.mark.parametrize("settings", [ATOMS, PAIRS])
def test_compiled_is_plain_python_bit_for_bit(settings: tuple) -> None:
    ends = []
    for plain in (False, True):
        moving = moved(settings, samples=1)
        fluid, x, v = moving.fluid, moving._positions, moving._velocities
        force, out = np.empty_like(x), np.empty((2, len(kernels.OBSERVED)))
        masses = fluid.molecule.masses
        state = x, v, moving._heat, moving._generator, fluid.molecule, fluid.potential

        def of(kernel: Any, plain: bool = plain) -> Any:
            return kernel.py_func if plain else kernel

        with np.errstate(over="ignore"):  # of the random numbers, in plain Python
            of(kernels.move)(*state, 0.8, 0.9, 0.004, 2, np.inf, out)
            of(kernels.drift)(x, v, masses, 0.004)
            seen = of(kernels.interactions)(x, len(masses), fluid.potential, force)
            of(kernels.kick)(v, force, masses, 0.004)
            if len(masses) == 2:
                of(kernels.stop_stretching)(x, v, 2, masses)
                of(kernels.push)(v, 4, masses, 0.1, 1.0, 2.0, 3.0)
            of(kernels.draw_velocities)(x, force, fluid.molecule, 0.8, moving._generator)
        virial = of(kernels.rigid_virial)(x, force, masses, seen[1])
        energies = of(kernels.kinetic_energies)(v, masses)
        numbers = [*seen, *virial, *energies]
        ends.append(np.concatenate([x.ravel(), v.ravel(), force.ravel(), out.ravel(), numbers]))
    assert (ends[0] == ends[1]).all()


def test_a_path_goes_on_to_the_same_bits() -> None:
    fluid = Fluid(*PAIRS)
    motion = MolecularDynamics(*PAIRS, fluid.start(), 0.8, 0.004, 4, 20, 8, 1, (1, 4))
    for piece in range(motion.pieces):
        seed = np.random.SeedSequence(5, spawn_key=(piece,))
        whole = motion.begin(piece, seed).advance(20)
        begun = motion.begin(piece, seed)
        parts = [begun.advance(5)]
        resumed = motion.begin(piece, seed)
        resumed.restore(begun.state())
        parts += [resumed.advance(6), resumed.advance(9)]
        for name, series in whole.items():
            assert (np.concatenate([part[name] for part in parts], axis=1) == series).all(), name


# ---- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "accepted"),
    [
        ((1, 0.3), "at least 2"),
        ((10**5, 0.3), "at most 4000 atoms"),
        ((64, 0.0), "a positive finite number"),
        ((64, 0.3, (-1.0,)), "mass = -1.0 was given; accepted: a positive"),
        ((64, 0.3, (1.0, 0.0), 0.5), "mass = 0.0 was given; accepted: a positive"),
        ((64, 0.3, (1.0, 1.0, 1.0)), "one mass, or of two"),
        ((64, 0.3, [1.0]), "one mass, or of two"),
        ((64, 0.3, (1.0, 1.0)), "a length with two masses"),
        ((64, 0.3, (1.0,), 0.5), "None with one"),
        ((64, 0.3, (1.0, 1.0), math.inf), "a positive finite number"),
        ((64, 0.3, (1.0, 1.0), 3.1), "at most half the side"),
        ((64, 0.3, (1.0,), None, 3.1), "a side of at least twice the cut-off"),
        ((64, 0.3, (1.0,), None, -1.0), "a positive finite number"),
        ((64, 0.3, (1.0,), None, 2.5, "no"), "True or False"),
    ],
)
def test_bad_fluids(settings: tuple, accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        Fluid(*settings)


def test_bad_positions() -> None:
    fluid = Fluid(*PAIRS)
    good = fluid.checked_start(None)
    assert fluid.checked_start(good + 17.3) == pytest.approx(good + 17.3)
    with pytest.raises(InvalidInputError, match=r"accepted: finite numbers of shape \(64, 3\)"):
        fluid.checked_start(good[1:])
    overlapping = good.copy()
    overlapping[2:4] = overlapping[0:2] + 0.1
    with pytest.raises(
        InvalidInputError, match=r"atoms 0 and 2 start 0\.173σ apart; accepted: at l"
    ):
        fluid.checked_start(overlapping)
    through_the_wall = good.copy()
    through_the_wall[2:4] = overlapping[2:4] + fluid.side
    with pytest.raises(InvalidInputError, match="atoms 0 and 2 start"):
        fluid.checked_start(through_the_wall)
    stretched = good.copy()
    stretched[5] += 0.1
    with pytest.raises(InvalidInputError, match=r"molecule 2 are .* accepted: the length"):
        fluid.checked_start(stretched)


@pytest.mark.parametrize("settings", [ATOMS, PAIRS])
def test_a_step_that_is_too_long_is_detected(settings: tuple) -> None:
    with pytest.raises(NotConvergedError, match=r"time step 0\.08 is too long.*shorter time_step"):
        moved(settings, samples=50, time_step=0.08)
