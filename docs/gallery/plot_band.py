"""
Atoms at the top of a band
==========================

In free space kinetic energy has no upper bound, and a gas has no negative temperature. In a lattice
it has one: atoms that hop between the sites of an egg box made of light have a *band* of energies,
in two dimensions from −4J to +4J. Cold atoms sit at the bottom of it, at momentum zero. At β = 0
all momenta are equally populated, and below that the atoms gather at the top edge, where
neighbouring sites have opposite phases: their momenta are the corners (±π, ±π). This is what Braun
and others photographed in 2013.

The gas here is an ideal one. What it does not tell is whether such a cloud is stable. In the
experiment the atoms were made to attract each other, which at T > 0 lets a cloud collapse; here the
negative temperature itself, with its negative pressure, held it up. And the trap was turned upside
down: it, too, must have a highest energy instead of a lowest.
"""

from thermo.laboratory import band
from thermo.plots.laboratory.band import band_picture

found = band(size=40)
picture = band_picture(found)

# %%
# The energies −E and +E come in pairs, so that every finding at T < 0 is the mirror image of one at
# T > 0: U changes its sign with β, while S and the share at the edge do not. That share is no true
# condensate: in two dimensions it shrinks as the lattice grows.

print(found.table())
for size in (20, 40, 80):
    share = band(size=size).findings[4]
    print(f"{size:3d} × {size}:  {share.what} {share.value:.3f}")
