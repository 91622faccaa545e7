"""Population annealing: many copies of a model, resampled as β moves away from 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.sampling.batch import Batch

__all__ = ["Annealed", "anneal", "systematic_parents"]

Array = NDArray[np.float64]


class Annealed(NamedTuple):
    """What one population saw at each of S steps of β, begun at β = 0 with R members.

    Attributes
    ----------
    series : dict of str → ndarray, shape (S, R)
        Energy and the model's other observables, of every member.
    log_ratio : ndarray, shape (S,)
        Estimates of ln Z(β)/Z(0).
    family_size : ndarray, shape (S,)
        ρ_t = R Σ_f ν_f², with ν_f the fraction of members that descend from member f of the
        beginning: 1 at first, R when all have one ancestor.
    overlap : ndarray, shape (S,)
        (Σ w)²/(R Σ w²) of the weights with which a step was entered: 1 if all are alike.
    """

    series: dict[str, Array]
    log_ratio: Array
    family_size: Array
    overlap: Array


def systematic_parents(weights: ArrayLike, uniform: float) -> NDArray[np.intp]:
    """Choose R parents from R weighted members, with as little chance as possible.

    Member i has ⌊R w_i/Σw⌋ children or one more, R w_i/Σw on average.

    Parameters
    ----------
    weights : array_like, shape (R,)
        Not negative, not all 0, in any normalisation.
    uniform : float
        One random number for all, in [0, 1).

    Returns
    -------
    ndarray of int, shape (R,)
        Ascending indices of members.

    References
    ----------
    G. Kitagawa, J. Comput. Graph. Stat. 5, 1 (1996), appendix.

    Examples
    --------
    >>> systematic_parents([1.0, 0.0, 2.0, 1.0], 0.3)
    array([0, 2, 2, 3])
    """
    reach = np.cumsum(weights)
    marks = (np.arange(reach.size) + uniform) * (reach[-1] / reach.size)
    # The rounding of the last mark must not choose a member beyond the last one with weight.
    last = np.searchsorted(reach, reach[-1])
    return np.minimum(np.searchsorted(reach, marks, side="right"), last)


def anneal(
    batches: Sequence[Batch],
    beta: Array,
    sweeps: int,
    seed: np.random.SeedSequence,
    after_step: Callable[[], None] = lambda: None,
) -> Annealed:
    r"""Take a population from β = 0 through a schedule of β, of either sign.

    From β to β′ member i gets the weight :math:`w_i = e^{-(\beta' - \beta) E_i}`; the population is
    resampled by these weights and swept at β′. The mean weights multiply up to an estimate of
    Z(β′)/Z(0) without bias.

    Parameters
    ----------
    batches : sequence of Batch
        Together R chains, drawn independently at β = 0 (as batches begin).
    beta : ndarray, shape (S,)
        The schedule: 0, then away from it in one direction; finite.
    sweeps : int
        At every β, after resampling and before measuring.
    seed : numpy.random.SeedSequence
        Of the resampling; not one of the batches'.
    after_step : callable
        Called after every β.

    Returns
    -------
    Annealed

    References
    ----------
    K. Hukushima, Y. Iba, AIP Conf. Proc. 690, 200 (2003); J. Machta, Phys. Rev. E 82, 026704
    (2010).
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    borders = np.cumsum([batch.beta.size for batch in batches])
    members, steps = int(borders[-1]), len(beta)
    family = np.arange(members)
    log_ratio, family_size, overlap = np.zeros(steps), np.ones(steps), np.ones(steps)
    series: dict[str, Array] = {}
    for k in range(steps):
        if k > 0:
            exponent = -(beta[k] - beta[k - 1]) * series["energy"][k - 1]
            weights = np.exp(exponent - exponent.max())
            log_ratio[k] = log_ratio[k - 1] + exponent.max() + np.log(weights.mean())
            overlap[k] = weights.sum() ** 2 / (members * (weights**2).sum())
            parents = systematic_parents(weights, generator.random())
            spins = _children(np.concatenate([batch.spins for batch in batches]), parents)
            for batch, part in zip(batches, np.split(spins, borders[:-1]), strict=True):
                batch.spins = part
            family = family[parents]
            family_size[k] = (np.bincount(family).astype(np.float64) ** 2).sum() / members
        for batch in batches:
            batch.beta = np.full(batch.beta.size, beta[k])
        measured = [batch.record(1, sweeps) for batch in batches]
        for name in measured[0]:
            values = np.concatenate([part[name][:, 0] for part in measured])
            series.setdefault(name, np.empty((steps, members)))[k] = values
        after_step()
    return Annealed(series, log_ratio, family_size, overlap)


def _children(spins: NDArray, parents: NDArray[np.intp]) -> NDArray:
    """Return spins[parents] in the memory order of `spins`: lanes keep chains side by side."""
    if spins.flags.c_contiguous:
        return spins[parents]
    return spins.T.take(parents, axis=-1).T
