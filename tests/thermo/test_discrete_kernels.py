"""The vector kernels of discrete models: compiled and plain Python give the same bits."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from fresh_process import in_fresh_process
from numba import njit

from thermo.kernels import discrete, discrete_heat_bath
from thermo.kernels.discrete_moves import draw_below, draw_unit, energies
from thermo.kernels.lane_bytes import load_bytes, pick, store_bytes
from thermo.kernels.lane_reals import ceiling, mask_words, reals_of, select, words_of
from thermo.kernels.lanes import WORDS, load, store
from thermo.kernels.streams import random_word
from thermo.lattice import chain, from_edges
from thermo.models import Clock, Ising, Potts
from thermo.sampling.discrete_batch import DiscreteBatch
from thermo.sampling.discrete_rules import interactions

SEED = 20261121
REAL = np.random.default_rng(SEED).normal(size=9)
MODELS = (
    Ising(chain(4), REAL[:4], 0.3),
    Potts(from_edges(5, [(0, 1), (1, 2), (1, 3)]), 3, REAL[:3]),
    Potts(chain(3), 7, field=REAL[:3]),
    Clock(chain(4), 5, REAL[:4]),
    Clock(chain(3), 3, REAL[:3], 0.2, 0.3),
    Clock(chain(12), 10, field=0.1),
)


def batch_of(model, update: str, chains: int = 40) -> DiscreteBatch:
    """Every kind of β among the first 32 chains, which go together; moderate ones after them."""
    beta = np.random.default_rng(SEED).normal(size=chains)
    beta[:6] = 0.0, np.inf, -np.inf, 1e-3, -1e-3, 1e300
    return DiscreteBatch(model, update, beta, np.random.SeedSequence(SEED))


def operations(floats, octets, table, out, marks):
    """Use every operation once that only the discrete kernels use."""
    a = load(floats, 0)
    b = load(floats, 1)
    k = load_bytes(octets, 0)
    m = load_bytes(octets, 1)
    store(out, 0, abs(a))
    store(out, 1, ceiling(a))
    store(out, 2, select(a <= b, a, b))
    store(out, 3, select(k == m, a, b))
    store(out, 4, pick(table, k))
    store(out, 5, reals_of(k - m))
    store_bytes(marks, 0, words_of(ceiling(abs(a))))
    store_bytes(marks, 1, k & mask_words(a <= b))


def test_every_operation_means_the_same_compiled_and_in_python() -> None:
    generator = np.random.default_rng(SEED)
    floats = generator.normal(size=(2, WORDS)) * 50.0
    octets = generator.integers(0, 9, size=(2, WORDS), dtype=np.uint8)
    octets[0] += 9
    octets[1, :3] = octets[0, :3]
    results = []
    for function in (operations, njit(operations)):
        out, marks = np.zeros((6, WORDS)), np.zeros((2, WORDS), np.uint8)
        function(floats, octets, np.arange(20.0) ** 2, out, marks)
        results.append((out, marks))
    (out, marks), (compiled_out, compiled_marks) = results
    assert np.array_equal(out, compiled_out)
    assert np.array_equal(marks, compiled_marks)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_single_random_numbers_are_those_of_the_vector_streams() -> None:
    state = np.random.default_rng(SEED).integers(0, 2**64, size=(2, WORDS), dtype=np.uint64)
    s0, s1 = state[:, 3]
    for _ in range(5):
        words = discrete.next_word(state, 0)
        word, s0, s1 = random_word(s0, s1)
        assert word == words[3]
    assert np.array_equal([s0, s1], state[:, 3])


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_single_random_numbers_are_uniform_in_their_range() -> None:
    """|z| < 5 of six counts and of a mean: false alarm 4·10⁻⁶."""
    stream = np.random.default_rng(SEED).integers(0, 2**64, size=2, dtype=np.uint64)
    counts = np.bincount([draw_below(stream, 6) for _ in range(12_000)], minlength=6)
    assert counts.size == 6
    assert np.all(np.abs(counts - 2000) < 5 * np.sqrt(2000 * 5 / 6))
    units = np.array([draw_unit(stream) for _ in range(12_000)])
    assert np.all((units > 0.0) & (units <= 1.0))
    assert abs(units.mean() - 0.5) < 5 / np.sqrt(12 * 12_000)


@pytest.mark.parametrize("update", ["metropolis", "heat_bath"])
@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_the_compiled_kernels_equal_their_python_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, model, update: str
) -> None:
    compiled, in_python = batch_of(model, update), batch_of(model, update)
    compiled.sweep(3)
    module = discrete if update == "metropolis" else discrete_heat_bath
    monkeypatch.setattr(module, update, getattr(module, update).py_func)
    in_python.sweep(3)
    assert np.array_equal(compiled._rows, in_python._rows)
    assert np.array_equal(compiled._streams, in_python._streams)


def test_the_compiled_energies_equal_their_python() -> None:
    for model in MODELS:
        states = batch_of(model, "heat_bath").states
        arguments = (
            np.ascontiguousarray(states.T),
            np.array(model.bond_ends),
            model.couplings.copy(),
            1.0,
            np.tile(model.bond_energy, 2),
            model.site_energy.copy(),
        )
        assert np.array_equal(energies(*arguments), energies.py_func(*arguments))
        expected = model.energy(model.spins_of(states))
        np.testing.assert_allclose(energies(*arguments), expected, atol=1e-12)


def test_the_tables_hold_every_change_of_a_bond_energy() -> None:
    for model in MODELS:
        rules, q = interactions(model), model.n_states
        changes = rules.changes.reshape(-1, q, 2**rules.stride)
        w = -np.eye(q)[0] if rules.equality_only else model.bond_energy
        for direction in range(len(changes)):
            sign = 1 if direction == 0 else -1
            for own in range(q):
                for other in range(q):
                    for shift in range(q):
                        before, after = (
                            w[sign * (other - k) % q] for k in (own, (own + shift) % q)
                        )
                        assert changes[direction, shift, other - own + q] == after - before


def fingerprint() -> str:
    """Return a hash of the bits that small batches end with."""
    digest = blake2b()
    for model in MODELS:
        for update in ("metropolis", "heat_bath"):
            batch = batch_of(model, update)
            series = batch.record(3, 2)
            digest.update(batch.states.tobytes())
            digest.update(series["energy"].tobytes())
    return digest.hexdigest()


def test_a_processor_without_wide_vectors_gives_the_same_bits_within_bounds(tmp_path: Path) -> None:
    """Compiled with bounds checking, which must also see a neighbour that does not exist."""
    code = """
from test_discrete_kernels import MODELS, batch_of, fingerprint
print(fingerprint())
batch = batch_of(MODELS[0], "metropolis")
batch._rules.neighbours[5] = 99
try:
    batch.sweep(1)
except IndexError:
    print("caught")
"""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_BOUNDSCHECK": "1"}
    assert in_fresh_process(code, tmp_path, **plain) == [fingerprint(), "caught"]
