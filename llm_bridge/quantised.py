"""Weights kept as 8-bit or 4-bit integers, with a scale for every group of neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermo.arguments import shown, whole_number
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LARGEST_CODE", "QuantisedMatrix", "quantise"]

LARGEST_CODE = {8: 127, 4: 7}
"""Largest code by bits; the least is its negative, so that −W has the codes of W with other signs.
"""


@dataclass(frozen=True, eq=False)
class QuantisedMatrix:
    r"""A matrix as integers and scales, :math:`W_{rc} \approx s_{rg}\,q_{rc}` with c in group g.

    Attributes
    ----------
    codes : torch.Tensor of int8, shape (R, C)
        A byte each, also if of 4 bits.
    scale : torch.Tensor of float32, shape (R, G)
        One per row and group of C/G neighbouring columns: the step Δ of the weights' grid.
    bits : {8, 4}
    """

    codes: Tensor
    scale: Tensor
    bits: int = 8

    @property
    def largest(self) -> int:
        """The largest code that these bits hold."""
        return LARGEST_CODE[self.bits]

    def dequantised(self) -> Tensor:
        """The matrix that a computation with these weights uses, float32 (R, C)."""
        rows, columns = self.codes.shape
        grouped = self.codes.reshape(rows, self.scale.shape[1], -1).float()
        return (grouped * self.scale[:, :, None]).reshape(rows, columns)


def quantise(matrix: Tensor, group: int | None = None, *, bits: int = 8) -> QuantisedMatrix:
    r"""Round a matrix to integers, symmetric about zero, to nearest.

    .. math:: s = \max_c |W_{rc}| / Q, \qquad q = \mathrm{round}(W/s), \qquad Q = 2^{b-1} - 1

    Parameters
    ----------
    matrix : torch.Tensor of float, shape (R, C)
        Finite.
    group : int, optional
        Columns that share a scale; divides C. Default: the whole row.
    bits : {8, 4}
        b: codes −127 … 127 or −7 … 7.

    Returns
    -------
    QuantisedMatrix
        No entry is further off than half its scale.

    Raises
    ------
    InvalidInputError
        No matrix of finite numbers, a group that does not divide its columns, or other bits.

    Notes
    -----
    Not calibrated: no data decide which weights matter, as GPTQ or AWQ let them. What T. Dettmers
    et al., "LLM.int8()", NeurIPS (2022), call row-wise absmax quantisation, of the weights alone.
    The step is set by the largest weight of a group: for normal weights of standard deviation 1
    see :func:`llm_bridge.brownian.rounding_law.step_of_normal_weights`.

    Examples
    --------
    >>> import torch
    >>> quantise(torch.tensor([[1.0, -0.5, 0.1]])).codes
    tensor([[127, -64,  13]], dtype=torch.int8)
    >>> quantise(torch.tensor([[1.0, -0.6, 0.1]]), bits=4).codes
    tensor([[ 7, -4,  1]], dtype=torch.int8)
    """
    import torch

    if bits not in LARGEST_CODE or isinstance(bits, bool):
        raise InvalidInputError(f"bits = {shown(bits)} was given; 8 or 4 is accepted.")
    if matrix.ndim != 2 or not matrix.is_floating_point() or 0 in matrix.shape:
        raise InvalidInputError(
            f"a tensor of shape {tuple(matrix.shape)} and type {matrix.dtype} was given; a matrix "
            "of floats is accepted."
        )
    rows, columns = matrix.shape
    group = columns if group is None else whole_number(group, "group", 1)
    if columns % group:
        raise InvalidInputError(f"group = {group} was given; a divisor of {columns} is accepted.")
    grouped = matrix.detach().float().reshape(rows, -1, group)
    if not bool(torch.isfinite(grouped).all()):
        raise InvalidInputError("the matrix holds NaN or infinity; finite numbers are accepted.")
    largest = LARGEST_CODE[bits]
    scale = grouped.abs().amax(dim=2) / largest
    # A row of zeros has no scale; one is as good as any. So small that it is no normal number, the
    # quotient would round too far: such a row counts as zeros.
    tiny = scale < torch.finfo(torch.float32).tiny
    quotient = grouped / torch.where(tiny, 1.0, scale)[:, :, None]
    codes = torch.round(quotient).clamp_(-largest, largest).to(torch.int8)
    return QuantisedMatrix(codes.reshape(rows, columns), torch.where(tiny, 0.0, scale), bits)
