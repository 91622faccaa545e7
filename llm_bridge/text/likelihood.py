"""The likelihood of a text as a function of signed β, and where it is largest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from llm_bridge.logit_arrays import is_masked
from llm_bridge.logits import LogitRecord
from llm_bridge.spectrum import thermodynamics
from thermo.canonical import Thermodynamics
from thermo.errors import InvalidInputError

__all__ = ["DrawnEnergies", "drawn_energies", "end_bound", "maximum_likelihood", "surprisal"]

FloatArray = NDArray[np.float64]

_STEP = 1e-9  # of a Newton step in standard errors: what is left after it is far smaller still
_ROUNDING = 1e-14  # of β, where rounding of the energies is all that moves it
_MOST_STEPS = 200


@dataclass(frozen=True, eq=False)
class DrawnEnergies:
    """What came at every position, among what could have come.

    Attributes
    ----------
    logits : ndarray of float, shape (N, V)
    valid : ndarray of bool, shape (V,)
    energy : ndarray, shape (N,)
        E = −z of the token that came, in nats.
    lowest, highest : ndarray, shape (N,)
        The ends of the spectrum at each position.
    """

    logits: NDArray[Any]
    valid: NDArray[np.bool_]
    energy: FloatArray
    lowest: FloatArray
    highest: FloatArray

    def part(self, where: slice) -> DrawnEnergies:
        """The same for some of the positions."""
        ends = (self.energy[where], self.lowest[where], self.highest[where])
        return DrawnEnergies(self.logits[where], self.valid, *ends)

    def at(self, beta: float) -> Thermodynamics:
        """Thermodynamics of every position at one β, arrays (N,)."""
        return thermodynamics(self.logits, beta, self.valid)


def drawn_energies(record: LogitRecord) -> DrawnEnergies:
    """Read the energies of a text's tokens from a record.

    Parameters
    ----------
    record : LogitRecord

    Returns
    -------
    DrawnEnergies

    Raises
    ------
    InvalidInputError
        A token that came is masked or outside the vocabulary: no β makes it possible.

    Examples
    --------
    >>> drawn_energies(LogitRecord([[2.0, 0.0, -1.0]], [1])).lowest
    array([-2.])
    """
    if not isinstance(record, LogitRecord):
        raise InvalidInputError(
            f"a {type(record).__name__} was given where a LogitRecord is needed; "
            "llm_bridge.record_logits(model, text) makes one."
        )
    drawn = record.logits[np.arange(len(record)), record.token_ids]
    impossible = is_masked(drawn) | ~record.valid[record.token_ids]
    if impossible.any():
        where = int(np.argmax(impossible))
        raise InvalidInputError(
            f"token {int(record.token_ids[where])}, which came at position {where}, is masked in "
            "the record: it has probability 0 at every β. Records whose masks leave out none of "
            "the text's tokens are accepted."
        )
    ends = thermodynamics(record.logits, [np.inf, -np.inf], record.valid).internal_energy
    energy = -drawn.astype(np.float64)
    return DrawnEnergies(record.logits, record.valid, energy, ends[:, 0], ends[:, 1])


def maximum_likelihood(drawn: DrawnEnergies, start: float = 1.0) -> tuple[float, Thermodynamics]:
    r"""The β of either sign at which a text is likeliest.

    .. math::
        \ln L(\beta) = -\sum_t \big[\beta E_t(x_t) + \ln Z_t(\beta)\big], \qquad
        \frac{d \ln L}{d\beta} = \sum_t \big[U_t(\beta) - E_t(x_t)\big], \qquad
        \frac{d^2 \ln L}{d\beta^2} = -\sum_t \mathrm{Var}_t(E)

    The likelihood is concave on the whole real line: one maximum, found by Newton's method inside
    a bracket that closes around it.

    Parameters
    ----------
    drawn : DrawnEnergies
    start : float
        Where to begin; nothing but the time depends on it.

    Returns
    -------
    beta : float
        +inf if every token is the likeliest at its position, −inf if every one is the unlikeliest.
    state : Thermodynamics
        At this β, arrays (N,).

    Raises
    ------
    InvalidInputError
        All logits are equal at every position: every β gives the same likelihood.

    Examples
    --------
    Of two tokens with logits 1 and 0, the first comes three times in four: β = ln 3.

    >>> record = LogitRecord([[1.0, 0.0]] * 4, [0, 0, 1, 0])
    >>> round(maximum_likelihood(drawn_energies(record))[0], 6)
    1.098612
    """
    if (drawn.lowest == drawn.highest).all():
        raise InvalidInputError(
            "the logits are all equal at every position: every β gives the same text, none can be "
            "told."
        )
    for end, extreme in ((math.inf, drawn.lowest), (-math.inf, drawn.highest)):
        if (drawn.energy == extreme).all():
            return end, drawn.at(end)
    hotter, colder = -math.inf, math.inf  # the maximum lies between
    beta = float(start)
    for _ in range(_MOST_STEPS):
        state = drawn.at(beta)
        score = float((state.internal_energy - drawn.energy).sum())
        information = float(state.energy_variance.sum())
        if abs(score) <= _STEP * math.sqrt(information):
            break
        if score > 0:
            hotter = beta
        else:
            colder = beta
        # Far out, where hardly anything fluctuates, Newton's step may be of any size.
        most = 1.0 + 2.0 * abs(beta)
        step = score / information if information > 0 else math.copysign(most, score)
        step = min(max(step, -most), most)
        if not hotter < beta + step < colder:
            step = 0.5 * (hotter + colder) - beta
        if abs(step) <= _ROUNDING * abs(beta):
            break
        beta += step
    return beta, state


def end_bound(drawn: DrawnEnergies, beta: float, level: float = 0.05) -> float:
    """How close to zero β may be if the likeliest one is infinite: a one-sided confidence limit.

    Parameters
    ----------
    drawn : DrawnEnergies
        Every token at the lower end of its spectrum (β = +∞), or every one at the upper end.
    beta : float
        ±inf.
    level : float
        At the bound such a text has this probability; nearer to zero and beyond it has less.

    Returns
    -------
    float
        Of any sign: a few positions rule out little.

    Examples
    --------
    Logits 1 and 0, the first token comes 20 times of 20: p²⁰ ≥ 0.05 where β ≥ 1.82.

    >>> record = LogitRecord([[1.0, 0.0]] * 20, [0] * 20)
    >>> round(end_bound(drawn_energies(record), float("inf")), 2)
    1.82
    """
    sign = math.copysign(1.0, beta)
    at_end = drawn.at(beta).entropy  # ln of how many tokens share the end

    def log_probability(toward: float) -> float:
        state = drawn.at(sign * toward)
        return float((at_end - surprisal(drawn, state)).sum()) - math.log(level)

    near, far = -1.0, 1.0
    while log_probability(far) < 0:
        near, far = far, 2.0 * far
    while log_probability(near) > 0:
        near, far = 2.0 * near, near
    return sign * float(brentq(log_probability, near, far, rtol=1e-6))


def surprisal(drawn: DrawnEnergies, state: Thermodynamics) -> FloatArray:
    """−ln p of every token that came, at the β of a state, shape (N,), in nats.

    βE + ln Z = S + β(E − U): the second form has no gauge, and an end of the scale.
    """
    excess = drawn.energy - state.internal_energy
    with np.errstate(invalid="ignore"):  # at β = ±∞ a token of the end has no excess
        return state.entropy + np.where(excess == 0, 0.0, state.beta * excess)
