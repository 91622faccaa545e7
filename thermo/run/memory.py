"""What runs hold in memory at their peak, and whether there is so much.

Every run has one description, a function of what it is asked to do, and both the refusal and what
is offered instead follow from it. The constants were measured with `tracemalloc`; tests hold them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from thermo.estimate.slabs import SLAB_NUMBERS
from thermo.memory import Change, check_memory, fewer_than
from thermo.models.spin_model import SpinModel
from thermo.run.checkpoint import MOST_BYTES
from thermo.run.plan import Plan, bytes_of_spins, number_of_observables
from thermo.run.power_spectrum import SCRATCH_NUMBERS, half_spectrum
from thermo.run.workers import available_cores
from thermo.sampling.energy_grid import EnergyGrid, energy_grid, transition_columns
from thermo.sampling.registry import BatchKind

if TYPE_CHECKING:
    from thermo.run.annealing import Annealing
    from thermo.run.demon import Demons

__all__ = [
    "Means",
    "annealing_held",
    "chains_held",
    "check_annealing",
    "check_chains",
    "check_demons",
    "check_histograms",
    "check_walks",
    "demons_held",
    "histograms_held",
    "walks_held",
]

Held = dict[str, float]


_WALKER_OBJECTS = 6e3  # bytes of small tables and Python objects


class _BatchBytes(NamedTuple):
    """What batches of a class hold.

    All the time, the state to go on from included, and for a moment, while one is made, started,
    swept, measured or read. Of chains in configurations, of what does not depend on how many chains
    there are in bytes per site; tables of the model, which batches share, in bytes per site and
    per bond; of a chain's binary tree over the sites in bytes per leaf; small tables and Python
    objects of a batch in bytes.
    """

    chain: float
    batch: float
    chain_for_a_moment: float
    batch_for_a_moment: float
    tables: float
    tree: float = 0.0
    objects: float = 5e3


_HELD = {
    "LaneBatch": _BatchBytes(0.0, 128.0, 0.0, 1600.0, 60.0),
    "ClusterLaneBatch": _BatchBytes(0.0, 384.0, 0.0, 1600.0, 130.0),
    "RowBatch": _BatchBytes(0.4, 0.0, 5.0, 125.0, 25.0),
    "DiscreteBatch": _BatchBytes(2.0, 0.0, 3.5, 100.0, 95.0),
    "KawasakiBatch": _BatchBytes(2.0, 0.0, 3.5, 100.0, 90.0),
    "RejectionFreeBatch": _BatchBytes(2.0, 0.0, 3.5, 100.0, 90.0, tree=16.0),
    "ClusterBatch": _BatchBytes(2.0, 4.0, 5.5, 320.0, 70.0, objects=12e3),
    "VectorBatch": _BatchBytes(2.0, 0.0, 4.0, 100.0, 75.0),
    "VectorClusterBatch": _BatchBytes(2.0, 0.0, 4.0, 260.0, 75.0),
}


@dataclass(frozen=True)
class Means:
    """With what a run is made.

    Attributes
    ----------
    threads : int or None
    executor : Executor or None
    checkpoint : bool
        Whether there is one.
    """

    threads: int | None = None
    executor: Executor | None = None
    checkpoint: bool = False

    def workers(self, pieces: int) -> int:
        """Return how many pieces of work may be in this machine's memory on their way."""
        return pieces if self.executor else min(self.threads or available_cores(), pieces)

    def in_flight(self, pieces: int) -> int:
        """Return how many chunks there may be, made or being made: see `thermo.run.workers`."""
        workers = self.workers(pieces)
        return min(pieces, 1 if workers == 1 else 2 * workers)

    def kept(self, results: float, pieces: int) -> Held:
        """Return what a checkpoint holds of results that wait to be written, or are read."""
        if not self.checkpoint:
            return {}
        piece = results / pieces
        writing, reading = 2.5 * min(results, MOST_BYTES), piece + 2.5 * min(piece, MOST_BYTES)
        return {"checkpoint": max(writing, reading)}


def check_chains(plan: Plan, means: Means) -> None:
    """Refuse a run of chains that needs more memory than there is.

    Raises
    ------
    InvalidInputError
        Saying how much, for what, and how many replicas, β or sweeps, or what periods would fit.
    """

    def fewer_sweeps(sweeps: int) -> Plan:
        return replace(plan, draws=sweeps // plan.measure_every)

    def longer_periods(times: int) -> Plan:
        every = plan.measure_every * times
        return replace(plan, draws=plan.draws // times, measure_every=every)

    optional = ("snapshots_every", "structure_factor_every")
    periods = ["measure_every", *(name for name in optional if getattr(plan, name))]
    sweeps = plan.draws * plan.measure_every
    changes = [
        Change(
            "at most {} replicas",
            fewer_than(plan.replicas, 2),
            lambda replicas: chains_held(plan.with_chains(plan.beta, replicas), means),
        ),
        Change(
            "at most {} β",
            fewer_than(plan.beta.size, plan.least_betas),
            lambda betas: chains_held(plan.with_chains(plan.beta[:betas], plan.replicas), means),
        ),
        Change(
            "at most {} sweeps",
            fewer_than(sweeps, plan.least_sweeps),
            lambda sweeps: chains_held(fewer_sweeps(sweeps), means),
        ),
        Change(
            f"{' and '.join(periods)} {{}} times as long",
            range(2, sweeps // plan.least_sweeps + 1),
            lambda times: chains_held(longer_periods(times), means),
        ),
    ]
    check_memory("the run", chains_held(plan, means), changes)


def chains_held(plan: Plan, means: Means) -> Held:
    """Return the bytes that a run of chains holds at its peak, by what they are for."""
    model, n, draws = plan.model, plan.model.lattice.n_sites, plan.draws
    spins, of_beta = bytes_of_spins(model), 8 * plan.replicas * draws
    chains = plan.members(0)[0].size  # of a batch
    result = {
        "series": float(plan.observables * plan.beta.size * of_beta),
        "spins": float(plan.chains * spins + _given(plan)),
        "snapshots": float(plan.chains * plan.snapshots * spins),
    }
    batches = _Batches(plan.kind, model, chains)
    workers, in_flight = means.workers(plan.batches), means.in_flight(plan.batches)
    sampling = batches.tables + (plan.batches + 0.5 * in_flight) * batches.all_the_time
    sampling += workers * batches.for_a_moment
    chunk = min(plan.chunk_sweeps, plan.sweeps) * plan.bytes_per_sweep
    sampling += (workers + in_flight) * chunk  # two copies of those that are being made
    slab = _slab(plan.replicas * draws, plan.beta.size)
    # Two copies, and four of a jackknife's blocks, of which short chains have as many as draws.
    estimating = 8.0 * slab * (2 + 4 / max(1, draws // 32)) + _transforms(slab, draws)
    if plan.structure_factors:
        # Of every wave vector the blocks, and the variances of S(k) and of G(r).
        vectors = math.prod(half_spectrum(model.lattice))
        of_chain = (plan.structure_factor_blocks + 2) * vectors
        result["structure factor"] = 8.0 * plan.chains * of_chain
        # In the batches, and in their states; and what a Fourier transform needs.
        sampling += 8.0 * (2 * plan.chains + in_flight * chains) * of_chain
        sampling += 8.0 * workers * 7 * max(min(SCRATCH_NUMBERS, chains * n), n)
        blocks = plan.replicas * plan.structure_factor_blocks * vectors
        estimating = max(estimating, 5 * 8.0 * _slab(blocks, plan.beta.size))
    result["work"] = max(sampling, estimating)
    return result | means.kept(result["series"] + result["snapshots"], plan.batches)


def check_annealing(work: Annealing, means: Means) -> None:
    """Refuse an annealing that needs more memory than there is.

    Raises
    ------
    InvalidInputError
        Saying how much, for what, and how many members or populations would fit.
    """

    changes = [
        Change(
            "at most {} members",
            fewer_than(work.population, 2),
            lambda members: annealing_held(replace(work, population=members), means),
        ),
        Change(
            "at most {} replicas",
            fewer_than(work.replicas, 2),
            lambda replicas: annealing_held(replace(work, replicas=replicas), means),
        ),
    ]
    check_memory("the run", annealing_held(work, means), changes)


def annealing_held(work: Annealing, means: Means) -> Held:
    """Return the bytes that an annealing holds at its peak, by what they are for."""
    model, members = work.model, work.population
    of_beta = 8.0 * (1 + number_of_observables(model)) * members
    batches = _Batches(work.kind, model, min(work.kind.chains, members))
    number, spins = -(-members // work.kind.chains), members * bytes_of_spins(model)
    # While they are resampled the spins are gathered, then replaced batch by batch.
    resampling = max(2 * spins, spins + batches.for_a_moment) + 100 * members
    # A third state is replaced by the second one. Of a β two copies: one is being recorded.
    population = 1.5 * number * batches.all_the_time + resampling + 2 * of_beta
    betas = len(work.beta)
    estimating = 3.5 * 8.0 * _slab(work.replicas * members, betas)
    series, pieces = of_beta * work.replicas * betas, len(work.pieces)
    sampling = batches.tables + means.workers(pieces) * population
    held = {"series": series, "work": max(sampling, estimating)}
    return held | means.kept(series, pieces)


def check_demons(work: Demons, means: Means) -> None:
    """Refuse lattices with demons that need more memory than there is.

    Raises
    ------
    InvalidInputError
        Saying how much, for what, and how many replicas or sweeps would fit.
    """

    changes = [
        Change(
            "at most {} replicas",
            fewer_than(work.replicas),
            lambda replicas: demons_held(replace(work, replicas=replicas), means),
        ),
        Change(
            "at most {} sweeps",
            fewer_than(work.sweeps, 2),
            lambda sweeps: demons_held(replace(work, sweeps=sweeps), means),
        ),
    ]
    check_memory("the run", demons_held(work, means), changes)


def demons_held(work: Demons, means: Means) -> Held:
    """Return the bytes that lattices with demons hold at their peak, by what they are for."""
    n, bonds, sweeps = work.model.lattice.n_sites, work.model.lattice.n_edges, work.sweeps
    pieces = len(work.pieces)
    lattices = -(-work.replicas // pieces)  # of a piece
    workers, in_flight = means.workers(pieces), means.in_flight(pieces)
    # States, those to go on from, and the first piece once more; where a piece begins also spins,
    # and the energies of bonds while they are added up.
    standing = (2 * work.replicas + (1 + in_flight) * lattices) * n
    beginning = workers * lattices * (3 * n + 20 * bonds)
    chunk = 8.0 * 3 * lattices * min(work.most_steps, sweeps)
    tables = 90.0 * (n + bonds)
    sampling = tables + standing + beginning + (workers + in_flight) * chunk
    numbers = work.replicas * sweeps
    estimating = 2 * 8.0 * numbers + _transforms(numbers, sweeps)  # a combination of the moments
    held = {"moments": 8.0 * 3 * numbers, "work": max(sampling, estimating)}
    return held | means.kept(held["moments"], pieces)


def check_histograms(
    model: SpinModel, grid: EnergyGrid, betas: int, replicas: int, draws: int = 0
) -> None:
    """Refuse histograms of runs at several β, if they need more memory than there is.

    Parameters
    ----------
    model : SpinModel
    grid : EnergyGrid
    betas, replicas, draws : int
        The runs that are to be; without draws, that are there already.

    Raises
    ------
    InvalidInputError
        Saying how much, for what, and how many replicas or how wide bins would fit.
    """

    def held(replicas: int, grid: EnergyGrid = grid) -> Held:
        return histograms_held(model, grid, betas, replicas, draws)

    changes = [_wider_bins(model, grid, lambda wider: held(replicas, wider))]
    if draws:
        changes.append(Change("at most {} replicas", fewer_than(replicas, 2), held))
    check_memory(f"histograms of {grid.bins} bins", held(replicas), changes)


def histograms_held(
    model: SpinModel, grid: EnergyGrid, betas: int, replicas: int, draws: int
) -> Held:
    """Return the bytes that multi-histogram reweighting holds at its peak."""
    table = 8.0 * betas * grid.bins
    counting = 3 * 8.0 * _slab(max(draws, grid.bins), betas * replicas)
    return {
        "series": 8.0 * (1 + number_of_observables(model)) * betas * replicas * draws,
        # Counts, and weighted; and for each of the analyses, one without each replica, what every
        # run has to say of every bin.
        "histograms": table * (2 * replicas + 8) + 4 * 8.0 * replicas * grid.bins + counting,
    }


def check_walks(model: SpinModel, grid: EnergyGrid, walkers: int, draws: int, means: Means) -> None:
    """Refuse walks in energy that need more memory than there is.

    Parameters
    ----------
    model : SpinModel
    grid : EnergyGrid
    walkers : int
    draws : int
        Energies that each records; 0 of walkers whose transitions are not used.
    means : Means

    Raises
    ------
    InvalidInputError
        Saying how much, for what, and how many walkers or how wide bins would fit.
    """

    def held(walkers: int, grid: EnergyGrid = grid) -> Held:
        return walks_held(model, grid, walkers, draws, means)

    changes = [
        Change("at most {} walkers", fewer_than(walkers, 2), held),
        _wider_bins(model, grid, lambda wider: held(walkers, wider)),
    ]
    check_memory(f"{walkers} walkers over {grid.bins} bins", held(walkers), changes)


def walks_held(model: SpinModel, grid: EnergyGrid, walkers: int, draws: int, means: Means) -> Held:
    """Return the bytes that walks in energy hold at their peak, by what they are for."""
    of_bins = 8.0 * grid.bins
    transitions = of_bins * transition_columns(model, grid)
    # On their way, and in the states to go on from, with ln g and what was visited; at the end ln g
    # of all walkers but each, by transitions and by visits.
    walking = (2 * walkers + means.in_flight(walkers)) * (transitions + 2 * of_bins)
    analysing = walkers * ((transitions if draws else 0.0) + 10 * of_bins)
    lattice = 60.0 * (model.lattice.n_sites + model.lattice.n_edges)
    held = {
        "tables": max(walking, analysing) + lattice,
        "walkers": walkers * (4.0 * bytes_of_spins(model) + 8.0 * 2 * draws + _WALKER_OBJECTS),
    }
    return held | means.kept(walkers * transitions, walkers)


def _wider_bins(model: SpinModel, grid: EnergyGrid, held: Callable[[EnergyGrid], Held]) -> Change:
    low, high = model.energy_bounds
    return Change(
        f"bins {{}} times as wide as {grid.width:g}",
        range(2, int(0.5 * (high - low) / grid.width) + 1),
        lambda times: held(energy_grid(model, times * grid.width)),
    )


def _slab(row: int, rows: int) -> int:
    """Return how many numbers are in one of the `slabs` of an array of so many rows."""
    return min(max(SLAB_NUMBERS, row), rows * row)


def _transforms(numbers: int, draws: int) -> float:
    """Return what the autocorrelation of so many numbers needs: of half a slab, or of a chain."""
    return 8.0 * max(5.3 * min(SLAB_NUMBERS / 2, numbers), 6.5 * draws)


class _Batches:
    """What batches of so many chains hold, in bytes: each, and of the model all together."""

    def __init__(self, kind: BatchKind, model: SpinModel, chains: int) -> None:
        n, spins = model.lattice.n_sites, chains * bytes_of_spins(model)
        leaves = 2 ** (n - 1).bit_length()
        each = _HELD[kind.name]
        self.tables = each.tables * (n + model.lattice.n_edges)
        self.all_the_time = each.chain * spins + each.tree * chains * leaves + each.batch * n
        self.all_the_time += each.objects
        self.for_a_moment = each.chain_for_a_moment * spins + each.batch_for_a_moment * n


def _given(plan: Plan) -> int:
    """Return the size of given starts; one configuration for all chains is held once."""
    if plan.given is None:
        return 0
    axes = zip(plan.given.shape, plan.given.strides, strict=True)
    return plan.given.itemsize * math.prod(length for length, stride in axes if stride)
