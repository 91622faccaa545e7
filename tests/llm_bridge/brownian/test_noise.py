"""Weight noise: bad arguments, the tensors it acts on, and the exact law of a kick."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from llm_bridge.brownian.kicks import displaced, kick, stream_of
from llm_bridge.brownian.noise import ALSO_CALLED, KINDS, LAWS, WeightNoise
from llm_bridge.brownian.selection import NoisyTensor, selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError

SEED = 20261121
SIZE = 0.3
ROWS, COLUMNS = 8, 6


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [-0.1, math.nan, math.inf, 10**400, "0.1", True, None, [0.1]])
def test_bad_sigma(sigma: object) -> None:
    with pytest.raises(InvalidInputError, match=r"sigma = .*; a finite number ≥ 0"):
        WeightNoise(sigma)  # type: ignore[arg-type]


@pytest.mark.parametrize("sigma", [1.1e36, 1e308, 10**300])
def test_sigma_beyond_float32(sigma: float) -> None:
    with pytest.raises(InvalidInputError, match=r"sigma = 1.*; at most 1e\+36 is accepted"):
        WeightNoise(sigma)
    assert WeightNoise(1e36).sigma == 1e36


@pytest.mark.parametrize("tau", [0.0, -0.0, -1.0, math.nan, math.inf, None, "5", True])
def test_bad_tau(tau: object) -> None:
    with pytest.raises(InvalidInputError, match=r"tau = .*; a finite number of tokens > 0"):
        WeightNoise(0.1, correlation="ou", tau=tau)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"law": "gausian"}, "did you mean 'gaussian'"),
        ({"law": None}, "law = None"),
        ({"scale": "rms"}, "'relative', 'absolute'"),
        ({"correlation": "frozen"}, "'quenched', 'annealed', 'ou'"),
        ({"tau": 3.0}, "no correlation time"),
        ({"tau": 3.0, "correlation": "annealed"}, "no correlation time"),
        ({"law": "multiplicative", "scale": "absolute"}, "scale='relative' is accepted"),
        ({"rank": 2}, "law='low_rank'"),
        ({"law": "low_rank", "rank": 0}, "an integer of at least 1"),
        ({"law": "low_rank", "rank": 1.5}, "an integer of at least 1"),
        ({"where": ""}, "a pattern of parameter names"),
        ({"where": []}, "a pattern of parameter names"),
        ({"where": ["head", ""]}, "a pattern of parameter names"),
        ({"where": 3}, "a pattern of parameter names"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 0.5}, "seed = 0.5"),
        ({"seed": None}, "seed = None"),
    ],
)
def test_other_bad_arguments(change: dict, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        WeightNoise(0.1, **change)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("law", ["factorised", "low_rank", "ternary"])
def test_a_path_that_would_not_keep_its_law_is_refused(law: str) -> None:
    with pytest.raises(UnsupportedNoiseError, match="'gaussian' or 'multiplicative' is accepted"):
        WeightNoise(0.1, law=law, correlation="ou", tau=3.0)


def test_correlation_of_neighbours() -> None:
    assert WeightNoise(0.1).rho == 1.0
    assert WeightNoise(0.1, correlation="annealed").rho == 0.0
    assert WeightNoise(0.1, correlation="ou", tau=2).rho == math.exp(-0.5)
    assert WeightNoise(0.1, correlation="ou", tau=5e-324).rho == 0.0


# --- selection ------------------------------------------------------------------------------------


def test_selected_tensors_are_the_models_own(model: LanguageModel) -> None:
    module = model.torch_module
    every = selected_tensors(module, WeightNoise(0.1))
    assert [t.name for t in every] == [name for name, _ in module.named_parameters()]
    assert [t.place for t in every] == list(range(len(every)))
    for tensor in every:
        weights = module.get_parameter(tensor.name)
        assert tensor.tensor is weights
        assert tensor.size == pytest.approx(
            0.1 * float(weights.double().square().mean().sqrt()),
            rel=1e-6,  # sums of float32
        )
    some = selected_tensors(module, WeightNoise(0.1, where=["norm", "lm_*"], scale="absolute"))
    assert {t.size for t in some} == {0.1}
    assert [(t.name, t.place) for t in some] == [
        (t.name, t.place) for t in every if "norm" in t.name or t.name == "lm_head.weight"
    ]


def test_tied_tensors_are_one(tied_model: LanguageModel) -> None:
    for where in ("head", "embedding", "lm_head.weight", ["head", "embedding"]):
        (only,) = selected_tensors(tied_model.torch_module, WeightNoise(0.1, where=where))
        assert only.names == ("model.embed_tokens.weight", "lm_head.weight")
        assert only.place == 0


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("convolution", "all, embedding, attention, mlp, norm, head"),
        ("heads", "(did you mean 'head'?)"),
        ("MLP", "(did you mean 'mlp'?)"),
        ("feed-forward", "(did you mean 'mlp'?)"),
        ("ffn", "(did you mean 'mlp'?)"),
        ("lm_head", "(did you mean 'head'?)"),
        ("unembedding", "(did you mean 'head'?)"),
        ("embeddings", "(did you mean 'embedding'?)"),
        ("wte", "(did you mean 'embedding'?)"),
        ("norms", "(did you mean 'norm'?)"),
        ("LayerNorm", "(did you mean 'norm'?)"),
        ("attn", "(did you mean 'attention'?)"),
        ("self_attn", "(did you mean 'attention'?)"),
        ("self-attention", "(did you mean 'attention'?)"),
        ("everything", "(did you mean 'all'?)"),
        (["head", "model.layers.7.*"], "'model.layers.7.*' matches none"),
        ("lm_head.weigth", "(did you mean 'lm_head.weight'?)"),
        ("LM_HEAD.*", "matches none"),
        ("q_proj", "(did you mean '*q_proj*'?)"),
        ("layers.0.mlp", "(did you mean '*layers.0.mlp*'?)"),
        ("model.layers.9.*", "(did you mean 'model.layers.1.*'?)"),
        ("*bias*", "names: model.embed_tokens.weight, model.layers.*.self_attn.q_proj.weight, "),
        ("*bias*", "model.norm.weight, lm_head.weight"),
    ],
)
def test_a_place_that_matches_nothing(model: LanguageModel, where: object, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        selected_tensors(model.torch_module, WeightNoise(0.1, where=where))  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_names_are_shortened() -> None:
    names = [str(n) * 3 for n in range(1, 10)] + ["a", "b", "c", "d", "e"]
    module = torch.nn.ParameterDict({name: torch.nn.Parameter(torch.ones(1)) for name in names})
    with pytest.raises(InvalidInputError) as caught:
        selected_tensors(module, WeightNoise(0.1, where="*bias*"))
    assert "999, a, b, c and 2 more" in str(caught.value)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1.0, 1e12, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_unit_of_weights_of_any_size(size: float, dtype: torch.dtype) -> None:
    """Whose squares may be beyond float32; more numbers than are summed at a time."""
    weights = torch.randn(3, 5000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    module = torch.nn.ParameterDict({"w": torch.nn.Parameter((size * weights).to(dtype))})
    (tensor,) = selected_tensors(module, WeightNoise(1.0))
    expected = float(module["w"].detach().double().square().mean().sqrt())
    assert tensor.size == pytest.approx(expected, rel=1e-6, abs=0)


def test_other_words_for_places() -> None:
    """Each means a kind, and is written as `nearest_name` compares it."""
    assert set(ALSO_CALLED.values()) <= {"all", *KINDS}
    assert not set(ALSO_CALLED) & {"all", *KINDS}
    assert all(word == word.casefold() and word.isalnum() for word in ALSO_CALLED)


class Odd(torch.nn.Module):
    """Parameters that a usual model does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = torch.nn.Parameter(torch.ones(2, 2, dtype=torch.int8), requires_grad=False)
        self.broken = torch.nn.Parameter(torch.tensor([1.0, math.nan]))
        self.zeros = torch.nn.Parameter(torch.zeros(3))
        self.empty = torch.nn.Parameter(torch.zeros(0, 4))
        self.number = torch.nn.Parameter(torch.tensor(2.0))


def test_odd_parameters() -> None:
    with pytest.raises(UnsupportedNoiseError, match=r"codes has type torch\.int8"):
        selected_tensors(Odd(), WeightNoise(0.1))
    with pytest.raises(InvalidInputError, match="broken holds NaN or infinity"):
        selected_tensors(Odd(), WeightNoise(0.1, where="broken"))
    noise = WeightNoise(0.1, where=["zeros", "empty", "number"])
    zeros, empty, number = selected_tensors(Odd(), noise)
    assert zeros.size == 0.0
    assert number.size == pytest.approx(0.2)
    assert not kick(zeros, noise, stream_of(zeros, noise, 0)).any()
    for odd in (empty, number):
        moved = kick(odd, noise, stream_of(odd, noise, 0))
        assert displaced(odd, moved, 1).shape == odd.tensor.shape


# --- the law of a kick ----------------------------------------------------------------------------


def tensor_of(weights: torch.Tensor, size: float = SIZE, place: int = 0) -> NoisyTensor:
    return NoisyTensor(("weight",), place, weights, size)


def kicks(law: str, draws: int, *, rank: int = 1, shape: tuple[int, ...] = (ROWS, COLUMNS)):
    """Displacements (draws, *shape) of a matrix, in units of the standard deviation of each."""
    noise = WeightNoise(SIZE, law=law, rank=rank, seed=SEED)
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=shape))
    # Multiplicative noise has σ|W| where the others have the size of the tensor.
    unit = SIZE * weights.abs().numpy() if law == "multiplicative" else SIZE
    tensor = tensor_of(weights)
    drawn = (kick(tensor, noise, stream_of(tensor, noise, draw)) for draw in range(draws))
    return np.stack([moved.numpy() for moved in drawn]) / unit


def score(values: np.ndarray, expected: float) -> float:
    """How many of its own errors the mean of independent values (draws,) is off."""
    return float((values.mean() - expected) / (values.std(ddof=1) / math.sqrt(values.size)))


def entries(power: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: (x**power).mean(axis=(1, 2))


def along(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    """Mean of δ²δ'² over pairs of entries in one row (axis 2) or one column (axis 1)."""

    def statistic(x: np.ndarray) -> np.ndarray:
        square, n = x**2, x.shape[axis]
        pairs = square.sum(axis=axis) ** 2 - (square**2).sum(axis=axis)
        return (pairs / (n * (n - 1))).mean(axis=1)

    return statistic


def neighbours(x: np.ndarray) -> np.ndarray:
    return (x[:, :, 1:] * x[:, :, :-1]).mean(axis=(1, 2)) + (x[:, 1:] * x[:, :-1]).mean(axis=(1, 2))


def loops(x: np.ndarray) -> np.ndarray:
    """δ_ij δ_kj δ_kl δ_il round a square: 1/r for a product of r factors, 0 for free entries."""
    return (x[:, :-1, :-1] * x[:, 1:, :-1] * x[:, 1:, 1:] * x[:, :-1, 1:]).mean(axis=(1, 2))


EXACT = {
    # fourth moment; E δ²δ'² of two in a row; the loop
    "gaussian": (3.0, 1.0, 0.0),
    "multiplicative": (3.0, 1.0, 0.0),
    "ternary": (16.0, 1.0, 0.0),
    # c⁴ (E f⁴)² with E f⁴ = E ε² = 1; c⁴ E f⁴ (E f²)²; c⁴ (E f²)⁴
    "factorised": (math.pi**2 / 4, math.pi / 2, 1.0),
    "low_rank": (9.0, 3.0, 1.0),
}


@pytest.mark.parametrize("law", LAWS)
def test_moments_of_every_law(law: str) -> None:
    """Mean 0, variance σ²s², uncorrelated entries; the fourth moments tell the laws apart.

    4000 draws; largest of 7 |z| below 5: false alarm 4e-6 per law (the means of 4000 are normal).
    """
    x = kicks(law, 4000)
    fourth, pair, loop = EXACT[law]
    scores = {
        "mean": score(entries(1)(x), 0.0),
        "variance": score(entries(2)(x), 1.0),
        "fourth": score(entries(4)(x), fourth),
        "neighbours": score(neighbours(x), 0.0),
        "row": score(along(2)(x), pair),
        "column": score(along(1)(x), pair),
        "loop": score(loops(x), loop),
    }
    assert max(map(abs, scores.values())) < 5.0, scores
    # Negative control: no other law has these moments.
    for other, (its_fourth, its_pair, its_loop) in EXACT.items():
        if EXACT[other] != EXACT[law]:
            wrong = [
                score(entries(4)(x), its_fourth),
                score(along(2)(x), its_pair),
                score(loops(x), its_loop),
            ]
            assert max(map(abs, wrong)) > 8.0, other


@pytest.mark.parametrize("rank", [1, 3])
def test_low_rank_has_its_rank(rank: int) -> None:
    """Fourth moment 3 + 6/r, E δ²δ'² along a row 1 + 2/r, loop 1/r. Four |z| < 5: 2.3e-6."""
    x = kicks("low_rank", 4000, rank=rank)
    assert {int(np.linalg.matrix_rank(each)) for each in x[:50]} == {rank}
    scores = (
        score(entries(2)(x), 1.0),
        score(entries(4)(x), 3 + 6 / rank),
        score(along(2)(x), 1 + 2 / rank),
        score(loops(x), 1 / rank),
    )
    assert max(map(abs, scores)) < 5.0, scores


def test_factorised_noise_without_its_correction_is_too_small() -> None:
    """Negative control: NoisyNet's f(ε)f(ε')ᵀ alone has variance 2/π, which the test sees."""
    x = kicks("factorised", 4000)
    plain = x / math.sqrt(math.pi / 2)
    assert abs(score(entries(2)(x), 1.0)) < 5.0
    assert abs(score(entries(2)(plain), 2 / math.pi)) < 5.0
    assert abs(score(entries(2)(plain), 1.0)) > 10.0
    assert np.linalg.matrix_rank(x[0]) == 1


def test_ternary_takes_three_values() -> None:
    x = kicks("ternary", 200)
    np.testing.assert_allclose(np.unique(np.round(x, 12)), [-4.0, 0.0, 4.0])
    moved = (x != 0).mean(axis=(1, 2))
    assert abs(score(moved, 1 / 16)) < 5.0  # false alarm 6e-7


@pytest.mark.parametrize("law", ["factorised", "low_rank"])
def test_vectors_and_stacks(law: str) -> None:
    """A vector has no second factor; the matrices of a stack have factors of their own."""
    vectors = kicks(law, 4000, shape=(12,))
    assert abs(score((vectors**4).mean(axis=1), 3.0)) < 5.0
    assert np.array_equal(vectors, kicks("gaussian", 4000, shape=(12,)))
    stacks = kicks(law, 2000, shape=(2, 3, 4))
    assert abs(score((stacks**2).mean(axis=(1, 2, 3)), 1.0)) < 5.0
    assert abs(score((stacks[:, 0] ** 2 * stacks[:, 1] ** 2).mean(axis=(1, 2)), 1.0)) < 5.0
    assert {int(np.linalg.matrix_rank(each)) for each in stacks[:20].reshape(-1, 3, 4)} == {1}


@pytest.mark.parametrize("law", LAWS)
def test_streams(law: str) -> None:
    """A kick depends on seed, draw and place, and a second one of the same stream is another."""

    def drawn(seed: int = 0, draw: int = 0, place: int = 0) -> np.ndarray:
        noise = WeightNoise(SIZE, law=law, seed=seed)
        tensor = tensor_of(torch.ones(20, 30), place=place)
        return kick(tensor, noise, stream_of(tensor, noise, draw)).numpy()

    assert np.array_equal(drawn(), drawn())
    different = [drawn(), drawn(seed=1), drawn(draw=1), drawn(place=1)]
    noise = WeightNoise(SIZE, law=law)
    tensor = tensor_of(torch.ones(20, 30))
    stream = stream_of(tensor, noise, 0)
    assert np.array_equal(kick(tensor, noise, stream), different[0])
    different.append(kick(tensor, noise, stream).numpy())
    for i, one in enumerate(different):
        for other in different[:i]:
            # Equal ones would give 1 ± 0.3. Independent ones have mean 0 and a standard deviation
            # of 1/√600; that of two factors falls as e^−x only: 0.7 is false alarm 4e-8 each.
            assert abs((one.astype(float) * other).mean()) < 0.7 * SIZE**2
            assert not np.array_equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_types_of_weights(dtype: torch.dtype) -> None:
    weights = torch.full((40, 50), 3.0, dtype=dtype)
    kept = weights.clone()
    tensor = tensor_of(weights)
    noise = WeightNoise(SIZE)
    moved = kick(tensor, noise, stream_of(tensor, noise, 0))
    assert moved.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    noisy, mirrored = displaced(tensor, moved, 1), displaced(tensor, moved, -1)
    assert noisy.dtype == dtype
    assert torch.equal(weights, kept)
    rounding = torch.finfo(dtype).eps * 4.0
    torch.testing.assert_close(noisy.double(), 3.0 + moved.double(), atol=rounding, rtol=0)
    torch.testing.assert_close(mirrored.double(), 3.0 - moved.double(), atol=rounding, rtol=0)
    assert torch.equal(displaced(tensor, moved, 1, out=moved), noisy)
