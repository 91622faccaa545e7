"""Many texts of one kind in numbers: their perplexity, how much they repeat, what parses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.text.loops import loop_share, repeated_share
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.estimate.proportion import wilson_interval

__all__ = ["TextMeasures", "text_measures"]

_AVERAGED = ("cross_entropy", "entropy", "repeated", "loop")


@dataclass(frozen=True, eq=False)
class TextMeasures:
    """What texts of one kind are like: means over n texts, with standard errors.

    Attributes
    ----------
    texts : int
        n.
    cross_entropy : MeanWithError
        −ln p of a token under the clean model (β = 1, no filters), in nats.
    entropy : MeanWithError or None
        Of the distributions that the tokens were drawn from, in nats; None for a text not drawn.
    repeated : MeanWithError
        Share of the pairs of tokens that have come before in the text, 1 − distinct-2 (J. Li et
        al., NAACL 2016; :func:`llm_bridge.text.loops.repeated_share`).
    loop : MeanWithError
        Share of the text in its longest loop (:func:`llm_bridge.text.loops.loop_share`).
    parsable : int or None
        How many texts are the beginning of a Python program; None where that was not asked.
    example : str
        The first of the texts.
    """

    texts: int
    cross_entropy: MeanWithError
    entropy: MeanWithError | None
    repeated: MeanWithError
    loop: MeanWithError
    parsable: int | None
    example: str

    @property
    def perplexity(self) -> float:
        """exp of the mean cross-entropy; its relative error is that of the cross-entropy."""
        return float(np.exp(self.cross_entropy.mean))

    @property
    def parsable_interval(self) -> tuple[float, float] | None:
        """Wilson's interval of one standard error for the fraction that parses."""
        return None if self.parsable is None else wilson_interval(self.parsable, self.texts)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types; means as [value, standard error]."""
        out: dict[str, Any] = {"texts": self.texts}
        for name in _AVERAGED:
            found = getattr(self, name)
            out[name] = None if found is None else [float(found.mean), float(found.error)]
        interval = self.parsable_interval
        return out | {
            "parsable": self.parsable,
            "parsable_interval": None if interval is None else list(interval),
            "example": self.example,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TextMeasures:
        """Read back what `to_dict` made; effective sample sizes are not in it."""

        def read(name: str) -> MeanWithError:
            mean, error = map(np.asarray, document[name])
            unknown = np.asarray(np.nan)
            return MeanWithError(mean, error, unknown, unknown)

        return cls(
            texts=document["texts"],
            cross_entropy=read("cross_entropy"),
            entropy=None if document["entropy"] is None else read("entropy"),
            repeated=read("repeated"),
            loop=read("loop"),
            parsable=document["parsable"],
            example=document["example"],
        )


def text_measures(
    ids: NDArray[np.int64],
    log_probability: NDArray[np.float64],
    entropy: NDArray[np.float64] | None,
    parsable: Sequence[bool] | None,
    example: str,
) -> TextMeasures:
    """Average over texts of equal length.

    Parameters
    ----------
    ids : ndarray of int, shape (n, N)
        Tokens of n ≥ 2 texts, without their prompts.
    log_probability : ndarray, shape (n, N)
        ln p of each under the clean model, in nats.
    entropy : ndarray, shape (n, N), or None
        Of the distributions they were drawn from.
    parsable : sequence of bool, length n, or None
        Which texts are the beginning of a Python program.
    example : str
        One of the texts.

    Returns
    -------
    TextMeasures
        Errors from the differences between texts: n independent ones are assumed.

    Raises
    ------
    InvalidInputError
        Fewer than two texts.

    Examples
    --------
    >>> found = text_measures(np.array([[1, 1, 1], [1, 2, 3]]), -np.ones((2, 3)), None, None, "")
    >>> str(found.loop), str(found.cross_entropy), found.perplexity
    ('0.50(43)', '1', 2.718281828459045)
    """
    if len(ids) < 2:
        raise InvalidInputError(f"{len(ids)} texts were given; accepted: two or more, for an error")

    def average(per_text: Any) -> MeanWithError:
        return mean_with_error(np.asarray(per_text, dtype=np.float64)[:, None])

    return TextMeasures(
        texts=len(ids),
        cross_entropy=average(-log_probability.mean(axis=1)),
        entropy=None if entropy is None else average(entropy.mean(axis=1)),
        repeated=average([repeated_share(text, 2) for text in ids]),
        loop=average([loop_share(text) for text in ids]),
        parsable=None if parsable is None else int(np.sum(parsable)),
        example=example,
    )
