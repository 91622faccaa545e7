"""Lattices against what is known of them: coordination, bonds, bipartiteness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermo.errors import InvalidInputError
from thermo.lattice import (
    Lattice,
    chain,
    cubic,
    from_edges,
    honeycomb,
    square,
    triangular,
)


@pytest.mark.parametrize(
    ("lattice", "sites", "degree", "bipartite"),
    [
        (chain(3), 3, 2, False),
        (chain(8), 8, 2, True),
        (square(3), 9, 4, False),
        (square(6), 36, 4, True),
        (triangular(3), 9, 6, False),
        (triangular(6), 36, 6, False),
        (honeycomb(2), 8, 3, True),
        (honeycomb(5), 50, 3, True),
        (cubic(3), 27, 6, False),
        (cubic(4), 64, 6, True),
    ],
)
def test_periodic_lattices_are_regular(
    lattice: Lattice, sites: int, degree: int, bipartite: bool
) -> None:
    assert lattice.n_sites == sites == np.prod(lattice.shape)
    assert np.all(lattice.degrees == degree)
    assert lattice.n_edges == sites * degree // 2
    assert lattice.is_bipartite is bipartite


@pytest.mark.parametrize(
    ("lattice", "bonds"),
    [
        (chain(7, periodic=False), 6),
        (square(5, periodic=False), 2 * 5 * 4),
        (triangular(4, periodic=False), 2 * 4 * 3 + 3 * 3),
        (honeycomb(3, periodic=False), 9 + 2 * 3 * 2),
        (cubic(3, periodic=False), 3 * 9 * 2),
        (square(2, periodic=False), 4),
    ],
)
def test_open_lattices_lack_the_bonds_around_the_edge(lattice: Lattice, bonds: int) -> None:
    assert lattice.n_edges == bonds


def test_square_neighbours_are_the_four_nearest_sites() -> None:
    table = square(5).neighbours.reshape(5, 5, 4)
    for x in range(5):
        for y in range(5):
            near = {((x + 1) % 5, y), ((x - 1) % 5, y), (x, (y + 1) % 5), (x, (y - 1) % 5)}
            assert {divmod(int(k), 5) for k in table[x, y]} == near


def test_honeycomb_has_no_triangles_squares_or_pentagons() -> None:
    adjacency = np.zeros((50, 50), dtype=int)
    a, b = honeycomb(5).edges.T
    adjacency[a, b] = adjacency[b, a] = 1
    two_steps = adjacency @ adjacency - np.diag(adjacency.sum(axis=1))
    assert np.trace(adjacency @ adjacency @ adjacency) == 0
    assert two_steps.max() == 1  # two sites never share two neighbours: no 4-ring


@st.composite
def graphs(draw: st.DrawFn) -> Lattice:
    n = draw(st.integers(1, 12))
    pairs = [(a, b) for a in range(n) for b in range(a)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return from_edges(n, edges)


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_every_view_of_a_graph_holds_the_same_bonds(graph: Lattice) -> None:
    bonds = {tuple(edge) for edge in graph.edges.tolist()}
    assert all(a < b for a, b in bonds)
    from_table = {
        (min(site, int(other)), max(site, int(other)))
        for site in range(graph.n_sites)
        for other in graph.neighbours[site]
        if other >= 0
    }
    assert from_table == bonds
    for site in range(graph.n_sites):
        around = graph.adjacency[graph.offsets[site] : graph.offsets[site + 1]]
        assert list(around) == [k for k in graph.neighbours[site] if k >= 0]
        assert len(around) == graph.degrees[site]


@given(graphs())
@settings(max_examples=200, deadline=None)
def test_colours_of_neighbours_differ_and_two_are_found_where_they_exist(graph: Lattice) -> None:
    a, b = graph.edges.T
    assert np.all(graph.colouring[a] != graph.colouring[b])
    assert graph.colouring.max() <= graph.degrees.max()
    # Walk the graph and colour it by hand.
    side = [-1] * graph.n_sites
    odd_cycle = False
    for root in range(graph.n_sites):
        if side[root] < 0:
            side[root], todo = 0, [root]
            while todo:
                site = todo.pop()
                for other in graph.neighbours[site]:
                    if other >= 0 and side[other] < 0:
                        side[other] = 1 - side[site]
                        todo.append(int(other))
                    odd_cycle |= bool(other >= 0 and side[other] == side[site])
    if odd_cycle:
        assert graph.sublattice is None
    else:
        assert graph.sublattice is not None
        assert graph.sublattice.tolist() == side


def test_a_lattice_cannot_be_changed() -> None:
    lattice = square(4)
    for array in (
        lattice.edges,
        lattice.neighbours,
        lattice.adjacency,
        lattice.offsets,
        lattice.sublattice,
    ):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        lattice.n_sites = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: square(2), "double bonds"),
        (lambda: chain(2), "at least 3"),
        (lambda: chain(1, periodic=False), "at least 2"),
        (lambda: square(0), "square length = 0"),
        (lambda: triangular(2), "at least 3"),
        (lambda: honeycomb(1), "at least 2"),
        (lambda: cubic(-4), "cubic length = -4"),
        (lambda: square(2.5), "2.5"),  # type: ignore[arg-type]
        (lambda: from_edges(0, []), "n = 0"),
        (lambda: from_edges(3, [(0, 3)]), "site 3"),
        (lambda: from_edges(3, [(-1, 2)]), "site -1"),
        (lambda: from_edges(3, [(1, 1)]), "site 1 to itself"),
        (lambda: from_edges(3, [(0, 1), (1, 0)]), r"edge \(0, 1\)"),
        (lambda: from_edges(3, [(0.0, 1.0)]), "float64"),
        (lambda: from_edges(3, [0, 1, 2]), r"shape \(3,\)"),
    ],
)
def test_bad_lattices_are_refused_in_one_sentence(make: object, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as refusal:
        make()  # type: ignore[operator]
    assert "accepted" in str(refusal.value)
    assert "\n" not in str(refusal.value)
