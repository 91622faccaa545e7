"""Language models as thermodynamic systems: logits as energies, at any signed temperature.

``import llm_bridge`` loads neither torch nor transformers; they come in when a model does.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import thermo

if not hasattr(thermo, "EnergyLevels"):
    raise ImportError(
        f"the package 'thermo' found at {thermo.__file__} is not spinlogit's but another one of "
        "that name (the chemistry package on PyPI). Uninstall both ('pip uninstall thermo "
        "spinlogit') and install each in an environment of its own."
    )

# torch's threads otherwise spin while they wait for each other, in the way of everything else on
# the machine and, on few cores, of themselves: a forward pass of the demo model took 2.2 s against
# 0.13 s. It is read when torch is first imported; a value of the user's own stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# At once, not on first use: these have the names of their modules, which would take their places.
from llm_bridge.compare import compare
from llm_bridge.text.temperature import text_temperature

if TYPE_CHECKING:
    from llm_bridge import brownian, errors, kin, langevin
    from llm_bridge.decoding import sample
    from llm_bridge.decoding.adapters.transformers import SignedTemperatureProcessor
    from llm_bridge.logits import LogitRecord, record_logits
    from llm_bridge.models import load_model
    from llm_bridge.spectrum import thermodynamics
    from llm_bridge.tokens.anomalous import anomalous_tokens

_LAZY = {
    "load_model": "llm_bridge.models",
    "LogitRecord": "llm_bridge.logits",
    "record_logits": "llm_bridge.logits",
    "thermodynamics": "llm_bridge.spectrum",
    "sample": "llm_bridge.decoding",
    "anomalous_tokens": "llm_bridge.tokens.anomalous",
    "SignedTemperatureProcessor": "llm_bridge.decoding.adapters.transformers",
}
_MODULES = ("brownian", "errors", "kin", "langevin")

__all__ = [*_LAZY, "compare", "text_temperature", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
    elif name in _MODULES:
        value = import_module(f"llm_bridge.{name}")
    else:
        raise AttributeError(f"module 'llm_bridge' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
