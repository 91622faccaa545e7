"""Noise so large that a model computes no numbers any more: found while it reads, and refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.errors import NoiseOverflowError
from llm_bridge.logit_arrays import MASKED_AT, is_masked

if TYPE_CHECKING:
    import torch

    from llm_bridge.models import LanguageModel

__all__ = ["naming_the_limit", "overflow_hooks", "require_numbers", "watched"]

_HARMLESS = 1.0  # σ up to which activations are as large as ever, and nobody looks
_LEAST = -6  # decimal exponent of the smallest σ that is tried


def overflow_hooks(module: torch.nn.Module, noise: WeightNoise) -> Iterator[Any]:
    """Hooks that refuse to go on where what a layer reads has outgrown float32.

    A norm would hide it: it divides by the root of a sum of squares, and where that is infinite
    every logit is 0, which passes for T = ∞.

    Yields
    ------
    torch.utils.hooks.RemovableHandle
        None for weak noise. A forward pass raises NoiseOverflowError, naming the layer.
    """
    if noise.sigma <= _HARMLESS:
        return
    layers = {layer: path for path, layer in module.named_modules() if not any(layer.children())}

    def look(layer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        x: Any = arguments[0] if arguments else next(iter(named.values()), None)
        if not hasattr(x, "is_floating_point") or not x.is_floating_point():
            return
        if not x.float().square().sum(dim=-1).isfinite().all():
            raise NoiseOverflowError(
                f"sigma = {noise.sigma:g} on {noise.where!r}: what {layers[layer]} reads has "
                "squares beyond float32, and the logits are no numbers; accepted: a smaller sigma"
            )

    for layer in layers:
        yield layer.register_forward_pre_hook(look, with_kwargs=True)


@contextmanager
def watched(module: torch.nn.Module, noise: WeightNoise) -> Iterator[None]:
    """A block with `overflow_hooks`."""
    with ExitStack() as undone:
        for handle in overflow_hooks(module, noise):
            undone.callback(handle.remove)
        yield


def require_numbers(
    model: LanguageModel,
    noise: WeightNoise,
    logits: NDArray[np.floating],
    dtype: DTypeLike = np.float32,
) -> None:
    """Refuse noisy logits (..., V) that are no numbers where those of the model itself are.

    Parameters
    ----------
    model : LanguageModel
    noise : WeightNoise
    logits : ndarray, shape (..., V)
    dtype : dtype
        They will be kept as.

    Raises
    ------
    NoiseOverflowError
        NaN, more than the type holds, or so low that they count as masks
        (:data:`llm_bridge.logit_arrays.MASKED_AT`).
    """
    most = np.finfo(dtype).max

    def are_numbers(values: NDArray[np.floating]) -> bool:
        return bool(values.min() > MASKED_AT and values.max() <= most)  # neither is true of NaN

    if are_numbers(logits):
        return
    open_tokens = ~is_masked(model.logits([0])[0])
    if not are_numbers(logits[..., open_tokens]):
        raise NoiseOverflowError(
            f"sigma = {noise.sigma:g} on {noise.where!r}: noisy logits are NaN, beyond {most:.3g} "
            f"or below {MASKED_AT:g}, where they count as masks; accepted: a smaller sigma"
        )


@contextmanager
def naming_the_limit(noise: WeightNoise, read: Callable[[WeightNoise], object]) -> Iterator[None]:
    """Complete the message of a NoiseOverflowError by the σ up to which there are numbers.

    Parameters
    ----------
    noise : WeightNoise
        What is being read with.
    read : callable
        Reads once with the same noise of another σ. It is tried at powers of ten.
    """
    try:
        yield
        return
    except NoiseOverflowError as error:
        refusal = str(error)
    low, high = _LEAST, max(math.ceil(math.log10(noise.sigma)), _LEAST + 1)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            read(replace(noise, sigma=10.0**middle))
            low = middle
        except NoiseOverflowError:
            high = middle
    raise NoiseOverflowError(f"{refusal}, for this model and text up to about {10.0**low:g}.")
