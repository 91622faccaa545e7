"""NoisyNet layers: learned noise, independent for every weight or a product of two vectors."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn

from llm_bridge.kin.random_linear import RandomLinear
from thermo.arguments import finite_number, one_of, true_or_false

__all__ = ["NoisyLinear"]

LAWS = ("factorised", "independent")


class NoisyLinear(RandomLinear):
    r"""A layer that learns how noisy its weights are, :math:`W = \mu + \sigma \circ \varepsilon`.

    Independent noise draws every ε by itself. Factorised noise draws a number per input and one per
    output,

    .. math:: \varepsilon_{ij} = c\, f(\xi_i) f(\xi'_j), \quad \varepsilon_i = c' f(\xi_i), \qquad
              f(\xi) = \mathrm{sgn}(\xi) \sqrt{|\xi|} .

    As published, c = c' = 1. But :math:`E f^2 = \sqrt{2/\pi}`, so that the variance of the product
    is 2/π and not 1, and σ is not the standard deviation of anything. Here :math:`c = \sqrt{\pi/2}`
    and :math:`c' = (\pi/2)^{1/4}` unless told otherwise.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    law : {"factorised", "independent"}
    spread : float, optional
        What σ starts from: of the order of the weights. Default: as published, :math:`0.5/\sqrt n`
        with n inputs where factorised, 0.017 where independent.
    corrected : bool
        Unit variance of factorised noise; False for the layer as published. Nothing to correct
        where independent.
    device, dtype
        As those of :class:`torch.nn.Linear`.

    Attributes
    ----------
    weight, bias : Parameter
        μ. They start uniform, as published: within :math:`1/\sqrt n` where factorised,
        :math:`\sqrt{3/n}` where independent.
    weight_sigma, bias_sigma : Parameter
        σ. Their sign has no meaning.

    Raises
    ------
    InvalidInputError
        A law of another name, or a spread that is not positive.

    Notes
    -----
    At the same spread both laws act alike to order σ²: entries of a factorised draw depend on each
    other, but are uncorrelated. They differ at σ⁴.

    References
    ----------
    M. Fortunato et al., *Noisy networks for exploration*, ICLR (2018).

    Examples
    --------
    >>> layer = NoisyLinear(64, 10)
    >>> x = torch.ones(64)
    >>> bool((layer(x) == layer.redraw()(x)).any())  # it was at rest, with the means
    False
    >>> NoisyLinear(64, 10, corrected=False).noise_variance()  # 2/π, √(2/π)
    (0.6366..., 0.7978...)
    """

    weight_sigma: Tensor
    bias_sigma: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        law: str = "factorised",
        spread: float | None = None,
        corrected: bool = True,
        **where: Any,
    ):
        super().__init__(in_features, out_features, bias, **where)
        self.law = one_of(law, "law", LAWS)
        self.corrected = true_or_false(corrected, "corrected")
        factorised = law == "factorised"
        if spread is None:
            spread = 0.5 / math.sqrt(in_features) if factorised else 0.017
        start = finite_number(spread, "spread", positive=True)
        width = math.sqrt((1.0 if factorised else 3.0) / in_features)
        for name in ("weight", "bias"):
            mean = getattr(self, name)
            if mean is None:
                self.register_parameter(f"{name}_sigma", None)
                continue
            nn.init.uniform_(mean, -width, width)
            sigma = nn.Parameter(torch.full_like(mean, start, requires_grad=True))
            self.register_parameter(f"{name}_sigma", sigma)

    def weight_spread(self) -> Tensor:
        return self.weight_sigma

    def bias_spread(self) -> Tensor:
        assert self.bias_sigma is not None
        return self.bias_sigma

    def noise_variance(self) -> tuple[float, float]:
        """Variance of every ε of the weights, and of the biases."""
        if self.law == "independent" or self.corrected:
            return 1.0, 1.0
        return 2 / math.pi, math.sqrt(2 / math.pi)

    @torch.no_grad()
    def redraw(self) -> Self:
        """Draw all ε from torch's generator."""
        if self.law == "independent":
            return super().redraw()
        root = (math.pi / 2) ** 0.25 if self.corrected else 1.0
        inputs, outputs = (
            root * _signed_root(torch.randn(n).to(self.weight_noise))
            for n in (self.in_features, self.out_features)
        )
        self.weight_noise = torch.outer(outputs, inputs)
        if self.bias_noise is not None:
            self.bias_noise = outputs
        return self

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, law={self.law!r}, corrected={self.corrected}"


def _signed_root(numbers: Tensor) -> Tensor:
    return numbers.abs().sqrt_().copysign_(numbers)
