"""Where cluster updates exist, and with which probability a bond joins two sites."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from thermo.arguments import one_of
from thermo.errors import InvalidInputError
from thermo.models.difference import DifferenceModel
from thermo.models.ising import Ising
from thermo.sampling.updates import CLUSTER_UPDATES

__all__ = [
    "check_clusters",
    "check_unfrustrated",
    "frustrated_cycle",
    "joins_by_colour",
    "joining_probability",
    "one_coupling",
]

_NEARLY = 1e-12  # of the largest bond energy: differences below it are rounding


def check_clusters(model: Any, update: str) -> None:
    """Refuse what is no cluster update, and models whose clusters could not be moved freely."""
    one_of(update, "update", CLUSTER_UPDATES)
    if not isinstance(model, DifferenceModel):
        raise InvalidInputError(
            f"model = {model!r} was given; accepted: thermo.Ising, Potts or Clock"
        )
    if model.fields.any():
        raise InvalidInputError(
            f"{model!r} has a field, which moving a whole cluster would have to work against; "
            f"accepted by {update!r}: field 0 (see 'metropolis' and 'heat_bath')"
        )
    w = model.bond_energy
    if np.ptp(w - w[-np.arange(w.size)]) > _NEARLY * np.abs(w).max():
        raise InvalidInputError(
            f"{model!r} tells left from right, so that mirroring a cluster changes its energy; "
            f"accepted by {update!r}: chirality 0 (see 'metropolis' and 'heat_bath')"
        )


def check_unfrustrated(model: DifferenceModel, sign: int) -> None:
    """Refuse the sign of β at which bonds compete.

    On a closed path with an odd number of bonds βJ < 0 two states cannot satisfy all bonds (more
    sometimes can, but no gauge of signs is known then either). Clusters of satisfied bonds then
    span the lattice while the spins are still disordered, and moving them changes nothing
    (V. Cataudella and others, Phys. Rev. Lett. 72, 1541 (1994)). The gauge transformation that
    makes all other lattices ferromagnets (on bipartite ones with βJ < 0: to reverse one sublattice)
    need not be carried out, since the clusters only ask which bonds are satisfied.

    Exempt are antiferromagnetic Potts models, q ≥ 3: two states at a time, their clusters live on
    the part of the lattice that is in one of the two (Wang, Swendsen, Kotecký 1989).
    """
    parallel = sign * _preference(model) * model.couplings  # > 0 where equal states are preferred
    antiferromagnetic = parallel < 0
    if _is_potts(model) and model.n_states > 2 and not np.any(parallel > 0):
        return
    if not antiferromagnetic.any() or (
        antiferromagnetic.all() and model.lattice.sublattice is not None
    ):
        return
    bound = model.couplings != 0
    cycle = frustrated_cycle(
        model.lattice.n_sites, model.lattice.edges[bound], antiferromagnetic[bound]
    )
    if cycle:
        shown = "–".join(map(str, cycle if len(cycle) <= 8 else [*cycle[:7], "…"]))
        path = f"the closed path of sites {shown} has an odd number of bonds with βJ < 0"
        side, name = f"β {'<' if sign < 0 else '>'} 0", model.lattice.name
        if model.n_states == 2:
            refused = f"{name} is frustrated at {side}: {path}, and clusters would span the lattice"
        else:
            refused = (
                f"{name} has no known gauge of signs for {model.n_states} states at {side}: {path}"
                ", and clusters could span the lattice"
            )
        raise InvalidInputError(
            f"{refused} without decorrelating it. Accepted: βJ ≥ 0, or only paths with an even "
            "number of such bonds (see 'metropolis', 'heat_bath' and parallel tempering)"
        )


def frustrated_cycle(n: int, edges: NDArray, antiferromagnetic: NDArray) -> list[int]:
    """Return the sites of a cycle with an odd number of antiferromagnetic bonds, or no sites.

    Parameters
    ----------
    n : int
        Number of sites.
    edges : ndarray of int, shape (M, 2)
    antiferromagnetic : ndarray of bool, shape (M,)

    Returns
    -------
    list of int
        Neighbours in turn, the last being one of the first; empty where there is no such cycle,
        that is, where reversing some spins makes all bonds ferromagnetic.

    Examples
    --------
    >>> frustrated_cycle(4, np.array([[0, 1], [1, 2], [2, 0], [2, 3]]), np.array([1, 0, 0, 1]) > 0)
    [0, 1, 2]
    """
    # Two copies of every site, one for each way its spin may point; a bond joins the copies that
    # satisfy it. A path from one copy of a site to the other cannot be satisfied all along.
    a, b = edges.T.astype(np.int64)
    crossing = n * antiferromagnetic
    rows, columns = np.concatenate([a, a + n]), np.concatenate([b + crossing, b + n - crossing])
    cover = coo_array((np.ones(rows.size, dtype=bool), (rows, columns)), (2 * n, 2 * n)).tocsr()
    _, piece = connected_components(cover, directed=False)
    frustrated = np.flatnonzero(piece[:n] == piece[n:])
    if frustrated.size == 0:
        return []
    start = int(frustrated[0])
    _, before = breadth_first_order(cover, start, directed=False)
    path = [start + n]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    # The shortest path may lead to the cycle and back the same way: keep what lies between the
    # two closest copies of one site.
    sites = [copy % n for copy in reversed(path)]
    seen: dict[int, int] = {}
    best = (0, len(sites) - 1)
    for place, site in enumerate(sites):
        if site in seen and place - seen[site] < best[1] - best[0]:
            best = (seen[site], place)
        seen[site] = place
    return sites[best[0] : best[1]]


def one_coupling(model: Ising) -> tuple[float, NDArray[np.bool_]] | None:
    """Return J and which bonds have −J, or nothing if there are others."""
    if model.magnitude is None:
        return None
    coupling = model.coupling if model.has_uniform_coupling else model.magnitude
    return coupling, model.couplings * coupling < 0


def joins_by_colour(model: DifferenceModel, beta: ArrayLike) -> NDArray[np.bool_]:
    """Say at which β Swendsen–Wang clusters are of one state, and may be given any.

    That is, in Potts models where every bond prefers equal states (C. M. Fortuin, P. W. Kasteleyn,
    Physica 57, 536 (1972)).
    """
    preference = _preference(model) * np.sign(model.couplings)
    signs = np.sign(np.asarray(beta, dtype=np.float64))[..., None] * preference
    return np.all(signs >= 0, axis=-1) & (_is_potts(model) and model.n_states > 2)


def joining_probability(
    model: DifferenceModel, beta: ArrayLike, couplings: ArrayLike
) -> NDArray[np.float64]:
    r"""Return the probability with which a bond joins its two sites to one cluster.

    .. math:: p = \max\bigl(0,\, 1 - e^{-\beta J (w[\mathrm{after}] - w[\mathrm{before}])}\bigr)

    with the differences of the two states before and after mirroring one of them.

    Parameters
    ----------
    model : Ising, Potts or Clock
    beta : array_like, shape (...)
        Any real numbers or ±inf.
    couplings : array_like, shape (C,)
        J of the bonds in question.

    Returns
    -------
    ndarray, shape (..., C, q, q)
        The last axes are the difference after and the difference before.

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> joining_probability(Ising(square(4)), -np.log(2), [1.0]).round(2)  # before: 0 or 1
    array([[[0.  , 0.75],
            [0.  , 0.  ]]])
    """
    w = model.bond_energy
    gain = w[:, None] - w
    gain = np.where(np.abs(gain) <= _NEARLY * np.abs(w).max(), 0.0, gain)
    strength = np.asarray(beta, dtype=np.float64)[..., None] * np.sign(couplings)
    with np.errstate(invalid="ignore"):  # inf · 0: no energy, no bond
        exponent = strength[..., None, None] * (np.abs(couplings)[:, None, None] * gain)
    return -np.expm1(-np.maximum(np.nan_to_num(exponent, nan=0.0, posinf=np.inf), 0.0))


def _preference(model: DifferenceModel) -> int:
    """+1 where a bond of J > 0 prefers equal states at β > 0, −1 where opposite ones.

    The clock whose chirality is half of all hours prefers opposite ones.
    """
    return 1 if model.bond_energy[0] < 0 else -1


def _is_potts(model: DifferenceModel) -> bool:
    """Whether all different states are equally different (also the clock of three hours)."""
    return bool(np.ptp(model.bond_energy[1:]) <= _NEARLY * np.abs(model.bond_energy).max())
