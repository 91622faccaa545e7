"""Load a causal language model, the bundled one or a local folder, and read logits from it."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.errors import MissingExtraError, ModelLoadError, ModelNotFoundError
from llm_bridge.module_locks import lock_of
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["DEMO_WEIGHTS", "LanguageModel", "load_model"]

DEMO_WEIGHTS = Path(__file__).parent / "demo_model" / "weights"

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
_ACCEPTED = (
    'accepted: "demo", or the path of a local folder in Hugging Face format (config.json, '
    "*.safetensors, tokenizer files); nothing is downloaded."
)


def load_model(source: str | os.PathLike[str] = "demo", *, device: str = "cpu") -> LanguageModel:
    """Load a causal language model from this computer, ready to read text.

    The weights become float32 whatever they are stored in, the model is set to evaluation and
    its parameters need no gradient. Files are data: no code that comes with a model is run and
    only safetensors are opened.

    Parameters
    ----------
    source : str or path
        ``"demo"`` for the bundled model, or a local folder in Hugging Face format. To load a
        folder that is itself called demo, write ``"./demo"``.
    device : str
        Where the model computes, in torch's words: ``"cpu"``, ``"cuda"``, ...

    Returns
    -------
    LanguageModel

    Raises
    ------
    ModelNotFoundError
        Not a folder, or a folder without configuration, safetensors or tokenizer. Names of models
        on a hub are refused in the same way: nothing is downloaded.
    ModelLoadError
        The files are there but do not make a causal language model.
    MissingExtraError
        torch or transformers are not installed.

    Notes
    -----
    A float32 copy of the weights takes four bytes per parameter. Not for models that only fit
    in memory when quantised: save their logits elsewhere and use
    :meth:`llm_bridge.logits.LogitRecord.load`.

    Examples
    --------
    >>> load_model("gpt2")
    Traceback (most recent call last):
    ...
    llm_bridge.errors.ModelNotFoundError: no folder 'gpt2'; accepted: "demo", or the path ...
    """
    is_demo = isinstance(source, str) and source == "demo"
    folder = DEMO_WEIGHTS if is_demo else Path(os.fspath(source))
    _require_model_files(folder, is_demo)
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "torch") from error

    try:
        with _quiet_transformers(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            local = {"local_files_only": True, "trust_remote_code": False}
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **local)
            module, report = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder),
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **local,
            )
            module = module.to(device)
    except Exception as error:  # transformers raises every kind; the user needs one line
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelLoadError(
            f"cannot load a causal language model from {folder}: {reason}"
        ) from error
    missing = sorted(report.get("missing_keys") or ())
    if missing:  # transformers would go on with random numbers in their place
        raise ModelLoadError(
            f"the weights in {folder} lack {len(missing)} of the model's parameters, "
            f"the first being {missing[0]}."
        )
    name = "demo" if is_demo else folder.resolve().name
    return LanguageModel(module, tokenizer, name=name, folder=folder)


class LanguageModel:
    """A causal language model and its tokenizer, as a reader of logits.

    Parameters
    ----------
    torch_module : torch.nn.Module
        Takes ``input_ids`` (1, n) and returns an object with ``.logits`` (1, n, V), as the causal
        models of transformers do. It is set to evaluation mode and its gradients are switched off.
    tokenizer : object
        A tokenizer of transformers.
    name : str
        For tables and titles.
    folder : path, optional
        Where it was loaded from.

    Attributes
    ----------
    torch_module, tokenizer, name, folder
        As given.
    context_length : int or None
        Longest sequence the model reads in one piece; None if its configuration states no limit.
    """

    def __init__(
        self,
        torch_module: torch.nn.Module,
        tokenizer: Any,
        *,
        name: str = "model",
        folder: Path | None = None,
    ) -> None:
        self.torch_module = torch_module.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.folder = folder
        config: Any = getattr(torch_module, "config", None)
        self.context_length: int | None = getattr(config, "max_position_embeddings", None)

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self.torch_module.parameters())
        return (
            f"LanguageModel({self.name!r}, {count:,} parameters, vocabulary "
            f"{self.vocabulary_size}, context {self.context_length})"
        )

    def encode(self, text: str) -> NDArray[np.int64]:
        """Token ids of a text, shape (n,), with the special tokens that its tokenizer adds."""
        if not isinstance(text, str):
            raise InvalidInputError(f"a text must be a str, not {type(text).__name__}.")
        try:
            ids = self.tokenizer(text, verbose=False)["input_ids"]
        except (TypeError, UnicodeError) as error:
            raise InvalidInputError("the text holds characters that are not Unicode.") from error
        return np.array(ids, dtype=np.int64)

    def decode(self, ids: ArrayLike) -> str:
        """The text of token ids (n,), special tokens written out."""
        return str(
            self.tokenizer.decode(
                [int(i) for i in np.atleast_1d(ids)],
                skip_special_tokens=False,
                clean_up_tokenization_spaces=False,
            )
        )

    def logits(
        self, ids: ArrayLike, parameters: Mapping[str, torch.Tensor] | None = None
    ) -> NDArray[np.float32]:
        """Logits of the next token after every token of a sequence.

        Parameters
        ----------
        ids : array_like of int, shape (N,)
            Token ids.
        parameters : mapping of str to torch.Tensor, optional
            Tensors that take the place of the model's own parameters of the same names for this
            call. The model itself is not changed. Tensors shared under several names (tied
            embeddings) are replaced under all of them.

        Returns
        -------
        ndarray of float32, shape (N, V)
            Row t has seen tokens 0 … t and predicts token t + 1.

        Raises
        ------
        InvalidInputError
            No ids, not one axis, not integers, or an id outside 0 … V − 1.

        Notes
        -----
        A sequence longer than the context is read in windows that overlap by half: every row
        beyond the first window has at least half a context of predecessors. Do not compare
        rows across a window's border too closely: their contexts differ in length.
        """
        import torch

        tokens = self.checked_ids(ids)
        device = next(self.torch_module.parameters()).device
        out: NDArray[np.float32] | None = None
        for start, stop, first in windows(tokens.size, self.context_length):
            window = torch.from_numpy(tokens[start:stop])[None].to(device)
            with lock_of(self.torch_module), torch.no_grad():
                if parameters is None:
                    answer = self.torch_module(input_ids=window, use_cache=False)
                else:
                    answer = torch.func.functional_call(
                        self.torch_module,
                        dict(parameters),
                        (),
                        {"input_ids": window, "use_cache": False},
                    )
                rows = answer.logits[0, first - start :].float().cpu().numpy()
            if out is None:
                if start == 0 and stop == tokens.size:
                    return rows
                out = np.empty((tokens.size, rows.shape[1]), dtype=np.float32)
            out[first:stop] = rows
        assert out is not None
        return out

    @cached_property
    def vocabulary_size(self) -> int:
        """V, the number of logits per position; a model may have more of them than tokens."""
        head = self.torch_module.get_output_embeddings()  # type: ignore[operator]
        if head is not None and hasattr(head, "weight"):
            return int(head.weight.shape[0])
        return int(self.torch_module.config.vocab_size)  # type: ignore[union-attr, arg-type]

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Which of the V rows are tokens of the tokenizer, shape (V,); the rest is padding."""
        known = np.zeros(self.vocabulary_size, dtype=bool)
        ids = np.fromiter(self.tokenizer.get_vocab().values(), dtype=np.int64)
        known[ids[ids < known.size]] = True
        known.flags.writeable = False
        return known

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The text of every token, V of them.

        A token that is only part of a character is given as the tokenizer writes it, and a row
        without a token as ``<unused ID>``.
        """
        pieces = self.tokenizer.convert_ids_to_tokens(np.flatnonzero(self.valid).tolist())
        texts = [f"<unused {i}>" for i in range(self.vocabulary_size)]
        for token, piece in zip(np.flatnonzero(self.valid).tolist(), pieces, strict=True):
            # Decoded alone, a SentencePiece token would lose the space that its mark stands for.
            text = piece.replace("▁", " ") if piece.startswith("▁") else self.decode([token])
            texts[token] = piece if "\ufffd" in text or not text else text
        return tuple(texts)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What ``metadata.json`` beside the weights says (the demo model's training); else {}."""
        text = self._beside("metadata.json")
        if text is None:
            return {}
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = str(error).partition("\n")[0]
            raise ModelLoadError(f"metadata.json of {self.name} is not JSON: {reason}.") from error
        if not isinstance(found, dict):
            raise ModelLoadError(f"metadata.json of {self.name} is not a JSON object.")
        return found

    @cached_property
    def held_out_text(self) -> str | None:
        """Text the model was not trained on, from ``held_out.txt`` beside the weights, if any."""
        return self._beside("held_out.txt")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights: of the file they were loaded from, else of the tensors.

        Of several files, the SHA-256 of their SHA-256 one after the other, by name.
        """
        digest = hashlib.sha256()
        if self.folder is not None:
            files = []
            for path in sorted(self.folder.glob("*.safetensors")):
                with path.open("rb") as file:
                    files.append(hashlib.file_digest(file, "sha256"))
            if len(files) == 1:
                return files[0].hexdigest()
            digest.update(b"".join(part.digest() for part in files))
        else:
            for name, tensor in sorted(self.torch_module.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().double().numpy().tobytes())
        return digest.hexdigest()

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """SHA-256 of the list of tokens with their ids."""
        entries = sorted(self.tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0]))
        return hashlib.sha256(json.dumps(entries).encode()).hexdigest()

    def _beside(self, name: str) -> str | None:
        """The text of a file beside the weights, None if there is none."""
        if self.folder is None or not (self.folder / name).is_file():
            return None
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ModelLoadError(
                f"{name} of {self.name} is not UTF-8 (byte {error.start})."
            ) from error
        except OSError as error:
            raise ModelLoadError(
                f"cannot read {name} of {self.name}: {error.strerror or error}."
            ) from error

    def checked_ids(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Token ids as an array (N,), or InvalidInputError where `logits` would not take them."""
        tokens = np.asarray(ids)
        if tokens.ndim != 1 or tokens.size == 0 or tokens.dtype.kind not in "iu":
            raise InvalidInputError(
                f"token ids of shape {tokens.shape} and type {tokens.dtype} were given; a list of "
                "at least one integer is accepted."
            )
        outside = (tokens < 0) | (tokens >= self.vocabulary_size)
        if outside.any():
            where = int(np.argmax(outside))
            raise InvalidInputError(
                f"token id {int(tokens[where])} at position {where} is not in this model's "
                f"vocabulary; 0 to {self.vocabulary_size - 1} are accepted."
            )
        return np.ascontiguousarray(tokens, dtype=np.int64)


def windows(length: int, context: int | None) -> Iterator[tuple[int, int, int]]:
    """Cover a sequence by windows of at most ``context`` tokens, overlapping by half.

    Parameters
    ----------
    length : int
        Tokens in the sequence.
    context : int or None
        Longest window; None for no limit.

    Yields
    ------
    (start, stop, first) : tuple of int
        Read tokens ``start`` to ``stop``, keep the rows from ``first`` on.

    Examples
    --------
    >>> list(windows(10, 4))
    [(0, 4, 0), (2, 6, 4), (4, 8, 6), (6, 10, 8)]
    """
    if context is None or length <= context:
        yield 0, length, 0
        return
    yield 0, context, 0
    done = context
    while done < length:
        start = min(done - context // 2, length - context)
        yield start, start + context, done
        done = start + context


def _require_model_files(folder: Path, is_demo: bool) -> None:
    if not folder.is_dir():
        if is_demo:
            raise ModelNotFoundError(
                f"the bundled demo model is not in this installation ({folder} is missing); "
                "reinstall, or make it with: spinlogit train-demo-model"
            )
        raise ModelNotFoundError(f"no folder {str(folder)!r}; {_ACCEPTED}")
    lacking: Sequence[str] = [
        what
        for what, present in (
            ("config.json", (folder / "config.json").is_file()),
            ("*.safetensors", any(folder.glob("*.safetensors"))),
            ("tokenizer.json", any((folder / name).is_file() for name in _TOKENIZER_FILES)),
        )
        if not present
    ]
    if lacking:
        raise ModelNotFoundError(f"{str(folder)!r} has no {' and no '.join(lacking)}; {_ACCEPTED}")


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bars and only errors from transformers, its settings restored afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
