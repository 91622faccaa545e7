"""The physics column of the comparison: a paramagnet, a sampled Ising lattice, an oscillator."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from llm_bridge.system import Freedom, System, freedom_rows
from thermo import lattice
from thermo.canonical import CanonicalState, canonical
from thermo.curves import Curve, Measured, exact_curve, natural_scale
from thermo.errors import SpinlogitWarning, UnboundedSpectrumError
from thermo.estimate.reweighting import energy_counts, multi_histogram
from thermo.exact.density_of_states import ising_torus
from thermo.freedom import kinetic_dof
from thermo.levels import EnergyLevels
from thermo.models.ising import Ising
from thermo.models.oscillator import Oscillator
from thermo.occupation import Occupation, occupation
from thermo.populations import Populations
from thermo.run.result import Run
from thermo.run.simulate import simulate

__all__ = ["SAMPLED_BETA", "ising", "oscillator", "paramagnet"]

FloatArray = NDArray[np.float64]

# Inverse temperatures of the Ising runs in 1/J: steps small enough that the energy histograms of
# neighbours overlap on 32² (spacing about two standard deviations), smallest around the critical
# point 0.4407. 1/√2 is the natural β = 1 of this lattice, σ₀ = √2 J.
_COLD = np.concatenate(
    [
        np.arange(0.04, 0.37, 0.04),
        np.arange(0.38, 0.505, 0.02),
        [0.53, 0.57, 0.62, 1 / np.sqrt(2), 0.8, 0.95, 1.2, np.inf],
    ]
)
SAMPLED_BETA = np.concatenate([_COLD[::-1], [0.0], -_COLD])

_REPLICAS = 20
_MEASURE_EVERY = 5
_BOLTZMANN_B = (1.13, 0.75, 0.45, 0.17, 0.0)

_NO_MOMENTA = Freedom(
    "kinetic, dN − constraints − conserved", None, None, "spins on fixed sites have no momentum"
)
_NOT_QUADRATIC = Freedom(
    "equipartition, 2βU (β → 0 limit)", None, None, "two-valued spins are not quadratic"
)
_NO_WEIGHTS = Freedom(
    "local learning coefficient, 2λ", None, None, "belongs to the weights of a learning machine"
)


def paramagnet(b_grid: FloatArray) -> System:
    """A spin in a field: two levels, exactly.

    Parameters
    ----------
    b_grid : ndarray, shape (B,)
        Natural inverse temperatures, falling.

    Returns
    -------
    System
    """
    levels = EnergyLevels([-1.0, 1.0], labels=["along the field", "against it"])
    origin, scale = natural_scale(levels)
    curve = exact_curve(
        "paramagnet",
        canonical(levels, b_grid / scale),
        unit="spin",
        origin=origin,
        scale=scale,
        log_states=levels.log_states,
    )
    lines = []
    for b in (*_BOLTZMANN_B, *(-b for b in _BOLTZMANN_B[-2::-1])):
        # Levels of another provenance: the line is drawn to show the slope, not to measure it.
        exact = Populations(levels, canonical(levels, b).populations().probabilities)
        lines.append(occupation(f"{b:+g}", exact, levels, beta=b, origin=origin, scale=scale))
    return System(
        "paramagnet",
        curve,
        freedom_rows(
            curve, equipartition=_NOT_QUADRATIC, kinetic=_NO_MOMENTA, learning=_NO_WEIGHTS
        ),
        occupations=tuple(lines),
    )


def ising(size: int, b_grid: FloatArray, *, sweeps: int, seed: int) -> System:
    """A periodic L×L Ising lattice sampled at signed β, with the exact curve beside it.

    U and C are means of the runs; S and the participation ratio come from joining the energy
    histograms of all runs (normalised by the 2ᴺ states), so none of the sampled numbers uses
    the exact ones. Their errors: autocorrelation for U, jackknife over replicas otherwise.

    Parameters
    ----------
    size : int
        L, even and at most 32 (the spacing of the runs' β is chosen for 32).
    b_grid : ndarray, shape (B,)
        Natural inverse temperatures of the exact curve.
    sweeps : int
        Per replica; a quarter more are burnt in.
    seed : int

    Returns
    -------
    System
        ``details["agreement"]`` compares sampled with exact values.
    """
    sites = size * size
    exact = ising_torus(size)
    origin, scale = natural_scale(exact)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SpinlogitWarning)
        run = simulate(
            Ising(lattice.square(size)),
            SAMPLED_BETA,
            sweeps,
            burn_in=max(1000, sweeps // 4),
            replicas=_REPLICAS,
            update="heat_bath",
            seed=seed,
            measure_every=_MEASURE_EVERY,
        )
    for warning in caught:  # to be seen, and kept with the numbers
        warnings.warn(warning.message, stacklevel=2)
    counts = energy_counts(run.energy_series, exact.energies)
    joined = _joined_histograms(run, counts, exact.energies, sites)
    per_site = scale / np.sqrt(sites)
    curve = Curve(
        name=f"Ising {size}×{size}",
        unit="spin",
        scale=per_site,
        beta=run.beta,
        energy=Measured(run.energy.mean - origin, run.energy.error).per(sites * per_site),
        entropy=joined["entropy"].per(sites),
        heat_capacity=Measured(run.heat_capacity.mean, run.heat_capacity.error).per(sites),
        log_participation=joined["participation"].per(sites),
        log_states=float(np.log(2.0)),
        spread={},
    )
    exact_here = canonical(exact, run.beta)
    return System(
        "ising",
        curve,
        freedom_rows(
            curve, equipartition=_NOT_QUADRATIC, kinetic=_NO_MOMENTA, learning=_NO_WEIGHTS
        ),
        exact=exact_curve(
            f"Ising {size}×{size}, exact",
            canonical(exact, _exact_grid(b_grid / per_site, run.beta)),
            unit="spin",
            units=sites,
            origin=origin,
            scale=scale,
            log_states=exact.log_states,
        ),
        occupations=tuple(_boltzmann_lines(run, counts.sum(axis=0), exact, origin, scale)),
        details={
            "agreement": _agreement(run, joined, exact_here),
            "warnings": [str(warning.message) for warning in caught],
        },
    )


def _exact_grid(beta: FloatArray, sampled: FloatArray) -> FloatArray:
    """Falling β with the sampled ones among them, dense where the heat capacity peaks."""
    peak = np.linspace(0.3, 0.6, 61)
    return np.unique(np.concatenate([beta, sampled, peak, -peak]))[::-1]


def oscillator(b_grid: FloatArray) -> System:
    """A quantum oscillator with the paramagnet's gap: no upper bound, so it ends at β = 0.

    Parameters
    ----------
    b_grid : ndarray, shape (B,)
        Natural inverse temperatures; only those > 0 can be reached.

    Returns
    -------
    System
        Its σ₀ would be infinite; it borrows that of the two-level system with the same gap.
    """
    model = Oscillator(quantum=2.0)
    # As near to β = 0 as the picture can show; there it must stop.
    reach = np.concatenate([b_grid[b_grid > 0], np.geomspace(0.08, 0.005, 10)])
    state = model.thermodynamics(reach)
    curve = exact_curve(
        "oscillator",
        state,
        unit="oscillator",
        origin=1.0,  # the middle of its two lowest levels, U₀ of the paramagnet
        scale=1.0,
        log_states=np.inf,
        ends="the energy has no upper bound, so the curve stops at β = 0: "
        f"{UnboundedSpectrumError.reason}.",
    )
    return System(
        "unbounded",
        curve,
        freedom_rows(
            curve,
            equipartition=Freedom(
                "equipartition, 2βU (β → 0 limit)", 2.0, 0.0, "the classical limit"
            ),
            kinetic=Freedom(
                "kinetic, dN − constraints − conserved",
                float(kinetic_dof(1, dimension=1, conserved_momenta=0)),
                0.0,
                "one momentum",
            ),
            learning=_NO_WEIGHTS,
        ),
        occupations=tuple(_lowest_levels(model, b) for b in _BOLTZMANN_B if b > 0),
    )


def _lowest_levels(model: Oscillator, b: float, shown: int = 3) -> Occupation:
    """The oscillator's lowest levels in a Boltzmann plot; there is no line for β ≤ 0."""
    levels = model.levels(400)
    exact = Populations(levels, canonical(levels, b).populations().probabilities)
    line = occupation(f"b = {b:+g}", exact, levels, beta=b, origin=1.0, scale=1.0, bins=len(levels))
    return replace(line, u=line.u[:shown], y=line.y[:shown], error=line.error[:shown])


def _joined_histograms(
    run: Run, counts: FloatArray, energies: FloatArray, sites: int
) -> dict[str, Measured]:
    """Entropy and ln(participation) at the runs' β, without using the exact g(E)."""
    joined = multi_histogram(
        energies, counts, run.beta, log_states=sites * np.log(2.0), ess=run.energy.ess
    )

    def functions(levels: EnergyLevels) -> FloatArray:
        state = canonical(levels, run.beta)
        return np.array([state.entropy, state.log_participation_ratio])

    value, error = joined.estimate(functions)
    return {
        "entropy": Measured(value[0], error[0]),
        "participation": Measured(value[1], error[1]),
    }


def _boltzmann_lines(
    run: Run, counts: FloatArray, exact: EnergyLevels, origin: float, scale: float
) -> list[Occupation]:
    sites = round(exact.log_states / np.log(2.0))
    per_site = scale / np.sqrt(sites)
    lines = []
    for wanted in (*_BOLTZMANN_B, *(-b for b in _BOLTZMANN_B[-2::-1])):
        k = int(np.argmin(np.abs(run.beta * per_site - wanted)))
        measured = Populations.from_counts(exact, counts[k], ess=run.energy.ess[k])
        lines.append(
            occupation(
                f"b = {run.beta[k] * per_site:+.2f}".replace("-", "−"),
                measured,
                exact,
                beta=float(run.beta[k]),
                units=sites,
                origin=origin,
                scale=scale,
                bins=6,
            )
        )
    return lines


def _agreement(run: Run, joined: dict[str, Measured], exact: CanonicalState) -> dict[str, Any]:
    """z-scores of sampled against exact finite-size values, and what chance allows."""
    finite = np.isfinite(run.beta)
    points = int(finite.sum())

    def z(value: FloatArray, error: FloatArray, truth: FloatArray) -> FloatArray:
        # Where every draw is the ground state there is no error, and no deviation may be.
        exactly = (error == 0) & np.isclose(value, truth, rtol=1e-12)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(exactly, 0.0, (value - truth) / error)

    energy = z(run.energy.mean, run.energy.error, exact.internal_energy)
    capacity = z(run.heat_capacity.mean, run.heat_capacity.error, exact.heat_capacity)
    entropy = z(joined["entropy"].value, joined["entropy"].error, exact.entropy)
    return {
        "points": points,
        "z_energy": energy,
        "z_heat_capacity": capacity,
        "z_entropy": entropy,
        "worst_z_energy": float(np.abs(energy).max()),
        "worst_z_heat_capacity": float(np.abs(capacity).max()),
        "worst_z_entropy": float(np.abs(entropy).max()),
        "bound_z": float(norm.isf(1e-3 / (2 * points))),
    }
