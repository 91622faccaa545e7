"""Critical points from where the Binder ratios of two sizes cross, against the known ones.

The ratios U of a lattice of length L and of one of length 2L are equal at a β*(L, 2L) that goes to
β_c as L^−θ, θ = 1/ν + ω, with ω the smallest exponent of a correction to scaling of U. Three sizes
give two crossings, and these

    β_c ≈ β*(2L, 4L) + shift,  shift = (β*(2L, 4L) − β*(L, 2L)) / (2^θ − 1).

Statistical error: jackknife over 64 replicas. Systematic error: taken to be as large as the whole
shift. The estimate agrees with a number if it lies within 4.5 statistical errors (Student of 63:
3·10⁻⁵) + |shift| of it, which must be less than 0.4 % in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pytest

from thermo import Ising, Potts, simulate
from thermo.estimate.jackknife import block_means, jackknife
from thermo.lattice import Lattice, cubic, from_edges, honeycomb, square, triangular
from thermo.run import Run

pytestmark = pytest.mark.slow

SEED = 20261121
REPLICAS = 64  # times 8 β: the 512 lanes of one batch


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A critical point, the exponents of its crossings, and how to simulate it."""

    lattice: Callable[[int], Lattice]
    beta: float
    nu: float = 1.0
    omega: float = 1.75  # in two dimensions from the analytic background of ⟨M²⟩, L^(d − γ/ν)
    sizes: tuple[int, int, int] = (8, 16, 32)
    sweeps: int = 100_000
    model: Callable[[Lattice], Ising | Potts] = Ising
    update: str = "metropolis"
    measure_every: int = 20


SPACE = Transition(  # exponents: M. Hasenbusch, Phys. Rev. B 82, 174433 (2010)
    lattice=cubic, beta=0.221654626, nu=0.63, omega=0.83, sizes=(6, 12, 24), sweeps=25_000
)
TRANSITIONS = {
    "square": Transition(lattice=square, beta=np.log1p(np.sqrt(2)) / 2),
    "square, T < 0": Transition(lattice=square, beta=-np.log1p(np.sqrt(2)) / 2),
    "triangular": Transition(lattice=triangular, beta=1 / 3.640956907),
    "honeycomb": Transition(lattice=honeycomb, beta=1 / 1.518651435),
    "honeycomb, T < 0": Transition(lattice=honeycomb, beta=-1 / 1.518651435),
    "cubic": SPACE,
    "cubic, T < 0": replace(SPACE, beta=-SPACE.beta),
    "square Potts, q = 3": Transition(
        model=lambda lattice: Potts(lattice, 3),
        lattice=square,
        beta=np.log1p(np.sqrt(3)),
        nu=5 / 6,
        omega=4 / 5,  # B. Nienhuis, J. Phys. A 15, 199 (1982)
        sweeps=4000,
        update="swendsen_wang",
        measure_every=1,
    ),
}


class CriticalPoint(NamedTuple):
    """β_c, its statistical error, and the shift that the extrapolation made."""

    beta: float
    error: float
    shift: float

    @property
    def tolerance(self) -> float:
        return 4.5 * self.error + abs(self.shift)

    def agrees_with(self, beta: float) -> bool:
        return abs(self.beta - beta) < self.tolerance


def measured(case: Transition, seed: int, centre: float = 1.0) -> CriticalPoint:
    """Simulate at 8 β about centre·β_c, not quite in their middle, and find the crossings."""
    reach = case.sizes[-1] ** (-1.0 / case.nu)
    offset = np.linspace(-0.4, 0.6, 8)
    moments = []
    for length, one_seed in zip(case.sizes, range(seed, seed + 3), strict=True):
        run = simulate(
            case.model(case.lattice(length)),
            case.beta * (centre + reach * offset),
            case.sweeps,
            burn_in=case.sweeps // 20,
            replicas=REPLICAS,
            update=case.update,
            measure_every=case.measure_every,
            seed=one_seed,
        )
        order = order_parameter(run)
        moments.append([block_means(order**2), block_means(order**4)])

    def critical_point(square: np.ndarray, fourth: np.ndarray) -> np.ndarray:
        small, middle, large = np.polyfit(offset, (1.0 - fourth / (3.0 * square**2)).T, 3).T
        first, last = (zero_near_0(difference) for difference in (middle - small, large - middle))
        shift = (last - first) / (2.0 ** (1.0 / case.nu + case.omega) - 1.0)
        return case.beta * np.array([centre + reach * (last + shift), reach * shift])

    (beta, shift), (error, _) = jackknife(critical_point, *np.moveaxis(moments, 0, 2))
    return CriticalPoint(beta, error, shift)


def order_parameter(run: Run) -> np.ndarray:
    r"""\|M\| per site of every draw, staggered at β < 0: shape (B, replicas, draws)."""
    name = "magnetization" if run.beta[0] > 0 else "staggered_magnetization"
    total = run.series.get("magnetization_length", np.abs(run.series[name]))
    return total / run.model.lattice.n_sites


def zero_near_0(polynomial: np.ndarray) -> float:
    """The zero to which Newton's method goes from 0."""
    x = 0.0
    for _ in range(20):
        x -= np.polyval(polynomial, x) / np.polyval(np.polyder(polynomial), x)
    return x


def seed_of(name: str) -> int:
    """Its own for every transition: with one seed −β gives the bits of β on a bipartite lattice."""
    return SEED + 10 * list(TRANSITIONS).index(name)


@pytest.mark.parametrize("name", TRANSITIONS)
def test_binder_ratios_cross_at_the_critical_point(name: str) -> None:
    case = TRANSITIONS[name]
    found = measured(case, seed_of(name))
    assert found.agrees_with(case.beta), found
    assert found.tolerance < 0.004 * abs(case.beta), found


@pytest.mark.parametrize("name", TRANSITIONS)
def test_without_every_64th_bond_they_cross_elsewhere(name: str) -> None:
    """β_c is then larger by somewhat more than 1/64, and the 8 β are moved there."""

    def with_gaps(length: int) -> Lattice:
        whole = case.lattice(length)
        kept = np.random.default_rng(SEED).permutation(whole.n_edges) >= whole.n_edges // 64
        return from_edges(whole.n_sites, whole.edges[kept])

    case = TRANSITIONS[name]
    diluted = replace(case, lattice=with_gaps, sweeps=case.sweeps // 2)
    found = measured(diluted, seed_of(name), centre=1 + 1 / 64)
    assert not found.agrees_with(case.beta), found
    assert 0.005 < found.beta / case.beta - 1 < 0.04, found
