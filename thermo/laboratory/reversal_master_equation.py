"""The master equation of a lattice whose field is reversed: every probability, nothing sampled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.special import entr, gammaln

from thermo.canonical import canonical
from thermo.estimate.purse import demon_levels
from thermo.laboratory.reversal_motion import ReversalMotion, local_fields, up_probabilities
from thermo.laboratory.reversal_start import all_states, boltzmann
from thermo.laboratory.spin_thermometers import read_demon, read_populations
from thermo.models.ising import Ising
from thermo.sampling.energy_grid import energy_spacing
from thermo.thermometry import matching_beta

__all__ = ["ReversalMasterEquation", "is_small", "solve_master_equation"]

FloatArray = NDArray[np.float64]

_MOST_STATES = 2**16  # of lattice and demon
_MOST_WORK = 1e9  # states times attempts: ten seconds

_TAIL = 1e-15  # of Poisson's law, which is left out


@dataclass(frozen=True, eq=False)
class ReversalMasterEquation:
    r"""What `solve_master_equation` returns: exact averages at each time.

    Attributes
    ----------
    magnetization, energy : ndarray, shape (times,)
        Per spin, of the lattice; along the field after its reversal.
    entropy : ndarray, shape (times,)
        Gibbs, −Σ p ln p per spin of the lattice: of what the spins really do.
    equilibrium_entropy : ndarray, shape (times,)
        Per spin, of the canonical distribution with the same energy. It is never less than
        `entropy`, and more by KL(p‖canonical): by how far the spins are from internal equilibrium.
    alignment : ndarray, shape (times,)
        ⟨ε s⟩ per spin in its local field: 0 where the β of the populations is.
    purse : ndarray, shape (times,)
        Energy of the demon.
    beta_demon, beta_populations : ndarray, shape (times,)
        What the two thermometers read, being read as in the sampling.
    """

    magnetization: FloatArray
    energy: FloatArray
    entropy: FloatArray
    equilibrium_entropy: FloatArray
    alignment: FloatArray
    purse: FloatArray
    beta_demon: FloatArray
    beta_populations: FloatArray


def is_small(motion: ReversalMotion) -> bool:
    """Whether lattice and demon have few enough states to follow them all, for so long."""
    spacing, n = energy_spacing(motion.model), motion.model.lattice.n_sites
    if spacing is None or 2**n > _MOST_STATES:
        return False
    states = 2**n * len(demon_levels(motion.demon_maximum, spacing).energies)
    return states <= _MOST_STATES and states * motion.attempts <= _MOST_WORK


def solve_master_equation(motion: ReversalMotion) -> ReversalMasterEquation:
    r"""Follow the probabilities of all states of a small lattice and its demon.

    .. math:: \frac{dp}{dt} = \Lambda (P - 1)\,p, \qquad
              p(t) = \sum_k e^{-\Lambda t} \frac{(\Lambda t)^k}{k!} P^k p(0)

    where Λ = n (1 + exchange)/T₁ attempts are made in unit time and P is what one attempt does: the
    very moves of the sampling, of which there is a Poisson number (uniformization; A. Jensen 1953).
    It begins in the canonical state of lattice and demon at ``motion.beta``, all spins flipped.

    Parameters
    ----------
    motion : ReversalMotion
        Of which `is_small` is true.

    Returns
    -------
    ReversalMasterEquation
        At ``motion.times``.

    Examples
    --------
    >>> from thermo.lattice import chain
    >>> motion = ReversalMotion(
    ...     Ising(chain(4), 0.0, 1.0), 0.5, 0.5, 0.0, 4.0, np.log([1.0, 2.0, 4.0]),
    ...     spins=np.ones((1, 4), dtype=np.int8), purses=np.zeros(1))
    >>> (solve_master_equation(motion).magnetization / np.tanh(0.5)).round(9) + 0.0
    array([-1. ,  0. ,  0.5])
    """
    model, spacing = motion.model, energy_spacing(motion.model)
    assert spacing is not None, "is_small says so"
    n = model.lattice.n_sites
    spins = all_states(n)
    demon = np.asarray(demon_levels(motion.demon_maximum, spacing).energies)
    step = _one_attempt(motion, spins, spacing, len(demon))

    energies = model.energy(spins)
    p = np.multiply.outer(boltzmann(energies, motion.beta), boltzmann(demon, motion.beta))
    p = p[::-1].ravel()  # flipped: each state is the complement of another
    attempts = np.diff(motion.times, prepend=0.0) * n * (1.0 + motion.exchange)
    by_time = []
    for number in attempts:
        p = _poisson_sum(step, p, float(number))
        by_time.append(p)
    probabilities = np.array(by_time).reshape(len(by_time), 2**n, len(demon))
    lattice = probabilities.sum(axis=2)
    energy = lattice @ energies
    levels = model.levels()
    same_energy = canonical(levels, matching_beta(levels, energy))
    purse = probabilities.sum(axis=1) @ demon
    counts = np.tensordot(lattice, _class_counts(model, spins), axes=1)
    return ReversalMasterEquation(
        magnetization=lattice @ spins.sum(axis=1) * math.copysign(1.0 / n, model.field),
        energy=energy / n,
        entropy=entr(lattice).sum(axis=1) / n,
        equilibrium_entropy=same_energy.entropy / n,
        alignment=(counts[..., 0] - counts[..., 1]) @ local_fields(model) / n,
        purse=purse,
        beta_demon=read_demon(purse[None], motion.demon_maximum, spacing).beta,
        beta_populations=read_populations(counts[None], local_fields(model)).beta,
    )


def _around(model: Ising, spins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Σ s over the neighbours of every site in every state; shape of `spins`."""
    neighbours = np.split(model.lattice.adjacency, model.lattice.offsets[1:-1])
    return np.stack([spins[:, near].sum(axis=1) for near in neighbours], axis=1)


def _one_attempt(
    motion: ReversalMotion, spins: NDArray[np.int64], spacing: float, purses: int
) -> csr_array:
    """P: column by column, where one attempt leads from each state of lattice and demon."""
    model, n = motion.model, spins.shape[1]
    around = _around(model, spins)
    reach = len(local_fields(model)) // 2
    up = up_probabilities(model, motion.bath_beta)[around + reach]
    leaving = np.where(spins > 0, 1.0 - up, up)  # probability that the bath turns the spin over
    cost = 2.0 * spins * local_fields(model)[around + reach]
    quanta = np.rint(cost / spacing).astype(np.int64)
    with_bath = 1.0 / (n * (1.0 + motion.exchange))
    with_demon = motion.exchange * with_bath
    state, purse = np.indices((len(spins), purses))
    here = state * purses + purse
    staying = np.ones(here.shape)
    columns, rows, weights = [], [], []
    for site in range(n):
        there = (state ^ 1 << site) * purses
        affordable = purse - quanta[:, site, None]
        can = (affordable >= 0) & (affordable < purses)
        turned = np.broadcast_to(with_bath * leaving[:, site, None], here.shape)
        staying -= turned + with_demon * can
        columns += [here.ravel(), here[can]]
        rows += [(there + purse).ravel(), (there + affordable)[can]]
        weights += [turned.ravel(), np.full(int(can.sum()), with_demon)]
    columns.append(here.ravel())
    rows.append(here.ravel())
    weights.append(staying.ravel())
    where = (np.concatenate(rows), np.concatenate(columns))
    return coo_array((np.concatenate(weights), where), shape=(here.size, here.size)).tocsr()


def _poisson_sum(step: csr_array, p: FloatArray, mean: float) -> FloatArray:
    """p after a Poisson number of attempts."""
    if mean == 0.0:
        return p
    k = np.arange(math.ceil(mean + 10.0 * math.sqrt(mean) + 30.0))
    weights = np.exp(k * math.log(mean) - mean - gammaln(k + 1.0))
    total = np.zeros_like(p)
    for weight in weights:
        if weight > _TAIL:
            total += weight * p
        p = step @ p
    return total / total.sum()


def _class_counts(model: Ising, spins: NDArray[np.int64]) -> FloatArray:
    """Spins up and down in each class, of every state; shape (states, classes, 2)."""
    classes = len(local_fields(model))
    place = _around(model, spins) + classes // 2
    counts = np.zeros((len(spins), classes, 2))
    rows = np.arange(len(spins))
    for site in range(spins.shape[1]):
        np.add.at(counts, (rows, place[:, site], (1 - spins[:, site]) // 2), 1.0)
    return counts
