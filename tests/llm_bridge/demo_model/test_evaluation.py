"""The loss and its error: against a jackknife, a uniform model and transformers' own loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm_bridge.demo_model.architecture import build_model, configuration
from llm_bridge.demo_model.evaluation import Ratio, evaluate

SEED = 20261120


def test_error_of_a_ratio_is_its_jackknife_error():
    """To first order in 1/D; with D = 400 the two differ by far less than 2 %."""
    generator = np.random.default_rng(SEED)
    size = generator.uniform(1.0, 3.0, 400)
    nats = size * generator.normal(2.0, 0.3, 400)
    ratio = Ratio.of(nats, size)
    left_out = (nats.sum() - nats) / (size.sum() - size)
    jackknife = np.sqrt(399 / 400 * ((left_out - left_out.mean()) ** 2).sum())
    assert ratio.value == pytest.approx(nats.sum() / size.sum(), rel=1e-14)
    assert ratio.error == pytest.approx(jackknife, rel=0.02)


def test_a_uniform_model_loses_the_logarithm_of_its_vocabulary():
    model = build_model(configuration(300, width=16, layers=1, heads=2, context=8), SEED)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    documents = [np.arange(n, dtype=np.int32) for n in (3, 8, 9, 10, 50)]
    loss = evaluate(model, documents, [10] * 5, context=8, batch=3)
    assert loss.tokens.tolist() == [2, 7, 8, 9, 49]
    np.testing.assert_allclose(loss.nats, loss.tokens * np.log(300), rtol=1e-6)
    assert loss.nats_per_token.value == pytest.approx(np.log(300), rel=1e-6)


def test_loss_is_the_one_that_transformers_computes():
    model = build_model(configuration(300, width=16, layers=2, heads=2, context=16), SEED)
    ids = np.random.default_rng(SEED).integers(300, size=40).astype(np.int32)
    by_hand = 0.0
    for start in range(0, 39, 16):
        window = torch.from_numpy(ids[start : start + 17].astype(np.int64))[None]
        answer = model(input_ids=window, labels=window)
        by_hand += answer.loss.item() * (window.shape[1] - 1)
    loss = evaluate(model, [ids, ids[:5]], [1, 1], context=16)
    assert loss.nats[0] == pytest.approx(by_hand, rel=1e-5)
