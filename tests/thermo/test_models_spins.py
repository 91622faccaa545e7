"""All spin models against their Hamiltonians written out term by term, and against each other."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from itertools import product
from math import cos, isclose, pi, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from thermo.canonical import canonical
from thermo.exact.density_of_states import exact_levels
from thermo.exact.transfer_matrix import clock_chain, ising_chain, potts_chain
from thermo.lattice import chain, cubic, from_edges, honeycomb, king, square, triangular
from thermo.models import (
    XY,
    Clock,
    Heisenberg,
    Ising,
    Potts,
    from_description,
    spin_glass,
)
from thermo.models.difference import DifferenceModel
from thermo.models.spin_model import SpinModel

BETA = np.array([-np.inf, -1.3, -0.2, 0.0, 0.4, 2.0, np.inf])
numbers = st.floats(-3, 3, allow_nan=False)


def dot(a: np.ndarray, b: np.ndarray) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


# One bond (from the spin at its tail to that at its head) and one spin in a field h of its own.
TERMS: dict[str, tuple[Callable, Callable]] = {
    "Ising": (lambda m, s, t: -s * t, lambda m, h, s: -h * s),
    "Potts": (lambda m, s, t: -float(s == t), lambda m, h, s: -h * float(s == 0)),
    "Clock": (
        lambda m, s, t: -cos(2 * pi * (t - s + m.chirality) / m.n_states),
        lambda m, h, s: -h * cos(2 * pi * s / m.n_states),
    ),
    "XY": (lambda m, s, t: -dot(s, t), lambda m, h, s: -dot(h, s)),
    "Heisenberg": (lambda m, s, t: -dot(s, t), lambda m, h, s: -dot(h, s)),
}


def written_out(model: SpinModel, spins: np.ndarray, skip: int = 0) -> float:
    """H term by term, without the first `skip` bonds."""
    bond, single = TERMS[type(model).__name__]
    total = 0.0
    for (tail, head), j in list(zip(model.bond_ends, model.couplings, strict=True))[skip:]:
        total += j * bond(model, spins[tail], spins[head])
    return total + sum(single(model, h, s) for h, s in zip(model.fields, spins, strict=True))


@st.composite
def models(draw: st.DrawFn) -> SpinModel:
    n = draw(st.integers(1, 8))
    pairs = [(a, b) for a in range(n) for b in range(a)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    turned = [edge[::-1] if draw(st.booleans()) else edge for edge in edges]
    lattice = from_edges(n, turned)
    kind = draw(st.sampled_from([Ising, Potts, Clock, XY, Heisenberg]))
    shape = {XY: (n, 2), Heisenberg: (n, 3)}.get(kind, (n,))

    def values(*shape: int) -> np.ndarray:
        size = prod(shape)
        flat = draw(st.lists(numbers, min_size=size, max_size=size))
        return np.reshape(flat, shape)

    coupling = draw(numbers) if draw(st.booleans()) else values(lattice.n_edges)
    field = [draw(numbers), values(n), values(*shape)][draw(st.integers(0, 2))]
    if kind is Potts:
        return Potts(lattice, draw(st.integers(2, 5)), coupling, field)
    if kind is Clock:
        return Clock(lattice, draw(st.integers(2, 6)), coupling, field, chirality=draw(numbers))
    return kind(lattice, coupling, field)


seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@given(models(), seeds)
@settings(max_examples=200, deadline=None)
def test_energy_is_the_hamiltonian_written_out(model: SpinModel, rng) -> None:
    spins = model.random_spins(rng, 3)
    expected = [written_out(model, s) for s in spins]
    np.testing.assert_allclose(model.energy(spins), expected, atol=1e-12)
    assert np.shape(model.energy(spins[0])) == ()
    low, high = model.energy_bounds
    assert np.all((model.energy(spins) >= low - 1e-12) & (model.energy(spins) <= high + 1e-12))


@given(models(), seeds)
@settings(max_examples=200, deadline=None)
def test_delta_energy_is_the_difference_of_energies(model: SpinModel, rng) -> None:
    spins, other = model.random_spins(rng, 4), model.random_spins(rng, 4)
    for site in range(model.lattice.n_sites):
        changed = spins.copy()
        changed[:, site] = -spins[:, site] if isinstance(model, Ising) else other[:, site]
        difference = model.energy(changed) - model.energy(spins)
        new = () if isinstance(model, Ising) else (changed[:, site],)
        np.testing.assert_allclose(model.delta_energy(spins, site, *new), difference, atol=1e-12)
        one = () if isinstance(model, Ising) else (changed[0, site],)
        np.testing.assert_allclose(
            model.delta_energy(spins[0], site, *one), difference[0], atol=1e-12
        )


def test_a_dropped_bond_and_a_turned_one_are_noticed() -> None:
    """Controls: what is written out above without a bond, or with one the other way, differs."""
    rng = np.random.default_rng(1)
    for model in (
        Ising(square(3)),
        Potts(square(3), 3),
        Clock(square(3), 5),
        XY(square(3)),
        Heisenberg(square(3)),
    ):
        spins = model.random_spins(rng, 20)
        short = np.array([written_out(model, s, skip=1) for s in spins])
        assert np.abs(model.energy(spins) - short).max() > 0.5
    ends = square(3).bond_ends.copy()
    ends[0] = ends[0, ::-1]
    turned = Clock(from_edges(9, ends), 3, chirality=0.2)
    chiral = Clock(square(3), 3, chirality=0.2)
    spins = chiral.random_spins(rng, 20)
    assert np.abs(chiral.energy(spins) - turned.energy(spins)).max() > 0.1
    np.testing.assert_allclose(  # without chirality the direction does not matter
        Clock(from_edges(9, ends), 3).energy(spins), Clock(square(3), 3).energy(spins), atol=1e-12
    )


@given(models().filter(lambda model: isinstance(model, DifferenceModel)))
@settings(max_examples=100, deadline=None)
def test_levels_are_those_of_the_enumerated_states(model: DifferenceModel) -> None:
    n = model.lattice.n_sites
    if model.n_states**n > 3000:
        return
    states = np.array(list(product(range(model.n_states), repeat=n)), dtype=np.int8)
    energies = model.energy(model.spins_of(states))
    levels = model.levels()
    assert isclose(levels.log_states, n * np.log(model.n_states), rel_tol=1e-12)
    # Every state has its level, and the degeneracies count them.
    nearest = np.abs(energies[:, None] - levels.energies).argmin(axis=1)
    np.testing.assert_allclose(levels.energies[nearest], energies, atol=1e-10)
    counts = np.bincount(nearest, minlength=len(levels))
    np.testing.assert_allclose(np.exp(levels.log_degeneracy), counts, rtol=1e-10)


RINGS = {
    "Ising": (Ising(chain(7), -0.7, 0.3), ising_chain(BETA, 7, -0.7, 0.3)),
    "Potts": (Potts(chain(6), 4, 1.3), potts_chain(BETA, 6, 4, 1.3)),
    "clock": (Clock(chain(6), 4, 0.8, 0.25), clock_chain(BETA, 6, 4, 0.8, 0.25)),
    "chiral clock": (
        Clock(chain(7), 3, 1.1, 0.2, chirality=0.3),
        clock_chain(BETA, 7, 3, 1.1, 0.2, 0.3),
    ),
    "open chiral clock": (
        Clock(chain(7, periodic=False), 3, 1.1, 0.2, chirality=0.3),
        clock_chain(BETA, 7, 3, 1.1, 0.2, 0.3, periodic=False),
    ),
}


@pytest.mark.parametrize("name", RINGS)
def test_levels_of_chains_are_those_of_the_transfer_matrix(name: str) -> None:
    model, exact = RINGS[name]
    got = canonical(model.levels(), BETA)
    for quantity in ("log_partition_function", "internal_energy", "energy_variance", "entropy"):
        np.testing.assert_allclose(getattr(got, quantity), getattr(exact, quantity), atol=1e-10)


def test_the_chirality_of_a_ring_is_felt() -> None:
    """Control: the last bond of a ring taken the other way gives other levels."""
    _, exact = RINGS["chiral clock"]
    wrong = Clock(from_edges(7, chain(7).edges), 3, 1.1, 0.2, chirality=0.3)
    got = canonical(wrong.levels(), BETA).internal_energy
    assert np.abs(got - exact.internal_energy).max() > 0.1


def test_models_that_are_the_same_agree() -> None:
    rng, j, h = np.random.default_rng(2), np.linspace(-1, 2, 32), np.linspace(-0.5, 0.5, 16)
    lattice = square(4)
    ising = Ising(lattice, j, h)
    spins = ising.random_spins(rng, 50)
    states = ising.states_of(spins)
    potts = Potts(lattice, 2, 2 * j, 2 * h)
    np.testing.assert_allclose(potts.energy(states), ising.energy(spins) - j.sum() - h.sum())
    np.testing.assert_allclose(Clock(lattice, 2, j, h).energy(states), ising.energy(spins))
    for name, values in Potts(lattice, 2).observables(states).items():
        expected = ising.observables(spins)["magnetization"]
        np.testing.assert_allclose(values, np.abs(expected) if "length" in name else expected)

    clock, xy = Clock(lattice, 6, j, h), XY(lattice, j, h)
    states = clock.random_spins(rng, 50)
    angle = np.pi / 3 * states
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    np.testing.assert_allclose(clock.energy(states), xy.energy(vectors), atol=1e-12)
    assert clock.observables(states).keys() == xy.observables(vectors).keys()
    for name, values in clock.observables(states).items():
        np.testing.assert_allclose(values, xy.observables(vectors)[name], atol=1e-12)

    space = np.concatenate([np.zeros((50, 16, 1)), vectors[..., ::-1]], axis=-1)  # x → z, y → y
    heisenberg = Heisenberg(lattice, j, h)
    np.testing.assert_allclose(heisenberg.energy(space), xy.energy(vectors), atol=1e-12)
    for name, values in heisenberg.observables(space).items():
        np.testing.assert_allclose(values, xy.observables(vectors)[name], atol=1e-12)


def test_observables_by_hand() -> None:
    assert Ising(chain(4)).observables([1, 1, -1, 1]) == {
        "magnetization": 2.0,
        "staggered_magnetization": -2.0,
    }
    assert Ising(chain(3)).observables([1, 1, -1]) == {"magnetization": 1.0}
    # n₀ = 2, n₁ = 1, n₂ = 1 of q = 3: (3·2 − 4)/2 and √((3·6 − 16)/2)
    assert Potts(chain(4), 3).observables([0, 0, 1, 2]) == {
        "magnetization": 1.0,
        "magnetization_length": 1.0,
    }
    ends = Potts(chain(4), 3).observables([[0] * 4, [1] * 4])
    assert ends["magnetization"].tolist() == [4.0, -2.0]
    assert ends["magnetization_length"].tolist() == [4.0, 4.0]
    clock = Clock(chain(4), 4).observables([0, 2, 1, 1])
    assert clock == {
        "magnetization": 0.0,
        "magnetization_length": 2.0,
        "staggered_magnetization": 2.0,
        "staggered_length": 2.0,
    }
    up = Heisenberg(cubic(4)).observables(Heisenberg(cubic(4)).ordered_states(-1))
    assert up["staggered_magnetization"].tolist() == [64.0, -64.0]
    assert up["staggered_length"].tolist() == [64.0, 64.0]
    assert up["magnetization_length"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "model",
    [
        Ising(square(4), -0.5, 0.25),
        Ising(honeycomb(2), np.arange(12.0), np.arange(8.0)),
        Ising(from_edges(3, [(0, 2)], name="one bond")),
        Potts(triangular(3, periodic=False), 5, field=1.0),
        Clock(chain(5), 7, chirality=0.125),
        Clock(from_edges(4, [(1, 0), (2, 3), (3, 1)]), 3, chirality=0.3),
        XY(cubic(3), 2.0, np.arange(54.0).reshape(27, 2)),
        Heisenberg(king(3), field=np.linspace(0, 1, 9)),
        spin_glass(square(3), "gaussian", seed=5),
    ],
    ids=repr,
)
def test_a_description_gives_the_same_model_back(model: SpinModel) -> None:
    """By way of JSON, the arrays as lists, as a file may hold them; and to another process."""
    written = json.dumps(model.description(), default=np.ndarray.tolist)
    spins = model.random_spins(np.random.default_rng(7), 5)
    for again in (from_description(json.loads(written)), pickle.loads(pickle.dumps(model))):
        assert type(again) is type(model)
        assert repr(again) == repr(model)
        assert again.lattice.shape == model.lattice.shape
        np.testing.assert_array_equal(again.lattice.edges, model.lattice.edges)
        np.testing.assert_array_equal(again.bond_ends, model.bond_ends)
        np.testing.assert_array_equal(again.energy(spins), model.energy(spins))
        for array in (again.lattice.edges, again.couplings, again.fields):
            assert not array.flags.writeable


def test_what_is_sent_to_another_process_is_small() -> None:
    model = Potts(square(64), 3)
    assert model.couplings.nbytes + model.lattice.adjacency.nbytes > 100_000  # derived: left behind
    assert len(pickle.dumps(model)) < 1000


def test_random_spins_are_uniform_and_reproducible() -> None:
    """χ² over q states of each site, and the means of vector components, at 1e-5 each."""
    rng = np.random.default_rng(11)
    for model in (Ising(chain(4)), Potts(chain(4), 7), Clock(chain(4), 5)):
        states = model.states_of(model.random_spins(rng, 20_000))
        assert states.shape == (20_000, 4)
        assert states.dtype == np.int8
        q = model.n_states
        counts = np.stack([np.bincount(site, minlength=q) for site in states.T])
        expected = 20_000 / q
        assert ((counts - expected) ** 2 / expected).sum() < chi2.isf(1e-5, 4 * (q - 1))
    for model in (XY(chain(4)), Heisenberg(chain(4))):
        spins = model.random_spins(rng, 20_000)
        np.testing.assert_allclose(np.linalg.norm(spins, axis=-1), 1.0)
        d = model.components
        assert ((spins.mean(axis=0) ** 2).sum() * 20_000 * d) < chi2.isf(1e-5, 4 * d)
        again = [model.random_spins(np.random.default_rng(3), 2) for _ in range(2)]
        np.testing.assert_array_equal(*again)


def test_exact_levels_take_the_torus_only_where_it_is_one() -> None:
    for model in (spin_glass(square(4), seed=1), Ising(square(4), 0.5, np.linspace(-1, 1, 16))):
        got = exact_levels(model)
        np.testing.assert_array_equal(got.energies, model.levels().energies)
    torus, listed = exact_levels(Ising(square(4), 0.5)), Ising(square(4), 0.5).levels()
    np.testing.assert_allclose(torus.log_degeneracy, listed.log_degeneracy)
