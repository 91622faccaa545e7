"""``spinlogit generate``: what is typed is what is drawn; what comes out harms no terminal."""

from __future__ import annotations

import io
import json
import math
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from llm_bridge import decoding
from llm_bridge.commands.decoder_options import MASKS, make_filters, make_mask
from llm_bridge.commands.generate import _is_colourful, generate_command
from llm_bridge.commands.schedule_words import FORMS, parse_schedules
from llm_bridge.commands.token_writer import TokenWriter, beta_colours, harmless, token_row
from thermo.errors import InvalidInputError, SpinlogitError

INF = math.inf


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models on a busy machine: torch's threads would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


app = typer.Typer()
app.command()(generate_command)


@pytest.fixture
def run(model_folder: Path):
    def run(*words: object, **options: Any) -> Result:
        return CliRunner().invoke(app, ["--model", str(model_folder), *map(str, words)], **options)

    return run


@pytest.fixture
def document(run):
    def document(*words: object, **options: Any) -> dict[str, Any]:
        result = run(*words, "--json", **options)
        assert result.exit_code == 0, result.exception
        return json.loads(result.stdout)

    return document


# --- temperatures, schedules, filters, masks ------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "beta"),
    [
        (["--temperature", "-0.5"], -2.0),
        (["--temperature=-0.5"], -2.0),
        (["--temperature", "0"], INF),
        (["--temperature", "-0.0"], -INF),
        (["--temperature", "-0"], -INF),
        (["--temperature", "inf"], 0.0),
        (["--temperature", "-inf"], 0.0),
        (["--temperature", "1e5"], 1e-5),
        (["--beta", "-2"], -2.0),
        (["--beta", "-inf"], -INF),
        ([], 1.0),
    ],
)
def test_every_temperature_can_be_typed(document, words: list[str], beta: float) -> None:
    found = document("def", *words, "--max-tokens", 2)
    assert [float(token["beta"]) for token in found["tokens"]] == [beta] * 2


@pytest.mark.parametrize(
    ("words", "beta", "expected", "below_zero"),
    [
        ([], None, decoding.Constant(1.0), False),
        ([], -0.5, decoding.Constant(-0.5), True),
        (["every 8 T=-0.5"], 2.0, decoding.EveryNth(2.0, -2.0, 8), True),
        (["every 8 β=-0.5"], None, decoding.EveryNth(1.0, -0.5, 8), True),
        (
            ["list T=1 T=-0.0 beta=0 then=repeat"],
            None,
            decoding.PerToken([1.0, -INF, 0.0], "repeat"),
            True,
        ),
        (["edt 0.3"], -1.0, decoding.EDT(-1.0, 0.3), True),
        (["edt 0.3 base=0.7"], None, decoding.EDT(1.0, 0.3, 0.7), False),
        (["dynamic T=0.5 T=2"], None, decoding.DynamicTemperature(0.5, 2.0), False),
        (
            ["dynamic T=-0.0 T=-2 exponent=2"],
            None,
            decoding.DynamicTemperature(-0.0, -2.0, 2.0),
            True,
        ),
        (["target 2.5"], -1.0, decoding.EntropyTarget(2.5, -1), True),
        (["target 2.5"], -0.0, decoding.EntropyTarget(2.5, -1), True),
        (["target 2.5"], 0.0, decoding.EntropyTarget(2.5, 1), False),
        (
            ["feedback 2 gain=0.1 limit=50"],
            0.5,
            decoding.EntropyFeedback(2.0, 0.5, 0.1, 50.0),
            False,
        ),
        (
            ["spike T=0.5 sigmas=3 memory=8 rearm=20"],
            0.5,
            decoding.HotUntilSpike(0.5, 2.0, 3.0, 8, 20),
            False,
        ),
        (
            ["edt 0.3", "every 4 T=-1"],
            None,
            decoding.EveryNth(decoding.EDT(1.0, 0.3), -1.0, 4),
            True,
        ),
        (
            ["list T=1 T=2", "spike T=0.1"],
            None,
            decoding.HotUntilSpike(decoding.PerToken([1.0, 0.5]), 10.0),
            False,
        ),
    ],
)
def test_schedules(
    words: list[str], beta: float | None, expected: decoding.Schedule, below_zero: bool
) -> None:
    assert parse_schedules(words, beta) == (expected, below_zero)


@pytest.mark.parametrize(
    ("words", "beta", "complaint"),
    [
        (["evry 8 T=-0.5"], None, "did you mean 'every'"),
        ([""], None, "accepted: 'every'"),
        (["every 8"], None, "accepted: 'every N T=…'"),
        (["every T=1"], None, "accepted: 'every N T=…'"),
        (["every 8.5 T=1"], None, "accepted: 'every N T=…'"),
        (["every 8 -0.5"], None, "accepted: 'every N T=…'"),  # is it T or β?
        (["every 8 T=hot"], None, "accepted: 'every N T=…'"),
        (["every 8 T=1 n=3"], None, "accepted: 'every N T=…'"),
        (["every 0 T=1"], None, "n = 0"),
        (["every 8 T=nan"], None, "nan"),
        (["list"], None, "accepted: 'list T=…"),
        (["list T=1 then=stop"], None, "then = 'stop'"),
        (["list T=1"], 1.0, "without --beta"),
        (["dynamic T=1 T=2"], 1.0, "without --beta"),
        (["dynamic T=-1 T=2"], None, "one sign"),
        (["dynamic beta=0 T=1"], None, "'dynamic beta=0 T=1': T = ∞ (β = 0)"),
        (["dynamic T=1 T=-inf"], None, "finite temperatures"),
        (["every 3 T=1", "edt 0.3"], None, "it first"),
        (["edt 0.3"], INF, "beta0"),
        (["spike T=1 rearm=2.5"], None, "accepted: 'spike"),
        (["feedback 2 gain=1 gain=2"], None, "accepted: 'feedback"),
    ],
)
def test_schedules_refused(words: list[str], beta: float | None, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(complaint)):
        parse_schedules(words, beta)


def test_every_form_of_schedule_has_its_words() -> None:
    for kind, form in FORMS.items():
        plain = re.sub(r" \[.*?\]", "", form).replace("T=…", "T=1").replace(" …", "")
        plain = re.sub(r"\b(N|THETA|NATS)\b", "2", plain)
        schedule, _ = parse_schedules([plain], None)
        assert isinstance(schedule, decoding.Schedule), kind


NO_FILTER = dict.fromkeys(
    ("top_k", "top_p", "min_p", "top_n_sigma", "typical", "eta", "xtc", "mirostat")
)


def test_filters_in_order() -> None:
    given = NO_FILTER | {
        "top_k": 5, "top_p": 0.9, "min_p": 0.1, "top_n_sigma": 1.0, "typical": 0.8, "eta": 0.01,
        "xtc": "0.1,0.5", "mirostat": "3",
    }  # fmt: skip
    on = {"acts_on": "decoded"}
    assert make_filters(given, "decoded", True) == [
        decoding.TopNSigma(1.0, **on),
        decoding.TopK(5, **on),
        decoding.Typical(0.8, **on),
        decoding.TopP(0.9, **on),
        decoding.MinP(0.1, **on),
        decoding.Eta(0.01, **on),
        decoding.XTC(0.1, 0.5, **on),
        decoding.Mirostat(3.0, **on),
    ]
    assert make_filters(NO_FILTER | {"top_k": 3}, None, False)[0].acts_on == "model"
    assert make_filters(NO_FILTER, None, True) == []


@pytest.mark.parametrize(
    ("given", "filter_on", "below_zero", "complaint"),
    [
        ({"top_k": 5}, None, True, "--top-k was given with a negative temperature"),
        ({"min_p": 0.1}, None, True, "--filter-on model"),
        ({"top_k": 5}, "both", False, "--filter-on = 'both'"),
        ({}, "model", False, "without a filter"),
        ({"top_k": 0}, None, False, "k = 0"),
        ({"xtc": "0.1"}, None, False, "THRESHOLD,PROBABILITY"),
        ({"mirostat": "a,b"}, None, False, "TAU[,ETA]"),
    ],
)
def test_filters_refused(
    given: dict[str, Any], filter_on: str | None, below_zero: bool, complaint: str
) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(complaint)):
        make_filters(NO_FILTER | given, filter_on, below_zero)


def test_a_filter_on_the_model_and_on_the_decoded_distribution(document) -> None:
    """At T < 0 they keep opposite ends of the spectrum."""
    surprise = {}
    for which in ("model", "decoded"):
        found = document(
            "def", "--temperature", "-1", "--top-k", 1, "--filter-on", which, "--max-tokens", 8
        )
        assert all(token["entropy"] == 0 for token in found["tokens"])
        surprise[which] = [-token["model_log_probability"] for token in found["tokens"]]
    assert max(surprise["model"]) < min(surprise["decoded"])


def test_masks(model) -> None:
    end = decoding.end_of_text(model)
    assert end.any()
    for names, expected in (
        (None, decoding.no_padding(model)),
        ("printable", decoding.printable_text(model)),
        ("printable,end", decoding.printable_text(model) | end),
        ("reachable, no-special", decoding.reachable(model) & decoding.no_special(model)),
        ("no-end", decoding.no_padding(model) & ~end),
        ("end", decoding.no_padding(model)),
    ):
        np.testing.assert_array_equal(make_mask(model, names), expected)
    with pytest.raises(InvalidInputError, match="did you mean 'printable'"):
        make_mask(model, "printible")
    assert {"english", "end"} < set(MASKS)


# --- the document ---------------------------------------------------------------------------------


def test_the_document_is_what_generate_says(document, model) -> None:
    schedule = decoding.EveryNth(1.0, -2.0, 3)
    decoder = decoding.Decoder(schedule, valid=decoding.no_padding(model))
    tokens = list(decoding.generate(model, "def", decoder, max_tokens=12, seed=5))
    found = document("def", "--schedule", "every 3 T=-0.5", "--max-tokens", 12, "--seed", 5)
    assert found["tokens"] == [vars(token) for token in tokens]
    assert found["text"] == model.decode([token.id for token in tokens])
    assert (found["prompt"], found["seed"], found["model"]) == ("def", 5, model.name)
    assert found["stopped_by"] in ("max_tokens", "end of text")
    assert found["schedule"] == repr(schedule)


def test_seeds_reproduce(run) -> None:
    texts = [run("def", "--max-tokens", 15, "--seed", seed).stdout for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_greedy_token_of_a_certain_model_leaves_as_json(document) -> None:
    """ln p = 0 and β = ∞ are JSON too."""
    found = document("def", "--beta", "inf", "--max-tokens", 2)
    assert found["tokens"][0]["beta"] == "inf"
    assert found["tokens"][0]["log_probability"] == 0.0


def test_prompts(document, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("Café", encoding="utf-8")
    few = ("--max-tokens", 1)
    assert document("--prompt-file", tmp_path / "p.txt", *few)["prompt"] == "Café"
    assert document("-", *few, input="Café".encode())["prompt"] == "Café"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["a", "--prompt-file", "b"], "one of the two"),
        (["--prompt-file", "/nowhere"], "No such file"),
        (["a", "--beta", "1", "--temperature", "1"], "one of the two"),
        (["a", "--temperature", "nan"], "nan"),
        (["a", "--beta", "nan"], "nan"),
        (["a", "--max-tokens", "0"], "max_tokens = 0"),
        (["a", "--show", "all"], "--show = 'all'"),
        (["a", "--color", "yes"], "--color = 'yes'"),
        (["a", "--top-k", "3", "--schedule", "every 2 T=-1"], "--filter-on"),
        (["a", "--mask", "greek"], "--mask = 'greek'"),
        (["a", "--mask", ""], "--mask = ''"),
        (["a", "--mask", "end,"], "--mask = ''"),
        (["a", "--schedule", "list T=1 T=2 then=refuse"], "up to 2"),
        (["a", "--schedule", "list T=1 then=refuse", "--max-tokens", "2", "--json"], "up to 1"),
        ([""], "has no token that begins a text"),
        (["\udcff"], "Unicode"),
    ],
)
def test_bad_input(run, words: list[str], complaint: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, SpinlogitError)
    assert complaint in str(result.exception)
    assert result.stdout == result.stderr == ""


def test_standard_input_must_be_text(run) -> None:
    result = run("-", input=b"\xff")
    assert "not UTF-8" in str(result.exception)


# --- what a terminal gets -------------------------------------------------------------------------


def spoken(text: str, beta: float = 1.0, entropy: float = 2.0) -> Any:
    return SimpleNamespace(
        text=text, beta=beta, entropy=entropy, model_entropy=1.5, log_probability=-0.5,
        model_log_probability=-3.0,
    )  # fmt: skip


def written(tokens: list[Any], prompt: str = "", **settings: Any) -> str:
    out = io.StringIO()
    writer = TokenWriter(out, **settings)
    if prompt:
        writer.prompt(prompt)
    for token in tokens:
        writer.token(token)
    writer.finish()
    return out.getvalue()


def test_plain_text_is_left_as_it_is() -> None:
    assert written([spoken("def f("), spoken(""), spoken("x):\n\treturn é")]) == (
        "def f(x):\n\treturn é\n"
    )


def test_hostile_text_is_written_as_escapes() -> None:
    hostile = "\x1b[31m\r\x07\x00\u202e\u2028\x9b"
    assert harmless(hostile) == r"\x1b[31m\r\x07\x00\u202e\u2028\x9b"
    for width in (None, 30):
        assert all(c.isprintable() or c == "\n" for c in written([spoken(hostile)], width=width))
    assert token_row(1, spoken("\n\x1b")).endswith(r"  \n\x1b")
    assert token_row(1, spoken("x")).split() == ["1", "1", "2.000", "1.500", "0.500", "3.000", "x"]


def test_generated_bytes_are_harmless(run) -> None:
    """At T = ∞ all bytes come."""
    for show in ("text", "entropy", "tokens"):
        result = run("def", "--beta", 0, "--max-tokens", 60, "--show", show)
        assert result.exit_code == 0
        assert all(c.isprintable() or c in "\n\t" for c in result.stdout)


def test_wrapped_with_the_entropy_of_every_line() -> None:
    tokens = [spoken("0123", entropy=1.0), spoken("456789", entropy=3.0), spoken("é\ny", entropy=5)]
    assert written(tokens, "ab", width=19).split("\n") == [
        "ab01234567  S  2.00",
        "89é         S  5.00",
        "y",  # its token began on the line before
        "",
    ]
    wide = written([spoken("温度温度温度")], width=19)  # two columns each
    assert wide.split("\n") == ["温度温度温  S  2.00", "度", ""]
    assert written([spoken("a\tb")], width=29).startswith("a       b")


def test_colours() -> None:
    colours = beta_colours(2.0, {"COLORTERM": "truecolor"})
    assert colours(INF) == "\x1b[38;5;231;48;2;8;48;107m"
    assert colours(-INF) == "\x1b[38;5;231;48;2;127;0;0m"
    assert colours(0.0).startswith("\x1b[38;5;16;48;2;140;")  # black on grey
    few = beta_colours(2.0, {})
    assert few(-INF) == "\x1b[38;5;231;48;5;88m"
    text = written([spoken("a\nb", beta=INF)], "p\n", colours=few)
    start = few(INF)
    assert text == f"\x1b[2mp\x1b[0m\n{start}a\x1b[0m\n{start}b\x1b[0m\n"


def test_a_character_has_the_colour_of_the_token_that_began_it() -> None:
    colours = beta_colours(2.0, {})
    tokens = [spoken("", beta=-INF), spoken("", beta=0.0), spoken("éa", beta=INF), spoken("b")]
    assert written(tokens, colours=colours) == (
        f"{colours(-INF)}é\x1b[0m{colours(INF)}a\x1b[0m{colours(1.0)}b\x1b[0m\n"
    )


def test_when_there_is_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _is_colourful(True)
    assert not _is_colourful(False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not _is_colourful(True)
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("TERM", "dumb")
    assert not _is_colourful(True)


def test_colours_on_demand(run) -> None:
    result = run("def", "--color", "always", "--max-tokens", 5, "--temperature", -1)
    assert "\x1b[38;5;" in result.stdout
    assert "\x1b" not in run("def", "--max-tokens", 5).stdout


# --- stopping it ----------------------------------------------------------------------------------


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody presses Ctrl-C after three tokens."""

    def generate(*_: object, **__: object):
        for number, word in enumerate(("one ", "two ", "three")):
            yield decoding.GeneratedToken(number + 1, word, -1.0, 2.0, 1.0, -0.5, -9.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(decoding, "generate", generate)


@pytest.mark.usefixtures("stopped")
def test_interrupted_text_stays(run) -> None:
    result = run("def")
    assert result.exit_code == 130
    assert result.stdout == "one two three\n"
    assert "3 tokens" in result.stderr


@pytest.mark.usefixtures("stopped")
def test_interrupted_document_is_whole(run) -> None:
    result = run("def", "--json")
    assert result.exit_code == 130
    found = json.loads(result.stdout)
    assert (found["stopped_by"], found["text"]) == ("interrupt", "one two three")


MAIN = (
    "import sys, typer; from llm_bridge.commands.generate import generate_command as c; "
    "a = typer.Typer(); a.command()(c); a()"
)


def start(folder: Path, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    fixed = ["def", "--model", str(folder), "--mask", "no-end"]
    command = [sys.executable, "-c", MAIN, *fixed, *words]
    return subprocess.Popen(command, **options)


@pytest.mark.slow
def test_a_real_terminal_and_a_real_interrupt(model_folder: Path) -> None:
    """Coloured, with entropies; after Ctrl-C status 130 and the text so far."""
    main, child = pty.openpty()
    process = start(
        model_folder, "--max-tokens", "1000000", "--beta", "0", stdout=child,
        stderr=subprocess.DEVNULL, env=os.environ | {"TERM": "xterm", "NO_COLOR": ""},
    )  # fmt: skip
    os.close(child)
    text = b""
    while text.count(b"  S ") < 3:
        text += os.read(main, 4096)
    process.send_signal(signal.SIGINT)
    try:
        while part := os.read(main, 4096):
            text += part
    except OSError:  # the terminal has closed
        pass
    assert process.wait() == 130
    assert b"\x1b[38;5;" in text
    assert text.endswith(b"\x1b[0m\r\n")


@pytest.mark.slow
def test_a_reader_that_has_enough(model_folder: Path) -> None:
    process = start(
        model_folder, "--max-tokens", "2000", "--beta", "0", stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert b"Error" not in said


@pytest.mark.slow
def test_tokens_are_streamed(model_folder: Path) -> None:
    """The first text comes long before the last."""
    process = start(
        model_folder, "--max-tokens", "100000", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stdout.read(1)
    time.sleep(0.2)
    assert process.poll() is None
    process.kill()
    process.stdout.close()
    process.wait()
