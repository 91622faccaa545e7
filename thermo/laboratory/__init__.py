"""Experiments of negative temperature, each a function that returns what it found.

Theory stands beside every measurement (`thermo.laboratory.finding`). What takes long shares the
engine's seeds, progress and checkpoints (`thermo.laboratory.trajectories`). Pictures are in
`thermo.plots.laboratory`, commands under ``spinlogit lab``.
"""

# At once, not on first use: a function here is called like its module, which would take its place.
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.freedom import freedom
from thermo.laboratory.paramagnet import paramagnet

__all__ = [
    "Experiment",
    "Finding",
    "freedom",
    "paramagnet",
]
