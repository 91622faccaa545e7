"""Warnings about runs that are not in equilibrium, and none about runs that are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom, hypergeom

from thermo.errors import EquilibrationWarning
from thermo.lattice import square
from thermo.models import Ising, Potts
from thermo.run.equilibration import FALSE_ALARMS, equilibration, transient_p_values
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering

SEED = 20261120


def stationary(betas: int, chains: int, draws: int, rho: float = 0.7) -> np.ndarray:
    """AR(1) chains that begin in their stationary distribution; τ = ½ (1 + ρ)/(1 − ρ)."""
    noise = np.random.default_rng(SEED).normal(size=(betas, chains, draws))
    noise[..., 0] /= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], noise, axis=-1)


RUNS = 4000


def too_many_alarms(series: np.ndarray) -> bool:
    """More p-values below 1 % and 0.1 % than RUNS right runs give once in 10⁵ times."""
    p = transient_p_values(series)
    return any(np.count_nonzero(p < rate) > binom.isf(1e-5, RUNS, rate) for rate in (1e-2, 1e-3))


@pytest.mark.parametrize("chains", [1, 2, 4, 32])
@pytest.mark.parametrize(
    "draw",
    [
        lambda shape: np.random.default_rng(SEED).normal(size=shape),
        lambda shape: stationary(*shape, rho=0.5),
        # Rare events, which are not normal: 0.2, 0.8 and 2 in a block of two draws.
        lambda shape: np.random.default_rng(SEED).poisson(0.1, shape).astype(float),
        lambda shape: np.random.default_rng(SEED).poisson(0.4, shape).astype(float),
        lambda shape: np.random.default_rng(SEED).poisson(1.0, shape).astype(float),
    ],
    ids=["normal", "correlated", "sparse", "rare", "events"],
)
def test_alarms_are_as_rare_as_stated(chains: int, draw: Any) -> None:
    """And not much rarer, where anything can be told: at 1 %, a third of that or more."""
    series = draw((RUNS, chains, 20))
    assert not too_many_alarms(series)
    if (series == 0.0).mean() < 0.5:
        assert np.mean(transient_p_values(series) < 0.01) > 0.003
    if chains > 2:  # negative control; one or two chains with rare events find nothing
        series[..., :2] += 0.5 * series.std()
        assert too_many_alarms(series)


def test_changes_are_counted_where_there_are_few() -> None:
    """Three chains of ten blocks; five of these changed, two of them first ones."""
    series = np.zeros((1, 3, 10))
    series[0, [0, 1, 1, 2, 2], [0, 0, 4, 3, 8]] = 1.0
    assert transient_p_values(series)[0] == pytest.approx(hypergeom.sf(1, 30, 5, 3))


def test_a_transient_in_the_first_tenth_is_found() -> None:
    series = stationary(3, 64, 400, rho=0.3)
    series[1, :, :40] += np.linspace(1.0, 0.0, 40)  # which shifts the mean by 0.05, 6 errors
    p = transient_p_values(series)
    assert p[1] < 1e-6
    assert p[[0, 2]].min() > 1e-4
    judged = equilibration(np.array([0.1, 0.2, 0.3]), {"energies": series})
    assert judged.verdict.tolist() == ["passed", "failed", "passed"]
    with pytest.warns(EquilibrationWarning, match=r"beginning at β = 0\.2 .*burn_in"):
        judged.warn()


def test_chains_that_never_move_pass_and_chains_that_move_alike_do_not() -> None:
    still = np.ones((1, 64, 10))
    together = np.where(np.arange(10) < 1, 5.0, 1.0) * still
    assert transient_p_values(still).tolist() == [1.0]
    assert transient_p_values(together)[0] < 1e-15


def test_few_chains_that_settled_in_the_beginning_are_not_judged() -> None:
    """Two chains of ten blocks change in their first ones only in 1 of 190 cases, by chance."""
    series = np.ones((2, 2, 100))
    series[1, :, :7] = 5.0
    judged = equilibration(np.array([0.1, 0.2]), {"energies": series})
    assert judged.verdict.tolist() == ["passed", "not judged"]
    with pytest.warns(EquilibrationWarning, match=r"not judged at β = 0\.2: .* 2 chains") as caught:
        judged.warn()
    assert len(caught) == 1
    series[1, 1, 50] = 5.0  # chains that go on changing are
    assert equilibration(judged.beta, {"energies": series}).verdict.tolist() == ["passed"] * 2


def test_too_few_draws_are_not_judged_and_that_is_said_once() -> None:
    """Not of each quantity: in a field there are two."""
    short: dict[str, Any] = {"burn_in": 0, "replicas": 8, "seed": SEED}
    model = Ising(square(4), field=0.2)
    with pytest.warns(EquilibrationWarning) as caught:
        run = simulate(model, [0.1, -0.1], 3, **short)
    assert [str(one.message) for one in caught] == [
        "equilibration was not judged: draws per chain: 3, needed: at least 4. Give more sweeps, "
        "or measure more often."
    ]
    assert caught[0].filename == __file__
    assert run.equilibration.verdict.tolist() == ["not judged", "not judged"]
    assert np.isnan(
        [run.equilibration.rhat["energies"], run.equilibration.transient["energies"]]
    ).all()
    with pytest.warns(EquilibrationWarning, match="draws per chain: 2"):  # as many as are measured
        simulate(model, [0.1], 40, measure_every=20, **short)
    with pytest.warns(EquilibrationWarning, match="draws per chain: 5, needed: at least 6"):
        simulate(model, [0.1], 5, **short | {"replicas": 2})  # of few chains more draws
    with pytest.warns(EquilibrationWarning, match="draws per chain: 3"):
        parallel_tempering(model, [0.1, 0.2], 3, **short)


def test_four_draws_are_judged() -> None:
    steady = stationary(3, 64, 4, rho=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judged = equilibration(np.array([0.1, 0.2, 0.3]), {"energies": steady})
    moving = equilibration(np.array([0.1, 0.2, 0.3]), {"energies": steady + 9 * np.arange(4)})
    assert "not judged" not in judged.verdict
    assert moving.verdict.tolist() == ["failed"] * 3


def test_the_verdict_is_the_worst_of_all_quantities() -> None:
    steady = stationary(2, 64, 400, rho=0.3)
    apart = steady + [[[0.0]], [[1.0]]] * np.linspace(-3, 3, 64)[:, None]
    judged = equilibration(np.array([0.1, 0.2]), {"energies": steady, "magnetisations": apart})
    assert judged.verdict.tolist() == ["passed", "failed"]
    with pytest.warns(EquilibrationWarning, match=r"^the magnetisations .* β = 0\.2 \(") as caught:
        judged.warn()
    assert len(caught) == 1


@pytest.mark.parametrize("model", [Ising(square(8)), Potts(square(8), 3)])
def test_an_ordered_start_in_the_disordered_phase_without_burn_in_is_reported(model: Ising) -> None:
    beta = 0.36 if isinstance(model, Ising) else 0.8
    with pytest.warns(EquilibrationWarning, match="beginning"):
        simulate(model, [beta], 500, burn_in=0, replicas=128, start="ordered")


def test_few_replicas_find_a_transient_too() -> None:
    """200 sweeps from order: so are 80 % of pairs of replicas and 99 % of fours, of 1280 each.

    Less than 38 of 64 and 28 of 32 are found in 1 of 10⁴. In equilibrium two alarms of all would
    be 1 of 10⁴.
    """

    def alarms(together: int, burn_in: int) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EquilibrationWarning)
            run = simulate(
                Ising(square(64)), [0.3], 200, burn_in=burn_in, replicas=128, start="ordered"
            )
        groups = run.energy_series.reshape(-1, together, 200)
        return int(np.count_nonzero(transient_p_values(groups) < FALSE_ALARMS))

    assert alarms(2, burn_in=0) >= 38
    assert alarms(4, burn_in=0) >= 28
    assert alarms(2, burn_in=50) + alarms(4, burn_in=50) < 2  # negative control


def test_weakly_coupled_chains_need_no_warning() -> None:
    """60 β of both signs, in equilibrium: one of 10⁴ right runs warns."""
    run = simulate(
        Ising(square(8)), np.linspace(-0.3, 0.3, 60), 300, burn_in=100, replicas=32, seed=SEED
    )
    assert set(run.equilibration.verdict) == {"passed"}
    assert list(run.equilibration.rhat) == ["energies"]
