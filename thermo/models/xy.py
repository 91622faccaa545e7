"""The XY model on any graph."""

from __future__ import annotations

from thermo.models.vector import VectorModel

__all__ = ["XY"]


class XY(VectorModel):
    r"""Unit vectors in a plane on the sites of a lattice (planar rotators).

    .. math:: H = -\sum_{\langle ij \rangle} J_{ij}\, \mathbf S_i \cdot \mathbf S_j
                  - \sum_i \mathbf h_i \cdot \mathbf S_i

    Its energy is bounded on both sides, so that β of either sign has an equilibrium (rotators with
    kinetic energy have none at β ≤ 0).

    Parameters
    ----------
    lattice : Lattice
        From `thermo.lattice`; n sites, M bonds.
    coupling : float, array_like of shape (M,), or symmetric sparse matrix of shape (n, n)
        J, as for `thermo.Ising`.
    field : float, or array_like of shape (n,) or (n, 2)
        h: along x, one for all spins or one for each; or a vector for each.

    Raises
    ------
    InvalidInputError
        Not a `Lattice`; couplings or fields of other shapes.

    References
    ----------
    J. M. Kosterlitz, D. J. Thouless, J. Phys. C 6, 1181 (1973).

    Examples
    --------
    >>> import numpy as np
    >>> from thermo.lattice import chain
    >>> angle = np.pi / 2 * np.arange(4)
    >>> spins = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    >>> abs(XY(chain(4)).energy(spins).round(9))
    np.float64(0.0)
    """

    components = 2
    axis = 0
