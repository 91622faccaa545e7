r"""
Heat engines below zero
=======================

An engine takes heat from a hot bath, turns some of it into work and gives the rest to a cold one.
It must give some away: the entropy that came with the heat has to go. Below zero this reason is
gone. A bath at T < 0 *gains* entropy when it gives heat, since β = ∂S/∂E is negative, so that
nothing has to be given away for it.

Between a bath at T < 0 and one at T > 0 Carnot's cycle, made of a spin in a field, takes heat from
both and turns all of it into work. The textbook's efficiency, work by heat of the hot bath, is
:math:`1 - T_c/T_h` and more than 1: it leaves the cold bath's heat out of the account. With it the
efficiency is 1 (the green line). The books of energy and entropy balance in either case, to
the last digits of the heats that are exchanged.
"""

from thermo.laboratory import engine
from thermo.laboratory.engine_cycles import carnot_cycle, otto_cycle
from thermo.levels import EnergyLevels
from thermo.plots.laboratory.engine import engine_picture

found = engine(hot=-0.5, cold=1.0)
picture = engine_picture(found)

# %%
# The area that a cycle encloses is its work. An adiabat keeps the populations, and with them βh: to
# come from a bath at T > 0 to one at T < 0, the field must be reversed (broken lines). Spins that
# feel nothing but the field allow that at any speed. Real spins feel each other, too, and turn
# round with a field that is reversed slowly; it must be done suddenly, as Purcell and Pound did. So
# no quasi-static process without a bath leads from T > 0 to T < 0, though each stroke above is
# calculated exactly. Otto's cycle, at the right, does without.

print(found.table())

# %%
# Kelvin said that no engine can turn the heat of a single bath into work. A spin whose field is
# reversed to and fro in contact with a bath at T < 0 does just that, and inverted atoms that drive
# a maser do. At T > 0 the same machine turns work into heat. Ramsey put Kelvin's statement right in
# 1956: at T > 0 heat of one bath cannot become work; at T < 0 work cannot become heat of one bath.
#
# Between two baths at T < 0 the reversible engine takes heat from the *colder* one and gives some
# to the hotter. There the second law does not say how good an engine may be, but how bad:

spin = EnergyLevels([-1.0, 1.0])
carnot = carnot_cycle(spin, hot=-2.0, cold=-1.0)
otto = otto_cycle(spin, hot=-2.0, cold=-1.0, fields=(1.0, 0.2))
for cycle in (carnot, otto):
    print(
        f"{cycle.name:7s} efficiency {cycle.efficiency:.3f}, entropy made {cycle.entropy_made:.3f}"
    )
