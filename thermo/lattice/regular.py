"""The regular lattices: chain, square, king, triangular, honeycomb, cubic, fcc."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thermo.arguments import one_of, shown, true_or_false, whole_number
from thermo.errors import InvalidInputError
from thermo.lattice.graph import MOST_SITES, from_edges
from thermo.lattice.lattice import Lattice
from thermo.memory import check_memory_of

__all__ = [
    "chain",
    "cubic",
    "fcc",
    "from_description",
    "honeycomb",
    "king",
    "square",
    "triangular",
]

_BYTES_PER_BOND = 80  # at the peak, while bonds are sorted


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


def king(L: int, periodic: bool = True) -> Lattice:
    """Return the L×L king's graph, the square lattice with diagonals: eight neighbours.

    The lattice of the J₁–J₂ model (see `thermo.models.j1_j2`).

    Parameters
    ----------
    L : int
        At least 3 on the torus, 2 with open edges.
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
    >>> king(4).n_edges, king(4).colouring.max() + 1
    (64, np.int32(4))
    """
    bonds = [(0, 0, (0, 1)), (0, 0, (1, 0)), (0, 0, (1, 1)), (0, 0, (1, -1))]
    return _cells("king", (L, L), 1, bonds, periodic)


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


def fcc(L: int, periodic: bool = True) -> Lattice:
    r"""Return the face-centred cubic lattice of L×L×L primitive cells: twelve neighbours.

    Site (i, j, k) lies at :math:`\tfrac a2 (j + k,\, i + k,\, i + j)`, with a the edge of the cubic
    cell that holds four sites: its coordinates are any three integers of even sum, in units of a/2.
    Neighbours are a/√2 apart, along the axes i, j, k and their differences, and every bond is part
    of tetrahedra: an antiferromagnet is frustrated.

    Parameters
    ----------
    L : int
        At least 3 on the torus, 2 with open faces. The torus has all symmetries of the cube.
        Antiferromagnetic order of type I, planes (100) of alternating sign, fits it if L is even;
        its wave vectors are (0, π, π), (π, 0, π) and (π, π, 0) along the axes i, j, k.
    periodic : bool
        Whether opposite faces are joined.

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        A size below the least, or not an integer.

    Examples
    --------
    >>> lattice = fcc(4)
    >>> lattice.n_edges, int(lattice.colouring.max()) + 1
    (384, 4)
    """
    bonds = [
        (0, 0, step)
        for step in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, -1), (1, 0, -1), (1, -1, 0))
    ]
    return _cells("fcc", (L, L, L), 1, bonds, periodic)


def from_description(description: Mapping[str, Any]) -> Lattice:
    """Return the lattice that a `Lattice.description` describes.

    Parameters
    ----------
    description : mapping
        It may come from a file: values are checked. Entries of other names are left alone.

    Returns
    -------
    Lattice

    Raises
    ------
    InvalidInputError
        No such lattice; an entry that is missing or wrong.

    Examples
    --------
    >>> from_description(triangular(6).description())
    Lattice('triangular 6×6 torus', 36 sites, 108 bonds)
    """
    if not isinstance(description, Mapping):
        raise InvalidInputError(
            f"description = {shown(description)} was given; accepted: what Lattice.description() "
            "returns"
        )
    try:
        family = one_of(description["lattice"], "lattice", [*_FAMILIES, "graph"])
        if family == "graph":
            return from_edges(
                description["sites"], description["bond_ends"], name=str(description["name"])
            )
        return _FAMILIES[family](description["length"], description["periodic"])
    except KeyError as error:
        raise InvalidInputError(
            f"the description of a lattice has no {error}; accepted: what Lattice.description() "
            "returns"
        ) from None


def _cells(
    name: str,
    shape: tuple[int, ...],
    sites_per_cell: int,
    bonds: Sequence[tuple[int, int, tuple[int, ...]]],
    periodic: bool,
) -> Lattice:
    """Repeat a cell; bond (a, b, step) joins its site a to site b of the cell `step` away."""
    periodic = true_or_false(periodic, "periodic")
    # The shortest ring without double bonds: one that tells a step forward from a step back.
    least = 2 if not periodic or sites_per_cell > 1 else 3
    why = ": smaller tori have double bonds" if periodic else ""
    shape = tuple(whole_number(length, f"{name} length", least, why) for length in shape)
    sites = math.prod(shape) * sites_per_cell
    most = int((MOST_SITES / sites_per_cell) ** (1.0 / len(shape)))
    what = f"cells along each side of a {name} lattice" if len(shape) > 1 else "sites of a chain"
    check_memory_of(shape[0], _BYTES_PER_BOND * len(bonds), what, power=len(shape), most=most)
    if sites > MOST_SITES:
        raise InvalidInputError(
            f"{shape[0]} {what} were asked for, with {sites} sites in all; accepted, for sites are "
            f"numbered with 32 bits: at most {most} {what}"
        )
    cells = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    edges = []
    for a, b, step in bonds:
        target = np.roll(cells, [-s for s in step], range(len(shape)))
        inside = tuple(
            slice(None) if periodic else slice(max(-s, 0), length - max(s, 0))
            for s, length in zip(step, shape, strict=True)
        )
        ends = (cells[inside] * sites_per_cell + a, target[inside] * sites_per_cell + b)
        edges.append(np.stack(ends, axis=-1).reshape(-1, 2))
    kind = ("ring" if len(shape) == 1 else "torus") if periodic else "open"
    graph = from_edges(
        sites, np.concatenate(edges), name=f"{name} {'×'.join(map(str, shape))} {kind}"
    )
    cell = (sites_per_cell,) if sites_per_cell > 1 else ()
    return replace(graph, shape=shape + cell, family=name, periodic=periodic)


_FAMILIES = {
    make.__name__: make for make in (chain, square, king, triangular, honeycomb, cubic, fcc)
}
