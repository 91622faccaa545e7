"""The names of the updates, and what else the field calls them."""

from __future__ import annotations

__all__ = [
    "ALSO_CALLED",
    "CLUSTER_UPDATES",
    "DISCRETE_UPDATES",
    "SPIN_UPDATES",
    "UPDATES",
    "VECTOR_UPDATES",
]

SPIN_UPDATES = ("metropolis", "heat_bath")
CLUSTER_UPDATES = ("wolff", "swendsen_wang")
DISCRETE_UPDATES = (*SPIN_UPDATES, "kawasaki", "rejection_free", *CLUSTER_UPDATES)
VECTOR_UPDATES = (*SPIN_UPDATES, "over_relaxation", *CLUSTER_UPDATES)
UPDATES = tuple(dict.fromkeys(DISCRETE_UPDATES + VECTOR_UPDATES))

# In small letters, with neither spaces nor hyphens nor underscores; only to suggest the right one.
ALSO_CALLED = {
    "mrt2": "metropolis",
    "metropolishastings": "metropolis",
    "singlespinflip": "metropolis",
    "spinflip": "metropolis",
    "local": "metropolis",
    "gibbs": "heat_bath",
    "gibbssampling": "heat_bath",
    "glauber": "heat_bath",
    "exchange": "kawasaki",
    "spinexchange": "kawasaki",
    "swap": "kawasaki",
    "bkl": "rejection_free",
    "bortzkaloslebowitz": "rejection_free",
    "gillespie": "rejection_free",
    "kineticmontecarlo": "rejection_free",
    "kmc": "rejection_free",
    "nfold": "rejection_free",
    "nfoldway": "rejection_free",
    "waitingtime": "rejection_free",
    "microcanonical": "over_relaxation",
    "reflection": "over_relaxation",
    "cluster": "swendsen_wang",
    "fortuinkasteleyn": "swendsen_wang",
    "multicluster": "swendsen_wang",
    "sw": "swendsen_wang",
    "singlecluster": "wolff",
    # What is no update here, but a run of its own.
    "creutz": "thermo.demon_thermometer",
    "demon": "thermo.demon_thermometer",
    "multicanonical": "thermo.density_of_states",
    "paralleltempering": "thermo.parallel_tempering",
    "populationannealing": "thermo.population_annealing",
    "replicaexchange": "thermo.parallel_tempering",
    "wanglandau": "thermo.density_of_states",
}
