"""``.. experiments:: weight_noise_theory kin``: an overview of what the records' experiments found.

For each number, in order: what was foretold, how to run it, the lines that stand for it with
prediction, measurement and verdict, and how many of all its lines came true. All of it is read from
``docs/measured/``, where ``benchmarks/predictions.py`` has put it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from measured import FOLDER, readable
from sphinx.application import Sphinx

COLUMNS = ["experiment", "quantity", "predicted", "measured", "error", "verdict"]
HEADER = ["experiment", "", "predicted", "measured", "off by", "verdict"]
UNDECIDED = ("too rough", "not equilibrated", "not measured")


@dataclass
class Found:
    """One experiment: what one or several records say about it."""

    name: str
    foretold: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    keys: list[list[Any]] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    refuted: list[str] = field(default_factory=list)  # what the refuted lines are about

    @property
    def verdict(self) -> str:
        """Of all lines that have a prediction and resolve it."""
        held = sum(verdict.startswith("confirmed") for verdict in self.verdicts)
        failed = self.verdicts.count("refuted")
        open_ = sum(verdict in UNDECIDED for verdict in self.verdicts)
        word = "confirmed in part" if held and failed else "refuted" if failed else "confirmed"
        count = f"{held} of {held + failed} lines" if held else f"{failed} of {failed} lines"
        return f"{word} ({count}{f', {open_} undecided' if open_ else ''})"


def gathered(records: list[dict[str, Any]]) -> dict[int, Found]:
    """The experiments of all records by number."""
    found: dict[int, Found] = {}
    for record in records:
        for number, about in record["experiments"].items():
            each = found.setdefault(int(number), Found(about["name"]))
            each.foretold.append(about["foretold"])
            each.commands.append(about["run"])
            each.keys += [record["rows"][k] for k in about["key_rows"]]
            for row in record["rows"]:
                if row[0] == int(number):
                    each.verdicts.append(row[-1])
                    subject = row[1].partition(": ")[0]
                    if row[-1] == "refuted" and subject not in each.refuted:
                        each.refuted.append(subject)
    return dict(sorted(found.items()))


class Experiments(Directive):
    """A table with a group of rows for each experiment."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Read the records and make the table."""
        records = []
        for name in self.arguments[0].split():
            path = FOLDER / f"{name}.json"
            self.state.document.settings.env.note_dependency(str(path))
            records.append(json.loads(path.read_text(encoding="utf-8")))
        group = nodes.tgroup(cols=len(HEADER))
        group.extend(nodes.colspec(colwidth=width) for width in (30, 34, 10, 12, 8, 12))
        group += nodes.thead("", nodes.row("", *(_cell(text) for text in HEADER)))
        body = nodes.tbody()
        for number, found in gathered(records).items():
            rows = [_cells(row) for row in found.keys]
            first = _about(number, found)
            first["morerows"] = max(len(rows), 1) - 1
            body += nodes.row("", first, *(rows or [[_cell("")] * (len(HEADER) - 1)])[0])
            body.extend(nodes.row("", *row) for row in rows[1:])
        group += body
        return [nodes.table("", group, classes=["measured", "experiments"])]


def _about(number: int, found: Found) -> nodes.entry:
    entry = nodes.entry()
    entry += nodes.paragraph("", "", nodes.strong("", f"{number}. {found.name}"))
    entry.extend(nodes.paragraph("", text) for text in found.foretold)
    entry += nodes.paragraph("", "", nodes.strong("", found.verdict))
    if found.refuted:
        entry += nodes.paragraph("", f"Refuted: {'; '.join(found.refuted)}.")
    entry.extend(nodes.paragraph("", "", nodes.literal("", text)) for text in found.commands)
    return entry


def _cells(row: list[Any]) -> list[nodes.entry]:
    return [_cell(text) for text in readable(COLUMNS, row)[1][1:]]


def _cell(text: str) -> nodes.entry:
    return nodes.entry("", nodes.paragraph("", text))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("experiments", Experiments)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
