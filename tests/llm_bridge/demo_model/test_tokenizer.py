"""The tokenizer: every byte is a token, and every text comes back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from llm_bridge.demo_model.tokenizer import END_OF_TEXT, train_tokenizer


def test_every_byte_is_a_token():
    tokenizer = train_tokenizer(["def f():\n    return 1\n"] * 3, 300)
    assert set(pre_tokenizers.ByteLevel.alphabet()) <= set(tokenizer.get_vocab())
    assert tokenizer.token_to_id(END_OF_TEXT) == 0


@given(st.text())
@settings(max_examples=50, deadline=None)
def test_any_text_survives_the_bundled_tokenizer(bundled_tokenizer, text):
    text = text.replace(END_OF_TEXT, "")
    ids = bundled_tokenizer.encode(text).ids
    assert bundled_tokenizer.decode(ids, skip_special_tokens=False) == text
