"""Two blocks in equilibrium with each other: which definition of temperature do they agree in?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.laboratory.contact import Block, Contact, canonical_spins
from thermo.laboratory.measured import measured
from thermo.laboratory.shared_energy import joined_levels, level_of, shared_energy
from thermo.laboratory.trajectories import follow
from thermo.microcanonical import Microcanonical, microcanonical

__all__ = ["ZerothLaw", "zeroth_law"]

FloatArray = NDArray[np.float64]

_TOTALS = 65  # at which exact means are shown
_END = 0.1  # of the spectrum at either end is left out there
_RATE = 0.5  # share of spins flipped together that may lie in two blocks


@dataclass(frozen=True, eq=False)
class ZerothLaw:
    """What :func:`zeroth_law` returns; energies of both blocks together.

    Attributes
    ----------
    total : ndarray, shape (T,)
    boltzmann, log_gibbs : ndarray, shape (2, T)
        Exact means of β of Boltzmann and of ln β of Gibbs, of both blocks, at these totals.
    contact_beta, contact_total : ndarray, shape (C,)
        Of what was sampled: β at the beginning, and the mean total.
    boltzmann_difference, boltzmann_error : ndarray, shape (C,)
        β of Boltzmann of the first block less that of the second one, sampled.
    log_gibbs_difference, log_gibbs_error, log_gibbs_expected : ndarray, shape (C,)
        ln β of Gibbs of the first block less that of the second one: sampled, and exact.
    """

    total: FloatArray
    boltzmann: FloatArray
    log_gibbs: FloatArray
    contact_beta: FloatArray
    contact_total: FloatArray
    boltzmann_difference: FloatArray
    boltzmann_error: FloatArray
    log_gibbs_difference: FloatArray
    log_gibbs_error: FloatArray
    log_gibbs_expected: FloatArray


def zeroth_law(
    blocks: tuple[Block, Block],
    beta: ArrayLike,
    sweeps: int,
    *,
    replicas: int,
    seed: int,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> ZerothLaw:
    r"""Compare both microcanonical β of two blocks in contact, exactly and sampled.

    All states of the same total energy are equally likely, :math:`P(E_1) \propto g_1(E_1)\,
    g_2(E - E_1)`, and summed by parts

    .. math:: \Bigl\langle \frac{d \ln g_1}{dE_1} \Bigr\rangle
                  = \Bigl\langle \frac{d \ln g_2}{dE_2} \Bigr\rangle :

    Boltzmann's β agree, up to the terms that summation leaves at the ends of the spectra (which is
    why a tenth of the total energies at either end is not in `ZerothLaw.total`). Nothing of the
    kind holds for d ln Ω/dE.

    Parameters
    ----------
    blocks : tuple of two Block
        From `thermo.laboratory.contact.blocks_that_can_exchange`.
    beta : array_like, shape (C,)
        At which both blocks are prepared. Both together are then in equilibrium from the start.
    sweeps, replicas : int
    seed, threads, executor, progress, checkpoint
        As in `thermo.simulate`.

    Returns
    -------
    ZerothLaw

    Examples
    --------
    >>> from thermo import Ising, TwoLevel
    >>> from thermo.laboratory.contact import blocks_that_can_exchange
    >>> from thermo.lattice import square
    >>> blocks = blocks_that_can_exchange([Ising(square(8)), TwoLevel(32, gap=4.0)])
    >>> found = zeroth_law(blocks, [-0.3], 50, replicas=8, seed=1)
    >>> bool(np.median(np.ptp(found.boltzmann, axis=0)) < 0.001)
    True
    >>> bool(np.ptp(found.log_gibbs, axis=0).max() > 4.0)
    True
    """
    both = [microcanonical(one.levels) for one in blocks]
    betas = np.asarray(beta, dtype=np.float64)
    contacts = []
    for k, b in enumerate(betas.tolist()):
        seeds = np.random.SeedSequence(seed, spawn_key=(2**31 + k,)).spawn(3)
        begun = [
            canonical_spins(one, b, replicas, own, threads)
            for one, own in zip(blocks, seeds, strict=False)
        ]
        contact = Contact(
            models=tuple(one.model for one in blocks),
            spins=np.concatenate(begun, axis=1),
            rate=_RATE,
            lengths=(sweeps,),
            touching=np.ones((1, 2, 2), dtype=bool),
        )
        energies = follow(
            contact,
            seed=int(seeds[2].generate_state(1, np.uint64)[0]),
            threads=threads,
            executor=executor,
            progress=progress,
            checkpoint=None if checkpoint is None else _folder(checkpoint, f"contact-{k}"),
        )["energy"]
        contacts.append(_differences(blocks, both, energies))
    totals, difference, error, expected = map(np.array, zip(*contacts, strict=True))

    levels = joined_levels(blocks[0].levels, blocks[1].levels, contact.spacing).energies
    low, high = levels[0] + _END * np.ptp(levels), levels[-1] - _END * np.ptp(levels)
    shown = levels[np.unique(np.searchsorted(levels, np.linspace(low, high, _TOTALS)))]
    means = np.array([_means(blocks, both, total) for total in shown.tolist()])
    return ZerothLaw(
        total=shown,
        boltzmann=means[:, 0].T,
        log_gibbs=means[:, 1].T,
        contact_beta=betas,
        contact_total=totals,
        boltzmann_difference=difference[:, 0],
        boltzmann_error=error[:, 0],
        log_gibbs_difference=difference[:, 1],
        log_gibbs_error=error[:, 1],
        log_gibbs_expected=expected[:, 1],
    )


def _means(blocks: Sequence[Block], both: Sequence[Microcanonical], total: float) -> FloatArray:
    """Exact means at one total energy, (β of Boltzmann, ln β of Gibbs) of both blocks; (2, 2)."""
    one, two = blocks[0].levels, blocks[1].levels
    shares = shared_energy(one, two, total), shared_energy(two, one, total)
    pairs = list(zip(shares, both, strict=True))
    return np.array(
        [
            [p @ shells.beta_boltzmann for p, shells in pairs],
            [p @ shells.log_beta_gibbs for p, shells in pairs],
        ]
    )


def _differences(
    blocks: Sequence[Block], both: Sequence[Microcanonical], energies: FloatArray
) -> tuple[float, FloatArray, FloatArray, FloatArray]:
    """Mean total, and differences of (β of Boltzmann, ln β of Gibbs): sampled, error, exact.

    Replicas are independent, and of each the exact difference at its own total energy is known: the
    error is that of what is left.
    """
    totals = energies[:, 0].sum(axis=-1)
    known = {total: _means(blocks, both, total) @ [1.0, -1.0] for total in np.unique(totals)}
    exact = np.array([known[total] for total in totals])
    places = [level_of(one.levels, energies[..., k]) for k, one in enumerate(blocks)]
    first, second = (
        np.stack([shells.beta_boltzmann[at], shells.log_beta_gibbs[at]], axis=-1)
        for shells, at in zip(both, places, strict=True)
    )
    sampled = (first - second).mean(axis=1)
    error = measured(sampled - exact).error
    return float(totals.mean()), sampled.mean(axis=0), error, exact.mean(axis=0)


def _folder(checkpoint: str | os.PathLike[str], name: str) -> Path:
    """A folder of its own for one run."""
    Path(checkpoint).mkdir(parents=True, exist_ok=True)
    return Path(checkpoint) / name
