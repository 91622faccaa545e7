"""Lattices and graphs: which sites are neighbours, and how the sites can be coloured."""

from __future__ import annotations

from thermo.lattice.graph import from_edges, from_networkx, from_sparse
from thermo.lattice.lattice import Lattice
from thermo.lattice.regular import (
    chain,
    cubic,
    fcc,
    from_description,
    honeycomb,
    king,
    square,
    triangular,
)

__all__ = [
    "Lattice",
    "chain",
    "cubic",
    "fcc",
    "from_description",
    "from_edges",
    "from_networkx",
    "from_sparse",
    "honeycomb",
    "king",
    "square",
    "triangular",
]
