"""A thermometer for a lattice at constant energy: what the demon's purse says of β."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thermo.arguments import checked_seed, finite_number, whole_number
from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.levels import EnergyLevels
from thermo.models.difference import DifferenceModel
from thermo.run.memory import check_memory_of
from thermo.run.progress_bar import progress_bar
from thermo.sampling.demon import DemonChains
from thermo.sampling.discrete_rules import largest_change
from thermo.thermometry import matching_beta

__all__ = ["DemonReading", "demon_levels", "demon_thermometer"]

_LOOKS = 100  # sweeps of the burn-in between two looks at progress and Ctrl-C
_COPIES = 3  # of the spins: as states, and twice as public spins where their energy is found
_FINE = 4096  # levels that stand for a purse of any content


@dataclass(frozen=True)
class DemonReading:
    """What a demon has measured.

    Attributes
    ----------
    beta : float
        β of the lattice, of either sign; ±inf if the demon never had anything, or never less than
        all.
    error : float
        Its standard error, corrected for autocorrelation; inf where β is.
    energy : MeanWithError
        Of the lattice: the energy to which β belongs.
    demon_energy : MeanWithError
        Of the demon; above E_max/2 where β < 0.
    demon_maximum : float
        E_max.
    """

    beta: float
    error: float
    energy: MeanWithError
    demon_energy: MeanWithError
    demon_maximum: float


def demon_thermometer(
    model: DifferenceModel,
    energy: float,
    sweeps: int,
    *,
    burn_in: int,
    replicas: int = 8,
    demon_maximum: float | None = None,
    seed: int = 0,
    progress: bool = False,
) -> DemonReading:
    r"""Measure β(E) = dS/dE, of either sign, on a lattice at constant energy.

    A demon with a bounded purse, 0 ≤ E_d ≤ E_max, trades energy with the lattice (see
    `thermo.sampling.demon.DemonChains`); its energy has the distribution of a small system in
    contact with it, :math:`p(E_d) \propto e^{-\beta E_d}`. β is the maximum-likelihood estimate:
    the β at which a system with the demon's levels, 0, ε, 2ε … E_max (ε being the spacing of the
    lattice's energies; a continuum if they have none), has the mean energy of the demon.

    Parameters
    ----------
    model : Ising, Potts or Clock
    energy : float
        Of lattice and demon together, in the unit of energy.
    sweeps : int
        Sweeps of n attempts after burn-in, at least 2; each is a draw.
    burn_in : int
        Sweeps that are not measured, at least 0. The lattice begins in an ordered state and is
        brought to its energy on the way towards β = 0.
    replicas : int
        Independent lattices, each with a demon.
    demon_maximum : float, optional
        E_max; default: twice the largest change of energy by one spin, which is also half of it the
        least accepted. At most the whole spread of the lattice's energies, or the default.
    seed : int
        0 … 2⁶⁴ − 1.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DemonReading

    Raises
    ------
    InvalidInputError, EnergyOutOfRangeError
        See `thermo.sampling.demon.DemonChains`; sweeps out of range.

    Notes
    -----
    Not for small lattices: p(E_d) is really ∝ g(E_total − E_d), whose logarithm is straight only
    over a purse that is small beside the lattice; what it bends falls as 1/n. On the 32² Ising
    torus with the default purse it raises \|β\| by 0.0001 to 0.0011 (E = ∓0.02n to ∓1.8n).

    References
    ----------
    M. Creutz, Phys. Rev. Lett. 50, 1411 (1983).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> cold, hot = (
    ...     demon_thermometer(Ising(square(16)), e, 500, burn_in=50) for e in (-256.0, 256.0)
    ... )
    >>> round(cold.beta, 1), round(hot.beta, 1)
    (0.4, -0.4)
    """
    sweeps = whole_number(sweeps, "sweeps", 2)
    burn_in = whole_number(burn_in, "burn_in", 0)
    replicas = whole_number(replicas, "replicas", 1)
    seed = checked_seed(seed)
    if isinstance(model, DifferenceModel):  # otherwise the chains say what is accepted
        _check_purse(model, demon_maximum)
        # Spins, and as float64 the energies of the bonds while they are added up.
        spins = _COPIES * model.lattice.n_sites + 9 * model.lattice.n_edges
        check_memory_of(replicas, spins + 2 * 8 * sweeps, "replicas")
    chains = DemonChains(
        model, energy, replicas, demon_maximum=demon_maximum, seed=np.random.SeedSequence(seed)
    )
    with progress_bar(progress, burn_in + sweeps, unit="sweep", what="exchanging") as bar:
        for begin in range(0, burn_in, _LOOKS):
            bar.update(part := min(_LOOKS, burn_in - begin))
            chains.sweep(part)
        means = np.empty((replicas, sweeps))
        for k in range(sweeps):
            means[:, k] = chains.sweep(1)
            bar.update()
    demon = mean_with_error(means)
    levels = demon_levels(chains.demon_maximum, chains.spacing)
    beta = float(matching_beta(levels, demon.mean))
    # dU/dβ = −Var(E_d), that of the demon's levels at this β.
    p = canonical(levels, beta).populations().probabilities
    variance = float(p @ levels.energies**2 - (p @ levels.energies) ** 2)
    error = float(demon.error) / variance if variance > 0.0 and np.isfinite(beta) else np.inf
    return DemonReading(
        beta=beta,
        error=error,
        energy=MeanWithError(chains.total_energy - demon.mean, demon.error, demon.ess, demon.tau),
        demon_energy=demon,
        demon_maximum=chains.demon_maximum,
    )


def _check_purse(model: DifferenceModel, demon_maximum: float | None) -> None:
    """Refuse a model without energies to exchange, and a purse larger than all of them."""
    least = largest_change(model)
    if least == 0.0:
        raise InvalidInputError(
            f"model = {model!r} was given, all of whose states have the same energy; accepted: one "
            "with a coupling or a field, for a demon to exchange energy with"
        )
    low, high = model.energy_bounds
    most = max(2.0 * least, high - low)
    if demon_maximum is not None and finite_number(demon_maximum, "demon_maximum") > most:
        raise InvalidInputError(
            f"demon_maximum = {demon_maximum:g} was given; accepted: at most {most:g}, for a purse "
            "larger than the energies of the lattice never fills"
        )


def demon_levels(demon_maximum: float, spacing: float | None) -> EnergyLevels:
    """Return the levels of a demon: equidistant up to its maximum.

    Parameters
    ----------
    demon_maximum : float
    spacing : float or None
        None for a continuum, for which the middles of 4096 intervals stand: β is then wrong by
        (βE_max/4096)²/12 of itself.

    Returns
    -------
    EnergyLevels
    """
    if spacing is None:
        return EnergyLevels((np.arange(_FINE) + 0.5) * (demon_maximum / _FINE))
    return EnergyLevels(np.arange(round(demon_maximum / spacing) + 1) * spacing)
