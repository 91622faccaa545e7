"""Several noises measured on one text: what temperature each of them is like, and how far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from llm_bridge.brownian.effective_temperature import EffectiveTemperature, effective_temperature
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.brownian.selection import selected_tensors
from thermo.arguments import true_or_false, whole_number
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import rounded_to_error

if TYPE_CHECKING:
    from llm_bridge.models import LanguageModel

__all__ = ["NoiseSweep", "noise_sweep"]

_COLUMNS = {
    "T": "temperature",
    "T of entropy": "temperature_entropy",
    "residual KL": "residual_kl",
    "disagreement": "disagreement",
    "aleatoric": "aleatoric",
    "top-1 flips": "top1_flips",
    "rank swaps": "rank_swaps",
}


@dataclass(frozen=True, eq=False)
class NoiseSweep:
    """What each of several noises does to a model that reads a text.

    Attributes
    ----------
    noises : tuple of WeightNoise
    fits : tuple of EffectiveTemperature
        One for each of them.
    """

    noises: tuple[WeightNoise, ...]
    fits: tuple[EffectiveTemperature, ...]

    def rows(self) -> list[list[str]]:
        """A table as text, column titles first; errors in brackets are of the last digits."""
        out = [["where", "σ", *_COLUMNS]]
        for noise, fit in zip(self.noises, self.fits, strict=True):
            cells = [
                _shown(getattr(fit, name), getattr(fit, f"{name}_error"))
                for name in _COLUMNS.values()
            ]
            out.append([place_name(noise), f"{noise.sigma:g}", *cells])
        return out

    def to_dict(self) -> list[dict[str, Any]]:
        """The same in full, for JSON: infinities as text, NaN as None."""
        return [
            {"noise": asdict(noise), "measured": _plain(asdict(fit))}
            for noise, fit in zip(self.noises, self.fits, strict=True)
        ]


def noise_sweep(
    model: LanguageModel,
    ids: ArrayLike,
    noises: Sequence[WeightNoise],
    *,
    draws: int = 16,
    machine: str = "auto",
    progress: bool = False,
) -> NoiseSweep:
    """Measure several noises on the same text.

    Parameters
    ----------
    model : LanguageModel
    ids : array_like of int, shape (N,)
        The text; for the errors to mean something, a few hundred tokens.
    noises : sequence of WeightNoise
    draws : int
        Of each, an even number: antithetic pairs.
    machine : str
        As in :func:`sample_logits`.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    NoiseSweep

    Raises
    ------
    InvalidInputError
        No noise, an odd number of draws, a place that matches nothing, ids or machines that
        :func:`sample_logits` refuses.
    UnsupportedNoiseError
        As :func:`sample_logits`.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> ids = model.encode(model.held_out_text)[:32]
    >>> noises = [WeightNoise(0.1, where=place) for place in ("head", "mlp")]
    >>> head, mlp = noise_sweep(model, ids, noises, draws=4).fits
    >>> mlp.temperature - 1 > 1.5 * (head.temperature - 1) > 0
    True
    """
    from thermo.run.progress_bar import progress_bar

    draws = whole_number(draws, "draws", 2)
    if draws % 2:
        raise InvalidInputError(f"draws = {draws}; an even number is accepted (antithetic pairs).")
    progress = true_or_false(progress, "progress")
    if not noises:
        raise InvalidInputError("no noise was given; at least one is accepted.")
    tokens = model.checked_ids(ids)
    for noise in noises:  # a place that matches nothing is said before any work
        selected_tensors(model.torch_module, noise)
    clean = model.logits(tokens)
    fits = []
    with progress_bar(progress, len(noises), unit="noise", what="weight noise") as bar:
        for noise in noises:
            noisy = sample_logits(model, tokens, noise, draws, machine)
            fits.append(effective_temperature(clean, noisy, model.valid))
            bar.update()
    return NoiseSweep(tuple(noises), tuple(fits))


def place_name(noise: WeightNoise) -> str:
    """Where a noise acts, in one word."""
    return "+".join(noise.places)


def _shown(value: float, error: float) -> str:
    if not math.isfinite(error) or not math.isfinite(value):
        return f"{value:.4g}"
    return rounded_to_error(value, error)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return _plain(value)
        if isinstance(value, float) and not math.isfinite(value):
            return None if math.isnan(value) else str(value)
        return value

    return {name: plain(value) for name, value in values.items()}
