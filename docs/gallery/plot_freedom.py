r"""
What counts as a degree of freedom
==================================

Textbooks say that a temperature is the energy per degree of freedom, :math:`U = f\,kT/2`. It is
true of a gas, where f counts momenta; of a crystal, where it counts springs as well; and of
nothing else. A quartic well has half a degree of freedom for its position. A spin has no momentum
at all: its heat capacity is that of some number of springs, which changes with temperature and
means little. What every system has is an entropy, and with it a number of states that count, exp
S. So this package has no function called "degrees of freedom", but seven, each of which says what
it counts, and where it does not apply this table says why.
"""

from thermo.laboratory import freedom
from thermo.plots.laboratory.freedom import freedom_picture

found = freedom(beta=0.4)
picture = freedom_picture(found)

# %%
# Numbers with brackets are measured, on draws of each system in equilibrium; the others are exact.
# What they should be on other grounds stands beside them.

print(found.table())

# %%
# Below β = 0 only what has a highest energy is left. Kinetic energy has none: that is why no gas
# was ever at a negative temperature.

picture = freedom_picture(freedom(beta=-0.4))
