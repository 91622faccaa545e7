"""
Does a sampler keep its temperature?
====================================

Somebody's program says that it samples a system at β = −0.05. Is that so? The number of states g(E)
is not known in general, but it need not be: run the program twice, at two β, and divide. What is
left of P(E) = g(E) exp(−βE)/Z is exp((β₁ − β₂)E) and a constant, a straight line on paper with a
logarithmic scale, and its slope is known beforehand. Nothing in this cares for the sign of β.
"""

import numpy as np

from thermo.laboratory import compare_ensembles, ensemble_check
from thermo.plots.laboratory.ensemble_check import ensemble_check_picture

found = ensemble_check(beta=(-0.05, 0.05))
picture = ensemble_check_picture(found)

# %%

print(found.table())

# %%
# And this is what a wrong one looks like: a thermostat that pulls the energy towards its mean. The
# energies are those of 400 independent spins, ±1 each, with every deviation from the mean made
# smaller by a tenth. The mean energy is right to the last digit, and no plot of it would show
# anything. But the line is too steep, by 1/0.9².

beta = np.array([-0.05, 0.05])
share_up = 1.0 / (1.0 + np.exp(2.0 * beta))
up = np.random.default_rng(1).binomial(400, share_up[:, None, None], size=(2, 32, 4000))
energy = 2.0 * up - 400.0
mean = energy.mean(axis=(1, 2), keepdims=True)

right = compare_ensembles(energy[0], energy[1], beta)
pulled = mean + 0.9 * (energy - mean)
wrong = compare_ensembles(pulled[0], pulled[1], beta)
picture = ensemble_check_picture(wrong)
print(right.table(), wrong.table(), sep="\n\n")
