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
        away at β < 0. In the ferromagnet the spontaneous moment is no response and is left out.
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


def spin_order(run: Run, wave_vectors: Sequence[tuple[int, ...]], curie: float) -> SpinOrder:
    r"""Read the order from a run that measured its structure factor.

    .. math:: m^2 = \frac{S(0)}{n}, \qquad
              \psi^2 = \sum_{\mathbf Q} \frac{S(\mathbf Q)}{n}, \qquad
              \chi = \beta n \begin{cases}
                  \langle m^2 \rangle & \text{no spontaneous moment} \\
                  \langle m^2 \rangle - \langle |m| \rangle^2 & \text{ferromagnet}
              \end{cases}

    Parameters
    ----------
    run : Run
        Of `simulate` with ``structure_factor_every``, on a periodic lattice.
    wave_vectors : sequence of tuple of int
        The **Q** of the pattern, as indices along the axes of ``lattice.shape``, 0 … L/2.
    curie : float
        β < 0 below which the lattice is a ferromagnet.

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

    whole, connected = run.susceptibility, run.connected_susceptibility
    ferromagnet = run.beta < curie
    zero = (0,) * len(run.model.lattice.shape)
    return SpinOrder(
        run.beta,
        *root(zero),
        *root(*wave_vectors),
        run.energy.mean / n,
        run.energy.error / n,
        np.where(ferromagnet, connected.mean, whole.mean) / n,
        np.where(ferromagnet, connected.error, whole.error) / n,
    )
