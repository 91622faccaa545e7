"""Exact numbers of states g(E): the square Ising torus of thousands of spins, and enumeration."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from thermo.arguments import finite_number, true_or_false, whole_number
from thermo.errors import InvalidInputError
from thermo.kernels.modular import inverse_transform, torus_polynomial_values
from thermo.lattice import square
from thermo.levels import EnergyLevels
from thermo.models.ising import Ising

__all__ = ["exact_levels", "ising_torus", "ising_torus_counts"]

LARGEST_TORUS = 128 * 128  # sites; the work grows as sites^2.5


def ising_torus_counts(
    rows: int, columns: int | None = None, progress: bool = False
) -> tuple[int, ...]:
    r"""Exact numbers of states g_i of the periodic square Ising lattice, as integers.

    .. math:: Z = e^{2NK} \sum_{i=0}^{N} g_i\, e^{-4iK}, \qquad E_i/J = -2N + 4i

    Kaufman's products are evaluated modulo primes p ≡ 1 (mod 2·columns), where cos(πl/n) exists
    as a residue, at as many roots of unity as there are coefficients; a number-theoretic transform
    gives g_i mod p, and the Chinese remainder theorem the integers.

    Parameters
    ----------
    rows, columns : int
        At least 2; columns defaults to rows; at most 128² sites. A side of 2 has double bonds.
    progress : bool
        Show a progress bar.

    Returns
    -------
    tuple of int, length N + 1
        g_0 … g_N; their sum is 2^N. Zero where no state has that energy.

    Raises
    ------
    InvalidInputError
        A side below 2, or too many sites.

    Notes
    -----
    A fraction of a second for 32², seconds for 64²: the work grows as sites^2.5. Results are kept
    in memory, not on disk.

    References
    ----------
    P. D. Beale, Phys. Rev. Lett. 76, 78 (1996). B. Kaufman, Phys. Rev. 76, 1232 (1949).

    Examples
    --------
    >>> ising_torus_counts(4)
    (2, 0, 32, 64, 424, 1728, 6688, 13568, 20524, 13568, 6688, 1728, 424, 64, 32, 0, 2)
    """
    m, n = _sides(rows, columns)
    if n % 2 and not m % 2:
        m, n = n, m  # the same lattice; an even n has more primes to choose from
    return _torus_counts(m, n, true_or_false(progress, "progress"))


@lru_cache(maxsize=32)
def _torus_counts(m: int, n: int, progress: bool) -> tuple[int, ...]:
    sites = m * n
    # With N a power of two and N points, g_N falls onto g_0 = 2 and is told apart afterwards.
    points = 1 << (sites - 1).bit_length()
    primes, modulus = [], 1
    for p in _primes(math.lcm(2 * n, 2 * points)):
        primes.append(p)
        modulus *= p
        if modulus > 1 << sites:  # no g_i can be larger
            break
    else:
        raise InvalidInputError(
            f"a torus of {m} × {n} was given; for these odd sides there are not enough primes "
            "below 2³². Accepted: smaller odd sides, or even ones."
        )
    from tqdm.auto import tqdm

    residues = []
    hidden = None if progress else True  # None: where standard error is no terminal
    for p in tqdm(primes, disable=hidden, desc="primes", leave=False):
        zeta, omega = _element_of_order(2 * n, p), _element_of_order(2 * points, p)
        values = torus_polynomial_values(m, n, zeta, omega, points, p)
        residues.append(inverse_transform(values, omega * omega % p, p))
    basis = [modulus // p * pow(modulus // p, -1, p) for p in primes]
    table = np.array(residues).T.tolist()
    counts = [sum(map(operator.mul, row, basis)) % modulus for row in table[: sites + 1]]
    if points == sites:
        counts.append(counts[0] - 2)
        counts[0] = 2
    return tuple(counts)


def ising_torus(
    rows: int, columns: int | None = None, *, coupling: float = 1.0, progress: bool = False
) -> EnergyLevels:
    """Exact levels of the periodic square Ising lattice in zero field.

    Parameters
    ----------
    rows, columns : int
        At least 2; columns defaults to rows; at most 128² sites.
    coupling : float
        J of H = −J Σ s_i s_j over nearest neighbours, either sign; the unit of the energies.
    progress : bool
        Show a progress bar.

    Returns
    -------
    EnergyLevels
        Ascending energies with ln g, each the logarithm of an exact integer.

    Raises
    ------
    InvalidInputError
        A side below 2, too many sites, or a coupling that is not finite.

    References
    ----------
    P. D. Beale, Phys. Rev. Lett. 76, 78 (1996).

    Examples
    --------
    >>> levels = ising_torus(8)
    >>> len(levels), levels.minimum, round(levels.log_states / 64, 12)
    (63, -128.0, 0.69314718056)
    """
    coupling = finite_number(coupling, "coupling")
    counts = ising_torus_counts(rows, columns, progress)
    sites = len(counts) - 1
    if coupling == 0.0:
        return EnergyLevels([0.0], [sites * math.log(2.0)])
    found = [(coupling * (4 * i - 2 * sites), math.log(g)) for i, g in enumerate(counts) if g]
    energies, log_degeneracy = zip(*sorted(found), strict=True)
    return EnergyLevels(energies, log_degeneracy)


def exact_levels(model: Any, *, progress: bool = False) -> EnergyLevels:
    """Return the number of states at every energy of a model, exactly.

    It is `thermo.density_of_states` with the method ``"exact"``.

    Parameters
    ----------
    model : model
        `thermo.Ising` on `thermo.lattice.square` with periodic edges in zero field (any coupling,
        up to 128² sites), or any model whose ``levels()`` can list its states.
    progress : bool
        Show a progress bar (tori only: enumeration takes a second or two).

    Returns
    -------
    EnergyLevels
        Ascending energies with ln g.

    Raises
    ------
    InvalidInputError
        A model for which neither way is open; the message says why.

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> levels = exact_levels(Ising(square(32), coupling=-1.0))
    >>> levels.minimum, round(levels.log_states / 1024, 12)
    (-2048.0, 0.69314718056)
    """
    if isinstance(model, Ising) and _is_plain_square_torus(model):
        return ising_torus(model.lattice.shape[0], coupling=model.coupling, progress=progress)
    true_or_false(progress, "progress")
    enumerate_levels = getattr(model, "levels", None)
    if not callable(enumerate_levels):
        raise InvalidInputError(
            f"model = {model!r} was given; accepted: a model of thermo.models with levels()."
        )
    try:
        return enumerate_levels()
    except InvalidInputError as error:
        if hasattr(model, "components"):
            raise  # no size would help
        raise InvalidInputError(
            f"no exact density of states of {model!r} is within reach. Accepted: the periodic "
            f"square Ising lattice in zero field with at most {LARGEST_TORUS} sites, and models "
            "small enough to list every state."
        ) from error


def _is_plain_square_torus(model: Ising) -> bool:
    side = model.lattice.shape[0]
    return (
        model.has_uniform_coupling
        and not model.fields.any()
        and model.lattice.shape == (side, side)
        and side >= 3
        and np.array_equal(model.lattice.edges, square(side).edges)
    )


def _sides(rows: int, columns: int | None) -> tuple[int, int]:
    m = whole_number(rows, "rows", 2)
    n = m if columns is None else whole_number(columns, "columns", 2)
    if m * n > LARGEST_TORUS:
        raise InvalidInputError(
            f"a torus of {m} × {n} was given; accepted: at most {LARGEST_TORUS} sites."
        )
    return m, n


def _primes(step: int) -> Iterator[int]:
    """Primes p ≡ 1 (mod step) below 2³², from the largest down."""
    for p in range(((1 << 32) - 2) // step * step + 1, step, -step):
        if _is_prime(p):
            yield p


def _is_prime(p: int) -> bool:
    """Miller-Rabin with the bases 2 … 11, which decide every p < 2 152 302 898 747."""
    if p < 2 or any(p % q == 0 for q in (2, 3, 5, 7, 11)):
        return p in (2, 3, 5, 7, 11)
    odd, twos = p - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11):
        x = pow(base, odd, p)
        if x in (1, p - 1):
            continue
        if not any((x := x * x % p) == p - 1 for _ in range(twos - 1)):
            return False
    return True


def _prime_factors(number: int) -> list[int]:
    found, q = [], 2
    while q * q <= number:
        if number % q == 0:
            found.append(q)
            while number % q == 0:
                number //= q
        q += 1
    return [*found, number] if number > 1 else found


def _element_of_order(order: int, p: int) -> int:
    """The first residue of exactly this order mod p, from the powers of 2, 3, 4, …"""
    factors = _prime_factors(order)
    candidates = (pow(base, (p - 1) // order, p) for base in range(2, p))
    return next(x for x in candidates if all(pow(x, order // q, p) != 1 for q in factors))
