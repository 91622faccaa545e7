"""The one class of lattices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thermo.errors import InvalidInputError
from thermo.lattice.colouring import coloured, formula

__all__ = ["Lattice"]

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
    forward : ndarray of bool, shape (M,)
        Whether the bond leads from the smaller site to the larger: see `bond_ends`; read-only.
    family : str
        The name of the function of `thermo.lattice` that made it, ``"square"`` for example, or
        ``"graph"``.
    periodic : bool
        Whether opposite edges are joined (a ring, a torus); False for a graph.

    Examples
    --------
    >>> from thermo.lattice import square
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
    forward: NDArray[np.bool_]
    family: str = "graph"
    periodic: bool = False

    def __repr__(self) -> str:
        return f"Lattice({self.name!r}, {self.n_sites} sites, {self.n_edges} bonds)"

    def __reduce__(self) -> tuple[Any, ...]:
        # Made again in another process: little to send, and its arrays are read-only there too.
        from thermo.lattice.regular import from_description

        return from_description, (self.description(),)

    @property
    def n_edges(self) -> int:
        """Number of bonds M."""
        return len(self.edges)

    @cached_property
    def bond_ends(self) -> IntArray:
        """Tail and head of every bond, in the order of `edges`; shape (M, 2).

        Bonds of the regular lattices lead along the axes, also where they close a torus: the last
        bond of a ring leads from site n − 1 to site 0. Those of a graph lead as they were given.
        Only models that tell the two ends apart, such as the chiral clock, depend on it.
        """
        if self.forward.all():
            return self.edges
        return frozen(np.where(self.forward[:, None], self.edges, self.edges[:, ::-1]))

    @cached_property
    def degrees(self) -> IntArray:
        """Number of neighbours of every site, shape (n,)."""
        return frozen(np.bincount(self.edges.ravel(), minlength=self.n_sites))

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each site's part of `adjacency` begins, and its end; shape (n + 1,)."""
        offsets = np.concatenate([[0], np.cumsum(self.degrees, dtype=np.int64)])
        offsets.flags.writeable = False
        return offsets

    @cached_property
    def adjacency(self) -> IntArray:
        """Neighbours of site 0, then of site 1, …, each in ascending order; shape (2M,)."""
        return frozen(np.sort(self._ends_of_bonds) % self.n_sites)

    @cached_property
    def adjacent_bonds(self) -> IntArray:
        """Which bond leads to each neighbour in `adjacency`; shape (2M,)."""
        return frozen(np.argsort(self._ends_of_bonds) % max(self.n_edges, 1))

    @property
    def _ends_of_bonds(self) -> NDArray[np.int64]:
        """site·n + neighbour of every bond, first seen from one end, then from the other."""
        a, b = self.edges.T.astype(np.int64)
        return np.concatenate([a * self.n_sites + b, b * self.n_sites + a])

    @cached_property
    def neighbours(self) -> IntArray:
        """Neighbour table, shape (n, largest degree), filled up with −1."""
        table = np.full((self.n_sites, int(self.degrees.max(initial=0))), -1, dtype=np.int32)
        table[np.arange(table.shape[1]) < self.degrees[:, None]] = self.adjacency
        return frozen(table)

    @cached_property
    def sublattice(self) -> IntArray | None:
        """0 or 1 per site such that every bond joins a 0 to a 1; None where that is impossible.

        The first site of every connected piece is 0.
        """
        known = formula(self.family, self.shape, self.periodic)
        if known is not None:
            return frozen(known) if known.max() == 1 else None
        # Two copies of every site, and each bond from copy to copy: a path of even length leads
        # back to the same copy. With an odd cycle both copies of a site are connected.
        n, (a, b) = self.n_sites, self.edges.T.astype(np.int64)
        rows, columns = np.concatenate([a, a + n]), np.concatenate([b + n, b])
        double_cover = coo_array((np.ones(rows.size, dtype=bool), (rows, columns)), (2 * n, 2 * n))
        _, piece = connected_components(double_cover, directed=False)
        if np.any(piece[:n] == piece[n:]):
            return None
        # The two pieces of the cover are mirror images; the one met first holds the first site.
        return frozen(piece[:n] > piece[n:])

    @property
    def is_bipartite(self) -> bool:
        """Whether the sites can be coloured with two colours (no odd cycle)."""
        return self.sublattice is not None

    def require_bipartite(self, reason: str) -> IntArray:
        """Return the `sublattice`, or refuse, saying what needs it.

        Parameters
        ----------
        reason : str
            What needs it: "staggered order".

        Returns
        -------
        ndarray of int32, shape (n,)

        Raises
        ------
        InvalidInputError
            The lattice has odd cycles.

        Examples
        --------
        >>> from thermo.lattice import square
        >>> square(5).require_bipartite("staggered order")
        Traceback (most recent call last):
        thermo.errors.InvalidInputError: square 5×5 torus has odd cycles, ...
        """
        if self.sublattice is None:
            raise InvalidInputError(
                f"{self.name} has odd cycles, but {reason} needs two sublattices; accepted: a "
                "bipartite lattice (square, cubic and chain with open edges or an even length, "
                "honeycomb)"
            )
        return self.sublattice

    @property
    def colouring(self) -> IntArray:
        """Colour 0, 1, … per site, neighbours always different; shape (n,).

        Two colours where the lattice is bipartite. The fewest possible also on the regular
        lattices, except large triangular and king tori of odd length (but for triangular ones of a
        multiple of 3), and on small graphs; `colours_are_fewest` says where that is certain.
        Elsewhere greedy by saturation (Brélaz 1979), with at most one colour more than the largest
        degree, about 10 μs per site.
        """
        return self._colours[0]

    @property
    def colours_are_fewest(self) -> bool:
        """Whether `colouring` is known to use as few colours as possible."""
        return self._colours[1]

    @cached_property
    def _colours(self) -> tuple[IntArray, bool]:
        known = formula(self.family, self.shape, self.periodic)
        if known is not None:
            return frozen(known), True
        if self.sublattice is not None:
            return self.sublattice, True
        neighbours = np.split(self.adjacency, self.offsets[1:-1])
        colours, fewest = coloured([row.tolist() for row in neighbours])
        return frozen(colours), fewest

    def description(self) -> dict[str, Any]:
        """Return what `thermo.lattice.from_description` needs to make the same lattice again.

        Returns
        -------
        dict
            Of text, numbers and NumPy arrays.

        Examples
        --------
        >>> from thermo.lattice import chain
        >>> chain(4).description()
        {'lattice': 'chain', 'length': 4, 'periodic': True}
        """
        if self.family != "graph":
            return {"lattice": self.family, "length": self.shape[0], "periodic": self.periodic}
        return {
            "lattice": "graph",
            "name": self.name,
            "sites": self.n_sites,
            "bond_ends": self.bond_ends,
        }


def frozen(values: ArrayLike) -> IntArray:
    """Return the values as a read-only array of int32."""
    array = np.array(values, dtype=np.int32, order="C")
    array.flags.writeable = False
    return array
