"""The statistics by which samples are compared with exact distributions.

Each returns a p-value, or a limit with its rate of false alarms. test_goodness_of_fit holds them to
it: samples of the exact distribution give uniform p-values, or as few small ones as promised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, f, norm, t

from thermo.canonical import canonical
from thermo.levels import EnergyLevels

# Of one χ² test. Counts of 30 are not quite Gaussian: a right sampler falls below this limit with a
# probability of up to 10⁻⁶, so that a test of as many as 100 histograms keeps within 10⁻⁴.
P_LIMIT = 5e-8
LEAST_EXPECTED = 30.0


def counts_p(seen: ArrayLike, probabilities: ArrayLike) -> float:
    """p-value, by χ², of independent counts against their probabilities.

    Neighbours share a cell until each is expected 30 times: put next to each other what may be
    counted together. One count of what is impossible gives 0.

    Parameters
    ----------
    seen : array_like, shape (L,)
    probabilities : array_like, shape (L,)
        In any normalisation.
    """
    seen, expected = np.asarray(seen, dtype=float), np.asarray(probabilities, dtype=float)
    if seen[expected == 0.0].any():
        return 0.0
    expected = expected * (seen.sum() / expected.sum())
    starts = cell_starts(expected)
    seen, expected = np.add.reduceat(seen, starts), np.add.reduceat(expected, starts)
    if len(starts) == 1:
        return 1.0
    return float(chi2.sf(((seen - expected) ** 2 / expected).sum(), len(starts) - 1))


def cell_starts(expected: np.ndarray, least: float = LEAST_EXPECTED) -> np.ndarray:
    """Where each cell of neighbours begins, if every cell is to be expected `least` times."""
    starts, inside = [0], 0.0
    for k, count in enumerate(expected):
        if inside >= least:
            starts.append(k)
            inside = 0.0
        inside += count
    if inside < least and len(starts) > 1:  # the rest goes with the last cell
        starts.pop()
    return np.array(starts)


def level_counts(energies: ArrayLike, levels: ArrayLike) -> np.ndarray:
    """How often each of the ascending `levels` is among `energies`, all of which must be levels."""
    energies, levels = np.ravel(energies), np.asarray(levels, dtype=float)
    level = np.searchsorted((levels[1:] + levels[:-1]) / 2, energies)
    np.testing.assert_allclose(levels[level], energies, rtol=1e-9, atol=1e-8)
    return np.bincount(level, minlength=len(levels))


def energy_p(energies: ArrayLike, levels: EnergyLevels, beta: float) -> float:
    """p-value of the whole histogram of independent energies against g(E) e^(−βE)."""
    levels = levels.merged()
    boltzmann = canonical(levels, beta).populations().probabilities
    return counts_p(level_counts(energies, levels.energies), boltzmann)


def detailed_balance_p(moves: ArrayLike) -> float:
    """p-value of as many moves i → j as j → i, in independent steps begun in equilibrium.

    Parameters
    ----------
    moves : array_like, shape (n, n)
        Pairs of states between which there were fewer than 30 moves are left out.
    """
    moves = np.asarray(moves, dtype=float)
    upper = np.triu_indices(len(moves), 1)
    there, back = moves[upper], moves.T[upper]
    often = there + back >= LEAST_EXPECTED
    statistic = ((there - back) ** 2)[often] / (there + back)[often]
    return float(chi2.sf(statistic.sum(), often.sum()))


def independence_p(draws: ArrayLike) -> float:
    """p-value, of two sides, of the variance that the mean over chains has from draw to draw.

    It sees all pairs of chains: a correlation ρ of every two of N multiplies the variance by
    1 + (N − 1) ρ.

    Parameters
    ----------
    draws : array_like, shape (D, N)
        D independent draws of N chains.
    """
    draws = np.asarray(draws, dtype=float)
    freedom, chains = draws.shape[0] - 1, draws.shape[1]
    statistic = freedom * draws.mean(axis=1).var(ddof=1) * chains / draws.var(ddof=1)
    return float(2 * min(chi2.cdf(statistic, freedom), chi2.sf(statistic, freedom)))


def mean_vector_p(vectors: ArrayLike) -> float:
    """p-value of a mean of zero in all components at once, by Hotelling's T².

    The components may be correlated in any way; their covariance is taken from the vectors.

    Parameters
    ----------
    vectors : array_like, shape (R, d)
        R > d > 0 independent vectors; averages of many numbers, so that they are nearly Gaussian.

    References
    ----------
    H. Hotelling, Ann. Math. Stat. 2, 360 (1931).
    """
    vectors = np.asarray(vectors, dtype=float)
    count, components = vectors.shape
    assert 0 < components < count, "the covariance of so many components is not known"
    mean, covariance = vectors.mean(axis=0), np.cov(vectors, rowvar=False)
    t_squared = count * mean @ np.linalg.solve(np.atleast_2d(covariance), mean)
    free = count - components
    return float(f.sf(t_squared * free / (components * (count - 1)), components, free))


def student_limit(samples: int, numbers: int, rate: float = 1e-5) -> float:
    """What any of `numbers` means, over their standard errors, exceeds in size at this rate.

    At most: whatever the correlations (Bonferroni). Each error is that of independent Gaussian
    `samples`.
    """
    return float(t.isf(rate / (2 * numbers), samples - 1))


def scatter_p(z: ArrayLike) -> float:
    """p-value, of two sides, of Σz² for independent standard Gaussian z.

    Small both where errors are stated too small and where they are too large.
    """
    z = np.ravel(z)
    tails = chi2.cdf(z @ z, z.size), chi2.sf(z @ z, z.size)
    return float(2 * min(tails))


def student_scatter_p(ratios: ArrayLike, samples: int) -> float:
    """p-value, of two sides, of the scatter of means over their standard errors, from run to run.

    Each ratio becomes the Gaussian of the same probability, so that Σz² over the runs is χ². The
    least p of all numbers counts, times how many there are: they may be correlated (Bonferroni).

    Parameters
    ----------
    ratios : array_like, shape (runs, numbers)
        (Mean − exact)/error of independent runs.
    samples : int
        Independent Gaussian samples of which each mean and its error were made.
    """
    z = norm.isf(t.sf(np.asarray(ratios), samples - 1))
    return min(1.0, z.shape[1] * min(scatter_p(of_number) for of_number in z.T))
