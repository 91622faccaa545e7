"""What an experiment found: numbers, and what theory says they should be."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

import numpy as np

from thermo.curves import Measured
from thermo.estimate.autocorrelation import rounded_to_error

__all__ = ["Experiment", "Finding"]


@dataclass(frozen=True)
class Finding:
    """One number that an experiment found, beside what theory says of it.

    Parameters
    ----------
    what : str
        What it is, with its symbol: ``"M = 0 at t/T₁"``.
    value, error : float
        Measured, with its standard error; an error of 0 says that nothing was sampled and the value
        is exact but for rounding and the tolerance of a solver.
    expected, expected_error : float, optional
        What theory says; None where it says nothing, and 0 where it is certain of it.
    unit : str
        Empty where there is none.
    source : str
        Where the expectation comes from: a formula, or author and year.

    Examples
    --------
    >>> zero = Finding("M = 0 at t/T₁", 0.70, 0.01, math.log(2.0), source="ln 2")
    >>> round(zero.deviation, 2)
    0.69
    """

    what: str
    value: float
    error: float = 0.0
    expected: float | None = None
    expected_error: float = 0.0
    unit: str = ""
    source: str = ""

    @classmethod
    def of(
        cls,
        what: str,
        measured: Measured,
        expected: float | None = None,
        *,
        unit: str = "",
        source: str = "",
    ) -> Finding:
        """A finding of one number with its error."""
        value, error = float(measured.value), float(measured.error)
        return cls(what, value, error, expected, unit=unit, source=source)

    @property
    def deviation(self) -> float:
        """Value less expectation in standard errors; nan where there is nothing to compare with.

        That of two numbers without an error is nan, too: `value` − `expected` tells more.
        """
        error = math.hypot(self.error, self.expected_error)
        if self.expected is None or not error > 0.0:
            return math.nan
        return (self.value - self.expected) / error


class Experiment(ABC):
    """What an experiment in the laboratory returns: a frozen dataclass with findings.

    Attributes
    ----------
    name : str
        As ``spinlogit lab`` calls it.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def findings(self) -> tuple[Finding, ...]:
        """What was found, the most telling first."""

    def table(self) -> str:
        """The findings in columns: what, found, expected, how many errors apart, and from where.

        Where nothing was sampled, ``off by`` is the difference itself.
        """
        rows = [("", "found", "expected", "off by", ""), *map(_row, self.findings)]
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if k in (0, 4) else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it: infinities as text, NaN as None.

        Returns
        -------
        dict
            ``"schema"``, the findings and then each field by its name.
        """
        findings = [
            {field.name: _plain(getattr(finding, field.name)) for field in fields(finding)}
            | {"deviation": _plain(finding.deviation)}
            for finding in self.findings
        ]
        assert is_dataclass(self)
        content = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {"schema": f"spinlogit.lab.{self.name}/1", "findings": findings, **content}


def _row(finding: Finding) -> tuple[str, str, str, str, str]:
    what = f"{finding.what} [{finding.unit}]" if finding.unit else finding.what
    value = _shown(finding.value, finding.error)
    if finding.expected is None:
        return what, value, "", "", finding.source
    expected = _shown(finding.expected, finding.expected_error)
    difference = finding.value - finding.expected
    off_by = f"{difference:+.1e}" if difference else "0"
    if math.isfinite(finding.deviation):
        off_by = f"{finding.deviation:+.1f} σ"
    return what, value, expected, off_by, finding.source


def _shown(value: float, error: float) -> str:
    return rounded_to_error(value, error) if error else f"{value:.6g}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)  # a model or a lattice
