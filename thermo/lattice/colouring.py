"""Colourings: numbers for the sites such that neighbours differ, as few numbers as possible."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

__all__ = ["coloured", "formula"]

_SEARCH = 4_000_000  # sites looked at in a search for fewer colours: half a second
_LEAST_STEPS = 10  # per site: larger graphs are left with their greedy colours


def formula(family: str, shape: tuple[int, ...], periodic: bool) -> NDArray[np.int64] | None:
    """Return a known colouring of a regular lattice with the fewest colours; None if none is known.

    Chains, square and cubic lattices add up colours of their axes, each a chain: two colours along
    a chain that is open or of even length, three around an odd ring (which needs them).

    Parameters
    ----------
    family, shape, periodic
        As in `Lattice`.

    Returns
    -------
    ndarray of int, shape (n,), or None
    """
    length = shape[0]
    place = np.indices(shape, sparse=True)
    if family in ("chain", "square", "cubic"):
        odd_ring = periodic and length % 2 == 1
        along = np.arange(length) % 2
        along[-1] += 2 * odd_ring  # a third colour where the ring closes
        total = np.zeros(shape, dtype=np.int64)
        for axis in place:
            total += along[axis]
        return (total % (3 if odd_ring else 2)).ravel()
    if family == "honeycomb":
        return np.broadcast_to(place[-1], shape).ravel()
    if family == "triangular" and not (periodic and length % 3):
        return ((place[0] - place[1]) % 3).ravel()  # triangles: not with two
    if family in ("triangular", "king") and not (periodic and length % 2):
        # King: the four sites of a square are neighbours of one another. Triangular: a colouring
        # with three would be the one above, which does not close around this torus.
        return (2 * (place[0] % 2) + place[1] % 2).ravel()
    if family == "fcc" and not (periodic and length % 2):
        # The four simple cubic lattices it is made of; a tetrahedron has a site of each.
        return (2 * ((place[0] + place[1]) % 2) + (place[1] + place[2]) % 2).ravel()
    return None


def coloured(neighbours: list[list[int]]) -> tuple[list[int], bool]:
    """Colour any graph that is not bipartite, with the fewest colours where that is quick to find.

    Greedy first: the next site is the one with the most colours around it (of these, the one with
    the most neighbours) and gets the smallest colour that is free. On up to some 600 sites a search
    by the same rule then tries to do with one colour less, as often as it succeeds within 4·10⁶/n
    steps.

    Parameters
    ----------
    neighbours : list of lists of int
        Of every site, with at least one odd cycle.

    Returns
    -------
    colours : list of int
    fewest : bool
        Whether it is certain that no colouring has fewer.

    References
    ----------
    D. Brélaz, Commun. ACM 22, 251 (1979).
    """
    colours = _greedy(neighbours)
    steps = _SEARCH // len(neighbours)
    if steps < _LEAST_STEPS * len(neighbours):
        return colours, max(colours) == 2
    while (number := max(colours) + 1) > 3:  # an odd cycle needs three
        better, finished = _search(neighbours, number - 1, steps)
        if better is None:
            return colours, finished
        colours = better
    return colours, True


def _greedy(neighbours: list[list[int]]) -> list[int]:
    colours = [-1] * len(neighbours)
    around: list[set[int]] = [set() for _ in neighbours]
    queue = [(0, -len(row), site) for site, row in enumerate(neighbours)]
    heapify(queue)
    while queue:
        saturation, _, site = heappop(queue)
        if colours[site] >= 0 or -saturation != len(around[site]):
            continue  # coloured meanwhile, or further up in the queue by now
        colour = next(c for c in range(len(neighbours)) if c not in around[site])
        colours[site] = colour
        for other in neighbours[site]:
            if colours[other] < 0 and colour not in around[other]:
                around[other].add(colour)
                heappush(queue, (-len(around[other]), -len(neighbours[other]), other))
    return colours


def _search(neighbours: list[list[int]], number: int, steps: int) -> tuple[list[int] | None, bool]:
    """Look for a colouring with so many colours: the colouring, and whether the answer is certain.

    Depth first; a colour that no site has yet is tried only once, for all new ones are alike.
    """
    n = len(neighbours)
    colours = [-1] * n
    count = [[0] * number for _ in range(n)]  # of each colour around each site
    order: list[int] = []  # the sites coloured so far

    def paint(site: int, colour: int, step: int) -> None:
        colours[site] = colour if step > 0 else -1
        for other in neighbours[site]:
            count[other][colour] += step

    def next_site() -> int:
        return max(
            (site for site in range(n) if colours[site] < 0),
            key=lambda site: (number - count[site].count(0), len(neighbours[site])),
        )

    first = 0  # the smallest colour not tried yet at the next site
    site = next_site()
    for _ in range(steps):
        used = max((colours[s] for s in order), default=-1)
        free = (c for c in range(first, min(used + 2, number)) if not count[site][c])
        colour = next(free, None)
        if colour is not None:
            paint(site, colour, 1)
            order.append(site)
            if len(order) == n:
                return colours, True
            site, first = next_site(), 0
        elif order:
            site = order.pop()
            first = colours[site] + 1
            paint(site, colours[site], -1)
        else:
            return None, True
    return None, False
