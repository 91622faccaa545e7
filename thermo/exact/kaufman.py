"""The finite square Ising torus in zero field, solved by Kaufman."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import finite_number, whole_number
from thermo.canonical import Thermodynamics, canonical
from thermo.exact.density_of_states import ising_torus
from thermo.memory import check_memory_of
from thermo.temperature import as_beta

__all__ = ["square_torus"]

Array = NDArray[np.float64]
Jet = tuple[Array, Array, Array]  # a function of K with its first two derivatives

# Beyond |K| = 100 every excitation weighs less than e^−400 and the ground state is all there is.
_COLD = 100.0
# β = 0 is evaluated here: small enough to be 0 in every sum, large enough for its square to exist.
_HOT = 1e-120
_BYTES_PER_COLUMN = 112  # and β, at the peak: 14 float64


@np.errstate(over="ignore")  # near the largest β: ±inf is right
def square_torus(
    beta: ArrayLike, rows: int, columns: int | None = None, coupling: float = 1.0
) -> Thermodynamics:
    r"""Exact thermodynamics (totals) of the periodic rows × columns Ising lattice at any signed β.

    With K = βJ, m rows, n columns and cosh γ_l = cosh 2K coth 2K − cos(πl/n),

    .. math::
        Z = \tfrac12 (2\sinh 2K)^{mn/2} \Bigl[
            \prod_{l\,\mathrm{odd}} 2\cosh\tfrac{m\gamma_l}2
          + \prod_{l\,\mathrm{odd}} 2\sinh\tfrac{m\gamma_l}2
          + \prod_{l\,\mathrm{even}} 2\cosh\tfrac{m\gamma_l}2
          + \prod_{l\,\mathrm{even}} 2\sinh\tfrac{m\gamma_l}2 \Bigr],
        \quad 0 \le l < 2n,

    where γ₀ = 2K + ln tanh K changes sign at the critical point. U and Var(E) are its analytic
    derivatives, not differences.

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    rows, columns : int
        At least 2; columns defaults to rows. A side of 2 has double bonds, since its two
        neighbours to the left and to the right are one site.
    coupling : float
        J of H = −J Σ s_i s_j over nearest neighbours; J < 0 is the antiferromagnet.

    Returns
    -------
    Thermodynamics
        Totals, not per site, shaped like ``beta``; energies in the unit of J.

    Raises
    ------
    InvalidInputError
        β is NaN, a side is below 2, more columns than fit into memory, or the torus is both
        frustrated (βJ < 0, an odd side) and too large for
        :func:`thermo.exact.density_of_states.ising_torus`, which serves that case.

    Notes
    -----
    Even sides make the lattice bipartite: ln Z, S, C are even in β, U is odd. Costs
    O(columns) per β. Absolute errors are near 1e-15 per site in U and S.

    References
    ----------
    B. Kaufman, Phys. Rev. 76, 1232 (1949), eq. 45.

    Examples
    --------
    >>> import numpy as np
    >>> critical = np.log1p(np.sqrt(2)) / 2
    >>> state = square_torus([critical, -critical, 0.0, np.inf], 32)
    >>> print(np.round(state.internal_energy / 32**2, 9))
    [-1.43365847  1.43365847  0.         -2.        ]
    >>> print(np.round(state.heat_capacity / 32**2, 9))
    [1.84676759 1.84676759 0.         0.        ]
    """
    b = as_beta(beta)
    m = whole_number(rows, "rows", 2)
    n = m if columns is None else whole_number(columns, "columns", 2)
    j = finite_number(coupling, "coupling")
    check_memory_of(n, _BYTES_PER_COLUMN * max(1, b.size), "columns")
    k = np.zeros_like(b) if j == 0.0 else b * j
    frustrated = (k < 0) if (m % 2 or n % 2) else np.zeros(k.shape, dtype=bool)
    levels = ising_torus(m, n, coupling=j) if frustrated.any() else None

    size = np.abs(k)
    excess, slope, curvature = _log_excess(size, m, n)
    double_excess, _, _ = _log_excess(2.0 * size, m, n)
    fields = [
        2.0 * m * n * size + excess,
        0.0 - j * np.sign(k) * (2.0 * m * n + slope),
        j**2 * curvature,
        excess - np.minimum(size, _COLD) * slope,
        2.0 * excess - double_excess,  # ln 1/Σp² = 2 ln Z(β) − ln Z(2β)
    ]
    fields = [np.asarray(field) for field in fields]
    if levels is not None:
        other = canonical(levels, b[frustrated])
        replacements = (
            other.log_partition_function,
            other.internal_energy,
            other.energy_variance,
            other.entropy,
            other.log_participation_ratio,
        )
        for field, replacement in zip(fields, replacements, strict=True):
            field[frustrated] = replacement
    return Thermodynamics(b, *fields)


def _log_excess(k: Array, m: int, n: int) -> Jet:
    """ln Z − 2mnK and its first two derivatives by K, for K ≥ 0.

    The l-th product is a function of a = sinh 2K / cosh² 2K alone, apart from powers of cosh 2K:
    with x = 1 − a cos φ, d = √(x² − a²) and w = x + d, its factors l and 2n − l together are
    (2 cosh² 2K · w)^m (1 ± e^{−mγ})², e^{−γ} = a/w. The factors l = 0 and l = n stand alone and
    are polynomials in z = e^{−2K}. Leading powers of e^{2K} are taken out: they make up 2mnK.
    """
    k = np.clip(k, _HOT, _COLD)[..., None]
    odd, even = np.arange(1, n, 2), np.arange(2, n, 2)
    odd_plus, odd_minus = _paired_factors(k, np.pi * odd / n, m)
    even_plus, even_minus = _paired_factors(k, np.pi * even / n, m)
    zero_plus, zero_minus, zero_log = _single_factor(k, m, last=False)
    last_plus, last_minus, last_log = _single_factor(k, m, last=True)
    if n % 2:  # l = 0 is even, l = n is odd
        singles = (last_plus, last_minus, zero_plus, zero_minus)
        single_logs = (last_log, last_log, zero_log, zero_log)
    else:  # both are even
        one: Jet = (np.ones_like(zero_log), np.zeros_like(zero_log), np.zeros_like(zero_log))
        singles = (one, one, _times(zero_plus, last_plus), _times(zero_minus, last_minus))
        both_log, none = zero_log + last_log, np.zeros_like(zero_log)
        single_logs = (none, none, both_log, both_log)
    pairs = (odd_plus, odd_minus, even_plus, even_minus)
    logs = [(p[0] + c, p[1], p[2]) for p, c in zip(pairs, single_logs, strict=True)]
    top = np.max([log[0] for log in logs], axis=0)
    centre = logs[0][1]  # derivatives are taken relative to it: nothing large is squared
    total, first, second = np.zeros_like(top), np.zeros_like(top), np.zeros_like(top)
    for log, single in zip(logs, singles, strict=True):
        weight = np.exp(log[0] - top)
        tilt = log[1] - centre
        total += weight * single[0]
        first += weight * (single[1] + tilt * single[0])
        second += weight * (single[2] + 2.0 * tilt * single[1] + (log[2] + tilt**2) * single[0])
    slope = first / total
    curvature = np.maximum(second / total - slope**2, 0.0)
    return top + np.log(0.5 * total), centre + slope, curvature


def _paired_factors(k: Array, phi: Array, m: int) -> tuple[Jet, Jet]:
    """ln Π (2 cosh 2K)^m-scaled factors over the angles φ: cosh and sinh, each over e^{4mK}."""
    z2 = np.exp(-4.0 * k)
    sech = 2.0 * np.exp(-2.0 * k) / (1.0 + z2)
    tanh = -np.expm1(-4.0 * k) / (1.0 + z2)
    a = tanh * sech
    a1 = 2.0 * sech * (sech - tanh) * (sech + tanh)
    a2 = 4.0 * tanh * sech * (1.0 - 6.0 * sech**2)

    cos = np.cos(phi)
    minus = (sech - tanh) ** 2 + 2.0 * a * np.sin(0.5 * phi) ** 2  # x − a, a sum of squares
    plus = 1.0 + 2.0 * a * np.sin(0.5 * phi) ** 2  # x + a
    d = np.sqrt(minus * plus)
    x = 1.0 - a * cos
    w = x + d
    gamma = np.arcsinh(d / a)
    # derivatives by a
    w_log1 = -(cos + a / w) / d
    w_log2 = -1.0 / (w * d**2) + w_log1 * (x * cos + a) / d**2
    gamma1 = -1.0 / (a * d)
    gamma2 = (2.0 - x / d**2) / (a**2 * d)
    # and by K
    w_log = np.log(0.5 * w) + 2.0 * np.log1p(z2)  # of cosh² 2K · 2w / e^{4K}
    first = w_log1 * a1 - 8.0 * z2 / (1.0 + z2)
    second = w_log2 * a1**2 + w_log1 * a2 + 8.0 * sech**2
    gamma_first = gamma1 * a1
    gamma_second = gamma2 * a1**2 + gamma1 * a2

    power = np.exp(-m * gamma)
    jets = []
    for sign in (1.0, -1.0):
        root = 1.0 + power if sign > 0 else -np.expm1(-m * gamma)
        ratio = -sign * m * power / root  # derivatives of ln root by γ
        bend = -m * ratio / root
        jets.append(
            (
                (m * w_log + 2.0 * np.log(root)).sum(axis=-1),
                (m * first + 2.0 * ratio * gamma_first).sum(axis=-1),
                (m * second + 2.0 * (ratio * gamma_second + bend * gamma_first**2)).sum(axis=-1),
            )
        )
    return jets[0], jets[1]


def _single_factor(k: Array, m: int, *, last: bool) -> tuple[Jet, Jet, Array]:
    """The factors 2 cosh and 2 sinh of l = 0 (or l = n), over e^{2mK} and over e^{the third}.

    l = 0: (1 − z)^m ± (z + z²)^m;  l = n: (1 + z)^m ± (z − z²)^m.  The sinh of l = 0 is the one
    factor that changes sign, so it is kept as a value and not as a logarithm.
    """
    k = k[..., 0]
    z = np.exp(-2.0 * k)
    less, more = -np.expm1(-2.0 * k), 1.0 + z
    if last:
        bases = (more, -2.0 * z, 4.0 * z), (z * less, -2.0 * z * (1 - 2 * z), 4 * z * (1 - 4 * z))
    else:
        bases = (less, 2.0 * z, -4.0 * z), (z * more, -2.0 * z * (1 + 2 * z), 4 * z * (1 + 4 * z))
    scale = m * np.log(np.maximum(bases[0][0], bases[1][0]))
    first, second = (_power(base, m, scale) for base in bases)
    return (
        (first[0] + second[0], first[1] + second[1], first[2] + second[2]),
        (first[0] - second[0], first[1] - second[1], first[2] - second[2]),
        scale,
    )


def _power(base: Jet, m: int, scale: Array) -> Jet:
    """base^m e^{−scale} with its derivatives, for base ≥ 0 and m ≥ 2."""
    log = np.log(base[0])
    p0, p1, p2 = (np.exp((m - i) * log - scale) for i in range(3))
    return p0, m * p1 * base[1], m * (m - 1) * p2 * base[1] ** 2 + m * p1 * base[2]


def _times(f: Jet, g: Jet) -> Jet:
    return f[0] * g[0], f[1] * g[0] + f[0] * g[1], f[2] * g[0] + 2.0 * f[1] * g[1] + f[0] * g[2]
