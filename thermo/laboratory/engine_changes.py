"""Changes of energy and entropy between two temperatures, with all their digits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import NDArray

from thermo.canonical import canonical
from thermo.levels import EnergyLevels

__all__ = ["Change", "change"]

FloatArray = NDArray[np.float64]

_NEAR = 0.5  # |t| up to which t − 1 + e^{−t} is a series: beyond, no digit is lost in the sum
_SERIES = np.array([(-1.0) ** k / math.factorial(k + 2) for k in range(14)])


@dataclass(frozen=True)
class Change:
    """From x₀ to x₁, where x = βh and u, s are energy and entropy at unit field.

    Attributes
    ----------
    energy, entropy : float
        u(x₁) − u(x₀) and s(x₁) − s(x₀).
    average : float
        The mean of u(x) over x from x₀ to x₁, less u(x₀); of finite ones only.
    """

    energy: float
    entropy: float
    average: float


def change(levels: EnergyLevels, x0: float, x1: float) -> Change:
    r"""What changes from :math:`p_0 \propto g e^{-x_0 \varepsilon}` to the same at :math:`x_1`.

    .. math::
        u_1 - u_0 = \sum_i (p_{1i} - p_{0i})(\varepsilon_i - \bar u), \quad
        s_1 - s_0 = x_0 (u_1 - u_0) - D(p_1 \Vert p_0), \quad
        \bar u - u_0 = -\frac{D(p_0 \Vert p_1)}{x_1 - x_0}

    with the average :math:`\bar u = -\Delta\ln Z/\Delta x`, where :math:`p_1 = p_0` crosses:
    no term of the first sum is of another sign than the rest, nor one of
    :math:`D(p \Vert q) = \sum (p \ln\frac pq - p + q)`. So nothing cancels, while u, s and ln Z
    themselves agree in more and more digits for x → 0 and x → ±∞.

    Parameters
    ----------
    levels : EnergyLevels
        ε and ln g.
    x0, x1 : float
        Of either sign, ±inf included.

    Returns
    -------
    Change
        To a few \|x\| 10⁻¹⁶ of each number (as a relative error of x in the last digit has); its
        entropy, where x₀ and x₁ differ in sign, of its way up to x = 0 and down from there.

    Raises
    ------
    UnboundedSpectrumError, TruncatedSpectrumError
        As `canonical`.

    Examples
    --------
    >>> tiny = change(EnergyLevels([-1.0, 1.0]), 1e-9, 2e-9)
    >>> print(f"{tiny.energy:.15g} {tiny.entropy:.15g}")
    -1e-09 -1.5e-18
    """
    if x0 == x1:
        return Change(0.0, 0.0, 0.0)
    if math.isinf(x0) and math.isinf(x1):
        up, down = change(levels, x0, 0.0), change(levels, 0.0, x1)
        return Change(up.energy + down.energy, up.entropy + down.entropy, math.nan)
    if (abs(x0), x0) > (abs(x1), x1):  # there and back are one calculation: no change in a cycle
        back = _outwards(levels, x1, x0)
        return Change(-back[0], x1 * -back[0] + back[2], back[2] / (x0 - x1))
    there = _outwards(levels, x0, x1)
    return Change(there[0], x0 * there[0] - there[2], -there[1] / (x1 - x0))


def _outwards(levels: EnergyLevels, x0: float, x1: float) -> tuple[float, float, float]:
    """u₁ − u₀, D(p₀‖p₁) and D(p₁‖p₀), for |x₀| ≤ |x₁|."""
    p0, p1 = canonical(levels, (x0, x1)).populations().probabilities
    step = x1 - x0
    # From the level that x₁ favours: step·gap ≥ 0, and −ln Z has a slope of one sign.
    gap = levels.energies - (levels.minimum if step > 0.0 else levels.maximum)
    exponent = -np.multiply(step, gap, where=gap != 0.0, out=np.zeros_like(gap))
    change_of_log_z = _log_mean_exp(levels, p0, x0, gap, exponent)
    log_ratio = exponent - change_of_log_z  # ln p₁/p₀
    near = np.clip(log_ratio, -_NEAR, _NEAR)
    moved = np.where(near == log_ratio, p0 * np.expm1(near), p1 - p0)
    from_average = gap + change_of_log_z / step
    return (
        float(moved @ from_average),
        _divergence(p0, p1, -log_ratio),
        _divergence(p1, p0, log_ratio),
    )


def _log_mean_exp(
    levels: EnergyLevels, p0: FloatArray, x0: float, gap: FloatArray, exponent: FloatArray
) -> float:
    """Change of ln Z, of energies that are measured as `gap`; never above 0."""
    rest = float(p0 @ np.expm1(exponent))
    if rest > -0.5:
        return math.log1p(rest)
    weight = levels.log_degeneracy - x0 * gap  # of p₀, which may have none left in float64
    return float(np.logaddexp.reduce(weight + exponent) - np.logaddexp.reduce(weight))


def _divergence(p: FloatArray, q: FloatArray, log_ratio: FloatArray) -> float:
    """Σ p (t − 1 + e^{−t}) with t = ln p/q: no term is negative."""
    t = np.clip(log_ratio, -_NEAR, _NEAR)
    with np.errstate(invalid="ignore"):  # 0 · ∞
        far = np.where(p > 0.0, p * log_ratio, 0.0) - (p - q)
    return float(np.where(t == log_ratio, p * t * t * polyval(t, _SERIES), far).sum())
