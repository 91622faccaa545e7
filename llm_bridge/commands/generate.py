"""``spinlogit generate``: text at any signed temperature, token by token."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from llm_bridge.commands.decoder_options import (
    BetaOption,
    MaskOption,
    ScheduleOption,
    TemperatureOption,
    make_decoder,
    make_filters,
    one_beta,
)
from llm_bridge.commands.model_option import ModelOption
from llm_bridge.commands.noise_words import FORM, parse_noise
from llm_bridge.commands.schedule_words import parse_schedules
from llm_bridge.commands.token_writer import (
    TOKEN_HEADER,
    Colours,
    TokenWriter,
    beta_colours,
    harmless,
    token_row,
)
from thermo.arguments import one_of
from thermo.cli.output import JsonFlag, SeedOption, plain, print_json
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    from llm_bridge.brownian import WeightNoise
    from llm_bridge.decoding import Decoder, GeneratedToken
    from llm_bridge.models import LanguageModel

__all__ = ["generate_command"]

_SHOWN = ("text", "entropy", "tokens")
_WHEN = ("auto", "always", "never")
_SCALE_TOKENS = 32  # of the prompt's end, for σ₀


def generate_command(
    prompt: Annotated[
        str | None,
        typer.Argument(help="Text to go on from; - reads standard input.  [none: begin a text]"),
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option("--prompt-file", help="UTF-8 file in place of PROMPT.")
    ] = None,
    model: ModelOption = "demo",
    temperature: TemperatureOption = None,
    beta: BetaOption = None,
    schedule: ScheduleOption = None,
    mask: MaskOption = None,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Keep the K likeliest.")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", help="Keep a nucleus of P.")] = None,
    min_p: Annotated[
        float | None, typer.Option("--min-p", help="Keep p of at least this times the largest.")
    ] = None,
    top_n_sigma: Annotated[
        float | None, typer.Option("--top-n-sigma", help="Keep logits within so many σ of the top.")
    ] = None,
    typical: Annotated[
        float | None, typer.Option("--typical", help="Keep a mass of locally typical tokens.")
    ] = None,
    eta: Annotated[float | None, typer.Option("--eta", help="Entropy-dependent cut at ε.")] = None,
    xtc: Annotated[
        str | None,
        typer.Option("--xtc", metavar="<THRESHOLD,PROBABILITY>", help="Exclude top choices."),
    ] = None,
    mirostat: Annotated[
        str | None, typer.Option("--mirostat", metavar="<TAU[,ETA]>", help="Steer the surprise.")
    ] = None,
    filter_on: Annotated[
        str | None,
        typer.Option(
            "--filter-on",
            metavar="<model|decoded>",
            help="Filters act on the model's own distribution, or on the one at β that is drawn "
            "from. To be said where β can be negative: there they are opposites.  [model]",
        ),
    ] = None,
    brownian: Annotated[
        str | None,
        typer.Option(
            "--brownian",
            metavar="<WORDS>",
            help=f"Write with noisy weights: {FORM}. σ is relative to each tensor's rms; without "
            "tau one draw writes the whole text, with it the weights wander and forget where they "
            "were in so many tokens. where=… may come several times.",
        ),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", help="Unless the text ends before.")
    ] = 200,
    show: Annotated[
        str | None,
        typer.Option(
            "--show",
            metavar="<text|entropy|tokens>",
            help="The text alone, with the mean entropy of every line at its right, or a row for "
            "every token.  [entropy in a terminal, else text]",
        ),
    ] = None,
    colour: Annotated[
        str,
        typer.Option(
            "--color",
            metavar="<auto|always|never>",
            help="Colour of every token's β: blue cold, grey at β = 0, red hot.",
        ),
    ] = "auto",
    device: Annotated[str, typer.Option("--device", help="Where the model computes.")] = "cpu",
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Text at any temperature of either sign, or by a schedule of temperatures.

    Characters that would act on a terminal are written as escapes; --json has the text as it is.

    Examples:

      spinlogit generate "def f(" --temperature 0.7 --seed 3

      spinlogit generate "import" --temperature -0.5 --top-k 50 --filter-on model

      spinlogit generate "class" --schedule "every 8 T=-0.5" --show tokens --max-tokens 24

      spinlogit generate "def f(" --temperature 0 --brownian sigma=0.1,tau=20,where=mlp

      spinlogit generate --beta=-inf --mask printable --max-tokens 60 --json > hottest.json
    """
    filters = {
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "top_n_sigma": top_n_sigma,
        "typical": typical,
        "eta": eta,
        "xtc": xtc,
        "mirostat": mirostat,
    }
    usual = one_beta(beta, temperature)
    one_of(colour, "--color", _WHEN)
    if show is not None:
        one_of(show, "--show", _SHOWN)
    text = _prompt_text(prompt, prompt_file)
    # Mistakes in what a decoder is made of are found before a model is loaded.
    plan, below_zero = parse_schedules(schedule or [], usual)
    make_filters(filters, filter_on, below_zero)
    noise, machine = (None, "auto") if brownian is None else parse_noise(brownian, seed)

    from llm_bridge.decoding import generate
    from llm_bridge.decoding.schedules import require_tokens
    from llm_bridge.models import load_model

    require_tokens(plan, max_tokens)
    reader = load_model(model, device=device)
    decoder = make_decoder(reader, usual, schedule, filters, filter_on, mask)
    tokens = generate(
        reader, text, decoder, max_tokens=max_tokens, seed=seed, noise=noise, machine=machine
    )
    if as_json:
        kept, interrupted = _collect(tokens, max_tokens)
        print_json(_document(reader, text, decoder, noise, kept, seed, max_tokens, interrupted))
    else:
        painted = colour == "always" or (colour == "auto" and _is_colourful(sys.stdout.isatty()))
        colours = beta_colours(_scale(reader, text), os.environ) if painted else None
        kept, interrupted = _stream(tokens, text, show, colours)
        _say(f"{_summary(kept)}; seed {seed}" if kept else "no token was drawn")
    if interrupted:
        raise typer.Exit(130)


def _prompt_text(prompt: str | None, prompt_file: Path | None) -> str:
    from llm_bridge.text.files import read_text

    if prompt is not None and prompt_file is not None:
        raise InvalidInputError("PROMPT and --prompt-file were given; accepted: one of the two")
    if prompt_file is not None:
        return read_text(prompt_file)
    if prompt != "-":
        return prompt or ""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"standard input is not UTF-8 text (byte {error.start})."
        ) from error


def _stream(
    tokens: Iterable[GeneratedToken], prompt: str, show: str | None, colours: Colours | None
) -> tuple[list[GeneratedToken], bool]:
    """Write tokens as they come; those that came, and whether somebody stopped them."""
    terminal = sys.stdout.isatty()
    shown = show or ("entropy" if terminal else "text")
    width = shutil.get_terminal_size().columns if shown == "entropy" else None
    writer = TokenWriter(sys.stdout, colours, width)
    kept: list[GeneratedToken] = []
    if shown == "tokens":
        print(TOKEN_HEADER)
    elif terminal:
        writer.prompt(prompt)
    interrupted = False
    try:
        try:
            for token in tokens:
                kept.append(token)
                if shown == "tokens":
                    print(token_row(len(kept), token), flush=True)
                else:
                    writer.token(token)
        except KeyboardInterrupt:
            interrupted = True
        writer.finish()
    except BrokenPipeError:  # the reader, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
    return kept, interrupted


def _collect(tokens: Iterable[GeneratedToken], total: int) -> tuple[list[GeneratedToken], bool]:
    from thermo.run.progress_bar import progress_bar

    kept: list[GeneratedToken] = []
    with progress_bar(True, total, unit="token", what="generating") as bar:
        try:
            for token in tokens:
                kept.append(token)
                bar.update()
        except KeyboardInterrupt:
            return kept, True
    return kept, False


def _document(
    model: LanguageModel,
    prompt: str,
    decoder: Decoder,
    noise: WeightNoise | None,
    tokens: list[GeneratedToken],
    seed: int,
    max_tokens: int,
    interrupted: bool,
) -> dict[str, Any]:
    from llm_bridge.decoding.masks import end_ids

    numbers = ("beta", "entropy", "model_entropy", "log_probability", "model_log_probability")
    columns: dict[str, list[Any]] = {
        name: [getattr(token, name) for token in tokens] for name in ("id", "text", *numbers)
    }
    columns |= {name: plain(np.array(columns[name])) for name in numbers}
    if interrupted:
        stopped_by = "interrupt"
    elif tokens[-1].id in end_ids(model):
        stopped_by = "end of text"
    else:
        stopped_by = "max_tokens"
    return {
        "schema": "spinlogit.generate/1",
        "model": model.name,
        "weights_sha256": model.fingerprint,
        "seed": seed,
        "max_tokens": max_tokens,
        "schedule": repr(decoder.schedule),
        "filters": [repr(item) for item in decoder.filters],
        "noise": None if noise is None else repr(noise),
        "open_tokens": int(np.asarray(decoder.valid).sum()),
        "prompt": prompt,
        "text": "".join(token.text for token in tokens),
        "stopped_by": stopped_by,
        "tokens": [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ],
    }


def _scale(model: LanguageModel, prompt: str) -> float:
    """σ₀ of the model's logits at the end of the prompt, which colours are measured in."""
    from llm_bridge.spectrum import natural_scale

    ids = model.encode(prompt or "\n")  # to begin a text, after anything
    return natural_scale(model.logits(ids[-_SCALE_TOKENS:]), model.valid)


def _is_colourful(terminal: bool) -> bool:
    # https://no-color.org
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _summary(tokens: list[GeneratedToken]) -> str:
    from llm_bridge.quenched import position_mean

    def mean(name: str) -> str:
        values = np.array([getattr(token, name) for token in tokens])
        found = position_mean(values)
        return f"{float(found.mean):.3g}" if len(values) < 2 else str(found)

    return (
        f"{len(tokens)} tokens; nats per token: entropy {mean('entropy')}, the model's own "
        f"{mean('model_entropy')}, ln p under the model {mean('model_log_probability')}"
    )


def _say(message: str) -> None:
    print("spinlogit: " + harmless(message), file=sys.stderr)
