"""The bins of a walk in energy: one per energy where the energies lie on a lattice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np

from thermo.arguments import finite_number
from thermo.errors import InvalidInputError
from thermo.kernels.flat_moves import SHIFT, DiscreteSystem, VectorSystem
from thermo.models.difference import DifferenceModel
from thermo.sampling.discrete_rules import largest_change
from thermo.sampling.model_tables import kept_with_model

__all__ = [
    "EnergyGrid",
    "discrete_system",
    "energy_grid",
    "energy_spacing",
    "flat_system",
    "transition_columns",
]

MOST_BINS = 2**20
_ROUNDING = 1e-9  # of the largest change of energy: sums of the same couplings may differ by it
_LEAST_SPACING = 2.0**-20  # of it too: a smaller common divisor is what rounding left of none


@dataclass(frozen=True)
class EnergyGrid:
    """Bins of equal width that hold every energy of a model.

    Attributes
    ----------
    first : float
        Energy of bin 0 (its centre).
    width : float
        Width of a bin, in the unit of energy.
    bins : int
    """

    first: float
    width: float
    bins: int

    @property
    def energies(self) -> np.ndarray:
        """Energies of the bins, ascending; shape (bins,)."""
        return self.first + self.width * np.arange(self.bins)

    def bin_of(self, energies: np.ndarray) -> np.ndarray:
        """Return the bin of each energy, int64."""
        return np.floor((energies - self.first) / self.width + 0.5).astype(np.int64)


def energy_grid(model: Any, bin_width: float | None = None) -> EnergyGrid:
    r"""Return the bins in which a model's energies are counted.

    Without `bin_width`: the largest spacing ε such that every move of one spin changes the energy
    by a multiple of it, found from the couplings and fields; every energy is then a bin of its own
    (4J for the square Ising lattice, J for Potts). Some bins may have no state.

    Parameters
    ----------
    model : model
        Of `thermo.models`: Ising, Potts, clock; with `bin_width` also XY and Heisenberg.
    bin_width : float, optional
        Positive, in the unit of energy: bins between the model's energy bounds.

    Returns
    -------
    EnergyGrid

    Raises
    ------
    InvalidInputError
        Energies without a common spacing, or a spin model with continuous ones, and no
        `bin_width`; more than 2²⁰ bins.

    Examples
    --------
    >>> from thermo.lattice import square, triangular
    >>> from thermo.models import Ising
    >>> energy_grid(Ising(square(32)))
    EnergyGrid(first=-2048.0, width=4.0, bins=1025)
    >>> energy_grid(Ising(triangular(3), coupling=0.5, field=0.1)).width
    0.2
    """
    low, high = model.energy_bounds
    if bin_width is not None:
        width = finite_number(bin_width, "bin_width", positive=True)
        bins = (high - low) / width + 2.0  # half a bin to spare at both ends
        _check_number(bins, width)
        bins = math.ceil(bins)
        return EnergyGrid(0.5 * (low + high) - 0.5 * (bins - 1) * width, width, bins)
    if not hasattr(model, "n_states"):
        raise InvalidInputError(
            f"{model!r} was given without bin_width, but its energies are continuous; accepted: a "
            "positive bin_width, in the unit of energy"
        )
    width = _spacing(model)
    _check_number((high - low) / width, width)
    reference = float(model.energy(model.spins_of(np.zeros(model.lattice.n_sites, dtype=np.int8))))
    below = math.floor((reference - low) / width + 1e-6)
    above = math.floor((high - reference) / width + 1e-6)
    return EnergyGrid(reference - below * width, width, below + above + 1)


def energy_spacing(model: DifferenceModel) -> float | None:
    """Return what every change of energy by one spin is a multiple of, if there is such a thing.

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Clock, Ising
    >>> energy_spacing(Ising(square(32)))
    4.0
    >>> energy_spacing(Clock(square(32), 5))  # two energies of a bond with an irrational ratio
    """
    spacing = _spacing(model)
    return spacing if spacing >= _LEAST_SPACING * largest_change(model) else None


@kept_with_model
def flat_system(model: Any, grid: EnergyGrid) -> DiscreteSystem | VectorSystem:
    """Return a model as the kernels of walks in energy want it.

    Discrete spins: a quantum of energy is 2⁻³² of a bin.
    """
    lattice = model.lattice
    reach = _reach(model, grid)
    edge = grid.first - 0.5 * grid.width
    if hasattr(model, "components"):
        return VectorSystem(
            offsets=lattice.offsets.astype(np.uint64),
            neighbours=lattice.adjacency.astype(np.uint32),
            couplings=model.couplings[lattice.adjacent_bonds],
            fields=np.ascontiguousarray(model.fields),
            origin=np.float64(edge),
            bins_per_energy=np.float64(1.0 / grid.width),
            reach=np.uint64(reach),
        )
    return discrete_system(model, grid.width * 2.0**-SHIFT, edge, reach)


@kept_with_model
def discrete_system(
    model: DifferenceModel, quantum: float, origin: float = 0.0, reach: int = 0
) -> DiscreteSystem:
    """Return a model whose energies are counted in quanta; what counts no bins needs no more.

    Couplings are rounded to quanta. With 2⁻³² of a bin that moves no energy by as much as 10⁻⁶ bins
    on a lattice of a thousand bonds.
    """
    lattice, q = model.lattice, model.n_states
    bond = lattice.adjacent_bonds
    strengths, of_bond = np.unique(model.couplings, return_inverse=True)
    difference = np.arange(-(q - 1), q)  # neighbour's state − own
    as_tail, as_head = model.bond_energy[difference % q], model.bond_energy[-difference % q]
    rows = strengths[:, None, None] * np.stack([as_tail, as_head])
    is_head = model.bond_ends[bond, 1] == np.repeat(np.arange(lattice.n_sites), lattice.degrees)
    site_energy = np.rint(model.site_energy / quantum).astype(np.int64)
    return DiscreteSystem(
        offsets=lattice.offsets.astype(np.uint64),
        neighbours=lattice.adjacency.astype(np.uint32),
        bond_rows=(2 * of_bond[bond] + is_head).astype(np.uint32),
        bond_energy=np.rint(rows.reshape(-1, 2 * q - 1) / quantum).astype(np.int64),
        site_energy=site_energy if site_energy.any() else site_energy[:0],
        n_states=np.uint64(q),
        origin=np.int64(math.floor(origin / quantum)),
        reach=np.uint64(reach),
    )


def transition_columns(model: Any, grid: EnergyGrid) -> int:
    """Return how many bins a move may lead to, from as many below to as many above."""
    return 2 * _reach(model, grid) + 1


def _reach(model: Any, grid: EnergyGrid) -> int:
    """The most bins that a change of one spin can cross; bins need not be aligned with energies."""
    if hasattr(model, "components"):
        bond, own = 2.0, 2.0 * np.linalg.norm(model.fields, axis=1)
    else:
        bond, own = np.ptp(model.bond_energy), np.ptp(model.site_energy, axis=1)
    strengths = np.repeat(np.abs(model.couplings), 2)
    around = np.bincount(model.bond_ends.ravel(), strengths, minlength=model.lattice.n_sites)
    change = float((bond * around + own).max())
    return min(math.floor(change / grid.width + 1e-6) + 1, grid.bins - 1)


def _spacing(model: Any) -> float:
    """The greatest common divisor of all changes of energy by one spin (1 if there is none).

    A change of site i from a to b is v[b] − v[a] plus, for every neighbour, a term that depends on
    the neighbour's state k. All such sums are multiples of ε if the sum with all k = 0 is, and each
    term's difference from its value at k = 0.
    """
    states = np.arange(model.n_states)
    a, b, k = np.ix_(states, states, states)
    as_tail = model.bond_energy[k - b] - model.bond_energy[k - a]  # a negative index counts mod q
    as_head = model.bond_energy[b - k] - model.bond_energy[a - k]
    field = model.field_energy[b] - model.field_energy[a]

    n = model.lattice.n_sites
    sums = [np.bincount(end, model.couplings, minlength=n) for end in model.bond_ends.T]
    kinds = np.unique(np.stack([*sums, model.fields], axis=1), axis=0)
    with_all_zero = kinds @ np.stack([c[:, :, 0].ravel() for c in (as_tail, as_head, field)])
    strengths = np.unique(np.abs(model.couplings))
    by_neighbour = [np.multiply.outer(strengths, c - c[:, :, :1]) for c in (as_tail, as_head)]

    values = np.abs(np.concatenate([x.ravel() for x in (with_all_zero, *by_neighbour)]))
    tolerance = _ROUNDING * values.max(initial=0.0)
    values = np.unique(values[values > tolerance])
    if not values.size:
        return 1.0
    spacing = reduce(partial(_common_divisor, tolerance=tolerance), values.tolist())
    return float(values[-1] / round(values[-1] / spacing))


def _common_divisor(a: float, b: float, tolerance: float) -> float:
    """Euclid's algorithm on real numbers."""
    while b > tolerance:
        a, b = b, abs(a - b * round(a / b))
    return a


def _check_number(bins: float, width: float) -> None:
    if bins > MOST_BINS:
        raise InvalidInputError(
            f"{bins:.3g} bins of width {width:.3g} would cover the energies; accepted: at most "
            f"{MOST_BINS} (give a larger bin_width)"
        )
