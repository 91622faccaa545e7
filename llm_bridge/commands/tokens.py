"""``spinlogit tokens``: anomalous tokens of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm_bridge.commands.model_option import ModelOption
from llm_bridge.errors import TextTooShortError
from thermo.arguments import one_of
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption, print_json
from thermo.cli.pictures import PictureOption, check_picture, write_picture
from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from llm_bridge.tokens.agreement import Agreement
    from llm_bridge.tokens.bottom import Bottom

__all__ = ["tokens_command"]


def tokens_command(
    model: ModelOption = "demo",
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="UTF-8 file, a prompt on each line.")
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            "--text", help="UTF-8 file to cut prompts from.  [default: the demo's held-out text]"
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", help="Prompts to cut from a text.")] = 32,
    length: Annotated[int, typer.Option("--length", help="Tokens in each of them.")] = 64,
    positions: Annotated[
        str, typer.Option("--positions", help="all: every prefix is a context; or last.")
    ] = "all",
    steps: Annotated[
        int, typer.Option("--steps", help="Tokens to walk down at T → 0⁻ from each prompt.")
    ] = 32,
    asked: Annotated[
        int | None, typer.Option("--asked", help="Tokens asked to be repeated.  [default: all]")
    ] = None,
    padded: Annotated[
        bool, typer.Option("--padded", help="Rows that are no tokens are candidates too.")
    ] = False,
    sort: Annotated[str, typer.Option("--sort", help="Column, its anomalous side first.")] = (
        "argmin_share"
    ),
    top: Annotated[int, typer.Option("--top", min=1, help="Tokens to show.")] = 20,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Which tokens a model never learned: what its weights say, and what it does with them.

    Examples:

      spinlogit tokens

      spinlogit tokens --model ./my-model --text essay.txt --sort input_norm --top 50

      spinlogit tokens --prompts questions.txt --positions last --asked 500 --json > tokens.json
    """
    from llm_bridge.models import load_model
    from llm_bridge.text.files import naming, read_text
    from llm_bridge.tokens.agreement import agreement
    from llm_bridge.tokens.anomalous import anomalous_tokens
    from llm_bridge.tokens.prompts import cut_prompts, read_prompts
    from llm_bridge.tokens.table import SHOWN, SIDES

    check_picture(out, overwrite)
    one_of(sort, "--sort", tuple(SIDES))
    one_of(positions, "--positions", ("all", "last"))
    if prompts is not None and text is not None:
        raise InvalidInputError("--prompts and --text were both given; one of them is accepted.")
    given: list[Any] | None = None if prompts is None else list(read_prompts(prompts))
    whole = None if text is None else read_text(text)
    language_model = load_model(model)
    if given is None:
        whole = whole if whole is not None else language_model.held_out_text
        if whole is None:
            raise InvalidInputError(
                f"{language_model.name} comes with no text of its own; accepted: --prompts FILE or "
                "--text FILE"
            )
        with naming(text, TextTooShortError):
            given = list(cut_prompts(language_model, whole, count, length))
    table = anomalous_tokens(
        language_model,
        given,
        positions=positions,
        steps=steps,
        padded=padded,
        asked=asked,
        seed=seed,
        progress=True,
    )
    found = agreement(table)
    first = table.sorted_by(sort).take(slice(top))
    if out is not None:
        from llm_bridge.tokens.pictures import overview

        write_picture(overview(table, found), out)
    if as_json:
        print_json(
            {
                "schema": "spinlogit.tokens/1",
                "seed": seed,
                "prompts": len(given),
                "sorted_by": sort,
                "agreement": found.to_dict(),
                **first.to_dict(),
            }
        )
        return
    print(f"{printable(table.model_name)}: {len(given)} prompts, {found.tokens} tokens\n")
    print(_bottom("one step", table.one_step))
    if table.autoregressive is not None:
        print(_bottom("autoregressive", table.autoregressive))
    print("\n" + _agreement(found))
    shown = [name for name in SHOWN if name in table.columns]
    print("\n" + first.to_text(shown if sort in shown else [sort, *shown]))
    if out is not None:
        print(f"\nwritten: {printable(str(out))}")


def _bottom(name: str, bottom: Bottom) -> str:
    """Whose the bottom is, and whether rounding could have chosen it."""
    found = bottom.summary()
    close = ", ".join(f"{value:.1%} {kind}" for kind, value in found["within_spacing"].items())
    return (
        f"argmin, {name}: {found['tokens']} tokens in {found['contexts']} contexts; median gap to "
        f"the next {found['median_gap']:.2g} nats; within one rounding step of {close}"
    )


def _agreement(found: Agreement) -> str:
    """AUROC of every indicator, or its correlation with the mean logit where nothing is known."""
    from thermo.estimate.autocorrelation import rounded_to_error

    if found.auroc:
        head = f"AUROC against {found.known} tokens known to be anomalous (0.5: says nothing)"
        rows = found.auroc
    else:
        head = "Spearman correlation with a low mean logit (no tokens are known to be anomalous)"
        rows = {a: value for (a, b), value in found.spearman.items() if b == "mean_z"}
    lines = [f"  {name:32} {rounded_to_error(*value)}" for name, value in rows.items()]
    return "\n".join([head, *lines])
