"""``.. measured:: peers``: the table in ``docs/measured/peers.json``, as a benchmark wrote it.

With ``:below: 0.2 per core`` only the rows whose number in the column "per core" is below 0.2, from
the lowest up, without settings and machine, which stand with the whole table.

Records of predictions have their errors in a column of their own; the table shows them in brackets
behind the measured value, and how far from its prediction that is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx

from thermo.estimate.autocorrelation import rounded_to_error

FOLDER = Path(__file__).parent.parent / "measured"


class Measured(Directive):
    """A table of measurements, its settings above and its machine below."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {
        "below": directives.unchanged_required
    }

    def run(self) -> list[nodes.Node]:
        """Read the record and make paragraphs and a table of it."""
        path = FOLDER / f"{self.arguments[0]}.json"
        self.state.document.settings.env.note_dependency(str(path))
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self.error(f"no record of measurements in {path.name}: {error}") from error
        if "below" in self.options:
            limit, _, column = self.options["below"].partition(" ")
            if column not in record["columns"]:
                raise self.error(f"{path.name} has no column {column!r}")
            return [_table(*rows_below(record, float(limit), column))]
        columns, rows = record["columns"], record["rows"]
        if {"predicted", "measured", "error"} <= set(columns):
            rows = [readable(columns, row)[1] for row in rows]
            columns = readable(columns, record["rows"][0])[0]
        return [
            nodes.paragraph("", record["settings"]),
            _table(columns, rows),
            nodes.paragraph("", _machine(record["machine"]), classes=["machine"]),
        ]


def rows_below(
    record: dict[str, Any], limit: float, column: str
) -> tuple[list[str], list[list[Any]]]:
    """Return columns and rows of a table: the names, and what is below a limit in one column."""
    place = record["columns"].index(column)
    low = [row for row in record["rows"] if row[place] is not None and row[place] < limit]
    rows = [[row[0], row[place]] for row in sorted(low, key=lambda row: float(row[place]))]
    return [record["columns"][0], column], rows


def readable(columns: list[str], row: list[Any]) -> tuple[list[str], list[str]]:
    """Return columns and cells with the error in brackets and the deviation from the prediction.

    In standard errors, or, where nothing was sampled, as a share of the prediction.
    """
    cells = dict(zip(columns, row, strict=True))
    predicted, measured, error = cells["predicted"], cells["measured"], cells["error"]
    off = "–"
    if isinstance(predicted, float):
        if error:
            off = f"{(measured - predicted) / error:+.1f} σ"
        elif predicted:
            share = 100 * (measured / predicted - 1)
            off = f"{share:+.2g} %" if abs(share) > 1e-3 else "0 %"
        predicted = f"{predicted:.5g}"
    shown = {
        **cells,
        "predicted": "–" if predicted is None else predicted,
        "measured": rounded_to_error(measured, error) if error else f"{measured:.5g}",
    }
    del shown["error"]
    out: dict[str, str] = {}
    for name, value in shown.items():
        out[name] = _cell(value)
        if name == "measured":
            out["off by"] = off
    return list(out), list(out.values())


def _table(columns: list[str], rows: list[list[Any]]) -> nodes.table:
    group = nodes.tgroup(cols=len(columns))
    group.extend(nodes.colspec(colwidth=1) for _ in columns)
    group += nodes.thead("", _row(columns))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group, classes=["measured"])


def _row(values: list[Any]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", _cell(v))) for v in values))


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _machine(host: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {v}" for name, v in host["versions"].items() if v)
    return (
        f"Measured on {host['processor']}, {host['cores']} cores, load {host['load'][0]:.1f}; "
        f"Python {host['python']}, {versions}."
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("measured", Measured)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
