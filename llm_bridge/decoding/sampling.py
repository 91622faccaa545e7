"""Drawing tokens at any signed β."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from llm_bridge.decoding.signed_softmax import signed_log_probabilities
from thermo.errors import InvalidInputError

__all__ = ["draw", "sample"]


def sample(
    logits: Any,
    beta: ArrayLike,
    *,
    generator: np.random.Generator | torch.Generator,
    valid: Any = None,
    ties: str = "all",
) -> Tensor:
    r"""Draw one token per row with probability :math:`p_i \propto e^{\beta z_i}`, β of any sign.

    Parameters
    ----------
    logits : torch.Tensor or array_like, shape (..., V)
        Logits in nats of any float type; −inf and the lowest number of a dtype mask a token.
    beta : array_like, shape () or (...)
        Inverse temperature, one for all rows or one for each: any real number, ±0.0, ±inf.
    generator : numpy.random.Generator or torch.Generator
        Source of randomness; it gives one uniform number per row.
    valid : array_like of bool, shape (V,), optional
        False for tokens that must not come.
    ties : {"all", "lowest"}
        At β = ±∞, draw among all tokens with the extreme logit, or take the lowest id.

    Returns
    -------
    torch.Tensor of int64, shape (...)
        Token ids, on the device of the logits.

    Raises
    ------
    InvalidInputError
        As `signed_log_probabilities`; or ``generator`` is none.

    Notes
    -----
    The cumulative distribution is inverted at one uniform number per row, so that rounding in the
    logits moves a drawn token only if it moves a boundary across that number. 53 random bits:
    tokens with p < 1e-16 are never drawn.

    For scoring and beam search this is the wrong tool: their scores are log-probabilities of the
    model, which have no meaning at β < 0.

    Examples
    --------
    >>> import numpy as np
    >>> sample([[0.0, 4.0, 1.0]] * 3, [float("inf"), 0.0, float("-inf")],
    ...        generator=np.random.default_rng(1))
    tensor([1, 2, 0])
    """
    log_p = signed_log_probabilities(logits, beta, valid, ties)
    return draw(log_p, _uniform(generator, tuple(log_p.shape[:-1])))


def draw(log_probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Invert the cumulative distribution of each row at a uniform number.

    Parameters
    ----------
    log_probabilities : torch.Tensor, shape (..., V)
    uniform : torch.Tensor, shape (...)
        Numbers in [0, 1).

    Returns
    -------
    torch.Tensor of int64, shape (...)
    """
    cumulative = log_probabilities.exp().cumsum(-1)
    target = uniform.to(cumulative)[..., None] * cumulative[..., -1:]
    ids = torch.searchsorted(cumulative, target, right=True)
    ids = ids.clamp(max=cumulative.shape[-1] - 1)
    # A GPU adds in parallel and the sum of its parts may waver by a rounding where p = 0: never
    # may that bring an excluded token.
    excluded = log_probabilities.gather(-1, ids).isneginf()
    return torch.where(excluded, log_probabilities.argmax(-1, keepdim=True), ids)[..., 0]


def _uniform(generator: np.random.Generator | torch.Generator, shape: tuple[int, ...]) -> Tensor:
    if isinstance(generator, np.random.Generator):
        return torch.as_tensor(generator.random(shape))
    if isinstance(generator, torch.Generator):
        return torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
    raise InvalidInputError(
        f"generator = {generator!r} was given; accepted: a numpy.random.Generator, for example "
        "numpy.random.default_rng(seed), or a torch.Generator."
    )
