"""Creutz's demon with a purse that is bounded: lattices at constant energy."""

from __future__ import annotations

import math

import numpy as np

from thermo.arguments import finite_number, whole_number
from thermo.errors import EnergyOutOfRangeError, InvalidInputError
from thermo.kernels.discrete_demon import approach, exchange_energy
from thermo.kernels.flat_moves import SHIFT
from thermo.models.difference import DifferenceModel
from thermo.sampling.discrete_rules import largest_change
from thermo.sampling.energy_grid import discrete_system, energy_spacing

__all__ = ["DemonChains"]

_PURSE_QUANTA = 2.0**44  # where energies have no spacing
_MOST_QUANTA = 2.0**62  # between the ends of the spectrum: energies are 64-bit integers
_MOST_SWEEPS = 1000  # on the way to the energy asked for


class DemonChains:
    r"""Replicas of a lattice, each with a demon that carries energy from place to place.

    A move proposes another state for a random site. Its cost ΔE is paid by the demon, whose energy
    must stay in 0 ≤ E_d ≤ E_max; otherwise nothing happens. Lattice and demon together keep their
    energy exactly (it is counted in integers), all their states are equally likely, and so

    .. math:: p(E_d) \propto g(E_\mathrm{total} - E_d) \approx e^{-\beta E_d}

    where the lattice is large. The bound gives the demon a stationary state at β < 0 as well: it
    is then more often rich than poor, and at β = 0 it has E_max/2 on average. A purse without bound
    would fill for ever.

    Sites are chosen at random: a demon that goes through them in order can be trapped in cycles.
    With a purse smaller than the largest change of energy by one spin there are moves that can
    never be made, and parts of the energy shell are out of reach; that is the least E_max accepted.
    Even so the shell need not hang together near the ends of the spectrum: at low energy a lattice
    cannot turn over from one order to the other, and stays in the part where it began. A larger
    purse helps.

    Parameters
    ----------
    model : Ising, Potts or Clock
    energy : float
        Of lattice and demon together, in the unit of energy; it is moved to the nearest energy of
        the lattice where those have a spacing.
    replicas : int
        At least 1.
    demon_maximum : float, optional
        E_max; where energies have a spacing, rounded down to it. Default: twice the largest change
        of energy by one spin.
    seed : numpy.random.SeedSequence

    Attributes
    ----------
    total_energy : float
        Of lattice and demon together; the same in every replica, for ever.
    spacing : float or None
        What all changes of energy are multiples of, if there is such a thing (and the spectrum
        less than 2³⁰ times as wide).

    Raises
    ------
    InvalidInputError
        Another model; a purse too small; numbers out of range.
    EnergyOutOfRangeError
        An energy that the lattice does not have, or that was not found in 1000 sweeps towards it.

    References
    ----------
    M. Creutz, Phys. Rev. Lett. 50, 1411 (1983).

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from thermo.models import Ising
    >>> chains = DemonChains(Ising(square(8)), 64.0, 3, seed=np.random.SeedSequence(1))
    >>> moments = chains.sweep(10)
    >>> chains.energy + chains.demon_energy
    array([64., 64., 64.])
    """

    def __init__(
        self,
        model: DifferenceModel,
        energy: float,
        replicas: int,
        *,
        demon_maximum: float | None = None,
        seed: np.random.SeedSequence,
    ) -> None:
        if not isinstance(model, DifferenceModel):
            raise InvalidInputError(
                f"model = {model!r} was given; accepted: thermo.Ising, Potts or Clock"
            )
        energy = finite_number(energy, "energy")
        whole_number(replicas, "replicas", 1)
        least = largest_change(model)
        if demon_maximum is None:
            demon_maximum = 2.0 * least
        maximum = finite_number(demon_maximum, "demon_maximum", positive=True)
        if maximum < least * (1.0 - 1e-12):
            raise InvalidInputError(
                f"demon_maximum = {maximum:g} was given; accepted: at least {least:g}, the largest "
                "change of energy by one spin, without which some moves can never be made"
            )
        low, high = model.energy_bounds
        if not low <= energy <= high + maximum:
            raise EnergyOutOfRangeError(
                f"energy = {energy:g} was given; accepted: {low:g} … {high + maximum:g}, what the "
                "lattice and a demon of this purse can have"
            )
        self.model = model
        self.spacing, self._quantum = _units(model, maximum)
        step = 2**SHIFT if self.spacing else 1  # purses are multiples of it
        self._maximum = math.floor(maximum / (self._quantum * step) + 1e-9) * step
        # Energies without a spacing are rounded bond by bond: a purse that is just empty, or just
        # full, may be short of its end by as many quanta, and must not be refused for that.
        rounding = 0 if self.spacing else model.lattice.n_edges + model.lattice.n_sites
        self._maximum += 2 * rounding
        self._system = discrete_system(model, self._quantum)

        start_seed, stream_seed = seed.spawn(2)
        start = np.random.Generator(np.random.PCG64(start_seed))
        self._streams = stream_seed.generate_state(2 * replicas, np.uint64).reshape(replicas, 2)
        spins = self._nearest_order(energy, replicas, start)
        lacking = (energy - model.energy(spins)) / (self._quantum * step)
        self._states = model.states_of(spins).astype(np.uint8)
        self._purses = np.rint(lacking).astype(np.int64) * step + rounding
        attempts = _MOST_SWEEPS * model.lattice.n_sites
        approach(self._states, self._purses, self._streams, self._maximum, attempts, self._system)
        if np.any((self._purses < 0) | (self._purses > self._maximum)):
            raise EnergyOutOfRangeError(
                f"energy = {energy:g} was given; no state of {model!r} was found less than "
                f"{self.demon_maximum:g} below it; accepted: energies farther from the ends of the "
                "spectrum, or a larger demon_maximum"
            )
        self.total_energy = float(self.energy[0] + self.demon_energy[0])

    def _nearest_order(
        self, energy: float, replicas: int, generator: np.random.Generator
    ) -> np.ndarray:
        """Return spins in an ordered state on that side of β = 0, or random where none is known.

        From an ordered state every energy on the way to β = 0 can be reached; the other way leads
        into traps.
        """
        spins = self.model.random_spins(generator, replicas)
        sign = 1 if energy < self.model.energy(spins).mean() else -1
        try:
            ordered = self.model.ordered_states(sign)
        except InvalidInputError:
            return spins
        return ordered[generator.integers(len(ordered), size=replicas)]

    @property
    def spins(self) -> np.ndarray:
        """Configurations now, in the model's public form; shape (replicas, n)."""
        return self.model.spins_of(self._states)

    @property
    def energy(self) -> np.ndarray:
        """Energies of the lattices now, shape (replicas,)."""
        return self.model.energy(self.spins)

    @property
    def demon_energy(self) -> np.ndarray:
        """Energies of the demons now, shape (replicas,)."""
        return self._purses * self._quantum

    @property
    def demon_maximum(self) -> float:
        """E_max, the most that a demon can have."""
        return self._maximum * self._quantum

    def sweep(self, sweeps: int) -> np.ndarray:
        """Attempt n moves `sweeps` times; return how full the purses were, averaged over them.

        Returns
        -------
        ndarray of float64, shape (replicas, 3)
            Averages of E_d/E_max, of its square and of its cube.
        """
        attempts = sweeps * self.model.lattice.n_sites
        moments = np.empty((len(self._states), 3))
        exchange_energy(
            self._states,
            self._purses,
            self._streams,
            self._maximum,
            attempts,
            self._system,
            moments,
        )
        return moments

    def record(self, draws: int, every: int) -> dict[str, np.ndarray]:
        """Measure `draws` times, each after `every` more sweeps.

        Returns
        -------
        dict of str to ndarray of float64, shape (replicas, draws)
            ``"energy"`` of the lattice, ``"demon_energy"``, ``"mean_demon_energy"`` over all
            attempts since the draw before, and what ``model.observables`` measures.
        """
        series: dict[str, np.ndarray] = {}
        for draw in range(draws):
            mean = self.sweep(every)[:, 0] * self.demon_maximum
            measured = {
                "energy": self.energy,
                "demon_energy": self.demon_energy,
                "mean_demon_energy": mean,
                **self.model.observables(self.spins),
            }
            for name, values in measured.items():
                series.setdefault(name, np.empty((len(mean), draws)))[:, draw] = values
        return series

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes."""
        return {
            "states": self._states.copy(),
            "purses": self._purses.copy(),
            "streams": self._streams.copy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""
        self._states = state["states"].copy()
        self._purses = state["purses"].copy()
        self._streams = state["streams"].copy()


def _units(model: DifferenceModel, maximum: float) -> tuple[float | None, float]:
    """Return the spacing of the energies, if they have one, and the quantum to count them in."""
    low, high = model.energy_bounds
    span = high - low + maximum
    spacing = energy_spacing(model)
    if spacing is not None and span <= spacing * 2.0**-SHIFT * _MOST_QUANTA:
        return spacing, spacing * 2.0**-SHIFT
    return None, max(maximum / _PURSE_QUANTA, span / _MOST_QUANTA)
