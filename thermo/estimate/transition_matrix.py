"""ln g from counted transitions: the transition-matrix estimator."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solveh_banded
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thermo.errors import InvalidInputError

__all__ = ["log_density_from_transitions"]


def log_density_from_transitions(transitions: ArrayLike) -> NDArray[np.float64]:
    r"""Return ln g from how often moves from one energy to another were proposed.

    At β = 0 every proposal is accepted and all states are equally likely, so that

    .. math:: g(E)\, T(E \to E') = g(E')\, T(E' \to E)

    with T the probability that a move from a state of energy E leads to E′. T is measured by the
    proposals of *any* walk that visits all states of an energy alike, with whatever acceptance.
    Every pair of energies with counts both ways gives one equation for the difference of their
    ln g; all together are solved by least squares, weighted as counts C, C′ of independent
    proposals would be: 1/(1/C + 1/C′).

    Parameters
    ----------
    transitions : array_like, shape (L, 2r + 1)
        Proposals from energy l to energy l + (column − r), accepted or not.

    Returns
    -------
    ndarray, shape (L,)
        ln g up to a constant; −inf where nothing was counted, or where no chain of two-way
        counts leads to the part of the energies with most counts.

    Raises
    ------
    InvalidInputError
        Another shape, negative counts, or none.

    Notes
    -----
    The error of a difference of ln g between two far energies adds up along the way, instead of
    resting on how often the walk went from one to the other as a histogram's does. The gain is lost
    where states of one energy mix only by such journeys (32² Ising: both errors are alike). Not for
    walks whose weights still change much (Wang–Landau in its first stages): these do not visit the
    states of an energy alike.

    References
    ----------
    P. M. C. de Oliveira, T. J. P. Penna, H. J. Herrmann, Braz. J. Phys. 26, 677 (1996);
    J.-S. Wang, R. H. Swendsen, J. Stat. Phys. 106, 245 (2002), section 3.

    Examples
    --------
    One spin in three states of energies 0, 1, 1: from 0 both other states cost 1, from 1 half of
    the moves lead to the other state of energy 1.

    >>> log_g = log_density_from_transitions([[0, 0, 20], [10, 10, 0]])
    >>> np.exp(log_g - log_g[0]).round(6)
    array([1., 2.])
    """
    counts = np.asarray(transitions, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[1] % 2 == 0 or not counts.sum() > 0 or counts.min() < 0:
        raise InvalidInputError(
            f"transitions of shape {counts.shape} were given; accepted: counts (L, 2r + 1), not "
            "negative and not all zero"
        )
    reach = counts.shape[1] // 2
    visits = counts.sum(axis=1)
    lower, upper, step, weight = _two_way_pairs(counts, visits, reach)

    largest = _largest_part(lower, upper, visits)
    inside = largest[lower]
    lower, upper, step, weight = (x[inside] for x in (lower, upper, step, weight))
    position = np.cumsum(largest) - 1
    a, b, size = position[lower], position[upper], int(largest.sum())
    flow = np.bincount(b, weight * step, size) - np.bincount(a, weight * step, size)
    laplacian = np.zeros((reach + 1, size))
    laplacian[0] = np.bincount(a, weight, size) + np.bincount(b, weight, size)
    np.subtract.at(laplacian, (b - a, a), weight)
    # ln g is free up to a constant: tying one energy to 0 moves nothing else.
    laplacian[0, position[np.argmax(np.where(largest, visits, 0))]] += weight.max(initial=1.0)
    log_g = np.full(len(counts), -np.inf)
    log_g[largest] = solveh_banded(laplacian, flow, lower=True)
    return log_g


def _two_way_pairs(
    counts: NDArray[np.float64], visits: NDArray[np.float64], reach: int
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Pairs of energies with counts both ways: lower, upper, difference of ln g, weight."""
    pairs = []
    for distance in range(1, reach + 1):
        up, down = counts[:-distance, reach + distance], counts[distance:, reach - distance]
        lower = np.flatnonzero((up > 0) & (down > 0))
        upper = lower + distance
        up, down = up[lower], down[lower]
        step = np.log(up / visits[lower]) - np.log(down / visits[upper])
        pairs.append((lower, upper, step, up * down / (up + down)))
    if not pairs:
        return np.empty(0, int), np.empty(0, int), np.empty(0), np.empty(0)
    lower, upper, step, weight = (np.concatenate(x) for x in zip(*pairs, strict=True))
    return lower, upper, step, weight


def _largest_part(lower: NDArray, upper: NDArray, visits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The energies of the connected part with most counts."""
    size = len(visits)
    graph = coo_array((np.ones(len(lower)), (lower, upper)), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    return part == np.argmax(np.bincount(part, visits))
