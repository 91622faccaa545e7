"""Noise in function space has the law of perturbed copies, through whole models."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import transformers  # noqa: E402
from function_space_readings import (  # noqa: E402
    CORRELATIONS,
    SEED,
    draws_of,
    noise_of,
)  # fmt: skip

from llm_bridge.models import LanguageModel  # noqa: E402


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def two_sample_p(one: np.ndarray, other: np.ndarray, clean: np.ndarray) -> float:
    """p-value, by permutation, of logits (draws, N, V) having one law: means and second moments.

    Features of a draw's kicks: the mean over tokens of products between all pairs of positions, and
    of products with the clean logits; and eight fixed projections of all positions and tokens, with
    their squares. T² of the features, whitened together, against 12 000 permutations of which is
    which.
    """
    rng = np.random.default_rng(SEED)
    kicks = np.concatenate([one, other]).astype(np.float64) - clean
    n, positions, tokens = kicks.shape
    between = (kicks @ kicks.transpose(0, 2, 1))[:, *np.tril_indices(positions)]
    along = np.einsum("dtv,tv->dt", kicks, clean)
    y = kicks.reshape(n, -1) @ rng.normal(size=(positions * tokens, 8))
    features = np.concatenate([np.log(np.abs(between) + 1e-9), between, along, y, y * y], axis=1)
    features -= features.mean(axis=0)
    features /= features.std(axis=0)
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    white = left[:, values > 1e-4 * values[0]]
    labels = np.repeat([1.0, -1.0], [len(one), len(other)])
    seen = ((labels @ white) ** 2).sum()
    shuffled = rng.permuted(np.tile(labels, (12_000, 1)), axis=1)
    return float((1 + (((shuffled @ white) ** 2).sum(axis=1) >= seen).sum()) / 12_001)


LAWS = [
    ("gaussian", "quenched", {}),
    ("gaussian", "annealed", {}),
    ("gaussian", "ou", {}),
    ("factorised", "quenched", {}),
    ("low_rank", "quenched", {"rank": 2}),
]
DRAWS = 250


@pytest.fixture(scope="module")
def gpt2(model: LanguageModel) -> LanguageModel:
    """Conv1D, biases, norms with biases, and positions that are embedded once for all draws."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        config = transformers.GPT2Config(
            vocab_size=model.vocabulary_size, n_embd=32, n_layer=2, n_head=4, n_positions=64,
            initializer_range=0.3, tie_word_embeddings=False, eos_token_id=0, bos_token_id=0,
        )  # fmt: skip
        module = transformers.GPT2LMHeadModel(config)
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.data += 0.3 * torch.randn_like(parameter)
    return LanguageModel(module, model.tokenizer, name="gpt2")


@pytest.mark.parametrize(("law", "correlation", "options"), LAWS)
def test_a_model_has_the_law_of_copies(
    model: LanguageModel, ids: np.ndarray, law: str, correlation: str, options: dict
) -> None:
    """All tensors of a Llama, strong noise; p above 1e-4, which is also the rate of false alarms.

    The function-space draws are read at once and in pieces; a text with tokens that repeat.
    """
    ids = np.concatenate([ids[:4], ids[1:3]])
    options = {"scale": "relative", "law": law, **options}
    noise = noise_of(correlation, 0.2, **options)
    clean = model.logits(ids)
    copies = draws_of(model, ids, noise, DRAWS, "copies")
    for how in ("at once", "pieces"):
        assert two_sample_p(copies, draws_of(model, ids, noise, DRAWS, how), clean) > 1e-4
    # Negative controls: another kernel, and a σ that is a quarter larger.
    kernel = "annealed" if correlation == "quenched" else "quenched"
    for wrong in (
        noise_of(kernel, 0.2, scale="relative"),
        noise_of(correlation, 0.25, **options),
    ):
        assert two_sample_p(copies, draws_of(model, ids, wrong, DRAWS, "at once"), clean) < 1e-4


@pytest.mark.parametrize(
    "correlation",
    ["quenched", *(pytest.param(c, marks=pytest.mark.slow) for c in CORRELATIONS[1:])],
)
def test_gpt2_has_the_law_of_copies(gpt2: LanguageModel, ids: np.ndarray, correlation: str) -> None:
    ids, clean = ids[:5], gpt2.logits(ids[:5])
    noise, wrong = (noise_of(correlation, sigma, scale="relative") for sigma in (0.2, 0.25))
    copies = draws_of(gpt2, ids, noise, DRAWS, "copies")
    assert two_sample_p(copies, draws_of(gpt2, ids, noise, DRAWS, "pieces"), clean) > 1e-4
    assert two_sample_p(copies, draws_of(gpt2, ids, wrong, DRAWS, "pieces"), clean) < 1e-4
