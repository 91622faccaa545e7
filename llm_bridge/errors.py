"""Errors of the language-model side that a user can mend, one class per failure."""

from __future__ import annotations

from thermo.errors import InvalidInputError, SpinlogitError

__all__ = [
    "MissingExtraError",
    "ModelLoadError",
    "ModelNotFoundError",
    "NoiseOverflowError",
    "RecordFileError",
    "TextTooShortError",
    "UnknownTailError",
    "UnreachableTemperatureError",
    "UnsupportedNoiseError",
]


class MissingExtraError(SpinlogitError, ImportError):
    """A package that only some parts need, most often of the extra ``llm``, is not installed."""

    def __init__(
        self,
        package: str,
        purpose: str = "a language model",
        install: str = '"spinlogit[llm]"',
    ) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed: pip install {install}"
        )


class ModelNotFoundError(SpinlogitError, FileNotFoundError):
    """No model where one was looked for, or a folder that is not a model."""


class ModelLoadError(SpinlogitError, ValueError):
    """A folder looks like a model, but it cannot be loaded as a causal language model."""


class TextTooShortError(InvalidInputError):
    """A text has fewer tokens than the question needs."""

    def __init__(
        self,
        given: int,
        needed: int,
        why: str = "one more than positions, because each row predicts the next token",
    ) -> None:
        super().__init__(
            f"the text has {given} token{'s' if given != 1 else ''}; at least {needed} are needed "
            f"({why})."
        )
        self._parts = given, needed, why

    def __reduce__(self) -> tuple[type[TextTooShortError], tuple[int, int, str]]:
        return type(self), self._parts


class RecordFileError(SpinlogitError, ValueError):
    """A file is not a readable record of logits, or is not what it says it is."""


class UnknownTailError(SpinlogitError, ValueError):
    """β < 0 was asked of data that hold the likeliest tokens only."""

    def __init__(self, beta: float) -> None:
        super().__init__(
            f"β = {beta:g} was asked of the largest log-probabilities alone: at β < 0 the least "
            "likely tokens decide, and those are not in the data. Accepted: 0 ≤ β < ∞, or a record "
            "of full logits (llm_bridge.record_logits, LogitRecord.load)."
        )
        self.beta = beta

    def __reduce__(self) -> tuple[type[UnknownTailError], tuple[float]]:
        return type(self), (self.beta,)


class UnreachableTemperatureError(InvalidInputError):
    """No size of a weight noise stands for the temperature that was asked for.

    Attributes
    ----------
    accepted : tuple of float
        The lowest and the highest temperature that one does.
    """

    def __init__(self, message: str, accepted: tuple[float, float]) -> None:
        super().__init__(message)
        self.accepted = accepted

    def __reduce__(self) -> tuple[type[UnreachableTemperatureError], tuple[str, object]]:
        return type(self), (str(self), self.accepted)


class NoiseOverflowError(InvalidInputError):
    """Weight noise so large that the logits of the model are no numbers any more."""


class UnsupportedNoiseError(InvalidInputError):
    """A kind of weight noise, or a way to draw it, that this version does not compute."""
