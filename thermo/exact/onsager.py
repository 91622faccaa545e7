"""The infinite square Ising lattice in zero field, solved by Onsager."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ellipe, ellipkm1

from thermo.arguments import finite_number
from thermo.canonical import Thermodynamics
from thermo.errors import InvalidInputError
from thermo.memory import check_memory_of
from thermo.temperature import as_beta

__all__ = ["critical_beta", "infinite_square", "spontaneous_magnetization"]

Array = NDArray[np.float64]

# Beyond |K| = 100 every excitation weighs less than e^−400 and the ground state is all there is.
_COLD = 100.0
_NODES = 321  # of the integral
_BYTES_PER_BETA = 40 * _NODES  # at the peak


def critical_beta(coupling: float = 1.0) -> float:
    r"""Inverse temperature of the ordering transition, :math:`\beta_c = \ln(1+\sqrt2)/2J`.

    The lattice is bipartite, so −β_c is critical too, with staggered order beyond it. The sign of
    β_c is that of the coupling: the ferromagnetic transition.

    Parameters
    ----------
    coupling : float
        J ≠ 0, in units of energy.

    Returns
    -------
    float
        β_c in 1/energy.

    References
    ----------
    H. A. Kramers, G. H. Wannier, Phys. Rev. 60, 252 (1941).

    Examples
    --------
    >>> round(1 / critical_beta(), 9)
    2.269185314
    """
    if finite_number(coupling, "coupling") == 0.0:
        raise InvalidInputError("coupling = 0 was given; accepted: any other finite number.")
    return float(np.arcsinh(1.0) / (2.0 * coupling))


@np.errstate(over="ignore")  # near the largest β: ±inf is right
def infinite_square(beta: ArrayLike, coupling: float = 1.0) -> Thermodynamics:
    r"""Thermodynamics *per site* of the infinite square Ising lattice at any signed β.

    With K = βJ and k = 2 sinh 2K / cosh² 2K,

    .. math::
        \frac{\ln Z}{N} &= \ln(\sqrt2 \cosh 2K)
            + \frac1\pi \int_0^{\pi/2} \ln\bigl(1 + \sqrt{1 - k^2\sin^2\varphi}\bigr)\,d\varphi \\
        \frac UN &= -J \coth 2K\,\bigl[1 + \tfrac2\pi (2\tanh^2 2K - 1)\,\mathbf K(k)\bigr]

    and Var(E)/N = −∂(U/N)/∂β. ln Z, S, C are even in β and U is odd.

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    coupling : float
        J of H = −J Σ s_i s_j over nearest neighbours; J < 0 is the antiferromagnet.

    Returns
    -------
    Thermodynamics
        Everything per site, shaped like ``beta``; energies in the unit of J. The heat capacity
        diverges as −ln|β ∓ β_c| and is inf at the float nearest to ±β_c.

    Raises
    ------
    InvalidInputError
        β is NaN, J is not finite, more β than fit into memory.

    Notes
    -----
    Not for comparison with a small lattice near β_c: there use
    :func:`thermo.exact.kaufman.square_torus`. U and Var are computed from
    [2𝐊(k)/π − 1]/k², which has no cancellation at small β.

    References
    ----------
    L. Onsager, Phys. Rev. 65, 117 (1944).

    Examples
    --------
    >>> state = infinite_square([1 / 2.0, 1 / 2.5, -1 / 2.0])
    >>> state.internal_energy.round(11)
    array([-1.74556458, -1.1060792 ,  1.74556458])
    >>> state.heat_capacity.round(10)
    array([0.72487145, 0.86169836, 0.72487145])
    """
    b = as_beta(beta)
    j = finite_number(coupling, "coupling")
    check_memory_of(b.size, _BYTES_PER_BETA, "β")
    k = np.zeros_like(b) if j == 0.0 else b * j
    excess, slope, curvature = _excess(np.abs(k))
    double_excess, _, _ = _excess(2.0 * np.abs(k))
    fields = (
        2.0 * np.abs(k) + excess,
        0.0 - j * np.sign(k) * (2.0 + slope),
        j**2 * curvature,
        excess - np.minimum(np.abs(k), _COLD) * slope,
        # ln 1/Σp² = 2 ln Z(β) − ln Z(2β), where the ground state's energy drops out
        2.0 * excess - double_excess,
    )
    return Thermodynamics(b, *(np.asarray(field) for field in fields))


@np.errstate(over="ignore")  # near the largest β: ±inf is right
def spontaneous_magnetization(beta: ArrayLike, coupling: float = 1.0) -> Array:
    r"""Spontaneous order per site, :math:`m = (1 - \sinh^{-4} 2K)^{1/8}` beyond the critical K.

    It is 0 for :math:`|K| \le K_c`. For K = βJ > 0 it is the magnetisation, for K < 0 the
    staggered magnetisation.

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    coupling : float
        J, in units of energy.

    Returns
    -------
    ndarray, shaped like ``beta``
        Between 0 and 1.

    References
    ----------
    C. N. Yang, Phys. Rev. 85, 808 (1952).

    Examples
    --------
    >>> spontaneous_magnetization([0.5, -0.5, 0.4, float("inf")]).round(12)
    array([0.91131938, 0.91131938, 0.        , 1.        ])
    """
    b = as_beta(beta)
    j = finite_number(coupling, "coupling")
    k = np.zeros_like(b) if j == 0.0 else np.minimum(np.abs(b * j), _COLD)
    with np.errstate(divide="ignore"):
        log_power = -4.0 * np.log(np.sinh(2.0 * np.minimum(k, 150.0)))
    return np.where(log_power < 0.0, -np.expm1(np.minimum(log_power, 0.0)), 0.0) ** 0.125


def _excess(k: Array) -> tuple[Array, Array, Array]:
    """ln Z/N − 2K and its first two derivatives by K, for K ≥ 0."""
    k = np.minimum(k, _COLD)
    z2 = np.exp(-4.0 * k)
    sech = 2.0 * np.exp(-2.0 * k) / (1.0 + z2)
    tanh = (1.0 - z2) / (1.0 + z2)
    # a = k/2 and its derivatives by K; 1 − k² = (a′/2 sech)²
    modulus = 2.0 * tanh * sech
    offset = (sech - tanh) * (sech + tanh)  # (1 − sinh²)/(1 + sinh²), 0 at the critical point
    a1 = 2.0 * sech * offset
    a2 = 4.0 * tanh * sech * (1.0 - 6.0 * sech**2)
    value, eps, eps_slope_scaled = _elliptic_parts(modulus, offset, sech)
    # tanh − 1 = −2 z²/(1 + z²) without cancellation
    slope = -4.0 * z2 / (1.0 + z2) - a1 * modulus * eps
    curvature = 4.0 * sech**2 - a2 * modulus * eps - eps_slope_scaled
    curvature = np.where(offset == 0.0, np.inf, np.maximum(curvature, 0.0))
    return np.log1p(z2) + value, slope, curvature


def _elliptic_parts(modulus: Array, offset: Array, sech: Array) -> tuple[Array, Array, Array]:
    """(1/π)∫ ln[(1+r)/2] dφ with r = √(1−k² sin²φ); ε = (2𝐊/π − 1)/k²; 2a′²(ε + k dε/dk)."""
    m = modulus**2
    a1 = 2.0 * sech * offset
    small = m < 0.25
    series, series_slope = np.zeros_like(m), np.zeros_like(m)
    power, coefficient = np.ones_like(m), 1.0
    for n in range(1, 30):  # the 30th term is below 0.25³⁰ < 1e-18
        coefficient *= ((2 * n - 1) / (2 * n)) ** 2
        series += coefficient * power
        series_slope += (2 * n - 1) * coefficient * power
        power = power * np.where(small, m, 0.0)
    big = np.where(small, 0.5, m)
    complement = np.maximum(np.where(small, 0.5, offset**2), 1e-300)
    first, second = ellipkm1(complement), ellipe(1.0 - complement)
    eps = np.where(small, series, (2.0 * first / np.pi - 1.0) / big)
    # ε + k ε′ = (2/π)[𝐄/(1−k²) − 𝐊]/k² − ε, and a′² = 4 sech² (1−k²) tames the pole
    closed = (4.0 / np.pi) * (4.0 * sech**2 * second - a1**2 * first) / big - 2.0 * a1**2 * eps
    return _log_integral(modulus, offset), eps, np.where(small, 2.0 * a1**2 * series_slope, closed)


def _log_integral(modulus: Array, offset: Array) -> Array:
    # Double-exponential nodes on 0 < θ < π/2, θ = π/2 − φ, crowd at θ = 0, where the integrand
    # has a corner at the critical point: r² = (1 − k²) + k² sin²θ, a sum of positive terms.
    t = np.linspace(-4.0, 4.0, _NODES)
    inner = 0.5 * np.pi * np.sinh(t)
    theta = 0.5 * np.pi / (1.0 + np.exp(-2.0 * inner))
    weight = 0.125 * np.pi**2 * np.cosh(t) / np.cosh(inner) ** 2 * (t[1] - t[0])
    r = np.sqrt(offset[..., None] ** 2 + (modulus[..., None] * np.sin(theta)) ** 2)
    # (1+r)/2 = 1 − k² cos²θ / 2(1+r): no cancellation where k is small
    lost = 0.5 * (modulus[..., None] * np.cos(theta)) ** 2 / (1.0 + r)
    return (np.log1p(-lost) @ weight) / np.pi
