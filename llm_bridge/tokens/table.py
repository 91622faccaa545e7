"""A table with one row per token: what its weights say, and what the model does with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.tokens.bottom import Bottom
from llm_bridge.tokens.embeddings import INDICATORS
from thermo.arguments import one_of
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.printable import printable

__all__ = ["BEHAVIOURS", "SIDES", "TokenTable"]

BEHAVIOURS = {
    "argmin_share": +1,
    "autoregressive_share": +1,
    "mean_rank": -1,
    "mean_z": -1,
    "repeat_probability": -1,
}
SIDES = {**INDICATORS, "round_trip": -1, **BEHAVIOURS}
"""Every column that can be held against another, and its anomalous side: +1 large, −1 small."""

SHOWN = ("argmin_share", "mean_z", "repeat_probability", "input_norm", "output_centroid_distance")


@dataclass(frozen=True, eq=False)
class TokenTable:
    """Indicators and behaviour of n tokens.

    Attributes
    ----------
    model_name : str
    id : ndarray of int64, shape (n,)
    text : tuple of str
        As the model writes it: any characters. `to_text` escapes them.
    category : ndarray of str, shape (n,)
        See `llm_bridge.tokens.categories.token_categories`.
    candidates : ndarray of bool, shape (n,)
        Tokens that could be drawn; behaviours of the others are NaN.
    unused : ndarray of bool, shape (n,)
        Rows known to be untrained from the tokenizer alone.
    known : ndarray of bool, shape (n,), or None
        Tokens known to be anomalous, where that is known (of the demo model: never met in
        training).
    columns : dict of str to ndarray of float64, shape (n,)
        ``table["input_norm"]``: see `llm_bridge.tokens.embeddings.embedding_indicators`; and

        ====================== =========================================================
        round_trip             1 if the tokenizer reads the token's text as this token
        argmin_share           share of contexts in which it is least likely, one step
        autoregressive_share   share of the steps of the walks down at T → 0⁻
        mean_rank              tokens less likely than it, mean over contexts
        mean_z                 logit in standard deviations from the mean of its position
        repeat_probability     to be repeated on request, β = 1
        repeat_rank            tokens likelier than it where it should be repeated
        ====================== =========================================================
    errors : dict of str to ndarray of float64, shape (n,)
        Standard errors over prompts, of the columns that are sampled. Of a share of 0 the error
        is 0 too: with N independent contexts, less than 3/N is then all that is known (95 %).
    one_step, autoregressive : Bottom
        The argmin of every context, of the prompts and of the walks down; ``autoregressive`` is
        None if no steps were asked for.
    """

    model_name: str
    id: NDArray[np.int64]
    text: tuple[str, ...]
    category: NDArray[np.str_]
    candidates: NDArray[np.bool_]
    unused: NDArray[np.bool_]
    known: NDArray[np.bool_] | None
    columns: dict[str, NDArray[np.float64]]
    errors: dict[str, NDArray[np.float64]]
    one_step: Bottom
    autoregressive: Bottom | None

    @property
    def sides(self) -> dict[str, int]:
        """Columns of this table that can be compared, with their anomalous side."""
        return {name: side for name, side in SIDES.items() if name in self.columns}

    @property
    def behaviours(self) -> tuple[str, ...]:
        """Columns that say what the model does, rather than what its weights are."""
        return tuple(name for name in BEHAVIOURS if name in self.columns)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.columns[one_of(name, "column", tuple(self.columns))]

    def __len__(self) -> int:
        return self.id.size

    def take(self, rows: NDArray[Any] | slice) -> TokenTable:
        """Some rows of the table, by number, mask or slice, in that order."""
        index = np.arange(len(self))[rows]
        return replace(
            self,
            id=self.id[index],
            text=tuple(self.text[i] for i in index.tolist()),
            category=self.category[index],
            candidates=self.candidates[index],
            unused=self.unused[index],
            known=None if self.known is None else self.known[index],
            columns={name: values[index] for name, values in self.columns.items()},
            errors={name: values[index] for name, values in self.errors.items()},
        )

    def sorted_by(self, name: str, descending: bool | None = None) -> TokenTable:
        """The table in the order of a column, NaN last, equal values by id.

        Parameters
        ----------
        name : str
            A column.
        descending : bool, optional
            Default: the side first that is said to be the anomalous one.
        """
        values = self[name]
        down = SIDES.get(name, -1) > 0 if descending is None else descending
        return self.take(np.lexsort((self.id, -values if down else values)))

    def to_dict(self) -> dict[str, Any]:
        """Everything as lists, numbers and text, ready for JSON; NaN as None."""
        return {
            "model": self.model_name,
            "id": self.id.tolist(),
            "text": list(self.text),
            "category": self.category.tolist(),
            "candidate": self.candidates.tolist(),
            "unused": self.unused.tolist(),
            "known": None if self.known is None else self.known.tolist(),
            "columns": {name: _plain(values) for name, values in self.columns.items()},
            "errors": {name: _plain(values) for name, values in self.errors.items()},
            "one_step": self.one_step.summary(),
            "autoregressive": None
            if self.autoregressive is None
            else self.autoregressive.summary(),
        }

    def to_text(self, columns: Sequence[str] | None = None) -> str:
        """The table for a terminal, every token escaped and quoted.

        Parameters
        ----------
        columns : sequence of str, optional
            Default: a few that tell most.
        """
        shown = columns if columns is not None else [n for n in SHOWN if n in self.columns]
        cells = [
            ["id", "token", "category", *shown, *(["known"] if self.known is not None else [])]
        ]
        for i in range(len(self)):
            cells.append(
                [
                    str(self.id[i]),
                    f"'{printable(self.text[i])}'",
                    str(self.category[i]),
                    *(self._cell(name, i) for name in shown),
                    *(["yes" if self.known[i] else "no"] if self.known is not None else []),
                ]
            )
        widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
        left = (1, 2)
        return "\n".join(
            "  ".join(
                cell.ljust(w) if k in left else cell.rjust(w)
                for k, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        )

    def _cell(self, name: str, i: int) -> str:
        value = float(self[name][i])
        if np.isnan(value):
            return "–"
        error = float(self.errors[name][i]) if name in self.errors else 0.0
        return rounded_to_error(value, error) if error > 0 else f"{value:.4g}"


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
