"""Chains against their closed forms and against enumeration, at every β of both signs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.exact.transfer_matrix import clock_chain, ising_chain, potts_chain, spin_chain
from thermo.lattice import chain
from thermo.levels import EnergyLevels
from thermo.models import Ising

BETA = np.array([-np.inf, -3000.0, -200.0, -5.0, -1.0, -0.3, -0.0, 1e-9, 0.4, 2.0, 500.0, np.inf])
FIELDS = (
    "log_partition_function",
    "internal_energy",
    "energy_variance",
    "entropy",
    "log_participation_ratio",
)


def enumerated(bond: np.ndarray, site: np.ndarray, sites: int, periodic: bool) -> EnergyLevels:
    states = np.array(list(itertools.product(range(len(site)), repeat=sites)))
    energy = site[states].sum(axis=1) + bond[states[:, :-1], states[:, 1:]].sum(axis=1)
    if periodic:
        energy = energy + bond[states[:, -1], states[:, 0]]
    return EnergyLevels(energy)


SPIN = np.array([1.0, -1.0])
CHAINS = {
    "ferromagnet in a field": (-np.outer(SPIN, SPIN), -0.25 * SPIN),
    "antiferromagnet": (np.outer(SPIN, SPIN), 0 * SPIN),
    "Potts": (-np.eye(3), np.zeros(3)),
    "one-way bonds": (
        np.array([[0.0, -1.5, 0.5], [0.25, 1.0, -2.0], [1.0, 0.0, 0.75]]),
        np.arange(3.0),
    ),
}


@pytest.mark.parametrize(
    ("sites", "periodic"),
    [(1, False), (2, False), (5, False), (6, False), (2, True), (5, True), (6, True)],
)
@pytest.mark.parametrize("name", CHAINS)
def test_enumeration(name: str, sites: int, periodic: bool) -> None:
    bond, site = CHAINS[name]
    solved = spin_chain(bond, BETA, sites, site_energies=site, periodic=periodic)
    summed = canonical(enumerated(bond, site, sites, periodic), BETA)
    for field in FIELDS:
        np.testing.assert_allclose(
            getattr(solved, field), getattr(summed, field), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("sites", [2, 7, 1000])
def test_ising_ring_closed_form(sites: int) -> None:
    beta, j, h = np.array([-0.8, -0.1, 0.3, 0.9]), 0.7, 0.4
    root = np.sqrt(np.exp(2 * beta * j) * np.sinh(beta * h) ** 2 + np.exp(-2 * beta * j))
    centre = np.exp(beta * j) * np.cosh(beta * h)
    plus, minus = centre + root, centre - root
    log_z = sites * np.log(plus) + np.log1p((minus / plus) ** sites)
    state = ising_chain(beta, sites, j, h)
    np.testing.assert_allclose(state.log_partition_function, log_z, rtol=1e-13)


def test_open_ising_chain_closed_form() -> None:
    beta = np.array([-2.0, 0.0, 0.6])
    state = ising_chain(beta, 50, periodic=False)
    np.testing.assert_allclose(
        state.log_partition_function, np.log(2) + 49 * np.log(2 * np.cosh(beta)), rtol=1e-14
    )
    np.testing.assert_allclose(state.internal_energy, -49 * np.tanh(beta), atol=1e-13)
    np.testing.assert_allclose(state.energy_variance, 49 / np.cosh(beta) ** 2, rtol=1e-13)


@pytest.mark.parametrize("q", [2, 3, 10])
def test_potts_closed_forms(q: int) -> None:
    beta, sites = np.array([-1.5, -0.2, 0.0, 0.5, 2.0]), 9
    weight = np.exp(beta)
    ring = (weight + q - 1) ** sites + (q - 1) * (weight - 1) ** sites
    np.testing.assert_allclose(
        potts_chain(beta, sites, q).log_partition_function, np.log(ring), rtol=1e-13
    )
    np.testing.assert_allclose(
        potts_chain(beta, sites, q, periodic=False).log_partition_function,
        np.log(q) + (sites - 1) * np.log(weight + q - 1),
        rtol=1e-13,
    )


def test_long_chains_lose_nothing() -> None:
    sites = 10**9
    k = np.array([-0.5, 1.0, 3.0, 30.0])
    state = ising_chain(k, sites)
    np.testing.assert_allclose(state.energy_variance[:3] / sites, np.cosh(k[:3]) ** -2.0)
    np.testing.assert_allclose(state.internal_energy / sites, -np.tanh(k))
    # so cold that a broken bond is rare even among 10⁹; on a ring there are two, of energy 4
    pair = 0.5 * sites**2 * np.exp(-120.0)
    assert state.energy_variance[3] == pytest.approx(16 * pair, rel=1e-8)
    assert state.entropy[3] == pytest.approx(np.log(2), rel=1e-12)


def test_ground_state_entropies() -> None:
    assert np.exp(ising_chain(-np.inf, 7).entropy) == pytest.approx(14)  # one broken bond, anywhere
    assert np.exp(potts_chain(-np.inf, 4, 3).entropy) == pytest.approx(2**4 + 2)
    assert potts_chain(-np.inf, 1001, 3).entropy / 1001 == pytest.approx(np.log(2))


def test_lattice_model_agrees() -> None:
    beta = np.array([-1.0, 0.0, 0.7])
    for periodic in (True, False):
        model = Ising(chain(6, periodic=periodic), coupling=-0.8, field=0.3)
        np.testing.assert_allclose(
            ising_chain(beta, 6, -0.8, 0.3, periodic=periodic).entropy,
            canonical(model.levels(), beta).entropy,
        )


def test_clock_chains_are_potts_and_ising_chains_for_few_states() -> None:
    two = clock_chain(BETA, 9, 2, 0.7, 0.3)
    three = clock_chain(BETA, 9, 3, 0.8)
    np.testing.assert_allclose(two.entropy, ising_chain(BETA, 9, 0.7, 0.3).entropy, atol=1e-12)
    # cos is 1 or −½: a Potts coupling of 3/2 and a constant
    potts = potts_chain(BETA, 9, 3, 1.2)
    np.testing.assert_allclose(three.internal_energy, potts.internal_energy + 0.4 * 9, atol=1e-11)


def test_a_whole_hour_of_chirality_is_seen_only_around_a_ring() -> None:
    still, turned = (
        [clock_chain(BETA, 8, 3, periodic=p, chirality=c).internal_energy for p in (True, False)]
        for c in (0.0, 1.0)
    )
    np.testing.assert_allclose(still[1], turned[1], atol=1e-12)
    assert np.abs(still[0] - turned[0]).max() > 0.1  # eight hours do not close; six would


def test_shape_follows_beta() -> None:
    assert ising_chain(0.3, 5).entropy.shape == ()
    assert ising_chain(np.zeros((2, 0, 3)), 5).entropy.shape == (2, 0, 3)


def test_bad_input() -> None:
    with pytest.raises(InvalidInputError, match="nan"):
        ising_chain(np.nan, 5)
    for sites in (1, 0, 2.5):
        with pytest.raises(InvalidInputError, match="sites"):
            ising_chain(0.1, sites)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="q = 1"):
        potts_chain(0.1, 5, 1)
    with pytest.raises(InvalidInputError, match="chirality"):
        clock_chain(0.1, 5, 3, chirality=np.nan)
    with pytest.raises(InvalidInputError, match="field"):
        ising_chain(0.1, 5, field=np.inf)
    with pytest.raises(InvalidInputError, match=r"\(q, q\)"):
        spin_chain([[0.0, 1.0]], 0.1, 5)
    with pytest.raises(InvalidInputError, match="finite"):
        spin_chain([[np.nan]], 0.1, 5)
