"""Spectra, and the names of what is computed of them, for the tests of the canonical ensemble."""

from __future__ import annotations

import math

import numpy as np

from thermo.levels import EnergyLevels

INF = math.inf
TWO = EnergyLevels([0.0, 1.0])
OSCILLATOR = EnergyLevels(np.arange(400.0), bounded_above=False)
FIELDS = (
    "log_partition_function",
    "internal_energy",
    "energy_variance",
    "entropy",
    "log_participation_ratio",
    "heat_capacity",
    "free_energy",
    "effective_states",
    "participation_ratio",
    "equivalent_dof",
)
