"""
Nuclear spins of silver
=======================

Below a millionth of a degree the nuclear spins of silver feel one another more than anything else,
and they prefer to point against their neighbours: at T > 0 silver's nuclei become an
*antiferromagnet*, at 560 pK. Turn the field over quickly and their temperature is negative. The
same coupling now has to be pleased the other way round, for at β < 0 the states of the *highest*
energy are the likely ones: all spins turn parallel, and the nuclei become a *ferromagnet*, at
T = −1.9 nK. Nothing was changed but the sign of the temperature.

Why is one so much farther from absolute zero than the other? On a simple cubic lattice it would not
be: there both orders are equally easy. Silver's lattice is face-centred cubic, full of triangles,
and of three spins on a triangle at least two must agree. The antiferromagnet is *frustrated* and
sets in late; the ferromagnet is not.
"""

import warnings

from thermo.errors import EquilibrationWarning
from thermo.laboratory import nuclear
from thermo.plots.laboratory.nuclear import nuclear_picture

with warnings.catch_warnings():
    # A page should be quick: a fifth of the usual sweeps, too few for the errors to be trusted.
    warnings.simplefilter("ignore", EquilibrationWarning)
    found = nuclear(sweeps=8_000)
picture = nuclear_picture(found)

# %%
# Scale the coupling so that T_c is that of silver, and T_N comes out at some 340 pK instead of 560:
# the ratio of the two is larger here than measured. It is the model that fails. In silver spins
# reach beyond their nearest neighbours, which relieves the frustration, and they are not confined
# to pointing up or down.

print(found.table())
