"""The pictures: no text on top of another, legible, with units, and no user's setting changed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from itertools import combinations
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from llm_bridge.compare import Comparison, compare
from llm_bridge.pictures import PANELS, overview, panel_png


def drawn_texts(figure: Figure) -> list[tuple[str, Bbox]]:
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
    return [(text.get_text(), Text.get_window_extent(text, renderer)) for text in seen.values()]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes share more than a pixel."""
    found = []
    for (one, box), (other, second) in combinations(drawn_texts(figure), 2):
        shared = Bbox.intersection(box, second)
        if shared is not None and shared.width > 1 and shared.height > 1:
            found.append((one, other))
    return found


def outside(figure: Figure) -> list[str]:
    """Texts that the edge of the picture cuts off."""
    width, height = figure.bbox.size
    return [
        text
        for text, box in drawn_texts(figure)
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
    assert len(drawn_texts(figure)) > 100
    assert overlaps(figure) == []
    assert outside(figure) == []


@pytest.mark.parametrize("name", PANELS)
def test_no_overlap_in_the_panels(
    comparison: Comparison, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = panel(comparison, name, monkeypatch)
    assert len(drawn_texts(figure)) > 10
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
    shown = {text for text, _ in drawn_texts(figure)}
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
