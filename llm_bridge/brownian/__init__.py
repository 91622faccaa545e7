"""Temperature as weight noise: draws of the weights, and the temperature their mean resembles."""

from __future__ import annotations

from llm_bridge.brownian.copies import sample_logits
from llm_bridge.brownian.effective_temperature import EffectiveTemperature, effective_temperature
from llm_bridge.brownian.noise import WeightNoise

__all__ = ["WeightNoise", "sample_logits", "effective_temperature", "EffectiveTemperature"]
