"""Ramsey's conditions for a negative temperature, each with a number and a verdict.

The elements of the system must be in equilibrium among themselves, its energy must have an upper
bound, and it must be isolated, for as long as it is observed, from everything that has none.

N. F. Ramsey, "Thermodynamics and statistical mechanics at negative absolute temperatures", Phys.
Rev. 103, 20 (1956).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from thermo.estimate.autocorrelation import rounded_to_error
from thermo.laboratory.measured import Measured, measured
from thermo.laboratory.reversal_motion import ReversalMotion
from thermo.laboratory.spin_thermometers import Reading

__all__ = ["Condition", "ramsey_conditions"]

_SETTLED = (0.25, 2.0)  # in T₁: when internal equilibrium is judged
_AGREEMENT = 0.1  # of β₀ or 1/h: how far thermometers may be apart
_ISOLATED = 0.1  # T₂/T₁, at most


@dataclass(frozen=True)
class Condition:
    r"""One of them, for one run.

    Attributes
    ----------
    name : str
    what : str
        What `value` is.
    value, error : float
        As found, with its standard error; 0 where nothing was sampled.
    limit : float
        Above which \|value\| is too large.
    verdict : str
        ``"holds"`` or ``"fails"``; ``"unclear"`` less than two standard errors from the limit, or
        where the value is not known.
    """

    name: str
    what: str
    value: float
    error: float
    limit: float
    verdict: str

    @classmethod
    def judged(cls, name: str, what: str, found: Measured, limit: float) -> Condition:
        """Return a condition with its verdict.

        Examples
        --------
        >>> found = Measured(np.array(0.02), np.array(0.001))
        >>> print(Condition.judged("isolated", "T₂/T₁", found, 0.1))
        holds    isolated: T₂/T₁ = 0.0200(10), to be at most 0.1
        """
        value = float(found.value)
        error = 0.0 if np.isinf(value) else float(found.error)
        verdict = "unclear"
        if abs(value) + 2.0 * error <= limit:
            verdict = "holds"
        elif abs(value) - 2.0 * error > limit:
            verdict = "fails"
        return cls(name, what, value, error, limit, verdict)

    def __str__(self) -> str:
        known = self.value == self.value  # not nan
        number = rounded_to_error(self.value, self.error) if known else "not known"
        limit = f"at most {self.limit:.2g}" if self.limit < sys.float_info.max else "finite"
        return f"{self.verdict:8s} {self.name}: {self.what} = {number}, to be {limit}"


def ramsey_conditions(
    motion: ReversalMotion,
    demon: Reading,
    populations: Reading,
    field: Reading,
    couplings: Reading,
    internal_time: Measured,
) -> tuple[Condition, ...]:
    """Judge a run by them.

    Internal equilibrium is judged from T₁/4 to 2T₁, by whether thermometers agree on average to
    within 0.1 of β₀, or of 1/h if that is less; isolation by whether T₂ is at most 0.1 T₁.

    Parameters
    ----------
    motion : ReversalMotion
    demon, populations, field, couplings : Reading
        The thermometers of `thermo.laboratory.spin_thermometers`.
    internal_time : Measured
        T₂/T₁.

    Returns
    -------
    tuple of Condition
    """
    limit = _AGREEMENT * min(abs(motion.beta), 1.0 / abs(motion.model.field))
    judged = (motion.times >= _SETTLED[0]) & (motion.times <= _SETTLED[1])

    def agreement(one: Reading, other: Reading, what: str) -> Condition:
        unknown = np.array(np.nan)
        apart = Measured(unknown, unknown)
        if judged.any():
            with np.errstate(invalid="ignore"):  # ∞ − ∞
                apart = measured((one.by_replica - other.by_replica)[:, judged].mean(axis=1))
        return Condition.judged("internal equilibrium", what, apart, limit)

    coupled = bool(np.isfinite(couplings.beta).all())
    highest = motion.model.energy_bounds[1] / motion.model.lattice.n_sites
    exactly = Measured(np.array(highest), np.array(0.0))
    return (
        agreement(demon, populations, "β of the demon less β of the spins"),
        *([agreement(field, couplings, "β in the field less β of the couplings")] * coupled),
        Condition.judged("bounded", "highest energy per spin", exactly, sys.float_info.max),
        Condition.judged("isolated", "T₂/T₁", internal_time, _ISOLATED),
    )
