"""Weight noise by perturbed copies of the parameters: the plain machine, and the reference."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llm_bridge.brownian.kicks import displaced, kick, require_kicks, stream_of
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.overflow import watched
from llm_bridge.brownian.selection import NoisyTensor
from llm_bridge.errors import UnsupportedNoiseError

if TYPE_CHECKING:
    import torch

    from llm_bridge.models import LanguageModel

__all__ = ["displaced_copy", "kicks_along", "logits_of_copies", "require_cache", "require_copies"]


def require_copies(
    model: LanguageModel, chosen: Sequence[NoisyTensor], noise: WeightNoise, positions: int
) -> None:
    """Raise UnsupportedNoiseError where perturbed copies cannot draw this noise."""
    require_kicks(chosen, noise)
    if noise.correlation != "quenched":
        require_cache(model, f"correlation = {noise.correlation!r}", "'quenched'")
        require_one_window(model, noise, positions)


def require_cache(model: LanguageModel, what: str, accepted: str) -> None:
    """Raise UnsupportedNoiseError for a model that cannot read on from where it was."""
    if "past_key_values" not in inspect.signature(model.torch_module.forward).parameters:
        raise UnsupportedNoiseError(
            f"{what} needs a model that reads on with a key/value cache, and "
            f"{type(model.torch_module).__name__} takes none; accepted: {accepted}."
        )


def require_one_window(model: LanguageModel, noise: WeightNoise, positions: int) -> None:
    """Raise UnsupportedNoiseError where positions would be read twice by different weights."""
    context = model.context_length
    if noise.correlation != "quenched" and context is not None and positions > context:
        raise UnsupportedNoiseError(
            f"{positions} positions with correlation = {noise.correlation!r}: beyond the context "
            f"of {context} tokens the model reads some of them twice, with other weights; "
            f"accepted: at most {context} positions, or 'quenched'."
        )


def logits_of_copies(
    model: LanguageModel,
    tokens: NDArray[np.int64],
    chosen: Sequence[NoisyTensor],
    noise: WeightNoise,
    draws: int,
    antithetic: bool,
) -> Iterator[NDArray[np.float32]]:
    """Logits (N, V) of one draw after another.

    Quenched: one set of tensors takes the place of the model's own during one forward pass
    (:func:`torch.func.functional_call`). Annealed and OU: position by position, each with a set of
    its own, over keys and values that were cached with the sets before.
    """
    import torch

    for number in range(0, draws, 2 if antithetic else 1):
        draw = number // 2 if antithetic else number
        signs = (1, -1)[: draws - number] if antithetic else (1,)
        path = kicks_along(chosen, noise, draw)
        with torch.no_grad():
            if noise.correlation != "quenched":
                with watched(model.torch_module, noise):
                    read = _read_along(model, tokens, chosen, path, signs)
                yield from read
                continue
            kicks = next(path)
            for sign in signs:
                with watched(model.torch_module, noise):
                    logits = model.logits(tokens, displaced_copy(chosen, kicks, sign))
                yield logits


def kicks_along(
    chosen: Sequence[NoisyTensor], noise: WeightNoise, draw: int
) -> Iterator[list[torch.Tensor]]:
    """Displacements of the tensors at position 0, 1, …; each list is good until the next one."""
    streams = [stream_of(tensor, noise, draw) for tensor in chosen]

    def fresh() -> Iterator[torch.Tensor]:
        for tensor, stream in zip(chosen, streams, strict=True):
            yield kick(tensor, noise, stream)

    kicks = list(fresh())
    while True:
        yield kicks
        if noise.correlation == "annealed":
            kicks = list(fresh())
        elif noise.correlation == "ou":
            for old, new in zip(kicks, fresh(), strict=True):
                old.mul_(noise.rho).add_(new, alpha=math.sqrt(1 - noise.rho**2))


def displaced_copy(
    chosen: Sequence[NoisyTensor], kicks: Sequence[torch.Tensor], sign: int
) -> dict[str, torch.Tensor]:
    """What :func:`torch.func.functional_call` puts in the place of the model's own tensors."""
    return {
        tensor.stored_as(tensor.name): displaced(tensor, moved, sign)
        for tensor, moved in zip(chosen, kicks, strict=True)
    }


def _read_along(
    model: LanguageModel,
    tokens: NDArray[np.int64],
    chosen: Sequence[NoisyTensor],
    path: Iterator[list[torch.Tensor]],
    signs: Sequence[int],
) -> list[NDArray[np.float32]]:
    """Logits (N, V) for each sign of the path, read token by token."""
    import torch

    module = model.torch_module
    device = next(module.parameters()).device
    memories: list[object] = [None for _ in signs]
    rows: list[list[NDArray[np.float32]]] = [[] for _ in signs]
    for token, kicks in zip(tokens.tolist(), path, strict=False):  # the path has no end
        for side, sign in enumerate(signs):
            answer = torch.func.functional_call(
                module,
                displaced_copy(chosen, kicks, sign),
                (),
                {
                    "input_ids": torch.tensor([[token]], device=device),
                    "past_key_values": memories[side],
                    "use_cache": True,
                },
            )
            memories[side] = answer.past_key_values
            rows[side].append(answer.logits[0, -1].float().cpu().numpy())
    return [np.stack(each) for each in rows]
