"""Up to 512 replicas of an Ising model that are swept and measured together."""

from __future__ import annotations

import numpy as np

from thermo.kernels.ising_lanes import MAX_DEGREE, STATE_ROWS, Graph, Scratch, advance
from thermo.kernels.lanes import LANES, WORDS
from thermo.models.ising import Ising
from thermo.sampling.lane_chains import LaneChains
from thermo.sampling.lane_observables import LaneObservables
from thermo.sampling.lane_rules import LaneAcceptance, lane_graph, plain_coupling
from thermo.sampling.model_tables import kept_with_model

__all__ = ["LANES", "LaneBatch"]


class LaneBatch(LaneChains):
    """Up to 512 replicas of an Ising model, side by side in vectors of bits (see `Batch`).

    A sweep visits every site once, in the order of the sites.

    Parameters
    ----------
    model : Ising
        Couplings ±J of one J, one field for all sites, at most 15 neighbours per site.
    update : str
        ``"metropolis"`` or ``"heat_bath"``.
    beta : ndarray, shape (chains,)
        1 to 512 real numbers or ±inf. Fewer chains than 512 take as long: lanes that are left over
        run along at the last β.
    seed : numpy.random.SeedSequence
        Gives the random start and the streams of the sweeps; of no other batch.

    Raises
    ------
    InvalidInputError
        Another model or update; too many chains.

    References
    ----------
    S. V. Isakov, I. N. Zintchenko, T. F. Rønnow, M. Troyer, Comput. Phys. Commun. 192, 265 (2015).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> batch = LaneBatch(
    ...     Ising(square(8)), "metropolis", np.array([-0.6, 0.6]), np.random.SeedSequence(1)
    ... )
    >>> batch.sweep(200)
    >>> batch.record(50, every=10)["energy"].mean(axis=1).round(-1)
    array([ 120., -120.])
    """

    def __init__(
        self, model: Ising, update: str, beta: np.ndarray, seed: np.random.SeedSequence
    ) -> None:
        lattice = model.lattice
        observables, self._graph, degrees, kind = _tables(model)
        self._tables = LaneAcceptance(observables.coupling, model.field, degrees, kind, update)
        most = max(lattice.n_edges, lattice.n_sites)
        self._scratch = Scratch(
            masks=np.zeros((MAX_DEGREE + 1, WORDS), dtype=np.uint64),
            planes=np.zeros((most.bit_length(), WORDS), dtype=np.uint64),
        )
        super().__init__(model, observables, beta, seed, STATE_ROWS)

    def _prepare(self, beta: np.ndarray) -> None:
        self._acceptance = self._tables.at(beta)

    def _run(self, sweeps: int, draws: int, counts: tuple[np.ndarray, ...]) -> None:
        advance(
            self._rows,
            self._generator,
            self._graph,
            self._acceptance,
            self._scratch,
            sweeps,
            draws,
            self._pairs,
            counts,
        )


@kept_with_model
def _tables(model: Ising) -> tuple[LaneObservables, Graph, list[int], np.ndarray]:
    """Return what is measured, the neighbours, and the numbers of neighbours that there are."""
    coupling, flipped = plain_coupling(model)
    degrees, kind = np.unique(model.lattice.degrees, return_inverse=True)
    graph = lane_graph(model.lattice, flipped)
    observables = LaneObservables(model, coupling, flipped)
    return observables, graph, degrees.tolist(), kind.astype(np.int32)
