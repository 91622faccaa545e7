"""Weight noise: its law on a real module, and its temperature where the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax, xlogy

from llm_bridge.brownian import (
    EffectiveTemperature,
    WeightNoise,
    effective_temperature,
    sample_logits,
)
from llm_bridge.brownian.noise import KINDS
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError, TautologyWarning

SEED = 20261120


# --- WeightNoise ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf"), "0.1", True, None])
def test_bad_sigma(sigma: object) -> None:
    with pytest.raises(InvalidInputError, match=r"sigma = .*; a finite number ≥ 0"):
        WeightNoise(sigma)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"law": "ternary"},
        {"scale": "rms"},
        {"correlation": "ou"},
        {"tau": 3.0},
        {"where": ""},
        {"where": []},
        {"where": 3},
        {"seed": -1},
        {"seed": 0.5},
    ],
)
def test_other_bad_noise(change: dict) -> None:
    with pytest.raises(InvalidInputError) as caught:
        WeightNoise(0.1, **change)
    assert "\n" not in str(caught.value)


def test_where_selects_by_kind_and_pattern(model: LanguageModel) -> None:
    names = [name for name, _ in model.torch_module.named_parameters()]

    def chosen(where: object) -> list[str]:
        noise = WeightNoise(0.1, where=where)  # type: ignore[arg-type]
        return [name for name in names if noise.selects(name)]

    assert chosen("all") == names
    assert chosen("head") == ["lm_head.weight"]
    assert chosen("embedding") == ["model.embed_tokens.weight"]
    assert chosen("norm") == [n for n in names if "norm" in n]
    assert len(chosen("attention")) == 8
    assert len(chosen("mlp")) == 6
    assert sorted(name for kind in KINDS for name in chosen(kind)) == sorted(names)
    assert chosen(["head", "model.layers.0.mlp.*"]) == [
        n for n in names if n.startswith(("lm_head", "model.layers.0.mlp"))
    ]


# --- sample_logits --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:20]


def test_no_noise_is_the_clean_model(model: LanguageModel, ids: np.ndarray) -> None:
    noisy = sample_logits(model, ids, WeightNoise(0.0), 3)
    assert noisy.dtype == np.float32
    for draw in noisy:
        assert np.array_equal(draw, model.logits(ids))


def test_model_is_never_changed(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {k: v.clone() for k, v in model.torch_module.state_dict().items()}
    clean = model.logits(ids)
    sample_logits(model, ids, WeightNoise(0.3), 4)
    with pytest.raises(InvalidInputError):
        sample_logits(model, [10**6], WeightNoise(0.3), 4)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(model.torch_module.lm_head), "forward", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sample_logits(model, ids, WeightNoise(0.3), 4)
    monkeypatch.undo()
    after = model.torch_module.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.numpy().tobytes() == after[name].numpy().tobytes()
    assert np.array_equal(model.logits(ids), clean)


def test_draws_depend_on_seed_and_number_only(model: LanguageModel, ids: np.ndarray) -> None:
    noise = WeightNoise(0.1, seed=SEED)
    two, six = (sample_logits(model, ids, noise, draws) for draws in (2, 6))
    assert np.array_equal(two, six[:2])
    assert len({draw.tobytes() for draw in six}) == 6
    assert np.array_equal(sample_logits(model, ids, noise, 3), six[:3])
    other = sample_logits(model, ids, WeightNoise(0.1, seed=SEED + 1), 2)
    assert not np.array_equal(two, other)
    free = sample_logits(model, ids, noise, 3, antithetic=False)
    assert np.array_equal(free[:2], six[[0, 2]])


def test_chosen_parameters_keep_their_noise(model: LanguageModel, ids: np.ndarray) -> None:
    """Noise of the head is the same whether or not other tensors are perturbed too."""
    from llm_bridge.brownian.copies import _perturbed_copies, selected_parameters

    def first(where: str) -> dict:
        noise = WeightNoise(0.1, where=where)
        chosen = selected_parameters(model.torch_module, noise)
        return next(_perturbed_copies(chosen, noise, 1, True))

    alone, together = first("head"), first("all")
    assert np.array_equal(alone["lm_head.weight"], together["lm_head.weight"])


def test_mirrored_draws_cancel_in_a_linear_layer(model: LanguageModel, ids: np.ndarray) -> None:
    noisy = sample_logits(model, ids, WeightNoise(0.2, where="head"), 4)
    clean = model.logits(ids)
    for plus, minus in noisy.reshape(2, 2, *clean.shape):
        np.testing.assert_allclose((plus + minus) / 2, clean, atol=5e-6)
        assert np.abs(plus - clean).max() > 0.1


def _hidden_states(model: LanguageModel, ids: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        out = model.torch_module.model(input_ids=torch.from_numpy(ids)[None])
    return out.last_hidden_state[0].double().numpy()


@pytest.mark.parametrize("scale", ["relative", "absolute"])
def test_head_noise_has_the_law_of_frozen_weights(
    model: LanguageModel, ids: np.ndarray, scale: str
) -> None:
    """δz_t·δz_s over all outputs and draws is σ²h_t·h_s: correlated between positions.

    Whitened by the Cholesky factor of HHᵀ, the noise is V·draws independent standard normals per
    position: χ² of each of 6 × 6 second moments. n = 305·40; entries off the diagonal are mean 0,
    variance 1/n, those on it mean 1, variance 2/n. Largest |z| of 21 below 5: false alarm 1.2e-5.
    """
    import torch

    hidden = _hidden_states(model, ids[:6])
    noise = WeightNoise(0.05, where="head", scale=scale, seed=SEED)
    noisy = sample_logits(model, ids[:6], noise, 40, antithetic=False)
    kicks = noisy.astype(np.float64) - model.logits(ids[:6])  # (draws, N, V)
    head = model.torch_module.lm_head.weight.double()
    size = 0.05 * (float(torch.sqrt((head**2).mean())) if scale == "relative" else 1.0)
    n = kicks.shape[0] * kicks.shape[2]

    def worst(kicks: np.ndarray) -> float:
        factor = np.linalg.cholesky(size**2 * hidden @ hidden.T)
        white = np.linalg.solve(factor, kicks.transpose(1, 0, 2).reshape(6, -1))
        moments = white @ white.T / n
        variance = np.where(np.eye(6) == 1, 2.0, 1.0) / n
        return float(np.abs((moments - np.eye(6)) / np.sqrt(variance)).max())

    assert worst(kicks) < 5.0
    # Negative control: the same noise, but drawn anew for each position.
    independent = np.stack([np.roll(kicks[:, t], t, axis=0) for t in range(6)], axis=1)
    assert worst(independent) > 50.0


def test_tied_embeddings_get_one_noise(tied_model: LanguageModel, ids: np.ndarray) -> None:
    head, embedding = (
        sample_logits(tied_model, ids, WeightNoise(0.1, where=where), 2)
        for where in ("head", "embedding")
    )
    assert np.array_equal(head, embedding)
    import torch

    module = tied_model.torch_module
    weight = module.model.embed_tokens.weight
    with torch.no_grad():  # by hand: one perturbed tensor in both places
        from llm_bridge.brownian.copies import _perturbed_copies, selected_parameters

        noise = WeightNoise(0.1, where="head")
        copies = _perturbed_copies(selected_parameters(module, noise), noise, 1, True)
        changed = next(copies)["model.embed_tokens.weight"]
        kept = weight.clone()
        weight.copy_(changed)
        expected = tied_model.logits(ids)
        weight.copy_(kept)
    assert np.array_equal(head[0], expected)


def test_long_texts_are_read_by_one_draw(model: LanguageModel, text: str) -> None:
    """Every window of a long text sees the same frozen weights."""
    long = model.encode(text)[:100]
    noise = WeightNoise(0.1, seed=SEED)
    noisy = sample_logits(model, long, noise, 2)
    assert noisy.shape == (2, 100, model.vocabulary_size)
    tail = sample_logits(model, long[-64:], noise, 2)
    assert np.array_equal(noisy[:, -4:], tail[:, -4:])


def test_bad_sampling(model: LanguageModel, ids: np.ndarray) -> None:
    noise = WeightNoise(0.1)
    for draws in (0, -1, 1.5, True):
        with pytest.raises(InvalidInputError, match="draws"):
            sample_logits(model, ids, noise, draws)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedNoiseError, match="'auto' or 'copies'"):
        sample_logits(model, ids, noise, 2, machine="magic")
    with pytest.raises(InvalidInputError, match="float32 or float16"):
        sample_logits(model, ids, noise, 2, dtype=np.int8)
    with pytest.raises(InvalidInputError, match=r"matches none.*accepted: all, embedding"):
        sample_logits(model, ids, WeightNoise(0.1, where="convolution"), 2)
    half = sample_logits(model, ids, noise, 2, dtype=np.float16)
    np.testing.assert_allclose(half, sample_logits(model, ids, noise, 2), rtol=1e-3, atol=1e-2)


# --- effective_temperature: exact cases -----------------------------------------------------------


def random_clean(positions: int = 12, tokens: int = 9) -> np.ndarray:
    return 1.5 * np.random.default_rng(SEED).normal(size=(positions, tokens))


@pytest.mark.parametrize("factor", [0.3, 0.9, 1.0 + 1e-9, 4.0, -0.7, -2.5])
def test_scaled_logits_are_a_temperature(factor: float) -> None:
    """Every draw is the same softmax at another T: β = factor, nothing left over."""
    clean = random_clean()
    fit = effective_temperature(
        clean, np.stack([factor * clean + c for c in (0.0, 3.0, -1.0, 9.0)])
    )
    assert fit.beta == pytest.approx(factor, rel=1e-9)
    assert fit.temperature == pytest.approx(1 / factor, rel=1e-9)
    assert fit.beta_entropy == pytest.approx(factor if factor > 0 else fit.beta_entropy, rel=1e-8)
    assert abs(fit.residual_kl) < 1e-12
    assert abs(fit.disagreement) < 1e-12
    assert fit.draw_errors["beta"] < 1e-12
    assert fit.top1_flips == (0.0 if factor > 0 else 1.0)


def test_a_common_shift_is_no_noise() -> None:
    clean = random_clean()
    shifts = np.random.default_rng(SEED).normal(size=(6, 12, 1))
    fit = effective_temperature(clean, clean + shifts)
    assert fit.temperature == pytest.approx(1.0, abs=1e-12)
    assert max(abs(fit.residual_kl), abs(fit.disagreement), fit.draw_errors["beta"]) < 1e-13
    assert fit.entropy_mean == pytest.approx(fit.entropy_clean, abs=1e-13)


def test_ends_of_the_scale() -> None:
    clean = random_clean()
    flat = effective_temperature(clean, np.zeros((2, *clean.shape)))
    assert abs(flat.beta) < 1e-12
    assert flat.beta_entropy == pytest.approx(0.0, abs=1e-6)
    greedy = effective_temperature(clean, np.stack([5000.0 * clean] * 2))
    assert greedy.beta > 100
    assert greedy.residual_kl == pytest.approx(0.0, abs=1e-9)
    inverted = effective_temperature(clean, np.stack([-5000.0 * clean] * 2))
    assert inverted.beta < -100


def brute_force(clean: np.ndarray, noisy: np.ndarray) -> tuple[float, float, float, float]:
    """β, residual, disagreement, aleatoric by definition, with a numerical minimum."""
    p = softmax(noisy, axis=-1)
    mean = p.mean(axis=0)

    def divergence(beta: float) -> float:
        return float((xlogy(mean, mean) - mean * log_softmax(beta * clean, axis=-1)).sum(-1).mean())

    best = minimize_scalar(divergence, bracket=(0.2, 1.5), tol=1e-10)
    aleatoric = float(-xlogy(p, p).sum(-1).mean())
    return best.x, best.fun, float(-xlogy(mean, mean).sum(-1).mean()) - aleatoric, aleatoric


@pytest.mark.parametrize("size", [0.1, 1.0, 4.0])
def test_definition(size: float) -> None:
    clean = random_clean()
    noisy = clean + size * np.random.default_rng(SEED).normal(size=(8, *clean.shape))
    fit = effective_temperature(clean, noisy)
    beta, residual, disagreement, aleatoric = brute_force(clean, noisy)
    bias = fit.finite_draw_bias
    assert fit.beta == pytest.approx(beta, abs=1e-6)
    assert fit.residual_kl + bias["residual_kl"] == pytest.approx(residual, abs=1e-10)
    assert fit.disagreement + bias["disagreement"] == pytest.approx(disagreement, abs=1e-12)
    assert fit.aleatoric == pytest.approx(aleatoric, abs=1e-12)
    assert fit.entropy_mean == pytest.approx(fit.aleatoric + fit.disagreement, abs=1e-12)
    flips = (noisy.argmax(-1) != clean.argmax(-1)).mean()
    assert fit.top1_flips == pytest.approx(flips, abs=1e-12)
    assert "T = " in str(fit)


def test_draw_jackknife_is_the_refitted_one() -> None:
    """The shortcut (a parabola instead of refitting) gives the errors of refitting."""
    clean = random_clean()
    noisy = clean + 0.5 * np.random.default_rng(SEED).normal(size=(12, *clean.shape))
    fit = effective_temperature(clean, noisy)
    left = [brute_force(clean, np.delete(noisy, [2 * j, 2 * j + 1], axis=0)) for j in range(6)]
    errors = np.sqrt(5 / 6 * ((np.array(left) - np.mean(left, axis=0)) ** 2).sum(axis=0))
    names = ("beta", "residual_kl", "disagreement", "aleatoric")
    for name, error, accuracy in zip(names, errors, (0.05, 0.05, 1e-6, 1e-6), strict=True):
        assert fit.draw_errors[name] == pytest.approx(error, rel=accuracy), name
    whole = brute_force(clean, noisy)
    bias = 5 * (np.mean(left, axis=0) - whole)
    assert fit.finite_draw_bias["residual_kl"] == pytest.approx(bias[1], rel=0.02)
    assert fit.finite_draw_bias["disagreement"] == pytest.approx(bias[2], rel=1e-6)


def test_masks_and_padding_are_left_out() -> None:
    clean = random_clean().astype(np.float32)
    noisy = clean + 0.3 * np.random.default_rng(SEED).normal(size=(4, *clean.shape)).astype("f4")
    plain = effective_temperature(clean, noisy)
    valid = np.insert(np.ones(9, dtype=bool), [0, 4], False)
    padded = [np.insert(x, [0, 4], np.float32(50), axis=-1) for x in (clean, noisy)]
    masked = [np.insert(x, [0, 4], -np.inf, axis=-1) for x in (clean, noisy)]
    for other in (effective_temperature(*padded, valid), effective_temperature(*masked)):
        assert other.beta == plain.beta
        assert other.residual_kl == pytest.approx(plain.residual_kl, abs=1e-14)
        assert other.top1_flips == plain.top1_flips


def test_many_positions_are_cut_into_blocks() -> None:
    rng = np.random.default_rng(SEED)
    clean = rng.normal(size=(300, 2000)).astype(np.float32)
    noisy = clean + 0.2 * rng.normal(size=(4, 300, 2000)).astype(np.float32)
    fit = effective_temperature(clean, noisy)
    p = softmax(noisy.astype(float), axis=-1)
    mean = p.mean(axis=0)
    expected = (-xlogy(mean, mean).sum(-1) + xlogy(p, p).sum(-1).mean(0)).mean()
    assert fit.disagreement + fit.finite_draw_bias["disagreement"] == pytest.approx(expected)


def test_bad_comparisons() -> None:
    clean = random_clean()
    with pytest.warns(TautologyWarning, match="β = 1, which was put in"):
        assert effective_temperature(clean, np.stack([clean] * 2)).beta == pytest.approx(1.0)
    noisy = clean + np.random.default_rng(SEED).normal(size=(3, *clean.shape))
    with pytest.raises(InvalidInputError, match="antithetic=False"):
        effective_temperature(clean, noisy)
    assert effective_temperature(clean, noisy, antithetic=False).independent_draws == 3
    with pytest.raises(InvalidInputError, match="same text and vocabulary"):
        effective_temperature(clean[:3], noisy, antithetic=False)
    with pytest.raises(InvalidInputError, match="3 axes"):
        effective_temperature(clean, clean)
    broken = noisy.copy()
    broken[1, 4, 2] = np.nan
    with pytest.raises(InvalidInputError, match="nan at position 4 of draw 1, token 2"):
        effective_temperature(clean, broken, antithetic=False)
    with pytest.raises(InvalidInputError, match="all equal"):
        effective_temperature(np.zeros_like(clean), noisy, antithetic=False)
    apart = clean.copy(), np.stack([clean, clean])
    apart[0][3, 0] = -np.inf
    apart[1][:, 3, 1:] = -np.inf
    with pytest.raises(InvalidInputError, match="position 3"):
        effective_temperature(*apart)


def test_one_draw_has_a_temperature_but_no_error() -> None:
    """A quantised copy of a model is one frozen draw: it can be read, errors are unknown."""
    clean = random_clean()
    fit = effective_temperature(clean, np.round(clean * 2)[None] / 2)
    assert np.isfinite(fit.beta)
    assert math.isnan(fit.stderr)
    assert np.isfinite(fit.text_errors["beta"])
    assert fit.disagreement == pytest.approx(0.0, abs=1e-14)
    assert "error unknown" in str(fit)
    assert math.isnan(
        effective_temperature(clean[:1], clean[:1] * 1.1 + np.zeros((4, 1, 1))).stderr
    )


# --- second-order theory of head noise ------------------------------------------------------------


def linear_head() -> tuple[np.ndarray, np.ndarray]:
    """Weights (V, d) and hidden states (N, d) of a small head; logits are their product."""
    rng = np.random.default_rng(SEED)
    return rng.normal(size=(6, 3)), rng.normal(size=(4, 3))


def theory(weights: np.ndarray, hidden: np.ndarray, *, cross_term: bool = True) -> dict[str, float]:
    """Coefficients of σ² (σ⁴ for the residual) for noise of std σ on every weight of a head.

    Σ_t = σ²|h_t|² 1, so v_i = (e_i − p)ᵀΣ(e_i − p) = σ²|h|²(1 − 2p_i + Σp²); no shift of the mean.
    """
    p = softmax(hidden @ weights.T, axis=-1)
    u = -np.log(p)
    norm = (hidden**2).sum(axis=1, keepdims=True)
    v = norm * (1 - 2 * p * cross_term + (p**2).sum(axis=1, keepdims=True))
    g = v / 2

    def covariance(a: np.ndarray, b: np.ndarray) -> float:
        return float(((p * a * b).sum(1) - (p * a).sum(1) * (p * b).sum(1)).mean())

    gu, uu, gg = covariance(g, u), covariance(u, u), covariance(g, g)
    return {
        "temperature": gu / uu,
        "entropy": gu,
        "disagreement": float((p * g).sum(1).mean()),
        "residual": 0.5 * (gg - gu**2 / uu),
    }


def cubature(size: float) -> EffectiveTemperature:
    """Noise replaced by 2n equally likely points ±σ√n e_k: the same moments up to the third.

    A deterministic stand-in for Gaussian noise, exact to second order, without sampling error.
    """
    weights, hidden = linear_head()
    n = weights.size
    points = size * math.sqrt(n) * np.eye(n).reshape(n, *weights.shape)
    draws = np.stack([points, -points], axis=1).reshape(2 * n, *weights.shape)
    return effective_temperature(hidden @ weights.T, hidden @ (weights + draws).swapaxes(1, 2))


def measured(fit: EffectiveTemperature, size: float) -> dict[str, float]:
    """Coefficients from a fit, without the correction for a finite number of random draws."""
    bias = fit.finite_draw_bias
    return {
        "temperature": (fit.temperature - 1) / size**2,
        "entropy": (fit.entropy_mean + bias["entropy_mean"] - fit.entropy_clean) / size**2,
        "disagreement": (fit.disagreement + bias["disagreement"]) / size**2,
        "residual": (fit.residual_kl + bias["residual_kl"]) / size**4,
    }


@pytest.mark.parametrize("name", ["temperature", "entropy", "disagreement", "residual"])
def test_second_order_predictions(name: str) -> None:
    """Deviations from the prediction vanish as σ²: they fall fourfold when σ is halved."""
    predicted = theory(*linear_head())[name]
    sizes = (0.04, 0.02, 0.01)
    deviations = [measured(cubature(s), s)[name] / predicted - 1 for s in sizes]
    assert abs(deviations[2]) < 0.003
    assert deviations[0] / deviations[1] == pytest.approx(4, rel=0.1)
    assert deviations[1] / deviations[2] == pytest.approx(4, rel=0.1)


def test_formula_without_the_cross_term_is_wrong() -> None:
    """Negative control: v_i without −2p_i is the same for all tokens, and then T = 1."""
    wrong, right = theory(*linear_head(), cross_term=False), theory(*linear_head())
    got = measured(cubature(0.01), 0.01)
    assert got["temperature"] == pytest.approx(right["temperature"], rel=0.003)
    assert abs(got["temperature"] - wrong["temperature"]) > 0.5 * abs(got["temperature"])
    assert abs(got["disagreement"] - wrong["disagreement"]) > 0.1 * got["disagreement"]


def gaussian_head(size: float, draws: int, seed: int) -> np.ndarray:
    """Logits (draws, N, V) under Gaussian noise on the head, in antithetic pairs."""
    weights, hidden = linear_head()
    kicks = size * np.random.default_rng(seed).normal(size=(draws // 2, 1, *weights.shape))
    pairs = kicks * np.array([1.0, -1.0])[:, None, None]
    return hidden @ (weights + pairs.reshape(draws, *weights.shape)).swapaxes(1, 2)


def test_gaussian_noise_agrees_within_its_errors() -> None:
    """T, entropy, disagreement and residual from random draws against theory.

    At σ = 0.02 higher orders are 0.3 % of each value or less, the errors of 600 draws about 3 %.
    |z| < 4.5 for four quantities: false alarm 3e-5.
    """
    weights, hidden = linear_head()
    size = 0.02
    fit = effective_temperature(hidden @ weights.T, gaussian_head(size, 600, SEED))
    predicted = theory(weights, hidden)
    scores = {
        "temperature": (1 - fit.beta - predicted["temperature"] * size**2)
        / fit.draw_errors["beta"],
        "disagreement": (fit.disagreement - predicted["disagreement"] * size**2)
        / fit.draw_errors["disagreement"],
        "entropy": (fit.entropy_mean - fit.entropy_clean - predicted["entropy"] * size**2)
        / fit.draw_errors["entropy_mean"],
        "residual": (fit.residual_kl - predicted["residual"] * size**4)
        / fit.draw_errors["residual_kl"],
    }
    assert max(abs(z) for z in scores.values()) < 4.5, scores
    wrong = theory(weights, hidden, cross_term=False)  # negative control
    assert abs(1 - fit.beta - wrong["temperature"] * size**2) > 10 * fit.draw_errors["beta"]


def test_theory_holds_for_the_head_of_a_language_model(
    model: LanguageModel, ids: np.ndarray
) -> None:
    """The whole chain: perturbed copies of a transformer's head, T and disagreement measured.

    σ = 0.01 of the head's rms, 200 draws in pairs. |z| < 4.5 for two: false alarm 1.4e-5.
    """
    hidden = _hidden_states(model, ids)
    weights = model.torch_module.lm_head.weight.double().numpy()
    size = 0.01 * math.sqrt((weights**2).mean())
    noise = WeightNoise(0.01, where="head", seed=SEED)
    fit = effective_temperature(model.logits(ids), sample_logits(model, ids, noise, 200))
    predicted = theory(weights, hidden)
    beta = 1 - predicted["temperature"] * size**2
    assert abs(fit.beta - beta) < 4.5 * fit.draw_errors["beta"]
    assert fit.draw_errors["beta"] < 0.2 * abs(1 - beta)
    disagreement = predicted["disagreement"] * size**2
    assert abs(fit.disagreement - disagreement) < 4.5 * fit.draw_errors["disagreement"]
    assert fit.draw_errors["disagreement"] < 0.03 * disagreement
    assert abs(fit.disagreement - disagreement / 2) > 10 * fit.draw_errors["disagreement"]


def test_only_antithetic_pairs_show_the_residual() -> None:
    """Independent draws hide a residual of order σ⁴ under a floor of disagreement/draws."""
    weights, hidden = linear_head()
    clean, size = hidden @ weights.T, 0.02
    pairs = gaussian_head(size, 32, SEED)
    rng = np.random.default_rng(SEED)
    free = hidden @ (weights + size * rng.normal(size=(32, *weights.shape))).swapaxes(1, 2)
    mirrored = effective_temperature(clean, pairs)
    independent = effective_temperature(clean, free, antithetic=False)
    raw = independent.residual_kl + independent.finite_draw_bias["residual_kl"]
    floor = independent.disagreement / 32
    assert 0.3 * floor < raw < 3 * floor
    assert mirrored.residual_kl + mirrored.finite_draw_bias["residual_kl"] < floor / 20
    assert mirrored.draw_errors["beta"] < independent.draw_errors["beta"] / 5


# --- statistics of the estimator ------------------------------------------------------------------


def finite_population() -> tuple[np.ndarray, np.ndarray]:
    """A clean model and seven equally likely noisy ones: every average is a finite sum."""
    clean = random_clean(5, 6)
    noisy = clean + 0.4 * np.random.default_rng(SEED + 1).normal(size=(7, *clean.shape))
    return clean, noisy


def test_bias_of_few_draws_is_taken_off() -> None:
    """Disagreement and residual of 8 random draws, 400 times, against the exact values.

    The mean of 400 corrected estimates lies within 4.5 of its error (false alarm 1.4e-5 for two);
    the uncorrected means (negative control) are off by many errors.
    """
    clean, population = finite_population()
    _, residual, disagreement, _ = brute_force(clean, population)
    rng = np.random.default_rng(SEED)
    fits = [
        effective_temperature(clean, population[rng.integers(7, size=8)], antithetic=False)
        for _ in range(400)
    ]
    for name, truth in (("disagreement", disagreement), ("residual_kl", residual)):
        corrected = np.array([getattr(fit, name) for fit in fits])
        raw = corrected + [fit.finite_draw_bias[name] for fit in fits]

        def score(x: np.ndarray, truth: float = truth) -> float:
            return float((x.mean() - truth) / (x.std(ddof=1) / math.sqrt(x.size)))

        assert abs(score(corrected)) < 4.5
        assert abs(score(raw)) > 10


def test_draw_errors_are_of_the_right_size() -> None:
    """Spread of 300 independent estimates against the error each of them states.

    The relative uncertainty of the spread of 300 is 4 %, the jackknife's own bias with 12 draws
    about 5 %: a ratio within 25 % of 1. The residual has no linear term in the draws where it is
    small; there the jackknife's variance is up to twice too large (Efron 1982), never too small.
    """
    clean, population = finite_population()
    rng = np.random.default_rng(SEED + 2)
    fits = [
        effective_temperature(clean, population[rng.integers(7, size=12)], antithetic=False)
        for _ in range(300)
    ]
    for name in ("beta", "disagreement", "residual_kl", "aleatoric", "entropy_mean"):
        spread = np.std([getattr(fit, name) for fit in fits], ddof=1)
        stated = math.sqrt(np.mean([fit.draw_errors[name] ** 2 for fit in fits]))
        most = math.sqrt(2) if name == "residual_kl" else 1.0
        assert 0.75 < stated / spread < 1.25 * most, name


def test_text_errors_are_of_the_right_size() -> None:
    """Many texts of 40 positions under one set of frozen draws: spread against stated error.

    200 texts: 5 % on the spread, 5 of them: ratio within 25 % of 1. Positions are independent.
    """
    rng = np.random.default_rng(SEED)
    weights = 1.2 * rng.normal(size=(8, 4))
    draws = weights + 0.3 * rng.normal(size=(4, 8, 4))
    fits = []
    for _ in range(200):
        hidden = rng.normal(size=(40, 4))
        fits.append(effective_temperature(hidden @ weights.T, hidden @ draws.swapaxes(1, 2)))
    for name in ("beta", "disagreement", "residual_kl", "entropy_clean", "beta_entropy"):
        values = [
            getattr(fit, name) + fit.finite_draw_bias.get(name, 0.0) * (name != "beta_entropy")
            for fit in fits
        ]
        stated = math.sqrt(np.mean([fit.text_errors[name] ** 2 for fit in fits]))
        assert stated / np.std(values, ddof=1) == pytest.approx(1.0, abs=0.25), name
