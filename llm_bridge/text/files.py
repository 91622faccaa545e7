"""Text files that a model is to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thermo.errors import InvalidInputError
from thermo.printable import printable

__all__ = ["naming", "read_text"]


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a UTF-8 text file, or say in one sentence why it cannot be read.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        With the file's line ends as they are.

    Raises
    ------
    InvalidInputError
        No such file, not UTF-8, or nothing but white space in it.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInputError(f"cannot read the text {path}: {reason}.") from error
    if not text.strip():
        raise InvalidInputError(f"the text {path} is empty; a model needs something to read.")
    return text


@contextmanager
def naming(
    path: str | os.PathLike[str] | None, complaint: type[InvalidInputError] = InvalidInputError
) -> Iterator[None]:
    """Say of which file a complaint is.

    Parameters
    ----------
    path : path, optional
        None where the text is from no file; then complaints stay as they are.
    complaint : type
        Which of them are about the text. The others stay as they are.

    Raises
    ------
    InvalidInputError
        The complaint, with the file's name before it.

    Examples
    --------
    >>> with naming("essay.txt"):
    ...     raise InvalidInputError("the text has 1 token; at least 2 are needed.")
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: essay.txt: the text has 1 token; at least 2 are needed.
    """
    try:
        yield
    except complaint as error:
        if path is None:
            raise
        raise InvalidInputError(f"{printable(os.fspath(path))}: {error}") from error
