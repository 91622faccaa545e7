"""Laplace's approximation by laplace-torch, where that is installed."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch

from llm_bridge.errors import MissingExtraError
from llm_bridge.kin import laplace_logits
from thermo.errors import InvalidInputError

HEAD = torch.nn.Linear(3, 4)
X = torch.zeros(5, 3)
TOKENS = [0, 1, 2, 3, 0]


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "laplace", None)
    with pytest.raises(MissingExtraError, match="pip install laplace-torch"):
        laplace_logits(HEAD, X, TOKENS, draws=2)


@pytest.mark.parametrize(
    ("hidden", "tokens", "settings", "words"),
    [
        (X[:, :2], TOKENS, {}, "hidden"),
        (X, TOKENS[:-1], {}, "tokens"),
        (X, [0, 1, 2, 3, 4], {}, "0 … 3"),
        (X, [0.0, 1.0, 2.0, 3.0, 0.0], {}, "integers"),
        (X, TOKENS, {"at": X[0]}, "at"),
        (X, TOKENS, {"prior_precision": 0.0}, "prior_precision"),
        (X, TOKENS, {"structure": "low rank"}, "structure"),
        (X, TOKENS, {"draws": 0}, "draws"),
    ],
)
def test_bad_input_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, hidden, tokens, settings: dict, words: str
) -> None:
    monkeypatch.setitem(sys.modules, "laplace", None)
    with pytest.raises(InvalidInputError, match=words):
        laplace_logits(HEAD, hidden, tokens, **{"draws": 2, **settings})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_draws_have_the_covariance_of_the_posterior() -> None:
    """All logits at two positions against the inverse Hessian; 36 moments, 4.5 errors: 3e-4.

    Runs where laplace-torch is installed.
    """
    from llm_bridge.kin.laplace import _laplace

    try:
        _laplace()
    except MissingExtraError:
        pytest.skip("laplace-torch is not installed")
    torch.manual_seed(1)
    x, head = torch.randn(40, 3), torch.nn.Linear(3, 4)
    tokens = torch.randint(0, 4, (40,))
    before = head.weight.detach().clone()
    drawn = laplace_logits(
        head, x, tokens.numpy(), at=x[:2], draws=4000, seed=2, prior_precision=2.0, structure="full"
    )
    assert drawn.noisy.shape == (4000, 2, 4)
    assert torch.equal(head.weight, before)
    assert head.weight.requires_grad
    start = torch.nn.utils.parameters_to_vector(head.parameters()).detach()

    def logits(w: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return at @ w[:12].reshape(4, 3).mT + w[12:]

    def potential(w: torch.Tensor) -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy(logits(w, x), tokens, reduction="sum")
        return loss + w.square().sum()

    inverse = torch.linalg.inv(torch.func.hessian(potential)(start))
    jacobian = torch.func.jacrev(lambda w: logits(w, x[:2]).flatten())(start)
    expected = (jacobian @ inverse @ jacobian.mT).numpy()
    y = (drawn.noisy - drawn.clean).reshape(4000, 8).astype(float)
    products = y[:, :, None] * y[:, None, :]
    error = products.std(axis=0) / math.sqrt(len(y))
    assert (np.abs(products.mean(axis=0) - expected) < 4.5 * error).all()
