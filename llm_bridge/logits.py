"""Records of logits: what a model said at every position of a text, and what really came."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.errors import TextTooShortError
from llm_bridge.logit_arrays import (  # noqa: F401 (some of them where they used to be)
    MASKED_AT,
    as_array,
    as_logits,
    dtype_name,
    is_masked,
    row_blocks,
    valid_columns,
)
from llm_bridge.stored_logits import StoredLogits
from thermo.arguments import shown
from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from llm_bridge.models import LanguageModel

__all__ = ["LogitRecord", "record_logits"]

_GAUGES = ("logits", "log_probabilities")
_ROUNDING = 0.05  # of ln Σp: bfloat16 is off by 0.03 where every ln p is −8 to −16


@dataclass(frozen=True, eq=False)
class LogitRecord:
    """Logits at N positions, the tokens that really came there, and where all this is from.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (N, V)
        Row t is the prediction for ``token_ids[t]``. Kept as float32, but for large 16-bit files,
        whose `llm_bridge.stored_logits.StoredLogits` become float32 where they are read.
    token_ids : array_like of int, shape (N,)
        The token that really came where row t predicts.
    valid : array_like of bool, shape (V,), optional
        False for rows of a padded vocabulary. Default: all columns that are not masked throughout.
    vocabulary : sequence of str, length V, optional
        The text of every token.
    provenance : mapping of str to str, optional
        Model, hashes of weights, tokenizer and text, software.
    gauge : {"logits", "log_probabilities"}
        What the numbers are. Either fixes energies only up to a constant per position.
    origin_dtype : str, optional
        The type the numbers were computed in; float32 in memory may hold bfloat16 information.
        Default: the type of the array given.

    Raises
    ------
    InvalidInputError
        Mismatched shapes, NaN, +inf, a row with every token masked, ids outside 0 … V − 1,
        "log_probabilities" of a position that sum to more than 1, or a vocabulary or provenance
        of anything but text.

    Notes
    -----
    Immutable; the arrays are read-only. A float32 array is not copied (it may be large): do not
    write to it afterwards.

    Examples
    --------
    >>> record = LogitRecord([[0.0, 2.0, -1.0]], [1])
    >>> record
    LogitRecord(1 position, vocabulary 3 of which 3 valid, logits computed in float64)
    """

    logits: NDArray[np.float32]
    token_ids: NDArray[np.int64]
    valid: NDArray[np.bool_] = None  # type: ignore[assignment]
    vocabulary: tuple[str, ...] | None = field(default=None, kw_only=True)
    provenance: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    gauge: str = field(default="logits", kw_only=True)
    origin_dtype: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        set_once = object.__setattr__
        origin = self.origin_dtype or dtype_name(self.logits)
        array, columns = as_logits(self.logits, self.valid)
        if self.valid is None:
            columns = np.zeros(array.shape[1], dtype=bool)
            for block in row_blocks(*array.shape):
                columns |= ~np.all(is_masked(array[block]), axis=0)
        single = array
        if not isinstance(array, StoredLogits):
            with np.errstate(over="ignore"):  # the lowest float64, a mask, becomes −inf
                single = np.ascontiguousarray(array, dtype=np.float32).view()
            if array.dtype == np.float64:  # a float64 beyond float32 would have become +inf
                as_logits(single, columns)
            single.flags.writeable = False
        ids = np.asarray(self.token_ids)
        if ids.shape != (single.shape[0],) or ids.dtype.kind not in "iu":
            raise InvalidInputError(
                f"token_ids have shape {ids.shape} and type {ids.dtype}; one integer for each of "
                f"the {single.shape[0]} positions is needed."
            )
        outside = (ids < 0) | (ids >= single.shape[1])
        if outside.any():
            where = int(np.argmax(outside))
            raise InvalidInputError(
                f"token_ids[{where}] = {ids[where]} is outside the vocabulary; 0 to "
                f"{single.shape[1] - 1} are accepted."
            )
        if self.gauge not in _GAUGES:
            raise InvalidInputError(
                f"gauge = {shown(self.gauge)}; accepted: {' or '.join(_GAUGES)}."
            )
        if self.gauge == "log_probabilities":
            _require_log_probabilities(single, columns)
        vocabulary = None if self.vocabulary is None else _words(self.vocabulary)
        if vocabulary is not None and len(vocabulary) != single.shape[1]:
            raise InvalidInputError(
                f"the vocabulary has {len(vocabulary)} words for {single.shape[1]} columns."
            )
        ids = ids.astype(np.int64)
        columns = columns.copy()
        for frozen in (ids, columns):
            frozen.flags.writeable = False
        set_once(self, "logits", single)
        set_once(self, "token_ids", ids)
        set_once(self, "valid", columns)
        set_once(self, "vocabulary", vocabulary)
        set_once(self, "provenance", _texts(self.provenance))
        set_once(self, "origin_dtype", origin)

    def __len__(self) -> int:
        return int(self.token_ids.size)

    def __repr__(self) -> str:
        n, v = self.logits.shape
        return (
            f"LogitRecord({n} position{'s' if n != 1 else ''}, vocabulary {v} of which "
            f"{int(self.valid.sum())} valid, {self.gauge} computed in "
            f"{printable(self.origin_dtype)})"
        )

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the record to a ``.safetensors`` or ``.npz`` file, as a whole or not at all.

        Parameters
        ----------
        path : path
            The ending decides the format. npz needs no extra package.
        overwrite : bool
            Replace an existing file.

        Raises
        ------
        InvalidInputError
            No path, another ending, a folder that does not exist, or an existing file.
        """
        from llm_bridge.record_files import write_record

        write_record(self, path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LogitRecord:
        """Read a record from a ``.safetensors`` or ``.npz`` file.

        The file may come from elsewhere: it needs an array ``logits`` (N, V) and ``token_ids``
        (N,); ``valid`` (V,) and the metadata are optional. Nothing in it is executed.

        Raises
        ------
        InvalidInputError
            What was given is no path.
        RecordFileError
            Not a readable record: no such file, pickles inside, sizes that do not agree with
            the file, or the content that `LogitRecord` refuses.
        """
        from llm_bridge.record_files import read_record

        return read_record(path)


def _words(vocabulary: Any) -> tuple[str, ...]:
    words = list(vocabulary) if np.iterable(vocabulary) else [vocabulary]
    for index, word in enumerate(words):
        if not isinstance(word, str):
            raise InvalidInputError(
                f"vocabulary[{index}] = {shown(word)}; accepted: a str for every token."
            )
    return tuple(words)


def _texts(provenance: Any) -> dict[str, str]:
    if not isinstance(provenance, Mapping):
        raise InvalidInputError(
            f"provenance = {shown(provenance)}; accepted: a mapping of str to str."
        )
    for name, value in provenance.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise InvalidInputError(
                f"provenance[{shown(name)}] = {shown(value)}; accepted: a mapping of str to str."
            )
    return dict(provenance)


def _require_log_probabilities(logits: NDArray[np.float32], columns: NDArray[np.bool_]) -> None:
    """Refuse what cannot be ln p of one distribution: then β = 1 would not be the model itself."""
    for block in row_blocks(*logits.shape):
        part = logits[block][:, columns].astype(np.float64)
        most = part.max(axis=1)
        total = most + np.log(np.exp(part - most[:, None]).sum(axis=1))
        if (total > _ROUNDING).any():
            where = int(np.argmax(total > _ROUNDING))
            raise InvalidInputError(
                f"the gauge is log_probabilities, but at position {block.start + where} they sum "
                f"to ln Σp = {total[where]:.3g}; at most 0 is accepted, or gauge = 'logits'."
            )


def record_logits(
    model: LanguageModel, text: str, positions: int | ArrayLike | None = None
) -> LogitRecord:
    """Let a model read a text and keep what it predicts at every position.

    Parameters
    ----------
    model : LanguageModel
        From :func:`llm_bridge.load_model`.
    text : str
        Read from its beginning.
    positions : int or array_like of int, optional
        How many predictions to keep, counted from the beginning; or which ones (0 is the
        prediction of the second token). Default: all.

    Returns
    -------
    LogitRecord
        N = number of positions. Row t predicts the token that follows its context in the text.

    Raises
    ------
    InvalidInputError
        An empty text or impossible positions.
    TextTooShortError
        Fewer tokens than positions need.

    Notes
    -----
    Texts longer than the context are read in overlapping windows
    (:meth:`llm_bridge.models.LanguageModel.logits`). N·V float32 are held in memory.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> record = record_logits(load_model("demo"), "for i in range(10):")
    >>> record.logits.shape == (len(record), len(record.vocabulary))
    True
    """
    if not isinstance(text, str) or not text:
        raise InvalidInputError("the text is empty; at least two tokens are needed.")
    ids = model.encode(text)
    chosen: NDArray[np.int64] | None = None
    if positions is None:
        needed = 2
        stop = ids.size
    else:
        given = np.asarray(positions)
        wrong = given.dtype.kind not in "iu" or given.ndim > 1 or given.size == 0
        if wrong or (given < (1 if given.ndim == 0 else 0)).any():
            raise InvalidInputError(
                f"positions = {positions!r}; accepted: how many (at least 1), or a list of "
                "positions counted from 0."
            )
        chosen = None if given.ndim == 0 else given.astype(np.int64)
        stop = needed = int(given) + 1 if given.ndim == 0 else int(given.max()) + 2
    if ids.size < needed:
        raise TextTooShortError(int(ids.size), needed)
    logits = model.logits(ids[: stop - 1])
    follows = ids[1:stop]
    if chosen is not None:
        logits, follows = logits[chosen], follows[chosen]
    return LogitRecord(
        logits,
        follows,
        model.valid,
        vocabulary=model.vocabulary,
        provenance={
            "model": model.name,
            "weights_sha256": model.fingerprint,
            "tokenizer_sha256": model.tokenizer_fingerprint,
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        },
        origin_dtype=dtype_name(next(model.torch_module.parameters())),
    )
