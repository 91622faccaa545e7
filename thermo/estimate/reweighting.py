"""Many canonical runs combined into one density of states: multi-histogram reweighting."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.canonical import canonical
from thermo.errors import InvalidInputError, NotConvergedError
from thermo.estimate.jackknife import JackknifeEstimate
from thermo.estimate.sampled_density import SampledDensity, normalized_levels
from thermo.estimate.slabs import slabs
from thermo.levels import EnergyLevels
from thermo.temperature import as_beta

if TYPE_CHECKING:
    import xarray

__all__ = ["MultiHistogram", "energy_counts", "multi_histogram"]

Array = NDArray[np.float64]

# Runs on the two sides of a gap must share this many effective samples: the error of ln g across
# the gap is then about 1/√10 nats.
_SHARED_SAMPLES = 10.0
_ITERATIONS = 200


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MultiHistogram(SampledDensity):
    """A density of states from histograms at several β, with what is needed for its errors.

    Attributes
    ----------
    levels : EnergyLevels
        The energies that were visited, with ln g.
    beta : ndarray, shape (B,)
        The runs that were used, ascending.
    log_partition_function : ndarray, shape (B,)
        ln Z at these β.
    shared_samples : ndarray, shape (B − 1,)
        Effective number of samples shared across each step of β: 1/√ of the smallest is about the
        error of ln g from one end to the other.
    replicas : tuple of EnergyLevels, length R or 0
        The same analysis without replica 0, 1, …
    excluded : tuple of str
        One sentence for every run that was not used.
    """

    beta: Array
    log_partition_function: Array
    shared_samples: Array
    excluded: tuple[str, ...] = ()

    def curve(self, name: str, beta: ArrayLike) -> JackknifeEstimate:
        """Return a thermodynamic function at any β between the runs, with its jackknife error.

        Parameters
        ----------
        name : str
            ``"internal_energy"``, ``"entropy"``, ``"heat_capacity"`` or another quantity of
            :class:`thermo.Thermodynamics`.
        beta : array_like, any shape
            Between the smallest and the largest β of the runs: outside, the energies that would
            matter were not visited.

        Returns
        -------
        JackknifeEstimate
            (value, error), shaped like ``beta``.

        Raises
        ------
        InvalidInputError
            β outside the runs, an unknown name, or no replicas.
        """
        b = as_beta(beta)
        low, high = self.beta[0], self.beta[-1]
        if (b < low).any() or (b > high).any():
            worst = b[(b < low) | (b > high)].flat[0]
            raise InvalidInputError(
                f"β = {worst:g} was asked of runs between β = {low:g} and {high:g}; accepted: β "
                "in between"
            )
        return super().curve(name, b)

    def _variables(self, prefix: str = "") -> dict[str, tuple[tuple[str, ...], Any]]:
        return super()._variables(prefix) | {
            "beta": (("beta",), self.beta),
            "log_partition_function": (("beta",), self.log_partition_function),
            "shared_samples": (("step",), self.shared_samples),
        }

    def _texts(self) -> dict[str, str]:
        return {"excluded": json.dumps(self.excluded)}

    @classmethod
    def _fields(cls, data: xarray.Dataset, prefix: str = "") -> dict[str, Any]:
        names = ("beta", "log_partition_function", "shared_samples")
        return super()._fields(data, prefix) | {
            **{name: data[name].to_numpy() for name in names},
            "excluded": tuple(json.loads(data.attrs["excluded"])),
        }


def energy_counts(series: ArrayLike, energies: ArrayLike) -> Array:
    """Count how often each energy was visited, replica by replica.

    Parameters
    ----------
    series : array_like, shape (B, replica, draw)
        Total energies.
    energies : array_like, shape (L,)
        Ascending energy grid; every draw must lie on it (to 1e-6 of its finest step).

    Returns
    -------
    ndarray, shape (replica, B, L)

    Raises
    ------
    InvalidInputError
        Wrong shapes, a grid that does not ascend, or a draw off the grid.

    Examples
    --------
    >>> energy_counts([[[-1.0, 1.0, 1.0]]], [-1.0, 0.0, 1.0])
    array([[[1., 0., 2.]]])
    """
    draws, grid = np.asarray(series, dtype=np.float64), np.asarray(energies, dtype=np.float64)
    if draws.ndim != 3 or grid.ndim != 1 or len(grid) < 1 or not np.all(np.diff(grid) > 0):
        raise InvalidInputError(
            f"a series of shape {draws.shape} and energies of shape {grid.shape} were given; "
            "accepted: (B, replica, draw) and an ascending grid (L,)"
        )
    if draws.size == 0:
        raise InvalidInputError("no draws at all were given; at least one is needed")
    middle = 0.5 * (grid[1:] + grid[:-1])
    rounding = 1e-6 * min(float(np.diff(grid).min(initial=np.inf)), 1.0)
    runs, replicas, number = draws.shape
    flat = draws.reshape(-1, number)
    counts = np.empty((len(flat), len(grid)))
    for rows in slabs((len(flat), max(number, len(grid)))):
        some = flat[rows]
        index = np.searchsorted(middle, some)
        off = ~(np.abs(grid[index] - some) <= rounding)
        if off.any():
            raise InvalidInputError(
                f"the energy {some[off][0]:g} is not on the grid; accepted: energies of the grid "
                "only"
            )
        index += np.arange(len(some))[:, None] * len(grid)
        seen = np.bincount(index.ravel(), minlength=len(some) * len(grid))
        counts[rows] = seen.reshape(len(some), len(grid))
    return np.swapaxes(counts.reshape(runs, replicas, len(grid)), 0, 1)


def multi_histogram(
    energies: ArrayLike,
    counts: ArrayLike,
    beta: ArrayLike,
    *,
    log_states: float,
    ess: ArrayLike | None = None,
) -> MultiHistogram:
    r"""Combine energy histograms at many signed β into one density of states.

    With n_b(E) counts of run b, divided by its statistical inefficiency, H(E) = Σ_b n_b(E) and
    N_b = Σ_E n_b(E),

    .. math::
        g(E) = \frac{H(E)}{\sum_b N_b\, e^{-\beta_b E}/Z_b}, \qquad
        Z_b = \sum_E g(E)\, e^{-\beta_b E}

    The ln Z_b minimise a convex function, found by Newton's method. Only ratios of g follow from
    the runs; the total number of states fixes the rest.

    Parameters
    ----------
    energies : array_like, shape (L,)
        Energy grid, all different; in the unit of 1/β.
    counts : array_like, shape (B, L) or (replica, B, L)
        How often run b saw each energy (`energy_counts`). Independent replicas give errors.
    beta : array_like, shape (B,)
        β of each run, any signs; the runs must span β = 0, where the total number of states shows.
        Runs at β = ±inf are left out: they see one level and say nothing about g.
    log_states : float
        ln of the total number of states, such as n ln 2 for n Ising spins.
    ess : array_like, shape (B,), optional
        Effective sample size of each run, over all replicas; default: every count is independent.

    Returns
    -------
    MultiHistogram
        Its ``levels`` hold the visited energies only.

    Raises
    ------
    InvalidInputError
        Mismatched shapes, negative counts, a run without counts, runs that do not span β = 0, or
        runs that do not overlap; the message names the gap.
    NotConvergedError
        Newton's method did not end; cannot happen with overlapping runs of sound data.

    Notes
    -----
    Not for runs out of equilibrium, nor for one run alone far from where it was sampled: unvisited
    energies have no g here. ln g carries a bias of order 1/H(E) where H(E) is a few counts. With R
    replicas, deviations in units of the errors follow Student's t of R − 1 degrees of freedom (see
    `jackknife`): give 16 replicas or more.

    References
    ----------
    A. M. Ferrenberg, R. H. Swendsen, Phys. Rev. Lett. 63, 1195 (1989).
    M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008), section II.C (the convex form).

    Examples
    --------
    Ten spins in a field, exact populations instead of samples:

    >>> from math import comb
    >>> energies = [2.0 * k - 10.0 for k in range(11)]
    >>> exact = EnergyLevels(energies, [np.log(comb(10, k)) for k in range(11)])
    >>> beta = [-0.5, 0.0, 0.5]
    >>> counts = 1e6 * canonical(exact, beta).populations().probabilities
    >>> result = multi_histogram(energies, counts, beta, log_states=10 * np.log(2))
    >>> bool(np.allclose(result.levels.log_degeneracy, exact.log_degeneracy))
    True
    """
    grid, table, b = _checked(energies, counts, beta)
    finite = np.isfinite(b)
    excluded = tuple(
        f"β = {value:g}: the run sees the {'lowest' if value > 0 else 'highest'} level only"
        for value in b[~finite]
    )
    weight = _weights(table, ess)
    order = np.flatnonzero(finite)[np.argsort(b[finite], kind="stable")]
    b, table = b[order], table[:, order]
    table *= weight[order, None]
    if len(b) == 0 or not b[0] <= 0.0 <= b[-1]:
        span = f"between β = {b[0]:g} and {b[-1]:g}" if len(b) else "at infinite β only"
        raise InvalidInputError(
            f"the runs lie {span}; accepted: runs on both sides of β = 0, or at β = 0, where the "
            "total number of states can be seen"
        )
    if not np.isfinite(log_states):
        raise InvalidInputError(f"log_states = {log_states} was given; accepted: a finite number")

    levels, free, shared = _combine(grid, table.sum(axis=0), b, log_states, start=None)
    replicas = []
    for left_out in range(len(table) if len(table) > 1 else 0):
        rest = table[:left_out].sum(axis=0) + table[left_out + 1 :].sum(axis=0)
        replicas.append(_combine(grid, rest, b, log_states, start=free)[0])
    log_z = canonical(levels, b).log_partition_function
    return MultiHistogram(
        levels=levels,
        replicas=tuple(replicas),
        beta=b,
        log_partition_function=log_z,
        shared_samples=shared,
        excluded=excluded,
    )


def _checked(energies: ArrayLike, counts: ArrayLike, beta: ArrayLike) -> tuple[Array, Array, Array]:
    grid = np.asarray(energies, dtype=np.float64)
    table = np.asarray(counts, dtype=np.float64)
    b = as_beta(beta)
    table = table[None] if table.ndim == 2 else table
    if grid.ndim != 1 or b.ndim != 1 or table.shape[1:] != (len(b), len(grid)) or not len(table):
        raise InvalidInputError(
            f"energies {grid.shape}, counts {np.shape(counts)} and beta {b.shape} were given; "
            "accepted: (L,), (B, L) or (replica, B, L), and (B,)"
        )
    if not np.isfinite(grid).all() or len(np.unique(grid)) != len(grid):
        raise InvalidInputError("the energies must be finite and all different")
    if not np.isfinite(table).all() or (table < 0).any():
        raise InvalidInputError("counts must be finite and not negative")
    empty = table.sum(axis=(0, 2)) == 0
    if empty.any():
        raise InvalidInputError(f"the run at β = {b[empty][0]:g} has no counts; leave it out")
    return grid, table, b


def _weights(table: Array, ess: ArrayLike | None) -> Array:
    """Effective samples per count, shape (B,)."""
    total = table.sum(axis=(0, 2))
    if ess is None:
        return np.ones_like(total)
    effective = np.asarray(ess, dtype=np.float64)
    if effective.shape != total.shape or not (effective > 0).all():
        raise InvalidInputError(
            f"ess of shape {effective.shape} was given; accepted: {total.shape}, positive numbers"
        )
    return effective / total


def _combine(
    grid: Array, counts: Array, beta: Array, log_states: float, start: Array | None
) -> tuple[EnergyLevels, Array, Array]:
    """Density of states, −ln Z_b in an arbitrary gauge, samples shared across each step of β."""
    seen = counts.sum(axis=0) > 0
    energy, histogram, samples = grid[seen], counts[:, seen].sum(axis=0), counts.sum(axis=1)
    _require_contact(energy, counts[:, seen], beta)
    exponent = np.log(samples)[:, None] - beta[:, None] * energy
    free = _minimise(
        exponent, histogram, samples, _integrated(energy, counts[:, seen], beta, start)
    )
    share, log_mixture = _shares(exponent, free)

    below = np.cumsum(share, axis=0)[:-1]  # how much of each energy belongs to the lower β
    shared = (below * (1.0 - below)) @ histogram
    if (shared < _SHARED_SAMPLES).any():
        k = int(np.argmin(shared))
        raise InvalidInputError(
            f"the runs at β = {beta[k]:g} and {beta[k + 1]:g} share only {shared[k]:.2g} effective "
            f"samples (at least {_SHARED_SAMPLES:g} are needed); run at a β in between, or longer"
        )
    levels = normalized_levels(energy, np.log(histogram) - log_mixture, log_states)
    return levels, free, shared


def _require_contact(energy: Array, counts: Array, beta: Array) -> None:
    """Refuse runs whose visited energies fall into two separate groups."""
    visited = [energy[row > 0] for row in counts]
    reach = np.array([[e.min(), e.max()] for e in visited])
    for k in range(len(beta) - 1):  # ascending β: descending energies
        hot, cold = reach[: k + 1, 0].min(), reach[k + 1 :, 1].max()
        if hot > cold:
            raise InvalidInputError(
                f"the runs at β = {beta[k]:g} and {beta[k + 1]:g} do not overlap: no energy "
                f"between {cold:g} and {hot:g} was visited; run at a β in between"
            )


def _integrated(energy: Array, counts: Array, beta: Array, start: Array | None) -> Array:
    """−ln Z_b by the trapezoidal rule from the mean energies: where Newton's method begins."""
    if start is not None:
        return start
    mean = counts @ energy / counts.sum(axis=1)
    return np.concatenate([[0.0], np.cumsum(0.5 * np.diff(beta) * (mean[1:] + mean[:-1]))])


def _shares(exponent: Array, free: Array) -> tuple[Array, Array]:
    """Probability that a sample of energy E came from run b, and ln Σ_b N_b e^{f_b − β_b E}."""
    log_weight = exponent + free[:, None]
    top = log_weight.max(axis=0)
    weight = np.exp(log_weight - top)
    total = weight.sum(axis=0)
    return weight / total, top + np.log(total)


def _minimise(exponent: Array, histogram: Array, samples: Array, free: Array) -> Array:
    """Minimise Σ_E H(E) ln Σ_b N_b e^{f_b − β_b E} − Σ_b N_b f_b over f by damped Newton steps."""
    total = samples.sum()

    def objective(f: Array) -> tuple[float, Array]:
        share, log_mixture = _shares(exponent, f)
        return float(histogram @ log_mixture - samples @ f), share

    value, share = objective(free)
    for _ in range(_ITERATIONS):
        expected = share @ histogram
        gradient = expected - samples
        # f is fixed up to a constant: the last term fills the flat direction and moves nothing
        hessian = np.diag(expected) - (share * histogram) @ share.T + total / len(samples) ** 2
        step = -np.linalg.lstsq(hessian, gradient, rcond=1e-14)[0]
        decrement = -float(gradient @ step)
        if decrement <= 1e-18 * total or decrement <= 1e-14:
            return free + step
        size = 1.0
        while size > 1e-6:
            trial = free + size * step
            trial_value, trial_share = objective(trial)
            if trial_value <= value - 1e-4 * size * decrement + 1e-13 * abs(value):
                break
            size *= 0.5
        free, value, share = trial - trial.mean(), trial_value, trial_share
    raise NotConvergedError(
        f"multi-histogram equations: {_ITERATIONS} Newton steps left a decrement of {decrement:.2g}"
    )
