"""What is no number, no name and too much is refused everywhere, in one sentence, before work."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import thermo
from thermo import (
    XY,
    Clock,
    Ising,
    Oscillator,
    Potts,
    TwoLevel,
    demon_thermometer,
    density_of_states,
    exact,
    lattice,
    load_run,
    models,
    parallel_tempering,
    population_annealing,
    simulate,
    suggest_ladder,
)
from thermo.arguments import as_real, whole_number
from thermo.errors import InvalidInputError, RunFileError
from thermo.run.warmup import warmup

MODEL = Ising(lattice.square(4))
RUN: dict[str, Any] = {"sweeps": 4, "burn_in": 0, "replicas": 2}
ANNEAL: dict[str, Any] = {"beta": [0.0, 0.1], "population": 4, "sweeps": 1}


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(InvalidInputError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    assert "accepted" in message.lower()
    assert len(message) < 400
    return message


NUMBERS: dict[str, Callable[[Any], object]] = {
    "β of simulate": lambda x: simulate(MODEL, x, **RUN),
    "β in a list": lambda x: simulate(MODEL, [x, x], **RUN),
    "sweeps": lambda x: simulate(MODEL, 0.1, **RUN | {"sweeps": x}),
    "burn_in": lambda x: simulate(MODEL, 0.1, **RUN | {"burn_in": x}),
    "replicas": lambda x: simulate(MODEL, 0.1, **RUN | {"replicas": x}),
    "seed": lambda x: simulate(MODEL, 0.1, seed=x, **RUN),
    "measure_every": lambda x: simulate(MODEL, 0.1, measure_every=x, **RUN),
    "threads": lambda x: simulate(MODEL, 0.1, threads=x, **RUN),
    "exchange_every": lambda x: parallel_tempering(MODEL, [0.1, 0.2], exchange_every=x, **RUN),
    "population": lambda x: population_annealing(MODEL, **ANNEAL | {"population": x}),
    "sweeps of an anneal": lambda x: population_annealing(MODEL, **ANNEAL | {"sweeps": x}),
    "energy of a demon": lambda x: demon_thermometer(MODEL, x, 4, burn_in=0),
    "walkers": lambda x: density_of_states(MODEL, "wang_landau", sweeps=10, walkers=x),
    "rungs": lambda x: suggest_ladder(MODEL.levels(), x, (0.1, 0.2)),
    "length": lambda x: lattice.square(x),
    "sites of a graph": lambda x: lattice.from_edges(x, []),
    "coupling": lambda x: Ising(lattice.square(3), coupling=x),
    "couplings": lambda x: Ising(lattice.square(3), coupling=[x] * 18),
    "field": lambda x: XY(lattice.square(3), field=x),
    "q": lambda x: Potts(lattice.square(3), x),
    "chirality": lambda x: Clock(lattice.square(3), 3, chirality=x),
    "gap": lambda x: TwoLevel(3, x),
    "levels": lambda x: Oscillator().levels(x),
    "site": lambda x: MODEL.delta_energy(np.ones(16), x),
    "sign": lambda x: MODEL.ordered_states(x),
    "rows": lambda x: exact.square_torus(0.1, x),
    "β of an exact function": lambda x: exact.ising_chain(x, 4),
    "coupling of an exact function": lambda x: exact.infinite_square(0.1, x),
    "counts": lambda x: exact.ising_torus_counts(x),
}


@pytest.mark.parametrize("value", [True, np.True_, None, "1", 1j, {}, [[1, 2], [3]]], ids=repr)
@pytest.mark.parametrize("make", NUMBERS.values(), ids=NUMBERS.keys())
def test_what_is_no_number_is_refused(make: Callable[[Any], object], value: Any) -> None:
    if value is None and make is NUMBERS["threads"]:
        return  # the default
    assert "Potts" not in refusal(lambda: make(value))


@pytest.mark.parametrize(
    "values",
    [[1.0, None], [True, False], [Fraction(1, 2), True], np.ma.masked_array([1.0, 2.0], [0, 1])],
)
def test_nor_are_lists_with_something_else_between_the_numbers(values: Any) -> None:
    refusal(lambda: as_real(values, "β"))


def test_numbers_of_every_type_are_read() -> None:
    np.testing.assert_array_equal(as_real([Fraction(1, 2), 3], "β"), [0.5, 3.0])
    np.testing.assert_array_equal(as_real(np.ma.masked_array([1, 2], [0, 0]), "β"), [1.0, 2.0])
    assert as_real(np.float32(0.5), "β") == 0.5
    assert whole_number(np.int8(3), "sweeps", 1) == whole_number(np.array(3), "sweeps", 1) == 3


def test_an_adjacency_matrix_may_be_boolean_but_couplings_may_not() -> None:
    matrix = csr_array(np.array([[0, 1], [1, 0]], dtype=bool))
    graph = lattice.from_sparse(matrix)
    assert graph.n_edges == 1
    refusal(lambda: Ising(graph, matrix))


@pytest.mark.parametrize("name", ["sweeps", "burn_in", "replicas", "population", "length", "rows"])
def test_what_no_kernel_could_count_is_refused(name: str) -> None:
    assert "accepted: an integer" in refusal(lambda: NUMBERS[name](10**30))


@pytest.mark.parametrize(
    ("make", "near"),
    [
        (lambda: simulate(MODEL, 0.1, update="metropolys", **RUN), "metropolis"),
        (lambda: density_of_states(MODEL, "wang-landau"), "wang_landau"),
        (lambda: density_of_states(MODEL, "wang"), "wang_landau"),
        (lambda: models.spin_glass(lattice.square(3), "gausian", seed=0), "gaussian"),
        (lambda: lattice.from_description({"lattice": "sqare"}), "square"),
        (lambda: models.from_description({"model": "Isng"}), "Ising"),
    ],
)
def test_misspelled_names_get_the_nearest(make: Callable[[], object], near: str) -> None:
    assert f"did you mean {near!r}?" in refusal(make)


def test_names_like_no_other_get_the_list() -> None:
    said = refusal(lambda: simulate(MODEL, 0.1, update="xyzzy", **RUN))
    assert "accepted for Ising: 'metropolis', 'heat_bath', 'kawasaki'" in said
    for unlike in ("xyzzy", "", "wa"):
        said = refusal(lambda unlike=unlike: density_of_states(MODEL, unlike))
        assert said.endswith("'exact', 'wang_landau', 'multicanonical', 'reweighting'")


@pytest.mark.parametrize("name", [None, 3, ["metropolis"], np.array(["metropolis", "wolff"])])
def test_what_is_no_name_is_refused(name: Any) -> None:
    refusal(lambda: simulate(MODEL, 0.1, update=name, **RUN))
    refusal(lambda: density_of_states(MODEL, name))
    refusal(lambda: lattice.from_description({"lattice": name}))
    refusal(lambda: models.from_description(name))
    refusal(lambda: lattice.from_description(name))


@pytest.mark.parametrize("periodic", ["no", 0, None])
def test_periodic_is_true_or_false(periodic: Any) -> None:
    refusal(lambda: lattice.chain(4, periodic))
    refusal(lambda: exact.potts_chain(0.1, 4, 3, periodic=periodic))


@pytest.mark.parametrize("progress", ["no", 0, None])
def test_progress_is_true_or_false(progress: Any) -> None:
    """The text "no" counts as True."""
    for make in (
        lambda: simulate(MODEL, 0.1, progress=progress, **RUN),
        lambda: parallel_tempering(MODEL, [0.1, 0.2], exchange_every=1, progress=progress, **RUN),
        lambda: population_annealing(MODEL, progress=progress, **ANNEAL),
        lambda: demon_thermometer(MODEL, 0.0, 4, burn_in=0, progress=progress),
        lambda: density_of_states(MODEL, progress=progress),
        lambda: density_of_states(Potts(lattice.chain(3), 3), progress=progress),
        lambda: density_of_states(MODEL, "wang_landau", progress=progress),
        lambda: density_of_states(MODEL, "multicanonical", progress=progress),
        lambda: density_of_states(MODEL, "reweighting", progress=progress),
        lambda: warmup(progress=progress),
    ):
        assert refusal(make).startswith(f"progress = {progress!r} was given")


@pytest.mark.parametrize("name", [None, 3, b"graph"])
def test_a_graph_is_named_by_text(name: Any) -> None:
    for make in (
        lambda: lattice.from_edges(2, [(0, 1)], name=name),
        lambda: lattice.from_sparse(csr_array(np.array([[0, 1], [1, 0]])), name=name),
    ):
        assert refusal(make).startswith(f"name = {name!r} was given; accepted: text")


def test_a_staggered_magnetisation_that_there_is_not_says_why() -> None:
    for model, words in (
        (Ising(lattice.square(3)), "square 3×3 torus has odd cycles, but a staggered magnetis"),
        (XY(lattice.triangular(3)), "has odd cycles, but a staggered magnetisation needs two sub"),
        (Potts(lattice.square(4), 3), "accepted: Ising, clock, XY and Heisenberg models"),
    ):
        run = simulate(model, 0.0, 200, burn_in=10, replicas=8)
        assert run.staggered_series is None
        assert words in refusal(lambda run=run: run.staggered_magnetization)


def test_arrays_are_shown_on_one_line() -> None:
    array = np.zeros((30, 30))
    for make in (
        lambda: Ising(array),  # type: ignore[arg-type]
        lambda: simulate(array, 0.1, **RUN),  # type: ignore[arg-type]
        lambda: simulate(MODEL, 0.1, checkpoint=array, **RUN),  # type: ignore[arg-type]
        lambda: suggest_ladder(array, 4),  # type: ignore[arg-type]
        lambda: load_run(array),  # type: ignore[arg-type]
    ):
        refusal(make)


def test_energies_whose_squares_overflow_are_refused() -> None:
    assert "squares of energies" in refusal(lambda: Ising(lattice.square(3), 1e308))
    assert "squares of energies" in refusal(lambda: exact.xy_chain(0.1, 4, 1e308))
    assert Ising(lattice.square(3), 0.0).energy_bounds == (0.0, 0.0)


# ---- memory ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (lattice.chain, 10**6),
        (lattice.square, 1000),
        (lattice.cubic, 100),
        (lambda n: lattice.from_edges(n, []), 10**6),
        (lambda n: exact.square_torus([0.1, 0.2], 4, n), 10**6),
        (lambda n: exact.potts_chain([0.1, 0.2], 4, n), 100),
        (lambda n: exact.clock_chain([0.1, 0.2], 4, n), 100),
        (lambda n: exact.infinite_square(np.zeros(n)), 10**4),
        (lambda n: TwoLevel(n).levels(), 10**6),
        (lambda n: Oscillator().levels(n), 10**6),
    ],
)
def test_what_does_not_fit_says_how_much_does(
    make: Callable[[int], object], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thermo.memory.available_bytes", lambda: 10**7)
    message = refusal(lambda: make(number))
    offered = re.search(r"would need .* [GM]iB of memory .* at most (\d+) ", message)
    assert offered is not None, message
    fits = int(offered.group(1))
    make(fits)
    refusal(lambda: make(fits + 1))


def test_sizes_that_nothing_could_hold_are_refused_at_once() -> None:
    for make in (
        lambda: exact.square_torus(0.1, 10**12),
        lambda: exact.potts_chain(0.1, 4, 10**9),
        lambda: TwoLevel(10**15).levels(),
        lambda: Ising(lattice.square(1000)).levels(),
        lambda: exact.square_torus(-0.1, 5, 10**5 + 1),
    ):
        refusal(make)


# ---- numbers at the ends ---------------------------------------------------------------------


def test_the_largest_beta_of_exact_functions_is_no_overflow() -> None:
    """Warnings are errors here."""
    for beta in (1e308, -1e308):
        for state in (
            exact.square_torus(beta, 4),
            exact.infinite_square(beta),
            exact.ising_chain(beta, 4),
            exact.xy_chain(beta, 4),
        ):
            assert state.log_partition_function == np.inf
            assert state.heat_capacity == 0.0
        simulate(MODEL, beta, **RUN | {"burn_in": 100, "sweeps": 20})


def test_a_population_without_an_excited_member_has_a_bound_for_an_error() -> None:
    beta = np.linspace(0.0, 5.0, 41)
    run = population_annealing(Ising(lattice.chain(4)), beta, 512, sweeps=20, replicas=4, seed=1)
    assert run.energy.mean[-1] == -4.0
    assert run.energy.error[-1] == pytest.approx(4.0 / (run.energy.ess[-1] + 1.0))
    assert run.heat_capacity.mean[-1] == 0.0 < run.heat_capacity.error[-1]
    assert run.log_partition_function.error[-1] > 0.0
    assert run.energy.error[4] > 0.0


def test_a_folder_is_no_run_file(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="is a folder"):
        load_run(tmp_path)
    run = simulate(MODEL, 0.1, **RUN | {"burn_in": 100, "sweeps": 20})
    assert "is a folder" in refusal(lambda: run.save(tmp_path, overwrite=True))
    assert "not empty" in refusal(lambda: run.save(""))
    assert list(tmp_path.iterdir()) == []


def test_ladders_are_suggested_from_the_top() -> None:
    assert thermo.suggest_ladder is suggest_ladder
