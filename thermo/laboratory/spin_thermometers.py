r"""Two thermometers in one spin lattice: what a demon has, and where the spins point.

A spin whose neighbours exert the local field :math:`\varepsilon = J \sum s_j + h` has the energies
∓ε. In equilibrium each of these two-level systems has the same β,

.. math:: \ln \frac{n_\uparrow(\varepsilon)}{n_\downarrow(\varepsilon)} = 2 \beta \varepsilon,

a straight line through the origin over all classes of spins. The β fitted to it is the one at which
two-level systems of these fields have the energy that was found (`thermo.thermometry.solve_beta`),
which is the maximum of Besag's pseudo-likelihood. Where the spins are not in equilibrium with one
another the line may miss the origin; then :math:`2 (\beta_h h + \beta_J J \sum s_j)` has one
temperature in the field and another in the couplings.

J. Besag, J. R. Stat. Soc. B 36, 192 (1974); M. Creutz, Phys. Rev. Lett. 50, 1411 (1983), for the
demon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thermo.canonical import canonical
from thermo.estimate.purse import demon_levels
from thermo.thermometry import matching_beta, solve_beta

__all__ = ["Reading", "read_demon", "read_field_and_couplings", "read_populations"]

FloatArray = NDArray[np.float64]

_MOST_STEPS = 100  # of Newton's method, which takes five where there is something to find
_LARGEST_STEP = 1.0  # of 2βε/2, so that it does not overshoot


@dataclass(frozen=True, eq=False)
class Reading:
    """An inverse temperature at each time, and what each replica has to say about it.

    Attributes
    ----------
    beta : ndarray, shape (times,)
        Of all replicas together; nan where there is none.
    by_replica : ndarray, shape (replicas, times)
        β as this replica pulls it, to first order: their mean is `beta`, and they scatter about it
        independently. What is derived from β is jackknifed over them.
    """

    beta: FloatArray
    by_replica: FloatArray

    @property
    def error(self) -> FloatArray:
        """Standard error at each time, from the scatter of the replicas; shape (times,)."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                np.std(self.by_replica, axis=0, ddof=1) / np.sqrt(len(self.by_replica))
            )


def read_demon(purse: FloatArray, demon_maximum: float, spacing: float | None) -> Reading:
    """Return the β at which a demon would have what these demons have on average.

    Parameters
    ----------
    purse : ndarray, shape (replicas, times)
        Energies of the demons.
    demon_maximum : float
    spacing : float or None
        Of their levels; None for a continuum.

    Returns
    -------
    Reading
        ±inf where all demons have nothing, or all they can hold.

    Examples
    --------
    >>> read_demon(np.array([[1.0, 4.0], [3.0, 4.0]]), 4.0, 2.0).beta
    array([  0., -inf])
    """
    levels = demon_levels(demon_maximum, spacing)
    mean = np.clip(purse.mean(axis=0), levels.minimum, levels.maximum)
    beta = matching_beta(levels, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = -(purse - mean) / canonical(levels, beta).energy_variance
    return Reading(beta, beta + pull)


def read_populations(counts: NDArray[Any], fields: FloatArray) -> Reading:
    """Return the β that fits the spins of all local fields at once.

    Parameters
    ----------
    counts : ndarray, shape (replicas, times, C, 2)
        Spins up and spins down in each class.
    fields : ndarray, shape (C,)
        The local field ε of each class.

    Returns
    -------
    Reading

    Examples
    --------
    Two fields, 1 and 2, at β = −0.5:

    >>> up = 1e6 / (1.0 + np.exp(-2 * -0.5 * np.array([1.0, 2.0])))
    >>> counts = np.stack([up, 1e6 - up], axis=-1)
    >>> read_populations(counts[None, None], np.array([1.0, 2.0])).beta.round(9)
    array([-0.5])
    """
    number, excess = counts.sum(axis=-1), counts[..., 0] - counts[..., 1]
    n, m = number.mean(axis=0), excess.mean(axis=0)
    beta = np.array([_one_beta(*at_time, fields) for at_time in zip(n, m, strict=True)])
    tanh = _tanh(beta[:, None] * fields)
    with np.errstate(divide="ignore", invalid="ignore"):
        curvature = (n * (1.0 - tanh**2)) @ fields**2
        pull = ((excess - number * tanh) @ fields) / curvature
    return Reading(beta, beta + pull)


def read_field_and_couplings(
    counts: NDArray[Any], sums: NDArray[Any], coupling: float, field: float
) -> tuple[Reading, Reading]:
    """Return the temperature of the spins in the field, and that of their couplings.

    Parameters
    ----------
    counts : ndarray, shape (replicas, times, C, 2)
        Spins up and spins down in each class.
    sums : ndarray, shape (C,)
        Σ s over the neighbours, of each class.
    coupling, field : float
        J and h.

    Returns
    -------
    Reading, Reading
        β_h and β_J; nan where only one class is populated or nothing is coupled.

    Examples
    --------
    Just after the field was reversed:

    >>> sums = np.array([-2.0, 0.0, 2.0])
    >>> up = 1e6 / (1.0 + np.exp(-2 * (-0.5 * 1.0 + 0.5 * 0.2 * sums)))
    >>> counts = np.stack([up, 1e6 - up], axis=-1)[None, None]
    >>> [one.beta.round(9).tolist() for one in read_field_and_couplings(counts, sums, 0.2, 1.0)]
    [[-0.5], [0.5]]
    """
    number, excess = counts.sum(axis=-1), counts[..., 0] - counts[..., 1]
    n, m = number.mean(axis=0), excess.mean(axis=0)
    directions = np.stack([np.full(len(sums), field), coupling * sums], axis=-1)  # (C, 2)
    beta = np.array([_two_betas(*at_time, directions) for at_time in zip(n, m, strict=True)])
    tanh = np.tanh(beta @ directions.T)
    pull = np.full((*number.shape[:2], 2), np.nan)
    for time in np.flatnonzero(np.isfinite(beta).all(axis=1)):
        curvature = _curvature(n[time], tanh[time], directions)
        score = (excess[:, time] - number[:, time] * tanh[time]) @ directions
        pull[:, time] = np.linalg.solve(curvature, score.T).T
    return tuple(Reading(beta[:, k], beta[:, k] + pull[..., k]) for k in (0, 1))  # type: ignore[return-value]


def _tanh(x: FloatArray) -> FloatArray:
    """tanh, with 0 for ∞·0: a spin without a local field points anywhere at any β."""
    return np.tanh(np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf))


def _one_beta(number: FloatArray, excess: FloatArray, fields: FloatArray) -> float:
    """β at which Σ n ε tanh(βε) = Σ m ε."""
    most = float(number @ np.abs(fields))
    if most == 0.0:
        return float("nan")
    ends = (-most, most)
    return solve_beta(
        lambda beta: -float((number * np.tanh(beta * fields)) @ fields),
        min(max(-float(excess @ fields), ends[0]), ends[1]),
        ends,
    )


def _two_betas(number: FloatArray, excess: FloatArray, directions: FloatArray) -> FloatArray:
    """β_h and β_J at which Σ n x tanh(β·x) = Σ m x, x being (h, J Σ s), by Newton's method."""
    there = number > 0.0
    beta, nothing = np.zeros(2), np.full(2, np.nan)
    if np.linalg.matrix_rank(directions[there]) < 2:
        return nothing
    for _ in range(_MOST_STEPS):
        tanh = np.tanh(directions @ beta)
        curvature = _curvature(number, tanh, directions)
        if np.linalg.matrix_rank(curvature) < 2:  # all spins of a class point one way
            return nothing
        step = np.linalg.solve(curvature, (excess - number * tanh) @ directions)
        longest = float(np.abs(directions[there] @ step).max())
        beta = beta + step * min(1.0, _LARGEST_STEP / max(longest, 1e-300))
        if longest < 1e-12:
            return beta
    return nothing


def _curvature(number: FloatArray, tanh: FloatArray, directions: FloatArray) -> FloatArray:
    return np.asarray((directions.T * (number * (1.0 - tanh**2))) @ directions)
