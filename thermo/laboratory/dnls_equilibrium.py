"""The discrete nonlinear Schrödinger chain in equilibrium at β ≥ 0, by its transfer integral."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.special import i0e, i1e

from thermo.arguments import finite_number
from thermo.errors import EnergyOutOfRangeError, InvalidInputError, UnboundedSpectrumError

__all__ = [
    "ChainEquilibrium",
    "chain_equilibrium",
    "ground_energy",
    "infinite_temperature_energy",
    "isolated_averages",
    "matching_chain_equilibrium",
]

FloatArray = NDArray[np.float64]

_NODES = 64
_FALL = 40.0  # nats below the largest weight, beyond which densities are left out
_STEP = 0.01  # for slopes
_ABOUT, _ONWARD = np.arange(-3.0, 4.0), np.arange(7.0)  # in steps: of α, and of β ≥ 0
_NODE, _WEIGHT = np.polynomial.legendre.leggauss(_NODES)


def ground_energy(density: float) -> float:
    r"""h at T = +0, a² − 2a: all densities equal, and every phase opposite to its neighbours'.

    Both terms of the energy are then the least that the norm allows: Σ\|ψ\|⁴ ≥ N a² by the
    inequality of Cauchy and Schwarz, and a bond has no less than −\|ψ_n\|² − \|ψ_{n+1}\|².

    Examples
    --------
    >>> ground_energy(1.0)
    -1.0
    """
    return density * density - 2.0 * density


def infinite_temperature_energy(density: float) -> float:
    r"""h at β = 0, 2a²: random phases, and densities with ⟨\|ψ\|⁴⟩ = 2⟨\|ψ\|²⟩².

    Examples
    --------
    >>> infinite_temperature_energy(1.0)
    2.0
    """
    return 2.0 * density * density


@dataclass(frozen=True, eq=False)
class ChainEquilibrium:
    r"""The infinite chain with the weight e^(−βH − αA); see :func:`chain_equilibrium`.

    Attributes
    ----------
    beta, alpha : float
        α = −β times the chemical potential of the norm.
    density, energy : float
        a = ⟨\|ψ\|²⟩ and h, per site.
    hopping : float
        The part of h that lies in the bonds.
    squared_force : float
        ⟨(∂H/∂φ_n)²⟩, −2/β times that, also at β = 0.
    squared_density : float
        ⟨\|ψ\|⁴⟩, the other part.
    nodes, probabilities : ndarray, shape (64,)
        Densities ρ = \|ψ\|², and the probability density of each, ∫p dρ = 1.
    """

    beta: float
    alpha: float
    density: float
    energy: float
    hopping: float
    squared_force: float
    squared_density: float
    nodes: FloatArray
    probabilities: FloatArray


def chain_equilibrium(beta: float, alpha: float) -> ChainEquilibrium:
    r"""Solve the infinite chain at β ≥ 0 by the largest eigenvalue of its transfer integral.

    With ψ = √ρ e^{iφ}, dψ dψ* = dρ dφ. The phases of the bonds are integrated to Bessel functions,
    and what remains is a chain of densities with

    .. math::
        K(\rho, \rho') = I_0(2\beta\sqrt{\rho\rho'})\;
            e^{-\frac{\beta}{2}(\rho^2 + \rho'^2) - \frac{\alpha}{2}(\rho + \rho')},

    whose first eigenfunction squared is the distribution of the density of a site.

    Parameters
    ----------
    beta : float
        0 or more.
    alpha : float
        Of either sign; more than 0 at β = 0.

    Returns
    -------
    ChainEquilibrium

    Raises
    ------
    UnboundedSpectrumError
        β < 0: at a given mean density the energy has no upper bound, for \|ψ\|⁴ on one site has
        none.
    InvalidInputError
        α ≤ 0 at β = 0, where nothing would bound the density.

    Notes
    -----
    Integrated by Gauss-Legendre in √ρ, in which the kernel is smooth; good to twelve digits.
    Not for chains of a few sites, nor for a chain with given (a, h) above the line h = 2a²: there
    is no such ensemble there.

    References
    ----------
    K. Ø. Rasmussen, T. Cretegny, P. G. Kevrekidis, N. Grønbech-Jensen, Phys. Rev. Lett. 84, 3740
    (2000).

    Examples
    --------
    >>> round(chain_equilibrium(0.0, 1.0).energy, 9)
    2.0
    """
    b, alpha = finite_number(beta, "beta"), finite_number(alpha, "alpha")
    if b < 0.0:
        raise UnboundedSpectrumError(b, "the chain at a given mean density")
    if b == 0.0 and not alpha > 0.0:
        raise InvalidInputError(f"alpha = {alpha:g} was given; accepted: more than 0 at beta = 0")
    root, weight = _nodes(b, alpha)
    argument = 2.0 * b * root[:, None] * root
    exponent = -0.5 * b * root**4 - 0.5 * alpha * root**2
    exponent = exponent[:, None] + exponent + argument
    scale = exponent.max()
    bare = np.sqrt(weight)[:, None] * np.sqrt(weight) * np.exp(exponent - scale)
    matrix = bare * i0e(argument)
    value, vector = eigh(matrix, subset_by_index=(_NODES - 1, _NODES - 1))
    first = vector[:, 0]
    p = first**2
    bond = -2.0 * root[:, None] * root * i1e(argument) * bare  # 2√(ρρ′)⟨cos⟩ = −2√(ρρ′) I₁/I₀
    hopping = float(first @ bond @ first / value[0])
    ratio = np.where(argument > 0.0, i1e(argument) / np.where(argument > 0.0, argument, 1.0), 0.5)
    pulled = 8.0 * (root[:, None] * root) ** 2 * ratio * bare  # of both bonds: ⟨sin²⟩ = I₁/(xI₀)
    squared = float(p @ root**4)
    return ChainEquilibrium(
        beta=b,
        alpha=alpha,
        density=float(p @ root**2),
        energy=squared + hopping,
        hopping=hopping,
        squared_force=float(first @ pulled @ first / value[0]),
        squared_density=squared,
        nodes=root**2,
        probabilities=p / weight,
    )


def isolated_averages(at: ChainEquilibrium, sites: int) -> tuple[float, float]:
    r"""⟨H_hop⟩ per site and ⟨(∂H/∂φ)²⟩ of an isolated ring, which keeps its (a, h), to order 1/N.

    A ring in a bath has the same means of x = (a, h) but its x fluctuates, with the covariance C/N.
    Averages A(x) in the bath are those of isolated rings, averaged over these fluctuations,

    .. math:: A_\text{isolated}(x) = A(x) - \frac{1}{2N} \sum_{ij} C_{ij}
        \frac{\partial^2 A}{\partial x_i \partial x_j}, \qquad
        C = -\frac{\partial x}{\partial(\alpha, \beta)}.

    What is left out is largest at β = 0, about −20/N of the second term.

    Parameters
    ----------
    at : ChainEquilibrium
    sites : int
        N.

    Returns
    -------
    hopping, squared_force : float

    References
    ----------
    J. L. Lebowitz, J. K. Percus, L. Verlet, Phys. Rev. 153, 250 (1967).
    """
    # With θ = (α, β) and A′ = ∂A/∂x = (∂x/∂θ)⁻¹ ∂A/∂θ, Σ C_ij ∂A′_j/∂x_i is −Σ_j ∂A′_j/∂θ_j.
    theta = np.array([at.alpha, at.beta])
    near = 1e-4 * np.array(
        [1.0 / at.density + at.beta, at.beta + 1.0 / (at.density + 2.0 * at.density**2)]
    )
    moved = [chain_equilibrium(*(theta + step)[::-1]) for step in np.diag(near)]
    fall = np.array([at.density - moved[0].density, at.energy - moved[1].energy])
    steps = _STEP / np.sqrt(fall / near)  # in deviations of a and of h
    table: FloatArray = np.array(
        [[_four_averages(theta + steps * [alpha, beta]) for beta in _ONWARD] for alpha in _ABOUT]
    )
    by_alpha, by_beta = _slopes(_ABOUT) / steps[0], _slopes(_ONWARD) / steps[1]

    def gradient(values: FloatArray) -> FloatArray:
        """By α and by β, in the last place."""
        along = np.tensordot(by_alpha, values, 1), np.einsum("bc,ac...->ab...", by_beta, values)
        return np.stack(along, axis=-1)

    slopes = gradient(table)
    by_state = np.linalg.solve(slopes[:, :, :2].swapaxes(-1, -2), slopes[:, :, 2:].swapaxes(-1, -2))
    change = gradient(np.asarray(by_state, dtype=np.float64))[
        len(_ABOUT) // 2, 0
    ]  # (∂x_j, A, ∂θ_k)
    hopping, force = table[len(_ABOUT) // 2, 0, 2:] + np.einsum("jaj->a", change) / (2.0 * sites)
    return float(hopping), float(force)


def _four_averages(theta: FloatArray) -> tuple[float, float, float, float]:
    found = chain_equilibrium(theta[1], theta[0])
    return found.density, found.energy, found.hopping, found.squared_force


def _slopes(places: FloatArray) -> FloatArray:
    """The matrix that makes the values of a polynomial at these places those of its slope."""
    powers = np.arange(len(places))
    slopes = powers * places[:, None] ** np.maximum(powers - 1, 0)
    return np.asarray(slopes @ np.linalg.inv(places[:, None] ** powers))


def _nodes(beta: float, alpha: float) -> tuple[FloatArray, FloatArray]:
    """√ρ and the weights of ∫dρ, where the largest weight of a site, e^((2β−α)ρ − βρ²), matters."""
    slope = 2.0 * beta - alpha
    reach = math.sqrt(4.0 * beta * _FALL)
    if slope > 0.0:
        low, high = max(0.0, slope - reach) / (2.0 * beta), (slope + reach) / (2.0 * beta)
    else:
        low, high = 0.0, 2.0 * _FALL / (-slope + math.sqrt(slope**2 + reach**2))
    start, end = math.sqrt(low), math.sqrt(high)
    root = 0.5 * (end - start) * _NODE + 0.5 * (end + start)
    return root, (end - start) * _WEIGHT * root


def matching_chain_equilibrium(density: float, energy: float) -> ChainEquilibrium:
    """Return the equilibrium with a given density a and energy h per site: β ≥ 0 and α follow.

    Parameters
    ----------
    density : float
        a > 0.
    energy : float
        Above a² − 2a (T = +0) and not above 2a² (β = 0).

    Returns
    -------
    ChainEquilibrium

    Raises
    ------
    EnergyOutOfRangeError
        An energy outside; above 2a² no β of this ensemble gives it (Rasmussen 2000).
    InvalidInputError
        a ≤ 0.

    Examples
    --------
    >>> found = matching_chain_equilibrium(1.0, 0.5)
    >>> round(found.density, 9), round(found.energy, 9), found.beta > 0
    (1.0, 0.5, True)
    """
    a, h = finite_number(density, "density", positive=True), finite_number(energy, "energy")
    low, high = ground_energy(a), infinite_temperature_energy(a)
    if not low < h <= high:
        raise EnergyOutOfRangeError(
            f"energy = {h:g} per site was given at density {a:g}; with β ≥ 0 it lies above "
            f"a² − 2a = {low:g} (T = +0) and at most at 2a² = {high:g} (β = 0)"
        )
    hottest = chain_equilibrium(0.0, 1.0 / a)
    if h == high:
        return hottest
    beta = 1.0 / (h - low)  # one kT a site, where it is cold
    while (colder := _at_density(a, beta)).energy > h:
        beta *= 2.0
        if beta > 1e6:
            raise EnergyOutOfRangeError(
                f"energy = {h:g} per site is too near to T = +0, {low:g}; accepted: somewhat more"
            )
    beta = brentq(lambda b: _at_density(a, b).energy - h, 0.0, colder.beta, xtol=1e-13, rtol=1e-12)
    return _at_density(a, beta)


def _at_density(density: float, beta: float) -> ChainEquilibrium:
    """The equilibrium at β with this density, which falls with α."""
    if beta == 0.0:
        return chain_equilibrium(0.0, 1.0 / density)
    step = 1.0 / density + beta
    low = high = beta * (2.0 - 2.0 * density)  # where T = 0 has it: μ = 2a − 2
    while chain_equilibrium(beta, high).density > density:
        low, high, step = high, high + step, 2.0 * step
    while chain_equilibrium(beta, low).density < density:
        low, step = low - step, 2.0 * step
    alpha = brentq(
        lambda value: chain_equilibrium(beta, value).density - density,
        low,
        high,
        xtol=1e-13,
        rtol=1e-13,
    )
    return chain_equilibrium(beta, alpha)
