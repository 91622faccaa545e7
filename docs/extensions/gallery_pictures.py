"""Pictures of gallery scripts: a script that leaves a figure named ``picture`` shows it."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def picture_scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figure that this block has made, if it has, and return the text that shows it."""
    picture = block_vars["example_globals"].pop("picture", None)
    if not isinstance(picture, Figure):
        return ""
    path = next(block_vars["image_path_iterator"])
    picture.savefig(path, dpi=110)
    return figure_rst([path], gallery_conf["src_dir"])
