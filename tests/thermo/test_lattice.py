"""Lattices against what is known of them: coordination, bonds, directions, colours."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from types import SimpleNamespace

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array, csr_matrix

import thermo.memory
from thermo.errors import InvalidInputError
from thermo.lattice import (
    Lattice,
    chain,
    cubic,
    fcc,
    from_description,
    from_edges,
    from_networkx,
    from_sparse,
    honeycomb,
    king,
    square,
    triangular,
)
from thermo.lattice.colouring import coloured


@pytest.mark.parametrize(
    ("lattice", "sites", "degree", "bipartite"),
    [
        (chain(3), 3, 2, False),
        (chain(8), 8, 2, True),
        (square(3), 9, 4, False),
        (square(6), 36, 4, True),
        (triangular(3), 9, 6, False),
        (triangular(6), 36, 6, False),
        (king(3), 9, 8, False),
        (king(6), 36, 8, False),
        (honeycomb(2), 8, 3, True),
        (honeycomb(5), 50, 3, True),
        (cubic(3), 27, 6, False),
        (cubic(4), 64, 6, True),
        (fcc(3), 27, 12, False),
        (fcc(4), 64, 12, False),
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
        (king(4, periodic=False), 2 * 4 * 3 + 2 * 3 * 3),
        (fcc(3, periodic=False), 3 * 9 * 2 + 3 * 3 * 4),
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


def test_fcc_neighbours_are_the_twelve_nearest_sites() -> None:
    i, j, k = np.indices((5, 5, 5)).reshape(3, -1)
    place = np.stack([j + k, i + k, i + j], axis=1)
    axes = np.array([[0, 5, 5], [5, 0, 5], [5, 5, 0]])  # of the torus, itself an fcc lattice
    images = np.array(list(product((-1, 0, 1), repeat=3))) @ axes
    apart = place[:, None, None] - place[None, :, None] + images
    distance = np.min(np.sum(apart**2, axis=-1), axis=-1)
    neighbours = [np.flatnonzero(row == 2).tolist() for row in distance]
    assert fcc(5).neighbours.tolist() == neighbours
    assert np.min(distance[distance > 0]) == 2


def test_honeycomb_has_no_triangles_squares_or_pentagons() -> None:
    adjacency = np.zeros((50, 50), dtype=int)
    a, b = honeycomb(5).edges.T
    adjacency[a, b] = adjacency[b, a] = 1
    two_steps = adjacency @ adjacency - np.diag(adjacency.sum(axis=1))
    assert np.trace(adjacency @ adjacency @ adjacency) == 0
    assert two_steps.max() == 1  # two sites never share two neighbours: no 4-ring


def test_bonds_lead_along_the_axes_also_around_the_torus() -> None:
    assert sorted(chain(4).bond_ends.tolist()) == [[0, 1], [1, 2], [2, 3], [3, 0]]
    for lattice, steps in (
        (square(5), {(0, 1), (1, 0)}),
        (triangular(5), {(0, 1), (1, 0), (1, 4)}),
        (king(5), {(0, 1), (1, 0), (1, 1), (1, 4)}),
    ):
        tail, head = (np.stack(np.divmod(ends, 5)) for ends in lattice.bond_ends.T)
        step, count = np.unique((head - tail) % 5, axis=1, return_counts=True)
        assert set(map(tuple, step.T.tolist())) == steps
        assert count.tolist() == [25] * len(steps)
        np.testing.assert_array_equal(np.sort(lattice.bond_ends, axis=1), lattice.edges)


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
        for bond, other in zip(
            graph.adjacent_bonds[graph.offsets[site] : graph.offsets[site + 1]], around, strict=True
        ):
            assert graph.edges[bond].tolist() == sorted((site, int(other)))


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


REGULAR = [
    (chain, 5),
    (chain, 8),
    (square, 4),
    (square, 5),
    (king, 4),
    (king, 6),
    (triangular, 3),
    (triangular, 4),
    (triangular, 6),
    (honeycomb, 3),
    (cubic, 3),
    (cubic, 4),
    (fcc, 4),
]


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("make", "length"), REGULAR)
def test_known_colourings_are_those_that_a_search_finds(make, length: int, periodic: bool) -> None:
    lattice = make(length, periodic)
    graph = from_edges(lattice.n_sites, lattice.edges)  # of which no formula is known
    a, b = lattice.edges.T
    assert np.all(lattice.colouring[a] != lattice.colouring[b])
    assert lattice.colours_are_fewest
    if lattice.sublattice is None:
        assert graph.sublattice is None
        rows = [[int(k) for k in row if k >= 0] for row in graph.neighbours]
        colours, fewest = coloured(rows)
        assert fewest
        assert max(colours) == lattice.colouring.max()
    else:
        np.testing.assert_array_equal(graph.sublattice, lattice.sublattice)


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_fewest_colours_by_trying_all(graph: Lattice) -> None:
    if graph.n_sites > 6:
        return
    a, b = graph.edges.T
    fewer = int(graph.colouring.max())  # one colour less than used
    trials = np.array(list(product(range(fewer), repeat=graph.n_sites))).reshape(-1, graph.n_sites)
    assert graph.colours_are_fewest
    assert not np.any(np.all(trials[:, a] != trials[:, b], axis=1) & (fewer > 0))


def test_hard_graphs_are_coloured_too() -> None:
    # Mycielski's graphs have no triangles and need one colour more each time: 4, 5, 6.
    for order, colours in ((4, 4), (5, 5), (6, 6)):
        graph = from_networkx(networkx.mycielski_graph(order))
        assert graph.colouring.max() + 1 == colours
    assert from_networkx(networkx.mycielski_graph(4)).colours_are_fewest
    assert from_networkx(networkx.complete_graph(12)).colouring.max() + 1 == 12
    large = triangular(25)  # greedy: four colours would do
    a, b = large.edges.T
    assert np.all(large.colouring[a] != large.colouring[b])
    assert large.colouring.max() + 1 <= 5
    assert not large.colours_are_fewest


@pytest.mark.parametrize("make", [chain, square, king, triangular, honeycomb, cubic, fcc])
@pytest.mark.parametrize("periodic", [True, False])
def test_a_description_gives_the_same_lattice_back(make, periodic: bool) -> None:
    lattice = make(4, periodic)
    again = from_description(lattice.description())
    np.testing.assert_array_equal(again.bond_ends, lattice.bond_ends)
    for name in ("name", "shape", "family", "periodic", "n_sites"):
        assert getattr(again, name) == getattr(lattice, name)


def test_graphs_from_elsewhere() -> None:
    lattice = from_edges(4, [(1, 0), (2, 3), (3, 1)], name="path")
    again = from_description(lattice.description())
    assert again.bond_ends.tolist() == lattice.bond_ends.tolist() == [[1, 0], [3, 1], [2, 3]]
    assert again.name == "path"

    a, b = lattice.edges.T
    values = np.array([2.0, -1.0, 0.5])
    for kind in (coo_array, csr_array, csr_matrix):
        upper = coo_array((values, (a, b)), (4, 4))
        graph = from_sparse(kind(upper + upper.T))
        np.testing.assert_array_equal(graph.edges, lattice.edges)
    stored_zero = csr_array((np.zeros(2), ([0, 1], [1, 0])), (3, 3))
    assert from_sparse(stored_zero).n_edges == 0

    directed = networkx.DiGraph([("c", "a"), ("a", "b")])
    assert list(directed) == ["c", "a", "b"]
    assert from_networkx(directed).bond_ends.tolist() == [[0, 1], [1, 2]]
    own = SimpleNamespace(nodes="ab", edges=[("b", "a")])  # no networkx needed
    assert from_networkx(own).bond_ends.tolist() == [[1, 0]]
    assert from_networkx(networkx.grid_2d_graph(4, 4)).is_bipartite


def test_large_lattices_stay_within_int32() -> None:
    lattice = square(300)
    assert lattice.n_edges == 2 * 300**2
    assert lattice.bond_ends.dtype == lattice.edges.dtype == np.int32
    assert np.all(np.bincount(lattice.bond_ends[:, 0]) == 2)


@pytest.mark.parametrize(
    ("make", "memory", "cells"),
    [
        (lambda: square(10**6), "146 TiB", "46340 cells along each side of a square lattice"),
        (lambda: cubic(5000), "27.3 TiB", "1290 cells along each side of a cubic lattice"),
        (lambda: chain(2**31 + 5), "160 GiB", "2147483647 sites of a chain"),
        (lambda: honeycomb(40_000), "358 GiB", "32767 cells along each side of a honeycomb"),
    ],
)
def test_a_size_that_is_refused_says_how_much_it_is_and_what_fits(
    make: Callable[[], Lattice], memory: str, cells: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By memory where that is less, else by the 32 bits of a site's number."""
    monkeypatch.setattr(thermo.memory, "available_bytes", lambda: 2**30)
    with pytest.raises(InvalidInputError, match=f"need {memory} of memory .*at most") as said:
        make()
    assert cells not in str(said.value)
    for available in (10**13, 10**16, None):  # what is offered is never more than can be numbered
        monkeypatch.setattr(thermo.memory, "available_bytes", lambda free=available: free)
        with pytest.raises(InvalidInputError, match=rf"at most {cells}"):
            make()


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
        (lambda: square(50_000), r"would need .* of memory and .* free; .*at most \d+ cells"),
        (lambda: king(2), "at least 3"),
        (lambda: fcc(2), "at least 3"),
        (lambda: from_edges(0, []), "n = 0"),
        (lambda: from_edges(2**31, []), "1 … 2147483647"),
        (lambda: from_sparse(np.eye(3)), "ndarray of shape"),
        (lambda: from_sparse(csr_array(np.eye(3))), "site 0 to itself"),
        (lambda: from_sparse(csr_array(np.ones((2, 3)))), r"shape \(2, 3\)"),
        (lambda: from_sparse(csr_array([[0, 1], [2, 0]])), "not symmetric"),
        (lambda: from_networkx(networkx.Graph()), "n = 0"),
        (lambda: from_networkx(networkx.Graph([(5, 5)])), "site 0 to itself"),
        (lambda: from_networkx(networkx.MultiGraph([(0, 1), (0, 1)])), r"edge \(0, 1\)"),
        (lambda: from_networkx(networkx.DiGraph([(0, 1), (1, 0)])), r"edge \(0, 1\)"),
        (lambda: from_networkx([(0, 1)]), "type list"),
        (lambda: square(5).require_bipartite("Kawasaki"), "5×5 torus has odd cycles, but Kawasaki"),
        (lambda: from_description({"lattice": "moebius"}), "lattice = 'moebius'"),
        (lambda: from_description({"lattice": "square", "length": 4}), "no 'periodic'"),
        (lambda: from_description({"lattice": "square", "length": 0, "periodic": True}), "= 0"),
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


def test_bipartite_lattices_pass_the_requirement() -> None:
    np.testing.assert_array_equal(square(4).require_bipartite("order"), square(4).sublattice)


@pytest.mark.parametrize("periodic", ["x", None, 1])
def test_periodic_is_true_or_false(periodic: object) -> None:
    with pytest.raises(InvalidInputError, match="accepted: True or False"):
        square(4, periodic=periodic)  # type: ignore[arg-type]
