"""Predictions for weak noise: what is refused, and that the model stays as it was."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from llm_bridge.brownian import WeightNoise
from llm_bridge.brownian.second_order import second_order, second_order_of
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError

SEED = 20261121


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:12]


def test_model_is_left_as_it_was(model: LanguageModel, ids: np.ndarray) -> None:
    def digest() -> str:
        state = model.torch_module.state_dict()
        return hashlib.sha256(b"".join(w.numpy().tobytes() for w in state.values())).hexdigest()

    before = digest()
    second_order(model, ids, WeightNoise(0.1), probes=2)
    assert digest() == before
    head = model.torch_module.get_output_embeddings()
    assert not head._forward_hooks
    assert all(parameter.grad is None for parameter in model.torch_module.parameters())


def test_bad_requests(model: LanguageModel, ids: np.ndarray) -> None:
    noise = WeightNoise(0.1)
    with pytest.raises(InvalidInputError, match="probes = 1"):
        second_order(model, ids, noise, probes=1)
    with pytest.raises(InvalidInputError, match="progress"):
        second_order(model, ids, noise, progress="no")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedNoiseError, match=r"'annealed'.*'quenched' is accepted"):
        second_order(model, ids, WeightNoise(0.1, correlation="annealed"))
    with pytest.raises(InvalidInputError, match="matches none"):
        second_order(model, ids, WeightNoise(0.1, where="heat"))
    with pytest.raises(InvalidInputError, match="not in this model's vocabulary"):
        second_order(model, [10**6], noise)
    theory = second_order(model, ids, WeightNoise(0.1, where="head"))
    with pytest.raises(InvalidInputError, match=r"sigma = -0\.1"):
        theory.at(-0.1)
    with pytest.raises(InvalidInputError, match="temperature above 1 is accepted"):
        theory.sigma_for(0.9)
    assert theory.sigma_for(1.0) == (0.0, 0.0)
    sigma, error = theory.sigma_for(1.01)
    assert theory.at(sigma).temperature == pytest.approx(1.01)
    assert error == 0.0


def test_bad_covariances() -> None:
    with pytest.raises(InvalidInputError, match=r"covariance \(3,\)"):
        second_order_of([[0.0, 1.0]], [1.0, 2.0, 3.0])
    with pytest.raises(InvalidInputError, match="all equal"):
        second_order_of([[1.0, 1.0]], [[1.0, 1.0]])
    with pytest.raises(InvalidInputError, match="finite numbers"):
        second_order_of([[1.0, np.inf]], [[1.0, 1.0]])


def test_layers_that_cannot_be_differentiated(model: LanguageModel, ids: np.ndarray) -> None:
    import torch

    class Opaque(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return 2 * gradient

    class Doubled(torch.nn.Module):
        def forward(self, x):
            return Opaque.apply(x)

    import copy

    module = copy.deepcopy(model.torch_module)
    module.model.layers[0].mlp.act_fn = Doubled()
    other = LanguageModel(module, model.tokenizer)
    with pytest.raises(UnsupportedNoiseError, match="accepted: draws of the noise"):
        second_order(other, ids, WeightNoise(0.1, where="attention"), probes=2)
    assert second_order(other, ids, WeightNoise(0.1, where="head")).probes == 0
