"""
Heat between two blocks
=======================

One lattice is at β = −0.3, hotter than any at T = +∞; its twin is at β = +0.3. They are brought
into contact, and isolated from all else: spins flip one, two or three at a time, and only where
the energy of both lattices together stays exactly the same. Energy goes over from the smaller β to
the larger, whatever their signs, for that is the direction in which the number of states grows: a
block at T < 0 *gains* entropy when it gives energy away, and so does the cold one that takes it.
In the end the slopes dS/dE are the same. The lattice has as many states of energy −E as of energy
E; so twins at ±T end in the middle, at β = 0.
"""

from thermo import Ising, TwoLevel
from thermo.laboratory import heat_exchange
from thermo.lattice import square
from thermo.plots.laboratory.heat_exchange import heat_exchange_picture

found = heat_exchange([Ising(square(16))] * 2, beta=[-0.3, 0.3], sweeps=400)
picture = heat_exchange_picture(found)

# %%
# The dashed lines are not fitted: they come from the exact numbers of states. So do the
# expectations here, for these 64 pairs of lattices as they began; the errors are those of what is
# left between the two. Other starts have other heats: that scatter is in the bands of the picture.

print(found.table())

# %%
# The zeroth law: the second block, of independent spins, touches both others, which do not touch
# each other. Then it is taken away and these are brought together. Nothing flows any more.

blocks = [Ising(square(16)), TwoLevel(128, gap=4.0), Ising(square(12))]
found = heat_exchange(blocks, beta=[-0.4, 0.1, 0.4], sweeps=400)
picture = heat_exchange_picture(found)
