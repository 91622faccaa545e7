"""A discrete model as its kernels read it: the bonds of each site, and tables of energies."""

from __future__ import annotations

from typing import Any

import numpy as np

from thermo.kernels.discrete import INFINITE_BETA, DiscreteInteractions
from thermo.kernels.lanes import WORDS
from thermo.models.difference import DifferenceModel
from thermo.sampling.model_tables import kept_with_model

__all__ = ["energy_tables", "energy_unit", "interactions", "kernel_beta", "largest_change"]

_MOST_ROWS = 256  # half a MiB for the 32 chains that go together: what an outer cache holds
_MOST_ROWS_PER_SITE = 4  # a row takes about as long to make as a visit saves
_NO_ROWS: dict[str, np.ndarray] = {
    "energy_rows": np.zeros((0, WORDS)),
    "bond_rows": np.zeros(0, dtype=np.int32),
    "site_rows": np.zeros(0, dtype=np.int32),
}


def largest_change(model: DifferenceModel) -> float:
    """Return an energy that no change of one spin exceeds: the spread of its bonds and field."""
    bonds = np.abs(model.couplings) * np.ptp(model.bond_energy)
    at_site = np.bincount(
        model.bond_ends.ravel(), np.repeat(bonds, 2), minlength=model.lattice.n_sites
    )
    return float((at_site + np.ptp(model.site_energy, axis=1)).max())


def energy_unit(model: DifferenceModel) -> float:
    """Return a power of two that no change of one spin exceeds in energy."""
    largest = largest_change(model)
    return 2.0 ** np.ceil(np.log2(largest)) if largest > 0.0 else 1.0


def kernel_beta(model: DifferenceModel, beta: np.ndarray) -> np.ndarray:
    """Return β in the kernels' unit; ±inf, and what comes to the same, as a large number."""
    return np.clip(beta * energy_unit(model), -INFINITE_BETA, INFINITE_BETA)


@kept_with_model
def interactions(model: DifferenceModel) -> DiscreteInteractions:
    """Return the graph and the energies of a model in units of `energy_unit`.

    A bond is listed at both its ends. What the head sees of w is w reversed, so that models whose
    w is not even (the chiral clock) have two directions, all others one.
    """
    q, unit = model.n_states, energy_unit(model)
    w, strengths = model.bond_energy, model.couplings / unit
    equality_only = bool(np.all(w[1:] == w[1]))
    if equality_only:  # w = w₁ + (w₁ − w₀)·(−δ), and the constant does not matter
        strengths = strengths * (w[1] - w[0])
        w = np.where(np.arange(q) == 0, -1.0, 0.0)
    reverse = w[-np.arange(q) % q]
    seen = np.stack([w]) if np.array_equal(w, reverse) else np.stack([w, reverse])

    tail, head = model.bond_ends.T.astype(np.int64)
    site, other = np.concatenate([tail, head]), np.concatenate([head, tail])
    order = np.lexsort((other, site))
    strengths = np.concatenate([strengths, strengths])[order]
    is_head = np.repeat([0, 1], len(tail))[order] if len(seen) == 2 else np.zeros_like(order)

    if equality_only and not model.fields.any():
        rows = _NO_ROWS  # heat bath has a faster way
    else:
        rows = _energy_rows(model, strengths, seen, is_head)

    stride = int(2 * q - 1).bit_length()
    difference = np.arange(2**stride) - q
    after = seen[:, (difference[None, :] - np.arange(q)[:, None]) % q]
    changes = after - seen[:, None, difference % q]
    return DiscreteInteractions(
        offsets=np.array(model.lattice.offsets),
        neighbours=other[order].astype(np.int32),
        strengths=strengths,
        belongs=(is_head == np.arange(len(seen))[:, None]).astype(np.float64),
        bond_energy=np.ascontiguousarray(seen[:, (np.arange(2 * q + 3) - q - 3) % q]),
        tables=is_head * (q * 2**stride),
        changes=changes.ravel(),
        stride=stride,
        site_energy=(model.site_energy / unit).ravel(),
        has_field=bool(model.site_energy.any()),
        q=q,
        equality_only=equality_only,
        **rows,
    )


def _energy_rows(
    model: DifferenceModel, strengths: np.ndarray, seen: np.ndarray, is_head: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the table of `thermo.kernels.discrete_heat_bath`, or an empty one where none pays.

    Each kind of bond (its J, and the end seen from) has ⌈q/8⌉·q rows of eight states: block by
    block, and for each state m of the neighbour, the energies J (w[m − k] − min w). Each kind of
    site (its field) has ⌈q/8⌉ rows. Energies beyond state q − 1 are infinite.
    """
    q = model.n_states
    blocks = -(-q // WORDS)
    values, value = np.unique(strengths, return_inverse=True)
    _, sites, field = np.unique(model.fields, return_index=True, return_inverse=True)
    kinds = len(values) * len(seen)
    places = (kinds * q + len(sites)) * blocks
    if q == 2 or places > min(_MOST_ROWS_PER_SITE * len(field), _MOST_ROWS):
        return _NO_ROWS

    state = np.arange(q)
    w = seen - seen.min()
    bonds = np.full((len(values), len(seen), q, blocks * WORDS), np.inf)
    bonds[..., :q] = values[:, None, None, None] * w[:, (state[:, None] - state) % q]
    bonds = bonds.reshape(kinds, q, blocks, WORDS).swapaxes(1, 2)
    fields = np.full((len(sites), blocks * WORDS), np.inf)
    at_site = model.site_energy[sites] / energy_unit(model)
    fields[:, :q] = at_site - at_site.min(axis=1, keepdims=True)
    return {
        "energy_rows": np.concatenate([bonds.reshape(-1, WORDS), fields.reshape(-1, WORDS)]),
        "bond_rows": ((value.ravel() * len(seen) + is_head) * (q * blocks)).astype(np.int32),
        "site_rows": ((kinds * q + field.ravel()) * blocks).astype(np.int32),
    }


@kept_with_model
def energy_tables(model: DifferenceModel) -> tuple[Any, ...]:
    """Return what `thermo.kernels.discrete_moves.energies` takes after the states."""
    # Couplings ±J are counted, and J multiplied last: as exact as `LaneObservables`, to the bit.
    unit = float(np.abs(model.couplings).max(initial=0.0))
    couplings = np.sign(model.couplings)
    if np.any(np.abs(model.couplings) != unit):
        unit, couplings = 1.0, model.couplings.copy()
    w = np.tile(model.bond_energy, 2)
    site_energy = model.site_energy[: model.lattice.n_sites if model.fields.any() else 0]
    return np.array(model.bond_ends), couplings, unit, w, site_energy.copy()
