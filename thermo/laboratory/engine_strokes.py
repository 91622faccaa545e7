"""Strokes of a heat engine whose working substance has energy levels that a field stretches."""

from __future__ import annotations

import math
from dataclasses import dataclass

from thermo.arguments import finite_number, shown
from thermo.canonical import canonical
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.laboratory.engine_changes import change
from thermo.levels import EnergyLevels, require_levels
from thermo.temperature import as_beta

__all__ = ["Stroke", "adiabat", "isochore", "isotherm", "isothermal_beta", "one_beta"]

_LARGEST = 1e100  # |β| of an isotherm, and its inverse


@dataclass(frozen=True)
class Stroke:
    """What one stroke did to the working substance; heat and work count as given to it.

    Attributes
    ----------
    kind : str
        ``"isotherm"``, ``"adiabat"`` or ``"isochore"``.
    bath : float or None
        β of the bath in contact; None without one.
    field : (float, float)
        h at its beginning and end: the energies are h times the levels.
    reduced : (float, float)
        x = βh of the populations at its beginning and end.
    energy_change, heat, work, entropy_change : float
        ΔU, Q, W and ΔS, each from a formula of its own, so that books can be checked, and each to
        its last digits (`thermo.laboratory.engine_changes`).
    """

    kind: str
    bath: float | None
    field: tuple[float, float]
    reduced: tuple[float, float]
    energy_change: float
    heat: float
    work: float
    entropy_change: float

    @property
    def entropy_made(self) -> float:
        """ΔS of substance and bath together: 0 if reversible, never less; inf for β = ±∞."""
        if self.bath is None or self.heat == 0.0:
            return self.entropy_change
        return self.entropy_change - self.bath * self.heat

    @property
    def reverses_field(self) -> bool:
        """Whether the field passes zero."""
        return self.field[0] * self.field[1] < 0.0


def one_beta(beta: float) -> float:
    """Return β, or x = βh, as a float: any number but NaN, ±inf included.

    Examples
    --------
    >>> one_beta([0.1, 0.2])
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: β = [0.1, 0.2] was given; accepted: one number
    """
    b = as_beta(beta)
    if b.ndim:
        raise InvalidInputError(f"β = {shown(beta)} was given; accepted: one number")
    return float(b)


def isothermal_beta(beta: float) -> float:
    """Return β of a bath as a float, or refuse one that has no isotherms.

    Parameters
    ----------
    beta : float
        1e-100 … 1e100 in size.

    Returns
    -------
    float

    Raises
    ------
    InvalidInputError
        NaN, 0 or ±∞, or one whose energies of order 1/β would leave float64.

    Examples
    --------
    >>> isothermal_beta(0)
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: an isotherm at β = 0 exchanges nothing, since populations are
    the same in every field; accepted: a finite β other than 0 (an Otto cycle takes any)
    """
    b = one_beta(beta)
    if b == 0.0 or math.isinf(b):
        raise InvalidInputError(
            f"an isotherm at β = {b:g} exchanges nothing, since populations are the same in every "
            "field; accepted: a finite β other than 0 (an Otto cycle takes any)"
        )
    if not 1.0 / _LARGEST <= abs(b) <= _LARGEST:
        raise InvalidInputError(
            f"β = {b:g} was given for an isotherm; accepted: {1.0 / _LARGEST:g} … {_LARGEST:g} in "
            "size, so that products of energies are finite"
        )
    return b


def isotherm(
    levels: EnergyLevels, beta: float, start: float, end: float, *, zero: float | None = None
) -> Stroke:
    r"""Change the field slowly, in contact with a bath.

    .. math:: Q = \frac{S(x_1) - S(x_0)}{\beta}, \qquad
        W = \int u\,dh = -\frac{\ln Z(x_1) - \ln Z(x_0)}{\beta}, \qquad x = \beta h

    Parameters
    ----------
    levels : EnergyLevels
        ε, at unit field.
    beta : float
        Of the bath, in 1/energy, of either sign.
    start, end : float
        Fields; they may differ in sign, since contact with a bath keeps the substance at its β.
    zero : float, optional
        x of the populations whose energy counts as 0 in every field; default: the levels' own 0.
        ΔU and W depend on it by a part in proportion to the field, which no cycle has; but digits
        that such a part takes away, from populations that are all but in one level or all but
        equal, are lost for a cycle, too.

    Returns
    -------
    Stroke

    Raises
    ------
    InvalidInputError
        β = 0 or ±∞, where populations are the same in every field: nothing is exchanged.
    UnboundedSpectrumError
        Levels without an upper bound, and β < 0 or a field < 0.

    Examples
    --------
    >>> stroke = isotherm(EnergyLevels([-1.0, 1.0]), -1.0, 1.0, 2.0)
    >>> round(stroke.heat, 4), round(stroke.work, 4)
    (0.2752, 0.8912)
    """
    b = isothermal_beta(beta)
    h = _fields(levels, (b,), start, end)
    x = b * h[0], b * h[1]
    u, to_end = _energy(levels, x[0], zero), change(levels, *x)
    return Stroke(
        "isotherm", b, h, x,
        energy_change=h[1] * to_end.energy + (h[1] - h[0]) * u,
        heat=to_end.entropy / b,
        work=(u + to_end.average) * (h[1] - h[0]),
        entropy_change=to_end.entropy,
    )  # fmt: skip


def adiabat(
    levels: EnergyLevels, reduced: float, start: float, end: float, *, zero: float | None = None
) -> Stroke:
    r"""Change the field without a bath: all energies grow in proportion, populations stay.

    .. math:: W = u(x)\,(h_1 - h_0), \qquad x = \beta_0 h_0 = \beta_1 h_1

    β is what adapts, as x/h, so that its sign changes with that of the field and not otherwise.

    Parameters
    ----------
    levels : EnergyLevels
        ε, at unit field.
    reduced : float
        x, ±inf included.
    start, end : float
        Fields, not 0.
    zero : float, optional
        As in :func:`isotherm`.

    Returns
    -------
    Stroke

    Raises
    ------
    InvalidInputError, UnboundedSpectrumError
        As in :func:`isotherm`; a field of 0, where x says no β.

    Notes
    -----
    **Through zero field.** Where all that a spin feels is the field along its axis, the populations
    stay at any speed, also when the field is reversed, and T = h/x goes through 0, not through
    ∞: at h = 0 all energies are equal. Real spins feel each other. Below the strength of that
    feeling a slow passage lets them settle among themselves, which keeps the sign of β and turns
    the magnetization along with the field. To change the sign of β the field must be reversed
    within less than the time T₂ in which spins exchange energy (Purcell and Pound). That is no
    quasi-static process, and no quasi-static adiabat joins T > 0 and T < 0.

    Examples
    --------
    >>> adiabat(EnergyLevels([-1.0, 1.0]), float("inf"), 1.0, 3.0).work
    -2.0
    """
    x = one_beta(reduced)
    h = _fields(levels, (x,), start, end)
    _no_zero(*h)
    u = _energy(levels, x, zero)
    return Stroke("adiabat", None, h, (x, x), h[1] * u - h[0] * u, 0.0, u * (h[1] - h[0]), 0.0)


def isochore(levels: EnergyLevels, beta: float, field: float, reduced: float) -> Stroke:
    r"""Wait in a constant field until the substance has the temperature of a bath.

    .. math:: Q = h\,[u(x_1) - u(x_0)], \qquad x_1 = \beta h

    Irreversible unless x₀ = x₁: heat flows between different temperatures.

    Parameters
    ----------
    levels : EnergyLevels
        ε, at unit field.
    beta : float
        Of the bath, in 1/energy: any, 0 and ±∞ included.
    field : float
        h, not 0.
    reduced : float
        x₀ of the populations at the beginning.

    Returns
    -------
    Stroke

    Raises
    ------
    InvalidInputError, UnboundedSpectrumError
        As in :func:`adiabat`.

    Examples
    --------
    >>> stroke = isochore(EnergyLevels([-1.0, 1.0]), 0.0, 1.0, float("inf"))
    >>> stroke.heat, round(stroke.entropy_made, 4)
    (1.0, 0.6931)
    """
    b, x0 = one_beta(beta), one_beta(reduced)
    h, _ = _fields(levels, (b, x0), field, field)
    _no_zero(h)
    x = x0, b * h
    to_end = change(levels, *x)
    heat = h * to_end.energy
    return Stroke("isochore", b, (h, h), x, heat, heat, 0.0, to_end.entropy)


def _energy(levels: EnergyLevels, reduced: float, zero: float | None) -> float:
    """u(x), less that of x = zero."""
    if zero is None:
        return float(canonical(levels, reduced).internal_energy)
    return change(levels, zero, reduced).energy


def _fields(
    levels: EnergyLevels, betas: tuple[float, ...], start: float, end: float
) -> tuple[float, float]:
    require_levels(levels)
    h = finite_number(start, "field"), finite_number(end, "field")
    if levels.minimum == levels.maximum:
        raise InvalidInputError("all levels have one energy; accepted: at least two different ones")
    if not levels.bounded_above:
        for beta in betas:
            if beta <= 0.0:
                raise UnboundedSpectrumError(beta, "the working substance")
        if min(h) <= 0.0:
            raise InvalidInputError(
                f"field = {min(h):g} was given for levels without an upper bound, whose energies "
                "would have no lower one; accepted: fields > 0"
            )
    return h


def _no_zero(*fields: float) -> None:
    if 0.0 in fields:
        raise InvalidInputError(
            "field = 0 was given, where all energies are equal and populations tell no β; "
            "accepted: a field other than 0"
        )
