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
from scipy.sparse import coo_array, csr_array, csr_matrix
from scipy.stats import chi2

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
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
    j1_j2,
    spin_glass,
)
from thermo.models.difference import DifferenceModel
from thermo.models.spin_model import SpinModel
from thermo.models.vector import VectorModel
from thermo.run.simulate import simulate

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


# Models that are not frustrated at one sign or at both, small enough to enumerate.
ORDERED = {
    "random ferromagnet": (Ising(triangular(3), np.linspace(0.5, 2, 27)), (1,)),
    "antiferromagnet in a field": (Ising(chain(6), -1.0, 0.3), (1, -1)),
    "Potts": (Potts(square(3, periodic=False), 3), (1, -1)),
    "three-colour Potts": (Potts(triangular(3), 3), (1, -1)),
    "Potts in a field": (Potts(chain(6), 3, 1.0, -0.2), (1,)),
    "clock": (Clock(chain(6), 4, 0.7), (1, -1)),
    "chiral clock": (Clock(chain(6), 3, chirality=0.2), (1,)),
    "king": (j1_j2(3, 1.0, 0.5), (1,)),
}


@pytest.mark.parametrize("name", ORDERED)
def test_ordered_states_and_bounds_are_the_ends_of_the_spectrum(name: str) -> None:
    model, signs = ORDERED[name]
    levels = model.levels()
    for sign in signs:
        states = model.ordered_states(sign)
        assert len(np.unique(states, axis=0)) == len(states) > 0
        end = levels.minimum if sign == 1 else levels.maximum
        np.testing.assert_allclose(model.energy(states), end, atol=1e-9)
        if model.field == 0.0:
            np.testing.assert_allclose(model.energy_bounds[sign == -1], end, atol=1e-9)


def test_how_many_ordered_states() -> None:
    assert len(Potts(triangular(3), 3).ordered_states(1)) == 3
    levels = Potts(triangular(3), 3).levels()  # 3! ways to colour it with three colours
    assert np.exp(levels.log_degeneracy[-1]).round(6) == 6
    assert len(Potts(triangular(3), 3).ordered_states(-1)) == 6
    assert len(Potts(square(4), 5).ordered_states(-1)) == 5 * 4
    assert len(Clock(triangular(3), 3).ordered_states(-1)) == 6  # the same model
    assert len(Clock(square(4), 6).ordered_states(-1)) == 6  # opposite hours
    assert len(Clock(square(4), 6, 1.0, 0.1).ordered_states(1)) == 1
    assert Ising(square(4), 0.0).ordered_states(1).shape == (4, 16)
    assert Ising(square(4), coupling=-1.0).ordered_states(1)[0, :2].tolist() == [1, -1]
    assert XY(square(4)).ordered_states(-1).shape == (2, 16, 2)


def test_bounds_of_vector_models_are_met_without_frustration() -> None:
    for model in (XY(honeycomb(2), 1.5), Heisenberg(cubic(4), -0.5), XY(king(4), 0.3, -0.1)):
        low, high = model.energy_bounds
        assert isclose(low, model.energy(model.ordered_states(1)).min(), rel_tol=1e-12)
        if model.lattice.is_bipartite:
            assert isclose(high, model.energy(model.ordered_states(-1)).max(), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("model", "sign"),
    [
        (Ising(triangular(3)), -1),
        (Ising(triangular(6), -1.0), 1),
        (spin_glass(square(4), seed=3), 1),
        (spin_glass(square(4), "gaussian", seed=3), -1),
        (Clock(triangular(3), 4), -1),
        (Clock(chain(6), 3, chirality=0.2), -1),
        (Potts(triangular(4), 3), -1),
        (Heisenberg(triangular(3)), -1),
        (XY(king(4)), -1),
        (Potts(triangular(5), 127), -1),  # five colours in 127 states: too many to look at
    ],
)
def test_frustrated_models_have_no_known_order(model: SpinModel, sign: int) -> None:
    with pytest.raises(InvalidInputError, match="frustrated") as refusal:
        model.ordered_states(sign)
    assert "\n" not in str(refusal.value)


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


def test_couplings_given_as_a_matrix() -> None:
    rng = np.random.default_rng(4)
    lattice = honeycomb(3)
    values = rng.normal(size=lattice.n_edges)
    a, b = lattice.edges.T
    above = coo_array((values, (a, b)), (18, 18))
    for matrix in (csr_array(above + above.T), csr_matrix(above + above.T)):
        np.testing.assert_array_equal(Ising(lattice, matrix).couplings, values)
    part = csr_array((values[:5], (a[:5], b[:5])), (18, 18))
    assert XY(lattice, part + part.T).couplings[5:].tolist() == [0.0] * (lattice.n_edges - 5)


def test_uniform_values_are_known_as_such() -> None:
    model = Ising(square(4), np.full(32, -2.0), np.full(16, 0.5))
    assert (model.coupling, model.field, model.magnitude) == (-2.0, 0.5, 2.0)
    assert model.has_uniform_coupling
    assert model.has_uniform_field
    glass = spin_glass(square(4), seed=0)
    assert glass.magnitude == 1.0
    assert set(glass.signs.tolist()) == {-1, 1}
    np.testing.assert_array_equal(glass.signs * glass.magnitude, glass.couplings)
    assert not glass.has_uniform_coupling
    assert spin_glass(square(4), "gaussian", seed=0).magnitude is None
    with pytest.raises(InvalidInputError, match=r"couplings .* differ"):
        _ = glass.coupling
    with pytest.raises(InvalidInputError, match=r"couplings .* differ"):
        glass.energy_of_totals(3, 4)
    with pytest.raises(InvalidInputError, match=r"fields .* differ"):
        _ = Ising(chain(3), field=[1.0, 2.0, 3.0]).field
    for model in (glass, Clock(chain(4), 3), Heisenberg(chain(4))):
        for array in (model.couplings, model.fields):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1.0


def test_exact_levels_take_the_torus_only_where_it_is_one() -> None:
    for model in (spin_glass(square(4), seed=1), Ising(square(4), 0.5, np.linspace(-1, 1, 16))):
        got = exact_levels(model)
        np.testing.assert_array_equal(got.energies, model.levels().energies)
    torus, listed = exact_levels(Ising(square(4), 0.5)), Ising(square(4), 0.5).levels()
    np.testing.assert_allclose(torus.log_degeneracy, listed.log_degeneracy)


def test_j1_j2_is_a_sum_over_rows_columns_and_diagonals() -> None:
    spins = Ising(square(5)).random_spins(np.random.default_rng(6), 1)[0].reshape(5, 5)
    near = sum((spins * np.roll(spins, 1, axis)).sum() for axis in (0, 1))
    far = sum((spins * np.roll(spins, (1, s), (0, 1))).sum() for s in (1, -1))
    assert isclose(j1_j2(5, 0.7, -0.4).energy(spins.ravel()), -0.7 * near + 0.4 * far)
    stripes = np.tile([1, -1], (4, 2)).ravel()
    model = j1_j2(4, 1.0, -1.0)
    assert model.energy(stripes) == model.levels().minimum == -2 * 16


def test_spin_glass_couplings_follow_their_law() -> None:
    """Mean, variance and fourth moment within 4.5 standard errors: 7e-6 each."""
    lattice = square(100)
    m = lattice.n_edges
    plus = (spin_glass(lattice, seed=8).couplings == 1.0).sum()
    assert abs(plus - m / 2) < 4.5 * np.sqrt(m / 4)
    gauss = spin_glass(lattice, "gaussian", seed=8).couplings
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (4, 3, 96)):
        assert abs((gauss**power).mean() - mean) < 4.5 * np.sqrt(variance / m)
    np.testing.assert_array_equal(gauss, spin_glass(lattice, "gaussian", seed=8).couplings)
    assert np.any(gauss != spin_glass(lattice, "gaussian", seed=9).couplings)


ring = chain(4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Potts(7, 3), "lattice = 7"),
        (lambda: Potts(ring, 1), "q = 1"),
        (lambda: Potts(ring, 2.0), "q = 2.0"),
        (lambda: Clock(ring, 128), "q = 128"),
        (lambda: Clock(ring, 3, chirality=np.nan), "chirality = nan"),
        (lambda: Ising(ring, coupling=[1.0] * 3), "4 finite numbers, one for each bond"),
        (lambda: Ising(ring, coupling=[1.0, 2.0, np.inf, 3.0]), "finite"),
        (lambda: Ising(ring, coupling="strong"), "coupling = 'strong'"),
        (lambda: Ising(ring, coupling=1j), "coupling"),
        (lambda: Ising(ring, field=[1.0] * 5), "4 finite numbers, one for each site"),
        (lambda: Ising(ring, field=np.ones((4, 2))), "field"),
        (lambda: Ising(ring, csr_array(np.ones((3, 3)) - np.eye(3))), r"shape \(3, 3\)"),
        (lambda: Ising(ring, csr_array(np.ones((4, 4)))), "site 0 to itself"),
        (lambda: Ising(ring, csr_array(np.ones((4, 4)) - np.eye(4))), "0 and 2, which are not"),
        (lambda: Ising(ring, csr_array(np.diag(np.ones(3), 1))), "not symmetric"),
        (lambda: Ising(ring, csr_array(np.ones((2, 3)))), r"\(n, n\)"),
        (lambda: Heisenberg(ring, field=np.ones((4, 2))), r"shape \(4, 2\)"),
        (lambda: XY(ring, field=np.full((4, 2), np.nan)), "finite"),
        (lambda: Potts(ring, 3).energy([0, 1, 2, 3]), "0 … 2"),
        (lambda: Potts(ring, 3).energy([0, 1, 2, 0.5]), "whole numbers"),
        (lambda: Potts(ring, 3).energy([0, 1, 2, np.nan]), "whole numbers"),
        (lambda: Potts(ring, 3).energy([0, 1, 2]), r"shape \(3,\)"),
        (lambda: Potts(ring, 3).energy("0120"), "whole numbers|shape"),
        (lambda: Potts(ring, 3).delta_energy([0, 1, 2, 0], 4, 1), "site 4"),
        (lambda: Potts(ring, 3).delta_energy([0, 1, 2, 0], 1, 3), "0 … 2"),
        (lambda: XY(ring).energy(np.ones((4, 2))), "unit vectors"),
        (lambda: XY(ring).energy(np.ones((4, 3))), r"shape \(4, 3\)"),
        (lambda: Heisenberg(ring).energy(np.full((3, 3), 3**-0.5)), r"\(\.\.\., 4, 3\)"),
        (lambda: XY(ring).delta_energy(XY(ring).ordered_states()[0], 0, [1.0, 1.0]), "unit"),
        (lambda: Potts(chain(14), 3).levels(), r"3\^14 states"),
        (lambda: Potts(ring, 3).ordered_states(2), "sign = 2"),
        (lambda: spin_glass(ring, "cauchy", seed=0), "law = 'cauchy'"),
        (lambda: spin_glass(ring, seed=-1), "seed = -1"),
        (lambda: spin_glass(4, seed=0), "lattice = 4"),
        (lambda: j1_j2(4, np.nan, 1.0), "j1 = nan"),
        (lambda: j1_j2(2, 1.0, 1.0), "king length = 2"),
        (lambda: from_description({"model": "os.system"}), "model = 'os.system'"),
        (lambda: from_description({"model": "Potts", "coupling": 1, "field": 0}), "no 'q'"),
        (lambda: from_description({"model": "Ising", "coupling": 1, "field": 0}), "'lattice'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make: Callable, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as refusal:
        make()
    assert "ccepted" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_vector_models_have_no_levels_to_list() -> None:
    assert not hasattr(XY(ring), "levels")
    assert isinstance(Heisenberg(ring), VectorModel)


def test_complex_numbers_ragged_edges_and_what_overflows_are_refused() -> None:
    def matrix(one: complex) -> csr_array:
        return csr_array(np.diag([one, 1.0, 1.0], 1) + np.diag([one, 1.0, 1.0], -1))

    path, xy = chain(4, periodic=False), XY(square(3))
    ising, potts = Ising(square(3)), Potts(square(3), 3)
    run = {"sweeps": 1, "burn_in": 0, "replicas": 2}
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: Ising(path, matrix(1j)), "elements of coupling .* real number"),
        (lambda: Ising(path, matrix(np.nan)), "coupling contains NaN"),
        (lambda: from_edges(3, [(0, 1), (1,)]), r"integers of shape \(M, 2\)"),  # type: ignore
        (lambda: ising.energy(np.ones(9) * 1j), "type complex128"),
        (lambda: ising.energy(np.ones(9, dtype=complex)), "type complex128"),
        (lambda: potts.energy(np.ones(9) * 1j), "type complex128"),
        (lambda: xy.energy(np.ones((9, 2)) * 1j), "real numbers"),
        (lambda: simulate(ising, 0.1, start=np.ones(9) * 1j, **run), "type complex128"),
        (lambda: simulate(xy, 0.1, start=np.ones((9, 2)) * 1j, **run), "real numbers"),
        (lambda: ising.delta_energy(np.ones(9), 1.5), r"site 1.5 .* an integer 0 … 8"),
    ]
    for model in (Ising, XY):
        for coupling in (1e308, -1e308, np.full(32, 1e308)):
            refused.append((lambda m=model, c=coupling: m(square(4), c), "squares of energies"))
    refused.append((lambda: Ising(square(4), field=1e308), "squares of energies"))
    for make, words in refused:
        with pytest.raises(InvalidInputError, match=words):
            make()
    assert np.isfinite(Ising(square(4), 1e140).energy(np.ones(16)))
