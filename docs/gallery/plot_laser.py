r"""
Lasers
======

Light that passes atoms is absorbed by those in the lower level and copied by those in the upper
one. With more atoms above than below, copies win: the atoms amplify. Such a line has a negative
temperature, and the gain of a laser is the sign of β.

Light alone cannot bring two levels there, since it stimulates the way down as well as the way up:
however strong the pump, β stays above zero. With a third level to be pumped into, atoms gather in
the level below it, and from :math:`W\tau = 1` on they are inverted, as in Maiman's ruby. With a
fourth, where the lower laser level empties at once, any pump will do.
"""

from thermo.laboratory import laser
from thermo.plots.laboratory.laser import laser_picture

found = laser(levels=4, duration=8.0)
picture = laser_picture(found)

# %%
# Between mirrors light grows until it takes as much inversion as the pump gives. From threshold on
# the inversion stays where gain is loss (it clamps, the thick line in the first panel), and every
# further pump photon becomes a laser photon. A laser that is switched on overshoots: the inversion
# rises too far before there is light, the light that comes takes too much of it, and both ring with
# :math:`\omega_0 = \sqrt{(r-1)/\tau\tau_c}` until they settle.

print(found.table())

# %%
# Where the simple formulas are not exact they are off in the last digits: the levels that should be
# empty take a hundred-thousandth of τ to become so. Three levels ring faster than the formula for
# four, since every photon that they emit takes two of the inversion:

ruby = laser(levels=3)
print(ruby.table())

# %%
# Only the line has a temperature. All the levels of a pumped atom have none: the last two lines of
# each table give the β that fits them best, of the other sign, and how badly it does. And the light
# itself has none below zero, either: a mode is an oscillator, which has no highest energy. At the
# line's negative β it grows without end, if nothing stops it.
