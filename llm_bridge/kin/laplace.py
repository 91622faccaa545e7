"""Laplace's approximation of the posterior of a last layer, by the package laplace-torch."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from llm_bridge.errors import MissingExtraError
from llm_bridge.kin.drawn_logits import DrawnLogits
from thermo.arguments import checked_seed, finite_number, one_of, whole_number
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["laplace_logits"]

_BATCH = 256


def laplace_logits(
    head: nn.Linear,
    hidden: Tensor,
    tokens: ArrayLike,
    *,
    at: Tensor | None = None,
    draws: int,
    seed: int = 0,
    prior_precision: float = 1.0,
    structure: str = "kron",
) -> DrawnLogits:
    r"""Draw heads from the normal law around a trained one that its data allow.

    .. math:: w \sim N\big(\hat w, (nF + \gamma)^{-1}\big)

    with nF the Fisher information that n data have about the weights. On average over these data
    the draws disagree by

    .. math:: \mathrm{MI} \approx \frac{f}{2n}, \qquad f = \mathrm{tr}\, nF (nF + \gamma)^{-1},

    f being the effective number of parameters: each degree of freedom is worth ½ nat, as kT/2.

    Parameters
    ----------
    head : torch.nn.Linear
        The last layer, trained to the optimum: the Hessian is taken where it is. It is not changed.
    hidden : Tensor, shape (n, d)
        What the head read in training.
    tokens : array_like of int, shape (n,)
        What it was to answer.
    at : Tensor, shape (N, d), optional
        Where to read logits. Default: ``hidden``.
    draws : int
        At least 1.
    seed : int
    prior_precision : float
        γ > 0.
    structure : {"full", "kron", "diag"}
        Of the Hessian. Full for up to some thousand weights; diag is what
        :class:`BayesLinear` finds.

    Returns
    -------
    DrawnLogits

    Raises
    ------
    MissingExtraError
        laplace-torch is not installed.
    InvalidInputError
        Shapes that do not fit together, or tokens that the head has no logits for.

    References
    ----------
    D. J. C. MacKay, Neural Comput. 4, 448 (1992). E. Daxberger et al., *Laplace redux*,
    NeurIPS (2021). The approximation is theirs: the package laplace-torch computes it.
    """
    one_of(structure, "structure", ("full", "kron", "diag"))
    precision = finite_number(prior_precision, "prior_precision", positive=True)
    draws, seed = whole_number(draws, "draws", 1), checked_seed(seed)
    answers = torch.as_tensor(np.asarray(tokens))
    where = hidden if at is None else at
    if (
        hidden.ndim != 2
        or hidden.shape[1] != head.in_features
        or answers.shape != hidden.shape[:1]
        or where.ndim != 2
        or where.shape[1] != head.in_features
    ):
        raise InvalidInputError(
            f"hidden {tuple(hidden.shape)}, tokens {tuple(answers.shape)}, at {tuple(where.shape)} "
            f"with a head of {head.in_features} inputs; (n, d), (n,) and (N, d) are accepted."
        )
    if answers.is_floating_point() or not (
        bool((answers >= 0).all()) and bool((answers < head.out_features).all())
    ):
        raise InvalidInputError(
            f"tokens must be integers 0 … {head.out_features - 1}, as the head has logits for."
        )
    posterior = _laplace()(
        nn.Sequential(nn.Identity(), head),  # it looks for the last layer of several
        "classification",
        subset_of_weights="last_layer",
        hessian_structure=structure,
        prior_precision=precision,
    )
    data = torch.utils.data.TensorDataset(hidden, answers.long().to(hidden.device))
    modes = [(p, p.requires_grad) for p in head.parameters()]
    try:
        posterior.fit(torch.utils.data.DataLoader(data, batch_size=_BATCH))
    finally:
        for parameter, mode in modes:
            parameter.requires_grad_(mode)
    generator = torch.Generator(device=hidden.device).manual_seed(seed >> 1)
    with torch.no_grad():
        rows = posterior.sample(draws, generator=generator)
        width = head.in_features * head.out_features
        weights = rows[:, :width].reshape(draws, head.out_features, head.in_features)
        noisy = where @ weights.mT
        if head.bias is not None:
            noisy = noisy + rows[:, None, width:]
        return DrawnLogits(head(where).cpu().numpy(), noisy.cpu().numpy())


def _laplace() -> Any:
    """The class Laplace, or a sentence about what to install."""
    try:
        with warnings.catch_warnings():  # its own imports warn about torch's newest version
            warnings.simplefilter("ignore")
            from laplace import Laplace
    except ImportError as error:
        raise MissingExtraError(
            "laplace-torch", "Laplace's approximation of a last layer", "laplace-torch"
        ) from error
    return Laplace
