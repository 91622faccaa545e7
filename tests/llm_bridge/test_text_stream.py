"""The text of tokens as they come: byte-level, byte-fallback and WordPiece tokenizers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import small_tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_bridge.decoding import no_special
from llm_bridge.decoding.text_stream import TextStream
from llm_bridge.models import LanguageModel

KINDS = ("byte level", "metaspace", "wordpiece")


@pytest.fixture(scope="module")
def models(model) -> dict[str, LanguageModel]:
    made = (model, small_tokenizers.metaspace(), small_tokenizers.wordpiece())
    return dict(zip(KINDS, made, strict=True))


def pieces(model: LanguageModel, ids: list[int], prompt: list[int]) -> list[str]:
    """What every token brings, and what is left at the end."""
    stream = TextStream(model, prompt)
    return [*(stream.push(token) for token in ids), stream.finish()]


def bytes_of(model: LanguageModel, text: str) -> list[int]:
    ids = model.tokenizer.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in text.encode()])
    assert None not in ids
    return ids


def ids_of(model: LanguageModel, tokens: str) -> list[int]:
    return model.tokenizer.convert_tokens_to_ids(tokens.split())


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(KINDS))
def test_nothing_is_lost_or_repeated(
    models: dict[str, LanguageModel], data: st.DataObject, kind: str
) -> None:
    """Joined it is the text of all tokens, less what it has in common with the prompt's.

    That is the prompt's whole text, unless this ends within a character. Any tokens, special ones
    and parts of characters included, and past the stream's own window.
    """
    model = models[kind]
    tokens = st.sampled_from(np.flatnonzero(model.valid).tolist())
    if kind == "metaspace":  # half of them bytes, in long runs, or of characters
        runs = st.text(min_size=1, max_size=4).map(lambda text: bytes_of(model, text))
        tokens = st.one_of(st.lists(tokens, max_size=8), runs)
        sequences = st.lists(tokens, max_size=30).map(lambda parts: list(itertools.chain(*parts)))
    else:
        sequences = st.lists(tokens, max_size=150)
    prompt, ids = data.draw(sequences), data.draw(sequences)
    whole, before = model.decode([*prompt, *ids]), model.decode(prompt)
    if not whole.startswith(before):
        assert kind != "wordpiece"  # no piece of a character there
        alike = itertools.takewhile(
            lambda pair: pair[0] == pair[1], zip(whole, before, strict=False)
        )
        before = "".join(a for a, _ in alike)
    assert "".join(pieces(model, ids, prompt)) == whole[len(before) :]


@pytest.mark.parametrize("seed", range(3))
def test_streamed_text_is_the_whole_text(model, seed: int) -> None:
    """Random tokens, with many characters cut in parts, past the stream's own window."""
    rng = np.random.default_rng(20261126 + seed)
    ids = rng.choice(np.flatnonzero(no_special(model)), size=300).tolist()
    stream = TextStream(model)
    assert "".join(map(stream.push, ids)) + stream.finish() == model.decode(ids)
    assert stream.finish() == ""


def test_characters_of_bytes_come_whole(models: dict[str, LanguageModel]) -> None:
    model = models["metaspace"]
    run, word = bytes_of(model, "€日😀"), ids_of(model, "▁cat")
    assert model.decode(run) == "€日😀"
    assert pieces(model, run, []) == [*[""] * len(run), "€日😀"]
    assert pieces(model, run + word, []) == [*[""] * len(run), "€日😀 cat", ""]
    # One wrong byte spoils the run in the tokenizer's own text: it is not told before its end.
    spoilt = run[:4] + word
    assert "".join(pieces(model, spoilt, [])) == model.decode(spoilt) == "\ufffd" * 4 + " cat"
    long = bytes_of(model, "é" * 200)
    assert "".join(pieces(model, long + word, word)) == "é" * 200 + " cat"


def test_a_word_keeps_its_space_behind_a_prompt(models: dict[str, LanguageModel]) -> None:
    model = models["metaspace"]
    prompt = model.encode("the cat").tolist()
    assert model.decode(prompt) == "the cat"
    assert pieces(model, ids_of(model, "▁runs s"), prompt) == [" runs", "s", ""]
    assert pieces(model, ids_of(model, "▁runs"), []) == ["runs", ""]
    model = models["wordpiece"]
    assert pieces(model, ids_of(model, "##s run ##ning ."), ids_of(model, "the cat")) == [
        *["s", " run", "ning", "."],
        "",
    ]


def test_a_character_comes_when_it_is_complete(model) -> None:
    ids = model.encode("é").tolist()
    if len(ids) == 1:  # the tokenizer has learned it
        ids = [model.tokenizer.convert_tokens_to_ids(piece) for piece in ("Ã", "©")]
    assert pieces(model, ids, []) == ["", "é", ""]
    assert pieces(model, ids[:1], []) == ["", "\ufffd"]
    assert pieces(model, ids[1:], ids[:1]) == ["é", ""]  # the prompt's own, completed


def test_a_loop_of_broken_characters_is_shown_as_it_comes(model) -> None:
    stream = TextStream(model)
    half = model.tokenizer.convert_tokens_to_ids("Ã")
    assert [stream.push(half) for _ in range(200)] == ["", *["\ufffd"] * 199]
