"""Models: systems that know their energies. β never appears here."""

from __future__ import annotations

from thermo.models.ising import Ising
from thermo.models.oscillator import Oscillator
from thermo.models.two_level import TwoLevel

__all__ = ["Ising", "Oscillator", "TwoLevel"]
