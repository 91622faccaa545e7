"""Temperature as weight noise: draws of the weights, and the temperature their mean resembles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_bridge.brownian.calibration import Calibration, calibrate
from llm_bridge.brownian.effective_temperature import EffectiveTemperature, effective_temperature
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.brownian.second_order import SecondOrder, second_order

if TYPE_CHECKING:
    from llm_bridge.brownian.function_space import FunctionSpaceNoise

__all__ = [
    "WeightNoise",
    "sample_logits",
    "FunctionSpaceNoise",
    "effective_temperature",
    "EffectiveTemperature",
    "second_order",
    "SecondOrder",
    "calibrate",
    "Calibration",
]


def __getattr__(name: str) -> Any:
    if name != "FunctionSpaceNoise":  # whose compiled parts are loaded when they are first wanted
        raise AttributeError(f"module 'llm_bridge.brownian' has no attribute {name!r}")
    from llm_bridge.brownian.function_space import FunctionSpaceNoise

    globals()[name] = FunctionSpaceNoise
    return FunctionSpaceNoise


def __dir__() -> list[str]:
    return sorted(__all__)
