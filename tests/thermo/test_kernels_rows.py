"""One large square lattice: the same bits however it is shared, and the exact distribution.

Seeds were chosen beforehand; a right engine fails a test with probability below 10⁻⁴.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, energy_p
from mistaken_kernel import mistaken
from same_bits import assert_same_bits

from thermo.errors import InvalidInputError
from thermo.exact.density_of_states import ising_torus
from thermo.exact.kaufman import square_torus
from thermo.kernels import ising_rows
from thermo.kernels.ising_rows import (
    APART,
    above,
    advance_strips,
    below,
    count_totals,
    left_of,
    right_of,
)
from thermo.lattice import square
from thermo.levels import EnergyLevels
from thermo.models import Ising
from thermo.sampling import row_batch
from thermo.sampling.row_batch import RowBatch

SEED = 20261121
SMALL = Ising(square(64))


def batch_of(model: Ising, update: str, beta: list[float], threads: int = 1) -> RowBatch:
    batch = RowBatch(model, update, np.array(beta), np.random.SeedSequence(SEED))
    batch.threads = threads
    return batch


def unpacked(rows: np.ndarray) -> np.ndarray:
    """A 64×64 lattice from 8 vectors, by way of a batch."""
    batch = batch_of(SMALL, "metropolis", [0.0])
    batch._rows[0] = rows
    return batch.spins[0].reshape(64, 64)


def test_neighbours_are_those_of_the_torus() -> None:
    batch = batch_of(SMALL, "metropolis", [0.0])
    rows, width = batch._rows[0], batch._width
    spins = unpacked(rows)
    shifts = {left_of: (0, 1), right_of: (0, -1), above: (1, 0), below: (-1, 0)}
    for neighbour_of, shift in shifts.items():
        found = [neighbour_of(rows, width, r, c) for r in range(batch._height) for c in range(2)]
        assert np.array_equal(unpacked(np.array(found)), np.roll(spins, shift, axis=(0, 1)))


@pytest.mark.parametrize(("update", "field"), [("metropolis", 0.0), ("heat_bath", 0.3)])
def test_the_compiled_kernel_equals_its_python_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, field: float, update: str
) -> None:
    model = Ising(square(64), field=field)
    beta = [-0.5, 0.2]
    compiled, in_python = batch_of(model, update, beta), batch_of(model, update, beta)
    first = compiled.record(2, 2)
    monkeypatch.setattr(row_batch, "advance_strips", advance_strips.py_func)
    monkeypatch.setattr(row_batch, "count_totals", count_totals.py_func)
    second = in_python.record(2, 2)
    assert_same_bits(first, second)
    assert_same_bits(compiled.state(), in_python.state())


@pytest.mark.parametrize("coupling", [1.0, -0.7])
def test_measurements_are_those_of_the_spins(coupling: float) -> None:
    model = Ising(square(128), coupling, field=0.2)
    batch = batch_of(model, "heat_bath", [-0.4, 0.3])
    for _ in range(3):
        measured = batch.record(1, 2)
        spins = batch.spins
        np.testing.assert_allclose(measured["energy"][:, 0], model.energy(spins), atol=1e-9)
        for name, values in model.observables(spins).items():
            assert np.array_equal(measured[name][:, 0], values)
        batch.spins = spins
        assert np.array_equal(batch.spins, spins)


@pytest.mark.parametrize("threads", [2, 3, 50])
def test_the_number_of_threads_and_of_calls_changes_nothing(threads: int) -> None:
    model = Ising(square(192))
    alone = batch_of(model, "metropolis", [0.44, -0.6])
    together = batch_of(model, "metropolis", [0.44, -0.6], threads)
    alone.sweep(30)
    for part in (1, 12, 17):
        together.sweep(part)
    assert np.array_equal(alone.spins, together.spins)
    assert np.array_equal(alone._generators, together._generators)


def test_a_thread_that_finds_others_not_ready_hands_back_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In plain Python, where one sees what happens: strip 1 has not yet done its half sweep 0."""
    monkeypatch.setattr(ising_rows, "PATIENCE", 3)
    batch = batch_of(SMALL, "metropolis", [0.3])
    done = np.zeros(2 * APART, dtype=np.int64)
    work = [batch._rows[0], batch._width, batch._strips, batch._generators[0]]
    work += [batch._acceptance[0], np.zeros((16, 8), np.uint64), done]
    assert advance_strips.py_func(*work, 0, 1, 0, 2) == 1
    before = batch.spins
    assert advance_strips.py_func(*work, 0, 1, 1, 2) == 1
    assert np.array_equal(batch.spins, before)
    assert advance_strips.py_func(*work, 1, 2, 0, 2) == 2  # after one piece strip 0 is not behind
    assert advance_strips.py_func(*work, 0, 1, 1, 2) == 2
    assert done[::APART].tolist() == [2, 2]
    alone = batch_of(SMALL, "metropolis", [0.3])
    alone.sweep(1)
    assert np.array_equal(batch.spins, alone.spins)


def test_threads_share_one_core_without_deadlock() -> None:
    code = """
import os, sys
import numpy as np
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}) if hasattr(os, "sched_setaffinity") else 0
from thermo.lattice import square
from thermo.models import Ising
from thermo.sampling.row_batch import RowBatch
batch = RowBatch(Ising(square(64)), "metropolis", np.array([0.4]), np.random.SeedSequence(1))
batch.threads = 2
batch.sweep(50)
print(int(batch.spins.sum()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    same = RowBatch(SMALL, "metropolis", np.array([0.4]), np.random.SeedSequence(1))
    same.sweep(50)
    assert int(done.stdout) == same.spins.sum()


def test_an_error_in_one_thread_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_fails(*arguments: object) -> int:
        if arguments[7] == 0:
            raise RuntimeError("as if something broke")
        return 0  # as if waiting for ever

    monkeypatch.setattr(row_batch, "advance_strips", one_fails)
    batch = batch_of(SMALL, "metropolis", [0.3], threads=2)
    with pytest.raises(RuntimeError, match="as if something broke"):
        batch.sweep(1)


def test_threads_are_given_back_when_their_number_changes() -> None:
    batch = batch_of(Ising(square(64)), "metropolis", [0.4], 2)
    batch.sweep(1)
    before = batch._pool
    assert before is not None
    batch.threads = 3
    with pytest.raises(RuntimeError, match="after shutdown"):
        before.submit(print)
    batch.sweep(1)
    batch.threads = 1
    assert batch._pool is None


def test_nonsense_for_spins_and_beta_is_refused() -> None:
    batch = batch_of(Ising(square(64)), "metropolis", [0.4, -0.4])
    for spins in (np.ones((3, 4096)), np.ones((1, 4096)), np.ones(8192), np.zeros((2, 4096))):
        with pytest.raises(InvalidInputError, match="spins of shape"):
            batch.spins = spins
    with pytest.raises(InvalidInputError, match="β"):
        batch.beta = [0.4, np.nan]


def test_a_restored_batch_goes_on_bit_for_bit() -> None:
    batch = batch_of(SMALL, "metropolis", [0.3, -0.2])
    batch.sweep(3)
    state = batch.state()
    after = batch.record(4, 2)["energy"]
    other = RowBatch(SMALL, "metropolis", np.zeros(2), np.random.SeedSequence(1))
    other.restore(state)
    assert np.array_equal(other.record(4, 2)["energy"], after)
    assert np.array_equal(other.beta, batch.beta)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Ising(square(32)), "L a multiple of 64"),
        (Ising(square(64, periodic=False)), "square torus"),
        (Ising(square(64), np.resize([1.0, -1.0], 8192)), "the same coupling"),
        (Ising(square(64), field=np.arange(4096.0)), "one field"),
    ],
)
def test_what_rows_cannot_do_is_refused(model: Ising, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        batch_of(model, "metropolis", [0.1])


# ---- the exact distribution ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def exact() -> EnergyLevels:
    """Energies of the 64×64 torus and ln g, by Beale's method."""
    return ising_torus(64)


def sampled_energies(beta: float, update: str = "metropolis") -> np.ndarray:
    """8 chains, 30 sweeps apart: at these β the energy is forgotten in fewer than three."""
    batch = batch_of(SMALL, update, [beta] * 8)
    batch.sweep(100)
    return batch.record(400, 30)["energy"]


@pytest.mark.parametrize("update", ["metropolis", "heat_bath"])
def test_energy_histograms_are_boltzmanns(update: str, exact) -> None:
    for beta in (-0.3, -0.1, 0.0, 1e-3, 0.1, 0.3):
        assert energy_p(sampled_energies(beta, update), exact, beta) > P_LIMIT, beta


MISTAKES = {
    "the rim of a block joined to itself": (
        "return of_left_block(load(spins, row * width + width - 1))",
        "return load(spins, row * width + width - 1)",
    ),
    "random bits shared by all sites": (
        "state = load_state(generators, strip)",
        "state = splat(phase + 5), splat(strip + 7), splat(phase + 3), splat(strip + 2)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_wrong_kernel_fails_the_same_histogram_test(
    monkeypatch: pytest.MonkeyPatch, mistake: tuple[str, str], exact
) -> None:
    wrong = mistaken(ising_rows, mistake)
    monkeypatch.setattr(row_batch, "advance_strips", wrong.advance_strips)
    assert energy_p(sampled_energies(0.3), exact, 0.3) < P_LIMIT


def test_beta_wrong_by_a_per_cent_fails_the_same_histogram_test(exact) -> None:
    assert energy_p(sampled_energies(0.303), exact, 0.3) < P_LIMIT


def test_a_field_moves_spins_as_it_should() -> None:
    """Without coupling ⟨M⟩ = n tanh(βh), and Var M = n/cosh²(βh): |z| < 5 in six cases."""
    n, beta = 64 * 64, np.array([-0.7, 0.2, 0.9])
    for update in ("metropolis", "heat_bath"):
        batch = batch_of(Ising(square(64), coupling=0.0, field=1.0), update, beta.tolist())
        batch.sweep(20)
        series = batch.record(500, 10)["magnetization"]
        error = np.sqrt(n / np.cosh(beta) ** 2 / 500)
        assert np.all(np.abs(series.mean(axis=1) - n * np.tanh(beta)) < 5 * error)


@pytest.mark.slow
def test_a_1024x1024_torus_agrees_with_kaufman_at_the_critical_point_nearby() -> None:
    """⟨E⟩ at β = ±0.42, where ξ ≈ 12 and the energy is forgotten in some 30 sweeps; |z| < 5."""
    beta = [0.42, -0.42]
    batch = batch_of(Ising(square(1024)), "metropolis", beta, threads=2)
    batch.sweep(2000)
    energy = batch.record(40, 250)["energy"]
    exact = square_torus(np.array(beta), 1024)
    error = np.sqrt(exact.heat_capacity / np.array(beta) ** 2 / 40)
    assert np.all(np.abs(energy.mean(axis=1) - exact.internal_energy) < 5 * error)
