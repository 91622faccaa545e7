r"""Structure factor, correlation function and correlation length on periodic lattices.

.. math:: S(\mathbf k) = \frac1n \Bigl\langle \Bigl| \sum_j \mathbf s_j\,
          e^{-i \mathbf k \cdot \mathbf r_j} \Bigr|^2 \Bigr\rangle, \qquad
          G(\mathbf r) = \langle \mathbf s_j \cdot \mathbf s_{j + \mathbf r} \rangle
                       = \frac1n \sum_{\mathbf k} S(\mathbf k)\, e^{i \mathbf k \cdot \mathbf r}

with **r** in steps along the axes of ``lattice.shape`` and k = 2π·(integers)/L.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, rfftn

from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import jackknife
from thermo.lattice import Lattice
from thermo.models.spin_model import SpinModel
from thermo.run.order_parameter import spin_vectors

__all__ = [
    "DerivedEstimate",
    "check_periodic",
    "correlation_function",
    "correlation_length",
    "half_spectrum",
    "power",
    "structure_factor",
]

Array = NDArray[np.float64]

_SCRATCH_NUMBERS = 2**22  # float64 numbers transformed at once


class DerivedEstimate(NamedTuple):
    """A value computed from means, and its standard error by the jackknife.

    Attributes
    ----------
    mean, error : ndarray
    """

    mean: Array
    error: Array


def check_periodic(lattice: Lattice, name: str) -> None:
    """Refuse a lattice whose sites are not a periodic grid.

    Raises
    ------
    InvalidInputError
        Open edges, graphs, several sites per cell (honeycomb).
    """
    if not lattice.periodic or lattice.family == "honeycomb":
        raise InvalidInputError(
            f"{name} was given for {lattice.name}; accepted: a periodic lattice with one site per "
            "cell (chain, square, king, triangular, cubic), where wave vectors are defined"
        )


def half_spectrum(lattice: Lattice) -> tuple[int, ...]:
    """Return the shape of the wave vectors kept: S(−k) = S(k) gives the others."""
    return (*lattice.shape[:-1], lattice.shape[-1] // 2 + 1)


def power(model: SpinModel, spins: NDArray) -> Array:
    """Return \\|Σ_j s_j e^{−ik·r_j}\\|²/n of each configuration.

    Parameters
    ----------
    model : SpinModel
    spins : ndarray, shape (chains, n) or (chains, n, d)

    Returns
    -------
    ndarray, shape ``(chains, *half_spectrum)``
    """
    lattice = model.lattice
    total = np.zeros((len(spins), *half_spectrum(lattice)))
    axes = tuple(range(1, len(lattice.shape) + 1))
    step = max(1, _SCRATCH_NUMBERS // (8 * lattice.n_sites))
    for start in range(0, len(spins), step):
        vectors = spin_vectors(model, spins[start : start + step])
        for component in np.moveaxis(vectors, -1, 0):
            transform = rfftn(component.reshape(-1, *lattice.shape), axes=axes)
            total[start : start + step] += transform.real**2 + transform.imag**2
    return total / lattice.n_sites


def structure_factor(blocks: Array, lattice: Lattice) -> DerivedEstimate:
    """Return S(k) at all wave vectors.

    Parameters
    ----------
    blocks : ndarray, shape ``(B, replicas, blocks, *half_spectrum)``
        Means of `power` over stretches of the chains.
    lattice : Lattice

    Returns
    -------
    DerivedEstimate
        Arrays ``(B, *shape)``, k = 2π·index/L along every axis.
    """
    half = _by_block(blocks)
    count = len(half)
    mean = half.mean(axis=0)
    error = half.std(axis=0, ddof=1) / np.sqrt(count)  # a mean needs no jackknife
    return DerivedEstimate(_all_vectors(mean, lattice), _all_vectors(error, lattice))


def correlation_function(blocks: Array, lattice: Lattice) -> DerivedEstimate:
    """Return G(r) averaged over all translations; G(0) = 1.

    Parameters
    ----------
    blocks : ndarray, shape ``(B, replicas, blocks, *half_spectrum)``
    lattice : Lattice

    Returns
    -------
    DerivedEstimate
        Arrays ``(B, *shape)``, r = index along every axis (periodic). Not connected: with
        long-range order it tends to the square of the order parameter.
    """
    axes = tuple(range(-len(lattice.shape), 0))
    by_block = irfftn(_by_block(blocks), s=lattice.shape, axes=axes)
    return DerivedEstimate(
        by_block.mean(axis=0), by_block.std(axis=0, ddof=1) / np.sqrt(len(by_block))
    )


def correlation_length(blocks: Array, lattice: Lattice, staggered: bool) -> DerivedEstimate:
    r"""Return the second-moment correlation length.

    .. math:: \xi = \frac{1}{2\sin(\pi/L)} \sqrt{\frac{S(\mathbf Q)}{S(\mathbf Q + 2\pi/L)} - 1}

    with the smallest steps 2π/L along all axes averaged, **Q** = 0, or (π, …, π) if `staggered`.

    Parameters
    ----------
    blocks : ndarray, shape ``(B, replicas, blocks, *half_spectrum)``
    lattice : Lattice
    staggered : bool
        Of the staggered order; every L must be even.

    Returns
    -------
    DerivedEstimate
        Arrays (B,), in lattice constants (on the triangular lattice in distances of rows, √3/2).
        0 where S does not peak at **Q**.

    References
    ----------
    F. Cooper, B. Freedman, D. Preston, Nucl. Phys. B 210, 210 (1982).
    """
    lengths = np.array(lattice.shape)
    if staggered and (lengths % 2).any():
        raise InvalidInputError(
            f"staggered=True was given for {lattice.name}; accepted: even lengths, where the "
            "staggered wave vector (π, …, π) exists"
        )
    peak = lengths // 2 if staggered else np.zeros_like(lengths)

    def length(half: Array) -> Array:
        every = _all_vectors(half, lattice)
        beside = [
            every[(slice(None), *((peak + step) % lengths))]
            for step in np.eye(lengths.size, dtype=int)
        ]
        ratio = every[(slice(None), *peak)] / np.mean(beside, axis=0)
        return np.sqrt(np.maximum(ratio - 1.0, 0.0)) / (2.0 * np.sin(np.pi / lengths[0]))

    return DerivedEstimate(*jackknife(length, _by_block(blocks)))


def _by_block(blocks: Array) -> Array:
    """(B, replicas, blocks, …) to (replicas·blocks, B, …)."""
    betas, replicas, number = blocks.shape[:3]
    return np.moveaxis(blocks.reshape(betas, replicas * number, *blocks.shape[3:]), 1, 0)


def _all_vectors(half: Array, lattice: Lattice) -> Array:
    """Fill in S(−k) = S(k): (…, *half_spectrum) to (…, *shape)."""
    shape = lattice.shape
    rest = np.arange(shape[-1] // 2 + 1, shape[-1])
    if rest.size == 0:
        return half
    opposite = np.ix_(*(-np.arange(length) % length for length in shape[:-1]), shape[-1] - rest)
    index: tuple[Any, ...] = (..., *opposite)
    return np.concatenate([half, half[index]], axis=-1)
