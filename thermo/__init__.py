"""Statistical mechanics at signed temperature: levels, spin lattices, exact references.

The core (numpy only) is imported at once; what needs numba, scipy or matplotlib is loaded when
first used, so that ``import thermo`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if (Path(__file__).parent / "chemical.py").exists():
    raise ImportError(
        "two packages named 'thermo' are installed on top of each other: spinlogit's and the "
        "chemistry package from PyPI. Uninstall both ('pip uninstall thermo spinlogit') and "
        "install each in an environment of its own."
    )

from thermo.canonical import Thermodynamics, canonical
from thermo.levels import EnergyLevels
from thermo.microcanonical import microcanonical
from thermo.populations import Populations
from thermo.temperature import beta_from_temperature, temperature_from_beta
from thermo.thermometry import fit_beta, matching_beta

if TYPE_CHECKING:
    from thermo import errors, exact, freedom, laboratory, lattice, models, plots
    from thermo.models.clock import Clock
    from thermo.models.disorder import j1_j2, spin_glass
    from thermo.models.heisenberg import Heisenberg
    from thermo.models.ising import Ising
    from thermo.models.oscillator import Oscillator
    from thermo.models.potts import Potts
    from thermo.models.two_level import TwoLevel
    from thermo.models.xy import XY
    from thermo.run.annealing import population_annealing
    from thermo.run.demon import demon_thermometer
    from thermo.run.density_of_states import density_of_states
    from thermo.run.files import load_run
    from thermo.run.ladder import suggest_ladder
    from thermo.run.simulate import simulate
    from thermo.run.tempering import parallel_tempering

__version__ = "0.1.0"

# Names loaded on first use → module that defines them.
_LAZY = {
    "Ising": "thermo.models.ising",
    "Potts": "thermo.models.potts",
    "Clock": "thermo.models.clock",
    "XY": "thermo.models.xy",
    "Heisenberg": "thermo.models.heisenberg",
    "TwoLevel": "thermo.models.two_level",
    "Oscillator": "thermo.models.oscillator",
    "spin_glass": "thermo.models.disorder",
    "j1_j2": "thermo.models.disorder",
    "simulate": "thermo.run.simulate",
    "load_run": "thermo.run.files",
    "parallel_tempering": "thermo.run.tempering",
    "population_annealing": "thermo.run.annealing",
    "density_of_states": "thermo.run.density_of_states",
    "demon_thermometer": "thermo.run.demon",
    "suggest_ladder": "thermo.run.ladder",
}
_MODULES = ("errors", "exact", "freedom", "laboratory", "lattice", "models", "plots")

__all__ = [
    "beta_from_temperature",
    "temperature_from_beta",
    "EnergyLevels",
    "Populations",
    "Thermodynamics",
    "canonical",
    "matching_beta",
    "fit_beta",
    "microcanonical",
    *_LAZY,
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
    elif name in _MODULES:
        value = import_module(f"thermo.{name}")
    else:
        raise AttributeError(f"module 'thermo' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
