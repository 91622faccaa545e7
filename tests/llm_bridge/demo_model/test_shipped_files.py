"""The shipped files: weights, metadata, held-out text and tokens that were never met."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM

from llm_bridge.demo_model.architecture import parameter_count
from llm_bridge.demo_model.corpus import is_held_out
from llm_bridge.demo_model.evaluation import evaluate
from llm_bridge.demo_model.tokenizer import encode_documents, never_met
from llm_bridge.demo_model.training import Recipe

SEED = 20261120


@pytest.fixture(scope="module")
def metadata(weights) -> dict:
    return json.loads((weights / "metadata.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bundled(weights):
    return AutoModelForCausalLM.from_pretrained(
        weights, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )


def test_metadata_agrees_with_the_files(weights, metadata, bundled, bundled_tokenizer):
    assert metadata["parameters"] == parameter_count(bundled)
    assert 2e6 <= metadata["parameters"] <= 6e6
    assert metadata["vocabulary_size"] == bundled_tokenizer.get_vocab_size()
    assert bundled.get_output_embeddings().weight.shape[0] == metadata["vocabulary_size"]
    assert metadata["context"] == bundled.config.max_position_embeddings
    assert not bundled.config.tie_word_embeddings
    embeddings = bundled.get_input_embeddings().weight, bundled.get_output_embeddings().weight
    assert not torch.equal(*embeddings)
    assert not [name for name, _ in bundled.named_parameters() if name.endswith("bias")]
    data = (weights / "model.safetensors").read_bytes()
    assert len(data) <= 12_000_000
    assert hashlib.sha256(data).hexdigest() == metadata["weights_sha256"]
    with safe_open(weights / "model.safetensors", framework="pt") as file:
        kinds = {file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
    assert kinds == {"F16"}
    assert all(torch.isfinite(p).all() for p in bundled.parameters())


def test_metadata_says_how_the_weights_were_made(metadata):
    assert metadata["training"]["seed"] >= 0
    assert len(metadata["corpus"]["sha256"]) == 64
    assert {"python", "torch", "transformers", "tokenizers"} <= set(metadata["versions"])
    assert metadata["hardware"]
    training = metadata["training"]
    recipe = Recipe(**training["recipe"])
    assert training["tokens_seen"] == training["steps_taken"] * recipe.batch * recipe.context
    assert training["seconds"] > 0
    steps = [row["step"] for row in training["curve"]]
    assert steps == sorted(steps)
    assert training["best_step"] in steps
    corpus = metadata["corpus"]
    assert corpus["held_out"]["documents"] == len(metadata["held_out"]["names"])
    assert corpus["training"]["documents"] > 10 * corpus["held_out"]["documents"]
    held_out = metadata["held_out"]
    assert held_out["bits_per_byte"] == pytest.approx(
        held_out["nats_per_token"]
        / np.log(2)
        * corpus["held_out"]["tokens"]
        / corpus["held_out"]["bytes"],
        rel=1e-12,
    )
    assert 0 < held_out["bits_per_byte_error"] < 0.2
    assert 0 < held_out["nats_per_token_error"] < 0.3
    assert held_out["bits_per_byte"] < 1.35


def test_held_out_text_is_held_out(weights, metadata):
    data = (weights / "held_out.txt").read_bytes()
    assert 30_000 <= len(data) <= 60_000
    assert len(data) == metadata["held_out_text"]["bytes"]
    names = metadata["held_out_text"]["names"]
    assert set(names) <= set(metadata["held_out"]["names"])
    assert all(is_held_out(name) for name in metadata["held_out"]["names"])
    assert {name.startswith("pydoc_data/") for name in names} == {True, False}


def test_bundled_weights_have_the_loss_they_state(weights, metadata, bundled, bundled_tokenizer):
    """The float16 weights as shipped, on the text as shipped."""
    text = (weights / "held_out.txt").read_text(encoding="utf-8")
    documents = encode_documents(bundled_tokenizer, [text])
    loss = evaluate(bundled, documents, [len(text.encode())], context=metadata["context"])
    stated = metadata["held_out_text"]
    assert int(loss.tokens[0]) == stated["tokens"]
    assert loss.nats_per_token.value == pytest.approx(stated["nats_per_token"], abs=1e-3)
    assert loss.bits_per_byte.value == pytest.approx(stated["bits_per_byte"], abs=1e-3)
    # One text among the held-out ones: not far from their mean.
    assert abs(stated["bits_per_byte"] - metadata["held_out"]["bits_per_byte"]) < 0.4


def test_never_met_tokens_are_never_met(weights, metadata, corpus, bundled_tokenizer):
    unmet = metadata["never_met_token_ids"]
    size = metadata["vocabulary_size"]
    assert len(unmet) >= 50
    assert unmet == sorted(set(unmet))
    assert 0 <= unmet[0] < unmet[-1] < size
    assert set(pre_tokenizers.ByteLevel.alphabet()) <= set(bundled_tokenizer.get_vocab())
    # On any Python: not in the text that is shipped, not in files that are held out by name.
    shipped = (weights / "held_out.txt").read_text(encoding="utf-8")
    assert not set(unmet) & set(bundled_tokenizer.encode(shipped).ids)
    if corpus.sha256 == metadata["corpus"]["sha256"]:
        # On the Python that they were made with: exactly these, no token more and none fewer.
        texts = [d.text for d in corpus.training + corpus.held_out]
        assert never_met(encode_documents(bundled_tokenizer, texts), size) == unmet
        assert metadata["held_out"]["names"] == [d.name for d in corpus.held_out]
        counts = metadata["corpus"]
        assert counts["training"]["documents"] == len(corpus.training)
        assert counts["training"]["bytes"] == sum(len(d.text.encode()) for d in corpus.training)


def test_never_met_tokens_stand_out(metadata, bundled):
    """No text ever raised their logits: at held-out positions they are far below the others."""
    unmet = np.array(metadata["never_met_token_ids"])
    generator = np.random.default_rng(SEED)
    ids = torch.from_numpy(generator.integers(metadata["vocabulary_size"], size=(1, 256)))
    with torch.no_grad():
        mean = bundled(input_ids=ids, use_cache=False).logits[0].mean(dim=0).numpy()
    others = np.delete(mean, unmet)
    assert np.median(mean[unmet]) < np.median(others)


def test_licence_notice_is_kept(weights):
    notice = (weights.parent / "NOTICE").read_text(encoding="utf-8")
    assert "Python Software Foundation" in notice
    assert "All Rights Reserved" in notice
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in notice
    assert "Summary of the changes" in notice
