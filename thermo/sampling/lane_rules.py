"""The tables of the lane kernel: what each of 512 replicas does at its own β."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import numpy as np

from thermo.errors import InvalidInputError
from thermo.kernels.ising_lanes import MATCH_ROWS, MAX_DEGREE, THRESHOLD_ROWS, Rules
from thermo.kernels.lanes import LANES, WORDS, pack
from thermo.models.ising import Ising
from thermo.sampling.acceptance import ALWAYS, flip_threshold

__all__ = ["check_degrees", "flip_energy", "lane_rules", "largest_energy"]

_ALL = np.uint64(2**64 - 1)


def check_degrees(model: Ising) -> None:
    """Refuse a site with more neighbours than the kernel's adders can count."""
    most = int(model.lattice.degrees.max(initial=0))
    if most > MAX_DEGREE:
        raise InvalidInputError(
            f"a site of {model.lattice.name} has {most} neighbours; accepted: at most {MAX_DEGREE}"
        )


def flip_energy(model: Ising, degree: int, antiparallel: int, spin: int) -> Fraction:
    """Return ΔE, exactly, of flipping `spin` when `antiparallel` of its neighbours differ."""
    bonds = Fraction(model.coupling) * (degree - 2 * antiparallel)
    return 2 * (bonds + Fraction(model.field) * spin)


def largest_energy(model: Ising, degree: int) -> Fraction:
    """Return the largest \\|ΔE\\| of a flip at a site with `degree` neighbours."""
    return 2 * (abs(Fraction(model.coupling)) * degree + abs(Fraction(model.field)))


def lane_rules(model: Ising, beta: np.ndarray, update: str) -> Rules:
    """Build the kernel's tables for 512 lanes.

    Lanes with βJ < 0 are turned into ferromagnets at \\|β\\| by calling antiparallel bonds
    satisfied; the kernel then counts unsatisfied bonds, and under Metropolis in zero field only
    flips with fewer than half of the bonds unsatisfied can be refused: two classes on the square
    lattice.

    Parameters
    ----------
    model : Ising
    beta : ndarray of float64, shape (512,)
        Any real numbers or ±inf.
    update : str
        ``"metropolis"`` or ``"heat_bath"``.

    Returns
    -------
    Rules
    """
    lattice = model.lattice
    values, lane_value = np.unique(beta, return_inverse=True)
    reverse = values * model.coupling < 0
    spins = (1, -1) if model.field else (1,)  # without a field both spins share a class

    first_class = [0]
    match: list[np.ndarray] = []
    threshold: list[np.ndarray] = []
    coin: list[np.ndarray] = []
    has_coin: list[bool] = []
    kinds, kind = np.unique(lattice.degrees, return_inverse=True)
    for degree in kinds.tolist():
        coin.append(_match_rows(MAX_DEGREE, 1))
        has_coin.append(False)
        for unsatisfied, spin in product(range(degree + 1), spins):
            if not model.field and 2 * unsatisfied == degree:  # a neutral flip in every lane
                coin[-1], has_coin[-1] = _match_rows(unsatisfied, spin), True
                continue
            limits = []
            for b, reversed_sign in zip(values.tolist(), reverse.tolist(), strict=True):
                antiparallel = degree - unsatisfied if reversed_sign else unsatisfied
                delta = flip_energy(model, degree, antiparallel, spin)
                limits.append(flip_threshold(update, b, delta, largest_energy(model, degree)))
            if any(limit < ALWAYS for limit in limits):
                match.append(_match_rows(unsatisfied, spin))
                threshold.append(_threshold_rows(limits, lane_value))
        while len(match) < first_class[-1] + 2:  # the kernel counts on two classes;
            match.append(_match_rows(MAX_DEGREE, 1))  # a site of few neighbours is never in this
            threshold.append(np.zeros((THRESHOLD_ROWS, WORDS), dtype=np.uint64))
        first_class.append(len(match))
    return Rules(
        offsets=np.array(lattice.offsets),
        neighbours=np.array(lattice.adjacency),
        kind=kind.astype(np.int32),
        first_class=np.array(first_class, dtype=np.int64),
        sign=pack(reverse[lane_value][None, :]),
        match=np.concatenate(match),
        coin=np.concatenate(coin),
        has_coin=np.array(has_coin),
        threshold=np.concatenate(threshold),
        by_spin=bool(model.field),
    )


def _match_rows(count: int, spin: int) -> np.ndarray:
    """Rows that turn the bit planes of `count` and of `spin` (up: bit 1) into all-ones."""
    bits = [(count >> b) & 1 for b in range(MATCH_ROWS - 1)] + [int(spin > 0)]
    return np.repeat(np.where(np.array(bits) == 1, np.uint64(0), _ALL)[:, None], WORDS, axis=1)


def _threshold_rows(limits: Sequence[int], lane_value: np.ndarray) -> np.ndarray:
    """Rows of one class: "always" in front, then the threshold from its highest bit."""
    whole = np.array([limit % ALWAYS for limit in limits], dtype=np.uint64)
    always = np.array([limit == ALWAYS for limit in limits])
    bits = (whole >> np.arange(63, -1, -1, dtype=np.uint64)[:, None]) & np.uint64(1)
    assert lane_value.shape == (LANES,)
    return pack(np.concatenate([always[None, :], bits == 1])[:, lane_value])
