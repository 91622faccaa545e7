"""Whether the noisy weights and their logits fit into memory, before any of them is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llm_bridge.brownian.selection import NoisyTensor
from thermo.errors import InvalidInputError
from thermo.memory import SHARE, Change, check_memory

if TYPE_CHECKING:
    import torch

    from llm_bridge.models import LanguageModel

__all__ = ["held_bytes", "require_memory"]


def held_bytes(
    machine: str,
    model: LanguageModel,
    chosen: Sequence[NoisyTensor],
    positions: int,
    draws: int,
    itemsize: int,
) -> dict[str, float]:
    """Bytes at the peak of drawing logits, by what they are for.

    Copies hold the selected tensors a second time and what displaces them; regenerate the same of
    the largest tensor only; function space has noise for its outputs, which is little.
    """
    one_draw = positions * model.vocabulary_size
    sets = [_noisy_bytes(tensor) for tensor in chosen]
    return {
        "logits of all draws": one_draw * draws * itemsize,
        "logits of one": 2 * one_draw * 4,
        "noisy weights": {"copies": sum(sets), "regenerate": max(sets)}.get(machine, 0),
    }


def require_memory(
    machine: str,
    model: LanguageModel,
    chosen: Sequence[NoisyTensor],
    positions: int,
    draws: int,
    itemsize: int,
    supported: Callable[[str], bool],
) -> None:
    """Refuse what would not fit.

    Raises
    ------
    InvalidInputError
        Saying how much is needed and what would fit: fewer draws, another machine that is
        ``supported``, or fewer positions.
    """
    here = next(model.torch_module.parameters()).device

    def held(machine: str, positions: int = positions, draws: int = draws) -> dict[str, float]:
        parts = held_bytes(machine, model, chosen, positions, draws, itemsize)
        if here.type != "cpu":
            del parts["noisy weights"]
        return parts

    def held_by(other: str) -> Callable[[int], dict[str, float]]:
        return lambda _: held(other) if supported(other) else {"": float("inf")}

    others = [each for each in ("function_space", "regenerate") if each != machine]
    check_memory(
        f"{draws} draws over {positions} positions by the machine {machine!r}",
        held(machine),
        [
            Change("at most {} draws", range(draws - 1, 0, -1), lambda n: held(machine, draws=n)),
            *(Change(f"machine={each!r}", range(1), held_by(each)) for each in others),
            Change(
                "at most {} positions",
                range(positions - 1, 0, -1),
                lambda n: held(machine, positions=n),
            ),
        ],
    )
    weights = held_bytes(machine, model, chosen, positions, draws, itemsize)["noisy weights"]
    free = _free_on(here)
    if free is not None and weights > SHARE * free:
        fitting = [f"machine={each!r}" for each in others if supported(each)]
        raise InvalidInputError(
            f"the machine {machine!r} would need {weights / 2**30:.3g} GiB for noisy weights on "
            f"{here} and {free / 2**30:.3g} GiB are free; accepted: "
            f"{' or '.join([*fitting, 'a narrower where'])}."
        )


def _noisy_bytes(tensor: NoisyTensor) -> int:
    """A displaced tensor, and its displacement, which has four bytes per weight or more."""
    weights = tensor.tensor
    return weights.numel() * (weights.itemsize + max(weights.itemsize, 4))


def _free_on(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    import torch

    return int(torch.cuda.mem_get_info(device)[0])
