"""Write trained weights as a plain Hugging Face directory with everything needed to judge them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from llm_bridge.demo_model.architecture import parameter_count
from llm_bridge.demo_model.corpus import Corpus, Document
from llm_bridge.demo_model.evaluation import HeldOutLoss, evaluate
from llm_bridge.demo_model.tokenizer import END_OF_TEXT, encode_documents, never_met

__all__ = ["publish", "reading_sample"]

SAMPLE_BYTES = 48_000
SHORTEST = 4_000  # bytes; shorter files are boilerplate or fragments


def publish(
    folder: Path,
    model: LlamaForCausalLM,
    weights: dict[str, torch.Tensor],
    tokenizer: Tokenizer,
    corpus: Corpus,
    training: dict[str, Any],
) -> dict[str, Any]:
    """Fill `folder` with the model in float16, its tokenizer, its metadata and text to read.

    The losses in the metadata are those of the rounded float16 weights, computed in float32.

    Parameters
    ----------
    folder : Path
        An existing empty folder.
    model : LlamaForCausalLM
        A model of the right shape; it is given `weights`, rounded.
    weights : dict of str to Tensor
        The trained parameters.
    tokenizer : tokenizers.Tokenizer
    corpus : Corpus
    training : dict
        What the run says about itself.

    Returns
    -------
    dict
        The metadata, as written.
    """
    model.load_state_dict({k: v.half().float() for k, v in weights.items()})
    context = model.config.max_position_embeddings
    part = reading_sample(corpus.held_out)
    text = "\n\n".join(document.text for document in part)

    def measured(texts: list[str]) -> HeldOutLoss:
        size = [len(t.encode()) for t in texts]
        return evaluate(model, encode_documents(tokenizer, texts), size, context=context)

    held_out = [d.text for d in corpus.held_out]
    loss, sample_loss = measured(held_out), measured([text])
    encoded = {
        "training": encode_documents(tokenizer, [d.text for d in corpus.training]),
        "held_out": encode_documents(tokenizer, held_out),
    }
    vocabulary_size = tokenizer.get_vocab_size()
    untrained = never_met(encoded["training"], vocabulary_size)
    unmet = never_met([*encoded["training"], *encoded["held_out"]], vocabulary_size)
    metadata = {
        "what": "Small causal language model trained on the Python standard library.",
        "parameters": parameter_count(model),
        "vocabulary_size": vocabulary_size,
        "context": context,
        "held_out": {
            "method": (
                f"float16 weights, float32 arithmetic; each document in consecutive windows of "
                f"{context} tokens, each token predicted once; errors over documents"
            ),
            "nats_per_token": loss.nats_per_token.value,
            "nats_per_token_error": loss.nats_per_token.error,
            "bits_per_byte": loss.bits_per_byte.value,
            "bits_per_byte_error": loss.bits_per_byte.error,
            "names": [d.name for d in corpus.held_out],
        },
        "held_out_text": {
            "names": [d.name for d in part],
            "bytes": len(text.encode()),
            "tokens": int(sample_loss.tokens[0]),
            "nats_per_token": sample_loss.nats_per_token.value,
            "bits_per_byte": sample_loss.bits_per_byte.value,
        },
        "corpus": {
            "sha256": corpus.sha256,
            **{
                name: {
                    "documents": len(documents),
                    "bytes": sum(len(d.text.encode()) for d in documents),
                    "tokens": int(sum(len(ids) - 1 for ids in encoded[name])),
                }
                for name, documents in (
                    ("training", corpus.training),
                    ("held_out", corpus.held_out),
                )
            },
        },
        "never_met_token_ids": unmet,
        "met_only_in_held_out_token_ids": sorted(set(untrained) - set(unmet)),
        "training": training,
        "versions": {
            "python": platform.python_version(),
            **{
                name: importlib.metadata.version(name)
                for name in ("torch", "transformers", "tokenizers", "safetensors", "numpy")
            },
        },
        "hardware": _hardware(training["device"]),
    }
    _write_model(folder, model, tokenizer, context)
    metadata["weights_sha256"] = hashlib.sha256(
        (folder / "model.safetensors").read_bytes()
    ).hexdigest()
    (folder / "held_out.txt").write_text(text, encoding="utf-8", newline="\n")
    (folder / "metadata.json").write_text(
        json.dumps(metadata, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return metadata


def reading_sample(held_out: Sequence[Document], limit: int = SAMPLE_BYTES) -> list[Document]:
    """Whole held-out documents, code and prose in turn, of at most `limit` bytes together.

    The order within each kind is that of the SHA-256 of the names, so that no alphabet decides.
    Passed over are documents of less than 4000 bytes and those of more than half the limit.

    Parameters
    ----------
    held_out : sequence of Document
    limit : int
        Bytes.

    Returns
    -------
    list of Document
        At least one document: the shortest if none fits.
    """
    ranked = sorted(
        (d for d in held_out if SHORTEST <= len(d.text.encode()) <= limit // 2),
        key=lambda d: hashlib.sha256(d.name.encode()).digest(),
    )
    prose = [d for d in ranked if d.name.startswith("pydoc_data/")]
    code = [d for d in ranked if not d.name.startswith("pydoc_data/")]
    chosen: list[Document] = []
    spent = 0
    while prose or code:
        for kind in (code, prose):
            if kind:
                document = kind.pop(0)
                size = len(document.text.encode()) + 2
                if spent + size <= limit:
                    chosen.append(document)
                    spent += size
    return chosen or [min(held_out, key=lambda d: len(d.text))]


def _write_model(folder: Path, model: LlamaForCausalLM, tokenizer: Tokenizer, context: int) -> None:
    half = model.half()
    half.config.dtype = torch.float16
    half.config.save_pretrained(folder)
    half.generation_config.save_pretrained(folder)
    weights = {name: tensor.contiguous() for name, tensor in half.state_dict().items()}
    (folder / "model.safetensors").write_bytes(save(weights, {"format": "pt"}))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)


def _hardware(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores, {platform.machine()}"
