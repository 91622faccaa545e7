"""Formulas as MathML, converted while the site is built.

Sphinx's own choices need either a script from a server (MathJax) or LaTeX (imgmath). Docutils
brings a converter from LaTeX to MathML, which every current browser draws by itself: the pages
need no script, no network and no TeX, and a formula that cannot be converted fails the build.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

# Common LaTeX that docutils does not know, in words that it does.
_SYNONYMS = (
    (re.compile(r"\\dots\b"), r"\\ldots "),
    (re.compile(r"\\texttt\b"), r"\\mathtt"),
    (re.compile(r"\{\\rm ([^{}]*)\}"), r"\\mathrm{\1}"),
    (re.compile(r"\\big(?=[(\[])"), r"\\bigl"),
    (re.compile(r"\\big(?=[)\]])"), r"\\bigr"),
    # \frac12 would be read as twelve over the next symbol.
    (re.compile(r"\\[td]?frac\s*(\d)\s*(\w)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\[td]frac\b"), r"\\frac"),
    (re.compile(r"\\overline\s*(\w|\{\w\})(?!\w)"), r"\\bar \1"),
)
_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_APPLY = "\N{FUNCTION APPLICATION}"
ElementTree.register_namespace("", _NAMESPACE)

_log = logging.getLogger(__name__)


def to_mathml(tex: str, *, block: bool) -> str:
    """LaTeX to a ``<math>`` element; lines in a block are aligned at ``&``."""
    for pattern, replacement in _SYNONYMS:
        tex = pattern.sub(replacement, tex)
    text = tex2mathml(tex.strip(), as_block=block).replace("&ApplyFunction;", _APPLY)
    math = ElementTree.fromstring(text)
    for parent in math.iter():
        for place, child in enumerate(parent):
            if child.text == _APPLY and not _is_bracket(parent[place + 1 : place + 2]):
                child.set("rspace", "0.167em")  # ln Z, not lnZ
            elif child.text in ("⟨", "⟩", "|"):
                child.set("stretchy", "false")  # browsers make them taller than their content
            elif child.tag.endswith("}munderover") and child[2].get("stretchy") == "false":
                parent[place] = _accent_with_subscript(*child)
    for bar in math.iter(f"{{{_NAMESPACE}}}mover"):
        if bar[1].text == "\N{MODIFIER LETTER MACRON}":  # sits on the letter in many fonts
            bar[1].text = "\N{OVERLINE}"
            bar.set("accent", "false")
    return ElementTree.tostring(math, encoding="unicode")


def _is_bracket(following: list[Element]) -> bool:
    """Whether what follows opens with a bracket, alone or as the first in a group."""
    while following and len(following[0]):
        following = following[0][:1]
    return bool(following) and following[0].text in ("(", "[", "{", "|", "⟨")


def _accent_with_subscript(letter: Element, subscript: Element, accent: Element) -> Element:
    """An accented letter with an index at its foot; the converter sets the index below it."""
    whole = Element(f"{{{_NAMESPACE}}}msub")
    accented = SubElement(whole, f"{{{_NAMESPACE}}}mover", accent="true")
    accented.extend([letter, accent])
    whole.append(subscript)
    return whole


def _visit(writer: Any, node: nodes.Element, *, block: bool) -> str:
    tex = node.astext()
    try:
        return to_mathml(tex, block=block)
    except MathError as error:
        _log.warning("formula %r cannot be converted: %s", tex, error, location=node)
        return f"<code>{writer.encode(tex)}</code>"


def _visit_inline(writer: Any, node: nodes.Element) -> None:
    writer.body.append(_visit(writer, node, block=False))
    raise nodes.SkipNode


def _visit_block(writer: Any, node: nodes.Element) -> None:
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    if node["number"]:
        writer.body.append(f'<span class="eqno">({get_node_equation_number(writer, node)})</span>')
    writer.body.append(_visit(writer, node, block=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer; ``html_math_renderer = "mathml"`` chooses it."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
