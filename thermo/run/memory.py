"""How much memory a run needs, and whether there is so much."""

from __future__ import annotations

import math

from thermo.errors import InvalidInputError
from thermo.memory import SHARE, available_bytes, in_binary_units
from thermo.models.spin_model import SpinModel
from thermo.run.plan import Plan
from thermo.run.power_spectrum import half_spectrum

__all__ = ["bytes_needed", "bytes_of_spins", "check_memory"]

_SERIES = 5  # energy and at most four observables
_COPIES = 3  # of the spins: in the batch, in the state to go on from, in the result


def bytes_of_spins(model: SpinModel) -> int:
    """Return the size of one configuration: a byte per spin, or its components as float64."""
    return model.lattice.n_sites * (8 * getattr(model, "components", 0) or 1)


def bytes_needed(plan: Plan) -> dict[str, int]:
    """Return an estimate, on the safe side, of what a run will hold in memory, by purpose."""
    configurations = plan.chains * bytes_of_spins(plan.model)
    given = 0
    if plan.given is not None:  # one configuration for all chains is held once
        axes = zip(plan.given.shape, plan.given.strides, strict=True)
        given = plan.given.itemsize * math.prod(length for length, stride in axes if stride)
    needed = {
        "series": 8 * _SERIES * plan.chains * plan.draws,
        "spins": _COPIES * configurations + given,
        "snapshots": plan.snapshots * configurations,
    }
    if plan.structure_factors:
        # Of every wave vector the blocks, and the variances of S(k) and of G(r).
        numbers = (plan.structure_factor_blocks + 2) * math.prod(half_spectrum(plan.model.lattice))
        needed["structure factor"] = 8 * _COPIES * plan.chains * numbers
    return needed


def check_memory(plan: Plan) -> None:
    """Refuse a run that needs more memory than there is.

    Raises
    ------
    InvalidInputError
        Saying how much, for what, and how many replicas or measurements would fit.
    """
    available = available_bytes()
    needed = bytes_needed(plan)
    total = sum(needed.values())
    if available is None or total <= SHARE * available:
        return
    largest = max(needed, key=lambda name: needed[name])
    room = SHARE * available
    fits = []
    replicas = int(plan.replicas * room / total)
    if replicas >= 2:
        fits.append(f"at most {replicas} replicas")
    measured = total - needed["spins"]
    if needed["spins"] < room and measured:
        times = -int(-measured // (room - needed["spins"]))
        fits.append(f"keeping {times} times fewer draws and snapshots")
    raise InvalidInputError(
        f"the run would need {in_binary_units(total)} of memory "
        f"({largest}: {in_binary_units(needed[largest])}) and "
        f"{in_binary_units(available)} are free; accepted, for it would fit: "
        f"{' or '.join(fits) if fits else 'a smaller lattice or fewer β'}"
    )
