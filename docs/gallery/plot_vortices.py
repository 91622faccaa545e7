"""
Onsager's vortices
==================

Put vortices of both signs into a disk of fluid without friction. Where they are is all there is to
say: x and y of a vortex are conjugate to each other, and phase space is the disk, which is finite.
Opposite signs side by side have little energy, like signs side by side have much, and places drawn
at random lie in between. So entropy has a top, and beyond it more energy leaves *fewer* places:
β < 0. Onsager concluded in 1949 that vortices of one sign must then gather in a large cluster. In
2019 that was seen in quantum fluids.
"""

from thermo.laboratory import vortices
from thermo.plots.laboratory.vortices import vortices_picture

found = vortices(8, 8, draws=150, time=0.05, seed=1)
picture = vortices_picture(found)

# %%
# The virial is a thermometer that looks at places only and can read either sign. It agrees with the
# β that was set, and with the slope of ln P(E) of random places where these reach.

print(found.table())
