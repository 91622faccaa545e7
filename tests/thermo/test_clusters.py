"""Cluster kernels and batches: the same bits everywhere, and what they refuse."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh_process import in_fresh_process
from hypothesis import given
from hypothesis import strategies as st
from same_bits import assert_same_bits
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thermo.errors import InvalidInputError
from thermo.kernels import cluster_lanes, clusters, snapshot_lanes
from thermo.kernels.ising_lanes import count_pairs
from thermo.kernels.snapshot_lanes import count_snapshots
from thermo.lattice import chain, from_edges, square, triangular
from thermo.models import XY, Clock, Ising, Potts
from thermo.sampling import cluster_batch, cluster_lane_batch, lane_observables
from thermo.sampling.cluster_batch import ClusterBatch
from thermo.sampling.cluster_lane_batch import ClusterLaneBatch
from thermo.sampling.cluster_rules import frustrated_cycle, joining_probability
from thermo.sampling.lane_observables import LaneObservables
from thermo.sampling.registry import batch_kind

SEED = 20261121
BETA = np.array([-0.5, 0.0, 0.5, np.inf, -np.inf])
KINDS = (ClusterBatch, ClusterLaneBatch)
UPDATES = ("wolff", "swendsen_wang")
# Five neighbours at site 0, and a site alone: tables of uneven length.
STAR = from_edges(7, [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (4, 5)])


def made(kind: Any, model: Any, update: str, beta: Any = BETA) -> Any:
    return kind(model, update, np.asarray(beta), np.random.SeedSequence(SEED))


# ---- the same bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize(
    ("kind", "model"),
    [
        (ClusterBatch, Ising(square(4), coupling=-1.0)),
        (ClusterBatch, Potts(chain(5), 3)),
        (ClusterBatch, Clock(chain(4), 6, coupling=[0.5, 1.0, 1.5, 1.0])),
        (ClusterLaneBatch, Ising(square(4), coupling=-1.0)),
        (ClusterLaneBatch, Ising(chain(5, periodic=False), [1.0, -1.0, -1.0, 1.0])),
    ],
)
def test_compiled_and_plain_python_give_the_same_bits(
    kind: Any, model: Any, update: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, plain = made(kind, model, update), made(kind, model, update)
    first = compiled.record(2, 2)
    for batch, kernel in ((cluster_batch, clusters), (cluster_lane_batch, cluster_lanes)):
        monkeypatch.setattr(batch, "advance", kernel.advance.py_func)
    assert_same_bits(first, plain.record(2, 2))
    assert_same_bits(compiled.state(), plain.state())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("update", UPDATES)
def test_division_into_calls_and_restored_states_change_nothing(kind: Any, update: str) -> None:
    model = Ising(square(6))
    whole, parts, restored = (made(kind, model, update) for _ in range(3))
    whole.sweep(7)
    parts.sweep(3)
    state = parts.state()
    parts.sweep(4)
    assert np.array_equal(whole.spins, parts.spins)
    restored.beta = np.zeros(BETA.size)
    restored.sweep(2)
    restored.restore(state)
    restored.sweep(4)
    assert np.array_equal(restored.spins, whole.spins)
    assert np.array_equal(restored.beta, BETA)
    one, two = whole.record(4, 2), restored.record(2, 2)
    for name, series in restored.record(2, 2).items():
        assert np.array_equal(one[name], np.concatenate([two[name], series], axis=1))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_recorded_is_what_the_model_says_of_the_spins(kind: Any) -> None:
    models: list[Any] = [
        Ising(square(4), 0.3),
        Ising(STAR),
        Ising(chain(4), [1.0, -1.0, -1.0, 1.0]),
    ]
    if kind is ClusterBatch:
        models += [Potts(square(3), 5), Clock(chain(5), 5, coupling=0.7)]
    for model in models:
        batch = made(kind, model, "swendsen_wang", [0.2, 0.4, 0.0])
        record = batch.record(3, 1)
        observed = {"energy": model.energy(batch.spins), **model.observables(batch.spins)}
        assert record.keys() == observed.keys()
        for name, values in observed.items():
            np.testing.assert_allclose(record[name][:, -1], values, atol=1e-12)
        assert len(np.unique(record["energy"])) > 1


def test_many_snapshots_are_measured_in_lanes_to_the_same_numbers() -> None:
    """Sixty-four and more of ±J couplings are counted as bits, fewer and others one by one."""
    for model in (
        Ising(square(4), -0.3),
        Ising(STAR),
        Ising(chain(4), [1.0, -1.0, -1.0, 1.0]),
        Ising(chain(4), [1.0, 2.0, 1.0, 1.0]),
    ):
        batch = made(ClusterBatch, model, "wolff", [0.2])
        for snapshots in (63, 64, 600, 1024):
            spins = model.random_spins(np.random.default_rng(SEED), snapshots)
            measured = batch._measure(model.states_of(spins))
            expected = {"energy": model.energy(spins), **model.observables(spins)}
            assert measured.keys() == expected.keys()
            for name, values in expected.items():
                assert measured[name].dtype == np.float64
                np.testing.assert_allclose(measured[name], values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("coupling", [0.3, -0.3, 0.1 * np.array([1, -1, -1, 1, 1, 1, 1, 1.0])])
def test_the_length_of_a_record_changes_nothing(coupling: Any) -> None:
    whole, parts = (made(ClusterBatch, Ising(chain(8), coupling), "wolff") for _ in range(2))
    record = whole.record(40, 1)  # 200 snapshots, then 25 at a time
    pieces = [parts.record(5, 1) for _ in range(8)]
    for name, series in record.items():
        in_parts = np.concatenate([piece[name] for piece in pieces], axis=1)
        assert series.tobytes() == in_parts.tobytes()


def test_snapshots_are_packed_and_counted_alike_in_plain_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Ising(square(4))
    observables = LaneObservables(model, 1.0, np.zeros(32, dtype=bool))
    states = np.random.default_rng(SEED).integers(0, 2, (70, 16), dtype=np.int8)
    compiled = observables.of_snapshots(states)
    monkeypatch.setattr(lane_observables, "count_snapshots", count_snapshots.py_func)
    monkeypatch.setattr(snapshot_lanes, "count_pairs", count_pairs.py_func)
    for name, values in observables.of_snapshots(states).items():
        assert np.array_equal(values, compiled[name])


@pytest.mark.parametrize("model", [Ising(square(4)), Ising(chain(4), [1.0, -1.0, -2.0, 1.0])])
def test_two_states_need_no_mark(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sites that are mirrored at once give the same clusters, bit for bit, as marked ones."""
    compiled, plain = (made(ClusterBatch, model, "wolff") for _ in range(2))
    at_once = []
    for _ in range(20):
        compiled.sweep(1)
        at_once.append(compiled.spins)

    def marked(seed: int, *arguments: Any) -> None:
        clusters.grow(seed, 1, *arguments)

    monkeypatch.setattr(clusters, "grow_two_states", marked)
    monkeypatch.setattr(cluster_batch, "advance", clusters.advance.py_func)
    for spins in at_once:
        plain.sweep(1)
        assert np.array_equal(plain.spins, spins)


def test_clusters_at_zero_temperature_are_the_pieces_of_the_graph() -> None:
    """Each is mirrored as a whole, and half of them, by coins of their own.

    Of some 5·10⁴ coins (|z| < 5) and of as many pairs of neighbouring pieces: 1.2·10⁻⁶.
    """
    n, chains = 300, 500
    edges = np.random.default_rng(SEED).integers(0, n, (200, 2))
    edges = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1), axis=0)
    graph = coo_array((np.ones(len(edges)), edges.T), (n, n))
    pieces, piece = connected_components(graph, directed=False)
    batch = made(ClusterBatch, Ising(from_edges(n, edges)), "swendsen_wang", [np.inf] * chains)
    batch.spins = np.ones((chains, n), dtype=np.int8)
    batch.sweep(1)
    first = np.unique(piece, return_index=True)[1]
    coins = batch.spins[:, first].astype(int)
    assert np.array_equal(batch.spins, coins[:, piece])
    assert pieces > 100
    for signs in (coins, coins[:, 1:] * coins[:, :-1], coins[1:] * coins[:-1]):
        assert abs(signs.sum()) < 5 * np.sqrt(signs.size)


@pytest.mark.parametrize("kind", KINDS)
def test_spins_and_beta_can_be_set(kind: Any) -> None:
    model = Ising(chain(6))
    batch = made(kind, model, "wolff", [0.0, 0.0])
    spins = np.array([[1, 1, -1, -1, 1, -1], [-1, 1, 1, -1, 1, 1]], dtype=np.int8)
    batch.spins = spins
    assert np.array_equal(batch.spins, spins)
    batch.beta = np.array([np.inf, -np.inf])
    batch.spins = np.array([[1] * 6, [1, -1] * 3])
    batch.sweep(5)
    assert np.array_equal(model.energy(batch.spins), [-6.0, 6.0])


@pytest.mark.parametrize("kind", KINDS)
def test_nonsense_for_spins_and_beta_is_refused(kind: Any) -> None:
    batch = made(kind, Ising(chain(6)), "wolff", [0.1, 0.2])
    for spins in (np.ones((3, 6)), np.ones((1, 6)), np.ones((2, 5)), np.zeros((2, 6))):
        with pytest.raises(InvalidInputError, match="spins of shape"):
            batch.spins = spins
    for beta in ([0.1, np.nan], ["hot", "cold"]):
        with pytest.raises(InvalidInputError, match="β"):
            batch.beta = beta
    batch.spins = np.ones(6)  # the same in all chains
    assert np.array_equal(batch.spins, np.ones((2, 6)))


def test_more_neighbours_than_random_words_are_drawn_at_a_time() -> None:
    star = from_edges(200, [(0, k) for k in range(1, 200)])
    batch = made(ClusterBatch, Ising(star), "swendsen_wang", np.full(50, 0.3))
    energy = batch.record(40, 1)["energy"].mean(axis=1)  # a tree: ⟨E⟩ = −M tanh β, |z| < 6 of t₄₉
    assert abs(energy.mean() + 199 * np.tanh(0.3)) < 6 * energy.std(ddof=1) / np.sqrt(50)


@pytest.mark.slow
def test_no_index_leaves_its_array(tmp_path: Path) -> None:
    """With bounds checking the same bits, and a neighbour that does not exist is seen."""
    code = """
import numpy as np
from test_clusters import ClusterBatch, ClusterLaneBatch, Clock, Ising, STAR, made, square
for update in ("wolff", "swendsen_wang"):
    for kind, model in (
        (ClusterBatch, Clock(square(4), 5)),
        (ClusterBatch, Ising(STAR)),
        (ClusterLaneBatch, Ising(square(4))),
        (ClusterLaneBatch, Ising(STAR, -1.0)),
    ):
        beta = [0.4, 0.0] if model.lattice is not STAR or kind is ClusterBatch else [-0.4, 0.0]
        batch = made(kind, model, update, beta)
        print(batch.record(20, 2)["energy"].tolist())
batch = made(ClusterBatch, Ising(square(4)), "swendsen_wang")
batch._bonds.links[5, 0] = 99
try:
    batch.sweep(5)
except IndexError:
    print("caught")
"""
    printed = []
    for check in ("0", "1"):
        script = code if check == "1" else code.partition("batch._bonds")[0]
        printed.append(in_fresh_process(script, tmp_path / check, NUMBA_BOUNDSCHECK=check))
    assert printed[1] == [*printed[0], "caught"]


def test_the_kernels_import_nothing_of_ours_but_each_other() -> None:
    for kernel in (clusters, cluster_lanes, snapshot_lanes):
        source = Path(str(kernel.__file__)).read_text(encoding="utf-8")
        imports = [line for line in source.splitlines() if line.startswith("from thermo")]
        assert all(line.startswith("from thermo.kernels.") for line in imports)


@pytest.mark.parametrize(
    ("length", "update", "chains", "name"),
    [
        (32, "wolff", 255, "ClusterBatch"),
        (32, "wolff", 256, "ClusterLaneBatch"),
        (32, "swendsen_wang", 256, "ClusterLaneBatch"),
        (64, "wolff", 512, "ClusterLaneBatch"),
        (64, "swendsen_wang", 512, "ClusterBatch"),
    ],
)
def test_lanes_are_chosen_where_they_are_quicker(
    length: int, update: str, chains: int, name: str
) -> None:
    assert batch_kind(Ising(square(length)), update, chains).name == name


# ---- probabilities ---------------------------------------------------------------------------


def test_joining_probabilities_of_each_model() -> None:
    beta = np.array([-np.inf, -0.4, 0.0, 0.4, np.inf])
    ising = joining_probability(Ising(square(4)), beta, [1.5])[:, 0]
    p = -np.expm1(-1.2)
    np.testing.assert_allclose(ising[:, 1, 0], [0, 0, 0, p, 1])  # parallel now
    np.testing.assert_allclose(ising[:, 0, 1], [1, p, 0, 0, 0])  # antiparallel now
    potts = joining_probability(Potts(square(4), 3), beta, [1.0])[:, 0]
    np.testing.assert_allclose(potts[:, 1, 0], [0, 0, 0, -np.expm1(-0.4), 1])  # equal now
    np.testing.assert_allclose(potts[:, 0, 2], [1, -np.expm1(-0.4), 0, 0, 0])  # exchanged by c
    assert np.all(potts[:, 1, 2] == 0)
    clock = joining_probability(Clock(square(4), 6), np.inf, [1.0])[0]
    assert np.all(np.diag(clock) == 0)  # a mirror through the spin
    assert clock[1, 5] == clock[5, 1] == 0  # nor does rounding decide at β = ∞


# ---- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "model", "update", "beta", "message"),
    [
        (ClusterBatch, Ising(square(4)), "wolf", [1.0], "did you mean 'wolff'"),
        (ClusterBatch, XY(square(4)), "wolff", [1.0], "accepted: thermo.Ising, Potts or Clock"),
        (ClusterBatch, Ising(square(4), field=0.1), "wolff", [1.0], "has a field"),
        (ClusterLaneBatch, Ising(square(4), field=0.1), "wolff", [1.0], "has a field"),
        (ClusterBatch, Clock(square(4), 3, chirality=0.2), "wolff", [1.0], "left from right"),
        (ClusterBatch, Ising(triangular(3)), "wolff", [0.2, -0.2], "frustrated at β < 0"),
        (ClusterLaneBatch, Ising(triangular(3)), "wolff", [0.2, -0.2], "frustrated at β < 0"),
        (ClusterBatch, Ising(square(5), -1.0), "wolff", [0.2], "frustrated at β > 0.*0–"),
        (ClusterBatch, Clock(triangular(3), 4), "swendsen_wang", [-1.0], "triangular 3×3 torus"),
        (ClusterBatch, Potts(chain(3), 3, [1.0, 1.0, -1.0]), "wolff", [1.0], "gauge.*odd number"),
        (ClusterBatch, Clock(chain(5), 5, -1.0), "wolff", [1.0], "no known gauge .* 5 states"),
        (ClusterLaneBatch, Potts(square(4), 2), "wolff", [1.0], "see ClusterBatch"),
        (ClusterLaneBatch, Ising(chain(3), [1.0, 2.0, 1.0]), "wolff", [1.0], "see ClusterBatch"),
        (ClusterLaneBatch, Ising(chain(4)), "wolff", np.zeros(513), "1 to 512 chains"),
    ],
)
def test_what_has_no_cluster_update_is_refused_with_the_reason(
    kind: Any, model: Any, update: str, beta: Any, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        made(kind, model, update, beta)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frustrated_sign_of_beta_is_also_refused_later(kind: Any) -> None:
    batch = made(kind, Ising(triangular(3)), "wolff", [0.0, 0.3])
    batch.sweep(2)
    with pytest.raises(InvalidInputError, match="frustrated"):
        batch.beta = np.array([0.1, -0.1])
    assert batch.beta.tolist() == [0.0, 0.3]
    with pytest.raises(InvalidInputError, match="beta of shape"):
        batch.beta = np.zeros((2, 2))


def test_antiferromagnetic_potts_models_are_accepted_on_any_lattice() -> None:
    batch = made(ClusterBatch, Potts(triangular(3), 4), "wolff", [-2.0] * 20)
    batch.sweep(200)
    assert batch.record(20, 5)["energy"].mean() > -3  # 27 bonds, hardly any between equal spins


GRAPHS = st.integers(3, 6).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.booleans()).filter(
                lambda bond: bond[0] < bond[1]
            ),
            unique_by=lambda bond: bond[:2],
            min_size=1,
        ),
    )
)


@given(GRAPHS)
def test_a_cycle_is_named_exactly_where_no_pattern_satisfies_all_bonds(graph: Any) -> None:
    n, bonds = graph
    edges = np.array([bond[:2] for bond in bonds])
    signs = {bond[:2]: -1 if bond[2] else 1 for bond in bonds}
    cycle = frustrated_cycle(n, edges, np.array([bond[2] for bond in bonds]))
    satisfiable = any(
        all(s[a] * s[b] == sign for (a, b), sign in signs.items())
        for s in product((1, -1), repeat=n)
    )
    assert satisfiable == (cycle == [])
    if cycle:
        assert len(set(cycle)) == len(cycle) >= 3
        around = zip(cycle, cycle[1:] + cycle[:1], strict=True)
        assert np.prod([signs[min(pair), max(pair)] for pair in around]) == -1
