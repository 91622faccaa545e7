"""Population annealing: many copies of a model, resampled as β moves away from 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.sampling.batch import Batch

__all__ = ["Population", "systematic_parents"]

Array = NDArray[np.float64]


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


class Population:
    r"""R copies of a model on their way from β = 0 to β of either sign.

    From β to β′ member i gets the weight :math:`w_i = e^{-(\beta' - \beta) E_i}`; the population is
    resampled by these weights and swept at β′. The mean weights multiply up to an estimate of
    Z(β′)/Z(0) without bias.

    Parameters
    ----------
    batches : sequence of Batch
        Together R chains, drawn independently at β = 0 (as batches begin).
    seed : numpy.random.SeedSequence
        Of the resampling; not one of the batches'.

    Attributes
    ----------
    beta : ndarray, shape (S,)
        The β that were entered so far.
    log_ratio : ndarray, shape (S,)
        Estimates of ln Z(β)/Z(0).
    family_size : ndarray, shape (S,)
        ρ_t = R Σ_f ν_f², with ν_f the fraction of members that descend from member f of the
        beginning: 1 at first, R when all have one ancestor.
    overlap : ndarray, shape (S,)
        (Σ w)²/(R Σ w²) of the weights with which a β was entered: 1 if all are alike.

    References
    ----------
    K. Hukushima, Y. Iba, AIP Conf. Proc. 690, 200 (2003); J. Machta, Phys. Rev. E 82, 026704
    (2010).
    """

    def __init__(self, batches: Sequence[Batch], seed: np.random.SeedSequence) -> None:
        self._batches, self._seed = batches, seed
        self._borders = np.cumsum([batch.beta.size for batch in batches])
        self._energy = np.zeros(self._borders[-1])
        self._family = np.arange(self._borders[-1])
        self._steps = np.zeros((0, 4))  # for every β entered: β, log_ratio, family_size, overlap

    @property
    def beta(self) -> Array:
        return self._steps[:, 0]

    @property
    def log_ratio(self) -> Array:
        return self._steps[:, 1]

    @property
    def family_size(self) -> Array:
        return self._steps[:, 2]

    @property
    def overlap(self) -> Array:
        return self._steps[:, 3]

    def enter(self, beta: float) -> None:
        """Resample to β, by the energies that were measured last.

        Parameters
        ----------
        beta : float
            The first one is 0, and the others go away from it in one direction; finite.
        """
        estimates = 0.0, 1.0, 1.0
        if len(self._steps):
            estimates = self._resampled(-(beta - self.beta[-1]) * self._energy)
        for batch in self._batches:
            batch.beta = np.full(batch.beta.size, beta)
        self._steps = np.vstack([self._steps, (beta, *estimates)])

    def sweep(self, sweeps: int) -> None:
        """Advance every member by so many sweeps."""
        for batch in self._batches:
            batch.sweep(sweeps)

    def measure(self, sweeps: int) -> dict[str, Array]:
        """Measure after so many more sweeps: name → (R,), ``"energy"`` and others."""
        parts = [batch.record(1, sweeps) for batch in self._batches]
        series = {name: np.concatenate([part[name][:, 0] for part in parts]) for name in parts[0]}
        self._energy = series["energy"]
        return series

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that changes; the arrays are never written to."""
        state = {"energy": self._energy, "family": self._family, "steps": self._steps}
        for number, batch in enumerate(self._batches):
            state |= {f"{number} {name}": values for name, values in batch.state().items()}
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        self._energy, self._family, self._steps = state["energy"], state["family"], state["steps"]
        for number, batch in enumerate(self._batches):
            own = f"{number} "
            batch.restore({k.removeprefix(own): v for k, v in state.items() if k.startswith(own)})

    def _resampled(self, log_weights: Array) -> tuple[float, float, float]:
        """Replace the members by children of theirs; return the estimates that belong to it."""
        largest, members = log_weights.max(), len(log_weights)
        weights = np.exp(log_weights - largest)
        parents = systematic_parents(weights, self._uniform())
        spins = _children(self._gathered(), parents)
        for batch, part in zip(self._batches, np.split(spins, self._borders[:-1]), strict=True):
            batch.spins = part
        self._family = self._family[parents]
        return (
            self.log_ratio[-1] + largest + np.log(weights.mean()),
            (np.bincount(self._family).astype(np.float64) ** 2).sum() / members,
            weights.sum() ** 2 / (members * (weights**2).sum()),
        )

    def _gathered(self) -> NDArray:
        """The spins of all batches; those of a single one are not copied."""
        parts = [batch.spins for batch in self._batches]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _uniform(self) -> float:
        """The random number of this resampling: one for each, so that none need be kept."""
        generator = np.random.PCG64(self._seed)
        generator.advance(len(self._steps) - 1)
        return np.random.Generator(generator).random()


def _children(spins: NDArray, parents: NDArray[np.intp]) -> NDArray:
    """Return spins[parents] in the memory order of `spins`: lanes keep chains side by side."""
    if spins.flags.c_contiguous:
        return spins[parents]
    return spins.T.take(parents, axis=-1).T
