"""The sweep of temperature: exact measures of texts, peaks of known curves, whole sweeps."""

from __future__ import annotations

import json
import math
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from matplotlib.figure import Figure
from typer.testing import CliRunner

from llm_bridge.commands.temperature_sweep import temperature_sweep_command
from llm_bridge.errors import TextTooShortError
from llm_bridge.logits import record_logits
from llm_bridge.models import LanguageModel
from llm_bridge.spectrum import thermodynamics
from llm_bridge.sweep.heat_capacity_peak import heat_capacity_peak
from llm_bridge.sweep.result import TemperatureSweep
from llm_bridge.sweep.temperature_sweep import TEMPERATURES, temperature_sweep
from llm_bridge.text.files import read_text
from llm_bridge.text.loops import loop_share
from llm_bridge.text.python_syntax import parses_so_far
from thermo.cli.pictures import write_picture
from thermo.errors import InvalidInputError
from thermo.estimate.proportion import wilson_interval
from thermo.temperature import beta_from_temperature


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny models on a busy machine: torch's threads would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


ROOT = Path(__file__).resolve().parents[2]
INF = math.inf

# --- measures of a text ---------------------------------------------------------------------------


def test_wilson_is_the_solution_of_its_equation() -> None:
    for k, n, s in ((0, 5, 1.0), (3, 7, 1.96), (50, 50, 1.0), (1, 1000, 3.0)):
        for p in wilson_interval(k, n, s):
            assert abs(k / n - p) == pytest.approx(s * math.sqrt(p * (1 - p) / n), abs=1e-12)
    assert wilson_interval(0, 9) == (0.0, pytest.approx(0.1))
    assert wilson_interval(9, 9) == (pytest.approx(0.9), 1.0)
    for k, n in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(InvalidInputError):
            wilson_interval(k, n)


def by_definition(ids: list[int]) -> float:
    """The longest stretch that goes round a period at least twice, by trying all of them."""
    n, longest = len(ids), 0
    for start in range(n):
        for stop in range(start + 2, n + 1):
            part = ids[start:stop]
            for period in range(1, len(part) // 2 + 1):
                if part[period:] == part[:-period]:
                    longest = max(longest, len(part))
    return longest / n


def test_loops_by_definition() -> None:
    rng = np.random.default_rng(20261121)
    for letters in (1, 2, 3, 8):
        for size in (1, 2, 5, 14):
            ids = rng.integers(letters, size=size).tolist()
            assert loop_share(ids) == by_definition(ids)
    assert loop_share([1, 2, 3] * 5) == 1.0
    assert loop_share(range(9)) == 0.0
    for wrong in ([], [[1]], [1.5]):
        with pytest.raises(InvalidInputError):
            loop_share(wrong)


def test_every_beginning_of_a_program_parses() -> None:
    """And with a stray bracket after any line that is no string or comment it does not."""
    code = Path(json.__file__).with_name("scanner.py").read_text(encoding="utf-8")
    lines = code.splitlines(keepends=True)
    for n in range(1, len(lines)):
        assert parses_so_far("".join(lines[:n])), n
        assert parses_so_far("".join(lines[:n]) + "half a li"), n
    spoilt = sum(not parses_so_far("".join(lines[:n]) + "?\n") for n in range(1, len(lines)))
    assert spoilt > 0.85 * (len(lines) - 1)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\n", True),
        ("x = 1", False),  # no whole line
        ("        y = 2\n    return y\nx = 1\n", True),  # from inside a method on
        ("  y = (\n", True),
        ("'''open\nanything ? at all\n", True),
        ("x = '\\d'\n", True),  # a warning is no error
        ("x = )\n", False),
        ("def f(:\n", False),
        ("if x:\ny\n", False),
        ("x = 'abc\ny\n", False),
        ("x\x00\n", False),
        ("x = '\ud800'\n", False),
        ("x = " + "(" * 5000 + "\n", False),
        ("x = " + "-" * 100_000 + "1\n", False),
    ],
)
def test_what_parses(code: str, expected: bool) -> None:
    assert parses_so_far(code) is expected


# --- the peak of the heat capacity ----------------------------------------------------------------

# C = (x/2)²/cosh²(x/2) of a gap of x/β has its top where (x/2) tanh(x/2) = 1.
SCHOTTKY_X, SCHOTTKY_C = 2.3993572805, 0.4392288398


def test_the_schottky_peak_on_either_side() -> None:
    half = np.geomspace(1e-3, 1e3, 241)
    beta = np.concatenate([[INF], half[::-1], [0.0], -half, [-INF]])
    heat = thermodynamics([[0.0, 5.0]] * 40, beta).heat_capacity
    for sign in (1, -1):
        peak = heat_capacity_peak(beta, heat, sign)
        assert peak is not None
        assert peak.beta == pytest.approx(sign * SCHOTTKY_X / 5, rel=1e-3)
        assert peak.height == pytest.approx(SCHOTTKY_C, rel=1e-4)
        assert peak.beta_error == pytest.approx(0, abs=1e-9)


def test_no_peak() -> None:
    beta = np.geomspace(0.01, 0.1, 20)
    assert heat_capacity_peak(beta, np.zeros((40, 20))) is None  # every token alike
    rising = thermodynamics([[0.0, 1.0]] * 40, beta).heat_capacity
    assert heat_capacity_peak(beta, rising) is None
    assert heat_capacity_peak(-beta, rising) is None
    with pytest.raises(InvalidInputError, match="at least 40"):
        heat_capacity_peak(beta, np.zeros((39, 20)))


def test_errors_of_a_peak() -> None:
    """They are what repeating the measurement scatters by.

    Of 300 repetitions the scatter is known to 4 %; jackknife errors from 20 blocks are right on
    average, and a little large: a band of 25 % is left by chance less than once in 10⁵.
    """
    rng = np.random.default_rng(20261122)
    beta = np.geomspace(0.1, 10, 81)
    found = []
    for _ in range(300):
        gaps = rng.gamma(8.0, 0.3, size=80)
        half = np.outer(gaps, beta) / 2
        peak = heat_capacity_peak(beta, (half / np.cosh(half)) ** 2)
        assert peak is not None
        found.append((math.log(peak.beta), peak.beta_error / peak.beta, peak.height,
                      peak.height_error))  # fmt: skip
    values = np.array(found)
    for value, error in ((0, 1), (2, 3)):
        scatter = values[:, value].std(ddof=1)
        expected = math.sqrt((values[:, error] ** 2).mean())
        assert 0.75 < expected / scatter < 1.33


# --- a sweep of models whose texts are known ------------------------------------------------------


class Scripted(torch.nn.Module):
    """A model without memory whose logits after token i are row i of a table."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(table)
        self.config = SimpleNamespace(vocab_size=len(table))

    def get_output_embeddings(self) -> None:
        return None

    def forward(
        self, input_ids: torch.Tensor, use_cache: bool = True, past_key_values: object = None
    ) -> SimpleNamespace:
        return SimpleNamespace(logits=self.table[input_ids])


@pytest.fixture
def stubborn(model) -> LanguageModel:
    """Token 7 is the likeliest after everything, and i + 1 the least likely after i."""
    size = model.vocabulary_size
    table = torch.zeros(size, size)
    table[:, 7] = 3.0
    for i in range(size):
        table[i, (i + 1) % size] = -2.0
    return LanguageModel(Scripted(table), model.tokenizer, name="stubborn")


SETTINGS = {"positions": 60, "samples": 4, "prompt_tokens": 4, "max_tokens": 10, "seed": 3}


def test_the_ends_of_the_line(stubborn: LanguageModel, text: str) -> None:
    sweep = temperature_sweep(stubborn, text, beta=[INF, -INF], **SETTINGS)
    greedy, hottest = sweep.texts
    assert greedy.example == stubborn.decode([7] * 10)
    assert (greedy.loop.mean, greedy.loop.error) == (1.0, 0.0)
    assert greedy.repeated.mean == pytest.approx(8 / 9)
    assert (hottest.loop.mean, hottest.repeated.mean) == (0.0, 0.0)
    others = sweep.vocabulary - 2
    log_z = math.log(math.exp(3) + math.exp(-2) + others)
    assert greedy.cross_entropy.mean == pytest.approx(log_z - 3)
    assert hottest.cross_entropy.mean == pytest.approx(log_z + 2)
    assert greedy.entropy is not None
    assert greedy.entropy.mean == 0.0
    assert greedy.perplexity == pytest.approx(math.exp(log_z - 3))


def test_no_end_and_no_padding(model, text: str) -> None:
    sweep = temperature_sweep(model, text, beta=[0.0], **SETTINGS)
    assert sweep.vocabulary == model.valid.sum() - 1
    assert sweep.texts[0].entropy is not None
    assert sweep.texts[0].entropy.mean == pytest.approx(math.log(sweep.vocabulary))


@pytest.fixture(scope="module")
def sweep(model, text: str) -> TemperatureSweep:
    return temperature_sweep(
        model, text, beta=[2.0, 1.0, 0.0, -1.0], positions=80, samples=64, prompt_tokens=6,
        max_tokens=16, seed=20261121,
    )  # fmt: skip


def test_the_curves_are_those_of_the_record(model, text: str, sweep: TemperatureSweep) -> None:
    from llm_bridge.decoding import end_of_text

    logits = record_logits(model, text, 80).logits
    valid = model.valid & ~end_of_text(model)
    state = thermodynamics(logits, sweep.curve.beta, valid, method="direct")
    clean = thermodynamics(logits, 1.0, valid)
    curve = sweep.curve
    assert (np.diff(curve.beta) < 0).all()
    assert set(sweep.beta) <= set(curve.beta)
    assert {1e3, 1e-5, INF, 0.0, -1e3, -INF} <= set(curve.beta)
    np.testing.assert_allclose(curve.entropy.value, state.entropy.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(curve.heat_capacity.value, state.heat_capacity.mean(0), atol=1e-9)
    # At β = 1 the cross-entropy of a token drawn by the model is the model's entropy.
    one = int(np.flatnonzero(curve.beta == 1)[0])
    assert curve.cross_entropy.value[one] == pytest.approx(clean.entropy.mean(), rel=1e-9)
    assert (np.diff(curve.cross_entropy.value) > -1e-9).all()  # dU/dβ ≤ 0


def test_written_tokens_are_drawn_from_what_they_are_said_to_be(sweep: TemperatureSweep) -> None:
    """At β = 1 surprise and entropy have one mean: 5σ, by chance once in 10⁶."""
    text = sweep.texts[1]
    assert text.entropy is not None
    difference = float(text.cross_entropy.mean - text.entropy.mean)
    assert abs(difference) < 5 * math.hypot(text.cross_entropy.error, text.entropy.error)
    # Negative control: at other β they have not.
    for other in (sweep.texts[0], sweep.texts[3]):
        assert other.entropy is not None
        difference = float(other.cross_entropy.mean - other.entropy.mean)
        assert abs(difference) > 5 * math.hypot(other.cross_entropy.error, other.entropy.error)


def test_the_original_is_measured_alike(model) -> None:
    """One place, so the original text is known; its ln p from a full forward pass."""
    line = "The temperature of a system says how its entropy grows with its energy. " * 3
    sweep = temperature_sweep(model, line, beta=[1.0], **SETTINGS | {"positions": 40})
    ids = model.encode(line)[:14]
    assert sweep.original.example == model.decode(ids[4:])
    from llm_bridge.decoding import end_of_text

    valid = model.valid & ~end_of_text(model)
    logits = model.logits(ids)[3:13].astype(np.float64)
    log_p = logits[np.arange(10), ids[4:]] - np.log(np.exp(logits[:, valid]).sum(axis=1))
    assert sweep.original.cross_entropy.mean == pytest.approx(-log_p.mean(), rel=1e-5)
    assert sweep.original.parsable is None


def test_code_is_told_from_prose(model) -> None:
    code = "".join(f"def f{i}(x):\n    return [x, {i}]\n\n" for i in range(20))
    sweep = temperature_sweep(model, code, beta=[0.0], **SETTINGS | {"max_tokens": 24})
    assert sweep.original.parsable == 4
    assert sweep.texts[0].parsable == 0  # all tokens alike
    assert sweep.texts[0].parsable_interval == (0.0, pytest.approx(0.2))
    assert "4/4" in sweep.rows()[-1]
    prose = "No line of this is Python at all, is it?\n" * 20
    sweep = temperature_sweep(model, prose, beta=[0.0], **SETTINGS)
    assert sweep.original.parsable is sweep.texts[0].parsable is None
    assert "parsable" not in sweep.rows()[0]


def test_seeds(model, text: str) -> None:
    def examples(seed: int) -> list[str]:
        settings = SETTINGS | {"seed": seed}
        return [t.example for t in temperature_sweep(model, text, beta=[0, 0], **settings).texts]

    one, other = examples(3), examples(4)
    assert one == examples(3)
    assert len({*one, *other}) == 4  # two texts at one β share no random numbers


def test_document_picture_and_table(sweep: TemperatureSweep, tmp_path: Path) -> None:
    document = json.loads(json.dumps(sweep.to_dict(), allow_nan=False))
    again = TemperatureSweep.from_dict(document)
    assert again.to_dict() == sweep.to_dict()
    assert again.rows() == sweep.rows()
    assert isinstance(again.plot(), Figure)
    write_picture(again.plot(), tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert [len(row) for row in sweep.rows()] == [len(sweep.rows()[0])] * 6


def test_default_temperatures() -> None:
    """From T = 0.001 through ±100000 back to −0.001, cold to hot, with both zeros."""
    beta = beta_from_temperature(TEMPERATURES)
    assert (np.diff(beta) < 0).all()
    assert (beta[0], beta[-1]) == (INF, -INF)
    assert {0.001, 1e5, -1e5, -0.001, 1.0, -1.0} <= set(TEMPERATURES)


def test_bad_input(model, text: str) -> None:
    for changed in (
        {"beta": [math.nan]},
        {"beta": []},
        {"beta": 1.0},
        {"positions": 39},
        {"samples": 1},
        {"prompt_tokens": 0},
        {"max_tokens": 1},
        {"max_tokens": 61},  # and 4 of the prompt: more than the context of 64
        {"seed": None},
        {"text": None},  # this model has no text of its own
    ):
        settings = {"beta": [1.0], "text": text} | SETTINGS | changed
        with pytest.raises(InvalidInputError):
            temperature_sweep(model, **settings)
    for short in ("one", text[:60]):
        with pytest.raises(TextTooShortError):
            temperature_sweep(model, short, beta=[1.0], **SETTINGS)


def test_text_files(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes("é\r\n".encode())
    assert read_text(tmp_path / "good") == "é\r\n"
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "latin").write_bytes(b"\xe9")
    for name, complaint in (("empty", "empty"), ("latin", "byte 0"), ("none", "No such file")):
        with pytest.raises(InvalidInputError, match=complaint):
            read_text(tmp_path / name)


# --- the command and the benchmark ----------------------------------------------------------------


def test_the_command(model_folder: Path, text: str, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(temperature_sweep_command)
    (tmp_path / "t.txt").write_text(text, encoding="utf-8")
    words = [
        str(tmp_path / "t.txt"), "--model", str(model_folder), "--temperature", "1,-1",
        "--positions", "40", "--samples", "2", "--prompt-tokens", "4", "--max-tokens", "5",
    ]  # fmt: skip
    table = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "s.png")])
    assert table.exit_code == 0, table.exception
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert table.stdout.split()[0] == "T"
    assert "the text given" in table.stdout
    found = CliRunner().invoke(app, [*words, "--json"])
    assert [row["beta"] for row in json.loads(found.stdout)["texts"]] == [1.0, -1.0]
    again = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "s.png")])
    assert "exists" in str(again.exception)


def test_the_benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "sweep.json"
    words = ["--temperatures", "1,-1", "--samples", "2", "--positions", "40", "--max-tokens", "6"]
    monkeypatch.setattr(sys, "argv", ["temperature_sweep.py", "--json", str(record), *words])
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    runpy.run_path(str(ROOT / "benchmarks" / "temperature_sweep.py"), run_name="__main__")
    found = json.loads(record.read_text(encoding="utf-8"))
    assert [row[0] for row in found["rows"]] == ["1", "-1", "the text given"]
    assert TemperatureSweep.from_dict(found["sweep"]).beta.tolist() == [1.0, -1.0]


def test_the_benchmark_of_decoders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "decoding.json"
    words = ["--json", str(record), "--prompts", "2", "--max-tokens", "4"]
    monkeypatch.setattr(sys, "argv", ["decoding.py", *words])
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    runpy.run_path(str(ROOT / "benchmarks" / "decoding.py"), run_name="__main__")
    found = json.loads(record.read_text(encoding="utf-8"))
    assert len(found["rows"]) == len(found["examples"]) == 13
    assert all(len(beta) == len(entropy) == 4 for beta, entropy in found["traces"].values())
