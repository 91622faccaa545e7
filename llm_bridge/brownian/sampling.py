"""Logits of a text under draws of noisy weights, by whichever machine is cheapest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from llm_bridge.brownian.copies import logits_of_copies, require_copies, require_one_window
from llm_bridge.brownian.cost import predicted_cost
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.noisy_memory import require_memory
from llm_bridge.brownian.overflow import naming_the_limit, require_numbers
from llm_bridge.brownian.regenerate import logits_of_regenerated, require_regenerable
from llm_bridge.brownian.selection import NoisyTensor, selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import windows
from llm_bridge.module_locks import lock_of
from thermo.arguments import one_of, shown, true_or_false, whole_number
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    from llm_bridge.brownian.function_space import NoisyLayer
    from llm_bridge.models import LanguageModel

__all__ = ["MACHINES", "sample_logits"]

MACHINES = ("copies", "function_space", "regenerate")
"""Ways to draw the same law."""

_BATCH_BYTES = 1 << 28  # logits and noise of the draws that are read as one batch


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
    r"""Logits of a sequence under several draws of noisy weights.

    Parameters
    ----------
    model : LanguageModel
        Its weights are never written to, so they are the same bits afterwards, also after an
        exception or Ctrl-C.
    ids : array_like of int, shape (N,)
        The sequence that every draw reads.
    noise : WeightNoise
        Law, size, place and correlation along the sequence.
    draws : int
        How many realisations, at least 1.
    machine : {"auto", "copies", "function_space", "regenerate"}
        How the noise is made; the law is the same.

        copies
            A second set of the selected tensors takes the place of the model's own
            (:func:`torch.func.functional_call`): every law, and the reference for the others. One
            random number per weight; annealed and OU noise is read token by token.
        function_space
            Noise is added to what the layers give, with the exact joint law over all positions:
            no copy, one random number per output and position, draws side by side in one batch.
            Costs n²(d + m)/2 multiplications per matrix of d inputs and m outputs for n positions,
            so for texts shorter than the layers are wide. Gaussian noise; factorised and low-rank
            if quenched.
        regenerate
            The noisy weights of one layer at a time, made again from their seed. Quenched noise
            only, the same bits as copies, memory for one layer; twice the random numbers of copies
            with antithetic pairs.
        auto
            Of those that can draw this noise and fit into memory, the one with the lowest
            :func:`llm_bridge.brownian.cost.predicted_cost`. Copies and regenerate draw the same
            realisations, function_space others.
    antithetic : bool
        Draw 2k + 1 is the mirror image of draw 2k: W − δ after W + δ. The mean distribution then
        has no error of order σ, which would otherwise hide the residual of order σ⁴ under a floor
        of disagreement/draws. Tell :func:`effective_temperature` the same. With an odd number the
        last draw stays without its mirror image. (In function space the two are mirror images to
        leading order only; each has the exact law by itself.)
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
        Fewer than one draw, ids outside the vocabulary, an entry of ``noise.where`` that matches
        nothing, or more than fits into memory; the message says what is accepted. All of it
        before any work.
    UnsupportedNoiseError
        The machine cannot draw this noise on this model; the message says which can.
    NoiseOverflowError
        So much noise that logits are NaN, infinite or count as masks, or what a layer reads
        outgrows float32; the message says up to which σ they are numbers.

    Notes
    -----
    A tensor shared under two names (tied embeddings) is selected if either name is, and gets one
    noise that acts in both places.
    Draw k depends on the seed and on k only, so more draws extend the same series.
    A text longer than the context is read in windows, by the same frozen weights; annealed and OU
    noise is refused there, for some tokens would be read twice, with other weights.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> ids = model.encode("for i in range(10):")
    >>> noisy = sample_logits(model, ids, WeightNoise(0.05, where="head"), 2)
    >>> noisy.shape == (2, len(ids), len(model.vocabulary))
    True
    """
    draws = whole_number(draws, "draws", 1)
    one_of(machine, "machine", ("auto", *MACHINES))
    antithetic = true_or_false(antithetic, "antithetic")
    progress = true_or_false(progress, "progress")
    kept = _result_type(dtype)
    tokens = model.checked_ids(ids)
    with lock_of(model.torch_module):
        return _sampled(model, tokens, noise, draws, machine, antithetic, kept, progress)


def _sampled(
    model: LanguageModel,
    tokens: NDArray[np.int64],
    noise: WeightNoise,
    draws: int,
    machine: str,
    antithetic: bool,
    kept: np.dtype[Any],
    progress: bool,
) -> NDArray[np.floating]:
    """What `sample_logits` says, of checked arguments."""
    from thermo.run.progress_bar import progress_bar

    chosen = selected_tensors(model.torch_module, noise)
    sizes = tokens.size, draws, kept.itemsize

    @cache  # whether there are such layers takes as long to know as which
    def layers() -> list[NoisyLayer]:
        from llm_bridge.brownian.function_space import noisy_layers

        require_one_window(model, noise, tokens.size)
        return noisy_layers(model.torch_module, noise, chosen)

    def require_support(machine: str) -> None:
        if machine == "copies":
            require_copies(model, chosen, noise, tokens.size)
        elif machine == "regenerate":
            require_regenerable(model, chosen, noise)
        else:
            layers()

    def supported(machine: str) -> bool:
        try:
            require_support(machine)
        except UnsupportedNoiseError:
            return False
        return True

    if noise.sigma == 0.0:
        require_memory("clean", model, chosen, *sizes, lambda _: False)
        return np.repeat(model.logits(tokens).astype(kept)[None], draws, axis=0)

    def require(machine: str) -> None:
        require_support(machine)
        require_memory(machine, model, chosen, *sizes, supported)

    if machine == "auto":

        def cost(machine: str) -> float:
            return predicted_cost(machine, model, chosen, noise, tokens.size, antithetic)

        machine = _cheapest(cost, require)
    else:
        require(machine)
    read = {
        "copies": logits_of_copies,
        "function_space": _logits_in_function_space,
        "regenerate": logits_of_regenerated,
    }[machine]

    def one_draw(of: WeightNoise) -> None:
        sized = selected_tensors(model.torch_module, of)
        for logits in read(model, tokens, sized, of, 1, False):
            require_numbers(model, of, logits, kept)

    out = np.empty((draws, tokens.size, model.vocabulary_size), dtype=kept)
    known = {"layers": layers()} if machine == "function_space" else {}
    bar_of_draws = progress_bar(progress, draws, unit="draw", what="weight noise")
    with bar_of_draws as bar, naming_the_limit(noise, one_draw):
        for k, logits in enumerate(read(model, tokens, chosen, noise, draws, antithetic, **known)):
            require_numbers(model, noise, logits, kept)
            out[k] = logits
            bar.update()
    return out


def _cheapest(cost: Callable[[str], float], require: Callable[[str], None]) -> str:
    """The machine of the lowest cost among those that meet what is required."""
    refusals: dict[str, InvalidInputError] = {}
    for machine in sorted(MACHINES, key=cost):
        try:
            require(machine)
        except InvalidInputError as error:
            refusals[machine] = error
        else:
            return machine
    raise refusals["copies"]  # it draws what the others draw and more: its reason is the last word


def _logits_in_function_space(
    model: LanguageModel,
    tokens: NDArray[np.int64],
    chosen: Sequence[NoisyTensor],
    noise: WeightNoise,
    draws: int,
    antithetic: bool,
    layers: Sequence[NoisyLayer] | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Logits (N, V) of one draw after another, several of them read as one batch."""
    import torch

    from llm_bridge.brownian.function_space import FunctionSpaceNoise, noisy_layers

    if layers is None:
        layers = noisy_layers(model.torch_module, noise, chosen)
    device = next(model.torch_module.parameters()).device
    passes = list(windows(tokens.size, model.context_length))
    outputs = sum(tensor.tensor.shape[0] for tensor in chosen)  # an embedding's are fewer
    row = 4 * tokens.size * (2 * model.vocabulary_size + outputs)
    batch = 2 * max(_BATCH_BYTES // (2 * row), 1)  # even: mirror images stay together
    for first in range(0, draws, batch):
        rows = min(batch, draws - first)
        out = np.empty((rows, tokens.size, model.vocabulary_size), dtype=np.float32)
        reading = FunctionSpaceNoise(
            model,
            noise,
            draws=rows,
            first_draw=first,
            mirrored=antithetic,
            one_pass=len(passes) == 1,
            layers=layers,
        )
        with reading, torch.no_grad():
            for start, stop, begin in passes:
                window = torch.from_numpy(tokens[start:stop]).to(device).expand(rows, -1)
                answer = model.torch_module(input_ids=window, use_cache=False)
                out[:, begin:stop] = answer.logits[:, begin - start :].float().cpu().numpy()
        yield from out


def _result_type(dtype: DTypeLike) -> np.dtype:
    try:
        kept = np.dtype(dtype)
    except TypeError:
        kept = None
    if kept not in (np.float32, np.float16):
        raise InvalidInputError(f"dtype = {shown(dtype)}; float32 or float16 is accepted.")
    return kept
