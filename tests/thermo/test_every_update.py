"""χ² of whole energy histograms for every update of every model that there is, none left out.

What there is comes from the registry: a new update, kind of batch or spin model fails here until it
has its histograms at β < 0, = 0 and > 0. Tests that look closer (many lattices, fields, real
couplings, transition by transition, wrong kernels) are in the file of each kind of batch.

Every test has one fixed seed, chosen beforehand, and makes at most 6 χ², each held to P_LIMIT.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p, energy_p

from thermo import models
from thermo.canonical import canonical
from thermo.lattice import chain, square
from thermo.levels import EnergyLevels
from thermo.models import XY, Clock, Heisenberg, Ising, Potts, spin_glass
from thermo.models.spin_model import SpinModel
from thermo.sampling import registry
from thermo.sampling.registry import BatchKind, accepted_updates, batch_kind
from thermo.sampling.updates import SPIN_UPDATES

SEED = 20261122
BETA = (-0.5, 0.0, 0.5)
CHAINS, DRAWS = 170, 40  # of each β

MODELS: dict[str, Any] = {
    "Ising": Ising(square(4)),
    "Ising, real couplings": spin_glass(chain(8, periodic=False), "gaussian", seed=1),
    "Potts": Potts(chain(6), 3, coupling=1.4),
    "clock": Clock(chain(6), 4),
    "XY": XY(chain(3, periodic=False), coupling=2.0),
    "Heisenberg": Heisenberg(chain(3, periodic=False), coupling=2.5),
}
LARGE_TORUS = Ising(square(256))  # too large for its levels: rows have a test of their own
# Sweeps after which these small systems have forgotten their energy.
APART = {
    "metropolis": 40,
    "heat_bath": 25,
    "kawasaki": 25,
    "rejection_free": 25,
    "over_relaxation": 15,
    "wolff": 40,
    "swendsen_wang": 15,
}
CASES = [
    (name, update, kind)
    for name, model in MODELS.items()
    for update in accepted_updates(model)
    for kind in dict.fromkeys(batch_kind(model, update, chains) for chains in (1, 64, 512))
]


def test_every_spin_model_has_its_histograms() -> None:
    every = {getattr(models, name) for name in models.__all__}
    every = {one for one in every if isinstance(one, type) and issubclass(one, SpinModel)}
    assert {type(model) for model in MODELS.values()} == every


def test_every_kind_of_batch_has_its_histograms() -> None:
    every = {kind for kind in vars(registry).values() if isinstance(kind, BatchKind)}
    here = {kind for _, _, kind in CASES}
    rows = {batch_kind(LARGE_TORUS, update, chains=1) for update in SPIN_UPDATES}
    assert here | rows == every
    (updates,) = import_module("test_kernels_rows").test_energy_histograms_are_boltzmanns.pytestmark
    assert set(updates.args[1]) == set(SPIN_UPDATES)


@cache
def sector_levels(name: str, counts: tuple[int, ...]) -> EnergyLevels:
    """Of all states with so many spins in each of the q states."""
    model = MODELS[name]
    n, q = model.lattice.n_sites, model.n_states
    states = np.arange(q**n)[:, None] // q ** np.arange(n) % q
    present = np.stack([(states == k).sum(axis=1) for k in range(q)], axis=1)
    states = states[(present == counts).all(axis=1)]
    return EnergyLevels(model.energy(model.spins_of(states))).merged()


@cache
def grid_levels(name: str) -> EnergyLevels:
    """Of an open chain of three: two angles that are independent, uniform in solid angle."""
    model, cells = MODELS[name], (np.arange(300) + 0.5) / 300
    along = np.cos(np.pi * cells) if model.components == 2 else 2 * cells - 1
    return EnergyLevels(np.ravel(-model.couplings[0] * (along[:, None] + along)))


def histogram_p(model: Any, energies: np.ndarray, levels: EnergyLevels, beta: float) -> float:
    """p-value against g(E) e^(−βE): level by level, or in 30 bins where energies are continuous."""
    if hasattr(model, "n_states"):
        return energy_p(energies, levels, beta)
    boltzmann = canonical(levels, beta).populations().probabilities
    edges = np.linspace(*model.energy_bounds, 31)
    expected, _ = np.histogram(levels.energies, edges, weights=boltzmann)
    return counts_p(np.histogram(energies, edges)[0], expected)


@pytest.mark.parametrize(
    ("name", "update", "kind"), CASES, ids=[f"{n}, {u}, {k.name}" for n, u, k in CASES]
)
def test_energy_histograms_are_boltzmanns_at_beta_of_both_signs(
    name: str, update: str, kind: BatchKind
) -> None:
    model = MODELS[name]
    batch = kind.make(model, update, np.repeat(BETA, CHAINS), np.random.SeedSequence(SEED))
    if hasattr(model, "components"):
        levels = grid_levels(name)
    elif update == "kawasaki":
        of_each = np.bincount(model.states_of(batch.spins[0]), minlength=model.n_states)
        levels = sector_levels(name, tuple(of_each.tolist()))
    else:
        levels = model.levels()
    batch.sweep(4 * APART[update])
    energies = batch.record(DRAWS, APART[update])["energy"].reshape(len(BETA), -1)
    for beta, sampled in zip(BETA, energies, strict=True):
        p = histogram_p(model, sampled, levels, beta)
        assert p > P_LIMIT, (beta, p)
        # Negative control: the same histogram belongs to no other β, nor to the other sign.
        for wrong in (-beta, 0.7 * beta) if beta else (0.2,):
            assert histogram_p(model, sampled, levels, wrong) < P_LIMIT, (beta, wrong)
