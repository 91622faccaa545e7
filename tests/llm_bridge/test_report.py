"""The report: files as a whole or not at all, text from outside harmless, pictures legible."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from llm_bridge import report
from llm_bridge.compare import Comparison, compare
from llm_bridge.pictures import PANELS, overview, panel_png
from llm_bridge.report import check_folder, save, write_html
from llm_bridge.sentences import sentences
from llm_bridge.tables import tables
from thermo.errors import InvalidInputError

SEED = 20261120
HOSTILE = "<script>alert('σ')</script> \x1b[31mred\n\u202egnirts & $\\frac{"


@pytest.fixture(scope="module")
def comparison(
    model_folder: Path, text: str, tmp_path_factory: pytest.TempPathFactory
) -> Comparison:
    path = tmp_path_factory.mktemp("text") / "essay.txt"
    path.write_text(text, encoding="utf-8")
    return compare(
        model=model_folder, text=path, positions=40, sigmas=(0.05, 0.1, 0.2), draws=4,
        lattice_size=8, sweeps=1000, seed=SEED,
    )  # fmt: skip


@pytest.fixture(scope="module")
def without_noise(comparison: Comparison) -> Comparison:
    return replace(comparison, noise=(), no_noise_reason="Weight noise needs the weights.")


@pytest.fixture(scope="module")
def folder(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that was saved; tests copy it before they change anything."""
    path = tmp_path_factory.mktemp("out") / "deep" / "compare"
    comparison.save(path)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of one pixel: these tests are about files."""
    dot = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(dot, format="png", dpi=1)
    monkeypatch.setattr("llm_bridge.pictures.panel_png", lambda comparison, name: dot.getvalue())
    monkeypatch.setattr("llm_bridge.pictures.overview", lambda comparison: Figure(figsize=(1, 1)))


# ------------------------------------------------------------------------------------------------
# the files


def test_all_files_are_there(folder: Path) -> None:
    panels = {f"panels/{name}.png" for name in PANELS}
    assert set(tree(folder)) == {"report.html", "compare.png", "compare.json"} | panels
    assert [p.name for p in folder.parent.iterdir()] == ["compare"]  # nothing left beside it


def test_the_json_file_is_the_document(folder: Path, comparison: Comparison) -> None:
    written = (folder / "compare.json").read_text(encoding="utf-8")
    assert json.loads(written) == json.loads(comparison.to_json())
    assert "β" not in written or "\\u03b2" not in written  # one way of writing, readable


def test_pictures_are_large_enough_for_a_projector(folder: Path) -> None:
    height, width, _ = matplotlib.image.imread(folder / "compare.png").shape
    assert width >= 1920
    assert height >= 1080
    for name in PANELS:
        height, width, _ = matplotlib.image.imread(folder / "panels" / f"{name}.png").shape
        assert width >= 1280, name
        assert height >= 720, name


def test_others_may_read_the_files(folder: Path, comparison: Comparison, tmp_path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    for path in (folder, *folder.rglob("*")):
        expected = (0o777 if path.is_dir() else 0o666) & ~mask
        assert path.stat().st_mode & 0o777 == expected, path


@pytest.mark.usefixtures("quick")
def test_an_earlier_comparison_is_replaced_as_a_whole(
    comparison: Comparison, tmp_path: Path
) -> None:
    out = tmp_path / "compare"
    save(comparison, out)
    first = tree(out)
    (out / "panels" / "arch.png").write_bytes(b"old")
    (out / "compare.png").unlink()
    save(comparison, out)
    assert tree(out).keys() == first.keys()
    assert tree(out)["panels/arch.png"] != b"old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.usefixtures("quick")
def test_an_empty_folder_is_filled(comparison: Comparison, tmp_path: Path) -> None:
    out = tmp_path / "empty"
    out.mkdir()
    save(comparison, out)
    assert (out / "report.html").is_file()


@pytest.mark.parametrize(
    "foreign",
    [
        {"thesis.tex": b"years of work"},
        {"report.html": b"somebody else's report"},
        {"compare.json": b'{"schema": "other"}', "report.html": b""},
        {"compare.json": b"\xff\xfe"},
        {".hidden": b""},
    ],
)
@pytest.mark.usefixtures("quick")
def test_a_folder_with_other_files_survives_byte_for_byte(
    comparison: Comparison, tmp_path: Path, foreign: dict[str, bytes]
) -> None:
    out = tmp_path / "precious"
    out.mkdir()
    for name, content in foreign.items():
        (out / name).write_bytes(content)
    for refuse in (check_folder, lambda folder: save(comparison, folder)):
        with pytest.raises(InvalidInputError, match="no comparison wrote") as caught:
            refuse(out)
        assert "\n" not in str(caught.value)
    assert tree(out) == foreign
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("name", ["notes.txt", "panels/notes.txt", "panels/mine/photo.png"])
@pytest.mark.usefixtures("quick")
def test_so_does_a_file_that_was_put_among_ours(
    comparison: Comparison, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "compare"
    save(comparison, out)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    with pytest.raises(InvalidInputError, match="no comparison wrote"):
        save(comparison, out)
    assert (out / name).read_text() == "mine"


def places(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    yield tmp_path / "file", "is not a folder"
    yield tmp_path / "link", "is not a folder"
    yield tmp_path / "dangling", "is not a folder"
    yield tmp_path / "file" / "below" / "deeper", "cannot write"
    yield Path("/dev/null"), "is not a folder"
    yield Path("/dev/null/out"), "cannot write"
    yield Path("/proc/out"), "cannot write"  # where even root makes no files
    yield tmp_path / "there" / "..", "is not a folder"


@pytest.mark.usefixtures("quick")
def test_places_that_cannot_be_written_are_refused_before_and_after_the_work(
    comparison: Comparison, tmp_path: Path
) -> None:
    for place, message in places(tmp_path):
        for refuse in (check_folder, lambda folder: save(comparison, folder)):
            with pytest.raises(InvalidInputError, match=message):
                refuse(place)
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dangling", "file", "link", "there"]


def test_the_folder_one_stands_in_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (Path("."), tmp_path):
        with pytest.raises(InvalidInputError, match="the folder you are in"):
            check_folder(place)
    check_folder(Path("new"))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_a_failure_while_writing_leaves_the_earlier_result(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "compare"
    save(comparison, out)
    before = tree(out)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "to_json", full)
    with pytest.raises(InvalidInputError, match="No space left on device"):
        save(comparison, out)
    assert tree(out) == before
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("moment", [1, 2, 3])
@pytest.mark.usefixtures("quick")
def test_an_interruption_during_the_exchange_loses_nothing(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Ctrl-C before, between and after the two renames: old or new, never neither or a mixture."""
    out = tmp_path / "compare"
    save(comparison, out)
    (out / "compare.png").write_bytes(b"old")
    old = tree(out)
    rename, calls = os.rename, []

    def interrupted(source: Any, target: Any) -> None:
        calls.append(source)
        if len(calls) == moment == 1:
            raise KeyboardInterrupt
        rename(source, target)
        if len(calls) == moment - 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(comparison, out)
    assert list(tmp_path.iterdir()) == [out]
    assert set(tree(out)) == set(old)
    assert (tree(out) == old) == (moment < 3)


@pytest.mark.usefixtures("quick")
def test_one_html_file_alone(comparison: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    comparison.to_html(path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(InvalidInputError, match="cannot write"):
        comparison.to_html(tmp_path / "nowhere" / "report.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidInputError, match="cannot write"):
        write_html(comparison, tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "report.html"]


# ------------------------------------------------------------------------------------------------
# the page


class Page(HTMLParser):
    """What is on a page: tags, links and text; refuses tags that do not close."""

    VOID = ("meta", "img", "br", "link", "hr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "action"):
                self.addresses.append(str(value))
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


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
    assert str(SEED) in words


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


# ------------------------------------------------------------------------------------------------
# names from outside


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


# ------------------------------------------------------------------------------------------------
# no text on top of another


def drawn_texts(figure: Figure) -> dict[str, list[tuple[str, Bbox]]]:
    """Every text that is really drawn, with its box in pixels: what the renderer was asked for."""
    seen: dict[int, Text] = {}

    class Recorder(RendererAgg):
        def draw_text(self, *args: Any, **kwargs: Any) -> None:
            text = kwargs.get("mtext") or args[-1]
            if isinstance(text, Text):
                seen[id(text)] = text
            super().draw_text(*args, **kwargs)

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = Recorder(*map(int, figure.bbox.size), figure.dpi)
    figure.draw(renderer)
    # Annotations count their arrows in; only the words matter here.
    return {
        "texts": [
            (text.get_text(), Text.get_window_extent(text, renderer)) for text in seen.values()
        ]
    }


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes share more than a pixel."""
    found = []
    for (one, box), (other, second) in combinations(drawn_texts(figure)["texts"], 2):
        shared = Bbox.intersection(box, second)
        if shared is not None and shared.width > 1 and shared.height > 1:
            found.append((one, other))
    return found


def outside(figure: Figure) -> list[str]:
    """Texts that the edge of the picture cuts off."""
    width, height = figure.bbox.size
    return [
        text
        for text, box in drawn_texts(figure)["texts"]
        if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height
    ]


def panel(comparison: Comparison, name: str, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """The figure of one panel, which is otherwise written and forgotten."""
    kept: list[Figure] = []
    write = Figure.savefig

    def keep(figure: Figure, *args: Any, **kwargs: Any) -> None:
        kept.append(figure)
        write(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    panel_png(comparison, name)
    return kept[0]


def test_no_overlap_in_the_overview(comparison: Comparison) -> None:
    figure = overview(comparison)
    assert len(drawn_texts(figure)["texts"]) > 100
    assert overlaps(figure) == []
    assert outside(figure) == []


@pytest.mark.parametrize("name", PANELS)
def test_no_overlap_in_the_panels(
    comparison: Comparison, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = panel(comparison, name, monkeypatch)
    assert len(drawn_texts(figure)["texts"]) > 10
    assert overlaps(figure) == []
    assert outside(figure) == []


def test_no_overlap_without_noise(without_noise: Comparison) -> None:
    figure = overview(without_noise)
    assert overlaps(figure) == []
    assert outside(figure) == []


@pytest.mark.parametrize(
    ("spoil", "finds"),
    [
        (
            lambda ax: ax.annotate("over the title", (0.02, 1.03), xycoords="axes fraction"),
            overlaps,
        ),
        (lambda ax: ax.text(1.0, 0.5, "far out " * 9, in_layout=False), outside),
    ],
)
def test_negative_control_a_spoilt_picture_is_found(
    comparison: Comparison, spoil: Callable[[Any], Any], finds: Callable[[Figure], list[Any]]
) -> None:
    figure = overview(comparison)
    spoil(figure.axes[2])
    assert finds(figure)


def test_type_is_legible_from_the_back_row(comparison: Comparison) -> None:
    """Heights against the picture's: a fortieth is generous, one in a hundred is the least."""
    figure = overview(comparison)
    height = figure.get_figheight() * 72
    labels = [ax.xaxis.label for ax in figure.axes if ax.get_xlabel()]
    labels += [ax.yaxis.label for ax in figure.axes if ax.get_ylabel()]
    assert labels
    assert min(label.get_fontsize() for label in labels) > height / 70
    shown = {text for text, _ in drawn_texts(figure)["texts"]}
    sizes = {text.get_text(): text.get_fontsize() for text in figure.findobj(Text)}
    assert min(sizes[text] for text in shown) > height / 110


def test_every_panel_has_labelled_axes_with_units(comparison: Comparison) -> None:
    figure = overview(comparison)
    main = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert len(main) == len(PANELS)
    for ax in main:
        assert re.search(r"σ|/ k|nats|per ", ax.get_xlabel()), ax.get_xlabel()
        assert re.search(r"/ k|ln|T$", ax.get_ylabel()), ax.get_ylabel()


def test_drawing_changes_no_setting_of_the_user(comparison: Comparison) -> None:
    before = dict(matplotlib.rcParams)
    comparison.plot()
    assert dict(matplotlib.rcParams) == before
    assert isinstance(comparison.plot(), Figure)


def test_the_picture_can_be_made_larger(comparison: Comparison) -> None:
    """A user's savefig: the style stays in the figure when it is drawn again."""
    figure = comparison.plot()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    assert np.all(np.array(matplotlib.image.imread(io.BytesIO(buffer.getvalue())).shape[:2]) > 500)


def test_no_overlap_in_the_pictures_of_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make demo` draws, but for the size of the error bars."""
    demo = compare(draws=4, sweeps=5000)
    for figure in (overview(demo), *(panel(demo, name, monkeypatch) for name in PANELS)):
        assert overlaps(figure) == []
        assert outside(figure) == []
