"""Noise on the codes of quantised layers: its law, code by code, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from llm_bridge.brownian import rounding as rounding_module
from llm_bridge.brownian.kicks import kick, stream_of
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.quantised_linear import QuantisedLinear, quantised_model
from llm_bridge.brownian.rounding import noisy_codes, round_to_steps
from llm_bridge.brownian.rounding_law import code_transitions
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.brownian.selection import NoisyTensor
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from llm_bridge.quantised import QuantisedMatrix
from thermo.errors import InvalidInputError

SEED = 20261121
PLACES = ("attention", "mlp", "head")


@pytest.fixture(scope="module")
def quantised(model: LanguageModel) -> LanguageModel:
    return quantised_model(model, bits=4, group=16)


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:24]


def bytes_of(model: LanguageModel) -> dict[str, bytes]:
    return {name: t.numpy().tobytes() for name, t in model.torch_module.state_dict().items()}


def every_code(largest: int, copies: int, step: float = 0.25) -> QuantisedLinear:
    """A layer with each code of the range, so many times: one code in a row."""
    codes = torch.arange(-largest, largest + 1, dtype=torch.int8)[:, None].repeat(1, copies)
    scale = torch.full((2 * largest + 1, 1), step)
    return QuantisedLinear(QuantisedMatrix(codes, scale, 4 if largest == 7 else 8))


# --- the law, code by code ------------------------------------------------------------------------


def misfit(layer: QuantisedLinear, noise: WeightNoise, rounding: str, law: np.ndarray) -> float:
    """The chance of a χ² as large as the one between counted and predicted codes."""
    before = layer.codes.clone()
    counts = np.zeros_like(law)
    for draw in range(4):
        with noisy_codes(layer, noise, rounding=rounding, draw=draw):
            for row, codes in enumerate(layer.codes.numpy()):
                counts[row] += np.bincount(codes + layer.largest, minlength=counts.shape[1])
    assert torch.equal(layer.codes, before)
    expected = law * 4 * layer.in_features
    assert counts[expected == 0].sum() == 0
    # Cells that expect less than 10 count together, per row; a row's total is given.
    rare = expected < 10
    parts = np.where(rare, 0, (counts - expected) ** 2 / np.where(rare, 1, expected)).sum()
    lumped, seen = (rare * expected).sum(axis=1), (rare * counts).sum(axis=1)
    some = lumped >= 10
    parts += ((seen - lumped)[some] ** 2 / lumped[some]).sum()
    return float(chi2.sf(parts, (~rare).sum() + some.sum() - len(counts)))


@pytest.mark.parametrize("ratio", [0.3, 1.0])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "ternary"])
def test_every_code_moves_by_its_law(rounding: str, ratio: float) -> None:
    """6000 weights per code. p > 1e-6 is wanted: the false-alarm rate.

    Negative controls: the law of another σ, and that of the other rounding.
    """
    layer = every_code(7, 1500)
    law = "ternary" if rounding == "ternary" else "gaussian"
    noise = WeightNoise(ratio * 0.25, law=law, scale="absolute", seed=SEED)
    way = "nearest" if rounding == "ternary" else rounding
    assert misfit(layer, noise, way, code_transitions(ratio, rounding, 7)) > 1e-6
    if rounding == "ternary":
        return  # its law has impossible steps: `misfit` would say so by an assertion
    assert misfit(layer, noise, way, code_transitions(1.2 * ratio, rounding, 7)) < 1e-9
    other = "stochastic" if rounding == "nearest" else "nearest"
    assert misfit(layer, noise, way, code_transitions(ratio, other, 7)) < 1e-9


def test_groups_have_steps_of_their_own() -> None:
    """σ/Δ of each group; |z| < 5 for each of 4 means: false alarm 2e-6."""
    scale = torch.tensor([[1.0, 0.5], [0.25, 0.0]])
    codes = torch.zeros(2, 20000, dtype=torch.int8)
    layer = QuantisedLinear(QuantisedMatrix(codes, scale, 8))
    noise = WeightNoise(0.25, scale="absolute", seed=SEED)
    with noisy_codes(layer, noise, rounding="stochastic"):
        squares = layer.codes.reshape(2, 2, -1).double().numpy() ** 2
        law = {r: code_transitions(r, "stochastic", 127)[127] for r in (0.25, 0.5, 1.0)}
    step = np.arange(-127, 128)
    for group, ratio in (((0, 0), 0.25), ((0, 1), 0.5), ((1, 0), 1.0)):
        mean = float((step**2 * law[ratio]).sum())
        error = np.sqrt(((step**2 - mean) ** 2 * law[ratio]).sum() / 10000)
        assert abs(squares[group].mean() - mean) < 5 * error
    assert not squares[1, 1].any()  # a group of zeros has no grid to move on


def test_small_chances_are_neither_lost_nor_biased() -> None:
    """x = ±0.001 steps, 2·10⁶ times: Poisson counts of mean 2000 within 5 errors, 6e-7 each."""
    stream = np.random.default_rng(SEED)
    for x in (0.001, -0.001, 3.001, -2.999):
        steps = round_to_steps(torch.full((2 * 10**6,), x), "stochastic", stream)
        rare = int((steps != round(x)).sum())
        assert abs(rare - 2000) < 5 * 2000**0.5
        assert set(steps.unique().tolist()) == {round(x), round(x) + (1 if x % 1 < 0.5 else -1)}
    assert not round_to_steps(torch.full((100,), 0.499), "nearest", stream).any()
    assert (round_to_steps(torch.full((100,), -1.501), "nearest", stream) == -2).all()


def test_displacements_without_a_number_move_nothing() -> None:
    strange = torch.tensor([np.nan, np.inf, -np.inf, 1e30, -1e30])
    for rounding in ("nearest", "stochastic"):
        steps = round_to_steps(strange, rounding, np.random.default_rng(0))
        assert steps.tolist() == [0, 0, 0, 10**9, -(10**9)]


# --- which noise it is ----------------------------------------------------------------------------


def test_the_displacement_is_that_of_weights_in_floats(quantised: LanguageModel) -> None:
    layer = quantised.torch_module.model.layers[0].mlp.up_proj
    floats, step = layer.weight, layer.scale.repeat_interleave(16, dim=1)
    size = 0.3 * float(floats.double().square().mean().sqrt())
    for law in ("gaussian", "multiplicative", "factorised", "low_rank"):
        noise = WeightNoise(0.3, law=law, seed=SEED)
        with noisy_codes(layer, noise, rounding="nearest", draw=5):
            found = layer.codes.clone()
        moved = kick(
            NoisyTensor(("weight",), 0, floats, size), noise, stream_of_weight(noise, floats)
        )
        wanted = torch.round((floats + moved) / step).clamp(-7, 7)
        assert (found != wanted).float().mean() < 1e-3  # ties within rounding


def stream_of_weight(noise: WeightNoise, weight: torch.Tensor) -> np.random.Generator:
    return stream_of(NoisyTensor(("weight",), 0, weight, 0.0), noise, 5)


def test_ternary_noise_is_that_of_perturbed_copies(
    quantised: LanguageModel, ids: np.ndarray
) -> None:
    noise = WeightNoise(0.05, law="ternary", where=PLACES, seed=SEED)
    copies = sample_logits(quantised, ids, noise, 4, machine="copies")
    for number, logits in enumerate(copies):
        with noisy_codes(quantised, noise, draw=number // 2, sign=1 - 2 * (number % 2)):
            assert np.array_equal(quantised.logits(ids), logits)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_mirror_images(rounding: str) -> None:
    layer = every_code(7, 400)
    before = layer.codes.int()
    noise = WeightNoise(0.2, scale="absolute", seed=SEED)
    steps = []
    for sign in (1, -1):
        with noisy_codes(layer, noise, rounding=rounding, sign=sign):
            steps.append(layer.codes.int() - before)
    inside = before.abs() <= 2  # 5 steps of room, 6σ
    assert steps[0][inside].any()
    assert torch.equal(steps[0][inside], -steps[1][inside])
    ends = before.abs() == 7
    assert not torch.equal(steps[0][ends], -steps[1][ends])


def test_small_noise_is_lost_to_nearest_and_not_to_the_others(
    quantised: LanguageModel, ids: np.ndarray
) -> None:
    clean = quantised.logits(ids)
    small = WeightNoise(0.01, where="head", seed=SEED)
    with noisy_codes(quantised, small, rounding="nearest"):
        assert np.array_equal(quantised.logits(ids), clean)
    with noisy_codes(quantised, small, rounding="stochastic"):
        assert not np.array_equal(quantised.logits(ids), clean)
    with noisy_codes(quantised, WeightNoise(0.01, law="ternary", where="head", seed=SEED)):
        assert not np.array_equal(quantised.logits(ids), clean)


# --- the way back ---------------------------------------------------------------------------------


NOISES = (
    ("nearest", WeightNoise(0.3, where=PLACES, seed=SEED)),
    ("stochastic", WeightNoise(0.05, where=PLACES, seed=SEED)),
    ("stochastic", WeightNoise(0.05, law="ternary", where=PLACES, seed=SEED)),
)


@pytest.mark.parametrize(("rounding", "noise"), NOISES)
def test_the_same_bits_and_the_same_tensors_afterwards(
    quantised: LanguageModel, ids: np.ndarray, rounding: str, noise: WeightNoise
) -> None:
    before, clean = bytes_of(quantised), quantised.logits(ids)
    layer = quantised.torch_module.lm_head
    place = layer.codes.data_ptr()
    with noisy_codes(quantised, noise, rounding=rounding):
        during = bytes_of(quantised)
        assert {name for name in before if during[name] != before[name]} == {
            name for name in before if name.endswith(".codes")
        }
        assert layer.codes.data_ptr() == place
        assert int(layer.codes.abs().max()) == 7
        noisy = quantised.logits(ids)
        with noisy_codes(quantised, noise, rounding=rounding, draw=1):  # on top of the first
            assert not np.array_equal(quantised.logits(ids), noisy)
        assert bytes_of(quantised) == during
    assert not np.array_equal(noisy, clean)
    assert bytes_of(quantised) == before
    assert layer.codes.data_ptr() == place


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, GeneratorExit])
@pytest.mark.parametrize("tensors", [0, 3, 14, None])
def test_interrupted(
    quantised: LanguageModel,
    error: type[BaseException],
    tensors: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the codes of a tensor are made, the first or a later one, and inside the block."""
    before = bytes_of(quantised)
    made = rounding_module._steps
    done = []

    def steps(*arguments: object) -> torch.Tensor:
        if len(done) == tensors:
            raise error
        done.append(None)
        return made(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rounding_module, "_steps", steps)

    def interrupted() -> None:
        with noisy_codes(quantised, NOISES[0][1]):
            assert bytes_of(quantised) != before
            raise error

    with pytest.raises(error):
        interrupted()
    assert len(done) == (15 if tensors is None else tensors)
    assert bytes_of(quantised) == before


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "options", "said"),
    [
        (WeightNoise(0.1, where="head"), {"rounding": "up"}, "'nearest', 'stochastic'"),
        (WeightNoise(0.1, where="head"), {"draw": -1}, "draw = -1"),
        (WeightNoise(0.1, where="head"), {"sign": 0}, "sign = 0 was given; 1 or -1"),
        (WeightNoise(0.1, where="heads"), {}, "matches none"),
    ],
)
def test_bad_arguments(
    quantised: LanguageModel, noise: WeightNoise, options: dict, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said), noisy_codes(quantised, noise, **options):
        pass


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (WeightNoise(0.1), r"embed_tokens\.weight is not quantised; accepted"),
        (WeightNoise(0.1, where=["head", "norm"]), r"norm\.weight is not quantised"),
        (WeightNoise(0.1, where="head", correlation="annealed"), "'quenched', or machine='func"),
        (WeightNoise(0.1, where="head", correlation="ou", tau=3), "accepted: 'quenched'"),
        (WeightNoise(5.0, law="ternary", where="head"), r"accepted: sigma up to \d"),
    ],
)
def test_what_codes_cannot_do(quantised: LanguageModel, noise: WeightNoise, said: str) -> None:
    before = bytes_of(quantised)
    with pytest.raises(UnsupportedNoiseError, match=said), noisy_codes(quantised, noise):
        pass
    assert bytes_of(quantised) == before


def test_rounding_by_another_name() -> None:
    with pytest.raises(InvalidInputError, match="rounding = 'ternary'"):
        round_to_steps(torch.zeros(3), "ternary", np.random.default_rng(0))
