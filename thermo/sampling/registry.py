"""Which kind of `Batch` carries out an update of a model, and how many chains it takes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from thermo.arguments import nearest_name, one_of, shown
from thermo.errors import InvalidInputError
from thermo.models.ising import Ising
from thermo.sampling.batch import Batch
from thermo.sampling.updates import (
    ALSO_CALLED,
    CLUSTER_UPDATES,
    DISCRETE_UPDATES,
    UPDATES,
    VECTOR_UPDATES,
)

__all__ = ["BatchKind", "accepted_updates", "batch_kind"]

_MOST_LANE_NEIGHBOURS = 15  # what the lane kernel's adders can count
# Lanes that are left over cost as much as those in use. So few chains of a large torus are quicker
# one by one, and so few chains that flip clusters in the scalar kernel.
_MOST_ROW_CHAINS, _LEAST_ROW_LENGTH, _ROW_MULTIPLE = 128, 256, 64
_LEAST_CLUSTER_LANES = 256
_MOST_LANE_CLUSTER_SITES = 2048  # beyond, all clusters of a lattice are found quicker one by one


@dataclass(frozen=True)
class BatchKind:
    """A class of batches, imported when the first one is made.

    Attributes
    ----------
    module, name : str
        Where the class is.
    chains : int
        Chains in one batch; the last batch of a run may have fewer. It is part of what a run is:
        the same seed gives the same bits only for the same division into batches.
    """

    module: str
    name: str
    chains: int

    def make(
        self, model: Any, update: str, beta: np.ndarray, seed: np.random.SeedSequence
    ) -> Batch:
        """Return a batch of `model` at `beta`, shape (chains,), begun at random."""
        made: Batch = getattr(import_module(self.module), self.name)(model, update, beta, seed)
        return made


LANES = BatchKind("thermo.sampling.lane_batch", "LaneBatch", 512)
ROWS = BatchKind("thermo.sampling.row_batch", "RowBatch", 1)
DISCRETE = BatchKind("thermo.sampling.discrete_batch", "DiscreteBatch", 32)
KAWASAKI = BatchKind("thermo.sampling.kawasaki_batch", "KawasakiBatch", 16)
REJECTION_FREE = BatchKind("thermo.sampling.rejection_free_batch", "RejectionFreeBatch", 16)
CLUSTER = BatchKind("thermo.sampling.cluster_batch", "ClusterBatch", 16)
CLUSTER_LANES = BatchKind("thermo.sampling.cluster_lane_batch", "ClusterLaneBatch", 512)
VECTOR = BatchKind("thermo.sampling.vector_batch", "VectorBatch", 16)
VECTOR_CLUSTER = BatchKind("thermo.sampling.vector_cluster_batch", "VectorClusterBatch", 16)


def accepted_updates(model: Any) -> tuple[str, ...]:
    """Return the names of the updates that there are for a model.

    Raises
    ------
    InvalidInputError
        Not a spin model on a lattice.

    Examples
    --------
    >>> from thermo.lattice import square
    >>> accepted_updates(Ising(square(4)))
    ('metropolis', 'heat_bath', 'kawasaki', 'rejection_free', 'wolff', 'swendsen_wang')
    """
    if hasattr(model, "components"):
        return VECTOR_UPDATES
    if hasattr(model, "n_states") or isinstance(model, Ising):
        return DISCRETE_UPDATES
    raise InvalidInputError(
        f"model = {shown(model)} was given; accepted: thermo.Ising, Potts, Clock, XY or Heisenberg "
        "(levels of other models are known exactly: see their levels())"
    )


def batch_kind(model: Any, update: str, chains: int = 512) -> BatchKind:
    """Return the kind of batch that carries out `update` on `model`.

    Parameters
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg
    update : str
        One of `accepted_updates`.
    chains : int
        How many there will be in all.

    Returns
    -------
    BatchKind
        The fastest there is. For an Ising model whose couplings are all ±J, in a uniform field,
        with at most 15 neighbours per site: 512 lanes; for few chains on a large square torus: 512
        sites of one lattice at a time.

    Raises
    ------
    InvalidInputError
        Not a spin model; an unknown update (the nearest is named); one that this model does not
        have (those it has are named).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> batch_kind(Ising(square(4)), "metropolis").name
    'LaneBatch'
    >>> batch_kind(Ising(square(4)), "heatbath")
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: update = 'heatbath' was given; accepted for Ising:
    'metropolis', 'heat_bath', 'kawasaki', 'rejection_free', 'wolff', 'swendsen_wang' (did you mean
    'heat_bath'?)
    """
    _check_update(model, update)
    if hasattr(model, "components"):
        return VECTOR_CLUSTER if update in CLUSTER_UPDATES else VECTOR
    fits_lanes = isinstance(model, Ising) and _fits_lanes(model)
    if update in CLUSTER_UPDATES:
        large = update == "swendsen_wang" and model.lattice.n_sites > _MOST_LANE_CLUSTER_SITES
        in_lanes = fits_lanes and chains >= _LEAST_CLUSTER_LANES and not large
        return CLUSTER_LANES if in_lanes else CLUSTER
    if update == "kawasaki":
        return KAWASAKI
    if update == "rejection_free":
        return REJECTION_FREE
    if chains <= _MOST_ROW_CHAINS and isinstance(model, Ising) and _fits_rows(model):
        return ROWS
    return LANES if fits_lanes else DISCRETE


def _check_update(model: Any, update: str) -> None:
    """Refuse an update that there is not, or not for this model."""
    accepted, kind = accepted_updates(model), type(model).__name__
    meant = nearest_name(update, UPDATES, ALSO_CALLED)
    if meant in UPDATES and meant not in accepted:
        continuous = meant in VECTOR_UPDATES
        whose = "XY and Heisenberg" if continuous else "Ising, Potts and Clock"
        raise InvalidInputError(
            f"update = {shown(update)} was given; {meant!r} is for the "
            f"{'continuous' if continuous else 'discrete'} spins of {whose} models; accepted for "
            f"{kind}: {', '.join(map(repr, accepted))}"
        )
    one_of(update, "update", accepted, of=f" for {kind}", also_called=ALSO_CALLED)


def _fits_lanes(model: Ising) -> bool:
    """Whether all couplings are ±J, the field is uniform and no site has too many neighbours."""
    return bool(
        model.magnitude is not None
        and model.has_uniform_field
        and model.lattice.degrees.max(initial=0) <= _MOST_LANE_NEIGHBOURS
    )


def _fits_rows(model: Ising) -> bool:
    """Whether it is a large square torus with one coupling and one field."""
    lattice = model.lattice
    return (
        lattice.family == "square"
        and lattice.periodic
        and lattice.shape[0] >= _LEAST_ROW_LENGTH
        and lattice.shape[0] % _ROW_MULTIPLE == 0
        and model.has_uniform_coupling
        and model.has_uniform_field
    )
