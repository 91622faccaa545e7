"""``spinlogit tokens``, and the benchmark behind the page, at tiny settings."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from llm_bridge.commands.tokens import tokens_command
from thermo.errors import InvalidInputError

ROOT = Path(__file__).resolve().parents[2]
FAST = ["--count", "3", "--length", "8", "--steps", "2", "--asked", "20"]


def run(*words: str):
    app = typer.Typer()
    app.command()(tokens_command)
    return CliRunner().invoke(app, list(words))


def test_json_is_one_document() -> None:
    result = run(*FAST, "--top", "5", "--sort", "input_norm", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema"] == "spinlogit.tokens/1"
    assert len(document["id"]) == len(document["columns"]["input_norm"]) == 5
    assert document["columns"]["input_norm"] == sorted(document["columns"]["input_norm"])
    assert document["agreement"]["known"] == 159


def test_table_and_picture(tmp_path: Path) -> None:
    out = tmp_path / "tokens.png"
    result = run(*FAST, "--top", "3", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "AUROC against 159 tokens" in result.stdout
    assert "argmin, one step" in result.stdout
    assert out.read_bytes().startswith(b"\x89PNG")
    again = run(*FAST, "--out", str(out))
    assert isinstance(again.exception, InvalidInputError)
    assert "--overwrite" in str(again.exception)


def test_a_model_without_known_tokens(model_folder: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("def energy(\nThe temperature of\n", encoding="utf-8")
    words = ["--model", str(model_folder), "--steps", "2", "--asked", "10"]
    result = run(*words, "--prompts", str(prompts), "--positions", "last", "--padded")
    assert result.exit_code == 0, result.output
    assert "no tokens are known" in result.stdout
    failed = run(*words)
    assert "--prompts FILE or --text FILE" in str(failed.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sort", "nrom"], "--sort = 'nrom'"),
        (["--positions", "first"], "--positions = 'first'"),
        (["--prompts", "a", "--text", "b"], "one of them is accepted"),
        (["--text", "nowhere.txt"], "nowhere.txt"),
        (["--out", "tokens.gif"], "a name ending in"),
        (["--count", "100000"], "at least 6400000 are needed"),
        (["--model", "gpt2"], "no folder 'gpt2'"),
    ],
)
def test_bad_input(words: list[str], message: str) -> None:
    assert message in str(run(*words).exception)


def benchmark(name: str, settings: list[str], folder: Path, monkeypatch) -> ModuleType:
    """Run a script of benchmarks/, its record to folder/found.json."""
    scripts = ROOT / "benchmarks"
    monkeypatch.syspath_prepend(str(scripts))
    path = scripts / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", [str(path), "--json", str(folder / "found.json"), *settings])
    module.main()
    return module


def check_record(found: Path, kept: str, columns: list[str]) -> None:
    """What a script writes is of the form of what the page shows."""
    record = json.loads(found.read_text(encoding="utf-8"))
    shown = json.loads((ROOT / f"docs/measured/{kept}.json").read_text(encoding="utf-8"))
    assert record["columns"] == shown["columns"] == columns
    assert all(len(row) == len(columns) for row in record["rows"])
    assert record.keys() == shown.keys()


def test_benchmark_writes_the_records_of_the_page(tmp_path, monkeypatch) -> None:
    settings = ["--prompts", "4", "--length", "8", "--steps", "2", "--asked", "10"]
    module = benchmark("anomalous_tokens", settings, tmp_path, monkeypatch)
    check_record(tmp_path / "found.json", "anomalous_tokens", module.COLUMNS)
    check_record(tmp_path / "found_bottom.json", "anomalous_tokens_bottom", module.BOTTOM_COLUMNS)


def test_benchmark_of_texts(tmp_path, monkeypatch) -> None:
    settings = ["--texts", "2", "--max-tokens", "6", "--prompts", "2"]
    module = benchmark("anomalous_texts", settings, tmp_path, monkeypatch)
    check_record(tmp_path / "found.json", "anomalous_texts", module.TEXT_COLUMNS)
    check_record(tmp_path / "found_states.json", "anomalous_texts_states", module.STATE_COLUMNS)
