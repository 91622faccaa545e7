"""The discrete nonlinear Schrödinger chain: two conserved quantities, and breathers at T < 0."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real, finite_number, whole_number
from thermo.errors import EnergyOutOfRangeError, EquilibrationWarning, InvalidInputError
from thermo.estimate.autocorrelation import split_rhat
from thermo.laboratory.dnls_chain import MOVES_PER_STEP, ChainMotion
from thermo.laboratory.dnls_equilibrium import (
    ChainEquilibrium,
    chain_equilibrium,
    ground_energy,
    infinite_temperature_energy,
    isolated_averages,
    matching_chain_equilibrium,
)
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.measured import Measured, derived, measured
from thermo.laboratory.trajectories import follow
from thermo.run.equilibration import RHAT_LIMIT

__all__ = ["ChainAverages", "Dnls", "dnls", "phase_beta"]

FloatArray = NDArray[np.float64]

_FRACTIONS = (1 / 6, 1 / 2)  # of the way from T = +0 to β = 0, for energies
_OBSERVATIONS = 400  # or more, so that no two are further apart than …
_MOVES_BETWEEN = 10**7  # … which take a tenth of a second
_LEFT_OUT = 20.0  # what is left out by `isolated_averages`, in 1/N of what it adds
_BINS = np.linspace(0.0, 20.0, 101)  # of ρ/a
_PICTURES = 100  # times at which the densities of one chain are kept
_ISOTHERMS = (8.0, 2.0, 0.8, 0.3, 0.1)  # βa


@dataclass(frozen=True, eq=False)
class ChainAverages:
    """What chains of one energy showed in the second half of their time.

    Attributes
    ----------
    energy : float
        h, per site.
    beta : Measured
        By the phase thermometer, :func:`phase_beta`.
    participation : Measured
        a²/⟨ρ²⟩: 1 if all sites hold the same, ½ at β = 0, 1/N if one site holds everything.
    rhat : float
        Split R̂ of the chains, by the thermometer: 1 where they agree.
    highest : Measured
        Mean of the largest density on a chain, in units of a.
    histogram : Measured, shape (100,)
        Probability density of ρ/a in the bins ``Dnls.bins``.
    densities : ndarray, shape (100, sites)
        ρ_n(t) of the first chain over its whole time, to three decimals.
    energy_drift, norm_drift : float
        The largest deviation of h from what it was, and of a, relative.
    equilibrium : ChainEquilibrium or None
        The infinite chain with this a and h; None above the line h = 2a², where it has none.
    """

    energy: float
    beta: Measured
    participation: Measured
    rhat: float
    highest: Measured
    histogram: Measured
    densities: FloatArray
    energy_drift: float
    norm_drift: float
    equilibrium: ChainEquilibrium | None

    @property
    def settled(self) -> bool:
        """Whether chains have forgotten how they began; at β = 0 they begin in equilibrium.

        True above the line h = 2a², where there is none to come to.
        """
        known = self.equilibrium
        return known is None or known.beta == 0.0 or self.rhat <= RHAT_LIMIT


@dataclass(frozen=True, eq=False)
class Dnls(Experiment):
    """What :func:`dnls` returns.

    Attributes
    ----------
    density : float
        a.
    sites, chains : int
    time, time_step : float
    points : tuple of ChainAverages
        One for each energy, as given.
    times : ndarray, shape (100,)
        Of ``densities``.
    bins : ndarray, shape (101,)
        Edges, in units of a.
    isotherm_beta : ndarray, shape (5,)
    isotherms : ndarray, shape (5, 60, 2)
        (a, h) along lines of equal β, of the infinite chain.
    """

    name: ClassVar[str] = "dnls"

    density: float
    sites: int
    chains: int
    time: float
    time_step: float
    points: tuple[ChainAverages, ...]
    times: FloatArray
    bins: FloatArray
    isotherm_beta: FloatArray
    isotherms: FloatArray

    @property
    def findings(self) -> tuple[Finding, ...]:
        found: list[Finding] = []
        for point in self.points:
            at = f"at h = {point.energy:.15g}"
            found += [
                self._compared(f"β {at}", point, point.beta, phase_beta),
                self._compared(
                    f"a²/⟨ρ²⟩ {at}", point, point.participation,
                    lambda hopping, _, h=point.energy: self.density**2 / (h - hopping),
                ),
                Finding.of(f"largest ρ/a {at}", point.highest),
            ]  # fmt: skip
        drift = max(point.energy_drift for point in self.points)
        norm = max(point.norm_drift for point in self.points)
        return (
            *found,
            Finding("largest drift of h", drift, expected=0.0, source="symplectic, 4th order"),
            Finding("largest drift of a, relative", norm, expected=0.0, source="rotations"),
        )

    def _compared(
        self, what: str, point: ChainAverages, seen: Measured, of: Callable[..., Any]
    ) -> Finding:
        """With a function of ⟨H_hop⟩ per site and ⟨(∂H/∂φ)²⟩ in equilibrium, if there is one."""
        known = point.equilibrium
        if known is None:
            return Finding.of(what, seen, source="above 2a²: no grand-canonical equilibrium")
        if not point.settled:
            return Finding.of(what, seen, source=f"not in equilibrium, split R̂ = {point.rhat:.2f}")
        isolated = float(of(*isolated_averages(known, self.sites)))
        left_out = abs(isolated - float(of(known.hopping, known.squared_force)))
        return Finding(
            what, float(seen.value), float(seen.error), isolated,
            _LEFT_OUT / self.sites * left_out, source="transfer integral, isolated ring of N",
        )  # fmt: skip


def phase_beta(hopping: ArrayLike, squared_force: ArrayLike) -> FloatArray:
    r"""β of either sign from how the phases are pulled: a thermometer for chains of rotators.

    .. math:: \beta = \frac{\langle \sum_n \partial^2 H/\partial\varphi_n^2 \rangle}
                           {\langle \sum_n (\partial H/\partial\varphi_n)^2 \rangle}
                    = -\frac{2\,\langle H_\mathrm{hop} \rangle}
                            {\langle \sum_n \dot\rho_n^2 \rangle}.

    Turning phases changes no norm, and so no chemical potential enters. It is an integration by
    parts of ∂_φ (e^{−βH−αA} ∂H/∂φ), exact for the grand-canonical chain of any length; at given
    energy and norm it is right to order 1/N. The sign of β is that of −⟨H_hop⟩.

    Parameters
    ----------
    hopping : array_like
        ⟨H_hop⟩ per site, :math:`H_\mathrm{hop} = \sum_n \psi_n^*\psi_{n+1} + c.c.`
    squared_force : array_like
        ⟨(∂H/∂φ_n)²⟩.

    Returns
    -------
    ndarray

    References
    ----------
    H. H. Rugh, J. Phys. A 31, 7761 (1998), for fields of any direction.

    Examples
    --------
    >>> float(phase_beta(-0.5, 2.0))
    0.5
    """
    return -2.0 * np.asarray(hopping) / np.asarray(squared_force)


def dnls(
    density: float = 1.0,
    energies: Sequence[float] | None = None,
    *,
    sites: int = 256,
    chains: int = 16,
    time: float = 500.0,
    time_step: float = 0.05,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Dnls:
    r"""Chains of nonlinear oscillators, cold to hotter than infinitely hot, followed in time.

    .. math::
        H = \sum_n |\psi_n|^4 + \psi_n^*\psi_{n+1} + \psi_n\psi_{n+1}^*, \qquad
        i\dot\psi_n = 2|\psi_n|^2\psi_n + \psi_{n+1} + \psi_{n-1}

    conserves the energy per site h and the norm per site a = ⟨\|ψ\|²⟩. In the plane (a, h) nothing
    lies below h = a² − 2a, which is T = +0, and β = 0 is the line h = 2a². Between them the chain
    thermalises, as the transfer integral says. Above it the phases pull the other way round, β is
    negative, and the chain sheds what energy it has too much into *breathers*: a few sites of large
    density that stay where they are.

    Parameters
    ----------
    density : float
        a > 0.
    energies : sequence of float
        h per site, above a² − 2a and up to N a²/2; default: two below the line 2a², on it and
        above, at a = 1 −0.5, 0.5, 2, 3. Each is followed once.
    sites : int
        N, even, 16 … 10⁵; a ring.
    chains : int
        Of each energy, 8 … 1000, drawn independently; errors are those of their spread.
    time : float
        How long they are followed; averages are over the second half.
    time_step : float
        Of the symplectic integrator.
    seed, threads, executor, progress, checkpoint
        As in `thermo.simulate`.

    Returns
    -------
    Dnls

    Raises
    ------
    InvalidInputError
        Numbers out of range.
    EnergyOutOfRangeError
        An energy that no chain of this density has.
    NotConvergedError
        The time step is so long that the energy drifts.
    CheckpointError
        As in `thermo.simulate`.

    Warns
    -----
    EquilibrationWarning
        Energies with an equilibrium at which chains still disagree, split R̂ > 1.05.

    Notes
    -----
    The convention is that of Iubini and others. Rasmussen and others have the bond terms alike and
    ½ν\|ψ\|⁴: with ν = 2 their h = −2a + νa²/2 and h = νa² are the lines here. Both follow:
    equal densities with alternating phases minimise both terms of H; at β = 0 the weight e^{−αA}
    leaves phases at random and densities exponential, ⟨ρ²⟩ = 2a².

    Where h > 2a² the state is long-lived, not equilibrium: the grand-canonical ensemble does not
    exist there, breathers merge ever more slowly, and β creeps towards 0 from below as one of them
    gathers the excess (Rumpf). Its β, participation and largest density depend on the time waited
    and on the beginning. Below, chains of one energy begin differently: with more or
    less long-range order, and more or less of the energy in the densities. Where they come to agree
    they have forgotten it; weakly nonlinear chains, a ≪ 1 or h near a² − 2a, take long. A breather
    may outlive the run, and so errors come from the spread of the chains: of R chains, deviations
    in units of their errors are Student's t of R − 1. An isolated ring differs from the infinite
    chain by parts of 1/N, which what is expected here takes into account (`isolated_averages`);
    parts of 1/N², about 20/N as much, are its error.

    References
    ----------
    K. Ø. Rasmussen, T. Cretegny, P. G. Kevrekidis, N. Grønbech-Jensen, Phys. Rev. Lett. 84, 3740
    (2000); B. Rumpf, Phys. Rev. E 77, 036606 (2008); S. Iubini, S. Lepri, A. Politi, Phys. Rev. E
    86, 011108 (2012).

    Examples
    --------
    >>> found = dnls(energies=(1.0, 3.0), sites=64, chains=8, time=200.0)
    >>> [bool(point.beta.value > 0) for point in found.points]
    [True, False]
    """
    motion = _checked(density, energies, sites, chains, time, time_step)
    series = follow(
        motion,
        seed=seed,
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )
    points = tuple(
        _averages(motion, h, {name: values[rows] for name, values in series.items()})
        for h, rows in (
            (h, slice(k * motion.chains, (k + 1) * motion.chains))
            for k, h in enumerate(motion.energies)
        )
    )
    restless = [point for point in points if not point.settled]
    if restless:
        warnings.warn(
            f"chains still disagree at h = {', '.join(f'{p.energy:.15g}' for p in restless)} "
            f"(largest split R̂ = {max(p.rhat for p in restless):.3g}, limit {RHAT_LIMIT}): they "
            "have not come to equilibrium, and there is nothing to compare. Give more time.",
            EquilibrationWarning,
            stacklevel=2,
        )
    between = motion.steps_between * motion.time_step
    return Dnls(
        density=motion.density,
        sites=motion.sites,
        chains=motion.chains,
        time=motion.observations * between,
        time_step=motion.time_step,
        points=points,
        times=np.asarray(between * (1.0 + _kept(motion)), dtype=np.float64),
        bins=_BINS,
        isotherm_beta=np.array(_ISOTHERMS) / motion.density,
        isotherms=np.array([_isotherm(b / motion.density, motion.density) for b in _ISOTHERMS]),
    )


def _checked(
    density: float,
    energies: Sequence[float] | None,
    sites: int,
    chains: int,
    time: float,
    time_step: float,
) -> ChainMotion:
    a = finite_number(density, "density", positive=True)
    n = whole_number(sites, "sites", 16, most=10**5)
    if n % 2:
        raise InvalidInputError(
            f"sites = {n} was given; accepted: an even number, so that phases can alternate"
        )
    replicas = whole_number(chains, "chains", 8, most=1000)
    step = finite_number(time_step, "time_step", positive=True)
    duration = finite_number(time, "time", positive=True)
    if not duration >= _OBSERVATIONS * step:
        raise InvalidInputError(
            f"time = {duration:g} with time_step = {step:g} was given; accepted: at least "
            f"{_OBSERVATIONS} steps"
        )
    low, high = ground_energy(a), infinite_temperature_energy(a)
    if energies is None:
        energies = [*((1.0 - f) * low + f * high for f in _FRACTIONS), high, 1.5 * high]
    asked = as_real(energies, "energies")
    if asked.ndim != 1 or asked.size == 0:
        raise InvalidInputError(f"energies = {energies} was given; accepted: one or more numbers")
    most = 0.5 * n * a * a
    for h in asked:
        if not low < h <= most:
            raise EnergyOutOfRangeError(
                f"energy = {h:.15g} per site was given; accepted at density {a:g} on {n} sites: "
                f"above a² − 2a = {low:g}, the ground state, where T = +0, and up to N a²/2 = "
                f"{most:g}"
            )
    observations = max(_OBSERVATIONS, -int(-duration / step * MOVES_PER_STEP * n // _MOVES_BETWEEN))
    return ChainMotion(
        density=a,
        energies=tuple(dict.fromkeys(float(h) for h in asked)),
        sites=n,
        chains=replicas,
        time_step=step,
        steps_between=max(1, round(duration / (observations * step))),
        observations=observations,
    )


def _kept(motion: ChainMotion) -> NDArray[np.int64]:
    return np.arange(1, _PICTURES + 1) * motion.observations // _PICTURES - 1


def _averages(motion: ChainMotion, h: float, seen: dict[str, np.ndarray]) -> ChainAverages:
    a, half = motion.density, motion.observations // 2
    late = {name: values[:, half:] for name, values in seen.items()}
    hopping, force = late["hopping"], late["force"]
    beta = derived(phase_beta, hopping.mean(axis=1), force.mean(axis=1))
    counted, squares, highest = [], [], []
    for densities in late["densities"]:
        rho = densities.astype(np.float64) / a
        counted.append(np.histogram(rho, _BINS)[0] / (rho.size * np.diff(_BINS)))
        squares.append((rho**2).mean())
        highest.append(rho.max(axis=-1).mean())
    known = None
    if h <= infinite_temperature_energy(a):
        known = matching_chain_equilibrium(a, h)
    return ChainAverages(
        energy=h,
        beta=beta,
        participation=derived(lambda square: 1.0 / square, np.array(squares)),
        # where β is right on average, this is 0 on average
        rhat=float(split_rhat(2.0 * hopping + beta.value * force)),
        highest=measured(np.array(highest)),
        histogram=measured(np.array(counted)),
        densities=np.round(seen["densities"][0, _kept(motion)].astype(np.float64), 3),
        energy_drift=float(np.abs(seen["energy"] - h).max()),
        norm_drift=float(np.abs(seen["density"] / a - 1.0).max()),
        equilibrium=known,
    )


def _isotherm(beta: float, density: float) -> FloatArray:
    """(a, h) along a line of equal β, for densities up to about twice the given one."""
    # α is near β(2 − 2a) where it is cold and 1/a where it is hot.
    alphas = beta * (2.0 - 5.0 * density) + np.geomspace(0.1, 80.0, 60) / density
    line = [chain_equilibrium(beta, float(alpha)) for alpha in alphas]
    return np.array([(point.density, point.energy) for point in line])
