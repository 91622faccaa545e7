"""The gallery: a script that leaves a figure named ``picture`` shows it; their order."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from thermo.cli.lab import EXPERIMENTS


def picture_scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figure that this block has made, if it has, and return the text that shows it."""
    picture = block_vars["example_globals"].pop("picture", None)
    if not isinstance(picture, Figure):
        return ""
    path = next(block_vars["image_path_iterator"])
    picture.savefig(path, dpi=110)
    return figure_rst([path], gallery_conf["src_dir"])


class OrderOfTheLaboratory:
    """Sorts scripts as ``spinlogit lab`` lists its experiments."""

    def __init__(self, src_dir: str) -> None:
        self._names = [f"plot_{name.replace('-', '_')}.py" for name in EXPERIMENTS]

    def __call__(self, filename: str) -> int:
        return self._names.index(filename)
