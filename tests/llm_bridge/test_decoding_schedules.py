"""Schedules: which β each token gets, from formulas, by hand and by what they aim at."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_bridge.decoding import (
    EDT,
    XTC,
    Candidates,
    Constant,
    Decoder,
    DynamicTemperature,
    EntropyFeedback,
    EntropyTarget,
    EveryNth,
    HotUntilSpike,
    MinP,
    Mirostat,
    PerToken,
    Schedule,
    Step,
    TopK,
)
from thermo.errors import InvalidInputError

INF = math.inf
EVEN = [0.0, 0.0]  # H = ln 2
SURE = [0.0, -INF]  # H = 0
SHARP = [0.0, -20.0]  # H = 4e-8


def betas(schedule: Schedule, rows: Sequence[Sequence[float]]) -> list[float]:
    """β of one token after another."""
    state, out = schedule.begin(), []
    for position, row in enumerate(rows):
        hash(state)
        beta, state = schedule.beta(state, Step(position, Candidates.of(row)))
        out.append(beta)
    return out


def test_constant() -> None:
    for value in (-INF, -2, -0.0, 0, 0.5, INF):
        assert betas(Constant(value), [EVEN] * 3) == [value] * 3
    assert math.copysign(1.0, Constant(-0.0).value) == -1.0


def test_per_token() -> None:
    rows = [EVEN] * 5
    assert betas(PerToken([1, -1, INF]), rows) == [1, -1, INF, INF, INF]
    assert betas(PerToken([1, -1], then="repeat"), rows) == [1, -1, 1, -1, 1]
    with pytest.raises(InvalidInputError, match="has 2 entries and token 3 is asked for"):
        betas(PerToken([1, -1], then="refuse"), rows)


def test_length() -> None:
    """How many tokens a schedule has a β for, through those that are built upon others."""
    two = PerToken([1, -1], then="refuse")
    assert two.length == 2
    assert PerToken([1, -1]).length is PerToken([1], then="repeat").length is None
    assert Constant(1.0).length is EntropyFeedback(1.0).length is None
    assert EveryNth(PerToken([1, 2, 3], then="refuse"), two, 5).length == 2
    assert EveryNth(1.0, -1.0, 5).length is None
    assert HotUntilSpike(EveryNth(1.0, two, 9), 1.0).length == 2


def test_every_nth() -> None:
    assert betas(EveryNth(1.0, -1.0, 3), [EVEN] * 7) == [1, 1, -1, 1, 1, -1, 1]
    assert betas(EveryNth(1.0, -1.0, 1), [EVEN] * 2) == [-1, -1]
    nested = EveryNth(EveryNth(1.0, 2.0, 2), PerToken([5, 6, 7, 8, 9, 10]), 3)
    assert betas(nested, [EVEN] * 6) == [1, 2, 7, 2, 1, 10]


def test_entropy_dependent_temperature() -> None:
    assert betas(EDT(2.0, 0.0), [EVEN, SURE]) == [2.0, 2.0]
    h = math.log(2)
    for beta0 in (1.5, -1.5):
        found = betas(EDT(beta0, 0.7), [EVEN, SURE, SHARP])
        assert found[0] == pytest.approx(beta0 / 0.8 ** (0.7 / h), rel=1e-12)
        assert found[1:] == [math.copysign(INF, beta0)] * 2
    assert betas(EDT(0.0, 1.0), [EVEN, SURE]) == [0.0, 0.0]


def test_dynamic_temperature() -> None:
    row = [math.log(p) for p in (0.5, 0.25, 0.25)]
    share = 1.5 * math.log(2) / math.log(3)
    found = betas(DynamicTemperature(0.2, 1.7, 2.0), [row, SURE, EVEN])
    assert 1 / found[0] == pytest.approx(0.2 + 1.5 * share**2, rel=1e-12)
    assert found[1:] == pytest.approx([5.0, 1 / 1.7])
    assert betas(DynamicTemperature(0.0, 1.0), [SURE]) == [INF]
    assert betas(DynamicTemperature(-0.0, -1.0), [SURE, EVEN]) == [-INF, -1.0]
    for one in ([TopK(2, acts_on="model")], TopK(2, acts_on="model")):
        among = DynamicTemperature(0.5, 2.0, among=one)
        assert betas(among, [[0.0, 0.0, -1.0]]) == [0.5]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-20, 20), min_size=2, max_size=30),
    st.floats(0.01, 0.99),
    st.sampled_from([1, -1]),
)
def test_entropy_target_is_met(row: list[float], share: float, sign: int) -> None:
    candidates = Candidates.of(row)
    lowest, highest = candidates.entropy(sign * INF), math.log(len(row))
    if highest - lowest < 1e-3 or max(row) - min(row) < 1e-3:
        return
    target = lowest + share * (highest - lowest)
    (beta,) = betas(EntropyTarget(target, sign), [row])
    assert math.copysign(1, beta) == sign
    if not math.isinf(beta):
        assert candidates.entropy(beta) == pytest.approx(target, abs=1e-9)


def test_entropy_target_beyond_what_is_possible() -> None:
    assert betas(EntropyTarget(5.0), [EVEN, SURE]) == [0.0, 0.0]
    assert betas(EntropyTarget(0.0), [SHARP]) == [INF]
    assert betas(EntropyTarget(0.1, -1), [[0.0, 0.0, 1.0]]) == [-INF]


def test_entropy_target_of_logits_whose_squares_overflow() -> None:
    (beta,) = betas(EntropyTarget(0.3), [[1e160, 0.0, -3000.0]])
    assert 0 < beta < INF
    assert Candidates.of([1e160, 0.0, -3000.0]).entropy(beta) == pytest.approx(0.3, abs=1e-9)


@pytest.mark.parametrize("start", [1.0, -1.0])
def test_entropy_feedback_reaches_the_mean(start: float) -> None:
    """The mean error of n tokens is |ln β_n/β_0|/(nη): no statistics needed."""
    rng = np.random.default_rng(20261123)
    rows = rng.normal(0, 3, (3000, 40)).tolist()
    schedule = EntropyFeedback(1.2, start)
    found = betas(schedule, rows)
    entropies = [Candidates.of(row).entropy(b) for row, b in zip(rows, found, strict=True)]
    assert all(b * start > 0 for b in found)
    drift = abs(math.log(found[-1] / found[0])) / (len(found) * schedule.gain)
    assert abs(np.mean(entropies) - 1.2) < drift + 2e-3
    assert drift < 0.02


def test_entropy_feedback_has_limits() -> None:
    found = betas(EntropyFeedback(0.3, -1.0, gain=0.5, limit=4.0), [SURE] * 60 + [EVEN] * 60)
    assert min(found) == found[-1] == -4.0
    assert max(found) == found[59] == -0.25


def test_hot_until_spike() -> None:
    calm = [[0.0, -2.0 - 0.1 * (i % 3)] for i in range(8)]
    schedule = HotUntilSpike(0.2, 2.0, memory=4)
    assert betas(schedule, [*calm, EVEN, *calm]) == [0.2] * 9 + [2.0] * 8
    # A spike before the mean is known is none.
    assert betas(schedule, [SHARP, EVEN, *calm[:3]]) == [0.2] * 5
    again = HotUntilSpike(0.2, 2.0, memory=4, rearm=3)
    assert betas(again, [*calm, EVEN, *calm]) == [0.2] * 9 + [2.0] * 3 + [0.2] * 5
    assert betas(again, [*calm, EVEN, *calm, EVEN, EVEN]) == [0.2] * 9 + [2.0] * 3 + [0.2] * 6 + [2]


def test_the_running_mean_of_a_spike() -> None:
    """The mean of all so far while they are few; then it forgets with the weight 1/memory."""
    schedule = HotUntilSpike(1.0, 1.0, sigmas=1e9, memory=3)
    values = [0.1, 0.5, 0.3, 0.9, 0.2]
    state = schedule.begin()
    for position, h in enumerate(values):
        step = Step(position, Candidates.of(EVEN))
        step.__dict__["entropy"] = h
        _, state = schedule.beta(state, step)
        if position < 3:
            seen = values[: position + 1]
            assert state.mean == pytest.approx(np.mean(seen))
            assert state.variance == pytest.approx(np.var(seen))
    assert state.mean == pytest.approx((0.3 * 2 / 3 + 0.3) * 2 / 3 + 0.2 / 3)


def test_schedules_compose() -> None:
    inner = HotUntilSpike(EDT(0.5, 0.1), EntropyTarget(0.1), memory=2)
    outer = EveryNth(inner, -1.0, 4)
    found = betas(outer, [[0.0, -1.0 - 0.1 * i] for i in range(8)])
    assert found[3] == found[7] == -1.0
    assert all(b > 0 for i, b in enumerate(found) if i % 4 != 3)
    assert outer == EveryNth(inner, -1.0, 4)
    assert hash(outer) == hash(copy.deepcopy(outer))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(math.nan),
        lambda: Constant([1.0, 2.0]),  # type: ignore[arg-type]
        lambda: PerToken([]),
        lambda: PerToken("12"),  # type: ignore[arg-type]
        lambda: PerToken([1.0, math.nan]),
        lambda: PerToken([1.0], then="stop"),
        lambda: EveryNth(1.0, -1.0, 0),
        lambda: EDT(INF, 1.0),
        lambda: EDT(1.0, -1.0),
        lambda: EDT(1.0, 1.0, base=1.2),
        lambda: DynamicTemperature(-1.0, 1.0),
        lambda: DynamicTemperature(0.0, -1.0),
        lambda: DynamicTemperature(0.5, 1.0, exponent=0.0),
        lambda: DynamicTemperature(0.5, 1.0, among=[TopK(2, acts_on="decoded")]),
        lambda: DynamicTemperature(0.5, 1.0, among=[Mirostat(2.0, acts_on="model")]),
        lambda: EntropyTarget(-0.1),
        lambda: EntropyTarget(1.0, sign=0),
        lambda: EntropyFeedback(1.0, start=0.0),
        lambda: EntropyFeedback(1.0, start=200.0),
        lambda: EntropyFeedback(1.0, gain=-1.0),
        lambda: HotUntilSpike(0.5, 1.0, memory=1),
        lambda: HotUntilSpike(0.5, 1.0, rearm=0),
    ],
)
def test_bad_settings(make: Callable[[], Schedule]) -> None:
    with pytest.raises(InvalidInputError):
        make()


# --- a run ---------------------------------------------------------------------------------------


def test_a_run_moves_on_only_when_a_token_is_observed() -> None:
    rng = np.random.default_rng(20261124)
    rows = rng.normal(0, 2, (30, 20))
    decoder = Decoder(
        EntropyFeedback(1.0, -1.0, gain=0.3),
        [XTC(0.1, 0.5, acts_on="model"), Mirostat(3.0, acts_on="decoded")],
    )
    once, often = decoder.begin(5), decoder.begin(5)
    for row in rows:
        for _ in range(3):
            often.distribution(row[::-1].copy())
        first, second = once.distribution(row), often.distribution(row)
        assert first.log_probabilities.equal(second.log_probabilities)
        token = once.draw(first)
        assert often.draw(second) == token
        once.observe(token)
        often.observe(token)
    assert len(once.tokens) == 30


def test_a_run_can_be_copied() -> None:
    rows = np.random.default_rng(20261125).normal(0, 2, (20, 20))
    run = Decoder(HotUntilSpike(0.3, 3.0, memory=4), [Mirostat(3.0, acts_on="model")]).begin(1)

    def go_on(run, rows) -> list[int]:
        for row in rows:
            run.observe(run.draw(run.distribution(row)))
        return list(run.tokens)

    go_on(run, rows[:10])
    twin = run.copy()
    assert go_on(twin, rows[10:]) == go_on(run, rows[10:])
    assert len(twin.tokens) == 20


def test_seeds() -> None:
    def texts(seed) -> list[int]:
        run = Decoder(0.0).begin(seed)
        decoded = run.distribution([0.0] * 1000)
        return [run.draw(decoded) for _ in range(5)]

    parent = np.random.SeedSequence(3)
    child = parent.spawn(1)[0]
    assert texts(3) == texts(3) == texts(np.random.SeedSequence(3))
    assert texts(child) == texts(child)
    assert len({tuple(texts(s)) for s in (3, 4, child, *parent.spawn(5))}) == 8
    with pytest.raises(InvalidInputError, match="seed = -1"):
        texts(-1)


def test_what_a_decoder_refuses() -> None:
    for wrong in ([TopK], 5, None, "top-k"):
        with pytest.raises(InvalidInputError, match="a Filter or a list of them is accepted"):
            Decoder(1.0, wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="excludes every token"):
        Decoder(1.0, valid=[False, False])
    with pytest.raises(InvalidInputError, match="valid has shape"):
        Decoder(1.0, valid=[1.0, 0.0])
    run = Decoder(1.0, MinP(0.1, acts_on="model"), valid=[True, False]).begin(0)
    with pytest.raises(InvalidInputError, match="of the 3 tokens"):
        run.distribution([0.0, 1.0, 2.0])
    with pytest.raises(InvalidInputError, match="one row"):
        run.distribution(np.zeros((2, 2)))


def test_what_decoded_says() -> None:
    row = [math.log(p) for p in (0.5, 0.3, 0.2)]
    decoded = Decoder(-1.0, TopK(2, acts_on="model")).begin(0).distribution([*row, -INF])
    assert decoded.beta == -1.0
    assert math.exp(decoded.log_probability(0)) == pytest.approx(3 / 8)  # 1/0.5 : 1/0.3 = 3 : 5
    assert decoded.log_probability(2) == -INF
    assert math.exp(decoded.model_log_probability(2)) == pytest.approx(0.2)
    assert decoded.entropy == pytest.approx(-sum(p * math.log(p) for p in (3 / 8, 5 / 8)))
    assert decoded.model_entropy == pytest.approx(-sum(p * math.log(p) for p in (0.5, 0.3, 0.2)))
