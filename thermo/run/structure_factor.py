r"""Structure factor, correlation function and correlation length on periodic lattices.

.. math:: S(\mathbf k) = \frac1n \Bigl\langle \Bigl| \sum_j \mathbf s_j\,
          e^{-i \mathbf k \cdot \mathbf r_j} \Bigr|^2 \Bigr\rangle, \qquad
          G(\mathbf r) = \langle \mathbf s_j \cdot \mathbf s_{j + \mathbf r} \rangle
                       = \frac1n \sum_{\mathbf k} S(\mathbf k)\, e^{i \mathbf k \cdot \mathbf r}

with **r** in steps along the axes of ``lattice.shape`` and k = 2π·(integers)/L.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn

from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError
from thermo.estimate.jackknife import jackknife
from thermo.lattice import Lattice
from thermo.run.power_spectrum import peak_and_beside, peaks

__all__ = ["SampledSpectrum"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SampledSpectrum:
    r"""S(k) as a run has sampled it, and what follows from it.

    Errors come from the spread of K blocks: the chains, or parts of chains if there are fewer than
    32. Of σ², the variance of a single measurement, ``.ess`` = σ²/error² and ``.tau`` = N/(2 ess)
    measurements (½ for independent ones), N being their number. This is what they are everywhere,
    but series are not kept here, so that tau comes from the error and not the error from tau: both
    are as uncertain as a variance of K numbers, by √(2/(K − 1)) (a quarter for K = 32), and where
    parts of chains are shorter than some tau, errors are too small and ess is too large.

    Parameters
    ----------
    lattice : Lattice
    blocks : ndarray, shape (B, replicas, blocks, half spectrum)
        Means of `power_spectrum.power` over blocks of the same length.
    variances : mapping of str to ndarray, shape (B, …)
        Within the blocks, as in `power_spectrum.SpectrumMoments` but averaged over the replicas.
        Without them, as in files of format 1, ess and tau are NaN.
    measurements : int
        N, in all blocks of one β together.
    """

    lattice: Lattice
    blocks: Array
    variances: Mapping[str, Array]
    measurements: int

    def structure_factor(self) -> MeanWithError:
        """Return S(k): arrays (B, \\*lattice.shape), k = 2π·index/L along every axis."""
        return self._estimate(self._blocks, "structure_factor", self.lattice.n_sites)

    def correlation_function(self) -> MeanWithError:
        """Return G(r): arrays (B, \\*lattice.shape), r = index along every axis (periodic).

        Averaged over all translations; G(0) = 1. Not connected: with long-range order it tends to
        the square of the order parameter.
        """
        axes = tuple(range(-len(self.lattice.shape), 0))
        correlation = irfftn(self._blocks, s=self.lattice.shape, axes=axes)
        half = correlation[..., : self._blocks.shape[-1]]  # G(−r) = G(r)
        return self._estimate(half, "correlation_function", 1.0)

    def correlation_length(self, staggered: bool = False) -> MeanWithError:
        r"""Return the second-moment correlation length.

        .. math:: \xi = \frac{1}{2\sin(\pi/L)}
                  \sqrt{\frac{S(\mathbf Q)}{S(\mathbf Q + 2\pi/L)} - 1}

        with the smallest steps 2π/L along all axes averaged, **Q** = 0, or (π, …, π) if
        `staggered`. The error is jackknifed; ess and tau are those of its linear part, the
        relative deviation of the one S from its mean minus that of the other.

        Parameters
        ----------
        staggered : bool
            Of the staggered order; every L must be even.

        Returns
        -------
        MeanWithError
            Arrays (B,), in lattice constants (on the triangular lattice in distances of rows,
            √3/2). 0 where S does not peak at **Q**; infinite, its error NaN, in perfect order.

        Raises
        ------
        InvalidInputError
            `staggered` on a lattice with an odd L.

        References
        ----------
        F. Cooper, B. Freedman, D. Preston, Nucl. Phys. B 210, 210 (1982).
        """
        order = int(staggered)
        if order == len(peaks(self.lattice)):
            raise InvalidInputError(
                f"staggered=True was given for {self.lattice.name}; accepted: even lengths, where "
                "the staggered wave vector (π, …, π) exists"
            )
        pairs = peak_and_beside(self._blocks, self.lattice)[..., order, :]
        pairs = np.where(pairs > 1e-24 * self.lattice.n_sites, pairs, 0.0)  # else only rounding

        def length(pair: Array) -> Array:
            excess = np.maximum(pair[..., 0] / pair[..., 1] - 1.0, 0.0)
            return np.sqrt(excess) / (2.0 * np.sin(np.pi / self.lattice.shape[0]))

        with np.errstate(divide="ignore", invalid="ignore"):  # nothing beside the peak
            value, error = jackknife(length, pairs)
        mean = pairs.mean(axis=0)
        weights = np.where(mean > 0.0, [1.0, -1.0], 0.0) / np.where(mean > 0.0, mean, 1.0)
        within = self.variances.get("correlation_length")
        if within is not None:
            within = np.einsum("bi,bij,bj->b", weights, within[:, order], weights)
        relative = (weights * pairs).sum(axis=-1)
        return MeanWithError(value, error, *self._sample_size(relative, within, 1.0))

    @cached_property
    def _blocks(self) -> Array:
        """(B, replicas, blocks, …) as (replicas·blocks, B, …)."""
        betas, replicas, number = self.blocks.shape[:3]
        joined = self.blocks.reshape(betas, replicas * number, *self.blocks.shape[3:])
        return np.moveaxis(joined, 1, 0)

    def _estimate(self, blocks: Array, name: str, scale: float) -> MeanWithError:
        """Return means of (K, B, half of all vectors) at all vectors."""
        error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))  # a mean needs no jackknife
        size = self._sample_size(blocks, self.variances.get(name), scale)
        halves = (blocks.mean(axis=0), error, *size)
        return MeanWithError(*(_all_vectors(half, self.lattice) for half in halves))

    def _sample_size(
        self, blocks: Array, within: Array | None, scale: float
    ) -> tuple[Array, Array]:
        """Return ess and tau of means over blocks (K, …) with variances (…) within them.

        What varies by rounding only, of numbers of the size `scale`, is a constant, each of whose
        measurements counts.
        """
        between = blocks.var(axis=0)
        if within is None:
            unknown = np.full_like(between, np.nan)
            return unknown, unknown
        squared_error = between / (len(blocks) - 1)
        variance = within + between + squared_error  # about the true mean, as in mean_with_error
        constant = variance <= (1e-13 * scale) ** 2
        number = float(self.measurements)
        ess = np.where(constant, number, variance / np.where(constant, 1.0, squared_error))
        return ess, number / (2.0 * ess)


def _all_vectors(half: Array, lattice: Lattice) -> Array:
    """Fill in f(−k) = f(k): (…, *half_spectrum) to (…, *shape)."""
    shape = lattice.shape
    rest = np.arange(shape[-1] // 2 + 1, shape[-1])
    if rest.size == 0:
        return half
    opposite = np.ix_(*(-np.arange(length) % length for length in shape[:-1]), shape[-1] - rest)
    index: tuple[Any, ...] = (..., *opposite)
    return np.concatenate([half, half[index]], axis=-1)
