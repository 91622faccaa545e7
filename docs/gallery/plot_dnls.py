"""
Breathers in a chain of nonlinear oscillators
=============================================

Light in an array of wave guides and cold atoms in an optical lattice obey one equation, the
discrete nonlinear Schrödinger equation. It conserves two things: the energy per site h and the norm
per site a. In the plane of the two, nothing lies below the line T = +0, where all sites hold the
same and neighbours have opposite phases. Heat the chain and phases lose their order; on the line
h = 2a² nothing of it is left, and β = 0. The chain can hold still more energy than that. Then
neighbours prefer *equal* phases, the high end of the bond energy: β is negative. And what energy
the waves cannot take, the chain puts into breathers, single sites of large density that hardly
move.
"""

from thermo.laboratory import dnls
from thermo.plots.laboratory.dnls import dnls_picture

found = dnls(energies=(-0.5, 2.0, 3.0), sites=128, chains=8, time=200.0, seed=1)
picture = dnls_picture(found)

# %%
# β is read off the motion itself: from how strongly the phases are pulled, and which way. Where
# an equilibrium exists, the transfer integral says what it should be in a ring of so many
# sites. Above h = 2a² there is no such equilibrium: the breathers are long-lived, and merge ever
# more slowly.

print(found.table())
