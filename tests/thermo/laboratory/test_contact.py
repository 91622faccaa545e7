"""Blocks in contact against lists of all their states.

Seeds were chosen beforehand; each χ² is held to P_LIMIT.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p, level_counts
from mistaken_kernel import mistaken
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thermo.canonical import canonical
from thermo.errors import EnergyOutOfRangeError, InvalidInputError
from thermo.kernels import lab_contact
from thermo.laboratory import contact
from thermo.laboratory.contact import Contact, block, blocks_that_can_exchange, canonical_spins
from thermo.laboratory.shared_energy import joined_levels, shared_energy
from thermo.lattice import chain, square
from thermo.microcanonical import microcanonical
from thermo.models.ising import Ising
from thermo.models.two_level import TwoLevel
from thermo.models.xy import XY

SEED = 20261122
CASES = {
    "torus and free spins": (Ising(square(3)), TwoLevel(4, gap=4.0)),
    "two rings": (Ising(chain(6)), Ising(chain(7), coupling=-1.0)),
    "ring in a field, of another coupling": (
        Ising(chain(6), coupling=0.5, field=1.0),
        Ising(chain(5), coupling=1.0),
    ),
}


def made(systems, spins: np.ndarray, lengths=(1,), touching=None) -> Contact:
    blocks = blocks_that_can_exchange(systems)
    everything = np.ones((1, len(blocks), len(blocks)), dtype=bool)
    return Contact(
        models=tuple(one.model for one in blocks),
        spins=spins,
        rate=0.5,
        lengths=lengths,
        touching=everything if touching is None else touching,
    )


def all_spins(sites: int) -> np.ndarray:
    return 1 - 2 * ((np.arange(2**sites)[:, None] >> np.arange(sites)) & 1).astype(np.int8)


def shell(systems, part: float) -> tuple[np.ndarray, float]:
    """Numbers of all states with one total energy, at that part of the spectrum."""
    sizes = [block(system).sites for system in systems]
    whole = made(systems, np.ones((1, sum(sizes)), dtype=np.int8)).whole
    energies = whole.energy(all_spins(sum(sizes)))
    wanted = np.quantile(energies, part)
    total = float(energies[np.abs(energies - wanted).argmin()])
    return np.flatnonzero(np.abs(energies - total) < 1e-9), total


def after(systems, spins: np.ndarray, sweeps: int) -> np.ndarray:
    """Numbers of the states in which the replicas are after so many sweeps."""
    moving = made(systems, spins, lengths=(sweeps,))
    ends = []
    for piece in range(moving.pieces):
        trajectory = moving.begin(piece, np.random.SeedSequence(SEED, spawn_key=(piece,)))
        trajectory.advance(sweeps)
        ends.append(trajectory.state()["states"])
    states = np.concatenate(ends)
    return states.astype(np.int64) @ (1 << np.arange(states.shape[1]))


def uniform_p(systems, part: float, begin: str, sweeps: int) -> float:
    """p-value, by χ², of the states of 8000 independent replicas being uniform on the shell."""
    states, _ = shell(systems, part)
    spins = all_spins(sum(block(system).sites for system in systems))[states]
    chosen = np.random.default_rng(SEED).integers(len(states), size=8000)
    first = (
        spins[chosen] if begin == "uniform" else np.broadcast_to(spins[0], (8000, len(spins[0])))
    )
    ends = after(systems, first, sweeps)
    assert np.isin(ends, states).all(), "the total energy has changed"
    return counts_p(
        np.bincount(np.searchsorted(states, ends), minlength=len(states)), [1.0] * len(states)
    )


def parts_of(states: np.ndarray, systems) -> np.ndarray:
    """Which states flips of one, two or three spins that cost nothing in all join; (states,)."""
    sites = sum(block(system).sites for system in systems)
    masks = [sum(1 << i for i in some) for k in (1, 2, 3) for some in combinations(range(sites), k)]
    rows, columns = [], []
    for mask in masks:
        to = states ^ mask
        inside = np.flatnonzero(np.isin(to, states))
        rows.append(inside)
        columns.append(np.searchsorted(states, to[inside]))
    pairs = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(pairs[0])), pairs), shape=(len(states), len(states)))
    return connected_components(graph)[1]


@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("systems", CASES.values(), ids=CASES.keys())
def test_every_state_of_the_shell_is_reached(systems, part: float) -> None:
    states, _ = shell(systems, part)
    assert parts_of(states, systems).max() == 0


def test_at_the_very_bottom_a_lattice_does_not_turn_over() -> None:
    """The shell has two halves there, each the other with the lattice turned over."""
    systems = CASES["torus and free spins"]
    states, _ = shell(systems, 0.002)
    half = parts_of(states, systems)
    assert half.max() == 1
    turned = np.searchsorted(states, states ^ 0b111111111)
    assert (half[turned] == 1 - half).all()


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("systems", CASES.values(), ids=CASES.keys())
def test_all_states_of_the_shell_become_and_stay_equally_likely(systems, part: float) -> None:
    assert uniform_p(systems, part, "uniform", 5) > P_LIMIT
    assert uniform_p(systems, part, "one state", 100) > P_LIMIT


def test_a_move_without_its_reverse_fails_the_same_test(monkeypatch) -> None:
    wrong = mistaken(lab_contact, ("if total == 0:", "if total == 0 and (flips > 1 or old == 0):"))
    monkeypatch.setattr(contact, "pass_energy", wrong.pass_energy)
    assert uniform_p(CASES["two rings"], 0.5, "uniform", 5) < P_LIMIT


def test_neighbours_that_do_not_know_of_each_other_change_the_energy(monkeypatch) -> None:
    wrong = mistaken(
        lab_contact,
        ("                spins[sites[k]] = _U1 - old\n", ""),
        ("if total == 0:\n", "if total == 0:\n                    spins[sites[k]] ^= _U1\n"),
        ("spins[sites[k]] = _U1 - np.uint64(spins[sites[k]])", "pass"),
    )
    monkeypatch.setattr(contact, "pass_energy", wrong.pass_energy)
    with pytest.raises(AssertionError, match="total energy"):
        uniform_p(CASES["two rings"], 0.5, "uniform", 5)


@pytest.mark.parametrize("part", [0.1, 0.9])
@pytest.mark.parametrize("systems", CASES.values(), ids=CASES.keys())
def test_blocks_share_their_energy_as_their_numbers_of_states_say(systems, part: float) -> None:
    states, total = shell(systems, part)
    first, second = (block(system) for system in systems)
    spins = all_spins(first.sites + second.sites)[states]
    listed = level_counts(first.model.energy(spins[:, : first.sites]), first.levels.energies)
    p = shared_energy(first.levels, second.levels, total)
    np.testing.assert_allclose(p, listed / listed.sum(), atol=1e-12)
    spacing = made(systems, spins[:1]).spacing
    joined = joined_levels(first.levels, second.levels, spacing)
    ways = np.exp(joined.log_degeneracy[np.abs(joined.energies - total).argmin()])
    assert ways == pytest.approx(len(states), rel=1e-9)


def test_the_mean_slopes_of_both_are_the_same() -> None:
    """⟨dS₁/dE₁⟩ = ⟨dS₂/dE₂⟩, a sum by parts, of blocks large enough for central differences."""
    first, second = block(Ising(square(16))), block(TwoLevel(100, gap=4.0))
    one, two = microcanonical(first.levels), microcanonical(second.levels)
    for total in (-400.0, -200.0, 0.0, 200.0, 400.0):
        slope_1 = shared_energy(first.levels, second.levels, total) @ one.beta_boltzmann
        slope_2 = shared_energy(second.levels, first.levels, total) @ two.beta_boltzmann
        assert slope_1 == pytest.approx(slope_2, abs=1e-3)
        assert total * slope_1 <= 0.0


def test_energies_are_those_of_the_spins_and_their_sum_never_changes() -> None:
    systems = (Ising(square(4)), TwoLevel(9, gap=4.0), Ising(square(6)))
    blocks = blocks_that_can_exchange(systems)
    spins = made(systems, np.ones((1, 61), dtype=np.int8)).whole.random_spins(
        np.random.default_rng(SEED), 20
    )
    apart = np.array([[[1, 1, 0], [1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1], [0, 1, 1]]], bool)
    moving = made(systems, spins, lengths=(30, 30), touching=apart)
    trajectory = moving.begin(0, np.random.SeedSequence(SEED))
    energy = trajectory.advance(60)["energy"]
    now = moving.whole.spins_of(trajectory.state()["states"])
    parts = np.split(now, [16, 25], axis=1)
    for k, (one, own) in enumerate(zip(blocks, parts, strict=True)):
        assert np.array_equal(energy[:, -1, k], one.model.energy(own))
    assert np.ptp(energy.sum(axis=2), axis=1).max() == 0.0
    assert np.ptp(energy[:, :30, 2], axis=1).max() == 0.0  # what touches nothing keeps its energy
    assert np.ptp(energy[:, 30:, 0], axis=1).max() == 0.0
    assert np.ptp(energy[:, :30, 1], axis=1).min() > 0.0


@pytest.mark.parametrize("beta", [-np.inf, -0.4, 0.0, 0.3, np.inf])
@pytest.mark.parametrize("system", [TwoLevel(2000, gap=2.0), Ising(chain(12))])
def test_blocks_begin_at_their_beta(system, beta: float) -> None:
    """|z| < 5: a false alarm in 2·10⁶."""
    one = block(system)
    energy = one.model.energy(canonical_spins(one, beta, 400, np.random.SeedSequence(SEED), 1))
    exact = canonical(one.levels, beta)
    if np.isinf(beta):
        assert (energy == float(exact.internal_energy)).all()
    else:
        error = np.sqrt(float(exact.energy_variance) / 400)
        assert abs(energy.mean() - float(exact.internal_energy)) < 5 * error


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_the_compiled_kernel_equals_its_python_bit_for_bit(monkeypatch) -> None:
    systems = CASES["ring in a field, of another coupling"]
    spins = all_spins(11)[[5, 600, 2000]]
    compiled = made(systems, spins, (20,)).begin(0, np.random.SeedSequence(SEED))
    energy = compiled.advance(20)["energy"]
    monkeypatch.setattr(contact, "pass_energy", lab_contact.pass_energy.py_func)
    plain = made(systems, spins, (20,)).begin(0, np.random.SeedSequence(SEED))
    assert np.array_equal(plain.advance(20)["energy"], energy)
    for name, values in compiled.state().items():
        assert np.array_equal(plain.state()[name], values), name


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ((Ising(square(4)), XY(square(4))), r"blocks\[1\] = .*accepted: thermo.Ising"),
        ((Ising(square(4)), 3), r"blocks\[1\] = 3"),
        ((Ising(square(4)), TwoLevel(4, gap=2.0)), "cost 4, 8 and 2 were given"),
        ((Ising(square(4)), Ising(square(4), 0.0)), "cost 4, 8 and nothing"),
        ((Ising(square(4)), Ising(square(6), field=0.5)), "no exact density of states"),
    ],
)
def test_blocks_that_cannot_exchange_are_refused(systems, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        blocks_that_can_exchange(systems)


def test_energies_without_a_spacing_cannot_be_counted() -> None:
    uneven = Ising(chain(4), coupling=[1.0, 2.0**0.5, 1.0, 2.0**0.5])
    with pytest.raises(InvalidInputError, match="no common spacing"):
        made((uneven, uneven), np.ones((1, 8), dtype=np.int8))


def test_a_total_energy_that_there_is_not() -> None:
    levels = TwoLevel(3).levels()
    with pytest.raises(EnergyOutOfRangeError, match=r"0\.5 was given"):
        shared_energy(levels, levels, 0.5)
