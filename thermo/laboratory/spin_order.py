"""How a spin lattice is ordered at each β, uniformly or in a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thermo.estimate.jackknife import jackknife
from thermo.run.result import Run

__all__ = ["SpinOrder", "spin_order"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SpinOrder:
    r"""Order and response of one lattice at both signs of β.

    Attributes
    ----------
    beta : ndarray, shape (B,)
    uniform, uniform_error : ndarray, shape (B,)
        Root mean square of the magnetisation per spin: 1 for all parallel, n^(−½) without order.
    pattern, pattern_error : ndarray, shape (B,)
        The same of the antiferromagnetic pattern.
    energy, energy_error : ndarray, shape (B,)
        E per spin.
    susceptibility, susceptibility_error : ndarray, shape (B,)
        χ per spin, of the sign of β: what it takes up from a slowly alternating field it gives
        away at β < 0.
    """

    beta: FloatArray
    uniform: FloatArray
    uniform_error: FloatArray
    pattern: FloatArray
    pattern_error: FloatArray
    energy: FloatArray
    energy_error: FloatArray
    susceptibility: FloatArray
    susceptibility_error: FloatArray


def spin_order(run: Run, wave_vectors: Sequence[tuple[int, ...]]) -> SpinOrder:
    r"""Read the order from a run that measured its structure factor.

    .. math:: m^2 = \frac{S(0)}{n}, \qquad
              \psi^2 = \sum_{\mathbf Q} \frac{S(\mathbf Q)}{n}

    Parameters
    ----------
    run : Run
        Of `simulate` with ``structure_factor_every``, on a periodic lattice.
    wave_vectors : sequence of tuple of int
        The **Q** of the pattern, as indices along the axes of ``lattice.shape``, 0 … L/2.

    Returns
    -------
    SpinOrder
    """
    n = run.model.lattice.n_sites
    blocks = run.structure_factor_blocks
    assert blocks is not None
    replicas = np.moveaxis(blocks.mean(axis=2), 1, 0) / n  # (replica, B, half spectrum)

    def root(*at: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        return jackknife(np.sqrt, sum(replicas[(..., *q)] for q in at))

    zero = (0,) * len(run.model.lattice.shape)
    return SpinOrder(
        run.beta,
        *root(zero),
        *root(*wave_vectors),
        run.energy.mean / n,
        run.energy.error / n,
        run.susceptibility.mean / n,
        run.susceptibility.error / n,
    )
