"""Purcell and Pound's experiment: a field is reversed faster than the spins in it can follow."""

from __future__ import annotations

import math
import os
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import as_real, checked_seed, finite_number, shown, whole_number
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.laboratory.reversal_findings import SpinReversal, analysed
from thermo.laboratory.reversal_motion import ReversalMotion
from thermo.laboratory.reversal_start import equilibrium_purses, equilibrium_spins
from thermo.laboratory.trajectories import follow
from thermo.lattice import square
from thermo.models.ising import Ising
from thermo.sampling.discrete_rules import largest_change

__all__ = ["spin_reversal"]

FloatArray = NDArray[np.float64]

_MOST_ATTEMPTS = 1e12  # of all lattices: half a day of one core
_LEAST_REPLICAS = 16  # for an error that is known to a fifth
_PREPARATION = 1 << 20  # spawn keys from here on are no pieces


def spin_reversal(
    model: Ising | None = None,
    beta: float = 0.5,
    bath_beta: float | None = None,
    *,
    exchange: float = 30.0,
    relaxation_time: float = 1.0,
    duration: float = 4.0,
    points: int = 80,
    replicas: int = 512,
    burn_in: int = 1000,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> SpinReversal:
    r"""Reverse the field on a lattice of spins, and watch their temperature return from below zero.

    Ising spins in a field h are in equilibrium at β₀. At t = 0 the field is reversed so suddenly
    that no spin follows: most now point against it. Two things happen then.

    *Among themselves*, quickly: the spins' energy in the field is that of −β₀, the energy of their
    couplings still that of +β₀. Moves that keep the energy bring both to one temperature, within
    about T₂. For small β₀ it is :math:`-\beta_0 (h^2 - h_L^2)/(h^2 + h_L^2)` with the local field
    :math:`h_L^2 = z J^2/2`, z being the number of neighbours: negative where the field is stronger.

    *With the bath*, slowly: each spin meets it at the rate 1/T₁ and is then left up with the
    probability :math:`1/(1 + e^{-2\beta_b \varepsilon})` in its local field
    :math:`\varepsilon = J \sum s + h` (heat bath; R. J. Glauber 1963). Heat flows to the bath,

    .. math:: -\frac{dE}{dt} = \frac{1}{T_1} \sum_i
              \langle \varepsilon_i (\tanh \beta_b \varepsilon_i - s_i) \rangle,

    and β rises from below zero, through zero, to β_b. T goes to −∞ meanwhile and comes back from
    +∞; it is never 0. Without couplings

    .. math:: M(t) = M_b - (M_b + M_0)\, e^{-t/T_1},

    which is :math:`1 - 2e^{-t/T_1}` of M₀ if the bath is as cold as the spins were.

    Parameters
    ----------
    model : Ising, optional
        On any lattice; one coupling J for all bonds, and one field h ≠ 0 for all sites: that after
        the reversal. Default: J = 0.1 and h = 1 on ``square(32)``.
    beta : float
        β₀ ≠ 0, 1/energy; ±∞ are accepted.
    bath_beta : float, optional
        β_b > 0, of the lattice vibrations; ∞ is accepted. Default: \|β₀\|.
    exchange : float
        Moves with a demon (microcanonical: `thermo.sampling.demon`) for each with the bath, at
        least 0. They stand for the spin–spin interactions: T₂ is about 0.6/`exchange` of T₁.
        At most 10¹² moves in all, half a day of one core.
    relaxation_time : float
        T₁ > 0; only the unit of time depends on it.
    duration : float
        For how long, in T₁.
    points : int
        Times at which is measured: duration·(k/points)² for k = 0 … points; at least 16.
    replicas : int
        Independent lattices, each with a demon; at least 16.
    burn_in : int
        Sweeps at β₀ before the reversal, at least 1, and four times as many in which the lattices
        show whether they are in equilibrium. Of no use without couplings and for up to 16 spins,
        which begin exactly in equilibrium.
    seed : int
        0 … 2⁶⁴ − 1; the same bits for any threads, executor and interruption.
    threads, executor, progress, checkpoint
        As in `thermo.simulate`.

    Returns
    -------
    SpinReversal

    Raises
    ------
    InvalidInputError
        Another model, fields or couplings that differ, no field, numbers out of range.
    UnboundedSpectrumError
        β_b ≤ 0: the bath vibrates, and vibrations have no highest energy.
    CheckpointError
        As in `thermo.simulate`.

    Warns
    -----
    EquilibrationWarning, UncertaintyWarning
        As `thermo.simulate` at β₀: where the spins were not in equilibrium before the reversal.

    Notes
    -----
    Time is continuous: the number of moves between two times is drawn from Poisson's law. In terms
    of sweeps of n heat-bath attempts the law of independent spins is (1 − 1/n)^{nt/T₁} instead of
    e^{−t/T₁}.

    The demon has up to twice the largest change of energy by one spin; that is the share of its
    purse in what the spins lose, and in small lattices not little. It was in equilibrium at β₀
    before and knows nothing of the reversal. Its average over the replicas tells β if their
    energies are spread as in the canonical ensemble, as they are before and, about, on the way.

    The entropy is Clausius', from β and E as measured; for small lattices ``found.master.entropy``
    is Gibbs', which needs no equilibrium.

    β of the populations is 0 when the spins point along their local fields as often as against
    them, and that of the demon when its purse is half full. These averages, and not the
    temperatures, are what the zeros are taken of: they have no bias of few replicas.

    References
    ----------
    E. M. Purcell, R. V. Pound, Phys. Rev. 81, 279 (1951); N. F. Ramsey, Phys. Rev. 103, 20 (1956);
    A. Abragam, W. G. Proctor, Phys. Rev. 109, 1441 (1958), for the spin temperature.

    Examples
    --------
    >>> found = spin_reversal(Ising(square(16), 0.1, 1.0), replicas=64, seed=1)
    >>> {condition.verdict for condition in found.conditions}
    {'holds'}
    >>> bool(found.beta_demon.value[0] > 0 > found.beta_demon.value[20] > -0.5)
    True
    """
    motion, unit = _checked(
        model, beta, bath_beta, exchange, relaxation_time, duration, points, replicas, burn_in,
        checked_seed(seed), threads,
    )  # fmt: skip
    observed = follow(
        motion,
        seed=seed,
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # where β is infinite, and errors are nan
        return analysed(motion, unit, observed["counts"], observed["purse"])


def _checked(
    model: Ising | None,
    beta: float,
    bath_beta: float | None,
    exchange: float,
    relaxation_time: float,
    duration: float,
    points: int,
    replicas: int,
    burn_in: int,
    seed: int,
    threads: int | None,
) -> tuple[ReversalMotion, float]:
    model = Ising(square(32), 0.1, 1.0) if model is None else model
    if not isinstance(model, Ising):
        raise InvalidInputError(
            f"model = {shown(model)} was given; accepted: thermo.Ising on any lattice, in a field"
        )
    if model.field == 0.0:
        raise InvalidInputError(
            "field = 0 was given; accepted: a field ≠ 0, for there is nothing else to reverse"
        )
    start = _beta(beta, "beta")
    if start == 0.0:
        raise InvalidInputError(
            "beta = 0 was given; accepted: a number ≠ 0, or ±inf: at β = 0 nothing is magnetised "
            "that could be reversed"
        )
    bath = abs(start) if bath_beta is None else _beta(bath_beta, "bath_beta")
    if bath <= 0.0:
        raise UnboundedSpectrumError(bath, "the bath, a crystal that vibrates")
    ratio = finite_number(exchange, "exchange")
    if ratio < 0.0:
        raise InvalidInputError(
            f"exchange = {ratio:g} was given; accepted: moves with the demon for each with the "
            "bath, 0 or more"
        )
    unit = finite_number(relaxation_time, "relaxation_time", positive=True)
    length = finite_number(duration, "duration", positive=True)
    steps = whole_number(points, "points", 16)
    lattices = whole_number(replicas, "replicas", _LEAST_REPLICAS)
    _check_attempts(ratio, length, lattices, model.lattice.n_sites)
    sweeps = whole_number(burn_in, "burn_in", 1)
    before = np.random.SeedSequence(seed, spawn_key=(_PREPARATION,))
    of_spins, of_demons = before.spawn(2)
    maximum = 2.0 * largest_change(model)
    motion = ReversalMotion(
        model=model,
        beta=start,
        bath_beta=bath,
        exchange=ratio,
        demon_maximum=maximum,
        times=length * (np.arange(steps + 1) / steps) ** 2,
        spins=equilibrium_spins(model, start, lattices, sweeps, of_spins, threads),
        purses=equilibrium_purses(model, start, maximum, lattices, of_demons),
    )
    return motion, unit


def _check_attempts(exchange: float, duration: float, replicas: int, sites: int) -> None:
    """Refuse what would take days, saying what would not."""
    attempts = (1.0 + exchange) * duration * replicas * sites
    if attempts > _MOST_ATTEMPTS:
        share = _MOST_ATTEMPTS / attempts
        offers = [f"duration of at most {share * duration:.2g}"]
        if share * (1.0 + exchange) > 1.0:
            offers.append(f"exchange of at most {share * (1.0 + exchange) - 1.0:.2g}")
        if share * replicas >= _LEAST_REPLICAS:
            offers.append(f"at most {math.floor(share * replicas)} replicas")
        raise InvalidInputError(
            f"duration = {duration:g}, exchange = {exchange:g}, {replicas} replicas and {sites} "
            f"spins were given: {attempts:.2g} moves; accepted: {_MOST_ATTEMPTS:.0g}, that is a "
            + ", or ".join(offers)
        )


def _beta(value: float, name: str) -> float:
    number = as_real(value, name)
    if number.ndim or np.isnan(number):
        raise InvalidInputError(f"{name} = {shown(value)} was given; accepted: a number, or ±inf")
    return float(number)
