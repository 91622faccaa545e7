"""What energies of blocks in contact tell: heat, temperatures and entropy, beside exact numbers."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from thermo.errors import EquilibrationWarning
from thermo.laboratory.contact import Block, Contact
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.measured import Measured, measured
from thermo.laboratory.shared_energy import joined_levels, level_of, shared_energy
from thermo.levels import EnergyLevels
from thermo.microcanonical import microcanonical
from thermo.models.ising import Ising
from thermo.models.two_level import TwoLevel
from thermo.run.equilibration import FALSE_ALARMS

__all__ = ["STRETCHES", "HeatExchange", "heat_flow"]

FloatArray = NDArray[np.float64]

STRETCHES = 20  # of the way, in which the total entropy is compared
_QUARTERS = 4  # of the time in contact; the last one is called the end
_FACTORS = 0.05, 0.9  # by which a transient shrinks in a quarter: beyond them it is lost in noise
_ROUNDING = 1e-14  # of the terms of a sum that cancel


@dataclass(frozen=True, eq=False)
class HeatExchange(Experiment):
    """What `thermo.laboratory.heat_exchange` returns; energies are of whole blocks, and means.

    Attributes
    ----------
    blocks : tuple of Ising or TwoLevel
    sites : tuple of int
        Spins of each block.
    beta : ndarray, shape (blocks,)
        At which each block was prepared.
    rate : float
    replicas : int
    time : ndarray, shape (T,)
        Sweeps since the contact.
    parted : int or None
        Of three blocks: the time at which the second one was taken away, and the others brought
        together.
    energy : Measured, shape (blocks, T)
    slope : Measured, shape (blocks, T)
        dS/dE at the energy of each block: its β, but for the lowest and the highest level, where
        it is the difference to the only neighbour (a block at β = ±inf has a finite slope).
    entropy : Measured, shape (T,)
        Of all blocks together, Σ S(E), above what it was at first.
    shared_energy, shared_slope : ndarray, shape (blocks,)
        What energies and β must become: exact means over all states with the same total energy,
        shared by all blocks.
    final_energy, final_slope : Measured, shape (blocks,)
        In the last quarter of the time in which all blocks were in contact. Errors are those of the
        difference to what they must become, replica by replica.
    drift : Measured, shape (blocks,)
        Energy in that quarter less that in the second one: 0 if the end was reached by then.
    entropy_gain : Measured
        Until then; its error, too, is that of the difference to what these starts must become.
    entropy_gain_expected : float
    largest_fall : Measured
        Of the total entropy from one twentieth of the way to the next: the fall that is largest in
        its own errors, of 19; negative if it always grew.
    passed : Measured or None
        Of three blocks: the mean energy that the first one got from the third one afterwards.
    """

    name: ClassVar[str] = "heat-exchange"

    blocks: tuple[Ising | TwoLevel, ...]
    sites: tuple[int, ...]
    beta: FloatArray
    rate: float
    replicas: int
    time: NDArray[np.int64]
    parted: int | None
    energy: Measured
    slope: Measured
    entropy: Measured
    shared_energy: FloatArray
    shared_slope: FloatArray
    final_energy: Measured
    final_slope: Measured
    drift: Measured
    entropy_gain: Measured
    entropy_gain_expected: float
    largest_fall: Measured
    passed: Measured | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        hot = int(np.argmin(self.beta))
        # What was given is known without an error: it is that of these replicas.
        given = float(self.energy.value[hot, 0])
        shared = "g₁(E₁) g₂(E − E₁), from these starts"
        found = [
            Finding(
                f"heat that left block {hot + 1}, of β = {self.beta[hot]:g}",
                given - float(self.final_energy.value[hot]),
                float(self.final_energy.error[hot]),
                given - float(self.shared_energy[hot]),
                source=shared,
            )
        ]
        if self.passed is not None:
            found.append(
                Finding.of(
                    "energy that block 1 got from block 3 afterwards",
                    self.passed,
                    0.0,
                    source="zeroth law",
                )
            )
        for k, sites in enumerate(self.sites):
            found += [
                Finding.of(
                    f"E/N of block {k + 1} at the end", self.final_energy[k].per(sites),
                    float(self.shared_energy[k]) / sites, source=shared,
                ),
                Finding.of(
                    f"β = dS/dE of block {k + 1} at the end", self.final_slope[k],
                    float(self.shared_slope[k]), source="the same for all blocks",
                ),
            ]  # fmt: skip
        found += [
            Finding.of(
                "total S gained", self.entropy_gain, self.entropy_gain_expected, unit="k",
                source=shared,
            ),
            Finding.of(
                f"largest of {STRETCHES - 1} falls of total S on the way", self.largest_fall,
                unit="k", source="none is expected beyond the noise",
            ),
        ]  # fmt: skip
        return tuple(found)


def heat_flow(
    systems: tuple[Ising | TwoLevel, ...],
    blocks: tuple[Block, ...],
    betas: FloatArray,
    contact: Contact,
    energies: FloatArray,
) -> HeatExchange:
    """Say what energies of blocks in contact tell, and what exact numbers of states say of them.

    Parameters
    ----------
    systems, blocks : tuple
        As they were given, and with their exact levels.
    betas : ndarray, shape (blocks,)
        At which they were prepared.
    contact : Contact
        In which they were; of three blocks in two stages.
    energies : ndarray, shape (replicas, T, blocks)
        At first, and after each sweep.

    Returns
    -------
    HeatExchange

    Warns
    -----
    EquilibrationWarning
        Energies in the second quarter of the time in contact are not yet those at its end.
    """
    shells = [microcanonical(one.levels) for one in blocks]
    places = [level_of(one.levels, energies[..., k]) for k, one in enumerate(blocks)]
    slopes = np.stack(
        [of.beta_boltzmann[at] for of, at in zip(shells, places, strict=True)], axis=-1
    )
    entropies = np.sum([of.entropy[at] for of, at in zip(shells, places, strict=True)], axis=0)

    together = contact.lengths[0]
    quarters = np.array_split(np.arange(1, together + 1), _QUARTERS)
    end = quarters[-1]
    drift = _drift(
        np.stack([energies[:, part].mean(axis=1) for part in quarters], axis=1), contact.lengths[-1]
    )
    totals = energies[:, 0].sum(axis=-1)
    exact_energy, exact_slope, exact_entropy = np.empty((3, *energies[:, 0].shape))
    for k, (one, of) in enumerate(zip(blocks, shells, strict=True)):
        rest = _rest(blocks, k, contact.spacing)
        shares = {total: shared_energy(one.levels, rest, total) for total in np.unique(totals)}
        p = np.stack([shares[total] for total in totals])
        exact_energy[:, k] = _mean(p, of.energy)
        exact_slope[:, k] = _mean(p, of.beta_boltzmann)
        exact_entropy[:, k] = _mean(p, of.entropy)
    gained = entropies - entropies[:, :1]
    exact_gain = exact_entropy.sum(axis=1) - entropies[:, 0]

    stretches = np.stack(
        [part.mean(axis=1) for part in np.array_split(gained[:, : together + 1], STRETCHES, 1)]
    )
    falls = measured((stretches[:-1] - stretches[1:]).T)
    worst = int(np.argmax(falls.value / np.maximum(falls.error, 1e-300)))

    def at_the_end(series: FloatArray, exact: FloatArray) -> Measured:
        """The final mean, whose error is that of what is not known exactly, in each replica."""
        unknown = measured((series[:, end] - exact[:, None]).mean(axis=1))
        return Measured(exact.mean(axis=0) + unknown.value, unknown.error)

    first = energies[..., 0]
    after = first[:, -len(end) :].mean(axis=1) - first[:, end].mean(axis=1)
    return HeatExchange(
        blocks=systems,
        sites=tuple(one.sites for one in blocks),
        beta=betas,
        rate=contact.rate,
        replicas=len(energies),
        time=np.arange(energies.shape[1]),
        parted=together if len(blocks) == 3 else None,
        energy=measured(energies.swapaxes(1, 2)),
        slope=measured(slopes.swapaxes(1, 2)),
        entropy=measured(gained),
        shared_energy=exact_energy.mean(axis=0),
        shared_slope=exact_slope.mean(axis=0),
        final_energy=at_the_end(energies, exact_energy),
        final_slope=at_the_end(slopes, exact_slope),
        drift=drift,
        entropy_gain=at_the_end(gained, exact_gain),
        entropy_gain_expected=float(exact_gain.mean()),
        largest_fall=falls[worst],
        passed=measured(after) if len(blocks) == 3 else None,
    )


def _rest(blocks: tuple[Block, ...], k: int, spacing: float) -> EnergyLevels:
    """Levels of all blocks but one."""
    first, *more = (one.levels for number, one in enumerate(blocks) if number != k)
    return joined_levels(first, more[0], spacing) if more else first


def _mean(p: FloatArray, values: FloatArray) -> FloatArray:
    """Σ p·values of each row; 0 where terms of both signs cancel but for rounding."""
    mean = p @ values
    return np.where(np.abs(mean) < _ROUNDING * (p @ np.abs(values)), 0.0, mean)


def _drift(quarters: FloatArray, sweeps: int) -> Measured:
    """Energies in the last quarter less those in the second one; warn where that is certain.

    quarters: (replicas, 4, blocks). The third one would see less: what is left of a transient there
    is hardly more than what is left in the last one.
    """
    drift = measured(quarters[:, 3] - quarters[:, 1])
    replicas, _, blocks = quarters.shape
    limit = stdtrit(replicas - 1, 1.0 - 0.5 * FALSE_ALARMS / blocks)
    worst = int(np.argmax(np.abs(drift.value) - limit * drift.error))
    change, error = abs(float(drift.value[worst])), float(drift.error[worst])
    if change > limit * error:
        before, last = np.abs(np.diff(quarters[:, 1:, worst].mean(axis=0)))
        needed = sweeps * _times_as_long(change, error, float(last / before) if before else 1.0)
        warnings.warn(
            f"the energy of block {worst + 1} was still on its way in the middle of the contact: "
            f"from its second quarter to the last one it changed by {change:.3g} ± {error:.2g}, so "
            "that the blocks may not have come to equilibrium in the end. Give more sweeps: at "
            f"least {100 * math.ceil(needed / 100)}, as far as these tell.",
            EquilibrationWarning,
            stacklevel=4,
        )
    return drift


def _times_as_long(change: float, error: float, factor: float) -> float:
    """By how much the time in contact must grow, for the second quarter to be at the end.

    What is left to go shrinks by `factor` from quarter to quarter, as the changes do. The middle of
    the second quarter, which lies at 3/8 of the time, must come so many quarters later.
    """
    factor = min(max(factor, _FACTORS[0]), _FACTORS[1])
    left = change / (1.0 - factor**2)
    quarters = math.log(left / error) / -math.log(factor) if error else 1.0
    return 1.0 + quarters * (2.0 / 3.0)
