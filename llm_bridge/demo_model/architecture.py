"""The demo model's shape: Llama-style, small, without biases, with untied embeddings."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

__all__ = ["build_model", "configuration", "parameter_count"]

INITIAL_STD = 0.02


def configuration(
    vocabulary_size: int = 4096,
    *,
    width: int = 256,
    layers: int = 4,
    heads: int = 4,
    feed_forward: int = 704,
    context: int = 512,
) -> LlamaConfig:
    """Configuration of a Llama-style causal transformer.

    Parameters
    ----------
    vocabulary_size, width, layers, heads, feed_forward, context : int
        Sizes; `context` is the longest window in tokens. Token 0 begins and ends every document.
    """
    return LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=feed_forward,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        attention_bias=False,
        mlp_bias=False,
        rms_norm_eps=1e-6,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
        use_cache=True,
        initializer_range=INITIAL_STD,
    )


def build_model(config: LlamaConfig, seed: int) -> LlamaForCausalLM:
    """A model with weights drawn from a generator of its own; the global one is left alone.

    Matrices are normal with standard deviation 0.02, norms one, and the matrices that write into
    the residual stream zero, so that every block starts as the identity.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if parameter.ndim < 2:
                parameter.fill_(1.0)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
            else:
                parameter.normal_(0.0, INITIAL_STD, generator=generator)
    return model


def parameter_count(model: torch.nn.Module) -> int:
    """Number of trained numbers in the model."""
    return sum(parameter.numel() for parameter in model.parameters())
