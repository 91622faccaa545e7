"""The names of the updates."""

from __future__ import annotations

__all__ = ["CLUSTER_UPDATES", "DISCRETE_UPDATES", "SPIN_UPDATES", "UPDATES", "VECTOR_UPDATES"]

SPIN_UPDATES = ("metropolis", "heat_bath")
CLUSTER_UPDATES = ("wolff", "swendsen_wang")
DISCRETE_UPDATES = (*SPIN_UPDATES, "kawasaki", "rejection_free", *CLUSTER_UPDATES)
VECTOR_UPDATES = (*SPIN_UPDATES, "over_relaxation", *CLUSTER_UPDATES)
UPDATES = tuple(dict.fromkeys(DISCRETE_UPDATES + VECTOR_UPDATES))
