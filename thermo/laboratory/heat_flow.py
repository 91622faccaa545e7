"""What energies of blocks in contact tell: heat, temperatures and entropy, beside exact numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.laboratory.contact import Block, Contact
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.measured import Measured, measured
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
    energy : Measured, shape (blocks, T)
    slope : Measured, shape (blocks, T)
        dS/dE at the energy of each block: its β.
    entropy : Measured, shape (T,)
        Of all blocks together, Σ S(E), above what it was at first.
    shared_energy, shared_slope : ndarray, shape (blocks,)
        What energies and β must become: exact means over all states with the same total energy,
        shared by all blocks.
    final_energy, final_slope : Measured, shape (blocks,)
        In the last quarter of the time in which all blocks were in contact. Errors are those of the
        difference to what they must become, replica by replica.
    entropy_gain : Measured
        Until then.
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
    entropy_gain: Measured
    entropy_gain_expected: float
    largest_fall: Measured
    passed: Measured | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        hot, cold = int(np.argmin(self.beta)), int(np.argmax(self.beta))
        # What was given is known without an error: it is that of these replicas.
        given = float(self.energy.value[hot, 0])
        shared = "g₁(E₁) g₂(E − E₁)"
        found = [
            Finding(
                f"heat that left the block of β = {self.beta[hot]:g} for β = {self.beta[cold]:g}",
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

    stretches = np.stack(
        [part.mean(axis=1) for part in np.array_split(entropies[:, : together + 1], STRETCHES, 1)]
    )
    falls = measured((stretches[:-1] - stretches[1:]).T)
    worst = int(np.argmax(falls.value / np.maximum(falls.error, 1e-300)))

    def less_exact(final: FloatArray, exact: FloatArray) -> Measured:
        """The final mean, whose error is that of what is not known exactly, in each replica."""
        return Measured(final.mean(axis=0), measured(final - exact).error)

    after = energies[:, -(together // _END) :, 0].mean(axis=1) - final_energy[:, 0]
    gain = final_entropy - entropies[:, 0]
    exact_gain = exact_entropy.sum(axis=1) - entropies[:, 0]
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
        entropy=measured(entropies - entropies[:, :1]),
        shared_energy=exact_energy.mean(axis=0),
        shared_slope=exact_slope.mean(axis=0),
        final_energy=less_exact(final_energy, exact_energy),
        final_slope=less_exact(final_slope, exact_slope),
        entropy_gain=less_exact(gain, exact_gain),
        entropy_gain_expected=float(exact_gain.mean()),
        largest_fall=falls[worst],
        passed=measured(after) if len(blocks) == 3 else None,
    )


def _rest(blocks: tuple[Block, ...], k: int, spacing: float) -> EnergyLevels:
    """Levels of all blocks but one."""
    first, *more = (one.levels for number, one in enumerate(blocks) if number != k)
    return joined_levels(first, more[0], spacing) if more else first
