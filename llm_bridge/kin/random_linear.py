"""A linear layer whose weights are drawn anew when it is told so."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from thermo.errors import InvalidInputError

__all__ = ["RandomLinear"]


class RandomLinear(nn.Linear):
    r"""Weights with a mean and a spread of their own, :math:`y = x\,(\mu + s \circ \varepsilon)^T`.

    What :class:`NoisyLinear` and :class:`BayesLinear` share: they differ in what s is and in how ε
    is drawn. ``weight`` and ``bias`` are the means. A new layer has ε = 0 and computes with the
    means; all rows that it reads between two calls of `redraw` see the same weights.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    device, dtype
        As those of :class:`torch.nn.Linear`.

    Attributes
    ----------
    weight_noise, bias_noise : Tensor
        The present ε, in the shapes of ``weight`` and ``bias``. Not kept in ``state_dict``.
    """

    weight_noise: Tensor
    bias_noise: Tensor | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, **where: Any):
        super().__init__(in_features, out_features, bias, **where)
        for name in ("weight", "bias"):
            mean = getattr(self, name)
            noise = None if mean is None else torch.zeros_like(mean, requires_grad=False)
            self.register_buffer(f"{name}_noise", noise, persistent=False)

    def weight_spread(self) -> Tensor:
        """s of the weights, (outputs, inputs)."""
        raise NotImplementedError

    def bias_spread(self) -> Tensor:
        """s of the biases, (outputs,)."""
        raise NotImplementedError

    def noise_variance(self) -> tuple[float, float]:
        """Variance of every ε of the weights, and of the biases."""
        return 1.0, 1.0

    @torch.no_grad()
    def redraw(self) -> Self:
        """Draw all ε from torch's generator."""
        # New tensors, not new numbers in the old: a gradient may still be wanted through those.
        self.weight_noise = torch.randn_like(self.weight_noise)
        if self.bias_noise is not None:
            self.bias_noise = torch.randn_like(self.bias_noise)
        return self

    @torch.no_grad()
    def rest(self) -> Self:
        """Set all ε to 0."""
        self.weight_noise = torch.zeros_like(self.weight_noise)
        if self.bias_noise is not None:
            self.bias_noise = torch.zeros_like(self.bias_noise)
        return self

    def forward(self, input: Tensor) -> Tensor:
        """Outputs (..., out_features) with the present weights; differentiable in μ and s."""
        weight = self.weight + self.weight_spread() * self.weight_noise
        bias: Tensor | None = self.bias
        if bias is not None and self.bias_noise is not None:
            bias = bias + self.bias_spread() * self.bias_noise
        return nn.functional.linear(input, weight, bias)

    @torch.no_grad()
    def output_variance(self, x: Tensor) -> Tensor:
        r"""Variance over draws of every output, :math:`\sum_j s_{ij}^2 x_j^2 + s_i^2`.

        Outputs are uncorrelated with each other, so this is all that predictions of order s² need:
        ``second_order_of(logits, variance)`` of :mod:`llm_bridge.brownian.second_order`.

        Parameters
        ----------
        x : Tensor, shape (..., in_features)

        Returns
        -------
        Tensor, shape (..., out_features)
        """
        of_weight, of_bias = self.noise_variance()
        variance = of_weight * nn.functional.linear(x.square(), self.weight_spread().square())
        if self.bias is not None:
            variance = variance + of_bias * self.bias_spread().square()
        return variance

    @torch.no_grad()
    def take_means(self, linear: nn.Linear) -> Self:
        """Copy the weights of a trained layer into the means.

        Raises
        ------
        InvalidInputError
            Another shape, or only one of the two has biases.
        """
        if linear.weight.shape != self.weight.shape or (linear.bias is None) != (self.bias is None):
            raise InvalidInputError(f"{linear} was given; accepted: a layer like {self}")
        self.weight.copy_(linear.weight)
        if self.bias is not None:
            self.bias.copy_(linear.bias)
        return self
