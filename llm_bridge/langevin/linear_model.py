"""Models with one layer of weights: linear and logistic regression, and a loss with a ceiling."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from llm_bridge.langevin.loss import Array, Loss
from thermo.arguments import as_real, one_of
from thermo.errors import InvalidInputError

__all__ = ["LinearModel"]


class _PerSample(NamedTuple):
    """Loss of one sample against the output z, with its first two derivatives by z."""

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: Callable[[Array, Array], Array]
    bounded_above: bool = False


def _error_slope(z: Array, y: Array) -> Array:
    wrong = expit(-y * z)
    return -y * wrong * (1.0 - wrong)


def _error_curvature(z: Array, y: Array) -> Array:
    wrong = expit(-y * z)
    return wrong * (1.0 - wrong) * (1.0 - 2.0 * wrong)


_LOSSES = {
    "squared": _PerSample(
        lambda z, y: 0.5 * (z - y) ** 2, lambda z, y: z - y, lambda z, y: np.ones_like(z)
    ),
    "logistic": _PerSample(
        lambda z, y: np.logaddexp(0.0, -y * z),
        lambda z, y: -y * expit(-y * z),
        lambda z, y: expit(z) * expit(-z),
    ),
    "error rate": _PerSample(
        lambda z, y: expit(-y * z), _error_slope, _error_curvature, bounded_above=True
    ),
}


class LinearModel(Loss):
    r"""Outputs :math:`z_i = w\cdot x_i` with the mean loss :math:`L = \frac1n\sum_i\ell(z_i, y_i)`.

    ============== =========================================== ===========================
    loss           :math:`\ell(z, y)`
    ============== =========================================== ===========================
    "squared"      :math:`\tfrac12 (z - y)^2`                  linear regression, unit noise
    "logistic"     :math:`\ln(1 + e^{-yz})`, y = ±1            logistic regression
    "error rate"   :math:`1/(1 + e^{yz})`, y = ±1              wrong answers when one is drawn
    ============== =========================================== ===========================

    The last one lies between 0 and 1. It is bounded above, so that weights have equilibria at β of
    either sign: at β < 0 they seek mistakes.

    Parameters
    ----------
    inputs : array_like, shape (n, d)
    targets : array_like, shape (n,)
    loss : str

    Raises
    ------
    InvalidInputError
        Shapes that do not fit, labels other than ±1, numbers that are not finite.

    Examples
    --------
    >>> model = LinearModel([[1.0], [1.0]], [1.0, -1.0], loss="logistic")
    >>> model.value(np.array([[0.0]])).round(4)
    array([0.6931])
    """

    def __init__(self, inputs: ArrayLike, targets: ArrayLike, loss: str = "squared") -> None:
        self.inputs, self.targets = as_real(inputs, "inputs"), as_real(targets, "targets")
        if self.inputs.ndim != 2 or not self.inputs.size:
            raise InvalidInputError(f"inputs has shape {self.inputs.shape}; accepted: (n, d)")
        if self.targets.shape != self.inputs.shape[:1]:
            raise InvalidInputError(
                f"targets has shape {self.targets.shape}; accepted: ({len(self.inputs)},), one "
                "for each row of inputs"
            )
        if not (np.isfinite(self.inputs).all() and np.isfinite(self.targets).all()):
            raise InvalidInputError("inputs and targets hold NaN or infinity; accepted: finite")
        self.loss = one_of(loss, "loss", tuple(_LOSSES))
        if loss != "squared" and not np.isin(self.targets, (-1.0, 1.0)).all():
            raise InvalidInputError(f"targets of a loss {loss!r} are labels: accepted: 1 and −1")
        self._per_sample = _LOSSES[loss]
        self.bounded_above = self._per_sample.bounded_above
        self.samples, self.dimension = self.inputs.shape

    def __repr__(self) -> str:
        return f"LinearModel of {self.dimension} weights, loss {self.loss!r}"

    @property
    def hessian(self) -> Array:
        """H = XᵀX/n of the squared loss, (d, d); other losses have none that is constant."""
        if self.loss != "squared":
            raise InvalidInputError(f"the loss {self.loss!r} has no constant Hessian")
        return self.inputs.T @ self.inputs / len(self.inputs)

    def value_and_gradient(
        self, weights: Array, rows: NDArray[np.intp] | None = None
    ) -> tuple[Array, Array]:
        if rows is None:
            z = weights @ self.inputs.T
            slope = self._per_sample.slope(z, self.targets)
            value = self._per_sample.value(z, self.targets)
            return value.mean(axis=-1), slope @ self.inputs / z.shape[-1]
        inputs, targets = self.inputs[rows], self.targets[rows]  # (chain, batch, d), (chain, batch)
        z = np.matmul(inputs, weights[:, :, None])[..., 0]
        slope = self._per_sample.slope(z, targets)
        gradient = np.matmul(slope[:, None, :], inputs)[:, 0] / z.shape[-1]
        return self._per_sample.value(z, targets).mean(axis=-1), gradient

    def laplacian(self, weights: Array) -> Array:
        curvature = self._per_sample.curvature(weights @ self.inputs.T, self.targets)
        return curvature @ np.sum(self.inputs**2, axis=1) / len(self.inputs)
