"""Runs of parallel tempering against exact averages; their bits, files and refusals.

Every test has one fixed seed, chosen beforehand, and states its false-alarm rate.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import iv

from thermo.canonical import canonical
from thermo.errors import CheckpointError, EquilibrationWarning, InvalidInputError
from thermo.lattice import chain, square, triangular
from thermo.models import XY, Ising
from thermo.run.chains import Progress
from thermo.run.files import load_run
from thermo.run.ladder import swap_acceptance
from thermo.run.tempering import parallel_tempering
from thermo.run.tempering_run import TemperingRun

SEED = 20261120

FRUSTRATED = Ising(triangular(3))
THROUGH_ZERO = np.array([-np.inf, -1.5, -0.4, -0.2, 0.0, 0.15, 0.3, 1.0])


RUN: dict[str, Any] = {"sweeps": 800, "burn_in": 200, "replicas": 128, "seed": SEED}


def tempered(model: Any = FRUSTRATED, beta: Any = THROUGH_ZERO, **arguments: Any) -> TemperingRun:
    settings = RUN | arguments
    return parallel_tempering(model, beta, settings.pop("sweeps"), **settings)


@pytest.fixture(scope="module")
def run() -> TemperingRun:
    return tempered()


def test_estimates_of_a_run_are_of_their_beta(run: TemperingRun) -> None:
    """14 z-scores of 128 ladders beyond 5.5 (Student): 3·10⁻⁶."""
    exact = canonical(FRUSTRATED.levels(), THROUGH_ZERO)
    for estimate, value in (
        (run.energy, exact.internal_energy),
        (run.heat_capacity, exact.heat_capacity),
    ):
        moving = estimate.error > 0
        assert moving.sum() >= 6
        assert np.all(np.abs(estimate.mean - value)[moving] < 5.5 * estimate.error[moving])
        np.testing.assert_allclose(estimate.mean[~moving], value[~moving], atol=1e-12)
    np.testing.assert_array_equal(run.final_spins.shape, (8, 128, 9))
    assert np.all(FRUSTRATED.energy(run.final_spins)[0] == FRUSTRATED.levels().maximum)  # β = −∞


def test_the_acceptance_of_a_run_is_that_of_its_levels(run: TemperingRun) -> None:
    """7 z-scores beyond 5: 4·10⁻⁶."""
    acceptance = run.swap_acceptance
    z = (acceptance.mean - swap_acceptance(FRUSTRATED.levels(), THROUGH_ZERO)) / acceptance.error
    assert np.abs(z).max() < 5, z
    assert acceptance.error.max() < 0.01


def visits(walker: np.ndarray) -> tuple[int, np.ndarray]:
    """Round trips of one ladder and last ends by rung, followed one configuration at a time."""
    trips, last_end = 0, np.zeros(walker.shape)
    for configuration in range(len(walker)):
        ends: list[int] = []
        for draw, here in enumerate(np.argmax(walker == configuration, axis=0)):
            end = {0: 1, len(walker) - 1: -1}.get(int(here), 0)
            if end and (not ends or ends[-1] != end):
                ends.append(end)
            last_end[here, draw] = ends[-1] if ends else 0
        trips += (len(ends) - 1) // 2 if ends else 0
    return trips, last_end


def test_round_trips_and_flow_are_counted_right(run: TemperingRun) -> None:
    walkers = np.moveaxis(run.series["walker"], 1, 0)[:16].astype(int)
    followed = [visits(walker) for walker in walkers]
    np.testing.assert_array_equal(run.round_trips[:16], [trips for trips, _ in followed])
    assert run.round_trips.min() > 0
    few = replace(run, series={"walker": run.series["walker"][:, :16]})
    ends = np.array([last_end for _, last_end in followed])
    flow = few.replica_flow
    np.testing.assert_allclose(
        flow.value, (ends == 1).sum(axis=(0, 2)) / (ends != 0).sum(axis=(0, 2)), rtol=1e-12
    )
    assert (flow.value[0], flow.value[-1]) == (1.0, 0.0)
    assert np.all(np.diff(flow.value) < 5 * flow.error[1:])  # it falls along the ladder
    assert np.all(flow.error[1:-1] > 0)


def test_a_run_survives_its_file(run: TemperingRun, tmp_path: Path) -> None:
    run.save(tmp_path / "run.nc")
    again = load_run(tmp_path / "run.nc")
    assert isinstance(again, TemperingRun)
    np.testing.assert_array_equal(again.round_trips, run.round_trips)


@pytest.mark.parametrize("update", ["heat_bath", "rejection_free"])
def test_other_updates(update: str) -> None:
    """6 z-scores of 16 ladders, 8000 draws: beyond 7 10⁻⁵ even for Student's t of 15."""
    model, beta = Ising(square(3), field=0.4), np.array([0.8, 0.4, 0.1, -0.3, -0.6, -1.0])
    run = tempered(model, beta, replicas=16, update=update, exchange_every=4)
    exact = canonical(model.levels(), beta).internal_energy
    assert np.all(np.abs(run.energy.mean - exact) < 7 * run.energy.error)


def test_continuous_spins() -> None:
    """An open XY chain: ⟨E⟩ = −(n−1) I₁(β)/I₀(β). 5 z-scores beyond 7 (t of 31): 10⁻⁶."""
    beta = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
    run = tempered(XY(chain(6, periodic=False)), beta, replicas=32, exchange_every=2)
    exact = -5 * iv(1, beta) / iv(0, beta)
    assert np.all(np.abs(run.energy.mean - exact) < 7 * run.energy.error)


@pytest.mark.filterwarnings("ignore::thermo.errors.UncertaintyWarning")  # too few sweeps
def test_same_seed_same_bits_for_any_threads_and_executors() -> None:
    arguments = {"sweeps": 50, "burn_in": 7, "exchange_every": 3, "replicas": 130}
    one = tempered(threads=1, **arguments)
    two = tempered(threads=2, **arguments)
    with ThreadPoolExecutor(2) as pool:
        other = tempered(executor=pool, **arguments)
    for name, values in one.series.items():
        np.testing.assert_array_equal(values, two.series[name])
        np.testing.assert_array_equal(values, other.series[name])
    assert not np.array_equal(
        one.series["energy"], tempered(**arguments | {"seed": 1}).series["energy"]
    )


class Interruption(Exception):
    pass


def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    arguments = {"beta": THROUGH_ZERO[::2], "replicas": 64, "threads": 1}
    arguments |= {"sweeps": 16_000, "burn_in": 10, "measure_every": 40, "exchange_every": 7}
    directory, seen = tmp_path / "run", []

    def interrupt(progress: Progress) -> None:
        seen.append(progress.sweeps)
        raise Interruption

    with pytest.raises(Interruption):
        tempered(checkpoint=directory, callback=interrupt, **arguments)
    resumed = tempered(
        checkpoint=directory, callback=lambda progress: seen.append(progress.sweeps), **arguments
    )
    assert 0 < seen[0] < seen[1] <= seen[-1] == 16_010  # it did not begin again
    whole = tempered(**arguments)
    for name, values in whole.series.items():
        np.testing.assert_array_equal(values, resumed.series[name])
    np.testing.assert_array_equal(whole.final_spins, resumed.final_spins)
    with pytest.raises(CheckpointError, match="exchange_every"):
        tempered(checkpoint=directory, **arguments | {"exchange_every": 8})


@pytest.mark.filterwarnings("ignore:the energies")
def test_wells_that_no_ladder_leaves_are_not_passed_over_in_silence() -> None:
    """All rungs deep in the order of a weak field: no magnetisation ever turns over."""
    with pytest.warns(EquilibrationWarning, match="magnetisations"):
        parallel_tempering(
            Ising(square(6), field=0.002), [1.5, 1.6], 200, burn_in=20, replicas=64, seed=SEED
        )


def test_a_tempered_run_prints_in_one_line_and_gives_a_density_of_states(
    run: TemperingRun, tmp_path: Path
) -> None:
    assert repr(run).startswith("TemperingRun(Ising(")
    assert len(repr(run)) < 200
    run.save(tmp_path / "run.nc")
    again = load_run(tmp_path / "run.nc")
    assert repr(again) == repr(run)
    density, exact = again.density_of_states(), run.model.levels().merged()
    place = np.searchsorted(exact.energies, density.levels.energies)
    z = (density.levels.log_degeneracy - exact.log_degeneracy[place]) / density.stderr
    assert np.abs(z).max() < 6.0  # ten levels, errors of a jackknife over the ladders: 1e-6 or so


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": [0.5]}, "at least 2"),
        ({"beta": []}, "at least 2"),
        ({"beta": [0.1, 0.1, 0.2]}, "0.1 is followed by 0.1"),
        ({"beta": [0.1, 0.3, 0.2]}, "0.3 is followed by 0.2"),
        ({"beta": [-np.inf, np.inf, np.inf]}, "inf is followed by inf"),
        ({"beta": [0.1, np.nan]}, "nan"),
        ({"beta": np.linspace(0, 1, 513)}, "at most 512"),
        ({"sweeps": 0}, "sweeps = 0"),
        ({"burn_in": -1}, "burn_in = -1"),
        ({"replicas": 1}, "replicas = 1"),
        ({"exchange_every": 0}, "exchange_every = 0"),
        ({"exchange_every": 801}, "exchange_every = 801"),
        ({"measure_every": 801}, "measure_every = 801"),
        ({"seed": -1}, "seed = -1"),
        ({"threads": 0}, "threads = 0"),
        ({"update": "kawasaki"}, "magnetisation"),
        ({"update": "metropoliss"}, "did you mean 'metropolis'"),
        ({"start": np.ones(9)}, "start"),
        ({"start": "hot"}, "start = 'hot'"),
        ({"model": "Ising"}, "model = 'Ising'"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        tempered(**arguments)
