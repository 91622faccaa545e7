"""Point vortices in a disk: their energy, which β they have, thermometers, and how they move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import finite_number, whole_number
from thermo.errors import InvalidInputError, NotConvergedError
from thermo.kernels.lab_vortices import energies, flow, gradient, sweep
from thermo.laboratory.trajectories import Motion

__all__ = ["VortexFlow", "VortexGas", "VortexSampling"]

FloatArray = NDArray[np.float64]

_MOST = 100  # vortices of one sign: all of N² pairs are summed
_MOST_STEPS = 100_000  # of the integrator between two observations
_PAIRS = 2**22  # whose forces one call of the kernel adds up, about: a tenth of a second


@dataclass(frozen=True)
class VortexGas:
    r"""Vortices of circulation ±Γ in a disk of radius R, two-dimensional and without friction.

    .. math::
        H = -\sum_{i<j} s_i s_j \ln\frac{|z_i - z_j|^2}{|1 - z_i \bar z_j|^2}
            + \sum_i \ln\!\left(1 - |z_i|^2\right), \qquad
        s_i\dot x_i = \frac{\partial H}{\partial y_i},\;
        s_i\dot y_i = -\frac{\partial H}{\partial x_i},

    with lengths in R, energies in ρΓ²/4π and times in 4πR²/Γ. The second terms are images, which
    keep the flow along the wall. x and y of a vortex are conjugate to each other: phase space is
    the disk itself, its volume finite, and the entropy has a largest value at a finite energy.

    Parameters
    ----------
    plus, minus : int
        Numbers of vortices of each sign, 0 … 100, together at least 1.

    Attributes
    ----------
    beta_bounds : tuple of float
        Between which β has an equilibrium.

    Raises
    ------
    InvalidInputError
        Numbers out of range.

    Examples
    --------
    >>> VortexGas(10, 10).beta_bounds
    (-0.2, 1.0)
    """

    plus: int
    minus: int

    def __post_init__(self) -> None:
        whole_number(self.plus, "plus", 0, most=_MOST)
        whole_number(self.minus, "minus", 0, most=_MOST)
        if self.plus + self.minus == 0:
            raise InvalidInputError("plus = 0 and minus = 0 were given; accepted: a vortex or more")

    @cached_property
    def signs(self) -> FloatArray:
        """+1 and then −1, shape (plus + minus,)."""
        return np.repeat([1.0, -1.0], [self.plus, self.minus])

    @property
    def beta_bounds(self) -> tuple[float, float]:
        r"""The open interval of β with an equilibrium: (−2/max(N₊, N₋), 1).

        k vortices within r of each other have the weight :math:`r^{\beta(Q^2 - k)}`, with Q the sum
        of their signs, and the volume :math:`r^{2(k-1)}`. At β > 0 a pair of opposite signs
        collapses first, and a vortex onto its image behind the wall as soon: β < 1. At β < 0 it is
        all vortices of one sign: β > −2/k. A single vortex of each sign may be at any β < 1.
        """
        most = max(self.plus, self.minus)
        return (-2.0 / most if most > 1 else -np.inf), 1.0

    def check_beta(self, beta: float) -> float:
        """Return β, or say why there is no equilibrium.

        Raises
        ------
        InvalidInputError
            Not a number, or outside of ``beta_bounds``.
        """
        beta = finite_number(beta, "beta")
        low, high = self.beta_bounds
        if not low < beta < high:
            why = (
                "vortices of one sign would all fall into one point"
                if beta <= low
                else "pairs of opposite signs, and a vortex and its image, would fall into a point"
            )
            raise InvalidInputError(
                f"beta = {beta:g} was given; accepted for {self.plus} + {self.minus} vortices: "
                f"{low:g} < beta < {high:g}, beyond which {why}"
            )
        return beta

    @property
    def mean_energy_at_random(self) -> float:
        r"""⟨E⟩ at β = 0, exactly: ((N₊ − N₋)² − N)/4 − N.

        The Green function of the disk, averaged over one place, is (1 − \|z\|²)/2, over both 1/4;
        and ⟨ln(1 − \|z\|²)⟩ = −1.
        """
        count, excess = self.plus + self.minus, self.plus - self.minus
        return (excess * excess - count) / 4.0 - count

    def random_places(
        self, count: int, generator: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Draw `count` configurations uniformly: β = 0; x and y, (count, vortices) each."""
        size = (count, len(self.signs))
        radius, angle = np.sqrt(generator.random(size)), 2.0 * np.pi * generator.random(size)
        return radius * np.cos(angle), radius * np.sin(angle)

    def energy(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Energies of configurations x, y (rows, vortices) inside the disk, shape (rows,)."""
        out = np.empty(len(x))
        energies(np.ascontiguousarray(x), np.ascontiguousarray(y), self.signs, out)
        return out

    def gradient(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """∂H/∂x and ∂H/∂y of one configuration (vortices,), shape (2, vortices)."""
        out = np.empty((2, len(self.signs)))
        gradient(x, y, self.signs, out)
        return out

    def like_neighbours(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Share of vortices whose nearest neighbour has their own sign, shape (rows,)."""
        z = x + 1j * y
        apart = np.abs(z[:, :, None] - z[:, None, :])
        here = np.arange(z.shape[1])
        apart[:, here, here] = np.inf
        return (self.signs[apart.argmin(axis=2)] == self.signs).mean(axis=1)

    @property
    def like_neighbours_at_random(self) -> float:
        """That share at β = 0, exactly: every other vortex is as likely to be the nearest."""
        count = self.plus + self.minus
        pairs = self.plus * (self.plus - 1) + self.minus * (self.minus - 1)
        return pairs / (count * (count - 1))

    @property
    def neighbours_differ(self) -> bool:
        """Whether neighbours can be both alike and unlike: not of one sign, nor one of each."""
        return 0.0 < self.like_neighbours_at_random < 1.0

    def dipole(self, x: FloatArray, y: FloatArray) -> FloatArray:
        r"""\|Σ s_i z_i\|²: N/2 on average at β = 0; large where the signs part; shape (rows,)."""
        return (x @ self.signs) ** 2 + (y @ self.signs) ** 2

    def virial(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        r"""Both averages of a thermometer: β = ⟨first⟩/⟨second⟩, of either sign.

        Let every vortex drift outwards by :math:`Y_i = (1 - |z_i|^2)\,z_i`, which vanishes at the
        wall. Integration by parts of ∇·(Y e^{−βH}) gives β⟨Y·∇H⟩ = ⟨∇·Y⟩, exactly; both sides are
        bounded for every configuration, however close vortices come.

        Returns
        -------
        divergence, drift : ndarray, shape (rows,)
            Σ_i (2 − 4\|z_i\|²), and Y·∇H.

        Notes
        -----
        Exact in the canonical ensemble of any size. In an isolated system, right to order 1/N.
        """
        squares = x * x + y * y
        slopes = np.array([self.gradient(a, b) for a, b in zip(x, y, strict=True)])
        drift = ((1.0 - squares) * (x * slopes[:, 0] + y * slopes[:, 1])).sum(axis=1)
        return (2.0 - 4.0 * squares).sum(axis=1), drift


@dataclass(frozen=True, eq=False)
class VortexSampling(Motion):
    """Canonical sampling by Metropolis' moves, a piece for each β.

    Attributes
    ----------
    plus, minus : int
    betas : tuple of float
    chains : int
        Of each β.
    draws, sweeps : int
        Observations, and sweeps from one to the next.
    """

    what: ClassVar[str] = "sampling vortices"

    plus: int
    minus: int
    betas: tuple[float, ...]
    chains: int
    draws: int
    sweeps: int

    @property
    def pieces(self) -> int:
        return len(self.betas)

    @property
    def steps(self) -> int:
        return self.draws

    @property
    def moves_per_step(self) -> int:
        return self.sweeps * self.chains * (self.plus + self.minus) ** 2 // 4

    @property
    def bytes_per_step(self) -> int:
        return self.chains * (40 + 16 * (self.plus + self.minus))

    def begin(self, piece: int, seed: np.random.SeedSequence) -> _SampledVortices:
        return _SampledVortices(self, self.betas[piece], seed)


class _Vortices:
    """Configurations of one piece; a `thermo.laboratory.trajectories.Trajectory`."""

    def __init__(self, gas: VortexGas, x: FloatArray, y: FloatArray) -> None:
        self.gas, self.x, self.y = gas, x, y

    def _go(self) -> None:
        raise NotImplementedError

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        seen: dict[str, list[np.ndarray]] = {}
        for _ in range(steps):
            self._go()
            divergence, drift = self.gas.virial(self.x, self.y)
            for name, values in (
                ("energy", self.gas.energy(self.x, self.y)),
                ("like", self.gas.like_neighbours(self.x, self.y)),
                ("dipole", self.gas.dipole(self.x, self.y)),
                ("divergence", divergence),
                ("drift", drift),
                ("places", np.stack([self.x, self.y], axis=1)),
            ):
                seen.setdefault(name, []).append(values)
        return {name: np.stack(values, axis=1) for name, values in seen.items()}


class _SampledVortices(_Vortices):
    def __init__(self, motion: VortexSampling, beta: float, seed: np.random.SeedSequence) -> None:
        start, moves = seed.spawn(2)
        gas = VortexGas(motion.plus, motion.minus)
        generator = np.random.Generator(np.random.PCG64(start))
        super().__init__(gas, *gas.random_places(motion.chains, generator))
        words = moves.generate_state(2 * motion.chains, np.uint64)
        self._streams = words.reshape(motion.chains, 2)
        self._beta, self._sweeps = beta, motion.sweeps

    def _go(self) -> None:
        sweep(self.x, self.y, self.gas.signs, self._beta, self._streams, self._sweeps)

    def state(self) -> dict[str, np.ndarray]:
        return {"x": self.x.copy(), "y": self.y.copy(), "streams": self._streams.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.x, self.y = state["x"].copy(), state["y"].copy()
        self._streams = state["streams"].copy()


@dataclass(frozen=True, eq=False)
class VortexFlow(Motion):
    """Vortices in time, each piece the configurations that began at one β; nothing is random.

    Attributes
    ----------
    plus, minus : int
    starts : ndarray, shape (pieces, configurations, 2, vortices)
        x and y.
    interval : float
        Between two observations, in 4πR²/Γ.
    observations : int
    tolerance : float
        Of every coordinate in every step, in units of the smallest distance of two vortices.
    """

    what: ClassVar[str] = "following vortices"

    plus: int
    minus: int
    starts: FloatArray
    interval: float
    observations: int
    tolerance: float

    @property
    def pieces(self) -> int:
        return len(self.starts)

    @property
    def steps(self) -> int:
        return self.observations

    @property
    def moves_per_step(self) -> int:
        return 10**6  # not known beforehand: close pairs take many small steps

    @property
    def bytes_per_step(self) -> int:
        return self.starts.shape[1] * (40 + 16 * (self.plus + self.minus))

    def begin(self, piece: int, seed: np.random.SeedSequence) -> _MovingVortices:
        return _MovingVortices(self, self.starts[piece])


class _MovingVortices(_Vortices):
    def __init__(self, motion: VortexFlow, start: FloatArray) -> None:
        gas = VortexGas(motion.plus, motion.minus)
        super().__init__(gas, start[:, 0].copy(), start[:, 1].copy())
        self._steps = np.full(len(start), 1e-4)
        self._motion = motion

    def _go(self) -> None:
        motion = self._motion
        at_once = max(1, _PAIRS // (6 * len(self.gas.signs) ** 2))
        for k in range(len(self.x)):
            place = np.stack([self.x[k], self.y[k]])
            left = motion.interval
            for _ in range(-(-_MOST_STEPS // at_once)):
                self._steps[k], left = flow(
                    place, self.gas.signs, left, motion.tolerance, self._steps[k], at_once
                )
                if left == 0.0:
                    break
            else:
                raise NotConvergedError(
                    f"vortices came so close that {_MOST_STEPS} steps did not cover a time of "
                    f"{motion.interval:g}; accepted: a shorter time, or another seed"
                )
            self.x[k], self.y[k] = place

    def state(self) -> dict[str, np.ndarray]:
        return {"x": self.x.copy(), "y": self.y.copy(), "steps": self._steps.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.x, self.y = state["x"].copy(), state["y"].copy()
        self._steps = state["steps"].copy()
