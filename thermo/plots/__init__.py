"""Pictures: functions that take results and an ``Axes``, draw, and return the ``Axes``."""

from __future__ import annotations

from thermo.plots.axis import mark_temperature_axis, position_of
from thermo.plots.curves import plot_arch, plot_effective_states, plot_heat_capacity
from thermo.plots.occupation import plot_occupation
from thermo.plots.style import STYLES, SystemStyle, color_of, lecture_style

__all__ = [
    "mark_temperature_axis",
    "position_of",
    "plot_arch",
    "plot_effective_states",
    "plot_heat_capacity",
    "plot_occupation",
    "STYLES",
    "SystemStyle",
    "color_of",
    "lecture_style",
]
