"""Chains of a discrete model that move whole clusters: Wolff and Swendsen–Wang."""

from __future__ import annotations

import numpy as np

from thermo.errors import InvalidInputError
from thermo.kernels.clusters import Bonds, Scratch, advance
from thermo.kernels.discrete_moves import energies
from thermo.kernels.lanes import WORDS
from thermo.models.difference import DifferenceModel
from thermo.models.ising import Ising
from thermo.sampling.batch import one_per_chain
from thermo.sampling.cluster_rules import (
    check_clusters,
    check_unfrustrated,
    joining_probability,
    joins_by_colour,
    one_coupling,
)
from thermo.sampling.discrete_rules import energy_tables
from thermo.sampling.lane_observables import LaneObservables
from thermo.sampling.model_tables import kept_with_model
from thermo.temperature import as_beta

__all__ = ["ClusterBatch"]

_CERTAIN = np.uint64(2**64 - 1)  # a threshold that one random word in 2⁶⁴ fails
_BIT_ROWS = 8  # of 8 random words: drawn at a time
_SNAPSHOT_BYTES = 2**19  # states held before they are measured: as many as stay in the cache
_LEAST_SNAPSHOT_LANES = 64  # with fewer, most lanes would be empty


class ClusterBatch:
    r"""Chains that are updated by clusters (see `Batch`): Ising, Potts and clock spins.

    A sweep of ``"wolff"`` is one cluster, grown from a random site and always moved; a sweep of
    ``"swendsen_wang"`` parts the whole lattice into clusters. The number of clusters per sweep is
    fixed: growing clusters until so many sites have been moved would stop more often after large
    ones, and be biased. At β = 0 every spin is a cluster; where β = ±inf the lattice is one, or
    nearly so.

    At βJ < 0 the clusters of a bipartite lattice are those of its staggered order, and
    antiferromagnetic Potts models move two states at a time (Wang–Swendsen–Kotecký). Clock spins
    are mirrored at random axes, through two hours and between them.

    For hundreds of chains of an Ising model whose couplings are all ±J see `ClusterLaneBatch`: the
    same updates several times faster.

    Parameters
    ----------
    model : Ising, Potts or Clock
        Any couplings, no field, no chirality.
    update : str
        ``"wolff"`` or ``"swendsen_wang"``.
    beta : ndarray, shape (chains,)
        Any real numbers or ±inf.
    seed : numpy.random.SeedSequence
        Gives the random start and the streams of every chain; of no other batch.

    Raises
    ------
    InvalidInputError
        Another model or update, a field, a chirality; a β at whose sign the model is frustrated.

    References
    ----------
    U. Wolff, Phys. Rev. Lett. 62, 361 (1989); R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58, 86
    (1987); J.-S. Wang, R. H. Swendsen, R. Kotecký, Phys. Rev. Lett. 63, 109 (1989).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Potts
    >>> beta = np.log(1 + np.sqrt([3.0, 3.0]))
    >>> batch = ClusterBatch(Potts(square(8), 3), "wolff", beta, np.random.SeedSequence(1))
    >>> batch.sweep(100)
    >>> batch.record(draws=5, every=2)["energy"].shape
    (2, 5)
    """

    def __init__(
        self, model: DifferenceModel, update: str, beta: np.ndarray, seed: np.random.SeedSequence
    ) -> None:
        check_clusters(model, update)
        self.model = model
        self._one_cluster = update == "wolff"
        self._signs: set[int] = set()
        lattice = model.lattice
        self._couplings, self._bonds = _bonds_of(model, not self._one_cluster)
        self._energy_tables = energy_tables(model)
        self._lane_observables = _lane_observables(model)
        rows = max(_BIT_ROWS, int(lattice.degrees.max(initial=0)) // WORDS + 1)
        self._scratch = Scratch(
            sites=np.zeros(lattice.n_sites + 1, dtype=np.uint32),
            bits=np.zeros((rows, WORDS), dtype=np.uint64),
        )
        start_seed, move_seed = seed.spawn(2)
        chains = np.shape(beta)[0]
        spins = model.random_spins(np.random.Generator(np.random.PCG64(start_seed)), chains)
        self._states = model.states_of(spins)
        words = move_seed.generate_state(chains * 2 * WORDS, np.uint64)
        self._generator = words.reshape(chains, 2, WORDS)
        self.beta = beta

    @property
    def beta(self) -> np.ndarray:
        """1/energy of every chain, shape (chains,); read-only: assign another array."""
        return self._beta

    @beta.setter
    def beta(self, beta: np.ndarray) -> None:
        beta = np.array(as_beta(beta))
        if beta.shape != self._states.shape[:1]:
            raise InvalidInputError(
                f"beta of shape {beta.shape} was given; accepted: {self._states.shape[:1]}"
            )
        for sign in {int(s) for s in np.sign(beta)} - self._signs:
            check_unfrustrated(self.model, sign)
            self._signs.add(sign)
        joining = joining_probability(self.model, beta, self._couplings)
        self._by_colour = joins_by_colour(self.model, beta) & (not self._one_cluster)
        of_one_state = joining[self._by_colour, :, 1, 0]  # what parting two equal spins costs
        joining[self._by_colour] = 0.0
        joining[self._by_colour, :, :, 0] = of_one_state[..., None]
        q = self.model.n_states
        difference = np.arange(1 - q, q)
        after, before = (difference - difference[:, None]) % q, difference % q
        joining = joining[:, :, after, before]
        certain = joining == 1.0
        limit = np.ldexp(np.where(certain, 0.0, joining), 64).astype(np.uint64)
        threshold = np.where(certain, _CERTAIN, limit)
        self._threshold = np.ascontiguousarray(threshold.reshape(beta.size, -1))
        beta.flags.writeable = False
        self._beta = beta

    @property
    def spins(self) -> np.ndarray:
        """The spins now, int8 of shape (chains, n)."""
        return self.model.spins_of(self._states)

    @spins.setter
    def spins(self, spins: np.ndarray) -> None:
        self._states[:] = one_per_chain(self.model.states_of(spins), self._states.shape)

    def sweep(self, sweeps: int) -> None:
        """Advance every chain by so many sweeps."""
        self._advance(sweeps, 0)

    def record(self, draws: int, every: int) -> dict[str, np.ndarray]:
        """Measure `draws` times, each after `every` more sweeps: name → (chains, draws)."""
        parts = []
        step = max(1, _SNAPSHOT_BYTES // self._states.size)
        for start in range(0, draws, step):
            snapshots = self._advance(every, min(step, draws - start))
            measured = self._measure(snapshots.reshape(-1, snapshots.shape[2]))
            shape = snapshots.shape[:2]
            parts.append({name: values.reshape(shape) for name, values in measured.items()})
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes."""
        return {
            "states": self._states.copy(),
            "generator": self._generator.copy(),
            "beta": self.beta.copy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        self._states[:] = state["states"]
        self._generator[:] = state["generator"]
        self.beta = state["beta"]

    def _measure(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Measure states, int8 of shape (snapshots, n): name → (snapshots,)."""
        if self._lane_observables is not None and len(states) >= _LEAST_SNAPSHOT_LANES:
            return self._lane_observables.of_snapshots(states)
        by_site = np.ascontiguousarray(states.T)
        energy = energies(by_site.view(np.uint8), *self._energy_tables)
        return {"energy": energy, **self.model.observables(self.model.spins_of(states))}

    def _advance(self, sweeps: int, draws: int) -> np.ndarray:
        """Run the kernel; return the states of every draw, int8 of shape (chains, draws, n)."""
        chains, n = self._states.shape
        snapshots = np.empty((chains, draws, n), dtype=np.int8)
        advance(
            self._states,
            self._generator,
            self._bonds,
            self._threshold,
            self._one_cluster,
            self._by_colour,
            self._scratch,
            sweeps,
            snapshots,
        )
        return snapshots


@kept_with_model
def _lane_observables(model: DifferenceModel) -> LaneObservables | None:
    """Return what measures many configurations at once, where there is such a thing."""
    if not isinstance(model, Ising) or (found := one_coupling(model)) is None:
        return None
    return LaneObservables(model, *found)


@kept_with_model
def _bonds_of(model: DifferenceModel, smaller_only: bool) -> tuple[np.ndarray, Bonds]:
    """Return all different couplings, and the bonds of each site: all, or to smaller sites."""
    couplings, kind = np.unique(model.couplings, return_inverse=True)
    lattice, q = model.lattice, model.n_states
    site = np.repeat(np.arange(lattice.n_sites, dtype=np.uint32), lattice.degrees)
    listed = lattice.adjacency < site if smaller_only else np.ones(site.size, dtype=bool)
    links = np.empty((np.count_nonzero(listed), 2), dtype=np.uint32)
    links[:, 0] = lattice.adjacency[listed]
    links[:, 1] = kind[lattice.adjacent_bonds[listed]] * (2 * q - 1) ** 2
    ends = np.cumsum(np.bincount(site[listed], minlength=lattice.n_sites))
    return couplings, Bonds(np.concatenate([[0], ends]).astype(np.uint32), links, q)
