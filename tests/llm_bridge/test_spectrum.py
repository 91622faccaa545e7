"""Logits as energies: exact small spectra, the traps of signed β."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_bridge.spectrum import centred, energy_levels, natural_scale, thermodynamics
from thermo.canonical import canonical
from thermo.errors import InvalidInputError

BETAS = np.array([-np.inf, -50.0, -1.0, -0.0, 0.0, 0.3, 1.0, 50.0, np.inf])
FIELDS = (
    "log_partition_function",
    "internal_energy",
    "energy_variance",
    "entropy",
    "heat_capacity",
    "free_energy",
    "effective_states",
    "participation_ratio",
    "equivalent_dof",
)


def random_logits(positions: int = 7, tokens: int = 50) -> np.ndarray:
    return 2.5 * np.random.default_rng(20261120).normal(size=(positions, tokens))


@pytest.mark.parametrize("field", FIELDS)
def test_agrees_with_canonical_of_every_row(field: str) -> None:
    logits = random_logits()
    state = thermodynamics(logits, BETAS)
    for t, row in enumerate(logits):
        exact = canonical(energy_levels(row), BETAS)
        np.testing.assert_allclose(getattr(state, field)[t], getattr(exact, field), rtol=1e-12)
    assert getattr(thermodynamics(logits, 0.7), field).shape == (7,)


def test_two_tokens_are_a_two_level_system() -> None:
    z = np.array([[0.25, -1.75]])  # gap 2 whatever the gauge
    beta = np.linspace(-4, 4, 17)
    state = thermodynamics(z, beta)
    np.testing.assert_allclose(
        state.log_partition_function[0],
        np.log(np.exp(0.25 * beta) + np.exp(-1.75 * beta)),
        rtol=1e-13,
    )
    np.testing.assert_allclose(state.heat_capacity[0], (beta / np.cosh(beta)) ** 2, atol=1e-14)
    np.testing.assert_allclose(state.internal_energy[0], 0.75 - np.tanh(beta), atol=1e-14)


def test_mirrored_spectrum_is_mirrored_in_beta() -> None:
    z = np.array([[3.0, 1.0, 0.5, -0.5, -1.0, -3.0]])
    both = thermodynamics(z, [-np.inf, -2.0, -0.5, 0.5, 2.0, np.inf]).entropy[0]
    np.testing.assert_allclose(both, both[::-1], rtol=1e-14)
    np.testing.assert_array_equal(
        thermodynamics(-z, BETAS).entropy, thermodynamics(z, -BETAS).entropy
    )


def test_ends_and_middle_of_the_scale() -> None:
    z = np.array([[2.0, 2.0, 0.0, -1.0, -1.0, -1.0]])
    state = thermodynamics(z, [np.inf, 0.0, -0.0, -np.inf])
    np.testing.assert_allclose(state.entropy[0], np.log([2, 6, 6, 3]), atol=1e-15)
    np.testing.assert_allclose(state.internal_energy[0], [-2, -1 / 6, -1 / 6, 1], atol=1e-15)
    np.testing.assert_allclose(state.heat_capacity[0], 0.0)
    assert state.free_energy[0, 1] == -np.inf
    assert state.free_energy[0, 2] == np.inf


@pytest.mark.parametrize("mask", [-np.inf, np.finfo(np.float16).min, np.finfo(np.float32).min])
def test_masked_tokens_do_not_exist_at_any_beta(mask: float) -> None:
    """−inf/−T = +inf and 0·(−inf) = NaN are the classical failures."""
    logits = random_logits(3, 8).astype(np.float32)
    with_mask = np.insert(logits, [2, 5], np.float32(mask), axis=1)
    ragged = with_mask.copy()
    ragged[1, 0] = mask  # one position has a mask of its own
    for field in FIELDS:
        plain = getattr(thermodynamics(logits, BETAS), field)
        np.testing.assert_array_equal(getattr(thermodynamics(with_mask, BETAS), field), plain)
        got = getattr(thermodynamics(ragged, BETAS), field)
        np.testing.assert_array_equal(got[[0, 2]], plain[[0, 2]])
        alone = getattr(thermodynamics(logits[1:2, 1:], BETAS), field)
        np.testing.assert_array_equal(got[1], alone[0])


def test_padded_columns_are_left_out() -> None:
    logits = random_logits(3, 8)
    padded = np.concatenate([logits, np.full((3, 2), 99.0), np.full((3, 1), np.nan)], axis=1)
    valid = np.arange(11) < 8
    np.testing.assert_array_equal(
        thermodynamics(padded, BETAS, valid).entropy, thermodynamics(logits, BETAS).entropy
    )
    assert natural_scale(padded, valid) == natural_scale(logits)


def test_half_precision_does_not_overflow() -> None:
    logits = np.array([[60000.0, 0.0, -30000.0]], dtype=np.float16)
    state = thermodynamics(logits, [1.0, -1.0, 10.0, 1e-5])
    assert np.isfinite(state.log_partition_function).all()
    assert state.internal_energy[0, 0] == -np.float64(np.float16(60000.0))


@pytest.mark.parametrize("method", ["direct", "auto"])
def test_bfloat16_is_widened_in_blocks(method: str) -> None:
    torch = pytest.importorskip("torch")
    logits = torch.randn(16_000, 4000, generator=torch.Generator().manual_seed(1)).bfloat16()
    logits[:, 7] = -torch.inf
    expected = thermodynamics(logits[:50].float(), 1.0, method=method).entropy
    tracemalloc.start()
    found = thermodynamics(logits, 1.0, method=method).entropy
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < logits.nbytes / 2  # of which a float32 copy takes twice as much
    np.testing.assert_array_equal(found[:50], expected)


@pytest.mark.parametrize("method", ["auto", "direct", "binned"])
def test_what_is_no_plain_array_of_numbers_is_refused(method: str) -> None:
    torch = pytest.importorskip("torch")
    eight = torch.zeros(1, 2).to(torch.float8_e4m3fn)
    masked = np.ma.array([[1.0, 2.0]], mask=[[False, True]])
    for logits in (eight, masked, np.array([[True, False]]), torch.tensor([[True, False]])):
        with pytest.raises(InvalidInputError, match=r"logits (are|must be)"):
            thermodynamics(logits, 1.0, method=method)
        with pytest.raises(InvalidInputError, match=r"logits_row (are|must be)"):
            energy_levels(logits[0])
    assert energy_levels(torch.ones(2).bfloat16()).energies.tolist() == [-1.0, -1.0]


def test_tensors_without_numbers_and_lists_of_masked_arrays_are_refused() -> None:
    torch = pytest.importorskip("torch")
    row = np.ma.array([0.0, 50.0, 1.0], mask=[False, True, False])
    for logits in ([row], (row,), torch.empty((2, 3), device="meta")):
        with pytest.raises(InvalidInputError, match=r"logits (are|must be)"):
            thermodynamics(logits, 1.0)
    x = torch.tensor([[0.0, 1.0]])
    negated = torch.complex(x, x).conj().imag  # real numbers, stored with the other sign
    np.testing.assert_array_equal(
        thermodynamics(negated, 1.0).internal_energy, thermodynamics(-x, 1.0).internal_energy
    )


def test_beta_may_be_a_parameter_of_torch() -> None:
    torch = pytest.importorskip("torch")
    beta = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
    found = thermodynamics([[0.0, 1.0]], beta).internal_energy
    np.testing.assert_array_equal(found, thermodynamics([[0.0, 1.0]], [1.0, -1.0]).internal_energy)


def test_many_rows_are_cut_into_blocks() -> None:
    logits = random_logits(700, 4000).astype(np.float32)
    whole = thermodynamics(logits, [1.0, -1.0])
    some = thermodynamics(logits[[0, 300, 699]], [1.0, -1.0])
    np.testing.assert_array_equal(whole.entropy[[0, 300, 699]], some.entropy)


@pytest.mark.parametrize("beta", [float("nan"), [1.0, float("nan")], [[1.0]], "hot"])
def test_bad_beta(beta: object) -> None:
    with pytest.raises(InvalidInputError):
        thermodynamics([[1.0, 2.0]], beta)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=12),
    st.floats(-5, 5),
    st.floats(-100, 100),
)
def test_invariants(row: list[float], beta: float, shift: float) -> None:
    z = np.array([row])
    state, moved = thermodynamics(z, beta), thermodynamics(z + shift, beta)
    size = 1 + np.abs(z).max() + abs(shift)
    for field in ("entropy", "log_participation_ratio"):  # gauge: shift-invariant
        assert abs(getattr(state, field) - getattr(moved, field))[0] < 1e-12 * size
    assert abs(moved.internal_energy - state.internal_energy + shift)[0] < 1e-12 * size
    assert 0 <= state.entropy[0] <= math.log(len(row)) + 1e-12  # S between 0 and ln V
    assert state.participation_ratio[0] <= state.effective_states[0] * (1 + 1e-12)
    shuffled = thermodynamics(z[:, ::-1], beta)
    assert abs(shuffled.entropy - state.entropy)[0] < 1e-12 * size
    identity = state.log_partition_function + beta * state.internal_energy - state.entropy
    assert abs(identity[0]) < 1e-11 * size * (1 + abs(beta))


def test_entropy_slope_is_beta() -> None:
    """dS/dU = β and C = −β² dU/dβ, by finite differences."""
    z, h = random_logits(), 1e-4
    for beta in (-1.2, 0.4, 1.0):
        left, mid, right = (thermodynamics(z, beta + d) for d in (-h, 0.0, h))
        d_energy = right.internal_energy - left.internal_energy
        np.testing.assert_allclose((right.entropy - left.entropy) / d_energy, beta, rtol=1e-6)
        np.testing.assert_allclose(-(beta**2) * d_energy / (2 * h), mid.heat_capacity, rtol=1e-6)


# --- levels and gauge -----------------------------------------------------------------------------


def test_energy_levels() -> None:
    row = np.array([2.0, -np.inf, 0.5, 7.0], dtype=np.float32)
    levels = energy_levels(row, ["a", "b", "c", "d"], np.array([True, True, True, False]))
    assert levels.energies.tolist() == [-2.0, -0.5]
    assert levels.labels == ("a", "c")
    assert energy_levels(row, provenance="clean").provenance == "clean"
    for bad in ([[1.0, 2.0]], [np.nan, 1.0], [-np.inf, -np.inf], []):
        with pytest.raises(InvalidInputError):
            energy_levels(bad)
    with pytest.raises(InvalidInputError, match="words"):
        energy_levels(row, ["a"])


def test_centred_logits_have_no_energy_at_infinite_temperature() -> None:
    logits = random_logits() + 100 * np.arange(7)[:, None]
    logits[3, 4] = -np.inf
    moved = centred(logits)
    np.testing.assert_allclose(thermodynamics(moved, 0.0).internal_energy, 0.0, atol=1e-12)
    np.testing.assert_allclose(
        thermodynamics(moved, BETAS).entropy, thermodynamics(logits, BETAS).entropy, atol=1e-10
    )
    assert moved[3, 4] == -np.inf


def test_natural_scale_makes_every_spectrum_the_same_parabola() -> None:
    logits = random_logits(40, 3000)
    scale = natural_scale(logits)
    assert scale == pytest.approx(np.sqrt(logits.var(axis=1).mean()), rel=1e-12)
    b = 0.01  # β in units of 1/σ₀
    state = thermodynamics(centred(logits), [b / scale])
    u = state.internal_energy.mean() / scale
    assert u == pytest.approx(-b, rel=1e-2)
    assert state.entropy.mean() == pytest.approx(math.log(3000) - u**2 / 2, abs=1e-6)
