"""The Fourier transform of configurations, and what a batch keeps of it: sums, not every one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, rfftn

from thermo.errors import InvalidInputError
from thermo.lattice import Lattice
from thermo.models.spin_model import SpinModel
from thermo.run.order_parameter import spin_vectors

__all__ = [
    "SCRATCH_NUMBERS",
    "SpectrumMoments",
    "check_periodic",
    "half_spectrum",
    "peak_and_beside",
    "peaks",
    "power",
]

Array = NDArray[np.float64]

SCRATCH_NUMBERS = 2**17  # float64 numbers transformed at once: what an inner cache holds


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
            "cell (chain, square, king, triangular, cubic, fcc), where wave vectors are defined"
        )


def half_spectrum(lattice: Lattice) -> tuple[int, ...]:
    """Return the shape of the wave vectors kept: S(−k) = S(k) gives the others."""
    return (*lattice.shape[:-1], lattice.shape[-1] // 2 + 1)


def power(model: SpinModel, spins: NDArray) -> Array:
    """Return |Σ_j s_j e^{−ik·r_j}|²/n of each configuration.

    Parameters
    ----------
    model : SpinModel
    spins : ndarray, shape (chains, n) or (chains, n, d)

    Returns
    -------
    ndarray, shape (chains, *half_spectrum)
    """
    lattice = model.lattice
    total = np.zeros((len(spins), *half_spectrum(lattice)))
    axes = tuple(range(1, total.ndim))
    for component in np.moveaxis(spin_vectors(model, spins), -1, 0):
        transform = rfftn(component.reshape(-1, *lattice.shape), axes=axes)
        total += transform.real**2 + transform.imag**2
    return total / lattice.n_sites


def peaks(lattice: Lattice) -> list[NDArray[np.intp]]:
    """Return the wave vectors, in units of 2π/L, of the orders whose ξ is measured.

    Q = 0 and, if every L is even, the staggered (π, …, π).
    """
    lengths = np.array(lattice.shape)
    uniform = np.zeros_like(lengths)
    return [uniform] if (lengths % 2).any() else [uniform, lengths // 2]


def peak_and_beside(half: Array, lattice: Lattice) -> Array:
    """Return S(Q), and S(Q + 2π/L) averaged over the axes, for each of `peaks`.

    Parameters
    ----------
    half : ndarray, shape (…, *half_spectrum)
    lattice : Lattice

    Returns
    -------
    ndarray, shape (…, peaks, 2)
    """
    lengths = np.array(lattice.shape)

    def at(vector: NDArray[np.intp]) -> Array:
        vector = vector % lengths
        if vector[-1] >= half.shape[-1]:
            vector = -vector % lengths
        return half[(..., *vector)]

    steps = np.eye(lengths.size, dtype=int)
    pairs = [[at(q), np.mean([at(q + step) for step in steps], axis=0)] for q in peaks(lattice)]
    return np.moveaxis(np.array(pairs), (0, 1), (-2, -1))


class SpectrumMoments:
    """Means of blocks of measurements of S(k), and variances within them, of each chain.

    With m the mean of the p measurements that a block has so far, the next one, x, moves m by
    (x − m)/(p + 1) and the sum of squared deviations by p/(p + 1)·(x − m)², which never cancels
    (B. P. Welford, Technometrics 4, 419 (1962)).

    Parameters
    ----------
    model : SpinModel
    chains, blocks : int
    length : int
        Measurements in a block.

    Attributes
    ----------
    arrays : dict of str to ndarray
        All that changes. ``"blocks"``, shape (chains, blocks, *half_spectrum): means of S(k).
        Variances within the blocks, averaged over them: ``"structure_factor"`` of S(k) and
        ``"correlation_function"`` of G(r), shape (chains, *half_spectrum);
        ``"correlation_length"``, the covariances of `peak_and_beside`, (chains, peaks, 2, 2).
    """

    def __init__(self, model: SpinModel, chains: int, blocks: int, length: int) -> None:
        self.model, self.blocks, self.length = model, blocks, length
        half = half_spectrum(model.lattice)
        self.arrays: dict[str, Array] = {
            "blocks": np.zeros((chains, blocks, *half)),
            "structure_factor": np.zeros((chains, *half)),
            "correlation_function": np.zeros((chains, *half)),
            "correlation_length": np.zeros((chains, len(peaks(model.lattice)), 2, 2)),
        }

    def add(self, spins: NDArray, number: int) -> None:
        """Measure configurations (chains, n[, d]), after `number` measurements before these."""
        step = max(1, SCRATCH_NUMBERS // self.model.lattice.n_sites)
        for start in range(0, len(spins), step):
            chains = slice(start, start + step)
            self._add(power(self.model, spins[chains]), chains, *divmod(number, self.length))

    def _add(self, measured: Array, chains: slice, block: int, place: int) -> None:
        arrays, lattice = self.arrays, self.model.lattice
        deviation = measured - arrays["blocks"][chains, block]
        arrays["blocks"][chains, block] += deviation / (place + 1)
        if place == 0:
            return
        share = place / (place + 1) / (self.blocks * self.length)
        arrays["structure_factor"][chains] += share * deviation**2
        axes = tuple(range(1, deviation.ndim))
        correlation = irfftn(deviation, s=lattice.shape, axes=axes)  # of G(r), which is linear in S
        half = correlation[..., : deviation.shape[-1]]  # G(−r) = G(r)
        arrays["correlation_function"][chains] += share * half**2
        pair = peak_and_beside(deviation, lattice)
        arrays["correlation_length"][chains] += share * pair[..., :, None] * pair[..., None, :]
