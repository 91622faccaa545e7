"""Predictions beside measurements: one line for each, and the rule that its verdict follows from.

What is printed and written down are numbers and a verdict; the verdict is computed from the
numbers by the `Rule` of the line, never typed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from measure import print_table, write_record

from thermo.estimate.autocorrelation import rounded_to_error

__all__ = ["COLUMNS", "Experiment", "Line", "Rule", "print_lines", "write_lines"]

COLUMNS = ["experiment", "quantity", "predicted", "measured", "error", "verdict"]


@dataclass(frozen=True)
class Rule:
    """When a prediction has come true.

    Attributes
    ----------
    errors : float
        Within so many standard errors: "confirmed". Of 370 lines whose prediction is right, one is
        refuted by 3 errors; for the largest of several deviations the number that is as rare.
    within : float
        Or within this share of the prediction, where it is of leading order only: "confirmed
        within 5 %".
    rough : float
        Where the error is more than this share of the prediction, agreement proves nothing: "too
        rough".
    unit : float
        Shares are of the prediction or of this, whichever is larger: 1 for a correlation.
    least : float
        Predicted and measured values that are both below it are as good as none.
    paired : bool
        Prediction and measurement are of the same random directions and have the error that is
        shown in common: it is no excuse, only `within` counts.
    """

    errors: float = 3.0
    within: float = 0.0
    rough: float = math.inf
    unit: float = 0.0
    least: float = 0.0
    paired: bool = False


@dataclass(frozen=True)
class Line:
    """One prediction and what became of it.

    Attributes
    ----------
    experiment : int or None
        Its number; None for what stands beside the experiments.
    quantity : str
    predicted : float or None
        None where nothing was foretold.
    measured, error : float
        An error of 0 where nothing is sampled.
    rule : Rule
    bound : {"", "<", ">"}
        With one of the signs the prediction is that the value lies below or above `predicted`.
    key : bool
        Whether the line stands for its experiment in the overview.
    settled : bool
        False for a simulation that had not equilibrated, which proves nothing.
    """

    experiment: int | None
    quantity: str
    predicted: float | None
    measured: float
    error: float = 0.0
    rule: Rule = Rule()
    bound: str = ""
    key: bool = False
    settled: bool = True

    @property
    def verdict(self) -> str:
        """What the numbers say, by the rule."""
        if self.predicted is None:
            return "not foretold"
        if not self.settled:
            return "not equilibrated"
        if not math.isfinite(self.measured):
            return "not measured"
        difference, rule = self.measured - self.predicted, self.rule
        if self.bound:
            ahead = difference if self.bound == ">" else -difference
            if self.error and abs(ahead) <= rule.errors * self.error:
                return "too rough"
            return "confirmed" if ahead > 0 else "refuted"
        scale = max(abs(self.predicted), rule.unit)
        if max(abs(self.predicted), abs(self.measured)) < rule.least:
            return "confirmed: none"
        if difference == 0 or (not rule.paired and abs(difference) < rule.errors * self.error):
            if scale and self.error > rule.rough * scale and not rule.paired:
                return "too rough"
            return "confirmed"
        if abs(difference) <= rule.within * scale:
            return f"confirmed within {100 * rule.within:g} %"
        return "refuted"

    def cells(self) -> list[Any]:
        """As a row of the record: numbers, and `predicted` as text where it is a bound."""
        predicted: Any = self.predicted
        if predicted is not None:
            predicted = f"{self.bound} {predicted:g}" if self.bound else float(predicted)
        measured, error = float(self.measured), float(self.error)
        return [self.experiment, self.quantity, predicted, measured, error, self.verdict]


class Experiment(NamedTuple):
    """What one of the thirteen experiments asks, and what theory says to it."""

    name: str
    foretold: str


def print_lines(title: str, lines: Sequence[Line]) -> None:
    """Print lines with the error in brackets behind the value."""
    rows = []
    for line in lines:
        number, quantity, predicted, measured, error, verdict = line.cells()
        if isinstance(predicted, float):
            predicted = f"{predicted:.5g}"
        shown = rounded_to_error(measured, error) if error else f"{measured:.5g}"
        rows.append(["" if number is None else number, quantity, predicted, shown, verdict])
    print_table(title, [name for name in COLUMNS if name != "error"], rows)


def write_lines(
    path: Path | None,
    title: str,
    settings: str,
    lines: Sequence[Line],
    experiments: Mapping[int, Experiment],
    script: str,
    host: dict[str, Any],
    **more: Any,
) -> None:
    """Write the record of a script, and of each experiment in it what the overview shows."""
    numbers = [line.experiment for line in lines]
    overview = {
        str(number): {
            "name": each.name,
            "foretold": each.foretold,
            "run": f"python benchmarks/{script}.py"
            + (f" --only {number}" if len(experiments) > 1 else ""),
            "key_rows": [k for k, line in enumerate(lines) if line.key and numbers[k] == number],
        }
        for number, each in experiments.items()
        if number in numbers
    }
    rows = [line.cells() for line in lines]
    write_record(path, title, settings, COLUMNS, rows, host, experiments=overview, **more)
