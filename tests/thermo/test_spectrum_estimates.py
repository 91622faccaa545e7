"""Effective sample sizes and autocorrelation times of S(k), G(r) and ξ.

Fixed seeds, chosen beforehand. With K = 512 chains 1/ess is a variance of 512 numbers, known to
√(2/511) = 6.3 %: a ratio beyond 0.70 … 1.42, which is 5.6 of that in the logarithm, happens to one
ratio in 10⁷, and no test has more than 200 of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.fft import irfftn
from scipy.signal import lfilter

from thermo.estimate.autocorrelation import mean_with_error
from thermo.lattice import Lattice, chain, cubic, square, triangular
from thermo.models import XY, Ising, Potts
from thermo.run import Run
from thermo.run.live_batch import LiveBatch, spectrum_in
from thermo.run.plan import Plan
from thermo.run.power_spectrum import half_spectrum, peak_and_beside, peaks, power
from thermo.run.simulate import simulate
from thermo.run.structure_factor import SampledSpectrum
from thermo.sampling.registry import batch_kind

SEED = 20261120
CHAINS = 512


def alike(one: np.ndarray, other: Any) -> bool:
    ratio = one / other
    return bool(np.all((ratio > 0.70) & (ratio < 1.42)))


def every_configuration(run: Run) -> np.ndarray:
    """\\|Σ s e^{−ik·r}\\|²/n of every snapshot, (B, replicas, snapshots, *half_spectrum)."""
    assert run.snapshots is not None
    lead, rest = run.snapshots.shape[:3], run.snapshots.shape[3:]
    half = half_spectrum(run.model.lattice)
    return power(run.model, run.snapshots.reshape(-1, *rest)).reshape(*lead, *half)


def relative_part(pairs: np.ndarray) -> np.ndarray:
    """What ξ is proportional to in linear order, of pairs (B, replicas, draws, 2)."""
    mean = pairs.mean(axis=(1, 2), keepdims=True)
    return pairs[..., 0] / mean[..., 0] - pairs[..., 1] / mean[..., 1]


# ---- the sums --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [Ising(square(4)), Ising(triangular(3)), Ising(cubic(4)), Potts(chain(6), 3), XY(square(4))],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")  # few draws
def test_sample_sizes_are_those_of_all_measurements_kept(model: Any) -> None:
    """3 replicas have 11 blocks each; of 35 measurements 33 are used, the last ones."""
    run = simulate(
        model,
        [-0.2, 0.3],
        70,
        burn_in=20,
        replicas=3,
        seed=SEED,
        structure_factor_every=2,
        snapshots_every=2,
    )
    kept = every_configuration(run)[:, :, 2:]
    axes = tuple(range(-len(model.lattice.shape), 0))
    near = irfftn(kept, s=model.lattice.shape, axes=axes)
    checks = [(run.structure_factor, kept), (run.correlation_function, near)]
    for estimate, values in checks:
        joined = values.reshape(2, 99, *values.shape[3:])
        part = (slice(None), *(slice(length) for length in joined.shape[2:]))
        np.testing.assert_allclose(estimate.mean[part], joined.mean(axis=1), atol=1e-12)
        squared_error = joined.reshape(2, 33, 3, *joined.shape[2:]).mean(axis=2).var(axis=1) / 32
        np.testing.assert_allclose(estimate.error[part], squared_error**0.5, atol=1e-12)
        variance = joined.var(axis=1) + squared_error
        changes = variance > 1e-20
        ess = variance[changes] / squared_error[changes]
        np.testing.assert_allclose(estimate.ess[part][changes], ess, rtol=1e-9)
        np.testing.assert_allclose(estimate.tau * estimate.ess, 99 / 2)
        assert np.all(estimate.ess[part][~changes] == 99)
    pairs = peak_and_beside(kept, model.lattice)
    for order in range(len(peaks(model.lattice))):
        joined = relative_part(pairs[..., order, :]).reshape(2, 99)
        squared_error = joined.reshape(2, 33, 3).mean(axis=2).var(axis=1) / 32
        ess = (joined.var(axis=1) + squared_error) / squared_error
        np.testing.assert_allclose(run.correlation_length(staggered=bool(order)).ess, ess)


def test_sums_do_not_depend_on_how_the_way_is_cut() -> None:
    model = Ising(square(4))
    plan = Plan(
        model=model,
        kind=batch_kind(model, "metropolis", 6),
        update="metropolis",
        beta=np.array([-0.3, 0.4]),
        replicas=3,
        burn_in=5,
        draws=60,
        measure_every=2,
        ordered=np.full(2, False),
        given=None,
        seed=SEED,
        structure_factor_every=2,
    )
    whole = spectrum_in(LiveBatch(plan, 0).advance(plan.sweeps).final)
    assert whole.keys() == {
        "blocks",
        "structure_factor",
        "correlation_function",
        "correlation_length",
    }
    part = LiveBatch(plan, 0).advance(4)
    for end in (30, 31, 33, 100, plan.sweeps):
        part = LiveBatch(plan, 0, part.end, part.state).advance(end)
    for name, values in spectrum_in(part.final).items():
        assert np.array_equal(values, whole[name])


# ---- independent draws -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "update"),
    [(Ising(square(6)), "metropolis"), (Ising(triangular(5)), "heat_bath")],
    ids=repr,
)
def test_independent_configurations_all_count(model: Ising, update: str) -> None:
    """At β = 0 every sweep makes a new configuration: tau = ½ for all k, all r and ξ."""
    run = simulate(
        model,
        [0.0],
        200,
        burn_in=2,
        replicas=CHAINS,
        update=update,
        seed=SEED,
        structure_factor_every=2,
        measure_every=2,
    )
    for estimate in (run.structure_factor, run.correlation_function, run.correlation_length()):
        assert alike(estimate.tau, 0.5)
    at_zero = run.correlation_function[0, 0, 0]  # G(0) = 1 is always exact
    assert (at_zero.mean, at_zero.error, at_zero.tau) == (1.0, 0.0, 0.5)
    assert at_zero.ess == CHAINS * 100


# ---- correlated draws ------------------------------------------------------------------------


def ring_spectrum(rho: float) -> SampledSpectrum:
    """AR(1) numbers in the place of S(k) of a ring of four, which has three different k."""
    draws, ring = 600, chain(4)
    noise = np.random.default_rng(SEED).normal(size=(1, CHAINS, draws, 3))
    noise[:, :, 0] /= np.sqrt(1 - rho**2)
    values = lfilter([1.0], [1.0, -rho], noise, axis=2) + 10.0
    near = irfftn(values, s=(4,), axes=(-1,))[..., :3]
    pairs = peak_and_beside(values, ring)
    deviation = pairs - pairs.mean(axis=2, keepdims=True)
    variances = {
        "structure_factor": values.var(axis=2).mean(axis=1),
        "correlation_function": near.var(axis=2).mean(axis=1),
        "correlation_length": np.einsum("brdpi,brdpj->bpij", deviation, deviation)
        / (CHAINS * draws),
    }
    blocks = values.mean(axis=2, keepdims=True)
    return SampledSpectrum(ring, blocks, variances, CHAINS * draws)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.8])
def test_the_autocorrelation_time_of_autoregressive_numbers(rho: float) -> None:
    """τ = ½ (1 + ρ)/(1 − ρ), for every linear combination of them too."""
    spectrum = ring_spectrum(rho)
    tau = 0.5 * (1 + rho) / (1 - rho)
    for estimate in (
        spectrum.structure_factor(),
        spectrum.correlation_function(),
        spectrum.correlation_length(),
        spectrum.correlation_length(staggered=True),
    ):
        assert alike(estimate.tau, tau)
        if rho:
            assert not alike(estimate.tau, 0.5)


def test_times_near_criticality_are_those_of_the_squared_magnetisation() -> None:
    """n S(0) = M², whose series gives tau in the way of all others."""
    lattice = square(12)
    run = simulate(
        Ising(lattice),
        [0.43],
        1500,
        burn_in=600,
        replicas=CHAINS,
        seed=SEED,
        measure_every=3,
        structure_factor_every=3,
    )
    series = run.magnetization_series**2 / 144
    direct = mean_with_error(series)
    assert direct.tau[0] > 2.0
    at_zero = run.structure_factor[:, 0, 0]
    np.testing.assert_allclose(at_zero.mean, direct.mean)
    assert alike(at_zero.error, direct.error)
    assert alike(at_zero.tau, direct.tau)
    # Negative control: blocks put together from draws of all chains, as if they were independent.
    shuffled = np.random.default_rng(SEED).permutation(series.ravel()).reshape(series.shape)
    lost = SampledSpectrum(
        lattice,
        shuffled.mean(axis=-1)[..., None, None, None] * np.ones((1, 12, 7)),
        run.structure_factor_variances,
        series.size,
    )
    assert not alike(lost.structure_factor().tau[:, 0, 0], direct.tau)


@pytest.mark.parametrize(("beta", "staggered"), [(1.0, False), (-1.0, True)])
def test_times_of_a_ring_are_those_of_the_series(beta: float, staggered: bool) -> None:
    """E = −n G(1), and ξ against the series of its linear part."""
    run = simulate(
        Ising(chain(16)),
        [beta],
        600,
        burn_in=300,
        replicas=CHAINS,
        seed=SEED,
        measure_every=3,
        structure_factor_every=3,
        snapshots_every=3,
    )
    assert run.energy.tau[0] > 1.0
    assert alike(run.correlation_function.tau[:, 1], run.energy.tau)
    pairs = peak_and_beside(every_configuration(run), run.model.lattice)
    linear = mean_with_error(relative_part(pairs[..., int(staggered), :]))
    estimate = run.correlation_length(staggered=staggered)
    assert linear.tau[0] > 1.0
    assert alike(estimate.tau, linear.tau)
    # Negative control: of the other order, where nothing is slow.
    assert not alike(run.correlation_length(staggered=not staggered).tau, linear.tau)
    # What ess says is the error: that of ξ = √(R − 1)/(2 sin) is (R/(2 (R − 1))) ξ times linear's.
    ratio = 1 + (2 * np.sin(np.pi / 16) * estimate.mean) ** 2
    expected = ratio / (2 * (ratio - 1)) * estimate.mean * linear.error
    assert alike(estimate.error, expected)


# ---- the ends --------------------------------------------------------------------------------


@pytest.mark.parametrize("lattice", [square(4), square(5), chain(7), cubic(3)], ids=repr)
def test_perfect_order_has_no_finite_correlation_length(lattice: Lattice) -> None:
    run = simulate(
        Ising(lattice),
        [np.inf],
        40,
        burn_in=5,
        replicas=8,
        start="ordered",
        structure_factor_every=1,
    )
    length = run.correlation_length()
    assert length.mean.tolist() == [np.inf]
    assert np.isnan(length.error).all()
    for estimate in (run.structure_factor, run.correlation_function, length):
        assert np.all(estimate.ess == 8 * 40)
        assert np.all(estimate.tau == 0.5)
    assert np.all(run.correlation_function.error == 0.0)
    assert np.all(run.correlation_function.mean == 1.0)


def test_order_of_the_one_kind_has_no_length_of_the_other() -> None:
    """At β = −∞ the uniform S is 0 at Q = 0 and beside it."""
    run = simulate(
        Ising(square(4)),
        [-np.inf, np.inf],
        40,
        burn_in=5,
        replicas=8,
        start="ordered",
        structure_factor_every=1,
    )
    for staggered, place in ((False, 0), (True, 1)):
        length = run.correlation_length(staggered=staggered)
        assert (length.mean[place], length.error[place]) == (0.0, 0.0)
        assert length.mean[1 - place] == np.inf


def test_a_conserved_magnetisation_has_no_peak() -> None:
    start = np.where(np.arange(16) % 2, 1, -1)
    run = simulate(
        Ising(square(4)),
        [0.2],
        200,
        burn_in=10,
        replicas=8,
        update="kawasaki",
        start=start,
        structure_factor_every=1,
    )
    assert run.structure_factor.mean[0, 0, 0] == 0.0
    assert run.structure_factor.ess[0, 0, 0] == 8 * 200
    length = run.correlation_length()
    assert (length.mean[0], length.error[0]) == (0.0, 0.0)
    assert np.isfinite(length.ess[0])
