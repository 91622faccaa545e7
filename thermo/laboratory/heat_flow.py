"""What energies of blocks in contact tell: heat, temperatures and entropy, beside exact numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.laboratory.contact import Block, Contact
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.shared_energy import joined_levels, level_of, shared_energy
from thermo.levels import EnergyLevels
from thermo.microcanonical import microcanonical
from thermo.models.ising import Ising
from thermo.models.two_level import TwoLevel

__all__ = ["STRETCHES", "HeatExchange", "heat_flow"]

FloatArray = NDArray[np.float64]

STRETCHES = 20  # of the way, in which the total entropy is compared
_END = 4  # what is called the end of a stage: its last quarter


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
    energy, energy_error : ndarray, shape (blocks, T)
    slope, slope_error : ndarray, shape (blocks, T)
        dS/dE at the energy of each block: its β.
    entropy, entropy_error : ndarray, shape (T,)
        Of all blocks together, Σ S(E), above what it was at first.
    shared_energy, shared_slope : ndarray, shape (blocks,)
        What energies and β must become: exact means over all states with the same total energy,
        shared by all blocks.
    final_energy, final_energy_error, final_slope, final_slope_error : ndarray, shape (blocks,)
        In the last quarter of the time in which all blocks were in contact. Errors are those of the
        difference to what they must become, replica by replica.
    entropy_gain, entropy_gain_error, entropy_gain_expected : float
        Until then.
    largest_fall, largest_fall_error : float
        Of the total entropy from one twentieth of the way to the next: the fall that is largest in
        its own errors, of 19; negative if it always grew.
    passed, passed_error : float or None
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
    energy: FloatArray
    energy_error: FloatArray
    slope: FloatArray
    slope_error: FloatArray
    entropy: FloatArray
    entropy_error: FloatArray
    shared_energy: FloatArray
    shared_slope: FloatArray
    final_energy: FloatArray
    final_energy_error: FloatArray
    final_slope: FloatArray
    final_slope_error: FloatArray
    entropy_gain: float
    entropy_gain_error: float
    entropy_gain_expected: float
    largest_fall: float
    largest_fall_error: float
    passed: float | None
    passed_error: float | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        hot, cold = int(np.argmin(self.beta)), int(np.argmax(self.beta))
        given = self.energy[:, 0]
        # What was given is known without an error: it is that of these replicas.
        heat = (
            Finding(
                f"heat that left the block of β = {self.beta[hot]:g} for β = {self.beta[cold]:g}",
                float(given[hot] - self.final_energy[hot]),
                float(self.final_energy_error[hot]),
                float(given[hot] - self.shared_energy[hot]),
                source="g₁(E₁) g₂(E − E₁)",
            ),
        )
        final = tuple(
            finding
            for k in range(len(self.blocks))
            for finding in (
                Finding(
                    f"E/N of block {k + 1} at the end",
                    float(self.final_energy[k]) / self.sites[k],
                    float(self.final_energy_error[k]) / self.sites[k],
                    float(self.shared_energy[k]) / self.sites[k],
                    source="g₁(E₁) g₂(E − E₁)",
                ),
                Finding(
                    f"β = dS/dE of block {k + 1} at the end",
                    float(self.final_slope[k]),
                    float(self.final_slope_error[k]),
                    float(self.shared_slope[k]),
                    source="the same for all blocks",
                ),
            )
        )
        entropy = (
            Finding(
                "total S gained", self.entropy_gain, self.entropy_gain_error,
                self.entropy_gain_expected, unit="k", source="g₁(E₁) g₂(E − E₁)",
            ),
            Finding(
                f"largest of {STRETCHES - 1} falls of total S on the way", self.largest_fall,
                self.largest_fall_error, unit="k", source="none is expected beyond the noise",
            ),
        )  # fmt: skip
        if self.passed is None or self.passed_error is None:
            return heat + final + entropy
        zeroth = Finding(
            "energy that block 1 got from block 3 afterwards", self.passed, self.passed_error, 0.0,
            source="zeroth law",
        )  # fmt: skip
        return (*heat, zeroth, *final, *entropy)


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
    """
    shells = [microcanonical(one.levels) for one in blocks]
    places = [level_of(one.levels, energies[..., k]) for k, one in enumerate(blocks)]
    slopes = np.stack(
        [of.beta_boltzmann[at] for of, at in zip(shells, places, strict=True)], axis=-1
    )
    entropies = np.sum([of.entropy[at] for of, at in zip(shells, places, strict=True)], axis=0)

    together = contact.lengths[0]
    end = slice(together + 1 - together // _END, together + 1)
    totals = energies[:, 0].sum(axis=-1)
    exact_energy, exact_slope, exact_entropy = np.empty((3, *energies[:, 0].shape))
    for k, (one, of) in enumerate(zip(blocks, shells, strict=True)):
        rest = _rest(blocks, k, contact.spacing)
        shares = {total: shared_energy(one.levels, rest, total) for total in np.unique(totals)}
        p = np.stack([shares[total] for total in totals])
        exact_energy[:, k] = p @ of.energy
        exact_slope[:, k] = p @ of.beta_boltzmann
        exact_entropy[:, k] = p @ of.entropy
    final_energy = energies[:, end].mean(axis=1)
    final_slope = slopes[:, end].mean(axis=1)
    final_entropy = entropies[:, end].mean(axis=1)
    gained = entropies - entropies[:, :1]

    stretches = np.stack(
        [part.mean(axis=1) for part in np.array_split(entropies[:, : together + 1], STRETCHES, 1)]
    )
    falls = stretches[:-1] - stretches[1:]
    fall, fall_error = falls.mean(axis=1), _error(falls.T)
    worst = int(np.argmax(fall / np.maximum(fall_error, 1e-300)))

    passed = passed_error = None
    if len(blocks) == 3:
        after = energies[:, -(together // _END) :, 0].mean(axis=1) - final_energy[:, 0]
        passed, passed_error = float(after.mean()), float(_error(after))
    return HeatExchange(
        blocks=systems,
        sites=tuple(one.sites for one in blocks),
        beta=betas,
        rate=contact.rate,
        replicas=len(energies),
        time=np.arange(energies.shape[1]),
        parted=together if len(blocks) == 3 else None,
        energy=energies.mean(axis=0).T,
        energy_error=_error(energies).T,
        slope=slopes.mean(axis=0).T,
        slope_error=_error(slopes).T,
        entropy=gained.mean(axis=0),
        entropy_error=_error(gained),
        shared_energy=exact_energy.mean(axis=0),
        shared_slope=exact_slope.mean(axis=0),
        final_energy=final_energy.mean(axis=0),
        final_energy_error=_error(final_energy - exact_energy),
        final_slope=final_slope.mean(axis=0),
        final_slope_error=_error(final_slope - exact_slope),
        entropy_gain=float((final_entropy - entropies[:, 0]).mean()),
        entropy_gain_error=float(_error(final_entropy - exact_entropy.sum(axis=1))),
        entropy_gain_expected=float((exact_entropy.sum(axis=1) - entropies[:, 0]).mean()),
        largest_fall=float(fall[worst]),
        largest_fall_error=float(fall_error[worst]),
        passed=passed,
        passed_error=passed_error,
    )


def _rest(blocks: tuple[Block, ...], k: int, spacing: float) -> EnergyLevels:
    """Levels of all blocks but one."""
    first, *more = (one.levels for number, one in enumerate(blocks) if number != k)
    return joined_levels(first, more[0], spacing) if more else first


def _error(values: FloatArray) -> FloatArray:
    """Standard error of the mean over independent replicas, the first axis."""
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))
