"""Which tensors of a model a weight noise acts on, and how large it is on each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_bridge.brownian.noise import (
    ALSO_CALLED,
    KINDS,
    LARGEST_SIGMA,
    WeightNoise,
    kind_of,
    place_matches,
    require_noise,
)
from llm_bridge.errors import NoiseOverflowError, UnsupportedNoiseError
from thermo.arguments import nearest_name
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["NoisyTensor", "selected_tensors"]

_BLOCK = 1 << 18  # numbers that are summed at a time, so that no float64 copy of a matrix is made
_ROW = 1 << 12  # numbers whose squares are summed in float32
_LISTED = 12  # patterns of names that a message gives


@dataclass(frozen=True, eq=False)
class NoisyTensor:
    """A tensor of a model that weight noise acts on.

    Attributes
    ----------
    names : tuple of str
        Under which the model knows it; several where it is tied, such as embedding and head.
    place : int
        Its number among all tensors of the model, selected or not: it numbers the stream of random
        numbers that belongs to the tensor.
    tensor : torch.Tensor
        The tensor itself, not a copy; the integer codes (R, C) of a quantised layer.
    size : float
        σ·s, the (root mean square) standard deviation of the noise on an entry.
    step : torch.Tensor or None
        Of quantised weights, what a code counts: (R, G), one per row and group of C/G columns.
    largest : int
        Of quantised weights, the largest code; the smallest is its negative.
    """

    names: tuple[str, ...]
    place: int
    tensor: torch.Tensor
    size: float
    step: torch.Tensor | None = None
    largest: int = 0

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]

    def stored_as(self, name: str) -> str:
        """Where the model keeps what it calls by this name."""
        return name if self.step is None else f"{name.removesuffix('weight')}codes"


def selected_tensors(module: torch.nn.Module, noise: WeightNoise) -> list[NoisyTensor]:
    """The tensors that a noise acts on, in the order of the model.

    A tensor shared under several names is selected if one of them is, and appears once.

    A quantised layer is a module with integer ``codes`` (R, C), their ``scale`` (R, G) and
    ``largest``, the largest code. Its weight codes·scale is selected under the name ``….weight``.

    Parameters
    ----------
    module : torch.nn.Module
    noise : WeightNoise

    Returns
    -------
    list of NoisyTensor

    Raises
    ------
    InvalidInputError
        No `WeightNoise`, an entry of its ``where`` that matches nothing (the message lists what
        would), or a selected tensor that holds NaN or infinity.
    NoiseOverflowError
        Noise that float32 cannot hold on one of them.
    UnsupportedNoiseError
        A selected tensor is not floating-point.
    """
    require_noise(noise)
    found = list(_tensors(module))
    _require_matches(noise, [name for tensor in found for name in tensor.names])
    chosen = [tensor for tensor in found if any(noise.selects(name) for name in tensor.names)]
    for tensor in chosen:  # all of them before the sizes, which take time
        if tensor.step is None and not tensor.tensor.is_floating_point():
            raise UnsupportedNoiseError(
                f"the parameter {tensor.name} has type {tensor.tensor.dtype}; only floating-point "
                "weights, and the codes of quantised layers, can be perturbed."
            )
    sized = [replace(tensor, size=noise.sigma * _unit(tensor, noise)) for tensor in chosen]
    for tensor in sized:
        if tensor.size > LARGEST_SIGMA:
            raise NoiseOverflowError(
                f"sigma = {noise.sigma:g} is noise of {tensor.size:.3g} on {tensor.name}; at most "
                f"{LARGEST_SIGMA:g} there is accepted: kicks are numbers of float32."
            )
    return sized


def _tensors(module: torch.nn.Module) -> Iterator[NoisyTensor]:
    """All weights of a model: its parameters by their names, then those of quantised layers."""
    quantised = {
        f"{path}." if path else "": layer
        for path, layer in module.named_modules()
        if _is_quantised(layer)
    }
    parts = {f"{path}{part}" for path in quantised for part in ("codes", "scale")}
    names: dict[int, list[str]] = {}
    tensors: dict[int, torch.Tensor] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if name not in parts:
            names.setdefault(id(parameter), []).append(name)
            tensors[id(parameter)] = parameter
    for place, (key, aliases) in enumerate(names.items()):
        yield NoisyTensor(tuple(aliases), place, tensors[key], 0.0)
    for place, (path, layer) in enumerate(quantised.items(), start=len(names)):
        own: Any = layer
        yield NoisyTensor((f"{path}weight",), place, own.codes, 0.0, own.scale, own.largest)


def _is_quantised(layer: torch.nn.Module) -> bool:
    import torch

    codes, step = getattr(layer, "codes", None), getattr(layer, "scale", None)
    if not (isinstance(codes, torch.Tensor) and isinstance(step, torch.Tensor)):
        return False
    return not codes.is_floating_point() and isinstance(getattr(layer, "largest", None), int)


def _require_matches(noise: WeightNoise, known: list[str]) -> None:
    for place in noise.places:
        if any(place_matches(place, name) for name in known):
            continue
        kinds = ["all", *(kind for kind in KINDS if kind in {kind_of(name) for name in known})]
        patterns = _patterns(known)
        more = len(patterns) - _LISTED
        raise InvalidInputError(
            f"where = {place!r} matches none of the model's {len(known)} parameters; "
            f"accepted: {', '.join(kinds)}, or a pattern of names: "
            + ", ".join(patterns[:_LISTED])
            + (f" and {more} more" if more > 0 else "")
            + (f" (did you mean {meant!r}?)" if (meant := _meant(place, kinds, known)) else "")
        )


def _meant(place: str, kinds: list[str], known: list[str]) -> str | None:
    """A kind, a name, a part of names with stars around it, or how names begin; None if unlike."""
    words = {word: kind for word, kind in ALSO_CALLED.items() if kind in kinds}
    meant, part = nearest_name(place, [*kinds, *known], words), place.strip("*")
    if meant or not part:
        return meant
    if any(part in name for name in known):
        return f"*{part}*"
    begun = {name[: dot.start()] + ".*" for name in known for dot in re.finditer(r"\.", name)}
    return nearest_name(place, sorted(begun))


def _patterns(known: list[str]) -> list[str]:
    """Names with a star in place of every number, each once: those of a layer stand for all."""
    return list(dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.)", "*", name) for name in known))


def _unit(tensor: NoisyTensor, noise: WeightNoise) -> float:
    """s: what σ is measured in."""
    weights, step = tensor.tensor.detach(), tensor.step
    if noise.scale == "absolute" or weights.numel() == 0:
        return 1.0
    if step is None:
        blocks = iter(weights.reshape(-1).split(_BLOCK))
    else:
        rows = max(_BLOCK // weights.shape[1], 1)
        blocks = (
            (codes.double() * unit.double()[..., None]).reshape(-1)
            for codes, unit in zip(
                weights.reshape(*step.shape, -1).split(rows), step.detach().split(rows), strict=True
            )
        )
    rms = math.sqrt(sum(_sum_of_squares(block) for block in blocks) / weights.numel())
    if not rms < math.inf:
        raise InvalidInputError(
            f"the parameter {tensor.name} holds NaN or infinity; finite weights are accepted."
        )
    return rms


def _sum_of_squares(block: torch.Tensor) -> float:
    """To 1e-7, and about as fast as the numbers can be read: all weights are, for every noise."""
    import torch

    numbers = block.float()
    rows = numbers[: numbers.numel() // _ROW * _ROW].view(-1, 1, _ROW)
    rest = numbers[rows.numel() :].double()
    total = float(torch.bmm(rows, rows.mT).sum(dtype=torch.float64)) + float(rest @ rest)
    if 1e-30 < total < math.inf:
        return total
    exact = block.double()  # squares beyond float32, of large numbers or of tiny ones
    return float(exact @ exact)
