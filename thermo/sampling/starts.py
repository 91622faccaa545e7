"""Where a run begins: in random, ordered or given configurations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_array
from thermo.errors import InvalidInputError
from thermo.models.spin_model import SpinModel

__all__ = ["given_start", "ordered_spins", "ordered_start"]


def ordered_start(model: SpinModel, beta: np.ndarray, start: str) -> NDArray[np.bool_]:
    """Say which β begin in an ordered state.

    ``"auto"``: where mean-field theory may expect order, that is where half the range of a spin's
    energy is at least 1/\\|β\\| on average, a bond counted for both of its ends (for Ising spins
    (mean degree)·\\|βJ\\| + \\|βh\\| ≥ 1), unless no ordered state is known at this sign of β. It
    orders too early, so that everything random is truly disordered, and no run is quenched
    across its transition, which would leave stripes that never melt; an ordered start in the
    disordered phase melts quickly.

    Parameters
    ----------
    model : SpinModel
    beta : ndarray of float64, shape (B,)
    start : str
        ``"auto"``, ``"random"`` or ``"ordered"``.

    Returns
    -------
    ndarray of bool, shape (B,)

    Raises
    ------
    InvalidInputError
        ``"ordered"`` where no ordered state is known (a frustrated lattice); another name.
    """
    if start == "random":
        return np.zeros(beta.shape, dtype=bool)
    if start == "ordered":
        for sign in np.unique(_sign(beta)):
            model.ordered_states(int(sign))  # raises where none is known
        return np.ones(beta.shape, dtype=bool)
    if start == "auto":
        with np.errstate(
            invalid="ignore", over="ignore"
        ):  # inf · 0: no interaction, random will do
            strong = np.abs(beta) * _half_range(model) >= 1
        for sign in np.unique(_sign(beta[strong])):
            if not _has_ordered_states(model, int(sign)):
                strong &= _sign(beta) != sign
        return strong
    raise InvalidInputError(
        f"start = {start!r} was given; accepted: 'auto', 'random', 'ordered' or an array of spins"
    )


def ordered_spins(model: SpinModel, beta: np.ndarray, share: np.ndarray) -> NDArray:
    """Return ordered configurations for chains, each state for its part of the replicas.

    The states are those that β prefers and what becomes of them when all spins turn together, the
    symmetry that a field breaks. Without a field they are equally good, and equally many replicas
    begin in each: the replicas' magnetisations cancel on average, as the exact ones do. In a weak
    field the worse ones carry the weight e^{−βE}, and chains hardly cross over to them: so many
    replicas begin there, and show by disagreeing if the run is too short.

    Parameters
    ----------
    model : SpinModel
    beta : ndarray, shape (chains,)
    share : ndarray, shape (chains,)
        Of each chain: (replica + ½)/replicas, which decides its state without a random number.

    Returns
    -------
    ndarray, shape (chains, n) or (chains, n, d)
    """
    chosen: NDArray | None = None
    for sign in (1, -1):
        rows = np.flatnonzero(_sign(beta) == sign)
        if rows.size == 0:
            continue
        states = _turned(model, model.ordered_states(sign))
        above = np.zeros(len(states))
        if model.fields.any():  # otherwise they are equally good
            above = sign * model.energy(states)
            above -= above.min()
        with np.errstate(invalid="ignore"):  # inf · 0
            weight = np.where(above == 0, 1.0, np.exp(-np.abs(beta[rows, None]) * above))
        cumulative = np.cumsum(weight, axis=1)
        place = (share[rows, None] * cumulative[:, -1:] > cumulative).sum(axis=1)
        if chosen is None:
            chosen = np.empty((beta.size, *states.shape[1:]), dtype=states.dtype)
        chosen[rows] = states[place]
    assert chosen is not None
    return chosen


def given_start(model: SpinModel, start: ArrayLike, betas: int, replicas: int) -> NDArray:
    """Check a user's configurations and give every chain one.

    Parameters
    ----------
    model : SpinModel
    start : array_like, shape (n,) or (betas, replicas, n), each also with the components (…, d)
    betas, replicas : int

    Returns
    -------
    ndarray, shape (betas, replicas, n) or (betas, replicas, n, d)

    Raises
    ------
    InvalidInputError
        Another shape, or values that this model's spins do not have.
    """
    spins = as_array(start, "start")
    one = (model.lattice.n_sites, *_component_axis(model))
    shape = (betas, replicas, *one)
    if spins.shape not in (one, shape):
        raise InvalidInputError(
            f"start of shape {spins.shape} was given; accepted: spins of shape {one} or {shape}, "
            "'auto', 'random' or 'ordered'"
        )
    model.energy(spins)  # refuses values that are no spins
    dtype = np.float64 if _component_axis(model) else np.int8
    return np.broadcast_to(spins.astype(dtype), shape)


def _turned(model: SpinModel, states: NDArray) -> NDArray:
    """Add what the states become when all spins turn together: (k, n) to (more, n)."""
    if _component_axis(model):
        both = np.concatenate([states, 0.0 - states])
        return both[_distinct(both > 0)]  # they are parallel or antiparallel to one axis
    q = model.n_states  # type: ignore[attr-defined]
    numbers = model.states_of(states)  # type: ignore[attr-defined]
    turned = np.concatenate([(numbers + np.int8(step)) % np.int8(q) for step in range(q)])
    spins: NDArray = model.spins_of(turned[_distinct(turned)])  # type: ignore[attr-defined]
    return spins


def _distinct(rows: NDArray) -> list[int]:
    """Return where the distinct rows of 0, 1, 2 … are, in ascending order of the rows.

    `numpy.unique` does the same for few long rows very slowly.
    """
    place = {row.tobytes(): number for number, row in reversed(list(enumerate(rows)))}
    return [place[content] for content in sorted(place)]


def _half_range(model: SpinModel) -> float:
    """Half of what the energy of a spin can change by, on average over the sites."""
    if _component_axis(model):
        bond, sites = 1.0, np.linalg.norm(model.fields, axis=-1)
    else:
        bond = 0.5 * np.ptp(model.bond_energy)  # type: ignore[attr-defined]
        field = 0.5 * np.ptp(model.field_energy)  # type: ignore[attr-defined]
        sites = field * np.abs(model.fields)
    both_ends = 2.0 * np.abs(model.couplings).sum() / model.lattice.n_sites
    return float(bond * both_ends + np.mean(sites))


def _has_ordered_states(model: SpinModel, sign: int) -> bool:
    try:
        model.ordered_states(sign)
    except InvalidInputError:
        return False
    return True


def _component_axis(model: SpinModel) -> tuple[int, ...]:
    """(d,) for vectors, () for spins that are one number."""
    components = getattr(model, "components", None)
    return () if components is None else (components,)


def _sign(beta: np.ndarray) -> np.ndarray:
    return np.where(beta < 0, -1, 1)
