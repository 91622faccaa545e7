"""Exact learning coefficients, and what finite temperature and finite steps make of a basin."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import as_real, finite_number, whole_number
from thermo.errors import InvalidInputError

__all__ = [
    "BasinEstimates",
    "ExactCoefficient",
    "effective_parameters",
    "linear_network",
    "monomial",
    "quadratic_basin",
    "reduced_rank_regression",
    "regular",
]


class ExactCoefficient(NamedTuple):
    """A learning coefficient and its multiplicity.

    As t = nβ → ∞, −ln Z = λ ln t − (m − 1) ln ln t + O(1), and so
    t(⟨L⟩ − L₀) = λ − (m − 1)/ln t + ….

    Attributes
    ----------
    coefficient : Fraction
        λ.
    multiplicity : int
        m.
    """

    coefficient: Fraction
    multiplicity: int


def regular(weights: int) -> ExactCoefficient:
    """Return λ = d/2, of a model whose Fisher information is regular: logistic regression, say.

    Examples
    --------
    >>> regular(3).coefficient
    Fraction(3, 2)
    """
    return ExactCoefficient(Fraction(whole_number(weights, "weights", 1), 2), 1)


def monomial(exponents: Sequence[int]) -> ExactCoefficient:
    r"""Return λ of :math:`L = \prod_j w_j^{2k_j}`: the least 1/2k, as often as it occurs.

    Parameters
    ----------
    exponents : sequence of int
        The k of each weight, ≥ 0, not all 0.

    Returns
    -------
    ExactCoefficient

    Examples
    --------
    >>> monomial([1, 1])  # w₁² w₂²: approached as 1/ln nβ
    ExactCoefficient(coefficient=Fraction(1, 2), multiplicity=2)
    """
    powers = [whole_number(k, "an exponent", 0) for k in exponents]
    largest = max(powers, default=0)
    if not largest:
        raise InvalidInputError(f"exponents = {powers} was given; accepted: one of at least 1")
    return ExactCoefficient(Fraction(1, 2 * largest), powers.count(largest))


def reduced_rank_regression(inputs: int, hidden: int, outputs: int, rank: int) -> ExactCoefficient:
    r"""Return λ of a linear network with one hidden layer, M → H → N, and a teacher of rank r.

    .. math::
       \lambda = \begin{cases}
       \tfrac18[c - (H+r)^2 - M^2 - N^2 + 2(H+r)(M+N) + 2MN]
       & \text{no width more than the others' sum (below)}, \\
       \tfrac12(HM - Hr + Nr) & M + H < N + r, \\
       \tfrac12(HN - Hr + Mr) & N + H < M + r, \\
       \tfrac12 MN & M + N < H + r,
       \end{cases}

    the first where N+r ≤ M+H, M+r ≤ N+H and H+r ≤ M+N, with c = 0 and m = 1 if M+H+N+r is even,
    c = 1 and m = 2 if it is odd; m = 1 in the others.

    Parameters
    ----------
    inputs, hidden, outputs : int
        M, H, N ≥ 1.
    rank : int
        r, 0 … min(M, H, N).

    Returns
    -------
    ExactCoefficient

    Raises
    ------
    InvalidInputError

    References
    ----------
    M. Aoyagi and S. Watanabe, "Stochastic complexities of reduced rank regression in Bayesian
    estimation", Neural Networks 18, 924 (2005).

    Examples
    --------
    >>> reduced_rank_regression(5, 3, 5, 0)
    ExactCoefficient(coefficient=Fraction(13, 2), multiplicity=2)
    >>> float(reduced_rank_regression(4, 3, 8, 0).coefficient)
    6.0
    """
    m, h, n = (
        whole_number(width, name, 1)
        for width, name in ((inputs, "inputs"), (hidden, "hidden"), (outputs, "outputs"))
    )
    r = whole_number(rank, "rank", 0, most=min(m, h, n))
    if m + h < n + r:
        return ExactCoefficient(Fraction(h * m - h * r + n * r, 2), 1)
    if n + h < m + r:
        return ExactCoefficient(Fraction(h * n - h * r + m * r, 2), 1)
    if m + n < h + r:
        return ExactCoefficient(Fraction(m * n, 2), 1)
    odd = (m + h + n + r) % 2
    eight = odd - (h + r) ** 2 - m**2 - n**2 + 2 * (h + r) * (m + n) + 2 * m * n
    return ExactCoefficient(Fraction(eight, 8), 1 + odd)


def linear_network(widths: Sequence[int], rank: int = 0) -> ExactCoefficient:
    r"""Return λ of a linear network of any depth, `LinearNetwork`, at its most singular minimum.

    With the widths less r in ascending order, the ℓ + 1 smallest of them,
    :math:`M_0 \le \dots \le M_\ell`, count: those for which their sum S is at least ℓ times the
    largest of them and less than ℓ times the next one. Then, with M = ⌈S/ℓ⌉ and a = S − (M − 1)ℓ,

    .. math:: \lambda = \frac{r(M_\mathrm{in} + M_\mathrm{out} - r)}{2} + \frac{a(\ell - a)}{4\ell}
              - \frac{(\ell - 1)S^2}{4\ell} + \frac12\sum_{i<j} M_i M_j,
              \qquad m = a(\ell - a) + 1

    where the first term has the full widths of inputs and outputs.

    Parameters
    ----------
    widths : sequence of int
        Inputs, hidden layers, outputs.
    rank : int
        r of the teacher, 0 … the smallest width.

    Returns
    -------
    ExactCoefficient

    Raises
    ------
    InvalidInputError

    Notes
    -----
    Without its first term it does not depend on the order of the widths, and it stays below half
    the smallest product of two widths however many layers there are.

    References
    ----------
    M. Aoyagi, "Consideration on the learning efficiency of multiple-layered neural networks with
    linear units", Neural Networks 172, 106132 (2024).

    Examples
    --------
    >>> linear_network([5, 3, 5]) == reduced_rank_regression(5, 3, 5, 0)
    True
    >>> linear_network([4, 2, 4, 6])
    ExactCoefficient(coefficient=Fraction(7, 2), multiplicity=1)
    """
    sizes = [whole_number(width, "a width", 1) for width in widths]
    if len(sizes) < 2:
        raise InvalidInputError(f"widths = {sizes} was given; accepted: at least two")
    r = whole_number(rank, "rank", 0, most=min(sizes))
    ends = Fraction(r * (sizes[0] + sizes[-1] - r), 2)
    left = sorted(size - r for size in sizes)
    for ell in range(1, len(left)):
        total = sum(left[: ell + 1])
        if total >= ell * left[ell] and (ell + 1 == len(left) or total < ell * left[ell + 1]):
            break
    ceiling = -(-total // ell)
    a = total - (ceiling - 1) * ell
    pairs = Fraction(total**2 - sum(width**2 for width in left[: ell + 1]), 2)
    singular = Fraction(a * (ell - a) - (ell - 1) * total**2, 4 * ell) + pairs / 2
    return ExactCoefficient(ends + singular, a * (ell - a) + 1)


def effective_parameters(curvatures: ArrayLike, alpha: float) -> float:
    r"""Return MacKay's effective number of parameters, :math:`\sum_i h_i/(h_i + \alpha)`.

    Parameters
    ----------
    curvatures : array_like, shape (d,)
        h ≥ 0.
    alpha : float
        > 0, in the unit of curvatures; γ/nβ of a `TemperedPosterior`.

    Returns
    -------
    float
        Between 0 and d.

    References
    ----------
    D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4, 415 (1992).

    Examples
    --------
    >>> effective_parameters([1.0, 1e6, 0.0], 1.0)
    1.499999000001
    """
    h = as_real(curvatures, "curvatures")
    return float(np.sum(h / (h + finite_number(alpha, "alpha", positive=True))))


class BasinEstimates(NamedTuple):
    """What the two estimates of λ come to in a quadratic basin.

    Attributes
    ----------
    excess_energy, heat_capacity : float
    """

    excess_energy: float
    heat_capacity: float


def quadratic_basin(
    curvatures: ArrayLike,
    inverse_temperature: float,
    localisation: float = 0.0,
    *,
    step: float = 0.0,
    gradient_variance: ArrayLike = 0.0,
) -> BasinEstimates:
    r"""Return what SGLD of a finite step finds in a quadratic basin.

    With κ = nβh + γ the variance along a direction is

    .. math:: v = \frac{1 + \varepsilon (n\beta)^2 c/4}{\kappa(1 - \varepsilon\kappa/4)}, \qquad
              \hat\lambda = \tfrac12\sum n\beta h v, \qquad
              (n\beta)^2\,\mathrm{Var}\,L = \tfrac12\sum (n\beta h v)^2 .

    Parameters
    ----------
    curvatures : array_like, shape (d,)
        h ≥ 0 of the mean loss.
    inverse_temperature : float
        nβ > 0.
    localisation : float
        γ ≥ 0.
    step : float
        ε of `sgld`; 0 is the exact answer, which `underdamped` and `hamiltonian` give at any step.
    gradient_variance : array_like, shape (d,) or ()
        c, the variance of ∇L of a mini-batch (of b rows: of one row, over b) along each direction.

    Returns
    -------
    BasinEstimates

    Raises
    ------
    InvalidInputError
        A step at which the chain runs away, ε ≥ 4/κ.

    Examples
    --------
    >>> quadratic_basin([1.0, 1.0], 100.0)
    BasinEstimates(excess_energy=1.0, heat_capacity=1.0)
    >>> quadratic_basin([1.0], 100.0, step=0.02).excess_energy
    1.0
    """
    h = as_real(curvatures, "curvatures")
    t = finite_number(inverse_temperature, "inverse_temperature", positive=True)
    epsilon, gamma = finite_number(step, "step"), finite_number(localisation, "localisation")
    kappa = t * h + gamma
    if epsilon < 0 or (epsilon * kappa >= 4).any():
        raise InvalidInputError(
            f"step = {epsilon:g} was given; accepted: 0 ≤ ε < 4/κ = {4 / kappa.max():g}"
        )
    costly = h > 0  # the others are no part of the loss
    heating = 1.0 + epsilon * t**2 * as_real(gradient_variance, "gradient_variance") / 4
    share = np.broadcast_to(t * h * heating, h.shape)[costly] / (
        kappa[costly] * (1.0 - epsilon * kappa[costly] / 4)
    )
    return BasinEstimates(float(0.5 * share.sum()), float(0.5 * (share**2).sum()))
