"""A tiny Llama whose logits are set by hand: the same for every text, so that p is known exactly.

Attention and MLP add nothing and all embeddings are alike, so the last hidden state is (1, 0, …)
wherever one looks, and the first column of the head is the logits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 64
LOGITS = np.round(np.linspace(-2, 2, VOCABULARY) * 4) / 4  # 17 levels, two tokens at either end
WIDTH = 64
LEAST, MOST = (0, 1), (VOCABULARY - 2, VOCABULARY - 1)


def probabilities(
    beta: float, valid: NDArray[np.bool_] | None = None, logits: NDArray[np.float64] = LOGITS
) -> NDArray[np.float64]:
    """Exact p (V,) at β, by the shortest way."""
    z = logits if valid is None else logits[valid]
    if np.isinf(beta):
        weight = (z == (z.max() if beta > 0 else z.min())).astype(float)
    else:
        weight = np.exp(beta * z)
    p = np.zeros(len(logits))
    p[slice(None) if valid is None else valid] = weight / weight.sum()
    return p


def state(logits: NDArray[np.float64] = LOGITS) -> dict[str, NDArray[np.float32]]:
    """The weights, by the names that transformers gives them."""

    def zeros(*shape: int) -> NDArray[np.float32]:
        return np.zeros(shape, dtype=np.float32)

    embedding = np.ones((len(logits), WIDTH), dtype=np.float32)
    ones, first = np.ones(WIDTH, dtype=np.float32), zeros(WIDTH)
    first[0] = 1.0
    head = zeros(len(logits), WIDTH)
    head[:, 0] = logits
    layer = {
        "self_attn.q_proj.weight": zeros(WIDTH, WIDTH),
        "self_attn.k_proj.weight": zeros(WIDTH, WIDTH),
        "self_attn.v_proj.weight": zeros(WIDTH, WIDTH),
        "self_attn.o_proj.weight": zeros(WIDTH, WIDTH),
        "mlp.gate_proj.weight": zeros(WIDTH, WIDTH),
        "mlp.up_proj.weight": zeros(WIDTH, WIDTH),
        "mlp.down_proj.weight": zeros(WIDTH, WIDTH),
        "input_layernorm.weight": ones,
        "post_attention_layernorm.weight": ones,
    }
    return {
        "model.embed_tokens.weight": embedding,
        **{f"model.layers.0.{name}": value for name, value in layer.items()},
        "model.norm.weight": first,
        "lm_head.weight": head,
    }


def config(logits: NDArray[np.float64] = LOGITS):
    import transformers

    return transformers.LlamaConfig(
        vocab_size=len(logits),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        rms_norm_eps=1e-6,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def build(logits: NDArray[np.float64] = LOGITS):
    """The model of transformers."""
    import torch
    import transformers

    model = transformers.LlamaForCausalLM(config(logits))
    model.load_state_dict({name: torch.tensor(value) for name, value in state(logits).items()})
    return model.eval()


def save(folder: Path) -> Path:
    """A folder in Hugging Face format, with a tokenizer that knows the words t0, t1, …"""
    import tokenizers
    import transformers

    words = {f"t{i}": i for i in range(VOCABULARY)}
    words_only = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="t0"))
    words_only.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    build().save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=words_only).save_pretrained(folder)
    return folder
