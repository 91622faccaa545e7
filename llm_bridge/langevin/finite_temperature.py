r"""Linear networks at finite temperature, exactly: what λ is the limit of.

For a `LinearNetwork` of rank 0 and the prior of a `TemperedPosterior` about 0 the layers are
Gaussian matrices, and the last one is integrated out by hand. What is left of
:math:`Z = \langle e^{-n\beta L}\rangle` is an integral over singular values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import cumulative_simpson
from scipy.special import eval_legendre, kve

from llm_bridge.langevin.loss import Array
from thermo.arguments import as_real, finite_number, whole_number
from thermo.errors import InvalidInputError

__all__ = ["NetworkThermodynamics", "linear_network_thermodynamics"]

_STENCIL = 0.04  # in ln nβ: the error of the derivatives is of its fourth power
_POINTS = 6000  # of the grid in ln x
_SPACING = 0.5  # of the grids in ln y and ln q: smooth functions that vanish at both ends


class NetworkThermodynamics(NamedTuple):
    """Exact averages at finite nβ.

    Attributes
    ----------
    excess_energy : ndarray
        nβ⟨L⟩, which tends to λ.
    heat_capacity : ndarray
        (nβ)² Var L, which does too.
    """

    excess_energy: Array
    heat_capacity: Array


def linear_network_thermodynamics(
    widths: Sequence[int], inverse_temperature: ArrayLike, localisation: float = 1.0
) -> NetworkThermodynamics:
    r"""Return nβ⟨L⟩ and (nβ)² Var L of a linear network that learns to answer 0.

    .. math:: n\beta\langle L\rangle = -\frac{d\ln Z}{d\ln n\beta}, \qquad
              (n\beta)^2\,\mathrm{Var}\,L
              = n\beta\langle L\rangle - \frac{d(n\beta\langle L\rangle)}{d\ln n\beta}

    Parameters
    ----------
    widths : sequence of int
        Two layers: three widths, the smallest at most 6. Three layers: four widths, the smallest 2.
    inverse_temperature : array_like, shape (...)
        nβ > 0.
    localisation : float
        γ > 0, about the centre 0.

    Returns
    -------
    NetworkThermodynamics
        Arrays of shape (...), with errors of about 10⁻⁶.

    Raises
    ------
    InvalidInputError

    Notes
    -----
    The law of the singular values of a product of Gaussian matrices does not depend on the order of
    the widths (Ipsen and Kieburg 2014), so that the smallest two are taken first. Two layers: Z is
    the mean of :math:`\prod(1 + \tau x_i)^{-c/2}` over the eigenvalues of a Wishart matrix, with τ
    = nβ/γ^K for K layers, which is a Pfaffian (de Bruijn 1955).

    References
    ----------
    N. G. de Bruijn, J. Indian Math. Soc. 19, 133 (1955). J. R. Ipsen and M. Kieburg, Phys. Rev. E
    89, 032106 (2014).

    Examples
    --------
    w₁² w₂²: λ is ½, but at nβ = 10⁶ one still measures

    >>> linear_network_thermodynamics([1, 1, 1], 1e6).excess_energy.round(4)
    np.float64(0.4347)
    """
    sizes = sorted(whole_number(width, "a width", 1) for width in widths)
    t = as_real(inverse_temperature, "inverse_temperature")
    gamma = finite_number(localisation, "localisation", positive=True)
    if not ((t > 0) & np.isfinite(t)).all():
        raise InvalidInputError("inverse_temperature is not finite and positive; accepted: nβ > 0")
    if len(sizes) == 3 and sizes[0] <= 6:
        log_z = _log_z_of_two_layers(sizes)
    elif len(sizes) == 4 and sizes[0] == 2:
        log_z = _log_z_of_three_layers(sizes, float(t.max(initial=1.0)) / gamma**3)
    else:
        raise InvalidInputError(
            f"widths = {tuple(widths)} were given; accepted: three widths, the smallest at most 6, "
            "or four, the smallest 2"
        )
    energy, heat = np.empty(t.shape), np.empty(t.shape)
    for index in np.ndindex(t.shape):
        tau = float(t[index]) / gamma ** (len(sizes) - 1)
        z = [log_z(tau * math.exp(_STENCIL * k)) for k in (-2, -1, 0, 1, 2)]
        first = np.dot([1, -8, 0, 8, -1], z) / (12 * _STENCIL)
        second = np.dot([-1, 16, -30, 16, -1], z) / (12 * _STENCIL**2)
        energy[index], heat[index] = -first, -first + second
    return NetworkThermodynamics(energy, heat)


def _log_z_of_two_layers(sizes: Sequence[int]) -> Callable[[float], float]:
    r"""ln ∫ |Δ(x)| ∏ x^{(b−a−1)/2} e^{−x/2} (1 + τx)^{−c/2} dx up to a constant, by a Pfaffian."""
    a, b, c = sizes

    def log_z(tau: float) -> float:
        u = np.linspace(-math.log1p(tau) - 60.0, math.log(2000.0), _POINTS)
        x = np.exp(u)
        log_weight = 0.5 * (b - a + 1) * u - 0.5 * x - 0.5 * c * np.log1p(tau * x)
        functions = np.exp(log_weight + np.arange(a)[:, None] * u)  # powers of x as a basis
        areas = cumulative_simpson(functions, x=u, axis=-1, initial=0.0)
        scale = areas[:, -1]
        functions, areas = functions / scale[:, None], areas / scale[:, None]
        pairs = areas @ (functions * (u[1] - u[0])).T
        matrix = pairs - pairs.T
        if a % 2:
            border = np.ones((a, 1))
            matrix = np.block([[matrix, border], [-border.T, np.zeros((1, 1))]])
        return 0.5 * float(np.linalg.slogdet(matrix)[1]) + float(np.log(scale).sum())

    return log_z


def _log_z_of_three_layers(sizes: Sequence[int], largest_tau: float) -> Callable[[float], float]:
    r"""ln Z(τ) up to a constant, τ up to 1.2 times `largest_tau`, for the smallest width 2.

    With S₁, S₂ the Gram matrices of the layers (b → 2) and (2 → c), the nonzero squared singular
    values of their product are the eigenvalues of S₁S₂. A Wishart matrix of b degrees of freedom
    has a trace θ of law χ²(2b) and, independent of it, q = 1 − δ² of density q^{(b−3)/2}, with δ
    its anisotropy (x₁ − x₂)/θ; the angle φ between the axes of the two is uniform. Then, with
    y = τθ₁θ₂, det(1 + τS₁S₂) = 1 + ½y(1 + δ₁δ₂ cos φ) + (y/4)² q₁q₂.
    """
    _, b, c, last = sizes
    log_y = np.arange(-25.0, math.log1p(largest_tau) + 9.5, _SPACING)
    (q_b, weight_b, half_b), (q_c, weight_c, half_c) = (
        _anisotropies(freedom, largest_tau) for freedom in (b, c)
    )
    gap = -np.expm1(half_b[:, None] + half_c)  # 1 − δ₁δ₂
    narrow = q_b[:, None] * q_c
    mean = np.empty_like(log_y)
    for k, y in enumerate(np.exp(log_y)):
        # Laplace's integral over φ: ⟨(A + B cos φ)^{−k}⟩ = (A² − B²)^{−k/2} P_{k−1}(A/√(A² − B²))
        middle = 1.0 + 0.5 * y + (y / 4) ** 2 * narrow
        lowest, highest = 1.0 + 0.5 * y * gap + (y / 4) ** 2 * narrow, middle + 0.5 * y * (1 - gap)
        root = np.sqrt(lowest * highest)
        legendre = eval_legendre(0.5 * last - 1.0, middle / root)
        mean[k] = weight_b @ (legendre * root ** (-0.5 * last)) @ weight_c

    def log_z(tau: float) -> float:
        # the density of s = θ₁θ₂, a product of χ²(2b) and χ²(2c), in ln s
        log_s = log_y - math.log(tau)
        half = np.exp(0.5 * log_s)
        log_density = 0.5 * (b + c) * log_s + np.log(kve(c - b, half)) - half
        return math.log(np.exp(log_density) @ mean)

    return log_z


def _anisotropies(freedom: int, tau: float) -> tuple[Array, Array, Array]:
    """Nodes q, weights of the density q^{(b−3)/2}, and ½ ln(1 − q) = ln δ; q = 1/(1 + e^{−v})."""
    v = np.arange(-2.0 * math.log1p(tau) - 40.0, 35.0, _SPACING)
    log_q, log_rest = -np.logaddexp(0.0, -v), -np.logaddexp(0.0, v)
    weights = np.exp(0.5 * (freedom - 1) * log_q + log_rest)
    return np.exp(log_q), weights / weights.sum(), 0.5 * log_rest
