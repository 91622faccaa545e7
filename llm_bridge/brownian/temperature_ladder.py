"""The search for the size of a noise that has a temperature: up a ladder of sizes, then between."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from scipy.optimize import brentq

from llm_bridge.brownian.effective_temperature import EffectiveTemperature
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.errors import NoiseOverflowError
from thermo.errors import InvalidInputError

__all__ = ["Rung", "climb", "first_rung", "solve"]

_FIRST = 0.01  # of the weights' rms: the noise that is tried first
_SMALL_CHANGE = 0.01  # |T − 1| of the ladder's first rung
_STEP = math.sqrt(2)  # of σ from rung to rung: weak noise doubles T − 1
_HOTTEST = 100.0


class Rung(NamedTuple):
    """What was read at one size of the noise: temperatures by divergence and by entropy."""

    sigma: float
    temperature: float
    temperature_entropy: float


def _rung(sigma: float, fit: EffectiveTemperature) -> Rung:
    return Rung(sigma, fit.temperature, fit.temperature_entropy)


def first_rung(
    read: Callable[[float], EffectiveTemperature], rms: float, change: float, unit: WeightNoise
) -> Rung:
    """A noise weak enough that T − 1 is about 0.01, or half of what is wanted if that is less."""
    wanted = min(_SMALL_CHANGE, change / 2)
    sigma = _FIRST * rms
    for _ in range(8):
        try:
            rung = _rung(sigma, read(sigma))
        except NoiseOverflowError:
            rung = Rung(sigma, math.nan, math.nan)
        got = abs(rung.temperature - 1)
        if 0.5 < got / wanted < 2:
            return rung
        if got == 0 or not math.isfinite(got):
            break
        sigma *= min(max(math.sqrt(wanted / got), 0.03), 30.0)
    raise InvalidInputError(
        f"noise of σ = {rung.sigma:.3g} on {unit.where!r} has T = {rung.temperature:g}, and no σ "
        f"near it has |T − 1| = {wanted:.2g}; accepted: noise that changes the logits smoothly."
    )


def climb(
    read: Callable[[float], EffectiveTemperature], first: Rung, tolerance: float
) -> tuple[list[Rung], str]:
    """Rungs up to where the noise stops having one temperature, and what happens there."""
    rungs, step, limit = [first], _STEP, ""
    refinements = 2  # of the step, to find the end within 2^(1/8) of σ
    while refinements >= 0:
        sigma = rungs[-1].sigma * step
        try:
            rung = _rung(sigma, read(sigma))
        except NoiseOverflowError:
            found = f"at σ = {sigma:.3g} the logits are no numbers any more"
        else:
            found = _objection(rungs[-1], rung, tolerance)
        if found:
            limit = found
            step = math.sqrt(step)
            refinements -= 1
        elif rung.temperature > _HOTTEST:
            return rungs, "hotter noise was not tried"
        else:
            rungs.append(rung)
    return rungs, limit


def _objection(below: Rung, rung: Rung, tolerance: float) -> str:
    """Why this rung stands for no temperature; nothing if it does."""
    change = rung.temperature - 1
    if not 0 < rung.temperature < math.inf or change * (below.temperature - 1) <= 0:
        return f"at σ = {rung.sigma:.3g} the closest softmax is at T = {rung.temperature:.3g}"
    if abs(change) <= abs(below.temperature - 1):
        return f"at σ = {rung.sigma:.3g} the temperature turns back to {rung.temperature:.3g}"
    if abs(rung.temperature_entropy - rung.temperature) > tolerance * abs(change):
        return (
            f"at σ = {rung.sigma:.3g} the mean distribution is no softmax any more, T = "
            f"{rung.temperature:.4g} by divergence and {rung.temperature_entropy:.4g} by entropy"
        )
    return ""


def solve(
    read: Callable[[float], EffectiveTemperature], ladder: list[Rung], wanted: float
) -> tuple[float, EffectiveTemperature, float]:
    """σ where T(σ) passes the wanted one, the fit there, and the exponent of T − 1 ∝ σⁿ there."""
    fits: dict[float, EffectiveTemperature] = {}
    target = math.log(abs(wanted - 1))
    known = {math.log(r.sigma): math.log(abs(r.temperature - 1)) - target for r in ladder}

    def excess(x: float) -> float:
        if x not in known:
            fits[x] = read(math.exp(x))
            known[x] = math.log(abs(fits[x].temperature - 1)) - target
        return known[x]

    rungs = list(known)
    above = next(i for i, x in enumerate(rungs) if known[x] >= 0)  # not the first: it is below
    low, high = rungs[above - 1], rungs[above]
    exponent = (known[high] - known[low]) / (high - low)
    x = brentq(excess, low, high, xtol=1e-4)
    return math.exp(x), fits.get(x) or read(math.exp(x)), exponent
