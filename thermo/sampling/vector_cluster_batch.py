"""Chains of an XY or Heisenberg model that move whole clusters: Wolff and Swendsen–Wang."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thermo.errors import InvalidInputError
from thermo.kernels.lanes import WORDS
from thermo.kernels.vector_cluster import swendsen_wang, wolff
from thermo.models.ising import Ising
from thermo.models.vector import VectorModel
from thermo.sampling.cluster_rules import check_unfrustrated
from thermo.sampling.vector_chains import VectorChains

__all__ = ["VectorClusterBatch"]


class VectorClusterBatch(VectorChains):
    r"""Chains that are updated by clusters (see `Batch`): XY and Heisenberg without a field.

    The components of all spins along a random direction are the spins of an Ising model, whose
    clusters are reflected (see `thermo.kernels.vector_cluster`). A sweep of ``"wolff"`` is one
    cluster, grown from a random site and always reflected; a sweep of ``"swendsen_wang"`` parts the
    whole lattice into clusters and reflects each with probability ½. The number of clusters per
    sweep is fixed: growing until so many sites have been moved would stop more often after large
    clusters, and be biased. At β = 0 every spin is a cluster; at β = ±inf all spins are, that lie
    on the same side of the direction as their neighbours (on bipartite lattices at βJ < 0: on the
    other side).

    Parameters
    ----------
    model : XY or Heisenberg
        Without a field. Couplings of any signs that leave the model unfrustrated.
    update : str
        ``"wolff"`` or ``"swendsen_wang"``.
    beta : array_like, shape (chains,)
        1/energy; any real numbers and ±inf, at least one.
    seed : numpy.random.SeedSequence
        Gives the random start and one stream per chain; of no other batch.

    Raises
    ------
    InvalidInputError
        A field; a β at whose sign bonds compete (βJ < 0 and odd cycles); another update.

    References
    ----------
    U. Wolff, Phys. Rev. Lett. 62, 361 (1989).

    Examples
    --------
    >>> from thermo.lattice import square, triangular
    >>> from thermo.models.xy import XY
    >>> batch = VectorClusterBatch(XY(square(8)), "wolff", [1.1, -1.1], np.random.SeedSequence(1))
    >>> batch.record(draws=5, every=10)["staggered_length"].shape
    (2, 5)
    >>> VectorClusterBatch(XY(triangular(3)), "wolff", [-1.1], np.random.SeedSequence(1))
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: triangular 3×3 torus is frustrated at β < 0: ...
    """

    updates = ("wolff", "swendsen_wang")

    def __init__(
        self, model: VectorModel, update: str, beta: ArrayLike, seed: np.random.SeedSequence
    ) -> None:
        if model.fields.any():
            raise InvalidInputError(
                f"{model!r} has a field, which reflecting a whole cluster would have to work "
                f"against; accepted by {update!r}: field 0 (see 'over_relaxation')"
            )
        super().__init__(model, update, beta, seed)

    def _check_beta(self, beta: np.ndarray) -> None:
        embedded = Ising(self.model.lattice, self.model.couplings)
        for sign in np.unique(np.sign(beta)):
            check_unfrustrated(embedded, int(sign))

    def sweep(self, sweeps: int) -> None:
        """Advance every chain by so many sweeps."""
        n, m = self.model.lattice.n_sites, self.model.lattice.n_edges
        common = (self._rows, self._streams, self._interactions, self._lane_beta, self._chains)
        if self.update == "wolff":
            wolff(*common, np.empty(n, dtype=np.int32), np.empty((4, WORDS)), sweeps)
        else:
            sigma, flips, bonds = (np.empty((rows, WORDS)) for rows in (n, n, m))
            parents = np.empty(n, dtype=np.int32)
            swendsen_wang(*common, sigma, flips, bonds, parents, sweeps)
