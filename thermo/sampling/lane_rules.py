"""The tables of the lane kernels: what each of 512 lanes does at its own β."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from thermo.errors import InvalidInputError
from thermo.kernels.ising_lanes import MAX_DEGREE, Acceptance, Graph, class_count
from thermo.kernels.lanes import WORDS, bit_planes
from thermo.lattice import Lattice
from thermo.models.ising import Ising
from thermo.sampling.acceptance import ALWAYS, checked_update, flip_threshold

__all__ = ["LaneAcceptance", "lane_graph", "plain_coupling"]


def plain_coupling(model: Ising) -> tuple[float, np.ndarray]:
    """Return the coupling of the plain bonds, and which bonds are flipped: have minus that.

    The plain coupling is that of all bonds, or \\|J\\| where both signs occur.

    Parameters
    ----------
    model : Ising

    Returns
    -------
    coupling : float
    flipped : ndarray of bool, shape (M,)

    Raises
    ------
    InvalidInputError
        Couplings that differ in size, fields that differ, more than 15 neighbours.
    """
    most = int(model.lattice.degrees.max(initial=0))
    if most > MAX_DEGREE:
        raise InvalidInputError(
            f"a site of {model.lattice.name} has {most} neighbours; accepted: at most {MAX_DEGREE}"
        )
    if model.magnitude is None or not model.has_uniform_field:
        raise InvalidInputError(
            f"{model!r} has couplings of different size, or different fields; accepted here: "
            "couplings ±J of one J, and one field for all sites"
        )
    if model.has_uniform_coupling:
        return model.coupling, np.zeros(model.lattice.n_edges, dtype=bool)
    flipped = model.signs < 0
    if flipped.all():
        return -model.magnitude, ~flipped
    return model.magnitude, flipped


def lane_graph(lattice: Lattice, flipped: np.ndarray) -> Graph:
    """Return the kernel's tables of neighbours.

    Parameters
    ----------
    lattice : Lattice
    flipped : ndarray of bool, shape (M,)

    Returns
    -------
    Graph
    """
    n, degree = lattice.n_sites, max(1, int(lattice.degrees.max()))
    present = np.arange(degree) < lattice.degrees[:, None]
    neighbours = np.full((n, degree), n, dtype=np.int32)
    neighbours[present] = lattice.adjacency
    if not flipped.any():
        return Graph(neighbours, None)
    both = np.concatenate([lattice.edges, lattice.edges[:, ::-1]])
    order = np.lexsort((both[:, 1], both[:, 0]))  # as in `Lattice.adjacency`
    reverse = np.zeros((n, degree), dtype=np.int64)
    reverse[present] = -np.tile(flipped, 2)[order].astype(np.int64)
    return Graph(neighbours, reverse)


class LaneAcceptance:
    """Makes the kernel's `Acceptance` for lanes at any β, and remembers the β it has seen.

    Parameters
    ----------
    coupling, field : float
        J of the plain bonds, h.
    degrees : sequence of int
        Number of neighbours of each kind of site, all different.
    kind : ndarray of int, shape (n,)
        The kind of each site.
    update : str
        ``"metropolis"`` or ``"heat_bath"``.

    Raises
    ------
    InvalidInputError
        Another update.
    """

    def __init__(
        self, coupling: float, field: float, degrees: Sequence[int], kind: np.ndarray, update: str
    ) -> None:
        self.update = checked_update(update)
        most = max(1, *degrees)
        mirrored = len(degrees) == 1 and degrees[0] > 0 and not field
        later = np.empty((0, WORDS), dtype=np.uint64)  # up to β
        self._frame = Acceptance(
            bonds=tuple(range(most)),
            kind=None if mirrored else kind.astype(np.int32, copy=False),
            aligned=later,
            two_sided=later,
            threshold=later,
        )
        self._classes = class_count(self._frame.kind, most)
        j, h = Fraction(coupling), Fraction(field)
        # For each kind of site and number of neighbours up: ΔE of flipping an up spin, and the
        # largest |ΔE| of the site.
        self._cases = [
            (2 * (j * (2 * min(up, degree) - degree) + h), 2 * (abs(j) * degree + abs(h)))
            for degree in degrees
            for up in range(self._classes)
        ]
        # Of every β seen, in ascending order: the threshold of each case, then, as 0 or 1, whether
        # up is aligned and whether the case is two-sided, (3·cases, number of β).
        self._known = np.empty(0)
        self._table = np.empty((3 * len(self._cases), 0), dtype=np.uint64)

    def at(self, beta: np.ndarray) -> Acceptance:
        """Return the tables of 512 lanes; quickly, if all their β have been seen before.

        Parameters
        ----------
        beta : ndarray of float64, shape (512,)
            Any real numbers or ±inf.

        Returns
        -------
        Acceptance
        """
        place = self._places(beta)
        planes = bit_planes(self._table[:, place])
        threshold, aligned, two_sided = planes.reshape(3, len(self._cases), 64, WORDS)
        if self._frame.kind is None:  # class 0, no neighbour up: aligned there is down, or neither
            aligned, two_sided = ~aligned[:1, 0], np.bitwise_or.reduce(two_sided[:, 0])[None, :]
        else:
            aligned, two_sided = (self._differences(t[:, :1]) for t in (aligned, two_sided))
        return self._frame._replace(
            aligned=aligned,
            two_sided=two_sided,
            threshold=self._differences(threshold[:, ::-1]),  # highest bit first
        )

    def _differences(self, rows: np.ndarray) -> np.ndarray:
        """Arrange rows of each case, (cases, bits, WORDS), as the kernel wants those of classes.

        By kind, bit and class, and from the second class on as difference from the first.
        """
        rows = rows.reshape(-1, self._classes, *rows.shape[1:])
        rows[:, 1:] ^= rows[:, :1]
        return np.array(rows.swapaxes(1, 2), order="C").reshape(-1, WORDS)

    def _places(self, beta: np.ndarray) -> np.ndarray:
        """Find every β among the known ones, after working out those that are new."""
        order = np.argsort(beta)  # looking up in ascending order is much faster
        ascending = beta[order]
        found = np.searchsorted(self._known, ascending)
        if not self._known.size or np.any(self._known.take(found, mode="clip") != ascending):
            self._work_out(np.setdiff1d(ascending, self._known))
            found = np.searchsorted(self._known, ascending)
        place = np.empty_like(order)
        place[order] = found
        return place

    def _work_out(self, new: np.ndarray) -> None:
        """Add β to the known ones."""
        flips = [[self._flips(b, *case) for case in self._cases] for b in new.tolist()]
        columns = np.array(flips, dtype=np.uint64).transpose(2, 1, 0).reshape(-1, new.size)
        known = np.concatenate([self._known, new])
        order = np.argsort(known)
        self._known = known[order]
        self._table = np.concatenate([self._table, columns], axis=1)[:, order]

    def _flips(self, beta: float, delta: Fraction, largest: Fraction) -> tuple[int, bool, bool]:
        """Return the threshold of the dearer flip, whether it is of an up spin, and two-sidedness.

        The other flip is always accepted, or (two-sided) where the dearer one would not be.
        """
        shared = largest if self._frame.kind is None else None  # one row says what is two-sided
        up = flip_threshold(self.update, beta, delta, largest, shared)
        down = flip_threshold(self.update, beta, -delta, largest, shared)
        dearer, other = min(up, down), max(up, down)
        assert other in (ALWAYS, ALWAYS - dearer)
        return min(dearer, ALWAYS - 1), up < down, other != ALWAYS
