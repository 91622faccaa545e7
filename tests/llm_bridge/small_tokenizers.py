"""Language models with small tokenizers of the kinds there are; their logits are of no interest."""

from __future__ import annotations

from types import SimpleNamespace

import tokenizers
import torch
import transformers
from tokenizers import decoders, pre_tokenizers

from llm_bridge.models import LanguageModel

WORDS = ("▁the", "▁cat", "▁cats", "▁runs", "▁a", "▁naïve", "house", "s")


class Headless(torch.nn.Module):
    """Stands where a model would, with a row for every token."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(vocab_size=size)

    def get_output_embeddings(self) -> None:
        return None


def metaspace() -> LanguageModel:
    """As Llama 2: "▁" opens a word, the first one's is dropped, rare characters are bytes."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        for letter in word:
            vocabulary.setdefault(letter, len(vocabulary))
        for end in range(2, len(word) + 1):
            pair = word[: end - 1], word[end - 1]
            if pair not in merges:
                merges.append(pair)
            vocabulary.setdefault(word[:end], len(vocabulary))
    vocabulary["!the"] = len(vocabulary)  # no merge leads to it
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True
        )
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return _model(made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def wordpiece() -> LanguageModel:
    """As BERT: "##" goes on with a word."""
    pieces = ["[UNK]", "[SEP]", "the", "cat", "##s", "house", "run", "##ning", "!", "##-x", "."]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.decoder = decoders.WordPiece()
    return _model(made, unk_token="[UNK]", eos_token="[SEP]")


def _model(made: tokenizers.Tokenizer, **special: str) -> LanguageModel:
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)
    return LanguageModel(Headless(len(tokenizer) + 3), tokenizer)
