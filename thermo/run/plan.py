"""A run that has been checked and may begin: which chains there are, and in which batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from thermo.models.spin_model import SpinModel
from thermo.run.identity import identity
from thermo.sampling.batch import Batch
from thermo.sampling.model_tables import kept_with_model
from thermo.sampling.registry import BatchKind, batch_kind
from thermo.sampling.starts import ordered_spins

__all__ = ["Plan", "bytes_of_spins", "number_of_observables"]

_CHUNK_BYTES = 2**24  # of draws and snapshots, at a time

_LEAST_BLOCKS = 32  # blocks of the structure factor, where there are fewer replicas than that


@dataclass(frozen=True, eq=False)
class Plan:
    """What every worker knows of a run; with the same plan every worker makes the same chains.

    Attributes
    ----------
    model : SpinModel
    kind : BatchKind
        What carries out `update`, and how many chains at once.
    update : str
    beta : ndarray, shape (B,)
    replicas : int
        Chains per β. Chain c is replica c % replicas of β number c // replicas.
    burn_in, draws, measure_every : int
        Sweeps before the first draw's, draws, sweeps per draw.
    snapshots_every, structure_factor_every : int or None
        Draws between snapshots and between measurements of the structure factor.
    ordered : ndarray of bool, shape (B,)
        Which β begin in an ordered state, the others at random.
    given : ndarray or None, shape (B, replicas, n) or (B, replicas, n, d)
        Where all chains begin instead.
    seed : int
    """

    model: SpinModel
    kind: BatchKind
    update: str
    beta: np.ndarray
    replicas: int
    burn_in: int
    draws: int
    measure_every: int
    ordered: np.ndarray
    given: np.ndarray | None
    seed: int
    snapshots_every: int | None = None
    structure_factor_every: int | None = None

    least_betas: ClassVar[int] = 1

    @property
    def chains(self) -> int:
        """Number of chains of all β together."""
        return self.beta.size * self.replicas

    @property
    def batches(self) -> int:
        """Number of batches; the last one may hold fewer chains."""
        return -(-self.chains // self.kind.chains)

    @property
    def sweeps(self) -> int:
        """Sweeps of every chain."""
        return self.burn_in + self.draws * self.measure_every

    @property
    def least_sweeps(self) -> int:
        """The fewest sweeps after burn-in with which everything asked for is measured once."""
        longest = max(self.snapshots_every or 1, self.structure_factor_every or 1)
        return self.measure_every * longest

    @property
    def snapshots(self) -> int:
        """Configurations kept of every chain."""
        return self.draws // self.snapshots_every if self.snapshots_every else 0

    @property
    def structure_factors(self) -> int:
        """Measurements of the structure factor of every chain."""
        return self.draws // self.structure_factor_every if self.structure_factor_every else 0

    @property
    def structure_factor_blocks(self) -> int:
        """Blocks of measurements that each chain keeps apart, for the jackknife."""
        return min(self.structure_factors, -(-_LEAST_BLOCKS // self.replicas))

    @property
    def observables(self) -> int:
        """Number of series that each chain has: of the energy, and of what the model measures."""
        return 1 + number_of_observables(self.model)

    def with_chains(self, beta: np.ndarray, replicas: int) -> Plan:
        """Return the same run of fewer chains, for which there may be another kind of batch."""
        kind = batch_kind(self.model, self.update, beta.size * replicas)
        return replace(self, beta=beta, replicas=replicas, kind=kind)

    @property
    def chunk_sweeps(self) -> int:
        """Sweeps of a batch at a time, such that what they leave stays small."""
        return max(1, int(_CHUNK_BYTES / self.bytes_per_sweep))

    @property
    def bytes_per_sweep(self) -> float:
        """What a sweep of a batch leaves of draws and snapshots, on average."""
        of_draw = 8.0 * self.observables
        if self.snapshots_every:
            of_draw += bytes_of_spins(self.model) / self.snapshots_every
        return self.members(0)[0].size * of_draw / self.measure_every

    def draws_after(self, sweeps: int) -> int:
        """Return how many draws have been made after so many sweeps."""
        return max(0, sweeps - self.burn_in) // self.measure_every

    def members(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which β, and which replica of it, each chain of a batch is."""
        first = index * self.kind.chains
        return np.divmod(
            np.arange(first, min(first + self.kind.chains, self.chains)), self.replicas
        )

    def make_batch(self, index: int) -> Batch:
        """Return a batch, not yet at its start."""
        # What SeedSequence(seed).spawn gives batch number `index`.
        seed = np.random.SeedSequence(self.seed, spawn_key=(index,))
        return self.kind.make(self.model, self.update, self.beta[self.members(index)[0]], seed)

    def given_to(self, index: int) -> np.ndarray | None:
        """Return the given starts of a batch, shape (chains, n[, d]); None if there are none."""
        return None if self.given is None else self.given[self.members(index)]

    def start(self, batch: Batch, index: int, given: np.ndarray | None) -> None:
        """Put the chains of a batch, begun at random, where they should begin."""
        if given is not None:
            batch.spins = given
            return
        of_beta, replica = self.members(index)
        ordered = self.ordered[of_beta]
        if not ordered.any():
            return
        share = (replica[ordered] + 0.5) / self.replicas
        begun = ordered_spins(self.model, self.beta[of_beta][ordered], share)
        if ordered.all():
            batch.spins = begun
        else:
            spins = batch.spins
            spins[ordered] = begun
            batch.spins = spins

    def identity(self) -> dict[str, Any]:
        """Return everything that the bits of the result depend on, as JSON can hold it.

        Arrays are named by their SHA-256.
        """
        return identity(
            self.model,
            update=self.update,
            batch=f"{self.kind.name} of {self.kind.chains}",
            beta=self.beta,
            replicas=self.replicas,
            burn_in=self.burn_in,
            draws=self.draws,
            measure_every=self.measure_every,
            snapshots_every=self.snapshots_every,
            structure_factor_every=self.structure_factor_every,
            start=self.ordered if self.given is None else self.given,
            seed=self.seed,
        )


def bytes_of_spins(model: SpinModel) -> int:
    """Return the size of one configuration: a byte per spin, or its components as float64."""
    return model.lattice.n_sites * (8 * getattr(model, "components", 0) or 1)


@kept_with_model
def number_of_observables(model: SpinModel) -> int:
    """Return how many quantities a run measures besides the energy."""
    generator = np.random.default_rng(np.random.SeedSequence(0))
    return len(model.observables(model.random_spins(generator, 1)))
