"""Text files that a model is to read."""

from __future__ import annotations

import os
from pathlib import Path

from thermo.errors import InvalidInputError

__all__ = ["read_text"]


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
