"""What a training step is made of: optimisers, rate, dropout and initial weights."""

from __future__ import annotations

import numpy as np
import torch

from llm_bridge.demo_model.architecture import build_model, configuration
from llm_bridge.demo_model.dropout import add_dropout, step_generator
from llm_bridge.demo_model.optimizers import build_optimizers, rate_factor

SEED = 20261120


def test_every_parameter_has_one_optimizer():
    model = build_model(configuration(300, width=16, layers=2, heads=2), SEED)
    optimizers = build_optimizers(model, matrix_rate=0.02, table_rate=0.003, decay=0.002)
    held = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    decays = {
        round(group["lr"] * group["weight_decay"], 12)
        for o in optimizers
        for group in o.param_groups
    }
    assert decays == {0.002, 0.0}


def test_dropout_is_decided_by_seed_and_step_and_absent_in_evaluation():
    config = configuration(300, width=16, layers=1, heads=2)
    ids = torch.arange(20)[None]
    plain, dropped = build_model(config, SEED), build_model(config, SEED)
    add_dropout(dropped, 0.5)

    def logits(seed: int, step: int) -> torch.Tensor:
        with torch.no_grad(), step_generator(seed, step, torch.device("cpu")):
            return dropped(input_ids=ids).logits

    dropped.train()
    before = torch.get_rng_state()
    assert torch.equal(logits(SEED, 3), logits(SEED, 3))
    assert not torch.equal(logits(SEED, 3), logits(SEED, 4))
    assert not torch.equal(logits(SEED, 3), logits(SEED + 1, 3))
    assert torch.equal(before, torch.get_rng_state())
    dropped.eval()
    assert torch.equal(logits(SEED, 3), plain.eval()(input_ids=ids).logits)


def test_rate_rises_then_falls_to_zero():
    done = np.linspace(0, 1, 101)
    rates = np.array([rate_factor(x, 0.1) for x in done])
    assert rates.argmax() == 10
    assert (np.diff(rates[:11]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rate_factor(1.5, 0.1) == 0.0


def test_initial_weights_come_from_the_seed_alone():
    config = configuration(300, width=16, layers=1, heads=2)
    before = torch.get_rng_state()
    one, two, other = (build_model(config, s).state_dict() for s in (SEED, SEED, SEED + 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])
