"""Frozen weight noise on a language model: which tensors it takes, and its law there."""

from __future__ import annotations

import numpy as np
import pytest

from llm_bridge.brownian import WeightNoise, sample_logits
from llm_bridge.brownian.copies import kicks_along
from llm_bridge.brownian.kicks import kick, stream_of
from llm_bridge.brownian.noise import KINDS
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.models import LanguageModel

SEED = 20261120


def test_where_selects_by_kind_and_pattern(model: LanguageModel) -> None:
    names = [name for name, _ in model.torch_module.named_parameters()]

    def chosen(where: object) -> list[str]:
        noise = WeightNoise(0.1, where=where)  # type: ignore[arg-type]
        return [name for name in names if noise.selects(name)]

    assert chosen("all") == names
    assert chosen("head") == ["lm_head.weight"]
    assert chosen("embedding") == ["model.embed_tokens.weight"]
    assert chosen("norm") == [n for n in names if "norm" in n]
    assert len(chosen("attention")) == 8
    assert len(chosen("mlp")) == 6
    assert sorted(name for kind in KINDS for name in chosen(kind)) == sorted(names)
    assert chosen(["head", "model.layers.0.mlp.*"]) == [
        n for n in names if n.startswith(("lm_head", "model.layers.0.mlp"))
    ]


def test_chosen_parameters_keep_their_noise(model: LanguageModel, ids: np.ndarray) -> None:
    """Noise of the head is the same whether or not other tensors are perturbed too."""

    def first(where: str) -> dict:
        noise = WeightNoise(0.1, where=where)
        chosen = selected_tensors(model.torch_module, noise)
        kicks = next(kicks_along(chosen, noise, 0))
        return {tensor.name: moved for tensor, moved in zip(chosen, kicks, strict=True)}

    alone, together = first("head"), first("all")
    assert np.array_equal(alone["lm_head.weight"], together["lm_head.weight"])


@pytest.mark.parametrize("scale", ["relative", "absolute"])
def test_head_noise_has_the_law_of_frozen_weights(
    model: LanguageModel, ids: np.ndarray, hidden: np.ndarray, scale: str
) -> None:
    """δz_t·δz_s over all outputs and draws is σ²h_t·h_s: correlated between positions.

    Whitened by the Cholesky factor of HHᵀ, the noise is V·draws independent standard normals per
    position: χ² of each of 6 × 6 second moments. n = 305·40; entries off the diagonal are mean 0,
    variance 1/n, those on it mean 1, variance 2/n. Largest |z| of 21 below 5: false alarm 1.2e-5.
    """
    import torch

    noise = WeightNoise(0.05, where="head", scale=scale, seed=SEED)
    noisy = sample_logits(model, ids[:6], noise, 40, machine="copies", antithetic=False)
    kicks = noisy.astype(np.float64) - model.logits(ids[:6])  # (draws, N, V)
    head = model.torch_module.lm_head.weight.double()
    size = 0.05 * (float(torch.sqrt((head**2).mean())) if scale == "relative" else 1.0)
    n = kicks.shape[0] * kicks.shape[2]

    def worst(kicks: np.ndarray) -> float:
        factor = np.linalg.cholesky(size**2 * hidden[:6] @ hidden[:6].T)
        white = np.linalg.solve(factor, kicks.transpose(1, 0, 2).reshape(6, -1))
        moments = white @ white.T / n
        variance = np.where(np.eye(6) == 1, 2.0, 1.0) / n
        return float(np.abs((moments - np.eye(6)) / np.sqrt(variance)).max())

    assert worst(kicks) < 5.0
    # Negative control: the same noise, but drawn anew for each position.
    independent = np.stack([np.roll(kicks[:, t], t, axis=0) for t in range(6)], axis=1)
    assert worst(independent) > 50.0


def test_tied_embeddings_get_one_noise(tied_model: LanguageModel, ids: np.ndarray) -> None:
    head, embedding = (
        sample_logits(tied_model, ids, WeightNoise(0.1, where=where), 2)
        for where in ("head", "embedding")
    )
    assert np.array_equal(head, embedding)
    import torch

    weight = tied_model.torch_module.model.embed_tokens.weight
    noise = WeightNoise(0.1, where="head")
    (tied,) = selected_tensors(tied_model.torch_module, noise)
    kept = weight.clone()
    with torch.no_grad():  # by hand: one perturbed tensor in both places
        weight += kick(tied, noise, stream_of(tied, noise, 0))
        expected = tied_model.logits(ids)
        weight.copy_(kept)
    assert np.array_equal(head[0], expected)
