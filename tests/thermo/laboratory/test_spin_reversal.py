"""A field reversed: Monte Carlo against the master equation, laws, thermometers, conditions.

Seeds were chosen before the first run. Deviations are compared in standard errors: of 2 numbers at
4.5 σ and of 200 at 5.5 σ fewer than one in 10⁵ is a false alarm. Replicas are independent, so that
standard errors need no correction.
"""

from __future__ import annotations

import json
import math
import sys
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from thermo import Ising
from thermo.canonical import canonical
from thermo.cli.lab import lab
from thermo.errors import EquilibrationWarning, InvalidInputError, UnboundedSpectrumError
from thermo.kernels import lab_spin_reversal
from thermo.kernels.lab_spin_reversal import count_classes, relax_and_exchange
from thermo.laboratory import reversal_motion, spin_reversal
from thermo.laboratory.finding import Finding
from thermo.laboratory.relaxation_courses import zero_of
from thermo.laboratory.reversal_findings import SpinReversal
from thermo.laboratory.reversal_master_equation import solve_master_equation
from thermo.laboratory.reversal_motion import Reversal, ReversalMotion, local_fields
from thermo.laboratory.reversal_start import equilibrium_purses, equilibrium_spins
from thermo.laboratory.spin_thermometers import read_field_and_couplings, read_populations
from thermo.lattice import chain, cubic, from_edges, square, triangular
from thermo.sampling.discrete_rules import largest_change

SQUARE = Ising(square(3), 0.2, 1.0)


def motion(model: Ising = SQUARE, **changes: Any) -> ReversalMotion:
    replicas = changes.pop("replicas", 4000)
    settings: dict[str, Any] = {
        "model": model, "beta": 0.5, "bath_beta": 0.5, "exchange": 5.0, "demon_maximum": 8.0,
        "times": 3.0 * (np.arange(21) / 20) ** 2,
    }  # fmt: skip
    settings |= changes
    of_spins, of_demons = np.random.SeedSequence(20261125).spawn(2)
    spins = equilibrium_spins(model, settings["beta"], replicas, 1, of_spins)
    purses = equilibrium_purses(
        model, settings["beta"], settings["demon_maximum"], replicas, of_demons
    )
    return ReversalMotion(**settings, spins=spins, purses=purses)


@cache
def beside_master_equation() -> SpinReversal:
    return spin_reversal(
        SQUARE, exchange=5.0, duration=3.0, points=40, replicas=8000, seed=20261121
    )


@cache
def large() -> SpinReversal:
    return spin_reversal(replicas=128, seed=20261122)


def worst(found: Any, exact: NDArray[np.float64]) -> float:
    sampled = found.error > 0.0
    return float(np.abs((found.value - exact)[sampled] / found.error[sampled]).max())


# ---- the master equation -------------------------------------------------------------------------


def all_states(model: Ising) -> NDArray[np.int64]:
    return np.array(list(product((1, -1), repeat=model.lattice.n_sites)))


def counts_of(model: Ising, spins: NDArray[np.int64]) -> NDArray[np.int32]:
    counts = np.empty((len(spins), len(local_fields(model)), 2), dtype=np.int32)
    lattice = model.lattice
    count_classes(spins.astype(np.int8), lattice.offsets, lattice.adjacency, counts)
    return counts


def test_independent_spins_follow_the_law_of_purcell_and_pound_exactly() -> None:
    model = Ising(chain(4), 0.0, 1.0)
    exact = solve_master_equation(
        motion(
            model, exchange=0.0, demon_maximum=4.0, times=np.array([0.0, 0.3, math.log(2.0), 2.0])
        )
    )
    law = 1.0 - 2.0 * np.exp(-np.array([0.0, 0.3, math.log(2.0), 2.0]))
    assert exact.magnetization == pytest.approx(math.tanh(0.5) * law, abs=1e-12)
    assert exact.entropy[2] == pytest.approx(math.log(2.0), abs=1e-12)
    assert exact.entropy == pytest.approx(exact.equilibrium_entropy, abs=1e-9)
    assert exact.beta_populations == pytest.approx(np.arctanh(math.tanh(0.5) * law), abs=1e-9)


@pytest.mark.parametrize("beta", [0.4, -0.7])
@pytest.mark.parametrize("exchange", [0.0, 3.0])
def test_the_bath_brings_the_spins_to_its_own_temperature(beta: float, exchange: float) -> None:
    model = Ising(triangular(3, periodic=False), -0.3, 0.9)
    exact = solve_master_equation(
        motion(model, beta=beta, bath_beta=0.6, exchange=exchange, demon_maximum=6.0,
               times=np.array([0.0, 60.0]))
    )  # fmt: skip
    state = canonical(model.levels(), 0.6)
    assert 9 * exact.energy[1] == pytest.approx(float(state.internal_energy), abs=1e-9)
    assert 9 * exact.entropy[1] == pytest.approx(float(state.entropy), abs=1e-9)
    assert exact.beta_populations[1] == pytest.approx(0.6, abs=1e-9)
    if exchange:
        assert exact.beta_demon[1] == pytest.approx(0.6, abs=1e-9)


def test_moves_with_the_demon_keep_the_energy_and_do_not_lower_the_entropy() -> None:
    """The bath is as good as switched off: 10⁹ moves with the demon for each with it."""
    times = np.array([0.0, 1e-9, 4e-9, 1e-7])
    exact = solve_master_equation(motion(exchange=1e9, times=times))
    total = 9 * exact.energy + exact.purse
    assert total == pytest.approx(total[0], abs=1e-5)
    assert (np.diff(exact.entropy) > 0.0).all()
    assert (exact.entropy < exact.equilibrium_entropy).all()


def test_field_and_couplings_settle_between_their_temperatures() -> None:
    """High temperature, 12 spins: (h_L² − h²)/(h_L² + h²) of β₀, but for terms of order 1/n."""
    model = Ising(chain(12), 0.5, 1.0)
    times = np.array([0.0, 1e-7])
    settled = solve_master_equation(
        motion(model, beta=1e-3, exchange=1e9, times=times, demon_maximum=4.0)
    )
    local = 0.5**2  # z J²/2
    demon = 8.0 / 3.0 / 12.0  # the variance of 0, 2 and 4, per spin
    wanted = -1e-3 * (1.0 - local - demon) / (1.0 + local + demon)
    assert settled.beta_populations[1] == pytest.approx(wanted, abs=1e-4)
    assert settled.beta_demon[1] == pytest.approx(wanted, abs=1e-4)


def test_right_after_the_reversal_field_and_couplings_have_opposite_temperatures() -> None:
    spins = all_states(SQUARE)
    weights = np.exp(-0.5 * SQUARE.energy(spins))
    counts = np.tensordot(weights / weights.sum(), counts_of(SQUARE, -spins), axes=1)[None, None]
    sums = np.arange(-4, 5)
    field, couplings = read_field_and_couplings(counts, sums, 0.2, 1.0)
    assert field.beta == pytest.approx([-0.5], abs=1e-12)
    assert couplings.beta == pytest.approx([0.5], abs=1e-12)


@pytest.mark.parametrize("beta", [0.8, 0.0, -1.3])
def test_the_populations_of_an_equilibrium_tell_its_temperature(beta: float) -> None:
    model = Ising(from_edges(6, [[0, 1], [1, 2], [2, 3], [3, 0], [0, 2], [4, 5]]), 0.7, -0.4)
    spins = all_states(model)
    weights = np.exp(-beta * model.energy(spins))
    counts = np.tensordot(weights / weights.sum(), counts_of(model, spins), axes=1)[None, None]
    assert read_populations(counts, local_fields(model)).beta == pytest.approx([beta], abs=1e-12)


# ---- Monte Carlo against it ----------------------------------------------------------------------


def test_monte_carlo_follows_the_master_equation_at_every_time() -> None:
    found = beside_master_equation()
    assert found.master is not None
    assert worst(found.magnetization, found.master.magnetization) < 5.5
    assert worst(found.energy, found.master.energy) < 5.5
    assert worst(found.beta_demon, found.master.beta_demon) < 5.5
    assert worst(found.beta_populations, found.master.beta_populations) < 5.5
    for finding in found.findings:
        if finding.expected is not None and finding.error:
            assert abs(finding.deviation) < 4.5, finding


@pytest.mark.parametrize(
    "wrong", [{"bath_beta": 0.6}, {"exchange": 4.0}, {"beta": 0.55}, {"demon_maximum": 6.4}]
)
def test_a_master_equation_of_something_else_is_noticed(wrong: dict[str, float]) -> None:
    found = beside_master_equation()
    settings = motion(times=found.time, demon_maximum=_purse(SQUARE))
    right = solve_master_equation(settings)
    assert right.energy == pytest.approx(found.master.energy, abs=1e-12)  # type: ignore[union-attr]
    changes: dict[str, Any] = {"times": found.time, "demon_maximum": _purse(SQUARE)}
    other = solve_master_equation(motion(**changes | wrong))
    off = (
        worst(found.magnetization, other.magnetization),
        worst(found.energy, other.energy),
        worst(found.beta_demon, other.beta_demon),
    )
    assert max(off) > 5.5


def _purse(model: Ising) -> float:
    return 4.0 * (4 * abs(model.coupling) + abs(model.field))


def test_a_kernel_with_a_mistake_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every site forgets one of its four neighbours."""
    exact = solve_master_equation(motion())

    def forgetful(*arguments: Any) -> None:
        three = np.ascontiguousarray(arguments[6].reshape(-1, 4)[:, :3]).ravel()
        relax_and_exchange(*arguments[:5], 3 * np.arange(10), three, *arguments[7:])  # type: ignore[call-arg]

    def energy() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        trajectory = Reversal(motion(), slice(None), np.random.SeedSequence(7))
        counts = trajectory.advance(21)["counts"]
        excess = counts[..., 0] - counts[..., 1]
        per_spin = -excess @ (0.1 * np.arange(-4, 5) + 1.0) / 9.0
        return per_spin.mean(axis=0), per_spin.std(axis=0) / math.sqrt(4000)

    mean, error = energy()
    assert np.abs((mean - exact.energy) / error).max() < 5.5
    monkeypatch.setattr(reversal_motion, "relax_and_exchange", forgetful)
    mean, error = energy()
    assert np.abs((mean - exact.energy) / error).max() > 5.5


@pytest.mark.slow
@pytest.mark.parametrize("model", [Ising(chain(12), 0.25, 1.0), Ising(triangular(3), -0.1, 0.8)])
def test_monte_carlo_follows_the_master_equation_of_other_lattices(model: Ising) -> None:
    found = spin_reversal(
        model, 0.7, 0.4, exchange=8.0, points=24, duration=3.0, replicas=40_000, seed=20261123
    )
    assert found.master is not None
    assert worst(found.magnetization, found.master.magnetization) < 5.5
    assert worst(found.energy, found.master.energy) < 5.5
    assert worst(found.beta_demon, found.master.beta_demon) < 5.5
    assert worst(found.beta_populations, found.master.beta_populations) < 5.5


@pytest.mark.parametrize("exchange", [0.0, 10.0])
def test_independent_spins_cross_zero_at_t1_ln_2(exchange: float) -> None:
    model = Ising(square(20), 0.0, 1.0)
    found = spin_reversal(model, exchange=exchange, replicas=200, duration=2.0, points=40, seed=5)
    zero = found.findings[0]
    assert zero.expected == pytest.approx(math.log(2.0), abs=1e-12)
    assert zero.error < 0.01
    assert abs(zero.deviation) < 4.5
    law = math.tanh(0.5) * (1.0 - 2.0 * np.exp(-found.time))
    assert worst(found.magnetization, law) < 5.5
    assert worst(found.magnetization, math.tanh(0.5) * (1.0 - 1.9 * np.exp(-found.time))) > 5.5
    assert found.independent_spins * math.tanh(0.5) == pytest.approx(law, abs=1e-12)


def test_the_unit_of_time_is_t1() -> None:
    one, other = (
        spin_reversal(SQUARE, replicas=16, points=16, relaxation_time=unit, seed=3)
        for unit in (1.0, 2.5)
    )
    assert other.time == pytest.approx(2.5 * one.time)
    assert (other.energy.value == one.energy.value).all()
    assert other.heat.value == pytest.approx(one.heat.value / 2.5)
    assert other.internal_time.value == pytest.approx(2.5 * one.internal_time.value)
    assert [a.value for a in one.findings] == pytest.approx(
        [b.value for b in other.findings], nan_ok=True
    )


# ---- a large lattice -----------------------------------------------------------------------------


def test_beta_passes_through_zero_and_temperature_never_does() -> None:
    found = large()
    b = found.beta_populations.value
    assert b[0] < -0.4
    assert b[-1] > 0.4
    steps = found.time > 0.25
    assert (np.diff(b[steps]) > -5.0 * found.beta_populations.error[steps][1:]).all()
    assert np.abs(b).max() < 1.0  # T = 1/β stays away from 0
    apart = abs(found.zero_of_beta.value - found.zero_of_demon.value)
    assert apart < 4.5 * math.hypot(found.zero_of_beta.error, found.zero_of_demon.error)


def test_every_finding_on_the_large_lattice_is_what_theory_says() -> None:
    for finding in large().findings:
        if finding.expected is not None and finding.error:
            assert abs(finding.deviation) < 4.5, finding
    assert large().findings[-1].value == 0.0  # heat from cold to hot


def test_entropy_is_largest_where_beta_is_zero_and_the_same_at_both_ends() -> None:
    found = large()
    assert np.isnan(found.entropy.value[0])  # before the spins have one temperature
    top = int(np.nanargmax(found.entropy.value))
    assert found.entropy.value[top] == pytest.approx(math.log(2.0), abs=1e-3)
    assert abs(found.time[top] - found.zero_of_beta.value) < 0.1
    # Far in the future all is as it was, but for what the spins' agreeing has made.
    gone = spin_reversal(Ising(square(16), 0.1, 1.0), duration=12.0, replicas=200, seed=11)
    assert gone.beta_populations.value[-1] == pytest.approx(0.5, abs=4.5 * 0.01)
    assert gone.entropy.value[np.isfinite(gone.entropy.value)][0] < gone.entropy.value[top]
    exact = math.log(2 * math.cosh(0.5)) - 0.5 * math.tanh(0.5)  # without couplings
    assert gone.entropy.value[-1] == pytest.approx(exact, abs=0.05)


def test_all_of_ramseys_conditions_hold_where_the_spins_exchange_energy() -> None:
    assert [condition.verdict for condition in large().conditions] == ["holds"] * 4


def test_they_fail_where_the_spins_do_not() -> None:
    alone = spin_reversal(Ising(square(16), 0.3, 1.0), exchange=0.0, replicas=200, seed=4)
    verdicts = {(c.name, c.what): c.verdict for c in alone.conditions}
    assert verdicts.pop(("bounded", "highest energy per spin")) == "holds"
    assert set(verdicts.values()) == {"fails"}
    assert len(verdicts) == 3
    assert "fails    isolated" in alone.table()


def test_any_lattice_and_a_field_the_other_way() -> None:
    for model in (
        Ising(cubic(4), -0.1, -1.0),
        Ising(from_edges(5, [[0, 1], [1, 2], [1, 3]]), 1, 2),
    ):
        found = spin_reversal(model, 0.3, math.inf, replicas=64, points=20, seed=9)
        assert found.magnetization.value[0] < 0.0 < found.magnetization.value[-1]
        assert abs(found.heat_balance.value) < 4.5 * found.heat_balance.error


def test_spins_that_were_inverted_before_are_not_afterwards() -> None:
    found = spin_reversal(Ising(square(16), 0.1, 1.0), -0.5, replicas=64, seed=2)
    assert found.beta_populations.value.min() > 0.0
    assert math.isnan(found.zero_of_beta.value)


# ---- the preparation -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:no energy changed in any draw:thermo.errors.UncertaintyWarning")
@pytest.mark.parametrize("beta", [3.0, 5.0, math.inf, -3.0])
def test_the_demon_begins_at_the_temperature_of_the_spins(beta: float) -> None:
    """What it can have is 0, 0.4, 0.8 … 5.6, though no flip costs less than 1.2."""
    model = Ising(square(8), 0.1, 1.0)
    found = spin_reversal(model, beta, exchange=0.0, points=16, replicas=200, seed=1)
    start = found.beta_demon[0]
    if math.isinf(beta):
        assert start.value == beta
    else:
        assert abs(start.value - beta) < 4.5 * start.error


def test_cold_spins_begin_in_the_state_that_the_field_prefers() -> None:
    found = spin_reversal(Ising(square(3), 1.0, 0.2), 0.8, points=16, replicas=2000, seed=0)
    assert found.master is not None
    start = found.magnetization[0]
    assert found.master.magnetization[0] == pytest.approx(-0.89, abs=0.001)
    assert abs(start.value - found.master.magnetization[0]) < 4.5 * start.error
    assert worst(found.magnetization, found.master.magnetization) < 5.5
    # and those of a larger lattice, which are not drawn exactly
    large = spin_reversal(
        Ising(square(12), 1.0, 0.2), 0.8, exchange=0.0, duration=0.01, points=16, replicas=16
    )
    assert large.magnetization.value[0] < -0.95


def test_spins_that_are_not_in_equilibrium_are_warned_of() -> None:
    with pytest.warns(EquilibrationWarning, match="Give more burn_in"):
        spin_reversal(
            Ising(square(32), 1.0, 0.01), 0.44, burn_in=2, replicas=16, points=16, exchange=0.0,
            duration=0.1,
        )  # fmt: skip


# ---- zeros ---------------------------------------------------------------------------------------


def zeros(found: SpinReversal) -> list[Finding]:
    return [finding for finding in found.findings if " = 0 at" in finding.what]


def test_a_warm_bath_and_noise_at_the_end_do_not_move_the_zero() -> None:
    """12 numbers that scatter by about 1 σ: the rms of that many is beyond 2 once in 10⁵ times."""
    off = []
    for seed in range(4):
        found = spin_reversal(
            Ising(square(16), 0.0, 1.0), bath_beta=0.2, exchange=5.0, replicas=64, seed=seed
        )
        assert len(zeros(found)) == 3
        off += [zero.deviation for zero in zeros(found)]
    assert np.sqrt(np.mean(np.square(off))) < 2.0


def test_few_points_do_not_move_the_zero() -> None:
    off = []
    for seed in range(6):
        found = spin_reversal(
            Ising(square(32), 0.0, 1.0), exchange=0.0, duration=10.0, points=16, replicas=128,
            seed=seed,
        )  # fmt: skip
        off.append(zeros(found)[0].deviation)
    assert abs(np.mean(off)) * math.sqrt(6) < 4.5


def test_zeros_of_few_small_lattices_have_honest_errors_or_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = solve_master_equation(_chain_of_9())
    module = sys.modules["thermo.laboratory.reversal_findings"]
    monkeypatch.setattr(module, "solve_master_equation", lambda motion: exact)
    off = []
    for seed in range(20):
        found = spin_reversal(Ising(chain(9), 0.2, 1.0), exchange=10.0, replicas=32, seed=seed)
        off += [zero.deviation for zero in zeros(found)]
        assert all(zero.error < zero.value / 3.0 for zero in zeros(found))
    assert len(off) > 30
    assert np.std(off) < 1.8
    assert np.abs(off).max() < 6.0


def _chain_of_9() -> ReversalMotion:
    model = Ising(chain(9), 0.2, 1.0)
    times = 4.0 * (np.arange(81) / 80) ** 2
    return motion(model, exchange=10.0, times=times, demon_maximum=2.0 * largest_change(model))


def test_what_never_passes_through_zero_has_no_zero() -> None:
    t = np.linspace(0.0, 4.0, 81)
    noise = np.random.default_rng(3).normal(0.0, 1.0, (200, 81))
    assert math.isnan(zero_of(t, np.exp(-t) + noise).measured.value)
    assert math.isnan(zero_of(t, -np.exp(-t)[None]).when)
    late = zero_of(t, 1.0 - 5.0 * np.exp(-t) + noise)  # beginning far below, ending above
    assert abs(late.measured.value - math.log(5.0)) < 4.5 * late.measured.error


# ---- the table -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("beta", [math.inf, -math.inf, 3.0])
def test_cold_runs_say_nothing_of_what_is_not_known(beta: float) -> None:
    for exchange in (0.0, 5.0):
        found = spin_reversal(
            Ising(chain(5), 0.3, 1.0), beta, exchange=exchange, points=16, replicas=16
        )
        assert not any(math.isnan(finding.value) for finding in found.findings)
        entropy = found.entropy.value[np.isfinite(found.entropy.value)]
        assert (entropy > -1e-9).all()


def test_entropy_is_that_of_independent_spins_where_there_are_no_couplings() -> None:
    """Even where β dE is steep: it was 0.001 and below at β₀ = 3."""
    found = spin_reversal(Ising(square(3), 0.0, 1.0), 3.0, replicas=2000, seed=0)
    up = 0.5 * (1.0 + found.magnetization.value)
    exact = -up * np.log(up) - (1.0 - up) * np.log(1.0 - up)
    assert found.entropy.value == pytest.approx(exact, abs=2e-3)
    cold = spin_reversal(Ising(square(8), 0.1, 1.0), 3.0, replicas=64, points=40, seed=0)
    assert np.nanmin(cold.entropy.value) > 0.0


def test_rounding_is_no_error() -> None:
    found = spin_reversal(Ising(chain(5), 0.3, 1.0), 4.0, points=40, replicas=2000, seed=0)
    off = {f.what: f.value for f in found.findings if "rms" in f.what}
    assert all(value < 2.0 for value in off.values()), off


# ---- the same bits -------------------------------------------------------------------------------


def observed(seed: int = 1) -> dict[str, NDArray[Any]]:
    few = motion(times=np.array([0.0, 0.2, 0.5]), replicas=3)
    return Reversal(few, slice(None), np.random.SeedSequence(seed)).advance(3)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_compiled_is_python(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = observed()
    for name in lab_spin_reversal.__all__:
        monkeypatch.setattr(reversal_motion, name, getattr(lab_spin_reversal, name).py_func)
    python = observed()
    assert all((compiled[name] == python[name]).all() for name in ("counts", "purse"))


def test_a_trajectory_goes_on_from_its_state_to_the_same_bits() -> None:
    few = motion(replicas=3)
    whole = Reversal(few, slice(None), np.random.SeedSequence(1)).advance(21)
    first = Reversal(few, slice(None), np.random.SeedSequence(1))
    parts = [first.advance(4)]
    second = Reversal(few, slice(None), np.random.SeedSequence(1))
    second.restore(first.state())
    first.advance(3)  # changes nothing of the other's
    parts += [second.advance(1), second.advance(16)]
    for name in whole:
        assert (np.concatenate([part[name] for part in parts], axis=1) == whole[name]).all()


def test_threads_and_interruptions_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"replicas": 40, "points": 16, "burn_in": 100, "seed": 6}
    model = Ising(square(5), 0.2, 1.0)  # which is too large to begin exactly
    whole = spin_reversal(model, threads=1, **settings)
    assert (spin_reversal(model, threads=2, **settings).energy.value == whole.energy.value).all()
    advance, calls = Reversal.advance, []

    def interrupted(self: Reversal, steps: int) -> dict[str, NDArray[Any]]:
        calls.append(steps)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return advance(self, steps)

    with monkeypatch.context() as patch:
        patch.setattr(Reversal, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            spin_reversal(model, threads=1, checkpoint=tmp_path / "kept", **settings)
    again = spin_reversal(model, threads=1, checkpoint=tmp_path / "kept", **settings)
    assert (again.energy.value == whole.energy.value).all()
    assert (again.beta_demon.value == whole.beta_demon.value).all()


def test_the_demon_never_leaves_its_purse_and_nothing_is_lost() -> None:
    """Couplings without a common unit; many moves with the demon only."""
    model = Ising(square(4), math.sqrt(0.02), 1.0)
    few = motion(model, exchange=1e12, times=np.array([0.0, 1e-9]), replicas=5)
    seen = Reversal(few, slice(None), np.random.SeedSequence(3)).advance(2)
    excess = seen["counts"][..., 0] - seen["counts"][..., 1]
    energy = -excess @ (0.5 * model.coupling * np.arange(-4, 5) + 1.0)
    total = energy + seen["purse"]
    assert np.ptp(total, axis=1) == pytest.approx(0.0, abs=1e-10)
    assert (np.abs(np.diff(energy, axis=1)) > 0.1).any()
    assert seen["purse"].min() >= 0.0
    assert seen["purse"].max() <= 8.0


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"model": 3}, "accepted: thermo.Ising"),
        ({"model": Ising(square(3), 1.0, 0.0)}, "field = 0 was given; accepted: a field ≠ 0"),
        ({"model": Ising(square(3), 1.0, np.arange(9.0))}, "one field for all sites"),
        ({"model": Ising(square(3), np.arange(18.0), 1.0)}, "one coupling for all bonds"),
        ({"beta": 0.0}, "a number ≠ 0"),
        ({"beta": math.nan}, "a number, or ±inf"),
        ({"beta": "cold"}, "a real number"),
        ({"exchange": -1.0}, "0 or more"),
        ({"exchange": math.inf}, "a finite number"),
        ({"relaxation_time": 0.0}, "a positive finite number"),
        ({"relaxation_time": -1.0}, "a positive finite number"),
        ({"duration": 0.0}, "a positive finite number"),
        ({"points": 3}, "an integer of at least 16"),
        ({"replicas": 15}, "an integer of at least 16"),
        ({"burn_in": 0}, "an integer of at least 1"),
        ({"duration": 1e9}, r"1\.4e\+14 moves; accepted: 1e\+12, that is a duration of at most 7"),
        ({"exchange": 1e12}, "or exchange of at most 5"),
        ({"seed": -1}, "an integer 0"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        spin_reversal(**{"model": SQUARE} | wrong)


@pytest.mark.parametrize("beta", [0.0, -0.5, -math.inf])
def test_a_bath_is_not_below_zero(beta: float) -> None:
    with pytest.raises(UnboundedSpectrumError, match=r"a crystal that vibrates.*no upper bound"):
        spin_reversal(SQUARE, bath_beta=beta)


@pytest.mark.parametrize("beta", [math.inf, 9.0])
def test_spins_that_were_at_zero_temperature(beta: float) -> None:
    """All of them are turned over: β = −∞ at first, and some errors are not known."""
    found = spin_reversal(Ising(square(4), 0.1, 1.0), beta, replicas=16, points=20, seed=1)
    assert found.magnetization.value[0] == -1.0
    assert found.beta_populations.value[0] == -math.inf
    assert 0.3 < found.zero_of_beta.value < 1.0  # the demon has taken a sixth
    assert np.nanmax(found.entropy.value) == pytest.approx(math.log(2.0), abs=0.01)
    json.dumps(found.to_dict(), allow_nan=False)


def test_it_is_json_and_a_command(tmp_path: Path) -> None:
    picture = tmp_path / "reversal.png"
    arguments = ["spin-reversal", "--size", "3", "--replicas", "16", "--duration", "1"]
    said = CliRunner().invoke(lab, [*arguments, "--json", "--out", str(picture)])
    assert said.exit_code == 0, said.output
    document = json.loads(said.stdout)
    assert document["schema"] == "spinlogit.lab.spin-reversal/1"
    assert len(document["beta_demon"]["value"]) == len(document["master"]["entropy"]) == 81
    assert document["conditions"][-2]["verdict"] == "holds"  # bounded
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        (["--bath-beta=-1"], "no upper bound"),
        (["--field", "0"], "a field ≠ 0"),
        (["--exchange=-1"], "0 or more"),
        (["--replicas", "2"], "an integer of at least 16"),
        (["--duration", "1e9"], "a duration of at most"),
        (["--out", "reversal.txt"], "a name ending in"),
    ],
)
def test_bad_input_of_the_command(wrong: list[str], accepted: str) -> None:
    with pytest.raises((InvalidInputError, UnboundedSpectrumError), match=accepted):
        CliRunner().invoke(lab, ["spin-reversal", *wrong], catch_exceptions=False)


@pytest.mark.parametrize("seed", range(3))
def test_heat_goes_to_a_bath_that_is_hotter_than_the_demon_at_first(seed: int) -> None:
    """0 < β of the bath < β₀: at t = 0 the demon still has β₀, but the spins are hot."""
    model = Ising(square(12), 0.1, 1.0)
    found = spin_reversal(model, bath_beta=0.1, replicas=128, duration=2.0, seed=seed)
    (uphill,) = [f for f in found.findings if f.what.startswith("times")]
    assert uphill.value == 0.0
