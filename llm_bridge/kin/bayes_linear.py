"""A layer with a Gaussian posterior of its weights, learned by Bayes by Backprop."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from llm_bridge.kin.random_linear import RandomLinear
from thermo.arguments import finite_number

__all__ = ["BayesLinear"]


class BayesLinear(RandomLinear):
    r"""Weights with a learned normal law each, beside a normal prior.

    The law is :math:`q = N(\mu, \sigma^2)` with :math:`\sigma = \ln(1 + e^\rho)`. Training makes

    .. math:: n\,E_q[\text{loss per sample}] + \mathrm{KL}(q \,\|\, N(0, s^2))

    small: `redraw`, compute the loss of a batch times n, add `divergence`, go down its gradient.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    spread : float
        What σ starts from.
    prior_spread : float
        s.
    device, dtype
        As those of :class:`torch.nn.Linear`.

    Attributes
    ----------
    weight, bias : Parameter
        μ; they start as those of :class:`torch.nn.Linear`.
    weight_rho, bias_rho : Parameter
        ρ.

    Raises
    ------
    InvalidInputError
        A spread that is not positive.

    Notes
    -----
    Near a minimum, with the curvature h of the loss in a weight (the others held), the best σ is
    :math:`1/\sqrt{n h + 1/s^2}`: the spread of the weight at *fixed* others, smaller than that of
    the true posterior wherever weights are correlated.

    References
    ----------
    C. Blundell et al., *Weight uncertainty in neural networks*, ICML (2015), with a single normal
    law as prior, for which the divergence is exact instead of sampled.

    Examples
    --------
    >>> layer = BayesLinear(3, 2, spread=1.0)
    >>> with torch.no_grad():
    ...     layer.weight.zero_(), layer.bias.zero_()
    (...)
    >>> bool(layer.divergence().abs() < 1e-5)  # the prior itself
    True
    """

    weight_rho: Tensor
    bias_rho: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        spread: float = 0.02,
        prior_spread: float = 1.0,
        **where: Any,
    ):
        super().__init__(in_features, out_features, bias, **where)
        start = finite_number(spread, "spread", positive=True)
        self.prior_spread = finite_number(prior_spread, "prior_spread", positive=True)
        rho = start + math.log(-math.expm1(-start))  # the inverse of softplus
        for name in ("weight", "bias"):
            mean = getattr(self, name)
            value = None if mean is None else nn.Parameter(torch.full_like(mean, rho))
            self.register_parameter(f"{name}_rho", value)

    def weight_spread(self) -> Tensor:
        return nn.functional.softplus(self.weight_rho)

    def bias_spread(self) -> Tensor:
        assert self.bias_rho is not None
        return nn.functional.softplus(self.bias_rho)

    def divergence(self) -> Tensor:
        r"""KL(q ‖ prior), in nats, differentiable.

        .. math:: \sum \left[\ln\frac s\sigma + \frac{\sigma^2 + \mu^2}{2 s^2} - \frac12\right]
        """
        total = _divergence(self.weight, self.weight_spread(), self.prior_spread)
        if self.bias is not None:
            total = total + _divergence(self.bias, self.bias_spread(), self.prior_spread)
        return total

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, prior_spread={self.prior_spread:g}"


def _divergence(mean: Tensor, spread: Tensor, prior: float) -> Tensor:
    ratio = spread / prior
    return (0.5 * (ratio.square() + (mean / prior).square() - 1.0) - ratio.log()).sum()
