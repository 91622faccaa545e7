r"""Structure factor, correlation function and correlation length on periodic lattices.

.. math:: S(\mathbf k) = \frac1n \Bigl\langle \Bigl| \sum_j \mathbf s_j\,
          e^{-i \mathbf k \cdot \mathbf r_j} \Bigr|^2 \Bigr\rangle, \qquad
          G(\mathbf r) = \langle \mathbf s_j \cdot \mathbf s_{j + \mathbf r} \rangle
                       = \frac1n \sum_{\mathbf k} S(\mathbf k)\, e^{i \mathbf k \cdot \mathbf r}

with **r** in steps along the axes of ``lattice.shape`` and k = 2π·(integers)/L.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn

from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError
from thermo.estimate.jackknife import jackknife
from thermo.estimate.slabs import slabs
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
        scale = float(self.lattice.n_sites)
        return MeanWithError.joined(
            part._estimate(part._blocks, "structure_factor", scale) for part in self._parts()
        )

    def correlation_function(self) -> MeanWithError:
        """Return G(r): arrays (B, \\*lattice.shape), r = index along every axis (periodic).

        Averaged over all translations; G(0) = 1. Not connected: with long-range order it tends to
        the square of the order parameter.
        """
        return MeanWithError.joined(part._correlation_function() for part in self._parts())

    def _correlation_function(self) -> MeanWithError:
        axes = tuple(range(-len(self.lattice.shape), 0))
        correlation = irfftn(self._blocks, s=self.lattice.shape, axes=axes)
        half = correlation[..., : self._blocks.shape[-1]]  # G(−r) = G(r)
        return self._estimate(half, "correlation_function", 1.0)

    def correlation_length(self, staggered: bool = False) -> MeanWithError:
        r"""Return the second-moment correlation length ξ, the root of `correlation_length_squared`.

        Where ξ² comes out negative, ξ is 0. The root is steep there, and its error σ is not the
        linear one, but so wide that ξ ± kσ holds the roots of all in ξ² ± kσ(ξ²), k = 1 … 3:

        .. math:: \sigma = \max_{1 \le k \le 3} \frac1k
                  \max\Bigl(\sqrt{\xi^2 + k\sigma(\xi^2)} - \xi,\;
                  \xi - \sqrt{\max(\xi^2 - k\sigma(\xi^2), 0)}\Bigr)

        This is σ(ξ²)/(2ξ) where ξ² is far above its error; at 1 to 3 of its errors ξ is as many of
        its own from 0.

        Parameters
        ----------
        staggered : bool
            Of the staggered order; every L must be even.

        Returns
        -------
        MeanWithError
            Arrays (B,), in lattice constants (on the triangular lattice in distances of rows,
            √3/2). 0 where S does not peak at **Q**; infinite, its error NaN, in perfect order.
            ess and tau are those of ξ².

        Raises
        ------
        InvalidInputError
            `staggered` on a lattice with an odd L.

        Notes
        -----
        Never negative, and so too large on average where ξ is small: there average, compare and
        fit ξ² instead.

        References
        ----------
        F. Cooper, B. Freedman, D. Preston, Nucl. Phys. B 210, 210 (1982).
        """
        square = self.correlation_length_squared(staggered)
        length = np.sqrt(np.maximum(square.mean, 0.0))
        return MeanWithError(length, _error_of_root(length, square.error), square.ess, square.tau)

    def correlation_length_squared(self, staggered: bool = False) -> MeanWithError:
        r"""Return the square of the second-moment correlation length, with its sign.

        .. math:: \xi^2 = \frac{1}{4\sin^2(\pi/L)}
                  \left(\frac{S(\mathbf Q)}{S(\mathbf Q + 2\pi/L)} - 1\right)

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
            Arrays (B,), in squared lattice constants. By chance or in truth negative where S does
            not peak at **Q**; 0 without error where S is 0 there and beside; infinite, its error
            NaN, in perfect order.

        Raises
        ------
        InvalidInputError
            `staggered` on a lattice with an odd L.
        """
        order = int(staggered)
        if order == len(peaks(self.lattice)):
            raise InvalidInputError(
                f"staggered=True was given for {self.lattice.name}; accepted: even lengths, where "
                "the staggered wave vector (π, …, π) exists"
            )
        pairs = peak_and_beside(self._blocks, self.lattice)[..., order, :]
        pairs = np.where(pairs > 1e-24 * self.lattice.n_sites, pairs, 0.0)  # else only rounding
        scale = 4.0 * np.sin(np.pi / self.lattice.shape[0]) ** 2

        def square(pair: Array) -> Array:
            peak, beside = pair[..., 0], pair[..., 1]
            empty = (peak == 0.0) & (beside == 0.0)
            return np.where(empty, 0.0, (peak / beside - 1.0) / scale)

        with np.errstate(divide="ignore", invalid="ignore"):  # nothing beside the peak
            value, error = jackknife(square, pairs)
        mean = pairs.mean(axis=0)
        weights = np.where(mean > 0.0, [1.0, -1.0], 0.0) / np.where(mean > 0.0, mean, 1.0)
        within = self.variances.get("correlation_length")
        if within is not None:
            within = np.einsum("bi,bij,bj->b", weights, within[:, order], weights)
        relative = (weights * pairs).sum(axis=-1)
        return MeanWithError(value, error, *self._sample_size(relative, within, 1.0))

    def _parts(self) -> Iterator[SampledSpectrum]:
        """The same of a few β each: what is made on the way would fill the memory."""
        for of in slabs(self.blocks.shape):
            variances = {name: values[of] for name, values in self.variances.items()}
            yield replace(self, blocks=self.blocks[of], variances=variances)

    @cached_property
    def _blocks(self) -> Array:
        """(B, replicas, blocks, …) as (replicas·blocks, B, …)."""
        betas, replicas, number = self.blocks.shape[:3]
        joined = self.blocks.reshape(betas, replicas * number, *self.blocks.shape[3:])
        return np.moveaxis(joined, 1, 0)

    def _estimate(self, blocks: Array, name: str, scale: float) -> MeanWithError:
        """Return means of (K, B, half of all vectors) at all vectors."""
        mean, within = blocks.mean(axis=0), self.variances.get(name)
        error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))  # a mean needs no jackknife
        rounding = 1e-13 * scale
        constant = (blocks.var(axis=0) if within is None else within + error**2) <= rounding**2
        whole = constant & (np.abs(mean - np.rint(mean)) <= rounding)  # such as G(0) = 1
        mean, error = np.where(whole, np.rint(mean), mean), np.where(constant, 0.0, error)
        halves = (mean, error, *self._sample_size(blocks, within, scale))
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


def _error_of_root(root: Array, error: Array) -> Array:
    """Return the error of √x from that of x; see `SampledSpectrum.correlation_length`.

    Upwards √(x + kσ) − √x is widest, divided by k, at k = 1, and downwards √x − √(x − kσ) where it
    reaches √x, at k = x/σ, or at the nearest end of the range.
    """
    square = root**2
    with np.errstate(invalid="ignore"):  # perfect order: infinite, without a known error
        reach = np.clip(square / np.where(error > 0.0, error, 1.0), 1.0, 3.0)
        below = (root - np.sqrt(np.maximum(square - reach * error, 0.0))) / reach
        return np.maximum(np.sqrt(square + error) - root, below)


def _all_vectors(half: Array, lattice: Lattice) -> Array:
    """Fill in f(−k) = f(k): (…, *half_spectrum) to (…, *shape)."""
    shape = lattice.shape
    rest = np.arange(shape[-1] // 2 + 1, shape[-1])
    if rest.size == 0:
        return half
    opposite = np.ix_(*(-np.arange(length) % length for length in shape[:-1]), shape[-1] - rest)
    index: tuple[Any, ...] = (..., *opposite)
    return np.concatenate([half, half[index]], axis=-1)
