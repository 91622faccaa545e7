"""The lane kernel: compiled and plain Python give the same bits, on any processor."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from fresh_process import in_fresh_process
from numba import njit
from same_bits import assert_same_bits

from thermo.errors import InvalidInputError
from thermo.kernels import ising_lanes
from thermo.kernels.ising_lanes import advance, count_pairs, load_state, random_word
from thermo.kernels.lanes import (
    LANES,
    WORDS,
    any_lane,
    load,
    next_words,
    pack,
    popcount,
    previous_words,
    rotate_left,
    splat,
    store,
    unpack,
)
from thermo.lattice import Lattice, chain, from_edges, honeycomb, square, triangular
from thermo.models import Ising
from thermo.sampling.lane_batch import LaneBatch
from thermo.sampling.row_batch import RowBatch

SEED = 20261120

# Two sites, three neighbours at the middle, and an isolated site: kinds of degree 0, 1, 2 and 3.
ODD_GRAPH = from_edges(6, [(0, 1), (1, 2), (1, 3), (3, 4)])
# Fifteen neighbours, the adders' limit: in one kind, and in two.
STAR = from_edges(16, [(0, k) for k in range(1, 16)])
COMPLETE = from_edges(16, [(i, k) for k in range(16) for i in range(k)])


def with_signs(lattice: Lattice, field: float = 0.0) -> Ising:
    """A model with couplings +1 and −1 in no order."""
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], size=lattice.n_edges)
    return Ising(lattice, signs, field)


def batch_of(model: Ising, update: str, seed: int = SEED) -> LaneBatch:
    """512 lanes of both signs, weak and strong, zero and infinite."""
    beta = np.random.default_rng(seed).normal(size=LANES)
    beta[:6] = 0.0, np.inf, -np.inf, 1e-3, -1e-3, 700.0
    return LaneBatch(model, update, beta, np.random.SeedSequence(seed))


def test_pack_puts_lane_l_in_bit_l_of_word_l_over_64() -> None:
    lanes = np.random.default_rng(SEED).integers(0, 2, size=(3, LANES)).astype(bool)
    words = pack(lanes)
    assert words.shape == (3, WORDS)
    for lane in (0, 1, 63, 64, 130, 511):
        bits = (words[:, lane // 64] >> np.uint64(lane % 64)) & np.uint64(1)
        assert bits.tolist() == lanes[:, lane].tolist()
    assert np.array_equal(unpack(words), lanes)


def operations(rows: np.ndarray, out: np.ndarray) -> tuple[bool, bool]:
    """Use every operation on vectors once."""
    a = load(rows, 0)
    b = load(rows, 1)
    store(out, 0, a & b)
    store(out, 1, a | b)
    store(out, 2, a ^ ~b)
    store(out, 3, a + b)
    store(out, 4, (a << 21) ^ (b >> 7))
    store(out, 5, rotate_left(a, 17))
    store(out, 6, splat(-1) ^ splat(5))
    store(out, 7, popcount(a))
    store(out, 8, next_words(a))
    store(out, 9, previous_words(a))
    return any_lane(a & ~a), any_lane(a)


def test_every_vector_operation_means_the_same_compiled_and_in_python() -> None:
    rows = np.random.default_rng(SEED).integers(0, 2**64, size=(2, WORDS), dtype=np.uint64)
    in_python, compiled = np.zeros((10, WORDS), np.uint64), np.zeros((10, WORDS), np.uint64)
    assert operations(rows, in_python) == njit(operations)(rows, compiled) == (False, True)
    assert np.array_equal(in_python, compiled)
    for bit in (0, 255, 511):  # a single lane anywhere is seen
        lone = np.zeros((1, LANES), dtype=bool)
        lone[0, bit] = True
        assert njit(lambda rows: any_lane(load(rows, 0)))(pack(lone))


def test_the_random_words_are_xoroshiro128_plus_plus() -> None:
    """Against the generator written out in Python integers (Blackman and Vigna 2021)."""
    mask = 2**64 - 1

    def rotl(x: int, k: int) -> int:
        return ((x << k) | (x >> (64 - k))) & mask

    rows = np.random.default_rng(SEED).integers(0, 2**64, size=(4, WORDS), dtype=np.uint64)
    by_hand = [[(int(a), int(b)) for a, b in pair.T] for pair in (rows[:2], rows[2:])]
    state = tuple(rows)
    for draw in range(20):
        word, state = random_word(state)
        streams = by_hand[draw % 2]
        for k, (a, b) in enumerate(streams):
            assert int(word[k]) == (rotl((a + b) & mask, 17) + a) & mask
            b ^= a
            streams[k] = rotl(a, 49) ^ b ^ ((b << 21) & mask), rotl(b, 28)


# ---- the random bits of different lanes --------------------------------------------------------


@njit
def draw_words(state: np.ndarray, words: np.ndarray) -> None:
    streams = load_state(state, 0)
    for k in range(len(words)):
        word, streams = random_word(streams)
        store(words, k, word)


def largest_correlation(state: np.ndarray, lag: int, draws: int = 2**12) -> float:
    """The largest |z| of agreement between the bits of two lanes, one `lag` draws later.

    Of independent bits each z is standard normal (binomial of 2¹²), and there are 512·511/2 pairs
    (512² if lag > 0): |z| > 7 anywhere has probability below 10⁻⁶.
    """
    words = np.empty((draws + lag, WORDS), dtype=np.uint64)
    draw_words(state, words)
    bits = np.where(unpack(words), np.float32(1), np.float32(-1))
    z = bits[:draws].T @ bits[lag:] / np.sqrt(draws)
    if lag == 0:
        np.fill_diagonal(z, 0)
    return float(np.abs(z).max())


def test_random_bits_of_different_lanes_are_independent() -> None:
    state = batch_of(Ising(chain(4)), "metropolis")._generator
    for lag in (0, 1, 2, 4):
        assert largest_correlation(state, lag) < 7


def test_streams_that_are_shared_or_only_shifted_are_found_out() -> None:
    state = batch_of(Ising(chain(4)), "metropolis")._generator
    state[:2, 5] = state[:2, 2]  # every second word
    assert largest_correlation(state, 0) > 7
    _, shifted = random_word(tuple(state))
    state[:2, 5] = shifted[2][2], shifted[3][2]
    assert largest_correlation(state, 0) < 7 < largest_correlation(state, 2)
    state[2:] = state[:2]  # one word after the other the same
    assert largest_correlation(state, 1) > 7


# ---- compiled and in Python --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "update"),
    [
        (Ising(chain(4), coupling=-1.0), "metropolis"),
        (Ising(square(3)), "heat_bath"),
        (Ising(square(4), field=0.3), "metropolis"),
        (Ising(COMPLETE), "metropolis"),
        (Ising(ODD_GRAPH, field=0.3), "heat_bath"),
        (Ising(ODD_GRAPH), "metropolis"),
        (with_signs(square(3)), "metropolis"),
        pytest.param(Ising(STAR, field=0.3), "heat_bath", marks=pytest.mark.slow),
        pytest.param(Ising(triangular(3)), "heat_bath", marks=pytest.mark.slow),
        pytest.param(with_signs(honeycomb(2), 0.3), "metropolis", marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_the_compiled_kernel_equals_its_python_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, model: Ising, update: str
) -> None:
    compiled, in_python = batch_of(model, update), batch_of(model, update)
    compiled.sweep(1)
    first = compiled.record(2, 2)
    monkeypatch.setattr("thermo.kernels.ising_lanes.count_pairs", count_pairs.py_func)
    monkeypatch.setattr("thermo.sampling.lane_batch.advance", advance.py_func)
    in_python.sweep(1)
    second = in_python.record(2, 2)
    assert np.array_equal(compiled.rows, in_python.rows)
    assert np.array_equal(compiled._generator, in_python._generator)
    assert_same_bits(first, second)


@pytest.mark.parametrize(
    "model",
    [
        Ising(chain(3)),
        Ising(chain(12), coupling=-0.7),
        Ising(square(6), coupling=-0.7, field=0.2),
        Ising(ODD_GRAPH, field=-0.2),
        with_signs(square(3)),
        with_signs(square(4)),
    ],
    ids=repr,
)
def test_bit_sliced_measurements_are_the_energies_of_the_spins(model: Ising) -> None:
    lattice = model.lattice
    batch = batch_of(model, "heat_bath")
    for _ in range(5):
        measured = batch.record(1, 1)
        spins = batch.spins.astype(int)
        np.testing.assert_allclose(measured["energy"][:, 0], model.energy(spins), atol=1e-12)
        assert np.array_equal(measured["magnetization"][:, 0], spins.sum(axis=1))
        if lattice.sublattice is None:
            assert "staggered_magnetization" not in measured
        else:
            in_step = spins * (1 - 2 * lattice.sublattice)
            assert np.array_equal(measured["staggered_magnetization"][:, 0], in_step.sum(axis=1))


def test_sweeps_may_be_divided_into_calls_anyhow() -> None:
    model = Ising(square(4))
    at_once, in_parts = batch_of(model, "metropolis"), batch_of(model, "metropolis")
    at_once.sweep(10)
    series = at_once.record(6, 3)["energy"]
    for part in (1, 4, 5):
        in_parts.sweep(part)
    parts = [in_parts.record(k, 3)["energy"] for k in (2, 1, 3)]
    assert np.array_equal(series, np.concatenate(parts, axis=1))
    assert np.array_equal(at_once.rows, in_parts.rows)


def fingerprint() -> str:
    """Return a hash of the bits that two small batches end with."""
    first = batch_of(Ising(square(4)), "metropolis")
    energy = first.record(3, 2)["energy"]
    second = RowBatch(
        Ising(square(64)), "heat_bath", np.array([-0.3]), np.random.SeedSequence(SEED)
    )
    second.threads = 2
    second.sweep(3)
    digest = blake2b(first.rows.tobytes())
    digest.update(energy.tobytes())
    digest.update(second.spins.tobytes())
    return digest.hexdigest()


def test_a_processor_without_wide_vectors_gives_the_same_bits(tmp_path: Path) -> None:
    code = """
from test_kernels_lanes import advance, fingerprint
print(fingerprint(), "zmm" in next(iter(advance.inspect_asm().values())))
"""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert in_fresh_process(code, tmp_path, **plain) == [fingerprint(), "False"]


def test_no_index_leaves_its_array(tmp_path: Path) -> None:
    """With bounds checking, which must also see a neighbour that does not exist."""
    code = """
from test_kernels_lanes import Ising, batch_of, fingerprint, square
print(fingerprint())
batch = batch_of(Ising(square(4)), "metropolis")
batch._graph.neighbours[5, 1] = 99
try:
    batch.sweep(1)
except IndexError:
    print("caught")
"""
    printed = in_fresh_process(code, tmp_path, NUMBA_BOUNDSCHECK="1")
    assert printed == [fingerprint(), "caught"]


def test_kernels_import_nothing_of_ours_but_each_other() -> None:
    for name in ("lanes.py", "ising_lanes.py", "ising_rows.py", "atomic.py"):
        source = (Path(ising_lanes.__file__).parent / name).read_text()
        imports = [line for line in source.splitlines() if line.startswith("from thermo")]
        assert all(line.startswith("from thermo.kernels.") for line in imports)


# ---- the rest of what a `Batch` can do ---------------------------------------------------------


def test_a_restored_batch_goes_on_bit_for_bit() -> None:
    model = Ising(square(4))
    batch = batch_of(model, "metropolis")
    batch.sweep(3)
    state = batch.state()
    after = batch.record(4, 2)["energy"]
    other = batch_of(model, "metropolis", seed=1)
    other.restore(state)
    assert np.array_equal(other.record(4, 2)["energy"], after)
    assert np.array_equal(other.spins, batch.spins)
    assert np.array_equal(other.beta, batch.beta)


def test_chains_may_exchange_their_beta() -> None:
    """A batch whose β are permuted has the tables of one that was made with these β."""
    model = Ising(ODD_GRAPH)
    batch = batch_of(model, "heat_bath")
    permuted = np.random.default_rng(SEED).permutation(batch.beta)
    permuted[7] = 0.123  # and one that was not there before
    batch.beta = permuted
    made = LaneBatch(model, "heat_bath", permuted, np.random.SeedSequence(0))
    assert np.array_equal(batch.beta, permuted)
    for ours, theirs in zip(batch._acceptance, made._acceptance, strict=True):
        assert np.array_equal(ours, theirs)


def test_lanes_that_are_left_over_are_not_seen() -> None:
    batch = LaneBatch(Ising(square(4)), "metropolis", np.arange(5.0), np.random.SeedSequence(SEED))
    assert all(series.shape == (5, 3) for series in batch.record(3, 2).values())
    spins = batch.spins
    assert spins.shape == (5, 16)
    batch.spins = -spins
    assert np.array_equal(batch.spins, -spins)


def test_nonsense_for_spins_and_beta_is_refused() -> None:
    batch = LaneBatch(Ising(square(4)), "metropolis", np.arange(5.0), np.random.SeedSequence(SEED))
    for spins in (np.ones((4, 16)), np.ones((6, 16)), np.ones((5, 15)), np.full((5, 16), 2)):
        with pytest.raises(InvalidInputError, match="spins of shape"):
            batch.spins = spins
    with pytest.raises(InvalidInputError, match="β"):
        batch.beta = np.full(5, np.nan)


@pytest.mark.parametrize(
    ("model", "beta", "message"),
    [
        (Ising(chain(4)), np.zeros(513), "1 to 512 chains"),
        (Ising(chain(4)), np.zeros(0), "1 to 512 chains"),
        (Ising(from_edges(17, [(0, k) for k in range(1, 17)])), np.zeros(2), "16 neighbours"),
        (Ising(chain(3), [1.0, -1.0, 2.0]), np.zeros(2), "couplings of different size"),
        (Ising(chain(3), field=[1.0, 0.0, 0.0]), np.zeros(2), "different fields"),
    ],
)
def test_what_lanes_cannot_do_is_refused(model: Ising, beta: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        LaneBatch(model, "metropolis", beta, np.random.SeedSequence(0))
