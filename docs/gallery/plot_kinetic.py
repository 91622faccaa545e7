"""
Counting degrees of freedom
===========================

Where does the temperature of a molecular-dynamics run come from? From kinetic energy, shared out
equally: each degree of freedom has kT/2 of it, so T = 2K/(f k). But how many are there? Each atom
moves in three directions; a rigid bond forbids one of the six of a pair; the centre of mass does
not move at all. Count wrongly, and T is wrong by exactly the ratio of the two counts: 17 % if bonds
are forgotten.

Here the count is measured. Rigid molecules of two atoms collide in a periodic box, and a bath whose
temperature is known stirs them without counting anything. Kinetic energy then says how many degrees
of freedom it is shared among, and how many of them are translation and rotation. A second
thermometer looks at the forces alone and agrees.
"""

from thermo.laboratory import kinetic
from thermo.plots.laboratory.kinetic import kinetic_picture

found = kinetic(beta=0.5, samples=1200, burn_in=200, seed=0)
picture = kinetic_picture(found)

# %%
# The energy of molecules left to themselves (right) is kept up to a wavering that comes from the
# steps of time: a quarter as much at half the step.

print(found.table())

# %%
# This temperature can never be negative: kinetic energy has no upper bound, and at β ≤ 0 ever
# faster molecules would be ever more likely.

from thermo.errors import UnboundedSpectrumError  # noqa: E402

try:
    kinetic(beta=-0.5, seed=1)
except UnboundedSpectrumError as error:
    print(error)
