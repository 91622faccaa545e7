"""Weights kept as 8-bit integers with a scale per row: how far a model moves when they are."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_bridge.brownian.noise import KINDS, kind_of
from llm_bridge.models import LanguageModel
from thermo.arguments import one_of, whole_number
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["QuantisedMatrix", "quantise", "quantised_model"]

_LARGEST = 127  # codes are −127 … 127: symmetric, so that −W has the codes of W with other signs


@dataclass(frozen=True, eq=False)
class QuantisedMatrix:
    r"""A matrix as integers and scales, :math:`W_{rc} \approx s_{rg}\,q_{rc}` with c in group g.

    Attributes
    ----------
    codes : torch.Tensor of int8, shape (R, C)
    scale : torch.Tensor of float32, shape (R, G)
        One per row and group of C/G neighbouring columns.
    """

    codes: Tensor
    scale: Tensor

    def dequantised(self) -> Tensor:
        """The matrix that a computation with these weights uses, float32 (R, C)."""
        rows, columns = self.codes.shape
        grouped = self.codes.reshape(rows, self.scale.shape[1], -1).float()
        return (grouped * self.scale[:, :, None]).reshape(rows, columns)


def quantise(matrix: Tensor, group: int | None = None) -> QuantisedMatrix:
    r"""Round a matrix to 8-bit integers, symmetric about zero, to nearest.

    .. math:: s = \max_c |W_{rc}| / 127, \qquad q = \mathrm{round}(W/s)

    Parameters
    ----------
    matrix : torch.Tensor of float, shape (R, C)
        Finite.
    group : int, optional
        Columns that share a scale; divides C. Default: the whole row.

    Returns
    -------
    QuantisedMatrix
        No entry is further off than half its scale.

    Raises
    ------
    InvalidInputError
        No matrix of finite numbers, or a group that does not divide its columns.

    Notes
    -----
    Not calibrated: no data decide which weights matter, as GPTQ or AWQ let them. What T. Dettmers
    et al., "LLM.int8()", NeurIPS (2022), call row-wise absmax quantisation, of the weights alone.

    Examples
    --------
    >>> import torch
    >>> quantise(torch.tensor([[1.0, -0.5, 0.1]])).codes
    tensor([[127, -64,  13]], dtype=torch.int8)
    """
    import torch

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
    scale = grouped.abs().amax(dim=2) / _LARGEST
    # A row of zeros has no scale; one is as good as any. So small that it is no normal number, the
    # quotient would round too far: such a row counts as zeros.
    tiny = scale < torch.finfo(torch.float32).tiny
    quotient = grouped / torch.where(tiny, 1.0, scale)[:, :, None]
    codes = torch.round(quotient).clamp_(-_LARGEST, _LARGEST).to(torch.int8)
    return QuantisedMatrix(codes.reshape(rows, columns), torch.where(tiny, 0.0, scale))


def quantised_model(
    model: LanguageModel,
    *,
    group: int | None = None,
    kinds: Sequence[str] = ("attention", "mlp", "head"),
) -> LanguageModel:
    """A copy of a model that computes with 8-bit weights: rounded, then float32 arithmetic.

    Parameters
    ----------
    model : LanguageModel
        Not changed.
    group : int, optional
        Columns that share a scale, `quantise`.
    kinds : sequence of str
        Which matrices, by `llm_bridge.brownian.noise.kind_of`. Norms and biases, which are no
        matrices, always stay.

    Returns
    -------
    LanguageModel

    Raises
    ------
    InvalidInputError
        A kind that does not exist, no matrix of these kinds, or a group that does not divide one.

    Notes
    -----
    Its logits are those of an engine that stores the weights in 8 bits and computes in float32. It
    saves neither memory nor time here. A head that is tied to the embedding counts as an embedding.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> rough = quantised_model(model)
    >>> bool(abs(rough.logits([1, 2, 3]) - model.logits([1, 2, 3])).max() < 1)
    True
    """
    import torch

    for kind in kinds:
        one_of(kind, "kinds", KINDS)
    module = copy.deepcopy(model.torch_module)
    chosen = [
        parameter
        for name, parameter in module.named_parameters()
        if parameter.ndim == 2 and kind_of(name) in kinds
    ]
    if not chosen:
        raise InvalidInputError(f"{model.name} has no matrices of the kinds {', '.join(kinds)}.")
    with torch.no_grad():
        for parameter in chosen:
            parameter.copy_(quantise(parameter, group).dequantised())
    return LanguageModel(module, model.tokenizer, name=f"{model.name}, 8-bit weights")
