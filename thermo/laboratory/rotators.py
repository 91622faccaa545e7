"""Rotators whose kinetic energy has an upper bound: a negative temperature of moving things."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import as_real, finite_number, whole_number
from thermo.errors import EnergyOutOfRangeError, InvalidInputError, NotConvergedError
from thermo.estimate.jackknife import JackknifeEstimate, block_means, jackknife
from thermo.kernels import lab_rotators as kernels
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.rotator_equilibrium import RotatorChain
from thermo.laboratory.trajectories import Motion, follow

__all__ = ["MovingRotators", "RotatorDynamics", "Rotators", "rotators"]

FloatArray = NDArray[np.float64]

_BINS = 48  # of momenta, from −π to π
_BLOCKS = 32  # stretches of a trajectory
_WORST_DRIFT = 0.01  # of H/N

# A step of fourth order is three leapfrogs, the middle one backwards (H. Yoshida, 1990).
_OUTER = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
_INNER = 1.0 - 2.0 * _OUTER
_KICKS = np.array([_OUTER, _INNER, _OUTER])
_DRIFTS = 0.5 * np.array([_OUTER, _OUTER + _INNER, _INNER + _OUTER, _OUTER])


@dataclass(frozen=True, eq=False)
class Rotators(Experiment):
    """What :func:`rotators` returns; rows belong to trajectories, one for each energy.

    Attributes
    ----------
    rotators : int
        N.
    strength : float
        ε.
    time_step : float
    energy : ndarray, shape (E,)
        H/N.
    beta : ndarray, shape (E,)
        Of equilibrium at that energy, exact.
    expected : ndarray, shape (E, 2)
        What both thermometers should read in an isolated chain of N.
    from_momenta, from_bonds : ndarray, shape (E, 2)
        β that they read, and its error.
    drift : ndarray, shape (E,)
        Largest change of H/N during the run.
    momentum : ndarray, shape (48,)
        Middles of bins from −π to π.
    density : ndarray, shape (E, 48)
        Of momenta, measured after the burn-in.
    """

    name: ClassVar[str] = "rotators"

    rotators: int
    strength: float
    time_step: float
    energy: FloatArray
    beta: FloatArray
    expected: FloatArray
    from_momenta: FloatArray
    from_bonds: FloatArray
    drift: FloatArray
    momentum: FloatArray
    density: FloatArray

    @property
    def findings(self) -> tuple[Finding, ...]:
        found = [
            Finding(f"β of {what}, H/N = {energy:g}", float(value), float(error), float(expected),
                    source="Bessel functions, for N isolated rotators of this energy")
            for k, energy in enumerate(self.energy)
            for what, (value, error), expected in (
                ("momenta", self.from_momenta[k], self.expected[k, 0]),
                ("bonds", self.from_bonds[k], self.expected[k, 1]),
            )
        ]  # fmt: skip
        worst = Finding("largest change of H/N", float(self.drift.max()), expected=0.0,
                        source="energy is kept")  # fmt: skip
        return (*found, worst)


def rotators(
    energies: Sequence[float] = (0.5, 1.0, 1.5, 2.0, 2.5),
    *,
    rotators: int = 32,
    strength: float = 0.5,
    time_step: float = 0.2,
    between: int = 10,
    samples: int = 20000,
    burn_in: int = 1000,
    seed: int,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Rotators:
    r"""A chain of rotators that is left to itself, and the signed temperature of one trajectory.

    .. math:: H = \sum_i (1 - \cos p_i) + \varepsilon \sum_i [1 - \cos(\theta_i - \theta_{i-1})],
        \qquad \theta_0 = 0.

    Kinetic energy is at most 2 for each rotator, velocity :math:`\dot\theta = \sin p` falls again
    where p goes on to π, and so does the number of states: above the middle of the band, H/N =
    1 + ε, T < 0. In equilibrium p and the bonds φ = θ_i − θ_{i−1} have the law of von Mises,

    .. math:: P(p) \propto e^{\beta \cos p}, \qquad P(\phi) \propto e^{\beta\varepsilon \cos\phi},

    about 0 at β > 0 and about π at β < 0. By parts, :math:`\int \partial_p (\sin p\,
    e^{\beta \cos p})\,dp = 0`, one trajectory tells β with its sign, twice:

    .. math:: \beta = \frac{\langle\cos p\rangle}{\langle\sin^2 p\rangle}
        = \frac{\langle\cos\phi\rangle}{\varepsilon\langle\sin^2\phi\rangle}.

    Trajectories start far from equilibrium, all cos p and cos φ alike and the signs at random.
    Where both thermometers come to agree, there is a temperature.

    Parameters
    ----------
    energies : sequence of float
        H/N, between 0 and 2 + 2ε, ends excluded; one trajectory for each.
    rotators : int
        N, at least 8.
    strength : float
        ε > 0.
    time_step : float
        Of a symplectic step of fourth order.
    between : int
        Steps between observations.
    samples, burn_in : int
        Observations in all and those at the beginning that are left out.
    seed, threads, executor, progress, checkpoint
        As in `thermo.simulate`.

    Returns
    -------
    Rotators

    Raises
    ------
    EnergyOutOfRangeError
        Energies that no state has, or only one.
    InvalidInputError
        Other numbers out of range.
    NotConvergedError
        A time step so long that H/N changes by more than 0.01.

    Notes
    -----
    An isolated chain of N differs by parts of 1/N from one in a bath; what is expected here takes
    them into account (`thermo.laboratory.rotator_equilibrium`). A longer chain is not better: total
    momentum leaves by the wall alone, in a time that grows as N², and the readings of a run that is
    shorter are off by parts of 1/N that its error does not show. Close to the lowest and the
    highest energy the chain is nearly one of harmonic oscillators and takes very long to come to
    equilibrium: then the two readings disagree, and there is no temperature yet.

    References
    ----------
    L. Cerino, A. Puglisi, A. Vulpiani, J. Stat. Mech. P12002 (2015); H. Yoshida, Phys. Lett. A 150,
    262 (1990) for the step.

    Examples
    --------
    >>> found = rotators([0.8, 2.2], rotators=16, samples=80, burn_in=16, seed=1)
    >>> found.beta.round(3)
    array([ 1.307, -1.307])
    """
    n = whole_number(rotators, "rotators", 8)
    chain = RotatorChain(finite_number(strength, "strength", positive=True))
    wanted = np.atleast_1d(as_real(energies, "energies"))
    if wanted.ndim != 1 or not len(wanted):
        raise InvalidInputError(
            f"energies of shape {wanted.shape} were given; accepted: a list of at least one energy"
        )
    inside = (wanted > 0.0) & (wanted < chain.top)
    if not inside.all():
        raise EnergyOutOfRangeError(
            f"energy {wanted[~inside][0]:g} per rotator was given; accepted: between 0 and "
            f"2 + 2ε = {chain.top:g}, ends excluded"
        )
    step = finite_number(time_step, "time_step", positive=True)
    whole_number(between, "between", 1)
    whole_number(samples, "samples", 1)
    whole_number(burn_in, "burn_in", 0)
    if samples - burn_in < _BLOCKS:
        raise InvalidInputError(
            f"samples = {samples} and burn_in = {burn_in} were given; accepted: at least {_BLOCKS} "
            "samples after the burn-in"
        )
    motion = RotatorDynamics(n, chain.strength, wanted, step, between, samples)
    seen = follow(
        motion,
        seed=seed,
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )
    means = seen["means"]
    settled = means[:, burn_in:]
    read = [
        [jackknife(thermometer, block_means(np.moveaxis(row, -1, 0)[:, None], _BLOCKS))
         for thermometer in (_of_momenta, lambda m: _of_bonds(m, chain.strength))]
        for row in settled
    ]  # fmt: skip
    energy = (1.0 - means[..., 0]) + chain.strength * (1.0 - means[..., 2])
    drift = np.abs(energy - wanted[:, None]).max(axis=1)
    if not drift.max() < _WORST_DRIFT:
        raise NotConvergedError(
            f"time step {step:g} is too long: H/N changed by {drift.max():.2g}, more than "
            f"{_WORST_DRIFT}; accepted: a shorter time_step."
        )
    beta = chain.beta(wanted)
    counts = seen["histogram"][:, burn_in:].sum(axis=1)
    width = 2.0 * math.pi / _BINS
    return Rotators(
        rotators=n,
        strength=chain.strength,
        time_step=step,
        energy=wanted,
        beta=beta,
        expected=np.array([chain.isolated(float(e), n) for e in wanted]),
        from_momenta=np.array([_floats(row[0]) for row in read]),
        from_bonds=np.array([_floats(row[1]) for row in read]),
        drift=drift,
        momentum=width * (np.arange(_BINS, dtype=np.float64) + 0.5) - math.pi,
        density=counts / counts.sum(axis=1, keepdims=True) / width,
    )


def _of_momenta(means: FloatArray) -> FloatArray:
    return np.asarray(means[0] / means[1])


def _of_bonds(means: FloatArray, strength: float) -> FloatArray:
    return np.asarray(means[2] / (strength * means[3]))


def _floats(estimate: JackknifeEstimate) -> tuple[float, float]:
    return float(estimate.value), float(estimate.error)


@dataclass(frozen=True, eq=False)
class RotatorDynamics(Motion):
    """Chains that are left to themselves, one for each energy, for `follow`.

    Parameters
    ----------
    rotators : int
    strength : float
    energies : ndarray, shape (E,)
        H/N.
    time_step : float
    between : int
        Steps between two observations.
    samples : int
        Observations.
    """

    what: ClassVar[str] = "rotators"

    rotators: int
    strength: float
    energies: FloatArray
    time_step: float
    between: int
    samples: int

    @property
    def pieces(self) -> int:
        return len(self.energies)

    @property
    def steps(self) -> int:
        return self.samples

    @property
    def moves_per_step(self) -> int:
        return 3 * self.between * self.rotators

    @property
    def bytes_per_step(self) -> int:
        return 8 * (4 + _BINS)

    def begin(self, piece: int, seed: np.random.SeedSequence) -> MovingRotators:
        return MovingRotators(self, float(self.energies[piece]), seed)


class MovingRotators:
    """One chain on its way.

    Parameters
    ----------
    motion : RotatorDynamics
    energy : float
        H/N: at first all cos p and cos φ are 1 − energy/(1 + ε).
    seed : numpy.random.SeedSequence
        For the signs of p and φ.
    """

    def __init__(
        self, motion: RotatorDynamics, energy: float, seed: np.random.SeedSequence
    ) -> None:
        self._motion = motion
        angle = math.acos(1.0 - energy / (1.0 + motion.strength))
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(2, motion.rotators))
        self._bonds, self._momenta = angle * signs

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        """Go on for so many observations."""
        motion = self._motion
        means = np.empty((1, steps, 4))
        histogram = np.empty((1, steps, _BINS), dtype=np.int64)
        for k in range(steps):
            kernels.move_rotators(
                self._bonds,
                self._momenta,
                motion.strength,
                motion.time_step * _DRIFTS,
                motion.time_step * _KICKS,
                motion.between,
            )
            kernels.observe_rotators(self._bonds, self._momenta, means[0, k], histogram[0, k])
        return {"means": means, "histogram": histogram}

    def state(self) -> dict[str, np.ndarray]:
        return {"bonds": self._bonds.copy(), "momenta": self._momenta.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._bonds, self._momenta = state["bonds"].copy(), state["momenta"].copy()
