"""Onsager's point vortices: a gas whose entropy falls with energy, where like signs gather."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import as_real, checked_seed, finite_number, whole_number
from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import mean_with_error
from thermo.estimate.jackknife import block_means, jackknife
from thermo.estimate.reweighting import MultiHistogram, multi_histogram
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.measured import Measured
from thermo.laboratory.trajectories import follow
from thermo.laboratory.vortex_gas import VortexFlow, VortexGas, VortexSampling
from thermo.levels import EnergyLevels
from thermo.microcanonical import microcanonical
from thermo.paths import checked_path
from thermo.thermometry import matching_beta

__all__ = ["VortexAverages", "Vortices", "vortices"]

FloatArray = NDArray[np.float64]

_RANDOM = 100_000  # places drawn uniformly, or fewer, with at most so many …
_PAIRS = 4e8  # … pairs of vortices in all: some seconds
_CHAINS = 16  # of each β: replicas for the errors of the density of states
_SWEEPS = 10  # from one draw to the next
_FRACTIONS = (-0.9, -0.7, -0.5, -0.25, 0.0, 0.15, 0.35, 0.65)  # of the bounds of β
_SHELLS = 60  # of energy, in the density of states
_FRAMES = 200  # of the motion
_ROOM = 0.02  # between vortices, and to the wall, where they begin to move
_TOLERANCE = 1e-7
_OVERLAP = 1000.0  # effective samples at β that random places must give for β to be read from them
_BLOCKS = 4  # of a chain, for errors


@dataclass(frozen=True, eq=False)
class VortexAverages:
    r"""Canonical averages at one β, with their standard errors.

    Attributes
    ----------
    beta : float
        In 4π/ρΓ².
    energy : Measured
        In ρΓ²/4π.
    like : Measured
        Share of vortices whose nearest neighbour has their own sign.
    dipole : Measured
        ⟨\|Σ s_i z_i\|²⟩/N, in R².
    virial_beta : Measured
        β as :meth:`VortexGas.virial` reads it from the places alone.
    matched_beta : Measured or None
        The β at which P(E) e^{−βE}, with P(E) of random places, has this mean energy; None where
        too few of the random places lie there.
    places : ndarray, shape (2, N)
        x and y at the end, of the chain whose energy is then nearest to the mean.
    """

    beta: float
    energy: Measured
    like: Measured
    dipole: Measured
    virial_beta: Measured
    matched_beta: Measured | None
    places: FloatArray


@dataclass(frozen=True, eq=False)
class Vortices(Experiment):
    r"""What :func:`vortices` returns; energies in ρΓ²/4π, lengths in R, times in 4πR²/Γ.

    Attributes
    ----------
    gas : VortexGas
    points : tuple of VortexAverages
        One for each β, ascending.
    random_energy : Measured
        ⟨E⟩ of places drawn uniformly.
    most_probable : Measured
        The energy at which their P(E) is largest: β = 0.
    energy_scale : float
        σ₀, standard deviation of the energy of random places.
    shell_energy : ndarray, shape (L,)
    entropy : Measured, shape (L,)
        S(E) = ln P(E)ΔE from all runs together (error inf where one of sixteen replicas alone was).
    shell_beta : ndarray, shape (L,)
        dS/dE.
    paths : ndarray, shape (201, 2, N)
        Vortices of the lowest β moving for ``time``, energy conserved.
    time : float
    path_energy : float
    path_like : Measured
        Share of like neighbours on the way.
    energy_drift, momentum_drift : float
        Largest change of E, and of Σ s_i \|z_i\|², on the way.
    """

    name: ClassVar[str] = "vortices"

    gas: VortexGas
    points: tuple[VortexAverages, ...]
    random_energy: Measured
    most_probable: Measured
    energy_scale: float
    shell_energy: FloatArray
    entropy: Measured
    shell_beta: FloatArray
    paths: FloatArray
    time: float
    path_energy: float
    path_like: Measured
    energy_drift: float
    momentum_drift: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        unit, gas = "ρΓ²/4π", self.gas
        found = [
            Finding.of("E where P(E) is largest, β = 0", self.most_probable, unit=unit),
            Finding.of("⟨E⟩ of random places", self.random_energy, gas.mean_energy_at_random,
                       unit=unit, source="((N₊ − N₋)² − N)/4 − N"),
        ]  # fmt: skip
        for point in self.points:
            b, at = point.beta, f"at β = {point.beta:.6g}"
            found.append(Finding.of(f"β by the virial {at}", point.virial_beta, b, source="set"))
            if b and point.matched_beta is not None:
                found.append(Finding.of(f"β from P(E) {at}", point.matched_beta, b, source="set"))
            if self.gas.neighbours_differ:
                at_random = None if b else gas.like_neighbours_at_random
                found.append(Finding.of(f"like neighbours {at}", point.like, at_random,
                                        source="" if b else "any other is as near"))  # fmt: skip
            if not b:
                found.append(Finding.of(f"⟨|Σ s z|²⟩/N {at}", point.dipole, 0.5, unit="R²",
                                        source="⟨|z|²⟩ = ½"))  # fmt: skip
        if self.gas.neighbours_differ:
            at = f"moving at E = {self.path_energy:.1f}"
            found.append(Finding.of(f"like neighbours {at}", self.path_like))
        return (
            *found,
            Finding("largest drift of E", self.energy_drift, expected=0.0, unit=unit),
            Finding("largest drift of Σ s|z|²", self.momentum_drift, expected=0.0, unit="R²"),
        )


def vortices(
    plus: int = 10,
    minus: int = 10,
    beta: Sequence[float] | None = None,
    *,
    draws: int = 800,
    time: float = 0.1,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Vortices:
    r"""Point vortices in a disk at β of both signs, and moving at constant energy.

    The phase space of vortices is the disk itself (:class:`VortexGas`). Its volume is finite while
    the energy reaches from −∞ (opposite signs close together, or a vortex and its image) to +∞
    (like signs close together; one vortex of each sign has at most −1 or so), so that P(E) of
    random places has a maximum. Left of it β = d ln P/dE > 0, and vortices pair with
    the other sign; right of it β < 0, and vortices of one sign gather in large clusters (Onsager).

    Parameters
    ----------
    plus, minus : int
        Vortices of each sign, at most 100, together at least 2.
    beta : sequence of float, optional
        In 4π/ρΓ², each sampled once and within ``VortexGas.beta_bounds``; default: eight values
        spread over them.
    draws : int
        Kept from each of 16 chains per β, 10 sweeps apart, after a quarter as many at the start.
    time : float
        In 4πR²/Γ: how long vortices of the lowest (hottest) β move. Of the sixteen chains that
        of most energy is followed, if no two vortices are nearer than R/50 (otherwise that with the
        most room): close pairs turn as fast as 1/distance².
    seed, threads, executor, progress, checkpoint
        As in `thermo.simulate`.

    Returns
    -------
    Vortices

    Raises
    ------
    InvalidInputError
        Numbers out of range, a β without an equilibrium, or so far from the next one (or from 0)
        that their energies do not overlap.
    NotConvergedError
        Two vortices came too close to be followed in time.
    CheckpointError
        As in `thermo.simulate`.

    Notes
    -----
    Canonical averages near the limits of β converge badly: at −2/N₊ all vortices of one sign fall
    into one point, and the tail of P(E)e^{−βE} that tells of it is rarely visited. The thermometers
    are exact for the canonical ensemble; for an isolated gas they are right to order 1/N. The flow
    is not known to be ergodic, and it conserves Σ s\|z\|² as well as E: averages over one path are
    its own.

    References
    ----------
    L. Onsager, Nuovo Cimento 6 (suppl. 2), 279 (1949); G. Joyce, D. Montgomery, J. Plasma Phys. 10,
    107 (1973); T. Simula, M. J. Davis, K. Helmerson, Phys. Rev. Lett. 113, 165302 (2014).

    Examples
    --------
    >>> found = vortices(4, 4, (-0.2, 0.0, 0.2), draws=50, time=0.01)
    >>> hot, random, cold = (float(point.like.value) for point in found.points)
    >>> hot > random > cold
    True
    """
    gas, betas = _checked(plus, minus, beta)
    draws = whole_number(draws, "draws", 20, most=10**6)
    duration = finite_number(time, "time", positive=True)
    seed = checked_seed(seed)
    kept = None if checkpoint is None else checked_path(checkpoint, "checkpoint")
    before = -(-draws // 4)
    sampling = VortexSampling(gas.plus, gas.minus, betas, _CHAINS, before + draws, _SWEEPS)
    series = follow(
        sampling,
        seed=seed,
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=kept and kept / "sampling",
    )
    split = {
        name: values.reshape(len(betas), _CHAINS, *values.shape[1:])
        for name, values in series.items()
    }
    late = {name: values[:, :, before:] for name, values in split.items()}
    start = _start(gas, split["places"][0, :, -1])
    motion = VortexFlow(
        gas.plus, gas.minus, start[None, None], duration / _FRAMES, _FRAMES, _TOLERANCE
    )
    moving = follow(
        motion,
        seed=seed,
        threads=1,  # it is one path
        progress=progress,
        checkpoint=kept and kept / "flow",
    )

    random = _at_random(gas, seed)
    counts, middle = _around_top(random)
    top = jackknife(lambda of: _top(of, middle), counts)
    levels = EnergyLevels(random.ravel())
    arch = _arch(np.array([0.0, *betas]), [random, *late["energy"]])
    shells = microcanonical(arch.levels)
    path = np.concatenate([start[None], moving["places"][0]])
    momentum = (path**2).sum(axis=1) @ gas.signs
    start_energy = float(gas.energy(start[:1], start[1:])[0])
    return Vortices(
        gas=gas,
        points=tuple(
            _averages(gas, b, {name: values[k] for name, values in late.items()}, levels)
            for k, b in enumerate(betas)
        ),
        random_energy=_mean(random),
        most_probable=Measured(*top),
        energy_scale=float(random.std()),
        shell_energy=shells.energy,
        entropy=Measured(shells.entropy, arch.stderr),
        shell_beta=shells.beta_boltzmann,
        paths=path,
        time=duration,
        path_energy=start_energy,
        path_like=_mean(moving["like"]),
        energy_drift=float(np.abs(moving["energy"] - start_energy).max()),
        momentum_drift=float(np.abs(momentum - momentum[0]).max()),
    )


def _checked(
    plus: int, minus: int, beta: Sequence[float] | None
) -> tuple[VortexGas, tuple[float, ...]]:
    gas = VortexGas(plus, minus)
    if gas.plus + gas.minus < 2:
        raise InvalidInputError(
            f"plus = {plus} and minus = {minus} were given; accepted: two vortices or more"
        )
    if beta is None:
        low, high = gas.beta_bounds
        low = max(low, -1.0)
        return gas, tuple(f * high if f >= 0.0 else -f * low for f in _FRACTIONS)
    asked = as_real(beta, "beta")
    if asked.ndim != 1 or asked.size == 0:
        raise InvalidInputError(f"beta = {beta} was given; accepted: one or more numbers")
    return gas, tuple(sorted({gas.check_beta(float(b)) for b in asked}))


def _at_random(gas: VortexGas, seed: int) -> FloatArray:
    """Energies of random places, (16, draws)."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(1, 0))))
    draws = int(min(_RANDOM, _PAIRS / len(gas.signs) ** 2)) // _CHAINS
    return np.array([gas.energy(*gas.random_places(draws, generator)) for _ in range(_CHAINS)])


def _start(gas: VortexGas, places: FloatArray) -> FloatArray:
    """Of configurations (rows, 2, N) the one of most energy that has room, or of most room."""
    z = places[:, 0] + 1j * places[:, 1]
    apart = np.abs(z[:, :, None] - z[:, None, :]) + 4.0 * np.eye(z.shape[1])
    room = np.minimum(apart.min(axis=(1, 2)), 1.0 - np.abs(z).max(axis=1))
    energy = np.where(room > _ROOM, gas.energy(places[:, 0], places[:, 1]), -np.inf)
    return np.asarray(places[energy.argmax() if room.max() > _ROOM else room.argmax()])


def _around_top(random: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Counts of each chain in shells where P(E) is at least 0.7 of its top, and their middles."""
    counts, edges = np.histogram(random, bins=60, range=tuple(np.quantile(random, (0.01, 0.99))))
    smooth = np.convolve(counts, np.full(5, 0.2), "same")
    low = smooth < 0.7 * smooth.max()
    before, after = low[: smooth.argmax()], low[smooth.argmax() :]
    first = len(before) - before[::-1].argmax() if before.any() else 0
    last = len(before) + after.argmax() if after.any() else len(counts)
    around = np.linspace(edges[first], edges[last], 25)
    seen = np.array([np.histogram(chain, around)[0] for chain in random], dtype=np.float64)
    return seen, 0.5 * (around[1:] + around[:-1])


def _top(counts: FloatArray, energy: FloatArray) -> float:
    """Where a quartic through ln counts, weighted by the counts, is largest."""
    seen = counts > 0.0
    quartic = np.polynomial.Polynomial.fit(
        energy[seen], np.log(counts[seen]), 4, w=np.sqrt(counts[seen])
    )
    fine = np.linspace(energy[0], energy[-1], 10_001)
    return float(fine[quartic(fine).argmax()])


def _arch(betas: FloatArray, energies: list[FloatArray]) -> MultiHistogram:
    """ln P(E) in shells of energy, from runs at all β; energies (16, draws) of each."""
    low = min(e.min() for e in energies)
    high = max(np.quantile(e, 0.98) for e in energies)  # what lies beyond is too rare for a slope
    edges = np.linspace(low, high, _SHELLS + 1)
    counts = [
        np.array([np.histogram(chain, edges)[0] for chain in e], dtype=np.float64) for e in energies
    ]
    return multi_histogram(
        0.5 * (edges[1:] + edges[:-1]),
        np.stack(counts, axis=1),
        betas,
        log_states=0.0,
        ess=[float(mean_with_error(e).ess) for e in energies],
    )


def _averages(
    gas: VortexGas, beta: float, seen: dict[str, np.ndarray], random: EnergyLevels
) -> VortexAverages:
    energy = _mean(seen["energy"])
    virial = jackknife(
        lambda divergence, drift: divergence / drift,
        block_means(seen["divergence"], _BLOCKS),
        block_means(seen["drift"], _BLOCKS),
    )
    return VortexAverages(
        beta=beta,
        energy=energy,
        like=_mean(seen["like"]),
        dipole=_mean(seen["dipole"] / len(gas.signs)),
        virial_beta=Measured(*virial),
        matched_beta=_matched(gas, beta, random, energy),
        places=seen["places"][np.abs(seen["energy"][:, -1] - energy.value).argmin(), -1],
    )


def _mean(series: FloatArray) -> Measured:
    found = mean_with_error(series)
    return Measured(found.mean, found.error)


def _matched(
    gas: VortexGas, beta: float, random: EnergyLevels, energy: Measured
) -> Measured | None:
    """β from the energies of random places alone: every one of them is a level with one state."""
    low, high = gas.beta_bounds
    if not low < 3.0 * beta < high:  # else no error is known
        return None
    if canonical(random, beta).participation_ratio < _OVERLAP:
        return None
    found = matching_beta(random, float(energy.value))
    there = canonical(random, found)
    variance = there.energy_variance
    error = np.sqrt(energy.error**2 + variance / there.participation_ratio) / variance
    return Measured(np.asarray(found), error)  # dE/dβ = −var
