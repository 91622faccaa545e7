"""The kernels of XY and Heisenberg models: exact functions, the same bits, bookkeeping."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from fresh_process import in_fresh_process
from numba import njit
from same_bits import assert_same_bits

from thermo.errors import InvalidInputError
from thermo.kernels import vector
from thermo.kernels.lane_functions import (
    circle,
    exponential,
    logarithm,
    sign_of,
    unit_interval,
)
from thermo.kernels.lane_reals import as_bits, from_bits, reals, select, square_root
from thermo.kernels.lanes import WORDS, any_lane, load, store
from thermo.kernels.streams import random_word
from thermo.kernels.vector_cluster import draw_unit
from thermo.lattice import chain, from_edges, square, triangular
from thermo.models.heisenberg import Heisenberg
from thermo.models.vector import VectorModel
from thermo.models.xy import XY
from thermo.sampling import vector_batch, vector_chains, vector_cluster_batch
from thermo.sampling.vector_batch import VectorBatch
from thermo.sampling.vector_chains import VectorChains
from thermo.sampling.vector_cluster_batch import VectorClusterBatch

SEED = 20261121
SPIN_UPDATES = ("metropolis", "heat_bath", "over_relaxation")
CLUSTER_UPDATES = ("wolff", "swendsen_wang")
BETA = [0.0, 1.0, -1.0, 1e-7, -np.inf, np.inf, 1e4, -0.3, 2.0, -2.0]  # a group and a part of one

# An isolated site, an end, and a site of four neighbours; couplings of both signs and none.
GRAPH = from_edges(7, [(0, 1), (1, 2), (1, 3), (1, 4), (4, 5), (2, 5)])
COUPLINGS = [1.0, -0.5, 0.0, 2.0, 1.5, -0.7]


def batch_of(kind: type[VectorModel], update: str, seed: int = SEED) -> VectorChains:
    """Ten chains on the graph; single spins move in a field on every other site."""
    sequence = np.random.SeedSequence(seed)
    if update in CLUSTER_UPDATES:
        return VectorClusterBatch(kind(chain(6), 0.8), update, BETA, sequence)
    field = np.arange(7) % 2 * 0.4
    return VectorBatch(kind(GRAPH, COUPLINGS, field), update, BETA, sequence)


# ---- functions of eight numbers --------------------------------------------------------------


def operations(rows: np.ndarray, words: np.ndarray, out: np.ndarray) -> bool:
    """Use every operation on vectors of numbers once."""
    x = load(rows, 0)
    y = load(rows, 1)
    word = load(words, 0)
    store(out, 0, x + y * 3.0 - 2.0 / y)
    store(out, 1, (1.0 + x) / (y - 0.5))
    store(out, 2, select((x < y) & ~(y > 0.0) | (x > 1.0), -x, reals(7.0)))
    store(out, 3, square_root(x * x))
    store(out, 4, from_bits(as_bits(x) ^ word))
    store(out, 5, exponential(x))
    store(out, 6, logarithm(y * y))
    cos, sin = circle(word)
    store(out, 7, cos)
    store(out, 8, sin)
    store(out, 9, unit_interval(word) * sign_of(x))
    return any_lane(x > 1e9)


def test_every_operation_means_the_same_compiled_and_in_python() -> None:
    generator = np.random.default_rng(SEED)
    compiled = njit(operations)
    for scale in (1.0, 30.0, 900.0):
        rows = -scale * generator.exponential(size=(2, WORDS))
        words = generator.integers(0, 2**64, size=(1, WORDS), dtype=np.uint64)
        first, second = np.zeros((10, WORDS)), np.zeros((10, WORDS))
        assert operations(rows, words, first) == compiled(rows, words, second) is False
        assert first.tobytes() == second.tobytes()


def in_lanes(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    return np.concatenate([function(part) for part in values.reshape(-1, WORDS)])


def test_the_functions_are_as_exact_as_they_say() -> None:
    x = np.concatenate([np.linspace(-350, 700, 8000), -np.logspace(-12, 0, 4000)])
    np.testing.assert_allclose(in_lanes(exponential, x), np.exp(x), rtol=2e-14)
    assert np.all(exponential(np.array([-np.inf, -1e300, -351, -350] * 2)) < 1e-151)
    assert np.all(exponential(np.zeros(8)) == 1)
    y = np.exp(np.concatenate([np.linspace(-700, 1, 4000), np.linspace(-1e-6, 1e-6, 4000)]))
    error = np.abs(in_lanes(logarithm, y) - np.log(y)) / np.maximum(1, np.abs(np.log(y)))
    assert error.max() < 3e-16
    assert np.all(logarithm(np.ones(8)) == 0)

    words = np.random.default_rng(SEED).integers(0, 2**64, size=8000, dtype=np.uint64)
    quarters = (words & np.uint64(1)) * 2 + (words >> np.uint64(1) & np.uint64(1))
    angle = np.pi / 2 * (in_lanes(unit_interval, words) - 0.5 + quarters)
    made = np.array([circle(part) for part in words.reshape(-1, WORDS)])
    np.testing.assert_allclose(made[:, 0].ravel(), np.cos(angle), atol=2e-15)
    np.testing.assert_allclose(made[:, 1].ravel(), np.sin(angle), atol=2e-15)


def test_both_forms_of_the_heat_bath_on_the_sphere_agree_where_they_meet() -> None:
    words = np.random.default_rng(SEED).integers(0, 2**64, size=8, dtype=np.uint64)
    below, above = (
        vector.sphere_heat_bath(np.full(8, kappa), words)[0] for kappa in (0.999e-5, 1.001e-5)
    )
    np.testing.assert_allclose(below, above, atol=2**-32 + 2e-8)  # w moves by κu(1 − u) itself
    u = unit_interval(words)
    exact = -np.log1p((1 - u) * np.expm1(-2e-5 * 1.001)) / 1.001e-5
    np.testing.assert_allclose(above, exact, atol=2**-32)
    exact = -np.log1p((1 - u) * np.expm1(-2e-5 * 0.999)) / 0.999e-5
    np.testing.assert_allclose(below, exact, atol=2**-32)


def test_one_lane_draws_what_all_lanes_would() -> None:
    streams = np.random.default_rng(SEED).integers(0, 2**64, size=(2, WORDS), dtype=np.uint64)
    s0, s1 = streams.copy()
    draw = njit(lambda streams, lane: draw_unit(streams, lane))
    for _ in range(5):
        word, s0, s1 = random_word(s0, s1)
        one_by_one = [draw(streams, lane) for lane in range(WORDS)]
        assert one_by_one == [int(w >> np.uint64(11)) * 2.0**-53 for w in word]
    assert np.array_equal(streams, np.stack([s0, s1]))


# ---- the same bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
@pytest.mark.parametrize("kind", [XY, Heisenberg])
def test_the_compiled_kernels_equal_their_python_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, kind: type[VectorModel], update: str
) -> None:
    compiled, in_python = batch_of(kind, update), batch_of(kind, update)
    first = compiled.record(2, 2)
    for module in (vector_batch, vector_cluster_batch, vector_chains):
        for name in (*SPIN_UPDATES, *CLUSTER_UPDATES, "measure"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(module, name).py_func)
    with np.errstate(all="ignore"):  # wrap-around, and quotients that are not used
        second = in_python.record(2, 2)
    assert_same_bits(compiled.state(), in_python.state())
    assert_same_bits(first, second)


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
def test_sweeps_may_be_divided_and_interrupted_anyhow(update: str) -> None:
    at_once, in_parts = batch_of(Heisenberg, update), batch_of(Heisenberg, update)
    at_once.sweep(7)
    series = at_once.record(4, 2)
    in_parts.sweep(3)
    in_parts.sweep(4)
    first = in_parts.record(1, 2)
    state = in_parts.state()
    in_parts.sweep(5)  # undone
    in_parts.beta = np.zeros(len(BETA))
    in_parts.restore(state)
    elsewhere = batch_of(Heisenberg, update, seed=1)
    elsewhere.restore(state)
    for batch in (in_parts, elsewhere):
        rest = batch.record(3, 2)
        for name, values in series.items():
            assert np.array_equal(values, np.concatenate([first[name], rest[name]], axis=1)), name
        assert np.array_equal(batch.spins, at_once.spins)


def test_chains_of_one_batch_differ_and_seeds_give_other_chains() -> None:
    batch = VectorBatch(XY(chain(4)), "heat_bath", np.zeros(20), np.random.SeedSequence(SEED))
    other = VectorBatch(XY(chain(4)), "heat_bath", np.zeros(20), np.random.SeedSequence(SEED + 1))
    energies = np.concatenate([b.record(2, 1)["energy"].ravel() for b in (batch, other)])
    assert np.unique(energies).size == energies.size


def fingerprint() -> str:
    """Return a hash of the bits that small batches of all updates end with."""
    digest = blake2b()
    for kind in (XY, Heisenberg):
        for update in (*SPIN_UPDATES, *CLUSTER_UPDATES):
            batch = batch_of(kind, update)
            digest.update(batch.record(3, 2)["energy"].tobytes())
            digest.update(batch.spins.tobytes())
    return digest.hexdigest()


@pytest.mark.slow
def test_a_processor_without_wide_vectors_gives_the_same_bits(tmp_path: Path) -> None:
    code = """
from test_vector_kernels import fingerprint, vector
print(fingerprint(), "zmm" in next(iter(vector.heat_bath.inspect_asm().values())))
"""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert in_fresh_process(code, tmp_path, **plain) == [fingerprint(), "False"]


@pytest.mark.slow
def test_no_index_leaves_its_array(tmp_path: Path) -> None:
    """With bounds checking, which must also see a neighbour that does not exist."""
    code = """
from test_vector_kernels import Heisenberg, batch_of, fingerprint
print(fingerprint())
for update in ("heat_bath", "wolff", "swendsen_wang"):
    batch = batch_of(Heisenberg, update)
    batch._interactions.neighbours[5] = 99
    try:
        batch.sweep(50)
    except IndexError:
        print("caught")
"""
    printed = in_fresh_process(code, tmp_path, NUMBA_BOUNDSCHECK="1")
    assert printed == [fingerprint(), *["caught"] * 3]


# ---- bookkeeping -----------------------------------------------------------------------------


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
@pytest.mark.parametrize("kind", [XY, Heisenberg])
def test_measurements_are_the_models_own(kind: type[VectorModel], update: str) -> None:
    for _ in range(3):
        batch = batch_of(kind, update)
        series = batch.record(1, 3)
        expected = {
            "energy": batch.model.energy(batch.spins),
            **batch.model.observables(batch.spins),
        }
        assert series.keys() == expected.keys()
        for name, values in expected.items():
            assert series[name].shape == (len(BETA), 1)
            np.testing.assert_allclose(series[name][:, 0], values, atol=1e-13)


def test_staggered_totals_exist_on_bipartite_lattices_only() -> None:
    seed = np.random.SeedSequence(SEED)
    series = VectorBatch(XY(triangular(3)), "metropolis", [0.5], seed).record(2, 1)
    assert series.keys() == {"energy", "magnetization", "magnetization_length"}


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
@pytest.mark.parametrize("kind", [XY, Heisenberg])
def test_spins_stay_unit_vectors(kind: type[VectorModel], update: str) -> None:
    batch = batch_of(kind, update)
    batch.sweep(10_000)
    assert np.abs(np.linalg.norm(batch.spins, axis=-1) - 1).max() < 1e-15


@pytest.mark.parametrize("kind", [XY, Heisenberg])
def test_reflections_conserve_the_energy_and_move_every_spin_that_has_a_field(
    kind: type[VectorModel],
) -> None:
    batch = batch_of(kind, "over_relaxation")
    spins = batch.spins
    vector.over_relaxation(batch._rows, batch._interactions, 1)
    moved = np.linalg.norm(batch.spins - spins, axis=-1) > 1e-3
    assert moved[:, :6].mean() > 0.9
    assert not moved[:, 6].any()  # the isolated site, where there is no field
    vector.over_relaxation(batch._rows, batch._interactions, 10_000)
    np.testing.assert_allclose(
        batch.model.energy(batch.spins), batch.model.energy(spins), atol=1e-11
    )


@pytest.mark.parametrize("update", [*SPIN_UPDATES, *CLUSTER_UPDATES])
def test_spins_and_beta_can_be_set(update: str) -> None:
    batch = batch_of(XY, update)
    given = batch.model.random_spins(np.random.default_rng(SEED), len(BETA))
    batch.spins = given
    assert np.array_equal(batch.spins, given)
    batch.sweep(1)
    assert not np.array_equal(batch.spins, given)
    batch.beta = np.arange(10.0) - 5
    assert np.array_equal(batch.beta, np.arange(10.0) - 5)
    with pytest.raises(InvalidInputError, match=r"beta of shape \(3,\).*\(10,\)"):
        batch.beta = np.zeros(3)
    with pytest.raises(InvalidInputError, match="nan"):
        batch.beta = np.full(10, np.nan)


@pytest.mark.parametrize(
    ("model", "update", "beta", "says"),
    [
        (XY(square(4)), "wolf", [1.0], "'wolff', 'swendsen_wang'"),
        (XY(square(4), field=0.1), "wolff", [1.0], "has a field"),
        (XY(triangular(3)), "wolff", [1.0, -1.0], "frustrated at β < 0"),
        (Heisenberg(triangular(3), -1.0), "swendsen_wang", [1.0], "frustrated at β > 0"),
        (XY(square(3)), "wolff", [-np.inf], "frustrated at β < 0"),
        (XY(chain(4), [1, 1, 1, -1]), "wolff", [1.0], "odd number of bonds"),
    ],
)
def test_clusters_are_refused_with_a_reason(
    model: VectorModel, update: str, beta: list[float], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        VectorClusterBatch(model, update, beta, np.random.SeedSequence(SEED))


def test_nonsense_for_spins_is_refused() -> None:
    batch = VectorBatch(XY(square(4)), "heat_bath", np.ones(2), np.random.SeedSequence(1))
    along = batch.spins
    for spins in (along[:1], np.concatenate([along, along]), along[:, 1:], 2.0 * along, 0 * along):
        with pytest.raises(InvalidInputError, match="spins of shape"):
            batch.spins = spins


def test_an_unknown_update_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'over_relaxation'"):
        VectorBatch(XY(chain(4)), "wolff", [1.0], np.random.SeedSequence(SEED))


def test_frustrated_models_are_accepted_where_they_are_not() -> None:
    VectorClusterBatch(XY(triangular(3)), "wolff", [0.0, 1.0], np.random.SeedSequence(SEED))
    VectorClusterBatch(XY(triangular(3), -1.0), "wolff", [-1.0], np.random.SeedSequence(SEED))
