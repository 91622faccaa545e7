"""Where a run begins: random or ordered configurations, packed into lanes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from thermo.errors import InvalidInputError
from thermo.kernels.lanes import WORDS, pack
from thermo.models.ising import Ising

_GOLDEN = (5**0.5 - 1) / 2

__all__ = ["given_start", "ordered_start", "packed_start"]


def ordered_start(model: Ising, beta: np.ndarray, start: str) -> np.ndarray:
    """Say which β begin in an ordered state.

    ``"auto"``: where mean-field theory expects order, (mean degree)·|βJ| + |βh| ≥ 1, unless the
    lattice is frustrated at this sign of βJ. Mean-field theory orders too early, so that everything
    random is truly disordered, and no run is quenched across its transition, which would leave
    stripes that never melt; an ordered start in the disordered phase melts quickly.

    Parameters
    ----------
    model : Ising
    beta : ndarray of float64, shape (B,)
    start : str
        ``"auto"``, ``"random"`` or ``"ordered"``.

    Returns
    -------
    ndarray of bool, shape (B,)

    Raises
    ------
    InvalidInputError
        ``"ordered"`` at βJ < 0 on a lattice that is not bipartite; another name.
    """
    if start == "random":
        return np.zeros(beta.shape, dtype=bool)
    frustrated = (beta * model.coupling < 0) & (not model.lattice.is_bipartite)
    if start == "ordered":
        for b in beta[frustrated]:
            model.ordered_states(int(np.sign(b)))  # raises
        return np.ones(beta.shape, dtype=bool)
    if start == "auto":
        mean_degree = 2 * model.lattice.n_edges / model.lattice.n_sites
        strength = mean_degree * abs(model.coupling) + abs(model.field)
        with np.errstate(invalid="ignore"):  # inf · 0: no interaction, random will do
            return (np.abs(beta) * strength >= 1) & ~frustrated
    raise InvalidInputError(
        f"start = {start!r} was given; accepted: 'auto', 'random', 'ordered' or an array of ±1"
    )


def packed_start(
    model: Ising,
    beta: np.ndarray,
    replica: np.ndarray,
    ordered: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return the rows of spins with which the lanes begin, shape (n, 8).

    Ordered lanes take turns among the equally good ordered states by replica number, so that in
    zero field the replicas' magnetisations cancel on average, as the exact ones do. In a weak field
    the reversed states carry the share 1/(1 + e^{2|βh|n}) of the weight, and chains hardly cross
    over to them: so many replicas begin there, and show by disagreeing if the run is too short.

    Parameters
    ----------
    model : Ising
    beta, replica, ordered : ndarray, shape (512,)
        Of each lane: β, which replica of its β it is, whether it begins ordered.
    generator : numpy.random.Generator
    """
    n = model.lattice.n_sites
    rows = generator.integers(0, 2**64, size=(n, WORDS), dtype=np.uint64)
    rows &= ~pack(ordered[None, :])
    if model.field:
        share = expit(-2.0 * np.abs(beta * model.field) * n)
        reverse = (0.5 + replica * _GOLDEN) % 1.0 < share  # evenly spread, without a random number
    else:
        reverse = np.zeros(beta.shape, dtype=bool)
    for sign in (1, -1):
        lanes = ordered & (np.where(beta < 0, -1, 1) == sign)
        if lanes.any():
            best = model.ordered_states(sign)
            for states, chosen in ((best, lanes & ~reverse), (-best, lanes & reverse)):
                for k, state in enumerate(states):
                    mask = pack((chosen & (replica % len(states) == k))[None, :])
                    rows |= np.where(state[:, None] > 0, mask, np.uint64(0))
    return rows


def given_start(model: Ising, start: ArrayLike, betas: int, replicas: int) -> np.ndarray:
    """Check a user's configurations and give every lane one; int8, shape (betas, replicas, n)."""
    spins = np.asarray(start)
    n = model.lattice.n_sites
    shape = (betas, replicas, n)
    fits = spins.shape in ((n,), shape)
    if not fits or spins.dtype.kind not in "if" or not np.all(np.abs(spins) == 1):
        raise InvalidInputError(
            f"start of shape {spins.shape} and type {spins.dtype} was given; accepted: +1 and -1 "
            f"of shape ({n},) or {shape}, 'auto', 'random' or 'ordered'"
        )
    return np.broadcast_to(spins.astype(np.int8), shape)
