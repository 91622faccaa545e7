"""A tiny Llama with random weights and a tokenizer trained here: no network, no downloads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

TEXT = (
    "def energy(spins):\n    '''Return the energy of the spins.'''\n    return -sum(spins)\n\n"
    "The temperature of a system says how its entropy grows with its energy. Café, naïve, 温度.\n"
) * 8

PADDING = 5  # rows of the model's head that no token of the tokenizer uses
CONTEXT = 64


def build_model(folder: Path, *, tied: bool = False, seed: int = 20261120) -> Path:
    """Save a tiny causal model and its tokenizer as a Hugging Face folder."""
    import tokenizers
    import torch
    import transformers

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([TEXT], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", model_max_length=CONTEXT
    )
    config = transformers.LlamaConfig(
        vocab_size=bpe.get_vocab_size() + PADDING,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=tied,
        initializer_range=0.3,  # peaked predictions, as a trained model has them
        eos_token_id=0,
        bos_token_id=None,
    )
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    model = transformers.LlamaForCausalLM(config)
    torch.random.set_rng_state(state)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tiny-llama"))


@pytest.fixture(scope="session")
def tied_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tied-llama"), tied=True)


@pytest.fixture(scope="session")
def model(model_folder: Path):
    from llm_bridge.models import load_model

    return load_model(model_folder)


@pytest.fixture(scope="session")
def tied_model(tied_folder: Path):
    from llm_bridge.models import load_model

    return load_model(tied_folder)
