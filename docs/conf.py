"""Sphinx configuration: ``make docs`` builds the site into docs/_build/html, without a network."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer

import llm_bridge
import thermo

sys.path.insert(0, str(Path(__file__).parent / "extensions"))


def public_names(module_name: str) -> list[tuple[str, str]]:
    """What a module's page describes: its ``__all__``, each name with its autodoc directive.

    The name that the module is called after comes first. Data without a docstring of its own
    (tables of constants) are left out.
    """
    module = import_module(module_name)
    described = {name for _, name in ModuleAnalyzer.for_module(module_name).find_attr_docs()}

    def kind(thing: object) -> str:
        if inspect.isclass(thing):
            return "exception" if issubclass(thing, Exception) else "class"
        return "function" if callable(thing) else "data"

    entries = [(kind(getattr(module, name)), name) for name in module.__all__]
    entries = [(how, name) for how, name in entries if how != "data" or name in described]
    return sorted(entries, key=lambda entry: entry[1] != module_name.rpartition(".")[2])


project = "spinlogit"
author = "The spinlogit authors"
copyright = author
version = release = thermo.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "matplotlib.sphinxext.plot_directive",
    "command_help",
    "experiments",
    "mathml",
    "measured",
]
suppress_warnings = ["config.cache"]  # autosummary_context holds a function
exclude_patterns = ["_build", "_templates", "extensions", "figures", "gallery"]
templates_path = ["_templates"]
default_role = "py:obj"  # `name` is a link where the name is known, code elsewhere
html_math_renderer = "mathml"

# API reference: one page per module, filled from its __all__ (see _templates/module.rst).
autosummary_generate = True
autosummary_context = {"public_names": public_names}
autodoc_typehints = "none"  # docstrings give types together with shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
add_module_names = False
python_use_unqualified_type_names = True

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

# Figures are drawn while the site is built, by the code that the page is about.
plot_formats = [("svg", 100)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = False
plot_basedir = str(Path(__file__).parent)

# Scripts that are pages: run while the site is built, an error of one is an error of the site.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "laboratory",
    "filename_pattern": r"/plot_",
    "image_scrapers": ("gallery_pictures.picture_scraper",),
    "reset_modules": (),
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 3600,
    "write_computation_times": False,
    "download_all_examples": False,
    "within_subsection_order": "gallery_pictures.OrderOfTheLaboratory",
}

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["spinlogit.css"]
html_show_sourcelink = False
html_context = {"default_mode": "light"}
html_theme_options: dict[str, Any] = {
    "logo": {"text": project},
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Only the reference has enough pages to need a list of them at the side.
html_sidebars = {
    name: []
    for name in (
        "index",
        "first_ten_minutes",
        "theory",
        "spin_engine",
        "choosing_an_update",
        "decoding",
        "temperature_sweep",
        "engines",
        "anomalous_tokens",
        "text_temperature",
        "noise_floor",
        "negative_training",
        "brownian_weights",
        "brownian_experiments",
        "langevin_weights",
        "kin",
        "records",
        "measurements",
        "command_line",
    )
}


def link_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Node
) -> nodes.Node | None:
    """Lead ``thermo.canonical``, or just ``canonical``, to the module that defines it."""
    package, _, name = node.get("reftarget", "").rpartition(".")
    for parent in (thermo, llm_bridge, llm_bridge.brownian):
        if package in ("", parent.__name__) and name in parent.__all__:
            break
    else:
        return None
    thing = getattr(parent, name)
    target = f"{thing.__module__}.{name}" if hasattr(thing, "__module__") else thing.__name__
    domain = env.domains.python_domain
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], target, node, content
    )


def setup(app: Sphinx) -> None:
    """Connect the resolver of short names."""
    app.connect("missing-reference", link_short_name)
