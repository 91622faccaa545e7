"""Vortices in a disk: their energy and motion, sampling at β of both signs, thermometers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p
from mistaken_kernel import mistaken
from scipy.integrate import quad
from scipy.stats import beta as beta_law

from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import block_means, jackknife
from thermo.kernels import lab_vortices
from thermo.laboratory.trajectories import follow
from thermo.laboratory.vortex_gas import VortexFlow, VortexGas, VortexSampling
from thermo.laboratory.vortices import Vortices, vortices

SEED = 20261121
GAS = VortexGas(4, 3)


def places(gas: VortexGas, rows: int) -> tuple[np.ndarray, np.ndarray]:
    return gas.random_places(rows, np.random.default_rng(SEED))


# ---- energy ------------------------------------------------------------------------------------


def plain_energy(gas: VortexGas, x: np.ndarray, y: np.ndarray) -> float:
    """Every vortex feels half of every other and of every image, all images at R²/z̄."""
    z, s = x + 1j * y, gas.signs
    total = 0.0
    for i in range(len(z)):
        for j in range(len(z)):
            if i != j:
                total -= s[i] * s[j] * math.log(abs(z[i] - z[j]))
            # Strength −s_j at 1/z̄_j; |z_j| makes up for the image that belongs in the centre.
            total += s[i] * s[j] * math.log(abs(z[i] - 1.0 / np.conj(z[j])) * abs(z[j]))
    return total


def test_the_energy_is_that_of_vortices_and_their_images() -> None:
    x, y = places(GAS, 20)
    expected = [plain_energy(GAS, *row) for row in zip(x, y, strict=True)]
    np.testing.assert_allclose(GAS.energy(x, y), expected, rtol=1e-10, atol=1e-10)


def test_the_energy_of_a_move_is_the_difference_of_energies() -> None:
    x, y = places(VortexGas(20, 17), 2)
    signs = VortexGas(20, 17).signs
    for i in range(37):
        after_x, after_y = x[:1].copy(), y[:1].copy()
        after_x[0, i], after_y[0, i] = x[1, i], y[1, i]
        gas = VortexGas(20, 17)
        change = lab_vortices.energy_of_move(x[0], y[0], signs, i, x[1, i], y[1, i])
        expected = gas.energy(after_x, after_y)[0] - gas.energy(x[:1], y[:1])[0]
        assert change == pytest.approx(expected, abs=1e-9)


def test_gradients_are_differences_of_energies() -> None:
    x, y = places(GAS, 1)
    slopes, h = GAS.gradient(x[0], y[0]), 1e-6
    for c in range(2):
        for i in range(7):
            ends = []
            for step in (h, -h):
                moved = [x.copy(), y.copy()]
                moved[c][0, i] += step
                ends.append(GAS.energy(*moved)[0])
            assert slopes[c, i] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-6)


def test_the_virial_is_a_divergence_and_a_slope() -> None:
    x, y = places(GAS, 1)
    divergence, drift = GAS.virial(x, y)
    h = 1e-6
    squares = x * x + y * y
    ends = [
        GAS.energy(x + step * (1 - squares) * x, y + step * (1 - squares) * y)[0]
        for step in (h, -h)
    ]
    assert drift[0] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)
    assert divergence[0] == pytest.approx((2 - 4 * squares).sum())


@pytest.mark.parametrize(("plus", "minus"), [(1, 0), (3, 3), (4, 1)])
def test_exact_averages_of_random_places(plus: int, minus: int) -> None:
    """Three means of 10⁵ draws within 4.5 errors: 2·10⁻⁵ false alarms."""
    gas = VortexGas(plus, minus)
    x, y = places(gas, 100_000)
    compared = [
        (gas.energy(x, y), gas.mean_energy_at_random),
        (gas.dipole(x, y), (plus + minus) / 2),
    ]
    if plus + minus > 1:
        compared.append((gas.like_neighbours(x, y), gas.like_neighbours_at_random))
    for values, exact in compared:
        assert abs(values.mean() - exact) < 4.5 * values.std() / np.sqrt(100_000)


@pytest.mark.parametrize("plus", [2, 3, 8])
def test_beyond_its_limits_beta_has_no_equilibrium(plus: int) -> None:
    """Shrink k like vortices to r: energy rises by k(k − 1) ln 1/r, volume falls by 2(k − 1)."""
    gas = VortexGas(plus, 0)
    x, y = places(gas, 1)
    change = gas.energy(x * 1e-6, y * 1e-6)[0] - gas.energy(x * 1e-5, y * 1e-5)[0]
    log_volume = -2 * (plus - 1) * math.log(10)
    assert gas.beta_bounds[0] == pytest.approx(log_volume / change, rel=1e-4)
    for beta in (gas.beta_bounds[0], 1.0, 5.0, -3.0):
        with pytest.raises(InvalidInputError, match=r"would .*fall into"):
            gas.check_beta(beta)


# ---- sampling ----------------------------------------------------------------------------------


def sampled(kernel: ModuleType, gas: VortexGas, beta: float, rows: int, sweeps: int) -> Any:
    """Independent chains, begun at random and swept `sweeps` times."""
    x, y = places(gas, rows)
    words = np.random.SeedSequence(SEED).generate_state(2 * rows, np.uint64).reshape(rows, 2)
    kernel.sweep(x, y, gas.signs, beta, words, sweeps)
    return x, y


@pytest.mark.parametrize("beta", [-2.0, -0.5, 0.0, 0.6])
def test_one_vortex_has_its_exact_law(beta: float) -> None:
    """1 − r² is Beta(1 − β, 1). False alarms 10⁻⁶ each; a wrong sign fails the same test."""
    edges = np.linspace(0.0, 1.0, 41)
    law = np.diff(beta_law.cdf(edges, 1.0 - beta, 1.0))
    x, y = sampled(lab_vortices, VortexGas(1, 0), beta, 20_000, 400)
    assert counts_p(np.histogram(1.0 - x**2 - y**2, edges)[0], law) > P_LIMIT
    if beta:
        wrong = mistaken(lab_vortices, ("math.exp(-change)", "math.exp(change)"),
                         ("change <= 0.0", "change >= 0.0"))  # fmt: skip
        x, y = sampled(wrong, VortexGas(1, 0), beta, 20_000, 400)
        assert counts_p(np.histogram(1.0 - x**2 - y**2, edges)[0], law) < 1e-12


@pytest.mark.parametrize(("signs", "beta"), [((2, 0), -0.4), ((1, 1), 0.3), ((2, 0), 0.3)])
def test_two_vortices_have_the_energies_of_reweighted_random_places(
    signs: tuple[int, int], beta: float
) -> None:
    """In 30 shells, within 5 errors: 2·10⁻⁵ false alarms each."""
    gas = VortexGas(*signs)
    random = gas.energy(*places(gas, 400_000))
    seen = gas.energy(*sampled(lab_vortices, gas, beta, 20_000, 200))
    edges = np.quantile(seen, np.linspace(0.02, 0.98, 31))
    weight = np.exp(-beta * (random - random.mean()))
    shell = np.digitize(random, edges)
    expected = np.array([weight[shell == k].sum() for k in range(32)]) / weight.sum()
    square = np.array([(weight[shell == k] ** 2).sum() for k in range(32)]) / weight.sum() ** 2
    error = np.sqrt(expected * (1 - expected) / 20_000 + square + expected**2 * square.sum())
    share = np.bincount(np.digitize(seen, edges), minlength=32) / 20_000
    assert np.abs((share - expected) / error)[1:-1].max() < 5.0
    milder = mistaken(lab_vortices, ("beta * energy_of_move", "0.7 * beta * energy_of_move"))
    wrong = gas.energy(*sampled(milder, gas, beta, 20_000, 200))
    share = np.bincount(np.digitize(wrong, edges), minlength=32) / 20_000
    assert np.abs((share - expected) / error)[1:-1].max() > 5.0


def test_the_kernels_are_the_same_compiled_and_in_python() -> None:
    x, y = places(GAS, 2)
    words = np.random.SeedSequence(1).generate_state(4, np.uint64).reshape(2, 2)
    compiled, plain = [x.copy(), y.copy(), words.copy()], [x.copy(), y.copy(), words.copy()]
    lab_vortices.sweep(*compiled[:2], GAS.signs, -0.2, compiled[2], 3)
    with np.errstate(over="ignore"):
        lab_vortices.sweep.py_func(*plain[:2], GAS.signs, -0.2, plain[2], 3)
    one, other = np.empty(2), np.empty(2)
    lab_vortices.energies(x, y, GAS.signs, one)
    lab_vortices.energies.py_func(x, y, GAS.signs, other)
    paths = np.stack([x[0], y[0]]), np.stack([x[0], y[0]])
    ends = (
        lab_vortices.flow(paths[0], GAS.signs, 1e-3, 1e-6, 1e-4, 1000),
        lab_vortices.flow.py_func(paths[1], GAS.signs, 1e-3, 1e-6, 1e-4, 1000),
    )
    assert ends[0] == ends[1]
    for first, second in zip((*compiled, one, paths[0]), (*plain, other, paths[1]), strict=True):
        assert first.tobytes() == second.tobytes()


# ---- motion ------------------------------------------------------------------------------------


def test_one_vortex_circles_with_its_image() -> None:
    """At radius r it turns by 2/(1 − r²) in a unit of time."""
    place = np.array([[0.6], [0.0]])
    lab_vortices.flow(place, np.ones(1), 0.7, 1e-9, 1e-3, 10**5)
    angle = -2.0 / (1.0 - 0.36) * 0.7
    turned = complex(*place[:, 0]) / 0.6
    assert abs(turned - np.exp(-1j * angle)) < 1e-6 or abs(turned - np.exp(1j * angle)) < 1e-6


def test_it_moves_as_hamilton_says_and_keeps_energy_and_momentum() -> None:
    x, y = places(GAS, 1)
    slopes, h = GAS.gradient(x[0], y[0]), 1e-6
    place = np.stack([x[0], y[0]])
    lab_vortices.flow(place, GAS.signs, h, 1e-9, h, 100)
    np.testing.assert_allclose((place[0] - x[0]) / h, GAS.signs * slopes[1], rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose((place[1] - y[0]) / h, -GAS.signs * slopes[0], rtol=1e-2, atol=1e-2)
    start = np.stack([x[0], y[0]])
    wrong = mistaken(lab_vortices, ("out[1, i] = -signs[i]", "out[1, i] = -0.99 * signs[i]"))
    for kernel, kept in ((lab_vortices, True), (wrong, False)):
        place = start.copy()
        assert kernel.flow(place, GAS.signs, 0.05, 1e-8, 1e-5, 10**6)[1] == 0.0
        energy = GAS.energy(place[:1], place[1:])[0] - GAS.energy(x, y)[0]
        momentum = ((place**2).sum(axis=0) - (start**2).sum(axis=0)) @ GAS.signs
        assert (abs(energy) < 1e-5 and abs(momentum) < 1e-7) == kept


def test_a_path_has_the_same_bits_however_many_steps_a_call_makes() -> None:
    x, y = places(GAS, 1)
    whole, cut = np.stack([x[0], y[0]]), np.stack([x[0], y[0]])
    lab_vortices.flow(whole, GAS.signs, 0.01, 1e-8, 1e-5, 10**6)
    step, left, calls = 1e-5, 0.01, 0
    while left > 0.0:
        step, left = lab_vortices.flow(cut, GAS.signs, left, 1e-8, step, 7)
        calls += 1
    assert calls > 3
    assert whole.tobytes() == cut.tobytes()


@pytest.mark.parametrize(("signs", "top"), [((1, 1), -1.478), ((2, 0), -1.190)])
def test_the_top_of_p_of_e(signs: tuple[int, int], top: float) -> None:
    """Of 1.8·10⁷ places, by polynomials of orders 4 and 5, it was so, ± 0.004.

    Eight seeds: their mean within 4.5 errors (10⁻⁵), and errors that are those of the scatter.
    """
    from thermo.laboratory.vortices import _around_top, _at_random, _top

    found = []
    for seed in range(8):
        counts, middle = _around_top(_at_random(VortexGas(*signs), seed))
        found.append(jackknife(lambda of, middle=middle: _top(of, middle), counts))
    values, errors = np.array(found).T
    assert abs(values.mean() - top) < 4.5 * math.hypot(0.004, errors.mean() / math.sqrt(8))
    assert 0.3 < values.std(ddof=1) / errors.mean() < 2.3  # χ² of 7: 10⁻⁴ on either side


def test_whether_beta_is_read_from_random_places_depends_on_the_beta_that_was_set() -> None:
    """Half of the estimates of 3β lie beyond the bound 1; that is no reason to leave them out."""
    shown = [
        vortices(2, 2, (0.33,), draws=20, time=1e-3, seed=seed).points[0].matched_beta
        for seed in range(6)
    ]
    assert all(seen is not None for seen in shown)


def test_most_vortices_need_few_random_places() -> None:
    from thermo.laboratory.vortices import _at_random

    assert _at_random(VortexGas(100, 100), 0).size == 10_000
    with pytest.raises(InvalidInputError, match="0 … 100"):
        VortexGas(101, 0)


def test_one_sign_has_energies_in_the_place_of_neighbours() -> None:
    from thermo.plots.laboratory.vortices import vortices_picture

    found = vortices(3, 0, (-0.2,), draws=20, time=1e-3, seed=SEED)
    assert not any("neighbours" in finding.what for finding in found.findings)
    titles = [ax.get_title(loc="left") + ax.get_title() for ax in vortices_picture(found).axes]
    assert "Hot: like signs gather" not in titles
    assert len([title for title in titles if title.startswith("β = ")]) == 1


def test_the_motion_leaves_canonical_averages_as_they_are() -> None:
    """Liouville, at β < 0: 200 paths begun in equilibrium; within 4.5 errors: 3·10⁻⁵."""
    gas, beta = VortexGas(3, 3), -0.2
    x, y = sampled(lab_vortices, gas, beta, 200, 100)
    motion = VortexFlow(3, 3, np.stack([x, y], axis=1)[None], 0.004, 10, 1e-6)
    after = follow(motion, seed=0)
    for name, before in (
        ("like", gas.like_neighbours(x, y)),
        ("dipole", gas.dipole(x, y)),
        ("divergence", gas.virial(x, y)[0]),
    ):
        change = after[name].mean(axis=1) - before
        assert abs(change.mean()) < 4.5 * change.std(ddof=1) / np.sqrt(200), name


# ---- the experiment ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> Vortices:
    return vortices(6, 6, (-0.28, -0.15, -0.06, 0.0, 0.15, 0.4), draws=300, time=0.02, seed=SEED)


def test_what_theory_says_is_found(found: Vortices) -> None:
    """11 numbers of 16 chains in blocks of four, within 5 errors (Student's t): 7·10⁻⁵ in all."""
    compared = [f for f in found.findings if f.expected is not None and f.error > 0.0]
    assert len(compared) == 11
    for finding in compared:
        assert abs(finding.deviation) < 5.0, finding


def test_entropy_has_a_top_and_clusters_are_beyond_it(found: Vortices) -> None:
    like = [float(point.like.value) for point in found.points]
    energy = [float(point.energy.value) for point in found.points]
    assert like == sorted(like, reverse=True)
    assert energy == sorted(energy, reverse=True)
    assert like[0] > found.gas.like_neighbours_at_random + 10 * float(found.points[0].like.error)
    top = float(found.most_probable.value)
    known = found.entropy.error < 0.1
    e, slope = found.shell_energy[known], found.shell_beta[known]
    assert np.all(slope[e < top - 5.0] > 0.0)
    assert np.all(slope[(e > top + 5.0) & (e < top + 25.0)] < 0.0)
    assert found.energy_drift < 1e-4
    assert found.momentum_drift < 1e-6


def test_the_virial_reads_beta_and_not_its_opposite() -> None:
    """32 chains in blocks of four, 5 errors: 2·10⁻⁶ false alarms for each β."""
    motion = VortexSampling(3, 3, (-0.4, 0.5), 32, 300, 20)
    seen = follow(motion, seed=SEED)
    for k, beta in enumerate(motion.betas):
        rows = slice(32 * k, 32 * k + 32)
        value, error = jackknife(
            lambda a, b: a / b,
            block_means(seen["divergence"][rows, 20:], 4),
            block_means(seen["drift"][rows, 20:], 4),
        )
        assert abs(value - beta) < 5.0 * error
        assert abs(value + beta) > 20.0 * error


def test_the_mean_green_function_is_a_quarter() -> None:
    """By quadrature: ⟨G⟩ over one place is (1 − r²)/2, over both ¼; ⟨ln(1 − r²)⟩ = −1."""
    assert quad(lambda u: 0.5 * (1.0 - u), 0.0, 1.0)[0] == pytest.approx(0.25)
    assert quad(lambda u: math.log(u), 0.0, 1.0)[0] == pytest.approx(-1.0)
    gas = VortexGas(1, 1)
    x, y = places(gas, 400_000)
    x[:, 0], y[:, 0] = 0.5, 0.0
    self_energy = np.log(1.0 - x**2 - y**2).sum(axis=1)
    green = 0.5 * (gas.energy(x, y) - self_energy) * -1.0
    assert abs(green.mean() - 0.375) < 4.5 * green.std() / np.sqrt(400_000)


def test_it_is_json(found: Vortices) -> None:
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["schema"] == "spinlogit.lab.vortices/1"
    assert len(document["points"]) == 6


def test_the_same_bits_however_it_is_cut_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thermo.laboratory import vortex_gas

    motion = VortexSampling(2, 2, (-0.5, 0.5), 2, 1500, 1)
    whole = follow(motion, seed=1, threads=2)
    step, calls = vortex_gas.sweep, 0

    def interrupted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1200:
            raise KeyboardInterrupt
        step(*arguments)

    monkeypatch.setattr(vortex_gas, "sweep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        follow(motion, seed=1, threads=1, checkpoint=tmp_path / "kept")
    monkeypatch.undo()
    again = follow(motion, seed=1, threads=1, checkpoint=tmp_path / "kept")
    for name, values in whole.items():
        assert values.tobytes() == again[name].tobytes(), name


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"plus": -1}, "0 … 100"),
        ({"plus": 1, "minus": 0}, "two vortices or more"),
        ({"plus": 0, "minus": 0}, "a vortex or more"),
        ({"plus": 2.5}, "an integer"),
        ({"beta": (1.0,)}, "-0.2 < beta < 1"),
        ({"beta": (-0.2, 0.0)}, "of one sign would all fall into one point"),
        ({"beta": (math.nan,)}, "beta = nan was given; accepted: a finite number"),
        ({"beta": (math.inf,)}, "a finite number"),
        ({"checkpoint": 5}, "checkpoint = 5 was given"),
        ({"beta": ()}, "one or more"),
        ({"draws": 3}, "20 …"),
        ({"time": 0.0}, "positive"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        vortices(**wrong)
