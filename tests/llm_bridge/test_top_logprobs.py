"""The largest log-probabilities alone: bounds that hold, questions refused, dumps of servers."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from llm_bridge.errors import RecordFileError, UnknownTailError
from llm_bridge.logits import LogitRecord
from llm_bridge.logprob_dumps import read_top_logprobs, top_logprobs_of
from llm_bridge.spectrum import thermodynamics
from llm_bridge.text.temperature import text_temperature
from llm_bridge.top_logprobs import TopLogprobs
from thermo.errors import InvalidInputError

BETAS = np.array([0.0, 1e-3, 0.2, 0.5, 0.9, 0.999, 1.0, 1.001, 1.5, 2.0, 4.0, 20.0, 300.0])


def normalised(z: np.ndarray) -> np.ndarray:
    return z - np.logaddexp.reduce(z, axis=1)[:, None]


def rows(size: int, spread: float, kind: str, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Logits (count, size) and tokens that came, from a seed made of the case."""
    rng = np.random.default_rng([size, int(10 * spread), len(kind)])
    z = rng.normal(0, spread, (count, size))
    if kind == "tied":
        z = np.round(z)
    if kind == "heavy":
        z = rng.standard_cauchy((count, size)).clip(-50, 50)
    z = z.astype(np.float32).astype(np.float64)  # as a record keeps them
    p = np.exp(normalised(z))
    return z, np.array([rng.choice(size, p=row / row.sum()) for row in p])


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3, 10, 100, 2000])
@pytest.mark.parametrize("kind", ["normal", "tied", "heavy"])
def test_the_truth_is_inside(size: int, kind: str) -> None:
    for spread in (0.1, 1.0, 3.0, 8.0):
        z, came = rows(size, spread, kind)
        exact = thermodynamics(normalised(z), BETAS)
        energy = -normalised(z)[np.arange(len(z)), came]
        loss = BETAS * energy[:, None] + exact.log_partition_function
        for k in (1, 2, 5, 20):
            top = TopLogprobs.from_record(LogitRecord(z, came), k)
            for found, true in (
                (top.log_partition_function(BETAS), exact.log_partition_function),
                (top.entropy(BETAS), exact.entropy),
                (top.cross_entropy(BETAS), loss),
            ):
                slack = 1e-9 * (1 + np.abs(true))
                assert (found.lower <= true + slack).all()
                assert (true <= found.upper + slack).all()


def test_the_truth_is_inside_after_rounding() -> None:
    z, came = rows(100, 3.0, "normal")
    exact = thermodynamics(normalised(z), BETAS)
    for decimals in (1, 2, 3):
        log_p = np.minimum(np.round(normalised(z), decimals), 0.0)
        top = -np.sort(-log_p, axis=1)[:, :20]
        tokens = log_p[np.arange(len(z)), came]
        listed = np.column_stack([top, np.where(tokens < top[:, -1], tokens, -np.inf)])
        found = TopLogprobs(listed, top[:, -1], tokens, 100, rounding=0.5 * 10.0**-decimals)
        for interval, true in (
            (found.log_partition_function(BETAS), exact.log_partition_function),
            (found.entropy(BETAS), exact.entropy),
        ):
            assert (interval.lower <= true + 1e-9).all()
            assert (true <= interval.upper + 1e-9).all()


def test_bounds_without_rounding_close_where_all_is_known() -> None:
    z, came = rows(12, 2.0, "normal")
    exact = thermodynamics(normalised(z), BETAS)
    log_p = normalised(z)
    tokens = log_p[np.arange(len(z)), came]
    top = TopLogprobs(log_p, log_p.min(axis=1), tokens, 12, rounding=0.0)
    assert np.allclose(top.entropy(BETAS).lower, exact.entropy, atol=1e-9)
    assert top.entropy(BETAS).width.max() < 1e-9
    assert top.log_partition_function(BETAS).width.max() < 1e-9


def test_bounds_of_z_are_attained() -> None:
    """Two listed tokens, and the rest of 0.1 either spread over 98 or in two tokens of 0.05."""
    listed = np.log([[0.85, 0.05]])
    top = TopLogprobs(listed, listed[:, 1], listed[:, 0], 100, rounding=0.0)
    spread = np.log(np.concatenate([[0.85, 0.05], np.full(98, 0.1 / 98)]))
    packed = np.log([0.85, 0.05, 0.05, 0.05])
    for beta in (0.3, 0.7, 1.6, 3.0):
        z = top.log_partition_function(beta)
        ends = sorted(np.log(np.exp(beta * x).sum()) for x in (spread, packed))
        assert np.allclose([z.lower[0], z.upper[0]], ends, atol=1e-9)
    entropy = top.entropy(1.0)
    assert np.isclose(entropy.upper[0], -(np.exp(spread) * spread).sum(), atol=1e-6)
    assert np.isclose(entropy.lower[0], -(np.exp(packed) * packed).sum(), atol=1e-6)


def test_negative_control_a_list_that_is_not_of_the_largest() -> None:
    """Were the cap a lie, the truth would be outside: the test above can fail."""
    z, came = rows(2000, 3.0, "normal")
    log_p = normalised(z)
    tokens = log_p[np.arange(len(z)), came]
    middle = np.sort(log_p, axis=1)[:, 900:905]
    true = thermodynamics(log_p, 2.0).log_partition_function
    liar = TopLogprobs(middle, np.full(len(z), 0.0), tokens, 2000)  # nothing claimed: still true
    assert (true <= liar.log_partition_function(2.0).upper).all()
    with pytest.raises(InvalidInputError, match="more probability than the tokens not listed"):
        TopLogprobs(middle, middle.min(axis=1), tokens, 2000)


def test_more_listed_tokens_say_more() -> None:
    z, came = rows(2000, 3.0, "normal")
    widths = [
        TopLogprobs.from_record(LogitRecord(z, came), k).entropy(0.5).width.mean()
        for k in (1, 5, 20, 100, 1000)
    ]
    assert widths == sorted(widths, reverse=True)


def test_the_fitted_beta_is_inside() -> None:
    z, came = rows(300, 2.5, "normal", count=300)
    log_p = normalised(z)
    record = LogitRecord(z, came)

    def score(beta: float) -> float:
        energy = thermodynamics(log_p, beta).internal_energy
        return float((energy + log_p[np.arange(len(z)), came]).sum())

    true = brentq(score, 0.2, 5.0)
    widths = []
    for k in (5, 20, 100):
        fit = TopLogprobs.from_record(record, k).fitted_beta()
        assert fit.lower < true < fit.upper
        widths.append(fit.width)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.25
    # A text of likely tokens alone: no upper end. One of unlikely ones: β < 0 is not excluded.
    likely = LogitRecord(z, log_p.argmax(axis=1))
    assert TopLogprobs.from_record(likely, 20).fitted_beta().upper == np.inf
    unlikely = LogitRecord(z, log_p.argmin(axis=1))
    assert TopLogprobs.from_record(unlikely, 20).fitted_beta().lower == -np.inf


def test_the_fitted_beta_is_inside_where_nearly_all_is_known() -> None:
    """k next to V leaves no width for the arithmetic to hide in; and greedy texts have β = +∞."""
    rng = np.random.default_rng(20261121)
    for _ in range(60):
        size = int(rng.integers(2, 11))
        z = (rng.normal(size=(int(rng.integers(2, 60)), size)) * 5).astype(np.float32)
        p = np.exp(2.0 * (z - z.max(axis=1, keepdims=True)).astype(float))
        ids = [rng.choice(size, p=row / row.sum()) for row in p]
        for tokens in (ids, z.argmax(axis=1)):
            record = LogitRecord(z, tokens)
            truth = text_temperature(record).beta
            found = TopLogprobs.from_record(record, size).fitted_beta()
            assert found.lower <= truth <= found.upper or (truth < 0 and found.lower == -np.inf)


def test_perplexity_of_the_text_is_known_at_one_and_bounded_elsewhere() -> None:
    z, came = rows(300, 2.5, "normal")
    top = TopLogprobs.from_record(LogitRecord(z, came), 20)
    true = np.exp(-normalised(z)[np.arange(len(z)), came].mean())
    at_one = top.perplexity()
    assert at_one.lower == pytest.approx(true, rel=1e-9)
    assert at_one.upper == pytest.approx(true, rel=1e-9)
    assert top.perplexity(0.0).lower == pytest.approx(300)
    assert top.perplexity(0.5).lower < top.perplexity(0.5).upper


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [-1.0, -1e-9, -np.inf, [0.5, -0.5]])
def test_negative_temperatures_are_refused_with_the_reason(beta: object) -> None:
    top = TopLogprobs(np.log([[0.7, 0.2]]), np.log([0.2]), np.log([0.7]), 100)
    for question in (top.entropy, top.log_partition_function, top.cross_entropy):
        with pytest.raises(UnknownTailError, match="least likely tokens decide"):
            question(beta)
    again = pickle.loads(pickle.dumps(UnknownTailError(-1.0)))  # a worker must be able to raise it
    assert again.beta == -1.0


def test_zero_is_hot_from_either_side_and_infinity_is_greedy() -> None:
    top = TopLogprobs(np.log([[0.7, 0.2]]), np.log([0.2]), np.log([0.7]), 100)
    for zero in (0.0, -0.0, 0):
        assert top.entropy(zero).lower == top.entropy(zero).upper == np.log(100)
    with pytest.raises(InvalidInputError, match="likeliest token is drawn"):
        top.entropy(np.inf)
    for ask in (top.entropy, top.log_partition_function, top.cross_entropy, top.perplexity):
        with pytest.raises(InvalidInputError, match=r"1e\+150"):
            ask(1e308)
        assert not np.isnan(ask(1e150).lower).any()  # and nothing overflows with a warning
    with pytest.raises(InvalidInputError):
        top.entropy(np.nan)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"log_probabilities": [[-0.1, np.nan]]}, "NaN"),
        ({"log_probabilities": [[0.1, -3.0]]}, "above 0"),
        ({"log_probabilities": [[-0.1, -0.2]]}, "sum to more than 1"),
        ({"log_probabilities": [[-np.inf, -np.inf]]}, "lists no token"),
        ({"log_probabilities": [-0.1, -3.0]}, "shape"),
        ({"cap": [np.nan]}, "cap"),
        ({"cap": [-1.0, -1.0]}, "cap has shape"),
        ({"token_log_probability": [0.5]}, "above 0"),
        ({"vocabulary_size": 1}, "more tokens than there are"),
        ({"vocabulary_size": 2}, "more probability than"),
        ({"vocabulary_size": 2.5}, "integer"),
        ({"rounding": -1.0}, "rounding"),
        ({"tokens": ["a", "b"]}, "2 tokens for 1"),
    ],
)
def test_impossible_numbers_are_refused(change: dict, says: str) -> None:
    parts = {
        "log_probabilities": np.log([[0.7, 0.2]]),
        "cap": np.log([0.2]),
        "token_log_probability": np.log([0.7]),
        "vocabulary_size": 100,
    }
    with pytest.raises(InvalidInputError, match=says):
        TopLogprobs(**(parts | change))


# --- dumps ----------------------------------------------------------------------------------------

A, B, C = -0.5, -1.5, -3.0  # 0.61, 0.22, 0.05


def item(token: str, logprob: float, **more: object) -> dict:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())} | more


def chat(token: dict, alternatives: list[dict]) -> dict:
    return {"choices": [{"logprobs": {"content": [token | {"top_logprobs": alternatives}]}}]}


def completion(token: str, logprob: float | None, top: dict) -> dict:
    logprobs = {"tokens": [token], "token_logprobs": [logprob], "top_logprobs": [top]}
    return {"choices": [{"logprobs": logprobs}]}


def prompt(*positions: dict | None, **more: object) -> dict:
    entries = [
        None
        if position is None
        else {str(i): {"logprob": p, "decoded_token": f"t{i}"} for i, p in position.items()}
        for position in positions
    ]
    return {"prompt_logprobs": entries, "choices": []} | more


@pytest.mark.parametrize(
    ("response", "came", "listed", "cap"),
    [
        (chat(item("a", A), [item("a", A), item("b", B)]), A, [A, B], B),
        (chat(item("c", C), [item("a", A), item("b", B)]), C, [A, B, C], B),
        (chat(item("b", B), [item("a", A), item("b", B)]), B, [A, B], A),  # maybe there as it came
        (chat(item("c", -9999.0), [item("a", A), item("b", B)]), np.nan, [A, B], B),
        (chat(item("a", A), []), A, [A], 0.0),
        (completion("c", C, {"a": A, "b": B, "c": C}), C, [A, B, C], B),
        (completion("a", A, {"a": A, "b": B}), A, [A, B], B),
        (prompt(None, {3: C, 1: A, 2: B}), C, [A, B, C], B),
        (prompt(None, {1: A, 2: B}), A, [A, B], B),
        (prompt({2: B, 1: A, 3: C}, prompt_token_ids=[1]), A, [A, B, C], C),
    ],
)
def test_forms_of_servers(response: dict, came: float, listed: list[float], cap: float) -> None:
    top = top_logprobs_of(json.loads(json.dumps(response)), 1000)
    assert np.array_equal(top.token_log_probability, [came], equal_nan=True)
    assert top.log_probabilities.tolist() == [listed]
    assert top.cap.tolist() == [cap]


def test_an_echoed_prompt_begins_without_a_prediction(tmp_path: Path) -> None:
    logprobs = {
        "tokens": ["x", "a", "b"],
        "token_logprobs": [None, A, B],
        "top_logprobs": [None, {"a": A, "b": B}, {"a": A, "b": B, "c": C}],
    }
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"choices": [{"logprobs": logprobs}]}), encoding="utf-8")
    top = read_top_logprobs(path, 500)
    assert top.tokens == ("a", "b")
    assert top.log_probabilities[0].tolist() == [A, B, -np.inf]
    assert (len(top), top.vocabulary_size) == (2, 500)
    assert top.perplexity().lower == pytest.approx(np.exp(1.0), rel=2e-5)  # rounding: 1e-5
    with pytest.raises(RecordFileError, match="prompt"):
        read_top_logprobs(path, 500, part="prompt")


def test_a_response_with_both_parts_is_asked_which() -> None:
    both = chat(item("a", A), [item("a", A)]) | {
        "prompt_logprobs": prompt({1: B})["prompt_logprobs"]
    }
    with pytest.raises(RecordFileError, match='part="prompt" or part="completion"'):
        top_logprobs_of(both, 100)
    assert top_logprobs_of(both, 100, part="prompt").token_log_probability.tolist() == [B]
    assert top_logprobs_of(both, 100, part="completion").token_log_probability.tolist() == [A]


def test_tokens_that_are_parts_of_characters_may_read_the_same() -> None:
    broken = [{"token": "\ufffd", "logprob": p, "bytes": None} for p in (A, B)]
    assert top_logprobs_of(chat(broken[0], broken), 100).log_probabilities.tolist() == [[A, B]]
    told = [item("\ufffd", A) | {"bytes": [226]}, item("\ufffd", B) | {"bytes": [227]}]
    assert top_logprobs_of(chat(told[1], told), 100).token_log_probability.tolist() == [B]


@pytest.mark.parametrize(
    ("response", "says"),
    [
        ([], "JSON object"),
        ({}, "no log-probabilities"),
        ({"choices": []}, "no log-probabilities"),
        ({"choices": {}}, "no choice 0"),
        ({"choices": [3]}, "choice 0 is 3"),
        ({"choices": [{"logprobs": None}]}, "ask the server"),
        ({"choices": [{"logprobs": {"content": "abc"}}]}, "a list is needed"),
        ({"choices": [{"logprobs": {"content": [7]}}]}, "position 0 is 7"),
        (chat(item("a", A), [item("b", B), item("b", B)]), "'b' twice"),
        (chat(item("c", A), [item("a", B), item("b", C)]), "likelier than one it lists"),
        (chat(item("a", 0.5), []), "above 0"),
        (chat(item("a", True), []), "log-probability True"),
        (chat(item("a", "−1"), []), "a number is needed"),
        (chat({"token": 3, "logprob": A}, []), "a text is needed"),
        (chat(item("a", -0.1), [item("a", -0.1), item("b", -0.2)]), "sum to more than 1"),
        (chat(item("a", 10**400), []), "beyond any float"),
        (completion("a", None, {}), "no position"),
        (completion("a", A, {"a": None}), "log-probability None"),
        (
            {"choices": [{"logprobs": {"tokens": [], "token_logprobs": [A]}}]},
            "as many of each",
        ),
        (prompt({1: A}, prompt_token_ids=[2]), "does not list the token that came"),
        (prompt({1: A}, prompt_token_ids=[1, 2]), "2 prompt_token_ids for 1"),
        ({"prompt_logprobs": [3]}, "position 0 of the prompt is 3"),
    ],
)
def test_responses_that_are_none(response: object, says: str) -> None:
    with pytest.raises(RecordFileError, match=says) as caught:
        top_logprobs_of(response, 1000)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("\x80\x03c__main__", "cannot be read as JSON|JSON"),
        ('{"choices": [NaN]}', "NaN, which is no number"),
        ('{"choices": [-Infinity]}', "-Infinity, which is no number"),
        ('{"choices": [], "choices": []}', "'choices' twice"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ('{"choices": ' + "9" * 5000 + "}", "cannot be read as JSON"),
        (json.dumps(chat(item("a", A), [])).replace("-0.5", "-1e999"), "beyond any float"),
    ],
)
def test_hostile_files(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "dump.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordFileError, match=says) as caught:
        read_top_logprobs(path, 1000)
    assert "\n" not in str(caught.value)


def test_files_too_large_absent_or_not_text(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)  # a hole: takes no space
    with pytest.raises(RecordFileError, match="larger than 64 MB"):
        read_top_logprobs(path, 1000)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(RecordFileError, match="cannot be read as JSON"):
        read_top_logprobs(path, 1000)
    with pytest.raises(RecordFileError, match="no file"):
        read_top_logprobs(tmp_path / "none.json", 1000)
    with pytest.raises(RecordFileError, match="no file"):
        read_top_logprobs(tmp_path, 1000)


def test_a_table_of_one_long_row_is_refused() -> None:
    long = {str(i): {"logprob": -12.0} for i in range(5000)}
    response = {"prompt_logprobs": [None, *[{"1": {"logprob": -1.0}}] * 10_000, long]}
    with pytest.raises(RecordFileError, match="too large a table"):
        top_logprobs_of(response, 100_000)


def test_many_keys_with_one_twice_take_no_quadratic_time(tmp_path: Path) -> None:
    """At 10⁵ keys a search of the list for each would take 10¹⁰ comparisons: minutes."""
    path = tmp_path / "keys.json"
    keys = [f'"{i}": 0' for i in range(100_000)]
    path.write_text("{" + ", ".join([*keys, keys[-1]]) + "}")
    with pytest.raises(RecordFileError, match="twice"):
        read_top_logprobs(path, 10)


def test_hostile_tokens_do_nothing_in_messages() -> None:
    evil = "\x1b[2J\u202e<script>alert(1)</script>\r\n"
    twice = chat(item("a", A), [item(evil, B), item(evil, B)])
    for response in (twice, chat(item(evil, A), [item("a", B), item("b", C)])):
        with pytest.raises(RecordFileError) as caught:
            top_logprobs_of(response, 1000)
        assert str(caught.value).isprintable()
    fine = top_logprobs_of(chat(item(evil, A), [item(evil, A)]), 1000)
    assert fine.tokens == (evil,)  # data stay what they are; showing them is another matter
    assert repr(fine).isprintable()
