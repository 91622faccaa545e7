"""Multi-histogram reweighting on independent samples of the Ising torus, whose g(E) is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.estimate.reweighting import energy_counts, multi_histogram
from thermo.exact import ising_torus
from thermo.levels import EnergyLevels

SEED = 20261120
LEVELS = ising_torus(16)
BETA = np.linspace(-0.6, 0.6, 25)
GRID = np.linspace(-0.55, 0.55, 23)


def sampled(
    levels: EnergyLevels, beta: NDArray, draws: int, replicas: int, seed: int = SEED
) -> NDArray:
    """Independent canonical draws, counted: shape (replica, B, L)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(
        draws, canonical(levels, beta).populations().probabilities, size=(replicas, len(beta))
    )


def analysed(beta: NDArray, counts: NDArray, **options: NDArray):
    return multi_histogram(LEVELS.energies, counts, beta, log_states=LEVELS.log_states, **options)


COUNTS = sampled(LEVELS, BETA, 1000, 32)


@pytest.mark.parametrize("name", ["entropy", "internal_energy", "heat_capacity"])
def test_curves_agree_with_the_exact_ones(name: str) -> None:
    value, error = analysed(BETA, COUNTS).curve(name, GRID)
    at_zero = error == 0.0  # C and S are exact at β = 0
    np.testing.assert_allclose(value[at_zero], getattr(canonical(LEVELS, GRID), name)[at_zero])
    z = (value - getattr(canonical(LEVELS, GRID), name))[~at_zero] / error[~at_zero]
    # Student's t with 31 degrees of freedom exceeds 5.6 once in 3e5; 23 β: false alarm < 1e-4.
    assert abs(z).max() < 5.6


def test_negative_control_wrong_beta_labels_fail_the_same_test() -> None:
    value, error = analysed(1.03 * BETA, COUNTS).curve("entropy", GRID)
    moved = error > 0
    z = (value - canonical(LEVELS, GRID).entropy)[moved] / error[moved]
    assert abs(z).max() > 5.6


def test_jackknife_errors_cover_the_truth_as_often_as_they_say() -> None:
    levels, beta, at = ising_torus(8), np.linspace(-0.6, 0.6, 7), np.array([-0.5, -0.3, 0.2, 0.44])
    exact = canonical(levels, at).entropy
    z = []
    for counts in sampled(levels, beta, 500, 150 * 20).reshape(150, 20, 7, -1):
        result = multi_histogram(levels.energies, counts, beta, log_states=levels.log_states)
        value, error = result.curve("entropy", at)
        z.append((value - exact) / error)
    # |t₁₉| > 2.093 with probability 5 %; 600 values, about half of them independent (β > 0 and
    # β < 0): standard deviation 1.3 %, bounds at 4σ (false alarm 1e-4).
    assert abs(np.mean(np.abs(z) > 2.093) - 0.05) < 4 * 0.013
    assert abs(np.mean(z)) < 4 / np.sqrt(300)


def test_exact_histograms_give_exact_degeneracies() -> None:
    counts = 1e9 * canonical(LEVELS, BETA).populations().probabilities
    result = analysed(BETA, counts)
    np.testing.assert_allclose(result.levels.log_degeneracy, LEVELS.log_degeneracy, atol=1e-8)
    np.testing.assert_allclose(
        result.log_partition_function, canonical(LEVELS, BETA).log_partition_function, rtol=1e-10
    )


def test_order_of_runs_does_not_matter_and_unbalanced_runs_are_weighted() -> None:
    order = np.random.default_rng(SEED).permutation(len(BETA))
    a, b = analysed(BETA, COUNTS.sum(0)), analysed(BETA[order], COUNTS.sum(0)[order])
    np.testing.assert_allclose(a.levels.log_degeneracy, b.levels.log_degeneracy, atol=1e-9)
    np.testing.assert_array_equal(b.beta, BETA)


def test_repeated_draws_with_their_ess_weigh_like_single_ones() -> None:
    counts = COUNTS.sum(0)
    tau = np.where(BETA > 0, 7, 1)  # every draw of these runs is seen seven times
    honest = analysed(BETA, counts)
    weighted = analysed(BETA, counts * tau[:, None], ess=counts.sum(axis=1))
    np.testing.assert_allclose(
        weighted.levels.log_degeneracy, honest.levels.log_degeneracy, atol=1e-9
    )


def test_infinite_beta_is_left_out_and_said_so() -> None:
    ends = np.zeros((2, len(LEVELS)))
    ends[0, 0], ends[1, -1] = 1000, 1000
    beta = np.concatenate([[np.inf], BETA, [-np.inf]])
    result = analysed(beta, np.concatenate([ends[:1], COUNTS.sum(0), ends[1:]]))
    np.testing.assert_array_equal(
        result.levels.log_degeneracy, analysed(BETA, COUNTS.sum(0)).levels.log_degeneracy
    )
    assert len(result.excluded) == 2
    assert "lowest level" in result.excluded[0]
    assert "highest level" in result.excluded[1]


def test_a_single_run_at_beta_zero_is_its_histogram() -> None:
    counts = COUNTS.sum(0)[12:13]
    result = analysed(BETA[12:13], counts)
    seen = counts[0] > 0
    np.testing.assert_allclose(
        result.levels.log_degeneracy,
        np.log(counts[0, seen] / counts.sum()) + LEVELS.log_states,
    )


def test_a_gap_is_named() -> None:
    beta = np.array([-0.1, 0.0, 0.7])
    with pytest.raises(InvalidInputError, match=r"β = 0 and 0\.7 do not overlap.*between"):
        analysed(beta, sampled(LEVELS, beta, 100, 2))
    beta = np.array([0.0, 0.2])
    with pytest.raises(InvalidInputError, match=r"β = 0 and 0\.2 share only"):
        analysed(beta, 30 * canonical(LEVELS, beta).populations().probabilities)


def test_runs_on_one_side_only_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"between β = 0\.05 and 0\.6"):
        analysed(BETA[13:], COUNTS[:, 13:])
    with pytest.raises(InvalidInputError, match="infinite β only"):
        analysed(np.array([np.inf]), COUNTS[:, :1])


def test_extrapolation_and_missing_replicas_are_refused() -> None:
    result = analysed(BETA, COUNTS)
    with pytest.raises(InvalidInputError, match=r"β = 0\.7"):
        result.curve("entropy", [0.1, 0.7])
    with pytest.raises(InvalidInputError, match="enthalpy"):
        result.curve("enthalpy", 0.1)
    with pytest.raises(InvalidInputError, match="2 replicas"):
        analysed(BETA, COUNTS.sum(0)).curve("entropy", 0.1)


@pytest.mark.parametrize(
    ("energies", "counts", "beta"),
    [
        ([0.0, 1.0], [[1.0, 1.0]], [0.0, 1.0]),
        ([0.0, 0.0], [[1.0, 1.0]], [0.0]),
        ([0.0, 1.0], [[1.0, -1.0]], [0.0]),
        ([0.0, 1.0], [[0.0, 0.0]], [0.0]),
        ([0.0, 1.0], [[1.0, np.nan]], [0.0]),
        ([0.0, 1.0], [[1.0, 1.0]], [np.nan]),
    ],
)
def test_bad_input(energies: list, counts: list, beta: list) -> None:
    with pytest.raises(InvalidInputError):
        multi_histogram(energies, counts, beta, log_states=1.0)


def test_bad_weights() -> None:
    for ess in ([1.0], np.zeros(len(BETA)), np.full(len(BETA), np.nan)):
        with pytest.raises(InvalidInputError, match="ess"):
            analysed(BETA, COUNTS, ess=np.asarray(ess))


def test_energy_counts() -> None:
    rng = np.random.default_rng(SEED)
    grid = np.array([-4.0, -1.0, 0.0, 2.5])
    index = rng.integers(0, 4, size=(3, 2, 100))
    counts = energy_counts(grid[index] + 1e-9, grid)
    assert counts.shape == (2, 3, 4)
    for run in range(3):
        for replica in range(2):
            expected = np.bincount(index[run, replica], minlength=4)
            np.testing.assert_array_equal(counts[replica, run], expected)
    with pytest.raises(InvalidInputError, match="-3 is not on the grid"):
        energy_counts([[[-4.0, -3.0]]], grid)
    with pytest.raises(InvalidInputError, match="ascending"):
        energy_counts([[[-4.0]]], grid[::-1])
    with pytest.raises(InvalidInputError):
        energy_counts([[[np.nan]]], grid)
    with pytest.raises(InvalidInputError, match="no draws"):
        energy_counts(np.empty((1, 1, 0)), grid)


def test_errors_of_ln_g_cover_the_truth_and_grow_towards_the_ends() -> None:
    result = analysed(BETA, COUNTS)
    common = np.isin(LEVELS.energies, result.levels.energies)
    z = (result.levels.log_degeneracy - LEVELS.log_degeneracy[common]) / result.stderr
    seen_well = np.isfinite(result.stderr) & (result.stderr < 0.2)
    # Student's t with 31 degrees of freedom exceeds 6.5 once in 3·10⁶; about 250 levels.
    assert np.abs(z[seen_well]).max() < 6.5
    middle = len(result.levels) // 2
    assert result.stderr[middle] < result.stderr[seen_well][[0, -1]].min()


def test_the_error_of_a_level_that_one_replica_alone_saw_is_unknown() -> None:
    counts = np.array([[[5, 100, 100]], [[0, 100, 100]], [[0, 100, 100]]])
    result = multi_histogram([0.0, 1.0, 2.0], counts, [0.0], log_states=0.0)
    assert result.stderr[0] == np.inf
    assert np.isfinite(result.stderr[1:]).all()
