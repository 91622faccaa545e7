"""Any graph as a lattice: from a list of edges, a sparse matrix, networkx."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, issparse

from thermo.arguments import as_array, as_real, shown, whole_number
from thermo.errors import InvalidInputError
from thermo.lattice.lattice import Lattice
from thermo.memory import check_memory_of

__all__ = ["MOST_SITES", "from_edges", "from_networkx", "from_sparse", "upper_triangle"]

MOST_SITES = 2**31 - 1  # sites are numbered as int32
_BYTES_PER_SITE = 40  # at the peak, while neighbours are counted


def from_edges(n: int, edges: ArrayLike, *, name: str = "graph") -> Lattice:
    """Return any graph without loops or double bonds.

    Parameters
    ----------
    n : int
        Number of sites, at least 1; sites without bonds are allowed.
    edges : array_like of int, shape (M, 2)
        Pairs of sites 0 … n − 1, each pair once; which site comes first matters for `bond_ends`
        alone.
    name : str
        For reports.

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        A site out of range, a loop, a pair given twice, or not integers of shape (M, 2); more sites
        than fit into memory.

    Examples
    --------
    >>> graph = from_edges(3, [(0, 1), (2, 1)])
    >>> graph.edges.tolist(), graph.bond_ends.tolist()
    ([[0, 1], [1, 2]], [[0, 1], [2, 1]])
    """
    n = whole_number(n, "n", 1, most=MOST_SITES)
    if not isinstance(name, str):
        raise InvalidInputError(f"name = {shown(name)} was given; accepted: text")
    check_memory_of(n, _BYTES_PER_SITE, "sites")
    pairs = as_array(edges, "edges", "integers of shape (M, 2)")
    if pairs.size == 0:
        pairs = np.empty((0, 2), dtype=np.int32)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise InvalidInputError(
            f"edges of shape {pairs.shape} and type {pairs.dtype} were given; "
            "accepted: integers of shape (M, 2)"
        )
    if pairs.size and (pairs.min() < 0 or pairs.max() >= n):
        out = pairs[(pairs < 0) | (pairs >= n)][0]
        raise InvalidInputError(f"an edge joins site {out}; accepted: sites 0 … {n - 1}")
    tail, head = pairs.T.astype(np.int64)
    loop = tail == head
    if loop.any():
        raise InvalidInputError(
            f"an edge joins site {tail[loop][0]} to itself; accepted: edges between two sites"
        )
    # One number per bond: smaller site, larger site, and in the last bit the direction. In place,
    # for there may be millions.
    keys = np.minimum(tail, head)
    keys *= n
    keys += np.maximum(tail, head)
    keys *= 2
    keys += tail < head
    keys.sort()
    forward = (keys & 1).astype(bool)
    keys >>= 1
    double = keys[1:][keys[1:] == keys[:-1]]
    if double.size:
        a, b = divmod(int(double[0]), n)
        raise InvalidInputError(
            f"the edge ({a}, {b}) is given more than once; accepted: every pair once"
        )
    sorted_edges = np.empty((keys.size, 2), dtype=np.int32)
    np.divmod(keys, n, out=(sorted_edges[:, 0], sorted_edges[:, 1]), casting="unsafe")
    for array in (sorted_edges, forward):
        array.flags.writeable = False
    return Lattice(n, sorted_edges, name, (n,), forward)


def from_sparse(matrix: Any, *, name: str = "graph") -> Lattice:
    """Return the graph of a symmetric sparse matrix: a bond wherever an element is not zero.

    The values can serve as couplings: ``Ising(from_sparse(matrix), coupling=matrix)``.

    Parameters
    ----------
    matrix : scipy.sparse array or matrix, shape (n, n)
        Symmetric, with a diagonal of zeros.
    name : str
        For reports.

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        Not a square sparse matrix; not symmetric; an element on the diagonal (a loop).

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from_sparse(csr_array([[0, 2, 0], [2, 0, -1], [0, -1, 0]])).edges.tolist()
    [[0, 1], [1, 2]]
    """
    upper = upper_triangle(matrix, "matrix")
    return from_edges(upper.shape[0], np.stack([upper.row, upper.col], axis=1), name=name)


def from_networkx(graph: Any, *, name: str = "graph") -> Lattice:
    """Return a networkx graph as a lattice; sites in the order of ``graph.nodes``.

    Parameters
    ----------
    graph : networkx.Graph or networkx.DiGraph
        Or anything with ``nodes`` and ``edges`` like theirs. Directions become those of
        `Lattice.bond_ends`; weights are not read.
    name : str
        For reports.

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        No nodes or edges; a loop, or a pair of nodes joined more than once.

    Examples
    --------
    >>> import networkx
    >>> from_networkx(networkx.cycle_graph("abcd")).edges.tolist()
    [[0, 1], [0, 3], [1, 2], [2, 3]]
    """
    try:
        site = {node: index for index, node in enumerate(graph.nodes)}
        edges = [(site[edge[0]], site[edge[1]]) for edge in graph.edges]
    except (AttributeError, TypeError, KeyError) as error:
        raise InvalidInputError(
            f"graph of type {type(graph).__name__} was given; accepted: a networkx graph, or "
            "anything with nodes and edges like its"
        ) from error
    return from_edges(len(site), edges, name=name)


def upper_triangle(matrix: Any, name: str) -> coo_array:
    """Check a symmetric sparse matrix and return what is above its diagonal, without zeros."""
    if not issparse(matrix) or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        given = f"{type(matrix).__name__} of shape {getattr(matrix, 'shape', None)}"
        raise InvalidInputError(
            f"{name}: {given} was given; accepted: a scipy.sparse matrix of shape (n, n)"
        )
    csr = coo_array(matrix).tocsr()  # adds up what is stored twice
    # An adjacency matrix may hold True and False.
    if csr.dtype != bool and np.isnan(as_real(csr.data, f"elements of {name}")).any():
        raise InvalidInputError(f"{name} contains NaN; accepted: a matrix of real numbers")
    csr.eliminate_zeros()
    diagonal = csr.diagonal() != 0
    if diagonal.any():
        raise InvalidInputError(
            f"{name} joins site {int(np.argmax(diagonal))} to itself; accepted: zeros on the "
            "diagonal"
        )
    if (csr != csr.T).nnz:
        raise InvalidInputError(f"{name} is not symmetric; accepted: a symmetric sparse matrix")
    entries = csr.tocoo()
    above = entries.row < entries.col
    return coo_array((entries.data[above], (entries.row[above], entries.col[above])), csr.shape)
