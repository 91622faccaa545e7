"""One row of the comparison: a system, its curve, its populations and its degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thermo.curves import Curve
from thermo.occupation import Occupation

__all__ = ["Freedom", "System", "freedom_rows"]

# At these natural inverse temperatures every system's degrees of freedom are compared.
COMPARED_AT = (1.0, -1.0)


@dataclass(frozen=True)
class Freedom:
    """Degrees of freedom by one definition: a number per unit, or why there is none.

    Attributes
    ----------
    definition : str
        Its name and formula.
    value, error : float or None
        None if the definition does not apply; error 0 if exact.
    reason : str
        Why it does not apply, or a remark.
    """

    definition: str
    value: float | None
    error: float | None = 0.0
    reason: str = ""


@dataclass(frozen=True, eq=False)
class System:
    """A system of the comparison.

    Attributes
    ----------
    kind : str
        Key into :data:`thermo.plots.STYLES`.
    curve : Curve
        As measured (or exact, if that is how it is known).
    exact : Curve or None
        The exact curve of the same system, where the measured one is sampled.
    occupations : tuple of Occupation
        Lines of its Boltzmann plot.
    freedom : tuple of Freedom
        One entry per definition, in the same order for every system.
    details : dict
        Anything else worth a place in the JSON file.
    """

    kind: str
    curve: Curve
    freedom: tuple[Freedom, ...]
    exact: Curve | None = None
    occupations: tuple[Occupation, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


def freedom_rows(
    curve: Curve,
    *,
    equipartition: Freedom,
    kinetic: Freedom,
    learning: Freedom,
) -> tuple[Freedom, ...]:
    """Degrees of freedom of one system by every definition, in one fixed order.

    Parameters
    ----------
    curve : Curve
        Must contain the natural β of ``COMPARED_AT`` as far as the system reaches.
    equipartition, kinetic, learning : Freedom
        What these definitions give for this system, or why they do not apply.

    Returns
    -------
    tuple of Freedom
    """
    endless = "the number of states has no end"
    bits = curve.log_states / np.log(2.0)
    rows = [
        Freedom("state space, ln W / ln 2 (bits)", bits)
        if np.isfinite(bits)
        else Freedom("state space, ln W / ln 2 (bits)", None, None, endless)
    ]
    states = curve.effective_states
    share = np.exp(curve.log_participation.value)
    share_error = share * curve.log_participation.error
    capacity = curve.heat_capacity
    for b in COMPARED_AT:
        at = int(np.argmin(np.abs(curve.b - b)))
        here = np.isclose(curve.b[at], b, rtol=1e-6)
        for definition, value, error in (
            ("effective states, exp(S/k)", states.value, states.error),
            ("participation ratio, 1/Σp²", share, share_error),
            ("heat-capacity equivalent, 2C/k", 2 * capacity.value, 2 * capacity.error),
        ):
            name = f"{definition}, b = {'+' if b > 0 else '−'}{abs(b):g}"
            rows.append(
                Freedom(name, float(value[at]), float(error[at]))
                if here
                else Freedom(name, None, None, "no equilibrium at β ≤ 0")
            )
    return (*rows, equipartition, kinetic, learning)
