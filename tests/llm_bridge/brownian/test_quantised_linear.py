"""Layers and models of integer weights: the floats they compute with, and noise on top of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm_bridge.brownian import quantised_linear
from llm_bridge.brownian.function_space import FunctionSpaceNoise
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.quantised_linear import QuantisedLinear, quantised_model
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.models import LanguageModel
from llm_bridge.quantised import quantise
from thermo.errors import InvalidInputError

SEED = 20261121


def linear(outputs: int = 24, inputs: int = 16, bias: bool = True) -> torch.nn.Linear:
    layer = torch.nn.Linear(inputs, outputs, bias=bias)
    numbers = np.random.default_rng(SEED)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.from_numpy(numbers.normal(size=tuple(parameter.shape))))
    return layer.requires_grad_(False)


def inputs(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(SEED + 1).normal(size=shape)).float()


# --- the layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("group", [None, 8])
@pytest.mark.parametrize("bias", [True, False])
def test_it_computes_with_the_rounded_weights(bits: int, group: int | None, bias: bool) -> None:
    plain = linear(bias=bias)
    layer = QuantisedLinear.of(plain, bits=bits, group=group)
    rounded = quantise(plain.weight, group, bits=bits)
    assert torch.equal(layer.codes, rounded.codes)
    assert torch.equal(layer.scale, rounded.scale)
    assert (layer.in_features, layer.out_features, layer.bits) == (16, 24, bits)
    assert layer.largest == rounded.largest
    x = inputs(3, 5, 16)
    expected = torch.nn.functional.linear(x, rounded.dequantised(), plain.bias)
    assert torch.equal(layer(x), expected)
    assert not torch.allclose(layer(x), plain(x), atol=1e-6)  # negative control
    assert {name for name, _ in layer.named_parameters()} == ({"bias"} if bias else set())


@pytest.mark.parametrize("block", [1, 16, 100, 24 * 16 - 1])
def test_some_rows_at_a_time_or_all(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = QuantisedLinear.of(linear(), bits=4, group=8)
    x = inputs(2, 3, 16)
    whole = layer(x)
    monkeypatch.setattr(quantised_linear, "_BLOCK", block)
    assert torch.allclose(layer(x), whole, rtol=1e-6, atol=1e-5)
    assert layer(x).shape == (2, 3, 24)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_it_answers_in_the_type_of_its_input(dtype: torch.dtype) -> None:
    layer = QuantisedLinear.of(linear())
    x = inputs(4, 16).to(dtype)
    assert layer(x).dtype == dtype
    rtol = 1e-12 if dtype == torch.float64 else 0.05
    expected = x.double() @ layer.weight.double().T + layer.bias.double()
    assert torch.allclose(layer(x).double(), expected, rtol=rtol, atol=rtol)


def test_layers_of_gpt2_are_turned_round() -> None:
    from transformers.pytorch_utils import Conv1D

    convolution = Conv1D(24, 16).requires_grad_(False)
    layer = QuantisedLinear.of(convolution, group=8)
    assert (layer.in_features, layer.out_features) == (16, 24)
    x = inputs(3, 16)
    assert torch.allclose(layer(x), convolution(x), atol=0.01 * float(convolution(x).abs().max()))


def test_layers_that_are_not_dense() -> None:
    with pytest.raises(
        InvalidInputError, match=r"Embedding was given; accepted: torch\.nn\.Linear"
    ):
        QuantisedLinear.of(torch.nn.Embedding(3, 4))
    with pytest.raises(InvalidInputError, match="divisor of 16"):
        QuantisedLinear.of(linear(), group=5)


# --- the model ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:24]


def test_a_quantised_model_is_a_copy(model: LanguageModel, ids: np.ndarray) -> None:
    before = model.fingerprint
    plain = model.logits(ids)
    rough = quantised_model(model, kinds=("mlp",))
    layers = {
        path for path, each in rough.torch_module.named_modules() if type(each) is QuantisedLinear
    }
    assert layers == {
        f"model.layers.{k}.mlp.{name}_proj" for k in (0, 1) for name in ("gate", "up", "down")
    }
    change = np.abs(rough.logits(ids) - plain).max()
    assert 0 < change < 2
    coarse = quantised_model(model, bits=4, kinds=("mlp",))
    assert np.abs(coarse.logits(ids) - plain).max() > 4 * change
    assert np.array_equal(model.logits(ids), plain)
    assert model.fingerprint == before
    assert rough.vocabulary_size == model.vocabulary_size
    assert (rough.name, coarse.name) == (
        f"{model.name}, 8-bit weights",
        f"{model.name}, 4-bit weights",
    )


def test_its_logits_are_those_of_the_rounded_floats(model: LanguageModel, ids: np.ndarray) -> None:
    rough = quantised_model(model, bits=4, group=16)
    rounded = {
        f"{path}.weight": layer.weight
        for path, layer in rough.torch_module.named_modules()
        if isinstance(layer, QuantisedLinear)
    }
    assert len(rounded) == 2 * 7 + 1
    assert np.array_equal(rough.logits(ids), model.logits(ids, rounded))


def test_a_tied_head_stays(tied_model: LanguageModel, ids: np.ndarray) -> None:
    rough = quantised_model(tied_model)
    module = rough.torch_module
    assert module.lm_head.weight is module.model.embed_tokens.weight
    with pytest.raises(InvalidInputError, match="no dense layers of the kinds head"):
        quantised_model(tied_model, kinds=("head",))


def test_models_that_cannot_be_quantised(model: LanguageModel) -> None:
    before = model.fingerprint
    with pytest.raises(InvalidInputError, match="kinds"):
        quantised_model(model, kinds=["everything"])
    with pytest.raises(InvalidInputError, match="no dense layers of the kinds norm, embedding"):
        quantised_model(model, kinds=["norm", "embedding"])
    with pytest.raises(
        InvalidInputError, match=r"q_proj\.weight has 32 inputs; a divisor of 32 is"
    ):
        quantised_model(model, group=64)
    with pytest.raises(InvalidInputError, match="bits = 3"):
        quantised_model(model, bits=3)
    assert model.fingerprint == before


# --- noise in function space ----------------------------------------------------------------------


@pytest.mark.parametrize("law", ["gaussian", "factorised", "low_rank"])
@pytest.mark.parametrize("bits", [8, 4])
def test_noise_in_function_space_is_that_on_the_same_floats(law: str, bits: int) -> None:
    """σ far below the step: the noise does not know the grid."""
    layer = QuantisedLinear.of(linear(bias=False), bits=bits, group=8)
    floats = linear(bias=False)
    floats.weight.copy_(layer.weight)
    noise = WeightNoise(1e-3, law=law, seed=SEED)
    x = inputs(4, 6, 16)
    kicks = []
    codes = layer.codes.clone()
    for module in (layer, floats):
        clean = module(x)
        with FunctionSpaceNoise(module, noise, draws=4), torch.no_grad():
            kicks.append((module(x) - clean) / 1e-3)
    assert float(kicks[0].abs().min(dim=-1).values.max()) > 0
    assert torch.allclose(kicks[0], kicks[1], atol=0.02)  # rounding of 1e-5 over σ
    assert torch.equal(layer.codes, codes)


def test_function_space_on_a_quantised_model_is_its_law_on_the_rounded_floats(
    model: LanguageModel, ids: np.ndarray
) -> None:
    """Mean square change of the logits, beside copies of the floats that the codes stand for.

    100 draws each; |z| < 5: false alarm 6e-7. Negative control: half the σ.
    """
    rough = quantised_model(model, bits=4, group=16, kinds=("mlp",))
    floats = quantised_model(model, bits=4, group=16, kinds=("mlp",)).torch_module
    for path, layer in list(floats.named_modules()):
        if isinstance(layer, QuantisedLinear):
            parent, _, name = path.rpartition(".")
            plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=False)
            plain.weight = torch.nn.Parameter(layer.weight)
            setattr(floats.get_submodule(parent), name, plain)
    same = LanguageModel(floats, model.tokenizer)
    np.testing.assert_allclose(same.logits(ids), rough.logits(ids), atol=1e-5)

    def mean_square(read: LanguageModel, sigma: float, machine: str) -> tuple[float, float]:
        noise = WeightNoise(sigma, where="mlp", seed=SEED)
        noisy = sample_logits(read, ids, noise, 100, machine, antithetic=False)
        squares = ((noisy.astype(float) - read.logits(ids)) ** 2).mean(axis=(1, 2))
        return float(squares.mean()), float(squares.std(ddof=1) / 10)

    ours, error = mean_square(rough, 0.01, "function_space")
    theirs, their_error = mean_square(same, 0.01, "copies")
    assert abs(ours - theirs) < 5 * np.hypot(error, their_error)
    half, half_error = mean_square(rough, 0.005, "function_space")
    assert abs(half - theirs) > 5 * np.hypot(half_error, their_error)
