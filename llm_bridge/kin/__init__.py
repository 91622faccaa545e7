"""Kin of weight noise: other ways to make a network uncertain, in the same coordinates.

Random layers, dropout that stays on, a posterior of the last layer, students of a heated teacher:
each of them ends in draws of logits, and :func:`llm_bridge.brownian.effective_temperature` says
what temperature they are, what no temperature explains, and how much the draws disagree.

Importing this package loads torch; ``import llm_bridge`` does not.
"""

from __future__ import annotations

try:
    import torch
except ImportError as error:
    from llm_bridge.errors import MissingExtraError

    raise MissingExtraError(error.name or "torch", "layers of random weights") from error

from llm_bridge.kin.bayes_linear import BayesLinear
from llm_bridge.kin.distillation import Distilled, distil
from llm_bridge.kin.drawn_logits import DrawnLogits, drawn_logits
from llm_bridge.kin.dropout import dropping
from llm_bridge.kin.laplace import laplace_logits
from llm_bridge.kin.noisy_linear import NoisyLinear
from llm_bridge.kin.random_linear import RandomLinear
from llm_bridge.kin.shot_noise import ShotNoise, shot_noise

__all__ = [
    "RandomLinear",
    "NoisyLinear",
    "BayesLinear",
    "dropping",
    "DrawnLogits",
    "drawn_logits",
    "laplace_logits",
    "ShotNoise",
    "shot_noise",
    "Distilled",
    "distil",
]
