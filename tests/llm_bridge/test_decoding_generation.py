"""Generation: the cached forward pass against full ones, seeds, the context's end, stopping."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import small_tokenizers
import torch

from llm_bridge.decoding import (
    Constant,
    Decoder,
    EntropyFeedback,
    EveryNth,
    Mirostat,
    PerToken,
    TopK,
    generate,
    generate_many,
    no_special,
)
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError

INF = math.inf
PROMPT = "def energy(spins):"


def by_full_passes(
    model: LanguageModel, prompt: list[int], decoder: Decoder, count: int, seed: int
) -> tuple[list[int], list[float]]:
    """The same text without any cache: every token from a forward pass over all before it."""
    run = decoder.begin(np.random.SeedSequence(seed).spawn(1)[0])
    ids, log_p = list(prompt), []
    for _ in range(count):
        with torch.no_grad():
            row = model.torch_module(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        decoded = run.distribution(row)
        token = run.draw(decoded)
        run.observe(token)
        log_p.append(decoded.log_probability(token))
        ids.append(token)
    return ids[len(prompt) :], log_p


@pytest.mark.parametrize("beta", [-INF, -1.0, -0.0, 0.7, INF])
def test_the_cache_changes_nothing(model, beta: float) -> None:
    prompt = model.encode(PROMPT).tolist()
    decoder = Decoder(beta, valid=no_special(model))
    ids, log_p = by_full_passes(model, prompt, decoder, 20, seed=5)
    tokens = list(generate(model, PROMPT, decoder, max_tokens=20, seed=5))
    assert [token.id for token in tokens] == ids
    np.testing.assert_allclose([t.log_probability for t in tokens], log_p, atol=1e-4)


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(-0.8),
        Decoder(EveryNth(1.0, -1.0, 4), [TopK(40, acts_on="decoded")]),
        Decoder(EntropyFeedback(2.0), [Mirostat(4.0, acts_on="model")]),
    ],
    ids=["constant", "every n-th with top-k", "feedback with mirostat"],
)
def test_alone_or_in_company(model, decoder: Decoder) -> None:
    """Sequence i is the same in any batch, and sequence 0 is what `generate` makes."""
    prompts = [PROMPT, "a", PROMPT, "temperature", "b"]
    together = generate_many(model, prompts, decoder, max_tokens=15, seed=7)
    apart = generate_many(model, prompts, decoder, max_tokens=15, seed=7, batch_size=1)
    single = list(generate(model, PROMPT, decoder, max_tokens=15, seed=7))
    assert together[0].ids.tolist() == [token.id for token in single]
    assert together[0].ids.tolist() != together[2].ids.tolist()
    for one, two, prompt in zip(together, apart, prompts, strict=True):
        assert one.prompt_ids.tolist() == model.encode(prompt).tolist()
        assert one.ids.tolist() == two.ids.tolist()
        for name in ("beta", "entropy", "model_entropy", "log_probability"):
            np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-4)
    for name in ("beta", "entropy", "model_entropy", "log_probability", "model_log_probability"):
        np.testing.assert_allclose(
            getattr(together[0], name), [getattr(token, name) for token in single], atol=1e-4
        )


def test_same_seed_same_text(model) -> None:
    def text(seed: int) -> list[int]:
        return [t.id for t in generate(model, PROMPT, 0.3, max_tokens=12, seed=seed)]

    assert text(1) == text(1)
    assert text(1) != text(2)
    first = generate_many(model, [PROMPT] * 2, 0.3, max_tokens=5, seed=3)
    again = generate_many(model, [PROMPT] * 6, 0.3, max_tokens=5, seed=3)
    assert [g.ids.tolist() for g in first] == [g.ids.tolist() for g in again[:2]]


def test_past_the_context(model) -> None:
    """The newer half is read again, and every token is predicted from half a context at least."""
    context = model.context_length
    prompt = model.encode(PROMPT).tolist()
    count = 2 * context
    decoder = Decoder(-1.0, valid=no_special(model))
    tokens = list(generate(model, prompt, decoder, max_tokens=count, seed=1))
    assert len(tokens) == count
    ids = prompt + [token.id for token in tokens]
    start = 0
    for place, token in enumerate(tokens, start=len(prompt)):
        if place - start > context:
            start = place - context // 2
        if place % 9 == 0 or place - start in (context // 2, context):
            with torch.no_grad():
                window = torch.tensor([ids[start:place]])
                row = model.torch_module(input_ids=window).logits[0, -1]
            decoded = decoder.begin(0).distribution(row)
            assert token.log_probability == pytest.approx(
                decoded.log_probability(token.id), abs=1e-4
            )
    many = generate_many(model, [prompt] * 2, decoder, max_tokens=count, seed=1)
    assert many[0].ids.tolist() == [token.id for token in tokens]


def test_a_prompt_longer_than_the_context(model) -> None:
    long = np.resize(model.encode(PROMPT), 3 * model.context_length)
    (token,) = generate(model, long, 1.0, max_tokens=1, seed=1)
    (short,) = generate(model, long[-model.context_length :], 1.0, max_tokens=1, seed=1)
    assert token == short


class Scripted(torch.nn.Module):
    """A model without memory whose logits after token i are row i of a table."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(table)
        self.config = SimpleNamespace(vocab_size=len(table))
        self.calls: list[tuple[int, ...]] = []

    def get_output_embeddings(self) -> None:
        return None

    def forward(
        self, input_ids: torch.Tensor, use_cache: bool = True, past_key_values: object = None
    ) -> SimpleNamespace:
        self.calls.append(tuple(input_ids.shape))
        return SimpleNamespace(logits=self.table[input_ids])


@pytest.fixture
def countdown(model) -> LanguageModel:
    """Token i is followed by i − 1 (best) or by i + 1 (worst), and 0 ends the text."""
    size = model.vocabulary_size
    table = torch.zeros(size, size)
    for i in range(size):
        table[i, (i - 1) % size], table[i, (i + 1) % size] = 5.0, -5.0
    return LanguageModel(Scripted(table), model.tokenizer)


def test_stopping_at_the_end_of_text(countdown: LanguageModel) -> None:
    tokens = list(generate(countdown, [4], INF, max_tokens=9, seed=0))
    assert [token.id for token in tokens] == [3, 2, 1, 0]
    going_on = list(generate(countdown, [4], INF, max_tokens=9, seed=0, stop_at_end=False))
    assert len(going_on) == 9
    upwards = list(generate(countdown, [4], -INF, max_tokens=9, seed=0))
    assert [token.id for token in upwards] == list(range(5, 14))
    assert all(t.model_log_probability < t.log_probability == 0 for t in upwards)


def test_sequences_leave_the_batch_when_they_end(countdown: LanguageModel) -> None:
    done = generate_many(countdown, [[3], [50], [2], [1]], INF, max_tokens=6, seed=0)
    assert [g.ids.tolist() for g in done] == [[2, 1, 0], [49, 48, 47, 46, 45, 44], [1, 0], [0]]
    assert [g.ended for g in done] == [True, False, True, True]
    rows = [shape[0] for shape in countdown.torch_module.calls]  # type: ignore[union-attr]
    assert rows == [4, 3, 2, 1, 1, 1]


def test_leaving_keeps_the_memory_of_the_others(model) -> None:
    """With a real cache: a text does not notice when its neighbours end."""
    few = np.zeros(model.vocabulary_size, dtype=bool)
    few[:25] = True  # the end of text is one of them
    settings = {"max_tokens": 20, "seed": 2}
    lone, batch = (
        generate_many(model, ["a"] * 12, Decoder(0.0, valid=few), batch_size=size, **settings)
        for size in (1, 12)
    )
    assert [g.ids.tolist() for g in batch] == [g.ids.tolist() for g in lone]
    assert 0 < sum(g.ended for g in batch) < 12
    for one, other in zip(batch, lone, strict=True):
        np.testing.assert_allclose(one.model_entropy, other.model_entropy, atol=1e-4)


def test_padding_is_never_drawn(model) -> None:
    done = generate_many(model, ["a"] * 8, -INF, max_tokens=20, seed=1)
    assert all(model.valid[g.ids].all() for g in done)
    everything = Decoder(0.0, valid=np.ones(model.vocabulary_size, dtype=bool))
    drawn = np.concatenate(
        [g.ids for g in generate_many(model, ["a"] * 64, everything, max_tokens=20, seed=1)]
    )
    assert not model.valid[drawn].all()  # 1000 draws with 5 of 305 padded: missed once in 1e7


def test_bad_input_is_refused_before_any_work(model) -> None:
    cases: list[tuple[object, object, dict[str, object]]] = [
        ("", 1.0, {}),
        ([], 1.0, {}),
        ([[1, 2]], 1.0, {}),
        ([1.5], 1.0, {}),
        ([-1], 1.0, {}),
        ([10**6], 1.0, {}),
        ("a", math.nan, {}),
        ("a", Decoder(1.0, valid=[True, True]), {}),
        ("a", 1.0, {"max_tokens": 0}),
        ("a", Decoder(PerToken([1.0, 1.0], then="refuse")), {}),
        ("a", 1.0, {"seed": None}),
    ]
    for prompt, decoder, changed in cases:
        wanted = {"max_tokens": 3, "seed": 1} | changed
        with pytest.raises(InvalidInputError):
            generate(model, prompt, decoder, **wanted)  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError):
            generate_many(model, ["a", prompt], decoder, **wanted)  # type: ignore[arg-type, list-item]
    with pytest.raises(InvalidInputError, match="prompt 1"):
        generate_many(model, ["a", ""], 1.0, max_tokens=3, seed=1)
    for prompts in ("text", []):
        with pytest.raises(InvalidInputError, match="prompts must be a list"):
            generate_many(model, prompts, 1.0, max_tokens=3, seed=1)


def test_text_of_generated_tokens(model) -> None:
    tokens = list(generate(model, PROMPT, Constant(0.0), max_tokens=80, seed=4))
    assert "".join(t.text for t in tokens) == model.decode([t.id for t in tokens])


def test_text_goes_on_from_the_prompt() -> None:
    """Where "▁" opens a word, and the first one's is no space, the prompt's end decides."""
    tokenizer = small_tokenizers.metaspace().tokenizer
    size = len(tokenizer)
    word = np.arange(size) == tokenizer.convert_tokens_to_ids("▁runs")
    model = LanguageModel(Scripted(torch.zeros(size, size)), tokenizer)
    decoder = Decoder(1.0, valid=word)
    tokens = generate(model, "the cat", decoder, max_tokens=2, seed=1)
    assert [token.text for token in tokens] == [" runs", " runs"]
