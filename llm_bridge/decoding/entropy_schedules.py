"""Schedules that look at the entropy of the model's prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llm_bridge.decoding.candidates import Candidates
from llm_bridge.decoding.filters import Filter, as_filters
from llm_bridge.decoding.schedules import Schedule, Step, as_schedule, shorter
from thermo.arguments import finite_number, whole_number
from thermo.canonical import boltzmann_sums
from thermo.errors import InvalidInputError
from thermo.temperature import beta_from_temperature

__all__ = ["EDT", "DynamicTemperature", "EntropyFeedback", "EntropyTarget", "HotUntilSpike"]


@dataclass(frozen=True)
class EDT(Schedule):
    r"""Entropy-dependent temperature: hotter where the model is unsure (Zhang et al., 2024).

    .. math:: T = T_0\, N^{\theta/H}, \qquad \beta = \beta_0\, N^{-\theta/H}

    with the entropy H of the model's own distribution. H → 0 gives T → 0 of the same sign.

    Parameters
    ----------
    beta0 : float
        1/T₀: β where the entropy is large. Finite, either sign.
    theta : float
        Not negative; 0 is a constant β.
    base : float
        N, between 0 and 1; 0.8 in the paper.

    Examples
    --------
    >>> step = Step(0, Candidates.of([0.0, 0.0]))
    >>> round(EDT(-2.0, theta=0.5).beta(None, step)[0], 4)  # −2 · 0.8^(−0.5/ln 2)
    -2.3493
    """

    beta0: float
    theta: float
    base: float = 0.8

    def __post_init__(self) -> None:
        finite_number(self.beta0, "beta0")
        if finite_number(self.theta, "theta") < 0:
            raise InvalidInputError(f"theta = {self.theta!r} was given; accepted: 0 or more.")
        if not 0 < finite_number(self.base, "base") <= 1:
            raise InvalidInputError(f"base = {self.base!r} was given; accepted: above 0, up to 1.")

    def beta(self, state: None, step: Step) -> tuple[float, None]:
        """β from the entropy at this step."""
        growth = -self.theta * math.log(self.base)
        if growth == 0 or self.beta0 == 0:
            return float(self.beta0), None
        # Beyond e⁷⁰⁰ every gap between logits is decisive: that is β = ±∞.
        exponent = growth / step.entropy if step.entropy > growth / 700 else math.inf
        factor = math.exp(exponent) if exponent <= 700 else math.inf
        return self.beta0 * factor, None


@dataclass(frozen=True)
class DynamicTemperature(Schedule):
    r"""A temperature between two, by the share of the largest entropy (llama.cpp's "dynatemp").

    .. math:: T = T_{\min} + (T_{\max} - T_{\min}) \left(\frac{H}{\ln n}\right)^{e}

    with the entropy H of the model's own distribution over n candidates.

    Parameters
    ----------
    lowest, highest : float
        T at H = 0 and at H = ln n. Both of one sign: between them T would pass through zero,
        where the coldest temperature meets the hottest. Signs of zero count.
    exponent : float
        Positive.
    among : sequence of Filter
        The candidates of which H and n are taken: what these filters leave of the model's own
        distribution (``acts_on="model"``, without memory). llama.cpp truncates before it looks;
        without this H and n are those of the whole vocabulary.

    Examples
    --------
    >>> step = Step(0, Candidates.of([0.0, 0.0]))
    >>> DynamicTemperature(0.5, 2.0).beta(None, step)[0]
    0.5
    """

    lowest: float
    highest: float
    exponent: float = 1.0
    among: Sequence[Filter] = ()

    def __post_init__(self) -> None:
        ends = [finite_number(self.lowest, "lowest"), finite_number(self.highest, "highest")]
        if math.copysign(1.0, ends[0]) != math.copysign(1.0, ends[1]):
            raise InvalidInputError(
                f"temperatures from {self.lowest!r} to {self.highest!r} were given; accepted: two "
                "of one sign, because T = 0 between them is both the coldest and the hottest."
            )
        finite_number(self.exponent, "exponent", positive=True)
        filters = as_filters(self.among, "among")
        for item in filters:
            if item.acts_on != "model" or item.begin() is not None:
                raise InvalidInputError(
                    f"among holds {item!r}; filters with acts_on='model' that remember nothing are "
                    "accepted."
                )
        object.__setattr__(self, "among", filters)

    def beta(self, state: None, step: Step) -> tuple[float, None]:
        """β from the entropy of the candidates at this step."""
        candidates = step.candidates
        for item in self.among:
            candidates = item.apply(candidates, 1.0)
        share = 0.0
        if candidates.count > 1:
            share = min(candidates.entropy() / math.log(candidates.count), 1.0)
        temperature = self.lowest + (self.highest - self.lowest) * share**self.exponent
        if temperature == 0:  # the sum of zeros has lost which zero it was
            temperature = math.copysign(0.0, self.lowest)
        return float(beta_from_temperature(temperature)), None


@dataclass(frozen=True)
class EntropyTarget(Schedule):
    r"""The β at which the distribution of every token has the same entropy: S(β) = target.

    On each side of β = 0 entropy falls strictly with \|β\|, from ln n to that of the extreme
    token: there is one solution, found for every row of logits by itself.

    Parameters
    ----------
    target : float
        Entropy in nats, not negative.
    sign : {1, -1}
        Which side: +1 prefers likely tokens, −1 unlikely ones.

    Notes
    -----
    The entropy is that before filters, which cut it down: with filters tokens are drawn with less.
    A target of at least ln n gives β = 0, one below the entropy of the tied extreme tokens
    β = ±∞. Where the model is certain this makes it guess, and the other way round: for a text
    that has a mean entropy but may be certain here and unsure there use `EntropyFeedback`.

    Examples
    --------
    >>> step = Step(0, Candidates.of([1.0, 0.0]))
    >>> beta, _ = EntropyTarget(0.5).beta(None, step)
    >>> round(step.candidates.entropy(beta), 12)
    0.5
    """

    target: float
    sign: int = 1

    def __post_init__(self) -> None:
        _require_entropy(self.target)
        if self.sign not in (1, -1):
            raise InvalidInputError(f"sign = {self.sign!r} was given; accepted: 1 or -1.")

    def beta(self, state: None, step: Step) -> tuple[float, None]:
        """The solution on this row of logits."""
        return self.sign * _matching_strength(step.candidates, self.target, self.sign), None


@dataclass(frozen=True)
class EntropyFeedback(Schedule):
    r"""A β that moves until the text has a given mean entropy.

    .. math:: \ln|\beta_{t+1}| = \ln|\beta_t| + \eta\,(S_t(\beta_t) - S^*)

    with the entropy S of the distribution at β before filters: integral feedback. Single tokens
    may be as certain or as open as the model has them.

    Parameters
    ----------
    target : float
        S*, in nats.
    start : float
        β of the first token, finite and not 0; its sign stays.
    gain : float
        η per token and nat; 1/η is about the number of tokens averaged over.
    limit : float
        \|β\| stays between 1/limit and limit, or a text in a loop would run it to infinity, from
        where there is no way back.
    """

    target: float
    start: float = 1.0
    gain: float = 0.05
    limit: float = 100.0

    def __post_init__(self) -> None:
        _require_entropy(self.target)
        finite_number(self.gain, "gain", positive=True)
        strength, limit = (
            abs(finite_number(self.start, "start")),
            finite_number(self.limit, "limit"),
        )
        if not 1 / max(limit, 1.0) <= strength <= limit:
            raise InvalidInputError(
                f"start = {self.start!r} and limit = {self.limit!r} were given; accepted: a β "
                "whose size is between 1/limit and limit."
            )

    def begin(self) -> float:
        """The first β."""
        return float(self.start)

    def beta(self, state: float, step: Step) -> tuple[float, float]:
        """The β that the text so far has led to."""
        error = step.candidates.entropy(state) - self.target
        strength = abs(state) * math.exp(min(self.gain * error, 50.0))
        strength = min(max(strength, 1 / self.limit), self.limit)
        return state, math.copysign(strength, self.start)


@dataclass(frozen=True)
class HotUntilSpike(Schedule):
    """Hot until a new approach begins, then cool.

    The entropy of the model's own distribution jumps where a text forks. A spike is an entropy
    above the running mean of the text by ``sigmas`` running standard deviations. The token at the
    spike is still drawn hot, for there the approach is chosen; from the next one on it is cool.

    Parameters
    ----------
    hot, cool : Schedule or float
        A number is a constant β. Both follow the whole text.
    sigmas : float
        How far above the mean a spike is.
    memory : int
        Tokens of the running mean, and how many must come before a spike can be told.
    rearm : int, optional
        Get hot again after this many cool tokens. Default: stay cool.
    """

    hot: Schedule | float
    cool: Schedule | float
    sigmas: float = 2.0
    memory: int = 16
    rearm: int | None = None

    def __post_init__(self) -> None:
        finite_number(self.sigmas, "sigmas")
        whole_number(self.memory, "memory", 2)
        if self.rearm is not None:
            whole_number(self.rearm, "rearm", 1)
        object.__setattr__(self, "hot", as_schedule(self.hot))
        object.__setattr__(self, "cool", as_schedule(self.cool))

    @property
    def length(self) -> int | None:
        """That of the shorter one: both follow the whole text."""
        return shorter(self.hot, self.cool)

    def begin(self) -> _SpikeState:
        """Hot, and nothing seen."""
        return _SpikeState(as_schedule(self.hot).begin(), as_schedule(self.cool).begin())

    def beta(self, state: _SpikeState, step: Step) -> tuple[float, _SpikeState]:
        """β of the phase the text is in."""
        hot, hot_state = as_schedule(self.hot).beta(state.hot, step)
        cool, cool_state = as_schedule(self.cool).beta(state.cool, step)
        distance = step.entropy - state.mean
        is_hot = state.cool_for == 0
        spike = state.seen >= self.memory and distance > self.sigmas * math.sqrt(state.variance)
        if is_hot:
            cool_for = int(spike)
        else:
            cool_for = 0 if state.cool_for == self.rearm else state.cool_for + 1
        # The mean of all so far at first, later one that forgets.
        weight = 1.0 / min(state.seen + 1, self.memory)
        return (hot if is_hot else cool), _SpikeState(
            hot_state,
            cool_state,
            cool_for=cool_for,
            seen=state.seen + 1,
            mean=state.mean + weight * distance,
            variance=(1.0 - weight) * (state.variance + weight * distance**2),
        )


@dataclass(frozen=True)
class _SpikeState:
    hot: Any
    cool: Any
    cool_for: int = 0  # 0: hot; k: the next token is the k-th cool one
    seen: int = 0
    mean: float = 0.0
    variance: float = 0.0


def _require_entropy(target: float) -> None:
    if finite_number(target, "target") < 0:
        raise InvalidInputError(
            f"target = {target!r} was given; accepted: an entropy in nats, 0 or more."
        )


def _matching_strength(candidates: Candidates, target: float, sign: int) -> float:
    """|β| at which the open tokens have this entropy, on the side of ``sign``."""
    from scipy.optimize import brentq

    energies = -sign * candidates.logits[candidates.open].cpu().numpy()

    def excess(strength: float) -> float:
        return float(boltzmann_sums(energies, None, strength).entropy) - target

    if excess(0.0) <= 0:
        return 0.0
    if excess(math.inf) >= 0:
        return math.inf
    largest = float(np.abs(energies).max()) or 1.0
    spread = largest * float((energies / largest).std())  # squares of huge energies overflow
    below, above = 0.0, 1.0 / (spread or 1.0)
    while excess(above) > 0:
        below, above = above, 2.0 * above
        if math.isinf(above):
            return math.inf
    return float(brentq(excess, below, above, xtol=1e-300, rtol=1e-12, maxiter=500))
