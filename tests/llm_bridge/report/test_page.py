"""The page: one harmless file with every picture, number and sentence of the comparison."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from html_page import Page

from llm_bridge.compare import Comparison
from llm_bridge.pictures import PANELS
from llm_bridge.sentences import sentences
from llm_bridge.tables import tables


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_report_is_one_file_without_scripts_or_addresses(page: Page, folder: Path) -> None:
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_every_picture_is_in_the_report_with_a_caption_and_a_text_for_the_blind(
    page: Page, folder: Path
) -> None:
    assert len(page.images) == len(PANELS)
    assert page.tags.count("figcaption") == len(PANELS)
    for image, (name, (title, _)) in zip(page.images, PANELS.items(), strict=True):
        assert image["alt"] == title
        data = str(image["src"]).partition(",")[2]
        assert base64.b64decode(data) == (folder / "panels" / f"{name}.png").read_bytes()


def test_every_number_of_the_tables_is_in_the_report(page: Page, comparison: Comparison) -> None:
    words = " ".join("".join(page.text).split())
    for table in tables(comparison):
        assert " ".join(table.title.split()) in words
        for row in table.rows:
            for cell in row:
                assert cell in words
    for _, value in comparison.settings["provenance"].items():
        assert value in words
    assert str(comparison.settings["seed"]) in words


def test_the_report_says_what_carries_over_and_what_does_not(
    page: Page, comparison: Comparison
) -> None:
    text = sentences(comparison)
    words = " ".join("".join(page.text).split())
    assert len(text.carries_over) >= 3
    assert len(text.does_not) >= 3
    for part in (text.carries_over, text.does_not):
        for claim, reason in part:
            assert " ".join(claim.split()) in words
            assert " ".join(reason.split()) in words
            assert reason.endswith(".")
    for paragraph in text.summary:
        assert " ".join(paragraph.split()) in words
    assert text.captions.keys() == PANELS.keys()
    for reason in ("no upper bound", "population inversion", "contexts", "no heat flow"):
        assert reason in words


def test_sentences_quote_this_run_s_own_numbers(comparison: Comparison) -> None:
    text = " ".join(sentences(comparison).summary)
    row = comparison.noise[-1]
    assert f"{row.sigma:g} of each tensor's rms" in text
    assert f"{100 * row.effective.top1_flips:.0f} % of positions" in text
    assert f"{comparison.model_system.curve.scale:.3g}" in text
    assert "8² spins" in text
    agreement = comparison.systems[1].details["agreement"]
    assert f"{agreement['worst_z_energy']:.1f} standard errors" in " ".join(text.split())


def test_without_noise_the_report_says_why(without_noise: Comparison, tmp_path: Path) -> None:
    without_noise.to_html(tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Weight noise needs the weights." in "".join(page.text)
    assert len(page.images) == len(PANELS)
