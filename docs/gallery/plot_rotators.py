"""
Moving things below T = 0
=========================

Molecules have no negative temperature, because kinetic energy has no upper bound. What if it had?
Here a rotator of momentum p has the kinetic energy 1 − cos p: it turns fastest at p = π/2, and from
there on more momentum means *slower*, up to p = π, where it has all the energy it can have and
stands still. Neighbours pull at each other with an energy that is bounded, too. Fill in more than
half of the energy there is room for, and most rotators sit close to the top: the temperature is
negative.

Nobody set that temperature. Each chain is left to itself at one energy, and its trajectory tells β,
sign and all, twice: from its momenta and from the angles between neighbours.
"""

from thermo.laboratory import rotators
from thermo.plots.laboratory.rotators import rotators_picture

found = rotators(samples=8000, seed=20261121)
picture = rotators_picture(found)

# %%
# An isolated chain of 32 rotators is a small system: what both thermometers should read, exactly,
# differs by parts of 1/N from the β of a chain in a bath.

print(found.table())
