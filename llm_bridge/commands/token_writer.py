"""Tokens as they come, written to a terminal: harmless, in the colour of their β, with entropy."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

from thermo.printable import printable

if TYPE_CHECKING:
    from llm_bridge.decoding import GeneratedToken

__all__ = ["Colours", "TokenWriter", "beta_colours", "harmless", "token_row"]

Colours = Callable[[float], str]  # β → the escape sequence that begins its colour

_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
_MARGIN = 9  # characters at the right: "  S 12.34"
_CUBE = (0, 95, 135, 175, 215, 255)  # of red, green and blue in a terminal of 256 colours


class TokenWriter:
    """Writes a text token by token.

    Parameters
    ----------
    out : text file
    colours : callable, optional
        From `beta_colours`. None: no escape sequence is ever written.
    width : int, optional
        Characters per line: text is wrapped, and at the right of every line stands the mean
        entropy, in nats, of the distributions that its tokens were drawn from. None: neither.
    """

    def __init__(
        self, out: TextIO, colours: Colours | None = None, width: int | None = None
    ) -> None:
        self._out = out
        self._colours = colours
        self._limit = None if width is None else max(width - _MARGIN, 8)
        self._column = 0
        self._entropies: list[float] = []  # of the tokens that began on this line
        self._begun = ""  # colour of the token that began a character not yet complete

    def prompt(self, text: str) -> None:
        """Write what was given, dimmed and without entropies."""
        self._write(text, _DIM)

    def token(self, token: GeneratedToken) -> None:
        """Write a token."""
        self._entropies.append(token.entropy)
        colour = self._colours(token.beta) if self._colours else ""
        if not token.text:  # a part of a character, which will come with a later token
            self._begun = self._begun or colour
            return
        first = 1 if self._begun else 0
        self._write(token.text[:first], self._begun)
        self._write(token.text[first:], colour)
        self._begun = ""

    def finish(self) -> None:
        """End the last line."""
        if self._column or self._entropies:
            self._end_line()
            self._out.flush()

    def _write(self, text: str, colour: str) -> None:
        run = ""
        for character in harmless(text):
            shown = character
            if self._limit is not None:
                if character == "\t":
                    shown = " " * (8 - self._column % 8)
                if self._column + _columns(shown) > self._limit:
                    run = self._paint(run, colour)
                    self._end_line()
            if character == "\n":
                run = self._paint(run, colour)
                self._end_line()
            else:
                run += shown
                self._column += _columns(shown)
        self._paint(run, colour)
        self._out.flush()

    def _paint(self, run: str, colour: str) -> str:
        """Write a run of characters; never a line end, whose colour would fill the line."""
        if run:
            painted = self._colours is not None and colour
            self._out.write(f"{colour}{run}{_RESET}" if painted else run)
        return ""

    def _end_line(self) -> None:
        if self._limit is not None and self._entropies:
            mean = sum(self._entropies) / len(self._entropies)
            margin = " " * (self._limit - self._column) + f"  S {mean:5.2f}"
            self._paint(margin, _DIM)
        self._out.write("\n")
        self._column, self._entropies = 0, []


def beta_colours(scale: float, environment: Mapping[str, str]) -> Colours:
    """The colour of every β as the background of text: blue cold, grey at β = 0, red hot.

    Parameters
    ----------
    scale : float
        σ₀ in nats: the colours are those of βσ₀, as in every picture of this package.
    environment : mapping of str to str
        ``COLORTERM`` says whether the terminal has all colours; else the nearest of 256 is taken.

    Returns
    -------
    callable
        β to an escape sequence, which ``"\\x1b[0m"`` ends.

    Examples
    --------
    >>> colours = beta_colours(2.0, {"COLORTERM": "truecolor"})
    >>> colours(float("-inf"))  # white on dark red
    '\\x1b[38;5;231;48;2;127;0;0m'
    """
    from thermo.plots.style import color_of

    has_all = environment.get("COLORTERM", "") in ("truecolor", "24bit")

    def sequence(beta: float) -> str:
        rgb = [round(255 * float(part)) for part in color_of(beta * scale)[:3]]
        luminance = sum(
            weight * (part / 255) ** 2.2
            for weight, part in zip((0.2126, 0.7152, 0.0722), rgb, strict=True)
        )
        ink = 16 if luminance > 0.18 else 231  # black where it has more contrast than white
        if has_all:
            paper = "2;" + ";".join(map(str, rgb))
        else:
            r, g, b = (min(range(6), key=lambda k, x=x: abs(_CUBE[k] - x)) for x in rgb)  # type: ignore[misc]
            paper = f"5;{16 + 36 * r + 6 * g + b}"
        return f"\x1b[38;5;{ink};48;{paper}m"

    return sequence


def harmless(text: str) -> str:
    r"""A text with its line ends and tabs, and everything else that is not visible as an escape.

    Examples
    --------
    >>> harmless("one\n\ttwo\r\x1b[31m")
    'one\n\ttwo\\r\\x1b[31m'
    """
    return "".join(c if c in "\n\t" else printable(c) for c in text)


def token_row(position: int, token: GeneratedToken) -> str:
    """One line of a table of tokens, under ``TOKEN_HEADER``."""
    numbers = (token.entropy, token.model_entropy, -token.log_probability + 0.0)
    shown = "".join(f"{x:9.3f}" for x in (*numbers, -token.model_log_probability + 0.0))
    return f"{position:5d} {token.beta:9.4g}{shown}  {printable(token.text)}"


TOKEN_HEADER = f"{'':5} {'β':>9}{'S':>9}{'S(β=1)':>9}{'−ln p':>9}{'at β=1':>9}  token"
"""Columns of `token_row`: entropies and surprises in nats, as drawn and of the clean model."""


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes up."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
