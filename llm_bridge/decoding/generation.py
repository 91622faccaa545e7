"""Text generation at any signed β: token by token, or many sequences at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from llm_bridge.decoding.cached_reader import CachedReader
from llm_bridge.decoding.decoder import Decoder, DecoderRun
from llm_bridge.decoding.masks import end_ids
from llm_bridge.decoding.sampling import draw
from llm_bridge.decoding.schedules import Schedule, require_tokens
from llm_bridge.decoding.signed_softmax import boltzmann, entropy_of, open_logits
from llm_bridge.decoding.text_stream import TextStream
from llm_bridge.models import LanguageModel
from thermo.arguments import checked_seed, whole_number
from thermo.errors import InvalidInputError
from thermo.run.progress_bar import progress_bar

if TYPE_CHECKING:
    from llm_bridge.brownian.noise import WeightNoise

__all__ = ["Generated", "GeneratedToken", "generate", "generate_many"]


@dataclass(frozen=True)
class GeneratedToken:
    """One token of a text, and how it was drawn.

    Attributes
    ----------
    id : int
    text : str
        What it adds to the text; empty while that depends on what follows, as for part of a
        character. The last token of a text brings all that is left. Any characters may be in it:
        `thermo.printable.printable` before it goes to a terminal.
    beta : float
        That it was drawn at.
    entropy, model_entropy : float
        Of the distribution it was drawn from, and of the model's own (β = 1, no filters), in nats.
    log_probability, model_log_probability : float
        Of this token in the two, in nats.
    """

    id: int
    text: str
    beta: float
    entropy: float
    model_entropy: float
    log_probability: float
    model_log_probability: float


@dataclass(frozen=True, eq=False)
class Generated:
    """A generated text of n tokens; arrays (n,) hold what `GeneratedToken` says of each.

    Attributes
    ----------
    prompt_ids, ids : ndarray of int64
        What was given and what was generated, the token that ended it included.
    beta, entropy, model_entropy, log_probability, model_log_probability : ndarray, shape (n,)
    ended : bool
        Whether the text came to its end, rather than to ``max_tokens``.
    """

    prompt_ids: NDArray[np.int64]
    ids: NDArray[np.int64]
    beta: NDArray[np.float64]
    entropy: NDArray[np.float64]
    model_entropy: NDArray[np.float64]
    log_probability: NDArray[np.float64]
    model_log_probability: NDArray[np.float64]
    ended: bool


def generate(
    model: LanguageModel,
    prompt: str | ArrayLike,
    decoder: Decoder | Schedule | float,
    *,
    max_tokens: int,
    seed: int,
    stop_at_end: bool = True,
    noise: WeightNoise | None = None,
    machine: str = "auto",
) -> Iterator[GeneratedToken]:
    """Generate a text token by token.

    Parameters
    ----------
    model : LanguageModel
    prompt : str or array_like of int
        A text, or token ids (n,). Empty: the tokenizer's beginning-of-text token, if it has one.
    decoder : Decoder, Schedule or float
        A number is a constant β of either sign. A decoder without a mask gets
        `llm_bridge.decoding.masks.no_padding`.
    max_tokens : int
        At most so many tokens.
    seed : int
        Same seed, same text.
    stop_at_end : bool
        Stop after an end-of-text token. If the mask leaves those out, or β < 0 shuns them, only
        ``max_tokens`` ends the text.
    noise : WeightNoise, optional
        Write with noisy weights: one draw of them for the whole text (quenched), a fresh one for
        every token (annealed), or a path along the text (OU). The noise has a seed of its own.
        What a `GeneratedToken` says of the model, it says of the noisy one.
    machine : {"auto", "function_space", "copies"}
        How the noise is made: :func:`llm_bridge.decoding.noisy_reader.noisy_reader`.

    Yields
    ------
    GeneratedToken

    Raises
    ------
    InvalidInputError
        Before anything is computed: an empty prompt for a tokenizer that has no beginning of
        text, unknown ids, a mask of another length, a wrong seed or number of tokens, or more of
        them than a list of β has that refuses to go on.
    UnsupportedNoiseError
        Noise that cannot be made on this model, likewise.

    Notes
    -----
    The model remembers what it has read (its key-value cache). Where text and prompt outgrow the
    context, the older half is forgotten and the newer half read again, so that every token is
    predicted from at least half a context; noisy weights read that half as they are then.
    Statistics of such a text are autoregressive: each token was predicted from tokens drawn at
    *this* β. For the model's answer to a given text use :func:`llm_bridge.record_logits`.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> from llm_bridge.decoding import generate
    >>> tokens = generate(load_model("demo"), "def __init__(", float("inf"), max_tokens=2, seed=1)
    >>> "".join(token.text for token in tokens)
    'self,'
    """
    plan = _as_decoder(model, decoder)
    ids = _prompt_ids(model, prompt)
    require_tokens(plan.schedule, max_tokens)
    run = plan.begin(np.random.SeedSequence(checked_seed(seed)).spawn(1)[0])
    ends = end_ids(model) if stop_at_end else frozenset()
    reader = CachedReader(model)
    if noise is not None:
        from llm_bridge.decoding.noisy_reader import noisy_reader

        reader = noisy_reader(model, noise, machine)
    return _tokens(model, reader, ids, run, max_tokens, ends)


def generate_many(
    model: LanguageModel,
    prompts: Sequence[str | ArrayLike],
    decoder: Decoder | Schedule | float,
    *,
    max_tokens: int,
    seed: int,
    stop_at_end: bool = True,
    batch_size: int = 128,
    progress: bool = False,
) -> list[Generated]:
    """Generate one text for each prompt, many at a time.

    Parameters
    ----------
    model, decoder, max_tokens, stop_at_end
        As `generate`.
    prompts : sequence of (str or array_like of int)
        Repeat a prompt for several texts from it.
    seed : int
        Sequence i draws from the i-th child of this seed, whatever is generated beside it.
    batch_size : int
        Sequences read in one pass; memory grows with it.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    list of Generated
        In the order of the prompts.

    Raises
    ------
    InvalidInputError
        As `generate`, naming the prompt.

    Notes
    -----
    Only prompts of the same number of tokens share a pass: nothing is padded, and every sequence
    is what `generate` makes of it alone. Matrix products of different sizes round differently,
    though: a sequence alone and in a batch draws the same tokens unless a number of its random
    stream falls within that rounding (about 1e-6) of a boundary, or β = ±∞ meets a near tie.

    Constant β without filters is drawn for all sequences at once; everything else row by row.
    For a small model on a busy computer, ``torch.set_num_threads(1)`` and one process per core
    make this several times faster: torch's threads otherwise wait for each other.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> from llm_bridge.decoding import generate_many
    >>> texts = generate_many(load_model("demo"), ["def f("] * 3, 0.7, max_tokens=5, seed=1)
    >>> [text.ids.size for text in texts]
    [5, 5, 5]
    """
    plan = _as_decoder(model, decoder)
    if isinstance(prompts, str) or not len(prompts):
        raise InvalidInputError("prompts must be a list of at least one text or list of ids.")
    prompt_ids = [_prompt_ids(model, prompt, f"prompt {i}: ") for i, prompt in enumerate(prompts)]
    require_tokens(plan.schedule, max_tokens)
    whole_number(batch_size, "batch_size", 1)
    seeds = np.random.SeedSequence(checked_seed(seed)).spawn(len(prompt_ids))
    ends = end_ids(model) if stop_at_end else frozenset()
    out: dict[int, Generated] = {}
    with progress_bar(
        progress, len(prompt_ids) * max_tokens, unit="token", what="generating"
    ) as bar:
        for batch in _batches([ids.size for ids in prompt_ids], batch_size):
            runs = [plan.begin(seeds[i]) for i in batch]
            rows = np.stack([prompt_ids[i] for i in batch])
            for i, drawn in zip(
                batch, _rows(model, rows, runs, max_tokens, ends, bar), strict=True
            ):
                out[i] = _gathered(prompt_ids[i], drawn, ends)
                bar.update(max_tokens - len(drawn))  # those that an early end has spared
    return [out[i] for i in range(len(prompt_ids))]


class _Drawn(NamedTuple):
    id: int
    beta: float
    entropy: float
    model_entropy: float
    log_probability: float
    model_log_probability: float


def _tokens(
    model: LanguageModel,
    reader: CachedReader,
    ids: NDArray[np.int64],
    run: DecoderRun,
    max_tokens: int,
    ends: frozenset[int],
) -> Iterator[GeneratedToken]:
    stream = TextStream(model, ids.tolist())
    token = torch.from_numpy(ids)[None]
    for left in reversed(range(max_tokens)):
        drawn = _draw_row(run, reader.read(token)[0])
        is_last = left == 0 or drawn.id in ends
        text = stream.push(drawn.id) + (stream.finish() if is_last else "")
        yield GeneratedToken(drawn.id, text, *drawn[1:])
        if is_last:
            return
        token = torch.tensor([[drawn.id]])


def _rows(
    model: LanguageModel,
    ids: NDArray[np.int64],
    runs: list[DecoderRun],
    max_tokens: int,
    ends: frozenset[int],
    bar: Any,
) -> list[list[_Drawn]]:
    """The tokens of each sequence of a batch; those that have ended leave it."""
    reader = CachedReader(model)
    out: list[list[_Drawn]] = [[] for _ in runs]
    alive = list(range(len(runs)))
    tokens = torch.from_numpy(ids)
    for _ in range(max_tokens):
        drawn = _draw_rows([runs[i] for i in alive], reader.read(tokens))
        for i, token in zip(alive, drawn, strict=True):
            out[i].append(token)
        bar.update(len(alive))
        going = [k for k, token in enumerate(drawn) if token.id not in ends]
        if not going:
            break
        if len(going) < len(alive):
            reader.keep(going)
            alive = [alive[k] for k in going]
        tokens = torch.tensor([[drawn[k].id] for k in going])
    return out


def _draw_row(run: DecoderRun, logits: Tensor) -> _Drawn:
    decoded = run.distribution(logits)
    token = run.draw(decoded)
    run.observe(token)
    return _Drawn(
        token,
        decoded.beta,
        decoded.entropy,
        decoded.model_entropy,
        decoded.log_probability(token),
        decoded.model_log_probability(token),
    )


def _draw_rows(runs: list[DecoderRun], logits: Tensor) -> list[_Drawn]:
    decoder = runs[0].decoder
    beta = decoder.constant_beta
    if beta is None:
        return [_draw_row(run, row) for run, row in zip(runs, logits, strict=True)]
    numbers, candidates = open_logits(logits, decoder.valid)
    log_p = boltzmann(numbers, candidates, beta)
    model_log_p = log_p if beta == 1 else boltzmann(numbers, candidates, 1.0)
    ids = draw(log_p, torch.stack([run.uniform() for run in runs]))
    columns = (
        ids,
        torch.full(ids.shape, beta),
        entropy_of(log_p),
        entropy_of(model_log_p),
        log_p.gather(-1, ids[:, None])[:, 0],
        model_log_p.gather(-1, ids[:, None])[:, 0],
    )
    return [_Drawn(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]


def _gathered(prompt: NDArray[np.int64], drawn: list[_Drawn], ends: frozenset[int]) -> Generated:
    ids = np.array([token.id for token in drawn], dtype=np.int64)
    numbers = np.array([token[1:] for token in drawn], dtype=np.float64).T
    return Generated(prompt, ids, *numbers, ended=drawn[-1].id in ends)  # type: ignore[misc]


def _batches(lengths: list[int], batch_size: int) -> Iterator[list[int]]:
    """Indices of prompts of one length, at most ``batch_size`` together."""
    for length in sorted(set(lengths)):
        alike = [i for i, n in enumerate(lengths) if n == length]
        for start in range(0, len(alike), batch_size):
            yield alike[start : start + batch_size]


def _as_decoder(model: LanguageModel, decoder: Decoder | Schedule | float) -> Decoder:
    plan = decoder if isinstance(decoder, Decoder) else Decoder(decoder)
    if plan.valid is None:
        return Decoder(plan.schedule, plan.filters, model.valid)
    if plan.valid.shape != (model.vocabulary_size,):
        raise InvalidInputError(
            f"the decoder's mask has {plan.valid.shape[0]} entries and {model.name} "
            f"{model.vocabulary_size} tokens; one entry per token is needed."
        )
    return plan


def _prompt_ids(model: LanguageModel, prompt: str | ArrayLike, name: str = "") -> NDArray[np.int64]:
    ids = model.encode(prompt) if isinstance(prompt, str) else np.asarray(prompt)
    if ids.size == 0:
        first = getattr(model.tokenizer, "bos_token_id", None)
        if first is None:
            raise InvalidInputError(
                f"{name}the prompt is empty and the tokenizer of {model.name} has no token that "
                "begins a text; a text or at least one token id is accepted."
            )
        ids = np.array([first])
    wrong = ids.ndim != 1 or ids.dtype.kind not in "iu"
    if wrong or ids.min() < 0 or ids.max() >= model.vocabulary_size:
        raise InvalidInputError(
            f"{name}a prompt of shape {ids.shape} and type {ids.dtype} was given; accepted: a "
            f"text, or a list of token ids from 0 to {model.vocabulary_size - 1}."
        )
    return ids.astype(np.int64)
