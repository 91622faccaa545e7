"""The correlation length and its square over many runs, against all states of a small lattice.

Fixed seeds, chosen beforehand.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from thermo.estimate.autocorrelation import MeanWithError
from thermo.lattice import square
from thermo.models import Ising
from thermo.run import Run
from thermo.run.simulate import simulate

SIDE, RUNS = 4, 200
BETA = np.array([-0.35, 0.0, 0.05, 0.25, 0.5])


@pytest.fixture(scope="module")
def run() -> Run:
    """Each β 200 times: 32 replicas of 50 nearly independent measurements."""
    return simulate(
        Ising(square(SIDE)),
        np.tile(BETA, RUNS),
        200,
        burn_in=50,
        replicas=32,
        update="heat_bath",
        seed=20261120,
        measure_every=4,
        structure_factor_every=4,
    )


def exact_square(staggered: bool) -> np.ndarray:
    """ξ² by its definition, shape (B,)."""
    spins = np.array([*product([1, -1], repeat=SIDE**2)])
    weight = np.exp(-BETA[:, None] * Ising(square(SIDE)).energy(spins))
    power = np.abs(np.fft.fft2(spins.reshape(-1, SIDE, SIDE))) ** 2
    peak = SIDE // 2 * staggered
    ratio = (weight @ power[:, peak, peak]) / (weight @ power[:, peak, (peak + 1) % SIDE])
    return (ratio - 1) / (4 * np.sin(np.pi / SIDE) ** 2)


def each(estimate: MeanWithError) -> tuple[np.ndarray, np.ndarray]:
    """Means and errors, (RUNS, B)."""
    return estimate.mean.reshape(RUNS, -1), estimate.error.reshape(RUNS, -1)


def is_student(z: np.ndarray) -> bool:
    """Student's of 31 has variance 1.07 and fourth moment 3.7.

    Of 200 runs mean and variance are known to 0.073 and 0.11. 4.5 of that in 5 places: 1 of 10⁴.
    The ratio of two S is off by a tenth of its error, besides.
    """
    mean, variance = z.mean(axis=0), z.var(axis=0)
    return bool(np.all(np.abs(mean) < 4.5 * 0.073 + 0.1) & np.all(np.abs(variance - 1.07) < 0.5))


@pytest.mark.parametrize("staggered", [False, True])
def test_the_square_has_no_bias_and_the_right_error(run: Run, staggered: bool) -> None:
    mean, error = each(run.correlation_length_squared(staggered=staggered))
    assert is_student((mean - exact_square(staggered)) / error)
    # Negative controls: the other order, and a square that is never negative.
    assert not is_student((mean - exact_square(not staggered)) / error)
    assert not is_student((np.maximum(mean, 0.0) - exact_square(staggered)) / error)


@pytest.mark.parametrize("staggered", [False, True])
def test_the_length_lies_within_its_error(run: Run, staggered: bool) -> None:
    """One error holds it in 67.5 % of runs or more, two in 94.6 %: Student's of 31.

    Of 200 runs, 4.5 standard deviations below that in 5 places and twice: 1 of 10⁴.
    """
    mean, error = each(run.correlation_length(staggered=staggered))
    exact = np.sqrt(np.maximum(exact_square(staggered), 0.0))

    def holds(errors: float, share: float, off: float = 0.0) -> bool:
        held = np.abs(mean - exact - off) <= errors * error * (1 + 1e-12)
        return bool(np.all(held.mean(axis=0) > share - 4.5 * np.sqrt(share * (1 - share) / RUNS)))

    assert holds(1, 0.675)
    assert holds(2, 0.946)
    assert not holds(2, 0.946, off=0.2)  # negative control
    square_mean, square_error = each(run.correlation_length_squared(staggered=staggered))
    for k in (1, 2, 3):  # what the docstring says
        low, high = (
            np.sqrt(np.maximum(np.maximum(square_mean, 0) + sign * k * square_error, 0))
            for sign in (-1, 1)
        )
        assert np.all(mean - k * error <= low + 1e-12)
        assert np.all(mean + k * error >= high - 1e-12)
