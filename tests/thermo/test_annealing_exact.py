"""Whole energy histograms of population annealing against enumeration, and wrong resampling.

Members of a population are no independent draws: some have the same ancestors. Populations are
independent; so what many of them say of each energy is compared with its probability by Hotelling's
T², which takes all correlations from the populations themselves. A population r enters with the
weight Ẑ_r(β): averages of Ẑ_r times a fraction of members have no bias at all, however small the
populations are (Machta 2010).

Every test has one fixed seed, chosen beforehand, and makes at most 7 comparisons, each held to
P_LIMIT; the negative controls must fail the very same check.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, cell_starts, level_counts, mean_vector_p

from thermo.canonical import canonical
from thermo.errors import EquilibrationWarning
from thermo.lattice import chain, honeycomb, square, triangular
from thermo.models import Ising, Potts, spin_glass
from thermo.run.annealing import population_annealing
from thermo.run.annealing_run import AnnealingRun
from thermo.sampling import population
from thermo.sampling.population import systematic_parents

SEED = 20261122
BETA = 0.15 * np.arange(-3, 4)
RARE = 0.05  # energies share a cell until this is its probability: at most 20 cells
CASES = {
    "Ising, ordered at both ends": (Ising(square(4)), "metropolis"),
    "Ising, frustrated at β < 0": (Ising(triangular(3), coupling=0.6), "heat_bath"),
    "Ising glass": (spin_glass(square(3), "gaussian", seed=1), "heat_bath"),
    "Potts in a field": (Potts(chain(6), 3, coupling=1.5, field=0.4), "metropolis"),
    "Ising by clusters": (Ising(honeycomb(2)), "wolff"),
}


def annealed(model: Any, beta: np.ndarray = BETA, **arguments: Any) -> AnnealingRun:
    """One sweep at each β: what resampling does wrong is not mended there."""
    settings = {"population": 512, "replicas": 40, "sweeps": 1, "seed": SEED} | arguments
    with warnings.catch_warnings(action="ignore", category=EquilibrationWarning):  # few families
        return population_annealing(model, beta, **settings)


def histogram_p(run: AnnealingRun, beta: float) -> float:
    """p-value of the energies of all populations at one β against g(E) e^(−βE)."""
    step = int(np.flatnonzero(run.beta == beta)[0])
    levels = run.model.levels().merged()
    p = canonical(levels, beta).populations().probabilities
    starts = cell_starts(p, RARE)
    seen = np.array([level_counts(e, levels.energies) for e in run.series["energy"][step]])
    excess = np.add.reduceat(seen / seen[0].sum() - p, starts, axis=1)[
        :, 1:
    ]  # all cells sum up to 0
    weight = np.exp(run.log_z[step] - run.log_z[step].max())
    return mean_vector_p(weight[:, None] * excess)


@pytest.mark.parametrize(("model", "update"), CASES.values(), ids=CASES.keys())
def test_energy_histograms_are_boltzmanns_at_every_beta(model: Any, update: str) -> None:
    run = annealed(model, update=update)
    assert {-1, 0, 1} == set(np.sign(run.beta))
    for beta in run.beta:
        p = histogram_p(run, beta)
        assert p > P_LIMIT, (beta, p)


# ---- wrong resampling ------------------------------------------------------------------------


def none_at_all(weights: np.ndarray, uniform: float) -> np.ndarray:
    return np.arange(len(weights))


def twice_the_step(weights: np.ndarray, uniform: float) -> np.ndarray:
    """From β to β′ by e^(−2(β′ − β)E)."""
    return systematic_parents(weights**2, uniform)


def the_other_way(weights: np.ndarray, uniform: float) -> np.ndarray:
    return systematic_parents(1.0 / weights, uniform)


def those_above_the_mean(weights: np.ndarray, uniform: float) -> np.ndarray:
    """Each as often as the others: the size of the weights is forgotten."""
    return systematic_parents(weights > weights.mean(), uniform)


def a_step_that_is_a_fifth_too_long(weights: np.ndarray, uniform: float) -> np.ndarray:
    return systematic_parents(weights**1.2, uniform)


WRONG = [
    none_at_all,
    twice_the_step,
    the_other_way,
    those_above_the_mean,
    a_step_that_is_a_fifth_too_long,
]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("sign", [-1, 1])
def test_wrong_resampling_fails_the_same_histogram_test(
    wrong: Callable[[np.ndarray, float], np.ndarray], sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(population, "systematic_parents", wrong)
    beta = sign * BETA[BETA >= 0]
    assert min(histogram_p(annealed(Ising(square(4)), beta=beta), b) for b in beta) < P_LIMIT


def test_populations_of_equal_weight_fail_the_same_histogram_test() -> None:
    """Plain averages over populations of 16 are biased; with their weights they are right."""
    run = annealed(Ising(square(4)), BETA[3:], population=16, replicas=400)
    assert histogram_p(run, BETA[-1]) > P_LIMIT
    run.log_z[:] = 0.0
    assert histogram_p(run, BETA[-1]) < P_LIMIT
