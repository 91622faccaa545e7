"""Is a text Python?"""

from __future__ import annotations

import ast
import codeop
import warnings

__all__ = ["parses_so_far"]


def parses_so_far(code: str) -> bool:
    """Whether the whole lines of a piece of code can be the beginning of a Python program.

    What follows the last line end is cut away. The rest passes if `ast.parse` accepts it, or would
    with more lines after it: an open bracket, an open string and a block without its body are no
    mistakes yet. Code that begins indented is read as if it stood in blocks of four spaces each.
    A piece without a whole line does not pass.

    Parameters
    ----------
    code : str
        It is parsed, never run.

    Returns
    -------
    bool

    Notes
    -----
    Only the syntax counts, as this version of Python has it: names need not exist. Inside an open
    string or a comment everything passes; begin with code where that is not so.

    Examples
    --------
    >>> [parses_so_far(code) for code in ("def f(x):\\n  ret", "    x = (1,\\n", "x = )\\n", "x")]
    [True, True, False, False]
    """
    lines, end, _ = code.rpartition("\n")
    if not end:
        return False
    indent = len(lines) - len(lines.lstrip(" "))
    blocks = "".join(f"{' ' * k}if 1:\n" for k in range(0, indent, 4))
    flags = ast.PyCF_ONLY_AST | codeop.PyCF_ALLOW_INCOMPLETE_INPUT  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but legal code, such as "\d"
            compile(f"{blocks}{lines}\n", "<text>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        return "incomplete input" in str(error)  # codeop asks the same way
    except (ValueError, MemoryError, RecursionError):  # null bytes, surrogates, too deep
        return False
    return True
