r"""Acceptance of a single spin flip, as an exact 64-bit threshold.

A flip that would change the energy by ΔE is accepted with probability

.. math:: A = \begin{cases} \min(1, e^{-\beta\Delta E}) & \Delta E \ne 0 \\
                            1/2 & \Delta E = 0 \end{cases} \;\text{(Metropolis)}, \qquad
          A = \frac{1}{1 + e^{\beta\Delta E}} \;\text{(heat bath, Glauber)},

at β of either sign. Both satisfy detailed balance with respect to :math:`e^{-\beta E}`.

The ½ of neutral flips belongs to sweeps in a fixed order. If they were always accepted, a sweep
along a ring would carry each domain wall to its end without any chance entering, and most states
would never be reached; at β = 0, where every flip is neutral, every sweep would just reverse the
lattice. With the ½, Metropolis sweeps reach every state at every finite β on every graph that is
not frustrated, by its bonds or by a field: from anywhere, forced flips (βΔE < 0) lower βE until
none is left; then flipping up every spin that is down (down being the side against the field)
forces no other, and one more sweep makes all spins equal; the way back is the same in the opposite
order. Heat bath reaches every state on any graph.

Nearly neutral flips are the same trap. In a field of 10⁻⁶ hardly any flip is neutral, but walls
would be carried along all the same; and where :math:`|\beta| \max|\Delta E| < \ln 2`, Metropolis
turns over most of the lattice in each sweep and, on lattices of odd degree, which know no neutral
flips, remembers its energy for a long time (honeycomb at βJ = 0.001: τ = 160 sweeps). Flips with
:math:`|\beta\Delta E| < \ln 2` therefore use the heat-bath acceptance under either name. Without a
field on lattices of one degree, where all flips of a site share one rule, it is the largest
:math:`|\Delta E|` that decides.

On frustrated graphs, and at β < 0 in a field, no such proof is known to us for Metropolis (nor a
counterexample: every small graph that was enumerated can be reached); heat bath has one.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction

from thermo.arguments import one_of
from thermo.sampling.updates import SPIN_UPDATES

__all__ = ["ALWAYS", "HALF", "checked_update", "flip_threshold"]

ALWAYS = 2**64  # the threshold of a flip that is never refused
HALF = 2**63  # … and of one that a coin decides

_DECIMAL = Context(prec=50, Emax=9999, Emin=-9999)
_NEVER = 46  # e⁻⁴⁶ · 2⁶⁴ < ½


def checked_update(update: str) -> str:
    """Return `update` if it is the name of an update rule, otherwise name the nearest."""
    return one_of(update, "update", SPIN_UPDATES)


def flip_threshold(
    update: str, beta: float, delta: Fraction, largest: Fraction, shared: Fraction | None = None
) -> int:
    """Return the integer t for which A = t/2⁶⁴, rounded to the nearest.

    Parameters
    ----------
    update : str
        One of `SPIN_UPDATES`.
    beta : float
        Any real number or ±inf, in 1/energy.
    delta : Fraction
        ΔE of the flip, exactly, in the unit of energy.
    largest : Fraction
        The largest \\|ΔE\\| that a flip at this site can have: what is small against it by twelve
        digits is rounding.
    shared : Fraction, optional
        The \\|ΔE\\| that decides whether heat bath replaces Metropolis (see the module's text);
        that of the flip itself where it does not share its rule with others.

    Returns
    -------
    int
        0 … 2⁶⁴. Where the rule says 0, ½ or 1, exactly 0, 2⁶³ or 2⁶⁴, also at β = ±inf.

    References
    ----------
    N. Metropolis and others, J. Chem. Phys. 21, 1087 (1953); R. J. Glauber, J. Math. Phys. 4,
    294 (1963).

    Examples
    --------
    >>> flip_threshold("metropolis", -0.5, Fraction(8), Fraction(8)) == ALWAYS
    True
    >>> flip_threshold("metropolis", 0.5, Fraction(8), Fraction(8)) / 2**64  # e⁻⁴
    0.01831563888873418
    >>> flip_threshold("metropolis", 0.0, Fraction(8), Fraction(8)) == 2**63
    True
    """
    if math.isinf(beta):
        # An energy that is zero but for the rounding of J and h counts as zero.
        level = 0 if abs(delta) <= largest * Fraction(1, 10**12) else math.copysign(1, delta)
        exponent = Fraction(0) if level == 0 else Fraction(int(level * math.copysign(100, beta)))
        weak = False
    else:
        exponent = Fraction(beta) * delta
        weak = abs(beta) * float(abs(delta) if shared is None else shared) < math.log(2)
    if exponent == 0:
        return HALF
    if update == "metropolis" and not weak:
        if exponent < 0:
            return ALWAYS
        return 0 if exponent > _NEVER else _rounded(_boltzmann(exponent))
    if abs(exponent) > _NEVER:
        return 0 if exponent > 0 else ALWAYS
    return _rounded(_DECIMAL.divide(1, _DECIMAL.add(1, _boltzmann(-exponent))))


def _boltzmann(exponent: Fraction) -> Decimal:
    ratio = _DECIMAL.divide(Decimal(exponent.numerator), Decimal(exponent.denominator))
    return _DECIMAL.exp(_DECIMAL.minus(ratio))


def _rounded(probability: Decimal) -> int:
    return int(_DECIMAL.to_integral_value(_DECIMAL.multiply(probability, Decimal(ALWAYS))))
