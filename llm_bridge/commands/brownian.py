"""``spinlogit brownian``: what temperature weight noise is like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm_bridge.commands.model_option import ModelOption
from llm_bridge.errors import TextTooShortError
from thermo.arguments import one_of, whole_number
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption, print_json
from thermo.cli.pictures import PictureOption, check_picture, write_picture
from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from llm_bridge.models import LanguageModel

__all__ = ["brownian_command"]

_SIGMAS = "0.05,0.1,0.2"


def brownian_command(
    text: Annotated[
        Path | None,
        typer.Argument(help="UTF-8 text or code.  [held out from the demo model's training]"),
    ] = None,
    model: ModelOption = "demo",
    sigma: Annotated[
        list[str] | None,
        typer.Option(
            "--sigma",
            help="Sizes of the noise, relative to each tensor's rms, with commas between.  "
            f"[{_SIGMAS}]",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            help="Place of the noise: all, embedding, attention, mlp, norm, head, a pattern of "
            "parameter names, or several of them with commas between; given again: another "
            "noise.  [all]",
        ),
    ] = None,
    law: Annotated[
        str, typer.Option("--law", help="gaussian, multiplicative, factorised, low_rank, ternary.")
    ] = "gaussian",
    tau: Annotated[
        float | None,
        typer.Option("--tau", help="The weights wander along the text, over so many tokens."),
    ] = None,
    positions: Annotated[int, typer.Option("--positions", help="Of the text, that are read.")] = (
        256
    ),
    draws: Annotated[int, typer.Option("--draws", help="Of each noise; even.")] = 16,
    machine: Annotated[
        str,
        typer.Option("--machine", help="auto, copies, function_space or regenerate: the same law."),
    ] = "auto",
    calibrate: Annotated[
        float | None,
        typer.Option(
            "--calibrate", metavar="<T>", help="Find the σ of this temperature, if there is one."
        ),
    ] = None,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """What temperature noise on the weights is like, and how much of it is no temperature at all.

    T is that of the softmax closest to the mean distribution of noisy models; the residual is what
    is left between the two, disagreement the part of the mean's entropy that is between the models,
    aleatoric the part within each. Nats per token; errors in brackets are of the last digits.

    Examples:

      spinlogit brownian

      spinlogit brownian --sigma 0.03,0.1,0.3 --where attention --where mlp --out noise.png

      spinlogit brownian --calibrate 1.1 --where mlp

      spinlogit brownian essay.txt --model ./my-model --tau 20 --json > noise.json
    """
    from llm_bridge.brownian import WeightNoise
    from llm_bridge.brownian.sampling import MACHINES
    from llm_bridge.models import load_model
    from llm_bridge.text.files import naming, read_text

    whole_number(positions, "--positions", 2)
    one_of(machine, "--machine", ("auto", *MACHINES))
    if calibrate is not None and (sigma or out is not None):
        given = "--sigma" if sigma else "--out"
        raise InvalidInputError(f"--calibrate and {given} were given; accepted: one of the two")
    check_picture(out, overwrite)
    places = [tuple(place.split(",")) for place in where or ["all"]]
    sizes = _sizes(sigma or [_SIGMAS])
    kinds = [
        {
            "where": place[0] if len(place) == 1 else place, "law": law, "tau": tau, "seed": seed,
            "correlation": "quenched" if tau is None else "ou",
        }
        for place in places
    ]  # fmt: skip
    noises = [WeightNoise(size, **kind) for kind in kinds for size in sizes]  # type: ignore[arg-type]
    words = None if text is None else read_text(text)
    reader = load_model(model)
    words = words if words is not None else reader.held_out_text
    if words is None:
        raise InvalidInputError(
            f"{reader.name} comes with no text of its own; accepted: a text as argument."
        )
    document: dict[str, Any] = {
        "schema": "spinlogit.brownian/1",
        "model": reader.name,
        "weights_sha256": reader.fingerprint,
        "positions": positions,
        "draws": draws,
        "seed": seed,
    }
    if calibrate is not None:
        with naming(text, TextTooShortError):
            found = _calibrations(reader, calibrate, words, kinds, positions, draws, machine)
        if as_json:
            print_json(document | {"temperature": calibrate, "calibrations": found})
        else:
            print("\n".join(f"{one['where']}: {one['found']}" for one in found))
        return

    from llm_bridge.brownian.noise_sweep import noise_sweep

    ids = reader.encode(words)[:positions]
    with naming(text, TextTooShortError):
        if ids.size < 2:
            raise TextTooShortError(int(ids.size), 2)
    sweep = noise_sweep(reader, ids, noises, draws=draws, machine=machine, progress=True)
    if out is not None:
        from llm_bridge.brownian.picture import noise_picture

        write_picture(noise_picture(sweep), out)
    if as_json:
        print_json(document | {"positions": int(ids.size), "noises": sweep.to_dict()})
        return
    rows = sweep.rows()
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    print(f"{printable(reader.name)}: {ids.size} positions, {draws} draws\n")
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    if out is not None:
        print(f"\nwritten: {printable(str(out))}")


def _calibrations(
    model: LanguageModel,
    temperature: float,
    text: str,
    kinds: list[dict[str, Any]],
    positions: int,
    draws: int,
    machine: str,
) -> list[dict[str, Any]]:
    """What is found for each kind of noise; a single one that has no such σ is an error."""
    from llm_bridge.brownian.calibration import calibrate
    from llm_bridge.errors import UnreachableTemperatureError

    found: list[dict[str, Any]] = []
    for kind in kinds:
        where = kind["where"] if isinstance(kind["where"], str) else "+".join(kind["where"])
        try:
            one = calibrate(
                model, temperature, text, positions=positions, draws=draws, machine=machine,
                progress=True, **kind,
            )  # fmt: skip
        except UnreachableTemperatureError as error:
            if len(kinds) == 1:
                raise
            found.append({"where": where, "found": f"none: {error}", "sigma": None})
        else:
            found.append(
                {
                    "where": where,
                    "found": str(one),
                    "sigma": one.sigma,
                    "sigma_error": one.sigma_error,
                    "temperature_error": one.temperature_error,
                    "temperature_range": list(one.temperature_range),
                    "limit": one.limit,
                }
            )
    return found


def _sizes(words: list[str]) -> list[float]:
    try:
        return [float(part) for word in words for part in word.split(",")]
    except ValueError as error:
        raise InvalidInputError(
            f"--sigma {printable(' '.join(words))} was given; accepted: numbers with commas between"
        ) from error
