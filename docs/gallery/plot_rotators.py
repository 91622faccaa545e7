"""
Moving things below T = 0
=========================

Molecules have no negative temperature, because kinetic energy has no upper bound. What if it had?
Here a rotator of momentum p has the kinetic energy 1 − cos p: it turns fastest at p = π/2, and from
there on more momentum means *slower*, up to p = π, where it has all the energy it can have and
stands still. Neighbours pull at each other with an energy that is bounded, too. Fill in more than
half of the energy there is room for, and most rotators sit close to the top: the temperature is
negative.

Nobody set that temperature. Chains are left to themselves at one energy, and their trajectories
tell β, sign and all, twice: from the momenta and from the angles between neighbours. The chains of
one energy begin with more or less of it in their momenta. That they come to agree is what says that
there is a temperature at all.
"""

from thermo.laboratory import rotators
from thermo.plots.laboratory.rotators import rotators_picture

found = rotators(samples=1500, burn_in=500, seed=0)
picture = rotators_picture(found)

# %%
# An isolated chain of 32 rotators is a small system: what both thermometers should read, exactly,
# differs by parts of 1/N from the β of a chain in a bath.

print(found.table())

# %%
# With bonds five times as weak, each rotator all but keeps its momentum. The chains still remember
# how they began, momenta and bonds are far from one temperature, and nothing is compared.

import warnings  # noqa: E402

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    weak = rotators([0.5, 1.7], strength=0.1, samples=600, burn_in=200, seed=0)
print(*(warning.message for warning in said), sep="\n")
print(weak.table())
