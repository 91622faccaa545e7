"""Blocks of spins in contact: what they are, how they begin, and how they pass energy on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from thermo.arguments import shown
from thermo.errors import InvalidInputError
from thermo.exact.density_of_states import exact_levels
from thermo.kernels.lab_contact import pass_energy
from thermo.laboratory.trajectories import Motion
from thermo.lattice import from_edges
from thermo.levels import EnergyLevels
from thermo.models.ising import Ising
from thermo.models.two_level import TwoLevel
from thermo.run.simulate import simulate
from thermo.sampling.energy_grid import discrete_system, energy_spacing

__all__ = ["Block", "Contact", "block", "blocks_that_can_exchange", "canonical_spins"]

_MOST_PIECES = 16  # of the replicas; more workers have nothing to do
# Sweeps that bring a block to its β before the contact, and those in which it shows whether it is
# there; 512 lattices of 32² take half a second.
_BURN_IN, _SWEEPS, _EVERY = 1000, 5000, 50


@dataclass(frozen=True, eq=False)
class Block:
    """A system that can be brought into contact with others.

    Attributes
    ----------
    model : Ising
        Its spins.
    levels : EnergyLevels
        Its exact levels, ascending.
    """

    model: Ising
    levels: EnergyLevels

    @property
    def sites(self) -> int:
        """How many spins."""
        return self.model.lattice.n_sites

    @cached_property
    def flip_costs(self) -> set[float]:
        """What a flip of one spin can cost or yield, 0 aside, rounded to nine digits."""
        lattice, model = self.model.lattice, self.model
        bonds = np.split(np.abs(model.couplings[lattice.adjacent_bonds]), lattice.offsets[1:-1])
        kinds = {
            (*np.sort(own).tolist(), float(h)) for own, h in zip(bonds, model.fields, strict=True)
        }
        costs: set[float] = set()
        for *couplings, h in kinds:
            sums = {h}
            for coupling in couplings:
                sums = {float(f"{a + s * coupling:.9g}") for a in sums for s in (-1.0, 1.0)}
            costs |= {2.0 * abs(local) for local in sums if local}
        return costs


def block(system: Ising | TwoLevel, name: str = "block") -> Block:
    """Return a system as a block with its exact levels.

    Parameters
    ----------
    system : Ising or TwoLevel
        An Ising model whose levels are known: a periodic square lattice in zero field, or one of
        no more than 22 spins; or independent spins, whose energy is counted from its middle here,
        so that 0 is that of β = 0.
    name : str
        What a message calls it.

    Raises
    ------
    InvalidInputError
        Something else.

    Examples
    --------
    >>> block(TwoLevel(3, gap=2.0)).levels.energies
    array([-3., -1.,  1.,  3.])
    """
    if isinstance(system, TwoLevel):
        apart = from_edges(system.n, np.empty((0, 2), dtype=np.int64), name="apart")
        middle = 0.5 * system.n * system.gap
        return Block(Ising(apart, field=0.5 * system.gap), system.levels().shifted(-middle))
    if isinstance(system, Ising):
        return Block(system, exact_levels(system).merged())
    raise InvalidInputError(
        f"{name} = {shown(system)} was given; accepted: thermo.Ising or thermo.TwoLevel"
    )


def blocks_that_can_exchange(systems: Sequence[Ising | TwoLevel]) -> tuple[Block, ...]:
    """Return systems as blocks, or say which of them can never exchange energy.

    Spins of different blocks pass energy on if one yields what the other costs.
    """
    blocks = tuple(block(system, f"blocks[{k}]") for k, system in enumerate(systems))
    for k, one in enumerate(blocks):
        for other in blocks[:k]:
            if not one.flip_costs & other.flip_costs:
                raise InvalidInputError(
                    f"blocks whose flips cost {_listed(other.flip_costs)} and "
                    f"{_listed(one.flip_costs)} were given; accepted: blocks with a cost in "
                    "common, so that one can give what the other takes"
                )
    return blocks


def canonical_spins(
    prepared: Block, beta: float, replicas: int, seed: np.random.SeedSequence, threads: int | None
) -> NDArray[np.int8]:
    """Draw configurations of a block at β, of either sign, 0 or ±inf.

    Independent spins exactly; others by heat-bath sweeps (`thermo.simulate`), which warn where they
    have not come to equilibrium.

    Returns
    -------
    ndarray of ±1, shape (replicas, sites)
    """
    model = prepared.model
    if not model.lattice.n_edges:
        up = expit(2.0 * beta * model.fields)
        drawn = np.random.Generator(np.random.PCG64(seed)).random((replicas, prepared.sites))
        return np.where(drawn < up, 1, -1).astype(np.int8)
    number = int(seed.generate_state(1, np.uint64)[0])
    run = simulate(
        model, beta, _SWEEPS, burn_in=_BURN_IN, replicas=replicas, update="heat_bath",
        measure_every=_EVERY, seed=number, threads=threads,
    )  # fmt: skip
    return run.final_spins[0]


@dataclass(frozen=True, eq=False)
class Contact(Motion):
    r"""Replicas of blocks in contact, whose energy together never changes.

    A sweep is as many attempts as there are spins in all. Each proposes one, two or three spins and
    flips them if that costs nothing in all. The first is any, and the others are of its block,
    except for a share `rate` of them, which are any too: these are the contact, which has no energy
    of its own. All states of the same energy are equally likely then, whatever the sign of β.

    The shell must hang together for that. Near the ends of a spectrum it may not: there flips cost
    the most, and three others may not be able to pay. `tests/thermo/laboratory/test_contact.py`
    lists small blocks state by state.

    Attributes
    ----------
    models : tuple of Ising
    spins : ndarray of ±1, shape (replicas, n)
        At the beginning, of all blocks one after the other.
    rate : float
        0 … 1.
    lengths : tuple of int
        Sweeps of each stage.
    touching : ndarray of bool, shape (stages, blocks, blocks)
        Which blocks are in contact in each stage.

    Raises
    ------
    InvalidInputError
        Energies that are not multiples of one number, and cannot be counted.
    """

    what: ClassVar[str] = "exchanging"

    models: tuple[Ising, ...]
    spins: NDArray[np.int8]
    rate: float
    lengths: tuple[int, ...]
    touching: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if energy_spacing(self.whole) is None:
            raise InvalidInputError(
                "blocks whose energies have no common spacing were given; accepted: couplings and "
                "fields that are multiples of one number"
            )

    @property
    def pieces(self) -> int:
        return min(len(self.spins), _MOST_PIECES)

    @property
    def steps(self) -> int:
        return sum(self.lengths)

    @property
    def moves_per_step(self) -> int:
        return -(-len(self.spins) // self.pieces) * self.spins.shape[1]

    @property
    def bytes_per_step(self) -> int:
        return -(-len(self.spins) // self.pieces) * 8 * len(self.models)

    def begin(self, piece: int, seed: np.random.SeedSequence) -> _Exchange:
        replicas = len(self.spins)
        some = slice(replicas * piece // self.pieces, replicas * (piece + 1) // self.pieces)
        return _Exchange(self, self.spins[some], seed)

    @cached_property
    def whole(self) -> Ising:
        """All blocks as one model, without bonds between them."""
        sizes = [model.lattice.n_sites for model in self.models]
        starts = np.cumsum([0, *sizes])
        edges = [
            model.lattice.edges.astype(np.int64) + start
            for model, start in zip(self.models, starts[:-1], strict=True)
        ]
        return Ising(
            from_edges(int(starts[-1]), np.concatenate(edges), name="blocks"),
            coupling=np.concatenate([model.couplings for model in self.models]),
            field=np.concatenate([model.fields for model in self.models]),
        )

    @cached_property
    def spacing(self) -> float:
        """What all changes of energy are multiples of."""
        spacing = energy_spacing(self.whole)
        assert spacing is not None
        return spacing


class _Exchange:
    """Some of the replicas, on their way."""

    def __init__(
        self, contact: Contact, spins: NDArray[np.int8], seed: np.random.SeedSequence
    ) -> None:
        self._contact = contact
        # Each coupling and each field is a multiple of a quarter of the spacing.
        self._quantum = contact.spacing / 4.0
        self._system = discrete_system(contact.whole, self._quantum)
        sizes = [model.lattice.n_sites for model in contact.models]
        self._starts = np.cumsum([0, *sizes])
        self._block_of = np.repeat(np.arange(len(sizes)), sizes)
        self._across = np.uint64(round(contact.rate * 2.0**32))
        self._states = contact.whole.states_of(spins).astype(np.uint8)
        self._energies = np.stack(
            [
                np.rint(model.energy(own) / self._quantum).astype(np.int64)
                for model, own in zip(
                    contact.models, np.split(spins, self._starts[1:-1], axis=1), strict=True
                )
            ],
            axis=1,
        )
        words = seed.generate_state(2 * len(spins), np.uint64)
        self._streams = words.reshape(len(spins), 2)
        self._done = 0

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        seen = np.empty((len(self._states), steps, len(self._contact.models)))
        stages = np.cumsum(self._contact.lengths)
        for step in range(steps):
            stage = int(np.searchsorted(stages, self._done, side="right"))
            pass_energy(
                self._states,
                self._energies,
                self._streams,
                self._block_of,
                self._starts,
                self._contact.touching[stage],
                self._across,
                self._states.shape[1],
                self._system,
            )
            seen[:, step] = self._energies * self._quantum
            self._done += 1
        return {"energy": seen}

    def state(self) -> dict[str, np.ndarray]:
        return {
            "states": self._states.copy(),
            "energies": self._energies.copy(),
            "streams": self._streams.copy(),
            "done": np.array(self._done),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._states = state["states"].copy()
        self._energies = state["energies"].copy()
        self._streams = state["streams"].copy()
        self._done = int(state["done"])


def _listed(costs: set[float]) -> str:
    some = ", ".join(f"{cost:g}" for cost in sorted(costs)[:6])
    return (some + (", …" if len(costs) > 6 else "")) or "nothing"
