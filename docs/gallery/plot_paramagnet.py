"""
Spins in a field
================

A spin in a field has two energies, −h and +h. At T = 0 all spins point along the field. Heat them,
and more and more point against it: there are ever more ways to choose which, and the entropy grows.
But once half of them point against the field there is no larger disorder to be had. More energy
*lowers* the entropy from there on, and β, which is the slope of entropy over energy, has gone
through zero to the other side: the temperature has passed from +∞ to −∞. Negative temperatures are
hotter than all positive ones.
"""

from thermo.laboratory import paramagnet
from thermo.plots.laboratory.paramagnet import paramagnet_picture

found = paramagnet(spins=100)
picture = paramagnet_picture(found)

# %%
# What theory says of it stands beside what is found. The entropy at the top lacks ln 2 by a little,
# as it must for a hundred spins.

print(found.table())
