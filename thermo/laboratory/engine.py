"""Heat engines between baths of any sign: two efficiencies, and what Kelvin's statement becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.laboratory.engine_cycles import Cycle, carnot_cycle, otto_cycle, reversal_cycle
from thermo.laboratory.finding import Experiment, Finding
from thermo.levels import EnergyLevels

__all__ = ["Engine", "engine"]

FloatArray = NDArray[np.float64]

_SPIN = EnergyLevels([-1.0, 1.0], provenance="a spin in a field of 1")


@dataclass(frozen=True, eq=False)
class Engine(Experiment):
    """What :func:`engine` returns.

    Attributes
    ----------
    levels : EnergyLevels
        Of the working substance at unit field.
    hot, cold : float
        β of the baths.
    carnot, otto : Cycle
        Between the two.
    single : tuple of two Cycle
        With the hot bath alone, and with the cold one alone.
    ratio : ndarray, shape (R,)
        β_h/β_c of further Carnot cycles, of either sign: below 0 the signs differ, between 0 and 1
        both baths are at T > 0, above 1 both at T < 0.
    formal_efficiency, efficiency : ndarray, shape (R,)
        Of these.
    """

    name: ClassVar[str] = "engine"

    levels: EnergyLevels
    hot: float
    cold: float
    carnot: Cycle
    otto: Cycle
    single: tuple[Cycle, Cycle]
    ratio: FloatArray
    formal_efficiency: FloatArray
    efficiency: FloatArray

    @property
    def findings(self) -> tuple[Finding, ...]:
        ratio = self.hot / self.cold
        if ratio < 0.0:
            whole, why = 1.0, "both baths give heat (Campisi)"
        elif self.hot > 0.0:
            whole, why = 1.0 - ratio, "1 − T_c/T_h"
        else:
            whole, why = 1.0 - 1.0 / ratio, "1 − T_h/T_c, the cold bath gives heat"
        fields = [stroke.field[0] for stroke in self.otto.strokes if stroke.bath is not None]
        cycles = (self.carnot, self.otto, *self.single)
        energies = [cycle.energy_imbalance for cycle in cycles]
        entropies = [cycle.entropy_imbalance for cycle in cycles]
        return (
            Finding("Carnot: work by heat of the hot bath", self.carnot.formal_efficiency,
                    expected=1.0 - ratio, source="1 − T_c/T_h (Carnot; Braun)"),
            Finding("Carnot: work by all heat taken in", self.carnot.efficiency,
                    expected=whole, source=why),
            Finding("Carnot: entropy made", self.carnot.entropy_made, expected=0.0, unit="k",
                    source="reversible"),
            *self._otto_work(fields[1] / fields[0]),
            Finding("Otto: entropy made", self.otto.entropy_made, unit="k", source="> 0"),
            *(
                part
                for cycle in self.single
                for part in (
                    Finding(f"one bath at β = {cycle.baths[0]:g}: work delivered", cycle.delivered,
                            expected=cycle.heats[0], source="all its heat (Ramsey)"),
                    Finding(f"one bath at β = {cycle.baths[0]:g}: entropy made",
                            cycle.entropy_made, unit="k", source="> 0"),
                )
            ),
            Finding("energy books, (ΣQ + ΣW)/Σ|Q|, the worst", max(energies, key=abs), expected=0.0,
                    source="first law"),
            Finding("entropy books, ΣΔS/Σ|ΔS|, the worst", max(entropies, key=abs), expected=0.0,
                    source="a cycle"),
        )  # fmt: skip

    def _otto_work(self, ratio: float) -> tuple[Finding, ...]:
        if not self.otto.delivered > 0.0:
            return (Finding("Otto: work delivered", self.otto.delivered,
                            source="> 0 of baths at T > 0 for β_h/β_c < h_c/h_h < 1"),)  # fmt: skip
        return (
            Finding("Otto: work by heat of the hot bath", self.otto.formal_efficiency,
                    expected=1.0 - ratio, source="1 − h_c/h_h"),
            Finding("Otto: work by all heat taken in", self.otto.efficiency),
        )  # fmt: skip


def engine(
    hot: float = -0.5,
    cold: float = 1.0,
    *,
    fields: tuple[float, float] | None = None,
    otto_fields: tuple[float, float] | None = None,
    levels: EnergyLevels | None = None,
) -> Engine:
    r"""Run engines between two baths of any sign, and between each bath and nothing else.

    Energy and entropy allow whatever obeys

    .. math:: Q_h + Q_c + W = 0, \qquad -\beta_h Q_h - \beta_c Q_c \ge 0,

    and nothing in this asks for positive β. Between :math:`T_h < 0 < T_c` a reversible engine takes
    heat from *both* baths and turns all of it into work, so that work by heat of the hot bath alone
    is :math:`1 - T_c/T_h > 1`: no violation of anything, but a quotient that leaves out half of
    what is paid (`Cycle`). A bath at T < 0 does not even need a second one (`reversal_cycle`).

    What must be paid for is the bath: among surroundings at T > 0, where Kelvin's statement holds,
    making spins hotter than T = ∞ takes at least the work that the engine gives back (Struchtrup).

    Parameters
    ----------
    hot, cold : float
        β of the baths, in 1/energy, finite and not 0. The hotter one has the smaller β.
    fields : (float, float), optional
        Two different fields > 0, of the Carnot cycle's isotherm at the hot bath; default: 1/2 and
        2, by \|β_h\|.
    otto_fields : (float, float), optional
        Of the Otto cycle, in contact with the hot and with the cold bath, not 0. The first is that
        of the cycles with one bath, too. Default: 2, by the larger \|β\|, and half of that, or, of
        two baths at T > 0, half-way down to where the cycle would stand still.
    levels : EnergyLevels, optional
        Of the working substance at unit field; default: one spin, −1 and +1.

    Returns
    -------
    Engine

    Raises
    ------
    InvalidInputError
        Baths of one temperature, or in the wrong order, or at β = 0 or ±∞ (`otto_cycle` and
        `reversal_cycle` take those); fields that are 0 or equal, or so large or small that nothing
        float64 can hold is exchanged; levels without an upper bound, which no field may turn over.
    UnboundedSpectrumError
        Such levels, and a bath at β < 0.

    Notes
    -----
    All strokes are followed exactly and infinitely slowly, but for the reversals of the field,
    which only spins without interaction would survive at any speed: see `adiabat` for what can be
    quasi-static, and what cannot.

    References
    ----------
    N. F. Ramsey, Phys. Rev. 103, 20 (1956); P. T. Landsberg, J. Phys. A 10, 1773 (1977); S. Braun
    et al., Science 339, 52 (2013); M. Campisi, arXiv:1606.05244 (2016); H. Struchtrup, Entropy 21,
    749 (2019).

    Examples
    --------
    >>> found = engine(hot=-1.0, cold=1.0)
    >>> [round(float(heat), 4) for heat in found.carnot.heats]
    [0.4921, 0.4921]
    >>> print(f"{found.carnot.formal_efficiency:.3f} {found.carnot.efficiency:.3f}")
    2.000 1.000
    """
    substance = _SPIN if levels is None else levels
    carnot = carnot_cycle(substance, hot, cold, fields)
    hot, cold = carnot.baths
    if otto_fields is None:
        at_hot = 2.0 / max(abs(hot), abs(cold))
        still = hot / cold if hot > 0.0 else 0.0  # h_c/h_h at which both waits have one x
        otto_fields = at_hot, 0.5 * (1.0 + still) * at_hot
    otto = otto_cycle(substance, hot, cold, otto_fields)
    one = reversal_cycle(substance, hot, otto_fields[0])
    other = reversal_cycle(substance, cold, otto_fields[0])
    ratio = np.concatenate([np.linspace(-2.0, -0.02, 40), np.linspace(0.02, 3.0, 120)])
    ratio = ratio[np.abs(ratio - 1.0) > 1e-6]
    scan = [_carnot_of_ratio(substance, float(r)) for r in ratio]
    return Engine(
        levels=substance,
        hot=hot,
        cold=cold,
        carnot=carnot,
        otto=otto,
        single=(one, other),
        ratio=ratio,
        formal_efficiency=np.array([cycle.formal_efficiency for cycle in scan]),
        efficiency=np.array([cycle.efficiency for cycle in scan]),
    )


def _carnot_of_ratio(levels: EnergyLevels, ratio: float) -> Cycle:
    cold = math.copysign(1.0, 1.0 - ratio)  # both below 0 from a ratio of 1 on
    return carnot_cycle(levels, ratio * cold, cold)
