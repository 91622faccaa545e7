"""A language model along the line of temperatures: thermodynamics, and the texts it writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.errors import TextTooShortError
from llm_bridge.logits import record_logits
from llm_bridge.quenched import position_mean
from llm_bridge.spectrum import natural_scale, thermodynamics
from llm_bridge.sweep.heat_capacity_peak import HeatCapacityPeak, heat_capacity_peak
from llm_bridge.sweep.result import SweepCurve, TemperatureSweep
from llm_bridge.text.measures import TextMeasures, text_measures
from llm_bridge.text.python_syntax import parses_so_far
from thermo.arguments import checked_seed, whole_number
from thermo.curves import Measured
from thermo.errors import InvalidInputError
from thermo.temperature import as_beta, beta_from_temperature

if TYPE_CHECKING:
    from llm_bridge.models import LanguageModel

__all__ = ["TEMPERATURES", "temperature_sweep"]

FloatArray = NDArray[np.float64]

_POSITIVE = (
    *(0.0, 0.001, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0),
    *(1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 100.0, 1e5),
)
TEMPERATURES = (*_POSITIVE, *(-t for t in reversed(_POSITIVE)))
"""Where texts are written, from cold to hot: T = +0, 0.001 … 100000, −100000 … −0.001, −0."""

# The curves: twenty β per decade from T = 0.001 to 100000 on either side, zero, and the ends.
_HALF = np.geomspace(1e3, 1e-5, 161)
_CURVE = np.concatenate([_HALF, [0.0, np.inf, -np.inf], -_HALF])
_ENOUGH_CODE = 4  # places whose own text parses; prose has none


def temperature_sweep(
    model: LanguageModel,
    text: str | None = None,
    *,
    beta: ArrayLike | None = None,
    positions: int = 512,
    samples: int = 32,
    prompt_tokens: int = 24,
    max_tokens: int = 64,
    seed: int = 0,
    progress: bool = False,
) -> TemperatureSweep:
    r"""Read a text, and write texts, at temperatures from 0.001 to ±100000 and back to −0.001.

    *Reading*, the model predicts every token of the text given: entropy, heat capacity and its
    peak, effective vocabulary exp(S) at every β. *Writing*, it goes on from prompts out of that
    text with tokens drawn at β, each of which becomes context for the next:

    .. math:: \mathrm{perplexity} = \exp\left(-\frac1{nN} \sum_{k,i} \ln p_1(x_{ki})\right)

    under the clean model p₁ (β = 1), the share of repeated pairs of tokens, the share of the
    longest loop, and where the text is code the fraction that parses as Python.

    Parameters
    ----------
    model : LanguageModel
    text : str, optional
        That the model was not trained on. Default: held out from the model's own training.
    beta : array_like, shape (B,), optional
        Where texts are written, 1/nat, any real numbers and ±inf. Default: those of
        ``TEMPERATURES``.
    positions : int
        Of the text, from its beginning, that the curves are averaged over; at least 40.
    samples : int
        Texts per β, one from each of so many prompts; at least 2.
    prompt_tokens, max_tokens : int
        Length of prompts and of what is written, together at most the model's context.
    seed : int
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    TemperatureSweep

    Raises
    ------
    InvalidInputError
        No text where the model has none of its own, wrong numbers.
    TextTooShortError
        Fewer tokens than the positions or a single prompt with its continuation need.

    Notes
    -----
    Prompts begin at beginnings of lines, spread evenly over the text. The text counts as code
    where at least four such places, prompt and original continuation together, are the beginning
    of a Python program (:func:`llm_bridge.text.python_syntax.parses_so_far`); then prompts are
    taken from such places only, and from those that do not end in a string or a comment, where
    anything would parse. A written text parses if prompt and continuation together do and the
    continuation ends at least one line. For the original text this is 100 % by that choice.

    Texts do not end before ``max_tokens``: tokens that end a text are masked, as are rows without a
    token. Errors are for prompts from texts like this one; with few places in a short text,
    prompts overlap or repeat, and errors come out too small.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> sweep = temperature_sweep(
    ...     load_model("demo"), beta=[1.0, -1.0], positions=40, samples=2, max_tokens=8, seed=1
    ... )
    >>> sweep.texts[1].perplexity > 1000 * sweep.texts[0].perplexity
    True
    """
    betas = as_beta(beta_from_temperature(TEMPERATURES) if beta is None else beta)
    if betas.ndim != 1 or betas.size == 0:
        raise InvalidInputError(f"beta has shape {betas.shape}; accepted: a list of numbers.")
    whole_number(positions, "positions", 40, ", for the error of the heat capacity's peak")
    whole_number(samples, "samples", 2)
    whole_number(prompt_tokens, "prompt_tokens", 1)
    whole_number(max_tokens, "max_tokens", 2)
    context = model.context_length
    if context is not None and prompt_tokens + max_tokens > context:
        raise InvalidInputError(
            f"prompt_tokens + max_tokens = {prompt_tokens + max_tokens} was asked for; accepted: "
            f"at most {context}, the model's context."
        )
    checked_seed(seed)
    if text is None:
        text = model.held_out_text
        if text is None:
            raise InvalidInputError(f"{model.name} has no text of its own; give one to read.")
    places, is_code = _places(model, text, prompt_tokens, max_tokens)
    chosen = places[np.linspace(0, len(places) - 1, samples).round().astype(int)]
    prompts, originals = np.split(chosen, [prompt_tokens], axis=1)

    curve, peaks, scale = _read(model, text, positions, betas)
    original = _original(model, prompts, originals, is_code)
    texts = _write(model, prompts, betas, max_tokens, is_code, seed, progress)
    settings = {
        "model": model.name,
        "weights_sha256": model.fingerprint,
        "positions": curve.positions,
        "samples": samples,
        "prompt_tokens": prompt_tokens,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    return TemperatureSweep(
        curve=curve,
        peaks=peaks,
        beta=betas,
        texts=texts,
        original=original,
        scale=scale,
        vocabulary=int(_open_tokens(model).sum()),
        settings=settings,
    )


def _read(
    model: LanguageModel, text: str, positions: int, betas: FloatArray
) -> tuple[SweepCurve, tuple[HeatCapacityPeak | None, HeatCapacityPeak | None], float]:
    """Thermodynamics over the contexts of the text: averages, peaks of C, σ₀."""
    record = record_logits(model, text, positions)
    valid = _open_tokens(model)
    at = -np.unique(-np.concatenate([_CURVE, betas]))
    state = thermodynamics(record.logits, at, valid)
    clean = thermodynamics(record.logits, 1.0, valid).log_partition_function
    cold, hot = (heat_capacity_peak(at, state.heat_capacity, sign) for sign in (1, -1))

    def average(values: FloatArray) -> Measured:
        found = position_mean(values)
        return Measured(found.mean, found.error)

    curve = SweepCurve(
        beta=at,
        positions=len(record),
        entropy=average(state.entropy),
        heat_capacity=average(state.heat_capacity),
        # −ln p₁ = E + ln Z(1) of the token drawn, and ⟨E⟩ = U(β)
        cross_entropy=average(state.internal_energy + clean[:, None]),
    )
    return curve, (cold, hot), natural_scale(record.logits, valid)


def _write(
    model: LanguageModel,
    prompts: NDArray[np.int64],
    betas: FloatArray,
    max_tokens: int,
    is_code: bool,
    seed: int,
    progress: bool,
) -> tuple[TextMeasures, ...]:
    """Texts from every prompt at every β, in numbers."""
    from llm_bridge.decoding import Decoder, generate_many
    from thermo.run.progress_bar import progress_bar

    valid = _open_tokens(model)
    # A seed for each β: texts at different β share no random numbers.
    seeds = np.random.SeedSequence(seed).generate_state(betas.size, np.uint64)
    out = []
    with progress_bar(progress, betas.size, unit="β", what="writing") as bar:
        for beta, own_seed in zip(betas.tolist(), seeds.tolist(), strict=True):
            written = generate_many(
                model, list(prompts), Decoder(beta, valid=valid), max_tokens=max_tokens,
                seed=own_seed, stop_at_end=False,
            )  # fmt: skip
            ids = np.stack([one.ids for one in written])
            out.append(
                text_measures(
                    ids,
                    np.stack([one.model_log_probability for one in written]),
                    np.stack([one.entropy for one in written]),
                    _parsable(model, prompts, ids) if is_code else None,
                    model.decode(ids[0]),
                )
            )
            bar.update()
    return tuple(out)


def _original(
    model: LanguageModel, prompts: NDArray[np.int64], ids: NDArray[np.int64], is_code: bool
) -> TextMeasures:
    """The text given itself, in the same numbers."""
    valid = _open_tokens(model)
    log_p = []
    for row in np.concatenate([prompts, ids], axis=1):
        logits = model.logits(row[:-1])[-ids.shape[1] :]
        drawn = logits[np.arange(ids.shape[1]), row[-ids.shape[1] :]].astype(np.float64)
        log_p.append(drawn - thermodynamics(logits, 1.0, valid).log_partition_function)
    parsable = _parsable(model, prompts, ids) if is_code else None
    return text_measures(ids, np.stack(log_p), None, parsable, model.decode(ids[0]))


def _places(
    model: LanguageModel, text: str, prompt_tokens: int, max_tokens: int
) -> tuple[NDArray[np.int64], bool]:
    """Tokens (places, prompt + continuation) from beginnings of lines on, and whether it is code.

    Of code, only places that parse, and where not everything would parse.
    """
    length = prompt_tokens + max_tokens
    found = []
    for line in re.finditer(r"^[ \t]*\S", text, re.MULTILINE):
        ids = model.encode(text[line.start() : line.start() + 64 * length])
        if ids.size >= length:
            found.append(ids[:length])
    if not found:
        raise TextTooShortError(
            int(model.encode(text).size), length, "a prompt and what goes on from it"
        )
    places = np.stack(found)
    prompts, originals = np.split(places, [prompt_tokens], axis=1)
    in_code = [not parses_so_far(model.decode(ids) + " ?\n") for ids in prompts]
    is_place = np.array(_parsable(model, prompts, originals)) & in_code
    is_code = int(is_place.sum()) >= _ENOUGH_CODE
    return (places[is_place] if is_code else places), is_code


def _parsable(
    model: LanguageModel, prompts: NDArray[np.int64], ids: NDArray[np.int64]
) -> list[bool]:
    """Which continuations end a line and make, after their prompts, a beginning of Python."""
    return [
        "\n" in model.decode(row) and parses_so_far(model.decode(np.concatenate([prompt, row])))
        for prompt, row in zip(prompts, ids, strict=True)
    ]


def _open_tokens(model: LanguageModel) -> NDArray[np.bool_]:
    from llm_bridge.decoding import end_of_text, no_padding

    return no_padding(model) & ~end_of_text(model)
