"""The k largest log-probabilities of each position: what they bound, and what they cannot know."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.errors import UnknownTailError
from llm_bridge.logit_arrays import is_masked, row_blocks
from llm_bridge.tail_bounds import TailBounds, log_sum
from thermo.arguments import as_real, finite_number, whole_number
from thermo.errors import InvalidInputError
from thermo.temperature import as_beta

if TYPE_CHECKING:
    from llm_bridge.logits import LogitRecord

__all__ = ["Interval", "TopLogprobs"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Interval:
    """A number that is not known but certainly between two others; arrays or floats alike."""

    lower: Any
    upper: Any

    @property
    def width(self) -> Any:
        """How little is known: upper − lower."""
        return self.upper - self.lower


@dataclass(frozen=True, eq=False)
class TopLogprobs:
    r"""The largest log-probabilities at N positions, as servers give them, and bounds from them.

    Of the V tokens at a position some are listed, with ln p at β = 1. The others share the rest,

    .. math:: \sum_j q_j = 1 - \sum_i p_i = m, \qquad 0 \le q_j \le c,

    with c the least likely of the largest. Everything here is a bound over *all* such q: the truth
    is inside, whatever the model.

    Parameters
    ----------
    log_probabilities : array_like, shape (N, K)
        ln p of the listed tokens, in any order; rows with fewer end in −inf.
    cap : array_like, shape (N,)
        ln c: no token that is not listed is likelier. 0 where nothing is known of it.
    token_log_probability : array_like, shape (N,)
        ln p of the token that came, which is listed; NaN where it is not known.
    vocabulary_size : int
        V, the number of tokens that can come.
    tokens : sequence of str, optional
        Texts of the tokens that came, as the server wrote them. Show them through
        `thermo.printable.printable`.
    rounding : float
        How far any ln p given may be from the exact one. Default 1e-5: softmax in float32. A server
        that computes in bfloat16, or writes two decimals, needs more.

    Raises
    ------
    InvalidInputError
        Mismatched shapes; NaN or ln p > 0; probabilities that sum to more than 1; or a rest that
        the tokens not listed cannot make up.

    Notes
    -----
    The low tail of the spectrum is not in such data: at β < 0 everything depends on the tokens
    that are *not* listed, so that is refused. At β = 0 only V counts. For large V and small β
    bounds are wide; `Interval.width` says how wide.

    Bounds of Z are attained, by the two extremes of majorisation: the rest spread evenly, or in as
    few tokens as the cap allows; Z is Schur-convex in q for β > 1 and Schur-concave for β < 1.
    Those of S come from the split into listed and not, and the least and the most entropy that the
    rest can have with its weight; they hold, but nothing need attain them.

    References
    ----------
    A. W. Marshall, I. Olkin and B. C. Arnold, *Inequalities: Theory of Majorization* (2011), ch. 3.

    Examples
    --------
    >>> top = TopLogprobs(np.log([[0.7, 0.2]]), np.log([0.2]), np.log([0.7]), 50_000)
    >>> entropy = top.entropy([0.0, 1.0, 2.0])
    >>> entropy.lower.round(3), entropy.upper.round(3)
    (array([[10.82 ,  0.802,  0.268]]), array([[10.82 ,  1.884,  0.355]]))
    >>> top.entropy(-1.0)
    Traceback (most recent call last):
    ...
    llm_bridge.errors.UnknownTailError: β = -1 was asked of the largest log-probabilities alone: ...
    """

    log_probabilities: FloatArray
    cap: FloatArray
    token_log_probability: FloatArray
    vocabulary_size: int
    tokens: tuple[str, ...] | None = field(default=None, kw_only=True)
    rounding: float = field(default=1e-5, kw_only=True)

    def __post_init__(self) -> None:
        listed = -np.sort(-as_real(self.log_probabilities, "log_probabilities"), axis=-1)
        cap = as_real(self.cap, "cap").copy()
        came = as_real(self.token_log_probability, "token_log_probability").copy()
        size = whole_number(self.vocabulary_size, "vocabulary_size", 1)
        rounding = finite_number(self.rounding, "rounding")
        if not 0 <= rounding < 1:
            raise InvalidInputError(f"rounding = {rounding:g} was given; accepted: 0 to below 1")
        if listed.ndim != 2 or 0 in listed.shape:
            raise InvalidInputError(
                f"log_probabilities have shape {listed.shape}; (N, K), neither of them 0, is "
                "accepted."
            )
        for name, array in (("cap", cap), ("token_log_probability", came)):
            if array.shape != listed.shape[:1]:
                raise InvalidInputError(
                    f"{name} has shape {array.shape}; one number for each of the "
                    f"{len(listed)} positions is accepted."
                )
        _refuse(np.isnan(listed).any(axis=1), "has a log-probability that is NaN")
        _refuse(~(listed[:, 0] > -np.inf), "lists no token")
        _refuse((listed[:, 0] > rounding) | (came > rounding), "has a log-probability above 0")
        _refuse(np.isnan(cap) | (cap > rounding), "has a cap that is no log-probability")
        _refuse(log_sum(listed) > rounding + 1e-12, "has probabilities that sum to more than 1")
        if self.tokens is not None and len(self.tokens) != len(listed):
            raise InvalidInputError(f"{len(self.tokens)} tokens for {len(listed)} positions.")
        set_once = object.__setattr__
        for name, value in (
            ("log_probabilities", listed),
            ("cap", np.minimum(cap, 0.0)),
            ("token_log_probability", came),
        ):
            value.flags.writeable = False
            set_once(self, name, value)
        set_once(self, "vocabulary_size", size)
        set_once(self, "tokens", None if self.tokens is None else tuple(map(str, self.tokens)))
        set_once(self, "rounding", rounding)
        _refuse(
            self._bounds.others < 0,
            f"lists more tokens than there are, vocabulary_size = {size}",
        )
        left = self.remaining
        _refuse(
            left.lower > left.upper,
            "leaves more probability than the tokens not listed can have, each at most as likely "
            f"as the least of the largest, with vocabulary_size = {size}",
        )

    @classmethod
    def from_record(cls, record: LogitRecord, k: int) -> TopLogprobs:
        """What a server that gives the k largest would have said of a record.

        Parameters
        ----------
        record : LogitRecord
        k : int
            At least 1.

        Examples
        --------
        >>> from llm_bridge.logits import LogitRecord
        >>> TopLogprobs.from_record(LogitRecord([[2.0, 1.0, 0.0]], [0]), 2)
        TopLogprobs(1 position, 2 of 3 tokens listed, 9 % of the probability not listed)
        """
        whole_number(k, "k", 1)
        size = int(record.valid.sum())
        k = min(k, size)
        top, came = np.empty((len(record), k)), np.empty(len(record))
        for block in row_blocks(*record.logits.shape):
            z = np.where(record.valid, record.logits[block], -np.inf).astype(np.float64)
            z[is_masked(z)] = -np.inf
            z -= log_sum(z)[:, None]
            came[block] = z[np.arange(len(z)), record.token_ids[block]]
            top[block] = -np.sort(np.partition(-z, k - 1, axis=1)[:, :k], axis=1)
        extra = np.where(came < top[:, -1], came, -np.inf)  # not among the k: servers add it
        words = record.vocabulary
        return cls(
            np.column_stack([top, extra]),
            top[:, -1],
            came,
            size,
            tokens=None if words is None else tuple(words[i] for i in record.token_ids),
            rounding=0.0,  # its own logits are what it is about
        )

    def __len__(self) -> int:
        return len(self.cap)

    def __repr__(self) -> str:
        n, most = len(self), int(self._bounds.counts.max())
        left = float(np.mean(0.5 * (self.remaining.lower + self.remaining.upper)))
        return (
            f"TopLogprobs({n} position{'s' if n != 1 else ''}, {most} of {self.vocabulary_size} "
            f"tokens listed, {100 * left:.3g} % of the probability not listed)"
        )

    @property
    def remaining(self) -> Interval:
        """Probability of all tokens that are not listed, m; arrays (N,)."""
        return Interval(*self._bounds.remaining)

    def log_partition_function(self, beta: ArrayLike) -> Interval:
        r"""Bounds of ln Z(β), :math:`Z = \sum_i p_i^\beta`; in this gauge Z(1) = 1.

        Parameters
        ----------
        beta : array_like, shape (B,) or ()
            0 ≤ β < ∞.

        Returns
        -------
        Interval
            Arrays (N, B), or (N,) for scalar β.

        Raises
        ------
        UnknownTailError
            β < 0.
        InvalidInputError
            NaN, or β = ∞: there the likeliest token is drawn, and nothing is left to bound.
        """
        return self._at_each(beta, self._bounds.log_partition_function)

    def entropy(self, beta: ArrayLike) -> Interval:
        """Bounds of the entropy S(β) in nats; arguments, shapes and errors as for ln Z."""
        return self._at_each(beta, self._bounds.entropy)

    def cross_entropy(self, beta: ArrayLike = 1.0) -> Interval:
        """Bounds of −ln p of the tokens that came, at β; as for ln Z.

        At β = 1 it is known. The upper bound is ∞ where the token's probability is not.
        """
        z = self.log_partition_function(beta)
        b = np.asarray(beta, dtype=np.float64)
        shape = (-1,) + (1,) * b.ndim
        known = np.isfinite(self.token_log_probability)
        highest = np.where(known, self.token_log_probability, self.cap).reshape(shape)
        lowest = np.where(known, self.token_log_probability, -np.inf).reshape(shape)
        with np.errstate(invalid="ignore"):  # β = 0 with −inf: every token is alike
            upper = z.upper - np.where(b == 0, 0.0, b * (lowest - self.rounding))
        return Interval(
            np.maximum(z.lower - b * np.minimum(highest + self.rounding, 0.0), 0.0), upper
        )

    def perplexity(self, beta: float = 1.0) -> Interval:
        """Bounds of exp of the mean of −ln p of the tokens that came, two floats."""
        loss = self.cross_entropy(finite_number(beta, "beta"))
        with np.errstate(over="ignore"):  # a mean loss above 709 nats: no float holds its exp
            return Interval(float(np.exp(loss.lower.mean())), float(np.exp(loss.upper.mean())))

    def fitted_beta(self) -> Interval:
        r"""Bounds of the maximum-likelihood β of the tokens that came.

        The likelihood :math:`L(\beta) = \sum_t \beta \ln p_t - \ln Z_t(\beta)` is concave. Where
        its upper bound at some β is below its lower bound at a smaller one, the maximum lies at
        smaller β too; and the other way round.

        Returns
        -------
        Interval
            Two floats. ``lower`` is −inf where these data cannot exclude β < 0, ``upper`` +inf
            where no β up to 100 is excluded.

        Raises
        ------
        InvalidInputError
            A token that came has no known probability.

        Notes
        -----
        Bounds from what is not listed; the statistical error of β comes on top
        (:func:`llm_bridge.text_temperature` has both from full logits).

        Examples
        --------
        >>> from llm_bridge.logits import LogitRecord
        >>> logits = np.random.default_rng(1).normal(0, 3, (400, 50))
        >>> drawn = [np.random.default_rng(t).choice(50, p=np.exp(z) / np.exp(z).sum())
        ...          for t, z in enumerate(logits)]
        >>> beta = TopLogprobs.from_record(LogitRecord(logits, drawn), 10).fitted_beta()
        >>> bool(0.8 < beta.lower < beta.upper < 1.2)
        True
        """
        came = self.token_log_probability
        _refuse(~np.isfinite(came), "does not tell the probability of the token that came")
        grid = np.unique(np.concatenate([[0.0, 1.0], np.geomspace(0.01, 100.0, 60)]))
        low, high = -np.inf, np.inf
        for _ in range(4):
            below, above = self._excluded(grid)
            finer = [grid]
            if below.any():
                low = float(grid[below].max())
            if above.any():
                high = float(grid[above].min())
            for edge in (low, high):
                if np.isfinite(edge):
                    near = np.searchsorted(grid, edge)
                    around = grid[max(near - 1, 0) : near + 2]
                    finer.append(np.linspace(around[0], around[-1], 21))
            grid = np.unique(np.concatenate(finer))
        return Interval(low, high)

    def _excluded(self, grid: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which β are certainly below, which certainly above the maximum of the likelihood."""
        z = self.log_partition_function(grid)
        drawn = grid * self.token_log_probability.sum()
        least, most = drawn - z.upper.sum(axis=0), drawn - z.lower.sum(axis=0)
        slack = len(self) * self.rounding * np.abs(grid[:, None] - grid)
        # What the sums themselves may be off by, position by position, in float64.
        size = len(self) - drawn + np.abs(z.lower).sum(axis=0) + np.abs(z.upper).sum(axis=0)
        slack += 16 * np.finfo(float).eps * (size[:, None] + size)
        beaten = most[:, None] < least - slack  # by the β of the column
        above = (beaten & (grid < grid[:, None])).any(axis=1)
        below = (beaten & (grid > grid[:, None])).any(axis=1)
        return below, above

    @cached_property
    def _bounds(self) -> TailBounds:
        return TailBounds(self.log_probabilities, self.cap, self.vocabulary_size, self.rounding)

    def _at_each(self, beta: ArrayLike, bounds_at: Any) -> Interval:
        b = as_beta(beta)
        if b.ndim > 1:
            raise InvalidInputError(
                f"beta has shape {b.shape}; one number or one axis is accepted."
            )
        if (b < 0).any():
            raise UnknownTailError(float(b[b < 0].ravel()[0]))
        if np.isinf(b).any():
            raise InvalidInputError(
                "β = ∞ was given; accepted: 0 ≤ β < ∞. At ∞ the likeliest token is drawn."
            )
        betas = [finite_number(x, "beta") for x in b.ravel().tolist()]
        found = np.array([bounds_at(x) for x in betas])  # (B, 2, N)
        lower, upper = np.moveaxis(found, 0, -1)
        shape = (len(self), *b.shape)
        return Interval(lower.reshape(shape), upper.reshape(shape))


def _refuse(bad: Any, what: str) -> None:
    if np.any(bad):
        raise InvalidInputError(f"position {int(np.argmax(bad))} {what}.")
