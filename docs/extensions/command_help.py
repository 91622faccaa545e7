"""``.. command-help:: compare``: what ``spinlogit compare --help`` prints."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from typer.testing import CliRunner

from llm_bridge.cli import app as command_line


class CommandHelp(Directive):
    """The help text of a subcommand (of ``spinlogit`` itself without an argument)."""

    optional_arguments = 1
    final_argument_whitespace = True  # ``lab engine``

    def run(self) -> list[nodes.Node]:
        """Run the command in this process and show what it says."""
        words = [*" ".join(self.arguments).split(), "--help"]
        with mock.patch.dict(os.environ, {"COLUMNS": "90", "NO_COLOR": "1"}):
            result = CliRunner().invoke(command_line, words, prog_name="spinlogit")
        if result.exit_code != 0:
            raise self.error(f"spinlogit {' '.join(words)} failed: {result.output}")
        text = f"$ spinlogit {' '.join(words)}\n{result.output.strip()}"
        return [nodes.literal_block(text, text, language="console")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
