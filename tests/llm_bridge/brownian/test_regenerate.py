"""Noise made again from its seed: the bits of perturbed copies, the memory of one layer."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from llm_bridge.brownian import WeightNoise, sample_logits
from llm_bridge.brownian.noise import LAWS
from llm_bridge.brownian.regenerate import regenerated_noise
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel

SEED = 20261121


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:12]


def both(model: LanguageModel, ids: np.ndarray, noise: WeightNoise, draws: int = 3, **how: bool):
    copies, regenerated = (
        sample_logits(model, ids, noise, draws, machine, **how)
        for machine in ("copies", "regenerate")
    )
    return copies, regenerated


@pytest.mark.parametrize("antithetic", [True, False])
@pytest.mark.parametrize("law", LAWS)
def test_the_same_bits_as_copies(
    model: LanguageModel, ids: np.ndarray, law: str, antithetic: bool
) -> None:
    noise = WeightNoise(0.1, law=law, seed=SEED)
    copies, regenerated = both(model, ids, noise, antithetic=antithetic)
    assert np.array_equal(copies, regenerated)
    other, _ = both(model, ids, WeightNoise(0.1, law=law, seed=SEED + 1), antithetic=antithetic)
    assert not np.array_equal(other, regenerated)  # negative control: the bits are of this seed


@pytest.mark.parametrize("where", ["head", "embedding", "norm", "model.layers.1.mlp.*"])
def test_the_same_bits_in_every_place(model: LanguageModel, ids: np.ndarray, where: str) -> None:
    copies, regenerated = both(model, ids, WeightNoise(0.1, where=where))
    assert np.array_equal(copies, regenerated)


def test_tied_tensors_get_one_noise(tied_model: LanguageModel, ids: np.ndarray) -> None:
    copies, regenerated = both(tied_model, ids, WeightNoise(0.1, where="head"))
    assert np.array_equal(copies, regenerated)
    assert np.abs(copies - tied_model.logits(ids)).max() > 0.1


def test_every_window_is_read_by_one_draw(model: LanguageModel, text: str) -> None:
    """A text longer than the context, with the same weights in all windows."""
    long = model.encode(text)[:100]
    copies, regenerated = both(model, long, WeightNoise(0.1), 2)
    assert np.array_equal(copies, regenerated)
    last, _ = both(model, long[-64:], WeightNoise(0.1), 2)
    assert np.array_equal(copies[:, -4:], last[:, -4:])


def test_each_layer_is_made_once_per_pass(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    from llm_bridge.brownian import regenerate

    stream_of = regenerate.stream_of

    def counting(tensor, noise, draw):
        made.append(tensor.name)
        return stream_of(tensor, noise, draw)

    monkeypatch.setattr(regenerate, "stream_of", counting)
    chosen = selected_tensors(model.torch_module, WeightNoise(0.1))
    with regenerated_noise(model.torch_module, chosen, WeightNoise(0.1), 0):
        model.logits(ids)
        assert sorted(made) == sorted(tensor.name for tensor in chosen)
        model.logits(ids)
    assert len(made) == 2 * len(chosen)


def test_memory_of_one_layer() -> None:
    """Ten equal layers: copies hold ten displacements at once, regenerate one."""
    module = torch.nn.Sequential(*(torch.nn.Linear(256, 256, bias=False) for _ in range(10)))
    one = 4 * 256 * 256
    noise = WeightNoise(0.1)
    chosen = selected_tensors(module, noise)
    given = torch.ones(1, 256)
    tracemalloc.start()
    try:
        with regenerated_noise(module, chosen, noise, 0), torch.no_grad():
            module(given)
        _, regenerated = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        from llm_bridge.brownian.copies import kicks_along

        kicks = next(kicks_along(chosen, noise, 0))
        _, copies = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kicks) == 10
    assert one <= regenerated < 1.2 * one
    assert copies >= 10 * one


@pytest.mark.parametrize("change", [{"correlation": "annealed"}, {"correlation": "ou", "tau": 3.0}])
def test_only_frozen_noise(model: LanguageModel, ids: np.ndarray, change: dict) -> None:
    with pytest.raises(UnsupportedNoiseError, match="accepted: machine='function_space' or 'copie"):
        sample_logits(model, ids, WeightNoise(0.1, **change), 2, machine="regenerate")


class ReadsAnothersWeights(torch.nn.Module):
    """Multiplies by the weights of a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(7, 4)
        self.lm_head = torch.nn.Linear(4, 7, bias=False)
        self.config = SimpleNamespace(vocab_size=7)

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.lm_head

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False) -> SimpleNamespace:
        return SimpleNamespace(logits=self.embed(input_ids) @ self.lm_head.weight.T)


def test_weights_used_by_another_module_are_refused() -> None:
    """Noise would silently be left out there."""
    odd = LanguageModel(ReadsAnothersWeights(), None)
    noise = WeightNoise(0.1)
    with pytest.raises(UnsupportedNoiseError, match=r"lm_head\.weight is not used by the module"):
        sample_logits(odd, [1, 2], noise, 2, machine="regenerate")
    copies, regenerated = both(odd, np.array([1, 2]), WeightNoise(0.1, where="embedding"))
    assert np.array_equal(copies, regenerated)
    assert not odd.torch_module.lm_head._forward_pre_hooks
