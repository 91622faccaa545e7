"""The order parameter of each model: its spins as unit vectors, and what the field pulls at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from thermo.models.clock import Clock
from thermo.models.potts import Potts
from thermo.models.spin_model import SpinModel

__all__ = [
    "field_response",
    "lengths",
    "order_components",
    "spin_vectors",
    "staggered_lengths",
]


def order_components(model: SpinModel) -> int:
    r"""Return the number of components of the order parameter, equal by symmetry without a field.

    Ising 1, Potts q − 1, clock 2 (1 for q = 2), XY 2, Heisenberg 3: in zero field
    :math:`\langle M^2\rangle = \langle |\vec M|^2\rangle/d` for each component M.
    """
    if isinstance(model, Potts):
        return model.n_states - 1
    if isinstance(model, Clock):
        return min(model.n_states - 1, 2)
    return getattr(model, "components", 1)


def field_response(model: SpinModel) -> float:
    r"""Return ∂⟨M⟩/∂h divided by β Var M.

    1 for energies −h M. A Potts model's field acts on :math:`n_0 = ((q-1)M + n)/q`: (q − 1)/q.
    """
    if isinstance(model, Potts):
        return (model.n_states - 1) / model.n_states
    return 1.0


def spin_vectors(model: SpinModel, spins: NDArray) -> NDArray[np.float64]:
    r"""Return spins as unit vectors, whose sum is the order parameter.

    Potts states point to the corners of a simplex, :math:`e_a \cdot e_b = (q\delta_{ab} - 1)/(q-1)`
    (given with q components that add up to 0); clock states are angles 2πk/q.

    Parameters
    ----------
    model : SpinModel
    spins : ndarray, shape (..., n) or (..., n, d)
        In the model's public form.

    Returns
    -------
    ndarray of float64, shape (..., n, components)
    """
    if isinstance(model, Potts):
        q = model.n_states
        return ((q * np.eye(q) - 1.0) / np.sqrt(q * (q - 1.0)))[spins]
    if isinstance(model, Clock):
        angle = 2.0 * np.pi * np.arange(model.n_states) / model.n_states
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1)[spins]
    if hasattr(model, "components"):
        return np.asarray(spins, dtype=np.float64)
    return np.asarray(spins, dtype=np.float64)[..., None]


def lengths(series: Mapping[str, NDArray], of: slice) -> NDArray[np.float64]:
    r"""Return \|M\| of every draw of some β, (B, replicas, draws), from what a run has measured."""
    if "magnetization_length" in series:
        return series["magnetization_length"][of]
    return np.abs(series["magnetization"][of])


def staggered_lengths(series: Mapping[str, NDArray], of: slice) -> NDArray[np.float64]:
    r"""Return \|M_st\| in the same way; KeyError where it was not measured."""
    if "staggered_length" in series:
        return series["staggered_length"][of]
    return np.abs(series["staggered_magnetization"][of])
