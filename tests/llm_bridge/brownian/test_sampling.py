"""Logits under weight noise: bad input before any work, memory, and the choice of a machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm_bridge.brownian import WeightNoise, sample_logits, sampling
from llm_bridge.brownian.cost import predicted_cost
from llm_bridge.brownian.noise import LAWS
from llm_bridge.brownian.noisy_memory import held_bytes
from llm_bridge.brownian.selection import NoisyTensor, selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError

SEED = 20261121


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:12]


def refuse_to_work(*_: object, **__: object) -> None:
    raise AssertionError("work was begun")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"draws": 0}, "draws = 0 was given; accepted: an integer of at least 1"),
        ({"draws": -1}, "draws = -1"),
        ({"draws": 1.5}, "draws = 1.5"),
        ({"draws": True}, "draws = True"),
        ({"machine": "magic"}, "'auto', 'copies', 'function_space', 'regenerate'"),
        ({"machine": "copy"}, "did you mean 'copies'"),
        ({"machine": None}, "machine = None"),
        ({"dtype": np.int8}, "float32 or float16"),
        ({"dtype": "float"}, "float32 or float16"),
        ({"dtype": "number"}, "float32 or float16"),
        ({"antithetic": "no"}, "antithetic = 'no'"),
        ({"progress": 1}, "progress = 1"),
        ({"ids": []}, "at least one integer"),
        ({"ids": [10**6]}, "token id 1000000 at position 0"),
        ({"ids": [-1]}, "token id -1"),
        ({"ids": [0.5]}, "at least one integer"),
        (
            {"noise": 0.1},
            "noise = 0.1 was given; accepted: a WeightNoise, such as WeightNoise(0.1)",
        ),
        ({"noise": 0.1, "machine": "function_space"}, "accepted: a WeightNoise"),
        ({"noise": WeightNoise(0.1, where="convolution")}, "accepted: all, embedding, attention"),
        ({"noise": WeightNoise(0.1, where=["head", "*.bias"])}, "'*.bias' matches none"),
        (
            {"noise": WeightNoise(0.1, correlation="annealed"), "machine": "regenerate"},
            "accepted: machine='function_space' or 'copies'",
        ),
        (
            {"noise": WeightNoise(0.1, correlation="annealed"), "ids": [1] * 65},
            "at most 64 positions",
        ),
    ],
)
def test_bad_input_before_any_work(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch, change: dict, said: str
) -> None:
    monkeypatch.setattr(LanguageModel, "logits", refuse_to_work)
    monkeypatch.setattr("llm_bridge.brownian.copies.kick", refuse_to_work)
    arguments = {"ids": ids, "noise": WeightNoise(0.1), "draws": 2, "machine": "copies"} | change
    with pytest.raises(InvalidInputError) as caught:
        sample_logits(model, **arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("machine", ["auto", "function_space"])
def test_layers_and_weights_are_looked_at_once(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    """Which takes a while: also by auto, and for as many batches as there are."""
    from llm_bridge.brownian import function_space, selection

    seen: dict[str, list[object]] = {"gain_of": [], "_unit": []}
    for module, name in ((function_space, "gain_of"), (selection, "_unit")):
        whole = getattr(module, name)

        def spy(*given: Any, whole: Any = whole, name: str = name) -> Any:
            seen[name].append(given[0])
            return whole(*given)

        monkeypatch.setattr(module, name, spy)
    monkeypatch.setattr(sampling, "_BATCH_BYTES", 1)  # batches of two draws
    monkeypatch.setattr(
        sampling, "predicted_cost", lambda machine, *_: float(machine != "function_space")
    )
    sample_logits(model, ids, WeightNoise(0.1), 6, machine)
    norms = [name for name, _ in model.torch_module.named_parameters() if "norm" in name]
    assert len(seen["gain_of"]) == len(norms)
    assert len(seen["_unit"]) == len(list(model.torch_module.parameters()))


def test_half_precision(model: LanguageModel, ids: np.ndarray) -> None:
    whole, half = (
        sample_logits(model, ids, WeightNoise(0.1), 2, machine="copies", dtype=dtype)
        for dtype in (np.float32, np.float16)
    )
    assert (whole.dtype, half.dtype) == (np.float32, np.float16)
    np.testing.assert_allclose(half, whole, rtol=1e-3, atol=1e-2)


# --- memory ---------------------------------------------------------------------------------------


def set_free(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr("thermo.memory.available_bytes", lambda: int(free))


def test_not_enough_memory(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is needed, what there is, and advice that holds when it is followed."""
    with pytest.raises(InvalidInputError, match=r"would fit: at most \d+ draws"):
        sample_logits(model, ids, WeightNoise(0.1), 10**12, machine="copies")
    chosen = selected_tensors(model.torch_module, WeightNoise(0.1))

    def needed(machine: str, draws: int) -> float:
        return sum(held_bytes(machine, model, chosen, ids.size, draws, 4).values()) / 0.8

    def draw(draws: int = 20, machine: str = "copies") -> np.ndarray:
        return sample_logits(model, ids, WeightNoise(0.1), draws, machine=machine)

    # Room for seven draws: seven is what is offered, and seven is accepted.
    set_free(monkeypatch, needed("copies", 7) + 1)
    with pytest.raises(InvalidInputError, match=r"20 draws .* would need .* at most 7 draws"):
        draw()
    assert len(draw(7)) == 7
    # Not even one draw by copies, but by regenerate.
    assert needed("regenerate", 10) < needed("copies", 1)
    set_free(monkeypatch, needed("copies", 1) - 2)
    with pytest.raises(InvalidInputError, match=r"machine='regenerate'") as caught:
        draw(10)
    assert "at most" not in str(caught.value).partition(" or at most")[0]
    assert len(draw(10, machine="regenerate")) == 10
    # A noise that regenerate cannot draw is not sent there.
    annealed = WeightNoise(0.1, law="ternary", correlation="annealed")
    with pytest.raises(InvalidInputError) as caught:
        sample_logits(model, ids, annealed, 10, machine="copies")
    assert "regenerate" not in str(caught.value)
    assert "function_space" not in str(caught.value)


def test_clean_logits_too_need_memory(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_free(monkeypatch, 10_000)
    with pytest.raises(InvalidInputError, match=r"2 draws over 12 positions .* would need"):
        sample_logits(model, ids, WeightNoise(0.0), 2)


# --- the choice of a machine ----------------------------------------------------------------------


def chosen_machine(
    monkeypatch: pytest.MonkeyPatch, model: LanguageModel, ids: np.ndarray, noise: WeightNoise
) -> str:
    """Which machine ``auto`` takes."""
    taken = []

    def spy(name: str) -> Callable:
        def read(model, tokens, chosen, noise, draws, antithetic, layers=None):
            taken.append(name)
            return [model.logits(tokens)] * draws

        return read

    with monkeypatch.context() as patch:
        patch.setattr(sampling, "logits_of_copies", spy("copies"))
        patch.setattr(sampling, "logits_of_regenerated", spy("regenerate"))
        patch.setattr(sampling, "_logits_in_function_space", spy("function_space"))
        sample_logits(model, ids, noise, 2)
    return taken[0]


def test_auto_takes_the_cheapest(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for noise in (
        WeightNoise(0.1),
        WeightNoise(0.1, correlation="annealed"),
        WeightNoise(0.1, correlation="ou", tau=2.0),
        WeightNoise(0.1, law="low_rank"),
        WeightNoise(0.1, where="norm"),
    ):
        chosen = selected_tensors(model.torch_module, noise)
        machines = ("copies", "function_space", "regenerate")
        if noise.correlation != "quenched":
            machines = ("copies", "function_space")
        cost = {m: predicted_cost(m, model, chosen, noise, ids.size, True) for m in machines}
        assert chosen_machine(monkeypatch, model, ids, noise) == min(cost, key=cost.__getitem__)


def test_auto_takes_what_can_draw_the_noise(
    model: LanguageModel,
    tied_model: LanguageModel,
    ids: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for law in ("ternary", "multiplicative"):
        assert chosen_machine(monkeypatch, model, ids, WeightNoise(0.1, law=law)) == "copies"
    tied = WeightNoise(0.1, where="head")
    assert chosen_machine(monkeypatch, tied_model, ids, tied) == "copies"
    # Where copies do not fit, the same weights are made layer by layer.
    noise = WeightNoise(0.1, law="ternary")
    chosen = selected_tensors(model.torch_module, noise)
    set_free(
        monkeypatch,
        sum(held_bytes("regenerate", model, chosen, ids.size, 2, 4).values()) / 0.8 + 1,
    )
    assert chosen_machine(monkeypatch, model, ids, noise) == "regenerate"
    frozen = sample_logits(model, ids, noise, 2)
    set_free(monkeypatch, 1e12)
    assert np.array_equal(frozen, sample_logits(model, ids, noise, 2, machine="copies"))


def test_auto_says_why_nothing_can(model: LanguageModel, text: str) -> None:
    noise = WeightNoise(0.1, law="ternary", correlation="annealed")
    with pytest.raises(UnsupportedNoiseError, match="at most 64 positions"):
        sample_logits(model, model.encode(text)[:70], noise, 2)


@pytest.mark.parametrize("law", LAWS)
def test_predicted_cost(model: LanguageModel, law: str) -> None:
    """What must hold whatever the constants: orders of growth, and who needs more than whom."""
    noise = WeightNoise(0.1, law=law)
    chosen = selected_tensors(model.torch_module, noise)

    def cost(machine: str, positions: int = 16, noise: WeightNoise = noise) -> float:
        return predicted_cost(machine, model, chosen, noise, positions, True)

    for machine in sampling.MACHINES:
        assert cost(machine, 32) > cost(machine, 16) > 0
    assert cost("regenerate") > cost("copies")
    annealed = WeightNoise(0.1, law=law, correlation="annealed")
    assert cost("copies", noise=annealed) > 10 * cost("copies")
    assert cost("function_space", noise=annealed) <= cost("function_space")
    wide = predicted_cost("copies", model, chosen, noise, 16, False)
    assert wide >= cost("copies")  # without mirrored pairs every draw needs its own numbers


@pytest.mark.parametrize("machine", ["copies", "function_space", "regenerate"])
def test_two_threads_on_one_model_get_what_each_would_alone(
    machine: str, model: LanguageModel, ids: np.ndarray
) -> None:
    """And a third that reads the clean model meanwhile reads the clean model."""
    clean = model.logits(ids)
    weights = [tensor.clone() for tensor in model.torch_module.parameters()]
    noises = [WeightNoise(0.3, seed=seed) for seed in (1, 2)]
    alone = [sample_logits(model, ids, noise, 4, machine) for noise in noises]
    with ThreadPoolExecutor(3) as pool:
        together = [pool.submit(sample_logits, model, ids, n, 4, machine) for n in noises]
        readings = [pool.submit(model.logits, ids) for _ in range(8)]
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other.result())
    assert all(np.array_equal(reading.result(), clean) for reading in readings)
    assert all(map(torch.equal, weights, model.torch_module.parameters()))


@pytest.mark.parametrize("positions", [64, 256, 1024])
def test_predicted_cost_is_that_of_the_record(
    positions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a quarter, and the machine that auto takes is the one that was fastest."""
    root = Path(__file__).parents[3]
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    script = import_module("weight_noise")
    record = json.loads((root / "docs/measured/weight_noise.json").read_text(encoding="utf-8"))
    found = dict(zip(record["names"], (row[5] for row in record["rows"]), strict=True))
    with torch.device("meta"):
        module = script.model_of.__wrapped__(512)
    model = LanguageModel(module, None, name="as in the record")
    weights = list(module.named_parameters())
    chosen = [NoisyTensor((name,), k, weight, 1.0) for k, (name, weight) in enumerate(weights)]
    forward = positions * sum(weight.numel() for _, weight in weights)
    measured, predicted = {}, {}
    for machine in sampling.MACHINES:
        cost = predicted_cost(machine, model, chosen, script.frozen(), positions, True)
        predicted[machine] = cost / forward
        measured[machine] = found[f"{machine.replace('_', '-')}-512-{positions}"]
    assert predicted == pytest.approx(measured, rel=0.25)
    assert min(predicted, key=predicted.__getitem__) == min(measured, key=measured.__getitem__)
