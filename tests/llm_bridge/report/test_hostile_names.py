"""Names from outside that attack page, terminal and pictures do no harm."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from html_page import Page

from llm_bridge.compare import Comparison, compare
from llm_bridge.report import save

HOSTILE = "<script>alert('σ')</script> \x1b[31mred\n\u202egnirts & $\\frac{"


@pytest.fixture(scope="module")
def hostile(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A model, a text and a record's metadata whose names attack page, terminal and pictures."""
    place = tmp_path_factory.mktemp("hostile")
    name = HOSTILE.replace("/", "|")
    (place / name).symlink_to(model_folder, target_is_directory=True)
    # resolve() would follow the link to the harmless name: copy the folder's name instead
    real = place / f"real {name}"
    real.mkdir()
    for file in model_folder.iterdir():
        (real / file.name).write_bytes(file.read_bytes())
    text = place / f"{name}.txt"
    text.write_text("<b>bold</b> \x1b[0m def f(x): return x\n" * 40, encoding="utf-8")
    return compare(
        model=real, text=text, positions=20, sigmas=(0.1,), draws=4, lattice_size=4, sweeps=1000
    )


def test_a_hostile_name_is_harmless_in_the_report(hostile: Comparison, tmp_path: Path) -> None:
    hostile.to_html(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "<script>" in "".join(page.text)  # it is shown, as text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]", html)


def test_a_hostile_name_is_harmless_in_the_terminal(hostile: Comparison) -> None:
    shown = hostile.table()
    assert not [c for c in shown if not c.isprintable() and c != "\n"]
    assert "gnirts" in shown  # shown, with its marks written out


def test_a_hostile_name_is_no_formula_in_the_pictures(hostile: Comparison) -> None:
    hostile.save  # noqa: B018  (pictures are what a save draws first)
    figure = hostile.plot()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any("script" in label for label in labels)
    assert all(c.isprintable() for label in labels for c in label)


def test_a_hostile_name_is_kept_in_the_json(hostile: Comparison) -> None:
    found = json.loads(hostile.to_json())
    assert found["settings"]["text"] == HOSTILE.replace("/", "|") + ".txt"


@pytest.mark.usefixtures("quick")
def test_a_name_that_is_not_unicode_does_not_lose_the_result(
    comparison: Comparison, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9.txt")
    changed = replace(comparison, settings=comparison.settings | {"text": odd})
    save(changed, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))
    assert found["settings"]["text"] == "caf\\udce9.txt"
