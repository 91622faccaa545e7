"""Responses of OpenAI-compatible servers as `TopLogprobs`: JSON from strangers, read as data."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llm_bridge.errors import RecordFileError
from llm_bridge.strict_json import first_repeated, parse_json
from llm_bridge.top_logprobs import TopLogprobs
from thermo.arguments import one_of, shown, whole_number
from thermo.errors import InvalidInputError
from thermo.printable import printable

__all__ = ["read_top_logprobs", "top_logprobs_of"]

_LARGEST_TABLE = 1 << 25  # numbers: as many as the largest file has, with room
_LARGEST_FILE = 64 << 20  # bytes: twenty alternatives at a hundred thousand positions
_UNKNOWN = -9999.0  # what servers write for minus infinity, or for "not among the largest"
_PARTS = ("completion", "prompt")


def read_top_logprobs(
    path: str | os.PathLike[str],
    vocabulary_size: int,
    *,
    part: str | None = None,
    choice: int = 0,
    rounding: float = 1e-5,
) -> TopLogprobs:
    """Read the log-probabilities in a saved response of an OpenAI-compatible server.

    Parameters
    ----------
    path : path
        A JSON file with one response; `top_logprobs_of` has the forms.
    vocabulary_size, part, choice, rounding
        As for `top_logprobs_of`.

    Returns
    -------
    TopLogprobs

    Raises
    ------
    RecordFileError
        No such file, larger than 64 MB, not JSON, nested too deeply, a key twice, NaN or infinity,
        or anything that `top_logprobs_of` refuses; one sentence.
    """
    source = Path(path)
    name = printable(str(source))
    if not source.is_file():
        raise RecordFileError(f"there is no file {name}.")
    if source.stat().st_size > _LARGEST_FILE:
        raise RecordFileError(f"{name} is larger than {_LARGEST_FILE >> 20} MB, which is refused.")
    try:
        response = parse_json(source.read_text(encoding="utf-8"))
    except RecordFileError as error:
        raise RecordFileError(f"{name} is refused: {error}") from None
    except RecursionError:
        raise RecordFileError(f"{name} is nested too deeply to be a response.") from None
    except (OSError, ValueError) as error:  # also Unicode, and numbers of thousands of digits
        reason = printable(str(error).partition("\n")[0])
        raise RecordFileError(f"{name} cannot be read as JSON: {reason}") from None
    try:
        return top_logprobs_of(
            response, vocabulary_size, part=part, choice=choice, rounding=rounding
        )
    except RecordFileError as error:
        raise RecordFileError(f"{name}: {error}") from None


def top_logprobs_of(
    response: Any,
    vocabulary_size: int,
    *,
    part: str | None = None,
    choice: int = 0,
    rounding: float = 1e-5,
) -> TopLogprobs:
    """Take the log-probabilities out of a response that `json` has parsed.

    Parameters
    ----------
    response : dict
        With ``choices[i].logprobs.content`` (chat completions); ``choices[i].logprobs.tokens``,
        ``token_logprobs`` and ``top_logprobs`` (completions); or ``prompt_logprobs`` of vLLM, in
        the response or in a choice, a list of
        ``{token id: {"logprob": …, "decoded_token": …}}``.
    vocabulary_size : int
        V; no response tells it.
    part : {"completion", "prompt"}, optional
        Which, where a response holds both.
    choice : int
        Index in ``choices``.
    rounding : float
        How far its log-probabilities may be from exact ones, `TopLogprobs`.

    Returns
    -------
    TopLogprobs

    Raises
    ------
    RecordFileError
        None of these forms, or numbers that cannot be log-probabilities of one distribution.

    Notes
    -----
    The numbers must be of the model itself, at β = 1 and before filters: vLLM's ``logprobs_mode``
    "raw_logprobs", its default. A server that applies a temperature first gives the distribution
    at that temperature, and β here is counted from there.

    A token that came without being among the largest is listed by most servers all the same. So
    where the token that came is the least likely of its list, the others are taken to be no
    likelier than the *second* least likely of it. −9999 stands for an unknown probability of the
    token that came (OpenAI), or for none (vLLM). Completions list tokens by their text: two that
    read the same become one there, and the likelier of them may be lost; ask such a server for
    token ids. In ``prompt_logprobs`` the token that came is told by ``prompt_token_ids``, else it
    is the first.

    Examples
    --------
    >>> token = {"token": "a", "logprob": -0.5, "bytes": [97]}
    >>> other = {"token": "b", "logprob": -1.5, "bytes": [98]}
    >>> content = [token | {"top_logprobs": [token, other]}]
    >>> top_logprobs_of({"choices": [{"logprobs": {"content": content}}]}, 32_000)
    TopLogprobs(1 position, 2 of 32000 tokens listed, 17 % of the probability not listed)
    """
    if part is not None:
        one_of(part, "part", _PARTS)
    whole_number(choice, "choice", 0)
    whole_number(vocabulary_size, "vocabulary_size", 1)
    found = _positions_of(_dict(response, "the response"), part, choice)
    if not found:
        raise RecordFileError("the response holds no position with log-probabilities.")
    most = max(len(position.listed) for position in found)
    if len(found) * most > _LARGEST_TABLE:
        raise RecordFileError(
            f"{len(found)} positions with up to {most} alternatives are too large a table; lists "
            "of about one length are accepted."
        )
    table = np.full((len(found), most), -np.inf)
    for row, position in zip(table, found, strict=True):
        row[: len(position.listed)] = position.listed
    try:
        return TopLogprobs(
            table,
            np.array([position.cap for position in found]),
            np.array([position.came for position in found]),
            vocabulary_size,
            tokens=tuple(position.token for position in found),
            rounding=rounding,
        )
    except InvalidInputError as error:
        raise RecordFileError(str(error)) from None


@dataclass(frozen=True)
class _Position:
    token: str
    came: float  # ln p of the token that came, NaN where it is unknown
    listed: list[float]
    cap: float


def _positions_of(response: dict[str, Any], part: str | None, choice: int) -> list[_Position]:
    choices = response.get("choices", [])
    if not isinstance(choices, list) or (choices and choice >= len(choices)):
        raise RecordFileError(f"the response has no choice {choice}.")
    chosen = _dict(choices[choice], f"choice {choice}") if choices else {}
    completion = chosen.get("logprobs")
    prompt = chosen.get("prompt_logprobs") or response.get("prompt_logprobs")
    if part is None and completion and prompt:
        raise RecordFileError(
            "the response has log-probabilities of its prompt and of its completion; say "
            'part="prompt" or part="completion".'
        )
    if part != "completion" and prompt:
        ids = chosen.get("prompt_token_ids") or response.get("prompt_token_ids")
        return _of_prompt(_list(prompt, "prompt_logprobs"), ids)
    if part != "prompt" and completion:
        logprobs = _dict(completion, "logprobs")
        if logprobs.get("content"):
            return [
                _of_chat(_dict(entry, f"position {t}"), t)
                for t, entry in enumerate(_list(logprobs["content"], "logprobs.content"))
            ]
        if "token_logprobs" in logprobs:
            return _of_completion(logprobs)
    of = "" if part is None else f" of its {part}"
    raise RecordFileError(
        f"the response has no log-probabilities{of}; ask the server for them (logprobs, "
        "top_logprobs, prompt_logprobs)."
    )


def _of_chat(entry: dict[str, Any], t: int) -> _Position:
    alternatives = [
        _dict(item, f"an alternative at position {t}")
        for item in _list(entry.get("top_logprobs") or [], f"top_logprobs of position {t}")
    ]
    listed = [(_name(item, t), _number(item.get("logprob"), t)) for item in alternatives]
    return _position(_name(entry, t), _number(entry.get("logprob"), t), listed, t)


def _name(item: dict[str, Any], t: int) -> tuple[str, str]:
    """What tells two tokens apart: the text, and the bytes where they are no whole characters."""
    text, raw = _text(item.get("token"), t), item.get("bytes")
    return text, "" if raw is None else shown(_list(raw, f"the bytes of a token at position {t}"))


def _of_completion(logprobs: dict[str, Any]) -> list[_Position]:
    numbers = _list(logprobs["token_logprobs"], "token_logprobs")
    tokens = _list(logprobs.get("tokens"), "tokens")
    tops = _list(logprobs.get("top_logprobs") or [{}] * len(numbers), "top_logprobs")
    if not len(numbers) == len(tokens) == len(tops):
        raise RecordFileError(
            f"there are {len(tokens)} tokens, {len(numbers)} token_logprobs and {len(tops)} "
            "top_logprobs; as many of each are needed."
        )
    first = 1 if numbers and numbers[0] is None else 0  # an echoed prompt: nothing predicts it
    out = []
    for t in range(first, len(numbers)):
        top = _dict(tops[t], f"top_logprobs of position {t}")
        listed = [((text, ""), _number(value, t)) for text, value in top.items()]
        out.append(_position((_text(tokens[t], t), ""), _number(numbers[t], t), listed, t))
    return out


def _of_prompt(prompt: list[Any], ids: Any) -> list[_Position]:
    known = None if ids is None else _list(ids, "prompt_token_ids")
    if known is not None and len(known) != len(prompt):
        raise RecordFileError(
            f"there are {len(known)} prompt_token_ids for {len(prompt)} positions of the prompt."
        )
    first = 1 if prompt[0] is None else 0
    out = []
    for t in range(first, len(prompt)):
        entries = _dict(prompt[t], f"position {t} of the prompt")
        came = next(iter(entries), None) if known is None else str(known[t])
        if came not in entries:
            raise RecordFileError(f"position {t} of the prompt does not list the token that came.")
        items = {key: _dict(item, f"position {t}") for key, item in entries.items()}
        listed = [((key, ""), _number(item.get("logprob"), t)) for key, item in items.items()]
        position = _position((came, ""), _number(items[came].get("logprob"), t), listed, t)
        text = items[came].get("decoded_token")
        out.append(position if text is None else replace(position, token=_text(text, t)))
    return out


def _position(
    name: tuple[str, str], came: float, listed: list[tuple[tuple[str, str], float]], t: int
) -> _Position:
    """One position from the token that came and the list of alternatives, which may hold it."""
    names = [other for other, _ in listed]
    # Parts of characters are all written as the same sign and may well come twice.
    twice = first_repeated(other for other in names if "\ufffd" not in other[0])
    if twice is not None:
        raise RecordFileError(f"position {t} lists the token {shown(twice[0])} twice.")
    ordered = sorted((value for _, value in listed), reverse=True)
    inside = any(other == name and abs(value - came) < 1e-3 for other, value in listed)
    if inside and ordered[-1] >= came:
        cap = ordered[-2] if len(ordered) > 1 else 0.0  # it may be there only because it came
    else:
        cap = ordered[-1] if ordered else 0.0
    if not inside:
        if came <= _UNKNOWN:
            return _Position(name[0], float("nan"), ordered, cap)
        if ordered and came > cap + 1e-3:
            raise RecordFileError(
                f"position {t} does not list the token that came, {shown(name[0])}, which is "
                "likelier than one it lists: not a list of the largest."
            )
        ordered.append(came)
    return _Position(name[0], came, ordered, cap)


def _number(value: Any, t: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordFileError(
            f"position {t} has the log-probability {shown(value)}; a number is needed."
        )
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not np.isfinite(number):
        raise RecordFileError(f"position {t} has the log-probability {number:g}, beyond any float.")
    return number


def _text(value: Any, t: int) -> str:
    if not isinstance(value, str):
        raise RecordFileError(f"position {t} has the token {shown(value)}; a text is needed.")
    return value


def _dict(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecordFileError(f"{what} is {shown(value)}; a JSON object is needed.")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise RecordFileError(f"{what} is {shown(value)}; a list is needed.")
    return value
