"""After a warm-up nothing is left to compile for any model on a regular lattice."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COUNTING = """
import importlib, itertools, json, pkgutil, warnings
from numba.core.registry import CPUDispatcher
import thermo, thermo.kernels
from thermo import lattice as lattices
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.models import XY, Clock, Ising, Potts, spin_glass
from thermo.run.simulate import simulate
from thermo.run.warmup import warmup
from thermo.sampling.registry import accepted_updates

def compiled():
    modules = [
        importlib.import_module(f"thermo.kernels.{info.name}")
        for info in pkgutil.iter_modules(thermo.kernels.__path__)
    ]
    return {
        f"{module.__name__}.{name} {signature}"
        for module in modules
        for name, function in vars(module).items()
        if isinstance(function, CPUDispatcher)
        for signature in function.signatures
    }

def new_ones(models):
    before = compiled()
    for model in models:
        for update, replicas in itertools.product(accepted_updates(model), (2, 300)):
            try:
                simulate(model, [0.1, -0.1], 70, burn_in=1, replicas=replicas, update=update)
            except InvalidInputError:
                pass  # clusters refuse fields and frustration
    return sorted(compiled() - before)

warnings.simplefilter("ignore", EquilibrationWarning)
warmup()
kinds = (
    lattices.chain, lattices.honeycomb, lattices.square, lattices.triangular, lattices.cubic,
    lattices.king,
)
regular = [kind(3, periodic=periodic) for kind in kinds for periodic in (True, False)]
models = [
    model
    for lattice in regular
    for model in (
        Ising(lattice),
        Ising(lattice, field=0.1),
        spin_glass(lattice, "bimodal", seed=3),
        Ising(lattice, spin_glass(lattice, "bimodal", seed=3).couplings, 0.1),
        spin_glass(lattice, "gaussian", seed=3),
    )
]
square = lattices.square(3)
models += [Potts(square, 5, field=0.1), Clock(square, 7, chirality=0.2), XY(square, field=0.2)]
star = lattices.from_edges(6, [(0, site) for site in range(1, 6)])
print(json.dumps([new_ones(models), new_ones([Ising(star)])]))
"""


@pytest.mark.slow
def test_a_warm_up_leaves_nothing_to_compile_for_regular_lattices() -> None:
    """Counted in a process of its own; as control a graph with a site of five neighbours."""
    done = subprocess.run([sys.executable, "-c", COUNTING], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    of_regular, of_star = json.loads(done.stdout)
    assert of_regular == []
    assert any("ising_lanes.advance" in one for one in of_star)
