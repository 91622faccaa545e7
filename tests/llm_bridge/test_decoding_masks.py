"""Masks of the vocabulary: of the tiny tokenizer, and of the demo model's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import small_tokenizers

from llm_bridge import load_model
from llm_bridge.decoding import (
    Decoder,
    end_of_text,
    english_words,
    generate,
    no_padding,
    no_special,
    printable_text,
    reachable,
)
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError


@pytest.fixture(scope="module")
def demo() -> LanguageModel:
    return load_model("demo")


def texts(model: LanguageModel, mask: np.ndarray) -> set[str]:
    return {model.vocabulary[i] for i in np.flatnonzero(mask)}


def test_padding_special_and_end_are_separate(model) -> None:
    size, end = model.vocabulary_size, model.tokenizer.eos_token_id
    masks = {f.__name__: f(model) for f in (no_padding, no_special, end_of_text)}
    assert all(mask.shape == (size,) and mask.dtype == bool for mask in masks.values())
    assert np.flatnonzero(~masks["no_padding"]).tolist() == list(range(size - 5, size))
    assert np.flatnonzero(masks["end_of_text"]).tolist() == [end]
    assert np.array_equal(
        masks["no_special"], masks["no_padding"] & ~masks["end_of_text"]
    )  # it has no other special token
    mask = no_padding(model)
    mask[:] = False  # one's own copy
    assert no_padding(model).any()


def test_more_special_tokens_and_more_ends(model) -> None:
    tokenizer = SimpleNamespace(
        eos_token_id=0,
        all_special_ids=[0, 2],
        added_tokens_decoder={3: SimpleNamespace(special=True), 4: SimpleNamespace(special=False)},
        get_vocab=model.tokenizer.get_vocab,
    )
    module = model.torch_module
    other = LanguageModel(module, tokenizer)
    before = module.generation_config.eos_token_id
    module.generation_config.eos_token_id = [1, 5]
    try:
        assert np.flatnonzero(end_of_text(other)).tolist() == [0, 1, 5]
        assert np.flatnonzero(~no_special(other))[:5].tolist() == [0, 1, 2, 3, 5]
    finally:
        module.generation_config.eos_token_id = before


def test_printable_text(model, demo: LanguageModel) -> None:
    for each in (model, demo):
        mask = printable_text(each)
        assert not (mask & ~no_special(each)).any()
        for token in np.flatnonzero(mask).tolist():
            text = each.decode([token])
            assert all(c.isprintable() or c in "\n\t" for c in text)
            assert "\ufffd" not in text
        # Every visible ASCII character is there; ESC, NUL and lone bytes of UTF-8 are not.
        for code in range(256):
            (piece,) = [chr(code)] if 33 <= code < 127 else [_byte_symbol(code)]
            token = each.tokenizer.convert_tokens_to_ids(piece)
            assert bool(mask[token]) == (33 <= code < 127 or code in (9, 10, 32)), code


def _byte_symbol(code: int) -> str:
    """How byte-level tokenizers write a byte: shifted by 256 where it is not a visible letter."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    if code in visible:
        return chr(code)
    return chr(256 + [c for c in range(256) if c not in visible].index(code))


def test_reachable(model, demo: LanguageModel) -> None:
    for each in (model, demo):
        mask = reachable(each)
        for token in np.flatnonzero(no_special(each)).tolist():
            ids = each.tokenizer(each.decode([token]), add_special_tokens=False)["input_ids"]
            assert (ids == [token]) == mask[token]
        assert mask.sum() > each.vocabulary_size / 8
        assert not mask[each.tokenizer.eos_token_id]
        assert not mask[each.tokenizer.convert_tokens_to_ids("Ã")]  # half of é


def test_pieces_that_go_on_with_a_word_are_reachable() -> None:
    """SentencePiece's without "▁" and WordPiece's "##" come in words alone."""
    model = small_tokenizers.metaspace()
    reached = texts(model, reachable(model))
    assert {" the", " cats", "s", "hous", "house", "ï"} <= reached
    assert {model.vocabulary[i] for i in model.encode("the cats!houses")} - {"<unk>"} <= reached
    assert "!the" not in reached  # no merge leads to it
    assert not any("<0xE" in text for text in reached)  # parts of characters

    model = small_tokenizers.wordpiece()
    reached = texts(model, reachable(model))
    assert reached == {"the", "cat", "##s", "house", "run", "##ning", "!", "."}  # "-" cuts "##-x"


def test_english_words(demo: LanguageModel) -> None:
    found = texts(demo, english_words(demo))
    assert {" the", " The", " return", " a", " A", " I"} <= found
    assert {text for text in found if len(text) == 2} <= {" a", " A", " i", " I"}
    assert " x" in texts(demo, english_words(demo, ["x", "the"]))  # a list of one's own
    assert not found & {"the", " def", " (", " 1", " str", " ", "\n"}
    assert texts(demo, english_words(demo, ["the", "Return"])) >= {" the", " The", " return"}
    with pytest.raises(InvalidInputError, match="no token of demo"):
        english_words(demo, ["floccinaucinihilipilification"])
    with pytest.raises(InvalidInputError, match="not one text"):
        english_words(demo, "the")


@pytest.mark.parametrize("beta", [-1.0, 0.0])
def test_a_text_of_words(demo: LanguageModel, beta: float) -> None:
    decoder = Decoder(beta, valid=english_words(demo))
    text = "".join(token.text for token in generate(demo, "Say", decoder, max_tokens=12, seed=1))
    words = text.split()
    assert len(words) == 12
    assert text == "".join(f" {word}" for word in words)
    assert {f" {word}" for word in words} <= texts(demo, decoder.valid.numpy())
