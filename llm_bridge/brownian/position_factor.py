"""The triangular factor of the covariance between positions that one noisy weight matrix causes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["JITTER", "PositionFactor", "add_products"]

JITTER = 1e-12
"""Added to the covariance, relative to its diagonal, so that repeated inputs have a factor too."""

_FLOOR = 1e-280  # and this much absolutely, for inputs that are zero
_TILE = 64  # rows at a time, so that little more than the lower triangle is computed
_SMALLEST_CAPACITY = 64


class PositionFactor:
    r"""L with :math:`LL^T = K \circ C` for the inputs read so far, one matrix per draw.

    .. math:: K_{ts} = x_t \cdot x_s, \qquad C_{ts} = \rho^{|t - s|}

    A matrix E of independent normal numbers (σ each) adds :math:`Ex_t` to the output at position t.
    Over the positions that has the covariance σ²K, or σ²K∘C where E wanders as an
    Ornstein–Uhlenbeck path, in every output alike and independently of the others. So σLZ, with Z
    one row of independent standard normals per position, has exactly the law of the noise, and no
    E is ever drawn. L is triangular: reading on adds rows and changes none.

    Parameters
    ----------
    rho : float
        Correlation of the weights at neighbouring positions, 0 < ρ ≤ 1; 1 for frozen weights. (With
        ρ = 0, fresh weights at every position, L is diagonal: the length of each input.)
    keep : bool
        Keep the inputs for further rows. False for a single call of `append`.

    Attributes
    ----------
    count : int
        Positions read so far.

    Notes
    -----
    K is summed, and L solved for, in float64, with `JITTER`: inputs that repeat, or nearly so, make
    K singular, and their noise agrees to 10⁻⁶ of its size. The rows returned are rounded to
    float32, which changes the covariance by 2·10⁻⁷ of its diagonal at the most.

    m rows after t others, of inputs of length d, take about m(t + m/2)d multiplications for K and
    m(t + m)² at the most for L. Kept are d numbers per position, of four bytes, and the square of
    the positions, of eight.

    Examples
    --------
    >>> import torch
    >>> factor = PositionFactor(1.0)
    >>> factor.append(torch.tensor([[[3.0, 4.0], [4.0, 3.0]]]), np.arange(2))
    tensor([[[5.0000, 0.0000],
             [4.8000, 1.4000]]])
    """

    def __init__(self, rho: float, *, keep: bool = True) -> None:
        self.count = 0
        self._log_rho = math.log(rho)
        self._keep = keep
        self._inputs: torch.Tensor | None = None  # (k, capacity, d), where the inputs are
        self._factor = np.empty((0, 0, 0))  # (k, capacity, capacity), on the host
        self._times = np.empty(0, dtype=np.int64)  # (capacity,)

    def append(self, inputs: torch.Tensor, times: NDArray[np.int64]) -> torch.Tensor:
        """Read on, and return the new rows of L.

        Parameters
        ----------
        inputs : torch.Tensor, shape (k, m, d)
            The next m inputs of each of the k draws; floating-point, on any device.
        times : ndarray of int, shape (m,)
            Their positions in the text, in which ρ counts.

        Returns
        -------
        torch.Tensor of float32, shape (k, m, t + m)
            On the device of ``inputs``, t positions having been read before; zeros above the
            diagonal.
        """
        import torch

        if inputs.dtype not in (torch.float32, torch.float64):
            inputs = inputs.float()  # exact, and arithmetic on halves is slow
        start, stop = self.count, self.count + inputs.shape[1]
        self._reserve(inputs, stop)
        self._times[start:stop] = times
        self.count = stop
        if stop - start == 1 and inputs.is_cpu and self._inputs is not None:
            new = np.empty((inputs.shape[0], 1, stop), dtype=np.float32)
            _append_row(
                inputs.contiguous().numpy(), self._inputs.numpy(), self._factor, self._times,
                start, self._log_rho, new,
            )  # fmt: skip
            return torch.from_numpy(new)
        known = inputs
        if self._inputs is not None:
            self._inputs[:, start:stop] = inputs
            known = self._inputs[:, :stop]
        covariance = _products(inputs, known).cpu()
        if self._log_rho:
            apart = np.abs(self._times[start:stop, None] - self._times[:stop])
            covariance *= torch.from_numpy(np.exp(self._log_rho * apart))
        return self._extend(covariance, start, stop).to(inputs.device, torch.float32)

    def fork(self, count: int) -> PositionFactor:
        """A factor of its own that has read the first ``count`` positions of this one."""
        twin = PositionFactor(math.exp(self._log_rho))
        twin.count = count
        twin._factor = self._factor[:, :count, :count].copy()
        twin._times = self._times[:count].copy()
        if self._inputs is not None:
            twin._inputs = self._inputs[:, :count].clone()
        return twin

    def _reserve(self, inputs: torch.Tensor, count: int) -> None:
        """Make room for so many positions; twice as many as before, at least, where it lacked."""
        draws, _, width = inputs.shape
        if count <= self._times.size:
            return
        capacity = count
        if self._keep:
            capacity = max(count, 2 * self._times.size, _SMALLEST_CAPACITY)
            buffer = inputs.new_empty(draws, capacity, width)
            if self._inputs is not None:
                buffer[:, : self.count] = self._inputs[:, : self.count]
            self._inputs = buffer
        factor = np.empty((draws, capacity, capacity))  # takes no memory until it is written to
        times = np.empty(capacity, dtype=np.int64)
        if self.count:
            before = slice(0, self.count)
            factor[:, before, before] = self._factor[:, before, before]
            times[before] = self._times[before]
        self._factor, self._times = factor, times

    def _extend(self, covariance: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """The rows of the factor for new rows of the covariance, (k, m, t + m), and keep them."""
        import torch

        own = torch.from_numpy(self._factor[:, start:stop, :stop])
        if stop - start == 1:
            _extend_factor(self._factor, covariance.numpy(), start)
            return own
        corner = covariance[:, :, start:]  # its upper triangle is never read
        side = covariance[:, :, :start]
        before = corner.diagonal(dim1=1, dim2=2).clone()
        diagonal = corner.diagonal(dim1=1, dim2=2)
        diagonal *= 1.0 + JITTER
        diagonal += _FLOOR
        if start:
            known = torch.from_numpy(self._factor[:, :start, :start])
            side = torch.linalg.solve_triangular(known.mT, side, upper=True, left=False)
            corner = corner - side @ side.mT
        triangle, failure = torch.linalg.cholesky_ex(corner)
        if bool(failure.any()):  # rounding made a pivot negative: the plain loop mends pivots
            diagonal.copy_(before)
            _extend_factor(self._factor, covariance.numpy(), start)
            return own
        if not self._keep:
            return triangle
        own[:, :, :start] = side
        own[:, :, start:] = triangle
        return own


def add_products(
    output: torch.Tensor, factor: torch.Tensor, normals: torch.Tensor, size: float
) -> None:
    """Add size·LZ to the output, (k, m, d), in place.

    Parameters
    ----------
    output : torch.Tensor, shape (k, m, d)
    factor : torch.Tensor of float32, shape (k, m, t + m)
        New rows of a triangular factor: zero above the diagonal, whose tiles are left out.
    normals : torch.Tensor of float32, shape (k, t + m, d)
    size : float
    """
    import torch

    if output.dtype != factor.dtype:
        noise = torch.zeros_like(output, dtype=factor.dtype)
        add_products(noise, factor, normals, size)
        output += noise
        return
    _, count, width = factor.shape
    if count <= _TILE:
        output.baddbmm_(factor, normals, alpha=size)
        return
    for first in range(0, count, _TILE):
        last = min(first + _TILE, count)
        reach = width - count + last
        rows = factor[:, first:last, :reach]
        output[:, first:last].baddbmm_(rows, normals[:, :reach], alpha=size)


def _products(new: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Products of new inputs (k, m, d) with all (k, t + m, d), in float64, up to the diagonal.

    What is above the diagonal is filled by tiles, and beyond these not at all.
    """
    import torch

    draws, count, _ = new.shape
    reach = known.shape[1]
    double = known.double()
    out = torch.empty(draws, count, reach, dtype=torch.float64, device=new.device)
    for first in range(0, count, _TILE):
        last = min(first + _TILE, count)
        stop = reach - count + last
        rows = double[:, reach - count + first : stop]
        out[:, first:last, :stop] = rows @ double[:, :stop].mT
    return out


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _dot(a: Any, b: Any) -> float:
    total = 0.0
    for i in range(a.size):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@njit(nogil=True, error_model="numpy")
def _solve_row(factor: Any, row: Any, t: int) -> None:
    """Turn row t of a covariance, in ``factor[t]``, into row t of its factor."""
    own = row[t]
    rest = (1.0 + JITTER) * own + _FLOOR
    for s in range(t):
        row[s] = (row[s] - _dot(factor[s, :s], row[:s])) / factor[s, s]
    rest -= _dot(row[:t], row[:t])
    row[t] = math.sqrt(max(rest, JITTER * own + _FLOOR))


@njit(cache=True, nogil=True, error_model="numpy")
def _extend_factor(factor: Any, covariance: Any, start: int) -> None:
    """Row by row, and with pivots that rounding cannot make negative."""
    for b in range(factor.shape[0]):
        for i in range(covariance.shape[1]):
            t = start + i
            factor[b, t, : t + 1] = covariance[b, i, : t + 1]
            factor[b, t, t + 1 : start + covariance.shape[1]] = 0.0
            _solve_row(factor[b], factor[b, t], t)


@njit(cache=True, nogil=True, error_model="numpy")
def _append_row(
    new: Any, inputs: Any, factor: Any, times: Any, t: int, log_rho: float, out: Any
) -> None:
    """Read one input of each draw, new (k, 1, d), and write its row to the factor and to out."""
    for b in range(factor.shape[0]):
        x = new[b, 0]
        inputs[b, t] = x
        row = factor[b, t]
        for s in range(t + 1):
            row[s] = _dot(inputs[b, s], x)
            if log_rho:
                row[s] *= math.exp(log_rho * abs(times[t] - times[s]))
        _solve_row(factor[b], row, t)
        for s in range(t + 1):
            out[b, 0, s] = row[s]
