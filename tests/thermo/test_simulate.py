"""`simulate` as its users meet it: shapes, starts, reproducibility, estimates, refusals."""

from __future__ import annotations

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from thermo.canonical import canonical
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.lattice import chain, from_edges, honeycomb, square, triangular
from thermo.models import XY, Heisenberg, Ising, Potts, TwoLevel
from thermo.run import Run, chains, workers
from thermo.run.simulate import simulate
from thermo.sampling.starts import ordered_spins

SEED = 20261120


def small_run(**changes: object) -> Run:
    arguments: dict = {
        "beta": [-0.3, 0.0, 0.2],
        "sweeps": 40,
        "burn_in": 20,
        "replicas": 200,
        "seed": SEED,
    } | changes
    model = arguments.pop("model", Ising(square(4)))
    return simulate(model, arguments.pop("beta"), arguments.pop("sweeps"), **arguments)


def test_series_have_axes_beta_chain_draw() -> None:
    run = small_run(sweeps=41, measure_every=4)
    assert run.energy_series.shape == run.magnetization_series.shape == (3, 200, 10)
    assert run.staggered_series is not None
    assert run.staggered_series.shape == (3, 200, 10)
    assert run.beta.tolist() == [-0.3, 0.0, 0.2]
    for estimate in (
        run.energy,
        run.magnetization,
        run.absolute_magnetization,
        run.staggered_magnetization,
        run.heat_capacity,
        run.susceptibility,
        run.connected_susceptibility,
        run.binder,
    ):
        assert estimate is not None
        for field in (estimate.mean, estimate.error, estimate.ess):
            assert field.shape == (3,)
            assert np.all(np.isfinite(field))


def test_one_number_is_a_list_of_one_beta() -> None:
    run = small_run(beta=0.2)
    assert run.beta.shape == run.energy.mean.shape == (1,)


def test_the_last_draw_is_that_of_the_final_spins() -> None:
    model = Ising(square(4), coupling=-0.5, field=0.3)
    run = small_run(model=model)
    assert run.final_spins.shape == (3, 200, 16)
    np.testing.assert_allclose(model.energy(run.final_spins), run.energy_series[..., -1])
    assert np.array_equal(run.final_spins.sum(axis=-1), run.magnetization_series[..., -1])


def test_same_seed_same_numbers_for_any_threads_and_any_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = small_run(threads=1)  # 600 chains: two batches
    second = small_run(threads=2)
    monkeypatch.setattr(workers, "_FIRST_MOVES", 1)  # every sweep a chunk of its own
    monkeypatch.setattr(workers, "_SECONDS", 0.0)
    third = small_run(threads=3)
    for run in (second, third):
        assert np.array_equal(first.energy_series, run.energy_series)
        assert np.array_equal(first.final_spins, run.final_spins)
    assert not np.array_equal(first.energy_series, small_run(seed=SEED + 1).energy_series)


def test_batches_are_independent_of_one_another() -> None:
    """1024 chains at one β are two batches; their energies do not repeat."""
    run = small_run(beta=[0.2], replicas=1024)
    assert not np.array_equal(run.energy_series[0, :512], run.energy_series[0, 512:])


def test_at_infinite_beta_everything_is_exact_and_nothing_warns() -> None:
    run = small_run(beta=[np.inf, -np.inf], model=Ising(square(6)))
    assert run.energy.mean.tolist() == [-72, 72]
    assert run.energy.error.tolist() == [0, 0]
    assert run.heat_capacity.mean.tolist() == run.heat_capacity.error.tolist() == [0, 0]
    assert run.absolute_magnetization.mean.tolist() == [36, 0]
    assert run.staggered_magnetization is not None
    assert run.staggered_magnetization.mean.tolist() == [0, 36]
    assert run.susceptibility.mean.tolist() == [np.inf, 0]
    assert run.connected_susceptibility.mean.tolist() == [0, 0]
    assert run.binder.mean.tolist() == [pytest.approx(2 / 3), 0]
    assert run.magnetization.mean.tolist() == [0, 0]  # replicas take turns between the two orders
    for estimate in (run.susceptibility, run.connected_susceptibility, run.binder):
        assert estimate.error.tolist() == [0, 0]


@pytest.mark.parametrize("field", [0.0, 0.4])
def test_derived_quantities_agree_with_enumeration(field: float) -> None:
    """32 z-scores against all 2¹⁶ states. |z| < 5 fails a right engine in 1 run of 50 000."""
    model = Ising(square(4), field=field)
    beta = np.array([-0.3, -0.1, 0.2, 0.4])
    run = small_run(model=model, beta=beta, sweeps=6000, burn_in=200, replicas=128, measure_every=5)
    states = 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1) - 1
    energy, m = model.energy(states), states.sum(axis=1)
    weight = np.exp(-beta[:, None] * energy)
    weight /= weight.sum(axis=1, keepdims=True)

    def mean(values: np.ndarray) -> np.ndarray:
        return weight @ values

    exact = {
        "energy": mean(energy),
        "magnetization": mean(m),
        "absolute_magnetization": mean(abs(m)),
        "heat_capacity": beta**2 * (mean(energy**2) - mean(energy) ** 2),
        "susceptibility": beta * (mean(m**2) - mean(m) ** 2),
        "connected_susceptibility": beta * (mean(m**2) - mean(abs(m)) ** 2),
        "binder": 1 - mean(m**4.0) / (3 * mean(m**2.0) ** 2),
    }
    for name, value in exact.items():
        estimate = getattr(run, name)
        z = (estimate.mean - value) / estimate.error
        assert np.all(np.abs(z) < 5), (name, z)


def test_few_replicas_are_cut_into_blocks_for_the_jackknife() -> None:
    run = small_run(beta=[-0.2, 0.2], replicas=2, sweeps=20000)
    exact = canonical(run.model.levels(), run.beta)
    z = (run.heat_capacity.mean - exact.heat_capacity) / run.heat_capacity.error
    assert np.all(np.abs(z) < 6)  # Student of about 31: P < 10⁻⁵
    spread = run.heat_capacity.error / run.heat_capacity.mean
    assert np.all((spread > 0.003) & (spread < 0.05))


# ---- starts ----------------------------------------------------------------------------------


def no_sweeps(**changes: object) -> Run:
    """Ordered states do not move at β = ±inf, so that one sweep shows the start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquilibrationWarning)
        return small_run(sweeps=1, burn_in=0, **changes)


def test_strong_coupling_starts_ordered_and_weak_at_random() -> None:
    run = no_sweeps(beta=[np.inf, -np.inf, 0.05, -0.05], model=Ising(square(8)))
    assert np.all(np.abs(run.magnetization_series[0]) == 64)
    assert run.staggered_series is not None
    assert np.all(np.abs(run.staggered_series[1]) == 64)
    assert np.all(np.abs(run.energy_series[2:]) < 64)


@pytest.mark.parametrize(
    ("model", "sign"),
    [
        (Ising(honeycomb(3)), 1),
        (Ising(honeycomb(3)), -1),
        (Potts(square(4), 3), -1),
        (Potts(triangular(3), 4, field=0.1), 1),
        (XY(square(4)), -1),
        (Heisenberg(square(4), field=0.1), 1),
    ],
)
def test_ordered_starts_are_all_turned_states_and_each_once(model: Any, sign: int) -> None:
    """Against the sorting of all rows, which takes minutes where lattices are large."""
    states = model.ordered_states(sign)
    if hasattr(model, "components"):
        turned = [states, -states]
    else:
        numbers = model.states_of(states)
        turned = [model.spins_of((numbers + k) % model.n_states) for k in range(model.n_states)]
    expected = np.unique(np.concatenate(turned), axis=0)
    share = (np.arange(len(expected)) + 0.5) / len(expected)
    begun = ordered_spins(model, np.full(len(expected), sign * 1e-300), share)  # all equally good
    assert np.array_equal(np.unique(begun, axis=0), expected)


def test_a_field_decides_which_way_an_ordered_start_points() -> None:
    run = no_sweeps(beta=[np.inf, -np.inf], model=Ising(triangular(3), field=-0.5), start="auto")
    assert np.all(run.magnetization_series[0] == -9)
    assert not np.all(np.abs(run.magnetization_series[1]) == 9)  # frustrated: random


def test_no_run_is_frozen_in_stripes_unless_quenched_on_purpose() -> None:
    model = Ising(square(16))
    run = small_run(model=model, beta=[1.5, -1.5], sweeps=200)
    assert np.allclose(run.energy.mean, [-512, 512], rtol=1e-3)
    with pytest.warns(EquilibrationWarning, match=r"β = 1\.5, -1\.5 .*burn_in"):
        small_run(model=model, beta=[1.5, -1.5], sweeps=200, start="random", burn_in=100)


def test_a_run_can_go_on_where_another_ended() -> None:
    first = small_run()
    second = no_sweeps(beta=np.where(first.beta < 0, -np.inf, np.inf), start=first.final_spins)
    towards = np.where(first.beta < 0, 1, -1)[:, None]
    assert np.all(towards * (second.energy_series[..., 0] - first.energy_series[..., -1]) >= 0)
    up = no_sweeps(beta=[np.inf], start=np.ones(16))
    assert np.all(up.magnetization_series == 16)


# ---- reports ---------------------------------------------------------------------------------


def test_the_dataset_has_labelled_axes_and_settings() -> None:
    run = small_run()
    data = run.to_xarray()
    assert data["energy"].dims == ("beta", "chain", "draw")
    assert set(data.data_vars) == {"energy", "magnetization", "staggered_magnetization"}
    assert data.sel(beta=0.2)["energy"].mean() == pytest.approx(run.energy.mean[2])
    assert data.attrs["seed"] == SEED
    assert data.attrs["update"] == "metropolis"
    assert "staggered_magnetization" not in small_run(model=Ising(triangular(3))).to_xarray()


def test_a_run_describes_itself() -> None:
    assert "3 β, 200 replicas, 40 draws" in repr(small_run())


def test_progress_goes_to_standard_error_only_when_asked(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_run(progress=True)
    assert capsys.readouterr() == ("", "")  # a file or a pipe: nothing that draws over itself
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    small_run()
    assert capsys.readouterr() == ("", "")
    small_run(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "sampling" in err


# ---- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": TwoLevel(3)}, r"TwoLevel\(3"),
        ({"beta": np.nan}, "nan"),
        ({"beta": [0.1, np.nan]}, "nan"),
        ({"beta": []}, r"shape \(0,\)"),
        ({"beta": [[0.1]]}, r"shape \(1, 1\)"),
        ({"beta": "cold"}, "cold"),
        ({"beta": 1j}, "1j"),
        ({"sweeps": 0}, "sweeps = 0"),
        ({"sweeps": 2.5}, "sweeps = 2.5"),
        ({"burn_in": -1}, "burn_in = -1"),
        ({"replicas": 1}, "replicas = 1"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 2**64}, "seed = 18446744073709551616"),
        ({"seed": 0.5}, "seed = 0.5"),
        ({"measure_every": 0}, "measure_every = 0"),
        ({"measure_every": 41}, "measure_every = 41"),
        ({"threads": 0}, "threads = 0"),
        ({"threads": 2, "executor": ThreadPoolExecutor(1)}, "threads = 2"),
        ({"executor": "processes"}, "executor = 'processes'"),
        ({"callback": 3}, "callback = 3"),
        ({"snapshots_every": 3, "measure_every": 2}, "snapshots_every = 3"),
        ({"snapshots_every": 41}, "snapshots_every = 41"),
        ({"structure_factor_every": 0}, "structure_factor_every = 0"),
        ({"structure_factor_every": 1, "model": Ising(honeycomb(3))}, "honeycomb"),
        ({"structure_factor_every": 1, "model": Ising(square(4, periodic=False))}, "square 4×4"),
        ({"update": "heatbath"}, "did you mean 'heat_bath'"),
        ({"update": "over_relaxation"}, "accepted for Ising"),
        ({"update": "kawasaki", "start": "ordered"}, "keeps the magnetisation"),
        ({"replicas": 10**9}, "of memory"),
        ({"start": "hot"}, "start = 'hot'"),
        ({"start": np.ones(15)}, r"\(15,\)"),
        ({"start": np.zeros(16)}, r"\+1 (and|or) -1"),
        ({"start": np.full(16, 2)}, r"\+1 (and|or) -1"),
        ({"start": "ordered", "model": Ising(triangular(3))}, "frustrated"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(
    changes: dict, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr("thermo.run.simulate.run_chains", never)
    with pytest.raises(InvalidInputError, match=words) as refusal:
        small_run(**changes)
    assert "ccepted" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("in a thread")

    monkeypatch.setattr(chains.LiveBatch, "advance", broken)
    with pytest.raises(RuntimeError, match="in a thread"):
        small_run()


def test_a_chain_of_isolated_sites_is_a_paramagnet() -> None:
    """No bonds at all: E = −hM, ⟨s⟩ = tanh βh."""
    model = Ising(from_edges(5, []), field=0.7)
    beta = np.array([-1.0, 0.0, 0.5])
    run = small_run(model=model, beta=beta, sweeps=400)
    z = (run.magnetization.mean - 5 * np.tanh(0.7 * beta)) / run.magnetization.error
    assert np.all(np.abs(z) < 5)


def test_a_field_turns_a_ring_at_both_signs() -> None:
    model = Ising(chain(6), coupling=0.5, field=1.0)
    run = small_run(model=model, beta=[-0.5, 0.5], sweeps=400, update="heat_bath")
    assert run.magnetization.mean[0] < 0 < run.magnetization.mean[1]


def test_a_weak_field_in_the_ordered_phase_is_not_passed_over_in_silence() -> None:
    """Both wells carry weight and no chain crosses: the run must say so, and not claim one well.

    With all replicas in the lower well ⟨M⟩ would be 16 with an error of 0.001; exact is 2.5.
    """
    model = Ising(square(4), field=0.01)
    with pytest.warns(EquilibrationWarning, match="magnetisations"):
        run = simulate(model, [1.0], 500, burn_in=100, replicas=128, seed=20261120)
    exact = 16 * np.tanh(1.0 * 0.01 * 16)  # two wells of M = ±16, βhn apart; excitations are rare
    assert abs(run.magnetization.mean[0] - exact) < 5 * run.magnetization.error[0]
    assert run.magnetization.error[0] > 0.5


def test_a_strong_field_needs_no_warning() -> None:
    """The reversed state has the weight e^{−64}: no replica begins there, none disagrees."""
    run = simulate(Ising(square(4), field=2.0), [1.0], 500, burn_in=100, replicas=64, seed=20261120)
    assert (run.magnetization_series > 0).all()
