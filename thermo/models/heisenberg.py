"""The classical Heisenberg model on any graph."""

from __future__ import annotations

from thermo.models.vector import VectorModel

__all__ = ["Heisenberg"]


class Heisenberg(VectorModel):
    r"""Unit vectors in space on the sites of a lattice.

    .. math:: H = -\sum_{\langle ij \rangle} J_{ij}\, \mathbf S_i \cdot \mathbf S_j
                  - \sum_i \mathbf h_i \cdot \mathbf S_i

    Parameters
    ----------
    lattice : Lattice
        From `thermo.lattice`; n sites, M bonds.
    coupling : float, array_like of shape (M,), or symmetric sparse matrix of shape (n, n)
        J, as for `thermo.Ising`.
    field : float, or array_like of shape (n,) or (n, 3)
        h: along z, one for all spins or one for each; or a vector for each.

    Raises
    ------
    InvalidInputError
        Not a `Lattice`; couplings or fields of other shapes.

    References
    ----------
    M. E. Fisher, Am. J. Phys. 32, 343 (1964) (the open chain, exactly).

    Examples
    --------
    >>> from thermo.lattice import cubic
    >>> model = Heisenberg(cubic(4), field=0.5)
    >>> model.energy_bounds
    (-224.0, 224.0)
    >>> model.energy(model.ordered_states(1))
    array([-224.])
    """

    components = 3
    axis = 2
