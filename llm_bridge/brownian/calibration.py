"""Which size of weight noise stands for a wanted softmax temperature, and whether one does."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llm_bridge.brownian.effective_temperature import EffectiveTemperature, effective_temperature
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.brownian.temperature_ladder import Rung, climb, first_rung, solve
from llm_bridge.errors import (
    TextTooShortError,
    UnreachableTemperatureError,
)
from llm_bridge.quenched import position_mean
from llm_bridge.spectrum import thermodynamics
from thermo.arguments import finite_number, true_or_false, whole_number
from thermo.curves import Measured
from thermo.errors import InvalidInputError, UncertaintyWarning
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.temperature import beta_from_temperature

if TYPE_CHECKING:
    from llm_bridge.models import LanguageModel

__all__ = ["Calibration", "Rung", "calibrate"]

_LEAST_POSITIONS = 16
_NEARLY_SAME = 3.0  # standard errors between the halves of a text that may be chance
_ROUGH = 0.5  # of T − 1: to know T worse than that is to know little more than its side of 1


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
        Its size, and the standard error for texts like this one: ``temperature_error`` in σ.
    temperature_error : float
        Of T on such texts: from the draws and the text that it was fitted on, or, if that is more,
        from how far the two halves of the text are apart.
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
    temperature_error: float
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
            f"T = {self.temperature:.12g} is σ = {rounded_to_error(self.sigma, self.sigma_error)} "
            f"({100 * self.temperature_share:.0f} % of its effect on the mean distribution); "
            f"T from {low:.3g} to {high:.3g}: {self.limit}. Other text: "
            f"T = {rounded_to_error(check.temperature, _apart(self.fitted, check))}, "
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
    law: str = "gaussian",
    scale: str = "relative",
    where: str | Sequence[str] = "all",
    correlation: str = "quenched",
    tau: float | None = None,
    rank: int = 1,
    seed: int = 0,
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
    law, scale, where, correlation, tau, rank, seed
        The kind of noise: as in :class:`WeightNoise`.

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
        Fewer than 32 tokens.

    Warns
    -----
    UncertaintyWarning
        On the second half of the text the noise has another T, by more than 3 standard errors or
        by more than half of T − 1; or T − 1 is not known to within half of itself.

    Notes
    -----
    Takes 12 to 20 times ``draws`` passes over ``positions`` tokens.

    Errors are measured within each half. What changes slowly along a text is not seen in a short
    piece of it: in 32 to 128 positions of the demo model's text they are too small by about a
    quarter. Of two pairs of draws (``draws=4``) their error is luck. The difference of the halves
    is therefore looked at too: T of the check is given with the errors of both, and
    ``sigma_error`` is widened where they are further apart than that.

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
    unit = WeightNoise(
        1.0, law=law, scale=scale, where=where, correlation=correlation, tau=tau, rank=rank,
        seed=seed,
    )  # fmt: skip
    ids = model.encode(text)
    half = min(positions, ids.size // 2)
    if half < _LEAST_POSITIONS:
        raise TextTooShortError(
            int(ids.size), 2 * _LEAST_POSITIONS, f"{_LEAST_POSITIONS} in each half"
        )
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
        lowest = first_rung(read, _rms(model, unit), abs(wanted - 1), unit)
        ladder, limit = climb(read, lowest, tolerance)
        last = ladder[-1].temperature
        accepted = min(1.0, last), max(1.0, last)
        if not accepted[0] <= wanted <= accepted[1]:
            _refuse(wanted, unit, ladder, accepted, limit)
        sigma, fitted, exponent = solve(read, ladder, wanted)
        noise = replace(unit, sigma=sigma)
        check = reader(halves[1])(sigma)
    error = fitted.temperature_error * max(
        1.0, abs(check.temperature - wanted) / _apart(fitted, check)
    )
    _warn_if_rough(wanted, fitted, check)
    beta = float(beta_from_temperature(wanted))
    softmax = position_mean(thermodynamics(model.logits(halves[1]), beta, model.valid).entropy)
    return Calibration(
        temperature=wanted,
        noise=noise,
        sigma=sigma,
        sigma_error=error * sigma / (exponent * abs(wanted - 1)),
        temperature_error=error,
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
        f"temperature = {wanted:.12g}; {reason}. Accepted for this noise: "
        f"{accepted[0]:.4g} to {accepted[1]:.4g}.",
        accepted,
    )


def _apart(fitted: EffectiveTemperature, check: EffectiveTemperature) -> float:
    """By how much the temperatures of the two halves differ by chance."""
    return math.hypot(fitted.temperature_error, check.temperature_error)


def _warn_if_rough(
    wanted: float, fitted: EffectiveTemperature, check: EffectiveTemperature
) -> None:
    """Say that T is hardly known, for both halves of the text or because they differ."""
    error, change = _apart(fitted, check), abs(wanted - 1)
    miss = abs(check.temperature - wanted)
    if miss <= _NEARLY_SAME * error and max(miss, error) <= _ROUGH * change:
        return
    warnings.warn(
        f"the noise has T = {wanted:.12g} on the text that it was fitted on and "
        f"{rounded_to_error(check.temperature, error)} on the other half: {check.positions} "
        f"positions and {check.draws} draws tell no more; give more positions, or more draws.",
        UncertaintyWarning,
        stacklevel=3,
    )


def _temperature_share(
    model: LanguageModel, tokens: NDArray[np.int64], fit: EffectiveTemperature
) -> float:
    """KL(q ‖ p)/KL(p̄ ‖ p), where q is the closest softmax: KL(p̄ ‖ p) = KL(p̄ ‖ q) + KL(q ‖ p)."""
    hot = thermodynamics(model.logits(tokens), np.array([fit.beta, 1.0]), model.valid)
    energy, log_z = hot.internal_energy, hot.log_partition_function
    explained = ((1 - fit.beta) * energy[:, 0] + log_z[:, 1] - log_z[:, 0]).mean()
    return float(explained / (explained + max(fit.residual_kl, 0.0)))
