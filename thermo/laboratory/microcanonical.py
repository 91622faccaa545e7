"""Two definitions of temperature at fixed energy, and the zeroth law, which one of them fails."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import checked_seed, one_of, whole_number
from thermo.errors import InvalidInputError
from thermo.estimate.sampled_density import SampledDensity
from thermo.laboratory.contact import block
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.shared_energy import level_of
from thermo.laboratory.zeroth_law import ZerothLaw, zeroth_law
from thermo.lattice import square
from thermo.levels import EnergyLevels
from thermo.microcanonical import microcanonical as both_definitions
from thermo.models.ising import Ising
from thermo.models.two_level import TwoLevel
from thermo.run.checks import check_workers
from thermo.run.demon import bending, demon_thermometer
from thermo.run.flat_histogram import multicanonical, wang_landau
from thermo.run.reweighting import reweighting
from thermo.thermometry import matching_beta

__all__ = ["METHODS", "TwoTemperatures", "microcanonical"]

FloatArray = NDArray[np.float64]

METHODS: dict[str, Callable[..., SampledDensity]] = {
    "reweighting": reweighting,
    "multicanonical": multicanonical,
    "wang_landau": wang_landau,
}

_GAP = 4.0  # of the spins that touch the lattice: half of what the dearest flip there costs
_MARKS = np.linspace(-1.6, 1.6, 17)  # E/N at which the sampled density is read
_DEMONS = (-1.2, -0.6, 0.0, 0.6, 1.2)  # E/N of lattices with a demon
_CONTACTS = (0.3, 0.15, 0.0, -0.15, -0.3)  # β of lattices that touch spins
_REPLICAS = 32  # of these
_CONTACT_SWEEPS, _DEMON_SWEEPS = 200, 1000


@dataclass(frozen=True, eq=False)
class TwoTemperatures(Experiment):
    """What :func:`microcanonical` returns; energies per spin of the lattice.

    Attributes
    ----------
    size : int
    method : str
        By which the density of states was sampled.
    energy, entropy, beta_boltzmann, log_beta_gibbs : ndarray, shape (L,)
        Exact, of every level: E/N, S/N, β of Boltzmann and ln β of Gibbs.
    sampled_energy : ndarray, shape (M,)
    sampled_entropy, sampled_boltzmann, sampled_log_gibbs : ndarray, shape (M,)
        Of the sampled density of states there; nan where it was not reached.
    sampled_entropy_error, sampled_boltzmann_error, sampled_log_gibbs_error : ndarray, shape (M,)
    demon_energy, demon_beta, demon_error, demon_expected : ndarray, shape (D,)
        What a demon reads at these energies, and the exact dS/dE there.
    demon_systematic : float
        The part of these errors that is no scatter: see the notes of `thermo.demon_thermometer`.
    canonical_beta : float
        At which the torus has E/N = +1 on average.
    zeroth_law : ZerothLaw
        Of the lattice (the first block) in contact with N/2 independent spins.
    """

    name: ClassVar[str] = "microcanonical"

    size: int
    method: str
    energy: FloatArray
    entropy: FloatArray
    beta_boltzmann: FloatArray
    log_beta_gibbs: FloatArray
    sampled_energy: FloatArray
    sampled_entropy: FloatArray
    sampled_entropy_error: FloatArray
    sampled_boltzmann: FloatArray
    sampled_boltzmann_error: FloatArray
    sampled_log_gibbs: FloatArray
    sampled_log_gibbs_error: FloatArray
    demon_energy: FloatArray
    demon_beta: FloatArray
    demon_error: FloatArray
    demon_expected: FloatArray
    demon_systematic: float
    canonical_beta: float
    zeroth_law: ZerothLaw

    @property
    def findings(self) -> tuple[Finding, ...]:
        n = self.size**2
        middle, up = (int(np.abs(self.energy - e).argmin()) for e in (0.0, 1.0))
        m, u = (int(np.abs(self.sampled_energy - self.energy[k]).argmin()) for k in (middle, up))
        zeroth = self.zeroth_law
        hot = int(np.argmin(zeroth.contact_beta))
        per_digit = 1.0 / math.log(10.0)
        # Half of all states lie below the middle; nearly all below E = N.
        thin = (self.entropy[up] - math.log(2.0)) * n - math.log(4.0)
        return (
            Finding("Boltzmann β at E/N = +1", float(self.beta_boltzmann[up]),
                    expected=self.canonical_beta, source="canonical; the same up to 1/N"),
            Finding("log₁₀ of the Gibbs β there", per_digit * float(self.log_beta_gibbs[up]),
                    expected=per_digit * thin, source="g(E)/(4 · 2ᴺ)"),
            Finding("Boltzmann β at E = 0", float(self.beta_boltzmann[middle]), expected=0.0,
                    source="g(−E) = g(E)"),
            Finding("Gibbs β there", math.exp(self.log_beta_gibbs[middle]),
                    expected=1.0 / math.sqrt(math.pi * n), source="2/√(2π) σ_E, σ_E² = 2N"),
            Finding("Boltzmann β at E/N = +1, sampled", float(self.sampled_boltzmann[u]),
                    float(self.sampled_boltzmann_error[u]), float(self.beta_boltzmann[up]),
                    source="exact g(E)"),
            Finding("log₁₀ of the Gibbs β there, sampled",
                    per_digit * float(self.sampled_log_gibbs[u]),
                    per_digit * float(self.sampled_log_gibbs_error[u]),
                    per_digit * float(self.log_beta_gibbs[up]), source="exact g(E)"),
            Finding("Gibbs β at E = 0, sampled", math.exp(self.sampled_log_gibbs[m]),
                    math.exp(self.sampled_log_gibbs[m]) * float(self.sampled_log_gibbs_error[m]),
                    math.exp(self.log_beta_gibbs[middle]), source="exact g(E)"),
            *(
                Finding(f"β of a demon at E/N = {e:+.2f}", float(beta), float(error), float(exact),
                        source=f"dS/dE, exact; systematic: ± {self.demon_systematic:.1g}")
                for e, beta, error, exact in zip(
                    self.demon_energy, self.demon_beta, self.demon_error, self.demon_expected,
                    strict=True,
                )
            ),
            Finding("lattice and spins in contact, T < 0: difference of Boltzmann's β",
                    float(zeroth.boltzmann_difference[hot]), float(zeroth.boltzmann_error[hot]),
                    0.0, source="zeroth law"),
            Finding("… log₁₀ of the ratio of Gibbs' β",
                    per_digit * float(zeroth.log_gibbs_difference[hot]),
                    per_digit * float(zeroth.log_gibbs_error[hot]), 0.0,
                    source="zeroth law, which it fails"),
            Finding("… the same", per_digit * float(zeroth.log_gibbs_difference[hot]),
                    per_digit * float(zeroth.log_gibbs_error[hot]),
                    per_digit * float(zeroth.log_gibbs_expected[hot]), source="exact g(E)"),
        )  # fmt: skip


def microcanonical(
    size: int = 32,
    method: str = "reweighting",
    *,
    sweeps: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> TwoTemperatures:
    r"""Compare the temperatures of Boltzmann and of Gibbs on the Ising torus.

    .. math:: \beta_B = \frac{d \ln g}{dE}, \qquad
              \beta_G = \frac{d \ln \Omega}{dE},\quad \Omega(E) = \sum_{E' \le E} g(E')

    From the exact numbers of states and from sampled ones (`thermo.density_of_states`). Where g
    grows the two are nearly the same. Where it falls, β_B is negative, and β_G is a positive number
    that is exponentially small in the number of spins. Which of them is a temperature? Two tests:

    - a thermometer: a demon, a small system that exchanges energy with the lattice, settles in the
      Boltzmann distribution of its few levels with *one* β (`thermo.demon_thermometer`);
    - the zeroth law: the lattice touches a block of another kind and size, half as many independent
      spins with a gap of 4J. All states with the same total energy are equally likely. Of two
      systems in equilibrium the β must agree. With P(E₁) ∝ g₁(E₁) g₂(E − E₁), summed by parts,

      .. math:: \Bigl\langle \frac{d \ln g_1}{dE_1} \Bigr\rangle
                    = \Bigl\langle \frac{d \ln g_2}{dE_2} \Bigr\rangle,

      so that those of Boltzmann do, but for what the sums leave at the ends of a spectrum, where
      levels are few and uneven. Those of Gibbs differ where g falls, by a factor that grows
      exponentially with N and with the distance from the top: 1 there, and for N = 32² about 10¹⁸
      at β = −0.3.

    Parameters
    ----------
    size : int
        L of the L × L torus with J = 1: even (for only then is g(−E) = g(E)), 8 … 64.
    method : {"reweighting", "multicanonical", "wang_landau"}
        How the density of states is sampled.
    sweeps : int, optional
        Of each chain or walker of it, at least 100; default: that of the method.
    seed : int
        0 … 2⁶⁴ − 1. The same arguments with the same seed give the same bits, for any `threads`,
        any `executor`, and whether or not the run was interrupted.
    threads, executor, progress, checkpoint
        As in `thermo.simulate`; the checkpoint is a folder with one for each part of the work.

    Returns
    -------
    TwoTemperatures

    Raises
    ------
    InvalidInputError
        Arguments out of range.
    CheckpointError
        As in `thermo.simulate`.

    Notes
    -----
    The demon's and the blocks' β agree with Boltzmann's up to the spacing of levels, that is 1/N.
    A demon of one lattice tells its β to less than that. Its error includes what may be left, of
    order 1/N²: of 8 × 8 most of the error, which then is larger than the scatter of seeds.

    ln β_G of the sampled density has the error of ln g there, since Ω is nearly all states: it is
    sampled as well as β_B is.

    References
    ----------
    J. Dunkel, S. Hilbert, Nature Physics 10, 67 (2014) (for Gibbs); D. Frenkel, P. B. Warren, Am.
    J. Phys. 83, 163 (2015) (the zeroth law).

    Examples
    --------
    >>> found = microcanonical(8, sweeps=1000)
    >>> top = found.energy > 0.9
    >>> bool((found.beta_boltzmann[top] < 0).all()), bool((found.log_beta_gibbs[top] < -10).all())
    (True, True)
    """
    size = whole_number(size, "size", 8, most=64)
    if size % 2:
        raise InvalidInputError(f"size = {size} was given; accepted: an even number 8 … 64")
    sample = METHODS[one_of(method, "method", tuple(METHODS))]
    of_method = {} if sweeps is None else {"sweeps": whole_number(sweeps, "sweeps", 100)}
    seed = checked_seed(seed)
    check_workers(threads, executor, None, progress)
    parts = _Parts(seed, threads, executor, progress, checkpoint)

    n = size**2
    model = Ising(square(size))
    lattice = block(model)
    exact = both_definitions(lattice.levels)
    marks = lattice.levels.energies[level_of(lattice.levels, n * _MARKS)]
    density = sample(model, **of_method, **parts.options("density", 0))
    sampled = density.estimate(lambda levels: _read(levels, marks))

    demons = [
        demon_thermometer(
            model,
            e * n,
            _DEMON_SWEEPS,
            burn_in=max(100, n // 4),  # energy has to spread over the lattice: L² sweeps
            **parts.options(f"demon-{k}", 1 + k),
        )
        for k, e in enumerate(_DEMONS)
    ]
    demon_energy = np.array([float(reading.energy.mean) for reading in demons])
    touching = (lattice, block(TwoLevel(n // 2, gap=_GAP)))
    law = zeroth_law(
        touching,
        _CONTACTS,
        _CONTACT_SWEEPS,
        replicas=_REPLICAS,
        **parts.options("contact", 1 + len(_DEMONS)),
    )
    return TwoTemperatures(
        size=size,
        method=method,
        energy=exact.energy / n,
        entropy=exact.entropy / n,
        beta_boltzmann=exact.beta_boltzmann,
        log_beta_gibbs=exact.log_beta_gibbs,
        sampled_energy=marks / n,
        sampled_entropy=sampled.value[0] / n,
        sampled_entropy_error=sampled.error[0] / n,
        sampled_boltzmann=sampled.value[1],
        sampled_boltzmann_error=sampled.error[1],
        sampled_log_gibbs=sampled.value[2],
        sampled_log_gibbs_error=sampled.error[2],
        demon_energy=demon_energy / n,
        demon_beta=np.array([reading.beta for reading in demons]),
        demon_error=np.array([reading.error for reading in demons]),
        demon_expected=np.interp(demon_energy, exact.energy, exact.beta_boltzmann),
        demon_systematic=bending(model, demons[0].demon_maximum),
        canonical_beta=float(matching_beta(lattice.levels, float(n))),
        zeroth_law=law,
    )


@dataclass(frozen=True)
class _Parts:
    """How the parts of the work are done, each with seeds and a folder of its own."""

    seed: int
    threads: int | None
    executor: Executor | None
    progress: bool
    checkpoint: str | os.PathLike[str] | None

    def options(self, name: str, number: int) -> dict[str, Any]:
        stream = np.random.SeedSequence(self.seed, spawn_key=(number,))
        folder = None if self.checkpoint is None else Path(self.checkpoint) / name
        if folder is not None:
            folder.parent.mkdir(parents=True, exist_ok=True)
        return {
            "seed": int(stream.generate_state(1, np.uint64)[0]),
            "threads": self.threads,
            "executor": self.executor,
            "progress": self.progress,
            "checkpoint": folder,
        }


def _read(levels: EnergyLevels, marks: FloatArray) -> FloatArray:
    """S, β of Boltzmann and ln β of Gibbs at some energies, nan where there is no level; (3, M)."""
    shells = both_definitions(levels)
    at = level_of(levels, marks)
    numbers = np.stack([shells.entropy, shells.beta_boltzmann, shells.log_beta_gibbs])[:, at]
    numbers[:, np.abs(levels.energies[at] - marks) > 1e-6] = np.nan
    return numbers
