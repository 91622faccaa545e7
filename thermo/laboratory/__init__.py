"""Experiments of negative temperature, each a function that returns what it found.

Theory stands beside every measurement (`thermo.laboratory.finding`). What takes long shares the
engine's seeds, progress and checkpoints (`thermo.laboratory.trajectories`). Pictures are in
`thermo.plots.laboratory`, commands under ``spinlogit lab``.
"""

# At once, not on first use: a function here is called like its module, which would take its place.
from thermo.laboratory.band import band
from thermo.laboratory.dnls import dnls
from thermo.laboratory.engine import engine
from thermo.laboratory.ensemble_check import compare_ensembles, ensemble_check
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.freedom import freedom
from thermo.laboratory.heat_exchange import heat_exchange
from thermo.laboratory.kinetic import kinetic
from thermo.laboratory.laser import laser
from thermo.laboratory.microcanonical import microcanonical
from thermo.laboratory.nuclear import nuclear
from thermo.laboratory.paramagnet import paramagnet
from thermo.laboratory.rotators import rotators
from thermo.laboratory.spin_reversal import spin_reversal
from thermo.laboratory.vortices import vortices

__all__ = [
    "Experiment",
    "Finding",
    "band",
    "compare_ensembles",
    "dnls",
    "engine",
    "ensemble_check",
    "freedom",
    "heat_exchange",
    "kinetic",
    "laser",
    "microcanonical",
    "nuclear",
    "paramagnet",
    "rotators",
    "spin_reversal",
    "vortices",
]
