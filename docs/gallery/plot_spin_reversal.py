"""
A field reversed
================

Purcell and Pound (1951) let the nuclear spins of a LiF crystal come to rest in a strong magnet, and
then reversed the field faster than the spins could follow. Most spins now point against the field:
more of them are in the upper level than in the lower. This is what happens next, in a lattice of
Ising spins with weak couplings.

*First the spins agree among themselves.* Their energy in the field says −β₀, that of their
couplings still says +β₀: there is no temperature at all (sixth panel, t = 0: the points lie on no
line through the origin). Exchanging energy with one another they find a common one, below zero
(fifth panel), within a time T₂. *Then they give heat to the crystal*, for about a time T₁ that is
much longer. β rises steadily through zero, while T goes to −∞ and comes back from +∞. It is never
zero.
"""

from thermo import Ising
from thermo.laboratory import spin_reversal
from thermo.lattice import square
from thermo.plots.laboratory.spin_reversal import spin_reversal_picture

found = spin_reversal(Ising(square(24), coupling=0.1, field=1.0), replicas=256)
picture = spin_reversal_picture(found)

# %%
# Two thermometers measure β. One is a demon with a purse, which trades energy with the spins: how
# full it is tells β. The other is the spins themselves: ln(n↑/n↓) against the energy is a line of
# slope 2β. Ramsey's conditions (1956) for speaking of a negative temperature are checked for every
# run: do the thermometers agree, has the energy an upper bound, are the spins left alone for long
# enough?

print(found.table())

# %%
# Spins without couplings have no way to agree, but an exact law, M/M₀ = 1 − 2 exp(−t/T₁), with its
# zero at T₁ ln 2 = 0.693 T₁. With couplings M takes longer, as seen above, since a spin among spins
# that point the wrong way is turned less easily.

free = spin_reversal(Ising(square(24), coupling=0.0, field=1.0), exchange=0.0, replicas=128)
print(free.table())

# %%
# Nine spins and their demon are few enough to follow the probability of each of their states: the
# master equation, nothing sampled. The demon takes a good part of so little energy, so the course
# is another one; the two ways to compute it agree.

small = spin_reversal(Ising(square(3), coupling=0.1, field=1.0), replicas=1000)
print(small.table())
