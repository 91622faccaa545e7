"""The result of a sweep of temperature: curves, texts in numbers, a table, a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.sweep.heat_capacity_peak import HeatCapacityPeak
from llm_bridge.text.measures import TextMeasures
from thermo.curves import Measured
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.temperature import temperature_from_beta

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SweepCurve", "TemperatureSweep"]

FloatArray = NDArray[np.float64]

_CURVES = ("entropy", "heat_capacity", "cross_entropy")


@dataclass(frozen=True, eq=False)
class SweepCurve:
    """What a model says of the tokens of a given text, averaged over N positions, at many β.

    Attributes
    ----------
    beta : ndarray, shape (B,)
        Falling from +∞ to −∞, in 1/nat.
    positions : int
        N.
    entropy, heat_capacity : Measured
        S and C in k per token, with standard errors corrected for the correlation of neighbours.
    cross_entropy : Measured
        −ln p under the clean model, in nats, of a token drawn at β *in the contexts of the text*.
        Where the texts that the model writes at β depart from it, their contexts have.
    """

    beta: FloatArray
    positions: int
    entropy: Measured
    heat_capacity: Measured
    cross_entropy: Measured


@dataclass(frozen=True, eq=False)
class TemperatureSweep:
    """The result of :func:`llm_bridge.sweep.temperature_sweep.temperature_sweep`.

    Attributes
    ----------
    curve : SweepCurve
        Of the model reading the text given.
    peaks : tuple of (HeatCapacityPeak or None)
        Of the mean heat capacity, at β > 0 and at β < 0.
    beta : ndarray, shape (B,)
        At which texts were written.
    texts : tuple of TextMeasures
        One for each ``beta``.
    original : TextMeasures
        How the text given itself goes on from the same prompts, in as many tokens.
    scale : float
        σ₀, in nats.
    vocabulary : int
        Tokens that could be drawn.
    settings : dict
    """

    curve: SweepCurve
    peaks: tuple[HeatCapacityPeak | None, HeatCapacityPeak | None]
    beta: FloatArray
    texts: tuple[TextMeasures, ...]
    original: TextMeasures
    scale: float
    vocabulary: int
    settings: dict[str, Any]

    def plot(self) -> Figure:
        """Four panels over the line of temperatures."""
        from llm_bridge.sweep.picture import sweep_picture

        return sweep_picture(self)

    def rows(self) -> list[list[str]]:
        """A table: its header, a row for each temperature, and one for the text given.

        Errors are in brackets, in units of the last digits.
        """
        parsable = [] if self.original.parsable is None else ["parsable"]
        header = ["T", "S(T)", "exp S", "C(T)", "S, own text", "perplexity", "repeated", "loop"]
        out = [header + parsable]
        entropy, heat = self.curve.entropy, self.curve.heat_capacity
        for beta, text in zip(self.beta.tolist(), self.texts, strict=True):
            k = int(np.argmax(self.curve.beta == beta))
            out.append(
                [
                    f"{float(temperature_from_beta(beta)):g}",
                    _short(entropy.value[k], entropy.error[k]),
                    f"{np.exp(entropy.value[k]):.4g}",
                    _short(heat.value[k], heat.error[k]),
                    _short(text.entropy.mean, text.entropy.error) if text.entropy else "",
                    *_measured(text),
                ]
            )
        out.append(["the text given", "", "", "", "", *_measured(self.original)])
        return out

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types; ±inf as "inf" and "-inf"."""
        from thermo.cli.output import plain

        curve: dict[str, Any] = {"beta": plain(self.curve.beta), "positions": self.curve.positions}
        for name in _CURVES:
            found: Measured = getattr(self.curve, name)
            curve[name] = {"mean": plain(found.value), "error": plain(found.error)}
        temperature = plain(temperature_from_beta(self.beta))
        return {
            "schema": "spinlogit.temperature-sweep/1",
            "settings": self.settings,
            "vocabulary": self.vocabulary,
            "scale": self.scale,
            "curve": curve,
            "peaks": [None if peak is None else dict(vars(peak)) for peak in self.peaks],
            "texts": [
                {"beta": b, "temperature": t} | text.to_dict()
                for b, t, text in zip(plain(self.beta), temperature, self.texts, strict=True)
            ],
            "original": self.original.to_dict(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TemperatureSweep:
        """Read back what `to_dict` made, to draw it again."""
        curve, peaks = document["curve"], document["peaks"]
        cold, hot = (None if peak is None else HeatCapacityPeak(**peak) for peak in peaks)
        return cls(
            curve=SweepCurve(
                beta=_numbers(curve["beta"]),
                positions=curve["positions"],
                **{
                    name: Measured(_numbers(curve[name]["mean"]), _numbers(curve[name]["error"]))
                    for name in _CURVES
                },
            ),
            peaks=(cold, hot),
            beta=_numbers([text["beta"] for text in document["texts"]]),
            texts=tuple(TextMeasures.from_dict(text) for text in document["texts"]),
            original=TextMeasures.from_dict(document["original"]),
            **{name: document[name] for name in ("scale", "vocabulary", "settings")},
        )


def _numbers(values: list[Any]) -> FloatArray:
    return np.array([np.nan if value is None else float(value) for value in values])


def _measured(text: TextMeasures) -> list[str]:
    perplexity = text.perplexity
    words = [_short(perplexity, perplexity * float(text.cross_entropy.error))]
    words += [_short(found.mean, found.error) for found in (text.repeated, text.loop)]
    return words if text.parsable is None else [*words, f"{text.parsable}/{text.texts}"]


def _short(value: ArrayLike, error: ArrayLike) -> str:
    """A mean with its error; where that is below all digits of interest, without."""
    mean, deviation = float(np.asarray(value)), float(np.asarray(error))
    if deviation < 1e-4 * abs(mean):
        return f"{mean:.5g}"
    return rounded_to_error(mean, deviation)
