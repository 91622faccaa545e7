"""Frozen weight noise made again from its seed, one layer at a time, while the model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

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

__all__ = ["logits_of_regenerated", "regenerated_noise", "require_regenerable"]


@contextmanager
def regenerated_noise(
    module: torch.nn.Module,
    chosen: Sequence[NoisyTensor],
    noise: WeightNoise,
    draw: int,
    sign: int = 1,
) -> Iterator[None]:
    """Let a model compute with one frozen draw of its weights that is never there as a whole.

    Before a layer computes, its noisy weights are made from the draw's own random numbers and take
    the place of the layer's weights; when it has computed, they are dropped. The model's own
    tensors are never written to, and are back in place when the block ends, however it ends.

    Parameters
    ----------
    module : torch.nn.Module
    chosen : sequence of NoisyTensor
        From :func:`llm_bridge.brownian.selection.selected_tensors`.
    noise : WeightNoise
        Quenched.
    draw : int
        Which realisation: the same weights, bit for bit, as draw ``draw`` of perturbed copies.
    sign : {1, -1}
        −1 for the mirror image.

    Notes
    -----
    Every forward pass draws all the numbers again: one per selected weight, and none kept. That
    is worthwhile where a second set of the weights does not fit, and for many positions in one
    pass; not for decoding token by token.

    Examples
    --------
    >>> from llm_bridge.brownian.selection import selected_tensors
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> noise = WeightNoise(0.1, where="head")
    >>> chosen = selected_tensors(model.torch_module, noise)
    >>> with regenerated_noise(model.torch_module, chosen, noise, 0):
    ...     noisy = model.logits([1, 2, 3])
    >>> bool((noisy != model.logits([1, 2, 3])).all())
    True
    """
    owners = _owners(module, chosen)
    with ExitStack() as undone:
        for owner, tensors in owners:
            # First in, last out: the weights are put back even if a hook has died half-way.
            undone.callback(_put_back, owner, tensors)
            before, after = _hooks(tensors, noise, draw, sign)
            undone.callback(owner.register_forward_pre_hook(before).remove)
            undone.callback(owner.register_forward_hook(after, always_call=True).remove)
        yield


def require_regenerable(
    model: LanguageModel, chosen: Sequence[NoisyTensor], noise: WeightNoise
) -> None:
    """Raise UnsupportedNoiseError where noise cannot be made layer by layer.

    The model reads one token, to see that each selected weight is used by the module it belongs to.
    """
    if noise.correlation != "quenched":
        raise UnsupportedNoiseError(
            f"machine = 'regenerate' with correlation = {noise.correlation!r}: its weights are "
            "frozen; accepted: machine='function_space' or 'copies'."
        )
    require_kicks(chosen, noise)
    owners = _owners(model.torch_module, chosen)
    called: set[int] = set()
    with ExitStack() as undone:
        for owner, _ in owners:
            hook = owner.register_forward_pre_hook(lambda module, _: called.add(id(module)))
            undone.callback(hook.remove)
        model.logits([0])
    for owner, tensors in owners:
        if id(owner) not in called:
            raise UnsupportedNoiseError(
                f"the parameter {next(iter(tensors.values())).name} is not used by the module it "
                "belongs to, so its noise cannot be made there; accepted: machine='copies', or "
                "another 'where'."
            )


def logits_of_regenerated(
    model: LanguageModel,
    tokens: NDArray[np.int64],
    chosen: Sequence[NoisyTensor],
    noise: WeightNoise,
    draws: int,
    antithetic: bool,
) -> Iterator[NDArray[np.float32]]:
    """Logits (N, V) of one draw after another, bit for bit those of perturbed copies."""
    for number in range(draws):
        draw, sign = (number // 2, 1 - 2 * (number % 2)) if antithetic else (number, 1)
        noisy = regenerated_noise(model.torch_module, chosen, noise, draw, sign)
        with noisy, watched(model.torch_module, noise):
            logits = model.logits(tokens)
        yield logits


def _owners(
    module: torch.nn.Module, chosen: Sequence[NoisyTensor]
) -> list[tuple[torch.nn.Module, dict[str, NoisyTensor]]]:
    """Modules with the selected tensors that they hold themselves, by the name they use."""
    owners: dict[int, tuple[torch.nn.Module, dict[str, NoisyTensor]]] = {}
    for tensor in chosen:
        for name in tensor.names:
            path, _, attribute = tensor.stored_as(name).rpartition(".")
            owner = module.get_submodule(path)
            owners.setdefault(id(owner), (owner, {}))[1][attribute] = tensor
    return list(owners.values())


def _hooks(
    tensors: dict[str, NoisyTensor], noise: WeightNoise, draw: int, sign: int
) -> tuple[Any, Any]:
    def before(owner: torch.nn.Module, _: Any) -> None:
        for attribute, tensor in tensors.items():
            moved = kick(tensor, noise, stream_of(tensor, noise, draw))
            noisy = displaced(tensor, moved, sign, out=moved)
            _place_of(owner, attribute)[attribute] = noisy

    def after(owner: torch.nn.Module, *_: Any) -> None:
        _put_back(owner, tensors)

    return before, after


def _put_back(owner: torch.nn.Module, tensors: dict[str, NoisyTensor]) -> None:
    for attribute, tensor in tensors.items():
        _place_of(owner, attribute)[attribute] = tensor.tensor


def _place_of(owner: torch.nn.Module, attribute: str) -> dict[str, Any]:
    """Where the module keeps a tensor. Assigning the attribute itself would want a Parameter."""
    return owner._parameters if attribute in owner._parameters else owner._buffers
