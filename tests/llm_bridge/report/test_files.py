"""The files of a report: as a whole or not at all, and never over anybody else's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from llm_bridge import report
from llm_bridge.compare import Comparison
from llm_bridge.pictures import PANELS
from llm_bridge.report import check_folder, save, write_html
from thermo.errors import InvalidInputError


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


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
