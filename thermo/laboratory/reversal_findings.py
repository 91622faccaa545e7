"""What a reversal of the field tells: courses in time, zeros, thermometers, conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.measured import Measured, derived, measured
from thermo.laboratory.ramsey import Condition, ramsey_conditions
from thermo.laboratory.relaxation_courses import agreement_time, entropy_along, integral, zero_of
from thermo.laboratory.reversal_master_equation import (
    ReversalMasterEquation,
    is_small,
    solve_master_equation,
)
from thermo.laboratory.reversal_motion import ReversalMotion, local_fields, up_probabilities
from thermo.laboratory.spin_thermometers import (
    read_demon,
    read_field_and_couplings,
    read_populations,
)
from thermo.models.ising import Ising
from thermo.sampling.discrete_rules import largest_change
from thermo.sampling.energy_grid import energy_spacing

__all__ = ["SpinReversal", "analysed"]

FloatArray = NDArray[np.float64]

_CERTAIN = 4.0  # standard errors


@dataclass(frozen=True, eq=False)
class SpinReversal(Experiment):
    """What :func:`spin_reversal` returns; K times, C classes of local fields.

    Attributes
    ----------
    model : Ising
    beta, bath_beta : float
        β₀ of the spins before, and of the bath.
    exchange, relaxation_time : float
        Moves that keep the energy for each with the bath; T₁.
    replicas : int
    time : ndarray, shape (K,)
        From 0, just after the field was reversed, closer together at first.
    magnetization, energy : Measured, (K,)
        Per spin, along the new field.
    entropy : Measured, (K,)
        Per spin, of spins in internal equilibrium: ln 2 + ∫ β dE from where β = 0, with β of the
        populations. nan where they are not (with couplings, before T₂), and everywhere if β does
        not pass through 0. What the spins' agreeing makes of entropy costs no energy and is not in
        it.
    beta_demon, beta_populations : Measured, (K,)
        What the two thermometers read.
    beta_field, beta_couplings : Measured, (K,)
        From the populations, with a temperature of its own for the spins in the field and for their
        couplings; nan for what has none.
    heat : Measured, (K,)
        Flow of heat to the bath per spin and unit of time.
    local_field : ndarray, shape (C,)
        ε = J Σ s + h over the neighbours: a spin has the energy ∓ε.
    log_ratio : Measured, (K, C)
        ln(spins up / spins down) in each class: 2βε in equilibrium; nan where one is missing.
    zero_of_magnetization, zero_of_beta, zero_of_demon : Measured
        When M, β of the populations and β of the demon pass through 0 from below, with errors; nan
        if they never do, and where the error would be more than a third of it.
    zeros_apart : Measured
        By how much later M does so than β of the populations.
    internal_time : Measured
        T₂, with its error: when the spins have come to within 1/e of one temperature.
    heat_balance : Measured
        Energy lost less heat given to the bath, per spin: 0 by the first law.
    master : ReversalMasterEquation or None
        The same without chance, for small lattices and not too many moves.
    conditions : tuple of Condition
        Ramsey's.
    """

    name: ClassVar[str] = "spin-reversal"

    model: Ising
    beta: float
    bath_beta: float
    exchange: float
    relaxation_time: float
    replicas: int
    time: FloatArray
    magnetization: Measured
    energy: Measured
    entropy: Measured
    beta_demon: Measured
    beta_populations: Measured
    beta_field: Measured
    beta_couplings: Measured
    heat: Measured
    local_field: FloatArray
    log_ratio: Measured
    zero_of_magnetization: Measured
    zero_of_beta: Measured
    zero_of_demon: Measured
    zeros_apart: Measured
    internal_time: Measured
    heat_balance: Measured
    master: ReversalMasterEquation | None
    conditions: tuple[Condition, ...]

    @property
    def independent_spins(self) -> FloatArray:
        """M(t)/M₀ of spins without couplings: a guide for those with; shape (K,).

        (M_b/M₀)(1 − e^{−t/T₁}) − e^{−t/T₁}, where M_b = tanh β_b h and M₀ = tanh β₀ h; with a bath
        as cold as the spins were, 1 − 2e^{−t/T₁}.
        """
        decay = np.exp(-self.time / self.relaxation_time)
        return np.asarray(self._aim * (1.0 - decay) - decay)

    @property
    def has_temperature(self) -> bool:
        """Whether the spins had one: no condition of internal equilibrium fails."""
        return not _fails(self.conditions)

    @property
    def demon_middle(self) -> float:
        """What a demon has at β = 0: half of what it can have."""
        return largest_change(self.model)

    @property
    def _aim(self) -> float:
        """M_b/M₀ of independent spins."""
        h = self.model.field
        return math.tanh(self.bath_beta * h) / math.tanh(self.beta * h)

    def table(self) -> str:
        """The findings, and under them Ramsey's conditions with their verdicts."""
        return "\n".join([super().table(), "", "Ramsey's conditions", *map(str, self.conditions)])

    @property
    def findings(self) -> tuple[Finding, ...]:
        per_t1 = 1.0 / self.relaxation_time
        of_m, of_beta, of_demon = (
            zero * per_t1
            for zero in (self.zero_of_magnetization, self.zero_of_beta, self.zero_of_demon)
        )
        when, source, doubt = self._expected_zeros()
        found = (
            _finding("M = 0 at t/T₁", of_m, when[0], source, doubt),
            _finding("β = 0 at t/T₁ (populations)", of_beta, when[1], source, doubt),
            _finding("β = 0 at t/T₁ (demon)", of_demon, when[2], source, doubt),
            *self._of_the_couplings(),
            _finding("T₂/T₁", self.internal_time * per_t1),
            _finding("energy lost less heat, per spin", self.heat_balance, 0.0, "first law"),
            Finding("times after T₂ at which heat flows from cold to hot", self._heat_uphill(),
                    expected=0.0, source="from smaller to larger β"),
            *self._beside_the_master_equation(),
        )  # fmt: skip
        return tuple(finding for finding in found if not math.isnan(finding.value))

    def _expected_zeros(self) -> tuple[tuple[float | None, ...], str, float]:
        """When M and β of both thermometers are 0, in T₁; who says so; and how uncertain it is."""
        if self.master is not None:
            times, exact = self.time / self.relaxation_time, self.master
            courses = (exact.magnetization, exact.alignment, self.demon_middle - exact.purse)
            return (
                tuple(zero_of(times, course[None]).when for course in courses),
                "master equation",
                0.0,
            )
        if self.model.coupling == 0.0 and self._aim > 0.0:
            when = math.log1p(1.0 / self._aim)
            law = "T₁ ln 2" if self._aim == 1.0 else "T₁ ln(1 + M₀/M_b)"
            if self.exchange == 0.0:
                return (when, when, None), law, 0.0
            # The demon takes up to 2h until then, which the bath takes in 2/(n M_b) of T₁.
            n, aim = self.model.lattice.n_sites, math.tanh(self.bath_beta * self.model.field)
            return (when, when, when), law, 2.0 / abs(n * aim)
        if self._aim > 0.0:
            return (None, None, None), f"{math.log1p(1.0 / self._aim):.3f} without couplings", 0.0
        return (None, None, None), "", 0.0

    def _of_the_couplings(self) -> tuple[Finding, ...]:
        if self.model.coupling == 0.0:
            return ()
        apart = self.zeros_apart * (1.0 / self.relaxation_time)
        lag = float(self.internal_time.value) / self.relaxation_time
        together = () if self.master is not None else (
            _finding("M = 0 less β = 0, t/T₁", apart, 0.0, "internal equilibrium, within T₂",
                     lag if math.isfinite(lag) else 0.0),
        )  # fmt: skip
        start = (
            _finding("β in the field at t = 0", self.beta_field[0], -self.beta, "−β₀"),
            _finding("β of the couplings at t = 0", self.beta_couplings[0], self.beta, "β₀"),
        )
        return (*together, *(one for one in start if math.isfinite(one.value)))

    def _heat_uphill(self) -> int:
        """At how many times heat flows to what the demon says is hotter, as far as errors tell.

        After T₂: before, the demon is not yet in equilibrium with the spins.
        """
        settled = self.time > float(np.nan_to_num(self.internal_time.value))
        with np.errstate(invalid="ignore"):  # ∞ − ∞ and 0 · ∞
            apart = self.bath_beta - self.beta_demon.value  # > 0: the spins are hotter
            certain = (np.abs(self.heat.value) > _CERTAIN * self.heat.error) & (
                np.abs(apart) > _CERTAIN * self.beta_demon.error
            )
            return int((certain & settled & (self.heat.value * apart < 0.0)).sum())

    def _beside_the_master_equation(self) -> tuple[Finding, ...]:
        if self.master is None:
            return ()
        return tuple(
            Finding(f"{what}(t) off by, rms in σ", _rms_deviation(found, exact),
                    source="master equation: about 1")
            for what, found, exact in (
                ("M", self.magnetization, self.master.magnetization),
                ("E", self.energy, self.master.energy),
                ("β", self.beta_demon, self.master.beta_demon),
            )
        )  # fmt: skip


def _fails(conditions: tuple[Condition, ...]) -> bool:
    """Whether the spins are not in internal equilibrium."""
    return any(one.name == "internal equilibrium" and one.verdict == "fails" for one in conditions)


def _finding(
    what: str,
    found: Measured,
    expected: float | None = None,
    source: str = "",
    expected_error: float = 0.0,
) -> Finding:
    value, error = float(found.value), float(found.error)
    return Finding(what, value, error, expected, expected_error, source=source)


def _rms_deviation(found: Measured, exact: FloatArray) -> float:
    """Root mean square of what is measured less what is exact, in standard errors; or nan."""
    sampled = (found.error > 0.0) & np.isfinite(found.value) & np.isfinite(exact)
    if not sampled.any():
        return math.nan
    off = (found.value[sampled] - exact[sampled]) / found.error[sampled]
    return float(np.sqrt(np.mean(off**2)))


def analysed(
    motion: ReversalMotion, unit: float, counts: NDArray[Any], purse: FloatArray
) -> SpinReversal:
    """Make what `thermo.laboratory.spin_reversal` returns of what was observed.

    Parameters
    ----------
    motion : ReversalMotion
        Its times are in T₁.
    unit : float
        T₁ in the unit of time that was asked for.
    counts : ndarray of int32, shape (replicas, K, local fields, 2)
        Spins up and down in each local field.
    purse : ndarray, shape (replicas, K)
        Energy of the demon.

    Returns
    -------
    SpinReversal
    """
    model, times = motion.model, motion.times
    n, fields = model.lattice.n_sites, local_fields(model)
    saturated = 2.0 * up_probabilities(model, motion.bath_beta) - 1.0  # tanh β_b ε
    sums = np.arange(len(fields)) - len(fields) // 2
    if model.coupling == 0.0:  # the neighbours do not matter: all spins are in one field
        counts, fields, saturated, sums = (
            counts.sum(axis=2, keepdims=True), fields[:1], saturated[:1], 0 * sums[:1]
        )  # fmt: skip
    met = counts.any(axis=(0, 1, 3))
    fields, saturated, sums, counts = fields[met], saturated[met], sums[met], counts[:, :, met]
    number, excess = counts.sum(axis=-1), counts[..., 0] - counts[..., 1]

    magnetization = math.copysign(1.0 / n, model.field) * excess.sum(axis=-1)
    energy = -(excess @ (0.5 * model.coupling * sums + model.field)) / n
    heat = (number @ (fields * saturated) - excess @ fields) / n
    lost = energy[:, 0] - energy[:, -1] + (purse[:, 0] - purse[:, -1]) / n

    demon = read_demon(purse, motion.demon_maximum, energy_spacing(model))
    populations = read_populations(counts, fields)
    field, couplings = read_field_and_couplings(counts, sums, model.coupling, model.field)
    several = [one.by_replica for one in (demon, field, couplings) if np.isfinite(one.beta).all()]
    if len(several) < 2:  # nothing is coupled
        several = [demon.by_replica, populations.by_replica]
    internal_time = derived(partial(agreement_time, times), *several)

    alignment = excess @ fields / n  # 0 where β of the populations is
    of_m, of_beta = zero_of(times, magnetization), zero_of(times, alignment)
    of_demon = zero_of(times, 0.5 * motion.demon_maximum - purse)
    entropy = derived(
        partial(entropy_along, times, when=of_beta.when),
        magnetization, energy, populations.by_replica,
    )  # fmt: skip
    conditions = ramsey_conditions(motion, demon, populations, field, couplings, internal_time)
    if model.coupling != 0.0:  # not before the spins have one temperature, if they ever do
        since = float(np.nan_to_num(internal_time.value, posinf=np.inf))
        settled = (times > since) & (not _fails(conditions))
        entropy.value[~settled] = np.nan
    return SpinReversal(
        model=model,
        beta=motion.beta,
        bath_beta=motion.bath_beta,
        exchange=motion.exchange,
        relaxation_time=unit,
        replicas=motion.replicas,
        time=unit * times,
        magnetization=measured(magnetization),
        energy=measured(energy),
        entropy=entropy,
        beta_demon=Measured(demon.beta, demon.error),
        beta_populations=Measured(populations.beta, populations.error),
        beta_field=Measured(field.beta, field.error),
        beta_couplings=Measured(couplings.beta, couplings.error),
        heat=measured(heat) * (1.0 / unit),
        local_field=fields,
        log_ratio=_log_ratio(counts),
        zero_of_magnetization=of_m.measured * unit,
        zero_of_beta=of_beta.measured * unit,
        zero_of_demon=of_demon.measured * unit,
        zeros_apart=measured(of_m.by_replica - of_beta.by_replica) * unit,
        internal_time=internal_time * unit,
        heat_balance=measured(lost - integral(times, heat)[:, -1]),
        master=solve_master_equation(motion) if is_small(motion) else None,
        conditions=conditions,
    )


def _log_ratio(counts: NDArray[Any]) -> Measured:
    up, down = np.moveaxis(counts.mean(axis=0), -1, 0)
    value = np.where((up > 0) & (down > 0), np.log(up) - np.log(down), np.nan)
    return Measured(value, measured(counts[..., 0] / up - counts[..., 1] / down).error)
