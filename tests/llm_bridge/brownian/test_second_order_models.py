"""Predictions for weak noise on transformers: derivatives by hand, and drawn weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from llm_bridge.brownian import WeightNoise, effective_temperature, sample_logits
from llm_bridge.brownian.kicks import kick, stream_of
from llm_bridge.brownian.noise import LAWS
from llm_bridge.brownian.second_order import second_order, second_order_of
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.models import LanguageModel

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


def test_longer_than_the_context(model: LanguageModel, text: str) -> None:
    """Windows as in LanguageModel.logits, at every position."""
    ids = model.encode(text)[:100]
    assert model.context_length == 64
    theory = second_order(model, ids, WeightNoise(0.1, where=["norm", "head"]), probes=2)
    assert np.array_equal(theory.logits, model.logits(ids)[:, model.valid].astype(np.float64))
    short = second_order(model, ids[:64], WeightNoise(0.1, where=["norm", "head"]), probes=2)
    assert relative(theory.spread[:64], short.spread) < 1e-3
    assert theory.spread.shape == theory.logits.shape == (100, int(model.valid.sum()))


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
