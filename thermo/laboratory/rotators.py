"""Rotators whose kinetic energy has an upper bound: a negative temperature of moving things."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import as_real, finite_number, whole_number
from thermo.errors import (
    EnergyOutOfRangeError,
    EquilibrationWarning,
    InvalidInputError,
    NotConvergedError,
)
from thermo.estimate.autocorrelation import split_rhat
from thermo.estimate.jackknife import jackknife
from thermo.kernels import lab_rotators as kernels
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.rotator_equilibrium import RotatorChain
from thermo.laboratory.trajectories import Motion, follow
from thermo.run.equilibration import RHAT_LIMIT

__all__ = ["MovingRotators", "RotatorDynamics", "Rotators", "rotators"]

FloatArray = NDArray[np.float64]

_BINS = 48  # of momenta, from −π to π
_FEWEST = 32  # observations after the burn-in
_WORST_DRIFT = 0.01  # of H/N
_CLOSEST = 1e-6  # to the ends of the band, in parts of it: rounding decides what lies beyond

# A step of fourth order is three leapfrogs, the middle one backwards (H. Yoshida, 1990).
_OUTER = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
_INNER = 1.0 - 2.0 * _OUTER
_KICKS = np.array([_OUTER, _INNER, _OUTER])
_DRIFTS = 0.5 * np.array([_OUTER, _OUTER + _INNER, _INNER + _OUTER, _OUTER])


@dataclass(frozen=True, eq=False)
class Rotators(Experiment):
    """What :func:`rotators` returns; rows belong to energies.

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
        β that they read, and its error from the spread of the replicas.
    rhat : ndarray, shape (E,)
        Split R̂ of the replicas, the larger one of the two thermometers: 1 where they agree.
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
    rhat: FloatArray
    drift: FloatArray
    momentum: FloatArray
    density: FloatArray

    @property
    def settled(self) -> np.ndarray:
        """Where replicas have forgotten how they began: True in equilibrium, shape (E,)."""
        return np.asarray(self.rhat <= RHAT_LIMIT)

    @property
    def findings(self) -> tuple[Finding, ...]:
        found = []
        for k, energy in enumerate(self.energy):
            readings = (self.from_momenta[k], self.from_bonds[k])
            for what, (value, error), exact in zip(
                ("momenta", "bonds"), readings, self.expected[k], strict=True
            ):
                expected: float | None = float(exact)
                source = "Bessel functions, for N isolated rotators of this energy"
                if not self.settled[k]:
                    expected, source = None, f"not in equilibrium, split R̂ = {self.rhat[k]:.2f}"
                found.append(
                    Finding(f"β of {what}, H/N = {energy:g}", float(value), float(error), expected,
                            source=source)
                )  # fmt: skip
        worst = Finding("largest change of H/N", float(self.drift.max()), expected=0.0,
                        source="energy is kept")  # fmt: skip
        return (*found, worst)


def rotators(
    energies: Sequence[float] | None = None,
    *,
    rotators: int = 32,
    strength: float = 0.5,
    time_step: float | None = None,
    between: int = 10,
    samples: int = 3000,
    burn_in: int = 1000,
    replicas: int = 16,
    seed: int,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Rotators:
    r"""Chains of rotators that are left to themselves, and the signed temperature that they tell.

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

    Replicas of one energy start far from equilibrium and from one another: all cos p are alike and
    all cos φ, the signs are random, and the share of the energy that is kinetic goes in even steps
    through the middle half of what there is room for. Where they come to agree they have forgotten
    their beginnings, and there is a temperature. Where they do not, nothing is compared.

    Parameters
    ----------
    energies : sequence of float, optional
        H/N, between 0 and 2 + 2ε, ends excluded; default: five that divide the band evenly, at
        ε = ½ 0.5, 1, 1.5, 2, 2.5.
    rotators : int
        N, at least 8.
    strength : float
        ε > 0. Of weak bonds, ε < 0.2 or so, each momentum is nearly kept (the chain is nearly
        integrable), and the default run does not come to equilibrium.
    time_step : float, optional
        Of a symplectic step of fourth order; default: 0.2, or 0.1/ε of strong bonds, whose pull
        turns p by 0.2 in a step.
    between : int
        Steps between observations.
    samples, burn_in : int
        Observations in all and those at the beginning that are left out.
    replicas : int
        Trajectories for each energy, at least 8.
    seed, threads, executor, progress, checkpoint
        As in `thermo.simulate`.

    Returns
    -------
    Rotators

    Raises
    ------
    EnergyOutOfRangeError
        Energies that no state has, or closer to the ends than a millionth of the band.
    InvalidInputError
        Other numbers out of range.
    NotConvergedError
        A time step so long that H/N changes by more than 0.01.

    Warns
    -----
    EquilibrationWarning
        Energies at which replicas still disagree, split R̂ > 1.05.

    Notes
    -----
    An isolated chain of N differs by parts of 1/N from one in a bath; what is expected here takes
    them into account (`thermo.laboratory.rotator_equilibrium`). A longer chain is not better: total
    momentum leaves by the wall alone, in a time that grows as N². Errors come from the spread of
    the replicas: they hold for modes that are slower than the run, too. Of R replicas, deviations
    in units of their errors are Student's t of R − 1.

    Close to the ends of the band the chain is nearly one of harmonic oscillators, which keep the
    energies that they began with. Replicas agree there all the same, since oscillators share their
    energy evenly between momenta and bonds; how it is spread over oscillators is that of the start,
    and readings are off by half an error or so at a thirtieth of the band.

    References
    ----------
    L. Cerino, A. Puglisi, A. Vulpiani, J. Stat. Mech. P12002 (2015); H. Yoshida, Phys. Lett. A 150,
    262 (1990) for the step.

    Examples
    --------
    >>> found = rotators([0.8, 2.2], rotators=16, samples=600, burn_in=200, seed=1)
    >>> found.beta.round(3)
    array([ 1.307, -1.307])
    """
    n = whole_number(rotators, "rotators", 8)
    chain = RotatorChain(finite_number(strength, "strength", positive=True))
    if energies is None:
        energies = [chain.top * k / 6.0 for k in range(1, 6)]
    wanted = np.atleast_1d(as_real(energies, "energies"))
    if wanted.ndim != 1 or not len(wanted):
        raise InvalidInputError(
            f"energies of shape {wanted.shape} were given; accepted: a list of at least one energy"
        )
    inside = np.minimum(wanted, chain.top - wanted) >= _CLOSEST * chain.top
    if not inside.all():
        raise EnergyOutOfRangeError(
            f"energy {wanted[~inside][0]:g} per rotator was given; accepted: between 0 and "
            f"2 + 2ε = {chain.top:g}, and not closer to either than {_CLOSEST:g} of that"
        )
    if time_step is None:
        time_step = min(0.2, 0.1 / chain.strength)
    step = finite_number(time_step, "time_step", positive=True)
    whole_number(between, "between", 1)
    whole_number(samples, "samples", 1)
    whole_number(burn_in, "burn_in", 0)
    whole_number(replicas, "replicas", 8)
    if samples - burn_in < _FEWEST:
        raise InvalidInputError(
            f"samples = {samples} and burn_in = {burn_in} were given; accepted: at least {_FEWEST} "
            "samples after the burn-in"
        )
    motion = RotatorDynamics(n, chain.strength, wanted, replicas, step, between, samples)
    seen = follow(
        motion,
        seed=seed,
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )
    means, histogram = (
        seen[name].reshape(len(wanted), replicas, samples, -1) for name in ("means", "histogram")
    )
    energy = (1.0 - means[..., 0]) + chain.strength * (1.0 - means[..., 2])
    drift = np.abs(energy - wanted[:, None, None]).max(axis=(1, 2))
    if not drift.max() < _WORST_DRIFT:
        raise NotConvergedError(
            f"time step {step:g} is too long: H/N changed by {drift.max():.2g}, more than "
            f"{_WORST_DRIFT}; accepted: a shorter time_step."
        )
    settled = means[:, :, burn_in:]
    from_momenta, momenta_rhat = _read(settled[..., 0], settled[..., 1])
    from_bonds, bonds_rhat = _read(settled[..., 2], chain.strength * settled[..., 3])
    counts = histogram[:, :, burn_in:].sum(axis=(1, 2))
    width = 2.0 * math.pi / _BINS
    found = Rotators(
        rotators=n,
        strength=chain.strength,
        time_step=step,
        energy=wanted,
        beta=chain.beta(wanted),
        expected=np.array([chain.isolated(float(e), n) for e in wanted]),
        from_momenta=from_momenta,
        from_bonds=from_bonds,
        rhat=np.maximum(momenta_rhat, bonds_rhat),
        drift=drift,
        momentum=width * (np.arange(_BINS, dtype=np.float64) + 0.5) - math.pi,
        density=counts / counts.sum(axis=1, keepdims=True) / width,
    )
    if not found.settled.all():
        restless = ", ".join(f"{energy:g}" for energy in wanted[~found.settled])
        warnings.warn(
            f"replicas still disagree at H/N = {restless} (largest split R̂ = "
            f"{found.rhat.max():.3g}, limit {RHAT_LIMIT}): momenta and bonds have not come to "
            "equilibrium, and there is no temperature to compare. Give more burn_in and samples, "
            "or stronger bonds.",
            EquilibrationWarning,
            stacklevel=2,
        )
    return found


def _read(cosine: FloatArray, squared_sine: FloatArray) -> tuple[FloatArray, FloatArray]:
    """β = ⟨cos⟩/⟨sin²⟩ with its error, (E, 2), and split R̂, (E,), of series (E, replicas, T)."""
    cosines, sines = cosine.mean(axis=-1).T, squared_sine.mean(axis=-1).T
    value, error = jackknife(lambda c, s: c / s, cosines, sines)
    # where the ratio is β on average, this is 0 on average
    return np.stack([value, error], axis=1), split_rhat(
        cosine - value[:, None, None] * squared_sine
    )


@dataclass(frozen=True, eq=False)
class RotatorDynamics(Motion):
    """Chains that are left to themselves, a few for each energy, for `follow`.

    Parameters
    ----------
    rotators : int
    strength : float
    energies : ndarray, shape (E,)
        H/N.
    replicas : int
        Chains for each.
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
    replicas: int
    time_step: float
    between: int
    samples: int

    @property
    def pieces(self) -> int:
        return len(self.energies) * self.replicas

    @property
    def steps(self) -> int:
        return self.samples

    @property
    def moves_per_step(self) -> int:
        return 3 * self.between * self.rotators

    @property
    def bytes_per_step(self) -> int:
        return 8 * 4 + 4 * _BINS

    def begin(self, piece: int, seed: np.random.SeedSequence) -> MovingRotators:
        which, replica = divmod(piece, self.replicas)
        share = 0.25 + 0.5 * (replica + 0.5) / self.replicas
        return MovingRotators(self, float(self.energies[which]), share, seed)


class MovingRotators:
    """One chain on its way.

    Parameters
    ----------
    motion : RotatorDynamics
    energy : float
        H/N.
    share : float
        How much of it is kinetic at first, from 0, as little as there is room for, to 1, as much.
    seed : numpy.random.SeedSequence
        For the signs of p and φ.
    """

    def __init__(
        self, motion: RotatorDynamics, energy: float, share: float, seed: np.random.SeedSequence
    ) -> None:
        self._motion = motion
        least, most = max(0.0, energy - 2.0 * motion.strength), min(2.0, energy)
        kinetic = least + share * (most - least)
        bond = min(2.0, (energy - kinetic) / motion.strength)
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(2, motion.rotators))
        self._bonds, self._momenta = signs * np.arccos([[1.0 - bond], [1.0 - kinetic]])

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        """Go on for so many observations."""
        motion = self._motion
        means = np.empty((1, steps, 4))
        histogram = np.empty((1, steps, _BINS), dtype=np.int32)
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
