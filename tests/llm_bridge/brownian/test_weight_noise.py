"""Weight noise: which tensors it takes, its law, and a model that is never changed."""

from __future__ import annotations

import numpy as np
import pytest

from llm_bridge.brownian import WeightNoise, sample_logits
from llm_bridge.brownian.noise import KINDS
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError

SEED = 20261120


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf"), "0.1", True, None])
def test_bad_sigma(sigma: object) -> None:
    with pytest.raises(InvalidInputError, match=r"sigma = .*; a finite number ≥ 0"):
        WeightNoise(sigma)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"law": "ternary"},
        {"scale": "rms"},
        {"correlation": "ou"},
        {"tau": 3.0},
        {"where": ""},
        {"where": []},
        {"where": 3},
        {"seed": -1},
        {"seed": 0.5},
    ],
)
def test_other_bad_noise(change: dict) -> None:
    with pytest.raises(InvalidInputError) as caught:
        WeightNoise(0.1, **change)
    assert "\n" not in str(caught.value)


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


def test_no_noise_is_the_clean_model(model: LanguageModel, ids: np.ndarray) -> None:
    noisy = sample_logits(model, ids, WeightNoise(0.0), 3)
    assert noisy.dtype == np.float32
    for draw in noisy:
        assert np.array_equal(draw, model.logits(ids))


def test_model_is_never_changed(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {k: v.clone() for k, v in model.torch_module.state_dict().items()}
    clean = model.logits(ids)
    sample_logits(model, ids, WeightNoise(0.3), 4)
    with pytest.raises(InvalidInputError):
        sample_logits(model, [10**6], WeightNoise(0.3), 4)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(model.torch_module.lm_head), "forward", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sample_logits(model, ids, WeightNoise(0.3), 4)
    monkeypatch.undo()
    after = model.torch_module.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.numpy().tobytes() == after[name].numpy().tobytes()
    assert np.array_equal(model.logits(ids), clean)


def test_draws_depend_on_seed_and_number_only(model: LanguageModel, ids: np.ndarray) -> None:
    noise = WeightNoise(0.1, seed=SEED)
    two, six = (sample_logits(model, ids, noise, draws) for draws in (2, 6))
    assert np.array_equal(two, six[:2])
    assert len({draw.tobytes() for draw in six}) == 6
    assert np.array_equal(sample_logits(model, ids, noise, 3), six[:3])
    other = sample_logits(model, ids, WeightNoise(0.1, seed=SEED + 1), 2)
    assert not np.array_equal(two, other)
    free = sample_logits(model, ids, noise, 3, antithetic=False)
    assert np.array_equal(free[:2], six[[0, 2]])


def test_chosen_parameters_keep_their_noise(model: LanguageModel, ids: np.ndarray) -> None:
    """Noise of the head is the same whether or not other tensors are perturbed too."""
    from llm_bridge.brownian.copies import _perturbed_copies, selected_parameters

    def first(where: str) -> dict:
        noise = WeightNoise(0.1, where=where)
        chosen = selected_parameters(model.torch_module, noise)
        return next(_perturbed_copies(chosen, noise, 1, True))

    alone, together = first("head"), first("all")
    assert np.array_equal(alone["lm_head.weight"], together["lm_head.weight"])


def test_mirrored_draws_cancel_in_a_linear_layer(model: LanguageModel, ids: np.ndarray) -> None:
    noisy = sample_logits(model, ids, WeightNoise(0.2, where="head"), 4)
    clean = model.logits(ids)
    for plus, minus in noisy.reshape(2, 2, *clean.shape):
        np.testing.assert_allclose((plus + minus) / 2, clean, atol=5e-6)
        assert np.abs(plus - clean).max() > 0.1


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
    noisy = sample_logits(model, ids[:6], noise, 40, antithetic=False)
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

    module = tied_model.torch_module
    weight = module.model.embed_tokens.weight
    with torch.no_grad():  # by hand: one perturbed tensor in both places
        from llm_bridge.brownian.copies import _perturbed_copies, selected_parameters

        noise = WeightNoise(0.1, where="head")
        copies = _perturbed_copies(selected_parameters(module, noise), noise, 1, True)
        changed = next(copies)["model.embed_tokens.weight"]
        kept = weight.clone()
        weight.copy_(changed)
        expected = tied_model.logits(ids)
        weight.copy_(kept)
    assert np.array_equal(head[0], expected)


def test_long_texts_are_read_by_one_draw(model: LanguageModel, text: str) -> None:
    """Every window of a long text sees the same frozen weights."""
    long = model.encode(text)[:100]
    noise = WeightNoise(0.1, seed=SEED)
    noisy = sample_logits(model, long, noise, 2)
    assert noisy.shape == (2, 100, model.vocabulary_size)
    tail = sample_logits(model, long[-64:], noise, 2)
    assert np.array_equal(noisy[:, -4:], tail[:, -4:])


def test_bad_sampling(model: LanguageModel, ids: np.ndarray) -> None:
    noise = WeightNoise(0.1)
    for draws in (0, -1, 1.5, True):
        with pytest.raises(InvalidInputError, match="draws"):
            sample_logits(model, ids, noise, draws)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedNoiseError, match="'auto' or 'copies'"):
        sample_logits(model, ids, noise, 2, machine="magic")
    with pytest.raises(InvalidInputError, match="float32 or float16"):
        sample_logits(model, ids, noise, 2, dtype=np.int8)
    with pytest.raises(InvalidInputError, match=r"matches none.*accepted: all, embedding"):
        sample_logits(model, ids, WeightNoise(0.1, where="convolution"), 2)
    half = sample_logits(model, ids, noise, 2, dtype=np.float16)
    np.testing.assert_allclose(half, sample_logits(model, ids, noise, 2), rtol=1e-3, atol=1e-2)
