"""Weights in a heat bath: Langevin dynamics of small networks, and their degrees of freedom.

Exact values to compare with are in `llm_bridge.langevin.exact` and
`llm_bridge.langevin.finite_temperature`, thermometers in `llm_bridge.langevin.thermometers`,
fluctuation and dissipation in `llm_bridge.langevin.response`.
"""

from __future__ import annotations

from llm_bridge.langevin.hamiltonian import hamiltonian
from llm_bridge.langevin.learning_coefficient import LearningCoefficient, learning_coefficient
from llm_bridge.langevin.linear_model import LinearModel
from llm_bridge.langevin.linear_network import LinearNetwork
from llm_bridge.langevin.loss import Loss
from llm_bridge.langevin.posterior import TemperedPosterior
from llm_bridge.langevin.quadratic import QuadraticLoss, harmonic_crystal
from llm_bridge.langevin.sgld import sgld
from llm_bridge.langevin.torch_loss import TorchLoss
from llm_bridge.langevin.underdamped import underdamped
from llm_bridge.langevin.weight_run import WeightRun, WeightState

__all__ = [
    "Loss",
    "QuadraticLoss",
    "harmonic_crystal",
    "LinearModel",
    "LinearNetwork",
    "TorchLoss",
    "TemperedPosterior",
    "WeightState",
    "WeightRun",
    "sgld",
    "underdamped",
    "hamiltonian",
    "LearningCoefficient",
    "learning_coefficient",
]
