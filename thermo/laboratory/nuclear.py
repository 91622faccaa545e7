"""Nuclear spins: one Hamiltonian, antiferromagnetic at T > 0 and ferromagnetic at T < 0."""

from __future__ import annotations

import math
import os
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import checked_seed, whole_number
from thermo.errors import InvalidInputError
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.spin_order import SpinOrder, spin_order
from thermo.laboratory.transitions import Transition, binder_crossing, heat_capacity_peak
from thermo.lattice import cubic, fcc
from thermo.models.ising import Ising
from thermo.physical_units import EnergyUnit
from thermo.run.checks import check_workers
from thermo.run.result import Run
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering

__all__ = ["SILVER_CURIE", "SILVER_NEEL", "Nuclear", "nuclear"]

FloatArray = NDArray[np.float64]

SILVER_CURIE = (-1.9e-9, 0.4e-9)  #: T_c and its error in K (Hakonen et al. 1992).
SILVER_NEEL = (560e-12, 60e-12)  #: T_N and its error in K (Hakonen, Yin 1991).

# In units of |J|: where to look, and what others found.
_OVERVIEW = np.concatenate(
    [
        np.linspace(-0.2, -0.11, 7),
        np.linspace(-0.106, -0.06, 6),
        0.05 * np.arange(-1.0, 8.0),
        [0.44, 0.48, 0.51, 0.54],  # none where both phases come and go
        [0.59, 0.6, 0.62, 0.65, 0.7, 0.8],
    ]
)
_CUBIC = np.array([0.05, 0.1, 0.14, 0.17, 0.19, 0.2, 0.21, 0.215, 0.22, 0.225, 0.23, 0.24, 0.26,
                   0.29, 0.34, 0.4])  # fmt: skip
_CURIE, _REACH = -0.102, 0.002  # where sizes cross, and how far a cubic follows L = 12
_AROUND_NEEL = np.linspace(0.55, 0.585, 16)
_LENGTHS = (12, 18)  # of 24 the phases hardly ever meet at T_N, even in 40 000 sweeps
_LANES = 512  # chains that are swept together
_NU, _OMEGA = 0.63, 0.83  # of the Ising model in three dimensions
_CUBIC_CURIE = -0.221655  # Ferrenberg, Xu, Landau 2018, turned over
_KNOWN_CURIE = (-9.796, 0.003)
_KNOWN_NEEL = (1.74, 0.02)


@dataclass(frozen=True, eq=False)
class Nuclear(Experiment):
    """What :func:`nuclear` returns; energies in units of the coupling's size.

    Attributes
    ----------
    size, sweeps : int
        As given.
    fcc, cubic : SpinOrder
        At β of both signs: the lattice of silver, which frustrates antiferromagnets, and the
        simple cubic one, which does not.
    curie : Transition
        To ferromagnetic order at β < 0, fcc.
    neel : Transition
        To antiferromagnetic order at β > 0, fcc.
    energy_jump, energy_jump_error : float
        Of the latter, per spin.
    planes : ndarray of int8, shape (3, size, size)
        Spins in a plane (001) of the fcc lattice: antiferromagnetic, at β = 0, ferromagnetic.
    planes_beta : ndarray, shape (3,)
    coupling_kelvin : float
        The coupling that puts T_c where silver has it, divided by k.
    """

    name: ClassVar[str] = "nuclear"

    size: int
    sweeps: int
    fcc: SpinOrder
    cubic: SpinOrder
    curie: Transition
    neel: Transition
    energy_jump: float
    energy_jump_error: float
    planes: NDArray[np.int8]
    planes_beta: FloatArray
    coupling_kelvin: float

    @property
    def unit(self) -> EnergyUnit:
        """The coupling of silver, were it between nearest neighbours only."""
        return EnergyUnit.from_kelvin(self.coupling_kelvin)

    @property
    def findings(self) -> tuple[Finding, ...]:
        curie, neel = self.curie, self.neel
        relative = math.hypot(curie.error / curie.beta, neel.error / neel.beta)
        ratio = abs(neel.beta / curie.beta)
        silver = abs(SILVER_CURIE[0] / SILVER_NEEL[0])
        silver_error = silver * _relative(SILVER_CURIE, SILVER_NEEL)
        predicted = 1e12 * float(self.unit.kelvin(neel.beta))
        difference = self.cubic.uniform[::-1] - self.cubic.pattern
        spread = np.hypot(self.cubic.uniform_error[::-1], self.cubic.pattern_error)
        cold = self.cubic.beta > 0.0
        score = float(np.mean((difference[cold] / spread[cold]) ** 2))
        return (
            Finding("ferromagnet at T < 0: kT_c / |J|", curie.temperature, curie.temperature_error,
                    *_KNOWN_CURIE, source="series, Monte Carlo; ± all of the extrapolation in L"),
            Finding("antiferromagnet at T > 0: kT_N / |J|", neel.temperature,
                    neel.temperature_error, *_KNOWN_NEEL,
                    source="1.72 … 1.76, Phani 1980 … Beath 2006; ± half of the shift"),
            Finding("|T_c| / T_N, nearest neighbours", ratio, ratio * relative, silver,
                    silver_error, source="silver; mean-field theory 3"),
            Finding("T_N of silver from its T_c", predicted,
                    predicted * math.hypot(relative, SILVER_CURIE[1] / SILVER_CURIE[0]),
                    1e12 * SILVER_NEEL[0], 1e12 * SILVER_NEEL[1], unit="pK",
                    source="Hakonen & Yin 1991; silver's spins reach beyond neighbours"),
            Finding("simple cubic: χ² per β of m(−β) = m_st(β)", score, 0.0, 1.0,
                    math.sqrt(2.0 / cold.sum()), source="so T_c = −T_N there"),
            Finding("energy jump at T_N, per spin / |J|", self.energy_jump, self.energy_jump_error),
            Finding(f"χ|J| per spin at β|J| = −{abs(self.fcc.beta[0]):g}",
                    float(self.fcc.susceptibility[0]), float(self.fcc.susceptibility_error[0]),
                    source="βn(⟨m²⟩ − ⟨|m|⟩²); < 0: emits where it absorbed"),
        )  # fmt: skip


def nuclear(
    size: int = 12,
    sweeps: int = 40_000,
    *,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Nuclear:
    r"""Order spins by the same coupling at T > 0 and at T < 0, on the lattice of silver.

    .. math:: H = |J| \sum_{\langle ij \rangle} s_i s_j, \qquad s = \pm 1

    At β > 0 the lowest energies win and neighbours turn against each other; at β < 0 the highest
    win, and all spins turn parallel. On a bipartite lattice both are equally easy and
    :math:`T_c = -T_N`. The face-centred cubic lattice of silver is full of triangles, which no
    antiferromagnet satisfies: T_N is several times smaller than \|T_c\|.

    T_c is where the Binder ratios of two sizes cross (`thermo.laboratory.transitions`). The other
    transition is of first order, and T_N is where both phases weigh the same. On a torus the
    ordered phase has about 3·2ᴸ low-lying arrangements, each of L planes may be turned over
    as a whole, so that the heat capacity peaks too early by

    .. math:: \beta_N - \beta_\text{max} = \frac{\ln(3 \cdot 2^L)}{L^3\,\Delta u}

    with Δu the jump of energy per spin. This is added, and half of it is the systematic error. Of
    T_c all of the extrapolation in size is. Both are larger than the scatter from seed to seed.

    Parameters
    ----------
    size : int
        L, of the rhombohedral torus with L³ spins: 12, or 18 with 20 000 sweeps or more: in
        fewer both phases seldom meet at T_N, and it is not found.
    sweeps : int
        At the antiferromagnetic transition, which is slowest, at least 500; a quarter of them at
        the other, and a tenth for the overview.
    seed, threads, executor, progress, checkpoint
        As in `thermo.simulate`; each of the seven runs has a folder of its own in `checkpoint`.

    Returns
    -------
    Nuclear

    Raises
    ------
    InvalidInputError
        Another size, or an argument out of range.
    NotConvergedError
        Too few sweeps to see the transitions.
    CheckpointError
        As in `thermo.simulate`.

    Warns
    -----
    EquilibrationWarning
        Too few sweeps for the antiferromagnetic transition.

    Notes
    -----
    Not silver itself. Its spins ½ are quantum ones and free to point anywhere, and their coupling
    by conduction electrons (RKKY) reaches beyond nearest neighbours, as the dipole interaction
    does. Mean-field theory of nearest neighbours, any spins: 12\|J\| against 4\|J\|, a ratio of 3;
    measured 3.4 ± 0.8. Fluctuations of the frustrated lattice lower T_N further, to 5.7 in this
    model, so that one coupling fitted to T_c predicts T_N much too low: the couplings that are
    left out relieve the frustration.

    References
    ----------
    P. J. Hakonen, S. Yin, J. Low Temp. Phys. 85, 25 (1991) (T_N = 560 ± 60 pK, first order);
    P. J. Hakonen, K. K. Nummila, R. T. Vuorinen, O. V. Lounasmaa, Phys. Rev. Lett. 68, 365 (1992)
    (T_c = −1.9 ± 0.4 nK); P. Hakonen, O. V. Lounasmaa, Science 265, 1821 (1994);
    M. Mueller, W. Janke, D. A. Johnston, Physics Procedia 57, 68 (2014) (the 2ᴸ arrangements).

    Examples
    --------
    What is measured, and what one coupling between nearest neighbours makes of it:

    >>> silver = EnergyUnit.from_kelvin(-SILVER_CURIE[0] / 9.8)  # its |J|, were it this model
    >>> round(1e12 * float(silver.kelvin(1.0 / 1.73)))  # T_N in pK; 560 is measured
    335
    """
    n = whole_number(size, "size", 1)
    if n not in _LENGTHS:
        raise InvalidInputError(f"size = {n} was given; accepted: 12 or 18")
    number = whole_number(sweeps, "sweeps", 500, most=10**9)
    seed = checked_seed(seed)
    check_workers(threads, executor, None, progress)
    streams = np.random.SeedSequence(seed).generate_state(7, np.uint64).tolist()

    def settings(name: str, burn_in: int, replicas: int) -> dict[str, Any]:
        return {
            "burn_in": burn_in,
            "replicas": replicas,
            "seed": streams.pop(),
            "threads": threads,
            "executor": executor,
            "progress": progress,
            "checkpoint": None if checkpoint is None else Path(checkpoint) / name,
        }

    tenth, quarter = number // 10, number // 4
    silver = Ising(fcc(n), coupling=-1.0)
    replicas = _LANES // _OVERVIEW.size
    overview = simulate(
        silver, _OVERVIEW, tenth, start=_starts(n, replicas, seed), measure_every=5,
        structure_factor_every=50, **settings("fcc", tenth // 2, replicas),
    )  # fmt: skip
    betas = np.concatenate([-_CUBIC[::-1], _CUBIC])
    mirror = simulate(
        Ising(cubic(n), coupling=-1.0), betas, tenth, measure_every=5,
        structure_factor_every=50, **settings("cubic", tenth // 2, _LANES // betas.size),
    )  # fmt: skip
    # The larger the lattice, the nearer to the transition its Binder ratio changes.
    near = _CURIE + _REACH * (12 / n) ** (1.0 / _NU) * np.linspace(-1.0, 1.0, 8)
    pairs = [
        simulate(
            Ising(fcc(size), coupling=-1.0), near, quarter, measure_every=5,
            **settings(f"curie-{size}", quarter // 10, _LANES // near.size),
        )
        for size in (n // 3, n // 2, 2 * n // 3, n)
    ]  # fmt: skip
    jump = parallel_tempering(
        silver, _AROUND_NEEL, number, measure_every=10, exchange_every=10,
        **settings("neel", number // 5, _LANES // _AROUND_NEEL.size),
    )  # fmt: skip
    curie = binder_crossing(pairs[:2], pairs[2:], 1.0 / _NU + _OMEGA)
    neel, energy_jump, jump_error = _first_order(jump, n)
    ends = [int(np.argmax(_OVERVIEW)), int(np.argmin(np.abs(_OVERVIEW))), 0]
    return Nuclear(
        size=n,
        sweeps=number,
        fcc=spin_order(overview, _type_one(n), curie.beta),
        cubic=spin_order(mirror, [(n // 2,) * 3], _CUBIC_CURIE),
        curie=curie,
        neel=neel,
        energy_jump=energy_jump,
        energy_jump_error=jump_error,
        planes=np.array([_plane(overview.final_spins[k, 0], n) for k in ends]),
        planes_beta=_OVERVIEW[ends],
        coupling_kelvin=SILVER_CURIE[0] * curie.beta,
    )


def _first_order(run: Run, size: int) -> tuple[Transition, float, float]:
    """β_N from the peak of the heat capacity; the jump of the energy per spin, and its error."""
    n = size**3
    (beta, capacity), (error, spread) = heat_capacity_peak(run)
    energy_jump = 2.0 * math.sqrt(capacity) / (n * beta)
    shift = (math.log(3.0) + size * math.log(2.0)) / (n * energy_jump)
    transition = Transition(float(beta) + shift, float(error), 0.5 * shift)
    return transition, float(energy_jump), float(0.5 * energy_jump * spread / capacity)


def _type_one(size: int) -> list[tuple[int, int, int]]:
    """Wave vectors of planes (100), (010) and (001) of alternating sign."""
    half = size // 2
    return [(0, half, half), (half, 0, half), (half, half, 0)]


def _signs(size: int) -> NDArray[np.int8]:
    """The six arrangements of alternating planes, shape (6, n); negatives last."""
    i, j, k = np.indices((size,) * 3)
    three = np.stack([(-1) ** (axes % 2) for axes in (j + k, i + k, i + j)]).reshape(3, -1)
    return np.concatenate([three, -three]).astype(np.int8)


def _starts(size: int, replicas: int, seed: int) -> NDArray[np.int8]:
    """Ordered where order is expected, else random: cooling would leave faults between planes."""
    stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    spins = stream.choice(
        np.array([-1, 1], dtype=np.int8), size=(_OVERVIEW.size, replicas, size**3)
    )
    turns = np.arange(replicas)
    spins[_OVERVIEW > 0.5] = _signs(size)[turns % 6]
    spins[_OVERVIEW < -0.09] = (1 - 2 * (turns % 2))[:, None]
    return spins


def _plane(spins: NDArray[np.int8], size: int) -> NDArray[np.int8]:
    """A plane with two of the alternating directions in it: a square lattice of neighbours."""
    along = int(np.abs(_signs(size)[:3].astype(np.int64) @ spins).argmax())
    grid = spins.reshape((size,) * 3)
    # The plane i + j = 0, with the rows i and k; if the signs alternate from one such plane to the
    # next, the plane k + i = 0 instead.
    if along == 2:
        grid = np.moveaxis(grid, 2, 0)
    i, k = np.indices((size, size))
    return np.asarray(grid[i, -i % size, k])


def _relative(*values: tuple[float, float]) -> float:
    return math.hypot(*(error / value for value, error in values))
