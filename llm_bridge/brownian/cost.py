"""How long drawing logits takes with each machine, predicted by counting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_bridge.brownian.noise import WeightNoise, kind_of
from llm_bridge.brownian.selection import NoisyTensor
from llm_bridge.models import windows

if TYPE_CHECKING:
    from llm_bridge.models import LanguageModel

__all__ = ["predicted_cost"]

# Relative to one multiplication of a matrix product with many rows, 0.022 ns on one core; from the
# ratios r of docs/measured/weight_noise.json at width 512, n = 64, 256 and 1024 positions.
_NUMBER = 290  # twice what regenerate takes more than copies: n (r − 1) = ν + τ and ν/2 + τ
_TOUCH = 100  # read, add and write a weight, and read it once to know the size of the noise
_BETWEEN = 1.75  # a multiplication between positions, from r − 1 at 256 and at 1024 of them
_FAST_NUMBER = 105  # a number of the function-space machine: what is left, and fresh noise alone
_TERNARY = 60  # a kick of a few weights only
_ALONE = 4  # a multiplication with one row: the weights come from memory each time


def predicted_cost(
    machine: str,
    model: LanguageModel,
    chosen: Sequence[NoisyTensor],
    noise: WeightNoise,
    positions: int,
    antithetic: bool,
) -> float:
    r"""Cost of one draw, in multiplications of a matrix product.

    With P weights in the model, S of them selected, n positions, ν the cost of a normal number (ν'
    in function space), τ that of touching one, κ that of a multiplication between positions, and a
    selected matrix taking d inputs to m outputs:

    .. math::
        \text{copies:}\quad & nP + S(\nu/2 + \tau) \\
        \text{copies, annealed or OU:}\quad & 4nP + nS(\nu/2 + \tau) \\
        \text{regenerate:}\quad & nP + S(\nu + \tau) \\
        \text{function space:}\quad & nP + \sum \big(\kappa n^2 (d + m)/2 + n m \nu'\big) \\
        \text{function space, annealed:}\quad & nP + \sum n m \nu'

    with ν = 290, ν' = 105, τ = 100, κ = 1.75, from ratios measured on one core (the comments at
    the constants say which). κ is that of a whole transformer, in which half of the layers share
    their input and the products between its positions; an embedding has d = 0. The half of ν is for
    mirrored pairs, which share their numbers. Factorised and low-rank matrices (rank r) need
    r(d + m) numbers, and r(d + m)n multiplications in function space. The cost does not depend on
    the number of draws: more of them extend the same series.
    """
    read = sum(stop - start for start, stop, _ in windows(positions, model.context_length))
    parameters = sum(weights.numel() for weights in model.torch_module.parameters())
    forward = float(read * parameters)
    if machine == "function_space":
        return forward + sum(_in_function_space(tensor, noise, read) for tensor in chosen)
    fresh = sum(_fresh_kick(tensor, noise) for tensor in chosen)
    selected = sum(tensor.tensor.numel() for tensor in chosen)
    if machine == "regenerate":
        return forward + fresh + _TOUCH * selected
    kicks = fresh / (2 if antithetic else 1) + _TOUCH * selected
    if noise.correlation == "quenched":
        return forward + kicks
    return _ALONE * forward + read * kicks


def _fresh_kick(tensor: NoisyTensor, noise: WeightNoise) -> float:
    size = tensor.tensor.numel()
    rank = _rank(tensor, noise)
    if rank:
        rows, columns = tensor.tensor.shape[-2:]
        return size * rank * (1 + _NUMBER * (rows + columns) / max(rows * columns, 1))
    return size * (_TERNARY if noise.law == "ternary" else _NUMBER)


def _in_function_space(tensor: NoisyTensor, noise: WeightNoise, read: int) -> float:
    shape = tensor.tensor.shape
    if len(shape) < 2:
        return float(tensor.tensor.numel() * _NUMBER)
    outputs, inputs = shape[0], math.prod(shape[1:])
    if kind_of(tensor.name) == "embedding":  # its inputs are tokens: no products at all
        outputs, inputs = inputs, 0
    rank = _rank(tensor, noise)
    if rank:
        return float(rank * (inputs + outputs) * (read + _FAST_NUMBER))
    numbers = float(read * outputs * _FAST_NUMBER)
    if noise.correlation == "annealed":
        return numbers
    return numbers + _BETWEEN * read**2 * (inputs + outputs) / 2


def _rank(tensor: NoisyTensor, noise: WeightNoise) -> int:
    """Of a draw of this tensor, 0 where it is full."""
    if tensor.tensor.ndim < 2 or noise.law not in ("factorised", "low_rank"):
        return 0
    return noise.rank
