"""JSON from strangers: each key once, and no NaN."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any

from llm_bridge.errors import RecordFileError
from thermo.arguments import shown

__all__ = ["first_repeated", "parse_json"]


def parse_json(text: str | bytes) -> Any:
    """Parse a document that may come from anyone.

    Parameters
    ----------
    text : str or bytes
        bytes in UTF-8, 16 or 32.

    Returns
    -------
    object
        Of dict, list, str, int, float, bool and None.

    Raises
    ------
    RecordFileError
        NaN or an infinity, which JSON has not; or an object with a key twice, of which different
        readers keep different ones.
    ValueError
        No JSON, or a number of thousands of digits.
    RecursionError
        Nested too deeply.

    Examples
    --------
    >>> parse_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    llm_bridge.errors.RecordFileError: an object has the key 'a' twice.
    """
    return json.loads(text, parse_constant=_no_number, object_pairs_hook=_each_key_once)


def first_repeated(names: Iterable[Hashable]) -> Any:
    """The first name that comes more than once; None if each comes once.

    Examples
    --------
    >>> first_repeated("abcb")
    'b'
    """
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _no_number(name: str) -> float:
    raise RecordFileError(f"it holds {name}, which is no number in JSON.")


def _each_key_once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RecordFileError(
            f"an object has the key {shown(first_repeated(key for key, _ in pairs))} twice."
        )
    return found
