"""How weak weight noise moves and spreads logits: the two moments of order σ², by derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from llm_bridge.brownian.kicks import kick, stream_of
from llm_bridge.brownian.noise import WeightNoise, require_noise
from llm_bridge.brownian.selection import NoisyTensor, selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import windows
from llm_bridge.module_locks import lock_of
from thermo.errors import InvalidInputError
from thermo.memory import Change, check_memory

if TYPE_CHECKING:
    import torch

    from llm_bridge.models import LanguageModel

__all__ = ["LogitMoments", "centred_variance", "exact_moments", "logit_moments"]

FloatArray = NDArray[np.float64]

_BLOCKS = 16  # of probes, between which the moments are compared to tell their errors
_MOVEMENT = 0.005  # nats, rms: how far logits are moved to see how their slope changes


@dataclass(frozen=True, eq=False)
class LogitMoments:
    r"""Moments of the change δz of logits under weak noise, per σ².

    Attributes
    ----------
    logits : ndarray, shape (N, V)
        Of the clean model, over the tokens of its tokenizer.
    shift : ndarray, shape (B, N, V)
        :math:`b = E\,\delta z / \sigma^2`, from each of B blocks of probes.
    spread : ndarray, shape (B, N, V)
        :math:`v_i = E(\delta z_i - \langle\delta z\rangle_p)^2 / \sigma^2` likewise.
    weights : ndarray, shape (B,)
        Share of the probes that each block has.
    exact : bool
        True where nothing was sampled; B is then 1.
    """

    logits: FloatArray
    shift: NDArray[np.floating]
    spread: NDArray[np.floating]
    weights: FloatArray
    exact: bool


def centred_variance(p: FloatArray, covariance: FloatArray) -> FloatArray:
    r""":math:`v_i = (e_i - p)^T \Sigma (e_i - p)`, the variance of a logit against their mean.

    Parameters
    ----------
    p : ndarray, shape (N, V)
        Probabilities.
    covariance : ndarray, shape (N, V, V) or (N, V)
        Σ of the logits at every position, or its diagonal where it has nothing else.

    Returns
    -------
    ndarray, shape (N, V)

    Examples
    --------
    Noise that all logits share is no noise:

    >>> centred_variance(np.array([[0.7, 0.3]]), np.ones((1, 2, 2)))
    array([[0., 0.]])
    """
    if covariance.ndim == p.ndim:
        common = (p**2 * covariance).sum(axis=-1, keepdims=True)
        return covariance - 2 * p * covariance + common
    with_mean = np.einsum("tij,tj->ti", covariance, p)
    common = np.einsum("ti,ti->t", p, with_mean)
    return np.einsum("tii->ti", covariance) - 2 * with_mean + common[:, None]


def exact_moments(logits: FloatArray, spread: FloatArray, shift: FloatArray) -> LogitMoments:
    """Moments (N, V) that are known without sampling."""
    return LogitMoments(logits, shift[None], spread[None], np.ones(1), exact=True)


def logit_moments(
    model: LanguageModel,
    ids: ArrayLike,
    noise: WeightNoise,
    probes: int,
    tick: Callable[[], None] = lambda: None,
) -> LogitMoments:
    r"""Shift and spread of the logits of a text, to leading order in the noise.

    With weights :math:`w + \sigma\xi`, where ξ are draws of the noise at σ = 1 (uncorrelated,
    E ξ = 0):

    .. math::
        \delta z = \sigma\,\partial_\xi z + \tfrac12 \sigma^2\, \partial_\xi^2 z + \dots, \qquad
        b = \tfrac12\,E\,\partial_\xi^2 z, \qquad
        v_i = E\big(\partial_\xi z_i - \langle \partial_\xi z \rangle_p\big)^2 .

    :math:`\partial_\xi z` is a Jacobian–vector product (:func:`torch.func.jvp`, forward mode), one
    pass over the text and no Jacobian. :math:`\partial_\xi^2 z` is the difference of two of them,
    at w ± hξ, with h so small that they move logits by 0.005 nats: the relative error of b and v
    is about 1e-3. (Forward mode twice would have none, but torch 2.13 gets it wrong for layer
    norms, without a word.) The head's own matrix acts linearly, :math:`\delta z = \delta W h`: its
    b = 0 and its v are exact.

    Parameters
    ----------
    model : LanguageModel
    ids : array_like of int, shape (N,)
    noise : WeightNoise
        Its law, scale, place and seed; its σ is not used. Quenched.
    probes : int
        How many ξ are averaged over, at least 2: draws 0, 1, … of the noise itself, the same that
        :func:`llm_bridge.brownian.sample_logits` makes by copies. Not used if the noise is the
        head's alone.
    tick : callable
        Called after each probe.

    Returns
    -------
    LogitMoments

    Raises
    ------
    InvalidInputError
        Ids or places that the model does not have; logits that are not finite; not enough memory.
    UnsupportedNoiseError
        Noise that is not quenched, or a layer without forward-mode derivatives.
    """
    import torch

    require_noise(noise)
    if noise.correlation != "quenched":
        raise UnsupportedNoiseError(
            f"correlation = {noise.correlation!r}: derivatives are taken with one set of weights "
            "for all positions; 'quenched' is accepted, whose law at a single position is the same "
            "but for keys and values that were cached with other weights."
        )
    unit = replace(noise, sigma=1.0)
    tokens = model.checked_ids(ids)
    chosen = selected_tensors(model.torch_module, unit)
    _require_memory(tokens.size, int(model.valid.sum()), min(probes, _BLOCKS))
    with torch.no_grad():
        logits, head, hidden = _clean(model, tokens)
    if not np.isfinite(logits).all():
        raise InvalidInputError(
            "the clean logits hold NaN or infinity; finite logits of all tokens are accepted."
        )
    p = softmax(logits, axis=-1)
    linear = [] if hidden is None else [t for t in chosen if len(t.names) == 1 and _is_of(t, head)]
    spread = np.zeros_like(logits)
    if linear:
        assert hidden is not None
        variance = sum(_head_variance(tensor, unit, hidden)[:, model.valid] for tensor in linear)
        spread = centred_variance(p, np.broadcast_to(np.asarray(variance), p.shape))
    rest = [tensor for tensor in chosen if tensor not in linear]
    if not rest:
        return exact_moments(logits, spread, np.zeros_like(logits))

    blocks = min(probes, _BLOCKS)
    sizes = np.bincount(np.arange(probes) % blocks)
    shifts, spreads = (np.zeros((blocks, *logits.shape), dtype=np.float32) for _ in range(2))
    step = 0.0
    for probe in range(probes):
        xi = {t.name: kick(t, unit, stream_of(t, unit, probe)).to(t.tensor.dtype) for t in rest}
        if probe == 0:
            movement = _slope(model, tokens, rest, xi, 0.0)
            movement -= movement.mean(axis=1, keepdims=True)
            step = _MOVEMENT / max(float(np.sqrt((movement**2).mean())), 1e-6)
        ahead, behind = (_slope(model, tokens, rest, xi, at) for at in (step, -step))
        slope = 0.5 * (ahead + behind)
        slope -= np.einsum("tv,tv->t", p, slope)[:, None]
        block, weight = probe % blocks, 1 / sizes[probe % blocks]
        shifts[block] += weight * (ahead - behind) / (4 * step)
        spreads[block] += weight * slope**2
        tick()
    spreads += spread.astype(np.float32)
    return LogitMoments(logits, shifts, spreads, sizes / probes, exact=False)


def _require_memory(positions: int, tokens: int, blocks: int) -> None:
    def held(positions: int) -> dict[str, float]:
        return {"moments": 8.0 * positions * tokens * (blocks + 8)}

    fewer = Change("at most {} positions", range(positions - 1, 0, -1), held)
    check_memory(f"derivatives of {positions} × {tokens} logits", held(positions), [fewer])


def _clean(
    model: LanguageModel, tokens: NDArray[np.int64]
) -> tuple[FloatArray, torch.nn.Module | None, torch.Tensor | None]:
    """Logits (N, V) over valid columns; the head and what it reads (N, d), if z is its output."""
    import torch

    head: Any = model.torch_module.get_output_embeddings()  # type: ignore[operator]
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    logits, hidden, plain = [], [], type(head) is torch.nn.Linear
    hook = head.register_forward_hook(lambda _, x, y: seen.append((x[0], y))) if plain else None
    try:
        for start, stop, first in windows(tokens.size, model.context_length):
            seen.clear()
            answer = _read(model, tokens[start:stop])
            rows = answer[first - start :]
            logits.append(rows.double().cpu().numpy()[:, model.valid])
            # softcapping, scaling and the like after the head: then it is no linear layer
            plain = plain and len(seen) == 1 and torch.equal(seen[0][1][0].float(), answer.float())
            if plain:
                hidden.append(seen[0][0][0, first - start :].double())
    finally:
        if hook is not None:
            hook.remove()
    return np.concatenate(logits), head, torch.cat(hidden) if plain else None


def _read(
    model: LanguageModel,
    tokens: NDArray[np.int64],
    parameters: dict[str, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Logits (n, V) of one window."""
    import torch

    device = next(model.torch_module.parameters()).device
    inputs = {"input_ids": torch.from_numpy(tokens)[None].to(device), "use_cache": False}
    with lock_of(model.torch_module):
        if parameters is None:
            return model.torch_module(**inputs).logits[0]
        return torch.func.functional_call(model.torch_module, parameters, (), inputs).logits[0]


def _is_of(tensor: NoisyTensor, module: torch.nn.Module | None) -> bool:
    return module is not None and any(tensor.tensor is each for each in module.parameters())


def _head_variance(tensor: NoisyTensor, unit: WeightNoise, hidden: torch.Tensor) -> FloatArray:
    """Variance (N, V) of each logit from noise on the head's matrix or bias; they are uncorrelated.

    Entries of one draw are uncorrelated in every law, so those of factors and low rank are no other
    than independent ones here.
    """
    weights = tensor.tensor.detach().double()
    squares = weights**2 if unit.law == "multiplicative" else None
    if weights.ndim == 1:
        one = np.full((1, len(weights)), tensor.size**2) if squares is None else squares[None].cpu()
        return np.asarray(one)
    energy = hidden**2
    if squares is not None:
        return (energy @ squares.T).cpu().numpy()
    same = tensor.size**2 * energy.sum(dim=1, keepdim=True)
    return same.expand(-1, len(weights)).cpu().numpy()


def _slope(
    model: LanguageModel,
    tokens: NDArray[np.int64],
    chosen: Sequence[NoisyTensor],
    direction: dict[str, torch.Tensor],
    at: float,
) -> FloatArray:
    """Derivative (N, V) of the logits along a direction ξ in weight space, at w + at·ξ."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    point = {t.name: torch.add(t.tensor.detach(), direction[t.name], alpha=at) for t in chosen}
    found = []
    for start, stop, first in windows(tokens.size, model.context_length):

        def read(weights: dict[str, torch.Tensor], part: slice = slice(start, stop)) -> Any:
            return _read(model, tokens[part], weights)

        try:
            # Attention by its definition: the fused kernels have no forward derivative.
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of torch, of itself
                _, slope = torch.func.jvp(read, (point,), (direction,))
        except RuntimeError as error:
            if not isinstance(error, NotImplementedError) and "autograd.Function" not in str(error):
                raise
            reason = str(error).partition("\n")[0]
            raise UnsupportedNoiseError(
                f"{type(model.torch_module).__name__} cannot be differentiated in forward mode "
                f"({reason}); accepted: draws of the noise (sample_logits and "
                "effective_temperature)."
            ) from error
        found.append(slope[first - start :].double().cpu().numpy()[:, model.valid])
    return np.concatenate(found)
