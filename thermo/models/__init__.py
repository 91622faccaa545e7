"""Models: systems that know their energies. β never appears here."""

from __future__ import annotations

from thermo.models.clock import Clock
from thermo.models.description import from_description
from thermo.models.disorder import j1_j2, spin_glass
from thermo.models.heisenberg import Heisenberg
from thermo.models.ising import Ising
from thermo.models.oscillator import Oscillator
from thermo.models.potts import Potts
from thermo.models.two_level import TwoLevel
from thermo.models.xy import XY

__all__ = [
    "XY",
    "Clock",
    "Heisenberg",
    "Ising",
    "Oscillator",
    "Potts",
    "TwoLevel",
    "from_description",
    "j1_j2",
    "spin_glass",
]
