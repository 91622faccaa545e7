"""Wang–Landau walks, and the energy grids they walk on, against exact numbers of states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh_process import in_fresh_process
from goodness_of_fit import student_limit, student_scatter_p
from mistaken_kernel import mistaken
from same_bits import assert_same_bits

from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.exact import ising_torus
from thermo.kernels import flat_histogram
from thermo.kernels.flat_histogram import wang_landau_sweeps
from thermo.lattice import chain, cubic, from_edges, honeycomb, square, triangular
from thermo.models import XY, Clock, Ising, Potts
from thermo.run.flat_histogram import wang_landau
from thermo.sampling import wang_landau as module
from thermo.sampling.energy_grid import energy_grid
from thermo.sampling.wang_landau import WangLandau

SEED = 20261121

PLUS_MINUS = Ising(
    from_edges(8, [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3), (6, 7), (0, 6), (1, 7)]),
    coupling=0.3 * np.array([1, -1, 1, 1, -1, 1, 1, -1, 2, 3]),
)
CASES = {
    "Ising 4×4": Ising(square(4)),
    "±J graph": PLUS_MINUS,
    "Potts, q = 3": Potts(square(3), 3),
    "Potts in a field": Potts(chain(6), 4, coupling=-1.0, field=0.5),
    "chiral clock": Clock(square(3), 3, chirality=0.5),
}


# ---- the grid ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "width"),
    [
        (Ising(square(32)), 4.0),
        (Ising(chain(5)), 4.0),
        (Ising(chain(5, periodic=False)), 2.0),
        (Ising(honeycomb(2), coupling=-1.5), 3.0),
        (Ising(cubic(3)), 4.0),
        (Ising(triangular(3), coupling=0.5, field=0.1), 0.2),
        (Ising(square(4), coupling=np.tile([0.3, 0.6], 16)), 0.6),
        (Ising(chain(5), coupling=0.0), 1.0),
        (Potts(square(4), 3), 1.0),
        (Potts(square(4), 3, coupling=-2.0, field=0.5), 0.5),
        (Clock(square(4), 6), 0.5),
        (Clock(chain(4), 3, chirality=0.5), 1.5),
    ],
)
def test_the_spacing_of_the_energies_is_found(model: Any, width: float) -> None:
    assert energy_grid(model).width == pytest.approx(width, rel=1e-12)


@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_every_energy_is_the_middle_of_a_bin_of_its_own(model: Any) -> None:
    grid, energies = energy_grid(model), model.levels().energies
    bins = grid.bin_of(energies)
    assert len(np.unique(bins)) == len(energies)
    assert 0 <= bins.min() <= bins.max() < grid.bins
    np.testing.assert_allclose(grid.energies[bins], energies, atol=1e-9)


def test_bins_of_a_given_width_hold_every_energy() -> None:
    model = Clock(square(3), 5)
    grid = energy_grid(model, 0.7)
    low, high = model.energy_bounds
    bins = grid.bin_of(np.array([low, high]))
    assert grid.width == 0.7
    assert 0 <= bins[0] <= bins[1] < grid.bins


def test_energies_without_a_spacing_need_bins() -> None:
    generator = np.random.default_rng(SEED)
    for model in (Clock(square(4), 5), Ising(square(4), generator.normal(size=32))):
        with pytest.raises(InvalidInputError, match="give a larger bin_width"):
            energy_grid(model)
        energy_grid(model, 0.1)
    with pytest.raises(InvalidInputError, match="continuous"):
        energy_grid(XY(square(4)))


# ---- the walk ----------------------------------------------------------------------------------


def walk_of(model: Any, walkers: int = 3, **options: Any) -> WangLandau:
    return WangLandau(model, walkers, np.random.SeedSequence(SEED), **options)


def agrees(model: Any) -> bool:
    """Whether 16 walkers agree with the exact ln g of every level within their spread.

    A right walk fails once in 10⁵, whatever the number of levels: `student_limit`.
    """
    density = wang_landau(model, 40_000, walkers=16, seed=SEED)
    exact = model.levels()
    np.testing.assert_allclose(density.levels.energies, exact.energies, atol=1e-9)
    assert density.stderr.max() < 0.1
    assert density.levels.log_states == pytest.approx(exact.log_states)
    deviation = np.abs(density.levels.log_degeneracy - exact.log_degeneracy)
    return bool((deviation < student_limit(16, len(exact)) * density.stderr).all())


@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_ln_g_of_small_models(model: Any) -> None:
    assert agrees(model)


def test_a_wrong_acceptance_fails_the_same_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: ratios of weights off by 2 per cent in their logarithm."""
    wrong = mistaken(flat_histogram, ("math.exp(gain)", "math.exp(0.98 * gain)"))
    monkeypatch.setattr(module, "wang_landau_sweeps", wrong.wang_landau_sweeps)
    assert not agrees(Ising(square(4)))


def test_the_8x8_torus_agrees_with_beale() -> None:
    density = wang_landau(Ising(square(8)), 60_000, seed=SEED)
    exact = ising_torus(8)
    assert len(density.levels) == len(exact)
    deviation = np.abs(density.levels.log_degeneracy - exact.log_degeneracy)
    assert (deviation < student_limit(8, len(exact)) * density.stderr).all()  # at 10⁻⁵
    assert np.mean(deviation / exact.log_degeneracy) < 0.01


def test_errors_are_as_large_as_the_deviations() -> None:
    """Over 20 runs, at every level; at 10⁻⁵. Half of them would not be."""
    exact = PLUS_MINUS.levels()
    runs = [wang_landau(PLUS_MINUS, 40_000, walkers=16, seed=SEED + k) for k in range(20)]
    ratios = np.array([(r.levels.log_degeneracy - exact.log_degeneracy) / r.stderr for r in runs])
    assert student_scatter_p(ratios, 16) > 1e-5
    assert student_scatter_p(2 * ratios, 16) < 1e-5


def test_ln_f_becomes_one_over_t_and_never_more() -> None:
    walk = walk_of(CASES["Ising 4×4"])
    factors = []
    for _ in range(40):
        walk.sweep(500)
        factors.append(walk.log_factor)
    factors = np.array(factors)
    assert (np.diff(factors, axis=0) <= 0).all()
    assert walk.refined.all()
    np.testing.assert_allclose(factors[-1], 15 / (40 * 500 * 16))


@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_the_compiled_kernel_equals_its_python_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, model: Any
) -> None:
    compiled, in_python = walk_of(model, 2), walk_of(model, 2)
    compiled.sweep(20)
    monkeypatch.setattr(module, "wang_landau_sweeps", wang_landau_sweeps.py_func)
    with np.errstate(over="ignore"):
        in_python.sweep(20)
    assert_same_bits(compiled.state(), in_python.state())


def test_sweeps_may_be_divided_over_calls_and_restored() -> None:
    model = CASES["Potts, q = 3"]
    at_once, in_parts = walk_of(model), walk_of(model)
    at_once.sweep(5000)
    in_parts.sweep(1200)
    kept = in_parts.state()
    in_parts.sweep(700)
    in_parts.restore(kept)
    in_parts.sweep(3800)
    assert_same_bits(at_once.state(), in_parts.state())


def test_walkers_may_be_put_where_they_have_never_been() -> None:
    walk = walk_of(CASES["Ising 4×4"])
    walk.sweep(2)
    walk.spins = np.ones((3, 16), dtype=np.int8)
    walk.sweep(2000)
    assert (np.isfinite(walk.log_density).sum(axis=1) == 15).all()


def test_the_running_energy_is_that_of_the_spins() -> None:
    for model in CASES.values():
        walk = walk_of(model)
        walk.sweep(200)
        np.testing.assert_allclose(walk.energies, model.energy(walk.spins), atol=1e-8)


def test_no_index_leaves_its_array(tmp_path: Path) -> None:
    """With bounds checking, on a grid whose bins are not aligned with the energies."""
    code = f"""
import numpy as np
from thermo.lattice import square
from thermo.models import Clock
from thermo.sampling.multicanonical import Multicanonical
from thermo.sampling.wang_landau import WangLandau
model = Clock(square(3), 5, field=0.3)
walk = WangLandau(model, 2, np.random.SeedSequence({SEED}), bin_width=0.31)
walk.sweep(3000)
after = Multicanonical(
    model, 2, np.random.SeedSequence({SEED}), walk.log_density[0], bin_width=0.31
)
after.sweep(3000)
print(after.transitions.sum())
walk._system.neighbours[3] = 99
try:
    walk.sweep(10)
except IndexError:
    print("caught")
"""
    assert in_fresh_process(code, tmp_path, NUMBA_BOUNDSCHECK="1") == ["54000", "caught"]


# ---- bad input ---------------------------------------------------------------------------------


def test_bad_input() -> None:
    model = CASES["Ising 4×4"]
    for options, words in (
        ({"sweeps": 0}, "sweeps"),
        ({"sweeps": 2.5}, "sweeps"),
        ({"walkers": 1}, "walkers"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
        ({"bin_width": 0.0}, "bin_width"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            wang_landau(model, **{"sweeps": 10, **options})


def test_a_run_that_is_too_short_is_warned_of() -> None:
    with pytest.warns(EquilibrationWarning) as caught:
        wang_landau(Ising(square(16)), 50, walkers=3)
    messages = " ".join(str(warning.message) for warning in caught)
    assert "3 of 3 walkers did not reach the 1/t stage" in messages
    assert "energies; give more sweeps" in messages
