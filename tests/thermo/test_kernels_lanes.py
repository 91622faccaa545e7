"""The lane kernel: compiled and plain Python give the same bits, on any processor."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from thermo.kernels import ising_lanes
from thermo.kernels.ising_lanes import advance, random_word
from thermo.kernels.lanes import (
    LANES,
    WORDS,
    any_lane,
    load,
    pack,
    rotate_left,
    splat,
    store,
    unpack,
)
from thermo.lattice import Lattice, chain, from_edges, honeycomb, square, triangular
from thermo.models import Ising
from thermo.sampling.lane_batch import LaneBatch

ROOT = Path(__file__).parents[2]
SEED = 20261120

# Two sites, three neighbours at the middle, and an isolated site: kinds of degree 0, 1, 2 and 3.
ODD_GRAPH = from_edges(6, [(0, 1), (1, 2), (1, 3), (3, 4)])
# Fifteen neighbours: the adders' limit.
STAR = from_edges(16, [(0, k) for k in range(1, 16)])


def batch_of(model: Ising, update: str, seed: int = SEED) -> LaneBatch:
    """512 lanes of both signs, weak and strong, zero and infinite."""
    beta = np.random.default_rng(seed).normal(size=LANES)
    beta[:6] = 0.0, np.inf, -np.inf, 1e-3, -1e-3, 700.0
    never = np.zeros(LANES, dtype=bool)
    return LaneBatch(model, update, beta, np.arange(LANES), never, np.random.SeedSequence(seed))


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
    return any_lane(a & ~a), any_lane(a)


def test_every_vector_operation_means_the_same_compiled_and_in_python() -> None:
    rows = np.random.default_rng(SEED).integers(0, 2**64, size=(2, WORDS), dtype=np.uint64)
    in_python, compiled = np.zeros((7, WORDS), np.uint64), np.zeros((7, WORDS), np.uint64)
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

    state = np.random.default_rng(SEED).integers(0, 2**64, size=(2, WORDS), dtype=np.uint64)
    by_hand = [(int(a), int(b)) for a, b in state.T]
    s0, s1 = state
    for _ in range(20):
        word, s0, s1 = random_word(s0, s1)
        for k, (a, b) in enumerate(by_hand):
            assert int(word[k]) == (rotl((a + b) & mask, 17) + a) & mask
            b ^= a
            by_hand[k] = rotl(a, 49) ^ b ^ ((b << 21) & mask), rotl(b, 28)


@pytest.mark.parametrize("update", ["metropolis", "heat_bath"])
@pytest.mark.parametrize("field", [0.0, 0.3])
@pytest.mark.parametrize("lattice", [chain(4), honeycomb(2), triangular(3), ODD_GRAPH, STAR])
def test_the_compiled_kernel_equals_its_python_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, lattice: Lattice, field: float, update: str
) -> None:
    model = Ising(lattice, field=field)
    compiled, in_python = batch_of(model, update), batch_of(model, update)
    compiled.sweep(1)
    first = compiled.record(2, 2)
    monkeypatch.setattr("thermo.sampling.lane_batch.advance", advance.py_func)
    in_python.sweep(1)
    second = in_python.record(2, 2)
    assert np.array_equal(compiled.rows, in_python.rows)
    assert np.array_equal(compiled._generator, in_python._generator)
    assert np.array_equal(first.energy, second.energy)
    assert np.array_equal(first.magnetization, second.magnetization)


@pytest.mark.parametrize(
    "lattice",
    [chain(3), chain(2, periodic=False), square(6), triangular(5), honeycomb(5), ODD_GRAPH, STAR],
)
def test_bit_sliced_measurements_are_the_energies_of_the_spins(lattice: Lattice) -> None:
    model = Ising(lattice, coupling=-0.7, field=0.2)
    batch = batch_of(model, "heat_bath")
    for _ in range(5):
        measured = batch.record(1, 1)
        spins = batch.spins.astype(int)
        np.testing.assert_allclose(measured.energy[:, 0], model.energy(spins), atol=1e-12)
        assert np.array_equal(measured.magnetization[:, 0], spins.sum(axis=1))
        if lattice.sublattice is None:
            assert measured.staggered is None
        else:
            assert measured.staggered is not None
            in_step = spins * (1 - 2 * lattice.sublattice)
            assert np.array_equal(measured.staggered[:, 0], in_step.sum(axis=1))


def test_sweeps_may_be_divided_into_calls_anyhow() -> None:
    model = Ising(square(4))
    at_once, in_parts = batch_of(model, "metropolis"), batch_of(model, "metropolis")
    at_once.sweep(10)
    series = at_once.record(6, 3).energy
    for part in (1, 4, 5):
        in_parts.sweep(part)
    parts = [in_parts.record(k, 3).energy for k in (2, 1, 3)]
    assert np.array_equal(series, np.concatenate(parts, axis=1))
    assert np.array_equal(at_once.rows, in_parts.rows)


def fingerprint() -> str:
    """Return a hash of the bits that two small batches end with."""
    first = batch_of(Ising(square(4), field=0.1), "metropolis")
    energy = first.record(3, 2).energy
    second = batch_of(Ising(ODD_GRAPH), "heat_bath")
    second.sweep(3)
    digest = blake2b(first.rows.tobytes())
    digest.update(energy.tobytes())
    digest.update(second.rows.tobytes())
    return digest.hexdigest()


def in_fresh_process(code: str, cache: Path, **environment: str) -> list[str]:
    """Run `code` after importing this module, compiling anew; return the words it prints."""
    paths = [str(ROOT), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {paths}\n{code}"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


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
batch.rules.neighbours[5] = 99
try:
    batch.sweep(1)
except IndexError:
    print("caught")
"""
    printed = in_fresh_process(code, tmp_path, NUMBA_BOUNDSCHECK="1")
    assert printed == [fingerprint(), "caught"]


def test_kernels_import_nothing_of_ours_but_each_other() -> None:
    for name in ("lanes.py", "ising_lanes.py"):
        source = (Path(ising_lanes.__file__).parent / name).read_text()
        imports = [line for line in source.splitlines() if line.startswith("from thermo")]
        assert all(line.startswith("from thermo.kernels.") for line in imports)
