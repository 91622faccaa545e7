"""Chains of the discrete nonlinear Schrödinger equation: their energy, beginning and motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from thermo.errors import NotConvergedError
from thermo.kernels.lab_dnls import advance
from thermo.laboratory.trajectories import Motion

__all__ = [
    "MOVES_PER_STEP",
    "ChainMotion",
    "chain_energy",
    "draw_chain",
    "hopping_energy",
    "phase_forces",
]

ComplexArray = NDArray[np.complex128]
FloatArray = NDArray[np.float64]

MOVES_PER_STEP = 5  # of a site: the parts of a step of fourth order
_LARGEST_DRIFT = 0.01  # of h, in units of a² + 2a: the height from T = +0 to β = 0, about


def hopping_energy(psi: ComplexArray) -> FloatArray:
    """Σ_n (ψ*_n ψ_{n+1} + c.c.) of chains (..., sites) closed to rings, shape (...)."""
    return 2.0 * (psi.conj() * np.roll(psi, -1, axis=-1)).real.sum(axis=-1)


def chain_energy(psi: ArrayLike) -> FloatArray:
    r"""Energy of rings, :math:`H = \sum_n |\psi_n|^4 + \psi_n^*\psi_{n+1} + \psi_n\psi_{n+1}^*`.

    Parameters
    ----------
    psi : array_like, shape (..., sites)
        Complex.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> float(chain_energy([1.0, -1.0, 1.0, -1.0]))  # T = 0: a² − 2a on each site
    -4.0
    """
    fields = np.asarray(psi, dtype=np.complex128)
    return (np.abs(fields) ** 4).sum(axis=-1) + hopping_energy(fields)


def phase_forces(psi: ComplexArray) -> FloatArray:
    r"""Return ∂H/∂φ_n, which is the rate at which the density of the site changes.

    .. math:: \frac{\partial H}{\partial\varphi_n}
        = 2\,\mathrm{Im}\,\psi_n^*(\psi_{n-1} + \psi_{n+1}) = -\dot\rho_n

    Parameters
    ----------
    psi : ndarray, shape (..., sites)

    Returns
    -------
    ndarray, shape (..., sites)
    """
    beside = np.roll(psi, 1, axis=-1) + np.roll(psi, -1, axis=-1)
    return 2.0 * (psi.conj() * beside).imag


def draw_chain(
    density: float,
    energy: float,
    sites: int,
    generator: np.random.Generator,
    correlated: float = 0.0,
    power: float = 1.0,
) -> ComplexArray:
    """Draw a chain that has exactly this density and this energy per site.

    Complex Gaussian noise is the chain at β = 0: phases at random, densities exponential. Below its
    energy it is mixed with the ground state, with as much as white noise allows or with less, waves
    near the ground state being stronger in the noise; and sizes are raised to a power. The mixture
    or the width of the spectrum is solved for; where all white noise is not enough, the power.

    Parameters
    ----------
    density, energy : float
        a > 0, and h between a² − 2a and what one site can hold, about N a².
    sites : int
        Even.
    generator : numpy.random.Generator
    correlated : float
        From 0, white noise, to 1, no more of the ground state than the noise has.
    power : float
        From 0, where densities are equal and the energy is in the phases, to 1. Chains forget this
        number and the one before as they come to equilibrium.

    Returns
    -------
    ndarray of complex, shape (sites,)

    Notes
    -----
    It is near equilibrium, not in it: let it run before anything is measured.
    """
    noise = generator.normal(size=sites) + 1j * generator.normal(size=sites)
    ground = np.where(np.arange(sites) % 2 == 0, 1.0, -1.0)
    waves, above_ground = np.fft.fft(noise), 1.0 + np.cos(2.0 * np.pi * np.fft.fftfreq(sites))

    def drawn(angle: float, width: float, power: float) -> ComplexArray:
        spectrum = width / (width + (1.0 - width) * above_ground)  # like 1/(βε + α)
        near = np.fft.ifft(waves * np.sqrt(spectrum))
        near /= np.sqrt((np.abs(near) ** 2).mean())
        psi = np.cos(angle) * ground + np.sin(angle) * near
        size = np.abs(psi)
        psi *= (size / size.max()) ** power / size
        return np.asarray(psi * np.sqrt(density / (np.abs(psi) ** 2).mean()))

    def excess(angle: float, width: float, power: float) -> float:
        return float(chain_energy(drawn(angle, width, power))) / sites - energy

    whole = 0.5 * np.pi
    if excess(whole, 1.0, power) > 0.0:
        angle = brentq(excess, 0.0, whole, args=(1.0, power), xtol=1e-15)
        angle += correlated * (whole - angle)
        width = 1.0
        if excess(angle, 1.0, power) > 0.0:
            width = brentq(lambda width: excess(angle, width, power), 1e-12, 1.0, xtol=1e-15)
        return drawn(angle, width, power)
    end = 2.0
    while excess(whole, 1.0, end) < 0.0 and end < 1e4:
        end *= 2.0
    power = brentq(lambda power: excess(whole, 1.0, power), power, end, xtol=1e-15)
    return drawn(whole, 1.0, power)


@dataclass(frozen=True, eq=False)
class ChainMotion(Motion):
    """Chains in time, each a piece: those of the first energy come first.

    Attributes
    ----------
    density : float
    energies : tuple of float
        Per site.
    sites, chains : int
        Of a chain, and how many chains have each energy.
    time_step : float
    steps_between : int
        Time steps from one observation to the next.
    observations : int
    """

    what: ClassVar[str] = "following chains"

    density: float
    energies: tuple[float, ...]
    sites: int
    chains: int
    time_step: float
    steps_between: int
    observations: int

    @property
    def pieces(self) -> int:
        return len(self.energies) * self.chains

    @property
    def steps(self) -> int:
        return self.observations

    @property
    def moves_per_step(self) -> int:
        return MOVES_PER_STEP * self.sites * self.steps_between

    @property
    def bytes_per_step(self) -> int:
        return 4 * self.sites + 32

    def begin(self, piece: int, seed: np.random.SeedSequence) -> Chain:
        which, chain = divmod(piece, self.chains)
        generator = np.random.Generator(np.random.PCG64(seed))
        energy, correlated = self.energies[which], (chain + 0.5) / self.chains
        power = generator.random()
        psi = draw_chain(self.density, energy, self.sites, generator, correlated, power)
        return Chain(psi, self, energy)


class Chain:
    """One chain on its way; a `thermo.laboratory.trajectories.Trajectory`."""

    def __init__(self, psi: ComplexArray, motion: ChainMotion, energy: float) -> None:
        self._x, self._y = psi.real[None].copy(), psi.imag[None].copy()
        self._motion, self._energy = motion, energy

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        motion = self._motion
        seen = {name: np.empty((1, steps)) for name in ("energy", "density", "hopping", "force")}
        densities = np.empty((1, steps, motion.sites), dtype=np.float32)
        for step in range(steps):
            advance(self._x, self._y, motion.time_step, motion.steps_between)
            psi = self._x + 1j * self._y
            rho = np.abs(psi) ** 2
            hopping = hopping_energy(psi)
            seen["energy"][:, step] = ((rho**2).sum(axis=1) + hopping) / motion.sites
            seen["density"][:, step] = rho.mean(axis=1)
            seen["hopping"][:, step] = hopping / motion.sites
            seen["force"][:, step] = (phase_forces(psi) ** 2).mean(axis=1)
            densities[:, step] = rho
        self._check(seen["energy"])
        return seen | {"densities": densities}

    def _check(self, energies: FloatArray) -> None:
        a, time_step = self._motion.density, self._motion.time_step
        drift = float(np.abs(energies - self._energy).max())
        if not drift <= _LARGEST_DRIFT * (a * a + 2.0 * a):
            raise NotConvergedError(
                f"time_step = {time_step:g} lets the energy per site drift by {drift:.2g} from "
                f"{self._energy:g}; accepted: a smaller step, such as {time_step / 2:g}"
            )

    def state(self) -> dict[str, np.ndarray]:
        return {"x": self._x.copy(), "y": self._y.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._x, self._y = state["x"].copy(), state["y"].copy()
