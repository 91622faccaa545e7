"""A discrete model as its kernels read it: the bonds of each site, and tables of energies."""

from __future__ import annotations

from typing import Any

import numpy as np

from thermo.kernels.discrete import INFINITE_BETA, Interactions
from thermo.models.difference import DifferenceModel

__all__ = ["energy_tables", "energy_unit", "interactions", "kernel_beta", "largest_change"]


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


def interactions(model: DifferenceModel) -> Interactions:
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
    is_head = np.repeat([0, 1], len(tail))[order] if len(seen) == 2 else np.zeros_like(order)

    stride = int(2 * q - 1).bit_length()
    difference = np.arange(2**stride) - q
    after = seen[:, (difference[None, :] - np.arange(q)[:, None]) % q]
    changes = after - seen[:, None, difference % q]
    return Interactions(
        offsets=np.array(model.lattice.offsets),
        neighbours=other[order].astype(np.int32),
        strengths=np.concatenate([strengths, strengths])[order],
        belongs=(is_head == np.arange(len(seen))[:, None]).astype(np.float64),
        bond_energy=np.ascontiguousarray(seen[:, (np.arange(2 * q + 3) - q - 3) % q]),
        tables=is_head * (q * 2**stride),
        changes=changes.ravel(),
        stride=stride,
        site_energy=(model.site_energy / unit).ravel(),
        has_field=bool(model.site_energy.any()),
        q=q,
        equality_only=equality_only,
    )


def energy_tables(model: DifferenceModel) -> tuple[Any, ...]:
    """Return what `thermo.kernels.discrete_moves.energies` takes after the states."""
    unit, couplings = 1.0, model.couplings.copy()
    if model.has_uniform_coupling:
        unit, couplings = model.coupling, np.ones(model.lattice.n_edges)
    w = np.tile(model.bond_energy, 2)
    site_energy = model.site_energy[: model.lattice.n_sites if model.fields.any() else 0]
    return np.array(model.bond_ends), couplings, unit, w, site_energy.copy()
