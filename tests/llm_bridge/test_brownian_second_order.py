"""Predictions for weak noise: against exact integrals, derivatives by hand, and drawn weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax, xlogy

from llm_bridge.brownian import WeightNoise, effective_temperature, sample_logits
from llm_bridge.brownian.kicks import kick, stream_of
from llm_bridge.brownian.noise import LAWS
from llm_bridge.brownian.second_order import SecondOrder, second_order, second_order_of
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError

SEED = 20261121


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:12]


@pytest.fixture(scope="module")
def hidden(model: LanguageModel, ids: np.ndarray) -> np.ndarray:
    """What the head reads (N, d)."""
    import torch

    with torch.no_grad():
        out = model.torch_module.model(input_ids=torch.from_numpy(ids)[None])
    return out.last_hidden_state[0].double().numpy()


# ------------------------------------------------------------------------------------------------
# exact: Gaussian logits of known covariance, integrated by Gauss–Hermite quadrature


def three_tokens(*, cooling: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (2, 3), covariance (2, 3, 3) and shift (2, 3), none of it symmetric in the tokens."""
    logits = np.array([[1.2, 0.1, -0.9], [0.3, -0.6, 0.8]])
    rng = np.random.default_rng(SEED)
    root = rng.normal(size=(2, 3, 3))
    shift = rng.normal(size=(2, 3))
    if cooling:  # the likelier a token, the more it is pushed up
        shift = 2.0 * logits
    return logits, root @ root.swapaxes(1, 2), shift


def gaussian_average(
    logits: np.ndarray, covariance: np.ndarray, shift: np.ndarray, sigma: float, nodes: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Mean distribution (N, V) and mean entropy (N,) over logits z + σ²b + σΣ^{1/2}ξ, exactly."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    tokens = logits.shape[1]
    grid = np.stack(np.meshgrid(*[x] * tokens, indexing="ij")).reshape(tokens, -1)
    weight = np.prod(np.meshgrid(*[w / w.sum()] * tokens, indexing="ij"), axis=0).ravel()
    mean, entropy = np.empty_like(logits), np.empty(len(logits))
    for t, (z, cov, b) in enumerate(zip(logits, covariance, shift, strict=True)):
        root = np.linalg.cholesky(cov + 1e-14 * np.eye(tokens))
        p = softmax((z + sigma**2 * b)[:, None] + sigma * root @ grid, axis=0)
        mean[t] = p @ weight
        entropy[t] = -(xlogy(p, p).sum(axis=0) @ weight)
    return mean, entropy


def measured(logits: np.ndarray, mean: np.ndarray, members: np.ndarray) -> dict[str, float]:
    """What the predictions are of, from the mean distribution itself."""
    energy = (mean * logits).sum(axis=1).mean()
    entropy = -xlogy(mean, mean).sum(axis=1).mean()

    def thermal(beta: float) -> np.ndarray:
        return softmax(beta * logits, axis=1)

    beta = brentq(lambda b: (thermal(b) * logits).sum(1).mean() - energy, 0.05, 5, xtol=1e-15)
    hot = brentq(lambda b: -xlogy(thermal(b), thermal(b)).sum(1).mean() - entropy, 0.05, 5)
    return {
        "temperature": 1 / beta,
        "temperature_entropy": 1 / hot,
        "residual_kl": (mean * (np.log(mean) - log_softmax(beta * logits, axis=1))).sum(1).mean(),
        "disagreement": entropy - members.mean(),
        "entropy_mean": entropy,
        "aleatoric": members.mean(),
    }


@cache
def exactly(cooling: bool, sigma: float) -> dict[str, float]:
    system = three_tokens(cooling=cooling)
    return measured(system[0], *gaussian_average(*system, sigma))


NAMES = ("temperature", "residual_kl", "disagreement", "entropy_mean", "aleatoric")


@pytest.mark.parametrize("cooling", [False, True], ids=["heating", "cooling"])
@pytest.mark.parametrize("name", [*NAMES, "temperature_entropy"])
def test_what_is_left_out_is_of_the_next_order(name: str, cooling: bool) -> None:
    """Richardson: halving σ divides measured − predicted by 16 (σ⁴), of the residual by 64 (σ⁶)."""
    theory = second_order_of(*three_tokens(cooling=cooling))
    predicted = "temperature" if name == "temperature_entropy" else name
    off = [exactly(cooling, s)[name] - getattr(theory.at(s), predicted) for s in (0.08, 0.04, 0.02)]
    order = 64 if name == "residual_kl" else 16
    assert off[0] / off[1] == pytest.approx(order, rel=0.12)
    assert off[1] / off[2] == pytest.approx(order, rel=0.04)
    assert theory.temperature.value < 0 if cooling else theory.temperature.value > 0


def test_mean_distribution() -> None:
    """p̄ = p[1 + σ²(g − ⟨g⟩)] and softmax(z + σ²g): both off by order σ⁴."""
    system = three_tokens()
    theory = second_order_of(*system)
    p = softmax(theory.logits, axis=1)
    gain = theory.shift + 0.5 * theory.spread
    gain -= (p * gain).sum(axis=1, keepdims=True)
    off = []
    for sigma in (0.08, 0.04, 0.02):
        mean, _ = gaussian_average(*system, sigma)
        linear = p * (1 + sigma**2 * gain)
        shifted = softmax(theory.shifted_logits(sigma), axis=1)
        off.append(np.linalg.norm([mean - linear, mean - shifted], axis=-1))
    assert off[0] / off[1] == pytest.approx(16 * np.ones((2, 2)), rel=0.15)
    assert off[1] / off[2] == pytest.approx(16 * np.ones((2, 2)), rel=0.05)


def wrong(theory: SecondOrder, mistake: str) -> SecondOrder:
    """The same predictions with one of three mistakes."""
    logits, covariance, shift = three_tokens()
    if mistake == "no shift":
        return second_order_of(logits, covariance)
    if mistake == "no half":  # g = b + v
        doubled = second_order_of(logits, 2 * covariance, shift)
        return replace(doubled, disagreement=theory.disagreement)
    # Σ_ii in place of (e_i − p)ᵀΣ(e_i − p): the part that all logits share counted as noise
    p = softmax(logits, axis=1)
    plain = np.einsum("tii->ti", covariance)
    u = -np.log(p)
    centred = u - (p * u).sum(axis=1, keepdims=True)
    heat = (p * (shift + 0.5 * plain) * centred).sum(axis=1).mean()
    slope = heat / (p * centred**2).sum(axis=1).mean()
    disagreement = 0.5 * (p * plain).sum(axis=1).mean()
    return replace(
        theory,
        temperature=theory.temperature._replace(value=slope),
        disagreement=theory.disagreement._replace(value=disagreement),
    )


@pytest.mark.parametrize("mistake", ["no shift", "no half", "not centred"])
def test_richardson_sees_mistakes(mistake: str) -> None:
    """Negative controls: with a mistake in the theory the difference is of order σ² (4, not 16)."""
    theory = wrong(second_order_of(*three_tokens()), mistake)
    off = [exactly(False, s)["temperature"] - theory.at(s).temperature for s in (0.04, 0.02)]
    assert off[0] / off[1] == pytest.approx(4, rel=0.15)
    if mistake == "not centred":
        off = [exactly(False, s)["disagreement"] - theory.at(s).disagreement for s in (0.04, 0.02)]
        assert off[0] / off[1] == pytest.approx(4, rel=0.15)


def test_uncentred_moments_are_seen() -> None:
    """⟨g u⟩ in place of Cov(g, u) depends on what is added to all logits, and is wrong."""
    logits, covariance, shift = three_tokens()
    theory = second_order_of(logits, covariance, shift)
    moved = second_order_of(logits + 7.0, covariance, shift + 3.0)
    for name in ("temperature", "residual_kl", "disagreement", "entropy"):
        assert getattr(moved, name).value == pytest.approx(getattr(theory, name).value, rel=1e-9)
    p = softmax(logits, axis=1)
    uncentred = (p * (theory.shift + 0.5 * theory.spread) * -np.log(p)).sum(axis=1).mean()
    change = exactly(False, 0.02)["entropy_mean"] + xlogy(p, p).sum(axis=1).mean()
    assert change / 0.02**2 == pytest.approx(theory.entropy.value, rel=0.01)
    assert abs(change / 0.02**2 - uncentred) > 0.5 * abs(theory.entropy.value)


def test_two_tokens_always_have_a_temperature() -> None:
    """One gap per position, one position: p̄ is a softmax, whatever the noise."""
    logits, covariance = np.array([[0.7, -0.4]]), np.array([[[0.5, 0.2], [0.2, 2.0]]])
    theory = second_order_of(logits, covariance, [[0.3, -0.1]])
    assert abs(theory.residual_kl.value) < 1e-15
    assert theory.temperature_share.value == pytest.approx(1.0)
    mean, members = gaussian_average(logits, covariance, np.array([[0.3, -0.1]]), 0.05, nodes=40)
    found = measured(logits, mean, members)
    assert found["temperature"] - 1 == pytest.approx(0.05**2 * theory.temperature.value, rel=0.01)
    # by hand: gap Δ = z₁ − z₂ has variance s², so δp₁ = p₁p₂[δΔ + ½(p₂ − p₁)s²]
    p = softmax(logits, axis=1)[0]
    variance = 0.5 + 2.0 - 2 * 0.2
    by_hand = (0.4 + 0.5 * (p[1] - p[0]) * variance) / (logits[0, 1] - logits[0, 0])
    assert theory.temperature.value == pytest.approx(by_hand)


def test_independent_noise_on_all_logits_never_cools() -> None:
    """v = s²(1 − 2p + Σp²) falls with p and u = −ln p does too: Cov(v, u) ≥ 0."""
    rng = np.random.default_rng(SEED)
    for _ in range(50):
        logits = rng.normal(size=(3, 12)) * rng.uniform(0.1, 6)
        variance = np.broadcast_to(rng.uniform(0.1, 2, size=(3, 1)), logits.shape)
        assert second_order_of(logits, variance).temperature.value > 0
    # Noise on a single token makes just that one likelier: it cools if that is the likeliest one.
    assert second_order_of([[0.5, 0.0, -0.2]], [[1.0, 0.0, 0.0]]).temperature.value < 0


def test_zipf_vocabulary() -> None:
    """p ∝ 1/rank over 50 000 tokens, the same noise on all logits: almost all disagreement."""
    logits = -np.log(np.arange(1, 50_001))[None]
    theory = second_order_of(logits, np.ones_like(logits))
    assert theory.temperature.value == pytest.approx(0.0054, abs=5e-5)
    assert theory.disagreement.value == pytest.approx(0.494, abs=5e-4)
    weak = theory.at(0.3)
    assert weak.disagreement == pytest.approx(0.09 * theory.disagreement.value)
    assert weak.aleatoric < -(softmax(logits) * log_softmax(logits)).sum()  # members sharpen


def test_levels_cross_where_ranks_swap() -> None:
    """Two tokens 10⁻⁴ apart swap at σ² = ln(p_i/p_j)/(g_j − g_i), and not before."""
    gap = 1e-4
    logits = np.array([[gap, 0.0, -1.0]])
    covariance, shift = np.diag([0.2, 1.5, 0.3])[None], np.zeros((1, 3))
    theory = second_order_of(logits, covariance)
    gain = (theory.shift + 0.5 * theory.spread)[0]
    crossing = np.sqrt(gap / (gain[1] - gain[0]))
    for sigma, swapped in ((0.99 * crossing, False), (1.01 * crossing, True)):
        mean, _ = gaussian_average(logits, covariance, shift, sigma)
        assert (mean[0, 1] > mean[0, 0]) == swapped
        assert theory.at(sigma).rank_swaps == pytest.approx(1 / 3 if swapped else 0.0)
    same = second_order_of(logits, np.ones((1, 3, 3)))  # noise that all share: nothing happens
    assert same.at(5.0).rank_swaps == 0.0
    assert same.at(5.0).temperature == pytest.approx(1.0)


# ------------------------------------------------------------------------------------------------
# derivatives of a transformer


def in_float64(module):
    """A copy that computes in float64 throughout: Llama's own norms do so in float32 only."""
    import copy

    import torch

    exact = copy.deepcopy(module).double()
    for parent in list(exact.modules()):
        for name, child in parent.named_children():
            if type(child).__name__ == "LlamaRMSNorm":
                norm = torch.nn.RMSNorm(len(child.weight), child.variance_epsilon)
                norm.weight = child.weight
                setattr(parent, name, norm)
    return exact


def by_differences(
    model: LanguageModel, ids: np.ndarray, noise: WeightNoise, probes: int, step: float = 1e-3
) -> tuple[np.ndarray, np.ndarray]:
    """Shift and spread (N, V) from differences of logits in float64, along the noise's draws."""
    import torch

    module = in_float64(model.torch_module)
    tokens = torch.from_numpy(ids)[None]

    def read(weights: dict[str, torch.Tensor]) -> np.ndarray:
        with torch.no_grad():
            out = torch.func.functional_call(module, weights, (), {"input_ids": tokens})
        return out.logits[0].numpy()[:, model.valid]

    unit = replace(noise, sigma=1.0)
    chosen = selected_tensors(model.torch_module, unit)
    clean = read({})
    p = softmax(clean, axis=1)
    shift, spread = np.zeros_like(clean), np.zeros_like(clean)
    for draw in range(probes):
        sides = []
        for sign in (step, -step):
            moved = {
                tensor.name: tensor.tensor.double()
                + sign * kick(tensor, unit, stream_of(tensor, unit, draw)).double()
                for tensor in chosen
            }
            sides.append(read(moved))
        slope = (sides[0] - sides[1]) / (2 * step)
        slope -= (p * slope).sum(axis=1, keepdims=True)
        spread += slope**2 / probes
        shift += 0.5 * (sides[0] + sides[1] - 2 * clean) / step**2 / probes
    return shift, spread


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("where", ["embedding", "norm", "attention", "mlp"])
def test_derivatives_are_those_of_differences(model: LanguageModel, text: str, where: str) -> None:
    """Within 1e-3 of the largest, of differences of logits in float64."""
    ids = model.encode(text)[:7]
    noise = WeightNoise(0.3, where=where, seed=SEED)
    theory = second_order(model, ids, noise, probes=2)
    shift, spread = by_differences(model, ids, noise, 2)
    assert np.abs(shift).max() > 0.01
    assert relative(theory.shift, shift) < 1e-3
    assert relative(theory.spread, spread) < 1e-3
    assert theory.probes == 2
    assert np.isnan(theory.temperature.error)  # two probes cannot tell


def test_every_probe_counts_alike(model: LanguageModel, text: str) -> None:
    """More probes than blocks, and no multiple of them: the mean over probes all the same."""
    ids = model.encode(text)[:5]
    noise = WeightNoise(0.3, where="norm", seed=SEED)
    theory = second_order(model, ids, noise, probes=19)
    shift, spread = by_differences(model, ids, noise, 19)
    assert relative(theory.shift, shift) < 1e-3
    assert relative(theory.spread, spread) < 1e-3
    p = softmax(theory.logits, axis=1)
    assert theory.disagreement.value == pytest.approx(0.5 * (p * spread).sum(1).mean(), rel=1e-3)


def test_tied_weights_are_moved_in_both_places(tied_model: LanguageModel, text: str) -> None:
    ids = tied_model.encode(text)[:7]
    noise = WeightNoise(0.3, where="head", seed=SEED)
    theory = second_order(tied_model, ids, noise, probes=2)
    shift, spread = by_differences(tied_model, ids, noise, 2)
    assert relative(theory.shift, shift) < 1e-3  # not zero: no linear head any more
    assert relative(theory.spread, spread) < 1e-3


def test_layers_of_other_families() -> None:
    """GPT-2: transposed linear layers with biases, GELU, layer norms, learned positions, tied."""
    import torch
    import transformers

    config = transformers.GPT2Config(
        vocab_size=40, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0,
        eos_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = transformers.GPT2LMHeadModel(config)

    class Words:
        def get_vocab(self) -> dict[str, int]:
            return {f"t{i}": i for i in range(40)}

    model = LanguageModel(module, Words())
    ids = np.array([3, 1, 4, 1, 5])
    noise = WeightNoise(0.3, scale="absolute", seed=SEED)  # biases are zero: no relative noise
    theory = second_order(model, ids, noise, probes=2)
    shift, spread = by_differences(model, ids, noise, 2, step=1e-4)
    assert relative(theory.shift, shift) < 2e-3
    assert relative(theory.spread, spread) < 2e-3


@pytest.mark.parametrize("law", LAWS)
def test_head_in_closed_form(
    model: LanguageModel, ids: np.ndarray, hidden: np.ndarray, law: str
) -> None:
    """v from 3000 kicks of the head: its mean over tokens within 4.5 errors at each of 5 positions.

    Laws of rank one have few independent numbers, so errors are over kicks. False alarm 2e-4 in
    all (Student's t of 2999 for 25 numbers: 1.7e-4).
    """
    noise = WeightNoise(0.1, law=law, where="head", seed=SEED)
    theory = second_order(model, ids[:5], noise)
    assert theory.probes == 0
    assert not theory.shift.any()
    unit = replace(noise, sigma=1.0)
    (tensor,) = selected_tensors(model.torch_module, unit)
    p = softmax(theory.logits, axis=1)
    stream = stream_of(tensor, unit, 0)
    squares = []
    for _ in range(3000):
        moved = kick(tensor, unit, stream).double().numpy()[model.valid]
        change = hidden[:5] @ moved.T
        change -= (p * change).sum(axis=1, keepdims=True)
        squares.append([(change**2).mean(axis=1), (p * change**2).sum(axis=1)])
    drawn = np.array(squares)  # (kicks, 2, positions)
    expected = [theory.spread.mean(axis=1), (p * theory.spread).sum(axis=1)]
    error = drawn.std(axis=0, ddof=1) / np.sqrt(len(drawn))
    scores = (drawn.mean(axis=0) - expected) / error
    assert np.abs(scores).max() < 4.5
    other = "gaussian" if law == "multiplicative" else "multiplicative"  # negative control
    confused = second_order(model, ids[:5], replace(noise, law=other))
    expected = [confused.spread.mean(axis=1), (p * confused.spread).sum(axis=1)]
    assert np.abs((drawn.mean(axis=0) - expected) / error).max() > 4.5


def test_places_add_up(model: LanguageModel, ids: np.ndarray) -> None:
    """Independent noise in two places: their coefficients of σ² add, that of the head exactly."""
    head, norm, both = (
        second_order(model, ids, WeightNoise(0.1, where=where, seed=SEED), probes=6)
        for where in ("head", "norm", ["head", "norm"])
    )
    for name in ("temperature", "disagreement", "entropy", "aleatoric"):
        parts = getattr(head, name).value + getattr(norm, name).value
        assert getattr(both, name).value == pytest.approx(parts, rel=1e-5)
    assert both.temperature.error == pytest.approx(norm.temperature.error, rel=1e-4)
    assert head.temperature.error == 0.0


def test_errors_cover_the_truth(model: LanguageModel, text: str) -> None:
    """A tensor of 32 weights, where all 32 directions can be summed: the exact answer.

    64 probes in 16 blocks: |t| < 7 for five quantities of 15 degrees of freedom, false alarm 2e-5.
    Of few probes, the square of the mean is too large by its noise (negative control).
    """
    import torch

    name = "model.layers.0.input_layernorm.weight"
    noise = WeightNoise(0.1, where=name, seed=SEED)
    ids = model.encode(text)[:6]
    theory = second_order(model, ids, noise, probes=64)

    module = in_float64(model.torch_module)
    weight = module.get_parameter(name).detach()
    tokens, step = torch.from_numpy(ids)[None], 1e-4

    def read(w: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            out = torch.func.functional_call(module, {name: w}, (), {"input_ids": tokens})
        return out.logits[0].numpy()[:, model.valid]

    size = float(weight.square().mean().sqrt())
    clean, columns, shift = read(weight), [], 0.0
    for direction in torch.eye(len(weight), dtype=torch.float64) * size:
        up, down = read(weight + step * direction), read(weight - step * direction)
        columns.append((up - down) / (2 * step))
        shift += 0.5 * (up + down - 2 * clean) / step**2
    jacobian = np.stack(columns, axis=-1)  # (N, V, 32)
    exact = second_order_of(clean, np.einsum("tia,tja->tij", jacobian, jacobian), shift)
    for quantity in ("temperature", "residual_kl", "disagreement", "entropy", "aleatoric"):
        value, error = getattr(theory, quantity)
        truth = getattr(exact, quantity).value
        assert abs(value - truth) < 7 * error, quantity
        assert error < 0.5 * abs(truth), quantity
    few = second_order(model, ids, noise, probes=8)
    gain = few.shift + 0.5 * few.spread
    squared = second_order_of(few.logits, np.zeros_like(gain), gain).residual_kl.value
    assert squared > 1.1 * few.residual_kl.value


@pytest.mark.parametrize(("where", "largest"), [("attention", 0.015), ("mlp", 0.06)])
def test_drawn_weights_differ_at_the_next_order(
    model: LanguageModel, text: str, where: str, largest: float
) -> None:
    """The whole chain on a transformer: the same 4 directions predicted and drawn as ± pairs.

    Whatever the draws, the mean over pairs has the b and v of just these directions: no sampling
    error is left, and measured − predicted falls 16-fold (the residual's 64-fold) with σ/2.
    """
    ids = model.encode(text)[:24]
    noise = WeightNoise(0.0, where=where, seed=SEED)
    theory = second_order(model, ids, noise, probes=4)
    p = softmax(theory.logits, axis=1)
    u = -np.log(p)
    gain = theory.shift + 0.5 * theory.spread

    def covariance(a: np.ndarray, b: np.ndarray) -> float:
        product = (p * a * b).sum(1) - (p * a).sum(1) * (p * b).sum(1)
        return float(product.mean())

    raw = 0.5 * (covariance(gain, gain) - covariance(gain, u) ** 2 / covariance(u, u))
    off = []
    sizes = (largest, largest / 2)
    for sigma in sizes:
        noisy = sample_logits(model, ids, replace(noise, sigma=sigma), 8, "copies")
        fit = effective_temperature(model.logits(ids), noisy, model.valid)
        weak, bias = theory.at(sigma), fit.finite_draw_bias
        off.append(
            [
                fit.temperature - weak.temperature,
                fit.entropy_mean + bias["entropy_mean"] - weak.entropy_mean,
                fit.disagreement + bias["disagreement"] - weak.disagreement,
                fit.aleatoric - weak.aleatoric,
                fit.residual_kl + bias["residual_kl"] - sigma**4 * raw,
            ]
        )
    ratio = np.array(off[0]) / np.array(off[1])
    assert ratio[:4] == pytest.approx([16] * 4, rel=0.25)
    assert ratio[4] == pytest.approx(64, rel=0.25)
    effect = theory.temperature.value * sizes[1] ** 2
    assert abs(off[1][0]) < 0.2 * abs(effect)


# ------------------------------------------------------------------------------------------------
# what is refused, and what stays as it was


def test_model_is_left_as_it_was(model: LanguageModel, ids: np.ndarray) -> None:
    def digest() -> str:
        state = model.torch_module.state_dict()
        return hashlib.sha256(b"".join(w.numpy().tobytes() for w in state.values())).hexdigest()

    before = digest()
    second_order(model, ids, WeightNoise(0.1), probes=2)
    assert digest() == before
    head = model.torch_module.get_output_embeddings()
    assert not head._forward_hooks
    assert all(parameter.grad is None for parameter in model.torch_module.parameters())


def test_longer_than_the_context(model: LanguageModel, text: str) -> None:
    """Windows as in LanguageModel.logits, at every position."""
    ids = model.encode(text)[:100]
    assert model.context_length == 64
    theory = second_order(model, ids, WeightNoise(0.1, where=["norm", "head"]), probes=2)
    assert np.array_equal(theory.logits, model.logits(ids)[:, model.valid].astype(np.float64))
    short = second_order(model, ids[:64], WeightNoise(0.1, where=["norm", "head"]), probes=2)
    assert relative(theory.spread[:64], short.spread) < 1e-3
    assert theory.spread.shape == theory.logits.shape == (100, int(model.valid.sum()))


def test_bad_requests(model: LanguageModel, ids: np.ndarray) -> None:
    noise = WeightNoise(0.1)
    with pytest.raises(InvalidInputError, match="probes = 1"):
        second_order(model, ids, noise, probes=1)
    with pytest.raises(InvalidInputError, match="progress"):
        second_order(model, ids, noise, progress="no")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedNoiseError, match=r"'annealed'.*'quenched' is accepted"):
        second_order(model, ids, WeightNoise(0.1, correlation="annealed"))
    with pytest.raises(InvalidInputError, match="matches none"):
        second_order(model, ids, WeightNoise(0.1, where="heat"))
    with pytest.raises(InvalidInputError, match="not in this model's vocabulary"):
        second_order(model, [10**6], noise)
    theory = second_order(model, ids, WeightNoise(0.1, where="head"))
    with pytest.raises(InvalidInputError, match=r"sigma = -0\.1"):
        theory.at(-0.1)
    with pytest.raises(InvalidInputError, match="temperature above 1 is accepted"):
        theory.sigma_for(0.9)
    assert theory.sigma_for(1.0) == (0.0, 0.0)
    sigma, error = theory.sigma_for(1.01)
    assert theory.at(sigma).temperature == pytest.approx(1.01)
    assert error == 0.0


def test_bad_covariances() -> None:
    with pytest.raises(InvalidInputError, match=r"covariance \(3,\)"):
        second_order_of([[0.0, 1.0]], [1.0, 2.0, 3.0])
    with pytest.raises(InvalidInputError, match="all equal"):
        second_order_of([[1.0, 1.0]], [[1.0, 1.0]])
    with pytest.raises(InvalidInputError, match="finite numbers"):
        second_order_of([[1.0, np.inf]], [[1.0, 1.0]])


def test_layers_that_cannot_be_differentiated(model: LanguageModel, ids: np.ndarray) -> None:
    import torch

    class Opaque(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return 2 * gradient

    class Doubled(torch.nn.Module):
        def forward(self, x):
            return Opaque.apply(x)

    import copy

    module = copy.deepcopy(model.torch_module)
    module.model.layers[0].mlp.act_fn = Doubled()
    other = LanguageModel(module, model.tokenizer)
    with pytest.raises(UnsupportedNoiseError, match="accepted: draws of the noise"):
        second_order(other, ids, WeightNoise(0.1, where="attention"), probes=2)
    assert second_order(other, ids, WeightNoise(0.1, where="head")).probes == 0


def test_head_with_something_after_it_is_not_taken_for_linear(
    model: LanguageModel, ids: np.ndarray
) -> None:
    """Capped logits, 3·tanh(z/3): derivatives in place of the closed form."""
    import copy

    import torch

    class Capped(torch.nn.Module):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.inner = module

        def get_output_embeddings(self) -> torch.nn.Module:
            return self.inner.get_output_embeddings()

        def forward(self, input_ids, **options):
            answer = self.inner(input_ids=input_ids, **options)
            answer.logits = 3 * torch.tanh(answer.logits / 3)
            return answer

    capped = LanguageModel(Capped(copy.deepcopy(model.torch_module)), model.tokenizer)
    noise = WeightNoise(0.1, where="head", seed=SEED)
    theory = second_order(capped, ids[:5], noise, probes=2)
    shift, spread = by_differences(capped, ids[:5], noise, 2)
    assert theory.probes == 2
    assert relative(theory.spread, spread) < 1e-3
    assert relative(theory.shift, shift) < 3e-3
