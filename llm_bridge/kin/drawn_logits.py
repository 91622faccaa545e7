"""Logits of a network whose weights or units are random, draw by draw."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from llm_bridge.kin.dropout import dropout_layers, dropping
from llm_bridge.kin.random_linear import RandomLinear
from thermo.arguments import checked_seed, whole_number
from thermo.errors import InvalidInputError

__all__ = ["DrawnLogits", "drawn_logits"]


class DrawnLogits(NamedTuple):
    """What :func:`llm_bridge.brownian.effective_temperature` takes.

    Attributes
    ----------
    clean : ndarray, shape (N, V)
        Logits without noise: with the means, nothing dropped.
    noisy : ndarray, shape (draws, N, V)
        Logits of each draw. Draws are independent: ``antithetic=False``.
    """

    clean: NDArray[np.floating]
    noisy: NDArray[np.floating]


@torch.no_grad()
def drawn_logits(network: nn.Module, x: Tensor, *, draws: int, seed: int = 0) -> DrawnLogits:
    """Draw a network's random layers and dropout again and again, and read its logits.

    Parameters
    ----------
    network : torch.nn.Module
        With layers of :class:`RandomLinear` or dropout, or both; maps x to logits (N, V). It is
        left as it was: modes, draws and torch's generator are put back.
    x : Tensor, shape (N, ...)
        Inputs; for the head of a language model its hidden states.
    draws : int
        At least 1.
    seed : int
        Draw k is the same whatever their number.

    Returns
    -------
    DrawnLogits

    Raises
    ------
    InvalidInputError
        Nothing in the network is random, or it does not give logits (N, V).

    Examples
    --------
    >>> from llm_bridge.brownian import effective_temperature
    >>> from llm_bridge.kin import NoisyLinear
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(1)
    ...     layer, x = NoisyLinear(32, 8, spread=0.1), torch.randn(50, 32)
    >>> fit = effective_temperature(*drawn_logits(layer, x, draws=50), antithetic=False)
    >>> fit.temperature > 1 and fit.disagreement > 0
    True
    """
    draws = whole_number(draws, "draws", 1)
    seed = checked_seed(seed)
    layers = [module for module in network.modules() if isinstance(module, RandomLinear)]
    dropouts = dropout_layers(network)
    if not layers and not dropouts:
        raise InvalidInputError(
            f"nothing is random in {type(network).__name__}; accepted: a network with layers of "
            "llm_bridge.kin.RandomLinear (NoisyLinear, BayesLinear), or with dropout of p > 0."
        )
    before = [(layer, layer.weight_noise, layer.bias_noise) for layer in layers]
    devices = sorted({p.get_device() for p in network.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices), dropping(network):
        try:
            for layer in layers:
                layer.rest()
            for module in dropouts:
                module.eval()
            clean = network(x)
            if clean.ndim != 2 or len(clean) != len(x):
                raise InvalidInputError(
                    f"the network gives shape {tuple(clean.shape)}; (N, V) is accepted."
                )
            for module in dropouts:
                module.train()
            noisy = np.empty((draws, *clean.shape), dtype=clean.cpu().numpy().dtype)
            for k in range(draws):
                words = np.random.SeedSequence(seed, spawn_key=(k,)).generate_state(1, np.uint64)
                torch.manual_seed(int(words[0]) >> 1)
                for layer in layers:
                    layer.redraw()
                noisy[k] = network(x).cpu().numpy()
        finally:
            for layer, weight_noise, bias_noise in before:
                layer.weight_noise, layer.bias_noise = weight_noise, bias_noise
    return DrawnLogits(clean.cpu().numpy(), noisy)
