"""Text from outside as text that a terminal, a page or a picture shows harmlessly."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    r"""The same text with everything that is not a visible character written as an escape.

    Control characters, escape sequences, line ends and marks that turn the direction of writing
    act on a terminal or a page instead of being shown. Angle brackets are left for the HTML
    template to escape.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(printable("\x1b[31mred\n\u202eβ = −1"))
    \x1b[31mred\n\u202eβ = −1
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
