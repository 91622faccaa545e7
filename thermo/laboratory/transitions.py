"""Where a spin lattice begins to order: critical points and jumps, at β of either sign."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from thermo.canonical import canonical
from thermo.errors import InvalidInputError, NotConvergedError
from thermo.estimate.jackknife import block_means, jackknife
from thermo.estimate.reweighting import multi_histogram
from thermo.levels import EnergyLevels
from thermo.run.result import Run
from thermo.run.reweighting import run_energy_counts
from thermo.sampling.energy_grid import energy_grid
from thermo.temperature import temperature_from_beta

__all__ = ["Transition", "binder_crossing", "heat_capacity_peak"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Transition:
    """Where order sets in, and how well it is known.

    Attributes
    ----------
    beta : float
        1/energy, of either sign.
    statistical : float
        Standard error of β from the spread of the chains.
    systematic : float
        What is left of the finite size of the lattice, about.
    """

    beta: float
    statistical: float
    systematic: float

    @property
    def error(self) -> float:
        """Both errors of β together."""
        return math.hypot(self.statistical, self.systematic)

    @property
    def temperature(self) -> float:
        """The label of β: kT, of the same sign."""
        return float(temperature_from_beta(self.beta))

    @property
    def temperature_error(self) -> float:
        """Standard error of kT, both together."""
        return abs(self.temperature) * self.error / abs(self.beta)


def binder_crossing(small: Sequence[Run], large: Sequence[Run], exponent: float) -> Transition:
    r"""Critical point from where the Binder ratios of two sizes cross, for two pairs of sizes.

    .. math:: \beta_c = \beta_2 + \frac{\beta_2 - \beta_1}{b^\theta - 1}, \qquad
              U_L(\beta_i) = U_{2L}(\beta_i),\quad L = L_i, \quad b = L_2/L_1

    U is that of the uniform magnetisation, smooth in β: a cubic through all β of a run.

    Parameters
    ----------
    small, large : pair of Run
        Lengths L₁ < L₂, and twice these; all at the same β on both sides of the transition, with
        the same number of replicas.
    exponent : float
        θ = 1/ν + ω of the leading correction to scaling.

    Returns
    -------
    Transition
        Its systematic error is the whole of the extrapolation.

    Raises
    ------
    InvalidInputError
        Runs at different β.
    NotConvergedError
        The ratios do not cross between the β of the runs.

    References
    ----------
    K. Binder, Z. Phys. B 43, 119 (1981); M. Hasenbusch, Phys. Rev. B 82, 174433 (2010) (exponents).
    """
    runs = (*small, *large)
    beta = runs[0].beta
    if any(not np.array_equal(run.beta, beta) for run in runs):
        raise InvalidInputError("runs at different β were given; accepted: the same β for all")
    ratio = math.cbrt(small[1].model.lattice.n_sites / small[0].model.lattice.n_sites)
    middle, reach = float(beta.mean()), 0.5 * float(np.ptp(beta))
    x = (beta - middle) / reach

    def crossings(*moments: FloatArray) -> FloatArray:
        binder = [1.0 - m[1] / (3.0 * m[0] ** 2) for m in moments]
        first, last = (_zero(np.polyfit(x, binder[k + 2] - binder[k], 3)) for k in (0, 1))
        shift = (last - first) / (ratio**exponent - 1.0)
        return middle + reach * np.array([last + shift, last, first])

    value, error = jackknife(crossings, *map(_moments, runs))
    if not np.all(np.abs(value[1:] - middle) <= reach):
        raise NotConvergedError(
            f"the Binder ratios do not cross between β = {beta.min():g} and {beta.max():g}; give "
            "more sweeps"
        )
    return Transition(float(value[0]), float(error[0]), abs(float(value[0] - value[1])))


def heat_capacity_peak(run: Run) -> tuple[FloatArray, FloatArray]:
    r"""Where the heat capacity is largest, between the β of one run, and how large it is.

    All β are joined by multi-histogram reweighting. At a jump of the energy by Δu per spin the peak
    is at the β where both phases weigh the same, and

    .. math:: C_\text{max} = \frac{(n\,\beta\,\Delta u)^2}{4}

    Parameters
    ----------
    run : Run
        Of `simulate` or `parallel_tempering`, at β of one sign whose energies overlap.

    Returns
    -------
    value, error : ndarray, shape (2,)
        β and C/k there, with jackknife errors over the replicas.

    Raises
    ------
    NotConvergedError
        The largest heat capacity is that at an end, or draws of neighbouring β share no energies.
    """
    grid = energy_grid(run.model, None)
    low, high = float(run.beta.min()), float(run.beta.max())
    reference = 0.5 * (low + high)
    # Weights e^(−(β − reference)E) of a "density of states" that includes e^(−reference E).
    try:
        joined = multi_histogram(
            grid.energies,
            run_energy_counts(run, grid),
            run.beta - reference,
            log_states=0.0,
            ess=run.energy.ess,
        )
    except InvalidInputError as apart:  # it speaks of β − reference
        raise NotConvergedError(
            f"the independent draws between β = {low:g} and {high:g} are too few for energies of "
            "neighbouring β to be joined: the chains stay in one phase too long; give more sweeps "
            "or a smaller lattice"
        ) from apart
    somewhere = np.linspace(low, high, 65)

    def capacity(levels: EnergyLevels, beta: FloatArray) -> FloatArray:
        p = canonical(levels, beta - reference).populations().probabilities
        deviation = levels.energies - (p @ levels.energies)[:, None]
        return np.asarray(beta**2 * (p * deviation**2).sum(axis=-1))

    def peak(levels: EnergyLevels) -> FloatArray:
        k = int(capacity(levels, somewhere).argmax())
        around = somewhere[max(k - 1, 0)], somewhere[min(k + 1, len(somewhere) - 1)]
        found = minimize_scalar(
            lambda b: -capacity(levels, np.array([b]))[0], bounds=around, method="bounded",
            options={"xatol": 1e-9},
        )  # fmt: skip
        return np.array([found.x, -found.fun])

    value, error = joined.estimate(peak)
    if not somewhere[1] < value[0] < somewhere[-2]:
        raise NotConvergedError(
            f"the heat capacity has no peak between β = {low:g} and {high:g}; give more sweeps or "
            "other β"
        )
    return value, error


def _moments(run: Run) -> FloatArray:
    """⟨m²⟩ and ⟨m⁴⟩ of each replica, shape (replicas, 2, B)."""
    square = (run.magnetization_series / run.model.lattice.n_sites) ** 2
    return np.stack([block_means(square), block_means(square**2)], axis=1)


def _zero(polynomial: FloatArray) -> float:
    """The real zero nearest to the middle; far outside where there is none."""
    roots = np.roots(polynomial)
    real = roots[np.abs(roots.imag) < 1e-9].real
    return float(real[np.argmin(np.abs(real))]) if real.size else 1e3
