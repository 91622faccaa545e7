"""The fourteen traps of a sampler at signed temperature, one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from llm_bridge.decoding import (
    Candidates,
    Decoder,
    TopK,
    Typical,
    generate,
    sample,
    signed_log_probabilities,
)
from thermo.errors import InvalidInputError
from thermo.temperature import beta_from_temperature

INF = math.inf
BETAS = [-INF, -2.0, -0.5, -0.0, 0.0, 0.5, 1.0, INF]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
ROW = [3.0, -1.5, 0.25, 3.0, -1.5, 2.0]  # exact in every dtype, with ties at both ends

every_beta = pytest.mark.parametrize("beta", BETAS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def exact(row: list[float], beta: float, allowed: set[int] | None = None) -> list[float]:
    """p ∝ exp(βz) over the allowed tokens, summed the slow way."""
    ids = sorted(range(len(row)) if allowed is None else allowed)
    if math.isinf(beta):
        end = (max if beta > 0 else min)(row[i] for i in ids)
        weights = {i: float(row[i] == end) for i in ids}
    else:
        end = max(beta * row[i] for i in ids)
        weights = {i: math.exp(beta * row[i] - end) for i in ids}
    total = math.fsum(weights.values())
    return [weights.get(i, 0.0) / total for i in range(len(row))]


def close(logits: torch.Tensor, beta: float, wanted: list[float], **settings: object) -> None:
    log_p = signed_log_probabilities(logits, beta, **settings)
    assert log_p.dtype == torch.float64
    assert not log_p.isnan().any()
    np.testing.assert_allclose(log_p.exp().numpy(), wanted, rtol=1e-12, atol=1e-300)


@every_dtype
@every_beta
def test_the_distribution_without_traps(beta: float, dtype: torch.dtype) -> None:
    close(torch.tensor(ROW, dtype=dtype), beta, exact(ROW, beta))


@every_dtype
@every_beta
def test_1_masks_of_minus_infinity_stay_masks(beta: float, dtype: torch.dtype) -> None:
    masked = [*ROW, -INF, -INF]
    close(torch.tensor(masked, dtype=dtype), beta, [*exact(ROW, beta), 0.0, 0.0])


@every_dtype
@every_beta
def test_2_the_lowest_number_of_a_dtype_is_a_mask(beta: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([*ROW, 0.0], dtype=dtype)
    logits[-1] = torch.finfo(dtype).min
    close(logits, beta, [*exact(ROW, beta), 0.0])
    if dtype is not torch.float16:  # the lowest number of a type it came through
        logits[-1] = torch.finfo(torch.float16).min
        close(logits, beta, [*exact(ROW, beta), 0.0])


@every_dtype
@every_beta
def test_3_nothing_overflows(beta: float, dtype: torch.dtype) -> None:
    high = [60000.0, 59904.0, -30000.0]
    values = torch.tensor(high, dtype=dtype).double().tolist()  # bfloat16 rounds them
    close(torch.tensor(high, dtype=dtype), beta, exact(values, beta))
    close(torch.tensor([1000.0, 999.0, 998.0], dtype=torch.float64), beta, exact([2, 1, 0], beta))


@every_dtype
@pytest.mark.parametrize("beta", [0, 0.0, -0.0, np.float32(0), np.int64(0)])
def test_4_beta_zero_is_uniform_over_what_is_open(beta: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([5.0, -INF, -20.0, 1.0], dtype=dtype)
    close(logits, beta, [1 / 3, 0.0, 1 / 3, 1 / 3])


def test_5_penalties_come_before_beta_and_change_their_meaning_below_zero() -> None:
    """As documented: a penalty makes a token likelier at β < 0, and a ban needs a mask."""
    logits = torch.tensor([2.0, 1.0, 0.0])
    penalised, banned = logits - torch.tensor([1.0, 0, 0]), logits - torch.tensor([100.0, 0, 0])
    for beta, sign in ((1.0, -1), (-1.0, +1)):
        before, after = (signed_log_probabilities(z, beta)[0] for z in (logits, penalised))
        assert sign * (after - before) > 0
    assert signed_log_probabilities(banned, -1.0).argmax() == 0
    mask = torch.tensor([False, True, True])
    assert signed_log_probabilities(banned, -1.0, mask)[0] == -INF
    decoded = Decoder(-1.0, valid=mask).begin(0).distribution(banned)
    assert decoded.log_probability(0) == -INF


def test_6_filters_say_which_distribution_they_mean() -> None:
    with pytest.raises(TypeError, match="acts_on"):
        TopK(2)  # type: ignore[call-arg]
    with pytest.raises(InvalidInputError, match="acts_on = 'both'"):
        TopK(2, acts_on="both")
    row = Candidates.of([3.0, 2.0, 1.0, 0.0])
    model, decoded = (TopK(1, acts_on=a).apply(row, -1.0) for a in ("model", "decoded"))
    assert model.open.tolist() == [True, False, False, False]
    assert decoded.open.tolist() == [False, False, False, True]


@every_beta
def test_7_padded_rows_may_hold_anything(beta: float) -> None:
    for rubbish in (math.nan, INF, -INF, -1e9, 1e9, 0.0):
        logits = torch.tensor([*ROW, rubbish])
        mask = [True] * len(ROW) + [False]
        close(logits, beta, [*exact(ROW, beta), 0.0], valid=mask)
        drawn = sample(logits.expand(500, -1), beta, generator=np.random.default_rng(7), valid=mask)
        assert int(drawn.max()) < len(ROW)


@pytest.mark.parametrize(("beta", "tied"), [(INF, [0, 3]), (-INF, [1, 4])])
def test_8_ties_are_spread_or_go_to_the_lowest_id(beta: float, tied: list[int]) -> None:
    log_p = signed_log_probabilities(ROW, beta)
    assert log_p.exp().nonzero()[:, 0].tolist() == tied
    assert log_p[tied].tolist() == [-math.log(2)] * 2
    lowest = signed_log_probabilities(ROW, beta, ties="lowest")
    assert lowest.exp().tolist() == [float(i == tied[0]) for i in range(len(ROW))]
    masked = signed_log_probabilities(ROW, beta, [i != tied[0] for i in range(6)], ties="lowest")
    assert int(masked.argmax()) == tied[1]
    rows = torch.tensor(ROW).expand(2000, -1)
    drawn = sample(rows, beta, generator=np.random.default_rng(8))
    assert sorted(set(drawn.tolist())) == tied
    with pytest.raises(InvalidInputError, match="ties = 'random'"):
        signed_log_probabilities(ROW, beta, ties="random")


def test_9_small_probabilities_keep_their_logarithm() -> None:
    """float32 probabilities end at e⁻¹⁰³; log(softmax) would say −∞ from there on."""
    logits = torch.tensor([0.0, -300.0, -1000.0])
    assert signed_log_probabilities(logits, 1.0).tolist() == [0.0, -300.0, -1000.0]
    assert signed_log_probabilities(logits, -1.0).tolist() == [-1000.0, -700.0, 0.0]
    assert torch.softmax(logits, 0).log()[1:].isneginf().all()  # the trap is real
    assert math.isclose(Candidates.of([0.0, -20.0]).entropy(), 21 * math.exp(-20), rel_tol=1e-7)


def test_10_the_two_limits_of_zero_temperature() -> None:
    row = [0.0, 2.0, -1.0]
    for temperature, winner in ((0.0, 1), (0, 1), (-0.0, 2)):
        beta = beta_from_temperature(temperature)
        assert sample(row, beta, generator=np.random.default_rng(0)) == winner
    for temperature in (INF, -INF):
        close(torch.tensor(row), float(beta_from_temperature(temperature)), [1 / 3] * 3)
    for integer in (1, -1, np.int32(-1), torch.tensor(-1)):
        close(torch.tensor(row), integer, exact(row, float(integer)))  # type: ignore[arg-type]
    for wrong in (math.nan, "hot", 1j, None):
        with pytest.raises(InvalidInputError):
            signed_log_probabilities(row, wrong)  # type: ignore[arg-type]


@every_dtype
@every_beta
def test_11_nan_and_infinity_are_reported_with_their_place(beta: float, dtype: torch.dtype) -> None:
    rows = torch.tensor([ROW] * 4, dtype=dtype)
    for value, name in ((math.nan, "nan"), (INF, r"\+inf")):
        broken = rows.clone()
        broken[2, 4] = value
        with pytest.raises(InvalidInputError, match=f"hold {name} at position 2, token 4"):
            signed_log_probabilities(broken, beta)
        with pytest.raises(InvalidInputError, match=f"hold {name}, token 4"):
            sample(broken[2], beta, generator=np.random.default_rng(0))
    broken = rows.clone()
    broken[1] = -INF
    with pytest.raises(InvalidInputError, match="every token is masked at position 1"):
        signed_log_probabilities(broken, beta)


def test_12_a_drawn_token_is_the_next_input(model) -> None:
    """Autoregressive statistics are of texts drawn at this β, not of the model's own text."""
    prompt = model.encode("def energy(").tolist()
    tokens = list(generate(model, prompt, -INF, max_tokens=6, seed=1, stop_at_end=False))
    ids = prompt + [token.id for token in tokens]
    read = model.logits(ids)
    for place, token in enumerate(tokens, start=len(prompt) - 1):
        row = np.where(model.valid, read[place], INF)
        assert row[token.id] == pytest.approx(row.min(), abs=1e-4)
        own = signed_log_probabilities(read[place], 1.0, model.valid)[token.id]
        assert token.model_log_probability == pytest.approx(float(own), abs=1e-4)


def test_13_the_score_of_the_model_is_not_the_score_of_the_decoder() -> None:
    """What beam search would add up: at β < 0 the two order the tokens the other way round."""
    decoded = Decoder(-1.0).begin(0).distribution([2.0, 1.0, 0.0])
    ours = [decoded.log_probability(i) for i in range(3)]
    models = [decoded.model_log_probability(i) for i in range(3)]
    assert ours == sorted(ours)
    assert models == sorted(models, reverse=True)


def test_14_bfloat16_information_in_float32_has_ties() -> None:
    """Rounding to bfloat16 makes ties of near ones; they survive the way through float32."""
    z = torch.tensor([8.0, 8.01, 7.0, -8.0, -8.01], dtype=torch.float32)
    rounded = z.bfloat16().float()
    for beta, sharp, blunt in ((INF, [1], [0, 1]), (-INF, [4], [3, 4])):
        for row, winners in ((z, sharp), (rounded, blunt)):
            log_p = signed_log_probabilities(row, beta)
            assert log_p.exp().nonzero()[:, 0].tolist() == winners


@every_beta
def test_a_constant_added_to_all_logits_changes_nothing(beta: float) -> None:
    rows = torch.tensor([ROW, [z + 64.0 for z in ROW], [z - 1024.0 for z in ROW]])
    log_p = signed_log_probabilities(rows, beta)
    assert (log_p == log_p[0]).all()


def test_one_beta_per_row() -> None:
    log_p = signed_log_probabilities([ROW] * len(BETAS), BETAS)
    for row, beta in zip(log_p, BETAS, strict=True):
        np.testing.assert_allclose(row.exp(), exact(ROW, beta), rtol=1e-12)
    with pytest.raises(InvalidInputError, match=r"beta has shape \(3,\)"):
        signed_log_probabilities([ROW] * 2, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("logits", "settings"),
    [
        ([], {}),
        (1.0, {}),
        ("text", {}),
        (torch.tensor([True, False]), {}),
        (torch.tensor([1j, 2.0]), {}),
        (torch.zeros(2).to(torch.float8_e4m3fn), {}),
        (np.ma.array([1.0, 2.0], mask=[False, True]), {}),
        (ROW, {"valid": [True]}),
        (ROW, {"valid": [1] * 6}),
        (ROW, {"valid": [False] * 6}),
    ],
)
def test_other_bad_input(logits: object, settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        signed_log_probabilities(logits, 1.0, **settings)


def test_beta_may_be_a_parameter_of_torch() -> None:
    found = signed_log_probabilities(ROW, torch.nn.Parameter(torch.tensor(-1.0)))
    assert torch.equal(found, signed_log_probabilities(ROW, -1.0))


def test_inputs_are_left_alone() -> None:
    logits = torch.tensor([1.0, -INF, 2.0], dtype=torch.float64, requires_grad=True)
    before = logits.detach().clone()
    log_p = signed_log_probabilities(logits, -1.0)
    run = Decoder(-1.0, [Typical(0.5, acts_on="model")]).begin(1)
    run.draw(run.distribution(logits.detach()))
    assert (logits == before).all()
    assert not log_p.requires_grad
