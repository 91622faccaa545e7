"""
Which of two temperatures is one
================================

At fixed energy there is no β to set: temperature has to be read off the number of states. Boltzmann
takes the states *of* the energy, S = ln g(E), and β is its slope: negative beyond the top of the
arch. Gibbs takes all states *up to* the energy, ln Ω(E), which always grows, so that his
temperature is never negative. Below the top the two agree; above it they part, and experiment can
tell. A demon, a small system that trades energy with the lattice, settles at Boltzmann's β. And two
blocks in equilibrium with each other, which the zeroth law wants to be at one temperature, agree in
Boltzmann's β. In Gibbs' they differ where g falls: hardly just past the top, by a factor of over
10⁴ at β = −0.3 for the 16 × 16 lattice here, and by ever more zeros the larger the lattice is.
"""

from thermo.laboratory import microcanonical
from thermo.plots.laboratory.microcanonical import microcanonical_picture

found = microcanonical(16, sweeps=2000)
picture = microcanonical_picture(found)

# %%
# Half a lattice's number of independent spins touch the lattice here. "Expected" is 0 in the last
# rows but one because the zeroth law says so; Gibbs' temperature fails it, and by exactly as much
# as the numbers of states foretell. The tenth of the energies at either end is not in the picture:
# levels are few and uneven there, and β of a lattice is no longer one number in any definition.

print(found.table())
