"""The Boltzmann distribution of logits at any signed β, in float64 and with masks left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from llm_bridge.logit_arrays import MASKED_AT, require_plain
from thermo.arguments import as_real
from thermo.errors import InvalidInputError
from thermo.temperature import as_beta

__all__ = ["as_mask", "boltzmann", "entropy_of", "open_logits", "signed_log_probabilities"]

_TIES = ("all", "lowest")


def signed_log_probabilities(
    logits: Any, beta: ArrayLike, valid: Any = None, ties: str = "all"
) -> Tensor:
    r"""Log-probabilities of tokens at any signed β.

    .. math:: \ln p_i = \beta z_i - \ln \sum_{j\ \mathrm{open}} e^{\beta z_j}

    β = 1 is the model's own distribution, β → +∞ its greedy choice, β = 0 every token alike,
    β < 0 prefers what the model thinks least likely, β → −∞ only the least likely.

    Parameters
    ----------
    logits : torch.Tensor or array_like, shape (..., V)
        Logits (or log-probabilities: a constant per row drops out) in nats, of any float type.
        −inf and the lowest number of a dtype (`llm_bridge.logit_arrays.MASKED_AT`) mean: no
        candidate.
    beta : array_like, shape () or (...)
        Inverse temperature, one for all rows or one for each: any real number, ±0.0, ±inf.
    valid : array_like of bool, shape (V,), optional
        False for tokens that must not come, whatever their logit (even NaN).
    ties : {"all", "lowest"}
        What β = ±∞ does with tokens that share the extreme logit: all of them with equal
        probability, or the lowest id alone. Other β do not look at it.

    Returns
    -------
    torch.Tensor of float64, shape (..., V)
        On the device of the logits; −inf for tokens that are no candidates.

    Raises
    ------
    InvalidInputError
        β is NaN; NaN or +inf among the valid logits, or a row without a candidate, naming the
        position; wrong shapes.

    Notes
    -----
    Masks are found before β is applied and put back afterwards: −inf·β would be +inf at β < 0 and
    NaN at β = 0. The rest is measured in float64 from the end of the spectrum that dominates (the
    largest logit for β > 0, the smallest for β < 0), so that nothing overflows, also not float16.

    Whatever an engine adds to logits beforehand (repetition penalties, logit bias) was meant for
    β > 0: at β < 0 a penalised token becomes *more* likely, and a ban by a bias of −100 makes it
    the likeliest of all. Ban with ``valid``.

    Examples
    --------
    >>> signed_log_probabilities([2.0, 1.0, float("-inf")], -1.0).exp()
    tensor([0.2689, 0.7311, 0.0000], dtype=torch.float64)
    """
    energies, candidates = open_logits(logits, valid)
    return boltzmann(energies, candidates, beta, ties)


def open_logits(logits: Any, valid: Any = None) -> tuple[Tensor, Tensor]:
    """Check logits once: their numbers in float64, and which tokens are candidates.

    Parameters
    ----------
    logits : torch.Tensor or array_like, shape (..., V)
    valid : array_like of bool, shape (V,), optional

    Returns
    -------
    numbers : torch.Tensor of float64, shape (..., V)
        0 where the token is no candidate, so that no arithmetic can go wrong there.
    candidates : torch.Tensor of bool, shape (..., V)

    Raises
    ------
    InvalidInputError
        As `signed_log_probabilities`.
    """
    numbers = _as_float64(logits)
    if numbers.ndim == 0 or numbers.numel() == 0:
        raise InvalidInputError(
            f"logits have shape {tuple(numbers.shape)}; (..., V) with at least one token is needed."
        )
    candidates = ~(numbers <= MASKED_AT)  # NaN is not silently a mask: it is reported below
    if valid is not None:
        candidates &= as_mask(valid, numbers.shape[-1]).to(numbers.device)
    numbers = torch.where(candidates, numbers, 0.0)
    usable = (numbers < torch.inf).all(-1) & candidates.any(-1)  # NaN < inf is False
    if not usable.all():
        _refuse(numbers, candidates, usable)
    return numbers, candidates


def boltzmann(numbers: Tensor, candidates: Tensor, beta: ArrayLike, ties: str = "all") -> Tensor:
    """`signed_log_probabilities` of logits that `open_logits` has checked."""
    if ties not in _TIES:
        raise InvalidInputError(f"ties = {ties!r} was given; accepted: {' or '.join(_TIES)}.")
    b = as_beta(beta)
    if b.ndim and b.shape != numbers.shape[:-1]:
        raise InvalidInputError(
            f"beta has shape {b.shape}; one number, or one for each of the rows "
            f"{tuple(numbers.shape[:-1])} is accepted."
        )
    strength = torch.as_tensor(np.abs(b)[..., None], device=numbers.device)
    sign = torch.as_tensor(np.where(b < 0, -1.0, 1.0)[..., None], device=numbers.device)
    closed = ~candidates
    below = (numbers * sign).masked_fill_(closed, -torch.inf)  # the likeliest end, and ...
    below -= below.amax(-1, keepdim=True)  # ... how far below it the others are
    extreme = below == 0
    if ties == "lowest":
        first = extreme.to(torch.uint8).argmax(-1, keepdim=True)
        extreme = torch.zeros_like(extreme).scatter_(-1, first, True)
    weight = (below * strength).masked_fill_(closed, -torch.inf)  # at β = 0 they had become NaN
    if np.isinf(b).any():
        at_an_end = torch.where(extreme, 0.0, -torch.inf)
        weight = torch.where(strength.isinf(), at_an_end, weight)
    return weight.log_softmax(-1)


def entropy_of(log_probabilities: Tensor) -> Tensor:
    """Entropy −Σ p ln p in nats of log-probabilities (..., V), where 0 ln 0 = 0; shape (...)."""
    finite = log_probabilities.clamp(min=torch.finfo(torch.float64).min)
    return -(finite.exp() * finite).sum(-1) + 0.0  # + 0.0: one state has entropy 0, not −0


def _as_float64(logits: Any) -> Tensor:
    if not isinstance(logits, Tensor):
        return torch.tensor(as_real(logits, "logits"))
    require_plain(logits, "logits")
    if logits.is_complex() or logits.dtype == torch.bool:
        raise InvalidInputError(f"logits are {logits.dtype}; real numbers are needed.")
    return logits.detach().to(torch.float64)


def as_mask(valid: Any, size: int | None = None) -> Tensor:
    """A mask of the vocabulary as a tensor of bool (V,), refusing other shapes and types.

    Parameters
    ----------
    valid : array_like of bool, shape (V,)
    size : int, optional
        V, where it is known.

    Returns
    -------
    torch.Tensor of bool, shape (V,)
    """
    mask = valid if isinstance(valid, Tensor) else np.asarray(valid)
    is_bool = mask.dtype in (torch.bool, np.bool_)
    if not is_bool or mask.ndim != 1 or (size is not None and mask.shape[0] != size):
        raise InvalidInputError(
            f"valid has shape {tuple(mask.shape)} and type {mask.dtype}; one bool for each "
            f"of the {'' if size is None else f'{size} '}tokens of the vocabulary is needed."
        )
    return mask if isinstance(mask, Tensor) else torch.tensor(mask)


def _refuse(numbers: Tensor, candidates: Tensor, usable: Tensor) -> None:
    where = tuple((~usable).nonzero()[0].tolist())
    place = f" at position {where[0] if len(where) == 1 else where}" if where else ""
    row, is_open = numbers[where], candidates[where]
    for name, broken in (("nan", row.isnan()), ("+inf", row.isposinf())):
        if broken.any():
            token = int(broken.to(torch.uint8).argmax())
            raise InvalidInputError(
                f"logits hold {name}{place}, token {token}; only finite numbers are accepted, and "
                "−inf for a masked token."
            )
    assert not is_open.any()
    raise InvalidInputError(f"every token is masked{place}; at least one must be left.")
