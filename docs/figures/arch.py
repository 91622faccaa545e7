"""The arch of a two-level system, its tangents of slope β, and the common parabola."""

import matplotlib.pyplot as plt
import numpy as np

import thermo
from thermo.curves import exact_curve, natural_scale
from thermo.plots import lecture_style, plot_arch

levels = thermo.EnergyLevels([0.0, 1.0])
origin, scale = natural_scale(levels)
half = np.concatenate([np.linspace(0.05, 3.0, 60), [4.0, 6.0, np.inf]])
b = np.concatenate([half[::-1], [0.0], -half])
curve = exact_curve(
    "two levels",
    thermo.canonical(levels, b / scale),
    unit="atom",
    origin=origin,
    scale=scale,
    log_states=levels.log_states,
)

with lecture_style(0.8):
    figure, ax = plt.subplots(figsize=(9, 5))
    u = np.linspace(-1.15, 1.15, 200)
    ax.plot(u, -(u**2) / 2, linestyle=(0, (5, 3)), color="#8c8c8c", linewidth=1.8)
    plot_arch(ax, [("paramagnet", curve, None)], tangents=(1.0, 0.0, -1.0))
    ax.set(xlim=(-1.6, 1.6), ylim=(-0.75, 0.12))
    ax.set_xlabel("energy  (U − U₀) / σ₀")
    ax.set_ylabel("entropy  (S − S₀) / k")
