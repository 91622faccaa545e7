"""The check of ensembles: right samplers pass at β of both signs, wrong ones do not.

Seeds were chosen beforehand. Deviations are held to what Student's t of the chains exceeds with a
probability of 10⁻⁵ in any of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from goodness_of_fit import student_limit, student_scatter_p

from thermo import simulate
from thermo.cli.lab import lab
from thermo.errors import InvalidInputError
from thermo.exact.density_of_states import ising_torus
from thermo.laboratory import compare_ensembles, ensemble_check
from thermo.laboratory.ensemble_check import EnsembleCheck
from thermo.lattice import chain, square
from thermo.models.ising import Ising
from thermo.models.potts import Potts
from thermo.models.xy import XY

SEED = 20261125
CHAINS = 32
PAIRS = [(-0.3, -0.2), (-0.1, 0.1), (0.3, 0.2), (0.0, 0.1)]


def passes(found: EnsembleCheck) -> bool:
    limit = student_limit(found.chains, 2)
    return all(abs(finding.deviation) < limit for finding in found.findings)


def spins(beta: tuple[float, float], seed: int, n: int = 100, draws: int = 400) -> np.ndarray:
    """Energies of n independent spins ±1 at two β, exactly; shape (2, CHAINS, draws)."""
    up = 1.0 / (1.0 + np.exp(2.0 * np.array(beta)))[:, None, None]
    return 2.0 * np.random.default_rng(seed).binomial(n, up, (2, CHAINS, draws)) - n


@pytest.mark.parametrize("beta", PAIRS)
@pytest.mark.parametrize(
    ("model", "update"),
    [
        (Ising(square(8)), "metropolis"),
        (Ising(square(8)), "swendsen_wang"),
        (Potts(square(6), 3), "heat_bath"),
    ],
    ids=["Metropolis", "Swendsen-Wang", "Potts"],
)
def test_the_engine_passes_at_both_signs(
    model: Any, update: str, beta: tuple[float, float]
) -> None:
    found = ensemble_check(
        model, beta, update=update, sweeps=400, burn_in=100, replicas=CHAINS, seed=SEED, threads=1
    )
    assert found.findings[0].expected == beta[0] - beta[1]
    assert passes(found)


def test_energies_without_levels_pass_too() -> None:
    found = ensemble_check(
        XY(square(6)), (-0.2, 0.2), sweeps=300, burn_in=100, replicas=CHAINS, seed=SEED, threads=1
    )
    assert passes(found)


def test_the_line_is_that_of_the_exact_distributions() -> None:
    """Counts in proportion to g(E) e^(−βE): the slope to all digits, and no bend."""
    levels = ising_torus(4)
    energies = []
    for b in (-0.1, 0.1):
        p = np.exp(levels.log_degeneracy - b * levels.energies)
        counts = np.rint(p / p.sum() * 1e5).astype(int)
        counts[p.argmax()] += 100_000 - counts.sum()
        energies.append(np.tile(np.repeat(levels.energies, counts), (8, 1)))
    found = compare_ensembles(energies[0], energies[1], (-0.1, 0.1))
    assert found.slope == pytest.approx(-0.2, abs=2e-5)
    assert found.bend == pytest.approx(0.0, abs=1e-4)
    assert found.slope_error == pytest.approx(0.0, abs=1e-12)


def test_errors_are_what_they_say() -> None:
    """Of 60 checks of exact draws; p below 10⁻⁴ in one such test of ten thousand."""
    off = []
    for run in range(60):
        found = compare_ensembles(*spins((-0.05, 0.05), SEED + run, draws=100), (-0.05, 0.05))
        off.append([finding.deviation for finding in found.findings])
    assert student_scatter_p(off, CHAINS) > 1e-4


def test_a_sampler_at_another_beta_than_it_says_fails() -> None:
    energies = spins((-0.15, 0.1), SEED)
    assert passes(compare_ensembles(*energies, (-0.15, 0.1)))
    assert not passes(compare_ensembles(*energies, (-0.1, 0.1)))


def test_a_thermostat_that_keeps_the_mean_but_not_the_fluctuations_fails() -> None:
    energies = spins((-0.1, 0.1), SEED)
    mean = energies.mean(axis=(1, 2), keepdims=True)
    pulled = compare_ensembles(*(mean + 0.9 * (energies - mean)), (-0.1, 0.1))
    assert not passes(pulled)
    assert pulled.slope == pytest.approx(-0.2 / 0.81, rel=0.05)


def metropolis(beta: float, seed: int, *, count_refusals: bool) -> np.ndarray:
    """Energies of a ring of 8 spins in a field, by the plainest of algorithms, (CHAINS, draws)."""
    model, random = Ising(chain(8), field=1.0), np.random.default_rng(seed)
    states = model.random_spins(random, CHAINS).astype(int)
    seen = []
    for attempt in range(4000):
        site = random.integers(8)
        cost = model.delta_energy(states, site)
        accepted = random.random(CHAINS) < np.exp(np.minimum(-beta * cost, 0.0))
        states[accepted, site] *= -1
        if attempt >= 200:
            energy = model.energy(states)
            seen.append(energy if count_refusals else np.where(accepted, energy, np.nan))
    series = np.array(seen).T
    if count_refusals:
        return series[:, ::8]
    kept = [row[np.isfinite(row)] for row in series]
    shortest = min(map(len, kept))
    return np.stack([row[:shortest] for row in kept])


def test_a_sampler_that_does_not_count_refused_moves_fails() -> None:
    """It sees each state in proportion to how easily it is left."""
    beta = (0.2, 0.3)
    runs = [metropolis(b, SEED + k, count_refusals=True) for k, b in enumerate(beta)]
    assert passes(compare_ensembles(*runs, beta))
    runs = [metropolis(b, SEED + k, count_refusals=False) for k, b in enumerate(beta)]
    draws = min(run.shape[1] for run in runs)
    assert not passes(compare_ensembles(*(run[:, :draws] for run in runs), beta))


def test_it_is_the_run_of_the_engine(tmp_path: Path) -> None:
    options: dict[str, Any] = {"burn_in": 50, "replicas": 8, "seed": SEED}
    model, beta = Ising(square(4)), (-0.2, 0.2)
    run = simulate(model, beta, 200, **options)
    found = ensemble_check(model, beta, sweeps=200, checkpoint=tmp_path / "c", **options)
    again = ensemble_check(model, beta, sweeps=200, checkpoint=tmp_path / "c", **options)
    energies = run.energy_series
    expected = compare_ensembles(energies[0], energies[1], beta).to_dict()
    assert found.to_dict() == again.to_dict() == expected


@pytest.mark.parametrize(
    ("beta", "message"),
    [
        ((0.1, 0.1), "two different finite numbers"),
        ((0.1,), "two different finite numbers"),
        ((0.1, np.inf), "two different finite numbers"),
        ((0.1, 0.2, 0.3), "two different finite numbers"),
        ((-0.3, 0.3), "hardly overlap; accepted: .*closer to each other, such as"),
    ],
)
def test_bad_beta(beta: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ensemble_check(Ising(square(16)), beta, sweeps=200, burn_in=100, replicas=8, threads=1)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (np.zeros((8, 9)), r"shapes \(8, 9\) and \(8, 10\)"),
        (np.zeros((8, 10)), "hardly overlap"),
        (np.full((8, 10), np.nan), "nan or infinity"),
        ("cold", "first"),
    ],
)
def test_bad_energies(first: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        compare_ensembles(first, np.zeros((8, 10)), (0.0, 0.1))
    few = np.zeros((4, 10))
    with pytest.raises(InvalidInputError, match="at least 8 chains"):
        compare_ensembles(few, few, (0.0, 0.1))


def test_too_few_replicas() -> None:
    with pytest.raises(InvalidInputError, match="at least 8, for errors are jackknifed"):
        ensemble_check(replicas=7)


def test_the_command_prints_json_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "line.pdf"
    options = ["--size", "8", "--sweeps", "300", "--beta=-0.1,0.1", "--out", str(picture)]
    lab(["ensemble-check", *options, "--json"], standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "spinlogit.lab.ensemble-check/1"
    assert document["findings"][0]["expected"] == -0.2
    assert picture.stat().st_size > 5_000
    for wrong, message in (
        (["--beta", "0.1"], "two different"),
        (["--size", "2"], "--size = 2"),
        (["--update", "hope"], "update = 'hope'"),
        (options, "--overwrite"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            lab(["ensemble-check", *wrong], standalone_mode=False)
