"""Weight noise by perturbed copies of the parameters: the plain machine, and the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from llm_bridge.brownian.noise import KINDS, WeightNoise, kind_of
from llm_bridge.errors import UnsupportedNoiseError
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

    from llm_bridge.models import LanguageModel

__all__ = ["sample_logits"]


def sample_logits(
    model: LanguageModel,
    ids: ArrayLike,
    noise: WeightNoise,
    draws: int,
    machine: str = "auto",
    *,
    antithetic: bool = True,
    dtype: DTypeLike = np.float32,
    progress: bool = False,
) -> NDArray[np.floating]:
    r"""Logits of a sequence under several frozen draws of noisy weights.

    Parameters
    ----------
    model : LanguageModel
        Its weights are never written to: each draw is a second set of tensors that takes their
        place during one forward pass (:func:`torch.func.functional_call`).
    ids : array_like of int, shape (N,)
        The sequence that every draw reads.
    noise : WeightNoise
        Size, place and seed.
    draws : int
        How many realisations of the weights, at least 1.
    machine : {"auto", "copies"}
        How the noise is made; perturbed copies are the only way here.
    antithetic : bool
        Draw 2k + 1 is the mirror image of draw 2k: W − δ after W + δ. The mean distribution then
        has no error of order σ, which would otherwise hide the residual of order σ⁴ under a floor
        of disagreement/draws. Tell :func:`effective_temperature` the same. With an odd number the
        last draw stays without its mirror image.
    dtype : dtype
        Of the result: float32, or float16 to halve the memory at 1e-3 relative error.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    ndarray, shape (draws, N, V)
        Row t predicts token t + 1. With σ = 0 exactly ``model.logits(ids)`` in every draw.

    Raises
    ------
    InvalidInputError
        Fewer than one draw, ids outside the vocabulary, or ``noise.where`` matches nothing.
    UnsupportedNoiseError
        Another machine, or parameters that are not floating-point (quantised weights).

    Notes
    -----
    Takes one forward pass per draw, one Gaussian number per selected weight and pair of draws, and
    memory for two further sets of the selected weights beside the draws·N·V numbers returned.
    A tensor shared under two names (tied embeddings) is selected if either name is, and gets one
    noise that acts in both places.
    Draw k depends on the seed and on k only, so more draws extend the same series.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> ids = model.encode("for i in range(10):")
    >>> noisy = sample_logits(model, ids, WeightNoise(0.05, where="head"), 2)
    >>> noisy.shape == (2, len(ids), len(model.vocabulary))
    True
    """
    import torch

    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise InvalidInputError(f"draws = {draws!r}; an integer of at least 1 is accepted.")
    if machine not in ("auto", "copies"):
        raise UnsupportedNoiseError(f"machine = {machine!r}; 'auto' or 'copies' is accepted.")
    kept = np.dtype(dtype)
    if kept not in (np.float32, np.float16):
        raise InvalidInputError(f"dtype = {kept}; float32 or float16 is accepted.")
    chosen = selected_parameters(model.torch_module, noise)

    if noise.sigma == 0.0:
        clean = model.logits(ids).astype(kept)
        return np.repeat(clean[None], draws, axis=0)
    out: NDArray[np.floating] | None = None
    with torch.no_grad():
        copies = _with_progress(
            _perturbed_copies(chosen, noise, draws, antithetic), draws, progress
        )
        for k, copy in enumerate(copies):
            logits = model.logits(ids, copy)
            if out is None:
                out = np.empty((draws, *logits.shape), dtype=kept)
            out[k] = logits
    assert out is not None
    return out


def selected_parameters(
    module: torch.nn.Module, noise: WeightNoise
) -> dict[str, tuple[int, torch.Tensor]]:
    """The tensors that the noise acts on, by first name, each with its place among all tensors.

    The place numbers the tensor's own stream of random numbers.

    Raises
    ------
    InvalidInputError
        Nothing is selected; the message lists what would be.
    UnsupportedNoiseError
        A selected tensor is not floating-point.
    """
    names: dict[int, list[str]] = {}
    tensors: dict[int, torch.Tensor] = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(tensor), []).append(name)
        tensors[id(tensor)] = tensor
    chosen = {
        aliases[0]: (place, tensors[key])
        for place, (key, aliases) in enumerate(names.items())
        if any(noise.selects(alias) for alias in aliases)
    }
    if not chosen:
        known = [alias for aliases in names.values() for alias in aliases]
        kinds = [kind for kind in KINDS if kind in {kind_of(name) for name in known}]
        raise InvalidInputError(
            f"where = {noise.where!r} matches none of the model's {len(names)} parameters; "
            f"accepted: all, {', '.join(kinds)}, or a pattern of names such as {known[0]}."
        )
    for name, (_, tensor) in chosen.items():
        if not tensor.is_floating_point():
            raise UnsupportedNoiseError(
                f"the parameter {name} has type {tensor.dtype}; only floating-point weights can "
                "be perturbed."
            )
    return chosen


def _perturbed_copies(
    chosen: dict[str, tuple[int, torch.Tensor]], noise: WeightNoise, draws: int, antithetic: bool
) -> Iterator[dict[str, torch.Tensor]]:
    """One set of perturbed tensors per draw, the same whatever the number of draws."""
    import torch

    size = {  # standard deviation of the noise on each tensor
        name: noise.sigma * (1.0 if noise.scale == "absolute" else _rms(tensor))
        for name, (_, tensor) in chosen.items()
    }
    for k in range(0, draws, 2 if antithetic else 1):
        stream = k // 2 if antithetic else k
        kick = {
            name: torch.from_numpy(_kick(tensor, size[name], noise.seed, stream, place)).to(tensor)
            for name, (place, tensor) in chosen.items()
        }
        yield {name: tensor + kick[name] for name, (_, tensor) in chosen.items()}
        if antithetic and k + 1 < draws:
            yield {name: tensor - kick[name] for name, (_, tensor) in chosen.items()}


def _kick(
    tensor: torch.Tensor, size: float, seed: int, stream: int, place: int
) -> NDArray[np.floating]:
    """The displacement of one tensor: normal numbers of standard deviation ``size``."""
    # The same as SeedSequence(seed).spawn(...)[stream].spawn(...)[place], without spawning all.
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, place)))
    dtype = np.float64 if tensor.dtype.itemsize == 8 else np.float32
    numbers = generator.standard_normal(tuple(tensor.shape), dtype=dtype)
    numbers *= size
    return numbers


def _rms(tensor: torch.Tensor) -> float:
    return float(tensor.double().square().mean().sqrt())


def _with_progress(
    copies: Iterator[dict[str, torch.Tensor]], draws: int, progress: bool
) -> Iterator[dict[str, torch.Tensor]]:
    if not progress:
        return copies
    from tqdm.auto import tqdm

    return iter(tqdm(copies, total=draws, desc="weight noise", unit="draw"))
