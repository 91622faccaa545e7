"""Noise on quantised weights: ternary kicks of whole steps, and codes that are never changed."""

from __future__ import annotations

import copy
import math
import re
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from llm_bridge.brownian import WeightNoise, sample_logits
from llm_bridge.brownian.kicks import displaced, kick, require_kicks, stream_of
from llm_bridge.brownian.selection import NoisyTensor, selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from llm_bridge.quantised import quantise

SEED = 20261121
SIGMA = 0.004  # below every step of 8 bits


class Quantised(torch.nn.Module):
    """The least that a quantised layer has."""

    largest = 127

    def __init__(self, linear: torch.nn.Linear, group: int = 16) -> None:
        super().__init__()
        matrix = quantise(linear.weight, group)
        self.out_features, self.in_features = matrix.codes.shape
        self.register_buffer("codes", matrix.codes)
        self.register_buffer("scale", matrix.scale)

    @property
    def weight(self) -> torch.Tensor:
        grouped = self.codes.reshape(*self.scale.shape, -1).float()
        return (grouped * self.scale[..., None]).reshape(self.codes.shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T


@pytest.fixture(scope="module")
def quantised(model: LanguageModel) -> LanguageModel:
    """The tiny model with 8-bit attention and MLPs."""
    module = copy.deepcopy(model.torch_module)
    for layer in module.model.layers:
        for block in (layer.self_attn, layer.mlp):
            for name, linear in list(block.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    setattr(block, name, Quantised(linear))
    return LanguageModel(module, model.tokenizer, name="tiny, 8 bits")


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:8]


def test_codes_are_selected_as_weights(quantised: LanguageModel, model: LanguageModel) -> None:
    noise = WeightNoise(0.1, where=["attention", "*.down_proj.weight"])
    ours = selected_tensors(quantised.torch_module, noise)
    plain = selected_tensors(model.torch_module, noise)
    assert [t.name for t in ours] == [t.name for t in plain]
    for tensor, other in zip(ours, plain, strict=True):
        layer = quantised.torch_module.get_submodule(tensor.name.removesuffix(".weight"))
        assert tensor.tensor is layer.codes
        assert tensor.step is layer.scale
        assert tensor.stored_as(tensor.name) == tensor.name.removesuffix("weight") + "codes"
        assert tensor.size == pytest.approx(0.1 * float(layer.weight.double().pow(2).mean().sqrt()))
        assert tensor.size == pytest.approx(other.size, rel=1e-3)
    every = selected_tensors(quantised.torch_module, WeightNoise(0.1))
    assert len({tensor.place for tensor in every}) == len(every)
    assert not [tensor.name for tensor in every if tensor.name.endswith(("codes", "scale"))]


def test_law_of_the_steps() -> None:
    """Mean 0, variance σ²s² in units of each group's own step, kurtosis Δ²/σ²s², uncorrelated.

    3000 draws of 4 groups of 30 codes. Largest of 12 + 1 |z| below 5: false alarm 8e-6.
    """
    step = torch.tensor([[1.0, 2.0], [0.5, 0.0]])
    codes = torch.randint(-6, 7, (2, 60), dtype=torch.int8, generator=torch.manual_seed(1))
    size = 0.4
    tensor = NoisyTensor(("weight",), 0, codes, size, step, 7)
    noise = WeightNoise(0.4, law="ternary", seed=SEED)
    steps = np.stack(
        [kick(tensor, noise, stream_of(tensor, noise, k)).numpy() for k in range(3000)]
    ).astype(float)
    assert set(np.unique(steps)) == {-1.0, 0.0, 1.0}
    groups = (steps.reshape(3000, 2, 2, 30) * step.numpy()[..., None]).reshape(3000, 4, 30)

    def score(values: np.ndarray, expected: float) -> float:
        return float((values.mean() - expected) / (values.std(ddof=1) / math.sqrt(len(values))))

    worst = []
    for group, unit in ((0, 1.0), (1, 2.0), (2, 0.5)):
        x = groups[:, group]
        worst += [
            score(x.mean(axis=1), 0.0),
            score((x**2).mean(axis=1), size**2),
            score((x**4).mean(axis=1), size**2 * unit**2),
            score((x[:, 1:] * x[:, :-1]).mean(axis=1), 0.0),
        ]
    assert not groups[:, 3].any()
    worst.append(score((groups[:, 0] * groups[:, 1]).mean(axis=1), 0.0))
    assert max(map(abs, worst)) < 5.0, worst
    assert abs(score((groups[:, 0] ** 2).mean(axis=1), 2 * size**2)) > 10.0  # negative control


@pytest.mark.parametrize("size", [0.75, 1.0, 2.2, 3.0])
def test_kicks_of_several_steps(size: float) -> None:
    """Noise of more than a step: ±⌈σs/Δ⌉ steps, with the variance σ²s² and no mean.

    4000 draws of 40 codes, largest of three |z| below 5: false alarm 2e-6. Negative control: the
    variance of kicks of one step less.
    """
    length = math.ceil(size)
    codes = torch.randint(-7 + length, 8 - length, (1, 40), generator=torch.manual_seed(2))
    tensor = NoisyTensor(("weight",), 0, codes.to(torch.int8), size, torch.tensor([[1.0]]), 7)
    noise = WeightNoise(size, law="ternary", scale="absolute", seed=SEED)
    steps = np.stack(
        [kick(tensor, noise, stream_of(tensor, noise, k)).numpy() for k in range(4000)]
    ).astype(float)
    assert set(np.unique(np.abs(steps))) <= {0.0, float(length)}
    for values, expected in (
        (steps.mean(axis=(1, 2)), 0.0),
        ((steps**2).mean(axis=(1, 2)), size**2),
        ((steps[..., 1:] * steps[..., :-1]).mean(axis=(1, 2)), 0.0),
    ):
        error = values.std(ddof=1) / math.sqrt(len(values))
        assert abs(values.mean() - expected) <= 5 * error + 1e-12
    if length > 1:
        shorter = (steps**2 * ((length - 1) / length) ** 2).mean(axis=(1, 2))
        assert size**2 - shorter.mean() > 10 * shorter.std(ddof=1) / math.sqrt(4000)


def test_long_kicks_stay_within_the_range() -> None:
    """127 + 63 would not fit an int8: a code that has not this room on both sides stays."""
    codes = torch.arange(-127, 128, dtype=torch.int8)[None]
    tensor = NoisyTensor(("weight",), 0, codes, 62.5, torch.tensor([[1.0]]), 127)
    noise = WeightNoise(62.5, law="ternary", scale="absolute")
    for draw in range(20):
        moved = kick(tensor, noise, stream_of(tensor, noise, draw)).int()
        assert not moved[codes.int().abs() > 64].any()
        assert moved[codes.int().abs() <= 64].any()
        for sign in (1, -1):
            noisy = displaced(tensor, moved.to(torch.int8), sign)
            assert torch.equal(noisy.int(), codes.int() + sign * moved)


def test_codes_at_the_ends_stay() -> None:
    """Kicked inwards only they would have a mean; and an int8 of 127 + 1 would be −128."""
    codes = torch.tensor([[127, -127, 126, -126, 0]], dtype=torch.int8).repeat(1, 40)
    tensor = NoisyTensor(("weight",), 0, codes, 0.9, torch.tensor([[1.0]]), 127)
    noise = WeightNoise(0.9, law="ternary")
    for draw in range(20):
        moved = kick(tensor, noise, stream_of(tensor, noise, draw))
        assert not moved[codes.abs() == 127].any()
        assert moved[codes.abs() == 126].any()
        for sign in (1, -1):
            noisy = displaced(tensor, moved, sign)
            assert noisy.dtype == torch.int8
            assert torch.equal(noisy.int(), codes.int() + sign * moved.int())
            assert int(noisy.int().abs().max()) <= 127


def test_few_numbers_for_few_kicks() -> None:
    """q·N random numbers, not N: a million codes of which one in a million moves."""
    codes = torch.zeros(1000, 1000, dtype=torch.int8)
    tensor = NoisyTensor(("weight",), 0, codes, 1e-3, torch.ones(1000, 1), 127)
    noise = WeightNoise(1e-3, law="ternary")

    class Counting:
        def __init__(self, stream: np.random.Generator) -> None:
            self.stream, self.numbers = stream, 0

        def __getattr__(self, name: str):
            def draw(*args: object, **kwargs: object) -> np.ndarray:
                drawn = getattr(self.stream, name)(*args, **kwargs)
                self.numbers += drawn.size
                return drawn

            return draw

    moved, numbers = 0, 0
    for k in range(30):
        stream = Counting(stream_of(tensor, noise, k))
        moved += int(kick(tensor, noise, stream).abs().sum())  # type: ignore[arg-type]
        numbers += stream.numbers
    assert numbers < 2000
    assert 5 < moved < 65  # Poisson of mean 30: outside with probability below 1e-7


@pytest.mark.parametrize("correlation", ["quenched", "annealed"])
def test_copies_and_regenerate(quantised: LanguageModel, ids: np.ndarray, correlation: str) -> None:
    before = {name: t.numpy().tobytes() for name, t in quantised.torch_module.state_dict().items()}
    clean = quantised.logits(ids)
    noise = WeightNoise(SIGMA, law="ternary", where=["attention", "mlp"], correlation=correlation)
    copies = sample_logits(quantised, ids, noise, 4, machine="copies")
    assert np.abs(copies - clean).max() > 1e-3
    if correlation == "quenched":
        again = sample_logits(quantised, ids, noise, 4, machine="regenerate")
        assert np.array_equal(copies, again)
    after = quantised.torch_module.state_dict()
    assert {name: t.numpy().tobytes() for name, t in after.items()} == before
    assert np.array_equal(quantised.logits(ids), clean)


def mean_squares(model: LanguageModel, ids: np.ndarray, noise: WeightNoise, machine: str):
    """Mean square change of the logits, its error, from 60 draws."""
    noisy = sample_logits(model, ids, noise, 60, machine, antithetic=False)
    squares = ((noisy.astype(float) - model.logits(ids)) ** 2).mean(axis=(1, 2))
    return squares.mean(), squares.std(ddof=1) / math.sqrt(60)


def test_size_of_the_change(
    quantised: LanguageModel, model: LanguageModel, ids: np.ndarray
) -> None:
    """To second order the law does not matter: as large as gaussian noise on plain weights.

    |z| below 5: false alarm 6e-7 each. Negative control: twice the variance.
    """
    where = ["attention", "mlp"]
    plain, plain_error = mean_squares(model, ids, WeightNoise(SIGMA, where=where), "copies")
    # Codes at the ends of the range, one or two in sixteen here, do not move under steps.
    layers = [x for x in quantised.torch_module.modules() if isinstance(x, Quantised)]
    ends = np.mean([float((layer.codes.abs() == 127).float().mean()) for layer in layers])
    assert 1 / 16 <= ends < 2 / 16
    for law, machine, share in (
        ("ternary", "copies", 1 - ends),
        ("gaussian", "function_space", 1.0),
    ):
        noise = WeightNoise(SIGMA, law=law, where=where)
        ours, error = mean_squares(quantised, ids, noise, machine)
        assert abs(ours - share * plain) < 5 * math.hypot(error, plain_error), law
        assert abs(ours - 2 * plain) > 5 * math.hypot(error, plain_error), law


def test_what_codes_cannot_do(quantised: LanguageModel, ids: np.ndarray) -> None:
    gaussian = WeightNoise(0.1, where="attention")
    large = WeightNoise(5.0, law="ternary", where="attention")
    for machine in ("copies", "regenerate"):
        with pytest.raises(UnsupportedNoiseError, match=r"q_proj\.weight are quantised .*accepted"):
            sample_logits(quantised, ids, gaussian, 2, machine=machine)
        with pytest.raises(UnsupportedNoiseError, match=r"sigma up to .*, or law=") as caught:
            sample_logits(quantised, ids, large, 2, machine=machine)
        most = re.search(r"sigma up to ([\d.]+)", str(caught.value))
        assert most
        for factor, accepted in ((1.0, True), (1.15, False)):
            noise = replace(large, sigma=factor * float(most[1]))
            chosen = selected_tensors(quantised.torch_module, noise)
            with nullcontext() if accepted else pytest.raises(UnsupportedNoiseError):
                require_kicks(chosen, noise)
    # What cannot move the codes is added to what the layers give.
    assert sample_logits(quantised, ids, gaussian, 2, machine="auto").shape[0] == 2
