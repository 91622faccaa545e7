"""Batches: nearly every token predicted once an epoch, by seed and step alone."""

from __future__ import annotations

import numpy as np

from llm_bridge.demo_model.batches import Batches

SEED = 20261120


def test_an_epoch_predicts_every_token_at_most_once_and_nearly_all():
    documents = [np.arange(100 * n, 100 * n + 60, dtype=np.int32) for n in range(20)]
    batches = Batches(documents, context=8, batch=5, seed=SEED)
    for epoch in range(2):
        first = epoch * batches.steps_per_epoch
        predicted = np.concatenate(
            [batches.at(first + s)[:, 1:].ravel() for s in range(batches.steps_per_epoch)]
        )
        assert len(set(predicted.tolist())) == len(predicted)
        # Lost are at most: the offset, the last partial window, the last partial batch.
        assert len(predicted) >= batches.tokens - 1 - 2 * 8 - 5 * 8


def test_windows_depend_on_seed_and_step_alone():
    documents = [np.arange(300, dtype=np.int32), np.arange(300, 500, dtype=np.int32)]
    one = Batches(documents, context=8, batch=5, seed=SEED)
    two = Batches(documents, context=8, batch=5, seed=SEED)
    forward = [one.at(step) for step in range(40)]
    backward = [two.at(step) for step in reversed(range(40))][::-1]
    assert all((a == b).all() for a, b in zip(forward, backward, strict=True))
    other = Batches(documents, context=8, batch=5, seed=SEED + 1)
    assert (other.at(0) != forward[0]).any()
    assert (forward[one.steps_per_epoch] != forward[0]).any()
