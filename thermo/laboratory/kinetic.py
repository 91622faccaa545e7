"""Where a temperature comes from: molecular dynamics and the count of degrees of freedom."""

from __future__ import annotations

import math
import os
import warnings
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import finite_number, whole_number
from thermo.errors import (
    EquilibrationWarning,
    InvalidInputError,
    NotConvergedError,
    UnboundedSpectrumError,
    UncertaintyWarning,
)
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.estimate.jackknife import JackknifeEstimate, block_means, jackknife
from thermo.freedom import kinetic_dof
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.molecular_dynamics import MolecularDynamics
from thermo.laboratory.molecules import Fluid
from thermo.laboratory.trajectories import follow
from thermo.run.equilibration import FALSE_ALARMS, RHAT_LIMIT, equilibration
from thermo.temperature import as_beta

__all__ = ["Kinetic", "kinetic"]

FloatArray = NDArray[np.float64]

_BLOCKS = 32  # of all replicas together
_ISOLATED = (1, 2, 4)  # runs without the bath, in time steps of 2Δt, Δt and Δt/2
_FEWEST_PAIRS = 0.1  # within reach at a time, on average
_WORST_ORDER = 0.5  # off 2, and by 5 errors: once in 6000 with 16 blocks

# Lennard-Jones atoms with r_c = 3σ and tail corrections at (density, kT): U/N and p with their
# standard errors, by Monte Carlo.
_NIST = {(0.78, 0.85): ((-5.5386, 0.0007), (0.0479, 0.0032))}
_NIST_SOURCE = "NIST Standard Reference Simulation Website"


@dataclass(frozen=True, eq=False)
class Kinetic(Experiment):
    """What :func:`kinetic` returns, in reduced units (σ, ε, the mass of an atom).

    Attributes
    ----------
    molecules, density, masses, bond, cutoff, force_shifted, beta, time_step
        What was simulated.
    freedom : int
        f = 3N − constraints − 3.
    counts : dict of str to int
        This and other counts that people use, by their formula.
    total, translation, rotation : MeanWithError
        2⟨K⟩/kT of all motion, of the centres of the molecules, and of the motion about them: the
        degrees of freedom as the bath's temperature measures them.
    configurational_beta : JackknifeEstimate
        ⟨∇²U⟩/⟨F²⟩ over the centres of molecules: β without counting.
    potential_energy : JackknifeEstimate
        ⟨U⟩ per molecule, with its tail.
    pressure : JackknifeEstimate
    rhat, transient : float
        Of the replicas in the bath, the worse of kinetic and potential energy: split R̂, 1 where
        they agree, and how likely a first tenth that differs as much from the rest is by chance.
    translation_series, rotation_series : ndarray, shape (replicas, samples − burn_in)
        2K/kT.
    steps : ndarray, shape (3,)
        Time steps of the runs without a bath.
    isolated_time : ndarray, shape (samples − burn_in,)
    isolated_energy : ndarray, shape (3, samples − burn_in)
        Energy per molecule of these runs, less its mean.
    energy_error : ndarray, shape (3, 2)
        Its standard deviation, and the error of that.
    drift : tuple of float
        Energy per molecule gained in a unit of time at `time_step` without a bath, and its error.
    """

    name: ClassVar[str] = "kinetic"

    molecules: int
    density: float
    masses: tuple[float, ...]
    bond: float | None
    cutoff: float
    force_shifted: bool
    beta: float
    time_step: float
    freedom: int
    counts: dict[str, int]
    total: MeanWithError
    translation: MeanWithError
    rotation: MeanWithError
    configurational_beta: JackknifeEstimate
    potential_energy: JackknifeEstimate
    pressure: JackknifeEstimate
    rhat: float
    transient: float
    translation_series: FloatArray
    rotation_series: FloatArray
    steps: FloatArray
    isolated_time: FloatArray
    isolated_energy: FloatArray
    energy_error: FloatArray
    drift: tuple[float, float]

    @property
    def order(self) -> tuple[float, float]:
        """p in (energy error) ∝ Δt^p, from the longest and the shortest step, and its error."""
        (longest, its_error), _, (shortest, other) = self.energy_error
        span = math.log(self.steps[0] / self.steps[-1])
        error = math.hypot(its_error / longest, other / shortest) / span
        return math.log(longest / shortest) / span, error

    @property
    def settled(self) -> bool:
        """Whether the replicas agree and have left their beginning: True in equilibrium."""
        return self.rhat <= RHAT_LIMIT and self.transient >= FALSE_ALARMS

    @property
    def findings(self) -> tuple[Finding, ...]:
        m = self.molecules
        right, *others = self.counts.items()
        found = [_freedom("f = 2⟨K⟩/kT", self.total, right[1], right[0])]
        if self.bond is not None:
            found += [
                _freedom("of them translation", self.translation, 3 * m - 3, "3M − 3"),
                _freedom("of them rotation", self.rotation, 2 * m, "2M"),
            ]
        mean, error = float(self.total.mean), float(self.total.error)
        found += [
            Finding(f"T/T(bath) if f were {formula}", mean / f, error / f, right[1] / f,
                    source=f"{right[1]}/{f}, exactly")
            for formula, f in others
        ]  # fmt: skip
        found.append(
            Finding("β from forces, nothing counted", *_floats(self.configurational_beta),
                    self.beta, source="⟨∇²U⟩/⟨F²⟩ = β")
        )  # fmt: skip
        energy, pressure = self._published()
        found += [
            Finding("U per molecule", *_floats(self.potential_energy), unit="ε", **energy),
            Finding("pressure", *_floats(self.pressure), unit="ε/σ³", **pressure),
        ]
        if not self.settled:  # the bath's β is not theirs, and errors are too small
            found = [
                replace(each, expected=None, expected_error=0.0, source="not in equilibrium")
                for each in found
            ]
        conserved, order = "nothing comes from outside", "velocity Verlet"
        if not self.force_shifted:  # a walk at random, of which blocks do not tell the error
            conserved = order = "forces end with a step at the cut-off"
        found += [
            Finding("energy gained per molecule and time", *self.drift,
                    0.0 if self.force_shifted else None, unit="ε/τ", source=conserved),
            Finding("order of the energy's error in Δt", *self.order,
                    2.0 if self.force_shifted else None, source=order),
        ]  # fmt: skip
        return tuple(found)

    def _published(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What others found for energy and pressure of these atoms at this state, if anything."""
        if self.masses == (1.0,) and self.cutoff == 3.0 and not self.force_shifted:
            for (density, temperature), numbers in _NIST.items():
                if math.isclose(self.density, density) and math.isclose(
                    self.beta * temperature, 1.0, rel_tol=1e-6
                ):
                    energy, pressure = (
                        {"expected": value, "expected_error": error, "source": _NIST_SOURCE}
                        for value, error in numbers
                    )
                    return energy, pressure
        return {}, {}


def kinetic(
    molecules: int = 64,
    beta: float = 0.5,
    *,
    density: float = 0.3,
    masses: tuple[float, ...] = (1.0, 1.0),
    bond: float | None = 0.6,
    cutoff: float = 2.5,
    force_shifted: bool = True,
    time_step: float = 0.004,
    between: int = 10,
    samples: int = 2500,
    burn_in: int = 500,
    replicas: int = 4,
    positions: ArrayLike | None = None,
    seed: int,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Kinetic:
    r"""Molecular dynamics: T = 2K/(f k) is right for one f only, which the fluid itself counts.

    Atoms attract and repel as :class:`~thermo.laboratory.molecules.Fluid` says; of two masses, they
    form rigid molecules. Equipartition gives each kinetic degree of freedom kT/2, so that

    .. math:: kT = \frac{2 \langle K \rangle}{f}, \qquad
        f = 3N - n_{\rm constraints} - 3,

    of which 3M − 3 are translation of the M molecules and 2M rotation if they have two atoms. With
    another f, T is wrong by exactly the ratio of the two. The bath of this experiment counts
    nothing: each atom draws three velocities from Maxwell's law, and what a rigid bond or the
    centre of mass at rest forbids is taken out. So β is known, f = 2β⟨K⟩ is measured, and a second
    thermometer that counts nothing either reads the forces alone,

    .. math:: \beta = \frac{\langle \nabla^2 U \rangle}{\langle |\nabla U|^2 \rangle}.

    Velocity Verlet keeps the energy of a fluid left to itself up to a wavering of order Δt², which
    runs at three time steps from one state show.

    Parameters
    ----------
    molecules : int
        M, at least 2.
    beta : float
        Of the bath, 1/ε; > 0.
    density : float
        Molecules per σ³.
    masses : tuple of float
        Of one atom, or of the two of a rigid molecule.
    bond : float, optional
        Length of the rigid bond in σ; None for single atoms.
    cutoff : float
        Of the interaction in σ, at most half the side of the cube.
    force_shifted : bool
        Energy and force go to zero at the cut-off. False: they end there, and what lies beyond is
        added on average. Forces do not see that step, and neither do the trajectories: averages
        are reweighted by :math:`e^{-\beta u(r_c) n}` with n pairs within reach. Each atom that
        passes the cut-off then changes the energy a little, which walks off at random.
    time_step : float
        Δt in √(mσ²/ε).
    between : int
        Time steps between observations. Before each stretch the bath stirs a little.
    samples, burn_in : int
        Observations in all and those at the beginning that are not used.
    replicas : int
        Independent fluids in the bath; three more are left to themselves after `burn_in`.
    positions : array_like, shape (atoms, 3), optional
        Where the atoms start; a face-centred cubic lattice if None.
    seed, threads, executor, progress, checkpoint
        As in `thermo.simulate`.

    Returns
    -------
    Kinetic

    Raises
    ------
    UnboundedSpectrumError
        β ≤ 0: kinetic energy has no upper bound.
    InvalidInputError
        Other numbers out of range, a cube narrower than two cut-offs, overlapping atoms, a gas so
        thin that molecules hardly meet.
    NotConvergedError
        A time step so long that energy is not kept, or no molecules that met.

    Warns
    -----
    EquilibrationWarning
        Kinetic or potential energy of the replicas drifts or disagrees after `burn_in`: split R̂ >
        1.05, or a first tenth unlike the rest. What needs equilibrium then has no expectation.
    UncertaintyWarning
        The error of the energy does not fall as Δt²: the time step is too long for that, though
        energy is kept.

    Notes
    -----
    Velocities are taken at whole steps, where K is low by a part (ωΔt)² /8 or so of itself with ω
    the frequency of a molecule among its neighbours: a thousandth at the default Δt. Of a bounded
    kinetic energy, which can be negative in temperature, see `thermo.laboratory.rotators`.

    Isolated small systems differ from those in a bath by parts of 1/f; all temperatures here are
    measured in the bath.

    References
    ----------
    D. Frenkel and B. Smit, Understanding Molecular Simulation, 2nd ed. (2002), chapter 4 and
    section 6.1; H. C. Andersen, J. Comput. Phys. 52, 24 (1983) for the bond; B. D. Butler and
    others, J. Chem. Phys. 109, 6519 (1998) for the temperature from forces.

    Examples
    --------
    >>> found = kinetic(32, samples=1000, burn_in=200, replicas=2, cutoff=2.3, seed=1)
    >>> found.counts
    {'3N − constraints − 3': 157, '3N − 3': 189, '3N − constraints': 160, '3N': 192}
    """
    fluid = Fluid(molecules, density, masses, bond, cutoff, force_shifted)
    motion = _motion(fluid, beta, time_step, between, samples, burn_in, replicas, positions)
    seen = follow(
        motion,
        seed=seed,
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )
    whole = {name: series[:, burn_in:] for name, series in seen.items()}
    bath = {name: series[:replicas] for name, series in whole.items()}
    alone = {name: series[replicas:] for name, series in whole.items()}
    m, b = fluid.molecules, motion.beta
    if not bath["squared_force"].any() or not alone["squared_force"].any(axis=1).all():
        raise NotConvergedError(
            f"molecules did not meet in {samples - burn_in} observations, and where there are no "
            "forces they tell no temperature; accepted: more samples, or a higher density."
        )
    doubled = {name: 2.0 * b * bath[name] for name in ("translation", "rotation")}
    blocks = {name: block_means(bath[name], _per_replica(replicas)) for name in bath}
    weight, energy = np.ones_like(bath["pairs"]), bath["potential"]
    if not force_shifted:
        more = bath["pairs"] - bath["pairs"].mean()
        weight = np.exp(-b * fluid.height * more)
        energy = energy + fluid.height * bath["pairs"]
    weighted = [
        block_means(weight * values, _per_replica(replicas))
        for values in (np.ones_like(weight), energy, bath["virial"])
    ]

    judged = equilibration(
        np.array([b]),
        {
            "kinetic": (bath["translation"] + bath["rotation"])[None],
            "potential": bath["potential"][None],
        },
    )
    isolated = (alone["translation"] + alone["rotation"] + alone["potential"]) / m
    isolated -= isolated.mean(axis=1, keepdims=True)
    time = np.arange(isolated.shape[1]) * motion.time_step * motion.between
    found = Kinetic(
        molecules=m,
        density=fluid.density,
        masses=fluid.masses,
        bond=fluid.bond,
        cutoff=fluid.cutoff,
        force_shifted=fluid.force_shifted,
        beta=b,
        time_step=motion.time_step,
        freedom=fluid.freedom,
        counts=_counts(fluid),
        total=mean_with_error(doubled["translation"] + doubled["rotation"]),
        translation=mean_with_error(doubled["translation"]),
        rotation=mean_with_error(doubled["rotation"]),
        configurational_beta=jackknife(
            lambda laplacian, squared: laplacian / squared,
            blocks["laplacian"],
            blocks["squared_force"],
        ),
        potential_energy=jackknife(lambda w, wu, _: (wu / w + fluid.tail_energy) / m, *weighted),
        pressure=jackknife(
            lambda w, _, wv: (
                fluid.density / b + wv / w / (3.0 * fluid.volume) + fluid.tail_pressure
            ),
            *weighted,
        ),
        rhat=max(float(value[0]) for value in judged.rhat.values()),
        transient=float(np.min([value[0] for value in judged.transient.values()])),
        translation_series=doubled["translation"],
        rotation_series=doubled["rotation"],
        steps=2.0 * motion.time_step / np.array(_ISOLATED),
        isolated_time=time,
        isolated_energy=isolated,
        energy_error=np.array([_spread(series) for series in isolated]),
        drift=_drift(isolated[1], time),
    )
    if not found.settled:
        warnings.warn(
            "kinetic or potential energy of the replicas drifts or disagrees (largest split R̂ = "
            f"{found.rhat:.3g}, limit {RHAT_LIMIT}; a beginning like this by chance: "
            f"{found.transient:.2g}, limit {FALSE_ALARMS:g}): they are not in equilibrium with the "
            f"bath, and nothing of them is compared. Give more burn_in than {burn_in} and more "
            f"samples than {samples}.",
            EquilibrationWarning,
            stacklevel=2,
        )
    order, error = found.order
    off = abs(order - 2.0)
    if force_shifted and off > _WORST_ORDER and off > 5.0 * error:
        warnings.warn(
            f"time_step = {motion.time_step:g} is too long for the error of the energy to fall as "
            f"Δt²: from {found.steps[0]:g} to {found.steps[-1]:g} it falls as Δt^{order:.1f}, for "
            "some collisions are over too fast. Give a shorter time_step.",
            UncertaintyWarning,
            stacklevel=2,
        )
    return found


def _motion(
    fluid: Fluid,
    beta: float,
    time_step: float,
    between: int,
    samples: int,
    burn_in: int,
    replicas: int,
    positions: ArrayLike | None,
) -> MolecularDynamics:
    """Check what is left to check, before any work."""
    b = as_beta(beta)
    if b.ndim or b == math.inf:
        raise InvalidInputError(f"beta = {beta} was given; accepted: one finite number > 0")
    if b <= 0.0:
        raise UnboundedSpectrumError(float(b), "molecules that move")
    sphere = 4.0 / 3.0 * math.pi * fluid.cutoff**3
    if 0.5 * fluid.molecules * fluid.density * sphere < _FEWEST_PAIRS:
        raise InvalidInputError(
            f"density = {fluid.density:g} was given; accepted: at least "
            f"{2.0 * _FEWEST_PAIRS / (fluid.molecules * sphere):.2g}, for molecules that do not "
            "meet feel no forces"
        )
    whole_number(between, "between", 2)
    if between % 2:
        raise InvalidInputError(f"between = {between} was given; accepted: an even number")
    whole_number(samples, "samples", 1)
    whole_number(replicas, "replicas", 1, most=_BLOCKS)
    whole_number(burn_in, "burn_in", 0)
    if samples - burn_in < _BLOCKS:
        raise InvalidInputError(
            f"samples = {samples} and burn_in = {burn_in} were given; accepted: at least {_BLOCKS} "
            "samples after the burn-in"
        )
    step = finite_number(time_step, "time_step", positive=True)
    return MolecularDynamics(
        molecules=fluid.molecules,
        density=float(fluid.density),
        masses=tuple(map(float, fluid.masses)),
        bond=fluid.bond,
        cutoff=float(fluid.cutoff),
        force_shifted=fluid.force_shifted,
        positions=fluid.checked_start(positions),
        beta=float(b),
        time_step=step,
        between=between,
        samples=samples,
        burn_in=burn_in,
        replicas=replicas,
        isolated=_ISOLATED,
    )


def _counts(fluid: Fluid) -> dict[str, int]:
    n, constraints = fluid.atoms, fluid.constraints
    free = {"3N − 3": kinetic_dof(n), "3N": kinetic_dof(n, conserved_momenta=0)}
    if not constraints:
        return free
    unmoved = kinetic_dof(n, constraints=constraints, conserved_momenta=0)
    rigid = {"3N − constraints − 3": fluid.freedom, "3N − 3": free["3N − 3"]}
    return {**rigid, "3N − constraints": unmoved, "3N": free["3N"]}


def _per_replica(replicas: int) -> int:
    return max(1, _BLOCKS // replicas)


def _spread(series: FloatArray) -> tuple[float, float]:
    """Standard deviation of a series of mean 0, and its error."""
    return _floats(
        jackknife(lambda e, e2: np.sqrt(e2 - e**2), *(
            block_means(power[None], 16) for power in (series, series**2)
        ))
    )  # fmt: skip


def _drift(energy: FloatArray, time: FloatArray) -> tuple[float, float]:
    """Gain per time from the first to the second half of a series, and its error."""
    half = len(energy) // 2
    first, second = (mean_with_error(part[None]) for part in (energy[:half], energy[-half:]))
    apart = time[-half] - time[0]
    gained = float(second.mean - first.mean) / apart
    return gained, math.hypot(float(first.error), float(second.error)) / apart


def _freedom(what: str, measured: MeanWithError, expected: int, source: str) -> Finding:
    return Finding(
        what, float(measured.mean), float(measured.error), float(expected), source=source
    )


def _floats(estimate: JackknifeEstimate) -> tuple[float, float]:
    return float(estimate.value), float(estimate.error)
