"""Chains and rings of spins with a few states, solved exactly by their transfer matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from thermo.arguments import as_real, finite_number, true_or_false, whole_number
from thermo.canonical import Thermodynamics
from thermo.errors import InvalidInputError
from thermo.memory import check_memory_of
from thermo.temperature import as_beta

__all__ = ["clock_chain", "ising_chain", "potts_chain", "spin_chain"]

Array = NDArray[np.float64]

_BYTES_PER_PATH = 88  # from state to state to state, and β, at the peak: eleven float64


def ising_chain(
    beta: ArrayLike,
    sites: int,
    coupling: float = 1.0,
    field: float = 0.0,
    *,
    periodic: bool = True,
) -> Thermodynamics:
    r"""Exact thermodynamics (totals) of the one-dimensional Ising model in a field.

    .. math::
        H = -J\sum_i s_i s_{i+1} - h\sum_i s_i, \qquad
        Z_\mathrm{ring} = \lambda_+^N + \lambda_-^N, \quad
        \lambda_\pm = e^{K}\cosh\beta h \pm \sqrt{e^{2K}\sinh^2\beta h + e^{-2K}}

    with K = βJ. The open chain without a field has Z = 2 (2 cosh K)^{N−1}.

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    sites : int
        N: at least 2 for a ring (two sites are joined by two bonds), 1 for an open chain.
    coupling, field : float
        J and h in units of energy, any sign.
    periodic : bool
        Ring (True) or open chain.

    Returns
    -------
    Thermodynamics
        Totals, shaped like ``beta``.

    Raises
    ------
    InvalidInputError
        β is NaN, too few sites, J or h not finite.

    References
    ----------
    E. Ising, Z. Phys. 31, 253 (1925). H. A. Kramers, G. H. Wannier, Phys. Rev. 60, 252 (1941).

    Examples
    --------
    >>> import numpy as np
    >>> state = ising_chain([0.5, -0.5], 1000)
    >>> bool(np.isclose(state.log_partition_function[0], 1000 * np.log(2 * np.cosh(0.5))))
    True
    >>> print(state.internal_energy / 1000)
    [-0.46211716  0.46211716]
    """
    spin = np.array([1.0, -1.0])
    return spin_chain(
        -finite_number(coupling, "coupling") * np.outer(spin, spin),
        beta,
        sites,
        site_energies=-finite_number(field, "field") * spin,
        periodic=periodic,
    )


def potts_chain(
    beta: ArrayLike, sites: int, q: int, coupling: float = 1.0, *, periodic: bool = True
) -> Thermodynamics:
    r"""Exact thermodynamics (totals) of the one-dimensional q-state Potts model.

    .. math::
        H = -J\sum_i \delta_{s_i s_{i+1}}, \qquad
        Z_\mathrm{ring} = (e^K+q-1)^N + (q-1)(e^K-1)^N, \quad
        Z_\mathrm{open} = q\,(e^K+q-1)^{N-1}

    with K = βJ.

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    sites : int
        N: at least 2 for a ring (two sites are joined by two bonds), 1 for an open chain.
    q : int
        Number of states of a spin, at least 2.
    coupling : float
        J in units of energy, any sign.
    periodic : bool
        Ring (True) or open chain.

    Returns
    -------
    Thermodynamics
        Totals, shaped like ``beta``.

    Raises
    ------
    InvalidInputError
        β is NaN, too few sites or states, more states than fit into memory, J not finite.

    References
    ----------
    F. Y. Wu, Rev. Mod. Phys. 54, 235 (1982).

    Examples
    --------
    Ground states of the three-colour ring at β → −∞: (q − 1)^N + (q − 1)(−1)^N of them.

    >>> import numpy as np
    >>> print(np.exp(potts_chain(-np.inf, 4, 3).entropy).round(9))
    18.0
    """
    q = _checked_q(q, beta)
    return spin_chain(
        -finite_number(coupling, "coupling") * np.eye(q), beta, sites, periodic=periodic
    )


def clock_chain(
    beta: ArrayLike,
    sites: int,
    q: int,
    coupling: float = 1.0,
    field: float = 0.0,
    chirality: float = 0.0,
    *,
    periodic: bool = True,
) -> Thermodynamics:
    r"""Exact thermodynamics (totals) of the one-dimensional q-state clock model, chiral or not.

    .. math::
        H = -J\sum_i \cos\frac{2\pi(s_{i+1} - s_i + \Delta)}{q} - h\sum_i \cos\frac{2\pi s_i}{q}

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    sites : int
        N: at least 2 for a ring (two sites are joined by two bonds), 1 for an open chain.
    q : int
        Number of states of a spin, at least 2.
    coupling, field : float
        J and h in units of energy, any sign.
    chirality : float
        Δ. It changes nothing in an open chain if it is a whole number, h = 0.
    periodic : bool
        Ring (True) or open chain.

    Returns
    -------
    Thermodynamics
        Totals, shaped like ``beta``.

    Raises
    ------
    InvalidInputError
        β is NaN, too few sites or states, more states than fit into memory, J, h or Δ not finite.

    References
    ----------
    S. Ostlund, Phys. Rev. B 24, 398 (1981).

    Examples
    --------
    Every spin wants to be an hour ahead of the last: three starts fit a ring of six.

    >>> import numpy as np
    >>> state = clock_chain(np.inf, 6, 3, chirality=-1.0)
    >>> print(state.internal_energy.round(9), np.exp(state.entropy).round(9))
    -6.0 3.0
    """
    hours = np.arange(_checked_q(q, beta))
    turned = hours - hours[:, None] + finite_number(chirality, "chirality")
    return spin_chain(
        -finite_number(coupling, "coupling") * np.cos(2 * np.pi * turned / q),
        beta,
        sites,
        site_energies=-finite_number(field, "field") * np.cos(2 * np.pi * hours / q),
        periodic=periodic,
    )


@np.errstate(over="ignore")  # near the largest β: ±inf is right
def spin_chain(
    bond_energies: ArrayLike,
    beta: ArrayLike,
    sites: int,
    *,
    site_energies: ArrayLike | None = None,
    periodic: bool = True,
) -> Thermodynamics:
    r"""Exact thermodynamics of any chain of q-state spins with nearest-neighbour bonds.

    .. math::
        Z_\mathrm{ring} = \mathrm{Tr}\,(BD)^N, \quad
        Z_\mathrm{open} = \mathbf 1^T D (BD)^{N-1} \mathbf 1, \qquad
        B_{ss'} = e^{-\beta\,\epsilon(s,s')}, \quad D_{ss} = e^{-\beta\,\eta(s)}

    Parameters
    ----------
    bond_energies : array_like, shape (q, q)
        ε(s, s′), the energy of a bond from a spin in state s to its right neighbour in s′.
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    sites : int
        N: at least 2 for a ring (two sites are joined by two bonds), 1 for an open chain.
    site_energies : array_like, shape (q,), optional
        η(s), the energy of a spin by itself; default 0.
    periodic : bool
        Ring (True) or open chain.

    Returns
    -------
    Thermodynamics
        Totals, shaped like ``beta``, energies in the unit of ε.

    Raises
    ------
    InvalidInputError
        β is NaN, shapes that do not match, energies that are not finite, too few sites, more states
        than fit into memory (q³ numbers per β).

    Notes
    -----
    Instead of numbers the matrices hold U, Var and S of a stretch of chain between two given
    spins. Two stretches are joined by mixing over the spin between them with its Boltzmann
    probabilities (means add, variances add and gain that of the means, entropies add and gain
    that of the mixing), so that nothing overflows, no large numbers are subtracted, and β = ±inf
    is the same sum over the lowest parts alone. Repeated squaring: O(q³ ln N) per β.

    References
    ----------
    H. A. Kramers, G. H. Wannier, Phys. Rev. 60, 252 (1941).

    Examples
    --------
    >>> round(float(spin_chain([[0.0]], 1.0, 5, site_energies=[0.3]).internal_energy), 12)
    1.5
    """
    b = as_beta(beta)
    bond, site = _checked_energies(bond_energies, site_energies)
    periodic = true_or_false(periodic, "periodic")
    n = whole_number(sites, "sites", 2 if periodic else 1)
    _check_memory(len(bond), b)
    energy, variance, entropy = _solve(bond, site, b.ravel(), n, periodic).reshape(3, *b.shape)
    double_energy, _, double_entropy = _solve(bond, site, 2.0 * b.ravel(), n, periodic).reshape(
        3, *b.shape
    )
    with np.errstate(invalid="ignore"):  # ±inf · 0
        heat = np.where(energy == 0.0, 0.0, b * energy)
        cooling = np.where(energy == double_energy, 0.0, 2.0 * b * (energy - double_energy))
    return Thermodynamics(
        beta=b,
        log_partition_function=entropy - heat,
        internal_energy=energy,
        energy_variance=variance,
        entropy=entropy,
        # ln 1/Σp² = 2 ln Z(β) − ln Z(2β)
        log_participation_ratio=2.0 * entropy - double_entropy - cooling,
    )


def _solve(bond: Array, site: Array, beta: Array, n: int, periodic: bool) -> Array:
    """U, Var, S of shape (3, B)."""
    step = _pure(np.broadcast_to(bond + site, (beta.size, *bond.shape)))  # a bond, then its site
    power = _power(step, n if periodic else n - 1, beta)
    if periodic:
        return _mixture(np.diagonal(power, axis1=-2, axis2=-1), beta)
    open_ends = power + _pure(np.broadcast_to(site[:, None], (beta.size, *bond.shape)))
    if n == 1:  # no bonds: the matrix's columns are all one end
        open_ends = open_ends[..., :1]
    return _mixture(open_ends.reshape(3, beta.size, -1), beta)


def _pure(energies: Array) -> Array:
    """Single states: energy, no variance, no entropy."""
    return np.stack([energies, np.zeros_like(energies), np.zeros_like(energies)])


def _power(base: Array, exponent: int, beta: Array) -> Array:
    result = None
    while exponent:
        if exponent & 1:
            result = base if result is None else _product(result, base, beta)
        exponent >>= 1
        if exponent:
            base = _product(base, base, beta)
    return np.zeros_like(base) if result is None else result


def _product(left: Array, right: Array, beta: Array) -> Array:
    """Join two stretches of chain at their common site, in each of its states (axis k)."""
    joined = left[:, :, :, None, :] + np.swapaxes(right, -1, -2)[:, :, None, :, :]
    return _mixture(joined, beta)


def _mixture(parts: Array, beta: Array) -> Array:
    """U, Var, S of what is in part k with its Boltzmann probability; parts (3, B, …, k)."""
    energy, variance, entropy = parts
    b = beta.reshape(-1, *[1] * (energy.ndim - 1))
    lowest = np.where(
        np.signbit(b), energy.max(axis=-1, keepdims=True), energy.min(axis=-1, keepdims=True)
    )
    gap = energy - lowest
    tolerance = 1e-9 * np.abs(energy).max(initial=0.0)  # equal up to rounding: one ground level
    cold = np.where(np.abs(gap) <= tolerance, 0.0, -np.inf)
    exponent = entropy + np.where(np.isinf(b), cold, -np.where(np.isinf(b), 0.0, b) * gap)
    p = np.exp(exponent - exponent.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    mean = (p * gap).sum(axis=-1, keepdims=True)
    spread = np.where(np.isinf(b), 0.0, (gap - mean) ** 2)
    return np.stack(
        [
            (lowest + mean)[..., 0],
            (p * (variance + spread)).sum(axis=-1),
            (p * entropy - xlogy(p, p)).sum(axis=-1),
        ]
    )


def _checked_q(q: int, beta: ArrayLike) -> int:
    q = whole_number(q, "q", 2)
    _check_memory(q, as_beta(beta))
    return q


def _check_memory(q: int, beta: Array) -> None:
    check_memory_of(q, _BYTES_PER_PATH * max(1, beta.size), "states of a spin", power=3)


def _checked_energies(bond: ArrayLike, site: ArrayLike | None) -> tuple[Array, Array]:
    bonds = as_real(bond, "bond_energies")
    q = len(bonds) if bonds.ndim else 0
    sites = np.zeros(q) if site is None else as_real(site, "site_energies")
    if bonds.shape != (q, q) or q == 0 or sites.shape != (q,):
        raise InvalidInputError(
            f"bond_energies of shape {bonds.shape} and site_energies of shape {sites.shape} were "
            "given; accepted: (q, q) and (q,)."
        )
    if not (np.isfinite(bonds).all() and np.isfinite(sites).all()):
        raise InvalidInputError("bond and site energies must be finite; NaN or inf was given.")
    return bonds, sites
