"""Which size of weight noise stands for a wanted softmax temperature, and whether one does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from llm_bridge.brownian.effective_temperature import EffectiveTemperature, effective_temperature
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.errors import TextTooShortError, UnreachableTemperatureError
from llm_bridge.quenched import position_mean
from llm_bridge.spectrum import thermodynamics
from thermo.arguments import finite_number, true_or_false, whole_number
from thermo.curves import Measured
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.temperature import beta_from_temperature

if TYPE_CHECKING:
    from llm_bridge.models import LanguageModel

__all__ = ["Calibration", "Rung", "calibrate"]

_FIRST = 0.01  # of the weights' rms: the noise that is tried first
_SMALL_CHANGE = 0.01  # |T − 1| of the ladder's first rung
_STEP = math.sqrt(2)  # of σ from rung to rung: weak noise doubles T − 1
_HOTTEST = 100.0
_LEAST_POSITIONS = 16


class Rung(NamedTuple):
    """What was read at one size of the noise: temperatures by divergence and by entropy."""

    sigma: float
    temperature: float
    temperature_entropy: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """The noise that stands for a temperature; see :func:`calibrate`.

    Attributes
    ----------
    temperature : float
        T that was asked for.
    noise : WeightNoise
        The noise that has it, of size ``sigma``.
    sigma, sigma_error : float
        Its size, and the standard error: from the draws and from the text that it was fitted on.
    temperature_range : tuple of float
        Temperatures, from lowest to highest, that this kind of noise stands for; 1 is one end.
    limit : str
        What happens at the other end.
    temperature_share : float
        How much of the change of the mean distribution is a temperature: of KL(p̄ ‖ p), the part
        that softmax at T explains, 0 … 1. The rest moves tokens against each other.
    fitted : EffectiveTemperature
        Of this noise on the text that it was fitted on.
    check : EffectiveTemperature
        On the other half of the text, which it was not fitted on.
    check_entropy_softmax : Measured
        Mean entropy of softmax at T there, to be held against ``check.entropy_mean``.
    ladder : tuple of Rung
        The sizes that were tried, rising.
    """

    temperature: float
    noise: WeightNoise
    sigma: float
    sigma_error: float
    temperature_range: tuple[float, float]
    limit: str
    temperature_share: float
    fitted: EffectiveTemperature
    check: EffectiveTemperature
    check_entropy_softmax: Measured
    ladder: tuple[Rung, ...]

    def __str__(self) -> str:
        low, high = self.temperature_range
        check, softmax = self.check, self.check_entropy_softmax
        return (
            f"T = {self.temperature:g} is σ = {rounded_to_error(self.sigma, self.sigma_error)} "
            f"({100 * self.temperature_share:.0f} % of its effect on the mean distribution); "
            f"T from {low:.3g} to {high:.3g}: {self.limit}. Other text: "
            f"T = {rounded_to_error(check.temperature, check.temperature_error)}, "
            f"entropy {rounded_to_error(check.entropy_mean, check.entropy_mean_error)}, "
            f"softmax {rounded_to_error(float(softmax.value), float(softmax.error))} nats"
        )


def calibrate(
    model: LanguageModel,
    temperature: float,
    text: str,
    *,
    positions: int = 256,
    draws: int = 32,
    tolerance: float = 0.1,
    machine: str = "auto",
    progress: bool = False,
    **kind: Any,
) -> Calibration:
    r"""The size of weight noise whose mean distribution is closest to softmax at a temperature.

    T(σ) is measured on the first half of a text, rung by rung of a ladder of σ, by
    :func:`effective_temperature` with the same draws at every σ, so that it is a smooth curve;
    σ is where it passes the wanted T. The second half checks it.

    There is such a σ, and it means something, as long as

    * T moves away from 1 steadily as σ grows, and
    * the mean distribution has *one* temperature: by divergence and by entropy it is the same
      within ``tolerance`` of T − 1. (To order σ² they agree: this tells how far that order goes.)

    Parameters
    ----------
    model : LanguageModel
    temperature : float
        The wanted T > 0, other than 1.
    text : str
        That the model was not trained on, about two tokens per position.
    positions : int
        N, how many are read in each half, at least 16; fewer if the text is shorter.
    draws : int
        Per σ, even and at least 4 (antithetic pairs).
    tolerance : float
        Greatest difference of the two readings of T, relative to T − 1.
    machine : str
        As in :func:`sample_logits`.
    progress : bool
        Show a progress bar on standard error.
    **kind
        ``where``, ``law``, ``scale``, ``correlation``, ``tau``, ``rank`` and ``seed`` of
        :class:`WeightNoise`. Default: frozen Gaussian noise on all weights.

    Returns
    -------
    Calibration

    Raises
    ------
    UnreachableTemperatureError
        T is outside the range; the message gives the range and why it ends.
    InvalidInputError
        T is not positive or is 1, too few draws, noise that changes nothing.
    TextTooShortError
        Fewer than 34 tokens.

    Notes
    -----
    Takes 12 to 20 times ``draws`` passes over ``positions`` tokens.

    The noise is no replacement of the temperature: ``temperature_share`` says how much of what it
    does is one, and ``fitted.disagreement`` how much is each member's own. Decoding with weights
    that are drawn once is sampling from one member, whose entropy is ``fitted.aleatoric``.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> found = calibrate(model, 1.05, model.held_out_text, positions=32, draws=4, where="head")
    >>> 0.3 < found.sigma < 0.6, found.noise.where
    (True, 'head')
    >>> calibrate(model, 0.9, model.held_out_text, positions=32, draws=4, where="head")
    Traceback (most recent call last):
    ...
    llm_bridge.errors.UnreachableTemperatureError: temperature = 0.9; ...
    """
    from thermo.run.progress_bar import progress_bar

    wanted = finite_number(temperature, "temperature", positive=True)
    if wanted == 1:
        raise InvalidInputError("temperature = 1 is the model without noise; accepted: another T.")
    positions = whole_number(positions, "positions", _LEAST_POSITIONS)
    draws = whole_number(draws, "draws", 4)
    if draws % 2:
        raise InvalidInputError(f"draws = {draws}; an even number is accepted (antithetic pairs).")
    tolerance = finite_number(tolerance, "tolerance", positive=True)
    progress = true_or_false(progress, "progress")
    unit = WeightNoise(1.0, **kind)
    ids = model.encode(text)
    half = min(positions, ids.size // 2)
    if half < _LEAST_POSITIONS:
        raise TextTooShortError(int(ids.size), 2 * _LEAST_POSITIONS + 2)
    halves = ids[:half], ids[half : 2 * half]

    with progress_bar(progress, None, unit="σ", what="calibration") as bar:

        def reader(tokens: NDArray[np.int64]) -> Callable[[float], EffectiveTemperature]:
            clean = model.logits(tokens)

            def read(sigma: float) -> EffectiveTemperature:
                noisy = sample_logits(model, tokens, replace(unit, sigma=sigma), draws, machine)
                bar.update()
                return effective_temperature(clean, noisy, model.valid)

            return read

        read = reader(halves[0])
        first = _first_rung(read, _rms(model, unit), abs(wanted - 1), unit)
        ladder, limit = _climb(read, first, tolerance)
        last = ladder[-1].temperature
        accepted = min(1.0, last), max(1.0, last)
        if not accepted[0] <= wanted <= accepted[1]:
            _refuse(wanted, unit, ladder, accepted, limit)
        sigma, fitted, exponent = _solve(read, ladder, wanted)
        noise = replace(unit, sigma=sigma)
        check = reader(halves[1])(sigma)
    beta = float(beta_from_temperature(wanted))
    softmax = position_mean(thermodynamics(model.logits(halves[1]), beta, model.valid).entropy)
    return Calibration(
        temperature=wanted,
        noise=noise,
        sigma=sigma,
        sigma_error=fitted.temperature_error * sigma / (exponent * abs(wanted - 1)),
        temperature_range=accepted,
        limit=limit,
        temperature_share=_temperature_share(model, halves[0], fitted),
        fitted=fitted,
        check=check,
        check_entropy_softmax=Measured(softmax.mean, softmax.error),
        ladder=tuple(ladder),
    )


def _rms(model: LanguageModel, unit: WeightNoise) -> float:
    """What the first σ is relative to: 1, or the rms of the weights where σ is absolute."""
    if unit.scale == "relative":
        return 1.0
    relative = selected_tensors(model.torch_module, replace(unit, scale="relative"))
    count = sum(tensor.tensor.numel() for tensor in relative)
    return math.sqrt(sum(tensor.tensor.numel() * tensor.size**2 for tensor in relative) / count)


def _rung(sigma: float, fit: EffectiveTemperature) -> Rung:
    return Rung(sigma, fit.temperature, fit.temperature_entropy)


def _first_rung(
    read: Callable[[float], EffectiveTemperature], rms: float, change: float, unit: WeightNoise
) -> Rung:
    """A noise weak enough that T − 1 is about 0.01, or half of what is wanted if that is less."""
    wanted = min(_SMALL_CHANGE, change / 2)
    sigma = _FIRST * rms
    for _ in range(8):
        rung = _rung(sigma, read(sigma))
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


def _climb(
    read: Callable[[float], EffectiveTemperature], first: Rung, tolerance: float
) -> tuple[list[Rung], str]:
    """Rungs up to where the noise stops having one temperature, and what happens there."""
    rungs, step, limit = [first], _STEP, ""
    refinements = 2  # of the step, to find the end within 2^(1/8) of σ
    while refinements >= 0:
        rung = _rung(rungs[-1].sigma * step, read(rungs[-1].sigma * step))
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


def _refuse(
    wanted: float,
    unit: WeightNoise,
    ladder: list[Rung],
    accepted: tuple[float, float],
    limit: str,
) -> None:
    does = "heats" if ladder[0].temperature > 1 else "cools"
    away = (wanted - 1) * (ladder[0].temperature - 1) < 0
    reason = f"weak noise on {unit.where!r} {does}" if away else limit
    raise UnreachableTemperatureError(
        f"temperature = {wanted:g}; {reason}. Accepted for this noise: "
        f"{accepted[0]:.4g} to {accepted[1]:.4g}.",
        accepted,
    )


def _solve(
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


def _temperature_share(
    model: LanguageModel, tokens: NDArray[np.int64], fit: EffectiveTemperature
) -> float:
    """KL(q ‖ p)/KL(p̄ ‖ p), where q is the closest softmax: KL(p̄ ‖ p) = KL(p̄ ‖ q) + KL(q ‖ p)."""
    hot = thermodynamics(model.logits(tokens), np.array([fit.beta, 1.0]), model.valid)
    energy, log_z = hot.internal_energy, hot.log_partition_function
    explained = ((1 - fit.beta) * energy[:, 0] + log_z[:, 1] - log_z[:, 0]).mean()
    return float(explained / (explained + max(fit.residual_kl, 0.0)))
