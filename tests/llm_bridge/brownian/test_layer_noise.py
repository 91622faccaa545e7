"""Noise in the output of one layer: exactly the law of noise on its weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from function_space_readings import (  # noqa: E402
    CORRELATIONS,
    DENSE,
    LIMIT,
    RMSNorm,
    Scaled,
    dense,
    inputs_of,
    kernel,
    largest_deviation,
    layer_norm,
    noise_of,
    numbers,
    read,
)  # fmt: skip
from torch import nn  # noqa: E402

from llm_bridge.brownian.function_space import FunctionSpaceNoise  # noqa: E402
from llm_bridge.brownian.position_factor import PositionFactor  # noqa: E402
from llm_bridge.errors import UnsupportedNoiseError  # noqa: E402


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("pieces", [(8,), (3, 1, 1, 2, 1)], ids=["whole", "pieces"])
@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("kind", DENSE)
def test_law_of_a_dense_layer(kind: str, correlation: str, pieces: tuple[int, ...]) -> None:
    """200 draws · 40 outputs of K∘C between 8 positions; |z| of 44 moments below 5."""
    x, layer = inputs_of(), dense(kind)
    noise = noise_of(correlation, where="weight")
    kicks = read(layer, noise, x, 200, pieces=pieces)
    samples = kicks.transpose(0, 2, 1).reshape(-1, 8)
    gram = 0.01 * x.double().numpy() @ x.double().numpy().T
    assert largest_deviation(samples, gram * kernel(correlation, 8)) < LIMIT
    # Outputs are independent of each other, and draws: correlations of those side by side.
    side_by_side = (samples[1:] * samples[:-1]).sum(axis=0) / (samples**2).sum(axis=0)
    assert np.abs(side_by_side).max() * np.sqrt(len(samples)) < LIMIT
    # Negative controls: the other kernels, and at positions of which none repeats.
    some = [0, 2, 3, 4, 5, 6, 7]
    for other in set(CORRELATIONS) - {correlation}:
        wrong = (gram * kernel(other, 8))[np.ix_(some, some)]
        assert largest_deviation(samples[:, some], wrong) > 4 * LIMIT


def test_forgetting_the_earlier_positions_is_found_out() -> None:
    """Negative control: frozen noise whose second piece does not know the first."""
    x, layer = inputs_of(), dense("linear")
    noise = noise_of("quenched", where="weight")
    first = read(layer, noise, x[:4], 200)
    second = read(layer, noise_of("quenched", where="weight", seed=1), x[4:], 200)
    samples = np.concatenate([first, second], axis=1).transpose(0, 2, 1).reshape(-1, 8)
    gram = 0.01 * x.double().numpy() @ x.double().numpy().T
    part = np.kron(np.eye(2), np.ones((4, 4)))
    assert largest_deviation(samples, gram * part) < LIMIT
    with pytest.raises(AssertionError):  # the repeated input has two noises
        largest_deviation(samples, gram)
    keep = [0, 1, 2, 3, 4, 6, 7]
    assert largest_deviation(samples[:, keep], gram[np.ix_(keep, keep)]) > 4 * LIMIT


class Siblings(nn.Module):
    """Layers that read the same tensor, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = (nn.Linear(12, 20, bias=False) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.other(x)], dim=-1)


def test_layers_that_share_a_factor_have_noise_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, module = inputs_of(6), Siblings()
    calls = []
    plain = PositionFactor.append
    monkeypatch.setattr(PositionFactor, "append", lambda *a: (calls.append(1), plain(*a))[1])

    def both(kicks: np.ndarray) -> float:
        """Outputs of both layers at all positions: block-diagonal covariance."""
        samples = kicks.reshape(-1, 6, 2, 20).transpose(0, 3, 2, 1).reshape(-1, 12)
        gram = 0.01 * x.double().numpy() @ x.double().numpy().T
        return largest_deviation(samples, np.kron(np.eye(2), gram))

    assert both(read(module, noise_of("quenched"), x, 300, pieces=(4, 1, 1))) < LIMIT
    assert len(calls) == 3
    # Negative control: one stream of random numbers for both.
    from llm_bridge.brownian import layer_noise

    class OneStream(layer_noise.NormalRows):
        def __init__(self, seed: int, place: int, *rest: object) -> None:
            super().__init__(seed, 0, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(layer_noise, "NormalRows", OneStream)
    assert both(read(module, noise_of("quenched"), x, 300)) > 4 * LIMIT


class Twice(nn.Module):
    """One layer, used at two depths."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 12, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.layer(x), self.layer(x.flip(-1))], dim=-1)


def test_a_layer_that_is_used_twice_has_the_same_noise_in_both_places() -> None:
    x, module = inputs_of(4), Twice()
    kicks = read(module, noise_of("quenched"), x, 600, pieces=(2, 2))
    samples = kicks.reshape(-1, 4, 2, 12).transpose(0, 3, 2, 1).reshape(-1, 8)
    used = torch.cat([x, x.flip(-1)]).double().numpy()
    assert largest_deviation(samples, 0.01 * used @ used.T) < LIMIT
    with (
        pytest.raises(UnsupportedNoiseError, match=r"second time.*one_pass=False"),
        FunctionSpaceNoise(module, noise_of("quenched"), one_pass=True),
    ):
        module(x[None])


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("layer", [nn.Embedding, Scaled])
def test_law_of_an_embedding(layer: type[nn.Embedding], correlation: str) -> None:
    ids = torch.tensor([3, 1, 3, 2, 1, 3])
    module = layer(5, 10)
    kicks = read(module, noise_of(correlation), ids, 400, pieces=(3, 1, 2))
    samples = kicks.transpose(0, 2, 1).reshape(-1, 6) / (3.0 if layer is Scaled else 1.0)
    same = (ids[:, None] == ids).numpy() * 0.01
    assert largest_deviation(samples, same * kernel(correlation, 6)) < LIMIT
    if correlation == "quenched":
        assert np.array_equal(samples[:, 0], samples[:, 2])


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_law_of_a_bias(correlation: str) -> None:
    module = dense("linear")
    kicks = read(module, noise_of(correlation, where="bias"), inputs_of(), 200, pieces=(4, 1, 3))
    samples = kicks.transpose(0, 2, 1).reshape(-1, 8)
    assert largest_deviation(samples, 0.01 * kernel(correlation, 8)) < LIMIT


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize(
    "module",
    [RMSNorm(), RMSNorm(1.0), RMSNorm(zero=True), layer_norm(), layer_norm(True)],
    ids=["rms", "1 + w", "a gain of zero", "layer norm", "large bias"],
)
def test_noise_of_a_norm_is_that_of_other_weights(module: nn.Module, correlation: str) -> None:
    """What comes out is the module's own answer with kicked weights, and the kicks have the law."""
    x = inputs_of()
    kicks = read(module, noise_of(correlation, where="weight"), x, 200, pieces=(4, 1, 3))
    gain = torch.func.functional_call(module, {"weight": module.weight + 1.0}, (x,)) - module(x)
    delta = kicks / gain.double().numpy()
    samples = delta.transpose(0, 2, 1).reshape(-1, 8)
    if correlation == "quenched":
        rounding = 1e-6 * float(module(x).abs().max()) / float(gain.abs().min())
        assert np.abs(delta - delta[:, :1]).max() < rounding
        samples = samples[:, :1]
    covariance = 0.01 * kernel(correlation, samples.shape[1])
    assert largest_deviation(samples, covariance) < LIMIT


class PerHead(nn.Module):
    """A norm of every head, as Qwen 3 has it, with the axis of the heads inside or outside."""

    def __init__(self, outside: bool) -> None:
        super().__init__()
        self.norm, self.outside = RMSNorm(), outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.unflatten(-1, (-1, 12))
        if self.outside:
            return self.norm(heads.transpose(1, 2)).transpose(1, 2).flatten(2)
        return self.norm(heads).flatten(2)


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("outside", [False, True])
def test_all_heads_of_a_position_see_the_same_weights(outside: bool, correlation: str) -> None:
    """As many heads as positions, and as positions in one of the pieces."""
    x, module = numbers(6, 6 * 12), PerHead(outside)
    for pieces in ((6,), (2, 1, 3)):
        kicks = read(module, noise_of(correlation), x, 200, pieces=pieces)
        gain = (module(x[None]) / module.norm.weight.tile(6)).double().numpy()
        delta = (kicks / gain).reshape(200, 6, 6, 12)  # draw, position, head, weight
        assert np.abs(delta - delta[:, :, :1]).max() < 1e-3
        samples = delta.mean(axis=2).transpose(0, 2, 1).reshape(-1, 6)
        assert largest_deviation(samples, 0.01 * kernel(correlation, 6)) < LIMIT


@pytest.mark.parametrize(("law", "rank"), [("factorised", 1), ("low_rank", 1), ("low_rank", 3)])
@pytest.mark.parametrize("kind", ["linear", "conv1d", "embedding"])
def test_outer_products(kind: str, law: str, rank: int) -> None:
    """Noise is linear in the input, of rank r, with entries of the right second moments."""
    if kind == "embedding":
        layer, width, x = nn.Embedding(12, 40), 12, torch.arange(12)
    else:
        layer, width, x = dense(kind), 12, torch.eye(12)
    noise = noise_of("quenched", where="weight", law=law, rank=rank)
    kicks = read(layer, noise, x, 1500, pieces=(5, 7))  # (draws, 12, 40): E itself
    assert kicks.shape == (1500, width, 40)
    ranks = np.linalg.matrix_rank(kicks[:20], tol=1e-5)
    assert (ranks == rank).all()
    # Entries have variance σ², and products of entries in one row or column no correlation.
    squares = (kicks**2).mean(axis=(1, 2)) / 0.01
    assert abs(squares.mean() - 1) < LIMIT * squares.std() / np.sqrt(len(squares))
    for one, other in (((2, 3), (2, 7)), ((2, 3), (4, 3)), ((2, 3), (4, 7))):
        product = kicks[:, *one] * kicks[:, *other] / 0.01
        assert abs(product.mean()) < LIMIT * product.std() / np.sqrt(len(product))
    # Of one sign in fours: E δ_ij δ_il δ_kj δ_kl is σ⁴/r times that of two vectors' squares.
    four = kicks[:, 2, 3] * kicks[:, 2, 7] * kicks[:, 4, 3] * kicks[:, 4, 7] / 1e-4
    expected = 1.0 if law == "factorised" else 1.0 / rank
    assert abs(four.mean() - expected) < LIMIT * four.std() / np.sqrt(len(four))


class Pick(nn.Module):
    """A layer that sees some of the positions only, as experts do."""

    def __init__(self) -> None:
        super().__init__()
        self.expert = nn.Linear(12, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.expert(x.reshape(-1, 12)[::2])


class Split(nn.Module):
    """A dense layer that sees every position twice."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x.unflatten(-1, (2, 6)))


def test_layers_that_see_some_positions() -> None:
    """Frozen and fresh noise need not know which; wandering noise has to, and many draws too.

    Fresh noise has to where there are more inputs than positions.
    """
    x, module = inputs_of()[None], Pick()
    for correlation in ("quenched", "annealed"):
        with FunctionSpaceNoise(module, noise_of(correlation)):
            module(x)
    with (
        FunctionSpaceNoise(module, noise_of("ou")),
        pytest.raises(UnsupportedNoiseError, match=r"expert.* 4 inputs .* 8 positions"),
    ):
        module(x)
    split = Split()
    for correlation in ("quenched", "ou"):
        with FunctionSpaceNoise(split, noise_of(correlation)):
            split(x)
    with (
        FunctionSpaceNoise(split, noise_of("annealed")),
        pytest.raises(UnsupportedNoiseError, match=r"part.* 16 inputs .* 8 positions"),
    ):
        split(x)
    with (
        FunctionSpaceNoise(module, noise_of("annealed"), draws=3),
        pytest.raises(UnsupportedNoiseError, match=r"draws cannot be told apart.*copies"),
    ):
        module(x.expand(3, -1, -1))


def test_a_layer_may_be_called_by_keyword() -> None:
    layer, x = dense("linear"), inputs_of()[None]
    with FunctionSpaceNoise(layer, noise_of("quenched")):
        by_place = layer(x)
    with FunctionSpaceNoise(layer, noise_of("quenched")):
        assert torch.equal(layer(input=x), by_place)
