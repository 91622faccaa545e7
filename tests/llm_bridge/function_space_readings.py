"""Layers and readings that several tests of noise in function space share."""

from __future__ import annotations

import numpy as np
import torch
import transformers
from torch import nn

from llm_bridge.brownian.copies import logits_of_copies
from llm_bridge.brownian.function_space import FunctionSpaceNoise
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.quantised_linear import QuantisedLinear
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.models import LanguageModel

SEED = 20261120
DENSE = ("linear", "conv1d", "quantised")
CORRELATIONS = ("quenched", "annealed", "ou")
LIMIT = 5.0  # of the largest |z|: false alarms at 6e-7 per moment


def noise_of(correlation: str, sigma: float = 0.1, **options: object) -> WeightNoise:
    tau = 2.5 if correlation == "ou" else None
    options = {"scale": "absolute", "seed": SEED, **options}
    return WeightNoise(sigma, correlation=correlation, tau=tau, **options)  # type: ignore[arg-type]


def numbers(*shape: int, seed: int = SEED) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def kernel(correlation: str, count: int) -> np.ndarray:
    """C: correlation of the weights between positions."""
    apart = np.abs(np.arange(count)[:, None] - np.arange(count))
    return {"quenched": 1.0 + 0 * apart, "annealed": 1.0 * (apart == 0)}.get(
        correlation, np.exp(-apart / 2.5)
    )


def largest_deviation(samples: np.ndarray, covariance: np.ndarray) -> float:
    """Largest |z| among all first and second moments of samples (n, m) against N(0, covariance).

    They are whitened, so all moments are independent: means of variance 1/n, second moments of
    variance 1/n off the diagonal and 2/n on it. Directions without variance are left out, after
    seeing that there is nothing in them.
    """
    values, vectors = np.linalg.eigh(covariance)
    flat = values < 1e-7 * values.max()
    assert np.abs(samples @ vectors[:, flat]).max(initial=0.0) < 1e-2 * np.sqrt(values.max())
    white = samples @ vectors[:, ~flat] / np.sqrt(values[~flat])
    n, m = white.shape
    moments = white.T @ white / n - np.eye(m)
    variance = (1.0 + np.eye(m)) / n
    means = white.mean(axis=0) * np.sqrt(n)
    return float(max(np.abs(means).max(), np.abs(moments / np.sqrt(variance)).max()))


def read(module: nn.Module, noise: WeightNoise, x: torch.Tensor, draws: int, **options: object):
    """Noise that a module's outputs (draws, n, d) get, all draws reading the same x (n, …)."""
    pieces = options.pop("pieces", (len(x),))
    batch = x.expand(draws, *x.shape).contiguous()
    with FunctionSpaceNoise(module, noise, draws=draws, **options) as reading:
        noisy = [
            module(piece) for piece in map(torch.Tensor.contiguous, batch.split(pieces, dim=1))
        ]
    assert reading.positions == len(x)
    return (torch.cat(noisy, dim=1) - module(batch)).double().numpy()


class Scaled(nn.Embedding):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return 3.0 * super().forward(ids)


def dense(kind: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        if kind == "linear":
            return nn.Linear(12, 40)
        if kind == "quantised":
            return QuantisedLinear.of(nn.Linear(12, 40), bits=4, group=6)
        layer = transformers.pytorch_utils.Conv1D(40, 12)
        layer.bias.normal_()
        return layer


def inputs_of(count: int = 8) -> torch.Tensor:
    x = numbers(count, 12) + 1.0
    if count > 5:
        x[5] = x[1]  # a repeated input
    return x


class RMSNorm(nn.Module):
    """As transformers writes it, or with gain 1 + w."""

    def __init__(self, shift: float = 0.0, zero: bool = False) -> None:
        super().__init__()
        weight = numbers(12)
        weight[3] = 0.0 if zero else 1.0
        self.weight, self.shift = nn.Parameter(weight), shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        return (self.weight + self.shift) * normed


def layer_norm(large_bias: bool = False) -> nn.Module:
    module = nn.LayerNorm(12)
    module.weight.data = numbers(12, seed=1)
    module.bias.data = numbers(12, seed=2) * (300.0 if large_bias else 1.0)
    return module


class Odd(nn.Module):
    """A layer of no known form, with a matrix and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix, self.vector = nn.Parameter(numbers(6, 6)), nn.Parameter(numbers(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.matrix + self.vector)


def draws_of(
    model: LanguageModel, ids: np.ndarray, noise: WeightNoise, draws: int, how: str
) -> np.ndarray:
    """Logits (draws, N, V) by copies of the weights, or in function space at once or in pieces."""
    if how == "copies":
        chosen = selected_tensors(model.torch_module, noise)
        return np.stack(list(logits_of_copies(model, ids, chosen, noise, draws, False)))
    batch = torch.from_numpy(ids).expand(draws, -1)
    cache = transformers.DynamicCache()
    pieces = {"at once": (len(ids),), "pieces": (2, *(1,) * (len(ids) - 2))}[how]
    out = []
    with FunctionSpaceNoise(model, noise, draws=draws, one_pass=how == "at once"):
        for piece in batch.split(pieces, dim=1):
            answer = model.torch_module(input_ids=piece, past_key_values=cache, use_cache=True)
            out.append(answer.logits)
    return torch.cat(out, dim=1).numpy()


def hooks_of(module: nn.Module) -> int:
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules())
