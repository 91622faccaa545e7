"""The documentation is true: its code runs, its reference is complete, its site builds."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import llm_bridge
import thermo

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.rst"))
NOTES = sorted((DOCS / "adr").glob("*.md"))
REFERENCE = re.findall(
    r"^   ((?:thermo|llm_bridge)\.[\w.]+)$",
    (DOCS / "api/index.rst").read_text(encoding="utf-8"),
    re.MULTILINE,
)

# Modules that have no page: what they hold is for the project's own use, or shown elsewhere.
INTERNAL = {
    "llm_bridge.module_locks",
    "thermo.arguments",
    "thermo.atomic_write",
    "thermo.cli",  # the page on the command line
    "thermo.estimate.slabs",
    "thermo.kernels",
    "thermo.lattice.colouring",
    "thermo.memory",
    "thermo.models.enumeration",
    "thermo.models.numbered",
    "thermo.paths",
    "thermo.printable",
    "thermo.result_files",
    "thermo.run.chains",
    "thermo.run.checkpoint",
    "thermo.run.checks",
    "thermo.run.chunk",
    "thermo.run.directory_lock",
    "thermo.run.energy_walks",
    "thermo.run.identity",
    "thermo.run.live_batch",
    "thermo.run.memory",
    "thermo.run.model_files",
    "thermo.run.order_parameter",
    "thermo.run.plan",
    "thermo.run.power_spectrum",
    "thermo.run.progress_bar",
    "thermo.run.work",
    "thermo.run.workers",
    "thermo.sampling.cluster_batch",
    "thermo.sampling.cluster_lane_batch",
    "thermo.sampling.cluster_rules",
    "thermo.sampling.demon",
    "thermo.sampling.discrete_batch",
    "thermo.sampling.discrete_chains",
    "thermo.sampling.discrete_rules",
    "thermo.sampling.energy_grid",
    "thermo.sampling.energy_walk",
    "thermo.sampling.kawasaki_batch",
    "thermo.sampling.lane_batch",
    "thermo.sampling.lane_chains",
    "thermo.sampling.lane_observables",
    "thermo.sampling.lane_rules",
    "thermo.sampling.model_tables",
    "thermo.sampling.multicanonical",
    "thermo.sampling.population",
    "thermo.sampling.rejection_free_batch",
    "thermo.sampling.row_batch",
    "thermo.sampling.starts",
    "thermo.sampling.tempering_batch",
    "thermo.sampling.updates",
    "thermo.sampling.vector_batch",
    "thermo.sampling.vector_chains",
    "thermo.sampling.vector_cluster_batch",
    "thermo.sampling.wang_landau",
    "thermo.versions",
    "llm_bridge.binned_spectrum",
    "llm_bridge.brownian.copies",
    "llm_bridge.brownian.kicks",
    "llm_bridge.brownian.logit_moments",
    "llm_bridge.brownian.layer_forms",
    "llm_bridge.brownian.layer_noise",
    "llm_bridge.brownian.noisy_memory",
    "llm_bridge.brownian.normal_rows",
    "llm_bridge.brownian.overflow",
    "llm_bridge.brownian.position_sums",
    "llm_bridge.brownian.shared_factors",
    "llm_bridge.brownian.temperature_ladder",
    "llm_bridge.cli",  # the page on the command line
    "llm_bridge.commands",  # likewise
    "llm_bridge.decoding.adapters.followed_text",
    "llm_bridge.decoding.adapters.request",
    "llm_bridge.decoding.adapters.sglang",  # this and vLLM's import their engine: docs/engines.rst
    "llm_bridge.decoding.adapters.vllm_settings",
    "llm_bridge.decoding.adapters.vllm_v1",
    "llm_bridge.decoding.adapters.vllm_v2",
    "llm_bridge.decoding.cached_reader",
    "llm_bridge.decoding.text_stream",
    "llm_bridge.demo_model",
    "llm_bridge.level_histogram",
    "llm_bridge.record_files",
    "llm_bridge.strict_json",
    "llm_bridge.tail_bounds",
    "llm_bridge.text.files",
}


def top_level_names() -> list[str]:
    """``thermo.canonical`` and so on: what can be imported from the packages themselves."""
    packages = (thermo, llm_bridge, llm_bridge.brownian)
    return [f"{package.__name__}.{name}" for package in packages for name in package.__all__]


def lookup(dotted: str) -> object:
    package, _, name = dotted.rpartition(".")
    return getattr(import_module(package), name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_on_the_pages_runs(page: Path) -> None:
    """Every ``>>>`` block of a page, in order, in one session, prints what the page shows."""
    test = doctest.DocTestParser().get_doctest(
        page.read_text(encoding="utf-8"), {"__name__": "__main__"}, page.name, str(page), 0
    )
    said: list[str] = []
    runner = doctest.DocTestRunner(
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.FAIL_FAST
    )
    assert runner.run(test, out=said.append).failed == 0, "".join(said)


def test_pages_have_code() -> None:
    """The parser still finds the examples: a page without any would pass the test above."""
    examples = {
        page.stem: len(doctest.DocTestParser().get_examples(page.read_text(encoding="utf-8")))
        for page in PAGES
    }
    assert examples["first_ten_minutes"] > 40
    assert examples["theory"] > 40


def test_every_module_has_a_page_or_is_internal() -> None:
    modules = {
        info.name
        for package in (thermo, llm_bridge)
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not info.ispkg
    }
    hidden = {name for name in modules if any(f"{name}.".startswith(f"{i}.") for i in INTERNAL)}
    assert set(REFERENCE) == modules - hidden
    assert len(REFERENCE) == len(set(REFERENCE))


@pytest.mark.parametrize("dotted", top_level_names())
def test_top_level_names_are_in_the_reference(dotted: str) -> None:
    thing = lookup(dotted)
    if inspect.ismodule(thing):
        assert any(f"{page}.".startswith(f"{thing.__name__}.") for page in REFERENCE)
        return
    assert thing.__module__ in REFERENCE
    assert dotted.rpartition(".")[2] in import_module(thing.__module__).__all__
    assert f"`{dotted}`" in (DOCS / "api/index.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "dotted", [name for name in top_level_names() if inspect.isroutine(lookup(name))]
)
def test_top_level_functions_have_whole_docstrings(dotted: str) -> None:
    function = lookup(dotted)
    text = inspect.getdoc(function) or ""
    sections = re.findall(r"^(\w+)\n-+$", text, re.MULTILINE)
    assert {"Parameters", "Returns", "Examples"} <= set(sections)
    for name in inspect.signature(function).parameters:
        assert re.search(rf"^(?:.*, |\*\*)?{name}(?:, .*)?(?: : |$)", text, re.MULTILINE), name


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.stem)
def test_design_notes_are_short_and_whole(note: Path) -> None:
    lines = note.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"# {note.name[:4]} ")
    assert [line for line in lines if line.startswith("## ")] == [
        "## Context",
        "## Decision",
        "## Consequences",
    ]
    assert len(lines) <= 25


def test_every_reference_is_cited() -> None:
    entries = set(re.findall(r"^@\w+\{(\w+),", (DOCS / "references.bib").read_text(), re.MULTILINE))
    cited = {
        key
        for page in PAGES
        for keys in re.findall(r":cite:[pt]:`([^`]+)`", page.read_text(encoding="utf-8"))
        for key in re.split(r",\s*", keys)
    }
    assert cited == entries


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        (r"\tfrac12 x", "<mfrac><mn>1</mn><mn>2</mn></mfrac><mi>x</mi>"),
        (r"\bar p_i", "<msub><mover><mi>p</mi><mo>‾</mo></mover><mi>i</mi></msub>"),
        (r"\ln(x)", "<mi>ln</mi><mo>\u2061</mo><mo>(</mo><mi>x</mi><mo>)</mo>"),
        (r"\ln Z", "<mi>ln</mi><mospace>\u2061</mo><mi>Z</mi>"),
    ],
)
def test_formulas(monkeypatch: pytest.MonkeyPatch, tex: str, expected: str) -> None:
    """What the extension mends in the converter's output, without white space and attributes."""
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    found = import_module("mathml").to_mathml(tex, block=False)
    found = re.sub(r">\s+<", "><", found)
    found = found.replace(' rspace="0.167em"', "space")
    found = re.sub(r' \w+="[^"]*"', "", found)
    assert found == f"<math>{expected}</math>"


def test_tables_of_what_is_below_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    rows = [["slow", 0.1, 3.0], ["fast", 0.3, 1.0], ["unknown", None, 2.0], ["slower", 0.05, 4.0]]
    record = {"columns": ["update", "per core", "other"], "rows": rows}
    columns, low = import_module("measured").rows_below(record, 0.2, "per core")
    assert columns == ["update", "per core"]
    assert low == [["slower", 0.05], ["slow", 0.1]]


def test_site_builds_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-b", "html"]
    run = subprocess.run(
        [*command, str(DOCS), str(tmp_path / "html")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    pages = list((tmp_path / "html").rglob("*.html"))
    assert len(pages) > len(REFERENCE)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'(?:src|href)="https?://[^"]+\.(?:js|css|woff2?)', text), page
    inventory = (tmp_path / "html" / "api" / "generated").glob("*.html")
    anchors = "".join(page.read_text(encoding="utf-8") for page in inventory)
    for dotted in top_level_names():
        thing = lookup(dotted)
        if not inspect.ismodule(thing):
            assert f'id="{thing.__module__}.{dotted.rpartition(".")[2]}"' in anchors, dotted
