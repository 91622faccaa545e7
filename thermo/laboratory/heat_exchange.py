"""Heat between blocks of any β: from smaller to larger β, until both are the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import checked_seed, finite_number, shown, whole_number
from thermo.errors import InvalidInputError
from thermo.laboratory.contact import Block, Contact, blocks_that_can_exchange, canonical_spins
from thermo.laboratory.heat_flow import STRETCHES, HeatExchange, heat_flow
from thermo.laboratory.trajectories import follow
from thermo.lattice import square
from thermo.models.ising import Ising
from thermo.models.two_level import TwoLevel
from thermo.run.checks import check_workers
from thermo.temperature import as_beta

__all__ = ["HeatExchange", "heat_exchange"]

FloatArray = NDArray[np.float64]

_PREPARATION = 2**31  # spawn keys of the blocks' beginnings, apart from those of the trajectories


def heat_exchange(
    blocks: Sequence[Ising | TwoLevel] | None = None,
    beta: ArrayLike = (-0.3, 0.3),
    *,
    sweeps: int = 1000,
    rate: float = 0.1,
    replicas: int = 64,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> HeatExchange:
    r"""Bring blocks of any β into contact, and watch their energies, β and entropy.

    Each block is prepared at its own β. From then on they are isolated from everything but one
    another: one, two or three spins are flipped, within a block or across the contact, and only
    where the total energy stays the same to the last digit
    (`thermo.laboratory.contact.Contact`). With S(E) = ln g(E) from the exact numbers of states,

    .. math:: dS = \Bigl(\frac{dS_2}{dE_2} - \frac{dS_1}{dE_1}\Bigr) dQ
                 = (\beta_2 - \beta_1)\, dQ \ge 0,

    with dQ the energy that goes from block 1 to block 2: it is positive if β₁ < β₂, whatever their
    signs. A block of negative β is hotter than any of positive β. It ends where both slopes agree;
    two equal blocks with Z(−β) = Z(β) that begin at ±β end at β = 0.

    Three blocks: first both others touch the second one; energy goes from the first to the third
    through it, which takes longer. Then it is taken away, and the first touches the third. Both
    were in equilibrium with the second one; so they are with each other (the zeroth law).

    Parameters
    ----------
    blocks : sequence of 2 or 3 Ising or TwoLevel, optional
        See `thermo.laboratory.contact.block`; default: for each β a 32 × 32 torus with J = 1.
    beta : array_like, shape (blocks,)
        Of either sign, 0 or ±inf, in 1/energy.
    sweeps : int
        After the contact, at least 40; of three blocks twice as many, and once as many without the
        second block. A sweep attempts as many moves as there are spins in all.
    rate : float
        Share of spins flipped together that may lie in two blocks, above 0, at most 1. If it is
        small, each block keeps to its own equilibrium while the energy goes over.
    replicas : int
        Independent copies of everything, at least 8.
    seed : int
        0 … 2⁶⁴ − 1. The same arguments with the same seed give the same bits, for any `threads`,
        any `executor`, and whether or not the run was interrupted.
    threads, executor, progress, checkpoint
        As in `thermo.simulate`. The preparation is short, and made again by a run that goes on.

    Returns
    -------
    HeatExchange

    Raises
    ------
    InvalidInputError
        Numbers out of range; blocks whose exact levels are not known, or that cannot exchange
        energy.
    CheckpointError
        As in `thermo.simulate`.

    Warns
    -----
    EquilibrationWarning
        Too few sweeps: the energies of the second quarter are not those of the last
        (`HeatExchange.drift`; of a right run so once in 10 000 times). What changes in much longer
        times than the run shows nowhere. The preparation warns as `thermo.simulate` does.
    CheckpointWarning, WorkerWarning
        As in `thermo.simulate`.

    Notes
    -----
    The blocks are correlated by nothing but their total energy, and their entropies add up. During
    the flow the sum Σ S(E) grows on average; single replicas fluctuate about it by about 1.

    Small ordered lattices do not turn over at the very ends of the spectrum, where no flips are
    cheap enough. Their energies do not know of that.

    Not for blocks that are ordered at β and must pass a first-order transition.

    References
    ----------
    N. F. Ramsey, Phys. Rev. 103, 20 (1956).

    Examples
    --------
    A lattice at T = −5 and independent spins at T = 2.5:

    >>> from thermo import Ising, TwoLevel
    >>> from thermo.lattice import square
    >>> found = heat_exchange(
    ...     [Ising(square(8)), TwoLevel(32, gap=4.0)], [-0.2, 0.4], sweeps=200, replicas=32
    ... )
    >>> bool(found.energy.value[0, -1] < found.energy.value[0, 0])
    True
    """
    betas = np.atleast_1d(as_beta(beta))
    if betas.shape not in ((2,), (3,)):
        raise InvalidInputError(
            f"beta of shape {betas.shape} was given; accepted: one number for each of 2 or 3 blocks"
        )
    if blocks is None:
        blocks = (Ising(square(32)),) * betas.size
    if not isinstance(blocks, (list, tuple)) or len(blocks) != betas.size:
        raise InvalidInputError(
            f"blocks = {shown(blocks)} were given with {betas.size} β; accepted: a list of as many"
        )
    sweeps = whole_number(sweeps, "sweeps", 2 * STRETCHES)
    rate = finite_number(rate, "rate")
    if not 0.0 < rate <= 1.0:
        raise InvalidInputError(f"rate = {rate:g} was given; accepted: above 0, at most 1")
    replicas = whole_number(replicas, "replicas", 8)
    seed = checked_seed(seed)
    check_workers(threads, executor, None, progress)
    prepared = blocks_that_can_exchange(blocks)
    spins = np.concatenate(
        [
            canonical_spins(one, b, replicas, _own_seed(seed, k), threads)
            for k, (one, b) in enumerate(zip(prepared, betas.tolist(), strict=True))
        ],
        axis=1,
    )
    three = len(prepared) == 3
    contact = Contact(
        models=tuple(one.model for one in prepared),
        spins=spins,
        rate=rate,
        lengths=(2 * sweeps, sweeps) if three else (sweeps,),
        touching=_TOUCHING[len(prepared)],
    )
    moved = follow(
        contact,
        seed=seed,
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )["energy"]
    first = np.stack(
        [
            one.model.energy(own)
            for one, own in zip(prepared, np.split(spins, _ends(prepared), axis=1), strict=True)
        ],
        axis=1,
    )
    energies = np.concatenate([first[:, None], moved], axis=1)
    return heat_flow(tuple(blocks), prepared, betas, contact, energies)


_TOUCHING = {
    2: np.ones((1, 2, 2), dtype=bool),
    3: np.array(
        [
            [[True, True, False], [True, True, True], [False, True, True]],
            [[True, False, True], [False, True, False], [True, False, True]],
        ]
    ),
}


def _own_seed(seed: int, k: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(_PREPARATION + k,))


def _ends(blocks: Sequence[Block]) -> NDArray[np.int64]:
    return np.cumsum([one.sites for one in blocks])[:-1]
