"""What the weights do: the law, the size, the place and the memory of weight noise."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from fnmatch import fnmatchcase
from numbers import Real

from llm_bridge.errors import UnsupportedNoiseError
from thermo.arguments import checked_seed, one_of, shown, whole_number
from thermo.errors import InvalidInputError

__all__ = [
    "ALSO_CALLED",
    "CORRELATIONS",
    "KINDS",
    "LARGEST_SIGMA",
    "LAWS",
    "WeightNoise",
    "kind_of",
]

KINDS = ("embedding", "attention", "mlp", "norm", "head")
"""Kinds of parameters that `WeightNoise.where` understands."""

ALSO_CALLED = {
    "everything": "all",
    "embed": "embedding",
    "embedtokens": "embedding",
    "wte": "embedding",
    "wpe": "embedding",
    "attn": "attention",
    "selfattn": "attention",
    "selfattention": "attention",
    "mha": "attention",
    "ffn": "mlp",
    "ff": "mlp",
    "feedforward": "mlp",
    "experts": "mlp",
    "moe": "mlp",
    "ln": "norm",
    "layernorm": "norm",
    "rmsnorm": "norm",
    "normalisation": "norm",
    "normalization": "norm",
    "lmhead": "head",
    "outputhead": "head",
    "unembedding": "head",
    "unembed": "head",
}
"""What else the kinds are called, for a message to say which one was meant."""

LARGEST_SIGMA = 1e36
"""Beyond it, kicks of a few standard deviations are infinite in float32."""

LAWS = ("gaussian", "multiplicative", "factorised", "low_rank", "ternary")
"""Laws of one draw of the weights."""

CORRELATIONS = ("quenched", "annealed", "ou")
"""How the draws at two positions of a sequence hang together."""

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
    r"""Noise on the weights of a model: every selected tensor W becomes W + δ.

    With :math:`s` the root mean square of the tensor (``scale="relative"``) or 1 (``"absolute"``),
    and ξ, A, B, ε independent standard normal numbers, a matrix W (m, n) is kicked by

    .. math::
        \text{gaussian:}\quad & \delta = \sigma s\,\xi \\
        \text{multiplicative:}\quad & \delta = \sigma\,W \circ \xi \\
        \text{factorised:}\quad & \delta = \sigma s \sqrt{\pi/2}\;
            f(\varepsilon_m)\, f(\varepsilon_n)^T,
            \quad f(\varepsilon) = \mathrm{sgn}(\varepsilon)\sqrt{|\varepsilon|} \\
        \text{low rank:}\quad & \delta = \sigma s\, A B^T / \sqrt r,
            \quad A \in \mathbb{R}^{m \times r},\; B \in \mathbb{R}^{n \times r} \\
        \text{ternary:}\quad & \delta_{ij} = \pm \sigma s/\sqrt q
            \;\text{ with probability } q/2 \text{ each, else } 0

    Every law has mean 0 and uncorrelated entries of standard deviation σs (σ|W| where
    multiplicative): they agree in all effects of order σ² and differ at σ⁴.

    Parameters
    ----------
    sigma : float
        Size of the noise, 0 to 10³⁶: relative to each tensor's rms, or in the unit of the weights.
    law : {"gaussian", "multiplicative", "factorised", "low_rank", "ternary"}
        Distribution of a draw. One-dimensional tensors (norms, biases) have no second factor:
        factorised and low_rank act on them as gaussian. Ternary kicks have q = 1/16 on
        floating-point weights; on quantised ones they are m = ⌈σs/Δ⌉ steps Δ of the grid,
        q = (σs/mΔ)², and codes that are nearer than that to an end of their range stay.
    scale : {"relative", "absolute"}
        What ``sigma`` is measured in. Relative noise leaves a tensor of zeros as it is.
        Multiplicative noise is relative by itself.
    where : str or sequence of str
        ``"all"``, a kind (``"embedding"``, ``"attention"``, ``"mlp"``, ``"norm"``, ``"head"``) or a
        pattern of parameter names such as ``"model.layers.0.*"``; or several of them.
    correlation : {"quenched", "annealed", "ou"}
        Along the sequence. Quenched: one draw of the weights reads all positions. Annealed: a fresh
        draw at every position. OU: the stationary Ornstein–Uhlenbeck path

        .. math:: \delta_{t+1} = \rho\,\delta_t + \sqrt{1 - \rho^2}\;\delta', \qquad
                  \rho = e^{-1/\tau},

        with δ' a fresh draw, so that weights s tokens apart have correlation ρˢ. What a model
        remembers of earlier tokens (its key/value cache) stays as the weights of then made it.
    tau : float, optional
        Correlation time in tokens, > 0; with ``correlation="ou"`` only.
    rank : int
        r of the law low_rank, at least 1.
    seed : int
        Draw k is the same whatever the number of draws, and the noise of one tensor is the same
        whichever others are chosen.

    Raises
    ------
    InvalidInputError
        ``sigma`` negative, not finite or beyond 10³⁶, τ ≤ 0, or another argument of the wrong kind.
    UnsupportedNoiseError
        An Ornstein–Uhlenbeck path of a law that is not Gaussian: sums of such kicks have another
        law, so no such path is stationary.

    Notes
    -----
    Noise of σ is not a temperature T: it moves ranks, which softmax temperature never does.
    :func:`llm_bridge.brownian.effective_temperature` measures how far the two agree.

    Factorised noise is that of NoisyNet (M. Fortunato et al., ICLR 2018) with the factor √(π/2)
    that is missing there: E f² = √(2/π), so the plain product has variance 2/π and not 1.

    Examples
    --------
    >>> WeightNoise(0.01, where="attention").selects("model.layers.0.self_attn.q_proj.weight")
    True
    >>> round(WeightNoise(0.01, correlation="ou", tau=10.0).rho, 4)
    0.9048
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
    rank: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        def assign(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        sigma = _real(self.sigma)
        if not (math.isfinite(sigma) and sigma >= 0):
            raise InvalidInputError(
                f"sigma = {shown(self.sigma)}; a finite number ≥ 0 is accepted."
            )
        if sigma > LARGEST_SIGMA:
            raise InvalidInputError(
                f"sigma = {shown(self.sigma)}; at most {LARGEST_SIGMA:g} is accepted: kicks are "
                "numbers of float32."
            )
        assign("sigma", sigma)
        one_of(self.law, "law", LAWS)
        one_of(self.scale, "scale", ("relative", "absolute"))
        one_of(self.correlation, "correlation", CORRELATIONS)
        if self.law == "multiplicative" and self.scale == "absolute":
            raise InvalidInputError(
                "law = 'multiplicative' with scale = 'absolute'; σ multiplies each weight and is "
                "relative by itself: scale='relative' is accepted."
            )
        if self.correlation == "ou":
            tau = math.nan if self.tau is None else _real(self.tau)
            if not (math.isfinite(tau) and tau > 0):
                raise InvalidInputError(
                    f"tau = {shown(self.tau)} with correlation = 'ou'; a finite number of tokens "
                    "> 0 is accepted (τ → 0 is 'annealed', τ → ∞ 'quenched')."
                )
            if self.law not in ("gaussian", "multiplicative"):
                raise UnsupportedNoiseError(
                    f"correlation = 'ou' with law = {self.law!r}: the path would not keep its law; "
                    "'gaussian' or 'multiplicative' is accepted."
                )
            assign("tau", tau)
        elif self.tau is not None:
            raise InvalidInputError(
                f"tau = {shown(self.tau)} with correlation = {self.correlation!r}, which has no "
                "correlation time; accepted: None, or correlation='ou'."
            )
        assign("rank", whole_number(self.rank, "rank", 1))
        if self.rank != 1 and self.law != "low_rank":
            raise InvalidInputError(
                f"rank = {self.rank} with law = {self.law!r}; accepted: 1, or law='low_rank'."
            )
        assign("seed", checked_seed(self.seed))
        where: object = self.where
        places = (where,) if isinstance(where, str) or not isinstance(where, Sequence) else where
        if not places or not all(isinstance(place, str) and place for place in places):
            raise InvalidInputError(
                f"where = {shown(where)}; 'all', one of {', '.join(KINDS)}, a pattern of "
                "parameter names, or a list of these is accepted."
            )
        assign("where", where if isinstance(where, str) else tuple(places))

    @property
    def rho(self) -> float:
        """Correlation of the weights at neighbouring positions: 1 quenched, 0 annealed."""
        if self.tau is None:
            return 1.0 if self.correlation == "quenched" else 0.0
        return math.exp(-1.0 / self.tau)

    @property
    def places(self) -> tuple[str, ...]:
        """``where`` as a tuple, also where it is a single kind or pattern."""
        return (self.where,) if isinstance(self.where, str) else tuple(self.where)

    def selects(self, parameter_name: str) -> bool:
        """Whether the noise acts on the parameter of this name."""
        return any(place_matches(place, parameter_name) for place in self.places)


def place_matches(place: str, parameter_name: str) -> bool:
    """Whether one entry of ``where`` means the parameter of this name."""
    return place == "all" or place == kind_of(parameter_name) or fnmatchcase(parameter_name, place)


def require_noise(noise: object) -> None:
    """Refuse what is no `WeightNoise`, such as a number that is meant to be its size."""
    if not isinstance(noise, WeightNoise):
        raise InvalidInputError(
            f"noise = {shown(noise)} was given; accepted: a WeightNoise, such as WeightNoise(0.1)"
        )


def _real(value: object) -> float:
    """The number that an argument is, NaN if it is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
