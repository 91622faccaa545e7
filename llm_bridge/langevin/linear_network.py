"""Linear networks of several layers: the simplest losses whose minima are not points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llm_bridge.langevin.loss import Array, Loss
from thermo.arguments import whole_number
from thermo.errors import InvalidInputError

__all__ = ["LinearNetwork"]


class LinearNetwork(Loss):
    r"""Expected squared error of a linear network above that of its teacher.

    .. math:: L(W_1, \dots, W_K) = \tfrac12 \lVert W_K \cdots W_1 - W^* \rVert^2

    which is :math:`\tfrac12\mathbb E\,|\hat y - W^* x|^2` for inputs x of unit covariance. The
    teacher W* has ones on the first `rank` places of its diagonal and zeros elsewhere: the learning
    coefficient depends on nothing else. Two layers are reduced-rank regression; widths (1, 1, 1)
    are :math:`\tfrac12 w_1^2 w_2^2`.

    Parameters
    ----------
    widths : sequence of int
        Number of inputs, hidden units of each layer, outputs: K + 1 numbers of at least 1.
    rank : int
        Of the teacher, at most the smallest width.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> network = LinearNetwork([1, 1, 1])
    >>> network.value_and_gradient(np.array([[2.0, 3.0]]))
    (array([18.]), array([[18., 12.]]))
    """

    minimum = 0.0

    def __init__(self, widths: Sequence[int], rank: int = 0) -> None:
        self.widths = tuple(whole_number(width, "a width", 1) for width in widths)
        if len(self.widths) < 2:
            raise InvalidInputError(
                f"widths = {tuple(widths)} was given; accepted: at least two, inputs and outputs"
            )
        self.rank = whole_number(rank, "rank", 0, most=min(self.widths))
        self._shapes = list(zip(self.widths[1:], self.widths[:-1], strict=True))
        self._ends = np.cumsum([rows * columns for rows, columns in self._shapes])
        self.dimension = int(self._ends[-1])
        self._teacher = _unit(self.widths[-1], self.widths[0], self.rank)

    def __repr__(self) -> str:
        return f"LinearNetwork({list(self.widths)}, rank={self.rank})"

    def centre(self) -> Array:
        """Return the most singular minimum, (d,): every layer of the rank of the teacher."""
        layers = [_unit(rows, columns, self.rank) for rows, columns in self._shapes]
        return np.concatenate([layer.ravel() for layer in layers])

    def value_and_gradient(
        self, weights: Array, rows: NDArray[np.intp] | None = None
    ) -> tuple[Array, Array]:
        layers, below = self._products(weights)
        residual = below[-1] - self._teacher
        value = 0.5 * np.sum(residual**2, axis=(-2, -1))
        parts = []
        above = residual  # (W_K ⋯ W_{k+1})ᵀ of the residual
        for k in range(len(layers) - 1, -1, -1):
            part = above if k == 0 else above @ _transposed(below[k - 1])
            parts.append(part.reshape(len(weights), -1))
            if k:
                above = _transposed(layers[k]) @ above
        return value, np.concatenate(parts[::-1], axis=1)

    def laplacian(self, weights: Array) -> Array:
        # The product is linear in every single weight, so that ∂²L/∂w² = |∂(W_K ⋯ W_1)/∂w|².
        layers, below = self._products(weights)
        total = np.zeros(len(weights))
        above: Array = np.eye(self.widths[-1])[None]
        for k in range(len(layers) - 1, -1, -1):
            left = np.sum(above**2, axis=(-2, -1))
            right = np.sum(below[k - 1] ** 2, axis=(-2, -1)) if k else float(self.widths[0])
            total += left * right
            above = above @ layers[k]
        return total

    def _products(self, weights: Array) -> tuple[list[Array], list[Array]]:
        """Layers (chain, out, in), and the products W_k ⋯ W_1 for k = 1 … K."""
        parts = np.split(weights, self._ends[:-1], axis=1)
        layers = [w.reshape(-1, *shape) for w, shape in zip(parts, self._shapes, strict=True)]
        below = [layers[0]]
        for layer in layers[1:]:
            below.append(layer @ below[-1])
        return layers, below


def _unit(rows: int, columns: int, rank: int) -> Array:
    matrix = np.zeros((rows, columns))
    matrix[range(rank), range(rank)] = 1.0
    return matrix


def _transposed(matrices: Array) -> Array:
    return np.swapaxes(matrices, -2, -1)
