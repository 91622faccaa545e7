"""Population annealing against exact ln Z, averages and densities of states, at β of both signs.

Every test has one fixed seed, chosen beforehand. Errors come from 32 populations: Student's t with
31 degrees of freedom is beyond 7 with probability 7·10⁻⁸, so that a test of 100 numbers raises a
false alarm once in 10⁵. Negative controls must exceed the same limit.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import iv

from thermo.canonical import canonical
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError
from thermo.lattice import chain, square, triangular
from thermo.models import XY, Ising
from thermo.run.annealing import population_annealing
from thermo.run.annealing_run import AnnealingRun
from thermo.run.checkpoint import Checkpoint
from thermo.run.chunk import Chunk
from thermo.sampling import population
from thermo.sampling.population import systematic_parents

SEED = 20261120
Z_LIMIT = 7.0
BOTH_SIGNS = np.linspace(-0.8, 0.8, 17)
MODELS = {
    "square, ordered at both ends": Ising(square(4)),
    "triangular, frustrated at β < 0": Ising(triangular(3), coupling=0.9),
    "in a field": Ising(square(3), field=0.3),
}


def annealed(model: Any, **arguments: Any) -> AnnealingRun:
    settings: dict[str, Any] = {"sweeps": 3, "replicas": 32, "seed": SEED} | arguments
    beta = settings.pop("beta", BOTH_SIGNS)
    return population_annealing(model, beta, settings.pop("population", 1024), **settings)


def small_populations() -> warnings.catch_warnings:
    """Where populations are meant to be too small, or resampling to be wrong."""
    return warnings.catch_warnings(action="ignore", category=EquilibrationWarning)


def largest_z(estimate: MeanWithError, exact: np.ndarray) -> float:
    """The largest |z|; where the error is 0 the value must be exact."""
    known = estimate.error == 0.0
    np.testing.assert_allclose(estimate.mean[known], exact[known], rtol=1e-12, atol=1e-12)
    z = (estimate.mean - exact)[~known] / estimate.error[~known]
    return float(np.abs(z).max())


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_every_estimate_agrees_with_enumeration(model: Ising) -> None:
    run, exact = annealed(model), canonical(model.levels(), BOTH_SIGNS)
    assert largest_z(run.log_partition_function, exact.log_partition_function) < Z_LIMIT
    assert largest_z(run.energy, exact.internal_energy) < Z_LIMIT
    assert largest_z(run.heat_capacity, exact.heat_capacity) < Z_LIMIT
    assert largest_z(run.entropy, exact.entropy) < Z_LIMIT
    assert run.energy.error.max() < 0.1  # of a range of 64: the limits mean something


def test_heat_bath_and_a_descending_schedule_of_one_sign() -> None:
    model, beta = MODELS["in a field"], np.linspace(0.0, -0.8, 9)
    run = annealed(model, beta=beta, update="heat_bath")
    exact = canonical(model.levels(), beta)
    assert largest_z(run.log_partition_function, exact.log_partition_function) < Z_LIMIT
    assert largest_z(run.energy, exact.internal_energy) < Z_LIMIT


def test_continuous_spins() -> None:
    """An open XY chain: Z(β)/Z(0) = I₀(β)ⁿ⁻¹, ⟨E⟩ = −(n−1) I₁(β)/I₀(β)."""
    beta = np.linspace(-2.0, 2.0, 17)
    run = annealed(XY(chain(6, periodic=False)), beta=beta, population=512)
    assert largest_z(run.log_partition_function, 5 * np.log(iv(0, beta))) < Z_LIMIT
    assert largest_z(run.energy, -5 * iv(1, beta) / iv(0, beta)) < Z_LIMIT
    with pytest.raises(InvalidInputError, match="continuum"):
        run.density_of_states()


def test_the_density_of_states_is_absolute() -> None:
    model = MODELS["triangular, frustrated at β < 0"]
    value, error = annealed(model).density_of_states().estimate(lambda g: g.log_degeneracy)
    z = (value - model.levels().log_degeneracy) / error
    assert np.abs(z).max() < Z_LIMIT


def test_the_partition_function_has_no_bias_even_for_tiny_populations() -> None:
    """⟨Ẑ⟩ = Z for any population; 8 members, 1 sweep a step, 400 populations."""
    model, beta = MODELS["in a field"], np.linspace(-0.2, 0.2, 5)
    with small_populations():
        run = annealed(model, beta=beta, population=8, sweeps=1, replicas=400)
    exact = canonical(model.levels(), beta).log_partition_function
    ratio = np.exp(run.log_z - exact[:, None])
    for end in (0, -1):
        error = ratio[end].std(ddof=1) / np.sqrt(400)
        assert error < 0.05
        assert abs(ratio[end].mean() - 1.0) < 5 * error  # 6·10⁻⁷ for a Gaussian


# ---- negative controls -----------------------------------------------------------------------


def no_resampling(weights: np.ndarray, uniform: float) -> np.ndarray:
    return np.arange(len(weights))


def inverse_weights(weights: np.ndarray, uniform: float) -> np.ndarray:
    return systematic_parents(1.0 / weights, uniform)


class StaleWeights:
    """Resamples by the weights of the step before."""

    def __init__(self) -> None:
        self.before: np.ndarray | None = None

    def __call__(self, weights: np.ndarray, uniform: float) -> np.ndarray:
        before, self.before = self.before, weights
        return systematic_parents(weights if before is None else before, uniform)


@pytest.mark.parametrize("wrong", [no_resampling, inverse_weights, StaleWeights()])
def test_wrong_resampling_fails_the_same_test(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(population, "systematic_parents", wrong)
    model = MODELS["square, ordered at both ends"]
    beta = np.linspace(0.0, 0.8, 9)
    with small_populations():
        run = annealed(model, beta=beta, threads=1, sweeps=1)
    exact = canonical(model.levels(), beta)
    assert largest_z(run.log_partition_function, exact.log_partition_function) > Z_LIMIT


# ---- resampling ------------------------------------------------------------------------------


def test_systematic_resampling_gives_every_member_its_share() -> None:
    weights = np.array([0.2, 0.0, 3.0, 1.0, 0.7, 0.1])
    share = 6 * weights / weights.sum()
    children = np.array(
        [
            np.bincount(systematic_parents(weights, u), minlength=6)
            for u in (np.arange(5000) + 0.5) / 5000
        ]
    )
    assert np.all((children == np.floor(share)) | (children == np.floor(share) + 1))
    np.testing.assert_allclose(children.mean(axis=0), share, atol=1 / 5000)


def test_resampling_never_chooses_a_member_without_weight() -> None:
    last = np.nextafter(1.0, 0.0)
    for weights in ([1.0, 0.1, 0.0], [0.0, 0.3, 0.3, 0.3, 0.0], [0.0, 1e-300, 0.0]):
        for uniform in (0.0, 0.5, last):
            assert np.all(np.asarray(weights)[systematic_parents(weights, uniform)] > 0)


# ---- runs ------------------------------------------------------------------------------------


def test_same_seed_same_bits_for_any_threads() -> None:
    ring = Ising(chain(6))
    one, two = (annealed(ring, population=700, replicas=3, threads=t) for t in (1, 2))
    for name, values in one.series.items():
        np.testing.assert_array_equal(values, two.series[name])
    np.testing.assert_array_equal(one.log_z, two.log_z)
    assert not np.array_equal(one.log_z, annealed(ring, population=700, replicas=3, seed=1).log_z)


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_sweeps_can_be_stopped(
    threads: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As by Ctrl-C in the middle of the first β, of which the checkpoint keeps what was done."""
    seen: list[int] = []

    def stop(checkpoint: Checkpoint, index: int, chunk: Chunk) -> None:
        seen.append(chunk.end)
        add(checkpoint, index, chunk)
        if len(seen) == 3:
            raise KeyboardInterrupt

    add = Checkpoint.add
    monkeypatch.setattr(Checkpoint, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        annealed(Ising(square(4)), sweeps=10**18, threads=threads, checkpoint=tmp_path)
    assert list(tmp_path.glob("*.chunk"))


def test_a_cluster_update_that_refuses_a_frustrated_sign_does_so_at_once() -> None:
    with pytest.raises(InvalidInputError, match="frustrated"):
        annealed(Ising(triangular(3)), update="wolff")


def test_families_and_overlaps() -> None:
    run = annealed(Ising(square(4)), replicas=4)
    zero = len(BOTH_SIGNS) // 2
    assert np.all(run.family_size[zero] == 1)
    assert np.all(run.overlap[zero] == 1)
    for end in (0, -1):  # families die out, none is founded
        assert np.all((run.family_size[end] > 2) & (run.family_size[end] < 100))
    assert np.all((run.overlap > 0) & (run.overlap <= 1))
    assert repr(run) == f"AnnealingRun({run.model!r}, 17 β, 4 populations of 1024)"


def test_a_population_that_is_too_small_says_so() -> None:
    with pytest.warns(EquilibrationWarning, match="families are left of a population of 64"):
        annealed(Ising(square(4)), beta=[0.0, 1.0], population=64, replicas=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": [0.0]}, "at least 2"),
        ({"beta": [0.1, 0.2]}, "contains 0"),
        ({"beta": [0.0, 0.2, 0.1]}, "each larger"),
        ({"beta": [0.0, 0.0, 0.1]}, "each larger"),
        ({"beta": [0.0, np.inf]}, "finite"),
        ({"beta": [0.0, np.nan]}, "nan"),
        ({"beta": [[0.0, 1.0]]}, "shape"),
        ({"population": 1}, "population = 1"),
        ({"sweeps": 0}, "sweeps = 0"),
        ({"replicas": 1}, "replicas = 1"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 2**64}, "seed = 18446744073709551616"),
        (  # the spins, not what is measured of them
            {"population": 200_000, "beta": [0.0, 0.1], "model": Ising(square(300)), "threads": 32},
            r"would need [\d.]+ TiB of memory \(work: ",
        ),
        ({"population": 10**15}, r"\w are free; accepted, for it would fit: at most \d+ members"),
        ({"threads": 0}, "threads = 0"),
        ({"update": "kawasaki"}, "magnetisation"),
        ({"update": "metropoliss"}, "did you mean 'metropolis'"),
        ({"model": "Ising"}, "model = 'Ising'"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], message: str) -> None:
    given = {"model": Ising(chain(4)), **arguments}
    with pytest.raises(InvalidInputError, match=message):
        annealed(**given)
