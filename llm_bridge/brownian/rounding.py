"""Weight noise on the codes of quantised layers: rounded to the grid, and exactly undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from llm_bridge.brownian.kicks import kick, require_kicks, stream_of
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.selection import NoisyTensor, selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from llm_bridge.quantised import QuantisedMatrix
from thermo.arguments import one_of, whole_number
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["noisy_codes", "round_to_steps"]


@contextmanager
def noisy_codes(
    model: LanguageModel | torch.nn.Module,
    noise: WeightNoise,
    *,
    rounding: str = "stochastic",
    draw: int = 0,
    sign: int = 1,
) -> Iterator[None]:
    r"""Let a model compute with one draw of noise on the codes of its quantised layers.

    The noisy weight W + δ is rounded to the grid that W lies on, and put back to the end of the
    range where it is beyond. The codes are changed in place; when the block ends, however it ends,
    they are the same bits as before.

    Parameters
    ----------
    model : LanguageModel or torch.nn.Module
        Of quantised layers, such as
        :func:`llm_bridge.brownian.quantised_linear.quantised_model` makes.
    noise : WeightNoise
        Quenched, of any law. Everything that it selects has to be quantised.
    rounding : {"nearest", "stochastic"}
        See :mod:`llm_bridge.brownian.rounding_law` for what either leaves of the noise. Without
        effect on ternary noise, whose kicks are whole steps.
    draw : int
        Which realisation; the same δ as draw ``draw`` on weights that are floats.
    sign : {1, -1}
        −1 for the mirror image: each code moves as far the other way, within the range.

    Raises
    ------
    InvalidInputError
        Arguments out of range, or ``noise.where`` matches nothing.
    UnsupportedNoiseError
        Noise along a path, on a tensor that is not quantised, or ternary whose kicks are longer
        than half the range of the codes.

    Notes
    -----
    A byte per selected weight is kept for the way back. Codes at an end of the range can move
    inwards only, so rounding gives their noise a mean. Ternary noise leaves them where they are:
    noise without a mean is, at an end, no noise.

    Examples
    --------
    >>> from llm_bridge.brownian.quantised_linear import quantised_model
    >>> from llm_bridge.models import load_model
    >>> model = quantised_model(load_model("demo"), bits=4, group=64)
    >>> clean = model.logits([1, 2, 3])
    >>> with noisy_codes(model, WeightNoise(0.05, law="ternary", where="head")):
    ...     noisy = model.logits([1, 2, 3])
    >>> bool((noisy != clean).any()), bool((model.logits([1, 2, 3]) == clean).all())
    (True, True)
    """
    given: Any = model
    module: torch.nn.Module = getattr(given, "torch_module", given)
    one_of(rounding, "rounding", ("nearest", "stochastic"))
    draw = whole_number(draw, "draw", 0)
    if sign not in (1, -1):
        raise InvalidInputError(f"sign = {sign!r} was given; 1 or -1 is accepted.")
    chosen = selected_tensors(module, noise)
    _require_codes(chosen, noise)
    with ExitStack() as undone:
        for tensor in chosen:
            codes = tensor.tensor
            undone.callback(codes.copy_, codes.clone())
            steps = _steps(tensor, noise, rounding, draw)
            moved = (codes.int() + sign * steps).clamp_(-tensor.largest, tensor.largest)
            codes.copy_(moved)
        yield


def round_to_steps(
    displacement: torch.Tensor, rounding: str, stream: np.random.Generator
) -> torch.Tensor:
    r"""Whole steps for displacements that are measured in steps.

    .. math:: \text{nearest } \lfloor x + \tfrac12 \rfloor, \qquad
              \text{stochastic } \lfloor x + u \rfloor, \quad u \in [0, 1)

    Parameters
    ----------
    displacement : torch.Tensor of float
        x = δ/Δ. Infinite and undefined ones (Δ = 0) give no step.
    rounding : {"nearest", "stochastic"}
    stream : numpy.random.Generator
        For u, which has 24 bits: chances are exact to 6e-8.

    Returns
    -------
    torch.Tensor of int32, same shape
        At most 10⁹ in size.

    Examples
    --------
    >>> import torch
    >>> x = torch.full((1000,), 0.25)
    >>> stream = np.random.default_rng(1)
    >>> int(round_to_steps(x, "nearest", stream).sum())
    0
    >>> 200 < int(round_to_steps(x, "stochastic", stream).sum()) < 300
    True
    """
    import torch

    one_of(rounding, "rounding", ("nearest", "stochastic"))
    # The sum x + u would round up to a whole step more than it should where u is close to 1.
    whole = torch.floor(displacement)
    fraction = displacement - whole
    if rounding == "nearest":
        up = fraction >= 0.5
    else:
        u = stream.random(tuple(displacement.shape), dtype=np.float32)
        up = torch.from_numpy(np.asarray(u)).to(displacement.device) < fraction
    return torch.nan_to_num(whole + up, 0.0, 0.0, 0.0).clamp_(-1e9, 1e9).int()


def _steps(tensor: NoisyTensor, noise: WeightNoise, rounding: str, draw: int) -> torch.Tensor:
    """By how many steps each code of a tensor is moved, before the range is looked at."""
    stream = stream_of(tensor, noise, draw)
    if noise.law == "ternary":
        return kick(tensor, noise, stream).int()
    assert tensor.step is not None
    codes, step = tensor.tensor, tensor.step
    weights = QuantisedMatrix(codes, step).dequantised()
    moved = kick(replace(tensor, tensor=weights, step=None), noise, stream)
    grouped = moved.reshape(*step.shape, -1).div_(step[:, :, None])
    return round_to_steps(grouped.reshape(codes.shape), rounding, stream)


def _require_codes(chosen: Sequence[NoisyTensor], noise: WeightNoise) -> None:
    """Refuse noise that codes cannot take, before any of them is changed."""
    for tensor in chosen:
        if tensor.step is None:
            raise UnsupportedNoiseError(
                f"{tensor.name} is not quantised; accepted: a 'where' that selects quantised "
                "layers only, or llm_bridge.brownian.sample_logits."
            )
    if noise.correlation != "quenched":
        raise UnsupportedNoiseError(
            f"correlation = {noise.correlation!r}: codes are changed once for the whole text; "
            "accepted: 'quenched', or machine='function_space' of sample_logits."
        )
    if noise.law == "ternary":
        require_kicks(chosen, noise)
