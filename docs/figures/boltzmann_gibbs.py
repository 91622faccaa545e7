"""Both microcanonical inverse temperatures on the exact 32×32 Ising density of states."""

import matplotlib.pyplot as plt

import thermo
from thermo.plots import lecture_style

found = thermo.microcanonical(thermo.exact.ising_torus(32))
energy = found.energy / 1024
inside = abs(energy) < 1.9

with lecture_style(0.8):
    figure, ax = plt.subplots(figsize=(9, 4.6))
    ax.axhline(0.0, color="#8c8c8c", linewidth=1.2)
    ax.plot(energy[inside], found.beta_gibbs[inside], linestyle=(0, (5, 3)), color="#b35806")
    ax.plot(energy[inside], found.beta_boltzmann[inside], color="#2166ac")
    ax.annotate(
        "Gibbs", (1.0, 0.0), xytext=(0, 8), textcoords="offset points", color="#b35806", ha="center"
    )
    ax.annotate(
        "Boltzmann",
        (1.0, -0.379),
        xytext=(-8, -8),
        textcoords="offset points",
        color="#2166ac",
        ha="right",
        va="top",
    )
    ax.set(xlabel="energy per spin  E / NJ", ylabel="inverse temperature  β · J")
