"""Up to 512 replicas of an Ising model that flip whole clusters together."""

from __future__ import annotations

import numpy as np

from thermo.errors import InvalidInputError
from thermo.kernels.cluster_lanes import THRESHOLD_ROWS, ClusterRules, ClusterScratch, advance
from thermo.kernels.lanes import WORDS, bit_planes, pack
from thermo.models.ising import Ising
from thermo.sampling.cluster_rules import check_clusters, check_unfrustrated, one_coupling
from thermo.sampling.lane_chains import LaneChains
from thermo.sampling.lane_observables import LaneObservables
from thermo.sampling.model_tables import kept_with_model

__all__ = ["ClusterLaneBatch"]


class ClusterLaneBatch(LaneChains):
    """Up to 512 replicas that are updated by clusters (see `Batch`): Ising spins, couplings ±J.

    The same updates as in `ClusterBatch`, which takes other models and general couplings: a sweep
    of ``"wolff"`` is one cluster per replica, one of ``"swendsen_wang"`` all clusters. 512 chains
    of the 32×32 torus cost what 60 (Wolff) to 150 cost there, and fewer as much.

    Parameters
    ----------
    model : Ising
        Couplings ±J of one J on any graph, no field.
    update : str
        ``"wolff"`` or ``"swendsen_wang"``.
    beta : ndarray, shape (chains,)
        1 to 512 real numbers or ±inf.
    seed : numpy.random.SeedSequence
        Gives the random start and the eight streams of the sweeps; of no other batch.

    Raises
    ------
    InvalidInputError
        Another model or update, a field, couplings of different size, too many chains; a β at
        whose sign the model is frustrated.

    References
    ----------
    U. Wolff, Phys. Rev. Lett. 62, 361 (1989); R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58, 86
    (1987).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> beta = np.repeat([-0.44, 0.44], 100)
    >>> batch = ClusterLaneBatch(Ising(square(8)), "wolff", beta, np.random.SeedSequence(1))
    >>> batch.sweep(50)
    >>> energy = batch.record(draws=10, every=2)["energy"].mean(axis=1)
    >>> bool(energy[:100].mean() > 80) and bool(energy[100:].mean() < -80)
    True
    """

    def __init__(
        self, model: Ising, update: str, beta: np.ndarray, seed: np.random.SeedSequence
    ) -> None:
        check_clusters(model, update)
        tables = _tables(model) if isinstance(model, Ising) else None
        if tables is None:
            raise InvalidInputError(
                f"model = {model!r} was given; accepted here: thermo.Ising with couplings ±J of "
                "one J (see ClusterBatch)"
            )
        self._one_cluster = update == "wolff"
        observables, self._rules = tables
        n, m = model.lattice.n_sites, model.lattice.n_edges
        self._signs: set[int] = set()  # of β, at which the model is not frustrated
        self._scratch = ClusterScratch(
            bonds=np.zeros((m, WORDS), dtype=np.uint64),
            marks=np.zeros((n, WORDS), dtype=np.uint64),
            leaders=np.zeros((n, WORDS), dtype=np.uint64),
            seeds=np.zeros((1, WORDS), dtype=np.uint64),
            planes=np.zeros((max(m, n).bit_length(), WORDS), dtype=np.uint64),
        )
        super().__init__(model, observables, beta, seed, state_rows=2)

    def _prepare(self, beta: np.ndarray) -> None:
        for sign in {int(s) for s in np.sign(beta)} - self._signs:
            check_unfrustrated(self.model, sign)
            self._signs.add(sign)
        self._rules = self._rules_at(beta)

    def _run(self, sweeps: int, draws: int, counts: tuple[np.ndarray, ...]) -> None:
        advance(
            self._rows,
            self._generator,
            self._rules,
            self._scratch,
            self._one_cluster,
            sweeps,
            draws,
            self._pairs,
            counts,
        )

    def _rules_at(self, beta: np.ndarray) -> ClusterRules:
        """Return the tables of 512 lanes."""
        with np.errstate(invalid="ignore"):  # inf · 0: no interaction, no bond
            coupling = self._observables.coupling
            strength = np.where(coupling == 0.0, 0.0, beta * coupling)
        opening = -np.expm1(-2.0 * np.abs(strength))
        certain = opening == 1.0
        limit = np.ldexp(np.where(certain, 0.0, opening), 64).astype(np.uint64)
        bits = bit_planes(limit[None, :])[0]
        return self._rules._replace(
            sign=pack(strength[None, :] < 0),
            threshold=np.concatenate([pack(certain[None, :]), bits[::-1]]),
        )


@kept_with_model
def _tables(model: Ising) -> tuple[LaneObservables, ClusterRules] | None:
    """Return what is measured, and the rules without what is up to β; None: several couplings."""
    found = one_coupling(model)
    if found is None:
        return None
    coupling, flipped = found
    n, edges = model.lattice.n_sites, model.lattice.edges
    rules = ClusterRules(
        first=np.searchsorted(edges[:, 0], np.arange(n + 1)).astype(np.uint64),
        second=edges[:, 1].astype(np.uint32),
        flipped=flipped,
        sign=np.empty((1, WORDS), dtype=np.uint64),
        threshold=np.empty((THRESHOLD_ROWS, WORDS), dtype=np.uint64),
        numbers=(n - 1).bit_length(),
    )
    return LaneObservables(model, coupling, flipped), rules
