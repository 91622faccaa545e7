"""What the weights do: the law, the size and the place of weight noise."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from fnmatch import fnmatchcase
from numbers import Real

from llm_bridge.errors import UnsupportedNoiseError
from thermo.errors import InvalidInputError

__all__ = ["KINDS", "WeightNoise", "kind_of"]

KINDS = ("embedding", "attention", "mlp", "norm", "head")
"""Kinds of parameters that `WeightNoise.where` understands."""

# Looked for in this order in the dotted name of a parameter, as the causal models of transformers
# spell them. Norms come first because many sit inside attention, and heads before embeddings
# because of names such as embed_out.
_PATTERNS = (
    ("norm", r"norm|(^|\.)ln_?\w*\."),
    ("head", r"(^|\.)(lm_head|embed_out|output_projection|head)\."),
    ("embedding", r"embed|(^|\.)(wte|wpe)\."),
    ("attention", r"attn|attention"),
    ("mlp", r"mlp|ffn|feed_forward|experts|moe|(^|\.)fc_?\w*\."),
)


def kind_of(parameter_name: str) -> str:
    """Kind of a parameter by its name.

    Parameters
    ----------
    parameter_name : str
        As in ``module.named_parameters()``.

    Returns
    -------
    str
        One of `KINDS`, or ``"other"``.

    Examples
    --------
    >>> kind_of("model.layers.3.self_attn.q_proj.weight"), kind_of("model.norm.weight")
    ('attention', 'norm')
    >>> kind_of("transformer.wte.weight"), kind_of("lm_head.weight")
    ('embedding', 'head')
    """
    for kind, pattern in _PATTERNS:
        if re.search(pattern, parameter_name):
            return kind
    return "other"


@dataclass(frozen=True)
class WeightNoise:
    r"""Gaussian noise on the weights of a model, frozen for a whole sequence.

    .. math:: W \to W + \sigma\,s_W\,\xi, \qquad \xi_{ij} \sim N(0, 1)\ \text{independent}

    with :math:`s_W` the root mean square of the tensor (``scale="relative"``) or 1
    (``"absolute"``).

    Parameters
    ----------
    sigma : float
        Size of the noise, ≥ 0: relative to each tensor's rms, or in the unit of the weights.
    law : {"gaussian"}
        Distribution of the noise.
    scale : {"relative", "absolute"}
        What ``sigma`` is measured in. Relative noise leaves a tensor of zeros as it is.
    where : str or sequence of str
        ``"all"``, a kind (``"embedding"``, ``"attention"``, ``"mlp"``, ``"norm"``, ``"head"``) or a
        pattern of parameter names such as ``"model.layers.0.*"``; or several of them.
    correlation : {"quenched"}
        Along the sequence: one draw of the weights reads all positions.
    tau : None
        Correlation time in tokens; has no meaning for quenched noise.
    seed : int
        Draw k is the same whatever the number of draws, and the noise of one tensor is the same
        whichever others are chosen.

    Raises
    ------
    InvalidInputError
        ``sigma`` negative or not finite, or another argument of the wrong kind.
    UnsupportedNoiseError
        A law or correlation that is not computed here.

    Notes
    -----
    Noise of σ is not a temperature T: it moves ranks, which softmax temperature never does.
    :func:`llm_bridge.brownian.effective_temperature` measures how far the two agree.

    Examples
    --------
    >>> WeightNoise(0.01, where="attention").selects("model.layers.0.self_attn.q_proj.weight")
    True
    >>> WeightNoise(-1.0)
    Traceback (most recent call last):
    ...
    thermo.errors.InvalidInputError: sigma = -1.0; a finite number ≥ 0 is accepted.
    """

    sigma: float
    _: KW_ONLY
    law: str = "gaussian"
    scale: str = "relative"
    where: str | Sequence[str] = "all"
    correlation: str = "quenched"
    tau: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        sigma = self.sigma
        if isinstance(sigma, bool) or not isinstance(sigma, Real):
            raise InvalidInputError(f"sigma = {sigma!r}; a finite number ≥ 0 is accepted.")
        if not (math.isfinite(sigma) and sigma >= 0):
            raise InvalidInputError(f"sigma = {sigma!r}; a finite number ≥ 0 is accepted.")
        if self.law != "gaussian":
            raise UnsupportedNoiseError(f"law = {self.law!r}; only 'gaussian' is computed.")
        if self.scale not in ("relative", "absolute"):
            raise InvalidInputError(
                f"scale = {self.scale!r}; 'relative' or 'absolute' is accepted."
            )
        if self.correlation != "quenched":
            raise UnsupportedNoiseError(
                f"correlation = {self.correlation!r}; only 'quenched' is computed."
            )
        if self.tau is not None:
            raise UnsupportedNoiseError(
                f"tau = {self.tau!r}; quenched noise has no correlation time, leave it None."
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise InvalidInputError(f"seed = {self.seed!r}; an integer ≥ 0 is accepted.")
        where: object = self.where
        places = (where,) if isinstance(where, str) or not isinstance(where, Sequence) else where
        if not places or not all(isinstance(place, str) and place for place in places):
            raise InvalidInputError(
                f"where = {self.where!r}; 'all', one of {', '.join(KINDS)}, a pattern of "
                "parameter names, or a list of these is accepted."
            )
        object.__setattr__(self, "sigma", float(sigma))
        object.__setattr__(self, "where", where if isinstance(where, str) else tuple(places))

    def selects(self, parameter_name: str) -> bool:
        """Whether the noise acts on the parameter of this name."""
        places = (self.where,) if isinstance(self.where, str) else self.where
        return any(
            place == "all" or place == kind_of(parameter_name) or fnmatchcase(parameter_name, place)
            for place in places
        )
