"""Signed temperature through ``model.generate``: exact distributions, states per row, refusals.

Statistical tests have fixed seeds and fail at p < 5e-8 (`goodness_of_fit.P_LIMIT`), which a right
sampler does at most once in 10⁶ seeds; there are about a dozen here.
"""

from __future__ import annotations

import math

import level_model
import numpy as np
import pytest
import torch
import transformers
from goodness_of_fit import P_LIMIT, counts_p
from level_model import LEAST, MOST, VOCABULARY
from transformers.generation import logits_process
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessorList,
)

from llm_bridge import SignedTemperatureProcessor
from llm_bridge.decoding import (
    XTC,
    Decoder,
    EntropyFeedback,
    EveryNth,
    HotUntilSpike,
    Mirostat,
    PerToken,
    TopK,
)
from thermo.errors import InvalidInputError

INF = math.inf
ROWS = 2000


@pytest.fixture(scope="module")
def levels():
    return level_model.build()


def new_tokens(model, settings: dict, *, rows: int, count: int = 1, seed: int = 20261121, **more):
    torch.manual_seed(seed)
    prompt = torch.full((rows, 3), 7)
    mask = torch.ones_like(prompt)
    with torch.no_grad():
        ids = model.generate(
            prompt, attention_mask=mask, max_new_tokens=count, **{**settings, **more}
        )
    return ids[:, 3:].numpy()


def p_value(ids: np.ndarray, beta: float, valid: np.ndarray | None = None) -> float:
    counts = np.bincount(ids.ravel(), minlength=VOCABULARY)
    return counts_p(counts, level_model.probabilities(beta, valid))


# ------------------------------------------------------------------------------------------------
# the distribution


@pytest.mark.parametrize("beta", [-INF, -1.0, 0.0, -0.0, 2.0, INF])
def test_tokens_follow_the_exact_distribution(levels, beta: float) -> None:
    processor = SignedTemperatureProcessor(beta)
    ids = new_tokens(levels, processor.settings(), rows=ROWS, count=2)
    assert p_value(ids[:, 0], beta) > P_LIMIT
    assert p_value(ids[:, 1], beta) > P_LIMIT


def test_tokens_with_a_mask(levels) -> None:
    valid = np.arange(VOCABULARY) % 2 == 1
    processor = SignedTemperatureProcessor(Decoder(-1.0, valid=valid))
    ids = new_tokens(levels, processor.settings(), rows=ROWS)
    assert p_value(ids, -1.0, valid) > P_LIMIT


def test_bans_of_transformers_stay(levels) -> None:
    """suppress_tokens arrive as −inf; times β < 0 they would be all that is drawn."""
    banned = [*LEAST, 5]
    valid = ~np.isin(np.arange(VOCABULARY), banned)
    processor = SignedTemperatureProcessor(-2.0)
    ids = new_tokens(levels, processor.settings(), rows=ROWS, suppress_tokens=banned)
    assert p_value(ids, -2.0, valid) > P_LIMIT


def test_negative_control_the_default_top_k(levels) -> None:
    """What happens without the settings: of 64 tokens that are almost alike, 50 are left."""
    settings = SignedTemperatureProcessor(-0.1).settings() | {"top_k": 50}
    assert p_value(new_tokens(levels, settings, rows=ROWS), -0.1) < P_LIMIT


def test_negative_control_temperature_of_the_engine(levels) -> None:
    settings = SignedTemperatureProcessor(-1.0).settings() | {"temperature": 0.7}
    assert p_value(new_tokens(levels, settings, rows=ROWS), -1.0) < P_LIMIT


def test_transformers_itself_refuses(levels) -> None:
    with pytest.raises(ValueError, match="strictly positive"):
        new_tokens(levels, {"do_sample": True, "temperature": -1.0}, rows=1)


def test_a_real_model(model) -> None:
    """The tiny random Llama: one step against the logits read from it."""
    prompt = torch.tensor([model.encode("def energy(spins):").tolist()])
    with torch.no_grad():
        z = model.torch_module(input_ids=prompt).logits[0, -1].double().numpy()
    decoder = Decoder(-0.3, valid=model.valid)
    torch.manual_seed(20261121)
    ids = model.torch_module.generate(
        prompt.expand(ROWS, -1),
        attention_mask=torch.ones(ROWS, prompt.shape[1], dtype=torch.long),
        pad_token_id=0,
        max_new_tokens=1,
        **SignedTemperatureProcessor(decoder).settings(),
    )[:, -1]
    order = np.argsort(z)  # neighbours share cells
    counts = np.bincount(ids.numpy(), minlength=len(z))[order]
    p = level_model.probabilities(-0.3, model.valid, z)[order]
    assert counts_p(counts, p) > P_LIMIT


# ------------------------------------------------------------------------------------------------
# schedules and filters, row by row


def test_every_nth_in_a_batch(levels) -> None:
    processor = SignedTemperatureProcessor(EveryNth(INF, -INF, 3))
    ids = new_tokens(levels, processor.settings(), rows=4, count=7)
    assert np.isin(ids[:, [2, 5]], LEAST).all()
    assert np.isin(ids[:, [0, 1, 3, 4, 6]], MOST).all()


def test_a_processor_serves_text_after_text(levels) -> None:
    processor = SignedTemperatureProcessor(PerToken([INF, -INF]))
    for rows in (2, 2, 3):
        ids = new_tokens(levels, processor.settings(), rows=rows, count=2)
        assert np.isin(ids[:, 0], MOST).all()
        assert np.isin(ids[:, 1], LEAST).all()


def test_top_k_of_the_model_and_of_the_decoded(levels) -> None:
    for acts_on, allowed in (("model", MOST), ("decoded", LEAST)):
        processor = SignedTemperatureProcessor(Decoder(-1.0, TopK(2, acts_on=acts_on)))
        ids = new_tokens(levels, processor.settings(), rows=50)
        assert np.isin(ids, allowed).all()


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(EntropyFeedback(3.0)),
        Decoder(HotUntilSpike(0.2, 1.5)),
        Decoder(0.7, Mirostat(4.0, acts_on="model")),
        Decoder(1.0, XTC(0.02, 0.5, acts_on="model")),
    ],
    ids=["feedback", "spike", "mirostat", "xtc"],
)
def test_every_row_is_its_own_text(model, decoder: Decoder) -> None:
    """Each row of a batch gets what a `DecoderRun` of its own gets from the same logits."""
    processor = SignedTemperatureProcessor(decoder, seed=5)
    torch.manual_seed(1)
    prompt = torch.tensor([model.encode("def energy(").tolist()] * 3)
    out = model.torch_module.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        pad_token_id=0,
        max_new_tokens=8,
        min_new_tokens=8,
        output_logits=True,
        output_scores=True,
        return_dict_in_generate=True,
        **processor.settings(),
    )
    seeds = np.random.SeedSequence(5).spawn(3)
    end = 0  # min_new_tokens bans the end of text before our processor sees the logits
    for row, seed in enumerate(seeds):
        run = decoder.begin(seed)
        for place in range(8):
            logits = out.logits[place][row].clone()
            logits[end] = -INF
            decoded = run.distribution(logits)
            given = out.scores[place][row]
            torch.testing.assert_close(given, decoded.log_probabilities.float())
            run.observe(int(out.sequences[row, prompt.shape[1] + place]))


# ------------------------------------------------------------------------------------------------
# the call itself


@pytest.mark.parametrize("decoder", [-1.0, EveryNth(1.0, -1.0, 2)], ids=["constant", "schedule"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_scores_are_not_written_to_and_keep_their_type(decoder, dtype: torch.dtype) -> None:
    scores = torch.tensor([[2.0, -INF, 1.0, torch.finfo(dtype).min]], dtype=dtype)
    before = scores.clone()
    processor = SignedTemperatureProcessor(decoder)
    ids = torch.tensor([[1]])
    processor(ids, scores)
    out = processor(torch.tensor([[1, 2]]), scores)
    assert torch.equal(scores, before)
    assert out.dtype == dtype
    assert out[0, [1, 3]].tolist() == [-INF, -INF]
    assert out[0, 2] > out[0, 0]


def test_output_logits_are_the_models(levels) -> None:
    settings = SignedTemperatureProcessor(-1.0).settings()
    torch.manual_seed(1)
    out = levels.generate(
        torch.full((1, 3), 7),
        attention_mask=torch.ones(1, 3, dtype=torch.long),
        max_new_tokens=2,
        output_logits=True,
        return_dict_in_generate=True,
        **settings,
    )
    for logits in out.logits:
        np.testing.assert_allclose(logits[0].numpy(), level_model.LOGITS, atol=1e-5)


def test_continuous_batching_keeps_a_constant_beta() -> None:
    """The list that continuous batching makes of processors, called in its shapes."""
    processor = SignedTemperatureProcessor(-1.0)
    kept = ContinuousBatchingLogitsProcessorList(
        transformers.LogitsProcessorList([processor]), per_request_processors=True
    )
    out = kept(torch.tensor([4, 9]), torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.zeros(0))
    torch.testing.assert_close(out.exp(), torch.tensor([[-2.0, -1.0], [0.0, -3.0]]).softmax(-1))


def test_continuous_batching_gets_no_schedule() -> None:
    processor = SignedTemperatureProcessor(EveryNth(1.0, -1.0, 2))
    assert not processor.supports_continuous_batching
    with pytest.raises(InvalidInputError, match="constant β"):
        processor(torch.tensor([4, 9]), torch.zeros(2, 5))


def test_forced_tokens(levels) -> None:
    settings = SignedTemperatureProcessor(-1.0).settings()
    ids = new_tokens(levels, settings, rows=2, count=3, forced_eos_token_id=9)
    assert (ids[:, -1] == 9).all()


def test_settings_switch_off_every_filter_of_a_generation_config(levels) -> None:
    """Each of transformers' warpers is on by itself, off beside the settings, and none is new."""
    on = {
        "TemperatureLogitsWarper": {"temperature": 0.5},
        "TopKLogitsWarper": {"top_k": 3},
        "TopPLogitsWarper": {"top_p": 0.5},
        "MinPLogitsWarper": {"min_p": 0.5},
        "TopHLogitsWarper": {"top_h": 0.3},
        "TypicalLogitsWarper": {"typical_p": 0.5},
        "EpsilonLogitsWarper": {"epsilon_cutoff": 0.02},
        "EtaLogitsWarper": {"eta_cutoff": 0.02},
        "WatermarkLogitsProcessor": {"watermarking_config": {"bias": 9.0}},
    }
    known = {name for name in dir(logits_process) if name.endswith("LogitsWarper")}
    assert known == set(on) - {"WatermarkLogitsProcessor"}
    nothing = {"top_k": 0}
    for name, field in on.items():
        config = transformers.GenerationConfig(do_sample=True, **nothing | field)
        assert name in processors_of(levels, config)
        settings = SignedTemperatureProcessor(-1.0).settings()
        assert processors_of(levels, config, **settings) == ["SignedTemperatureProcessor"], name


def processors_of(levels, config, **settings) -> list[str]:
    """The processors that generate makes of a model's configuration and arguments, in order."""
    made = []

    class Seen(Exception):
        pass

    def show(*_, logits_processor, **__):
        made.extend(type(item).__name__ for item in logits_processor)
        raise Seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "generation_config", config)
        patch.setattr(type(levels), "_sample", show)
        with pytest.raises(Seen):
            levels.generate(torch.full((1, 3), 7), max_new_tokens=1, **settings)
    return made


@pytest.mark.parametrize("scale", [1.5, 3.0])
def test_guidance_comes_before_beta(levels, scale: float) -> None:
    """Of a model that predicts the same everywhere, guidance leaves ln p as it is."""
    processor = SignedTemperatureProcessor(-1.0)
    ids = new_tokens(levels, processor.settings(), rows=ROWS, guidance_scale=scale)
    assert p_value(ids, -1.0) > P_LIMIT


@pytest.mark.parametrize("beta", [-1.0, 2.0])
def test_beam_search_finds_the_likeliest_text_at_beta(model, beta: float) -> None:
    """With a beam for every token nothing is lost over two tokens: compare all pairs."""
    module, size = model.torch_module, model.torch_module.config.vocab_size
    prompt = torch.tensor([model.encode("def energy(").tolist()])
    settings = SignedTemperatureProcessor(beta).settings()
    settings |= {"num_beams": size, "do_sample": False, "num_return_sequences": 3}
    found = module.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        pad_token_id=0,
        eos_token_id=None,
        max_new_tokens=2,
        length_penalty=0.0,
        output_scores=True,
        return_dict_in_generate=True,
        **settings,
    )
    with torch.no_grad():
        first = module(prompt).logits[0, -1].double()
        after = torch.cat([prompt.expand(size, -1), torch.arange(size)[:, None]], 1)
        second = module(after).logits[:, -1].double()
    pairs = (beta * first).log_softmax(-1)[:, None] + (beta * second).log_softmax(-1)
    best = pairs.ravel().topk(3)
    torch.testing.assert_close(found.sequences_scores.double(), best.values, rtol=1e-4, atol=1e-4)
    drawn = found.sequences[0, -2] * size + found.sequences[0, -1]
    assert pairs.ravel()[drawn] > best.values[0] - 1e-4


# ------------------------------------------------------------------------------------------------
# one processor, several texts


LEVELS = torch.tensor([2.0, 1.0, 0.0])


def places(processor, *rows: list[int]) -> list[int]:
    """The places that a list β = 0, 1, 2, … says these rows have in their texts."""
    log_p = processor(torch.tensor(rows), LEVELS.expand(len(rows), -1))
    return (log_p[:, 0] - log_p[:, 1]).round().int().tolist()


@pytest.fixture
def counting():
    return SignedTemperatureProcessor(PerToken([0.0, 1.0, 2.0, 3.0, 4.0], then="refuse"))


def test_the_same_prompt_again(counting) -> None:
    for _ in range(2):
        assert places(counting, [5, 6]) == [0]
        assert places(counting, [5, 6, 1]) == [1]
        assert places(counting, [5, 6, 1, 1]) == [2]
    assert places(counting, [5]) == [0]  # and its beginning
    assert places(counting, [9, 6, 1]) == [0]  # and another one


@pytest.mark.parametrize("prompt", [[5, 6, 1], [5, 6, 1, 1], [5, 6, 1, 9, 9], [5, 6, 8, 8, 8]])
def test_a_prompt_that_begins_with_the_last_one(counting, prompt: list[int]) -> None:
    """The text so far, one token more, several more, and the prompt gone on in another way."""
    for begin in (counting.settings, counting.reset):
        assert places(counting, [5, 6]) == [0]
        assert places(counting, [5, 6, 1]) == [1]
        begin()
        assert places(counting, prompt) == [0]
        assert places(counting, [*prompt, 1]) == [1]
        begin()


@pytest.mark.parametrize("prompt", [[5, 6, 1], [5, 6, 1, 9, 9], [5, 6, 8, 8], [5, 6, 8]])
def test_without_a_reset_it_is_refused(counting, prompt: list[int]) -> None:
    assert places(counting, [5, 6]) == [0]
    assert places(counting, [5, 6, 1]) == [1]
    with pytest.raises(InvalidInputError, match=r"reset\(\)"):
        places(counting, prompt)


def test_the_one_case_that_ids_do_not_tell(counting) -> None:
    """The text so far and one token more is that text going on: documented, not refused."""
    assert places(counting, [5, 6]) == [0]
    assert places(counting, [5, 6, 1]) == [1]


def test_rows_of_a_batch_advance_together(counting) -> None:
    assert places(counting, [5, 6], [7, 8]) == [0, 0]
    assert places(counting, [5, 6, 1], [7, 8, 1]) == [1, 1]
    # Alone the first row would look like its old text going on.
    assert places(counting, [5, 6, 1, 1], [3, 3, 3, 3]) == [0, 0]
    assert places(counting, [5, 6, 1, 1, 0], [3, 3, 3, 3, 0]) == [1, 1]
    assert places(counting, [5], [6], [7]) == [0, 0, 0]


def test_generate_goes_on_from_its_own_text(levels) -> None:
    """Text after text in a conversation: each begins the list of β anew."""
    processor = SignedTemperatureProcessor(PerToken([INF, -INF]))
    ids = torch.full((1, 3), 7)
    for count in (1, 2, 1, 1):
        torch.manual_seed(1)
        mask = torch.ones_like(ids)
        ids = levels.generate(
            ids, attention_mask=mask, max_new_tokens=count, **processor.settings()
        )
        new = ids[0, -count:].tolist()
        assert new[0] in MOST
        assert set(new[1:]) <= set(LEAST)


@pytest.mark.parametrize("how", ["assistant", "lookup"])
def test_assisted_decoding_with_a_schedule_is_refused(levels, how: str) -> None:
    settings = SignedTemperatureProcessor(EveryNth(1.0, -1.0, 3)).settings()
    more = {"assistant_model": levels} if how == "assistant" else {"prompt_lookup_num_tokens": 2}
    prompt = torch.tensor([[7, 8, 9, 7, 8, 9]])
    with pytest.raises(TypeError, match="multiple values"):
        levels.generate(prompt, max_new_tokens=40, **settings, **more)
    torch.manual_seed(1)
    with pytest.raises(InvalidInputError, match="out of order"):  # at the first draft turned down
        levels.generate(prompt, max_new_tokens=40, **settings | more)


def test_assisted_decoding_at_constant_beta(levels) -> None:
    settings = SignedTemperatureProcessor(-1.0).settings()
    torch.manual_seed(20261121)
    prompt = torch.tensor([[7, 8, 9, 7, 8, 9]])
    ids = levels.generate(prompt, max_new_tokens=ROWS, prompt_lookup_num_tokens=2, **settings)
    assert p_value(ids[0, 6:].numpy(), -1.0) > P_LIMIT


# ------------------------------------------------------------------------------------------------
# refusals


def test_a_schedule_is_not_asked_out_of_order() -> None:
    processor = SignedTemperatureProcessor(EveryNth(1.0, -1.0, 2))
    scores = torch.tensor([[2.0, 1.0, 0.0]])
    for ids in ([5, 6], [5, 6, 1], [5, 6, 1, 2]):
        processor(torch.tensor([ids]), scores)
    # back, elsewhere, two at once, again
    for ids in ([5, 6, 1], [5, 6, 0, 2, 1], [5, 6, 1, 2, 0, 0], [5, 6, 1, 2]):
        with pytest.raises(InvalidInputError, match="out of order"):
            processor(torch.tensor([ids]), scores)
    processor(torch.tensor([[5, 6]]), scores)  # the prompt again
    processor(torch.tensor([[9, 9, 9]]), scores)  # another one
    with pytest.raises(InvalidInputError, match="out of order"):
        processor(torch.tensor([[5, 6, 1]]), scores)  # to and fro between two texts


@pytest.mark.parametrize("given", [math.nan, "cold", None, [1.0, 2.0]])
def test_bad_beta(given) -> None:
    with pytest.raises(InvalidInputError):
        SignedTemperatureProcessor(given)


def test_bad_logits() -> None:
    for decoder in (-1.0, EveryNth(1.0, -1.0, 2)):
        with pytest.raises(InvalidInputError, match="nan"):
            SignedTemperatureProcessor(decoder)(
                torch.tensor([[1]]), torch.tensor([[0.0, math.nan]])
            )


def test_a_mask_of_another_size(levels) -> None:
    decoder = Decoder(-1.0, valid=np.ones(VOCABULARY + 1, dtype=bool))
    with pytest.raises(InvalidInputError, match="valid"):
        new_tokens(levels, SignedTemperatureProcessor(decoder).settings(), rows=1)
