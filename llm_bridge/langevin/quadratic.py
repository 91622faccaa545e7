"""A quadratic basin: a network near a regular minimum, and a harmonic crystal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.langevin.loss import Array, Loss
from thermo.arguments import as_real, finite_number, whole_number
from thermo.errors import InvalidInputError

__all__ = ["QuadraticLoss", "harmonic_crystal"]


class QuadraticLoss(Loss):
    r"""The basin :math:`L(w) = L_0 + \tfrac12 (w - c)^\mathsf T H (w - c)`.

    Parameters
    ----------
    hessian : array_like, shape (d, d) or (d,)
        H, symmetric with eigenvalues ≥ 0; d numbers are its diagonal.
    minimum : float
        L₀.
    at : array_like, shape (d,), optional
        c, default 0.

    Raises
    ------
    InvalidInputError
        A matrix that is not symmetric, or has a negative eigenvalue.

    Examples
    --------
    >>> loss = QuadraticLoss([1.0, 4.0])
    >>> loss.value_and_gradient(np.array([[1.0, 1.0]]))
    (array([2.5]), array([[1., 4.]]))
    """

    def __init__(self, hessian: ArrayLike, minimum: float = 0.0, at: ArrayLike | None = None):
        matrix = as_real(hessian, "hessian")
        if matrix.ndim == 1:
            matrix = np.diag(matrix)
        if matrix.ndim != 2 or not matrix.size or matrix.shape[0] != matrix.shape[1]:
            raise InvalidInputError(
                f"hessian has shape {matrix.shape}; accepted: (d, d), or (d,) for a diagonal"
            )
        if not (np.isfinite(matrix).all() and np.allclose(matrix, matrix.T, rtol=1e-12, atol=0.0)):
            raise InvalidInputError("hessian is not a symmetric matrix of finite numbers")
        self.hessian = (matrix + matrix.T) / 2
        self.curvatures: NDArray[np.float64] = np.linalg.eigvalsh(self.hessian)
        lowest, size = self.curvatures[0], float(np.abs(self.curvatures).max())
        if lowest < -1e-12 * size:
            raise InvalidInputError(
                f"hessian has the eigenvalue {lowest:g}; accepted: none below 0, or L has no "
                "minimum"
            )
        # Exact zeros come out of eigvalsh as ±1e-16: they are directions that cost nothing.
        self.curvatures[self.curvatures < 1e-12 * size] = 0.0
        self.dimension = len(matrix)
        self.minimum = finite_number(minimum, "minimum")
        self.at = np.zeros(self.dimension) if at is None else as_real(at, "at")
        if self.at.shape != (self.dimension,):
            raise InvalidInputError(f"at has shape {self.at.shape}; accepted: ({self.dimension},)")

    def __repr__(self) -> str:
        return f"QuadraticLoss of {self.dimension} weights"

    def value_and_gradient(
        self, weights: Array, rows: NDArray[np.intp] | None = None
    ) -> tuple[Array, Array]:
        away = weights - self.at
        gradient = away @ self.hessian
        return self.minimum + 0.5 * np.sum(away * gradient, axis=-1), gradient

    def laplacian(self, weights: Array) -> Array:
        return np.full(len(weights), np.trace(self.hessian))


def harmonic_crystal(atoms: int, stiffness: float = 1.0) -> QuadraticLoss:
    r"""Return the energy of a ring of atoms joined by springs.

    .. math:: U = \tfrac12 k \sum_i (u_{i+1} - u_i)^2

    Its squared frequencies are :math:`4k\sin^2(\pi q/N)`, q = 0 … N − 1. The one of q = 0 moves the
    crystal as a whole and costs nothing, so that the displacements have f = N − 1 quadratic degrees
    of freedom and heat capacity C = f/2.

    Parameters
    ----------
    atoms : int
        N ≥ 3.
    stiffness : float
        k > 0.

    Returns
    -------
    QuadraticLoss
        With U in the place of the loss and the displacements in the place of the weights.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> harmonic_crystal(4).curvatures.round(12)
    array([0., 2., 2., 4.])
    """
    n = whole_number(atoms, "atoms", 3)
    k = finite_number(stiffness, "stiffness", positive=True)
    bonds = np.roll(np.eye(n), 1, axis=1) - np.eye(n)  # u_{i+1} − u_i
    return QuadraticLoss(k * bonds.T @ bonds)
