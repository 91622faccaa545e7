"""Sums over the bonds of a small graph, for all states of its spins at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bond_sums", "site_sums"]

Array = NDArray[np.float64]


def bond_sums(sites: int, ends: NDArray, weights: Array, term: Array) -> Array:
    r"""Return Σ_b weight_b · term[(k_head − k_tail) mod q] of all qⁿ states.

    The sum is built site by site: adding one makes q copies of all states so far, and its bonds to
    earlier sites, each a matrix over two of the spins, are spread over the others. Altogether as
    many additions as states times bonds of the last site.

    Parameters
    ----------
    sites : int
        n.
    ends : ndarray of int, shape (M, 2)
        Tail and head of each bond.
    weights : ndarray, shape (M,)
    term : ndarray, shape (q,)

    Returns
    -------
    ndarray, shape (qⁿ,)
        State number Σ k_i qⁱ.

    Examples
    --------
    >>> bond_sums(2, np.array([[0, 1]]), np.ones(1), np.array([-1.0, 1.0]))
    array([-1.,  1.,  1., -1.])
    """
    q = term.size
    state = np.arange(q)
    matrix = term[(state - state[:, None]) % q]  # [tail, head]
    sums = np.zeros(1)
    for site in range(sites):
        sums = np.tile(sums, q)
        for bond in np.flatnonzero(ends.max(axis=1) == site):
            tail, head = ends[bond].tolist()
            other = min(tail, head)
            by_site = matrix if tail == site else matrix.T
            spread = sums.reshape(q, q ** (site - other - 1), q, q**other)
            spread += weights[bond] * by_site[:, None, :, None]
    return sums


def site_sums(terms: Array) -> Array:
    """Return Σ_i terms[i, k_i] of all qⁿ states, in the order of `bond_sums`.

    Parameters
    ----------
    terms : ndarray, shape (n, q)

    Returns
    -------
    ndarray, shape (qⁿ,)

    Examples
    --------
    >>> site_sums(np.array([[0.0, 1.0], [0.0, 10.0]]))
    array([ 0.,  1., 10., 11.])
    """
    sums = np.zeros(1)
    for own in terms:
        sums = (own[:, None] + sums).ravel()
    return sums
