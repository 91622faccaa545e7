"""Degrees of freedom side by side: which definition counts what, system by system."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import polygamma

from thermo import freedom as definitions
from thermo.arguments import checked_seed, finite_number, whole_number
from thermo.canonical import Thermodynamics, canonical
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.exact.density_of_states import ising_torus
from thermo.exact.kaufman import square_torus
from thermo.laboratory.classical_draws import (
    Draws,
    harmonic_crystal,
    ideal_gas,
    quartic_wells,
    rigid_diatomics,
)
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.measured import measured
from thermo.memory import check_memory_of
from thermo.models.oscillator import Oscillator
from thermo.models.two_level import TwoLevel

__all__ = ["DEFINITIONS", "Count", "FreedomTable", "SystemCounts", "freedom"]

FloatArray = NDArray[np.float64]

#: The definitions, in the order in which they are shown: functions of `thermo.freedom`.
DEFINITIONS = (
    "kinetic_dof",
    "equipartition_dof",
    "heat_capacity_dof",
    "learning_dof",
    "state_space_dof",
    "effective_states",
    "participation_ratio",
)

_LEAST_BETA = 1e-150

# Why a definition does not apply: in a few words, as a picture has room for, and in full.
_REASONS = {
    "no momenta": "there are no momenta: nothing moves, so there is no kinetic energy to share out",
    "not quadratic": "the energy is not quadratic in its variables: kT/2 is nobody's share",
    "not classical": "the energy is quadratic, but its levels are discrete: kT/2 for each variable "
    "is the limit of small ħω",
    "discrete": "the levels are discrete: the volume of states does not grow from the lowest, it "
    "steps",
    "endless": "there is no highest level, so that states cannot be counted",
    "continuous": "the variables are continuous: states are a volume, which has a number only once "
    "a unit is chosen",
    "hidden momenta": "momenta are no longer variables of their own: the levels are of momentum "
    "and position together",
    "no β ≤ 0": UnboundedSpectrumError.reason,
}


@dataclass(frozen=True)
class Count:
    """One definition of one system.

    Attributes
    ----------
    definition : str
        Of `DEFINITIONS`.
    value, error : float or None
        None where the definition does not apply; an error of 0 where nothing was sampled.
    expected : float or None
        What is known of the system on other grounds.
    source : str
        Those grounds.
    short, reason : str
        Why the definition does not apply, in a few words and in full; empty where it does.
    """

    definition: str
    value: float | None
    error: float = 0.0
    expected: float | None = None
    source: str = ""
    short: str = ""
    reason: str = ""


@dataclass(frozen=True)
class SystemCounts:
    """All definitions of one system at one β.

    Attributes
    ----------
    system : str
    counts : tuple of Count
        In the order of `DEFINITIONS`.
    """

    system: str
    counts: tuple[Count, ...]


@dataclass(frozen=True, eq=False)
class FreedomTable(Experiment):
    """What :func:`freedom` returns.

    Attributes
    ----------
    beta : float
    systems : tuple of SystemCounts
    """

    name: ClassVar[str] = "freedom"

    beta: float
    systems: tuple[SystemCounts, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(
                f"{counts.system}: {count.definition}",
                count.value,
                count.error,
                expected=count.expected,
                source=count.source,
            )
            for counts in self.systems
            for count in counts.counts
            if count.value is not None
        )

    def table(self) -> str:
        """A block for each system; why a definition does not apply stands in its place."""
        rows = iter(super().table().splitlines()[1:])
        lines = [f"β = {self.beta:g}"]
        for counts in self.systems:
            lines += ["", counts.system]
            missing: dict[str, list[str]] = {}
            for count in counts.counts:
                if count.value is None:
                    missing.setdefault(count.reason, []).append(count.definition)
                else:
                    lines.append("  " + next(rows).removeprefix(f"{counts.system}: "))
            for reason, names in missing.items():
                which = (
                    "no definition" if len(names) == len(DEFINITIONS) else f"no {', '.join(names)}"
                )
                lines.append(f"  {which}: {reason}")
        return "\n".join(lines)


def freedom(
    beta: float = 0.4,
    *,
    atoms: int = 64,
    size: int = 8,
    draws: int = 4000,
    seed: int = 0,
) -> FreedomTable:
    r"""Count the degrees of freedom of seven systems by seven definitions.

    Classical ones are sampled (independent draws, no walk) and held against what is known; discrete
    ones are summed exactly, along two ways. Where a definition does not apply the reason is given.

    Parameters
    ----------
    beta : float
        Inverse temperature of all of them, of either sign, 0, or 10⁻¹⁵⁰ … 10¹⁵⁰ in size; what has
        no highest energy has no equilibrium at β ≤ 0, and the table says so.
    atoms : int
        Of the classical systems, 2 … 1000 (the crystal has the next lower cube, at least 3³), and
        of the two-level systems.
    size : int
        L of the L×L Ising torus, 4 … 32.
    draws : int
        At least 100, of each classical system.
    seed : int
        0 … 2⁶⁴ − 1.

    Returns
    -------
    FreedomTable

    Raises
    ------
    InvalidInputError
        Numbers out of range.

    Notes
    -----
    Masses, spring constants, bond lengths, gaps and couplings are 1. For the definitions see
    `thermo.freedom`.

    Examples
    --------
    >>> table = freedom(draws=100)
    >>> [count.short for count in table.systems[-1].counts]  # of the Ising lattice
    ['no momenta', 'not quadratic', '', 'discrete', '', '', '']
    """
    beta = finite_number(beta, "beta")
    if 0.0 < abs(beta) < _LEAST_BETA:
        raise InvalidInputError(
            f"beta = {beta:g} was given; accepted: 0, or at least {_LEAST_BETA:g} in size, so that "
            "squares of energies are finite"
        )
    atoms = whole_number(atoms, "atoms", 2, most=1000)
    side = whole_number(size, "size", 4, most=32)
    draws = whole_number(draws, "draws", 100)
    check_memory_of(draws, 8 * 3 * 2 * atoms * 4, "draws")
    seeds = np.random.SeedSequence(checked_seed(seed)).spawn(4)
    generators = [np.random.default_rng(one) for one in seeds]
    edge = max(3, math.floor(atoms ** (1 / 3) + 1e-9))
    systems = [
        _none(known.system)
        if beta <= 0.0
        else SystemCounts(known.system, tuple(_of_draws(known, beta, draws, generator)))
        for known, generator in zip(_classical(atoms, edge), generators, strict=True)
    ]
    return FreedomTable(beta, (*systems, _quantum(atoms, beta), _two_level(atoms, beta),
                               _ising(side, beta)))  # fmt: skip


class _Classical(NamedTuple):
    """A system that can be drawn, and what is known of it."""

    system: str
    draw: Callable[[float, int, np.random.Generator], Draws]
    kinetic: int
    all_modes: float
    why_kinetic: str
    why_all: str
    quadratic: bool = True


def _classical(atoms: int, edge: int) -> tuple[_Classical, ...]:
    """The classical systems: `atoms` atoms or molecules, or a crystal of edge³ atoms."""
    return (
        _Classical(
            f"ideal gas, {atoms} atoms",
            partial(ideal_gas, atoms),
            definitions.kinetic_dof(atoms),
            3 * atoms - 3,
            "3N − 3",
            "3N − 3",
        ),
        _Classical(
            f"{atoms} rigid diatomics",
            partial(rigid_diatomics, atoms),
            definitions.kinetic_dof(2 * atoms, constraints=atoms),
            5 * atoms - 3,
            "6N − 3, less N bonds",
            "6N − 3, less N bonds",
        ),
        _Classical(
            f"classical crystal, {edge}³ atoms",
            partial(harmonic_crystal, edge),
            definitions.kinetic_dof(edge**3),
            6 * edge**3 - 6,
            "3N − 3",
            "2·(3N − 3), Dulong–Petit",
        ),
        _Classical(
            f"{atoms} atoms in wells x⁴",
            partial(quartic_wells, atoms),
            definitions.kinetic_dof(atoms, dimension=1, conserved_momenta=0),
            1.5 * atoms,
            "N",
            "N + N/2",
            quadratic=False,
        ),
    )


def _of_draws(
    known: _Classical, beta: float, draws: int, generator: np.random.Generator
) -> Iterator[Count]:
    drawn = known.draw(beta, draws, generator)
    modes, why = known.all_modes, known.why_all
    share = 2.0 * beta * drawn.kinetic
    yield Count("kinetic_dof", *_mean(share), known.kinetic, known.why_kinetic)
    if known.quadratic:
        share = definitions.equipartition_dof(drawn.energy, beta)
        yield Count("equipartition_dof", *_mean(share), modes, why)
    else:
        yield _not("equipartition_dof", "not quadratic")
    # 2C = 2β² Var E
    squares = 2.0 * (beta * (drawn.energy - drawn.energy.mean())) ** 2 * draws / (draws - 1)
    yield Count("heat_capacity_dof", *_mean(squares), modes, why)
    scale = float(definitions.learning_dof(drawn.energy, beta))
    error = 2.0 / math.sqrt(float(polygamma(1, 0.5 * scale)) * draws)
    yield Count("learning_dof", scale, error, modes, why)
    for definition in ("state_space_dof", "effective_states", "participation_ratio"):
        yield _not(definition, "continuous")


def _quantum(atoms: int, beta: float) -> SystemCounts:
    name = f"quantum oscillators, 3·{atoms}, ħω = 1"
    if beta <= 0.0:
        return _none(name)
    state = Oscillator(1.0, 3 * atoms).thermodynamics(beta)
    x = 0.5 * beta
    return SystemCounts(
        name,
        (
            _not("kinetic_dof", "hidden momenta"),
            _not("equipartition_dof", "not classical"),
            Count(
                "heat_capacity_dof",
                float(definitions.heat_capacity_dof(state)),
                expected=6 * atoms * (2.0 * x * math.exp(-x) / -math.expm1(-2.0 * x)) ** 2,
                source="Einstein: less than 6N where ħω is not small",
            ),
            _not("learning_dof", "discrete"),
            _not("state_space_dof", "endless"),
            *_states(state),
        ),
    )


def _two_level(atoms: int, beta: float) -> SystemCounts:
    levels = TwoLevel(atoms, 1.0).levels()
    x = 0.5 * abs(beta)
    return SystemCounts(
        f"{atoms} two-level systems, gap 1",
        _spins(
            canonical(levels, beta),
            2.0 * atoms * (2.0 * x * math.exp(-x) / (1.0 + math.exp(-2.0 * x))) ** 2,
            "Schottky",
            levels.log_states,
            atoms,
        ),
    )


def _ising(side: int, beta: float) -> SystemCounts:
    levels = ising_torus(side)
    known = 2.0 * float(square_torus(beta, side).heat_capacity)
    return SystemCounts(
        f"Ising {side}×{side}, J = 1",
        _spins(canonical(levels, beta), known, "Kaufman", levels.log_states, side**2),
    )


def _spins(
    state: Thermodynamics, heat: float, source: str, log_states: float, bits: int
) -> tuple[Count, ...]:
    return (
        _not("kinetic_dof", "no momenta"),
        _not("equipartition_dof", "not quadratic"),
        Count("heat_capacity_dof", float(definitions.heat_capacity_dof(state)), 0.0, heat, source),
        _not("learning_dof", "discrete"),
        Count(
            "state_space_dof",
            float(definitions.state_space_dof(log_states)),
            expected=float(bits),
            source="N bits",
        ),
        *_states(state),
    )


def _states(state: Thermodynamics) -> tuple[Count, Count]:
    return (
        Count("effective_states", float(definitions.effective_states(state))),
        Count("participation_ratio", float(definitions.participation_ratio(state))),
    )


def _not(definition: str, short: str) -> Count:
    return Count(definition, None, short=short, reason=_REASONS[short])


def _none(system: str) -> SystemCounts:
    return SystemCounts(system, tuple(_not(definition, "no β ≤ 0") for definition in DEFINITIONS))


def _mean(independent: FloatArray) -> tuple[float, float]:
    found = measured(independent)
    return float(found.value), float(found.error)
