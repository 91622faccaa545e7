"""Dropout on what every block writes, drawn from the seed and the step number alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

__all__ = ["add_dropout", "step_generator"]


def add_dropout(model: nn.Module, probability: float) -> None:
    """Drop elements of the embeddings and of each block's output while the model trains.

    The Llama architecture has no dropout of its own; a few million parameters that read a few
    million tokens many times need it. In evaluation mode nothing is dropped.

    Parameters
    ----------
    model : torch.nn.Module
        A Llama-style model; it is given forward hooks and keeps its parameters.
    probability : float
        Share of elements that become zero; the rest is scaled up.
    """

    def drop(module: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(output, probability, module.training)

    if probability > 0:
        for name, module in model.named_modules():
            if name.endswith(("embed_tokens", "o_proj", "down_proj")):
                module.register_forward_hook(drop)


@contextmanager
def step_generator(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """A context whose random numbers depend on seed and step; the global state is put back.

    `torch.nn.functional.dropout` takes no generator of its own, so the global one is lent to it.
    """
    words = np.random.SeedSequence(seed, spawn_key=(2, step)).generate_state(1, np.uint64)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(words[0]) >> 1)
        yield
