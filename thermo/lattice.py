"""Lattices and graphs: which sites are neighbours, and how the sites can be coloured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thermo.arguments import whole_number
from thermo.errors import InvalidInputError

__all__ = ["Lattice", "chain", "cubic", "from_edges", "honeycomb", "square", "triangular"]

IntArray = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Sites 0 … n − 1 and the bonds between them; made by `square`, `from_edges` and the like.

    Attributes
    ----------
    n_sites : int
        Number of sites n.
    edges : ndarray of int32, shape (M, 2)
        Every bond once, smaller site first, in ascending order; read-only.
    name : str
        What it is, for reports: ``"square 32×32 torus"``.
    shape : tuple of int
        The shape in which per-site arrays can be drawn, sites in C order: ``(L, L)`` for `square`,
        ``(L, L, 2)`` for `honeycomb` (two sites per cell), ``(n,)`` for a graph.

    Examples
    --------
    >>> lattice = square(4)
    >>> lattice, lattice.n_edges, bool(lattice.is_bipartite)
    (Lattice('square 4×4 torus', 16 sites, 32 bonds), 32, True)
    >>> lattice.neighbours[0]
    array([ 1,  3,  4, 12], dtype=int32)
    """

    n_sites: int
    edges: IntArray
    name: str
    shape: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Lattice({self.name!r}, {self.n_sites} sites, {self.n_edges} bonds)"

    @property
    def n_edges(self) -> int:
        """Number of bonds M."""
        return len(self.edges)

    @cached_property
    def degrees(self) -> IntArray:
        """Number of neighbours of every site, shape (n,)."""
        return _frozen(np.bincount(self.edges.ravel(), minlength=self.n_sites))

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each site's part of `adjacency` begins, and its end; shape (n + 1,)."""
        offsets = np.concatenate([[0], np.cumsum(self.degrees, dtype=np.int64)])
        offsets.flags.writeable = False
        return offsets

    @cached_property
    def adjacency(self) -> IntArray:
        """Neighbours of site 0, then of site 1, …, each in ascending order; shape (2M,)."""
        both = np.concatenate([self.edges, self.edges[:, ::-1]])
        return _frozen(both[np.lexsort((both[:, 1], both[:, 0])), 1])

    @cached_property
    def neighbours(self) -> IntArray:
        """Neighbour table, shape (n, largest degree), filled up with −1."""
        table = np.full((self.n_sites, int(self.degrees.max(initial=0))), -1, dtype=np.int32)
        table[np.arange(table.shape[1]) < self.degrees[:, None]] = self.adjacency
        return _frozen(table)

    @cached_property
    def sublattice(self) -> IntArray | None:
        """0 or 1 per site such that every bond joins a 0 to a 1; None where that is impossible.

        The first site of every connected piece is 0.
        """
        # Two copies of every site, and each bond from copy to copy: a path of even length leads
        # back to the same copy. With an odd cycle both copies of a site are connected.
        n, (a, b) = self.n_sites, self.edges.T.astype(np.int64)
        rows, columns = np.concatenate([a, a + n]), np.concatenate([b + n, b])
        double_cover = coo_array((np.ones(rows.size, dtype=bool), (rows, columns)), (2 * n, 2 * n))
        _, piece = connected_components(double_cover, directed=False)
        if np.any(piece[:n] == piece[n:]):
            return None
        # The two pieces of the cover are mirror images; the one met first holds the first site.
        return _frozen(piece[:n] > piece[n:])

    @property
    def is_bipartite(self) -> bool:
        """Whether the sites can be coloured with two colours (no odd cycle)."""
        return self.sublattice is not None

    @cached_property
    def colouring(self) -> IntArray:
        """Colour 0, 1, … per site, neighbours always different; shape (n,).

        Two colours where the lattice is bipartite, otherwise greedy in site order, with at most
        one colour more than the largest degree (not always the fewest possible).
        """
        if self.sublattice is not None:
            return self.sublattice
        colours = [-1] * self.n_sites
        for site, row in enumerate(self.neighbours.tolist()):
            taken = {colours[other] for other in row if other >= 0}
            colours[site] = next(c for c in range(len(row) + 1) if c not in taken)
        return _frozen(colours)


def chain(n: int, periodic: bool = True) -> Lattice:
    """Return a chain of n sites, closed to a ring or open.

    Parameters
    ----------
    n : int
        At least 3 for a ring (with two sites the two bonds would join the same pair), else 2.
    periodic : bool
        Whether opposite edges are joined (a ring, a torus).

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        A size below the least, or not an integer.

    Examples
    --------
    >>> chain(4, periodic=False).edges.tolist()
    [[0, 1], [1, 2], [2, 3]]
    """
    return _cells("chain", (n,), 1, [(0, 0, (1,))], periodic)


def square(L: int, periodic: bool = True) -> Lattice:
    """Return the L×L square lattice: four neighbours.

    Parameters
    ----------
    L : int
        At least 3 on the torus, 2 with open edges. L = 2 on the torus would give every pair two
        bonds and is refused; odd L on the torus is not bipartite.
    periodic : bool
        Whether opposite edges are joined (a ring, a torus).

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        A size below the least, or not an integer.

    Examples
    --------
    >>> square(3).is_bipartite, square(3, periodic=False).is_bipartite
    (False, True)
    """
    return _cells("square", (L, L), 1, [(0, 0, (0, 1)), (0, 0, (1, 0))], periodic)


def triangular(L: int, periodic: bool = True) -> Lattice:
    """Return the L×L triangular lattice: six neighbours, (±1, 0), (0, ±1) and ±(1, −1).

    Parameters
    ----------
    L : int
        At least 3 on the torus, 2 with open edges. A ground state of the antiferromagnet with
        three equal sublattices fits the torus if L is a multiple of 3.
    periodic : bool
        Whether opposite edges are joined (a ring, a torus).

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        A size below the least, or not an integer.

    Examples
    --------
    >>> triangular(4).n_edges, triangular(4).is_bipartite
    (48, False)
    """
    bonds = [(0, 0, (0, 1)), (0, 0, (1, 0)), (0, 0, (1, -1))]
    return _cells("triangular", (L, L), 1, bonds, periodic)


def honeycomb(L: int, periodic: bool = True) -> Lattice:
    """Return the honeycomb lattice of L×L cells with two sites each: three neighbours, bipartite.

    Parameters
    ----------
    L : int
        At least 2.
    periodic : bool
        Whether opposite edges are joined (a ring, a torus).

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        A size below the least, or not an integer.

    Examples
    --------
    >>> honeycomb(3).n_sites, honeycomb(3).degrees.min()
    (18, np.int32(3))
    """
    bonds = [(0, 1, (0, 0)), (1, 0, (0, 1)), (1, 0, (1, 0))]
    return _cells("honeycomb", (L, L), 2, bonds, periodic)


def cubic(L: int, periodic: bool = True) -> Lattice:
    """Return the L×L×L simple cubic lattice: six neighbours.

    Parameters
    ----------
    L : int
        At least 3 on the torus, 2 with open faces (see `square`).
    periodic : bool
        Whether opposite edges are joined (a ring, a torus).

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        A size below the least, or not an integer.

    Examples
    --------
    >>> cubic(4).n_edges
    192
    """
    bonds = [(0, 0, (0, 0, 1)), (0, 0, (0, 1, 0)), (0, 0, (1, 0, 0))]
    return _cells("cubic", (L, L, L), 1, bonds, periodic)


def from_edges(n: int, edges: ArrayLike, *, name: str = "graph") -> Lattice:
    """Return any graph without loops or double bonds.

    Parameters
    ----------
    n : int
        Number of sites, at least 1; sites without bonds are allowed.
    edges : array_like of int, shape (M, 2)
        Pairs of sites 0 … n − 1, each pair once, in either order.
    name : str
        For reports.

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        A site out of range, a loop, a pair given twice, or not integers of shape (M, 2).

    Examples
    --------
    >>> from_edges(3, [(0, 1), (2, 1)]).edges.tolist()
    [[0, 1], [1, 2]]
    """
    n = whole_number(n, "n", 1)
    pairs = np.asarray(edges)
    if pairs.size == 0:
        pairs = np.empty((0, 2), dtype=np.int32)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise InvalidInputError(
            f"edges of shape {pairs.shape} and type {pairs.dtype} were given; "
            "accepted: integers of shape (M, 2)"
        )
    out = (pairs < 0) | (pairs >= n)
    if out.any():
        raise InvalidInputError(f"an edge joins site {pairs[out][0]}; accepted: sites 0 … {n - 1}")
    loop = pairs[:, 0] == pairs[:, 1]
    if loop.any():
        raise InvalidInputError(
            f"an edge joins site {pairs[loop][0, 0]} to itself; accepted: edges between two sites"
        )
    pairs = np.sort(pairs.astype(np.int64), axis=1)
    keys = np.sort(pairs[:, 0] * n + pairs[:, 1])
    double = keys[1:][keys[1:] == keys[:-1]]
    if double.size:
        a, b = divmod(int(double[0]), n)
        raise InvalidInputError(
            f"the edge ({a}, {b}) is given more than once; accepted: every pair once"
        )
    return Lattice(n, _frozen(np.stack(np.divmod(keys, n), axis=1)), name, (n,))


def _cells(
    name: str,
    shape: tuple[int, ...],
    sites_per_cell: int,
    bonds: Sequence[tuple[int, int, tuple[int, ...]]],
    periodic: bool,
) -> Lattice:
    """Repeat a cell; bond (a, b, step) joins its site a to site b of the cell `step` away."""
    # The shortest ring without double bonds: one that tells a step forward from a step back.
    least = 2 if not periodic or sites_per_cell > 1 else 3
    why = ": smaller tori have double bonds" if periodic else ""
    shape = tuple(whole_number(length, f"{name} length", least, why) for length in shape)
    cells = np.indices(shape).reshape(len(shape), -1)
    edges = []
    for a, b, step in bonds:
        target = cells + np.array(step)[:, None]
        size = np.array(shape)[:, None]
        inside = np.full(cells.shape[1], True)
        if not periodic:
            inside = np.all((target >= 0) & (target < size), axis=0)
        ends = [
            np.ravel_multi_index(tuple(place), shape) * sites_per_cell + site
            for place, site in ((cells[:, inside], a), ((target % size)[:, inside], b))
        ]
        edges.append(np.stack(ends, axis=1))
    sites = int(np.prod(shape)) * sites_per_cell
    kind = ("ring" if len(shape) == 1 else "torus") if periodic else "open"
    graph = from_edges(
        sites, np.concatenate(edges), name=f"{name} {'×'.join(map(str, shape))} {kind}"
    )
    cell = (sites_per_cell,) if sites_per_cell > 1 else ()
    return Lattice(sites, graph.edges, graph.name, shape + cell)


def _frozen(values: ArrayLike) -> IntArray:
    array = np.ascontiguousarray(values, dtype=np.int32)
    array.flags.writeable = False
    return array
