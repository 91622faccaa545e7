"""How well one number per token foretells another: rank correlation, overlap, and AUROC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from llm_bridge.tokens.table import TokenTable
from thermo.arguments import as_array, as_real, whole_number
from thermo.errors import InvalidInputError

__all__ = ["Agreement", "Estimate", "agreement", "auroc", "overlap_at", "spearman"]

FloatArray = NDArray[np.float64]


class Estimate(NamedTuple):
    """A number with its standard error."""

    value: float
    error: float


def auroc(score: ArrayLike, positive: ArrayLike) -> Estimate:
    r"""Probability that a positive scores higher than a negative, ties counting one half.

    .. math:: A = \frac1{mn} \sum_{i\ \mathrm{positive}} \sum_{j\ \mathrm{negative}}
        \left( [x_i > x_j] + \tfrac12 [x_i = x_j] \right)

    Parameters
    ----------
    score : array_like, shape (n,)
        NaN is left out.
    positive : array_like of bool, shape (n,)

    Returns
    -------
    Estimate
        0.5 says nothing, 1 separates, 0 separates the wrong way round. The error is DeLong's, from
        the spread of each token's own share of A. It takes the tokens as a sample of tokens like
        them. It is 0 where the separation is complete, and too small for a score that is the same
        for nearly all tokens of a class. NaN if either class is empty.

    Notes
    -----
    Source: DeLong, DeLong & Clarke-Pearson, Biometrics 44, 837 (1988).

    Examples
    --------
    >>> auroc([3.0, 2.0, 1.0, 0.0], [True, True, False, False]).value
    1.0
    >>> auroc([1.0, 1.0, 1.0], [True, False, True]).value
    0.5
    """
    x, y = as_real(score, "score"), np.asarray(as_array(positive, "positive"))
    if x.ndim != 1 or y.shape != x.shape or y.dtype != bool:
        raise InvalidInputError(
            f"score of shape {x.shape} and positive of shape {y.shape}, type {y.dtype}, were "
            "given; one number and one bool per token are accepted."
        )
    known = ~np.isnan(x)
    x, y = x[known], y[known]
    m, n = int(y.sum()), int((~y).sum())
    if m == 0 or n == 0:
        return Estimate(float("nan"), float("nan"))
    rank = rankdata(x)
    # Of each positive the share of negatives below it, of each negative that of positives above.
    above = (rank[y] - rankdata(x[y])) / n
    below = 1 - (rank[~y] - rankdata(x[~y])) / m
    spread = sum(
        part.var(ddof=1) / part.size if part.size > 1 else np.nan for part in (above, below)
    )
    return Estimate(float(above.mean()), float(np.sqrt(spread)))


def spearman(x: ArrayLike, y: ArrayLike) -> Estimate:
    r"""Rank correlation, ties sharing their mean rank.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        A token with NaN in either is left out.

    Returns
    -------
    Estimate
        ρ, and its error from :math:`\mathrm{Var}(\operatorname{artanh} \rho) = (1 + \rho^2/2)/(n -
        3)` (Bonett & Wright, Psychometrika 65, 23, 2000), an approximation that many ties spoil.
        NaN if there are fewer than four tokens, or if either is constant.

    Examples
    --------
    >>> round(spearman([1, 2, 3, 4, 5], [1, 4, 9, 16, 26]).value, 12)
    1.0
    """
    a, b = as_real(x, "x"), as_real(y, "y")
    if a.ndim != 1 or a.shape != b.shape:
        raise InvalidInputError(
            f"arrays of shapes {a.shape} and {b.shape} were given; two of one length are accepted."
        )
    known = ~(np.isnan(a) | np.isnan(b))
    ranks = [rankdata(part[known]) for part in (a, b)]
    if known.sum() < 4 or any(np.ptp(part) == 0 for part in ranks):
        return Estimate(float("nan"), float("nan"))
    value = float(np.corrcoef(*ranks)[0, 1])
    error = (1 - value**2) * np.sqrt((1 + value**2 / 2) / (known.sum() - 3))
    return Estimate(value, float(max(error, 0.0)))


def overlap_at(k: int, x: ArrayLike, y: ArrayLike) -> Estimate:
    """Share of the k largest of one number that are among the k largest of another.

    Where the k-th place is shared by equal values each of them counts in part, which is the mean
    over all ways to break the tie: ids are no tie-breaker, for low ids are not like others.

    Parameters
    ----------
    k : int
    x, y : array_like, shape (n,)
        A token with NaN in either is left out.

    Returns
    -------
    Estimate
        Chance gives k/n. The error is that of chance, the width of the hypergeometric
        distribution: an overlap tells something if it is several of them above k/n.

    Examples
    --------
    >>> overlap_at(2, [9, 8, 1, 0], [9, 1, 8, 0]).value
    0.5
    """
    a, b = as_real(x, "x"), as_real(y, "y")
    known = ~(np.isnan(a) | np.isnan(b))
    n = int(known.sum())
    whole_number(k, "k", 1)
    if k > n:
        return Estimate(float("nan"), float("nan"))
    shared = float((_among_first(a[known], k) * _among_first(b[known], k)).sum())
    width = np.sqrt(k * (k / n) * (1 - k / n) * (n - k) / max(n - 1, 1)) / k
    return Estimate(shared / k, float(width))


def _among_first(values: FloatArray, k: int) -> FloatArray:
    """Probability to be among the k largest if equal values are ordered by chance."""
    edge = np.partition(values, -k)[-k]
    inside, tied = values > edge, values == edge
    return inside + tied * (k - inside.sum()) / tied.sum()


@dataclass(frozen=True, eq=False)
class Agreement:
    """How indicators agree with what is known and with what the model does.

    Values are turned so that large means anomalous, as the literature has it: an AUROC below 0.5
    or a negative correlation says that the indicator points the other way in this model.

    Attributes
    ----------
    auroc : dict of str to Estimate
        Against the known tokens, for every indicator and behaviour; empty if none are known.
    spearman, overlap : dict of (str, str) to Estimate
        Indicator and behaviour.
    k : int
        Of the overlap.
    tokens, known : int
        How many took part, and how many of them were known to be anomalous.
    """

    auroc: dict[str, Estimate]
    spearman: dict[tuple[str, str], Estimate]
    overlap: dict[tuple[str, str], Estimate]
    k: int
    tokens: int
    known: int

    def to_dict(self) -> dict[str, object]:
        """Everything as numbers and text, ready for JSON; NaN as None."""
        pairs = {
            name: [
                {"indicator": a, "behaviour": b, **_plain(found)} for (a, b), found in part.items()
            ]
            for name, part in (("spearman", self.spearman), ("overlap", self.overlap))
        }
        return {
            "tokens": self.tokens,
            "known": self.known,
            "k": self.k,
            "auroc": [{"indicator": name, **_plain(found)} for name, found in self.auroc.items()],
            **pairs,
        }


def agreement(table: TokenTable, known: ArrayLike | None = None, k: int | None = None) -> Agreement:
    """Hold every indicator of a table against the known tokens and against the model's behaviour.

    Parameters
    ----------
    table : TokenTable
        Its candidates take part: make it with ``padded=True`` for padded rows to be among them.
    known : array_like of bool, shape of the table, optional
        Tokens known to be anomalous. Default: the table's own.
    k : int, optional
        Of the overlap. Default: the number of known tokens, or a hundredth of all.

    Returns
    -------
    Agreement

    Notes
    -----
    The rows that define the direction of unused embeddings count among the known ones too, each
    compared with the mean of the *other* unused rows.
    """
    part = table.candidates
    given = table.known if known is None else np.asarray(known)
    if given is not None and (given.dtype != bool or given.shape != part.shape):
        raise InvalidInputError(
            f"known has shape {given.shape} and type {given.dtype}; one bool for each of the "
            f"{part.size} rows of the table is accepted."
        )
    turned = {
        name: side * table.columns[name][part]
        for name, side in table.sides.items()
        if not np.isnan(table.columns[name][part]).all()
    }
    count = 0 if given is None else int(given[part].sum())
    size = k or count or max(1, int(part.sum()) // 100)
    pairs = [
        (a, b) for a in turned if a not in table.behaviours for b in table.behaviours if b in turned
    ]
    return Agreement(
        auroc={} if given is None else {n: auroc(x, given[part]) for n, x in turned.items()},
        spearman={(a, b): spearman(turned[a], turned[b]) for a, b in pairs},
        overlap={(a, b): overlap_at(size, turned[a], turned[b]) for a, b in pairs},
        k=size,
        tokens=int(part.sum()),
        known=count,
    )


def _plain(found: Estimate) -> dict[str, float | None]:
    return {n: None if np.isnan(v) else v for n, v in found._asdict().items()}
