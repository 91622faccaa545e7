"""Dropout that stays on while a network is used: Monte Carlo dropout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from thermo.arguments import as_real, finite_number
from thermo.errors import InvalidInputError

__all__ = ["dropout_covariance", "dropout_layers", "dropping"]


def dropout_layers(network: nn.Module) -> list[nn.Module]:
    """Layers of torch.nn that drop something: those with p > 0."""
    return [m for m in network.modules() if isinstance(m, _DropoutNd) and m.p > 0]


@contextmanager
def dropping(network: nn.Module) -> Iterator[nn.Module]:
    r"""A context in which the network's dropout layers drop and everything else is in evaluation.

    Dropping inputs of a linear layer with probability p is multiplicative noise on its weights,
    the same for a whole column: :math:`W_{ij} \to W_{ij}\, m_j/(1 - p)`, of mean W and variance
    :math:`W^2\, p/(1 - p)`. It is no Gaussian, however small p is: see
    :func:`llm_bridge.kin.shot_noise`.

    Parameters
    ----------
    network : torch.nn.Module
        With layers such as :class:`torch.nn.Dropout`. Its modes are put back at the end, also after
        an exception.

    Notes
    -----
    torch draws the mask anew for every row, so that two positions of a text see different weights.
    At each position the law is the one of a single mask for all.

    References
    ----------
    Y. Gal and Z. Ghahramani, *Dropout as a Bayesian approximation*, ICML (2016).

    Examples
    --------
    >>> import torch
    >>> network = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 2)).eval()
    >>> x = torch.ones(1, 64)
    >>> with dropping(network):
    ...     bool((network(x) == network(x)).all())
    False
    >>> bool((network(x) == network(x)).all())
    True
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    for module in dropout_layers(network):
        module.train()
    try:
        yield network
    finally:
        for module, mode in modes:
            module.training = mode


def dropout_covariance(weight: ArrayLike, x: ArrayLike, probability: float) -> NDArray[np.float64]:
    r"""Covariance of the outputs of a linear layer whose inputs are dropped.

    .. math:: \Sigma_{ik} = \frac{p}{1 - p} \sum_j W_{ij} W_{kj}\, x_j^2

    Unlike independent noise on weights it moves outputs together.

    Parameters
    ----------
    weight : array_like, shape (V, d)
    x : array_like, shape (N, d)
    probability : float
        p, 0 ≤ p < 1.

    Returns
    -------
    ndarray, shape (N, V, V)

    Raises
    ------
    InvalidInputError
        Another p, or shapes that do not fit together.
    """
    p = finite_number(probability, "probability")
    if not 0 <= p < 1:
        raise InvalidInputError(f"probability = {p:g} was given; accepted: 0 ≤ p < 1")
    w, h = as_real(weight, "weight"), as_real(x, "x")
    if w.ndim != 2 or h.ndim != 2 or w.shape[1] != h.shape[1]:
        raise InvalidInputError(
            f"weight {w.shape} and x {h.shape} were given; accepted: (V, d) and (N, d)"
        )
    scaled = h[:, None, :] * w  # (N, V, d)
    return np.asarray(p / (1 - p) * (scaled @ scaled.mT))
