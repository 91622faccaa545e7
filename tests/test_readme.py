"""The README is executed: its Python, its commands, and what it says they print."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from llm_bridge.cli import app
from llm_bridge.models import DEMO_WEIGHTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

# (language, text) of every fenced block, in order
BLOCKS = [
    (match[1], match[2])
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
]
PYTHON = [
    (code, BLOCKS[k + 1][1] if k + 1 < len(BLOCKS) and BLOCKS[k + 1][0] == "text" else "")
    for k, (language, code) in enumerate(BLOCKS)
    if language == "python"
]


def commands() -> list[list[str]]:
    """Every line that starts with ``spinlogit``, in blocks or in running text."""
    lines = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", README)
    return [shlex.split(line, comments=True) for line in lines if line.startswith("spinlogit ")]


def test_there_is_something_to_test() -> None:
    assert len(PYTHON) >= 2
    assert all(expected for _, expected in PYTHON)
    assert ["spinlogit", "compare"] in commands()
    assert len(commands()) >= 2


def test_python_prints_what_the_readme_says() -> None:
    """In order and in one namespace, as a reader would paste them."""
    space: dict[str, object] = {}
    for code, expected in PYTHON:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(code, "README.md", "exec"), space)
        assert shown.getvalue() == expected


def test_it_starts_with_what_one_sees_the_two_commands_and_one_picture() -> None:
    beginning = README[: README.index("## ")]
    assert len(re.findall(r"!\[[^\]]+\]\([^)]+\)", beginning)) == 1
    assert "make demo" in beginning
    assert "make test" in beginning


def test_pictures_and_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    here = [link for link in links if "://" not in link]
    assert here
    assert [link for link in here if not (ROOT / link).is_file()] == []
    picture = next(link for link in here if link.endswith(".png"))
    assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")


def test_every_make_target_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert {"demo", "test", "docs"} <= named
    assert named <= targets
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert targets == set(phony[1].split())


def test_make_demo_runs_the_comparison() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(r"spinlogit compare --out out/compare$", done.stdout, re.MULTILINE)
    assert "out/compare/report.html" in README


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_is_known_with_its_options(command: list[str]) -> None:
    known, _, *words = get_command(app), *command
    while words and hasattr(known, "commands"):
        known = known.commands[words.pop(0)]
    options = {option for parameter in known.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    if not hasattr(known, "commands"):
        known.make_context(command[1], words)  # refuses what it cannot parse


def test_your_own_model_and_your_own_text(tmp_path: Path) -> None:
    """The README's command, word for word, with settings added that make it quick."""
    (command,) = [c for c in commands() if "--model" in c]
    folder = Path(command[command.index("--model") + 1])
    essay = Path(command[command.index("--text") + 1])
    out = Path(command[command.index("--out") + 1])
    (tmp_path / folder).parent.mkdir(parents=True)
    (tmp_path / folder).symlink_to(DEMO_WEIGHTS, target_is_directory=True)
    (tmp_path / essay).write_bytes((DEMO_WEIGHTS / "held_out.txt").read_bytes())
    quick = ["--positions", "20", "--sweeps", "1000", "--draws", "4", "--sigma", "0.1"]
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:], *quick],
        cwd=tmp_path, capture_output=True, encoding="utf-8", check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / out / "report.html").is_file()
    assert "noise σ = 0.1" in done.stdout


# ------------------------------------------------------------------------------------------------
# the Makefile behind the two commands


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """What `make setup` looks at, without the environment that it makes."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def make(*arguments: str, cwd: Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["make", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert status is None or done.returncode == status, done.stderr
    return done


def test_a_second_setup_has_nothing_to_do(fresh: Path) -> None:
    make("--question", "setup", cwd=fresh, status=1)
    (fresh / ".venv").mkdir()
    (fresh / ".venv" / ".ready").touch()
    make("--question", "setup", cwd=fresh)
    os.utime(fresh / "pyproject.toml", (2e9, 2e9))  # newer than what was set up
    make("--question", "setup", cwd=fresh, status=1)


def test_every_target_sets_up_first_and_with_the_pinned_versions(fresh: Path) -> None:
    for target in ("demo", "test", "docs", "bench", "setup"):
        plan = make("--dry-run", target, cwd=fresh).stdout
        assert "-m venv .venv" in plan
        for line in plan.splitlines():
            if "pip install" in line:
                assert "-c constraints.txt" in line


def test_an_old_python_is_told_so_in_one_line(fresh: Path) -> None:
    old = fresh / "python3.9"
    old.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi\n')
    old.chmod(0o755)
    done = make("PYTHON=./python3.9", "setup", cwd=fresh, status=2)
    told = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    (line,) = told
    assert "3.11" in line
    assert "Python 3.9.2" in line
    assert not (fresh / ".venv").exists()


def test_continuous_integration_passes_the_tests() -> None:
    run = ROOT / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert re.search(r"^(exec )?make test$", run.read_text(encoding="utf-8"), re.MULTILINE)
