"""Cycles of Carnot and Otto between baths of any sign, and one that needs a single bath."""

from __future__ import annotations

import math
from dataclasses import dataclass

from thermo.arguments import finite_number
from thermo.errors import InvalidInputError
from thermo.laboratory.engine_strokes import (
    Stroke,
    adiabat,
    isochore,
    isotherm,
    isothermal_beta,
    one_beta,
)
from thermo.levels import EnergyLevels

__all__ = ["Cycle", "carnot_cycle", "otto_cycle", "reversal_cycle"]

_LEAST_CHANGE = 1e-290  # of entropy: what is less has no longer all digits of float64


@dataclass(frozen=True)
class Cycle:
    r"""Strokes that lead the working substance back to where it began.

    Attributes
    ----------
    name : str
    baths : tuple of float
        β of each bath, the hotter (smaller) first; one or two.
    strokes : tuple of Stroke
        Their energies count from that of the populations at the beginning of the first one, in
        every field.

    Notes
    -----
    Two efficiencies, for an engine that delivers −W:

    .. math::
        \eta_{\rm formal} = \frac{-W}{Q_h}, \qquad \eta = \frac{-W}{\sum_i \max(Q_i, 0)}.

    The first is what textbooks call efficiency: work for the heat of the hotter bath. Carnot's
    cycle has :math:`1 - T_c/T_h = 1 - \beta_h/\beta_c`, more than 1 if :math:`T_h < 0 < T_c` (Braun
    2013) and negative if both are. The second counts all heat that is taken in, and is never more
    than 1: where the signs differ, the cold bath gives heat, too, and all of it becomes work, η = 1
    (Campisi 2016). Between baths of one positive sign they are equal.
    """

    name: str
    baths: tuple[float, ...]
    strokes: tuple[Stroke, ...]

    @property
    def heats(self) -> tuple[float, ...]:
        """Heat that the substance takes from each bath; where there is one, of both contacts."""
        return tuple(
            math.fsum(stroke.heat for stroke in self.strokes if stroke.bath == bath)
            for bath in self.baths
        )

    @property
    def delivered(self) -> float:
        """Work −W that the cycle delivers; negative if it needs work."""
        return 0.0 - math.fsum(stroke.work for stroke in self.strokes)

    @property
    def formal_efficiency(self) -> float:
        """−W/Q_h; NaN if no heat is exchanged with the hotter bath."""
        return self.delivered / self.heats[0] if self.heats[0] else math.nan

    @property
    def efficiency(self) -> float:
        """−W by all heat that is taken in; NaN for a cycle that delivers nothing."""
        taken = sum(max(heat, 0.0) for heat in self.heats)
        return self.delivered / taken if self.delivered > 0.0 and taken > 0.0 else math.nan

    @property
    def energy_imbalance(self) -> float:
        """ΣQ + ΣW, which the first law has zero, by Σ|Q|."""
        return _relative(
            math.fsum(part for stroke in self.strokes for part in (stroke.heat, stroke.work)),
            math.fsum(abs(stroke.heat) for stroke in self.strokes),
        )

    @property
    def entropy_imbalance(self) -> float:
        """ΣΔS of the substance, zero for what comes back to where it began, by Σ|ΔS|."""
        changes = [stroke.entropy_change for stroke in self.strokes]
        return _relative(math.fsum(changes), math.fsum(map(abs, changes)))

    @property
    def entropy_made(self) -> float:
        """−Σ β Q, what the baths gain: never negative, by the second law; 0 if reversible."""
        return 0.0 - math.fsum(
            beta * heat for beta, heat in zip(self.baths, self.heats, strict=True) if heat
        )

    @property
    def reverses_field(self) -> bool:
        """Whether an adiabat passes zero field, which real spins must do suddenly."""
        return any(stroke.kind == "adiabat" and stroke.reverses_field for stroke in self.strokes)


def carnot_cycle(
    levels: EnergyLevels, hot: float, cold: float, fields: tuple[float, float] | None = None
) -> Cycle:
    r"""Two isotherms joined by adiabats, run in the direction that delivers work.

    Nothing in it is irreversible, so that

    .. math:: \beta_h Q_h + \beta_c Q_c = 0, \qquad
        -W = Q_h + Q_c = \Delta S_h \left(\frac1{\beta_h} - \frac1{\beta_c}\right).

    ===============  =============  =============  ==================================
    baths            Q_h            Q_c            η
    ===============  =============  =============  ==================================
    T_h, T_c > 0     taken in       given away     1 − T_c/T_h; no engine has more
    T_h < 0 < T_c    taken in       taken in       1; formally 1 − T_c/T_h > 1
    T_h, T_c < 0     given away     taken in       1 − T_h/T_c; an engine that takes
                                                   and gives like this has no less
    ===============  =============  =============  ==================================

    Parameters
    ----------
    levels : EnergyLevels
        ε, at unit field.
    hot, cold : float
        β of the baths, in 1/energy; the hotter one has the smaller β. Finite and not 0.
    fields : (float, float), optional
        Two different fields > 0, between which the isotherm of the hot bath runs; default: 1/2 and
        2, by \|β_h\|.

    Returns
    -------
    Cycle

    Raises
    ------
    InvalidInputError
        β_hot ≥ β_cold, baths at β = 0 or ±∞ (`isotherm`), fields that are not positive or equal,
        or between which the entropy changes by less than 1e-290.
    UnboundedSpectrumError
        Levels without an upper bound, and a bath at β < 0.

    Notes
    -----
    An adiabat keeps x = βh. Between baths of different sign the field must therefore change its
    sign on both adiabats: all four strokes are exact for spins that feel only the field, and for
    real ones the adiabats must be sudden reversals (`adiabat`). The engine without that, with one
    field direction, is an Otto cycle.

    References
    ----------
    J. E. Geusic, E. O. Schulz-DuBois, H. E. D. Scovil, Phys. Rev. 156, 343 (1967); P. T. Landsberg,
    R. J. Tykodi, A. M. Tremblay, J. Phys. A 13, 1063 (1980); M. Campisi, arXiv:1606.05244 (2016).

    Examples
    --------
    >>> cycle = carnot_cycle(EnergyLevels([-1.0, 1.0]), hot=-1.0, cold=1.0)
    >>> round(cycle.formal_efficiency, 12), round(cycle.efficiency, 12), cycle.reverses_field
    (2.0, 1.0, True)
    """
    h, c = map(isothermal_beta, _two_baths(hot, cold))
    pair = (0.5 / abs(h), 2.0 / abs(h)) if fields is None else _pair(fields)
    low, high = sorted(finite_number(field, "fields", positive=True) for field in pair)
    if low == high:
        raise InvalidInputError(f"both fields are {low:g}; accepted: two different ones")
    # Work is ΔS_h (1/β_h − 1/β_c): equal signs ask for a rise of S, which is a fall of |x|.
    first, second = (high, low) if h * c > 0.0 else (low, high)
    zero = h * first
    taken = isotherm(levels, h, first, second, zero=zero)
    if abs(taken.entropy_change) < _LEAST_CHANGE:
        raise InvalidInputError(
            f"fields = {low:g} and {high:g} were given with β = {h:g}: the entropy between them "
            f"changes by less than {_LEAST_CHANGE:g}, beyond float64; accepted: fields of about "
            f"1/|β| = {1.0 / abs(h):g}"
        )
    given = isotherm(levels, c, taken.reduced[1] / c, taken.reduced[0] / c, zero=zero)
    return Cycle(
        "Carnot",
        (h, c),
        (
            taken,
            adiabat(levels, taken.reduced[1], second, given.field[0], zero=zero),
            given,
            adiabat(levels, taken.reduced[0], given.field[1], first, zero=zero),
        ),
    )


def otto_cycle(
    levels: EnergyLevels, hot: float, cold: float, fields: tuple[float, float] = (2.0, 1.0)
) -> Cycle:
    r"""Two waits in constant fields, joined by adiabats: irreversible, for baths at any β.

    .. math:: -W = (h_h - h_c)\,[u(x_h) - u(x_c)], \qquad
        \eta_{\rm formal} = 1 - \frac{h_c}{h_h}, \qquad x_i = \beta_i h_i

    Parameters
    ----------
    levels : EnergyLevels
        ε, at unit field.
    hot, cold : float
        β of the baths, in 1/energy; the hotter one has the smaller β. 0 and ±∞ included.
    fields : (float, float)
        In contact with the hot and with the cold bath, not 0; opposite signs reverse the field.

    Returns
    -------
    Cycle
        Which need not deliver work: for fields of one sign and both T > 0 it does where
        :math:`\beta_h/\beta_c < h_c/h_h < 1`.

    Raises
    ------
    InvalidInputError
        β_hot ≥ β_cold, or a field that is 0 or not finite.
    UnboundedSpectrumError
        Levels without an upper bound, and a bath at β ≤ 0.

    Notes
    -----
    Between two baths at T < 0 this engine may be more efficient than Carnot's: there the second law
    forbids giving heat away for nothing, not taking it (Ramsey 1956), and a cycle that makes
    entropy wastes less heat than a reversible one.

    References
    ----------
    R. J. de Assis et al., Phys. Rev. Lett. 122, 240602 (2019), with a bath at T < 0.

    Examples
    --------
    >>> cycle = otto_cycle(EnergyLevels([-1.0, 1.0]), hot=-0.5, cold=1.0)
    >>> round(cycle.delivered, 4), round(cycle.efficiency, 4), round(cycle.entropy_made, 4)
    (1.5232, 0.5, 3.0464)
    """
    return _otto("Otto", levels, _two_baths(hot, cold), _pair(fields))


def reversal_cycle(levels: EnergyLevels, beta: float, field: float = 1.0) -> Cycle:
    r"""Reverse the field, wait, reverse it back, wait: an engine with a single bath.

    .. math:: Q = -W = 2h\,[u(\beta h) - u(-\beta h)]

    which has the sign of −β. At T < 0 heat of one bath becomes work, all of it: this is a maser
    that inverted spins drive. At T > 0 work becomes heat, all of it. Kelvin's statement, that no
    cycle turns heat of a single bath into work, holds at T > 0; at T < 0 its mirror does, that none
    turns work into heat of a single bath (Ramsey 1956). Both say that −βQ, the entropy made, is not
    negative. The reversals are sudden (`adiabat`).

    Parameters
    ----------
    levels : EnergyLevels
        ε, at unit field.
    beta : float
        Of the bath: any, 0 and ±∞ included.
    field : float
        h, not 0.

    Returns
    -------
    Cycle

    Raises
    ------
    InvalidInputError
        A field that is 0 or not finite; levels without an upper bound, which would have no lower
        one in the reversed field.

    References
    ----------
    N. F. Ramsey, Phys. Rev. 103, 20 (1956).

    Examples
    --------
    >>> spin = EnergyLevels([-1.0, 1.0])
    >>> [round(reversal_cycle(spin, beta).delivered, 4) for beta in (-1.0, 0.0, 1.0)]
    [3.0464, 0.0, -3.0464]
    """
    b, h = one_beta(beta), finite_number(field, "field")
    return _otto("one bath", levels, (b,), (h, -h))


def _otto(
    name: str, levels: EnergyLevels, baths: tuple[float, ...], fields: tuple[float, float]
) -> Cycle:
    one, other = (finite_number(field, "fields") for field in fields)
    at_other = isochore(levels, baths[-1], other, baths[0] * one)
    at_one = isochore(levels, baths[0], one, at_other.reduced[1])
    return Cycle(
        name,
        baths,
        (
            at_one,
            adiabat(levels, at_one.reduced[1], one, other, zero=at_one.reduced[0]),
            at_other,
            adiabat(levels, at_other.reduced[1], other, one, zero=at_one.reduced[0]),
        ),
    )


def _two_baths(hot: float, cold: float) -> tuple[float, float]:
    h, c = one_beta(hot), one_beta(cold)
    if h == c:
        raise InvalidInputError(
            f"both baths are at β = {h:g}; accepted: two different β (for one bath: reversal_cycle)"
        )
    if h > c:
        raise InvalidInputError(
            f"hot = {h:g} and cold = {c:g} were given; accepted: a smaller β for the hotter bath, "
            "of either sign"
        )
    return h, c


def _relative(imbalance: float, exchanged: float) -> float:
    return imbalance / exchanged if exchanged else imbalance


def _pair(fields: tuple[float, float]) -> tuple[float, float]:
    try:
        one, other = fields
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"fields = {fields!r} was given; accepted: two fields") from error
    return one, other
