"""How a layer's output depends on a weight of its own: found by trying, whatever its class."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["Gain", "dense_shape", "gain_of", "is_shift", "token_scale"]

_TOLERANCE = 0.05  # of the typical size: above the rounding of bfloat16, below any other form
_LARGEST_OFFSET = 100.0  # in units of a gain, beyond which what is left after subtraction is rough


@dataclass(frozen=True, eq=False)
class Gain:
    """An output that is offset + divisor·g(x), elementwise, and moves by g(x) per unit of weight.

    Attributes
    ----------
    name : str
        Of the weight within its module.
    divisor, offset : torch.Tensor or None
        No divisor: g(x) cannot be had from the output and has to be computed by `response`.
    """

    name: str
    divisor: torch.Tensor | None
    offset: torch.Tensor | None

    def response(self, module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        """g(x), by calling the layer with two other weights."""
        one, zero = (_with(module, {self.name: value}, x) for value in (1.0, 0.0))
        return one - zero


def dense_shape(module: torch.nn.Module, name: str) -> tuple[int, int] | None:
    """(outputs, inputs) of a layer that computes xWᵀ, or xW, and adds what does not depend on x.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
        Of the two-dimensional weight.

    Returns
    -------
    (int, int) or None
        None for any other layer.
    """
    import torch

    weight = getattr(module, name)
    if type(module).forward is torch.nn.Linear.forward:
        return tuple(weight.shape)
    for matrix in (weight, weight.mT):  # (outputs, inputs)
        outputs, inputs = matrix.shape

        def agrees(matrix: torch.Tensor = matrix, inputs: int = inputs) -> bool:
            x = _numbers((2, inputs), weight)
            x[1] *= 10.0
            answer = module(x[None])[0].float()
            linear = answer - module(torch.zeros_like(x)[None])[0].float()
            expected = x.float() @ matrix.float().mT
            return _close(linear, expected)

        if _tried(agrees):
            return outputs, inputs
    return None


def token_scale(module: torch.nn.Module) -> float | None:
    """c of an embedding that returns c times the rows of its weight; None for any other layer."""
    import torch

    if not isinstance(module, torch.nn.Embedding) or module.max_norm is not None:
        return None
    if type(module).forward is torch.nn.Embedding.forward:
        return 1.0
    ids = torch.arange(min(4, module.num_embeddings), device=module.weight.device)
    rows = module.weight[ids].float()
    answer = module(ids[None])[0].float()
    scale = float((answer * rows).sum() / (rows * rows).sum())
    return scale if math.isfinite(scale) and _close(answer, scale * rows) else None


def is_shift(module: torch.nn.Module, name: str) -> bool:
    """Whether the layer adds this vector to what it computes, as to a bias."""
    import torch

    vector = getattr(module, name)
    widths = {n for p in module.parameters(recurse=False) for n in p.shape} | {vector.numel()}
    widths |= {getattr(module, "in_features", vector.numel())}  # codes are no parameters

    def agrees(inputs: int) -> bool:
        x = _numbers((1, 2, inputs), vector)
        kick = _numbers(vector.shape, vector)
        zero = _with(module, {name: torch.zeros_like(vector)}, x)
        moved = _with(module, {name: kick}, x) - zero
        return moved.shape[-1] == vector.numel() and _close(moved, kick.expand_as(moved))

    return any(_tried(partial(agrees, width)) for width in sorted(widths))


def gain_of(module: torch.nn.Module, name: str) -> Gain | None:
    """How the output depends on a vector that multiplies it elementwise; None if it does not."""
    import torch

    vector = getattr(module, name)
    x, kick = _numbers((1, 2, vector.numel()), vector), _numbers(vector.shape, vector)
    try:
        zero, one, kicked = (_with(module, {name: value}, x) for value in (0.0, 1.0, kick))
    except Exception:  # a layer of another kind fails in any way it likes
        return None
    response = one - zero
    if zero.shape != x.shape or not _close(kicked, zero + kick * response):
        return None
    others = [p.detach() for n, p in module.named_parameters(recurse=False) if n != name]
    for shift in (0.0, 1.0):  # y = (w + shift) g(x) + offset
        divisor = vector.detach() + shift
        for offset in (torch.zeros_like(divisor), *(p for p in others if p.shape == vector.shape)):
            if (
                bool((divisor != 0).all())
                and float((offset / divisor).abs().max()) <= _LARGEST_OFFSET
                and _close(zero, shift * response + offset, like=response)
            ):
                return Gain(name, divisor, offset if bool(offset.any()) else None)
    return Gain(name, None, None)


def _with(module: torch.nn.Module, values: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    """The layer's output where parameters have other values, a tensor or one number each."""
    import torch

    own = dict(module.named_parameters(recurse=False))
    changed = {
        name: value if isinstance(value, torch.Tensor) else torch.full_like(own[name], value)
        for name, value in values.items()
    }
    return torch.func.functional_call(module, changed, (x,))


def _numbers(shape: Any, like: torch.Tensor) -> torch.Tensor:
    """Numbers of either sign and size about 1, the same ones each time."""
    import torch

    count = math.prod(shape)
    ramp = torch.arange(1, count + 1, dtype=torch.float64) * 0.754877666  # far from any fraction
    numbers = 3.4 * (ramp - ramp.floor() - 0.5)
    return numbers.reshape(shape).to(like.device, like.dtype)


def _tried(test: Callable[[], bool]) -> bool:
    """Whether a test succeeds; a layer of another kind fails it in any way it likes."""
    try:
        return test()
    except Exception:
        return False


def _close(a: torch.Tensor, b: torch.Tensor, like: torch.Tensor | None = None) -> bool:
    """Whether two tensors agree within rounding, row by row, of numbers as large as these."""
    if a.shape != b.shape:
        return False
    size = (b if like is None else like).float().square().mean(dim=-1, keepdim=True).sqrt()
    return bool(((a.float() - b.float()).abs() <= _TOLERANCE * size).all())
